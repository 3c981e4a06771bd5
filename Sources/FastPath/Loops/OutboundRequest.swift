// What the dispatcher asks of the egress loop and what it hears back: the contract between Engine/Delivery and
// EgressThread. Both cross bounded single-producer single-consumer rings; both are trivially copyable.
//
// Safety: a request points to its destination's record, which its sender keeps until the outcome has come back.

/// One request to send. The memory behind the views, and the destination, belong to the dispatcher and stay untouched
/// until the outcome with the same token has come back, whatever that outcome is.
@safe package struct OutboundRequest: BitwiseCopyable {
    /// What of the answer's body is kept in `AnswerMemory`.
    package enum AnswerKeeping: UInt8, BitwiseCopyable, Sendable { case ofFailures, always }

    /// The dispatcher's slot and generation; opaque to the loop but for the slot, the place in `AnswerMemory`.
    package var token: UInt64
    /// The connection pool of the loop that the request goes through; whoever sends hands pools out.
    package var pool: UInt32
    /// Which of the destination's addresses.
    package var addressIndex: UInt8 = 0
    /// True exactly when another address is tried should this one take no connection.
    package var hasAlternative = false
    /// True exactly when no connection that has carried another request may be used.
    package var isFresh = false
    package var keeping = AnswerKeeping.ofFailures
    let destination: UnsafePointer<DestinationRecord>
    /// The `webhook-id` value, which is signed too.
    package var eventID: ByteView
    /// Complete field lines to send as they are, each with CRLF (the forwarded ones, `webhook-id`, `Content-Type`);
    /// without `Host`, `Content-Length`, `Connection`, and without time and signature unless the destination is signed
    /// ahead: those the loop writes.
    package var fieldLines: ByteView
    package var body: ByteView

    /// `destination` must outlive the request.
    package init(
        token: UInt64, pool: UInt32, destination: Destination, eventID: ByteView, fieldLines: ByteView, body: ByteView
    ) {
        unsafe self.init(
            token: token, pool: pool, record: destination.record, eventID: eventID, fieldLines: fieldLines, body: body)
    }
    /// Request line to `Content-Length: `, as it will be sent.
    package var prefix: ByteView { unsafe destination.pointee.prefix }
    /// Names nothing; a place that no request is in.
    static var blank: OutboundRequest {
        unsafe OutboundRequest(
            token: 0, pool: 0, record: UnsafePointer(bitPattern: MemoryLayout<DestinationRecord>.alignment)!,
            eventID: .empty, fieldLines: .empty, body: .empty)
    }
    init(
        token: UInt64, pool: UInt32, record: UnsafePointer<DestinationRecord>, eventID: ByteView, fieldLines: ByteView,
        body: ByteView
    ) {
        self.token = token
        self.pool = pool
        unsafe destination = record
        self.eventID = eventID
        self.fieldLines = fieldLines
        self.body = body
    }
}

package enum DeliveryResult: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    /// A final status came; `status` has it, whatever became of the rest of the answer.
    case answered
    case connectFailed, connectTimedOut, headTimedOut, totalTimedOut
    /// The peer closed or reset before a final status.
    case connectionLost
    /// What came was no HTTP: no status could be read.
    case badAnswer
    /// Interim answers passed their bound.
    case answerTooLarge
    /// The loop stopped (drain) before the attempt was made or answered; it counts as no attempt.
    case abandoned
    /// The host name did not resolve. Never the loop's: nothing was sent.
    case nameNotResolved
    /// The host name resolves to an address that deliveries may not go to. Never the loop's: nothing was sent.
    case addressRefused
    /// TLS did not come about, or was broken; `tlsFailure` says why.
    case tlsFailed
    /// The proxy made no tunnel; `systemError` has the status of its answer.
    case proxyRefused
    /// Its body cannot be made into what the endpoint is to get; `systemError` has the reason. Never the loop's:
    /// nothing was sent.
    case notPrepared
    /// There is no access token for its endpoint; `systemError` has the reason. Never the loop's: nothing was sent.
    case authorizationFailed
}

package struct DeliveryOutcome: Sendable, BitwiseCopyable {
    package var token: UInt64
    package var result: DeliveryResult
    /// True exactly when the attempt went over a connection that had carried an earlier one and got no answer of its
    /// own there: the connection died, brought bytes of the answer before, or said 408 because it had been idle.
    package var lostReusedConnection: Bool
    /// 101, or 200 to 999, when `result` is `answered`, else 0.
    package var status: UInt16
    /// Bytes of the answer's body in `AnswerMemory`.
    package var answerBytes: UInt16
    /// `Retry-After` in seconds (a date is turned into seconds by the loop), `UInt32.max` when there is none.
    package var retryAfterSeconds: UInt32
    /// errno of a failed connect, send or receive; the raw value of a `TLSFailure` when `result` is `tlsFailed`; the
    /// status of a proxy that refused; the reason when `result` is `notPrepared` or `authorizationFailed`; else 0.
    package var systemError: Int32
    /// From the order's arrival in the loop to the outcome, microseconds; the part until connected; and until the first
    /// byte.
    package var durationMicros: UInt32
    package var connectMicros: UInt32
    package var firstByteMicros: UInt32

    package var tlsFailure: TLSFailure { TLSFailure(result, systemError) }

    package init(token: UInt64, result: DeliveryResult) {
        self.token = token
        self.result = result
        status = 0
        answerBytes = 0
        lostReusedConnection = false
        retryAfterSeconds = .max
        systemError = 0
        durationMicros = 0
        connectMicros = 0
        firstByteMicros = 0
    }
}

extension TLSFailure {
    /// As an outcome, or a row that was made of one, has it.
    package init(_ result: DeliveryResult, _ systemError: Int32) {
        self = result == .tlsFailed ? TLSFailure(rawValue: UInt8(truncatingIfNeeded: systemError)) ?? .malformed : .none
    }
}
