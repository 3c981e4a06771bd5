// When a failed delivery is tried again. Pure: the attempts so far, what the endpoint asked for and a generator in, a
// delay out. The jitter spreads what failed together, so that an endpoint that comes back does not meet all of it in
// one second.

package struct RetrySchedule: Equatable, Sendable {
    private enum Form: Equatable {
        /// With what a delay may be shortened and lengthened by, as shares of it.
        case list([Int], shares: ClosedRange<Double>)
        case backoff(BackoffSettings)
    }
    private let form: Form

    /// Delays before the 2nd, 3rd … attempt; `jitter` is the half-width as a share of the delay, 0 to 1.
    package init(delaysMillis: [Int], jitter: Double) {
        let share = min(max(0, jitter), 1)
        form = .list(delaysMillis, shares: -share...share)
    }
    /// No delay is shortened; `spread` is what one is lengthened by at most, as a share of it.
    package init(delaysMillis: [Int], spread: Double) {
        form = .list(delaysMillis, shares: 0...min(max(0, spread), 1))
    }
    /// Each delay anywhere between nothing and the bound that has grown till then.
    package init(_ backoff: BackoffSettings) { form = .backoff(backoff) }
    /// A month; only keeps the arithmetic far from overflow.
    private static let delayMillisMax = 31 * 86_400_000

    /// Nil when the attempts are used up. `attempts` counts the ones made, at least 1; `retryAfterSeconds` is
    /// `UInt32.max` when the endpoint named none, and never shortens the delay.
    package func delayMillis(
        afterAttempts attempts: Int, retryAfterSeconds: UInt32, using generator: inout some RandomNumberGenerator
    ) -> Int? {
        precondition(attempts >= 1)
        guard let jittered = delayMillis(afterAttempts: attempts, using: &generator) else { return nil }
        guard retryAfterSeconds != .max else { return jittered }
        return max(jittered, Int(min(retryAfterSeconds, OutcomePolicy.retryAfterSecondsMax)) * 1000)
    }
    private func delayMillis(afterAttempts attempts: Int, using generator: inout some RandomNumberGenerator) -> Int? {
        switch form {
        case .list(let delays, let shares):
            guard attempts <= delays.count else { return nil }
            let delay = Double(min(max(0, delays[attempts - 1]), RetrySchedule.delayMillisMax))
            let spread = shares.upperBound > 0 ? Double.random(in: shares, using: &generator) : 0
            return Int(delay * (1 + spread))
        case .backoff(let backoff):
            guard attempts < backoff.attempts else { return nil }
            let bound = min(backoff.boundMillis(afterAttempts: attempts), RetrySchedule.delayMillisMax)
            if backoff.isSteady == true { return max(bound, 0) }
            return Int.random(in: 0...max(bound, 0), using: &generator)
        }
    }
    /// How many attempts a delivery has by it.
    package var attemptCountMax: Int {
        switch form {
        case .list(let delays, _): delays.count + 1
        case .backoff(let backoff): backoff.attempts
        }
    }
}

/// SplitMix64: small, seedable, good enough to spread retries; no secret depends on it.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
