// Rows of deliveries and attempts as the columns that open deliveries and history share.

import FastPath
import Foundation
import GRDB

enum DeliveryColumns {
    /// Sequences are the log's, which never reach 2^63; a bound from outside may.
    static func stored(_ sequence: UInt64) -> Int64 { Int64(min(sequence, UInt64(Int64.max))) }
    /// Any 64 bits.
    static func stored(position: UInt64) -> Int64 { Int64(bitPattern: position) }
    static func place(sequence: Int64, position: Int64) -> EventLocation {
        EventLocation(sequence: UInt64(bitPattern: sequence), position: UInt64(bitPattern: position))
    }

    /// What history has of one that was superseded: no attempt ended it, and nothing that was delivered says so.
    static let supersededResult = DeliveryResult.abandoned

    /// `state` is what the table holds when it has no such column.
    static func delivery(_ row: Row, state held: DeliveryState? = nil) throws -> DeliveryRow {
        let endpoint = EndpointID(row["endpoint"])
        let place = place(sequence: row["sequence"], position: row["position"])
        let ending: UInt8 = row["result"]
        let isSuperseded = held == .delivered && ending == supersededResult.rawValue
        let known: DeliveryState? = isSuperseded ? .superseded : held
        let reason: UInt8? = known == nil ? row["reason"] : nil
        guard let state = known ?? DeliveryState(rawValue: row["state"]),
            let result = DeliveryResult(rawValue: row["result"]),
            reason == nil || reason.flatMap(DeadLetterReason.init(rawValue:)) != nil
        else { throw StoreError.unreadableRow(endpoint: endpoint, sequence: place.sequence) }
        return DeliveryRow(
            endpoint: endpoint, place: place, state: state, attempts: row["attempts"], status: row["status"],
            result: result, reason: reason.flatMap(DeadLetterReason.init(rawValue:)),
            dueMillis: known == nil ? row["due"] : 0, updatedMillis: row["updated"], timing: timing(row))
    }
    static func attempt(_ row: Row) throws -> AttemptRow {
        let endpoint = EndpointID(row["endpoint"])
        let sequence: Int64 = row["sequence"]
        guard let result = DeliveryResult(rawValue: row["result"]) else {
            throw StoreError.unreadableRow(endpoint: endpoint, sequence: UInt64(bitPattern: sequence))
        }
        let answer: [UInt8]? = (row["body"] as Data?).map(Array.init)
        return AttemptRow(
            endpoint: endpoint, sequence: UInt64(bitPattern: sequence), number: row["number"],
            endedMillis: row["ended"], timing: timing(row), status: row["status"], result: result,
            systemError: row["system_error"], answer: answer ?? [], host: row["host"])
    }
    private static func timing(_ row: Row) -> AttemptTiming {
        var timing = AttemptTiming()
        timing.totalMicros = row["total_micros"]
        timing.connectMicros = row["connect_micros"]
        timing.firstByteMicros = row["first_byte_micros"]
        return timing
    }
}

/// Attempts of one file, and the answers that they point to: each different body is kept once in a file, however many
/// attempts got it.
struct AttemptTable {
    let table: String
    let log: Int64
    /// Bodies with one hash are compared whole; so many of them, should somebody make them collide on purpose.
    private static let sameHashMax = 8

    init(_ table: String, log: Int64) {
        self.table = table
        self.log = log
    }

    /// One that is there already stays as it is: attempts never change.
    func insert(_ attempts: [AttemptRow], _ db: Database) throws {
        guard !attempts.isEmpty else { return }
        let insert = try db.cachedStatement(
            sql: """
                INSERT OR IGNORE INTO \(table) (log, sequence, endpoint, ended, number, status, result, system_error,
                    total_micros, connect_micros, first_byte_micros, answer, host)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        for attempt in attempts {
            let answer = try AttemptTable.answer(attempt.answer, db)
            try insert.execute(arguments: [
                log, DeliveryColumns.stored(attempt.sequence), attempt.endpoint.number, attempt.endedMillis,
                attempt.number, attempt.status, attempt.result.rawValue, attempt.systemError,
                attempt.timing.totalMicros, attempt.timing.connectMicros, attempt.timing.firstByteMicros, answer,
                attempt.host,
            ])
        }
    }
    /// By endpoint and time; of one delivery when `endpoint` is given.
    func fetch(sequence: UInt64, endpoint: EndpointID? = nil, _ db: Database) throws -> [AttemptRow] {
        let one = endpoint == nil ? "" : "AND a.endpoint = ?"
        let sql = """
            SELECT a.*, b.body FROM \(table) a LEFT JOIN answer b ON b.number = a.answer
            WHERE a.log = ? AND a.sequence = ? \(one) ORDER BY a.endpoint, a.ended, a.number
            """
        var arguments: StatementArguments = [log, DeliveryColumns.stored(sequence)]
        if let endpoint { arguments += [endpoint.number] }
        return try Row.fetchAll(db.cachedStatement(sql: sql), arguments: arguments).map(DeliveryColumns.attempt)
    }

    func counts(endpoint: EndpointID, ended: Range<Int64>, _ db: Database) throws -> AttemptCounts {
        let sql = """
            SELECT count(*) AS number, total(result = ? AND status BETWEEN 200 AND 299) AS succeeded FROM \(table)
            WHERE log = ? AND endpoint = ? AND ended >= ? AND ended < ?
            """
        let answered = DeliveryResult.answered.rawValue
        let arguments: StatementArguments = [
            answered, log, endpoint.number, ended.lowerBound, ended.upperBound,
        ]
        guard let row = try Row.fetchOne(db.cachedStatement(sql: sql), arguments: arguments) else {
            return AttemptCounts()
        }
        let (all, succeeded) = (row["number"] as Int, Int(row["succeeded"] as Double))
        return AttemptCounts(succeeded: succeeded, failed: all - succeeded)
    }

    private static func answer(_ body: [UInt8], _ db: Database) throws -> Int64? {
        if body.isEmpty { return nil }
        let body = Data(body.prefix(AttemptRow.answerBytesMax))
        let hash = hash(body)
        let find = try db.cachedStatement(
            sql: """
                SELECT number FROM (SELECT number, body FROM answer WHERE hash = ? LIMIT \(sameHashMax))
                WHERE body = ?
                """)
        if let number = try Int64.fetchOne(find, arguments: [hash, body]) { return number }
        let insert = try db.cachedStatement(sql: "INSERT INTO answer (hash, body) VALUES (?, ?)")
        try insert.execute(arguments: [hash, body])
        return db.lastInsertedRowID
    }
    /// FNV-1a. It only has to be the same in every run.
    private static func hash(_ body: Data) -> Int64 {
        let hash = body.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return Int64(bitPattern: hash)
    }
}
