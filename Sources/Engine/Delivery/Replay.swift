// Sending events again in bulk, and giving an endpoint ones that it never had: a filter, a count first, then the same
// walk with effect. The store knows endpoint, state and sequence; source, type and time of arrival are in the log.
//
// Two walks. Without missed events it goes over the store's rows of the chosen states and reads each one's record. With
// them it goes over the log, from the oldest event on, and asks the store what it has of each that matches.

import FastPath
import Foundation

package struct ReplayFilter: Sendable {
    /// Empty = nobody.
    package var endpoints: [EndpointID] = []
    /// Names; empty = all.
    package var sources: [String] = []
    /// Patterns with `*`; empty = all.
    package var types: [String] = []
    /// Of published events; empty = all events.
    package var channels: [String] = []
    /// Of published events.
    package var tag: String?
    /// Messages of applications and nothing else.
    package var isOfMessages = false
    /// Of the last answer: 0 for none, else 100 to 500.
    package var statusClass: Int?
    /// Wall clock of arrival, nanoseconds since 1970; the end is not in it.
    package var received: Range<UInt64>?
    /// Where in the log that is, roughly: the walk goes over no more. Nil = over all of it.
    package var places: Range<UInt64>?
    /// Pending ones are on their way already and not sent a second time, unless they are named here and wait for
    /// another attempt; that is taken then.
    package var states: Set<DeliveryState> = [.dead]
    /// One attempt each, beside the schedule.
    package var isManual = false
    /// Also events that the endpoint never had, whatever its subscription says of them.
    package var includesMissed = false
    /// What of it is sent by hand no more; nil = all may be.
    package var expunged: ExpungedContent?
    /// Deliveries a second at most, so that a replay leaves room for what is new.
    package var perSecondMax = 5000

    package init() {}
}

package struct ReplayCount: Equatable, Sendable {
    /// What the filter takes and a replay would send.
    package var matched = 0
    package var accepted = 0
    /// Of `matched`: those that the endpoint never had.
    package var missed = 0
    /// What the filter takes and is on its way already.
    package var alreadyPending = 0
    /// Their record has left the log, or cannot be read.
    package var eventsGone = 0
    package init() {}
}

package struct ReplayPage {
    package var replays: [Replay] = []
    package var alreadyPending = 0
    package var eventsGone = 0
}

/// The walk for one endpoint, page by page.
package struct ReplayWalk<Log: EventLog> {
    private static var pageCount: Int { 500 }
    private let filter: ReplayFilter
    private let tenant: TenantID
    private let types: [TypePattern]
    private let endpoint: EndpointID
    private let store: any DeliveryStore
    private let log: Log
    private var from: UInt64
    private let end: UInt64
    private var isOver = false

    /// Events of other tenants than the endpoint's are not there for it.
    package init(
        _ filter: ReplayFilter, endpoint: EndpointID, tenant: TenantID, store: any DeliveryStore, log: Log
    ) {
        self.filter = filter
        self.endpoint = endpoint
        self.tenant = tenant
        self.store = store
        self.log = log
        types = filter.types.map { TypePattern($0) }
        from = max(filter.includesMissed ? log.oldest.sequence : 0, filter.places?.lowerBound ?? 0)
        end = filter.places?.upperBound ?? .max
    }
    /// What the filter takes of the next rows or records, perhaps nothing; nil at the end.
    package mutating func next() throws -> ReplayPage? {
        guard !isOver else { return nil }
        return filter.includesMissed ? try nextOfLog() : try nextOfRows()
    }
    private mutating func nextOfRows() throws -> ReplayPage {
        let states = filter.states.union([.pending])
        let rows = try store.rows(endpoint: endpoint, states: states, from: from, limit: Self.pageCount)
        from = (rows.last?.place.sequence ?? from) + 1
        isOver = rows.count < Self.pageCount || from >= end
        var page = ReplayPage()
        for row in rows where row.place.sequence < end && answers(row) {
            guard case .event(let event) = log.read(at: row.place), event.place.sequence == row.place.sequence else {
                if row.state != .pending { page.eventsGone += 1 }
                continue
            }
            guard matches(event) else { continue }
            take(row.place, row.state, isWaiting: AttemptCount.number(of: row.attempts) > 0, &page)
        }
        return page
    }
    private func answers(_ row: DeliveryRow) -> Bool {
        filter.statusClass.map { ($0..<$0 + 100).contains(Int(row.status)) } ?? true
    }
    private mutating func nextOfLog() throws -> ReplayPage {
        var page = ReplayPage()
        var matched: [(place: EventLocation, mayBeMissed: Bool)] = []
        let first = from
        var looked = 0
        reading: while looked < Self.pageCount * 8, matched.count < Self.pageCount {
            looked += 1
            guard from < end else {
                isOver = true
                break
            }
            switch log.read(at: EventLocation(sequence: from, position: 0)) {
            case .event(let event):
                if event.place.sequence < end, matches(event) { matched.append((event.place, mayBeMissed(event))) }
                from = event.place.sequence + 1
            case .unreadable(let next):
                page.eventsGone += 1
                from = next.sequence
            case .end, .unavailable:
                isOver = true
                break reading
            }
        }
        guard let last = matched.last?.place.sequence else { return page }
        var known: [UInt64: DeliveryRow] = [:]
        var next = first
        while next <= last {
            let rows = try store.rows(
                endpoint: endpoint, states: Set(DeliveryState.allCases), from: next, limit: Self.pageCount)
            for row in rows where row.place.sequence <= last { known[row.place.sequence] = row }
            guard rows.count == Self.pageCount, let end = rows.last else { break }
            next = end.place.sequence + 1
        }
        for (place, mayBeMissed) in matched {
            guard let row = known[place.sequence] else {
                if mayBeMissed { take(place, nil, isWaiting: false, &page) }
                continue
            }
            guard filter.states.contains(row.state) || row.state == .pending, answers(row) else { continue }
            take(place, row.state, isWaiting: AttemptCount.number(of: row.attempts) > 0, &page)
        }
        return page
    }
    private func mayBeMissed(_ event: StoredEvent) -> Bool {
        !event.sourceID.isDirected && (!filter.sources.isEmpty || !event.sourceID.isClosed)
    }
    private func take(
        _ place: EventLocation, _ state: DeliveryState?, isWaiting: Bool, _ page: inout ReplayPage
    ) {
        if state == .pending, !filter.isManual || !filter.states.contains(.pending) || !isWaiting {
            page.alreadyPending += 1
        } else {
            var replay = Replay(endpoint: endpoint, place: place, state: state)
            replay.isManual = filter.isManual
            page.replays.append(replay)
        }
    }
    private func matches(_ event: StoredEvent) -> Bool {
        guard event.tenant == tenant, !event.isRequestOfBatch else { return false }
        guard !filter.isOfMessages || event.sourceID.isMessage else { return false }
        if event.sourceID.isMessage,
            filter.expunged?.isExpunged(message: event.place.sequence, of: tenant) == true
        { return false }
        if let tag = filter.tag, !PublishedFields.tagList(in: event.fieldLines).contains(tag) { return false }
        if let received = filter.received, !received.contains(event.receivedAt) { return false }
        guard filter.sources.isEmpty || filter.sources.contains(event.source.text) else { return false }
        guard filter.channels.isEmpty || PublishedFields.share(filter.channels, event.channels) else { return false }
        guard !types.isEmpty else { return true }
        let type = event.eventType.array
        return types.contains { $0.matches(type) }
    }
}

extension DeliveryService {
    /// How many deliveries the filter takes; changes nothing.
    package func count(_ filter: ReplayFilter) throws -> ReplayCount { try walk(filter, isReal: false) { _ in } }

    /// Sends them again. Blocks until all are accepted; a full store is waited for. `each` hears how far it has come,
    /// a few times a second, and may throw to end it.
    package func replay(
        _ filter: ReplayFilter, each: (ReplayCount) throws -> Void = { _ in }
    ) throws -> ReplayCount { try walk(filter, isReal: true, each) }

    private func walk(
        _ filter: ReplayFilter, isReal: Bool, _ each: (ReplayCount) throws -> Void
    ) throws -> ReplayCount {
        var count = ReplayCount()
        for status in try statuses(filter.endpoints) {
            var walk = ReplayWalk(
                filter, endpoint: status.endpoint, tenant: status.tenant, store: store, log: makeReader())
            while let page = try walk.next() {
                count.matched += page.replays.count
                count.missed += page.replays.count { $0.state == nil }
                count.eventsGone += page.eventsGone
                count.alreadyPending += page.alreadyPending
                if isReal { try send(page.replays, perSecondMax: filter.perSecondMax, count: &count, each) }
                try each(count)
            }
        }
        return count
    }
    private func send(
        _ replays: [Replay], perSecondMax: Int, count: inout ReplayCount, _ each: (ReplayCount) throws -> Void
    ) throws {
        var replays = replays
        while !replays.isEmpty {
            try each(count)
            let results = try replay(replays)
            let accepted = results.count { $0 == .accepted }
            count.accepted += accepted
            count.alreadyPending += results.count { $0 == .alreadyPending || $0 == .notReached }
            replays = zip(replays, results).filter { $0.1 == .busy }.map(\.0)
            let pause = Double(accepted) / Double(max(perSecondMax, 1))
            Thread.sleep(forTimeInterval: replays.isEmpty ? pause : max(pause, 0.02))
        }
    }
}
