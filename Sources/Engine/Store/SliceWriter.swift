// The hand that writes the newest slice: one connection, on the store's writing thread alone. A batch is one
// transaction with the slice's own account of what it holds.

import FastPath
import GRDB

/// Finished deliveries as history takes them.
struct FinishedBatch {
    /// In the order of (sequence, endpoint).
    var rows: [DeliveryRow] = []
    var attempts: [AttemptRow] = []
    var identity: UInt64
    var number: Int64
    var nowMillis: Int64
    var isDurable = false
}

final class SliceWriter: Sendable {
    let slice: HistorySlice
    private let queue: DatabaseQueue

    init(_ slice: HistorySlice) throws {
        self.slice = slice
        var configuration = HistorySlice.configuration
        configuration.label = "history writer"
        queue = try DatabaseQueue(path: slice.path, configuration: configuration)
        try queue.write(HistorySlice.convert)
    }
    func close() { try? queue.close() }

    func write(_ batch: FinishedBatch) throws {
        guard let first = batch.rows.first else { return }
        let span = try queue.writeWithoutTransaction { db in
            let body = { try SliceWriter.write(batch, first: first, known: self.slice.span(batch.identity), db) }
            return try batch.isDurable ? db.durably(body) : db.atomically(body)
        }
        slice.note(span, of: batch.identity)
    }

    private static func write(
        _ batch: FinishedBatch, first: DeliveryRow, known: SliceSpan?, _ db: Database
    ) throws -> SliceSpan {
        var span = try known ?? newSpan(batch.identity, first, db)
        for row in batch.rows { span.add(row) }
        span.batch = max(span.batch, batch.number)
        try insert(batch.rows, log: span.log, db)
        try AttemptTable("attempt", log: span.log).insert(batch.attempts, db)
        let note = try db.cachedStatement(
            sql: """
                UPDATE log SET rows = ?, batch = ?, first_sequence = ?, last_sequence = ?, oldest = ?, newest = ?
                WHERE number = ?
                """)
        try note.execute(arguments: [
            span.rows, span.batch, DeliveryColumns.stored(span.sequences.lowerBound),
            DeliveryColumns.stored(span.sequences.upperBound), span.updated.lowerBound, span.updated.upperBound,
            span.log,
        ])
        return span
    }
    private static func newSpan(_ identity: UInt64, _ first: DeliveryRow, _ db: Database) throws -> SliceSpan {
        try db.execute(
            sql: """
                INSERT INTO log (identity, rows, batch, first_sequence, last_sequence, oldest, newest)
                VALUES (?, 0, 0, 0, 0, 0, 0) ON CONFLICT (identity) DO NOTHING
                """, arguments: [Int64(bitPattern: identity)])
        let number = try Int64.fetchOne(
            db, sql: "SELECT number FROM log WHERE identity = ?", arguments: [Int64(bitPattern: identity)])
        guard let number else { preconditionFailure("a log that was inserted is not there") }
        let sequence = first.place.sequence
        return SliceSpan(
            log: number, sequences: sequence...sequence, updated: first.updatedMillis...first.updatedMillis)
    }
    private static func insert(_ rows: [DeliveryRow], log: Int64, _ db: Database) throws {
        let insert = try RawStatement(
            """
            INSERT OR REPLACE INTO delivery (log, sequence, endpoint, position, attempts, status, result, updated,
                total_micros, connect_micros, first_byte_micros)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """, db)
        insert.bind(1, log)
        for row in rows {
            insert.bind(2, DeliveryColumns.stored(row.place.sequence))
            insert.bind(3, Int64(row.endpoint.number))
            insert.bind(4, DeliveryColumns.stored(position: row.place.position))
            insert.bind(5, Int64(row.attempts))
            insert.bind(6, Int64(row.status))
            insert.bind(7, Int64(row.result.rawValue))
            insert.bind(8, row.updatedMillis)
            insert.bind(9, Int64(row.timing.totalMicros))
            insert.bind(10, Int64(row.timing.connectMicros))
            insert.bind(11, Int64(row.timing.firstByteMicros))
            try insert.run()
        }
    }
}
