// So many deliveries in a time and no more, with a burst: a token bucket as one time, that at which it would be full.
// Passive; the time comes in.
//
// Invariant: over any time no more have gone than its rate allows in it, the burst, and what `slackNanos` holds.
// Without that slack whoever comes a millisecond late, which is the grain of the dispatcher's clock, would lose it each
// time, and the rate would not be reached.

package struct TokenBucket: Equatable, Sendable {
    private static let slackNanos: UInt64 = 20_000_000
    /// When all tokens are back; in the past = all are there.
    private var fullAt: UInt64 = 0

    package init() {}
    /// When one may go that may not yet; nil = now.
    package func end(now: UInt64, intervalNanos: UInt64, burst: Int) -> UInt64? {
        // How far ahead of the time `fullAt` may be when one goes: all tokens but that one.
        let ahead = TokenBucket.room(intervalNanos, burst)
        return fullAt > now + ahead ? fullAt - ahead : nil
    }
    /// One has gone.
    package mutating func took(now: UInt64, intervalNanos: UInt64) { fullAt = max(fullAt, now) + intervalNanos }
    /// What was counted has not gone.
    package mutating func gaveBack(intervalNanos: UInt64) { fullAt -= min(intervalNanos, fullAt) }
    package func isFull(now: UInt64) -> Bool { fullAt <= now }
    /// When it will be full.
    package var idleAt: UInt64 { fullAt }

    private static func room(_ intervalNanos: UInt64, _ burst: Int) -> UInt64 {
        let tokens = UInt64(max(burst, 1) - 1) * intervalNanos
        let slack = intervalNanos < slackNanos ? slackNanos : min(slackNanos, intervalNanos / 2)
        return max(tokens, slack)
    }
}
