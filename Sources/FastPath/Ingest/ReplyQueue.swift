// The output of each connection, and which connections have some to send. Answers are written when they are known and
// sent at one place of the tick, behind the commit, so that the disk begins before the answers leave.
//
// Invariants: a connection is queued at most once a tick (it asks again only after a completion); what lies in a
// connection's memory stays until the kernel has taken it. Safety: writes are bounded by `byteCount`, which holds an
// interim answer and the largest answer.

@safe struct ReplyQueue: ~Copyable {
    /// An interim answer, a head, and a handshake's own header lines and body.
    static let byteCount = 32 + Reply.headBytesMax + Handshake.answerBytesMax

    private let memory: MappedMemory
    private let capacity: Int
    /// The connections that have something to send, in the order they were added.
    var queue: SlotList

    static func byteCount(capacity: Int) -> Int { capacity * (byteCount + 4) }

    init(capacity: Int) throws(OutOfMemory) {
        memory = try MappedMemory(byteCount: capacity * ReplyQueue.byteCount)
        self.capacity = capacity
        queue = SlotList(capacity: capacity)
    }

    /// The memory behind the first `offset` bytes of a connection's output, and how much of it there is.
    @inline(__always) func room(
        _ slot: Int, from offset: Int
    ) -> (memory: UnsafeMutablePointer<UInt8>, capacity: Int) {
        precondition(slot >= 0 && slot < capacity && offset >= 0 && offset <= ReplyQueue.byteCount)
        return unsafe (memory.base + slot * ReplyQueue.byteCount + offset, ReplyQueue.byteCount - offset)
    }
}
