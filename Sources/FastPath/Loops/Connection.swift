// One ingest connection: its state as plain data, and the rules that need no kernel. `IngestLoop` drives it.
//
// Invariants: at most one request of a connection is between its last byte and its answer (answers keep the order of
// requests, RFC 9112 §9.3.2); bytes that come meanwhile wait in `block`. The slot is free again only when nothing of it
// is with the kernel or a worker: no receive armed, no send on its way, no verdict awaited (style habit 4).

/// Where the request being received or answered stands.
enum RequestPhase: UInt8, CaseIterable {
    /// Nothing of a next request has come.
    case idle
    /// Some bytes of a head.
    case head
    /// The head is complete, the body is not.
    case body
    /// With a worker that verifies it; the request lies in `held`.
    case verifying
    /// Verified in this tick, then waiting for its group's commit.
    case committing
    /// The answer is with the kernel, or waits for an interim answer to leave.
    case answering
}

/// Whether the connection takes requests.
enum ConnectionState: UInt8, CaseIterable {
    case free
    case open
    /// An error was answered: what comes is discarded until the peer closes or the time is over (RFC 9112 §9.6).
    case lingering
    /// No more reads or answers; the slot becomes free when the kernel has given everything back.
    case closing
}

struct Connection {
    var descriptor: Int32 = -1
    var generation: UInt32 = 0
    var state = ConnectionState.free
    var phase = RequestPhase.idle
    /// True exactly when a multishot receive is with the kernel.
    var isReceiving = false
    /// True exactly when the receive was cancelled because too much waits; it is armed again when the block has
    /// drained.
    var isPaused = false
    /// True exactly when a send is with the kernel.
    var isSending = false
    /// The reply in the connection's buffer waits for an interim answer's completion.
    var isReplyWaiting = false
    /// Close after the answer that is on its way.
    var closesAfterReply = false
    /// Linger (drain) rather than close at once after the answer.
    var lingersAfterReply = false
    /// The peer has sent its last byte.
    var isPeerDone = false
    var isHead = false
    var isVersion10 = false
    var hasContinued = false
    /// The body is read and thrown away: the answer is already decided by the route.
    var isDiscarding = false
    var isChunked = false
    /// The route's answer when `isDiscarding`: 404 or 405.
    var decidedStatus: UInt16 = 0
    var sourceIndex: Int32 = -1
    var edge = ConnectionEdge()
    // Copied from the source when the request was complete: a reload may come while the disk has the event.
    var answer = IngestAnswer()
    var durability = DurabilityLevel.fsync
    var counterSlot: UInt16 = 0
    /// Bytes of a request not yet complete, and of those pipelined behind: `block[inputStart..<inputEnd]`.
    var block = ArenaBlock.none
    var inputStart = 0
    var inputEnd = 0
    var parser = HeadParser()
    var head = RequestHead()
    var chunks = ChunkedDecoder()
    /// Body bytes decoded so far behind the head (chunked), or still to be discarded (Content-Length).
    var bodyCount = 0
    /// Bytes at the front of the block that the request being answered has taken; 0 when it was read from a receive
    /// buffer.
    var requestInBlock = 0
    /// The request that a worker verifies, head, body and origin behind each other; it stays put until the verdict is
    /// back, also when the connection closes meanwhile.
    var held = ArenaBlock.none
    var heldStart = 0
    var heldBodyCount = 0
    var heldOriginCount = 0
    /// The configuration under which the request went to the worker.
    var heldEpoch: UInt32 = 0
    /// True exactly while a worker may read `held`.
    var isVerifying = false
    /// True exactly while the round's batch of signatures views the request's bytes.
    var isPending = false
    var replyCount = 0
    var replySent = 0
    /// Monotonic milliseconds of the request's last byte, for the commit histogram.
    var completedAt: UInt64 = 0

    /// A request is between its last byte and the end of its answer: what comes meanwhile waits in `block`.
    @inline(__always) var isBusy: Bool { phase == .verifying || phase == .committing || phase == .answering }

    mutating func beginRequest() {
        phase = .idle
        parser = HeadParser()
        head.byteCount = 0
        isHead = false
        isVersion10 = false
        hasContinued = false
        isDiscarding = false
        isChunked = false
        decidedStatus = 0
        sourceIndex = -1
        bodyCount = 0
        requestInBlock = 0
        chunks = ChunkedDecoder()
        closesAfterReply = false
        lingersAfterReply = false
    }
}
