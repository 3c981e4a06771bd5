// How much of a core a closer look at refused requests may take: so many a second, and so much time a second. A flood
// of refusals is kept without hints when the means are used up. Passive: the time comes in.

package struct AnalysisBudget: Sendable {
    private let countPerSecond: Double
    private let nanosPerSecond: Double
    private var count: Double
    private var nanos: Double
    private var refilledAt: UInt64?

    /// The defaults are a tenth of a core at most.
    package init(countPerSecond: Int = 200, nanosPerSecond: Int = 100_000_000) {
        self.countPerSecond = Double(countPerSecond)
        self.nanosPerSecond = Double(nanosPerSecond)
        count = Double(countPerSecond)
        nanos = Double(nanosPerSecond)
    }

    /// True when one more look may begin now; `spent` follows when it is done. `now` is monotonic.
    package mutating func begin(at now: UInt64) -> Bool {
        let passed = Double(now - min(refilledAt ?? now, now)) / 1e9
        refilledAt = max(now, refilledAt ?? now)
        // A second's worth is the most that is saved up.
        count = min(countPerSecond, count + passed * countPerSecond)
        nanos = min(nanosPerSecond, nanos + passed * nanosPerSecond)
        guard count >= 1, nanos > 0 else { return false }
        count -= 1
        return true
    }
    /// A look that took long is paid back before the next one begins.
    package mutating func spent(nanos used: UInt64) { nanos -= Double(used) }
}
