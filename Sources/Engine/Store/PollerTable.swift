// How far the consumers of polled sinks have come, in store.sqlite. A position counts within its log: where the log is
// another, its consumers begin anew.
//
// Invariant: of one tenant no more than `consumerCountMax` are kept. A new one takes the place of one that was not
// moved for `restMillis`, and finds none where all were: nobody's position goes for a name that was made up.
import FastPath
import GRDB

/// A consumer, by the name that it gives itself.
package struct PollerConsumer: Equatable, Hashable, Sendable {
    package enum Sink: Equatable, Hashable, Sendable {
        case endpoint(EndpointID)
        /// A name that is no endpoint's.
        case named(String)

        /// A name has no `#`.
        fileprivate var text: String {
            switch self {
            case .endpoint(let id): "#\(id.number)"
            case .named(let name): name
            }
        }
    }
    package var tenant: TenantID
    package var sink: Sink
    package var name: String
    package init(tenant: TenantID, sink: Sink, name: String) {
        self.tenant = tenant
        self.sink = sink
        self.name = name
    }
}

enum PollerTable {
    static let consumerCountMax = 1000
    static let restMillis: Int64 = 30 * 24 * 3_600_000
    static let schema = """
        CREATE TABLE poller (
            log INTEGER NOT NULL,
            tenant INTEGER NOT NULL,
            sink TEXT NOT NULL,                 -- # and an endpoint's number, or a name
            consumer TEXT NOT NULL,
            sequence INTEGER NOT NULL,          -- the last event that it has behind it
            moved INTEGER NOT NULL,             -- milliseconds since 1970
            PRIMARY KEY (log, tenant, sink, consumer)
        ) WITHOUT ROWID;
        CREATE INDEX poller_sink ON poller (sink);
        """

    static func position(of consumer: PollerConsumer, _ log: Int64, _ db: Database) throws -> UInt64? {
        try Int64.fetchOne(
            db, sql: "SELECT sequence FROM poller WHERE log = ? AND tenant = ? AND sink = ? AND consumer = ?",
            arguments: [log, consumer.tenant.number, consumer.sink.text, consumer.name]
        ).map { UInt64(bitPattern: $0) }
    }
    /// False, and nothing was done, where there is no room for a new one.
    static func move(
        _ consumer: PollerConsumer, to sequence: UInt64, nowMillis: Int64, _ log: Int64, _ db: Database
    ) throws -> Bool {
        try db.execute(
            sql: """
                UPDATE poller SET sequence = ?, moved = ?
                WHERE log = ? AND tenant = ? AND sink = ? AND consumer = ?
                """,
            arguments: [
                Int64(bitPattern: sequence), nowMillis, log, consumer.tenant.number, consumer.sink.text, consumer.name,
            ])
        guard db.changesCount == 0 else { return true }
        guard try hasRoom(log, consumer.tenant, nowMillis, db) else { return false }
        try db.execute(
            sql: "INSERT INTO poller (log, tenant, sink, consumer, sequence, moved) VALUES (?, ?, ?, ?, ?, ?)",
            arguments: [
                log, consumer.tenant.number, consumer.sink.text, consumer.name, Int64(bitPattern: sequence), nowMillis,
            ])
        return true
    }
    private static func hasRoom(_ log: Int64, _ tenant: TenantID, _ nowMillis: Int64, _ db: Database) throws -> Bool {
        let count = try Int.fetchOne(
            db, sql: "SELECT count(*) FROM poller WHERE log = ? AND tenant = ?", arguments: [log, tenant.number])
        guard count ?? 0 >= consumerCountMax else { return true }
        try db.execute(
            sql: """
                DELETE FROM poller WHERE log = ?1 AND tenant = ?2 AND (sink, consumer) IN (
                    SELECT sink, consumer FROM poller WHERE log = ?1 AND tenant = ?2 AND moved < ?3
                    ORDER BY moved, sink, consumer LIMIT 1)
                """,
            arguments: [log, tenant.number, nowMillis - restMillis])
        return db.changesCount > 0
    }
    static func forget(_ endpoint: EndpointID, _ db: Database) throws {
        try db.execute(
            sql: "DELETE FROM poller WHERE sink = ?", arguments: [PollerConsumer.Sink.endpoint(endpoint).text])
    }
}

extension SQLiteStore {
    /// The last event that the consumer has behind it; nil for one that is not known.
    package func position(of consumer: PollerConsumer) throws -> UInt64? {
        try database.read { try PollerTable.position(of: consumer, logNumber, $0) }
    }
    /// Forwards or back; false where there is no room for a new one. `isDurable`: it survives a power cut when this
    /// returns.
    @discardableResult
    package func move(
        _ consumer: PollerConsumer, to sequence: UInt64, nowMillis: Int64, isDurable: Bool = true
    ) throws -> Bool {
        try database.write(isDurable: isDurable) {
            try PollerTable.move(consumer, to: sequence, nowMillis: nowMillis, logNumber, $0)
        }
    }
}
