// When those who are refused may come again: a queue that nobody stands in. Each of them gets the place behind those
// who were refused before, and the places move on as fast as the log has really taken events lately; so what was
// refused together does not come back together, and no more comes back than can be taken. Passive: counts and times in,
// seconds out.
//
// Invariants: the answer lies between 1 and `secondsMax`; while nothing at all is taken it is as long as that has
// lasted (what has lasted a minute will hardly be over in a second). If they fail, senders hammer a gateway that cannot
// help them, or stay away from one that can.

package struct ReturnSchedule: Sendable {
    package static let secondsMax: UInt64 = 60
    /// Before anything was measured: events a second.
    package static let firstRate: UInt64 = 1000

    /// Events that the log has taken, or known already; whoever answers them counts them here.
    package var takenCount: UInt64 = 0
    private var observedCount: UInt64 = 0
    private var observedAt: UInt64 = 0
    /// Events a second.
    package private(set) var rate = ReturnSchedule.firstRate
    /// When the first was refused since the log took something; 0 = none.
    private var refusingSince: UInt64 = 0
    /// Until then those refused so far take up what can be taken.
    private var busyUntil: UInt64 = 0
    private var refusedCount: UInt64 = 0
    private static let second: UInt64 = 1_000_000_000

    package init() {}
    /// Five times a second, roughly. `now` is monotonic nanoseconds. Under refusals the rate follows what is taken;
    /// otherwise less may be taken because less comes, so it falls slowly, and not below what was assumed at first.
    package mutating func observe(now: UInt64) {
        let taken = takenCount &- observedCount
        let nanos = now &- observedAt
        defer {
            observedCount = takenCount
            observedAt = now
        }
        guard observedAt > 0, nanos > 0 else { return }
        let seen = taken &* ReturnSchedule.second / nanos
        guard taken > 0 else { return }
        let untested = max(seen, rate &- rate / 16, min(rate, ReturnSchedule.firstRate))
        rate = max(refusingSince > 0 ? (rate &* 3 &+ seen) / 4 : untested, 1)
        refusingSince = 0
    }
    /// Seconds for one more that is refused.
    package mutating func refused(now: UInt64) -> Int {
        if refusingSince == 0 { refusingSince = now }
        refusedCount &+= 1
        busyUntil = max(busyUntil, now) &+ ReturnSchedule.second / rate
        busyUntil = min(busyUntil, now &+ ReturnSchedule.secondsMax &* ReturnSchedule.second)
        let stalled = (now &- refusingSince) / ReturnSchedule.second
        let seconds = 1 &+ max((busyUntil &- now) / ReturnSchedule.second, stalled)
        // The places of a second have one number between them: half of them come in the next.
        return Int(min(seconds &+ refusedCount & 1, ReturnSchedule.secondsMax))
    }
}
