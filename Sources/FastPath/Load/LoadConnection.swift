// One connection of the load loop as a passive state machine: given bytes or a completion and the time, it says what to
// do.
//
//     free → connecting → idle → busy → idle → …        any → closing → free
//
// Invariants: transitions are total; an exchange's result is reported exactly once, and only when no send of it is in
// flight, because the kernel reads its memory until then; the slot is freed only when nothing at all is in flight on
// it. If they fail: a request is counted twice or never, or torn.
// Safety: points into the slot's block, which its owner keeps for longer than the connection and never moves; received
// bytes are read (and a chunked body's framing removed in place) during the call only.

/// What became of a request, or of a connection that could not be obtained.
package enum LoadResult: UInt8, CaseIterable, Sendable {
    case answered, connectFailed, connectionLost, timedOut, badAnswer
    /// The run ended before its answer came.
    case abandoned
}

/// A request on its way. Times are monotonic nanoseconds.
package struct LoadExchange: Sendable {
    package var draw: LoadDraw
    package var intendedAt: UInt64
    package var sentAt: UInt64
    package var isMeasured: Bool

    package init(draw: LoadDraw, intendedAt: UInt64, sentAt: UInt64, isMeasured: Bool) {
        self.draw = draw
        self.intendedAt = intendedAt
        self.sentAt = sentAt
        self.isMeasured = isMeasured
    }
}

@safe struct LoadConnection {
    enum State: UInt8, CaseIterable { case free, connecting, idle, busy, closing }

    private(set) var state = State.free
    private(set) var generation: UInt32
    private(set) var descriptor: Int32 = -1
    /// When `deadlinePassed` is due; `.max` when nothing is. Of a free slot: when to connect again.
    var deadline = UInt64.max
    /// Valid from `assign` to the report.
    private(set) var exchange = LoadExchange(
        draw: LoadDraw(entry: 0, kind: .fresh, event: 0, seconds: 0), intendedAt: 0, sentAt: 0, isMeasured: false)
    private(set) var hasExchange = false
    private(set) var result = LoadResult.abandoned
    private(set) var endedAt: UInt64 = 0
    private(set) var systemError: Int32 = 0
    var request: LoadRequest
    private var answer: ResponseReader
    /// False until the present connect succeeded.
    private(set) var isConnected = false
    /// True exactly when an answer was complete on the present connection.
    private(set) var hasAnswered = false
    private var isConnectInFlight = false
    private var isSendInFlight = false
    private var isReceiveArmed = false
    /// True exactly when the answer is complete and may be followed by another request.
    private var isReusable = false
    /// True exactly when the result is known and waits for the send to come home.
    private var isDecided = false

    static func blockByteCount(_ limits: EgressLimits) -> Int {
        (LoadRequest.fixedByteCount + LoadRequest.roomByteCount + limits.answerHeadBytesMax + 63) & ~63
    }
    init(block: UnsafeMutablePointer<UInt8>, limits: EgressLimits, generation: UInt32 = 0) {
        request = unsafe LoadRequest(block: block)
        let room = unsafe block + LoadRequest.fixedByteCount + LoadRequest.roomByteCount
        answer = unsafe ResponseReader(room: room, limits: limits)
        self.generation = generation
    }
    var isInFlight: Bool { isConnectInFlight || isSendInFlight || isReceiveArmed }
    var status: UInt16 { answer.status }

    // MARK: beginnings

    /// From `free`: a connect is submitted.
    mutating func begin(descriptor: Int32, deadline: UInt64) {
        precondition(state == .free)
        generation = (generation &+ 1) & Tag.generationMask
        self.descriptor = descriptor
        self.deadline = deadline
        isConnectInFlight = true
        isConnected = false
        hasAnswered = false
        systemError = 0
        state = .connecting
    }
    /// From `idle`: the driver renders and sends.
    mutating func assign(_ exchange: LoadExchange, deadline: UInt64) {
        precondition(state == .idle && !hasExchange)
        self.exchange = exchange
        hasExchange = true
        isDecided = false
        isReusable = false
        isSendInFlight = true
        unsafe answer.reset()
        self.deadline = deadline
        state = .busy
    }

    // MARK: completions

    mutating func connectCompleted(_ result: Int32) -> EgressActions {
        guard isConnectInFlight else { return .none }
        isConnectInFlight = false
        guard state == .connecting else { return finishClosing() }
        guard result >= 0 else {
            systemError = -result
            return close()
        }
        isConnected = true
        isReceiveArmed = true
        state = .idle
        deadline = .max
        return EgressActions.receive.union(.park)
    }
    /// `result` is the bytes sent or -errno.
    mutating func sendCompleted(_ result: Int32, now: UInt64) -> EgressActions {
        guard isSendInFlight else { return .none }
        isSendInFlight = false
        guard state == .busy else { return finishClosing() }
        if result > 0, !request.advance(by: Int(result)) {
            // The peer has answered already: it will not read the rest as this request's.
            if isDecided { return close().union(.report) }
            isSendInFlight = true
            return .send
        }
        if result <= 0 {
            systemError = -result
            isReusable = false
            if isDecided { return close().union(.report) }
            // The peer may have answered before it closed: the receive says which.
            guard isReceiveArmed else { return fail(.connectionLost, now) }
            return .none
        }
        return isDecided ? finish() : .none
    }
    /// Safety: `bytes` has `count` of them for the call.
    mutating func received(
        _ bytes: UnsafeMutablePointer<UInt8>, count: Int, now: UInt64, fields: inout FieldTable, wallSeconds: UInt64
    ) -> EgressActions {
        switch state {
        case .busy:
            if isDecided {
                isReusable = false
                return .none
            }
            switch unsafe answer.feed(bytes, count: count, fields: &fields, wallSeconds: wallSeconds) {
            case .more: return .none
            case .complete(let isLastByte):
                isReusable = isLastByte && answer.keepsConnection && isReceiveArmed
                return decide(.answered, now)
            case .bodyUnread: return decide(.answered, now)
            case .headTooLarge, .malformed: return fail(.badAnswer, now)
            }
        // Nobody asked: the next answer's framing would be in doubt.
        case .idle: return EgressActions.unpark.union(close())
        case .free, .connecting, .closing: return .none
        }
    }
    mutating func receiveEnded(_ result: Int32, needsRearm: Bool, now: UInt64) -> EgressActions {
        guard isReceiveArmed else { return .none }
        isReceiveArmed = false
        switch state {
        case .idle, .busy:
            if needsRearm {
                isReceiveArmed = true
                return .receive
            }
            isReusable = false
            if state == .idle { return EgressActions.unpark.union(close()) }
            if isDecided { return .none }
            if result == 0, answer.endsWithConnection { return decide(.answered, now) }
            systemError = -result
            return fail(.connectionLost, now)
        case .closing: return finishClosing()
        case .free, .connecting: return .none
        }
    }

    // MARK: time and policy

    mutating func deadlinePassed(now: UInt64) -> EgressActions {
        guard now >= deadline else { return .none }
        switch state {
        case .connecting:
            systemError = 110
            return close()
        case .busy: return isDecided ? close() : fail(.timedOut, now)
        case .free, .idle, .closing: return .none
        }
    }
    /// The run is over.
    mutating func abandon(now: UInt64) -> EgressActions {
        switch state {
        case .busy: return isDecided ? close() : fail(.abandoned, now)
        case .idle: return EgressActions.unpark.union(close())
        case .connecting: return close()
        case .free, .closing: return .none
        }
    }
    mutating func freed() {
        precondition(state == .closing && !isInFlight && !hasExchange)
        state = .free
        descriptor = -1
        deadline = .max
    }
    mutating func reported() {
        precondition(hasExchange && !isSendInFlight)
        hasExchange = false
    }

    // MARK: ends

    private mutating func decide(_ result: LoadResult, _ now: UInt64) -> EgressActions {
        self.result = result
        endedAt = now
        isDecided = true
        hasAnswered = true
        return isSendInFlight ? .none : finish()
    }
    private mutating func finish() -> EgressActions {
        guard isReusable, isReceiveArmed else { return close().union(.report) }
        state = .idle
        deadline = .max
        return EgressActions.report.union(.park)
    }
    private mutating func fail(_ result: LoadResult, _ now: UInt64) -> EgressActions {
        self.result = result
        endedAt = now
        isDecided = true
        return close()
    }
    /// Into `closing`. The report waits for the send's completion, which the cancel brings.
    private mutating func close() -> EgressActions {
        state = .closing
        deadline = .max
        let end = finishClosing()
        return end == .none ? .cancel : end.contains(.free) ? end : end.union(.cancel)
    }
    private mutating func finishClosing() -> EgressActions {
        guard state == .closing else { return .none }
        let report: EgressActions = hasExchange && !isSendInFlight ? .report : .none
        return isInFlight ? report : report.union(.free)
    }
}
