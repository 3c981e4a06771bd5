// The tables of the registry and the audit log, as a migration that whoever opens the database adds behind its own.
//
// A data folder of an earlier version knew endpoints by name: its numbers and names become identities of the manifest's
// endpoints in the default tenant, so that the endpoint of that name goes on where it stood.
import GRDB

package enum RegistryMigration {
    package static let identifier = "3-registry"

    package static func register(in migrator: inout DatabaseMigrator) {
        migrator.registerMigration(identifier) { db in
            try db.execute(sql: tables)
            try insertDefaultTenant(db)
            if try db.tableExists("endpoint_name_v1") { try adoptNames(db) }
        }
        migrator.registerMigration("4-keys") { try $0.execute(sql: keys) }
        migrator.registerMigration("5-audit-chain") { db in
            try db.execute(sql: "ALTER TABLE audit ADD COLUMN previous BLOB; ALTER TABLE audit ADD COLUMN digest BLOB")
            try AuditChain.adopt(db)
        }
        migrator.registerMigration("6-outbound") { try $0.execute(sql: outbound) }
        // What stands in clear text is encrypted when the master key is there: see `SecretStore`.
        migrator.registerMigration("7-secrets") { try $0.execute(sql: StoredSecrets.tables) }
    }

    private static let tables = """
        CREATE TABLE registry_tenant (
            number INTEGER PRIMARY KEY,
            public TEXT NOT NULL UNIQUE,
            uid TEXT,
            name TEXT NOT NULL,
            origin INTEGER NOT NULL,            -- ResourceOrigin
            revision INTEGER NOT NULL,
            created INTEGER NOT NULL            -- milliseconds since 1970
        );
        CREATE TABLE registry_resource (
            kind INTEGER NOT NULL,              -- ResourceKind
            number INTEGER NOT NULL,
            public TEXT NOT NULL UNIQUE,
            tenant INTEGER NOT NULL,
            uid TEXT,
            name TEXT NOT NULL,
            origin INTEGER NOT NULL,            -- ResourceOrigin
            revision INTEGER NOT NULL,
            created INTEGER NOT NULL,
            digest INTEGER NOT NULL,            -- of the settings without secrets
            in_force INTEGER NOT NULL,          -- 0: only the identity is left
            settings TEXT,                      -- JSON; NULL for resources of the manifest
            PRIMARY KEY (kind, number)
        ) WITHOUT ROWID;
        CREATE TABLE registry_counter (kind INTEGER PRIMARY KEY, last INTEGER NOT NULL);
        CREATE TABLE audit (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            time INTEGER NOT NULL,              -- milliseconds since 1970
            actor TEXT NOT NULL,
            request TEXT,
            action TEXT NOT NULL,               -- AuditAction
            kind INTEGER,                       -- ResourceKind; NULL for the gateway's own settings
            tenant INTEGER NOT NULL,
            resource TEXT NOT NULL,
            name TEXT NOT NULL,
            changes TEXT NOT NULL               -- JSON
        );
        CREATE INDEX audit_tenant ON audit (tenant, number);
        """

    private static let keys = """
        ALTER TABLE registry_tenant ADD COLUMN secret TEXT;
        CREATE TABLE registry_key (
            number INTEGER PRIMARY KEY,
            public TEXT NOT NULL UNIQUE,
            tenant INTEGER,                     -- NULL: of all tenants
            role INTEGER NOT NULL,              -- KeyRole
            name TEXT NOT NULL,
            digest BLOB NOT NULL UNIQUE,        -- KeyDigest
            created INTEGER NOT NULL,           -- milliseconds since 1970, as are the next two
            expires INTEGER,
            used INTEGER                        -- to the minute
        );
        """

    /// Times are milliseconds since 1970; an `updated` of 0 stands for never.
    private static let outbound = """
        ALTER TABLE registry_tenant ADD COLUMN updated INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE registry_tenant ADD COLUMN profile TEXT;
        ALTER TABLE registry_resource ADD COLUMN updated INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE registry_key ADD COLUMN flags TEXT;
        ALTER TABLE registry_key ADD COLUMN portal INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE registry_event_type (
            number INTEGER PRIMARY KEY,
            public TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL UNIQUE,
            revision INTEGER NOT NULL,
            created INTEGER NOT NULL,
            updated INTEGER NOT NULL,
            settings TEXT NOT NULL              -- JSON
        );
        """

    private static func insertDefaultTenant(_ db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO registry_tenant (number, public, name, origin, revision, created) VALUES (?, ?, ?, ?, 1, 0)
                """,
            arguments: [
                TenantID.main.number, PublicID.make(.tenant).text, TenantSpec.defaultName,
                ResourceOrigin.manifest.rawValue,
            ])
        try db.execute(
            sql: "INSERT INTO registry_counter (kind, last) VALUES (?, ?)",
            arguments: [ResourceKind.tenant.rawValue, TenantID.main.number])
    }
    private static func adoptNames(_ db: Database) throws {
        let insert = try db.makeStatement(
            sql: """
                INSERT INTO registry_resource
                (kind, number, public, tenant, name, origin, revision, created, digest, in_force)
                VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0, ?)
                """)
        for row in try Row.fetchAll(db, sql: "SELECT number, name, removed FROM endpoint_name_v1 ORDER BY number") {
            let number: Int64 = row["number"]
            let name: String = row["name"]
            let isRemoved: Bool = row["removed"]
            try insert.execute(arguments: [
                ResourceKind.endpoint.rawValue, number, PublicID.make(.endpoint).text,
                TenantID.main.number, name, ResourceOrigin.manifest.rawValue, !isRemoved,
            ])
        }
        try db.execute(
            sql: """
                INSERT INTO registry_counter (kind, last)
                SELECT ?, coalesce(max(number), 0) FROM registry_resource WHERE kind = ?
                """,
            arguments: [ResourceKind.endpoint.rawValue, ResourceKind.endpoint.rawValue])
    }
}
