// Which events of a lane go in one request. Passive: the time comes in. All of a batch have rows that are due at the
// same millisecond, which no other batch of the lane has: so a retry, and a restart too, finds the same ones again.
//
// Invariants: due times of windows ascend; a batch that has failed is due at a time of its own. If two had the same, a
// retry would mix their events under an id that its receiver has not seen, which costs duplicates and nothing else.

package struct BatchWindow {
    /// More batches that have failed than this, and two may have one time.
    private static let failedCountMax = 4096
    /// When the open one goes at the latest; 0 = none is open.
    private var openUntil: Int64 = 0
    private var count = 0
    private var byteCount = 0
    /// When the newest goes at the latest.
    package private(set) var last: Int64 = 0
    /// Windows that are due then, or before, are full: they go now.
    package private(set) var fullUntil: Int64 = 0
    private var failed: Set<Int64> = []
    /// No more events than this go together.
    package private(set) var countMax = BatchSettings.eventsRange.upperBound

    package init() {}
    /// True exactly when nothing would be lost with it.
    package func isQuiet(nowMillis: Int64) -> Bool { openUntil <= nowMillis && last <= nowMillis && failed.isEmpty }

    /// When an event of so many bytes goes that is met now.
    package mutating func join(_ bytes: Int, nowMillis: Int64, by settings: BatchSettings) -> Int64 {
        if openUntil <= nowMillis { openUntil = 0 }
        if openUntil > 0, byteCount + bytes > settings.bytes { close() }
        if openUntil == 0 {
            openUntil = max(nowMillis + Int64(settings.withinMillis), last + 1)
            (last, count, byteCount) = (openUntil, 0, 0)
        }
        count += 1
        byteCount += bytes
        let due = openUntil
        if count >= settings.events || byteCount >= settings.bytes { close() }
        return due
    }
    private mutating func close() {
        fullUntil = openUntil
        openUntil = 0
    }
    /// Nothing full is left; whatever waits goes at its time.
    package mutating func fullOnesWent() { fullUntil = 0 }
    /// A time for one that has failed and is to go again then.
    package mutating func fail(until due: Int64) -> Int64 {
        var due = due
        while failed.contains(due) { due += 1 }
        if failed.count < BatchWindow.failedCountMax { failed.insert(due) }
        return due
    }
    /// As many of them would have been more than fits into a request.
    package mutating func halve() { countMax = max(1, countMax / 2) }
    /// What has failed is due at other times now.
    package mutating func reloaded() { failed.removeAll() }
    /// It is tried again.
    package mutating func taken(_ due: Int64) { failed.remove(due) }
}
