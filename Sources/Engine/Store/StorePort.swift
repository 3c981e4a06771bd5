// The dispatcher's way to the store: requests in order, replies in order, never waiting. Behind it stands StoreWorker's
// thread, or in a test the store itself.

import FastPath

package enum StoreRequest: Sendable {
    case commit(OutcomeBatch)
    /// Answered after every batch that was submitted before it.
    case loadPending(endpoint: EndpointID, RetryLoad, limit: Int)
    /// Pending deliveries fall due now; answered when that is written.
    case expedite(endpoint: EndpointID, due: Int64)
    /// What waits for its first attempt falls due so much sooner; answered as `expedite`, when that is written.
    case advance(endpoint: EndpointID, millis: Int64, nowMillis: Int64)
    /// Those of them that are pending are dead now, for this reason; answered when that is written.
    case cancel([DeliveryKey], reason: DeadLetterReason, nowMillis: Int64)
    /// Nothing of these is kept; not answered.
    case forget([EndpointID])
}

package enum StoreReply: Sendable {
    /// In the order of the batches; a batch that failed is tried again before any later one.
    case committed(shared: EventLocation?, marks: [LaneMark])
    case pending(endpoint: EndpointID, kind: RetryKind, rows: [DeliveryRow], limit: Int)
    case expedited(EndpointID)
    /// As they are now.
    case cancelled([DeliveryRow])
    /// Open deliveries that went without an outcome: replaced by a replay, or older than the log.
    case dropped([OpenDeliveries])
}

package protocol StorePort: AnyObject, SendableMetatype {
    /// Room for at least two requests.
    var hasRoom: Bool { get }
    /// Only when `hasRoom`.
    func submit(_ request: StoreRequest)
    func nextReply() -> StoreReply?
    /// May say true for nothing, never false for something.
    var hasReply: Bool { get }
}
