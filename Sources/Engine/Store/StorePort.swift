// The dispatcher's way to the store: requests in order, replies in order, never waiting. Behind it stands StoreWorker's
// thread, or in a test the store itself.

import FastPath

package enum StoreRequest: Sendable {
    case commit(OutcomeBatch)
    /// Answered after every batch that was submitted before it.
    case loadPending(endpoint: Int, from: RetryKey, limit: Int)
}

package enum StoreReply: Sendable {
    /// In the order of the batches; a batch that failed is tried again before any later one.
    case committed(marks: [LaneMark])
    case pending(endpoint: Int, rows: [DeliveryRow], limit: Int)
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
