// Open deliveries of one log in store.sqlite, as SQL: pending ones and dead letters with their attempts, marks, states.
// Every query is a range of an index; none walks what it does not return.

import FastPath
import GRDB

struct OpenTable {
    let log: Int64
    var attempts: AttemptTable { AttemptTable("open_attempt", log: log) }
    /// 1 for a row of which no attempt was made; word for word as `open_by_kind` has it, or that is not used. Of the
    /// bits that it looks at one is `AttemptCount.failover`, which no pending row has.
    static let isFirst = "((attempts & 8191) = 0)"

    // MARK: Reading

    func recorded(endpoint: EndpointID, from: UInt64, _ db: Database) throws -> [UInt64] {
        let sql = """
            SELECT sequence FROM open_delivery INDEXED BY open_by_endpoint
            WHERE log = ? AND endpoint = ? AND state = ? AND sequence >= ?
            """
        return try [DeliveryState.pending, .dead].flatMap { state in
            try Int64.fetchAll(
                db, sql: sql,
                arguments: [log, endpoint.number, state.rawValue, DeliveryColumns.stored(from)]
            ).map(UInt64.init(bitPattern:))
        }
    }
    func pending(endpoint: EndpointID, _ load: RetryLoad, limit: Int, _ db: Database) throws -> [DeliveryRow] {
        // Row values compare as `RetryKey` does.
        let sql = """
            SELECT * FROM open_delivery INDEXED BY open_by_kind
            WHERE state = 2 AND log = ? AND endpoint = ? AND \(OpenTable.isFirst) = \(load.kind == .first ? 1 : 0)
                AND (due, sequence) >= (?, ?)
            ORDER BY due, sequence LIMIT ?
            """
        return try Row.fetchAll(
            db, sql: sql,
            arguments: [
                log, endpoint.number, load.from.dueMillis, DeliveryColumns.stored(load.from.sequence), limit,
            ]
        ).map { try DeliveryColumns.delivery($0) }
    }
    /// One state's part of a listing.
    func page(
        _ query: DeliveryQuery, state: DeliveryState, lookedMax: Int = ListingQuery.lookedMax, _ db: Database
    ) throws -> ListingPage {
        var listing = ListingQuery("open_delivery", log: log, lookedMax: lookedMax)
        listing.index = query.endpoint == nil ? "open_by_state" : "open_by_endpoint"
        listing.look("state = \(state.rawValue)")
        if let endpoint = query.endpoint { listing.look("endpoint = ?", [endpoint.number]) }
        listing.look(before: query.before, endpoint: query.endpoint)
        if query.failedOnly { listing.keep("(attempts & \(AttemptCount.numberMask)) > 0") }
        if let reason = query.reason { listing.keep("reason = ?", [reason.rawValue]) }
        listing.keepUpdated(query.updated)
        return try listing.page(limit: query.limit, db)
    }
    /// In the order of their sequence.
    func rows(
        endpoint: EndpointID, state: DeliveryState, from: UInt64, limit: Int, _ db: Database
    ) throws -> [DeliveryRow] {
        let sql = """
            SELECT * FROM open_delivery INDEXED BY open_by_endpoint
            WHERE log = ? AND endpoint = ? AND state = ? AND sequence >= ? ORDER BY sequence LIMIT ?
            """
        return try Row.fetchAll(
            db, sql: sql,
            arguments: [log, endpoint.number, state.rawValue, DeliveryColumns.stored(from), limit]
        ).map { try DeliveryColumns.delivery($0) }
    }
    func rows(sequence: UInt64, _ db: Database) throws -> [DeliveryRow] {
        let sql = "SELECT * FROM open_delivery WHERE log = ? AND sequence = ?"
        return try Row.fetchAll(db, sql: sql, arguments: [log, DeliveryColumns.stored(sequence)]).map {
            try DeliveryColumns.delivery($0)
        }
    }
    /// When this delivery was last written, nil when it is not open.
    func updated(endpoint: EndpointID, sequence: UInt64, _ db: Database) throws -> Int64? {
        let find = try db.cachedStatement(
            sql: "SELECT updated FROM open_delivery WHERE log = ? AND sequence = ? AND endpoint = ?")
        return try Int64.fetchOne(find, arguments: [log, DeliveryColumns.stored(sequence), endpoint.number])
    }
    /// Of one endpoint or of all that have something open.
    func counts(endpoint: EndpointID? = nil, _ db: Database) throws -> [OpenDeliveries] {
        let one = endpoint == nil ? "" : "AND endpoint = ?"
        var arguments: StatementArguments = [log]
        if let endpoint { arguments += [endpoint.number] }
        let pending = """
            SELECT endpoint, count(*) AS number, min(due) AS due FROM open_delivery INDEXED BY open_by_kind
            WHERE state = 2 AND log = ? \(one) GROUP BY endpoint
            """
        var found: [EndpointID: OpenDeliveries] = [:]
        for row in try Row.fetchAll(db, sql: pending, arguments: arguments) {
            let endpoint = EndpointID(row["endpoint"])
            found[endpoint] = OpenDeliveries(endpoint: endpoint, pending: row["number"], dueMillis: row["due"])
        }
        let index = endpoint == nil ? "open_by_state" : "open_by_endpoint"
        let dead = """
            SELECT endpoint, count(*) AS number FROM open_delivery INDEXED BY \(index)
            WHERE log = ? \(one) AND state = 3 GROUP BY endpoint
            """
        for row in try Row.fetchAll(db, sql: dead, arguments: arguments) {
            let endpoint = EndpointID(row["endpoint"])
            found[endpoint, default: OpenDeliveries(endpoint: endpoint)].dead = row["number"]
        }
        return found.values.sorted { $0.endpoint < $1.endpoint }
    }
    /// Those of `keys` that are open.
    func counts(of keys: [DeliveryKey], _ db: Database) throws -> [OpenDeliveries] {
        guard !keys.isEmpty else { return [] }
        let find = try db.cachedStatement(
            sql: "SELECT state FROM open_delivery WHERE log = ? AND sequence = ? AND endpoint = ?")
        return OpenDeliveries.counted(
            try keys.compactMap { key in
                try UInt8.fetchOne(
                    find, arguments: [log, DeliveryColumns.stored(key.sequence), key.endpoint.number]
                ).flatMap(DeliveryState.init).map { (key.endpoint, $0) }
            })
    }
    func sequenceLast(_ db: Database) throws -> UInt64? {
        try Int64.fetchOne(db, sql: "SELECT max(sequence) FROM open_delivery WHERE log = ?", arguments: [log])
            .map(UInt64.init(bitPattern:))
    }
    func oldestPending(_ db: Database) throws -> UInt64? {
        let reasons = EndpointReason.allCases.filter { $0.isEnd || $0.isRemoval }.map { "\($0.rawValue)" }
            .joined(separator: ", ")
        let sql = """
            SELECT sequence FROM open_delivery INDEXED BY open_by_state
            WHERE log = ? AND state = 2 AND endpoint NOT IN
                (SELECT endpoint FROM endpoint_state WHERE log = ? AND reason IN (\(reasons)))
            ORDER BY sequence LIMIT 1
            """
        return try Int64.fetchOne(db, sql: sql, arguments: [log, log])
            .map(UInt64.init(bitPattern:))
    }

    // MARK: Writing

    func put(_ rows: [DeliveryRow], _ db: Database) throws {
        guard !rows.isEmpty else { return }
        let insert = try RawStatement(
            """
            INSERT OR REPLACE INTO open_delivery (log, sequence, endpoint, position, state, attempts, status, result,
                reason, due, updated, total_micros, connect_micros, first_byte_micros)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """, db)
        for given in rows {
            let row = given.keepsLastFailure ? try withLastFailure(given, db) : given
            insert.bind(1, log)
            insert.bind(2, DeliveryColumns.stored(row.place.sequence))
            insert.bind(3, Int64(row.endpoint.number))
            insert.bind(4, DeliveryColumns.stored(position: row.place.position))
            insert.bind(5, Int64(row.state.rawValue))
            insert.bind(6, Int64(row.attempts))
            insert.bind(7, Int64(row.status))
            insert.bind(8, Int64(row.result.rawValue))
            if let reason = row.reason { insert.bind(9, Int64(reason.rawValue)) } else { insert.bindNull(9) }
            insert.bind(10, row.dueMillis)
            insert.bind(11, row.updatedMillis)
            insert.bind(12, Int64(row.timing.totalMicros))
            insert.bind(13, Int64(row.timing.connectMicros))
            insert.bind(14, Int64(row.timing.firstByteMicros))
            try insert.run()
        }
    }
    private func withLastFailure(_ row: DeliveryRow, _ db: Database) throws -> DeliveryRow {
        let find = try db.cachedStatement(
            sql: "SELECT * FROM open_delivery WHERE log = ? AND sequence = ? AND endpoint = ?")
        let arguments: StatementArguments = [
            log, DeliveryColumns.stored(row.place.sequence), row.endpoint.number,
        ]
        return try Row.fetchOne(find, arguments: arguments).map {
            row.withLastFailure(of: try DeliveryColumns.delivery($0))
        } ?? row
    }
    /// Those of `rows` that are open now.
    func open(among rows: [DeliveryRow], _ db: Database) throws -> [DeliveryRow] {
        let any = try Bool.fetchOne(
            db.cachedStatement(sql: "SELECT EXISTS (SELECT 1 FROM open_delivery WHERE log = ?)"), arguments: [log])
        guard any == true, !rows.isEmpty else { return [] }
        let find = try RawStatement(
            "SELECT 1 FROM open_delivery WHERE log = ? AND sequence = ? AND endpoint = ?", db)
        find.bind(1, log)
        return try rows.filter { row in
            find.bind(2, DeliveryColumns.stored(row.place.sequence))
            find.bind(3, Int64(row.endpoint.number))
            return try find.finds()
        }
    }
    func remove(_ rows: [DeliveryRow], _ db: Database) throws {
        guard !rows.isEmpty else { return }
        for table in ["open_delivery", "open_attempt"] {
            let delete = try RawStatement(
                "DELETE FROM \(table) WHERE log = ? AND sequence = ? AND endpoint = ?", db)
            delete.bind(1, log)
            for row in rows {
                delete.bind(2, DeliveryColumns.stored(row.place.sequence))
                delete.bind(3, Int64(row.endpoint.number))
                try delete.run()
            }
        }
    }
    func expedite(_ endpoint: EndpointID, due: Int64, _ db: Database) throws {
        try db.execute(
            sql: """
                UPDATE open_delivery INDEXED BY open_by_kind SET due = ?
                WHERE state = 2 AND log = ? AND endpoint = ? AND \(OpenTable.isFirst) IN (0, 1) AND due > ?
                    AND NOT (\(OpenTable.isFirst) AND due > updated)
                """, arguments: [due, log, endpoint.number, due])
    }
    func advance(_ endpoint: EndpointID, byMillis millis: Int64, nowMillis: Int64, _ db: Database) throws {
        try db.execute(
            sql: """
                UPDATE open_delivery INDEXED BY open_by_kind SET due = max(due - ?, ?)
                WHERE state = 2 AND log = ? AND endpoint = ? AND \(OpenTable.isFirst) = 1 AND due > ?
                    AND due > updated
                """, arguments: [millis, nowMillis, log, endpoint.number, nowMillis])
    }
    func forget(_ endpoint: EndpointID, _ db: Database) throws {
        let arguments: StatementArguments = [log, endpoint.number]
        try db.execute(
            sql: """
                DELETE FROM open_attempt WHERE (log, sequence, endpoint) IN
                    (SELECT log, sequence, endpoint FROM open_delivery INDEXED BY open_by_endpoint
                     WHERE log = ? AND endpoint = ?)
                """, arguments: arguments)
        for table in ["open_delivery", "mark", "endpoint_state"] {
            try db.execute(sql: "DELETE FROM \(table) WHERE log = ? AND endpoint = ?", arguments: arguments)
        }
    }
    /// Dead letters whose event is older than `oldest`, some of them; those that went.
    func removeDead(before oldest: UInt64, limit: Int, _ db: Database) throws -> [DeliveryRow] {
        let sql = """
            SELECT * FROM open_delivery INDEXED BY open_by_state
            WHERE log = ? AND state = 3 AND sequence < ? ORDER BY sequence LIMIT ?
            """
        let rows = try Row.fetchAll(db, sql: sql, arguments: [log, DeliveryColumns.stored(oldest), limit]).map {
            try DeliveryColumns.delivery($0)
        }
        try remove(rows, db)
        return rows
    }
}
