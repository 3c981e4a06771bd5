// Pending deliveries by due time, first attempts apart from those that have failed before: one look says which comes
// next of all, or of the first attempts alone, which a retry budget holds back from nothing. Passive.
//
// Invariant: an entry is in `repeats` exactly when its count says that an attempt of it was made.

struct RetryHeap {
    private var firsts = BinaryHeap<RetryEntry>()
    private var repeats = BinaryHeap<RetryEntry>()

    var count: Int { firsts.count + repeats.count }
    var isEmpty: Bool { firsts.isEmpty && repeats.isEmpty }
    var first: RetryEntry? {
        guard let new = firsts.first, let old = repeats.first else { return firsts.first ?? repeats.first }
        return min(new, old)
    }
    var firstUnsent: RetryEntry? { firsts.first }
    var firstRepeat: RetryEntry? { repeats.first }
    /// In no order that means anything.
    var unordered: [RetryEntry] { firsts.unordered + repeats.unordered }

    mutating func insert(_ entry: RetryEntry) {
        if entry.isRepeat { repeats.insert(entry) } else { firsts.insert(entry) }
    }
    /// The first that is due.
    mutating func popDue(nowMillis: Int64, withRepeats: Bool) -> RetryEntry? {
        guard let next = withRepeats ? first : firsts.first, next.key.dueMillis <= nowMillis else { return nil }
        return next.isRepeat ? repeats.popFirst() : firsts.popFirst()
    }
    /// The first that is due, with those that are due at the same time and were tried as often. First attempts are due
    /// at `firstsUntil` too.
    mutating func popGroup(
        repeatsUntil: Int64?, firstsUntil: Int64?, countMax: Int
    ) -> [RetryEntry] {
        let repeated = repeatsUntil.flatMap { until in repeats.first.flatMap { $0.key.dueMillis <= until ? $0 : nil } }
        let unsent = firstsUntil.flatMap { until in firsts.first.flatMap { $0.key.dueMillis <= until ? $0 : nil } }
        guard let first = [repeated, unsent].compactMap(\.self).min() else { return [] }
        var group: [RetryEntry] = []
        while group.count < countMax, let next = first.isRepeat ? repeats.first : firsts.first,
            next.key.dueMillis == first.key.dueMillis, next.attempts == first.attempts
        {
            if first.isRepeat { repeats.popFirst() } else { firsts.popFirst() }
            group.append(next)
        }
        return group
    }
    /// So many first attempts are due then or before. O(first attempts), from so many on.
    func hasFirsts(_ count: Int, until due: Int64) -> Bool {
        guard firsts.count >= count else { return false }
        var found = 0
        for entry in firsts.unordered where entry.key.dueMillis <= due {
            found += 1
            if found >= count { return true }
        }
        return false
    }
    mutating func removeAll() {
        firsts.removeAll()
        repeats.removeAll()
    }
    /// O(n log n).
    mutating func removeAll(where isUnwanted: (RetryEntry) -> Bool) {
        firsts.removeAll(where: isUnwanted)
        repeats.removeAll(where: isUnwanted)
    }
    /// Keeps the `count` smallest of both and returns the others, ascending. O(n log n).
    mutating func split(keeping count: Int) -> ArraySlice<RetryEntry> {
        let all = unordered.sorted()
        removeAll()
        for entry in all.prefix(count) { insert(entry) }
        return all.dropFirst(count)
    }
}

extension RetryEntry {
    /// An attempt of it was made, which failed.
    var isRepeat: Bool { AttemptCount.number(of: attempts) > 0 }
}
