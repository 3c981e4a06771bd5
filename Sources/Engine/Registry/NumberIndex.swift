// Which of a table's numbers has a key, without keeping the keys: they stand in the table already. A hash table of
// numbers with open addressing, in shards, so that a change in a copy costs one shard.
//
// Invariant: a number stands where the hash of its key led when it was inserted, and whoever changes a key in the table
// removes the number first. If that failed, a resource would not be found under its name.

package struct NumberIndex: Sendable {
    private static var shardCount: Int { 256 }
    private var shards = [Shard](repeating: Shard(), count: Self.shardCount)

    package init() {}

    /// `hash` is that of the key that is wanted, `matches` says whether a number has it.
    package func first(_ hash: Int, where matches: (UInt32) -> Bool) -> UInt32? {
        shards[Self.shard(of: hash)].place(hash, where: matches).found
    }
    /// In place of the number that has this key, if there is one. `hashOf` says the hash of any number's key.
    package mutating func set(
        _ number: UInt32, _ hash: Int, where matches: (UInt32) -> Bool, hashOf: (UInt32) -> Int
    ) {
        shards[Self.shard(of: hash)].set(number, hash, where: matches, hashOf: hashOf)
    }
    /// Nothing happens when the number does not stand there.
    package mutating func remove(_ number: UInt32, _ hash: Int, hashOf: (UInt32) -> Int) {
        shards[Self.shard(of: hash)].remove(number, hash, hashOf: hashOf)
    }
    /// The low bits choose the shard, the others the place in it.
    private static func shard(of hash: Int) -> Int { hash & (shardCount - 1) }

    private struct Shard {
        /// 0 = free, which is nobody's number. A power of two, at most three quarters of it taken.
        private var slots: [UInt32] = []
        private var count = 0

        func place(_ hash: Int, where matches: (UInt32) -> Bool) -> (slot: Int, found: UInt32?) {
            guard !slots.isEmpty else { return (0, nil) }
            var slot = home(hash)
            while slots[slot] != 0 {
                if matches(slots[slot]) { return (slot, slots[slot]) }
                slot = after(slot)
            }
            return (slot, nil)
        }
        mutating func set(_ number: UInt32, _ hash: Int, where matches: (UInt32) -> Bool, hashOf: (UInt32) -> Int) {
            if (count + 1) * 4 > slots.count * 3 { grow(hashOf) }
            let (slot, found) = place(hash, where: matches)
            slots[slot] = number
            if found == nil { count += 1 }
        }
        mutating func remove(_ number: UInt32, _ hash: Int, hashOf: (UInt32) -> Int) {
            var (free, found) = place(hash) { $0 == number }
            guard found != nil else { return }
            count -= 1
            // Whatever follows without a gap may have been pushed on by the one that goes.
            var slot = after(free)
            while slots[slot] != 0 {
                let wanted = home(hashOf(slots[slot]))
                if distance(from: wanted, to: slot) >= distance(from: free, to: slot) {
                    slots[free] = slots[slot]
                    free = slot
                }
                slot = after(slot)
            }
            slots[free] = 0
        }
        private mutating func grow(_ hashOf: (UInt32) -> Int) {
            let old = slots
            slots = [UInt32](repeating: 0, count: max(8, old.count * 2))
            for number in old where number != 0 {
                slots[place(hashOf(number)) { _ in false }.slot] = number
            }
        }
        private func home(_ hash: Int) -> Int { (hash >> 8) & (slots.count - 1) }
        private func after(_ slot: Int) -> Int { (slot + 1) & (slots.count - 1) }
        private func distance(from: Int, to: Int) -> Int { (to - from) & (slots.count - 1) }
    }
}
