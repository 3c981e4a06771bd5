// The connections of one loop: slots with generations, a free list, and one deadline each. All memory at start; taking
// and giving a slot is O(1), the sweep for deadlines O(slots in use) on a compact array.
//
// Invariants: a slot in use has a descriptor; its generation changes when it becomes free, so a late completion of its
// last owner finds another generation. Safety: addresses of slots are valid while the table lives.

/// What a request's answer depends on, copied from its source when the request was complete: a reload may come while
/// the disk has the event.
struct AnswerTerms {
    var isHead = false
    var isVersion10 = false
    var expectsContinue = false
    /// The route's own answer, 404 or 405; 0 when a source takes the request.
    var decidedStatus: UInt16 = 0
    var sourceIndex: Int32 = -1
    var counterSlot: UInt16 = 0
    var durability = DurabilityLevel.fsync
    var answer = IngestAnswer()
    /// How many events the request holds that the log has now; 0 = it is one event. Set with the offer.
    var batchCount: UInt16 = 0
    /// Refusals have the form of the control API. Set with the route.
    var isPublication = false
    /// Answers have the form of the contract. Set with the route.
    var isEnveloped = false
    /// Counts where it is enveloped.
    var envelope = EnvelopeTerms()
    /// Of its source's limits; `quota` counts where it is not `none`.
    var payment = RatePayment.none
    var quota = RateQuota()
    /// Monotonic milliseconds of the request's last byte, for the commit histogram.
    var completedAt: UInt64 = 0

    /// For the next request: what an answer reads before a source has taken it, and what not every request sets. The
    /// rest is its source's then.
    @inline(__always) mutating func begin() {
        isHead = false
        isVersion10 = false
        expectsContinue = false
        decidedStatus = 0
        sourceIndex = -1
        batchCount = 0
        isPublication = false
        isEnveloped = false
        payment = .none
    }
}

/// A request that a worker verifies: head, body, origin and fields behind each other. It stays put until the verdict is
/// back, also when the connection closes meanwhile.
struct HeldRequest {
    var block = ArenaBlock.none
    var start = 0
    var head = RequestHead()
    var bodyCount = 0
    var originCount = 0
    var fieldCount = 0
    /// The configuration under which the request went to the worker.
    var epoch: UInt32 = 0
    /// Its worker's, by that configuration.
    var verifierID: UInt32 = 0
    /// A worker sees it again: it is one of those that are bounded.
    var isSeenAgain = false
    /// What the worker read of it; goes back with the block.
    var reading: PassedReading?
    /// Of a publication: `reading` is kept until its answer was sent, which may lie there; the block only as long as a
    /// worker may see the call again.
    var stays = false
    /// True exactly while the answer that is being sent lies there and not in the connection's room.
    var hasAnswer = false
    /// Where it begins, and how much of the output goes before it.
    var answer = ByteView.empty
    var answerFrom = 0
}

struct IngestSlot {
    var connection = IngestConnection()
    var assembly = RequestAssembly()
    var terms = AnswerTerms()
    var held = HeldRequest()
    var edge = ConnectionEdge()
}

@safe struct ConnectionTable: ~Copyable {
    private let memory: MappedMemory
    private let slots: UnsafeMutablePointer<IngestSlot>
    private let deadlines: UnsafeMutablePointer<UInt64>
    private let freeSlots: UnsafeMutablePointer<UInt32>
    private var freeCount: Int
    let capacity: Int
    /// Slots at or above were never used: the sweep stops here.
    private(set) var highWater = 0
    var openCount: Int { capacity - freeCount }

    static func byteCount(capacity: Int) -> Int { capacity * (MemoryLayout<IngestSlot>.stride + 8 + 4) }

    init(capacity: Int, firstGeneration: UInt32 = 1) throws(OutOfMemory) {
        precondition(capacity > 0)
        let stride = MemoryLayout<IngestSlot>.stride
        memory = try MappedMemory(byteCount: ConnectionTable.byteCount(capacity: capacity))
        self.capacity = capacity
        let raw = unsafe UnsafeMutableRawPointer(memory.base)
        unsafe slots = raw.bindMemory(to: IngestSlot.self, capacity: capacity)
        unsafe deadlines = (raw + capacity * stride).bindMemory(to: UInt64.self, capacity: capacity)
        unsafe freeSlots = (raw + capacity * (stride + 8)).bindMemory(to: UInt32.self, capacity: capacity)
        unsafe slots.initialize(repeating: IngestSlot(), count: capacity)
        unsafe deadlines.initialize(repeating: IngestConnection.noDeadline, count: capacity)
        for index in 0..<capacity {
            unsafe slots[index].connection = IngestConnection(generation: firstGeneration)
            unsafe freeSlots[index] = UInt32(capacity - 1 - index)
        }
        freeCount = capacity
    }

    /// A free slot, still in state `free`, whose connection must begin; -1 when all are taken.
    mutating func take() -> Int {
        guard freeCount > 0 else { return -1 }
        freeCount -= 1
        let slot = unsafe Int(freeSlots[freeCount])
        let connection = unsafe slots[slot].connection
        unsafe slots[slot] = IngestSlot()
        unsafe slots[slot].connection = connection
        highWater = max(highWater, slot + 1)
        return slot
    }
    /// The slot is nobody's: its connection is freed and its memory has gone home.
    mutating func give(_ slot: Int) {
        precondition(self[slot].connection.state == .free)
        precondition(!self[slot].assembly.hasInput && self[slot].held.block.isNone)
        precondition(self[slot].held.reading == nil)
        unsafe deadlines[slot] = IngestConnection.noDeadline
        unsafe freeSlots[freeCount] = UInt32(slot)
        freeCount += 1
    }
    @inline(__always) subscript(slot: Int) -> IngestSlot {
        unsafeAddress {
            precondition(slot >= 0 && slot < capacity)
            return unsafe UnsafePointer(slots + slot)
        }
        unsafeMutableAddress {
            precondition(slot >= 0 && slot < capacity)
            return unsafe slots + slot
        }
    }
    /// The slot a completion or receipt is for; -1 when its owner is gone.
    @inline(__always) func slot(of tag: Tag) -> Int {
        let slot = Int(tag.slot)
        guard slot < capacity, self[slot].connection.state != .free, self[slot].connection.generation == tag.generation
        else { return -1 }
        return slot
    }
    @inline(__always) func tag(_ kind: TagKind, _ slot: Int) -> Tag {
        Tag(kind, slot: UInt32(slot), generation: self[slot].connection.generation)
    }
    /// The connection's deadline has changed.
    @inline(__always) func noteDeadline(_ slot: Int) { unsafe deadlines[slot] = self[slot].connection.deadline }
    @inline(__always) func deadline(_ slot: Int) -> UInt64 { unsafe deadlines[slot] }
}
