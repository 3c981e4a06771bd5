// The slots of an egress loop's connections: all memory taken at start, slots found by index, identity by slot +
// generation.
//
// Invariants: a slot's memory never moves; it is given out again only after its connection was `freed`, which it is
// only when the kernel holds nothing of it. `deadlines[slot]` is the connection's deadline, kept side by side so that a
// scan is cheap. Safety: owns its memory; indexes are checked against the capacity.

@safe package struct EgressConnectionTable: ~Copyable {
    let capacity: Int
    private let memory: MappedMemory
    private let connections: UnsafeMutablePointer<EgressConnection>
    private let deadlines: UnsafeMutablePointer<UInt64>
    private let freeSlots: UnsafeMutablePointer<Int32>
    private var freeCount: Int
    /// Slots from here on were never used.
    private var usedCount = 0

    package init(limits: EgressLimits, generation: UInt32 = 0) throws(OutOfMemory) {
        capacity = limits.connectionCountMax
        let blockBytes = EgressConnection.blockByteCount(limits)
        memory = try MappedMemory(byteCount: blockBytes * capacity)
        unsafe connections = .allocate(capacity: capacity)
        unsafe deadlines = .allocate(capacity: capacity)
        unsafe freeSlots = .allocate(capacity: capacity)
        for slot in 0..<capacity {
            let block = unsafe memory.base + slot * blockBytes
            unsafe (connections + slot).initialize(
                to: EgressConnection(block: block, limits: limits, generation: generation))
            unsafe deadlines[slot] = .max
            // The lowest slots first, so that the scan stays short.
            unsafe freeSlots[slot] = Int32(capacity - 1 - slot)
        }
        freeCount = capacity
    }
    deinit {
        unsafe connections.deallocate()
        unsafe deadlines.deallocate()
        unsafe freeSlots.deallocate()
    }
    var openCount: Int { capacity - freeCount }
    var scanCount: Int { usedCount }

    @inline(__always) subscript(slot: Int32) -> EgressConnection {
        unsafeAddress {
            precondition(slot >= 0 && Int(slot) < capacity)
            return unsafe UnsafePointer(connections + Int(slot))
        }
        unsafeMutableAddress {
            precondition(slot >= 0 && Int(slot) < capacity)
            return unsafe connections + Int(slot)
        }
    }
    /// True exactly when `tag` names the present use of its slot.
    @inline(__always) func isCurrent(_ tag: Tag) -> Bool {
        guard Int(tag.slot) < capacity else { return false }
        let connection = unsafe connections + Int(tag.slot)
        return unsafe connection.pointee.state != .free && connection.pointee.generation == tag.generation
    }
    @inline(__always) mutating func takeSlot() -> Int32? {
        guard freeCount > 0 else { return nil }
        freeCount -= 1
        let slot = unsafe freeSlots[freeCount]
        usedCount = max(usedCount, Int(slot) + 1)
        return slot
    }
    @inline(__always) mutating func giveBack(_ slot: Int32) {
        precondition(freeCount < capacity && self[slot].state == .free)
        unsafe freeSlots[freeCount] = slot
        freeCount += 1
    }
    @inline(__always) func deadline(_ slot: Int) -> UInt64 {
        precondition(slot >= 0 && slot < capacity)
        return unsafe deadlines[slot]
    }
    /// Copies the connection's deadline to where the scan finds it; returns it.
    @inline(__always) mutating func noteDeadline(_ slot: Int32) -> UInt64 {
        let deadline = self[slot].deadline
        unsafe deadlines[Int(slot)] = deadline
        return deadline
    }
    /// The idle connection that is closest to its time-out, thus idle longest; -1 when none is. O(slots ever used).
    func oldestIdle() -> Int32 {
        var oldest: Int32 = -1
        var earliest = UInt64.max
        for slot in 0..<usedCount where unsafe deadlines[slot] < earliest && connections[slot].state == .idle {
            oldest = Int32(slot)
            earliest = unsafe deadlines[slot]
        }
        return oldest
    }
}
