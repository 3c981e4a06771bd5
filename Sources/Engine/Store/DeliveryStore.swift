// The truth about deliveries: what every store must do. One contract suite runs over all of them. A store is opened for
// one log (its identity); everything it says and takes is of that log. Writes come from one thread (StoreWorker), reads
// from any.

import FastPath

package protocol DeliveryStore: AnyObject, Sendable {
    /// O(what is open), not O(endpoints).
    func snapshot() throws -> DeliverySnapshot
    /// Gives these endpoints a mark of their own: endpoints that are new, before their first event can arrive. Not
    /// `isDurable`: as soon as something that is written durably after it, such as the registry's commit.
    func begin(_ endpoints: [EndpointID], at place: EventLocation, isDurable: Bool) throws
    /// What is kept of one endpoint.
    func lane(_ endpoint: EndpointID) throws -> (mark: EventLocation?, state: EndpointState?)
    /// Forgets marks, states, tallies and open deliveries of endpoints that are gone. Their history goes with its
    /// slices.
    func forget(_ endpoints: [EndpointID]) throws
    /// All of the batch or nothing of it, but for history (finished rows and attempts), which may be there already when
    /// the rest is not. A row replaces the one of the same endpoint and sequence, wherever that is: what was open and
    /// is finished now leaves the open ones, what was finished and is pending again (a replay) is open.
    /// Returns what the batch's replays replaced: deliveries that were pending or dead before it.
    @discardableResult
    func apply(_ batch: OutcomeBatch) throws -> [OpenDeliveries]
    /// Every pending delivery of the endpoint that is due later is due at `due`.
    func expedite(_ endpoint: EndpointID, due: Int64) throws
    /// Every postponed delivery of the endpoint (`DeliveryRow.isPostponed`) that is due after `nowMillis` is due so
    /// much sooner, and no sooner than then.
    func advance(_ endpoint: EndpointID, byMillis millis: Int64, nowMillis: Int64) throws
    /// Those of `keys` that are pending are dead letters from now on, for this reason; as they are then. Durable.
    func cancel(_ keys: [DeliveryKey], reason: DeadLetterReason, nowMillis: Int64) throws -> [DeliveryRow]
    /// The first endpoint behind `endpoint` (by number) that has something in one of `states`, of those that are open.
    /// O(log of what is open).
    func nextOpen(after endpoint: EndpointID, states: Set<DeliveryState>) throws -> EndpointID?
    /// Dead letters of an endpoint by what ended them, the newest `lookedMax` of them.
    func deadLetters(endpoint: EndpointID, lookedMax: Int) throws -> [DeadLetterGroup]
    /// Sequences at or behind `from` that have a row, ascending: what a lane must not send as new again.
    func recorded(endpoint: EndpointID, from: UInt64) throws -> [UInt64]
    /// Pending rows of a kind whose key is `load.from` or behind it, in the order of `RetryKey`.
    func pending(endpoint: EndpointID, _ load: RetryLoad, limit: Int) throws -> [DeliveryRow]
    /// Newest first; see `DeliveryQuery`. A call looks at a bounded number of rows that do not match, so a page may
    /// hold fewer than `limit` rows, even none, and yet not be the last one: `next` is where the next page begins (its
    /// `before`), nil when there is nothing more.
    func rows(_ query: DeliveryQuery) throws -> (rows: [DeliveryRow], next: DeliveryCursor?)
    /// Rows of one endpoint in the order of their sequence, from `from` on: for replays. States as given.
    func rows(endpoint: EndpointID, states: Set<DeliveryState>, from: UInt64, limit: Int) throws -> [DeliveryRow]
    /// One event at all endpoints, by endpoint.
    func rows(sequence: UInt64) throws -> [DeliveryRow]
    /// One event's attempts, by endpoint and number. For deliveries that succeeded at once there is none.
    func attempts(sequence: UInt64) throws -> [AttemptRow]
    /// Attempts of an endpoint that ended in a time and have rows of their own, counted. O(attempts of all endpoints in
    /// that time).
    func attemptCounts(endpoint: EndpointID, ended: Range<Int64>) throws -> AttemptCounts
    /// Deliveries whose row was written in a time, by endpoint. O(what these endpoints had), where history has its
    /// index and they are few; else O(all rows of slices of that time). `each` hears of every slice before it is read,
    /// and may throw to end it.
    func summaries(
        of endpoints: Set<EndpointID>, updated: Range<Int64>, each: () throws -> Void
    ) throws -> [EndpointID: DeliverySummary]
    func counts(endpoint: EndpointID) throws -> OpenDeliveries
    /// Of those that have one, in the order asked for.
    func tallies(_ endpoints: [EndpointID]) throws -> [EndpointTally]
    /// The same; of an endpoint by type, what succeeded first.
    func attemptTallies(_ endpoints: [EndpointID]) throws -> [AttemptTally]
    /// What was written before survives a power cut when it returns; takes no room on the disk. From any thread: the
    /// log's retention asks before it removes what marks and dead letters say is needed no more.
    func makeDurable() throws
    /// The oldest sequence pending at an endpoint that is not gone (410) or removed, for the log's retention.
    func oldestPending() throws -> UInt64?
    /// Drops slices of history whose newest row is older than `before`, whole, and dead letters whose event is older
    /// than `oldest`, no more than `limit` of them a call.
    func prune(before: Int64, oldest: UInt64, limit: Int) throws -> PruneResult
    /// Moves every due time and every end of a pause so that what was due in a minute when the store was last written
    /// is due in a minute from `now`, if the clock has gone back since. Once, before anything else.
    func rebase(now: Int64) throws
}

extension DeliveryStore {
    package func summaries(
        of endpoints: Set<EndpointID>, updated: Range<Int64>
    ) throws -> [EndpointID: DeliverySummary] {
        try summaries(of: endpoints, updated: updated) {}
    }
}

/// Dead letters that ended alike, counted.
package struct DeadLetterGroup: Equatable, Sendable {
    package var failureClass: DeadLetterClass
    package var reason: DeadLetterReason
    package var count: Int
    package init(failureClass: DeadLetterClass, reason: DeadLetterReason, count: Int) {
        self.failureClass = failureClass
        self.reason = reason
        self.count = count
    }
    /// By class and reason, most of them first.
    package static func counted(_ rows: some Sequence<(row: DeliveryRow, count: Int)>) -> [DeadLetterGroup] {
        var groups: [DeadLetterGroup] = []
        for (row, count) in rows {
            guard let reason = row.reason else { continue }
            let kind = DeadLetterClass(row)
            if let place = groups.firstIndex(where: { $0.failureClass == kind && $0.reason == reason }) {
                groups[place].count += count
            } else {
                groups.append(DeadLetterGroup(failureClass: kind, reason: reason, count: count))
            }
        }
        return groups.sorted {
            ($1.count, $0.failureClass.rawValue, $0.reason.name) < ($0.count, $1.failureClass.rawValue, $1.reason.name)
        }
    }
}

/// A success is a 2xx answer.
package struct AttemptCounts: Equatable, Sendable {
    package var succeeded = 0
    package var failed = 0
    package init(succeeded: Int = 0, failed: Int = 0) {
        self.succeeded = succeeded
        self.failed = failed
    }
}

package struct PruneResult: Sendable {
    /// True while more is to be done.
    package var goesOn: Bool
    /// The dead letters that went.
    package var dropped: [OpenDeliveries]

    package init(goesOn: Bool, dropped: [OpenDeliveries] = []) {
        self.goesOn = goesOn
        self.dropped = dropped
    }
}
