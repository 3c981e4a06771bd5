// The dispatcher's side of traces: which attempts are seen, what line their requests carry, what is told of them. Used
// on the dispatcher's thread alone; an event is looked at once, however many endpoints want it.
//
// Invariant: what is remembered of an event is a function of the event, so that remembering it too long cannot be
// wrong.
import FastPath

package final class SpanRecorder {
    private let tracer: EventTracer
    private let feed: SpanFeed
    private var asked: (sequence: UInt64, context: TraceContext?) = (0, nil)
    /// The delivery whose attempt has ended last; its row follows.
    private var judged: (sequence: UInt64, endpoint: EndpointID, trace: AttemptTrace?)?
    private var committedEnd: UInt64 = 0

    package init(tracer: EventTracer, feed: SpanFeed) {
        self.tracer = tracer
        self.feed = feed
    }

    package func committed(end: UInt64, nanos: UInt64) {
        guard end != committedEnd else { return }
        committedEnd = end
        feed.note(CommitNote(end: end, nanos: nanos))
    }
    /// Of an attempt that begins; nil when its event is not seen.
    func began(_ event: StoredEvent, at endpoint: EndpointID, attempts: UInt16, nanos: UInt64) -> AttemptTrace? {
        let sequence = event.place.sequence
        if asked.sequence != sequence { asked = (sequence, tracer.context(event)) }
        guard let context = asked.context else { return nil }
        let identity = tracer.identity
        let isManual = AttemptCount.isManual(attempts)
        return AttemptTrace(
            context: context, span: identity.attempt(sequence, endpoint, nanos: nanos),
            delivery: isManual
                ? identity.manualDelivery(sequence, endpoint, nanos: nanos) : identity.delivery(sequence, endpoint),
            manualNanos: isManual ? nanos : 0)
    }
    /// Before its row is written. `attempts` are those before it.
    func ended(
        _ trace: AttemptTrace?, _ place: EventLocation, at endpoint: EndpointID, attempts: UInt16,
        _ outcome: DeliveryOutcome, isDelivered: Bool, elsewhere: EndpointAddress? = nil, nanos: UInt64
    ) {
        judged = (place.sequence, endpoint, trace)
        guard let trace else { return }
        feed.add(
            .attempt(
                AttemptSpanFact(
                    place: place, endpoint: endpoint, trace: trace, number: AttemptCount.number(of: attempts) + 1,
                    endedNanos: nanos, isDelivered: isDelivered, outcome: outcome, elsewhere: elsewhere)))
    }
    /// The delivery has ended.
    func settled(
        _ place: EventLocation, at endpoint: EndpointID, _ end: DeliverySpanFact.End, attempts: UInt16, nanos: UInt64
    ) {
        var fact = DeliverySpanFact(
            place: place, endpoint: endpoint, end: end, attempts: AttemptCount.number(of: attempts), endedNanos: nanos)
        if let judged, judged.sequence == place.sequence, judged.endpoint == endpoint {
            guard let trace = judged.trace else { return }
            fact.trace = trace
        }
        feed.add(.delivery(fact))
    }
}
