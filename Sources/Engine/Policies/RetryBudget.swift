// How many retries an endpoint may get, as a share of its first attempts: each of these brings a part of a token, each
// retry takes one. What an outage leaves behind thus never multiplies what is sent. Passive; the time comes in.
//
// Invariant: over any time no more retries have gone than the share of the first attempts in it, the reserve, and one
// for each `trickleNanos`, which keeps an endpoint that gets nothing new from waiting for ever.

package struct RetryBudget: Equatable, Sendable {
    /// What may go at once after a time of quiet.
    package static let reserve = 10.0
    package static let trickleNanos: UInt64 = 10_000_000_000
    private var tokens = RetryBudget.reserve
    /// Of the last trickle that was counted.
    private var since: UInt64

    package init(now: UInt64) { since = now }

    package mutating func firstAttempt(share: Double) { tokens = min(tokens + share, RetryBudget.reserve) }
    package mutating func retry(now: UInt64) {
        refill(now: now)
        tokens -= 1
    }
    /// What was counted has not gone.
    package mutating func gaveBackFirst(share: Double) { tokens -= share }
    package mutating func gaveBackRetry() { tokens = min(tokens + 1, RetryBudget.reserve) }
    /// When the next one may go that may not yet; nil = now.
    package func end(now: UInt64) -> UInt64? {
        let trickled = Double(now - min(since, now)) / Double(RetryBudget.trickleNanos)
        guard tokens + trickled < 1 else { return nil }
        return since + UInt64(((1 - tokens) * Double(RetryBudget.trickleNanos)).rounded(.up))
    }
    package func isFull(now: UInt64) -> Bool { idleAt <= now }
    /// When it will be full without first attempts.
    package var idleAt: UInt64 {
        since + UInt64(max(RetryBudget.reserve - tokens, 0) * Double(RetryBudget.trickleNanos))
    }
    private mutating func refill(now: UInt64) {
        guard now > since else { return }
        tokens = min(tokens + Double(now - since) / Double(RetryBudget.trickleNanos), RetryBudget.reserve)
        since = now
    }
}
