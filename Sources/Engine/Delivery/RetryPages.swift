// Pending deliveries of one kind by due time: those in memory and a horizon, behind which they are in the store alone.
// Two of them make a `RetryQueue`, so that what has failed, however much of it waits, stands before no first attempt in
// the store. Passive.
//
// Invariants: what is here has a key before the horizon; every row before the horizon is here, out, or was scheduled
// while the page that has it is on its way.

struct RetryPages {
    private enum Horizon {
        case at(RetryKey)
        /// The store has nothing that is not here.
        case none
    }
    private var heap = BinaryHeap<RetryEntry>()
    /// What came in behind the horizon while a page is being loaded; the page cannot have it.
    private var arrivals: [RetryEntry] = []
    private var horizon: Horizon
    private var loading: RetryKey?
    /// What was scheduled or resolved while a page is being loaded: what the page says of it is older.
    private var changed: Set<UInt64> = []
    /// Pages on their way that were asked for before a `reload`: what they say is of another horizon.
    private var stalePageCount = 0

    init(storeHasRows: Bool) { horizon = storeHasRows ? .at(.first) : .none }

    var count: Int { heap.count }
    var first: RetryEntry? { heap.first }
    func first(dueAt millis: Int64) -> RetryEntry? { heap.first.flatMap { $0.key.dueMillis <= millis ? $0 : nil } }
    /// In no order that means anything.
    var unordered: [RetryEntry] { heap.unordered }
    /// True exactly when the store has no row that is not here or out.
    var hasAll: Bool {
        guard loading == nil, stalePageCount == 0, case .none = horizon else { return false }
        return true
    }
    /// Nothing waits in the store, or is on its way from it.
    var storeIsEmpty: Bool { hasAll && arrivals.isEmpty }
    /// When something may become due: here, or in the store.
    var nextDueMillis: Int64? {
        let inStore: Int64? = if case .at(let key) = horizon, loading == nil { key.dueMillis } else { nil }
        guard let here = heap.first?.key.dueMillis else { return inStore }
        return min(here, inStore ?? here)
    }
    func awaits(_ sequence: UInt64) -> Bool { arrivals.contains { $0.key.sequence == sequence } }

    /// Whatever a page that is on its way says of it is older.
    mutating func note(changed sequence: UInt64) { if loading != nil { changed.insert(sequence) } }
    /// True when it is to be inserted; false for one that is in the store alone.
    mutating func takes(_ entry: RetryEntry) -> Bool {
        guard case .at(let key) = horizon, !(entry.key < key) else { return true }
        if loading != nil { arrivals.append(entry) }
        return false
    }
    mutating func insert(_ entry: RetryEntry) { heap.insert(entry) }
    @discardableResult
    mutating func popFirst() -> RetryEntry? { heap.popFirst() }
    /// O(n), and O(n log n) when some go.
    mutating func removeAll(where isUnwanted: (UInt64) -> Bool) {
        removeHere(where: isUnwanted)
        arrivals.removeAll { isUnwanted($0.key.sequence) }
    }
    /// The same without what is not here yet.
    mutating func removeHere(where isUnwanted: (UInt64) -> Bool) {
        guard heap.unordered.contains(where: { isUnwanted($0.key.sequence) }) else { return }
        heap.removeAll { isUnwanted($0.key.sequence) }
    }
    mutating func forgetArrival(_ sequence: UInt64) {
        if !arrivals.isEmpty { arrivals.removeAll { $0.key.sequence == sequence } }
    }
    mutating func reload() {
        heap.removeAll()
        arrivals.removeAll()
        changed.removeAll()
        horizon = .at(.first)
        if loading != nil { stalePageCount += 1 }
        loading = nil
    }
    /// Keeps the earlier `kept` and returns the others, which are in the store. O(n log n).
    mutating func shrink(to kept: Int) -> ArraySlice<RetryEntry> {
        let later = heap.split(keeping: kept)
        if let first = later.first { horizon = .at(first.key) }
        return later
    }

    // MARK: Pages of the store

    /// Where the next page begins that is due by then or, `always`, whenever it is.
    func wantedLoad(untilMillis: Int64, always: Bool) -> RetryKey? {
        guard loading == nil, case .at(let key) = horizon else { return nil }
        return always || key == .first || key.dueMillis <= untilMillis ? key : nil
    }
    mutating func beginLoad(_ key: RetryKey) { loading = key }
    /// The rows behind `loading`; fewer than `limit` of them means there are no more. Returns what is to be inserted.
    mutating func loaded(_ page: [RetryEntry], limit: Int, known: Set<UInt64>) -> [RetryEntry] {
        guard stalePageCount == 0 else {
            stalePageCount -= 1
            return []
        }
        let (late, newer) = (arrivals, changed)
        arrivals.removeAll()
        changed.removeAll()
        defer { loading = nil }
        // A shrink in the meantime moved the horizon before this page: the store has all of it still.
        guard case .at(let key) = horizon, let from = loading, key == from else { return [] }
        if let last = page.last, page.count >= limit {
            horizon = .at(RetryKey(dueMillis: last.key.dueMillis, sequence: last.key.sequence + 1))
        } else {
            horizon = .none
        }
        var found = page.filter { !known.contains($0.key.sequence) && !newer.contains($0.key.sequence) }
        var taken = Set(late.isEmpty ? [] : found.map(\.key.sequence))
        // A replay asked for twice meanwhile is here twice.
        for entry in late where !known.contains(entry.key.sequence) && taken.insert(entry.key.sequence).inserted {
            if case .at(let end) = horizon, !(entry.key < end) { continue }
            found.append(entry)
        }
        return found
    }
    /// So many are due then or before. O(what is here), from so many on.
    func has(_ count: Int, until due: Int64) -> Bool {
        guard heap.count >= count else { return false }
        var found = 0
        for entry in heap.unordered where entry.key.dueMillis <= due {
            found += 1
            if found >= count { return true }
        }
        return false
    }
}
