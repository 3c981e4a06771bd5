// Marks and states of endpoints in store.sqlite, and the account that each batch leaves with them.

import FastPath
import GRDB

enum MarkTable {
    static func place(_ row: Row) -> EventLocation {
        DeliveryColumns.place(sequence: row["sequence"], position: row["position"])
    }
    static func shared(_ log: Int64, _ db: Database) throws -> EventLocation? {
        let sql = "SELECT sequence, position FROM log WHERE number = ? AND sequence IS NOT NULL"
        return try Row.fetchOne(db, sql: sql, arguments: [log]).map(place)
    }
    static func rebuiltFrom(_ log: Int64, _ db: Database) throws -> EventLocation? {
        let sql = """
            SELECT rebuilt_sequence AS sequence, rebuilt_position AS position FROM log
            WHERE number = ? AND rebuilt_sequence IS NOT NULL
            """
        return try Row.fetchOne(db, sql: sql, arguments: [log]).map(place)
    }
    static func setRebuiltFrom(_ place: EventLocation?, _ log: Int64, _ db: Database) throws {
        try db.execute(
            sql: "UPDATE log SET rebuilt_sequence = ?, rebuilt_position = ? WHERE number = ?",
            arguments: [
                place.map { DeliveryColumns.stored($0.sequence) },
                place.map { DeliveryColumns.stored(position: $0.position) }, log,
            ])
    }
    /// Of all endpoints, or of one.
    static func marks(_ log: Int64, endpoint: EndpointID? = nil, _ db: Database) throws -> [LaneMark] {
        let (one, arguments) = of(log, endpoint)
        let sql = "SELECT endpoint, sequence, position FROM mark WHERE log = ? \(one) ORDER BY endpoint"
        return try Row.fetchAll(db, sql: sql, arguments: arguments).map {
            LaneMark(endpoint: EndpointID($0["endpoint"]), resume: place($0))
        }
    }
    private static func of(_ log: Int64, _ endpoint: EndpointID?) -> (condition: String, StatementArguments) {
        guard let endpoint else { return ("", [log]) }
        return ("AND endpoint = ?", [log, endpoint.number])
    }
    static func put(_ marks: [LaneMark], _ log: Int64, _ db: Database) throws {
        guard !marks.isEmpty else { return }
        let insert = try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO mark (log, endpoint, sequence, position) VALUES (?, ?, ?, ?)")
        let delete = try db.cachedStatement(sql: "DELETE FROM mark WHERE log = ? AND endpoint = ?")
        for mark in marks {
            guard let place = mark.resume else {
                try delete.execute(arguments: [log, mark.endpoint.number])
                continue
            }
            try insert.execute(arguments: [
                log, mark.endpoint.number, DeliveryColumns.stored(place.sequence),
                DeliveryColumns.stored(position: place.position),
            ])
        }
    }

    static func states(_ log: Int64, endpoint: EndpointID? = nil, _ db: Database) throws -> [EndpointState] {
        let (one, arguments) = of(log, endpoint)
        let sql = "SELECT * FROM endpoint_state WHERE log = ? \(one) ORDER BY endpoint"
        return try Row.fetchAll(db, sql: sql, arguments: arguments).map { row in
            var state = EndpointState(endpoint: EndpointID(row["endpoint"]))
            guard let condition = EndpointCondition(rawValue: row["condition"]),
                let reason = EndpointReason(rawValue: row["reason"])
            else { throw StoreError.unreadableState(endpoint: state.endpoint) }
            state.condition = condition
            state.reason = reason
            state.sinceMillis = row["since"]
            state.untilMillis = row["until"]
            state.lastFailureMillis = row["last_failure"]
            state.lastSuccessMillis = row["last_success"]
            state.lastError = row["last_error"]
            state.alertedPercent = row["alerted"]
            return state
        }
    }
    /// An endpoint of which there is nothing to say has no row.
    static func put(_ states: [EndpointState], _ log: Int64, _ db: Database) throws {
        guard !states.isEmpty else { return }
        let insert = try db.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO endpoint_state
                    (log, endpoint, condition, reason, since, until, last_failure, last_success, last_error,
                     alerted)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        let delete = try db.cachedStatement(sql: "DELETE FROM endpoint_state WHERE log = ? AND endpoint = ?")
        for state in states {
            if state == EndpointState(endpoint: state.endpoint) {
                try delete.execute(arguments: [log, state.endpoint.number])
                continue
            }
            try insert.execute(arguments: [
                log, state.endpoint.number, state.condition.rawValue, state.reason.rawValue, state.sinceMillis,
                state.untilMillis, state.lastFailureMillis, state.lastSuccessMillis, state.lastError,
                state.alertedPercent,
            ])
        }
    }

    /// The last statement of a batch: the shared mark, the clock, and the number that history has as well.
    static func note(_ batch: OutcomeBatch, number: Int64, _ log: Int64, _ db: Database) throws {
        let note = try db.cachedStatement(
            sql: """
                UPDATE log SET written = ?, batch = ?, sequence = coalesce(?, sequence),
                    position = coalesce(?, position)
                WHERE number = ?
                """)
        try note.execute(arguments: [
            batch.nowMillis, number, batch.shared.map { DeliveryColumns.stored($0.sequence) },
            batch.shared.map { DeliveryColumns.stored(position: $0.position) }, log,
        ])
    }
}

extension MarkTable {
    static let alertSchema = "ALTER TABLE endpoint_state ADD COLUMN alerted INTEGER NOT NULL DEFAULT 0"
}

/// A batch sorted for its files: the last row of a delivery counts, finished ones go to history and take their attempts
/// along.
struct BatchParts {
    /// In the order of (sequence, endpoint), which is that of the tables.
    private(set) var finished: [DeliveryRow] = []
    private(set) var open: [DeliveryRow] = []
    private(set) var finishedAttempts: [AttemptRow] = []
    private(set) var openAttempts: [AttemptRow] = []

    init(_ batch: OutcomeBatch) {
        // Stable: of two rows of one delivery the later one stays behind the earlier.
        var rows = batch.rows.sorted { DeliveryKey($0) < DeliveryKey($1) }
        for index in rows.indices.dropFirst() where rows[index].keepsLastFailure {
            let before = rows[index - 1]
            if DeliveryKey(before) == DeliveryKey(rows[index]) {
                rows[index] = rows[index].withLastFailure(of: before)
            }
        }
        for (index, row) in rows.enumerated() {
            if index + 1 < rows.count, DeliveryKey(rows[index + 1]) == DeliveryKey(row) { continue }
            if row.state.isFinished { finished.append(row) } else { open.append(row) }
        }
        guard !batch.attempts.isEmpty else { return }
        let keys = Set(finished.map(DeliveryKey.init))
        for attempt in batch.attempts {
            if keys.contains(DeliveryKey(attempt)) {
                finishedAttempts.append(attempt)
            } else {
                openAttempts.append(attempt)
            }
        }
    }
}
