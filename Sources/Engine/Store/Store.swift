// The truth about deliveries: what every store must do. One contract suite runs over all of them. Writes come from one
// thread (StoreWorker), reads from any.

import FastPath

package protocol DeliveryStore: AnyObject, Sendable {
    /// All endpoints ever seen, by number.
    func endpoints() throws -> [StoredEndpoint]
    /// Names the endpoints of the configuration: new ones get a number and start at `start`, known ones keep their
    /// place and are no longer removed, all others are marked removed. Durable when it returns.
    func register(_ names: [String], start: EventPlace) throws -> [StoredEndpoint]
    /// All of the batch or nothing of it. A row replaces the one of the same endpoint and sequence.
    func apply(_ batch: OutcomeBatch) throws
    /// Sequences at or behind `from` that have a row, ascending: what a lane must not send as new again.
    func recorded(endpoint: Int, from: UInt64) throws -> [UInt64]
    /// Pending rows whose key is `from` or behind it, in the order of `RetryKey`.
    func pending(endpoint: Int, from: RetryKey, limit: Int) throws -> [DeliveryRow]
    /// Rows in the order of their sequence.
    func rows(_ query: DeliveryQuery) throws -> [DeliveryRow]
    /// One event at all endpoints.
    func rows(sequence: UInt64) throws -> [DeliveryRow]
    func counts(endpoint: Int) throws -> DeliveryCounts
    /// The oldest sequence still pending at an endpoint that is not removed, for the log's retention.
    func oldestPending() throws -> UInt64?
    /// Drops delivered rows last touched before `before` and dead ones whose event is older than `oldest`, looking at
    /// no more than `limit` rows; false when it has come round to the first row again.
    func prune(before: Int64, oldest: UInt64, limit: Int) throws -> Bool
    /// Moves every due time so that what was due in a minute when the store was last written is due in a minute from
    /// `now`, if the clock has gone back since. Once, before anything else.
    func rebase(now: Int64) throws
}
