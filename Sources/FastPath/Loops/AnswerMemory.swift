// The beginnings of answers' bodies that are kept for whoever looks into a failure: one room for each request that may
// be out, found by the slot in its token.
//
// Invariant: a room is written by the egress loop while its request is out and read by the dispatcher between the
// outcome and the slot's next request; the outcome ring orders the two. Safety: owns its memory; places are checked.

@safe package final class AnswerMemory: @unchecked Sendable {
    /// As much of a body as an operator reads.
    package static var roomBytes: Int { AnswerRooms.roomBytes }
    package let roomCount: Int
    private let memory: MappedMemory

    /// Pages are taken by the kernel when a room is first written.
    package init(roomCount: Int) throws(OutOfMemory) {
        self.roomCount = roomCount
        memory = try MappedMemory(byteCount: max(roomCount, 1) * AnswerMemory.roomBytes)
    }
    /// For the loop, which must not count references; valid as long as the memory is.
    var rooms: AnswerRooms { unsafe AnswerRooms(base: memory.base, count: roomCount) }
    /// What the loop kept of the answer.
    package func bytes(of outcome: DeliveryOutcome) -> [UInt8] {
        guard outcome.answerBytes > 0, let room = unsafe rooms.room(outcome.token) else { return [] }
        return unsafe ByteView(room, count: min(Int(outcome.answerBytes), AnswerMemory.roomBytes)).array
    }
}

@safe struct AnswerRooms {
    static var roomBytes: Int { 4096 }
    fileprivate let base: UnsafeMutablePointer<UInt8>
    fileprivate let count: Int

    /// Nil when the token's slot has none.
    @inline(__always) func room(_ token: UInt64) -> UnsafeMutablePointer<UInt8>? {
        let slot = Int(token & 0xFFFF_FFFF)
        return unsafe slot < count ? base + slot * AnswerRooms.roomBytes : nil
    }
}
