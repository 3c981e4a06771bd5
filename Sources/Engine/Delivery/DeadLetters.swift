// Listing what became of deliveries: dead letters above all, with what the log knows of their events. Read-only, any
// thread.

import FastPath

/// One delivery as an operator sees it.
package struct DeliveryRecord: Equatable, Sendable {
    package var endpoint: String
    package var eventID: String
    package var sequence: UInt64
    package var state: DeliveryState
    package var attempts: Int
    /// Of the last answer, nil when there was none.
    package var status: Int?
    package var result: DeliveryResult
    package var reason: DeadLetterReason?
    /// Milliseconds since 1970; only when pending.
    package var dueMillis: Int64?
    package var updatedMillis: Int64
    /// Nil when the record has left the log.
    package var event: EventSummary?
}

package struct EventSummary: Equatable, Sendable {
    package var source: String
    package var type: String
    /// Wall clock, nanoseconds since 1970.
    package var receivedAt: UInt64
    package var bodyBytes: Int
}

extension DeliveryService {
    /// Dead letters of one endpoint in the order of their events, from sequence `from` on.
    package func deadLetters(endpoint: String, from: UInt64 = 0, limit: Int = 100) throws -> [DeliveryRecord] {
        try deliveries(endpoint: endpoint, states: [.dead], from: from, limit: limit)
    }
    package func deliveries(
        endpoint: String, states: [DeliveryState], from: UInt64 = 0, limit: Int = 100
    ) throws -> [DeliveryRecord] {
        var query = DeliveryQuery(endpoint: try number(of: endpoint), states: states)
        query.from = from
        query.limit = limit
        return try describe(try store.rows(query))
    }
    /// One event at every endpoint that has met it.
    package func deliveries(of event: EventID) throws -> [DeliveryRecord] {
        try describe(try store.rows(sequence: event.sequence))
    }
    package func counts(endpoint: String) throws -> DeliveryCounts {
        try store.counts(endpoint: try number(of: endpoint))
    }

    private func describe(_ rows: [DeliveryRow]) throws -> [DeliveryRecord] {
        let log = makeReader()
        var names: [Int: String] = [:]
        for endpoint in try store.endpoints() { names[endpoint.number] = endpoint.name }
        return rows.map { row in
            DeliveryRecord(
                endpoint: names[row.endpoint] ?? "",
                eventID: EventID(logIdentity: log.identity, sequence: row.place.sequence).text,
                sequence: row.place.sequence, state: row.state, attempts: Int(row.attempts),
                status: row.status == 0 ? nil : Int(row.status), result: row.result, reason: row.reason,
                dueMillis: row.state == .pending ? row.dueMillis : nil, updatedMillis: row.updatedMillis,
                event: summary(of: row.place, log: log))
        }
    }
    private func summary(of place: EventPlace, log: Log) -> EventSummary? {
        guard case .event(let event) = log.read(at: place), event.place.sequence == place.sequence else { return nil }
        return EventSummary(
            source: event.source.text, type: event.eventType.text, receivedAt: event.receivedAt,
            bodyBytes: event.body.count)
    }
}
