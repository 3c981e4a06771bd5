// How far behind an endpoint is, as a time. Reads the log: for worker threads.
extension DeliveryService {
    /// When the first committed event arrived that has not been read for the endpoint, wall clock in nanoseconds; nil
    /// when all have been, or when the log cannot say.
    package func firstUnread(_ status: LaneStatus) -> UInt64? {
        guard status.lagEvents > 0 else { return nil }
        let log = makeReader()
        let first = log.committedEnd.sequence - min(status.lagEvents, log.committedEnd.sequence - 1)
        guard case .event(let event) = log.read(at: EventLocation(sequence: first, position: 0)) else { return nil }
        return event.receivedAt
    }
}
