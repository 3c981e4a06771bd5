// The master key in force over one database: found at the start, changed by a rotation, and what was written before it
// overwritten.
//
// Invariants: the database names the master key that wraps its data keys, and a start with another one ends before
// anything is read; no key is made while the database has encrypted secrets; a rotation is one transaction, and the
// file has both keys from before it until after it.
import FastPath
import Foundation
import GRDB
import Logging
import Synchronization

package final class SecretStore: Sendable {
    private let source: MasterKeySource
    /// Changes on the database's writing queue alone, so that every transaction has the one that the database names.
    private let current: Mutex<MasterKey>
    /// Held over a rotation.
    private let turn = Mutex(())

    private init(_ source: MasterKeySource, _ key: MasterKey) {
        self.source = source
        current = Mutex(key)
    }
    package var place: MasterKeyPlace { source.place }
    package var masterKeyName: String { current.withLock { $0.name } }

    /// `database` has gone through `RegistryMigration`. Seals what an earlier version left in clear text.
    package static func open(
        _ database: any DatabaseWriter, _ source: MasterKeySource,
        nowMillis: Int64 = Int64(Date().timeIntervalSince1970 * 1000), logger: Logger = Logger(label: "store")
    ) throws -> SecretStore {
        try StoreError.translating(StoreDatabase.fileName) {
            let (identity, isClean) = try database.read(named)
            let secrets: SecretStore
            if let identity {
                secrets = SecretStore(source, try source.find(identity))
                if isClean { return secrets }
            } else {
                secrets = SecretStore(source, try source.first())
                guard try secrets.adopt(database, nowMillis) else { return secrets }
            }
            do {
                try SecretStore.clean(database, vacuuming: true)
                // Nothing names another key any more. One that stays does no harm.
                let key = secrets.current.withLock { $0 }
                try? source.settle(on: key)
            } catch {
                logger.warning(
                    "the store's free space may still hold secrets in clear text; the next start tries again",
                    metadata: ["why": "\(StoreError.of(error, file: StoreDatabase.fileName))"])
            }
            return secrets
        }
    }
    /// Reads what another process may have written, and writes nothing: nil for a database of a version that encrypted
    /// nothing.
    static func openForReading(_ database: any DatabaseReader, _ source: MasterKeySource) throws -> SecretStore? {
        guard let identity = try database.read(named).identity else { return nil }
        return SecretStore(source, try source.find(identity))
    }
    private static func named(_ db: Database) throws -> (identity: [UInt8]?, isClean: Bool) {
        guard try db.tableExists("registry_master_key") else { return (nil, true) }
        if let row = try Row.fetchOne(db, sql: "SELECT * FROM registry_master_key") {
            let identity: Data = row["identity"]
            return (Array(identity), row["is_clean"])
        }
        let keyCount = try Int.fetchOne(db, sql: "SELECT count(*) FROM registry_data_key") ?? 0
        guard keyCount == 0 else { throw MasterKeyError.unnamed }
        return (nil, true)
    }

    func session() throws(MasterKeyError) -> SealingSession { try SealingSession(current.withLock { $0 }) }

    // MARK: From clear text

    /// True when something was there before, which may stand in free pages too.
    private func adopt(_ database: any DatabaseWriter, _ nowMillis: Int64) throws -> Bool {
        let key = current.withLock { $0 }
        return try database.writeWithoutTransaction { db in
            try db.overwritingWhatGoes {
                try db.durably {
                    let session = try session()
                    for column in StoredSecrets.columns { _ = try session.sealClearText(column, db) }
                    // The log of changes has an entry of whatever had a secret.
                    let isUsed = try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM audit)") ?? true
                    try db.execute(
                        sql: "INSERT INTO registry_master_key (one, identity, since, is_clean) VALUES (1, ?, ?, ?)",
                        arguments: [Data(key.identity), nowMillis, !isUsed])
                    return isUsed
                }
            }
        }
    }
    /// Overwrites what free pages and the write-ahead log still hold.
    private static func clean(_ database: any DatabaseWriter, vacuuming: Bool) throws {
        try database.writeWithoutTransaction { db in
            if vacuuming { try db.execute(sql: "VACUUM") }
            try db.emptyWriteAheadLog()
            try db.execute(sql: "UPDATE registry_master_key SET is_clean = 1")
        }
    }

    // MARK: Rotation

    package struct Rotation: Equatable, Sendable {
        package var before: String
        package var after: String
        /// That the new master key wraps.
        package var dataKeyCount = 0
        /// Sealed again, under new data keys.
        package var valueCount = 0
        /// False while a reader keeps the write-ahead log from being emptied: the next start does it.
        package var isClean = false
    }
    /// The new master key is in force, and what was to follow it failed: both keys are kept, and another rotation does
    /// the rest.
    package struct RotationUnfinished: Error {
        package let rotation: Rotation
        package let reason: String
    }
    /// One transaction for the master key; with `renewsDataKeys` one more for each tenant. `note` runs in the first.
    package func rotate(
        _ database: any DatabaseWriter, renewsDataKeys: Bool, nowMillis: Int64,
        note: (Database, Rotation) throws -> Void
    ) throws -> Rotation {
        try turn.withLock { _ in try rotateInTurn(database, renewsDataKeys, nowMillis, note) }
    }
    private func rotateInTurn(
        _ database: any DatabaseWriter, _ renewsDataKeys: Bool, _ nowMillis: Int64,
        _ note: (Database, Rotation) throws -> Void
    ) throws -> Rotation {
        let old = current.withLock { $0 }
        let new = try next(after: old, orTheSame: renewsDataKeys)
        var rotation = Rotation(before: old.name, after: new.name)
        try database.writeWithoutTransaction { db in
            try db.overwritingWhatGoes {
                try db.durably {
                    rotation.dataKeyCount = try SealingSession(old).rewrap(under: new, db)
                    try db.execute(
                        sql: "UPDATE registry_master_key SET identity = ?, since = ?, is_clean = 0",
                        arguments: [Data(new.identity), nowMillis])
                    try note(db, rotation)
                }
                current.withLock { $0 = new }
            }
        }
        do {
            if renewsDataKeys { rotation.valueCount = try renewDataKeys(database) }
            try source.settle(on: new)
        } catch { throw RotationUnfinished(rotation: rotation, reason: "\(error)") }
        rotation.isClean = (try? SecretStore.clean(database, vacuuming: false)) != nil
        return rotation
    }
    private func next(after old: MasterKey, orTheSame: Bool) throws(MasterKeyError) -> MasterKey {
        do { return try source.next(after: old) } catch {
            if orTheSame, case .notNew = error { return old }
            throw error
        }
    }
    private func renewDataKeys(_ database: any DatabaseWriter) throws -> Int {
        let tenants = try database.read { try UInt32.fetchAll($0, sql: "SELECT tenant FROM registry_data_key") }
        var count = 0
        for tenant in tenants {
            count += try database.writeWithoutTransaction { db in
                try db.overwritingWhatGoes {
                    try db.durably { try session().renewKey(of: TenantID(tenant), db) }
                }
            }
        }
        return count
    }
    /// Since when the master key is in force, and how many tenants have a data key.
    package func status(_ database: any DatabaseReader) throws -> (sinceMillis: Int64, dataKeyCount: Int) {
        try database.read { db in
            (
                try Int64.fetchOne(db, sql: "SELECT since FROM registry_master_key") ?? 0,
                try Int.fetchOne(db, sql: "SELECT count(*) FROM registry_data_key") ?? 0
            )
        }
    }
}

extension Database {
    /// What a change takes away or replaces is overwritten with zeros where it stood, not left in free space.
    func overwritingWhatGoes<R>(_ body: () throws -> R) throws -> R {
        let before = try Int.fetchOne(self, sql: "PRAGMA secure_delete") ?? 0
        // 1 is on: what some systems build SQLite with.
        guard before != 1 else { return try body() }
        try execute(sql: "PRAGMA secure_delete = ON")
        defer { try? execute(sql: "PRAGMA secure_delete = \(before)") }
        return try body()
    }
    fileprivate func emptyWriteAheadLog() throws {
        guard let row = try Row.fetchOne(self, sql: "PRAGMA wal_checkpoint(TRUNCATE)"), row[0] as Int == 0 else {
            throw DatabaseError(resultCode: .SQLITE_BUSY, message: "the write-ahead log is in use")
        }
    }
}
