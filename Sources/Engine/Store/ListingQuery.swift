// One page out of one table of deliveries, newest event first. The rows that a call looks at are bounded by a LIMIT
// inside the query, conditions that no index answers stand outside of it, so that a filter which nothing matches does
// not read a whole file; the page then says where it stopped.

import GRDB

/// What one table gave: rows in the order of the listing, and where it stopped when it did not come to its end.
struct ListingPage {
    var rows: [DeliveryRow] = []
    /// Every row at or before this place (newer or the same) that matches is in `rows`. Nil = all that matches is.
    var end: DeliveryCursor?
}

struct ListingQuery {
    static let lookedMax = 50_000

    let table: String
    /// What narrows the look: equalities and ranges that `index` answers.
    var index: String?
    var inner: [String]
    var innerArguments: StatementArguments
    /// What is only seen on the row.
    var outer: [String] = []
    var outerArguments: StatementArguments = []
    var state: DeliveryState?
    let lookedMax: Int

    init(_ table: String, log: Int64, lookedMax: Int) {
        self.table = table
        self.lookedMax = lookedMax
        inner = ["log = ?"]
        innerArguments = [log]
    }

    mutating func look(_ condition: String, _ arguments: StatementArguments = []) {
        inner.append(condition)
        innerArguments += arguments
    }
    mutating func keep(_ condition: String, _ arguments: StatementArguments = []) {
        outer.append(condition)
        outerArguments += arguments
    }
    mutating func keepUpdated(_ range: Range<Int64>?) {
        if let range { keep("updated >= ? AND updated < ?", [range.lowerBound, range.upperBound]) }
    }
    /// Rows strictly behind `cursor`; `endpoint` is given when an index of that endpoint's rows is used.
    mutating func look(before cursor: DeliveryCursor?, endpoint: EndpointID?) {
        guard let cursor else { return }
        let sequence = DeliveryColumns.stored(cursor.sequence)
        if let endpoint {
            look(endpoint < cursor.endpoint ? "sequence <= ?" : "sequence < ?", [sequence])
        } else {
            look("(sequence, endpoint) < (?, ?)", [sequence, cursor.endpoint.number])
        }
    }

    func page(limit: Int, _ db: Database) throws -> ListingPage {
        let bound = outer.isEmpty ? limit : max(lookedMax, limit)
        let source = """
            FROM \(table) \(index.map { "INDEXED BY \($0)" } ?? "") WHERE \(inner.joined(separator: " AND "))
            ORDER BY sequence DESC, endpoint DESC
            """
        let looked = "SELECT * \(source) LIMIT \(bound)"
        let sql =
            outer.isEmpty
            ? looked : "SELECT * FROM (\(looked)) WHERE \(outer.joined(separator: " AND ")) LIMIT \(limit)"
        let rows = try Row.fetchAll(db, sql: sql, arguments: innerArguments + outerArguments)
        var page = ListingPage(rows: try rows.map { try DeliveryColumns.delivery($0, state: state) })
        if let last = page.rows.last, page.rows.count >= limit {
            page.end = DeliveryCursor(sequence: last.place.sequence, endpoint: last.endpoint)
        } else if !outer.isEmpty {
            let sql = "SELECT sequence, endpoint \(source) LIMIT 1 OFFSET \(bound - 1)"
            page.end = try Row.fetchOne(db, sql: sql, arguments: innerArguments).map { row in
                let sequence: Int64 = row["sequence"]
                return DeliveryCursor(sequence: UInt64(bitPattern: sequence), endpoint: EndpointID(row["endpoint"]))
            }
        }
        return page
    }
}
