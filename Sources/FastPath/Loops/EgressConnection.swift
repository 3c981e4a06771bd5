// One outbound connection as a passive state machine: it is given bytes or a completion and the time, and says what to
// do.
//
//     free → connecting → sending → awaitingHead → readingBody → idle → sending …        any → closing → free
//
// Invariants: transitions are total, each method handles every state; an order's outcome is reported exactly once; it
// is reported only when no send is in flight, because the kernel reads the order's memory until then; the descriptor is
// closed and the slot freed only when nothing at all is in flight on it (mark, cancel, join, close). A connection is
// reused only when the answer ended exactly where its framing said, with not a byte behind it. If they fail: an event
// is lost or sent twice without a word, another order's bytes go out under this one's signature, or one endpoint reads
// another's answer.
//
// Safety: points into the slot's block, which its owner keeps for longer than the connection and never moves; received
// bytes are read (and a chunked body's framing removed in place) during the call only.

package enum EgressState: UInt8, CaseIterable, Sendable {
    case free, connecting, idle, sending, awaitingHead, readingBody, closing
}

/// What the driver must do, in the order of the constants. No `OptionSet`: its generic defaults may allocate metadata.
package struct EgressActions: Equatable, Sendable {
    package let rawValue: UInt16

    @inline(__always) private init(rawValue: UInt16) { self.rawValue = rawValue }
    @inline(__always) package func contains(_ other: EgressActions) -> Bool {
        rawValue & other.rawValue == other.rawValue
    }
    @inline(__always) package func union(_ other: EgressActions) -> EgressActions {
        EgressActions(rawValue: rawValue | other.rawValue)
    }
    @inline(__always) package static func == (left: EgressActions, right: EgressActions) -> Bool {
        left.rawValue == right.rawValue
    }
    package static var none: EgressActions { EgressActions(rawValue: 0) }
    /// `outcome` is final, and the order's memory is nobody's here any more.
    package static var report: EgressActions { EgressActions(rawValue: 1) }
    /// Leave the idle list: an idle connection closes.
    package static var unpark: EgressActions { EgressActions(rawValue: 2) }
    /// Render `order` into the message; a send follows.
    package static var write: EgressActions { EgressActions(rawValue: 4) }
    /// Submit (the rest of) the message.
    package static var send: EgressActions { EgressActions(rawValue: 8) }
    /// Arm the multishot receive.
    package static var receive: EgressActions { EgressActions(rawValue: 16) }
    /// Idle and good for another order: into the idle list.
    package static var park: EgressActions { EgressActions(rawValue: 32) }
    /// Leave the pool: no order will go over it any more.
    package static var leave: EgressActions { EgressActions(rawValue: 64) }
    /// Cancel everything in flight; each completion still comes.
    package static var cancel: EgressActions { EgressActions(rawValue: 128) }
    /// Nothing is in flight: close the descriptor, free the slot.
    package static var free: EgressActions { EgressActions(rawValue: 256) }
}

/// When an attempt's time is over, on the monotonic clock in nanoseconds, and how long the answer's head may take.
package struct EgressDeadlines: Sendable {
    package var connect: UInt64
    package var total: UInt64
    package var headNanos: UInt64
    package var idleNanos: UInt64

    package init(connect: UInt64, total: UInt64, headNanos: UInt64, idleNanos: UInt64) {
        self.connect = connect
        self.total = total
        self.headNanos = headNanos
        self.idleNanos = idleNanos
    }
}

@safe package struct EgressConnection {
    package private(set) var state = EgressState.free
    /// Counts the uses of the slot; part of every tag.
    package private(set) var generation: UInt32
    package private(set) var descriptor: Int32 = -1
    /// The pool that it belongs to, and the destination key that it was made for.
    package private(set) var pool: UInt32 = 0
    package private(set) var key: UInt64 = 0
    /// When `deadlinePassed` is due; `.max` when nothing is.
    package private(set) var deadline = UInt64.max
    package private(set) var outcome = DeliveryOutcome(token: 0, result: .abandoned)
    /// True exactly while an order was given whose outcome is not reported.
    package private(set) var hasOrder = false
    /// Valid while `hasOrder`.
    package private(set) var order = OutboundRequest.blank
    package var message: OutboundMessage
    private var answer: ResponseReader
    private var deadlines = EgressDeadlines(connect: 0, total: 0, headNanos: 0, idleNanos: 0)
    private var arrivedAt: UInt64 = 0
    /// Orders answered over this connection.
    private var servedCount: UInt32 = 0
    private var isConnectInFlight = false
    private var isSendInFlight = false
    private var isReceiveArmed = false
    /// True exactly when the connection must not be used again: its endpoint changed, or its send failed.
    private var isLast = false

    /// The slot's memory that the kernel and the answer's head use, a whole number of cache lines.
    package static func blockByteCount(_ limits: EgressLimits) -> Int {
        (OutboundMessage.fixedByteCount + limits.requestHeadBytesMax + limits.answerHeadBytesMax + 63) & ~63
    }
    /// `generation` is the one before the first use; tests start near the wrap. Safety: `block` has `blockByteCount`
    /// bytes, zeroed and aligned to 64, that outlive the connection and do not move.
    package init(block: UnsafeMutablePointer<UInt8>, limits: EgressLimits, generation: UInt32 = 0) {
        message = unsafe OutboundMessage(block: block, headCapacity: limits.requestHeadBytesMax)
        let room = unsafe block + OutboundMessage.fixedByteCount + limits.requestHeadBytesMax
        answer = unsafe ResponseReader(room: room, limits: limits)
        self.generation = generation
    }
    package var isInFlight: Bool { isConnectInFlight || isSendInFlight || isReceiveArmed }
    package var isReused: Bool { servedCount > 0 }

    // MARK: an order comes

    /// From `free`: a connect is submitted. False in any other state, nothing is changed then.
    package mutating func begin(
        _ order: OutboundRequest, arrivedAt: UInt64, descriptor: Int32, deadlines: EgressDeadlines,
        answerRoom: UnsafeMutablePointer<UInt8>? = nil
    ) -> Bool {
        guard state == .free else { return false }
        generation = (generation &+ 1) & Tag.generationMask
        self.descriptor = descriptor
        pool = order.pool
        key = unsafe order.destination.pointee.key
        servedCount = 0
        isConnectInFlight = true
        isLast = false
        unsafe accept(order, arrivedAt, deadlines, answerRoom)
        deadline = min(deadlines.connect, deadlines.total)
        state = .connecting
        return true
    }
    /// From `idle`: write and send. Empty in any other state, nothing is changed then.
    package mutating func assign(
        _ order: OutboundRequest, arrivedAt: UInt64, deadlines: EgressDeadlines,
        answerRoom: UnsafeMutablePointer<UInt8>? = nil
    ) -> EgressActions {
        guard state == .idle else { return .none }
        unsafe accept(order, arrivedAt, deadlines, answerRoom)
        return beginSend()
    }
    private mutating func accept(
        _ order: OutboundRequest, _ arrivedAt: UInt64, _ deadlines: EgressDeadlines,
        _ answerRoom: UnsafeMutablePointer<UInt8>?
    ) {
        precondition(!hasOrder)
        outcome = DeliveryOutcome(token: order.token, result: .abandoned)
        hasOrder = true
        self.order = order
        self.arrivedAt = arrivedAt
        self.deadlines = deadlines
        unsafe answer.reset(keepingIn: answerRoom, always: order.keeping == .always)
    }
    private mutating func beginSend() -> EgressActions {
        state = .sending
        deadline = deadlines.total
        isSendInFlight = true
        return EgressActions.write.union(.send)
    }

    // MARK: completions

    /// `result` is 0, or -errno, or for another `kind` of failure than the system's its negated code. A connection
    /// through a proxy or over TLS is connected when the tunnel and the handshake are done.
    package mutating func connectCompleted(
        _ result: Int32, as kind: DeliveryResult = .connectFailed, now: UInt64
    ) -> EgressActions {
        guard isConnectInFlight else { return .none }
        isConnectInFlight = false
        switch state {
        case .connecting:
            outcome.connectMicros = EgressConnection.micros(arrivedAt, now)
            guard result >= 0 else { return fail(kind, errno: -result, now) }
            isReceiveArmed = true
            return beginSend().union(.receive)
        case .closing: return finishClosing()
        // A connect is in flight in no other state.
        case .free, .idle, .sending, .awaitingHead, .readingBody: return .none
        }
    }
    /// `result` is the bytes sent or -errno.
    package mutating func sendCompleted(_ result: Int32, now: UInt64) -> EgressActions {
        guard isSendInFlight else { return .none }
        isSendInFlight = false
        switch state {
        case .sending:
            if result <= 0 {
                // The peer may have answered before it closed (413 while we sent on): the receive says which.
                outcome.systemError = -result
                isLast = true
                guard isReceiveArmed else { return fail(.connectionLost, errno: -result, now) }
            } else if !message.advance(by: Int(result)) {
                isSendInFlight = true
                return .send
            }
            state = answer.hasHead ? .readingBody : .awaitingHead
            let headDeadline = EgressConnection.sum(now, deadlines.headNanos)
            deadline = answer.hasHead ? deadlines.total : min(headDeadline, deadlines.total)
            return .none
        case .closing: return finishClosing()
        // A send is in flight in no other state.
        case .free, .connecting, .idle, .awaitingHead, .readingBody: return .none
        }
    }
    /// Bytes came. Safety: `bytes` has `count` of them for the call; a chunked body's framing is removed in place.
    package mutating func received(
        _ bytes: UnsafeMutablePointer<UInt8>, count: Int, now: UInt64, fields: inout FieldTable, wallSeconds: UInt64
    ) -> EgressActions {
        switch state {
        case .sending, .awaitingHead, .readingBody:
            if answer.isUntouched { outcome.firstByteMicros = EgressConnection.micros(arrivedAt, now) }
            let progress = unsafe answer.feed(bytes, count: count, fields: &fields, wallSeconds: wallSeconds)
            return proceed(progress, now)
        // Nobody asked: whatever it is, the next answer's framing would be in doubt.
        case .idle: return EgressActions.unpark.union(close())
        // In `closing` bytes are dropped; in the others none can come.
        case .free, .connecting, .closing: return .none
        }
    }
    /// The multishot receive ended: 0 = the peer sends no more, -errno; `needsRearm` when it ended for lack of buffers
    /// or for a reason of the kernel's own while the connection lives. `kind` and `result` as above.
    package mutating func receiveEnded(
        _ result: Int32, needsRearm: Bool, as kind: DeliveryResult = .connectionLost, now: UInt64
    ) -> EgressActions {
        guard isReceiveArmed else { return .none }
        isReceiveArmed = false
        switch state {
        case .idle, .sending, .awaitingHead, .readingBody:
            if needsRearm {
                isReceiveArmed = true
                return .receive
            }
            if state == .idle { return EgressActions.unpark.union(close()) }
            return settled(now) ?? fail(kind, errno: -result, now)
        case .closing: return finishClosing()
        // A receive is armed in no other state.
        case .free, .connecting: return .none
        }
    }

    // MARK: time and policy

    package mutating func deadlinePassed(now: UInt64) -> EgressActions {
        guard now >= deadline else { return .none }
        let isTotal = now >= deadlines.total
        switch state {
        case .connecting: return fail(isTotal ? .totalTimedOut : .connectTimedOut, errno: 0, now)
        case .sending, .readingBody: return settled(now) ?? fail(.totalTimedOut, errno: 0, now)
        case .awaitingHead: return settled(now) ?? fail(isTotal ? .totalTimedOut : .headTimedOut, errno: 0, now)
        case .idle: return EgressActions.unpark.union(close())
        // No deadline is set: a cancel always completes.
        case .free, .closing: return .none
        }
    }
    /// The loop stops: what is not answered for becomes `abandoned`.
    package mutating func abandon(now: UInt64) -> EgressActions {
        switch state {
        case .connecting: return fail(.abandoned, errno: 0, now)
        case .sending, .awaitingHead, .readingBody: return settled(now) ?? fail(.abandoned, errno: 0, now)
        case .idle: return EgressActions.unpark.union(close())
        case .free, .closing: return .none
        }
    }
    /// The endpoint moved or the slot is needed: an idle connection closes now, a busy one after its order; what is not
    /// yet sent to the old place is not sent there any more.
    package mutating func retire(now: UInt64) -> EgressActions {
        switch state {
        case .idle: return EgressActions.unpark.union(close())
        case .connecting: return fail(.abandoned, errno: 0, now)
        case .sending, .awaitingHead, .readingBody:
            isLast = true
            return .none
        case .free, .closing: return .none
        }
    }
    /// The driver has closed the descriptor, or handed it to the kernel to close.
    package mutating func freed() {
        precondition(state == .closing && !isInFlight && !hasOrder)
        state = .free
        descriptor = -1
    }
    /// The driver has taken `outcome`.
    package mutating func reported() {
        precondition(hasOrder && !isSendInFlight)
        hasOrder = false
    }

    // MARK: ends

    private mutating func proceed(_ progress: AnswerProgress, _ now: UInt64) -> EgressActions {
        switch progress {
        case .more:
            if state == .awaitingHead, answer.hasHead {
                state = .readingBody
                deadline = deadlines.total
            }
            return .none
        case .complete(let isLastByte):
            // An answer before its request was sent whole is an answer, but nobody knows what the peer does with the
            // rest.
            let isReusable = isLastByte && answer.keepsConnection && state != .sending && !isLast && isReceiveArmed
            let report = answered(now)
            guard isReusable else { return report.union(close()) }
            servedCount &+= 1
            state = .idle
            deadline = EgressConnection.sum(now, deadlines.idleNanos)
            return report.union(.park)
        case .bodyUnread: return answered(now).union(close())
        case .headTooLarge: return fail(.answerTooLarge, errno: 0, now)
        case .malformed: return fail(.badAnswer, errno: 0, now)
        }
    }
    /// The end of an answer that is not complete, by whatever ended it; nil when no final status was read.
    private mutating func settled(_ now: UInt64) -> EgressActions? {
        guard answer.settle() else { return nil }
        return answered(now).union(close())
    }
    private mutating func answered(_ now: UInt64) -> EgressActions {
        outcome.result = .answered
        // A server that gives up on an idle connection says so in the way of our request (RFC 9110 §15.5.9).
        outcome.lostReusedConnection = answer.status == 408 && isReused
        outcome.status = answer.status
        outcome.retryAfterSeconds = answer.retryAfterSeconds
        outcome.systemError = 0
        outcome.answerBytes = answer.keptCount
        outcome.durationMicros = EgressConnection.micros(arrivedAt, now)
        return isSendInFlight ? .none : .report
    }
    private mutating func fail(_ result: DeliveryResult, errno: Int32, _ now: UInt64) -> EgressActions {
        outcome.result = result
        if errno != 0 { outcome.systemError = errno }
        outcome.answerBytes = answer.keptCount
        outcome.durationMicros = EgressConnection.micros(arrivedAt, now)
        // Bytes that begin no answer came late: the body of an answer that may not have one.
        let isStale = result == .badAnswer ? !answer.hasInterim : result == .connectionLost && answer.isUntouched
        outcome.lostReusedConnection = isReused && isStale
        return close()
    }
    private mutating func close() -> EgressActions {
        state = .closing
        deadline = .max
        let report: EgressActions = hasOrder && !isSendInFlight ? .report : .none
        return report.union(.leave).union(isInFlight ? .cancel : .free)
    }
    /// In `closing`: something came home.
    private func finishClosing() -> EgressActions {
        let report: EgressActions = hasOrder && !isSendInFlight ? .report : .none
        return isInFlight ? report : report.union(.free)
    }
    @inline(__always) private static func micros(_ from: UInt64, _ to: UInt64) -> UInt32 {
        to > from ? UInt32(min((to - from) / 1000, UInt64(UInt32.max))) : 0
    }
    @inline(__always) private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, isOver) = left.addingReportingOverflow(right)
        return isOver ? .max : sum
    }
}
