// Secrets in the registry's database: nothing of them is in a file, each opens in its own row alone, and a start with
// another key, or none, ends with words and changes nothing.
import Engine
import FastPath
import Foundation
import GRDB
import TestSupport
import Testing

@Suite struct StoredSecretTests {
    private let bench = SecretBench()

    private func failure(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "none"
        } catch { return "\(error)" }
    }
    /// What loading says after `sql`.
    private func failure(after sql: String) throws -> String {
        let bench = SecretBench()
        let database = try bench.database()
        let store = try bench.open(database)
        try bench.fill(store)
        try database.write { try $0.execute(sql: sql) }
        return failure { _ = try store.load() }
    }

    @Test func whatIsStoredIsReadAgainAndInNoFile() throws {
        let stored = try bench.fill(try bench.open(try bench.database()))
        #expect(try bench.found(stored.tenants) == [])
        let again = try bench.open(try bench.database()).load()
        #expect(again.tenants == stored.tenants && again.tenants.compactMap(\.signingSecret).count == 2)
        #expect(again.endpoints == stored.endpoints && again.sources == stored.sources)
        let extras = try #require(again.endpoints.first).settings.extras
        #expect(extras.userInformation == SecretBench.secrets[2] && extras.oldSecrets.count == 1)
        #expect(try bench.found(stored.tenants) == [])
    }
    @Test func aTenantHasAKeyOfItsOwnThatGoesWithIt() throws {
        let database = try bench.database()
        let store = try bench.open(database)
        let stored = try bench.fill(store)
        func keys() throws -> [(UInt32, Data)] {
            try database.read { db in
                try Row.fetchAll(db, sql: "SELECT tenant, wrapped FROM registry_data_key ORDER BY tenant").map {
                    ($0["tenant"], $0["wrapped"])
                }
            }
        }
        let acme = try #require(stored.tenants.first { $0.name == "acme" })
        let before = try keys()
        #expect(before.map(\.0) == stored.tenants.filter { $0.name != "default" }.map(\.id.number))
        let service = RegistryService(store: store, process: ProcessSettings(), verifiers: VerifierRegistry())
        try service.open()
        _ = try service.apply(.edits([.deleteTenant(acme.id, ifEmpty: false)]), actor: ChangeActor("t"))
        #expect(try keys().map(\.0) == before.map(\.0).filter { $0 != acme.id.number })
        try database.close()
        let gone = try #require(before.first { $0.0 == acme.id.number }).1
        for name in TemporaryFolder.names(bench.folder.path) where !name.hasSuffix("-wal") {
            let bytes = try Data(contentsOf: URL(filePath: bench.folder.path + "/" + name))
            #expect(bytes.range(of: gone) == nil, "the key of a tenant that is gone is still in \(name)")
        }
    }
    @Test(arguments: [
        // Another tenant's row, the same tenant's other row, another field, the other way about.
        """
        UPDATE registry_resource SET settings = (SELECT settings FROM registry_resource other
        WHERE other.kind = 3 ORDER BY number DESC LIMIT 1) WHERE kind = 3
        """,
        """
        UPDATE registry_resource SET settings = (SELECT settings FROM registry_resource other
        WHERE other.kind = 2 AND other.tenant = registry_resource.tenant) WHERE kind = 3
        """,
        """
        UPDATE registry_tenant SET secret = (SELECT settings FROM registry_resource
        WHERE kind = 3 AND tenant = registry_tenant.number)
        """,
        "UPDATE registry_resource SET tenant = 2 WHERE tenant = 3",
        "UPDATE registry_resource SET settings = substr(settings, 1, length(settings) - 1) WHERE kind = 3",
        "UPDATE registry_resource SET settings = substr(settings, 1, 20) WHERE kind = 3",
        "UPDATE registry_resource SET settings = x'' WHERE kind = 3",
        "UPDATE registry_resource SET settings = CAST(x'02' || substr(settings, 2) AS BLOB) WHERE kind = 3",
        "UPDATE registry_resource SET settings = CAST(x'0100000002' || substr(settings, 6) AS BLOB) WHERE kind = 3",
    ])
    func whatStandsInAnotherRowOrIsNotAsItWasOpensNothing(_ sql: String) throws {
        let said = try failure(after: sql)
        #expect(said.contains("cannot be decrypted") && said.contains("restore store.sqlite"), "\(said)")
    }
    @Test func aChangedOrMissingDataKeyIsSaid() throws {
        let change = "CAST(x'02' || substr(wrapped, 2) AS BLOB)"
        var said = try failure(after: "UPDATE registry_data_key SET wrapped = \(change)")
        #expect(said.contains("the data key of tenant") && said.contains("cannot be decrypted"), "\(said)")
        said = try failure(after: "DELETE FROM registry_data_key WHERE tenant = 2")
        #expect(said.contains("the data key of tenant 2 is missing"), "\(said)")
    }
    @Test func clearTextIsNotTakenForOurs() throws {
        let said = try failure(after: "UPDATE registry_resource SET settings = '{}' WHERE kind = 3")
        #expect(said.contains("are not encrypted"), "\(said)")
    }

    @Test func aStartWithAnotherKeyOrNoneEndsAndMakesNoSecondKey() throws {
        let stored = try bench.fill(try bench.open(try bench.database()))
        let (own, other) = (try SecretBench.name(1), try SecretBench.name(2))
        #expect(own != other && own.utf8.count == 16)
        bench.variable = SecretBench.key(2)
        var said = try #require(try bench.refusal()).description
        #expect(said.contains("KEY") && said.contains(own) && said.contains(other))
        #expect(said.contains("put that key back"))
        for nothing in [nil, ""] {
            bench.variable = nothing
            said = try #require(try bench.refusal()).description
            #expect(said.contains("KEY") && said.contains("is missing") && said.contains(own), "\(said)")
        }
        said = try #require(try bench.refusal(.dataFolder)).description
        #expect(said.contains("`master.key` in the data folder is missing") && said.contains("No new key is made"))
        #expect(!TemporaryFolder.names(bench.folder.path).contains(MasterKeySource.fileName))
        said = try #require(try bench.refusal(.file(bench.folder.path + "/none.key"))).description
        #expect(said.contains("`none.key` (`master_key`) is missing") && !said.contains(bench.folder.path))
        bench.variable = " \(SecretBench.key(2))\n\n\(SecretBench.key(1)) "
        #expect(try bench.open(try bench.database()).load().endpoints == stored.endpoints, "the second one opens")
    }
    @Test func whatIsNoKeyIsSaidByItsPlaceAndNotShown() throws {
        let (short, long) = (String(repeating: "5a", count: 31), String(repeating: "z", count: 64))
        for word in ["c2hvcnQ=", short, long, "!" + SecretBench.key(1).dropFirst(), " \n"] {
            bench.variable = word
            let said = try #require(try bench.refusal()).description
            let isShown = word.utf8.count > 2 && said.contains(word)
            #expect(said.contains("KEY") && said.contains("openssl rand -base64 32") && !isShown, "\(said)")
        }
        bench.variable = SecretBench.key(1) + " x"
        #expect(try bench.refusal() == .malformed(MasterKeyLocation(.environment("KEY")), number: 2))
        bench.variable = String(repeating: "01", count: 32)
        #expect(try bench.refusal() == nil)
        #expect(try bench.open(try bench.database()).secrets.masterKeyName == SecretBench.name(1), "the same in hex")
    }
    @Test func theFirstStartMakesAKeyForItsOwnerAlone() throws {
        let store = try bench.open(try bench.database(), .dataFolder)
        let file = bench.folder.path + "/" + MasterKeySource.fileName
        let attributes = try FileManager.default.attributesOfItem(atPath: file)
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
        let text = try String(contentsOfFile: file, encoding: .utf8)
        #expect(Data(base64Encoded: text.trimmingCharacters(in: .newlines))?.count == 32)
        try bench.fill(store)
        let again = try bench.open(try bench.database(), .dataFolder)
        #expect(again.secrets.masterKeyName == store.secrets.masterKeyName)
        try Data().write(to: URL(filePath: file))
        #expect(try bench.refusal(.dataFolder) == .malformed(MasterKeyLocation(.dataFolder), number: 1))
        // A key that the operator has put there is taken.
        try FileManager.default.removeItem(atPath: file)
        for name in TemporaryFolder.names(bench.folder.path) where name.hasPrefix("store.sqlite") {
            try FileManager.default.removeItem(atPath: bench.folder.path + "/" + name)
        }
        try Data(SecretBench.key(7).utf8).write(to: URL(filePath: file))
        let own = try bench.open(try bench.database(), .dataFolder)
        #expect(own.secrets.masterKeyName == (try SecretBench.name(7)))
    }
    @Test func aStoreThatDoesNotNameItsMasterKeyIsNotTakenForANewOne() throws {
        let database = try bench.database()
        try bench.fill(try bench.open(database))
        try database.write { try $0.execute(sql: "DELETE FROM registry_master_key") }
        #expect(try bench.refusal() == .unnamed)
    }
    @Test func aRebuildTakesTheKeyOrIsRefused() throws {
        let folder = TemporaryFolder()
        let own = MasterKeySource(.dataFolder, folder: folder.path)
        do {
            let writer = try SQLiteStore(folder: folder.path, logIdentity: 7).writer
            try bench.fill(SQLiteRegistryStore(writer, secrets: try SecretStore.open(writer, own)))
        }
        let place = EventLocation(sequence: 1, position: 0)
        let key = folder.path + "/" + MasterKeySource.fileName
        try FileManager.default.moveItem(atPath: key, toPath: key + ".away")
        let said = failure { _ = try StoreRebuild.run(folder: folder.path, logIdentity: 7, shared: place) }
        #expect(said.contains("put that key back"), "\(said)")
        #expect(!TemporaryFolder.names(folder.path).contains { $0.contains("damaged") || $0.contains("rebuild") })
        try FileManager.default.moveItem(atPath: key + ".away", toPath: key)
        #expect(try StoreRebuild.run(folder: folder.path, logIdentity: 7, shared: place).keepsRegistry)
        let writer = try SQLiteStore(folder: folder.path, logIdentity: 7).writer
        let rebuilt = try SQLiteRegistryStore(writer, secrets: try SecretStore.open(writer, own)).load()
        #expect(rebuilt.endpoints.map { $0.settings.secrets } == [[SecretBench.secrets[0]], [SecretBench.secrets[0]]])
    }
}
