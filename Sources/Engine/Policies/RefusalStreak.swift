// An endpoint that refuses every connection, or answers each request with a bare 503: while its last attempts were all
// refused, one at a time is made and shows how it does, and what else is due waits for it; in the moment after it was
// refused that fails as well, without a connection. So two thousand deliveries that wait for a dead endpoint cost a few
// connections and not two thousand a round, each still goes by its schedule and ends by its time, and none fails
// unless the endpoint has just been seen to refuse. Passive.
//
// No setting: a breaker, where there is one, does more, and comes first.
//
// Invariant: nothing but an attempt that was made begins or ends a streak.

import FastPath

package struct RefusalStreak: Sendable {
    /// So many in a row: a restart of the endpoint that refuses a few is none.
    package static let countMin = 16
    /// For how long what was seen holds: so long that attempts cost nothing, so short that one delivery with a schedule
    /// of its own finds each of its attempts made.
    package static let momentNanos: UInt64 = 100_000_000

    private var count = 0
    private var momentEnd: UInt64 = 0
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
        momentEnd = now + RefusalStreak.momentNanos
    }
    /// One attempt at a time goes out.
    package var isOn: Bool { count >= RefusalStreak.countMin }
    /// True exactly when an attempt would only find what the last one has found.
    package func holds(now: UInt64) -> Bool { isOn && now < momentEnd }
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
