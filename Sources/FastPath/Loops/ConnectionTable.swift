// The connections of one loop: slots with generations, a free list, one deadline and one reply buffer each. All memory
// at start; taking and giving a slot is O(1), the sweep for deadlines O(slots in use) on a compact array.
//
// Invariants: a slot in use has `descriptor >= 0`; its generation changes when it becomes free, so a late completion of
// its last owner finds another generation. Safety: pointers to slots and replies are valid while the table lives.

@safe struct ConnectionTable: ~Copyable {
    /// A head, and a handshake's own header lines and body.
    static let replyByteCount = Reply.headBytesMax + Handshake.answerBytesMax
    static let noDeadline = UInt64.max

    private let memory: MappedMemory
    private let replies: MappedMemory
    private let slots: UnsafeMutablePointer<Connection>
    private let deadlines: UnsafeMutablePointer<UInt64>
    private let freeSlots: UnsafeMutablePointer<UInt32>
    private var freeCount: Int
    let capacity: Int
    /// Slots at or above were never used: the sweep stops here.
    private(set) var highWater = 0
    var openCount: Int { capacity - freeCount }
    let byteCount: Int

    init(capacity: Int, firstGeneration: UInt32 = 1) throws(OutOfMemory) {
        precondition(capacity > 0)
        let stride = MemoryLayout<Connection>.stride
        let table = try MappedMemory(byteCount: capacity * (stride + 8 + 4))
        let replyMemory = try MappedMemory(byteCount: capacity * ConnectionTable.replyByteCount)
        self.capacity = capacity
        memory = table
        replies = replyMemory
        byteCount = memory.byteCount + replies.byteCount
        let raw = unsafe UnsafeMutableRawPointer(memory.base)
        unsafe slots = raw.bindMemory(to: Connection.self, capacity: capacity)
        unsafe deadlines = (raw + capacity * stride).bindMemory(to: UInt64.self, capacity: capacity)
        unsafe freeSlots = (raw + capacity * (stride + 8)).bindMemory(to: UInt32.self, capacity: capacity)
        unsafe slots.initialize(repeating: Connection(), count: capacity)
        unsafe deadlines.initialize(repeating: ConnectionTable.noDeadline, count: capacity)
        for index in 0..<capacity {
            unsafe slots[index].generation = firstGeneration & Tag.generationMask
            unsafe freeSlots[index] = UInt32(capacity - 1 - index)
        }
        freeCount = capacity
    }

    /// A free slot, now in state `open`; -1 when all are taken.
    mutating func take(descriptor: Int32) -> Int {
        guard freeCount > 0 else { return -1 }
        freeCount -= 1
        let slot = unsafe Int(freeSlots[freeCount])
        let generation = unsafe slots[slot].generation
        unsafe slots[slot] = Connection()
        unsafe slots[slot].generation = generation
        unsafe slots[slot].descriptor = descriptor
        unsafe slots[slot].state = .open
        highWater = max(highWater, slot + 1)
        return slot
    }
    /// The slot is nobody's; nothing of it is with the kernel and its block has gone home.
    mutating func give(_ slot: Int) {
        let connection = unsafe self[slot]
        unsafe precondition(
            !connection.pointee.isReceiving && !connection.pointee.isSending && connection.pointee.block.isNone)
        unsafe precondition(!connection.pointee.isVerifying && connection.pointee.held.isNone)
        unsafe precondition(connection.pointee.state == .closing)
        unsafe connection.pointee.state = .free
        unsafe connection.pointee.descriptor = -1
        unsafe connection.pointee.generation = (connection.pointee.generation &+ 1) & Tag.generationMask
        unsafe deadlines[slot] = ConnectionTable.noDeadline
        unsafe freeSlots[freeCount] = UInt32(slot)
        freeCount += 1
    }
    @inline(__always) subscript(slot: Int) -> UnsafeMutablePointer<Connection> {
        precondition(slot >= 0 && slot < capacity)
        return unsafe slots + slot
    }
    /// The slot a completion or receipt is for; -1 when its owner is gone.
    @inline(__always) func slot(of tag: Tag) -> Int {
        let slot = Int(tag.slot)
        guard slot < capacity, unsafe slots[slot].state != .free, unsafe slots[slot].generation == tag.generation else {
            return -1
        }
        return slot
    }
    @inline(__always) func reply(_ slot: Int) -> UnsafeMutablePointer<UInt8> {
        precondition(slot >= 0 && slot < capacity)
        return unsafe replies.base + slot * ConnectionTable.replyByteCount
    }
    /// Monotonic milliseconds at which the phase the connection is in has lasted too long.
    @inline(__always) func setDeadline(_ slot: Int, _ millis: UInt64) { unsafe deadlines[slot] = millis }
    @inline(__always) func deadline(_ slot: Int) -> UInt64 { unsafe deadlines[slot] }
}
