// Counts of endpoints in store.sqlite, as SQL; see `DeliveryTally`.
import FastPath
import GRDB

enum TallyTable {
    static let schema = """
        CREATE TABLE endpoint_tally (
            endpoint INTEGER PRIMARY KEY,
            delivered INTEGER NOT NULL,
            given_up INTEGER NOT NULL,
            triggered INTEGER NOT NULL          -- milliseconds since 1970; 0 = never
        );
        CREATE TABLE attempt_tally (
            endpoint INTEGER NOT NULL,
            type TEXT NOT NULL,                 -- of the events; empty for those beyond the bound
            success INTEGER NOT NULL,
            count INTEGER NOT NULL,
            retries INTEGER NOT NULL,
            micros INTEGER NOT NULL,
            last INTEGER NOT NULL,              -- milliseconds since 1970
            PRIMARY KEY (endpoint, type, success)
        ) WITHOUT ROWID;
        """

    /// Gathered first: a batch has many of few endpoints.
    static func add(_ notes: [TallyNote], _ db: Database) throws {
        guard !notes.isEmpty else { return }
        var endpoints: [EndpointID: EndpointTally] = [:]
        var attempts: [EndpointID: [AttemptTally]] = [:]
        for note in notes {
            endpoints[note.endpoint, default: EndpointTally(note.endpoint)].add(note.kind)
            guard case .attempt(let attempt) = note.kind else { continue }
            var own = attempts[note.endpoint, default: []]
            let place = own.firstIndex { $0.type == attempt.type && $0.isSuccess == attempt.isSuccess }
            if place == nil {
                own.append(AttemptTally(note.endpoint, type: attempt.type, isSuccess: attempt.isSuccess))
            }
            own[place ?? own.count - 1].add(attempt)
            attempts[note.endpoint] = own
        }
        for tally in endpoints.values { try add(tally, db) }
        for tally in attempts.values.joined() { try add(tally, db) }
    }
    private static func add(_ tally: EndpointTally, _ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO endpoint_tally (endpoint, delivered, given_up, triggered) VALUES (?, ?, ?, ?)
                ON CONFLICT (endpoint) DO UPDATE SET delivered = delivered + excluded.delivered,
                    given_up = given_up + excluded.given_up, triggered = max(triggered, excluded.triggered)
                """)
        try statement.execute(arguments: [
            tally.endpoint.number, tally.delivered, tally.givenUp, tally.triggeredMillis,
        ])
    }
    private static func add(_ tally: AttemptTally, _ db: Database) throws {
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO attempt_tally (endpoint, type, success, count, retries, micros, last)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (endpoint, type, success) DO UPDATE SET count = count + excluded.count,
                    retries = retries + excluded.retries, micros = micros + excluded.micros,
                    last = max(last, excluded.last)
                """)
        let type = try counts(tally.type, of: tally.endpoint, db) ? tally.type : ""
        try statement.execute(arguments: [
            tally.endpoint.number, type, tally.isSuccess, tally.count, tally.retries, tally.micros, tally.lastMillis,
        ])
    }
    /// Whether a type has a name of its own here. The names of tests are their callers' choice.
    private static func counts(_ type: String, of endpoint: EndpointID, _ db: Database) throws -> Bool {
        let known = try db.cachedStatement(sql: "SELECT 1 FROM attempt_tally WHERE endpoint = ? AND type = ? LIMIT 1")
        if try Int.fetchOne(known, arguments: [endpoint.number, type]) != nil { return true }
        let number = try db.cachedStatement(sql: "SELECT count(DISTINCT type) FROM attempt_tally WHERE endpoint = ?")
        return try Int.fetchOne(number, arguments: [endpoint.number]) ?? 0 < AttemptTally.typeCountMax
    }
    static func forget(_ endpoint: EndpointID, _ db: Database) throws {
        for table in ["endpoint_tally", "attempt_tally"] {
            try db.execute(sql: "DELETE FROM \(table) WHERE endpoint = ?", arguments: [endpoint.number])
        }
    }

    static func endpoints(_ endpoints: [EndpointID], _ db: Database) throws -> [EndpointTally] {
        let find = try db.cachedStatement(sql: "SELECT * FROM endpoint_tally WHERE endpoint = ?")
        return try endpoints.compactMap { endpoint in
            try Row.fetchOne(find, arguments: [endpoint.number]).map { row in
                var tally = EndpointTally(endpoint)
                (tally.delivered, tally.givenUp) = (row["delivered"], row["given_up"])
                tally.triggeredMillis = row["triggered"]
                return tally
            }
        }
    }
    static func attempts(_ endpoints: [EndpointID], _ db: Database) throws -> [AttemptTally] {
        let find = try db.cachedStatement(
            sql: "SELECT * FROM attempt_tally WHERE endpoint = ? ORDER BY type, success DESC")
        return try endpoints.flatMap { endpoint in
            try Row.fetchAll(find, arguments: [endpoint.number]).map { row in
                var tally = AttemptTally(endpoint, type: row["type"], isSuccess: row["success"])
                (tally.count, tally.retries) = (row["count"], row["retries"])
                (tally.micros, tally.lastMillis) = (row["micros"], row["last"])
                return tally
            }
        }
    }
}
