// One inbound connection as a passive state machine: it is given a completion, a step of its request, or the time, and
// says what to do. It sees no byte and no descriptor but its own; `RequestAssembly` has the bytes.
//
//     free → open → lingering → closing → free          phases while open: idle → head → body → verifying →
//                 ↘───────────↗                          committing → answering → idle
//
// Invariants: transitions are total, each method has an answer for every state; at most one request is between its last
// byte and its answer (answers keep the order of requests, RFC 9112 §9.3.2); the slot is free again only when nothing
// of it is with the kernel, a worker or the round's batch: no receive armed, no send on its way, no verdict awaited. If
// they fail, a completion reaches another connection, or a worker reads memory that is another request's.

/// Where the request being received or answered stands.
package enum RequestPhase: UInt8, CaseIterable, Sendable {
    /// Nothing of a next request has come.
    case idle
    /// Some bytes of a head.
    case head
    /// The head is complete, the body is not.
    case body
    /// With a worker that verifies it.
    case verifying
    /// In the round's batch, then waiting for its group's commit.
    case committing
    /// The answer is with the kernel, or waits for an interim answer to leave.
    case answering
}

/// Whether the connection takes requests.
package enum ConnectionState: UInt8, CaseIterable, Sendable {
    case free
    case open
    /// The last answer was sent: what comes is discarded until the peer closes or the time is over (RFC 9112 §9.6).
    case lingering
    /// No more reads or answers; the slot becomes free when everything has been given back.
    case closing
}

/// What the loop must do, in the order of the constants. No `OptionSet`: its generic defaults may allocate metadata.
package struct IngestActions: Equatable, Sendable {
    package let rawValue: UInt16

    @inline(__always) private init(_ rawValue: UInt16) { self.rawValue = rawValue }
    @inline(__always) package func contains(_ other: IngestActions) -> Bool {
        rawValue & other.rawValue == other.rawValue
    }
    @inline(__always) package func union(_ other: IngestActions) -> IngestActions {
        IngestActions(rawValue | other.rawValue)
    }
    @inline(__always) package static func == (left: IngestActions, right: IngestActions) -> Bool {
        left.rawValue == right.rawValue
    }
    package static var none: IngestActions { IngestActions(0) }
    /// The whole answer is with the kernel: take its request out of the input, then `nextRequest`.
    package static var answered: IngestActions { IngestActions(1) }
    /// The input's memory goes home.
    package static var dropInput: IngestActions { IngestActions(2) }
    /// The peer is told that nothing follows.
    package static var halfClose: IngestActions { IngestActions(4) }
    /// Stop the receive: too much waits.
    package static var pause: IngestActions { IngestActions(8) }
    /// Arm the multishot receive, then `receiveArmed`.
    package static var receive: IngestActions { IngestActions(16) }
    /// Submit (the rest of) the output.
    package static var send: IngestActions { IngestActions(32) }
    /// Go on with the input that waits.
    package static var ready: IngestActions { IngestActions(64) }
    /// Cancel everything in flight; each completion still comes.
    package static var cancel: IngestActions { IngestActions(128) }
    /// Nothing is in flight: close the descriptor, free the slot.
    package static var free: IngestActions { IngestActions(256) }
}

/// What becomes of bytes that came.
package enum IngestIntake: Equatable, Sendable {
    /// They begin a request, or go on with one.
    case request
    /// They wait behind the request that is being answered.
    case wait
    /// They wait until the round's batch is settled: it views the memory that they would be put into.
    case waitForBatch
    case drop
}

/// What a deadline that passed means.
package enum IngestTimeout: Equatable, Sendable {
    case none
    case end(IngestActions)
    /// 408: the request did not come in time.
    case refuseRequest
    /// 503: the disk has not taken the event in time. It may still take it: the sender's repeat is a duplicate then.
    /// The connection ends, so that the receipt that comes late is nobody's.
    case refuseCommit
}

package struct IngestConnection: Sendable {
    package static let noDeadline = UInt64.max

    package private(set) var descriptor: Int32 = -1
    /// Counts the uses of the slot; part of every tag.
    package private(set) var generation: UInt32
    package private(set) var state = ConnectionState.free
    package private(set) var phase = RequestPhase.idle
    /// Monotonic milliseconds at which the phase has lasted too long.
    package private(set) var deadline = IngestConnection.noDeadline
    /// True exactly when a multishot receive is with the kernel.
    package private(set) var isReceiving = false
    /// True exactly when the receive was cancelled because too much waits; it is armed again when that was answered.
    package private(set) var isPaused = false
    /// True exactly from `send` to the completion.
    package private(set) var isSending = false
    /// The peer has sent its last byte.
    package private(set) var isPeerDone = false
    /// True exactly while the round's batch of signatures views the request's bytes.
    package private(set) var isInBatch = false
    /// True exactly while a worker may read the request's bytes.
    package private(set) var isWithWorker = false
    /// Close after the answer that is on its way.
    package private(set) var closesAfterReply = false
    /// Linger rather than close at once after the answer.
    private var lingersAfterReply = false
    private var hasContinued = false
    /// No request was answered on it yet.
    private var isFresh = true
    /// The request is complete and waits for the next batch.
    private var isParked = false
    /// Output that was written, and what of it the kernel has taken.
    package private(set) var outputCount = 0
    package private(set) var outputSent = 0

    package init(generation: UInt32 = 0) { self.generation = generation & Tag.generationMask }

    /// A request is between its last byte and the end of its answer.
    @inline(__always) package var isBusy: Bool { phase == .verifying || phase == .committing || phase == .answering }
    @inline(__always) package var isInFlight: Bool { isReceiving || isSending || isInBatch || isWithWorker }

    // MARK: the connection begins

    /// From `free`; false in any other state, nothing is changed then. A receive follows.
    package mutating func begin(descriptor: Int32, now: UInt64, _ limits: IngestLimits) -> Bool {
        guard state == .free else { return false }
        self = IngestConnection(generation: generation)
        self.descriptor = descriptor
        state = .open
        deadline = now + UInt64(limits.headMillisMax)
        return true
    }
    /// True when a receive may be armed, which it is then.
    package mutating func armReceive() -> Bool {
        guard state == .open || state == .lingering, !isReceiving, !isPaused, !isPeerDone else { return false }
        isReceiving = true
        return true
    }

    // MARK: receiving

    /// Bytes came; `hasMore` = the receive is still armed.
    package mutating func received(hasMore: Bool) -> IngestActions {
        guard !hasMore else { return .none }
        isReceiving = false
        return state == .closing ? finishClosing() : state == .free ? .none : .receive
    }
    /// What to do with them. O(1), and nothing changes.
    @inline(__always) package var intake: IngestIntake {
        guard state == .open else { return .drop }
        if isInBatch { return .waitForBatch }
        return isBusy ? .wait : .request
    }
    /// The receive ended without bytes: 0 = the peer sends no more, -errno. `hasInput`: bytes wait.
    package mutating func receiveEnded(_ result: Int32, hasInput: Bool) -> IngestActions {
        guard isReceiving else { return .none }
        isReceiving = false
        switch state {
        case .free: return .none
        case .closing: return finishClosing()
        case .open, .lingering: break
        }
        // Out of receive buffers: again, when some have come home.
        if result == -IngestConnection.noBuffers { return .receive }
        // The pause may have ended before its cancel arrived.
        if result == -IngestConnection.cancelled { return isPaused ? .none : .receive }
        return result == 0 && state == .open ? peerFinished(hasInput: hasInput) : close()
    }
    /// The peer has said that nothing more comes.
    package mutating func peerFinished(hasInput: Bool) -> IngestActions {
        guard state == .open else { return .none }
        isPeerDone = true
        // A half-closed peer still reads its answer (RFC 9112 §9.6). Pipelined requests that wait are answered too;
        // what is no whole request by then ends the connection.
        return isBusy || isParked || phase == .idle && hasInput ? .none : close()
    }
    private static let noBuffers: Int32 = 105
    private static let cancelled: Int32 = 125

    /// More waits behind a request that is being answered than may: the connection is not read until that is answered.
    package mutating func tooMuchWaits() -> IngestActions {
        guard state == .open, isBusy, isReceiving, !isPaused else { return .none }
        isPaused = true
        return .pause
    }

    // MARK: the request's way

    /// The first bytes of a head, or of a preamble, without the rest.
    package mutating func headBegan(now: UInt64, _ limits: IngestLimits) {
        guard state == .open, phase == .idle else { return }
        phase = .head
        deadline = now + UInt64(limits.headMillisMax)
    }
    /// A preamble's bytes: the time is the accept's, so that one that comes byte by byte does not extend it.
    package mutating func preambleBegan() {
        guard state == .open, phase == .idle else { return }
        phase = .head
    }
    /// What came was no head: a preamble, or empty lines.
    package mutating func headWithdrawn() {
        guard state == .open, phase == .head else { return }
        phase = .idle
    }
    /// `closes`: after this request's answer.
    package mutating func headCompleted(closes: Bool, now: UInt64, _ limits: IngestLimits) {
        guard state == .open, !isBusy else { return }
        phase = .body
        closesAfterReply = closes
        deadline = now + UInt64(limits.bodyMillisMax)
    }
    /// An interim answer may be sent: none was, and none other is on its way.
    package var mayContinue: Bool { state == .open && phase == .body && !hasContinued && !isSending }
    /// The request is complete, and the batch has no room for it.
    package mutating func parked() {
        precondition(state == .open && phase == .body)
        isParked = true
    }
    /// The request is complete and joins the round's batch.
    package mutating func joinedBatch(now: UInt64, _ limits: IngestLimits) {
        precondition(state == .open && (phase == .body || phase == .verifying) && !isInBatch)
        phase = .committing
        isInBatch = true
        isParked = false
        deadline = now + UInt64(limits.commitMillisMax)
    }
    /// The batch is settled and views nothing any more.
    package mutating func leftBatch() -> IngestActions {
        precondition(isInBatch)
        isInBatch = false
        return state == .closing ? finishClosing() : .none
    }
    /// The request is complete and a worker verifies it; for that time no deadline counts.
    package mutating func handedToWorker() {
        precondition(state == .open && phase == .body && !isWithWorker)
        phase = .verifying
        isWithWorker = true
        deadline = IngestConnection.noDeadline
    }
    /// The request is complete and was offered to the log outside a batch.
    package mutating func offered(now: UInt64, _ limits: IngestLimits) {
        precondition(state == .open && phase == .body && !isInBatch)
        phase = .committing
        isParked = false
        deadline = now + UInt64(limits.commitMillisMax)
    }
    /// The log knows the event already, and what is said of that is a worker's to find out.
    package mutating func handedAgain() {
        precondition(state == .open && phase == .committing && !isWithWorker)
        phase = .verifying
        isWithWorker = true
        deadline = IngestConnection.noDeadline
    }
    /// The verdict is back.
    package mutating func leftWorker() -> IngestActions {
        precondition(isWithWorker)
        isWithWorker = false
        return state == .closing ? finishClosing() : .none
    }
    /// After a reload the request is judged from its route on.
    package mutating func judgedAnew() {
        guard state == .open, phase == .verifying else { return }
        phase = .body
    }
    /// True when a receipt is this connection's to answer.
    @inline(__always) package var awaitsReceipt: Bool { state == .open && phase == .committing }

    // MARK: the answer

    /// This answer is the last; `lingers`: the peer may still be sending.
    package mutating func closeAfterReply(lingers: Bool) {
        closesAfterReply = true
        if lingers { lingersAfterReply = true }
    }
    /// An interim answer of `count` bytes is in the output.
    package mutating func interimWritten(_ count: Int) -> IngestActions {
        guard mayContinue else { return .none }
        hasContinued = true
        return output(count)
    }
    /// The request's answer of `count` bytes is in the output, behind what is there.
    package mutating func replyWritten(_ count: Int, now: UInt64, _ limits: IngestLimits) -> IngestActions {
        guard state == .open, phase != .answering else { return .none }
        phase = .answering
        deadline = now + UInt64(limits.sendMillisMax)
        return output(count)
    }
    /// The transport has `count` bytes of its own to send.
    package mutating func outputWritten(_ count: Int) -> IngestActions {
        state == .open || state == .lingering ? output(count) : .none
    }
    /// The transport is broken: what it has said of that is sent, then the connection ends.
    package mutating func transportFailed(now: UInt64, _ limits: IngestLimits) -> IngestActions {
        guard state == .open else { return .none }
        closesAfterReply = true
        guard isSending else { return close() }
        phase = .answering
        deadline = now + UInt64(limits.sendMillisMax)
        return .none
    }
    private mutating func output(_ count: Int) -> IngestActions {
        outputCount += count
        guard !isSending else { return .none }
        isSending = true
        return .send
    }
    /// `result` is the bytes sent or -errno.
    package mutating func sendCompleted(_ result: Int32) -> IngestActions {
        guard isSending else { return .none }
        isSending = false
        if state == .closing { return finishClosing() }
        guard result >= 0 else { return close() }
        outputSent += Int(result)
        if outputSent < outputCount {
            isSending = true
            return .send
        }
        outputCount = 0
        outputSent = 0
        return phase == .answering ? .answered : .none
    }
    /// A send that was asked for was not submitted, because the connection is closing.
    package mutating func sendWithdrawn() -> IngestActions {
        guard isSending, state == .closing else { return .none }
        isSending = false
        return finishClosing()
    }
    /// After `answered`: the next request, or the end. `hasInput`: bytes wait behind the answered request.
    package mutating func nextRequest(
        hasInput: Bool, isDraining: Bool, now: UInt64, _ limits: IngestLimits
    ) -> IngestActions {
        guard state == .open, phase == .answering else { return .none }
        if closesAfterReply {
            return lingersAfterReply && !isPeerDone ? linger(now, limits) : closeGently(now, limits)
        }
        phase = .idle
        hasContinued = false
        isParked = false
        isFresh = false
        deadline = now + UInt64(limits.idleMillisMax)
        var actions = IngestActions.none
        if isPaused {
            isPaused = false
            if !isReceiving { actions = .receive }
        }
        if hasInput { return actions.union(.ready) }
        return isPeerDone || isDraining ? closeGently(now, limits) : actions
    }

    // MARK: time and the end

    /// `isUnready`: nothing that HTTP could answer has begun, a preamble or a handshake is awaited.
    package mutating func deadlinePassed(now: UInt64, isUnready: Bool) -> IngestTimeout {
        guard now >= deadline else { return .none }
        deadline = IngestConnection.noDeadline
        switch state {
        // No deadline is set: a cancel always completes.
        case .free, .closing: return .none
        case .lingering: return .end(close())
        case .open: break
        }
        switch phase {
        // A worker's time is not the client's fault: no deadline is set.
        case .verifying: return .none
        case .idle, .answering: return .end(close())
        case .head, .body: return isUnready ? .end(close()) : .refuseRequest
        case .committing: return .refuseCommit
        }
    }
    /// Something runs short: true when the client has had a tenth of the time it may take for what it is at; the
    /// deadline has passed then. What waits for the gateway itself, or for its answer to be read, is not hurried.
    package mutating func hurry(now: UInt64, _ limits: IngestLimits) -> Bool {
        guard state == .open, !isParked else { return false }
        let wholeMillis: Int
        switch phase {
        case .idle: wholeMillis = isFresh ? limits.headMillisMax : limits.idleMillisMax
        case .head: wholeMillis = limits.headMillisMax
        case .body: wholeMillis = limits.bodyMillisMax
        case .verifying, .committing, .answering: return false
        }
        guard deadline <= now + UInt64(wholeMillis - wholeMillis / 10) else { return false }
        deadline = now
        return true
    }
    /// The loop drains: who waits for nothing is let go.
    package mutating func drain() -> IngestActions { state == .open && phase == .idle ? close() : .none }

    /// The last answer was sent and the peer may still be sending: half-close, so that it reads the answer and no reset
    /// overtakes it, then discard until it closes too.
    private mutating func linger(_ now: UInt64, _ limits: IngestLimits) -> IngestActions {
        state = .lingering
        isPaused = false
        deadline = now + UInt64(limits.lingerMillisMax)
        let ends = IngestActions.dropInput.union(.halfClose)
        return isReceiving ? ends : ends.union(.receive)
    }
    /// With bytes unread a close would reset the connection under its last answer; then it lingers.
    private mutating func closeGently(_ now: UInt64, _ limits: IngestLimits) -> IngestActions {
        isPeerDone || !isReceiving ? close() : linger(now, limits)
    }
    /// Marks, cancels what the kernel still has, and is free when everything has been given back.
    package mutating func close() -> IngestActions {
        guard state == .open || state == .lingering else { return .none }
        state = .closing
        deadline = IngestConnection.noDeadline
        if !isInFlight { return IngestActions.dropInput.union(.free) }
        return isReceiving || isSending ? .cancel : .none
    }
    /// In `closing`: something came home.
    private func finishClosing() -> IngestActions { isInFlight ? .none : IngestActions.dropInput.union(.free) }

    /// The loop has closed the descriptor, or handed it to the kernel to close.
    package mutating func freed() {
        precondition(state == .closing && !isInFlight)
        state = .free
        descriptor = -1
        generation = (generation &+ 1) & Tag.generationMask
    }
}
