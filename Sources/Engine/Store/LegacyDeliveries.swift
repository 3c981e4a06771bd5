// What a data folder of the first schema kept, taken over: one table of all deliveries keyed by endpoint, and endpoints
// found by their names. What is open moves in the migration's transaction. Delivered rows, of which there may be tens
// of millions, stay in `delivery_v1` and move into history some at a time, while the store has nothing else to do, so
// that a start does not wait for them; only the few that stand behind their endpoint's mark move at the first start,
// because a lane asks for those.

import FastPath
import GRDB

enum LegacyDeliveries {
    static let table = "delivery_v1"
    /// The first schema's keys: endpoint << 48 | sequence.
    private static let sequenceBits: Int64 = 48
    private static let sequenceMask: Int64 = 1 << 48 - 1

    /// Part of the migration: all of it or nothing.
    static func convert(_ db: Database) throws {
        let endpoints = try Int.fetchOne(db, sql: "SELECT count(*) FROM endpoint") ?? 0
        if endpoints == 0 {
            return try db.execute(sql: "DROP TABLE delivery; DROP TABLE endpoint; DROP TABLE clock;")
        }
        try db.execute(
            sql: """
                INSERT INTO log (number, written) SELECT 1, written FROM clock;
                UPDATE log SET (sequence, position) =
                    (SELECT sequence, position FROM endpoint WHERE removed = 0 ORDER BY sequence DESC LIMIT 1);
                INSERT INTO mark SELECT 1, number, sequence, position FROM endpoint;
                INSERT INTO endpoint_state
                    SELECT 1, number, \(EndpointCondition.disabled.rawValue), \(EndpointReason.gone.rawValue),
                        stopped, 0, stopped, 0, 'answered 410'
                    FROM endpoint WHERE stop IS NOT NULL;
                INSERT INTO endpoint_state
                    SELECT 1, number, \(EndpointCondition.disabled.rawValue), \(EndpointReason.removed.rawValue),
                        0, 0, 0, 0, ''
                    FROM endpoint WHERE removed <> 0 AND stop IS NULL;
                INSERT INTO open_delivery
                    (log, sequence, endpoint, position, state, attempts, status, result, reason, due, updated)
                    SELECT 1, key & \(sequenceMask), key >> \(sequenceBits), position, state, attempts, status, result,
                        reason, coalesce(due, 0), updated
                    FROM delivery INDEXED BY delivery_open WHERE state <> 1;
                DELETE FROM delivery
                    WHERE key IN (SELECT key FROM delivery INDEXED BY delivery_open WHERE state <> 1);
                DROP INDEX delivery_due;
                DROP INDEX delivery_open;
                ALTER TABLE delivery RENAME TO \(table);
                CREATE TABLE endpoint_name_v1 (
                    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, removed INTEGER NOT NULL);
                INSERT INTO endpoint_name_v1 SELECT number, name, removed FROM endpoint;
                DROP TABLE endpoint;
                DROP TABLE clock;
                """)
    }

    static func isThere(_ db: Database) throws -> Bool { try db.tableExists(table) }

    /// Delivered rows at or behind the mark of their endpoint.
    static func unmet(_ db: Database) throws -> [DeliveryRow] {
        let sql = """
            SELECT d.* FROM mark m JOIN \(table) d
                ON d.key >= m.endpoint << \(sequenceBits) | m.sequence AND d.key < (m.endpoint + 1) << \(sequenceBits)
            WHERE m.log = 1
            """
        return try Row.fetchAll(db, sql: sql).map(delivery)
    }
    /// The next ones in the order of their keys.
    static func first(_ limit: Int, _ db: Database) throws -> [DeliveryRow] {
        try Row.fetchAll(db, sql: "SELECT * FROM \(table) ORDER BY key LIMIT ?", arguments: [limit]).map(delivery)
    }
    static func remove(_ rows: [DeliveryRow], _ db: Database) throws {
        let delete = try db.cachedStatement(sql: "DELETE FROM \(table) WHERE key = ?")
        for row in rows {
            let key = Int64(row.endpoint.number) << sequenceBits | Int64(row.place.sequence)
            try delete.execute(arguments: [key])
        }
    }
    static func drop(_ db: Database) throws { try db.execute(sql: "DROP TABLE \(table)") }

    private static func delivery(_ row: Row) throws -> DeliveryRow {
        let key: Int64 = row["key"]
        let position: Int64 = row["position"]
        let endpoint = EndpointID(UInt32(truncatingIfNeeded: key >> sequenceBits))
        let sequence = UInt64(key & sequenceMask)
        guard let result = DeliveryResult(rawValue: row["result"]) else {
            throw StoreError.unreadableRow(endpoint: endpoint, sequence: sequence)
        }
        return DeliveryRow(
            endpoint: endpoint, place: EventLocation(sequence: sequence, position: UInt64(bitPattern: position)),
            state: .delivered, attempts: row["attempts"], status: row["status"], result: result,
            updatedMillis: row["updated"])
    }
}
