// What every registry store must do, run over the one in memory and the one in SQLite, across restarts; and what the
// SQLite one takes over from a data folder that knew endpoints by name.
import Engine
import FastPath
import Foundation
import GRDB
import TestSupport
import Testing

enum RegistryStoreKind: CaseIterable, Sendable { case memory, sqlite }

/// One data folder; `open` is what each process does.
private final class RegistryFolder {
    private let kind: RegistryStoreKind
    private let memory: MemoryRegistryStore
    private let folder: TemporaryFolder
    private let entryCountMax: Int

    init(_ kind: RegistryStoreKind, entryCountMax: Int = AuditBounds.entryCountMax) throws {
        self.kind = kind
        self.entryCountMax = entryCountMax
        memory = MemoryRegistryStore(entryCountMax: entryCountMax)
        folder = TemporaryFolder()
    }
    func open() throws -> any RegistryStore & AuditLog {
        switch kind {
        case .memory: return memory
        case .sqlite:
            let database = try DatabasePool(path: folder.path + "/store.sqlite")
            var migrator = DatabaseMigrator()
            RegistryMigration.register(in: &migrator)
            try migrator.migrate(database)
            return try SQLiteRegistryStore(database, entryCountMax: entryCountMax)
        }
    }
    var path: String { folder.path + "/store.sqlite" }
    func service() throws -> RegistryService {
        let service = RegistryService(
            store: try open(), process: ProcessSettings(), verifiers: VerifierRegistry(), nowMillis: { 1000 })
        try service.open()
        return service
    }
}

@Suite struct RegistryStoreContractTests {
    private let actor = ChangeActor("tester", requestID: "r")

    @Test(arguments: RegistryStoreKind.allCases)
    func aNewStoreHasTheDefaultTenant(_ kind: RegistryStoreKind) throws {
        let folder = try RegistryFolder(kind)
        let first = try folder.open().load().state
        #expect(first.tenants.map(\.name) == ["default"] && first.tenants[0].id == .main)
        #expect(try folder.open().load().state.tenants == first.tenants, "its public id is kept")
        #expect(!first.hasManifest)
    }

    @Test(arguments: RegistryStoreKind.allCases)
    func keepsWhatTheAPIMadeWhole(_ kind: RegistryStoreKind) throws {
        let folder = try RegistryFolder(kind)
        let service = try folder.service()
        _ = try service.apply(
            .edits([
                .createTenant(name: "acme", uid: "customer-7"),
                .createSource(
                    source("hooks") {
                        $0.tenant = "acme"
                        $0.uid = "h"
                        $0.secrets = [SourceSecret("geheim", notAfter: 99), "zwei"]
                        $0.provider = "generic"
                        $0.scheme = SchemeConfiguration()
                        $0.scheme?.header = "X-Signature"
                        $0.scheme?.timestamp = TimestampConfiguration()
                        $0.scheme?.timestamp?.header = "X-Time"
                        $0.scheme?.signed = "{timestamp}.{body}"
                        $0.mode = .observe
                        $0.durability = .written
                    }),
                .createEndpoint(
                    endpointSettings("a") {
                        $0.tenant = "acme"
                        $0.sources = ["hooks"]
                        $0.secrets = ["c2VjcmV0"]
                        $0.retryDelaysMillis = [1, 2]
                        $0.retryJitter = 0.25
                    }),
            ]), actor: actor)
        let restarted = try folder.service().state
        let before = service.state
        #expect(restarted.tenants == before.tenants)
        #expect(Array(restarted.sources.all) == Array(before.sources.all))
        #expect(Array(restarted.endpoints.all) == Array(before.endpoints.all))
        #expect(restarted.tenant(uid: "customer-7")?.name == "acme")
        #expect(restarted.source(path: "/in/acme/hooks")?.uid == "h")
    }

    @Test(arguments: RegistryStoreKind.allCases)
    func keepsWhatTheOutboundAPIAdds(_ kind: RegistryStoreKind) throws {
        let folder = try RegistryFolder(kind)
        let service = try folder.service()
        var profile = TenantProfile()
        (profile.title, profile.metadata, profile.throttleRate) = ("Acme & Söhne", ["k": "v"], 7)
        _ = try service.apply(.edits([.createTenant(name: nil, uid: "acme", profile: profile)]), actor: actor)
        let tenant = try #require(service.state.tenant(uid: "acme"))
        var type = EventTypeSettings()
        (type.about, type.featureFlag, type.schemas, type.isArchived) = ("paid", "beta", "{\"1\":{}}", true)
        _ = try service.apply(
            .edits([
                .createEndpoint(
                    endpointSettings("") {
                        $0.tenant = tenant.name
                        $0.channels = ["a", "b"]
                        $0.extras.about = "words"
                        $0.extras.fields = [ConfiguredField(name: "X-A", value: "1")]
                        $0.extras.oldSecrets = [EndingSecret("whsec_c2VjcmV0", endSeconds: 9)]
                        $0.extras.signatureNames = .svix
                    }, isNameless: true),
                .createEventType(name: "invoice.paid", type), .createEventType(name: "gone", EventTypeSettings()),
                .createKey(
                    KeyDraft(
                        tenant: tenant.id, role: .admin, digest: KeyDigest([1, 2]), featureFlags: ["beta", "new"],
                        isPortal: true)),
                .createKey(KeyDraft(tenant: tenant.id, role: .admin, digest: KeyDigest([3]))),
            ]), actor: actor)
        let endpoint = try #require(Array(service.state.endpoints.all(of: tenant.id)).first)
        let gone = try #require(service.state.eventTypes.named("gone"))
        _ = try service.apply(
            .edits([.updateEndpoint(endpoint.id) { $0.extras.about = "other" }, .deleteEventType(gone.id)]),
            actor: actor)
        let (before, after) = (service.state, try folder.service().state)
        #expect(after.tenants == before.tenants && after.tenant(uid: "acme")?.profile == profile)
        #expect(after.tenant(uid: "acme")?.name == tenant.publicID.text)
        let kept = try #require(Array(after.endpoints.all(of: tenant.id)).first)
        #expect(kept == before.endpoints[endpoint.id])
        #expect(kept.name == kept.publicID.text && kept.updatedMillis == 1000 && kept.settings.extras.about == "other")
        #expect(after.eventTypes.all == before.eventTypes.all && after.eventTypes.named("gone") == nil)
        #expect(after.eventTypes.named("invoice.paid")?.settings == type)
        #expect(after.keys.all == before.keys.all && after.keys.all.first?.featureFlags == ["beta", "new"])
        #expect(after.keys.all.map(\.isPortal) == [true, false])
        // A number is never given twice.
        _ = try folder.service().apply(.edits([.createEventType(name: "gone", type)]), actor: actor)
        #expect(try folder.service().state.eventTypes.named("gone")?.id == EventTypeID(3))
    }

    @Test(arguments: RegistryStoreKind.allCases)
    func keepsOfTheManifestTheIdentityOnly(_ kind: RegistryStoreKind) throws {
        let folder = try RegistryFolder(kind)
        let file = manifest([source("github")], [endpointSettings("a") { $0.secrets = ["c2VjcmV0"] }])
        let service = try folder.service()
        _ = try service.apply(.manifest(file), actor: .start)
        let stored = try folder.open().load()
        #expect(stored.sources.isEmpty && stored.endpoints.isEmpty)
        #expect(stored.identities.map(\.name).sorted() == ["a", "github"])
        #expect(stored.identities.allSatisfy { $0.wasInForce })
        _ = try service.apply(.manifest(manifest()), actor: .start)
        let later = try folder.open().load().identities.first { $0.name == "a" }
        #expect(later?.wasInForce == false && later?.number == 1)
    }

    @Test(arguments: RegistryStoreKind.allCases)
    func neverGivesANumberTwice(_ kind: RegistryStoreKind) throws {
        let folder = try RegistryFolder(kind)
        for number in 1...3 {
            let service = try folder.service()
            _ = try service.apply(.edits([.createEndpoint(endpointSettings("a"))]), actor: actor)
            let made = try #require(service.state.endpoints.named("a", tenant: .main))
            #expect(made.id == EndpointID(UInt32(number)))
            _ = try service.apply(.edits([.deleteEndpoint(made.id)]), actor: actor)
        }
        #expect(try folder.open().load().endpoints.isEmpty)
    }

    @Test(arguments: RegistryStoreKind.allCases)
    func listsTheAuditLogByTenantAndPage(_ kind: RegistryStoreKind) throws {
        let folder = try RegistryFolder(kind)
        let service = try folder.service()
        _ = try service.apply(.edits([.createTenant(name: "acme", uid: nil)]), actor: actor)
        for number in 0..<5 {
            _ = try service.apply(
                .edits([.createEndpoint(endpointSettings("e\(number)") { $0.tenant = "acme" })]), actor: actor)
        }
        _ = try service.apply(.edits([.createEndpoint(endpointSettings("own"))]), actor: actor)
        let log = try folder.open()
        var query = AuditQuery()
        query.tenant = service.state.tenant(named: "acme")?.id
        query.limit = 3
        let newest = try log.entries(query)
        #expect(newest.map(\.name) == ["e4", "e3", "e2"])
        query.before = newest.last?.number
        #expect(try log.entries(query).map(\.name) == ["e1", "e0", "acme"])
        #expect(try log.entries(AuditQuery()).count == 7)
        let first = try #require(try log.entries(query).last)
        #expect(first.actor == "tester" && first.requestID == "r" && first.action == .create)
        #expect(first.timeMillis == 1000)
        try log.record([first])
        #expect(try log.entries(AuditQuery()).count == 8)
    }

    @Test(arguments: RegistryStoreKind.allCases)
    func keepsTheNewestOfTheAuditLog(_ kind: RegistryStoreKind) throws {
        let folder = try RegistryFolder(kind, entryCountMax: 5)
        let service = try folder.service()
        for number in 0..<7 {
            _ = try service.apply(.edits([.createEndpoint(endpointSettings("e\(number)"))]), actor: actor)
        }
        let log = try folder.open()
        let kept = try log.entries(AuditQuery())
        #expect(kept.map(\.name) == ["e6", "e5", "e4", "e3", "e2"])
        #expect(kept.map(\.number) == [7, 6, 5, 4, 3], "numbers go on")
        try log.record(Array(repeating: kept[0], count: 9))
        #expect(try log.entries(AuditQuery()).map(\.number) == [16, 15, 14, 13, 12])
    }

    @Test func takesOverTheNamesOfAnEarlierVersion() throws {
        let folder = TemporaryFolder()
        let database = try DatabasePool(path: folder.path + "/store.sqlite")
        try database.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE endpoint_name_v1 (number INTEGER PRIMARY KEY, name TEXT, removed INTEGER);
                    INSERT INTO endpoint_name_v1 VALUES (3, 'billing', 0), (7, 'old', 1), (9, 'crm', 0);
                    """)
        }
        var migrator = DatabaseMigrator()
        RegistryMigration.register(in: &migrator)
        try migrator.migrate(database)
        let service = RegistryService(
            store: try SQLiteRegistryStore(database), process: ProcessSettings(), verifiers: VerifierRegistry())
        try service.open()
        let report = try service.apply(
            .manifest(
                manifest(
                    [source("github")],
                    [
                        endpointSettings("billing"), endpointSettings("old"), endpointSettings("new"),
                        endpointSettings("crm") { $0.tenant = "acme" },
                    ])), actor: .start)
        let state = service.state
        func number(_ name: String) -> UInt32? { state.endpoints.named(name, tenant: .main)?.id.number }
        #expect(number("billing") == 3 && number("old") == 7)
        #expect((number("new") ?? 0) > 9, "numbers go on behind the largest ever used")
        let acme = try #require(state.tenant(named: "acme")?.id)
        #expect((state.endpoints.named("crm", tenant: acme)?.id.number ?? 0) > 9, "names belong to the default tenant")
        #expect(report.diff.description.contains("1 endpoint removed: crm"))
    }

    @Test func readsSettingsThatAnEarlierVersionWrote() throws {
        let folder = try RegistryFolder(.sqlite)
        let service = try folder.service()
        _ = try service.apply(
            .edits([.createEndpoint(endpointSettings("a") { $0.concurrency = 5 })]), actor: actor)
        // A field that did not exist then.
        try StoreSteps.makeEarlier(try DatabaseQueue(path: folder.path), try folder.open().load()) { text in
            var known = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            #expect(known.removeValue(forKey: "retryJitter") != nil)
            return String(decoding: try JSONSerialization.data(withJSONObject: known), as: UTF8.self)
        }
        let endpoint = try #require(try folder.open().load().endpoints.first)
        #expect(endpoint.settings.concurrency == 5 && endpoint.settings.retryJitter == 0.1)
    }
}
