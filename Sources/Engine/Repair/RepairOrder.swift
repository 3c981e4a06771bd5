// What an operator wants repaired, how far that has come, and both as they are kept in the store. Plain values.
//
// Invariant: an order never changes once it is made; what it takes is bounded by `end`, so that what fails while it
// runs is not taken again.

import FastPath

package enum RepairAction: String, Codable, CaseIterable, Sendable {
    /// Sent again to the endpoint that it was for.
    case retry
    /// Pending deliveries are given up.
    case cancel
    /// Sent to another endpoint of the tenant.
    case forward
}

package struct RepairOrder: Codable, Equatable, Sendable {
    package static let perSecondDefault = 500
    package static let perSecondRange = 1...5000

    package var action: RepairAction
    /// Counted, nothing changed.
    package var isDry = true
    /// Whose deliveries; nil = everybody's.
    package var tenant: UInt32?
    /// Nil = every endpoint that has something open.
    package var endpoint: UInt32?
    /// Of `forward`.
    package var destination: UInt32?
    /// Dead letters when false; of `retry` and `forward`.
    package var takesDelivered = false
    package var takesDead = true
    /// These events and no others, ascending; with an endpoint.
    package var sequences: [UInt64]?
    package var source: String?
    /// A pattern with `*`.
    package var type: String?
    /// `DeadLetterReason.name`.
    package var reason: String?
    /// `DeadLetterClass.rawValue`.
    package var failureClass: String?
    /// Of the last answer.
    package var statusFirst: UInt16?
    package var statusLast: UInt16?
    /// Arrival, nanoseconds since 1970; the end is not in it.
    package var receivedFrom: UInt64?
    package var receivedUntil: UInt64?
    /// When the last attempt ended, milliseconds since 1970; the end is not in it.
    package var failedFrom: Int64?
    package var failedUntil: Int64?
    package var perSecond = RepairOrder.perSecondDefault
    /// The first sequence that is not taken.
    package var end: UInt64 = .max
    package var actor = ""

    package init(_ action: RepairAction) { self.action = action }

    package var states: Set<DeliveryState> {
        if action == .cancel { return [.pending] }
        return Set([takesDead ? DeliveryState.dead : nil, takesDelivered ? .delivered : nil].compactMap(\.self))
    }
    /// For one endpoint's walk.
    func filter(expunged: ExpungedContent?) -> ReplayFilter {
        var filter = ReplayFilter()
        filter.sources = source.map { [$0] } ?? []
        filter.types = type.map { [$0] } ?? []
        filter.states = states
        filter.takesPending = action == .cancel
        filter.sequences = sequences
        filter.reason = reason.flatMap { name in DeadLetterReason.allCases.first { $0.name == name } }
        filter.failureClass = failureClass.flatMap(DeadLetterClass.init(rawValue:))
        if let statusFirst, let statusLast { filter.statuses = statusFirst...max(statusFirst, statusLast) }
        if receivedFrom != nil || receivedUntil != nil {
            let from = receivedFrom ?? 0
            filter.received = from..<max(from, receivedUntil ?? .max)
        }
        if failedFrom != nil || failedUntil != nil {
            let from = failedFrom ?? 0
            filter.updated = from..<max(from, failedUntil ?? .max)
        }
        filter.places = 0..<end
        filter.expunged = expunged
        return filter
    }
}

package struct RepairProgress: Codable, Equatable, Sendable {
    /// Endpoints before this number are done, of this one what is before `sequence`.
    package var endpoint: UInt32 = 0
    package var sequence: UInt64 = 0
    /// What the order has taken so far.
    package var matched = 0
    /// Of `matched`: done. 0 in a dry run.
    package var done = 0
    /// On their way already, or being attempted at this moment.
    package var busy = 0
    /// Match, but stay as they are: their endpoint is disabled.
    package var stopped = 0
    /// Their record has left the log, or cannot be read, or its content was erased.
    package var eventsGone = 0
    package init() {}
}

package enum RepairState: String, CaseIterable, Sendable {
    case running, finished, cancelled, failed
}

package struct Repair: Equatable, Sendable {
    package static let prefix = "rpr_"
    /// Ascending in the order of their making; 0 before it is kept.
    package var number: Int64 = 0
    package var id: String
    package var order: RepairOrder
    package var state = RepairState.running
    package var progress = RepairProgress()
    /// Why it failed, or what it waits for.
    package var note: String?
    package var createdMillis: Int64
    package var updatedMillis: Int64

    package init(_ order: RepairOrder, nowMillis: Int64) {
        id = Repair.makeID()
        self.order = order
        createdMillis = nowMillis
        updatedMillis = nowMillis
    }
    package init(id: String, order: RepairOrder, createdMillis: Int64, updatedMillis: Int64) {
        self.id = id
        self.order = order
        self.createdMillis = createdMillis
        self.updatedMillis = updatedMillis
    }
    /// Nobody can guess another's.
    private static func makeID() -> String {
        let letters = Array("0123456789abcdefghjkmnpqrstvwxyz")
        return prefix + String((0..<26).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }
}
