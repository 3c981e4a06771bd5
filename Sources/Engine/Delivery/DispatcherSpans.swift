// What the dispatcher tells of deliveries for the sake of traces. Without traces it costs each place one look at a nil
// pointer.
//
// Invariant: an attempt is told before the row that it leads to, so that the delivery's end is known to be seen or not.

import FastPath

extension Dispatcher {
    /// Of an attempt that is about to be written; nil when it is not seen.
    func traced(_ event: StoredEvent, _ lane: Lane, attempts: UInt16, now: UInt64) -> AttemptTrace? {
        guard let spans else { return nil }
        return spans.began(event, at: lane.id, attempts: attempts, nanos: clock.wallNanos(at: now))
    }
    func tellAttempt(
        _ trace: AttemptTrace?, _ place: EventLocation, _ lane: Lane, attempts: UInt16, _ outcome: DeliveryOutcome,
        isDelivered: Bool, elsewhere: EndpointAddress? = nil, now: UInt64
    ) {
        guard let spans else { return }
        spans.ended(
            trace, place, at: lane.id, attempts: attempts, outcome, isDelivered: isDelivered, elsewhere: elsewhere,
            nanos: clock.wallNanos(at: now))
    }
    /// Of a row; one that is pending has not ended.
    func tellEnd(_ row: DeliveryRow, now: UInt64) {
        guard let spans else { return }
        let end: DeliverySpanFact.End
        switch row.state {
        case .pending: return
        case .delivered: end = .delivered
        case .dead: end = .dead(row.reason)
        case .superseded: end = .superseded
        }
        spans.settled(row.place, at: row.endpoint, end, attempts: row.attempts, nanos: clock.wallNanos(at: now))
    }
    func tellLostToShadow(_ lane: Lane, _ place: EventLocation, now: UInt64) {
        guard let spans else { return }
        spans.settled(place, at: lane.id, .lostToShadow, attempts: 1, nanos: clock.wallNanos(at: now))
    }
    /// The line of the endpoint's own wins over ours, and ours over what came.
    func traceLine(_ trace: AttemptTrace?, _ endpoint: CompiledEndpoint) -> [UInt8] {
        guard let trace, !TraceContext.isNamed(in: endpoint.fieldLines) else { return [] }
        return trace.line
    }
}
