// Sending events again in bulk: a filter, a count first, then the same walk with effect. Passive page by page; the
// caller has a worker thread. The store knows endpoint, state and sequence; source, type and time of arrival are in the
// log, so a walk reads each candidate's record: O(rows of the chosen states), which for dead letters is few.

import FastPath
import Foundation

package struct ReplayFilter: Sendable {
    /// Nil = all.
    package var endpoint: String?
    /// Empty = all.
    package var sources: [String] = []
    /// Patterns with `*`; empty = all.
    package var types: [String] = []
    /// Wall clock of arrival, nanoseconds since 1970; the end is not in it.
    package var received: Range<UInt64>?
    /// Pending ones are on their way already and never part of a replay.
    package var states: [DeliveryState] = [.dead]

    package init() {}
}

package struct ReplayCount: Equatable, Sendable {
    /// What the filter takes.
    package var matched = 0
    package var accepted = 0
    package var alreadyPending = 0
    /// Their record has left the log.
    package var eventsGone = 0
    package init() {}
}

package struct ReplayPage: Sendable {
    package var endpoint: Int
    package var places: [EventPlace]
    package var eventsGone: Int
}

/// The walk over one endpoint's rows.
package struct ReplayWalk<Log: EventLog> {
    private static var pageCount: Int { 500 }
    private let filter: ReplayFilter
    private let subscription: Subscription
    private let store: any DeliveryStore
    private let log: Log
    private var query: DeliveryQuery?

    package init(_ filter: ReplayFilter, endpoint: Int, store: any DeliveryStore, log: Log) {
        self.filter = filter
        subscription = Subscription(sources: filter.sources, types: filter.types)
        self.store = store
        self.log = log
        var query = DeliveryQuery(endpoint: endpoint, states: filter.states.filter { $0 != .pending })
        query.limit = ReplayWalk.pageCount
        self.query = query.states.isEmpty ? nil : query
    }
    /// The next rows that the filter takes, perhaps none of a page; nil at the end.
    package mutating func next() throws -> ReplayPage? {
        guard var query else { return nil }
        let rows = try store.rows(query)
        if rows.count < query.limit {
            self.query = nil
        } else if let last = rows.last {
            query.from = last.place.sequence + 1
            self.query = query
        }
        var page = ReplayPage(endpoint: query.endpoint, places: [], eventsGone: 0)
        for row in rows {
            switch matches(row) {
            case true?: page.places.append(row.place)
            case false?: break
            case nil: page.eventsGone += 1
            }
        }
        return page
    }
    /// Nil when the record is gone.
    private func matches(_ row: DeliveryRow) -> Bool? {
        guard case .event(let event) = log.read(at: row.place), event.place.sequence == row.place.sequence else {
            return nil
        }
        if let received = filter.received, !received.contains(event.receivedAt) { return false }
        return subscription.wants(source: event.source.array, type: event.eventType.array)
    }
}

extension DeliveryService {
    /// How many deliveries the filter takes; changes nothing.
    package func count(_ filter: ReplayFilter) throws -> ReplayCount { try walk(filter, isReal: false) }

    /// Sends them again. Blocks until all are accepted; a full store is waited for.
    package func replay(_ filter: ReplayFilter) throws -> ReplayCount { try walk(filter, isReal: true) }

    private func walk(_ filter: ReplayFilter, isReal: Bool) throws -> ReplayCount {
        var count = ReplayCount()
        let numbers = try filter.endpoint.map { [try number(of: $0)] } ?? endpointNumbers.values.sorted()
        for number in numbers {
            var walk = ReplayWalk(filter, endpoint: number, store: store, log: makeReader())
            while let page = try walk.next() {
                count.matched += page.places.count
                count.eventsGone += page.eventsGone
                if isReal { try send(page, count: &count) }
            }
        }
        return count
    }
    private func send(_ page: ReplayPage, count: inout ReplayCount) throws {
        var places = page.places
        while !places.isEmpty {
            let verdicts = try replay(number: page.endpoint, places: places)
            count.accepted += verdicts.count { $0 == .accepted }
            count.alreadyPending += verdicts.count { $0 == .alreadyPending || $0 == .notReached }
            places = zip(places, verdicts).filter { $0.1 == .busy }.map(\.0)
            if !places.isEmpty { Thread.sleep(forTimeInterval: 0.02) }
        }
    }
}
