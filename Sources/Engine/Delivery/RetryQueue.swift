// The pending deliveries of one lane, in memory as far as they are due soon: the store has all of them, this the first
// few thousand. Passive: the dispatcher does the loading.
//
// Invariants: every pending row of the lane whose key is before `horizon` is here or on its way to the endpoint
// (`scheduled` has exactly those); every one at or behind it is in the store alone. If that failed, a retry would be
// lost until the next start (a row before the horizon that is not here) or sent twice (one behind it that is).

/// Ordered by its key, which no other entry of a queue has.
package struct RetryEntry: Comparable, Sendable {
    package var key: RetryKey
    package var position: UInt64
    package var attempts: UInt16

    package init(key: RetryKey, position: UInt64, attempts: UInt16) {
        self.key = key
        self.position = position
        self.attempts = attempts
    }
    package var place: EventLocation { EventLocation(sequence: key.sequence, position: position) }
    package static func < (left: RetryEntry, right: RetryEntry) -> Bool { left.key < right.key }
}

package struct RetryQueue {
    /// 40 bytes each, so 160 KiB for an endpoint that has been down for long.
    package static let entryCountMax = 4096
    /// Where an order is kept over all of them: as many as `LaneOrder` may know, and a page.
    package static let entryCountMaxInOrder = orderMemberCountMax + pageCount
    static let orderMemberCountMax = 16_384
    /// One page of the store; less than the above, so that what comes in meanwhile has room.
    package static let pageCount = 2048
    private enum Horizon {
        case at(RetryKey)
        /// The store has nothing that is not here.
        case none
    }
    private var entryCountMax: Int { wantsAll ? RetryQueue.entryCountMaxInOrder : RetryQueue.entryCountMax }
    /// True exactly when all rows are to be here, whenever they are due.
    private var wantsAll: Bool
    private var heap = RetryHeap()
    private var scheduled: Set<UInt64> = []
    /// What is still in the heap of those that wait no more; some may have left it before.
    private var dropped: Set<UInt64> = []
    /// What came in behind the horizon while a page is being loaded; the page cannot have it.
    private var arrivals: [RetryEntry] = []
    private var horizon = Horizon.at(.first)
    private var loading: RetryKey?
    /// What was scheduled or resolved while a page is being loaded: what the page says of it is older.
    private var changed: Set<UInt64> = []
    /// Pages on their way that were asked for before a `reload`: what they say is of another horizon.
    private var stalePageCount = 0

    /// With `storeHasRows` it starts as if the store had everything, and the first load says what there is.
    package init(storeHasRows: Bool = true, wantsAll: Bool = false) {
        self.wantsAll = wantsAll
        if !storeHasRows { horizon = .none }
    }
    /// True exactly when the store has no row that is not here or out.
    package var hasAll: Bool {
        guard loading == nil, stalePageCount == 0, case .none = horizon else { return false }
        return true
    }
    /// More rows are in the store than are to be here. What an order holds back does not count: it waits for one that
    /// may be in the store yet.
    package var isFull: Bool { heap.count > roomMin }
    /// With fewer entries it has room for a page.
    private var roomMin: Int { wantsAll ? entryCountMax - RetryQueue.pageCount : entryCountMax / 4 }
    /// True exactly when nothing waits, here or in the store, and nothing of it is out.
    package var isEmpty: Bool {
        if case .none = horizon {
            // What is left in the heap then was dropped.
            return scheduled.isEmpty && arrivals.isEmpty && loading == nil && stalePageCount == 0
        }
        return false
    }
    package mutating func setWantsAll(_ wantsAll: Bool) { self.wantsAll = wantsAll }
    /// Their due times have changed in the store: what waits is read again; what is out stays out.
    package mutating func reload() {
        for entry in heap.unordered { scheduled.remove(entry.key.sequence) }
        heap.removeAll()
        dropped.removeAll()
        arrivals.removeAll()
        changed.removeAll()
        horizon = .at(.first)
        if loading != nil { stalePageCount += 1 }
        loading = nil
    }

    package var count: Int { heap.count }
    /// When something may become due: here, or in the store.
    package var nextDueMillis: Int64? { nextDueMillis(heap.first) }
    /// The same without those here that have failed before.
    package var nextFirstMillis: Int64? { nextDueMillis(heap.firstUnsent) }
    /// Of those here that have failed before.
    package var nextRepeatMillis: Int64? { heap.firstRepeat?.key.dueMillis }
    private func nextDueMillis(_ first: RetryEntry?) -> Int64? {
        let inStore: Int64? = if case .at(let key) = horizon, loading == nil { key.dueMillis } else { nil }
        guard let here = first?.key.dueMillis else { return inStore }
        return min(here, inStore ?? here)
    }
    /// It waits or is out; false also for a row that is in the store alone.
    package func isScheduled(_ sequence: UInt64) -> Bool {
        scheduled.contains(sequence) || arrivals.contains { $0.key.sequence == sequence }
    }

    /// A row that has just been given to the store as pending (and will be there before a load that is asked for
    /// later).
    package mutating func schedule(_ entry: RetryEntry) {
        scheduled.remove(entry.key.sequence)
        if loading != nil { changed.insert(entry.key.sequence) }
        if case .at(let key) = horizon, !(entry.key < key) {
            if loading != nil { arrivals.append(entry) }
            return
        }
        insert(entry)
        if heap.count > entryCountMax { shrink() }
    }
    /// The same for one that is out: its caller keeps it until `schedule`, `putBack` or `resolved`.
    package mutating func scheduleOut(_ sequence: UInt64) {
        if loading != nil { changed.insert(sequence) }
        scheduled.insert(sequence)
    }
    /// Out of those that wait here, to be scheduled anew; false for one that is out, or in the store alone. O(entries).
    package mutating func take(_ sequence: UInt64) -> Bool {
        compact()
        guard heap.unordered.contains(where: { $0.key.sequence == sequence }) else { return false }
        heap.removeAll { $0.key.sequence == sequence }
        scheduled.remove(sequence)
        return true
    }
    /// Its row is delivered or dead.
    package mutating func resolved(_ sequence: UInt64) {
        scheduled.remove(sequence)
        if loading != nil { changed.insert(sequence) }
    }

    /// The same for one that waits, wherever it stands: what is left of it here goes in time. Amortized O(1).
    package mutating func drop(_ sequence: UInt64) {
        resolved(sequence)
        dropped.insert(sequence)
        if !arrivals.isEmpty { arrivals.removeAll { $0.key.sequence == sequence } }
        if dropped.count >= RetryQueue.droppedCountMin, dropped.count * 2 > heap.count { compact() }
    }
    private static let droppedCountMin = 64
    private mutating func compact() {
        guard !dropped.isEmpty else { return }
        heap.removeAll { dropped.contains($0.key.sequence) }
        dropped.removeAll()
    }

    /// They are to be tried no more: those that wait, here or in the store alone. Returns the others, which are out.
    /// O(entries).
    package mutating func cancel(_ sequences: Set<UInt64>) -> Set<UInt64> {
        compact()
        let waiting = Set(heap.unordered.lazy.map(\.key.sequence).filter(sequences.contains))
        if !waiting.isEmpty { heap.removeAll { waiting.contains($0.key.sequence) } }
        scheduled.subtract(waiting)
        arrivals.removeAll { sequences.contains($0.key.sequence) }
        let out = sequences.intersection(scheduled)
        if loading != nil { changed.formUnion(sequences.subtracting(out)) }
        return out
    }
    /// The first entry that is due, of all or of first attempts alone; stays scheduled until `schedule` or `resolved`.
    package mutating func popDue(nowMillis: Int64, withRepeats: Bool = true) -> RetryEntry? {
        while let next = heap.popDue(nowMillis: nowMillis, withRepeats: withRepeats) {
            if dropped.isEmpty || dropped.remove(next.key.sequence) == nil { return next }
        }
        return nil
    }
    /// What goes in one request: see `RetryHeap.popGroup`. First attempts that are due at `firstsUntil` may go now;
    /// `inOrder`: none while others wait that have failed.
    package mutating func popGroup(
        nowMillis: Int64, firstsUntil: Int64, withRepeats: Bool, inOrder: Bool, countMax: Int
    ) -> [RetryEntry] {
        compact()
        let holdsFirsts = inOrder && heap.firstRepeat != nil
        return heap.popGroup(
            repeatsUntil: withRepeats ? nowMillis : nil, firstsUntil: holdsFirsts ? nil : max(nowMillis, firstsUntil),
            countMax: countMax)
    }
    /// Of first attempts here, not in the store.
    package var unsentDueMillis: Int64? { heap.firstUnsent?.key.dueMillis }
    /// So many first attempts wait here that are due then or before.
    package func hasFirsts(_ count: Int, until due: Int64) -> Bool { heap.hasFirsts(count, until: due) }
    /// Back again as it was: the attempt could not be made now.
    package mutating func putBack(_ entry: RetryEntry) { insert(entry) }

    /// What to load, when the queue runs dry and the store may have rows due within `aheadMillis`. The caller first
    /// hands every row it holds to the store, then asks, then calls `beginLoad`.
    package func wantedLoad(nowMillis: Int64, aheadMillis: Int64) -> RetryKey? {
        guard loading == nil, case .at(let key) = horizon, !isFull else { return nil }
        return wantsAll || key == .first || key.dueMillis <= nowMillis + aheadMillis ? key : nil
    }
    package mutating func beginLoad(_ key: RetryKey) { loading = key }

    /// The rows behind `loading`; fewer than `limit` of them means there are no more.
    package mutating func loaded(_ page: [RetryEntry], limit: Int) {
        guard stalePageCount == 0 else {
            stalePageCount -= 1
            return
        }
        let (late, newer) = (arrivals, changed)
        arrivals.removeAll()
        changed.removeAll()
        defer { loading = nil }
        // A shrink in the meantime moved the horizon before this page: the store has all of it still.
        guard case .at(let key) = horizon, let from = loading, key == from else { return }
        if let last = page.last, page.count >= limit {
            horizon = .at(RetryKey(dueMillis: last.key.dueMillis, sequence: last.key.sequence + 1))
        } else {
            horizon = .none
        }
        for entry in page where !scheduled.contains(entry.key.sequence) && !newer.contains(entry.key.sequence) {
            insert(entry)
        }
        // A replay asked for twice meanwhile is here twice.
        for entry in late where !scheduled.contains(entry.key.sequence) {
            if case .at(let end) = horizon, !(entry.key < end) { continue }
            insert(entry)
        }
        if heap.count > entryCountMax { shrink() }
    }

    /// Keeps the earlier half; O(n log n) once for n/2 insertions.
    private mutating func shrink() {
        compact()
        guard heap.count > entryCountMax else { return }
        let later = heap.split(keeping: entryCountMax / 2)
        if let first = later.first { horizon = .at(first.key) }
        for entry in later { scheduled.remove(entry.key.sequence) }
    }
    private mutating func insert(_ entry: RetryEntry) {
        if dropped.contains(entry.key.sequence) { compact() }
        scheduled.insert(entry.key.sequence)
        heap.insert(entry)
    }
}
