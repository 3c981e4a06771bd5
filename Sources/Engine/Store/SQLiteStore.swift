// Delivery state in SQLite, through GRDB. One writer connection, readers beside it (WAL).
//
// Durability: outcomes are written with synchronous = NORMAL, so a power cut may take back the last transactions, whole
// and in order. What they said is then met again: the marks are older too, and events are delivered a second time,
// never lost (at least once). The log may have removed segments meanwhile, but only ones whose every event was
// delivered or dead. What an operator was told is kept (a replay, an endpoint switched on, names registered) is written
// with FULL.
//
// A delivery is one row under one 63-bit key: endpoint << 48 | sequence. Partial indexes cover only rows that are
// pending or dead, so that the steady path, delivered at once, costs one B-tree and no more.

import FastPath
import GRDB
import Synchronization

package final class SQLiteStore: DeliveryStore {
    private let database: DatabasePool
    /// The key that pruning goes on with.
    private let pruneKey = Mutex<Int64>(0)

    package init(path: String) throws {
        var configuration = Configuration()
        configuration.label = "deliveries"
        configuration.maximumReaderCount = 2
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            // 16 MiB of WAL before a checkpoint and its two syncs; the default of 4 MiB checkpoints ten times a second
            // under load.
            try db.execute(sql: "PRAGMA wal_autocheckpoint = 4096")
            try db.execute(sql: "PRAGMA journal_size_limit = 67108864")
            try db.execute(sql: "PRAGMA cache_size = -8192")
        }
        database = try DatabasePool(path: path, configuration: configuration)
        if try database.read(Migrations.migrator.hasBeenSuperseded) { throw StoreError.newerFormat }
        try Migrations.migrator.migrate(database)
    }

    package func endpoints() throws -> [StoredEndpoint] { try database.read(SQLiteStore.allEndpoints) }

    package func register(_ names: [String], start: EventPlace) throws -> [StoredEndpoint] {
        try writeDurably { db in
            try db.execute(sql: "UPDATE endpoint SET removed = 1")
            for name in names {
                let sql = """
                    INSERT INTO endpoint (name, sequence, position) VALUES (?, ?, ?)
                    ON CONFLICT (name) DO UPDATE SET removed = 0
                    """
                try db.execute(
                    sql: sql, arguments: [name, Int64(bitPattern: start.sequence), Int64(bitPattern: start.position)])
            }
            let all = try SQLiteStore.allEndpoints(db)
            if let last = all.last, last.number > DeliveryQuery.endpointMax { throw StoreError.tooManyEndpoints }
            return all
        }
    }

    package func apply(_ batch: OutcomeBatch) throws {
        if batch.isDurable {
            try writeDurably { try SQLiteStore.write(batch, db: $0) }
        } else {
            try database.write { try SQLiteStore.write(batch, db: $0) }
        }
    }

    package func recorded(endpoint: Int, from: UInt64) throws -> [UInt64] {
        try database.read { db in
            let keys = try Int64.fetchAll(
                db, sql: "SELECT key FROM delivery WHERE key >= ? AND key <= ? ORDER BY key",
                arguments: [Key.pack(endpoint, from), Key.pack(endpoint, DeliveryQuery.sequenceMax)])
            return keys.map(Key.sequence)
        }
    }

    /// The first sequence that no endpoint has met: behind every place to go on from and every row.
    package func sequenceFloor() throws -> UInt64 {
        try database.read { db in
            try SQLiteStore.allEndpoints(db).reduce(1) { floor, endpoint in
                let last = try Int64.fetchOne(
                    db, sql: "SELECT max(key) FROM delivery WHERE key >= ? AND key <= ?",
                    arguments: [
                        Key.pack(endpoint.number, 0), Key.pack(endpoint.number, DeliveryQuery.sequenceMax),
                    ])
                return max(floor, endpoint.resume.sequence, last.map { Key.sequence($0) + 1 } ?? 0)
            }
        }
    }

    package func pending(endpoint: Int, from: RetryKey, limit: Int) throws -> [DeliveryRow] {
        try database.read { db in
            // Row values compare as `RetryKey` does.
            let sql = """
                SELECT * FROM delivery WHERE state = 2 AND key >> 48 = ? AND (due, key) >= (?, ?)
                ORDER BY due, key LIMIT ?
                """
            let key = Key.pack(endpoint, from.sequence)
            return try Row.fetchAll(db, sql: sql, arguments: [endpoint, from.dueMillis, key, limit]).map(
                SQLiteStore.delivery)
        }
    }

    package func rows(_ query: DeliveryQuery) throws -> [DeliveryRow] {
        let first = Key.pack(query.endpoint, query.from)
        let last = Key.pack(query.endpoint, min(query.through, DeliveryQuery.sequenceMax))
        let states = query.states.map { String($0.rawValue) }.joined(separator: ", ")
        // Named so that the few dead and pending rows are found without reading past all delivered ones.
        let isPartial = !query.states.contains(.delivered)
        let source = isPartial ? "delivery INDEXED BY delivery_open" : "delivery"
        let condition = isPartial ? "AND state <> 1" : ""
        let sql = """
            SELECT * FROM \(source) WHERE state IN (\(states)) \(condition) AND key >= ? AND key <= ?
            ORDER BY key LIMIT ?
            """
        return try database.read { db in
            try Row.fetchAll(db, sql: sql, arguments: [first, last, query.limit]).map(SQLiteStore.delivery)
        }
    }

    package func rows(sequence: UInt64) throws -> [DeliveryRow] {
        try database.read { db in
            try SQLiteStore.allEndpoints(db).compactMap { endpoint in
                try Row.fetchOne(
                    db, sql: "SELECT * FROM delivery WHERE key = ?", arguments: [Key.pack(endpoint.number, sequence)]
                ).map(SQLiteStore.delivery)
            }
        }
    }

    package func counts(endpoint: Int) throws -> DeliveryCounts {
        try database.read { db in
            let sql = """
                SELECT state, count(*) AS number FROM delivery INDEXED BY delivery_open
                WHERE state <> 1 AND key >= ? AND key <= ? GROUP BY state
                """
            var counts = DeliveryCounts()
            let range: StatementArguments = [Key.pack(endpoint, 0), Key.pack(endpoint, DeliveryQuery.sequenceMax)]
            for row in try Row.fetchAll(db, sql: sql, arguments: range) {
                let state: UInt8 = row["state"]
                if state == DeliveryState.pending.rawValue { counts.pending = row["number"] }
                if state == DeliveryState.dead.rawValue { counts.dead = row["number"] }
            }
            return counts
        }
    }

    package func oldestPending() throws -> UInt64? {
        try database.read { db in
            let wanted = try SQLiteStore.allEndpoints(db).filter { !$0.isRemoved && $0.stop == nil }
            let sql = """
                SELECT min(key) FROM delivery INDEXED BY delivery_open
                WHERE state <> 1 AND state = 2 AND key >= ? AND key <= ?
                """
            return try wanted.compactMap { endpoint in
                try Int64.fetchOne(
                    db, sql: sql,
                    arguments: [Key.pack(endpoint.number, 0), Key.pack(endpoint.number, DeliveryQuery.sequenceMax)]
                ).map(Key.sequence)
            }.min()
        }
    }

    package func prune(before: Int64, oldest: UInt64, limit: Int) throws -> Bool {
        try database.write { db in
            var next = pruneKey.withLock { $0 }
            let sql = "SELECT key, state, updated FROM delivery WHERE key >= ? ORDER BY key LIMIT ?"
            let looked = try Row.fetchAll(db, sql: sql, arguments: [next, limit])
            let delete = try db.cachedStatement(sql: "DELETE FROM delivery WHERE key = ?")
            for row in looked {
                let key: Int64 = row["key"]
                let updated: Int64 = row["updated"]
                let state: UInt8 = row["state"]
                let isOld = state == DeliveryState.delivered.rawValue && updated < before
                let isLost = state == DeliveryState.dead.rawValue && Key.sequence(key) < oldest
                if isOld || isLost { try delete.execute(arguments: [key]) }
                next = key + 1
            }
            let isRound = looked.count < limit
            pruneKey.withLock { $0 = isRound ? 0 : next }
            return !isRound
        }
    }

    package func rebase(now: Int64) throws {
        try writeDurably { db in
            let last = try Int64.fetchOne(db, sql: "SELECT written FROM clock") ?? now
            if last > now {
                try db.execute(sql: "UPDATE delivery SET due = due - ? WHERE state = 2", arguments: [last - now])
            }
            try db.execute(sql: "UPDATE clock SET written = ?", arguments: [now])
        }
    }

    /// On the writer's queue alone; the pragma holds for this transaction.
    private func writeDurably<R>(_ body: (Database) throws -> R) throws -> R {
        try database.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA synchronous = FULL")
            defer { try? db.execute(sql: "PRAGMA synchronous = NORMAL") }
            var result: Result<R, any Error>?
            try db.inTransaction {
                let value = try body(db)
                result = .success(value)
                return .commit
            }
            guard let result else { preconditionFailure("a transaction without a result") }
            return try result.get()
        }
    }

    private static func write(_ batch: OutcomeBatch, db: Database) throws {
        let insert = try db.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO delivery (key, position, state, attempts, status, result, reason, due, updated)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        for row in batch.rows {
            // The number of values is checked by eye here and by every test; checked by GRDB it costs a microsecond a
            // row.
            insert.setUncheckedArguments(
                StatementArguments([
                    Key.pack(row.endpoint, row.place.sequence).databaseValue,
                    Int64(bitPattern: row.place.position).databaseValue, row.state.rawValue.databaseValue,
                    row.attempts.databaseValue, row.status.databaseValue, row.result.rawValue.databaseValue,
                    row.reason?.rawValue.databaseValue ?? .null,
                    row.state == .pending ? row.dueMillis.databaseValue : .null,
                    row.updatedMillis.databaseValue,
                ]))
            try insert.execute()
        }
        let mark = try db.cachedStatement(sql: "UPDATE endpoint SET sequence = ?, position = ? WHERE number = ?")
        for one in batch.marks {
            try mark.execute(arguments: [
                Int64(bitPattern: one.resume.sequence), Int64(bitPattern: one.resume.position), one.endpoint,
            ])
        }
        for one in batch.switches {
            try db.execute(
                sql: "UPDATE endpoint SET stop = ?, stopped = ? WHERE number = ?",
                arguments: [one.stop.map { Int64($0.rawValue) }, batch.nowMillis, one.endpoint])
        }
        try db.cachedStatement(sql: "UPDATE clock SET written = ?").execute(arguments: [batch.nowMillis])
    }

    private static func allEndpoints(_ db: Database) throws -> [StoredEndpoint] {
        try Row.fetchAll(db, sql: "SELECT * FROM endpoint ORDER BY number").map { row in
            let stop: UInt8? = row["stop"]
            return StoredEndpoint(
                number: row["number"], name: row["name"], stop: stop.flatMap(EndpointStop.init(rawValue:)),
                stoppedMillis: row["stopped"], resume: place(row), isRemoved: row["removed"])
        }
    }
    private static func place(_ row: Row) -> EventPlace {
        let sequence: Int64 = row["sequence"]
        let position: Int64 = row["position"]
        return EventPlace(sequence: UInt64(bitPattern: sequence), position: UInt64(bitPattern: position))
    }
    private static func delivery(_ row: Row) throws -> DeliveryRow {
        let key: Int64 = row["key"]
        let position: Int64 = row["position"]
        let reason: UInt8? = row["reason"]
        let due: Int64? = row["due"]
        guard let state = DeliveryState(rawValue: row["state"]), let result = DeliveryResult(rawValue: row["result"])
        else {
            throw StoreError.unreadableRow(key)
        }
        return DeliveryRow(
            endpoint: Key.endpoint(key),
            place: EventPlace(sequence: Key.sequence(key), position: UInt64(bitPattern: position)), state: state,
            attempts: row["attempts"], status: row["status"], result: result,
            reason: reason.flatMap(DeadLetterReason.init(rawValue:)), dueMillis: due ?? 0, updatedMillis: row["updated"]
        )
    }
}

package enum StoreError: Error, Equatable, CustomStringConvertible {
    case tooManyEndpoints
    case unreadableRow(Int64)
    case newerFormat

    package var description: String {
        switch self {
        case .tooManyEndpoints:
            "more than \(DeliveryQuery.endpointMax) endpoint names have been used in this data folder"
        case .unreadableRow(let key): "delivery row \(key) has a state or result this version does not know"
        case .newerFormat: "the delivery store was written by a newer version of Sluice"
        }
    }
}

/// The row key: endpoint << 48 | sequence.
private enum Key {
    static func pack(_ endpoint: Int, _ sequence: UInt64) -> Int64 {
        precondition(sequence <= DeliveryQuery.sequenceMax && (0...DeliveryQuery.endpointMax).contains(endpoint))
        return Int64(endpoint) << 48 | Int64(sequence)
    }
    static func sequence(_ key: Int64) -> UInt64 { UInt64(key) & DeliveryQuery.sequenceMax }
    static func endpoint(_ key: Int64) -> Int { Int(key >> 48) }
}
