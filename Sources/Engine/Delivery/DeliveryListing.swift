// Listing what became of deliveries, with what the log knows of their events. Read-only, any thread.

import FastPath

/// One delivery as an operator sees it.
package struct DeliveryRecord: Equatable, Sendable {
    package var row: DeliveryRow
    package var eventID: String
    /// Nil when the record has left the log.
    package var event: EventSummary?
}

package struct EventSummary: Equatable, Sendable {
    package var tenant: TenantID
    package var source: String
    package var type: String
    /// Wall clock, nanoseconds since 1970.
    package var receivedAt: UInt64
    package var bodyBytes: Int
}

/// A listing's filter over what only the log knows, beside the store's.
package struct EventFilterOfDeliveries: Sendable {
    package var tenant: TenantID?
    package var source: String?
    /// A pattern with `*`.
    package var type: String?
    /// Of what the store knows, but no index of it: of dead letters and pending deliveries.
    package var failureClass: DeadLetterClass?
    /// Of the last answer.
    package var statuses: ClosedRange<UInt16>?
    package init() {}
    var isEmpty: Bool { tenant == nil && source == nil && type == nil }
    func takes(_ row: DeliveryRow) -> Bool {
        if let statuses, !statuses.contains(row.status) { return false }
        return failureClass.map { !row.state.isFinished && DeadLetterClass(row) == $0 } ?? true
    }
}

extension DeliveryService {
    /// Newest event first. A call looks at a bounded number of rows; `next` says where to go on, nil at the end.
    package func deliveries(
        _ query: DeliveryQuery, events filter: EventFilterOfDeliveries = EventFilterOfDeliveries()
    ) throws -> (records: [DeliveryRecord], next: DeliveryCursor?) {
        let log = makeReader()
        let pattern = filter.type.map { TypePattern($0) }
        var query = query
        let wanted = query.limit
        var records: [DeliveryRecord] = []
        var looked = 0
        while true {
            let page = try store.rows(query)
            for row in page.rows {
                looked += 1
                guard filter.takes(row) else { continue }
                let record = record(row, log: log)
                if filter.isEmpty || DeliveryService.matches(record.event, filter, pattern) { records.append(record) }
                if records.count == wanted {
                    return (records, DeliveryCursor(sequence: row.place.sequence, endpoint: row.endpoint))
                }
            }
            guard let next = page.next else { return (records, nil) }
            if looked >= DeliveryService.rowsLookedAtMax { return (records, next) }
            query.before = next
        }
    }
    private static var rowsLookedAtMax: Int { 10_000 }

    private static func matches(
        _ event: EventSummary?, _ filter: EventFilterOfDeliveries, _ pattern: TypePattern?
    ) -> Bool {
        guard let event else { return false }
        if let tenant = filter.tenant, event.tenant != tenant { return false }
        if let source = filter.source, event.source != source { return false }
        return pattern?.matches(Array(event.type.utf8)) ?? true
    }
    /// One event at every endpoint that has met it.
    package func deliveries(of event: EventID) throws -> [DeliveryRecord] {
        let log = makeReader()
        return try store.rows(sequence: event.sequence).map { record($0, log: log) }
    }
    private func record(_ row: DeliveryRow, log: Log) -> DeliveryRecord {
        DeliveryRecord(
            row: row, eventID: EventID(logIdentity: log.identity, sequence: row.place.sequence).text,
            event: summary(of: row.place, log: log))
    }
    private func summary(of place: EventLocation, log: Log) -> EventSummary? {
        guard case .event(let event) = log.read(at: place), event.place.sequence == place.sequence else { return nil }
        return EventSummary(
            tenant: event.tenant, source: event.source.text, type: event.eventType.text, receivedAt: event.receivedAt,
            bodyBytes: event.body.count)
    }
}
