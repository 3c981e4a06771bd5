// A new store beside a log whose store was lost or cannot be read any more: on an operator's word alone, because it
// delivers events a second time. What was there is moved aside, never removed.
//
// The registry is taken along where it can be read: records name tenants and sources by its numbers. Where it cannot,
// a new one gives the same numbers again, to whoever comes first; so history goes aside with the store, or what another
// endpoint has had would count as delivered. Its secrets take their master key: where that is missing the rebuild is
// refused, because nothing is wrong with the registry.

import FastPath
import Foundation
import GRDB

package enum StoreRebuild {
    package struct Report: Equatable, Sendable {
        /// Names in the data folder of what was moved aside.
        package var movedAside: [String] = []
        package var shared: EventLocation
        /// Tenants, keys, sources and endpoints are those of before, with their numbers.
        package var keepsRegistry = false
    }

    /// All lanes of the new store go on at `shared`, those of new endpoints too, which all are: every event from there
    /// on is delivered to the endpoints that want it. Nobody else may have the folder open. Throws `MasterKeyError`
    /// when the registry's key is not there.
    package static func run(
        folder: String, logIdentity: UInt64, shared: EventLocation, masterKey: MasterKeyPlace = .dataFolder
    ) throws -> Report {
        let keys = MasterKeySource(masterKey, folder: folder)
        var report = Report(shared: shared)
        let number = firstFree(folder)
        let path = folder + "/" + StoreDatabase.fileName
        // A rebuild that ended half way has moved it aside.
        let known = FileManager.default.fileExists(atPath: path) ? path : "\(path).damaged-\(number - 1)"
        let registry = try readableRegistry(known, keys)
        report.keepsRegistry = registry != nil
        let draft = folder + "/" + draftName
        try? FileManager.default.removeItem(atPath: draft)
        defer { try? FileManager.default.removeItem(atPath: draft) }
        try make(in: draft, logIdentity: logIdentity, shared: shared, registry, keys)
        func moveAside(_ name: String) throws {
            let aside = "\(name).damaged-\(number)"
            try SQLiteFile.move(folder + "/" + name, to: folder + "/" + aside)
            report.movedAside.append(aside)
        }
        if FileManager.default.fileExists(atPath: path) { try moveAside(StoreDatabase.fileName) }
        // A write-ahead log without its database.
        SQLiteFile.remove(path)
        let history = folder + "/" + HistorySlices.folderName
        if let names = try? FileManager.default.contentsOfDirectory(atPath: history), !names.isEmpty {
            try moveAside(HistorySlices.folderName)
        }
        // Its rows name sources by numbers that are others' now.
        if registry == nil, FileManager.default.fileExists(atPath: folder + "/" + RejectedStore.fileName) {
            try moveAside(RejectedStore.fileName)
        }
        try SQLiteFile.move(draft + "/" + StoreDatabase.fileName, to: path)
        return report
    }
    /// The new store, whole before it takes its place: one without its mark would begin at the log's end.
    private static let draftName = "store.rebuild"
    private static func make(
        in folder: String, logIdentity: UInt64, shared: EventLocation, _ registry: StoredRegistry?,
        _ keys: MasterKeySource
    ) throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let store = try SQLiteStore(folder: folder, logIdentity: logIdentity)
        defer { store.database.close() }
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        try store.markRebuilt(from: shared, nowMillis: now)
        if let registry {
            let secrets = try SecretStore.open(store.writer, keys)
            try SQLiteRegistryStore(store.writer, secrets: secrets).commit(
                RegistryCommit(copying: registry, nowMillis: now))
        }
    }
    /// Nil when one page of it is damaged: half a registry would give the numbers of the other half to others.
    private static func readableRegistry(_ path: String, _ keys: MasterKeySource) throws -> StoredRegistry? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        var configuration = Configuration()
        configuration.readonly = true
        guard let queue = try? DatabaseQueue(path: path, configuration: configuration) else { return nil }
        defer { try? queue.close() }
        // Before a row is read: one that is damaged has what no reader expects.
        let tables = ["registry_tenant", "registry_resource", "registry_key", "registry_counter"]
        // An earlier version's store does not have these.
        let later = ["registry_master_key", "registry_data_key"]
        let isSound = try? queue.read { db in
            try (tables + later.filter { try db.tableExists($0) }).allSatisfy { table in
                try String.fetchAll(db, sql: "PRAGMA quick_check('\(table)')") == ["ok"]
            }
        }
        guard isSound == true else { return nil }
        let secrets: SecretStore?
        do { secrets = try SecretStore.openForReading(queue, keys) } catch let error as MasterKeyError {
            throw error
        } catch { return nil }
        return try? SQLiteRegistryStore.load(queue, secrets)
    }
    private static func firstFree(_ folder: String) -> Int {
        var number = 1
        while [StoreDatabase.fileName, HistorySlices.folderName, RejectedStore.fileName].contains(where: {
            FileManager.default.fileExists(atPath: "\(folder)/\($0).damaged-\(number)")
        }) { number += 1 }
        return number
    }
}
