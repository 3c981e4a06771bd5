// Which refused tries the audit log has: some a minute, so that a flood of them neither fills the disk nor pushes out
// what matters; how many it has not, the next one says. Passive.

package struct RefusalSample: Sendable {
    package static let countMax = 20
    private static let minuteMillis: Int64 = 60_000
    private var began = Int64.min
    private var count = 0
    private var omitted = 0

    package init() {}

    /// How many were left out since the last one that was not; nil when this one is left out.
    package mutating func note(nowMillis: Int64) -> Int? {
        if began == .min || nowMillis < began || nowMillis - began >= RefusalSample.minuteMillis {
            began = nowMillis
            count = 0
        }
        guard count < RefusalSample.countMax else {
            omitted += 1
            return nil
        }
        count += 1
        defer { omitted = 0 }
        return omitted
    }
}
