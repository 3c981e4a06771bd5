// Which refused tries the audit log has: some a minute and not many more a day, so that neither a flood nor years of
// them fill the disk or push out what matters; how many it has not, the next one says. Passive.

package struct RefusalSample: Sendable {
    package static let countMaxMinute = 20
    /// A log that has nothing else keeps them for a year and more (`AuditBounds.entryCountMax`).
    package static let countMaxDay = 200
    private struct Window {
        let millis: Int64
        let countMax: Int
        var began: Int64?
        var count = 0

        mutating func hasRoom(nowMillis: Int64) -> Bool {
            if began.map({ nowMillis < $0 || nowMillis - $0 >= millis }) ?? true {
                began = nowMillis
                count = 0
            }
            return count < countMax
        }
    }
    private var minute = Window(millis: 60_000, countMax: RefusalSample.countMaxMinute)
    private var day = Window(millis: 86_400_000, countMax: RefusalSample.countMaxDay)
    private var omitted = 0

    package init() {}

    /// Of so many alike, one stands for all. How many were left out since the last one that was not; nil when this one
    /// is left out.
    package mutating func note(nowMillis: Int64, count: Int = 1) -> Int? {
        let hasRoom = (minute.hasRoom(nowMillis: nowMillis), day.hasRoom(nowMillis: nowMillis))
        guard hasRoom == (true, true) else {
            omitted += count
            return nil
        }
        minute.count += 1
        day.count += 1
        defer { omitted = 0 }
        return omitted + count - 1
    }
}
