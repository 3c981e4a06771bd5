// A new store beside a log whose store was lost or cannot be read any more: on an operator's word alone, because it
// delivers events a second time. What was there is moved aside, never removed.
//
// The registry is taken along where it can be read: records name tenants and sources by its numbers. Where it cannot,
// a new one gives the same numbers again, to whoever comes first; so history goes aside with the store, or what another
// endpoint has had would count as delivered.

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
    /// on is delivered to the endpoints that want it. Nobody else may have the folder open.
    package static func run(
        folder: String, logIdentity: UInt64, shared: EventLocation
    ) throws -> Report {
        var report = Report(shared: shared)
        let number = firstFree(folder)
        let path = folder + "/" + StoreDatabase.fileName
        var registry: StoredRegistry?
        if FileManager.default.fileExists(atPath: path) {
            registry = readableRegistry(path)
            let aside = "\(StoreDatabase.fileName).damaged-\(number)"
            try SQLiteFile.move(path, to: folder + "/" + aside)
            report.movedAside.append(aside)
        } else {
            // A write-ahead log without its database.
            SQLiteFile.remove(path)
        }
        let history = folder + "/" + HistorySlices.folderName
        if let names = try? FileManager.default.contentsOfDirectory(atPath: history), !names.isEmpty {
            let aside = "\(HistorySlices.folderName).damaged-\(number)"
            try FileManager.default.moveItem(atPath: history, toPath: folder + "/" + aside)
            report.movedAside.append(aside)
        }
        let store = try SQLiteStore(folder: folder, logIdentity: logIdentity)
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        if let registry {
            try SQLiteRegistryStore(store.writer).commit(RegistryCommit(copying: registry, nowMillis: now))
            report.keepsRegistry = true
        }
        try store.markRebuilt(from: shared, nowMillis: now)
        return report
    }
    /// Nil when one page of it is damaged: half a registry would give the numbers of the other half to others.
    private static func readableRegistry(_ path: String) -> StoredRegistry? {
        var configuration = Configuration()
        configuration.readonly = true
        guard let queue = try? DatabaseQueue(path: path, configuration: configuration) else { return nil }
        defer { try? queue.close() }
        return try? SQLiteRegistryStore(queue).load()
    }
    private static func firstFree(_ folder: String) -> Int {
        var number = 1
        while [StoreDatabase.fileName, HistorySlices.folderName].contains(where: {
            FileManager.default.fileExists(atPath: "\(folder)/\($0).damaged-\(number)")
        }) { number += 1 }
        return number
    }
}
