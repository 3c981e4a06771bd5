// A SQLite database as the files that it is on disk: the database and the two companions that write-ahead logging keeps
// beside it. Readable by their owner only: answers of receivers may hold what is nobody else's business.

import Foundation
import GRDB

enum SQLiteFile {
    static let companions = ["", "-wal", "-shm"]

    /// Makes the file when there is none, and takes away everybody else's rights. SQLite gives the companions the
    /// rights of the file.
    static func makePrivate(_ path: String) {
        if !FileManager.default.createsFile(path) { return }
        try? FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }
    /// False for a file that was never written, which SQLite takes as a new database.
    static func hasContent(_ path: String) -> Bool {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        return (attributes?[.size] as? Int ?? 0) > 0
    }
    static func remove(_ path: String) {
        // The companions first: a write-ahead log without its database must never meet a new one of that name.
        for suffix in companions.reversed() { try? FileManager.default.removeItem(atPath: path + suffix) }
    }
    /// Moves what is there of the three.
    static func move(_ path: String, to target: String) throws {
        for suffix in companions where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.moveItem(atPath: path + suffix, toPath: target + suffix)
        }
    }

    /// What every connection of the store begins with. `cacheKibibytes` is memory that SQLite may hold for it.
    static func configuration(label: String, cacheKibibytes: Int) -> Configuration {
        var configuration = Configuration()
        configuration.label = label
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            // 16 MiB of WAL before a checkpoint and its two syncs; the default of 4 MiB checkpoints ten times a second
            // under load.
            try db.execute(sql: "PRAGMA wal_autocheckpoint = 4096")
            try db.execute(sql: "PRAGMA journal_size_limit = 67108864")
            try db.execute(sql: "PRAGMA cache_size = -\(cacheKibibytes)")
        }
        return configuration
    }
}

extension FileManager {
    /// True when there is a file at `path` now.
    fileprivate func createsFile(_ path: String) -> Bool {
        fileExists(atPath: path) || PrivateFile.make(path) != nil
    }
}

extension Database {
    /// One transaction whose commit also survives a power cut; the pragma holds for it alone. On a writer's queue.
    func durably<R>(_ body: () throws -> R) throws -> R {
        try execute(sql: "PRAGMA synchronous = FULL")
        defer { try? execute(sql: "PRAGMA synchronous = NORMAL") }
        return try atomically(body)
    }
    func atomically<R>(_ body: () throws -> R) throws -> R {
        var result: R?
        try inTransaction(.immediate) {
            result = try body()
            return .commit
        }
        guard let result else { preconditionFailure("a transaction without a result") }
        return result
    }
}
