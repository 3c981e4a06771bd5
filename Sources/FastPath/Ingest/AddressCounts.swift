// How many connections each client address has, so that one that takes them all is refused before the others are.
//
// An IPv6 client is its /64, which is what one subscriber is given (RFC 6177). Open addressing with linear probing, at
// most half full; a place that becomes empty is filled from behind, so that no search is longer than its cluster.
// Invariant: the sum of the counts is the number of connections that were added and not removed.
// Safety: owns its memory; indexes are masked.

@safe package struct AddressCounts: ~Copyable {
    struct Entry {
        var high: UInt64 = 0
        var low: UInt64 = 0
        /// 0 = empty.
        var count: UInt32 = 0
        var isV6 = false
    }
    private let entries: UnsafeMutablePointer<Entry>
    private let mask: Int
    private let seed: UInt64
    let countMax: UInt32

    /// `countMax` connections an address, of `capacity` in all. `seed`: so that nobody can choose addresses that meet.
    package init(countMax: Int, capacity: Int, seed: UInt64) {
        var size = 8
        while size < capacity * 2 { size *= 2 }
        mask = size - 1
        self.countMax = UInt32(clamping: countMax)
        self.seed = seed
        unsafe entries = .allocate(capacity: size)
        unsafe entries.initialize(repeating: Entry(), count: size)
    }
    deinit { unsafe entries.deallocate() }

    private static func entry(_ address: IPAddress) -> Entry {
        address.family == .v6
            ? Entry(high: address.high, low: 0, count: 1, isV6: true)
            : Entry(high: 0, low: address.low, count: 1, isV6: false)
    }
    private func home(_ entry: Entry) -> Int {
        var hash = (entry.high ^ seed) &* 0x9E37_79B9_7F4A_7C15
        hash = (hash ^ hash >> 29 ^ entry.low &+ (entry.isV6 ? 1 : 0)) &* 0xBF58_476D_1CE4_E5B9
        return Int(truncatingIfNeeded: hash ^ hash >> 32) & mask
    }
    /// The entry's place, or the empty one where it belongs.
    private func place(_ entry: Entry) -> Int {
        var place = home(entry)
        while unsafe entries[place].count > 0 {
            let found = unsafe entries[place]
            if found.high == entry.high, found.low == entry.low, found.isV6 == entry.isV6 { return place }
            place = (place + 1) & mask
        }
        return place
    }
    /// False when the address has as many as it may; nothing is added then.
    package mutating func add(_ address: IPAddress) -> Bool {
        let entry = AddressCounts.entry(address)
        let place = place(entry)
        guard unsafe entries[place].count < countMax else { return false }
        // Not `+=`, here and below: of that, on memory that `self` points to, Swift 6.3 makes code for ThreadSanitizer
        // that its own compiler refuses.
        let count = unsafe entries[place].count
        if count == 0 { unsafe entries[place] = entry } else { unsafe entries[place].count = count + 1 }
        return true
    }
    /// An address that was added.
    package mutating func remove(_ address: IPAddress) {
        var empty = place(AddressCounts.entry(address))
        unsafe precondition(entries[empty].count > 0)
        unsafe entries[empty].count = entries[empty].count - 1
        guard unsafe entries[empty].count == 0 else { return }
        var next = (empty + 1) & mask
        while unsafe entries[next].count > 0 {
            // It may move back to `empty` unless its own place lies between.
            let distance = (next - home(unsafe entries[next])) & mask
            if distance >= (next - empty) & mask {
                unsafe entries[empty] = entries[next]
                unsafe entries[next] = Entry()
                empty = next
            }
            next = (next + 1) & mask
        }
    }
    package func count(_ address: IPAddress) -> Int {
        let entry = AddressCounts.entry(address)
        return unsafe Int(entries[place(entry)].count)
    }
}
