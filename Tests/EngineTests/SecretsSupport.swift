// What the tests of stored secrets share: stores whose master key is a variable that the test holds, and stores as the
// version before encryption left them.
import Engine
import FastPath
import Foundation
import GRDB
import Synchronization
import TestSupport
import Testing

extension SQLiteRegistryStore {
    /// For tests that are about something else: all of them have one key.
    convenience init(_ database: any DatabaseWriter, entryCountMax: Int = AuditBounds.entryCountMax) throws {
        let text = String(repeating: "5a", count: 32)
        let source = MasterKeySource(.environment("KEY"), folder: "", environment: { _ in text })
        self.init(database, secrets: try SecretStore.open(database, source), entryCountMax: entryCountMax)
    }
}

enum StoreSteps {
    static func migrated(_ database: any DatabaseWriter) throws {
        var migrator = DatabaseMigrator()
        RegistryMigration.register(in: &migrator)
        try migrator.migrate(database)
    }
    /// Takes the encryption of a store back, as if it was of the version before: `stored` is what is in it.
    static func makeEarlier(
        _ database: any DatabaseWriter, _ stored: StoredRegistry, text: (String) throws -> String = { $0 }
    ) throws {
        try database.write { db in
            func put(_ kind: ResourceKind, _ number: UInt32, _ settings: some Encodable) throws {
                let json = try text(String(decoding: try JSONEncoder().encode(settings), as: UTF8.self))
                try db.execute(
                    sql: "UPDATE registry_resource SET settings = ? WHERE kind = ? AND number = ?",
                    arguments: [json, kind.rawValue, number])
            }
            for source in stored.sources { try put(.source, source.id.number, source.settings) }
            for endpoint in stored.endpoints { try put(.endpoint, endpoint.id.number, endpoint.settings) }
            for tenant in stored.tenants {
                try db.execute(
                    sql: "UPDATE registry_tenant SET secret = ? WHERE number = ?",
                    arguments: [tenant.signingSecret, tenant.id.number])
            }
            try db.execute(
                sql: """
                    DROP TABLE registry_master_key;
                    DROP TABLE registry_data_key;
                    DELETE FROM grdb_migrations WHERE identifier = '7-secrets'
                    """)
        }
    }
}

private final class TurnedVariable: Sendable {
    let text = Mutex<String?>(SecretBench.key(1))
}

/// A data folder with two tenants whose endpoints and sources have secrets, and the key that the test turns.
final class SecretBench {
    let folder = TemporaryFolder()
    private let environment = TurnedVariable()
    /// Of the variable that the master key is in.
    var variable: String? {
        get { environment.text.withLock { $0 } }
        set { environment.text.withLock { $0 = newValue } }
    }
    static let secrets = [
        "whsec_bWFya2VyLW9mLWFjbWUtc2VjcmV0", "marker-header-acme", "marker:userinfo", "bWFya2VyLW9sZC1vbmU",
        "marker-source-secret", "marker-verify-token", "marker-query-capability",
    ]

    static func key(_ byte: UInt8) -> String { Data(repeating: byte, count: 32).base64EncodedString() }
    static func name(_ byte: UInt8) throws -> String {
        let folder = TemporaryFolder()
        let database = try DatabaseQueue(path: folder.path + "/store.sqlite")
        try StoreSteps.migrated(database)
        let text = key(byte)
        let source = MasterKeySource(.environment("K"), folder: "", environment: { _ in text })
        return try SecretStore.open(database, source).masterKeyName
    }
    var path: String { folder.path + "/store.sqlite" }
    func database() throws -> DatabasePool {
        var configuration = Configuration()
        // What a system's SQLite may have by default would hide what is left out here.
        configuration.prepareDatabase { try $0.execute(sql: "PRAGMA secure_delete = OFF") }
        let database = try DatabasePool(path: path, configuration: configuration)
        try StoreSteps.migrated(database)
        return database
    }
    func keys(_ place: MasterKeyPlace = .environment("KEY")) -> MasterKeySource {
        let environment = environment
        return MasterKeySource(place, folder: folder.path, environment: { _ in environment.text.withLock { $0 } })
    }
    func open(
        _ database: any DatabaseWriter, _ place: MasterKeyPlace = .environment("KEY")
    ) throws
        -> SQLiteRegistryStore
    {
        SQLiteRegistryStore(database, secrets: try SecretStore.open(database, keys(place), nowMillis: 5))
    }
    /// What the start says; nil when it starts.
    func refusal(_ place: MasterKeyPlace = .environment("KEY")) throws -> MasterKeyError? {
        let database = try database()
        do {
            _ = try open(database, place)
            return nil
        } catch { return try #require(error as? MasterKeyError) }
    }

    @discardableResult
    func fill(_ store: SQLiteRegistryStore) throws -> StoredRegistry {
        let service = RegistryService(
            store: store, process: ProcessSettings(), verifiers: VerifierRegistry(), nowMillis: { 1000 })
        try service.open()
        let secrets = SecretBench.secrets
        for tenant in ["acme", "globex"] {
            _ = try service.apply(
                .edits([
                    .createTenant(name: tenant, uid: nil),
                    .createSource(
                        source("in") {
                            $0.tenant = tenant
                            $0.secrets = [SourceSecret(secrets[4])]
                            $0.verifyToken = secrets[5]
                        }),
                    .createEndpoint(
                        endpointSettings("hook") {
                            $0.tenant = tenant
                            $0.url = "https://hooks.example.com/h?key=\(secrets[6])"
                            $0.secrets = [secrets[0]]
                            $0.extras.fields = [ConfiguredField(name: "X-Own", value: secrets[1])]
                            $0.extras.userInformation = secrets[2]
                            $0.extras.oldSecrets = [EndingSecret(secrets[3], endSeconds: 9_000_000_000)]
                        }),
                ]), actor: ChangeActor("tester"))
        }
        return try store.load()
    }
    /// The secrets, and those of `tenants`, that stand in clear text in a file of the folder.
    func found(_ tenants: [TenantSpec] = []) throws -> [String] {
        let files = try TemporaryFolder.names(folder.path).map {
            try Data(contentsOf: URL(filePath: folder.path + "/" + $0))
        }
        return (SecretBench.secrets + tenants.compactMap(\.signingSecret)).filter { secret in
            files.contains { $0.range(of: Data(secret.utf8)) != nil }
        }
    }
}
