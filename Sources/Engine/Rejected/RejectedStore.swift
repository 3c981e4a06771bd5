// The refused requests on disk: a SQLite file of its own beside the delivery state, through GRDB, so that a flood of
// refusals never waits for, or delays, what was acknowledged. Losing it in a power cut loses no event.
//
// Invariants: after each `add` every source is within its bounds of count and bytes, the oldest went first, and takes
// none of another's room, also where two tenants call theirs alike; a number is never used twice, so an id that was
// shown means that request or none. The file is readable by its owner only: what is in it may hold credentials that a
// sender sent.

import FastPath
import Foundation
import GRDB
import Synchronization

package final class RejectedStore: Sendable {
    package static let fileName = "rejected.sqlite"

    private let database: DatabaseQueue
    private let bounds: RejectedConfiguration
    /// Whose requests are bounded together: a source's, by its number; those of before there were numbers by its name.
    private enum Owner: Hashable {
        case source(UInt32)
        case name(String)

        init(name: String, number: UInt32) { self = number == 0 ? .name(name) : .source(number) }
        var condition: (sql: String, argument: any DatabaseValueConvertible) {
            switch self {
            case .source(let number): ("source_number = ?", number)
            case .name(let name): ("source_number = 0 AND source = ?", name)
            }
        }
    }
    private struct Kept {
        /// The last that the source had.
        var name: String
        var total = RejectedTotal()
    }
    private typealias Totals = [Owner: Kept]
    /// Held for moments: whoever asks for figures waits for no transaction.
    private let totals = Mutex<Totals>([:])
    /// Held over a change.
    private let turn = Mutex(())

    package init(path: String, bounds: RejectedConfiguration) throws {
        self.bounds = bounds
        if !FileManager.default.fileExists(atPath: path) {
            // SQLite gives its companion files the rights of this one.
            _ = PrivateFile.make(path)
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
            for owner in Array(totals.keys) { try trim(owner, &totals, db) }
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
        migrator.registerMigration("3-source-number-index") { db in
            try db.execute(sql: "CREATE INDEX rejected_source_number ON rejected (source_number, number)")
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
                let owner = Owner(name: request.sourceName, number: request.sourceNumber)
                totals[owner, default: Kept(name: request.sourceName)].total.add(request.byteCount)
                totals[owner]?.name = request.sourceName
            }
            let owners = Set(items.map { Owner(name: $0.request.sourceName, number: $0.request.sourceNumber) })
            for owner in owners { try trim(owner, &totals, db) }
        }
    }

    /// Those that are still there.
    package func remove(_ numbers: [Int64]) throws {
        try change { db, totals in
            for number in numbers {
                let sql = "DELETE FROM rejected WHERE number = ? RETURNING source, source_number, size"
                guard let row = try Row.fetchOne(db, sql: sql, arguments: [number]) else { continue }
                totals[Owner(name: row["source"], number: row["source_number"])]?.total.take(row["size"])
            }
        }
    }

    /// What was sent to sources that will never be again goes with them. Those of before there were numbers stay.
    package func removeAll(butOf sources: Set<UInt32>) throws {
        try change { db, totals in
            for owner in Array(totals.keys) {
                guard case .source(let number) = owner, !sources.contains(number) else { continue }
                try db.execute(sql: "DELETE FROM rejected WHERE source_number = ?", arguments: [number])
                totals[owner] = nil
            }
        }
    }

    /// The totals change with the transaction or not at all; one writer at a time.
    private func change(_ body: (Database, inout Totals) throws -> Void) throws {
        try turn.withLock { _ in
            var changed = totals.withLock { $0 }
            try database.write { try body($0, &changed) }
            totals.withLock { [changed] in $0 = changed }
        }
    }

    private func trim(_ owner: Owner, _ totals: inout Totals, _ db: Database) throws {
        guard var total = totals[owner]?.total else { return }
        let (condition, argument) = owner.condition
        var last: Int64?
        if total.exceeds(bounds) {
            let rows = try Row.fetchCursor(
                db, sql: "SELECT number, size FROM rejected WHERE \(condition) ORDER BY number", arguments: [argument])
            while total.exceeds(bounds), let row = try rows.next() {
                last = row["number"]
                total.take(row["size"])
            }
        }
        if let last {
            try db.execute(
                sql: "DELETE FROM rejected WHERE \(condition) AND number <= ?", arguments: [argument, last])
            try db.execute(sql: "PRAGMA incremental_vacuum(64)")
        }
        totals[owner]?.total = total
    }

    private static func measure(_ db: Database) throws -> Totals {
        // With `max` the bare columns are those of the newest row.
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT source, source_number, max(number), count(*) AS count, sum(size) AS bytes FROM rejected
                GROUP BY source_number, iif(source_number = 0, source, '')
                """)
        return rows.reduce(into: [:]) { totals, row in
            let name: String = row["source"]
            totals[Owner(name: name, number: row["source_number"])] = Kept(
                name: name, total: RejectedTotal(count: row["count"], bytes: row["bytes"]))
        }
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

    /// By name: of sources that are called alike the sum.
    package func sourceTotals() -> [String: RejectedTotal] {
        totals.withLock { totals in
            totals.values.reduce(into: [:]) { $0[$1.name, default: RejectedTotal()].add($1.total) }
        }
    }

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
    mutating func add(_ other: RejectedTotal) {
        count += other.count
        bytes += other.bytes
    }
    mutating func take(_ size: Int) {
        count -= 1
        bytes -= size
    }
    func exceeds(_ bounds: RejectedConfiguration) -> Bool { count > bounds.countMax || bytes > bounds.bytesMax }
}
