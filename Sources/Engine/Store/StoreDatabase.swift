// store.sqlite: what must not be lost of a data folder beside its log. Opened once a process (the data folder's lock
// sees to that) and shared by everybody who keeps tables in it. One writer connection, readers beside it (WAL).
//
// A file that is not there although the log has events is not made again silently: that would forget what is still to
// be delivered. See StoreRebuild.

import Foundation
import GRDB

package final class StoreDatabase: Sendable {
    package static let fileName = "store.sqlite"

    package let folder: String
    let pool: DatabasePool

    /// `events` says how many events the folder's log holds; asked only when the store is new.
    package init(folder: String, events: () throws -> UInt64) throws {
        self.folder = folder
        let path = folder + "/" + StoreDatabase.fileName
        let isThere = SQLiteFile.hasContent(path)
        if !isThere { try StoreCheck.expectNoEvents(events) }
        SQLiteFile.makePrivate(path)
        pool = try StoreError.translating(StoreDatabase.fileName) {
            var configuration = SQLiteFile.configuration(label: "store", cacheKibibytes: 8192)
            configuration.maximumReaderCount = 2
            let pool = try DatabasePool(path: path, configuration: configuration)
            let tables = try pool.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_master") }
            if isThere && tables == 0 { try StoreCheck.expectNoEvents(events) }
            if try pool.read(Migrations.migrator.hasBeenSuperseded) {
                throw StoreError.newerFormat(file: StoreDatabase.fileName)
            }
            try Migrations.migrator.migrate(pool)
            return pool
        }
    }
    package func read<R>(_ body: (Database) throws -> R) throws -> R {
        try StoreError.translating(StoreDatabase.fileName) { try pool.read(body) }
    }
    /// One transaction. `isDurable`: it survives a power cut, not only a crash.
    package func write<R>(isDurable: Bool = false, _ body: (Database) throws -> R) throws -> R {
        try StoreError.translating(StoreDatabase.fileName) {
            try pool.writeWithoutTransaction { db in
                isDurable ? try db.durably { try body(db) } : try db.atomically { try body(db) }
            }
        }
    }
    /// What was committed before survives a power cut when it returns. The sync that a durable commit does, without a
    /// transaction: a disk that is full takes it too. What the write-ahead log has no more was synced with the database
    /// when it was moved there.
    func makeDurable() throws {
        let path = folder + "/" + StoreDatabase.fileName + "-wal"
        guard FileManager.default.fileExists(atPath: path) else { return }
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.synchronize()
    }
    /// Outside a transaction.
    func maintain(_ body: (Database) throws -> Void) throws {
        try StoreError.translating(StoreDatabase.fileName) { try pool.writeWithoutTransaction(body) }
    }
    package func close() { try? pool.close() }
}
