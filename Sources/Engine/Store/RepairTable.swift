// Repairs in store.sqlite: orders with how far each has come, so that one that was promised is finished by whichever
// process has the folder then.
//
// Invariant: of each tenant the newest `keptMax` that are over are kept, for `keptMillis`; one that runs is always
// kept.

import Foundation
import GRDB

enum RepairTable {
    static let keptMax = 500
    static let keptMillis: Int64 = 90 * 86_400_000
    static let schema = """
        CREATE TABLE repair (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            log INTEGER NOT NULL,
            id TEXT NOT NULL UNIQUE,
            tenant INTEGER NOT NULL,            -- 0 = everybody's
            state TEXT NOT NULL,                -- RepairState
            task TEXT NOT NULL,                 -- RepairOrder, JSON
            progress TEXT NOT NULL,             -- RepairProgress, JSON
            note TEXT,
            created INTEGER NOT NULL,           -- milliseconds since 1970
            updated INTEGER NOT NULL
        );
        CREATE INDEX repair_by_tenant ON repair (log, tenant, number);
        CREATE INDEX repair_running ON repair (log, number) WHERE state = 'running';
        """

    static func insert(_ repair: Repair, _ log: Int64, _ db: Database) throws -> Int64 {
        let tenant = repair.order.tenant ?? 0
        try db.execute(
            sql: """
                INSERT INTO repair (log, id, tenant, state, task, progress, note, created, updated)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                log, repair.id, tenant, repair.state.rawValue, try text(repair.order), try text(repair.progress),
                repair.note, repair.createdMillis, repair.updatedMillis,
            ])
        let number = db.lastInsertedRowID
        try db.execute(
            sql: """
                DELETE FROM repair WHERE log = ?1 AND tenant = ?2 AND state <> 'running' AND (updated < ?3 OR number <=
                    (SELECT number FROM repair WHERE log = ?1 AND tenant = ?2 ORDER BY number DESC LIMIT 1 OFFSET ?4))
                """,
            arguments: [log, tenant, repair.createdMillis - keptMillis, keptMax])
        return number
    }
    /// False when it runs no more: somebody has ended it meanwhile.
    static func update(_ repair: Repair, _ db: Database) throws -> Bool {
        try db.execute(
            sql: """
                UPDATE repair SET state = ?, progress = ?, note = ?, updated = ?
                WHERE number = ? AND state = 'running'
                """,
            arguments: [
                repair.state.rawValue, try text(repair.progress), repair.note, repair.updatedMillis, repair.number,
            ])
        return db.changesCount > 0
    }
    static func find(_ id: String, _ log: Int64, _ db: Database) throws -> Repair? {
        try Row.fetchOne(db, sql: "SELECT * FROM repair WHERE log = ? AND id = ?", arguments: [log, id]).map(repair)
    }
    static func running(_ log: Int64, _ db: Database) throws -> [Repair] {
        let sql = "SELECT * FROM repair INDEXED BY repair_running WHERE log = ? AND state = 'running' ORDER BY number"
        return try Row.fetchAll(db, sql: sql, arguments: [log]).map(repair)
    }
    /// Newest first.
    static func page(
        tenant: UInt32?, before: Int64?, limit: Int, _ log: Int64, _ db: Database
    ) throws -> [Repair] {
        let own = tenant == nil ? "" : "AND tenant = ?"
        var arguments: StatementArguments = [log]
        if let tenant { arguments += [tenant] }
        arguments += [before ?? Int64.max, limit]
        let sql = "SELECT * FROM repair WHERE log = ? \(own) AND number < ? ORDER BY number DESC LIMIT ?"
        return try Row.fetchAll(db, sql: sql, arguments: arguments).map(repair)
    }

    private static func repair(_ row: Row) throws -> Repair {
        let decoder = JSONDecoder()
        let order = try decoder.decode(RepairOrder.self, from: Data((row["task"] as String).utf8))
        var repair = Repair(
            id: row["id"], order: order, createdMillis: row["created"], updatedMillis: row["updated"])
        repair.number = row["number"]
        repair.state = RepairState(rawValue: row["state"]) ?? .failed
        repair.progress = try decoder.decode(RepairProgress.self, from: Data((row["progress"] as String).utf8))
        repair.note = row["note"]
        return repair
    }
    private static func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}

extension SQLiteStore {
    /// On disk when it returns.
    package func keep(_ repair: Repair) throws -> Repair {
        var kept = repair
        kept.number = try database.write(isDurable: true) { try RepairTable.insert(repair, logNumber, $0) }
        return kept
    }
    /// False when it is over already. `isDurable`: it survives a power cut when this returns.
    package func update(_ repair: Repair, isDurable: Bool) throws -> Bool {
        try database.write(isDurable: isDurable) { try RepairTable.update(repair, $0) }
    }
    package func repair(_ id: String) throws -> Repair? {
        try database.read { try RepairTable.find(id, logNumber, $0) }
    }
    package func runningRepairs() throws -> [Repair] { try database.read { try RepairTable.running(logNumber, $0) } }
    /// Newest first; `before` is the number of the last one that is known.
    package func repairs(tenant: UInt32?, before: Int64?, limit: Int) throws -> [Repair] {
        try database.read {
            try RepairTable.page(tenant: tenant, before: before, limit: limit, logNumber, $0)
        }
    }
}
