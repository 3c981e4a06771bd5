// An endpoint that refuses every connection, or answers each request with a bare 503: while its last attempts were all
// refused, one each tenth of a second is made and shows how it does; what else falls due meanwhile fails as that one
// did, without a connection. So two thousand deliveries that wait for a dead endpoint cost a few connections and not
// two thousand a round, and each still goes by its schedule and ends by its time. Passive.
//
// No setting: a breaker, where there is one, does more, and comes first.
//
// Invariant: nothing but an attempt that was made begins or ends a streak.

import FastPath

package struct RefusalStreak: Sendable {
    /// So many in a row: a restart of the endpoint that refuses a few is none.
    package static let countMin = 16
    /// Between two attempts that are made: so seldom that they cost nothing, so often that one delivery with a schedule
    /// of its own finds each of its attempts made.
    package static let probeNanos: UInt64 = 100_000_000

    private var count = 0
    private var probeAt: UInt64 = 0
    /// What the last attempt came to.
    package private(set) var result = DeliveryResult.connectFailed
    package private(set) var status: UInt16 = 0
    package private(set) var systemError: Int32 = 0

    package init() {}

    /// An attempt that was made has ended.
    package mutating func ended(_ outcome: DeliveryOutcome, isRefusal: Bool, now: UInt64) {
        guard isRefusal else { return self = RefusalStreak() }
        count = min(count + 1, RefusalStreak.countMin)
        (result, status, systemError) = (outcome.result, outcome.status, outcome.systemError)
        if isOn { probeAt = max(probeAt, now + RefusalStreak.probeNanos) }
    }
    package var isOn: Bool { count >= RefusalStreak.countMin }
    /// True exactly when an attempt would only find what the last one has found.
    package func holds(now: UInt64) -> Bool { isOn && now < probeAt }
    /// One is made: nobody else tries beside it.
    package mutating func began(now: UInt64) { if isOn { probeAt = now + RefusalStreak.probeNanos } }
    /// True exactly when nothing was refused since the last attempt that was not.
    package var isEmpty: Bool { count == 0 }
}

extension DeliveryOutcome {
    /// It says nothing of the event: the endpoint takes nobody now. `decision`: what the endpoint's own table makes of
    /// it.
    func isRefusal(_ decision: OutcomeDecision) -> Bool {
        guard decision == OutcomeDecision(.retry) else { return false }
        return result == .connectFailed || result == .answered && status == 503
    }
}
