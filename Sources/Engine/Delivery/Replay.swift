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
    /// Of events that the endpoint never had: what its filter lets through. Nil = whatever they say.
    package var filter: CompiledFilter?
    /// Of published events.
    package var tag: String?
    /// Messages of applications and nothing else.
    package var isOfMessages = false
    /// Of the last answer: 0 for none, else 100 to 500.
    package var statusClass: Int?
    /// Of the last answer.
    package var statuses: ClosedRange<UInt16>?
    /// Only of dead letters.
    package var reason: DeadLetterReason?
    package var failureClass: DeadLetterClass?
    /// When the last attempt ended, store time; the end is not in it.
    package var updated: Range<Int64>?
    /// Wall clock of arrival, nanoseconds since 1970; the end is not in it.
    package var received: Range<UInt64>?
    /// Where in the log that is, roughly: the walk goes over no more. Nil = over all of it.
    package var places: Range<UInt64>?
    /// Pending ones are on their way already and not sent a second time, unless they are named here and wait for
    /// another attempt; that is taken then.
    package var states: Set<DeliveryState> = [.dead]
    /// These events and no others, ascending; nil = all.
    package var sequences: [UInt64]?
    /// Pending ones are what is wanted, to be cancelled.
    package var takesPending = false
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
    /// What the filter takes at endpoints that are disabled: none of it is sent.
    package var stopped = 0
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
    /// `resume` nil: from its beginning on.
    package init(
        _ filter: ReplayFilter, endpoint: EndpointID, tenant: TenantID, store: any DeliveryStore, log: Log,
        resume: UInt64? = nil
    ) {
        self.filter = filter
        self.endpoint = endpoint
        self.tenant = tenant
        self.store = store
        self.log = log
        types = filter.types.map { TypePattern($0) }
        from = max(filter.includesMissed ? log.oldest.sequence : 0, filter.places?.lowerBound ?? 0, resume ?? 0)
        end = filter.places?.upperBound ?? .max
    }
    /// Everything before it has been looked at.
    package var place: UInt64 { from }
    /// What the filter takes of the next rows or records, perhaps nothing; nil at the end.
    package mutating func next() throws -> ReplayPage? {
        guard !isOver else { return nil }
        return filter.includesMissed ? try nextOfLog() : try nextOfRows()
    }
    /// Of the states that are looked at.
    private mutating func nextRows() throws -> [DeliveryRow] {
        let states = filter.states.union([.pending])
        guard let sequences = filter.sequences else {
            let rows = try store.rows(endpoint: endpoint, states: states, from: from, limit: Self.pageCount)
            from = (rows.last?.place.sequence ?? from) + 1
            isOver = rows.count < Self.pageCount || from >= end
            return rows
        }
        // Anybody may have made up any of them: what is not before the end is none of the log's.
        let known = sequences[..<sequences.partitionIndex { [end] in $0 < end }]
        let named = known[known.partitionIndex { [from] in $0 < from }...].prefix(Self.pageCount)
        from = named.last.map { $0 < .max ? $0 + 1 : .max } ?? from
        isOver = named.count < Self.pageCount || from >= end
        return try named.compactMap { sequence in
            try store.rows(sequence: sequence).first { $0.endpoint == endpoint && states.contains($0.state) }
        }
    }
    private mutating func nextOfRows() throws -> ReplayPage {
        let rows = try nextRows()
        var page = ReplayPage()
        for row in rows where row.place.sequence < end && answers(row) {
            guard case .event(let event) = log.read(at: row.place), event.place.sequence == row.place.sequence,
                !event.isErased
            else {
                if row.state != .pending { page.eventsGone += 1 }
                continue
            }
            guard matches(event) else { continue }
            take(row.place, row.state, isWaiting: AttemptCount.number(of: row.attempts) > 0, &page)
        }
        return page
    }
    private func answers(_ row: DeliveryRow) -> Bool {
        if let first = filter.statusClass, !(first..<first + 100).contains(Int(row.status)) { return false }
        if let statuses = filter.statuses, !statuses.contains(row.status) { return false }
        if let reason = filter.reason, row.reason != reason { return false }
        if let updated = filter.updated, !updated.contains(row.updatedMillis) { return false }
        guard let wanted = filter.failureClass else { return true }
        return !row.state.isFinished && DeadLetterClass(row) == wanted
    }
    private mutating func nextOfLog() throws -> ReplayPage {
        var page = ReplayPage()
        var matched: [(place: EventLocation, mayBeMissed: Bool, notBefore: Int64)] = []
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
                if event.place.sequence < end, matches(event) {
                    matched.append((event.place, mayBeMissed(event), event.deliverAtMillis ?? 0))
                }
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
        for (place, mayBeMissed, notBefore) in matched {
            guard let row = known[place.sequence] else {
                if mayBeMissed { take(place, nil, isWaiting: false, notBefore: notBefore, &page) }
                continue
            }
            guard filter.states.contains(row.state) || row.state == .pending, answers(row) else { continue }
            take(place, row.state, isWaiting: AttemptCount.number(of: row.attempts) > 0, &page)
        }
        return page
    }
    private func mayBeMissed(_ event: StoredEvent) -> Bool {
        !event.sourceID.isDirected && (!filter.sources.isEmpty || !event.sourceID.isClosed)
            && filter.filter?.matches(FilterInput(event)) ?? true
    }
    private func take(
        _ place: EventLocation, _ state: DeliveryState?, isWaiting: Bool, notBefore: Int64 = 0,
        _ page: inout ReplayPage
    ) {
        let isTaken = filter.takesPending || filter.isManual && filter.states.contains(.pending) && isWaiting
        if state == .pending, !isTaken {
            page.alreadyPending += 1
        } else {
            var replay = Replay(endpoint: endpoint, place: place, state: state)
            replay.isManual = filter.isManual
            replay.notBeforeMillis = notBefore
            page.replays.append(replay)
        }
    }
    private func matches(_ event: StoredEvent) -> Bool {
        guard event.tenant == tenant, !event.isRequestOfBatch, !event.isErased else { return false }
        guard !filter.isOfMessages || event.sourceID.isMessage else { return false }
        if let expunged = filter.expunged, expunged.isGone(of: event) { return false }
        if let tag = filter.tag, !PublishedFields.tagList(in: event.fieldLines).contains(tag) { return false }
        if let received = filter.received, !received.contains(event.receivedAt) { return false }
        guard filter.sources.isEmpty || filter.sources.contains(event.source.text)
            || event.isEnveloped && filter.sources.contains(PublishSource.contractName)
        else { return false }
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
            let isStopped = status.state.condition == .disabled
            let stoppedBefore = count.stopped
            var walk = ReplayWalk(
                filter, endpoint: status.endpoint, tenant: status.tenant, store: store, log: makeReader())
            while let page = try walk.next() {
                count.eventsGone += page.eventsGone
                count.alreadyPending += page.alreadyPending
                if isStopped {
                    count.stopped += page.replays.count
                } else {
                    count.matched += page.replays.count
                    count.missed += page.replays.count { $0.state == nil }
                    if isReal { try send(page.replays, perSecondMax: filter.perSecondMax, count: &count, each) }
                    // It was disabled meanwhile.
                    if count.stopped > stoppedBefore { break }
                }
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
            count.stopped += results.count { $0 == .endpointDisabled }
            replays = zip(replays, results).filter { $0.1 == .busy }.map(\.0)
            let pause = Double(accepted) / Double(max(perSecondMax, 1))
            Thread.sleep(forTimeInterval: replays.isEmpty ? pause : max(pause, 0.02))
        }
    }
}
