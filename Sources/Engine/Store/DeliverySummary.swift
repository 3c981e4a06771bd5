// Deliveries of some endpoints whose last attempt ended in a time, counted: out of what is open and out of history.
//
// A delivery that was finished and is sent again counts in both until it is finished again, and one that is just moving
// into history may.

import FastPath
import GRDB

package struct DeliverySummary: Equatable, Sendable {
    package var delivered = 0
    package var pending = 0
    package var dead = 0
    package var superseded = 0
    /// Of all of them.
    package var attempts = 0
    /// When the last one ended; 0 = there was none.
    package var lastMillis: Int64 = 0

    package init(delivered: Int = 0, pending: Int = 0, dead: Int = 0, attempts: Int = 0, lastMillis: Int64 = 0) {
        self.delivered = delivered
        self.pending = pending
        self.dead = dead
        self.attempts = attempts
        self.lastMillis = lastMillis
    }
    package mutating func add(_ other: DeliverySummary) {
        delivered += other.delivered
        pending += other.pending
        dead += other.dead
        superseded += other.superseded
        attempts += other.attempts
        lastMillis = max(lastMillis, other.lastMillis)
    }
    package mutating func add(_ row: DeliveryRow) {
        add(row.state, count: 1, attempts: AttemptCount.number(of: row.attempts), lastMillis: row.updatedMillis)
    }
    mutating func add(_ state: DeliveryState, count: Int, attempts more: Int, lastMillis last: Int64) {
        switch state {
        case .delivered: delivered += count
        case .pending: pending += count
        case .dead: dead += count
        case .superseded: superseded += count
        }
        attempts += more
        // One that waits for its first attempt has a row, but no attempt.
        if more > 0 { lastMillis = max(lastMillis, last) }
    }
}

/// The question, as SQL over one table.
struct SummaryQuery {
    /// Beyond so many endpoints the table is read as it stands, and what is another's is left out.
    private static let endpointCountMax = 100
    let endpoints: Set<EndpointID>
    let updated: Range<Int64>

    /// `index` begins with the log and the endpoint; `state` is what the table holds when it has no such column.
    func add(
        _ table: String, log: Int64, index: String?, state known: DeliveryState? = nil,
        to found: inout [EndpointID: DeliverySummary], _ db: Database
    ) throws {
        let few = index != nil && endpoints.count <= SummaryQuery.endpointCountMax
        let numbers = endpoints.map { "\($0.number)" }.sorted().joined(separator: ", ")
        let superseded = """
            CASE result WHEN \(DeliveryColumns.supersededResult.rawValue) THEN \(DeliveryState.superseded.rawValue)
            """
        let state = known.map { "\(superseded) ELSE \($0.rawValue) END" } ?? "state"
        let sql = """
            SELECT endpoint, \(state) AS kind, count(*) AS number, max(updated) AS last,
                total(attempts & \(AttemptCount.numberMask)) AS attempts
            FROM \(table) \(few ? "INDEXED BY \(index ?? "")" : "NOT INDEXED")
            WHERE log = ? \(few ? "AND endpoint IN (\(numbers))" : "") AND updated >= ? AND updated < ?
            GROUP BY endpoint, kind
            """
        for row in try Row.fetchAll(db, sql: sql, arguments: [log, updated.lowerBound, updated.upperBound]) {
            let endpoint = EndpointID(row["endpoint"])
            guard endpoints.contains(endpoint), let state = DeliveryState(rawValue: row["kind"]) else { continue }
            found[endpoint, default: DeliverySummary()].add(
                state, count: row["number"], attempts: Int(row["attempts"] as Double), lastMillis: row["last"])
        }
    }
}

extension DeliveryReader {
    func summaries(
        of endpoints: Set<EndpointID>, updated: Range<Int64>, each: () throws -> Void
    ) throws -> [EndpointID: DeliverySummary] {
        guard !endpoints.isEmpty, !updated.isEmpty else { return [:] }
        let query = SummaryQuery(endpoints: endpoints, updated: updated)
        var found: [EndpointID: DeliverySummary] = [:]
        try database.read { db in
            try query.add("open_delivery", log: open.log, index: "open_by_endpoint", to: &found, db)
        }
        for slice in history.slices(of: identity, in: 0 ... .max) {
            guard let span = slice.span(identity), updated.overlaps(span.updated) else { continue }
            try each()
            let more = try history.read(slice, identity) { table, db in
                var more: [EndpointID: DeliverySummary] = [:]
                try query.add(
                    "delivery", log: table.log, index: table.isIndexed ? "delivery_by_endpoint" : nil,
                    state: .delivered, to: &more, db)
                return more
            }
            for (endpoint, summary) in more ?? [:] { found[endpoint, default: DeliverySummary()].add(summary) }
        }
        return found
    }
}
