// Memory for what does not fit one receive buffer: one mapping taken at start, lent in blocks of 4 KiB × 2^k.
// Contiguous blocks of any size up to a bound, O(log n) to take and to give back, and no way to grow: when it is out,
// the caller refuses.
//
// Invariants: a block is aligned to its size; a free block's buddy of the same order is never free (they merge);
// `order` is set exactly for the first unit of a free or lent block. One thread uses an arena. Safety: `pointer` is
// valid while the block is lent and the arena lives; giving a block back twice traps.
import CShims

/// A lent block; trivially copyable, so whoever holds it must give it back exactly once.
package struct ArenaBlock: Equatable, Sendable {
    fileprivate(set) package var unit: Int32
    fileprivate(set) package var order: Int8
    package static var none: ArenaBlock { ArenaBlock(unit: -1, order: 0) }
    @inline(__always) package var isNone: Bool { unit < 0 }
    @inline(__always) package var byteCount: Int { isNone ? 0 : BuddyArena.unitBytes << Int(order) }
}

@safe package struct BuddyArena: ~Copyable {
    package static let unitBytes = 4096
    private static let orderCount = 24
    private static let lentFlag: Int8 = 64
    private static let inside: Int8 = -1

    private let memory: MappedMemory
    private let unitCount: Int
    // Per unit: links of the free list it heads a block in, and its order (with `lentFlag`), or `inside`.
    private let next: UnsafeMutablePointer<Int32>
    private let previous: UnsafeMutablePointer<Int32>
    private let orders: UnsafeMutablePointer<Int8>
    private let heads: UnsafeMutablePointer<Int32>
    package private(set) var freeBytes: Int
    package let byteCount: Int
    /// The largest block there can be.
    package let blockBytesMax: Int

    /// `byteCount` is rounded up to whole largest blocks; `blockBytesMax` to a power of two.
    package init(byteCount wanted: Int, blockBytesMax largest: Int) throws(OutOfMemory) {
        precondition(wanted > 0 && largest > 0)
        var top = 0
        while BuddyArena.unitBytes << top < largest { top += 1 }
        precondition(top < BuddyArena.orderCount)
        blockBytesMax = BuddyArena.unitBytes << top
        byteCount = (wanted + blockBytesMax - 1) / blockBytesMax * blockBytesMax
        memory = try MappedMemory(byteCount: byteCount)
        unitCount = byteCount / BuddyArena.unitBytes
        unsafe next = .allocate(capacity: unitCount)
        unsafe previous = .allocate(capacity: unitCount)
        unsafe orders = .allocate(capacity: unitCount)
        unsafe heads = .allocate(capacity: BuddyArena.orderCount)
        unsafe next.initialize(repeating: -1, count: unitCount)
        unsafe previous.initialize(repeating: -1, count: unitCount)
        unsafe orders.initialize(repeating: BuddyArena.inside, count: unitCount)
        unsafe heads.initialize(repeating: -1, count: BuddyArena.orderCount)
        freeBytes = byteCount
        unsafe sluice_memory_withhold(memory.base, byteCount)
        for unit in stride(from: 0, to: unitCount, by: 1 << top) { insert(Int32(unit), order: top) }
    }
    deinit {
        unsafe next.deallocate()
        unsafe previous.deallocate()
        unsafe orders.deallocate()
        unsafe heads.deallocate()
    }

    /// A block of at least `bytes`, or `.none` when there is none.
    package mutating func take(bytes: Int) -> ArenaBlock {
        guard bytes <= blockBytesMax else { return .none }
        var order = 0
        while BuddyArena.unitBytes << order < bytes { order += 1 }
        var found = order
        while found < BuddyArena.orderCount, unsafe heads[found] < 0 { found += 1 }
        guard found < BuddyArena.orderCount else { return .none }
        let unit = unsafe heads[found]
        remove(unit, order: found)
        while found > order {
            found -= 1
            insert(unit + Int32(1 << found), order: found)
        }
        unsafe orders[Int(unit)] = Int8(order) | BuddyArena.lentFlag
        freeBytes -= BuddyArena.unitBytes << order
        let block = ArenaBlock(unit: unit, order: Int8(order))
        unsafe sluice_memory_lend(pointer(block), block.byteCount)
        return block
    }
    package mutating func give(_ block: ArenaBlock) {
        unsafe precondition(
            !block.isNone && orders[Int(block.unit)] == block.order | BuddyArena.lentFlag, "block is not lent")
        unsafe sluice_memory_withhold(pointer(block), block.byteCount)
        var unit = Int(block.unit)
        var order = Int(block.order)
        freeBytes += BuddyArena.unitBytes << order
        unsafe orders[unit] = BuddyArena.inside
        while BuddyArena.unitBytes << order < blockBytesMax {
            let buddy = unit ^ (1 << order)
            guard unsafe orders[buddy] == Int8(order) else { break }
            remove(Int32(buddy), order: order)
            unsafe orders[buddy] = BuddyArena.inside
            unit = min(unit, buddy)
            order += 1
        }
        insert(Int32(unit), order: order)
    }
    @inline(__always) package func pointer(_ block: ArenaBlock) -> UnsafeMutablePointer<UInt8> {
        precondition(!block.isNone)
        return unsafe memory.base + Int(block.unit) * BuddyArena.unitBytes
    }

    private func insert(_ unit: Int32, order: Int) {
        unsafe orders[Int(unit)] = Int8(order)
        unsafe next[Int(unit)] = heads[order]
        unsafe previous[Int(unit)] = -1
        if unsafe heads[order] >= 0 { unsafe previous[Int(heads[order])] = unit }
        unsafe heads[order] = unit
    }
    private func remove(_ unit: Int32, order: Int) {
        let before = unsafe previous[Int(unit)]
        let after = unsafe next[Int(unit)]
        if before >= 0 { unsafe next[Int(before)] = after } else { unsafe heads[order] = after }
        if after >= 0 { unsafe previous[Int(after)] = before }
    }
}
