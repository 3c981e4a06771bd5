// The pending deliveries of one lane, by due time: in memory as far as there is room, behind a horizon in the store
// alone. First attempts (of what is to be delivered later, of replays) and those that have failed before have a horizon
// each (`RetryPages`) and go in turns while both are due: neither waits behind any number of the other. Passive.
//
// Invariants: an entry is of the repeats exactly when its count says that an attempt of it was made; what is
// `scheduled` waits here or is out. If one failed, a retry would be lost until the next start (a row before the horizon
// that is not here) or sent twice (one behind it that is).

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
    /// An attempt of it was made, which failed.
    var isRepeat: Bool { AttemptCount.number(of: attempts) > 0 }
    package static func < (left: RetryEntry, right: RetryEntry) -> Bool { left.key < right.key }
}

package struct RetryQueue {
    /// Of each kind. 40 bytes each, so 320 KiB for an endpoint that has been down for long.
    package static let entryCountMax = 4096
    /// Where an order is kept over all of them: as many as `LaneOrder` may know, and a page.
    package static let entryCountMaxInOrder = orderMemberCountMax + pageCount
    static let orderMemberCountMax = 16_384
    /// One page of the store; less than the above, so that what comes in meanwhile has room.
    package static let pageCount = 2048
    private var entryCountMax: Int { wantsAll ? RetryQueue.entryCountMaxInOrder : RetryQueue.entryCountMax }
    /// True exactly when all rows are to be here, whenever they are due.
    private var wantsAll: Bool
    private var firsts: RetryPages
    private var repeats: RetryPages
    /// What was taken last has failed before: one of the other kind goes first.
    private var tookRepeat = false
    private var scheduled: Set<UInt64> = []
    /// What is still in a heap of those that wait no more; some may have left it before.
    private var dropped: Set<UInt64> = []

    /// With `storeHasRows` it starts as if the store had everything, and the first loads say what there is.
    package init(storeHasRows: Bool = true, wantsAll: Bool = false) {
        self.wantsAll = wantsAll
        firsts = RetryPages(storeHasRows: storeHasRows)
        repeats = RetryPages(storeHasRows: storeHasRows)
    }
    /// True exactly when the store has no row that is not here or out.
    package var hasAll: Bool { firsts.hasAll && repeats.hasAll }
    /// All that waits is here, or as much of it as there is room for. What an order holds back does not count: it waits
    /// for one that may be in the store yet.
    package var isKnown: Bool { (firsts.hasAll || isFull(firsts)) && (repeats.hasAll || isFull(repeats)) }
    private func isFull(_ pages: RetryPages) -> Bool { pages.count > roomMin }
    /// With fewer entries it has room for a page.
    private var roomMin: Int { wantsAll ? entryCountMax - RetryQueue.pageCount : entryCountMax / 4 }
    /// True exactly when nothing waits, here or in the store, and nothing of it is out: what is left in the heaps then
    /// was dropped.
    package var isEmpty: Bool { scheduled.isEmpty && firsts.storeIsEmpty && repeats.storeIsEmpty }
    package mutating func setWantsAll(_ wantsAll: Bool) { self.wantsAll = wantsAll }
    /// Their due times have changed in the store: what waits is read again; what is out stays out.
    package mutating func reload() {
        for entry in firsts.unordered + repeats.unordered { scheduled.remove(entry.key.sequence) }
        dropped.removeAll()
        firsts.reload()
        repeats.reload()
    }

    package var count: Int { firsts.count + repeats.count }
    /// When something may become due: here, or in the store.
    package var nextDueMillis: Int64? {
        guard let first = firsts.nextDueMillis, let again = repeats.nextDueMillis else {
            return firsts.nextDueMillis ?? repeats.nextDueMillis
        }
        return min(first, again)
    }
    /// The same of first attempts alone.
    package var nextFirstMillis: Int64? { firsts.nextDueMillis }
    /// Of those here that have failed before.
    package var nextRepeatMillis: Int64? { repeats.first?.key.dueMillis }
    /// It waits or is out; false also for a row that is in the store alone.
    package func isScheduled(_ sequence: UInt64) -> Bool {
        scheduled.contains(sequence) || firsts.awaits(sequence) || repeats.awaits(sequence)
    }

    /// A row that has just been given to the store as pending (and will be there before a load that is asked for
    /// later).
    package mutating func schedule(_ entry: RetryEntry) {
        resolved(entry.key.sequence)
        guard entry.isRepeat ? repeats.takes(entry) : firsts.takes(entry) else { return }
        insert(entry)
        shrink()
    }
    /// The same for one that is out: its caller keeps it until `schedule`, `putBack` or `resolved`.
    package mutating func scheduleOut(_ sequence: UInt64) {
        resolved(sequence)
        scheduled.insert(sequence)
    }
    /// Out of those that wait here, to be scheduled anew; false for one that is out, or in the store alone. O(entries).
    package mutating func take(_ sequence: UInt64) -> Bool {
        compact()
        let count = count
        firsts.removeHere { $0 == sequence }
        repeats.removeHere { $0 == sequence }
        guard self.count < count else { return false }
        scheduled.remove(sequence)
        return true
    }
    /// Its row is delivered or dead.
    package mutating func resolved(_ sequence: UInt64) {
        scheduled.remove(sequence)
        firsts.note(changed: sequence)
        repeats.note(changed: sequence)
    }

    /// The same for one that waits, wherever it stands: what is left of it here goes in time. Amortized O(1).
    package mutating func drop(_ sequence: UInt64) {
        resolved(sequence)
        dropped.insert(sequence)
        firsts.forgetArrival(sequence)
        repeats.forgetArrival(sequence)
        if dropped.count >= RetryQueue.droppedCountMin, dropped.count * 2 > count { compact() }
    }
    private static let droppedCountMin = 64
    private mutating func compact() {
        guard !dropped.isEmpty else { return }
        firsts.removeHere { dropped.contains($0) }
        repeats.removeHere { dropped.contains($0) }
        dropped.removeAll()
    }

    /// They are to be tried no more: those that wait, here or in the store alone. Returns the others, which are out.
    /// O(entries).
    package mutating func cancel(_ sequences: Set<UInt64>) -> Set<UInt64> {
        compact()
        let here = firsts.unordered + repeats.unordered
        scheduled.subtract(here.lazy.map(\.key.sequence).filter(sequences.contains))
        firsts.removeAll { sequences.contains($0) }
        repeats.removeAll { sequences.contains($0) }
        let out = sequences.intersection(scheduled)
        for sequence in sequences.subtracting(out) {
            firsts.note(changed: sequence)
            repeats.note(changed: sequence)
        }
        return out
    }
    /// One that is due, of all or of first attempts alone: the first of a kind, the kinds in turn; it stays scheduled
    /// until `schedule` or `resolved`.
    package mutating func popDue(nowMillis: Int64, withRepeats: Bool = true) -> RetryEntry? {
        while let next = popNext(firstsUntil: nowMillis, repeatsUntil: withRepeats ? nowMillis : nil) {
            if dropped.isEmpty || dropped.remove(next.key.sequence) == nil { return next }
        }
        return nil
    }
    private mutating func popNext(firstsUntil: Int64?, repeatsUntil: Int64?) -> RetryEntry? {
        let first = firstsUntil.flatMap { firsts.first(dueAt: $0) }
        let again = repeatsUntil.flatMap { repeats.first(dueAt: $0) }
        guard first != nil || again != nil else { return nil }
        tookRepeat = first == nil || again != nil && !tookRepeat
        return tookRepeat ? repeats.popFirst() : firsts.popFirst()
    }
    /// What goes in one request: the first of a kind that is due, with those that are due at the same time and were
    /// tried as often. First attempts that are due at `firstsUntil` may go now; `inOrder`: none while others wait that
    /// have failed.
    package mutating func popGroup(
        nowMillis: Int64, firstsUntil: Int64, withRepeats: Bool, inOrder: Bool, countMax: Int
    ) -> [RetryEntry] {
        compact()
        let holdsFirsts = inOrder && repeats.first != nil
        guard countMax > 0,
            let first = popNext(
                firstsUntil: holdsFirsts ? nil : max(nowMillis, firstsUntil),
                repeatsUntil: withRepeats ? nowMillis : nil)
        else { return [] }
        var group = [first]
        while group.count < countMax, let next = first.isRepeat ? repeats.first : firsts.first,
            next.key.dueMillis == first.key.dueMillis, next.attempts == first.attempts
        {
            if first.isRepeat { repeats.popFirst() } else { firsts.popFirst() }
            group.append(next)
        }
        return group
    }
    /// Of first attempts here, not in the store.
    package var unsentDueMillis: Int64? { firsts.first?.key.dueMillis }
    /// So many first attempts wait here that are due then or before.
    package func hasFirsts(_ count: Int, until due: Int64) -> Bool { firsts.has(count, until: due) }
    /// Back again as it was, and with it the turn of its kind: the attempt could not be made now.
    package mutating func putBack(_ entry: RetryEntry) {
        tookRepeat = !entry.isRepeat
        insert(entry)
    }

    /// What to load, when the queue runs dry and the store may have rows due within `aheadMillis`. The caller first
    /// hands every row it holds to the store, then asks, then calls `beginLoad`; and asks again for the other kind.
    package func wantedLoad(nowMillis: Int64, aheadMillis: Int64) -> RetryLoad? {
        let until = nowMillis + aheadMillis
        if !isFull(firsts), let key = firsts.wantedLoad(untilMillis: until, always: wantsAll) {
            return RetryLoad(kind: .first, from: key)
        }
        guard !isFull(repeats), let key = repeats.wantedLoad(untilMillis: until, always: wantsAll) else { return nil }
        return RetryLoad(kind: .again, from: key)
    }
    package mutating func beginLoad(_ load: RetryLoad) {
        switch load.kind {
        case .first: firsts.beginLoad(load.from)
        case .again: repeats.beginLoad(load.from)
        }
    }
    /// The rows of this kind that were asked for; fewer than `limit` of them means there are no more.
    package mutating func loaded(_ page: [RetryEntry], kind: RetryKind, limit: Int) {
        let found =
            switch kind {
            case .first: firsts.loaded(page, limit: limit, known: scheduled)
            case .again: repeats.loaded(page, limit: limit, known: scheduled)
            }
        for entry in found { insert(entry) }
        shrink()
    }

    /// Keeps the earlier half; O(n log n) once for n/2 insertions.
    private mutating func shrink() {
        guard max(firsts.count, repeats.count) > entryCountMax else { return }
        compact()
        var later: [RetryEntry] = []
        if firsts.count > entryCountMax { later += firsts.shrink(to: entryCountMax / 2) }
        if repeats.count > entryCountMax { later += repeats.shrink(to: entryCountMax / 2) }
        for entry in later { scheduled.remove(entry.key.sequence) }
    }
    private mutating func insert(_ entry: RetryEntry) {
        if dropped.contains(entry.key.sequence) { compact() }
        scheduled.insert(entry.key.sequence)
        if entry.isRepeat { repeats.insert(entry) } else { firsts.insert(entry) }
    }
}
