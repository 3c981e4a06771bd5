// The events seen within their window: a fixed table of 32 B an entry, taken and made present at start. Passive: times
// are given, in wall-clock seconds, because the window must survive a restart.
//
// Buckets of eight; a print may live in two of them. Moving up to two entries an insert finds room beyond 95 % load;
// then the oldest of the sixteen goes and `evictionCount` says that the table is too small for rate × window.
// A bucket is 256 bytes, column by column, so that looking for an absent event reads one cache line of each bucket:
// eight low tag words · eight high tag words · eight sequences · eight (seconds, bits).
// Invariants: an entry's low tag word is never 0 (0 = free); bits hold (bucket + other bucket) mod bucketCount and the
// class of the window. If they fail, an entry is lost (a duplicate passes), never is a new event taken for an old one.
// Safety: the table owns its memory from init to deinit; every bucket number is below bucketCount, every slot below 8.

import CShims

@safe package struct DedupTable: ~Copyable {
    package static var entryBytes: Int { 32 }
    static var slotCount: Int { 8 }
    static var searchPauseCountMax: Int { 1000 }
    static var bucketBytes: Int { 256 }
    static var bucketBits: UInt32 { 26 }
    static var bucketCountMax: Int { 1 << 26 }

    private let memory: UnsafeMutableRawPointer
    private let bucketCount: Int
    /// Entries that hold an event, expired ones included until their place is wanted.
    package private(set) var entryCount = 0
    /// Events that were forgotten within their window for want of room.
    package private(set) var evictionCount: UInt64 = 0
    // Full pairs that are still to be passed without looking for a place elsewhere; set when such a search has failed.
    private var searchPauseCount = 0
    package var capacity: Int { bucketCount * DedupTable.slotCount }
    package var byteCount: Int { bucketCount * DedupTable.bucketBytes }

    /// Nil when the system has not the memory. `entryCount` is rounded up to whole buckets.
    package init?(entryCount: Int) {
        precondition(entryCount > 0)
        let buckets = max(2, (entryCount + DedupTable.slotCount - 1) / DedupTable.slotCount)
        guard buckets <= DedupTable.bucketCountMax else { return nil }
        guard let taken = unsafe sluice_memory_take(buckets * DedupTable.bucketBytes) else { return nil }
        unsafe memory = taken
        bucketCount = buckets
    }
    deinit { unsafe sluice_memory_give_back(memory, bucketCount * DedupTable.bucketBytes) }

    /// The sequence of the event with this tag if it was received less than `windowSeconds` ago. One from the future
    /// (the clock went back) counts as just received.
    package func lookup(_ print: Fingerprint, nowSeconds: UInt32, windowSeconds: UInt32) -> UInt64? {
        guard let place = find(print) else { return nil }
        let received = seconds(place)
        let age = nowSeconds > received ? nowSeconds - received : 0
        return age < windowSeconds ? sequence(place) : nil
    }

    /// What `lookup` will read first of this print is fetched from memory meanwhile.
    @inline(__always) package func expect(_ print: Fingerprint) {
        let first = firstBucket(print)
        unsafe sluice_prefetch(column(first, 0))
        unsafe sluice_prefetch(column(secondBucket(print, first), 0))
    }

    /// Remembers `sequence` for this print; an older one with the same tag is replaced.
    package mutating func insert(_ print: Fingerprint, sequence: UInt64, nowSeconds: UInt32, windowSeconds: UInt32) {
        let first = firstBucket(print)
        let second = secondBucket(print, first)
        let sum = UInt32(truncatingIfNeeded: (first + second) % bucketCount)
        let bits = sum | DedupTable.windowClass(windowSeconds) << DedupTable.bucketBits
        let place = find(print) ?? room(first, second, nowSeconds)
        if isFree(place) { entryCount += 1 }
        set(
            place,
            Entry(
                tagLow: DedupTable.tagLow(print), tagHigh: print.tag.high, sequence: sequence, seconds: nowSeconds,
                bits: bits))
    }

    /// Forgets this print if it still stands for `sequence` (the record did not reach the disk).
    package mutating func remove(_ print: Fingerprint, sequence: UInt64) {
        guard let place = find(print), self.sequence(place) == sequence else { return }
        set(place, Entry(tagLow: 0, tagHigh: 0, sequence: 0, seconds: 0, bits: 0))
        entryCount -= 1
    }

    /// Forgets every event from this sequence on. O(capacity): for a log that was lost, and for a start that cut a torn
    /// tail; never in its normal course.
    mutating func removeAll(from first: UInt64) {
        for bucket in 0..<bucketCount {
            for slot in 0..<DedupTable.slotCount {
                let place = EntryLocation(bucket: bucket, slot: slot)
                guard !isFree(place), sequence(place) >= first else { continue }
                set(place, Entry(tagLow: 0, tagHigh: 0, sequence: 0, seconds: 0, bits: 0))
                entryCount -= 1
            }
        }
    }

    // MARK: Locations

    private struct EntryLocation {
        var bucket: Int
        var slot: Int
    }
    private struct Entry {
        var tagLow: UInt64
        var tagHigh: UInt64
        var sequence: UInt64
        var seconds: UInt32
        var bits: UInt32
    }

    // 0 marks a free slot; a tag whose low word is 0 is kept as 1.
    @inline(__always) private static func tagLow(_ print: Fingerprint) -> UInt64 { max(print.tag.low, 1) }
    @inline(__always) private func firstBucket(_ print: Fingerprint) -> Int {
        Int(truncatingIfNeeded: print.slot.low.multipliedFullWidth(by: UInt64(bucketCount)).high)
    }
    // Never the first one: a second choice that is none would make full pairs common in small tables.
    @inline(__always) private func secondBucket(_ print: Fingerprint, _ first: Int) -> Int {
        let step = 1 + Int(truncatingIfNeeded: print.slot.high.multipliedFullWidth(by: UInt64(bucketCount - 1)).high)
        let other = first + step
        return other >= bucketCount ? other - bucketCount : other
    }
    @inline(__always) private func find(_ print: Fingerprint) -> EntryLocation? {
        let low = DedupTable.tagLow(print)
        let first = firstBucket(print)
        let second = secondBucket(print, first)
        let firstMask = matches(first, low)
        let secondMask = matches(second, low)
        if firstMask | secondMask == 0 { return nil }
        return confirm(first, firstMask, print) ?? confirm(second, secondMask, print)
    }
    // Bit n set exactly when slot n has this low tag word; 0 asks for free slots.
    @inline(__always) private func matches(_ bucket: Int, _ low: UInt64) -> UInt32 {
        let words = unsafe column(bucket, 0)
        var mask: UInt32 = 0
        for slot in 0..<DedupTable.slotCount { unsafe mask |= (words[slot] == low ? 1 : 0) << UInt32(slot) }
        return mask
    }
    private func confirm(_ bucket: Int, _ mask: UInt32, _ print: Fingerprint) -> EntryLocation? {
        var left = mask
        while left != 0 {
            let slot = left.trailingZeroBitCount
            if unsafe column(bucket, 1)[slot] == print.tag.high { return EntryLocation(bucket: bucket, slot: slot) }
            left &= left - 1
        }
        return nil
    }
    @inline(__always) private func column(_ bucket: Int, _ index: Int) -> UnsafeMutablePointer<UInt64> {
        unsafe (memory + bucket * DedupTable.bucketBytes + index * 64).assumingMemoryBound(to: UInt64.self)
    }
    @inline(__always) private func isFree(_ place: EntryLocation) -> Bool {
        unsafe column(place.bucket, 0)[place.slot] == 0
    }
    @inline(__always) private func sequence(_ place: EntryLocation) -> UInt64 {
        unsafe column(place.bucket, 2)[place.slot]
    }
    @inline(__always) private func seconds(_ place: EntryLocation) -> UInt32 {
        unsafe UInt32(truncatingIfNeeded: column(place.bucket, 3)[place.slot])
    }
    @inline(__always) private func bits(_ place: EntryLocation) -> UInt32 {
        unsafe UInt32(truncatingIfNeeded: column(place.bucket, 3)[place.slot] >> 32)
    }
    private func entry(_ place: EntryLocation) -> Entry {
        unsafe Entry(
            tagLow: column(place.bucket, 0)[place.slot], tagHigh: column(place.bucket, 1)[place.slot],
            sequence: sequence(place), seconds: seconds(place), bits: bits(place))
    }
    @inline(__always) private func set(_ place: EntryLocation, _ entry: Entry) {
        unsafe column(place.bucket, 0)[place.slot] = entry.tagLow
        unsafe column(place.bucket, 1)[place.slot] = entry.tagHigh
        unsafe column(place.bucket, 2)[place.slot] = entry.sequence
        unsafe column(place.bucket, 3)[place.slot] = UInt64(entry.bits) << 32 | UInt64(entry.seconds)
    }

    // MARK: Room

    /// A place to write to: free, or expired, or freed by moving its entry to that one's other bucket, or the oldest.
    private mutating func room(_ first: Int, _ second: Int, _ now: UInt32) -> EntryLocation {
        let firstFree = matches(first, 0)
        let secondFree = matches(second, 0)
        if firstFree | secondFree != 0 {
            // The emptier one, which is what keeps two choices even.
            let bucket = firstFree.nonzeroBitCount >= secondFree.nonzeroBitCount ? first : second
            return EntryLocation(bucket: bucket, slot: (bucket == first ? firstFree : secondFree).trailingZeroBitCount)
        }
        if let place = expired(first, now) ?? expired(second, now) { return place }
        // A search reads up to 144 buckets. A failed one says that the table is full, so it is not made for every event
        // then.
        if searchPauseCount > 0 {
            searchPauseCount -= 1
        } else if let place = displace(first, now, depth: 1) ?? displace(second, now, depth: 1) {
            return place
        } else {
            searchPauseCount = DedupTable.searchPauseCountMax
        }
        evictionCount += 1
        let oldestFirst = oldest(first)
        let oldestSecond = oldest(second)
        return seconds(oldestFirst) <= seconds(oldestSecond) ? oldestFirst : oldestSecond
    }
    private func expired(_ bucket: Int, _ now: UInt32) -> EntryLocation? {
        for slot in 0..<DedupTable.slotCount {
            let place = EntryLocation(bucket: bucket, slot: slot)
            let received = seconds(place)
            let window = DedupTable.windowSeconds(class: bits(place) >> DedupTable.bucketBits)
            if now > received && now - received >= window { return place }
        }
        return nil
    }
    /// Frees a slot of a full bucket by moving an entry to its other bucket, or, one level deeper, after freeing a slot
    /// there.
    private mutating func displace(_ bucket: Int, _ now: UInt32, depth: Int) -> EntryLocation? {
        for slot in 0..<DedupTable.slotCount {
            let place = EntryLocation(bucket: bucket, slot: slot)
            let other = otherBucket(place)
            let free = matches(other, 0)
            if free != 0 { return move(place, to: EntryLocation(bucket: other, slot: free.trailingZeroBitCount)) }
            if let target = expired(other, now) { return move(place, to: target) }
        }
        guard depth > 0 else { return nil }
        for slot in 0..<DedupTable.slotCount {
            let place = EntryLocation(bucket: bucket, slot: slot)
            if let target = displace(otherBucket(place), now, depth: depth - 1) { return move(place, to: target) }
        }
        return nil
    }
    private func otherBucket(_ place: EntryLocation) -> Int {
        let sum = Int(bits(place) & (1 << DedupTable.bucketBits - 1))
        return sum >= place.bucket ? sum - place.bucket : sum + bucketCount - place.bucket
    }
    /// Leaves `place` free. Moving changes nothing in the count; overwriting an expired entry takes one away.
    private mutating func move(_ place: EntryLocation, to target: EntryLocation) -> EntryLocation {
        if !isFree(target) { entryCount -= 1 }
        set(target, entry(place))
        set(place, Entry(tagLow: 0, tagHigh: 0, sequence: 0, seconds: 0, bits: 0))
        return place
    }
    private func oldest(_ bucket: Int) -> EntryLocation {
        var oldest = EntryLocation(bucket: bucket, slot: 0)
        for slot in 1..<DedupTable.slotCount {
            let place = EntryLocation(bucket: bucket, slot: slot)
            if seconds(place) < seconds(oldest) { oldest = place }
        }
        return oldest
    }

    // MARK: Windows

    /// Six bits that stand for a window, rounded up: 2^(n/2) seconds, so an entry is reclaimed late, never early.
    static func windowClass(_ seconds: UInt32) -> UInt32 {
        guard seconds > 1 else { return 0 }
        let power = UInt32(31 - (seconds - 1).leadingZeroBitCount)
        let lower = 2 * power + 1
        return min(63, windowSeconds(class: lower) >= seconds ? lower : lower + 1)
    }
    static func windowSeconds(class index: UInt32) -> UInt32 {
        if index >= 63 { return .max }
        let whole: UInt64 = 1 << UInt64(index / 2)
        // 1.5 stands in for the square root of 2: rounding up is what matters.
        return UInt32(truncatingIfNeeded: index % 2 == 0 ? whole : whole + (whole + 1) / 2)
    }
}
