// Finished deliveries of one log in one slice, as SQL. Until the slice has its index by endpoint, a question about one
// endpoint reads rows of the others; where that could be long, `page` bounds it.

import FastPath
import GRDB

struct HistoryTable {
    let log: Int64
    let isIndexed: Bool
    var attempts: AttemptTable { AttemptTable("attempt", log: log) }

    func page(
        _ query: DeliveryQuery, lookedMax: Int = ListingQuery.lookedMax, _ db: Database
    ) throws -> ListingPage {
        var listing = ListingQuery("delivery", log: log, lookedMax: lookedMax)
        listing.state = .delivered
        if let endpoint = query.endpoint, isIndexed || query.failedOnly {
            listing.index = query.failedOnly ? "delivery_retried" : "delivery_by_endpoint"
            listing.look("endpoint = ?", [endpoint.number])
            if query.failedOnly { listing.look("attempts > 1") }
            listing.look(before: query.before, endpoint: endpoint)
        } else {
            listing.look(before: query.before, endpoint: nil)
            if let endpoint = query.endpoint { listing.keep("endpoint = ?", [endpoint.number]) }
            if query.failedOnly { listing.keep("attempts > 1") }
        }
        if !query.states.contains(.superseded) {
            listing.keep("result <> \(DeliveryColumns.supersededResult.rawValue)")
        } else if !query.states.contains(.delivered) {
            listing.keep("result = \(DeliveryColumns.supersededResult.rawValue)")
        }
        listing.keepUpdated(query.updated)
        return try listing.page(limit: query.limit, db)
    }
    /// In the order of their sequence.
    func rows(endpoint: EndpointID, from: UInt64, limit: Int, _ db: Database) throws -> [DeliveryRow] {
        let sql = """
            SELECT * FROM delivery \(byEndpoint)
            WHERE log = ? AND endpoint = ? AND sequence >= ? ORDER BY sequence LIMIT ?
            """
        return try Row.fetchAll(
            db, sql: sql, arguments: [log, endpoint.number, DeliveryColumns.stored(from), limit]
        ).map { try DeliveryColumns.delivery($0, state: .delivered) }
    }
    func sequences(endpoint: EndpointID, from: UInt64, _ db: Database) throws -> [UInt64] {
        let sql = "SELECT sequence FROM delivery \(byEndpoint) WHERE log = ? AND endpoint = ? AND sequence >= ?"
        return try Int64.fetchAll(db, sql: sql, arguments: [log, endpoint.number, DeliveryColumns.stored(from)])
            .map(UInt64.init(bitPattern:))
    }
    func rows(sequence: UInt64, _ db: Database) throws -> [DeliveryRow] {
        let find = try db.cachedStatement(sql: "SELECT * FROM delivery WHERE log = ? AND sequence = ?")
        return try Row.fetchAll(find, arguments: [log, DeliveryColumns.stored(sequence)]).map {
            try DeliveryColumns.delivery($0, state: .delivered)
        }
    }
    /// Those of `rows` that have a row here; `newer`: one that was written later than they were.
    func matching(_ rows: [DeliveryRow], newer: Bool = false, _ db: Database) throws -> [DeliveryRow] {
        guard !rows.isEmpty else { return [] }
        let find = try RawStatement(
            "SELECT 1 FROM delivery WHERE log = ? AND sequence = ? AND endpoint = ? AND updated > ?", db)
        find.bind(1, log)
        return try rows.filter { row in
            find.bind(2, DeliveryColumns.stored(row.place.sequence))
            find.bind(3, Int64(row.endpoint.number))
            find.bind(4, newer ? row.updatedMillis : .min)
            return try find.finds()
        }
    }

    /// Named, so that a question never falls back to a scan that nobody meant; without it the key is the order.
    private var byEndpoint: String { isIndexed ? "INDEXED BY delivery_by_endpoint" : "NOT INDEXED" }
}
