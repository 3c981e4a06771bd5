// The memory of events that are out with endpoints: one region taken at start, cut into blocks by the buddy system, so
// that a 300-byte event and a 20 MiB one share one bound and freed neighbours grow together again. One thread
// allocates, writes and frees; the egress loop reads what a `ByteView` lends it until the outcome has come back.
//
// Invariants: a block is free or leased, never both; a free block's buddy of the same order is not free (they would
// have been merged); `leasedBytes` is the sum of the leased blocks' sizes. If a lease is freed twice the pool traps.
//
// Safety: the class owns `region` until deinit. Each write is checked against the lease's block, each lease against the
// block map (`orders`), so that a stale lease traps instead of writing into another's block. A view is valid until its
// lease is freed; the dispatcher frees only after the outcome with that token.
import CShims

/// A block that the holder owns until it is given back.
package struct PayloadLease: Equatable, Sendable {
    fileprivate var unit: UInt32
    fileprivate var order: UInt8
}

@safe package final class PayloadPool: @unchecked Sendable {
    /// The smallest block. A 1 KiB event with its field lines takes two of them.
    package static let unitBytes = 1024
    private static let none = UInt32.max
    private static let leasedMark: UInt8 = 0x80
    /// Neither the start of a free block nor of a leased one.
    private static let inside: UInt8 = 0xFF

    package let byteCount: Int
    package private(set) var leasedBytes = 0
    package private(set) var leasedCount = 0
    private let region: UnsafeMutablePointer<UInt8>
    /// For the first unit of each block its order, with `leasedMark` when it is leased; `inside` for all other units.
    private let orders: UnsafeMutablePointer<UInt8>
    /// Links of the free lists, valid for the first unit of a free block.
    private let next: UnsafeMutablePointer<UInt32>
    private let previous: UnsafeMutablePointer<UInt32>
    private var heads: [UInt32]
    private let orderMax: Int

    /// The region is `byteCount` rounded down to a power of two, at least one unit.
    package init(byteCount wanted: Int) {
        precondition(wanted >= PayloadPool.unitBytes && wanted <= 1 << 40)
        var units = 1
        var order = 0
        while units * 2 * PayloadPool.unitBytes <= wanted {
            units *= 2
            order += 1
        }
        orderMax = order
        byteCount = units * PayloadPool.unitBytes
        unsafe region = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 4096).bindMemory(
            to: UInt8.self, capacity: byteCount)
        unsafe orders = .allocate(capacity: units)
        unsafe orders.initialize(repeating: PayloadPool.inside, count: units)
        unsafe next = .allocate(capacity: units)
        unsafe previous = .allocate(capacity: units)
        heads = [UInt32](repeating: PayloadPool.none, count: order + 1)
        insertFree(unit: 0, order: order)
        unsafe sluice_memory_withhold(region, byteCount)
    }
    deinit {
        unsafe sluice_memory_lend(region, byteCount)
        unsafe region.deallocate()
        unsafe orders.deallocate()
        unsafe next.deallocate()
        unsafe previous.deallocate()
    }

    /// The size of the block that `bytes` would take; nil when it is larger than the pool.
    package func blockBytes(for bytes: Int) -> Int? {
        let order = PayloadPool.order(for: bytes)
        return order <= orderMax ? PayloadPool.unitBytes << order : nil
    }
    /// Nil when no block of that size is free now.
    package func allocate(_ bytes: Int) -> PayloadLease? {
        precondition(bytes >= 0)
        let wanted = PayloadPool.order(for: bytes)
        var order = wanted
        while order <= orderMax, heads[order] == PayloadPool.none { order += 1 }
        guard order <= orderMax else { return nil }
        let unit = heads[order]
        removeFree(unit: unit, order: order)
        while order > wanted {
            order -= 1
            insertFree(unit: unit + UInt32(1 << order), order: order)
        }
        unsafe orders[Int(unit)] = UInt8(wanted) | PayloadPool.leasedMark
        leasedBytes += PayloadPool.unitBytes << wanted
        leasedCount += 1
        let lease = PayloadLease(unit: unit, order: UInt8(wanted))
        unsafe sluice_memory_lend(place(lease, 0, 0), self.bytes(of: lease))
        return lease
    }
    package func free(_ lease: PayloadLease) {
        unsafe sluice_memory_withhold(place(lease, 0, 0), bytes(of: lease))
        var unit = lease.unit
        var order = Int(lease.order)
        unsafe orders[Int(unit)] = PayloadPool.inside
        leasedBytes -= PayloadPool.unitBytes << order
        leasedCount -= 1
        while order < orderMax {
            let buddy = unit ^ UInt32(1 << order)
            guard unsafe orders[Int(buddy)] == UInt8(order) else { break }
            removeFree(unit: buddy, order: order)
            unit = min(unit, buddy)
            order += 1
        }
        insertFree(unit: unit, order: order)
    }
    package func bytes(of lease: PayloadLease) -> Int { PayloadPool.unitBytes << Int(lease.order) }

    /// Copies `bytes` to `offset` of the block; traps when they do not fit. Returns the place behind them.
    package func write(_ bytes: ByteView, to lease: PayloadLease, at offset: Int) -> Int {
        let target = unsafe place(lease, offset, bytes.count)
        unsafe target.update(from: bytes.base, count: bytes.count)
        return offset + bytes.count
    }
    package func write(_ text: StaticString, to lease: PayloadLease, at offset: Int) -> Int {
        let target = unsafe place(lease, offset, text.utf8CodeUnitCount)
        unsafe target.update(from: text.utf8Start, count: text.utf8CodeUnitCount)
        return offset + text.utf8CodeUnitCount
    }
    package func write(_ id: EventID, to lease: PayloadLease, at offset: Int) -> Int {
        unsafe id.write(to: place(lease, offset, EventID.byteCount))
        return offset + EventID.byteCount
    }
    package func write(decimal value: UInt32, to lease: PayloadLease, at offset: Int) -> Int {
        var digits = 1
        var rest = value
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        let target = unsafe place(lease, offset, digits)
        rest = value
        for index in stride(from: digits - 1, through: 0, by: -1) {
            unsafe target[index] = 48 + UInt8(rest % 10)
            rest /= 10
        }
        return offset + digits
    }
    /// Valid until the lease is freed.
    package func view(_ lease: PayloadLease, start: Int, count: Int) -> ByteView {
        unsafe ByteView(UnsafePointer(place(lease, start, count)), count: count)
    }

    private func place(_ lease: PayloadLease, _ offset: Int, _ count: Int) -> UnsafeMutablePointer<UInt8> {
        check(lease)
        precondition(offset >= 0 && count >= 0 && offset <= bytes(of: lease) - count)
        return unsafe region + Int(lease.unit) * PayloadPool.unitBytes + offset
    }
    private func check(_ lease: PayloadLease) {
        precondition(Int(lease.unit) * PayloadPool.unitBytes < byteCount)
        unsafe precondition(
            orders[Int(lease.unit)] == lease.order | PayloadPool.leasedMark, "a payload lease that is not out")
    }
    private static func order(for bytes: Int) -> Int {
        let units = max(1, (bytes + unitBytes - 1) / unitBytes)
        return units == 1 ? 0 : Int.bitWidth - (units - 1).leadingZeroBitCount
    }
    private func insertFree(unit: UInt32, order: Int) {
        unsafe orders[Int(unit)] = UInt8(order)
        let head = heads[order]
        unsafe next[Int(unit)] = head
        unsafe previous[Int(unit)] = PayloadPool.none
        if head != PayloadPool.none { unsafe previous[Int(head)] = unit }
        heads[order] = unit
    }
    private func removeFree(unit: UInt32, order: Int) {
        let before = unsafe previous[Int(unit)]
        let after = unsafe next[Int(unit)]
        if before == PayloadPool.none { heads[order] = after } else { unsafe next[Int(before)] = after }
        if after != PayloadPool.none { unsafe previous[Int(after)] = before }
        unsafe orders[Int(unit)] = PayloadPool.inside
    }
}
