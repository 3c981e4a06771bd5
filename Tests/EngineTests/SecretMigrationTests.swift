// A store that an earlier version wrote in clear text: the first start encrypts all of it, and leaves nothing of it in
// any file of the folder, free pages and write-ahead log included.
import Engine
import Foundation
import GRDB
import TestSupport
import Testing

@Suite struct SecretMigrationTests {
    private let bench = SecretBench()

    /// As the version before left it: rows in clear text, others that were replaced, and a write-ahead log.
    private func makeEarlier(rowCount: Int = 40) throws -> StoredRegistry {
        let database = try bench.database()
        let stored = try bench.fill(try bench.open(database))
        try StoreSteps.makeEarlier(database, stored)
        // Free pages with secrets that were rotated out long ago.
        try database.write { db in
            try db.execute(sql: "CREATE TABLE past (text TEXT)")
            for _ in 0..<rowCount {
                for secret in SecretBench.secrets {
                    let text = String(repeating: secret + " ", count: 40)
                    try db.execute(sql: "INSERT INTO past VALUES (?)", arguments: [text])
                }
            }
        }
        try database.write { try $0.execute(sql: "DROP TABLE past") }
        return stored
    }

    @Test func nothingOfItIsLeftInAnyFile() throws {
        let stored = try makeEarlier()
        let secrets = SecretBench.secrets + stored.tenants.compactMap(\.signingSecret)
        #expect(try Set(bench.found(stored.tenants)) == Set(secrets), "the test sees them where they are")
        let store = try bench.open(try bench.database())
        #expect(try bench.found(stored.tenants) == [])
        let loaded = try store.load()
        #expect(loaded.endpoints == stored.endpoints && loaded.sources == stored.sources)
        #expect(loaded.tenants == stored.tenants)
        let again = try bench.open(try bench.database()).load()
        #expect(again.endpoints == stored.endpoints)
        #expect(try AuditChain.verify(folder: bench.folder.path).problem == nil)
    }
    @Test func whatOneStartCouldNotOverwriteTheNextOneDoes() throws {
        let stored = try makeEarlier()
        let database = try bench.database()
        // Somebody reads, so that the write-ahead log cannot be emptied.
        let reader = try DatabaseQueue(path: bench.path)
        try reader.inDatabase { db in
            try db.beginTransaction(.deferred)
            _ = try Int.fetchOne(db, sql: "SELECT count(*) FROM registry_tenant")
            _ = try bench.open(database)
            #expect(try !bench.found(stored.tenants).isEmpty)
            try db.commit()
        }
        try reader.close()
        try database.close()
        #expect(try bench.open(try bench.database()).load().endpoints == stored.endpoints)
        #expect(try bench.found(stored.tenants) == [])
    }
    @Test func aStoreWhoseSecretsAreAllGoneIsCleanedAsWell() throws {
        let stored = try makeEarlier()
        let database = try bench.database()
        try database.write { try $0.execute(sql: "DELETE FROM registry_resource; DELETE FROM registry_tenant") }
        #expect(try !bench.found(stored.tenants).isEmpty)
        _ = try bench.open(database)
        #expect(try bench.found(stored.tenants) == [])
    }
    /// The first version's store had no registry.
    @Test func theFolderOfTheFirstVersionIsTakenOver() throws {
        let tar = Process()
        tar.executableURL = URL(filePath: "/usr/bin/env")
        tar.arguments = ["tar", "xzf", Repository.fixture("data-folder-v1.tar.gz").path, "-C", bench.folder.path]
        try tar.run()
        tar.waitUntilExit()
        let data = bench.folder.path + "/data"
        let writer = try SQLiteStore(folder: data, logIdentity: 7).writer
        let secrets = try SecretStore.open(writer, MasterKeySource(.dataFolder, folder: data))
        let store = SQLiteRegistryStore(writer, secrets: secrets)
        try bench.fill(store)
        #expect(try store.load().endpoints.count == 2)
    }
}
