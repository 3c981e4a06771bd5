// Sealed columns of the registry's database, and the data keys that they are sealed under: one a tenant, wrapped by the
// master key, made with the tenant's first secret and gone with the tenant.
//
// Invariant: a column that takes a secret holds a sealed value (a blob) or NULL; a text there is refused, so that what
// somebody else wrote into the file is not taken for ours.
import FastPath
import Foundation
import GRDB

enum StoredSecrets {
    /// Where rows with secrets are. Whoever adds a table with some adds it here: migration and new data keys walk it.
    struct Column: Sendable {
        let table: String
        let column: String
        /// SQL of the kind, the number and the tenant.
        let kind: String
        let number: String
        let tenant: String
        let field: String
    }
    static let columns = [
        Column(
            table: "registry_resource", column: "settings", kind: "kind", number: "number", tenant: "tenant",
            field: settingsField),
        Column(
            table: "registry_tenant", column: "secret", kind: "\(ResourceKind.tenant.rawValue)", number: "number",
            tenant: "number", field: signingSecretField),
    ]
    static let settingsField = "settings"
    static let signingSecretField = "signing secret"

    static let tables = """
        CREATE TABLE registry_master_key (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            identity BLOB NOT NULL,             -- of the key that wraps those of registry_data_key
            since INTEGER NOT NULL,             -- milliseconds since 1970
            is_clean INTEGER NOT NULL           -- 0: what was written before is to be overwritten yet
        );
        CREATE TABLE registry_data_key (
            tenant INTEGER PRIMARY KEY,
            generation INTEGER NOT NULL,
            wrapped BLOB NOT NULL
        );
        """
}

package enum StoredSecretError: Error, Equatable, CustomStringConvertible {
    case notSealed(SecretPlace)
    case damaged(SecretPlace)
    case damagedKey(TenantID)
    case noKey(TenantID)

    package var description: String {
        let remedy = "; restore \(StoreDatabase.fileName) from a backup"
        return switch self {
        case .notSealed(let place): "the \(place.text) are not encrypted, and this version wrote none such" + remedy
        case .damaged(let place): "the \(place.text) cannot be decrypted: they are not as they were written" + remedy
        case .damagedKey(let tenant):
            "the data key of tenant \(tenant) cannot be decrypted: it is not as it was written" + remedy
        case .noKey(let tenant): "the data key of tenant \(tenant) is missing" + remedy
        }
    }
}

extension SecretPlace {
    fileprivate var text: String { "secrets of \(kind.name) \(number) of tenant \(tenant)" }
}

/// Seals and opens within one transaction, with the data keys that it has met.
final class SealingSession {
    private let master: MasterKey
    private let cipher: AuthenticatedCipher
    private var keys: [TenantID: DataKey] = [:]

    init(_ master: MasterKey) throws(MasterKeyError) {
        guard let cipher = AuthenticatedCipher() else { throw .noCipher }
        self.master = master
        self.cipher = cipher
    }

    func seal(_ plain: [UInt8], _ place: SecretPlace, _ db: Database) throws -> Data {
        let key = try key(of: place.tenant, db) ?? replaceKey(of: place.tenant, db)
        return Data(try SealedValue.seal(plain, place, key, cipher))
    }
    /// `stored`: what is in the column.
    func open(_ stored: DatabaseValue, _ place: SecretPlace, _ db: Database) throws -> Data? {
        switch stored.storage {
        case .null: return nil
        case .blob(let sealed):
            guard let key = try key(of: place.tenant, db) else { throw StoredSecretError.noKey(place.tenant) }
            guard let plain = SealedValue.open(Array(sealed), place, key, cipher) else {
                throw StoredSecretError.damaged(place)
            }
            return Data(plain)
        case .int64, .double, .string: throw StoredSecretError.notSealed(place)
        }
    }

    // MARK: Data keys

    private func key(of tenant: TenantID, _ db: Database) throws -> DataKey? {
        if let key = keys[tenant] { return key }
        let select = try db.cachedStatement(sql: "SELECT * FROM registry_data_key WHERE tenant = ?")
        guard let row = try Row.fetchOne(select, arguments: [tenant.number]) else { return nil }
        return try keep(row)
    }
    private func keep(_ row: Row) throws -> DataKey {
        let tenant = TenantID(row["tenant"])
        let wrapped: Data = row["wrapped"]
        let key = DataKey(Array(wrapped), tenant: tenant, generation: row["generation"], master: master, cipher)
        guard let key else { throw StoredSecretError.damagedKey(tenant) }
        keys[tenant] = key
        return key
    }
    /// All at once, for who opens what all tenants have.
    func readKeys(_ db: Database) throws {
        let rows = try Row.fetchCursor(db, sql: "SELECT * FROM registry_data_key")
        while let row = try rows.next() { _ = try keep(row) }
    }
    /// A new one. Values of the old one are to be sealed anew in the same transaction.
    @discardableResult
    func replaceKey(of tenant: TenantID, _ db: Database) throws -> DataKey {
        let key = try DataKey.make(tenant, generation: (try self.key(of: tenant, db)?.generation ?? 0) + 1)
        try put(key, wrappedBy: master, db)
        keys[tenant] = key
        return key
    }
    private func put(_ key: DataKey, wrappedBy master: MasterKey, _ db: Database) throws {
        try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO registry_data_key (tenant, generation, wrapped) VALUES (?, ?, ?)"
        ).execute(arguments: [key.tenant.number, key.generation, Data(try key.wrapped(by: master, cipher))])
    }
    /// What the tenant's secrets were sealed under opens nothing any more.
    static func removeKey(of tenant: TenantID, _ db: Database) throws {
        try db.execute(sql: "DELETE FROM registry_data_key WHERE tenant = ?", arguments: [tenant.number])
    }
    /// All data keys under another master key; how many.
    func rewrap(under next: MasterKey, _ db: Database) throws -> Int {
        try readKeys(db)
        for key in keys.values { try put(key, wrappedBy: next, db) }
        return keys.count
    }

    // MARK: Rows

    /// Seals what stands there in clear text, of a version that knew no better.
    func sealClearText(_ column: StoredSecrets.Column, _ db: Database) throws -> Int {
        try eachRow(column, "typeof(\(column.column)) = 'text'", db) { value, place in
            guard case .string(let text) = value.storage else { throw StoredSecretError.notSealed(place) }
            return try seal(Array(text.utf8), place, db)
        }
    }
    /// A new data key for a tenant, and its values under it; how many.
    func renewKey(of tenant: TenantID, _ db: Database) throws -> Int {
        let old = try SealingSession(master)
        guard try old.key(of: tenant, db) != nil else { return 0 }
        try replaceKey(of: tenant, db)
        var count = 0
        for column in StoredSecrets.columns {
            let condition = "\(column.tenant) = \(tenant.number) AND \(column.column) IS NOT NULL"
            count += try eachRow(column, condition, db) { value, place in
                guard let plain = try old.open(value, place, db) else { throw StoredSecretError.damaged(place) }
                return try seal(Array(plain), place, db)
            }
        }
        return count
    }
    /// Replaces the values of the rows that fulfil `condition`, some hundred at a time: nothing reads a table while it
    /// changes.
    private func eachRow(
        _ column: StoredSecrets.Column, _ condition: String, _ db: Database,
        _ change: (DatabaseValue, SecretPlace) throws -> Data
    ) throws -> Int {
        let select = try db.makeStatement(
            sql: """
                SELECT \(column.kind) AS kind, \(column.number) AS number, \(column.tenant) AS tenant,
                    \(column.column) AS value
                FROM \(column.table) WHERE (\(column.kind), \(column.number)) > (?, ?) AND \(condition)
                ORDER BY 1, 2 LIMIT 500
                """)
        let update = try db.makeStatement(
            sql: """
                UPDATE \(column.table) SET \(column.column) = ? WHERE \(column.kind) = ? AND \(column.number) = ?
                """)
        var (count, last) = (0, (kind: Int64(0), number: Int64(0)))
        while true {
            let rows = try Row.fetchAll(select, arguments: [last.kind, last.number])
            for row in rows {
                let kind: UInt8 = row["kind"]
                guard let resource = ResourceKind(rawValue: kind) else { throw RegistryStoreError.unreadable }
                let place = SecretPlace(TenantID(row["tenant"]), resource, row["number"], column.field)
                let sealed = try change(row["value"], place)
                try update.execute(arguments: [sealed, kind, place.number])
                last = (Int64(kind), Int64(place.number))
            }
            count += rows.count
            guard rows.count == 500 else { return count }
        }
    }
}
