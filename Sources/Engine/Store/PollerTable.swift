// How far the consumers of polled sinks have come, in store.sqlite. A position counts within its log: where the log is
// another, its consumers begin anew.
//
// Invariant: of one tenant no more than `consumerCountMax` are kept; those that were moved longest ago go first.
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
    static func move(
        _ consumer: PollerConsumer, to sequence: UInt64, nowMillis: Int64, _ log: Int64, _ db: Database
    ) throws {
        try db.execute(
            sql: """
                UPDATE poller SET sequence = ?, moved = ?
                WHERE log = ? AND tenant = ? AND sink = ? AND consumer = ?
                """,
            arguments: [
                Int64(bitPattern: sequence), nowMillis, log, consumer.tenant.number, consumer.sink.text, consumer.name,
            ])
        guard db.changesCount == 0 else { return }
        try db.execute(
            sql: "INSERT INTO poller (log, tenant, sink, consumer, sequence, moved) VALUES (?, ?, ?, ?, ?, ?)",
            arguments: [
                log, consumer.tenant.number, consumer.sink.text, consumer.name, Int64(bitPattern: sequence), nowMillis,
            ])
        try db.execute(
            sql: """
                DELETE FROM poller WHERE log = ?1 AND tenant = ?2 AND (sink, consumer) IN (
                    SELECT sink, consumer FROM poller WHERE log = ?1 AND tenant = ?2
                    ORDER BY moved DESC, sink, consumer LIMIT -1 OFFSET ?3)
                """,
            arguments: [log, consumer.tenant.number, consumerCountMax])
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
    /// Durable when it returns. Forwards or back.
    package func move(_ consumer: PollerConsumer, to sequence: UInt64, nowMillis: Int64) throws {
        try database.write(isDurable: true) {
            try PollerTable.move(consumer, to: sequence, nowMillis: nowMillis, logNumber, $0)
        }
    }
}
