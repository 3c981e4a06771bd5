// One slice of history: a file of finished deliveries with their attempts, named by its number. It is written at its
// end while it is the newest, then closed, given its index by endpoint, and one day removed whole.
//
// What is in it says itself: identities of logs, ranges of sequences and times stand in the file, so the folder alone
// is the list of slices. Inside, rows are keyed (log, sequence, endpoint), so that insertion is nearly an append
// however many endpoints there are; the index by endpoint, whose insertion would be scattered, is made when the slice
// is closed.

import Foundation
import GRDB
import Synchronization

/// What a slice holds of one log.
struct SliceSpan: Equatable, Sendable {
    /// The log's number in this file.
    var log: Int64
    var rows: Int64 = 0
    /// The last batch that was written here; see HistorySlices.
    var batch: Int64 = 0
    var sequences: ClosedRange<UInt64>
    var updated: ClosedRange<Int64>

    mutating func add(_ row: DeliveryRow) {
        let sequence = row.place.sequence
        rows += 1
        sequences = min(sequences.lowerBound, sequence)...max(sequences.upperBound, sequence)
        updated = min(updated.lowerBound, row.updatedMillis)...max(updated.upperBound, row.updatedMillis)
    }
}

final class HistorySlice: Sendable {
    private struct State {
        var spans: [UInt64: SliceSpan] = [:]
        var isIndexed = false
        var isDropped = false
    }
    /// 2: attempts have `host`. Older files are read as they are.
    static let formatVersion = 2

    let number: Int
    let path: String
    /// Store time when it was made.
    let startedMillis: Int64
    private let state: Mutex<State>

    /// A slice that is there; nil for a file that was made but never written.
    init?(opening path: String, number: Int) throws {
        self.path = path
        self.number = number
        let queue = try DatabaseQueue(path: path, configuration: HistorySlice.configuration)
        defer { try? queue.close() }
        let found: (started: Int64, state: State)? = try queue.read { db in
            guard let version = try Int.fetchOne(db, sql: "PRAGMA user_version"), version > 0 else { return nil }
            guard version <= HistorySlice.formatVersion else {
                throw StoreError.newerFormat(file: "history/" + (path as NSString).lastPathComponent)
            }
            var state = State(isIndexed: try HistorySlice.isIndexed(db))
            for row in try Row.fetchAll(db, sql: "SELECT * FROM log WHERE rows > 0") {
                let identity: Int64 = row["identity"]
                state.spans[UInt64(bitPattern: identity)] = HistorySlice.span(row)
            }
            return (try Int64.fetchOne(db, sql: "SELECT started FROM slice") ?? 0, state)
        }
        guard let found else { return nil }
        startedMillis = found.started
        state = Mutex(found.state)
    }
    /// A new one.
    init(making path: String, number: Int, nowMillis: Int64) throws {
        self.path = path
        self.number = number
        startedMillis = nowMillis
        state = Mutex(State())
        SQLiteFile.makePrivate(path)
        let queue = try DatabaseQueue(path: path, configuration: HistorySlice.configuration)
        defer { try? queue.close() }
        try queue.write { db in
            try db.execute(sql: HistorySlice.schema)
            try db.execute(sql: "INSERT INTO slice (started) VALUES (?)", arguments: [nowMillis])
            try db.execute(sql: "PRAGMA user_version = \(HistorySlice.formatVersion)")
        }
    }
    static var configuration: Configuration {
        var configuration = SQLiteFile.configuration(label: "history", cacheKibibytes: 1024)
        configuration.journalMode = .wal
        return configuration
    }

    /// What an earlier version made, before it is written on. A new column costs a line of the schema.
    static func convert(_ db: Database) throws {
        guard try Int.fetchOne(db, sql: "PRAGMA user_version") == 1 else { return }
        try db.execute(sql: "ALTER TABLE attempt ADD COLUMN host TEXT; PRAGMA user_version = \(formatVersion)")
    }

    // MARK: What is in it

    func span(_ identity: UInt64) -> SliceSpan? { state.withLock { $0.spans[identity] } }
    func note(_ span: SliceSpan, of identity: UInt64) { state.withLock { $0.spans[identity] = span } }
    var rowCount: Int64 { state.withLock { $0.spans.values.reduce(0) { $0 + $1.rows } } }
    /// Of all logs; nil without rows.
    var newestMillis: Int64? { state.withLock { $0.spans.values.map(\.updated.upperBound).max() } }
    var isIndexed: Bool { state.withLock { $0.isIndexed } }
    /// True exactly when its files are gone or going: nobody opens them any more.
    var isDropped: Bool { state.withLock { $0.isDropped } }
    func markDropped() { state.withLock { $0.isDropped = true } }

    /// What a reader of `identity`'s rows needs; nil when there are none.
    func table(_ identity: UInt64) -> HistoryTable? {
        state.withLock { state in
            state.spans[identity].map { HistoryTable(log: $0.log, isIndexed: state.isIndexed) }
        }
    }

    // MARK: The index by endpoint

    /// Long work, on a connection of its own; readers go on meanwhile.
    func makeIndex(_ queue: DatabaseQueue) throws {
        try queue.writeWithoutTransaction { db in
            do { try db.execute(sql: HistorySlice.endpointIndex) } catch let error as DatabaseError {
                // SQLite sorts in a temporary file. Where it finds no place for one it sorts in memory.
                guard [.SQLITE_IOERR, .SQLITE_CANTOPEN].contains(error.resultCode) else { throw error }
                try db.execute(sql: "PRAGMA temp_store = MEMORY")
                try db.execute(sql: HistorySlice.endpointIndex)
            }
            try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)")
        }
        state.withLock { $0.isIndexed = true }
    }
    private static func isIndexed(_ db: Database) throws -> Bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = 'delivery_by_endpoint')"
        return try Bool.fetchOne(db, sql: sql) ?? false
    }
    private static func span(_ row: Row) -> SliceSpan {
        func range<Value: Comparable>(_ first: Value, _ last: Value) -> ClosedRange<Value> {
            min(first, last)...max(first, last)
        }
        let first: Int64 = row["first_sequence"]
        let last: Int64 = row["last_sequence"]
        return SliceSpan(
            log: row["number"], rows: row["rows"], batch: row["batch"],
            sequences: range(UInt64(bitPattern: first), UInt64(bitPattern: last)),
            updated: range(row["oldest"], row["newest"]))
    }

    private static let endpointIndex = """
        CREATE INDEX IF NOT EXISTS delivery_by_endpoint ON delivery (log, endpoint, sequence)
        """
    /// Every row is a delivered one. The small index is for those that needed more than one attempt: what an operator
    /// asks for.
    private static let schema = """
        CREATE TABLE slice (started INTEGER NOT NULL);
        CREATE TABLE log (
            number INTEGER PRIMARY KEY,
            identity INTEGER NOT NULL UNIQUE,
            rows INTEGER NOT NULL,
            batch INTEGER NOT NULL,
            first_sequence INTEGER NOT NULL,
            last_sequence INTEGER NOT NULL,
            oldest INTEGER NOT NULL,
            newest INTEGER NOT NULL
        );
        CREATE TABLE delivery (
            log INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            endpoint INTEGER NOT NULL,
            position INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            status INTEGER NOT NULL,
            result INTEGER NOT NULL,
            updated INTEGER NOT NULL,
            total_micros INTEGER NOT NULL,
            connect_micros INTEGER NOT NULL,
            first_byte_micros INTEGER NOT NULL,
            PRIMARY KEY (log, sequence, endpoint)
        ) WITHOUT ROWID;
        CREATE INDEX delivery_retried ON delivery (log, endpoint, sequence) WHERE attempts > 1;
        CREATE TABLE attempt (
            log INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            endpoint INTEGER NOT NULL,
            ended INTEGER NOT NULL,
            number INTEGER NOT NULL,
            status INTEGER NOT NULL,
            result INTEGER NOT NULL,
            system_error INTEGER NOT NULL,
            total_micros INTEGER NOT NULL,
            connect_micros INTEGER NOT NULL,
            first_byte_micros INTEGER NOT NULL,
            answer INTEGER,
            host TEXT,
            PRIMARY KEY (log, sequence, endpoint, ended, number)
        ) WITHOUT ROWID;
        CREATE TABLE answer (number INTEGER PRIMARY KEY, hash INTEGER NOT NULL, body BLOB NOT NULL);
        CREATE INDEX answer_hash ON answer (hash);
        """
}
