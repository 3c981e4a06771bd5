// The load loop's connections: all memory taken at start, slots found by index, identity by slot and generation; and
// the ring of those that are idle, first in first out, so that all are used in turn.
//
// Invariants: a slot's memory never moves; a slot is in the idle ring at most once, exactly while it is idle.
// Safety: owns its memory; indexes are checked against the capacity.

@safe struct LoadTable: ~Copyable {
    let capacity: Int
    private let memory: MappedMemory
    private let connections: UnsafeMutablePointer<LoadConnection>
    private let idle: UnsafeMutablePointer<Int32>
    private var idleHead = 0
    private(set) var idleCount = 0
    private(set) var openCount = 0
    private(set) var busyCount = 0

    init(capacity: Int, limits: EgressLimits, generation: UInt32 = 0) throws(OutOfMemory) {
        self.capacity = capacity
        let blockBytes = LoadConnection.blockByteCount(limits)
        memory = try MappedMemory(byteCount: blockBytes * capacity)
        unsafe connections = .allocate(capacity: capacity)
        unsafe idle = .allocate(capacity: capacity)
        for slot in 0..<capacity {
            let block = unsafe memory.base + slot * blockBytes
            unsafe (connections + slot).initialize(
                to: LoadConnection(block: block, limits: limits, generation: generation))
        }
    }
    deinit {
        unsafe connections.deallocate()
        unsafe idle.deallocate()
    }
    @inline(__always) subscript(slot: Int) -> LoadConnection {
        unsafeAddress {
            precondition(slot >= 0 && slot < capacity)
            return unsafe UnsafePointer(connections + slot)
        }
        unsafeMutableAddress {
            precondition(slot >= 0 && slot < capacity)
            return unsafe connections + slot
        }
    }
    /// True exactly when `tag` names the present use of its slot.
    @inline(__always) func isCurrent(_ tag: Tag) -> Bool {
        guard Int(tag.slot) < capacity else { return false }
        let connection = unsafe connections + Int(tag.slot)
        return unsafe connection.pointee.state != .free && connection.pointee.generation == tag.generation
    }
    @inline(__always) mutating func park(_ slot: Int) {
        precondition(idleCount < capacity)
        var place = idleHead + idleCount
        if place >= capacity { place -= capacity }
        unsafe idle[place] = Int32(slot)
        idleCount += 1
    }
    @inline(__always) mutating func takeIdle() -> Int? {
        guard idleCount > 0 else { return nil }
        let slot = unsafe Int(idle[idleHead])
        idleHead += 1
        if idleHead == capacity { idleHead = 0 }
        idleCount -= 1
        return slot
    }
    /// O(idle): connections that end while idle are rare.
    mutating func unpark(_ slot: Int) {
        var kept = 0
        for index in 0..<idleCount {
            let one = unsafe idle[(idleHead + index) % capacity]
            if Int(one) == slot { continue }
            unsafe idle[(idleHead + kept) % capacity] = one
            kept += 1
        }
        idleCount = kept
    }
    @inline(__always) mutating func opened() { openCount += 1 }
    @inline(__always) mutating func closed() { openCount -= 1 }
    @inline(__always) mutating func became(busy: Bool) { busyCount += busy ? 1 : -1 }
}
