// What repairs ask of the open deliveries: the next endpoint that has some, dead letters counted, pending ones given
// up. Every query is a range of an index.

import FastPath
import GRDB

extension OpenTable {
    func nextEndpoint(after endpoint: EndpointID, states: Set<DeliveryState>, _ db: Database) throws -> EndpointID? {
        let kinds = states.filter { !$0.isFinished }.map { "\($0.rawValue)" }.sorted().joined(separator: ", ")
        // One step of the index an endpoint: those whose open deliveries are all of another kind are stepped over.
        let sql = """
            SELECT endpoint FROM open_delivery INDEXED BY open_by_endpoint
            WHERE log = ? AND endpoint > ? ORDER BY endpoint LIMIT 1
            """
        let find = try db.cachedStatement(sql: sql)
        let has = try db.cachedStatement(
            sql: """
                SELECT 1 FROM open_delivery INDEXED BY open_by_endpoint
                WHERE log = ? AND endpoint = ? AND state IN (\(kinds)) LIMIT 1
                """)
        var after = endpoint.number
        while let next = try UInt32.fetchOne(find, arguments: [log, after]) {
            if try Int.fetchOne(has, arguments: [log, next]) != nil { return EndpointID(next) }
            after = next
        }
        return nil
    }
    func deadLetters(endpoint: EndpointID, lookedMax: Int, _ db: Database) throws -> [DeadLetterGroup] {
        let sql = """
            SELECT reason, result, status, count(*) AS number FROM
                (SELECT reason, result, status FROM open_delivery INDEXED BY open_by_endpoint
                 WHERE log = ? AND endpoint = ? AND state = 3 ORDER BY sequence DESC LIMIT ?)
            GROUP BY reason, result, status
            """
        let rows = try Row.fetchAll(db, sql: sql, arguments: [log, endpoint.number, lookedMax])
        return DeadLetterGroup.counted(
            try rows.map { row in
                guard let result = DeliveryResult(rawValue: row["result"]) else {
                    throw StoreError.unreadableRow(endpoint: endpoint, sequence: 0)
                }
                let reason: UInt8? = row["reason"]
                let like = DeliveryRow(
                    endpoint: endpoint, place: EventLocation(sequence: 0, position: 0), state: .dead,
                    status: row["status"], result: result, reason: reason.flatMap(DeadLetterReason.init(rawValue:)))
                return (like, row["number"])
            })
    }
    func cancel(
        _ keys: [DeliveryKey], reason: DeadLetterReason, nowMillis: Int64, _ db: Database
    ) throws -> [DeliveryRow] {
        let find = try db.cachedStatement(
            sql: "SELECT * FROM open_delivery WHERE log = ? AND sequence = ? AND endpoint = ? AND state = 2")
        var rows: [DeliveryRow] = []
        for key in keys {
            let arguments: StatementArguments = [log, DeliveryColumns.stored(key.sequence), key.endpoint.number]
            guard let found = try Row.fetchOne(find, arguments: arguments) else { continue }
            var row = try DeliveryColumns.delivery(found)
            row.state = .dead
            row.reason = reason
            row.dueMillis = 0
            row.updatedMillis = nowMillis
            rows.append(row)
        }
        try put(rows, db)
        return rows
    }
}
