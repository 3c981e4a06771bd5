// How fast an endpoint lets itself be served: additive increase, multiplicative decrease, and pauses. Passive.

/// Nothing here outlives the process; pauses that must are `EndpointHealth`'s.
package struct LanePace: Sendable {
    private static let backOffNanosMin: UInt64 = 1_000_000_000
    private static let backOffNanosMax: UInt64 = 60_000_000_000
    /// Nil = all of the concurrency.
    private var limit: Int?
    private var backOffNanos = LanePace.backOffNanosMin
    package private(set) var pausedUntil: UInt64 = 0

    package init() {}
    package func allowance(_ concurrency: Int) -> Int { min(limit ?? concurrency, concurrency) }
    package func isPaused(now: UInt64) -> Bool { now < pausedUntil }
    /// True exactly when it is as it was made.
    package var isFull: Bool { limit == nil && pausedUntil == 0 }

    /// One at a time, and one more with each success: after a time in which nothing went.
    package mutating func beginSlowly(concurrency: Int) {
        pausedUntil = 0
        backOffNanos = LanePace.backOffNanosMin
        limit = concurrency > 1 ? 1 : nil
    }
    /// A slowed endpoint starts again with one at a time and gets one more with each success. Answers of attempts that
    /// were out before the pause do not prolong a pause that still runs, or one burst of 429s would end in the longest
    /// pause.
    package mutating func adjust(_ change: EndpointPace, concurrency: Int, now: UInt64) {
        switch change {
        case .unchanged: return
        case .recovered:
            guard !isPaused(now: now), let current = limit else { return }
            backOffNanos = LanePace.backOffNanosMin
            limit = current + 1 >= concurrency ? nil : current + 1
            if limit == nil { pausedUntil = 0 }
        case .backOff:
            limit = 1
            guard !isPaused(now: now) else { return }
            pausedUntil = now + backOffNanos
            backOffNanos = min(backOffNanos * 2, LanePace.backOffNanosMax)
        case .pause(let seconds):
            limit = 1
            pausedUntil = max(pausedUntil, now + UInt64(seconds) * 1_000_000_000)
        }
    }
}
