// The registry and the audit log in SQLite, in the database that also keeps the deliveries. Commits are synced
// (synchronous = FULL for their transaction), because whoever asked was told that the change is kept. What may hold a
// secret is sealed when it is written and opened when it is read (`SecretStore`).
import Foundation
import GRDB

package final class SQLiteRegistryStore: RegistryStore, AuditLog, KeyUseStore {
    private let database: any DatabaseWriter
    package let secrets: SecretStore
    package let entryCountMax: Int

    /// `database` has gone through `RegistryMigration`, and `secrets` is its.
    package init(
        _ database: any DatabaseWriter, secrets: SecretStore, entryCountMax: Int = AuditBounds.entryCountMax
    ) {
        self.database = database
        self.secrets = secrets
        self.entryCountMax = entryCountMax
    }

    // MARK: Reading

    package func load() throws -> StoredRegistry { try SQLiteRegistryStore.load(database, secrets) }
    /// `secrets` nil: of a version that encrypted nothing.
    static func load(_ database: any DatabaseReader, _ secrets: SecretStore?) throws -> StoredRegistry {
        try database.read { db in
            let column = SecretColumn(try secrets?.session())
            try column.session?.readKeys(db)
            var stored = StoredRegistry()
            stored.tenants = try Row.fetchAll(db, sql: "SELECT * FROM registry_tenant ORDER BY number").map {
                try SQLiteRegistryStore.tenant($0, column, db)
            }
            let names = Dictionary(uniqueKeysWithValues: stored.tenants.map { ($0.id, $0.name) })
            let sourceDecoder = SettingsDecoder<SourceConfiguration>()
            let endpointDecoder = SettingsDecoder<EndpointConfiguration>()
            let rows = try Row.fetchCursor(db, sql: "SELECT * FROM registry_resource ORDER BY kind, number")
            while let row = try rows.next() {
                let identity = try SQLiteRegistryStore.identity(row)
                let place = SecretPlace(
                    identity.tenant, identity.kind, identity.number, StoredSecrets.settingsField)
                guard let data = try column.read(row["settings"], place, db) else {
                    stored.identities.append(identity)
                    continue
                }
                // An earlier version's store has no such column.
                let updated = row["updated"] as Int64? ?? 0
                switch identity.kind {
                case .source:
                    stored.sources.append(try sourceDecoder.spec(identity, updated, data, names, &stored.lists))
                case .endpoint:
                    stored.endpoints.append(
                        try endpointDecoder.spec(identity, updated, data, names, &stored.lists))
                case .tenant, .key, .eventType: break
                }
            }
            SQLiteRegistryStore.resolveSources(&stored)
            stored.keys = try StoredKeys.load(db)
            stored.eventTypes = try StoredEventTypes.load(db)
            for row in try Row.fetchAll(db, sql: "SELECT * FROM registry_counter") {
                if let kind = ResourceKind(rawValue: row["kind"]) { stored.lastNumbers[kind] = row["last"] }
            }
            return stored
        }
    }
    /// Sources of the manifest are known by their identity before the manifest is read. A name that is nobody's stays
    /// in the list as nobody: an endpoint that wants one source must never become one that wants all.
    private static func resolveSources(_ stored: inout StoredRegistry) {
        var numbers: [TenantKey: SourceID] = [:]
        for source in stored.identities where source.kind == .source {
            numbers[TenantKey(tenant: source.tenant, text: source.name)] = SourceID(source.number)
        }
        for source in stored.sources { numbers[TenantKey(tenant: source.tenant, text: source.name)] = source.id }
        for place in stored.endpoints.indices {
            let endpoint = stored.endpoints[place]
            stored.endpoints[place].sourceIDs = endpoint.settings.sources.flatMap { name -> [SourceID] in
                if let ids = PublishSource.ids(of: name) { return ids }
                return [numbers[TenantKey(tenant: endpoint.tenant, text: name)] ?? SourceID(0)]
            }
        }
    }
    private static func tenant(_ row: Row, _ column: SecretColumn, _ db: Database) throws -> TenantSpec {
        guard let origin = ResourceOrigin(rawValue: row["origin"]),
            let publicID = PublicID(row["public"], prefix: .tenant)
        else { throw RegistryStoreError.unreadable }
        let profile: String? = row["profile"]
        let id = TenantID(row["number"])
        let place = SecretPlace(id, .tenant, id.number, StoredSecrets.signingSecretField)
        let signingSecret = try column.read(row["secret"], place, db)
        return TenantSpec(
            id: id, publicID: publicID, uid: row["uid"],
            name: row["name"], origin: origin, revision: row["revision"], createdMillis: row["created"],
            signingSecret: signingSecret.map { String(decoding: $0, as: UTF8.self) },
            profile: try profile.map { try JSONValueDecoder().decode(TenantProfile.self, from: Array($0.utf8)) }
                ?? TenantProfile(), updatedMillis: row["updated"] as Int64? ?? 0)
    }
    private static func identity(_ row: Row) throws -> RetiredResource {
        guard let kind = ResourceKind(rawValue: row["kind"]), kind == .source || kind == .endpoint,
            let publicID = PublicID(row["public"], prefix: kind == .source ? .source : .endpoint)
        else { throw RegistryStoreError.unreadable }
        let digest: Int64 = row["digest"]
        return RetiredResource(
            kind: kind, number: row["number"], publicID: publicID,
            tenant: TenantID(row["tenant"]), name: row["name"], uid: row["uid"], revision: row["revision"],
            createdMillis: row["created"], digest: UInt64(bitPattern: digest), wasInForce: row["in_force"])
    }

    // MARK: Writing

    package func commit(_ commit: RegistryCommit) throws {
        try writeDurably { db in
            let session = try secrets.session()
            for tenant in commit.tenants { try SQLiteRegistryStore.write(tenant, session, db) }
            for id in commit.removedTenants {
                try db.execute(sql: "DELETE FROM registry_tenant WHERE number = ?", arguments: [id.number])
                try SealingSession.removeKey(of: id, db)
            }
            try StoredKeys.write(commit.keys, removed: commit.removedKeys, db)
            try StoredEventTypes.write(commit.eventTypes, removed: commit.removedEventTypes, db)
            let encoder = JSONTextEncoder()
            for spec in commit.sources { try SQLiteRegistryStore.write(spec, encoder, session, db) }
            for spec in commit.endpoints { try SQLiteRegistryStore.write(spec, encoder, session, db) }
            for identity in commit.retired { try SQLiteRegistryStore.write(identity, .manifest, settings: nil, db) }
            let delete = try db.cachedStatement(sql: "DELETE FROM registry_resource WHERE kind = ? AND number = ?")
            for one in commit.deleted { try delete.execute(arguments: [one.kind.rawValue, one.number]) }
            let count = try db.cachedStatement(
                sql: """
                    INSERT INTO registry_counter (kind, last) VALUES (?, ?)
                    ON CONFLICT (kind) DO UPDATE SET last = max(last, excluded.last)
                    """)
            for (kind, number) in commit.lastNumbers where number > 0 {
                try count.execute(arguments: [kind.rawValue, number])
            }
            try append(commit.audit, db)
        }
    }
    private static func write(_ tenant: TenantSpec, _ session: SealingSession, _ db: Database) throws {
        let place = SecretPlace(tenant.id, .tenant, tenant.id.number, StoredSecrets.signingSecretField)
        let secret = try tenant.signingSecret.map { try session.seal(Array($0.utf8), place, db) }
        try db.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO registry_tenant
                (number, public, uid, name, origin, revision, created, secret, updated, profile)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            tenant.id.number, tenant.publicID.text, tenant.uid, tenant.name, tenant.origin.rawValue,
            Int64(bitPattern: tenant.revision), tenant.createdMillis, secret, tenant.updatedMillis,
            tenant.profile == TenantProfile()
                ? nil : String(decoding: try JSONEncoder().encode(tenant.profile), as: UTF8.self),
        ])
    }
    private static func write<Settings>(
        _ spec: ResourceSpec<Settings>, _ encoder: JSONTextEncoder, _ session: SealingSession, _ db: Database
    ) throws {
        var settings: Data?
        if spec.origin == .api {
            let place = SecretPlace(spec.tenant, Settings.kind, spec.id.number, StoredSecrets.settingsField)
            settings = try session.seal(Array(encoder.text(of: spec.settings).utf8), place, db)
        }
        try write(spec.identity(isInForce: true), spec.origin, settings: settings, updated: spec.updatedMillis, db)
    }
    private static func write(
        _ identity: RetiredResource, _ origin: ResourceOrigin, settings: Data?, updated: Int64 = 0, _ db: Database
    ) throws {
        try db.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO registry_resource
                (kind, number, public, tenant, uid, name, origin, revision, created, digest, in_force, settings,
                 updated)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            identity.kind.rawValue, identity.number, identity.publicID.text, identity.tenant.number, identity.uid,
            identity.name, origin.rawValue, Int64(bitPattern: identity.revision), identity.createdMillis,
            Int64(bitPattern: identity.digest), identity.wasInForce, settings, updated,
        ])
    }
    /// On the writer's queue alone; the pragma holds for this transaction.
    private func writeDurably(_ body: (Database) throws -> Void) throws {
        try database.writeWithoutTransaction { db in
            try db.overwritingWhatGoes { try db.durably { try body(db) } }
        }
    }

    // MARK: Keys of secrets

    /// A new master key, and with `renewsDataKeys` new data keys; has its entry in the audit log.
    package func rotateSecrets(
        renewsDataKeys: Bool, actor: ChangeActor, nowMillis: Int64
    ) throws -> SecretStore.Rotation {
        try secrets.rotate(database, renewsDataKeys: renewsDataKeys, nowMillis: nowMillis) { db, rotation in
            var changes = [FieldChange(field: "master_key", before: rotation.before, after: rotation.after)]
            if renewsDataKeys { changes.append(FieldChange(field: "data_keys", before: "kept", after: "new")) }
            let entry = AuditEntry(
                timeMillis: nowMillis, actor: actor.name, requestID: actor.requestID, action: .update, kind: nil,
                tenant: .nobody, resource: "", name: "secrets", changes: changes)
            try append([entry], db)
        }
    }
    package func secretStatus() throws -> (sinceMillis: Int64, dataKeyCount: Int) { try secrets.status(database) }

    // MARK: Uses of keys

    package func keyUses() throws -> [KeyID: Int64] {
        try database.read { db in
            let rows = try Row.fetchAll(db, sql: "SELECT number, used FROM registry_key WHERE used IS NOT NULL")
            return Dictionary(uniqueKeysWithValues: rows.map { (KeyID($0["number"]), $0["used"]) })
        }
    }
    package func record(use millis: Int64, of key: KeyID) {
        database.asyncWrite { db in
            try db.execute(sql: "UPDATE registry_key SET used = ? WHERE number = ?", arguments: [millis, key.number])
        } completion: { _, _ in
            // A use that is not kept is a minute that is not shown.
        }
    }

    // MARK: Audit

    package func record(_ entries: [AuditEntry]) throws {
        try writeDurably { try append(entries, $0) }
    }

    private func append(_ entries: [AuditEntry], _ db: Database) throws {
        guard !entries.isEmpty else { return }
        let encoder = JSONTextEncoder()
        let insert = try db.cachedStatement(
            sql: """
                INSERT INTO audit
                (number, time, actor, request, action, kind, tenant, resource, name, changes, previous, digest)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        var (number, previous) = try AuditChain.end(db)
        for entry in entries {
            let changes = try encoder.text(of: entry.changes)
            let digest = ChainedEntry(entry, number: number, changes: changes, after: previous).digest
            try insert.execute(arguments: [
                number, entry.timeMillis, entry.actor, entry.requestID, entry.action.rawValue, entry.kind?.rawValue,
                entry.tenant.number, entry.resource, entry.name,
                changes, Data(previous), Data(digest),
            ])
            (number, previous) = (number + 1, digest)
        }
        try db.cachedStatement(sql: "DELETE FROM audit WHERE number <= (SELECT max(number) FROM audit) - ?")
            .execute(arguments: [entryCountMax])
    }
    package func entries(_ query: AuditQuery) throws -> [AuditEntry] {
        try database.read { db in
            let tenant = query.tenant.map { _ in "AND tenant = ?" } ?? ""
            var arguments: StatementArguments = [query.before ?? .max]
            if let id = query.tenant { arguments += [id.number] }
            arguments += [query.limit]
            let sql = "SELECT * FROM audit WHERE number < ? \(tenant) ORDER BY number DESC LIMIT ?"
            return try Row.fetchAll(db, sql: sql, arguments: arguments).map(SQLiteRegistryStore.entry)
        }
    }
    private static func entry(_ row: Row) throws -> AuditEntry {
        guard let action = AuditAction(rawValue: row["action"]) else { throw RegistryStoreError.unreadable }
        let kind: UInt8? = row["kind"]
        let changes: String = row["changes"]
        return AuditEntry(
            number: row["number"], timeMillis: row["time"], actor: row["actor"], requestID: row["request"],
            action: action, kind: kind.flatMap(ResourceKind.init(rawValue:)), tenant: TenantID(row["tenant"]),
            resource: row["resource"], name: row["name"],
            changes: try JSONValueDecoder().decode([FieldChange].self, from: Array(changes.utf8)))
    }
}

package enum RegistryStoreError: Error, CustomStringConvertible {
    case unreadable
    package var description: String { "the registry contains a row that this version does not know" }
}

/// How a column that may hold a secret is read.
private struct SecretColumn {
    /// Nil: in clear text, of a version that encrypted nothing.
    let session: SealingSession?

    init(_ session: SealingSession?) { self.session = session }
    func read(_ value: DatabaseValue, _ place: SecretPlace, _ db: Database) throws -> Data? {
        if let session { return try session.open(value, place, db) }
        return String.fromDatabaseValue(value).map { Data($0.utf8) }
    }
}

/// Reads settings that an earlier version wrote: what it did not know has its default.
private struct SettingsDecoder<Settings: ResourceSettings> {
    private let decoder = JSONValueDecoder()

    func spec(
        _ identity: RetiredResource, _ updatedMillis: Int64, _ data: Data, _ tenants: [TenantID: String],
        _ lists: inout SharedLists
    ) throws -> ResourceSpec<Settings> {
        var settings = try decode(data)
        settings.tenant = tenants[identity.tenant] ?? settings.tenant
        settings.share(&lists)
        var spec = ResourceSpec(
            id: Identifier(identity.number), publicID: identity.publicID, tenant: identity.tenant, origin: .api,
            revision: identity.revision, createdMillis: identity.createdMillis, settings: settings)
        spec.updatedMillis = updatedMillis
        return spec
    }
    private func decode(_ data: Data) throws -> Settings {
        let stored = try JSONReading.value(Array(data))
        do { return try decoder.decode(Settings.self, from: stored) } catch DecodingError.keyNotFound {
            let defaults = try JSONReading.value(Array(JSONTextEncoder().text(of: Settings()).utf8))
            guard case .object(var merged) = defaults, case .object(let known) = stored else {
                throw RegistryStoreError.unreadable
            }
            merged.merge(known) { _, stored in stored }
            return try decoder.decode(Settings.self, from: .object(merged))
        }
    }
}
