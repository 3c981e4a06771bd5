// New keys while the store is in use: all of it is under the old ones or the new ones, wherever a rotation ends.
import Engine
import Foundation
import GRDB
import TestSupport
import Testing

@Suite struct SecretRotationTests {
    private let bench = SecretBench()
    private struct Cut: Error {}

    private var keyFile: String { bench.folder.path + "/" + MasterKeySource.fileName }
    private func keyLines() throws -> [String] {
        try String(contentsOfFile: keyFile, encoding: .utf8).split(separator: "\n").map(String.init)
    }
    private func rotate(_ store: SQLiteRegistryStore, dataKeys: Bool = false) throws -> SecretStore.Rotation {
        try store.rotateSecrets(renewsDataKeys: dataKeys, actor: ChangeActor("key_1", requestID: "r"), nowMillis: 7)
    }
    private func column(_ sql: String, _ database: any DatabaseReader) throws -> [Data] {
        try database.read { try Data.fetchAll($0, sql: sql) }
    }
    private let wrappedKeys = "SELECT wrapped FROM registry_data_key ORDER BY tenant"
    private let values = "SELECT settings FROM registry_resource WHERE settings IS NOT NULL ORDER BY kind, number"

    @Test func aNewMasterKeyWrapsEveryDataKeyAndNoValueChanges() throws {
        let database = try bench.database()
        let store = try bench.open(database, .dataFolder)
        let stored = try bench.fill(store)
        let (oldFile, oldKeys, oldValues) = (
            try keyLines(), try column(wrappedKeys, database), try column(values, database)
        )
        let name = store.secrets.masterKeyName
        let done = try rotate(store)
        #expect(done.before == name && done.after == store.secrets.masterKeyName && done.after != name)
        #expect(done.dataKeyCount == 2 && done.valueCount == 0 && done.isClean)
        #expect(try keyLines().count == 1 && keyLines() != oldFile)
        #expect(try column(values, database) == oldValues)
        #expect(try Set(column(wrappedKeys, database)).isDisjoint(with: oldKeys))
        for name in TemporaryFolder.names(bench.folder.path) {
            let bytes = try Data(contentsOf: URL(filePath: bench.folder.path + "/" + name))
            for key in oldKeys { #expect(bytes.range(of: key) == nil, "a key under the old master key is in \(name)") }
        }
        #expect(try store.load().endpoints == stored.endpoints, "the running gateway")
        #expect(try bench.open(try bench.database(), .dataFolder).load().endpoints == stored.endpoints, "the next one")
        let entry = try #require(try store.entries(AuditQuery()).first)
        #expect(entry.name == "secrets" && entry.actor == "key_1" && entry.requestID == "r")
        #expect(entry.changes == [FieldChange(field: "master_key", before: done.before, after: done.after)])
        #expect(try store.secretStatus() == (7, 2))
    }
    @Test func newDataKeysEncryptEveryValueAgain() throws {
        let database = try bench.database()
        let store = try bench.open(database, .dataFolder)
        let stored = try bench.fill(store)
        let oldValues = try column(values, database)
        let done = try rotate(store, dataKeys: true)
        #expect(done.dataKeyCount == 2 && done.valueCount == 6, "two endpoints, sources and signing secrets")
        #expect(try Set(column(values, database)).isDisjoint(with: oldValues))
        #expect(try database.read { try Int.fetchAll($0, sql: "SELECT generation FROM registry_data_key") } == [2, 2])
        let loaded = try bench.open(try bench.database(), .dataFolder).load()
        #expect(loaded.endpoints == stored.endpoints && loaded.tenants == stored.tenants)
        _ = try rotate(store, dataKeys: true)
        #expect(try bench.open(try bench.database(), .dataFolder).load().sources == stored.sources)
    }
    @Test func whatIsCommittedAfterwardsIsUnderTheNewKey() throws {
        let store = try bench.open(try bench.database(), .dataFolder)
        try bench.fill(store)
        let service = RegistryService(store: store, process: ProcessSettings(), verifiers: VerifierRegistry())
        try service.open()
        for dataKeys in [false, true] {
            _ = try rotate(store, dataKeys: dataKeys)
            let name = "new-\(dataKeys)"
            _ = try service.apply(
                .edits([
                    .createEndpoint(
                        endpointSettings(name) {
                            $0.tenant = "acme"
                            $0.secrets = ["bmV3"]
                        })
                ]), actor: ChangeActor("t"))
            let loaded = try bench.open(try bench.database(), .dataFolder).load()
            #expect(loaded.endpoints.last?.settings.secrets == ["bmV3"])
        }
    }
    /// The file has both keys from before the transaction until after it: a start between finds what the store names.
    @Test func aRotationThatEndsAnywhereLeavesWhatItsStoreNames() throws {
        let database = try bench.database()
        let store = try bench.open(database, .dataFolder)
        let stored = try bench.fill(store)
        let (first, oldName) = (try keyLines(), store.secrets.masterKeyName)
        // Before the transaction has committed.
        #expect(throws: Cut.self) {
            _ = try store.secrets.rotate(database, renewsDataKeys: true, nowMillis: 7) { _, _ in throw Cut() }
        }
        let both = try keyLines()
        #expect(both.count == 2 && both.last == first.first)
        #expect(store.secrets.masterKeyName == oldName)
        #expect(try store.load().endpoints == stored.endpoints)
        #expect(try bench.open(try bench.database(), .dataFolder).load().endpoints == stored.endpoints)
        // After it, before the file was settled.
        _ = try rotate(store)
        let second = try keyLines()
        #expect(second.count == 1 && !both.contains(second[0]), "a key that came to nothing is not taken")
        try Data((second + first).joined(separator: "\n").utf8).write(to: URL(filePath: keyFile))
        let after = try bench.open(try bench.database(), .dataFolder)
        #expect(try after.load().endpoints == stored.endpoints && after.secrets.masterKeyName != oldName)
        _ = try rotate(after)
        #expect(try keyLines().count == 1)
        // The old key alone opens nothing, and is not taken for a reason to begin anew.
        try Data(first.joined().utf8).write(to: URL(filePath: keyFile))
        guard case .wrong? = try bench.refusal(.dataFolder) else {
            Issue.record("the old key opens a store under the new one")
            return
        }
    }
    @Test func whatFailsAfterTheNewKeyIsInForceIsSaidToHaveFailedThen() throws {
        let database = try bench.database()
        let store = try bench.open(database, .dataFolder)
        let stored = try bench.fill(store)
        let oldName = store.secrets.masterKeyName
        var both: [String] = []
        do {
            _ = try store.secrets.rotate(database, renewsDataKeys: false, nowMillis: 7) { _, _ in
                // Its file cannot be written from here on.
                both = try keyLines()
                try FileManager.default.removeItem(atPath: keyFile)
                try FileManager.default.createDirectory(atPath: keyFile, withIntermediateDirectories: false)
            }
            Issue.record("a folder was written over")
        } catch let halted as SecretStore.RotationUnfinished {
            #expect(halted.rotation.before == oldName && halted.rotation.after == store.secrets.masterKeyName)
            #expect(halted.reason.contains(MasterKeySource.fileName))
        }
        #expect(store.secrets.masterKeyName != oldName && both.count == 2)
        #expect(try store.load().endpoints == stored.endpoints)
        try FileManager.default.removeItem(atPath: keyFile)
        try Data(both.joined(separator: "\n").utf8).write(to: URL(filePath: keyFile))
        #expect(try bench.open(try bench.database(), .dataFolder).load().endpoints == stored.endpoints)
        _ = try rotate(store)
        #expect(try keyLines().count == 1)
    }
    @Test func aKeyOfTheOperatorsIsReadAnewAndNeverWritten() throws {
        let file = bench.folder.path + "/operators.key"
        func put(_ keys: UInt8...) throws {
            try Data(keys.map(SecretBench.key).joined(separator: "\n").utf8).write(to: URL(filePath: file))
        }
        try put(1)
        let store = try bench.open(try bench.database(), .file(file))
        let stored = try bench.fill(store)
        #expect(throws: MasterKeyError.self) { _ = try rotate(store) }
        #expect(try rotate(store, dataKeys: true).valueCount == 6, "for new data keys the old one will do")
        try put(2, 1)
        #expect(try bench.open(try bench.database(), .file(file)).load().endpoints == stored.endpoints, "before")
        let done = try rotate(store)
        #expect(try done.before == SecretBench.name(1) && done.after == SecretBench.name(2))
        #expect(try bench.open(try bench.database(), .file(file)).load().endpoints == stored.endpoints, "after")
        try put(2)
        #expect(try bench.open(try bench.database(), .file(file)).load().endpoints == stored.endpoints)
        #expect(try String(contentsOfFile: file, encoding: .utf8) == SecretBench.key(2))
        try FileManager.default.removeItem(atPath: file)
        #expect(throws: MasterKeyError.self) { _ = try rotate(store, dataKeys: true) }
        #expect(try store.load().endpoints == stored.endpoints, "nothing has changed")
    }
}
