// What the dispatcher asks of the egress loop and what it hears back: the contract between Engine/Delivery and
// EgressLoop. Both cross bounded single-producer single-consumer rings; both are trivially copyable.

/// One attempt to make. The memory behind the views belongs to the dispatcher and stays untouched until the outcome
/// with the same token has come back, whatever that outcome is.
package struct DeliveryOrder: BitwiseCopyable {
    /// The dispatcher's slot and generation; opaque to the loop.
    package var token: UInt64
    /// Place in the `EgressEndpoint` table of the loop.
    package var endpoint: UInt32
    /// The `webhook-id` value, which is signed too.
    package var eventID: ByteView
    /// Complete field lines to send as they are, each with CRLF (the forwarded ones, `webhook-id`, `Content-Type`);
    /// without `Host`, `Content-Length`, `Connection`, `webhook-timestamp` and `webhook-signature`, which the loop
    /// writes.
    package var fieldLines: ByteView
    package var body: ByteView

    package init(token: UInt64, endpoint: UInt32, eventID: ByteView, fieldLines: ByteView, body: ByteView) {
        self.token = token
        self.endpoint = endpoint
        self.eventID = eventID
        self.fieldLines = fieldLines
        self.body = body
    }
}

package enum DeliveryResult: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    /// A complete final answer came; `status` has it.
    case answered
    case connectFailed, connectTimedOut, headTimedOut, totalTimedOut
    /// The peer closed or reset before a complete answer.
    case connectionLost
    /// The answer was no HTTP/1.1 or its framing was in doubt.
    case badAnswer
    /// The answer's head passed its bound.
    case answerTooLarge
    /// The loop stopped (drain) before the attempt was made or answered; it counts as no attempt.
    case abandoned
}

package struct DeliveryOutcome: Sendable, BitwiseCopyable {
    package var token: UInt64
    package var endpoint: UInt32
    package var result: DeliveryResult
    /// 100 to 599 when `result` is `answered`, else 0.
    package var status: UInt16
    /// True exactly when the attempt went over a connection that had carried an earlier one and died without a byte of
    /// answer.
    package var lostReusedConnection: Bool
    /// `Retry-After` in seconds (a date is turned into seconds by the loop), `UInt32.max` when there is none.
    package var retryAfterSeconds: UInt32
    /// errno of a failed connect, send or receive, else 0.
    package var systemError: Int32
    /// From the order's arrival in the loop to the outcome, microseconds; the part until connected; and until the first
    /// byte.
    package var durationMicros: UInt32
    package var connectMicros: UInt32
    package var firstByteMicros: UInt32

    package init(token: UInt64, endpoint: UInt32, result: DeliveryResult) {
        self.token = token
        self.endpoint = endpoint
        self.result = result
        status = 0
        lostReusedConnection = false
        retryAfterSeconds = .max
        systemError = 0
        durationMicros = 0
        connectMicros = 0
        firstByteMicros = 0
    }
}
