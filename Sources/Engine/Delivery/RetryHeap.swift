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
