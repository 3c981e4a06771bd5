// What the dispatcher tells of deliveries whose traces are seen: values, so that spans are made of them elsewhere.
import FastPath

/// An attempt that is out, as its slot keeps it.
package struct AttemptTrace: Equatable, Sendable {
    package var context: TraceContext
    package var span: UInt64
    package var delivery: UInt64
    /// Wall clock, nanoseconds; of a delivery that was asked for by hand, which begins with its attempt. Else 0: it
    /// begins with its event.
    package var manualNanos: UInt64 = 0

    package init(context: TraceContext, span: UInt64, delivery: UInt64, manualNanos: UInt64 = 0) {
        self.context = context
        self.span = span
        self.delivery = delivery
        self.manualNanos = manualNanos
    }
    package var line: [UInt8] { context.line(span: span) }
}

package struct AttemptSpanFact: Sendable {
    package var place: EventLocation
    package var endpoint: EndpointID
    package var trace: AttemptTrace
    /// As people count, 1 for the first.
    package var number: Int
    /// Wall clock, nanoseconds.
    package var endedNanos: UInt64
    package var isDelivered: Bool
    package var outcome: DeliveryOutcome
    /// The endpoint's second URL, where it went there.
    package var elsewhere: EndpointAddress?

    package init(
        place: EventLocation, endpoint: EndpointID, trace: AttemptTrace, number: Int, endedNanos: UInt64,
        isDelivered: Bool, outcome: DeliveryOutcome, elsewhere: EndpointAddress? = nil
    ) {
        self.place = place
        self.endpoint = endpoint
        self.trace = trace
        self.number = number
        self.endedNanos = endedNanos
        self.isDelivered = isDelivered
        self.outcome = outcome
        self.elsewhere = elsewhere
    }
}

package struct DeliverySpanFact: Sendable {
    package enum End: Equatable, Sendable {
        case delivered
        case dead(DeadLetterReason?)
        /// By a newer event of its key.
        case superseded
        /// A shadow's, which is tried once and has no row.
        case lostToShadow
    }
    package var place: EventLocation
    package var endpoint: EndpointID
    /// Nil where the dispatcher has not looked at the event: the log says whether it is seen.
    package var trace: AttemptTrace?
    package var end: End
    package var attempts: Int
    /// Wall clock, nanoseconds.
    package var endedNanos: UInt64

    package init(
        place: EventLocation, endpoint: EndpointID, trace: AttemptTrace? = nil, end: End, attempts: Int,
        endedNanos: UInt64
    ) {
        self.place = place
        self.endpoint = endpoint
        self.trace = trace
        self.end = end
        self.attempts = attempts
        self.endedNanos = endedNanos
    }
}

package enum SpanFact: Sendable {
    case attempt(AttemptSpanFact)
    case delivery(DeliverySpanFact)
}

/// That everything before `end` is on disk was seen at `nanos` (wall clock).
package struct CommitNote: Equatable, Sendable {
    package var end: UInt64
    package var nanos: UInt64

    package init(end: UInt64, nanos: UInt64) {
        self.end = end
        self.nanos = nanos
    }
}
