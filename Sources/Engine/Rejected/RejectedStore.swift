// The refused requests on disk: a SQLite file of its own beside the delivery state, through GRDB, so that a flood of
// refusals never waits for, or delays, what was acknowledged. Losing it in a power cut loses no event.
//
// Invariants: after each `add` every source is within its bounds of count and bytes, the oldest went first; a number is
// never used twice, so an id that was shown means that request or none. The file is readable by its owner only: what is
// in it may hold credentials that a sender sent.

import FastPath
import Foundation
import GRDB
import Synchronization

package final class RejectedStore: Sendable {
    package static let fileName = "rejected.sqlite"

    private let database: DatabaseQueue
    private let bounds: RejectedConfiguration
    private let totals = Mutex<[String: RejectedTotal]>([:])

    package init(path: String, bounds: RejectedConfiguration) throws {
        self.bounds = bounds
        if !FileManager.default.fileExists(atPath: path) {
            // SQLite gives its companion files the rights of this one.
            _ = FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
        }
        var configuration = Configuration()
        configuration.label = "rejected"
        configuration.busyMode = .timeout(5)
        configuration.journalMode = .wal
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            try db.execute(sql: "PRAGMA journal_size_limit = 4194304")
        }
        database = try DatabaseQueue(path: path, configuration: configuration)
        if try database.read(RejectedStore.migrator.hasBeenSuperseded) {
            throw StoreError.newerFormat(file: RejectedStore.fileName)
        }
        try RejectedStore.migrator.migrate(database)
        // The bounds may have become smaller since the last start.
        try database.write { db in
            var totals = try RejectedStore.measure(db)
            for name in totals.keys.sorted() { try trim(name, &totals, db) }
            self.totals.withLock { $0 = totals }
        }
    }

    /// Removes what an earlier start kept, when nothing is to be kept any more.
    package static func remove(folder: String) {
        for suffix in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: "\(folder)/\(fileName)\(suffix)")
        }
    }

    private static let migrator: DatabaseMigrator = {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1-rejected") { db in
            try db.execute(
                sql: """
                    CREATE TABLE rejected (
                        number INTEGER PRIMARY KEY AUTOINCREMENT,
                        source TEXT NOT NULL,
                        reason TEXT NOT NULL,    -- SignatureRejection
                        hint TEXT,               -- RejectionHint
                        detail TEXT,
                        received INTEGER NOT NULL, -- nanoseconds since 1970
                        peer TEXT NOT NULL,
                        size INTEGER NOT NULL,
                        head BLOB NOT NULL,
                        body BLOB NOT NULL
                    );
                    CREATE INDEX rejected_source ON rejected (source, number);
                    """)
        }
        // 0 for what was refused before sources had numbers here.
        migrator.registerMigration("2-source-number") { db in
            try db.execute(sql: "ALTER TABLE rejected ADD COLUMN source_number INTEGER NOT NULL DEFAULT 0")
        }
        return migrator
    }()

    // MARK: writing

    /// One transaction. The oldest of each source go until it is within its bounds.
    package func add(_ items: [(request: RejectedRequest, finding: HintFinding?)]) throws {
        guard !items.isEmpty, bounds.isOn else { return }
        try change { db, totals in
            let sql = """
                INSERT INTO rejected (source, reason, hint, detail, received, peer, size, head, body, source_number)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """
            let statement = try db.cachedStatement(sql: sql)
            for (request, finding) in items {
                try statement.execute(arguments: [
                    request.sourceName, request.reason.rawValue, finding?.hint.rawValue, finding?.detail,
                    Int64(clamping: request.receivedAt), request.peer?.text ?? "", request.byteCount,
                    Data(request.head), Data(request.body), request.sourceNumber,
                ])
                totals[request.sourceName, default: RejectedTotal()].add(request.byteCount)
            }
            for name in Set(items.map(\.request.sourceName)) { try trim(name, &totals, db) }
        }
    }

    /// Those that are still there.
    package func remove(_ numbers: [Int64]) throws {
        try change { db, totals in
            for number in numbers {
                let sql = "DELETE FROM rejected WHERE number = ? RETURNING source, size"
                guard let row = try Row.fetchOne(db, sql: sql, arguments: [number]) else { continue }
                totals[row["source"], default: RejectedTotal()].take(row["size"])
            }
        }
    }

    /// The totals change with the transaction or not at all; one writer at a time.
    private func change(_ body: (Database, inout [String: RejectedTotal]) throws -> Void) throws {
        try totals.withLock { totals in
            var changed = totals
            try database.write { try body($0, &changed) }
            totals = changed
        }
    }

    private func trim(_ source: String, _ totals: inout [String: RejectedTotal], _ db: Database) throws {
        guard var total = totals[source] else { return }
        var last: Int64?
        if total.exceeds(bounds) {
            let rows = try Row.fetchCursor(
                db, sql: "SELECT number, size FROM rejected WHERE source = ? ORDER BY number", arguments: [source])
            while total.exceeds(bounds), let row = try rows.next() {
                last = row["number"]
                total.take(row["size"])
            }
        }
        if let last {
            try db.execute(
                sql: "DELETE FROM rejected WHERE source = ? AND number <= ?", arguments: [source, last])
            try db.execute(sql: "PRAGMA incremental_vacuum(64)")
        }
        totals[source] = total
    }

    private static func measure(_ db: Database) throws -> [String: RejectedTotal] {
        let rows = try Row.fetchAll(
            db, sql: "SELECT source, count(*) AS number, sum(size) AS bytes FROM rejected GROUP BY source")
        return Dictionary(
            rows.map { ($0["source"], RejectedTotal(count: $0["number"], bytes: $0["bytes"])) }
        ) { first, _ in first }
    }

    // MARK: reading

    /// Newest first, without the requests' bytes.
    package func list(_ query: RejectedQuery) throws -> [RejectedRow] {
        let (conditions, arguments) = RejectedStore.conditions(query)
        let sql = """
            SELECT number, source, source_number, reason, hint, detail, received, peer, size FROM rejected
            WHERE \(conditions) ORDER BY number DESC LIMIT ?
            """
        return try database.read { db in
            try Row.fetchAll(db, sql: sql, arguments: arguments + [query.limit]).compactMap(RejectedStore.row)
        }
    }

    package func row(_ number: Int64) throws -> RejectedRow? {
        try database.read { db in
            try Row.fetchOne(db, sql: "SELECT * FROM rejected WHERE number = ?", arguments: [number])
                .flatMap(RejectedStore.row)
        }
    }

    /// The numbers that a reverification looks at, oldest first.
    package func numbers(source: String?, ofSources sources: Set<UInt32>? = nil) throws -> [Int64] {
        var query = RejectedQuery()
        query.source = source
        query.sourceNumbers = sources
        let (conditions, arguments) = RejectedStore.conditions(query)
        return try database.read { db in
            try Int64.fetchAll(
                db, sql: "SELECT number FROM rejected WHERE \(conditions) ORDER BY number", arguments: arguments)
        }
    }

    package func sourceTotals() -> [String: RejectedTotal] { totals.withLock { $0 } }

    private static func conditions(_ query: RejectedQuery) -> (String, StatementArguments) {
        var conditions = ["number < ?"]
        var arguments: StatementArguments = [query.before ?? Int64.max]
        if let source = query.source {
            conditions.append("source = ?")
            arguments += [source]
        }
        if let numbers = query.sourceNumbers {
            conditions.append("source_number IN (\(numbers.sorted().map(String.init).joined(separator: ",")))")
        }
        if let reason = query.reason {
            conditions.append("reason = ?")
            arguments += [reason.rawValue]
        }
        return (conditions.joined(separator: " AND "), arguments)
    }

    /// Nil for a reason that this version does not know.
    private static func row(_ row: Row) -> RejectedRow? {
        guard let reason = SignatureRejection(rawValue: row["reason"]) else { return nil }
        let head: Data? = row.hasColumn("head") ? row["head"] : nil
        let body: Data? = row.hasColumn("body") ? row["body"] : nil
        let hint: String? = row["hint"]
        let detail: String? = row["detail"]
        let received: Int64 = row["received"]
        let peer: String = row["peer"]
        return RejectedRow(
            number: row["number"],
            request: RejectedRequest(
                sourceName: row["source"], sourceNumber: row["source_number"], reason: reason,
                receivedAt: UInt64(clamping: received),
                peer: IPAddress(peer), head: head.map { [UInt8]($0) } ?? [], body: body.map { [UInt8]($0) } ?? []),
            finding: hint.flatMap { RejectionHint(rawValue: $0) }.map { HintFinding($0, detail ?? "") },
            byteCount: row["size"])
    }
}

/// What a source has in the store.
package struct RejectedTotal: Equatable, Sendable {
    package var count = 0
    package var bytes = 0

    mutating func add(_ size: Int) {
        count += 1
        bytes += size
    }
    mutating func take(_ size: Int) {
        count -= 1
        bytes -= size
    }
    func exceeds(_ bounds: RejectedConfiguration) -> Bool { count > bounds.countMax || bytes > bounds.bytesMax }
}
