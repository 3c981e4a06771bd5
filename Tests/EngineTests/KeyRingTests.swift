// Keys: the form of a token, what is kept of it, whom it lets in and until when; the key that a gateway begins with.
import Engine
import FastPath
import Foundation
import Synchronization
import TestSupport
import Testing

private final class TurnedClock: Sendable {
    let millis = Mutex<Int64>(1_000_000)
}

/// A ring over a registry in memory, each with a clock that the test turns.
private final class KeyBench: KeyUseStore {
    let store = MemoryRegistryStore()
    let registryClock: TurnedClock
    let service: RegistryService
    let now = Mutex<Int64>(1_000_000)
    let written = Mutex<[Int64]>([])

    init() throws {
        let clock = TurnedClock()
        registryClock = clock
        service = RegistryService(
            store: store, process: ProcessSettings(), verifiers: VerifierRegistry(),
            nowMillis: { clock.millis.withLock { $0 } })
        try service.open()
        _ = try service.apply(.edits([.createTenant(name: "acme", uid: nil)]), actor: ChangeActor("t"))
    }
    func ring() throws -> KeyRing {
        KeyRing(
            registry: service, digester: TokenDigester(key: [UInt8](repeating: 7, count: 32)),
            uses: try KeyUses(self), nowMillis: { [self] in now.withLock { $0 } })
    }
    func portals(of tenant: TenantID) -> [KeyID] { service.state.keys.portals(of: tenant).map(\.id) }
    var acme: TenantID { get throws { try #require(service.state.tenant(named: "acme")).id } }

    func keyUses() throws -> [KeyID: Int64] { [:] }
    func record(use millis: Int64, of key: KeyID) { written.withLock { $0.append(millis) } }
}

@Suite struct KeyRingTests {
    private let actor = ChangeActor("tester")

    @Test func aTokenIsTwoHundredFiftySixBitsWithAPrefixAndAChecksum() {
        let tokens = Set((0..<200).map { _ in APIToken.make() })
        #expect(tokens.count == 200 && tokens.allSatisfy(APIToken.isWellFormed))
        #expect(tokens.allSatisfy { $0.hasPrefix("sluice_") && $0.utf8.count == 56 })
    }
    /// The checksum of 43 zeros, by another implementation of CRC-32: 0x7849568F.
    @Test func theChecksumIsTheCommonOne() {
        #expect(APIToken.isWellFormed("sluice_" + String(repeating: "0", count: 43) + "2CZclj"))
    }
    @Test func noTokenWithOneCharacterChangedIsOne() throws {
        let token = APIToken.make()
        for index in token.indices {
            var changed = token
            changed.replaceSubrange(index...index, with: token[index] == "x" ? "y" : "x")
            #expect(!APIToken.isWellFormed(changed), "\(changed)")
        }
        for text in ["", "sluice_", token + "0", String(token.dropLast()), " " + token] {
            #expect(!APIToken.isWellFormed(text))
        }
    }

    @Test func aKeyIsKnownByItsTokenUntilItIsRevoked() throws {
        let bench = try KeyBench()
        let ring = try bench.ring()
        let (key, token) = try ring.make(
            tenant: try bench.acme, role: .viewer, name: "ci", expiresMillis: nil, actor: actor)
        #expect(ring.verdict(on: token) == .key(key) && key.role == .viewer && key.name == "ci")
        #expect(ring.verdict(on: APIToken.make()) == .unknown)
        #expect(ring.verdict(on: "Bearer") == .unknown)
        try ring.revoke(key.id, actor: actor)
        #expect(ring.verdict(on: token) == .unknown)
        #expect(throws: RegistryRefusal.notFound(.key, number: key.id.number)) {
            try ring.revoke(key.id, actor: actor)
        }
    }
    @Test func aKeyEndsAtItsTime() throws {
        let bench = try KeyBench()
        let ring = try bench.ring()
        let (key, token) = try ring.make(
            tenant: try bench.acme, role: .admin, name: "", expiresMillis: 1_000_500, actor: actor)
        bench.now.withLock { $0 = 1_000_499 }
        #expect(ring.verdict(on: token) == .key(key))
        bench.now.withLock { $0 = 1_000_500 }
        #expect(ring.verdict(on: token) == .expired(key))
        #expect(throws: RegistryRefusal.self) {
            try ring.make(tenant: nil, role: .viewer, name: "", expiresMillis: 999, actor: actor)
        }
    }
    @Test func aTenantsKeysGoWithIt() throws {
        let bench = try KeyBench()
        let ring = try bench.ring()
        let (_, theirs) = try ring.make(
            tenant: try bench.acme, role: .admin, name: "", expiresMillis: nil, actor: actor)
        let (kept, others) = try ring.make(tenant: .main, role: .admin, name: "", expiresMillis: nil, actor: actor)
        _ = try bench.service.apply(.edits([.deleteTenant(try bench.acme, ifEmpty: true)]), actor: actor)
        #expect(ring.verdict(on: theirs) == .unknown && ring.verdict(on: others) == .key(kept))
        #expect(throws: RegistryRefusal.self) {
            try ring.make(tenant: TenantID(2), role: .viewer, name: "", expiresMillis: nil, actor: actor)
        }
    }
    @Test func portalsKeysThatHaveEndedGoAFewWithEachNewOne() throws {
        let bench = try KeyBench()
        let (ring, acme) = (try bench.ring(), try bench.acme)
        func make(until millis: Int64, isPortal: Bool = true) throws -> (key: KeySpec, token: String) {
            try ring.make(
                tenant: acme, role: .admin, name: "app-portal", expiresMillis: millis, isPortal: isPortal, actor: actor)
        }
        let other = try make(until: 1_000_001, isPortal: false).key
        let first = try make(until: 1_000_001)
        #expect(ring.verdict(on: first.token) == .key(first.key) && ring.uses.last(first.key.id) != nil)
        for _ in 1..<20 { _ = try make(until: 1_000_001) }
        #expect(bench.portals(of: acme).count == 20)
        bench.registryClock.millis.withLock { $0 = 1_000_002 }
        let fresh = try make(until: 2_000_000).key.id
        #expect(bench.portals(of: acme).count == 20 - KeyBounds.portalEndedCountMax + 1)
        #expect(ring.verdict(on: first.token) == .unknown && ring.uses.last(first.key.id) == nil)
        let last = try make(until: 2_000_000).key.id
        #expect(bench.portals(of: acme) == [fresh, last])
        #expect(bench.service.state.keys[other.id] == other, "what an operator made is the operator's to remove")
    }
    @Test func ofThePortalsKeysOfATenantTheNewestThousandStay() throws {
        let bench = try KeyBench()
        let (ring, acme) = (try bench.ring(), try bench.acme)
        func make(_ tenant: TenantID) throws -> String {
            try ring.make(
                tenant: tenant, role: .admin, name: "app-portal", expiresMillis: 2_000_000, isPortal: true, actor: actor
            ).token
        }
        let others = try make(.main)
        let (oldest, second) = (try make(acme), try make(acme))
        for _ in 2..<KeyBounds.portalCountMax { _ = try make(acme) }
        #expect(ring.verdict(on: oldest) != .unknown && bench.portals(of: acme).count == KeyBounds.portalCountMax)
        let newest = try make(acme)
        #expect(bench.portals(of: acme).count == KeyBounds.portalCountMax)
        #expect(ring.verdict(on: oldest) == .unknown)
        #expect([others, second, newest].allSatisfy { ring.verdict(on: $0) != .unknown })
    }
    @Test func aPlatformKeyBelongsToNoTenant() throws {
        let ring = try KeyBench().ring()
        #expect(throws: RegistryRefusal.self) {
            try ring.make(tenant: .main, role: .platform, name: "", expiresMillis: nil, actor: actor)
        }
    }
    @Test func aBusyKeyIsWrittenDownOnceAMinute() throws {
        let bench = try KeyBench()
        let ring = try bench.ring()
        let (key, token) = try ring.make(tenant: nil, role: .viewer, name: "", expiresMillis: nil, actor: actor)
        #expect(ring.uses.last(key.id) == nil)
        for second in 0..<150 {
            bench.now.withLock { $0 = 1_000_000 + Int64(second) * 1000 }
            _ = ring.verdict(on: token)
        }
        #expect(ring.uses.last(key.id) == 1_149_000)
        #expect(bench.written.withLock { $0 } == [1_000_000, 1_060_000, 1_120_000])
    }
    @Test func theAuditLogHasKeysAndNoTokens() throws {
        let bench = try KeyBench()
        let ring = try bench.ring()
        let (key, token) = try ring.make(
            tenant: try bench.acme, role: .operator, name: "deploy", expiresMillis: nil, actor: actor)
        try ring.revoke(key.id, actor: actor)
        let entries = try bench.store.entries(AuditQuery()).filter { $0.kind == .key }
        #expect(entries.map(\.action) == [.delete, .create])
        #expect(entries.allSatisfy { $0.resource == key.publicID.text && $0.name == "deploy" })
        #expect(!"\(entries)".contains(token))
    }
    @Test func rolesAreALadderWithPublishersBesideIt() {
        let ladder: [KeyRole] = [.viewer, .operator, .admin, .platform]
        for (place, role) in ladder.enumerated() {
            for (other, least) in ladder.enumerated() { #expect(role.includes(least) == (place >= other)) }
            #expect(!KeyRole.publisher.includes(role))
        }
        #expect(KeyRole.allCases.filter { $0.includes(.publisher) } == [.publisher, .operator, .admin, .platform])
        #expect(KeyRole.allCases.allSatisfy { KeyRole(name: $0.name) == $0 })
    }
}

/// The same data folder, started again and again.
@Suite struct PlatformKeyTests {
    private func start(_ folder: TemporaryFolder, _ store: any RegistryStore) throws -> (KeyRing, String?) {
        let service = RegistryService(store: store, process: ProcessSettings(), verifiers: VerifierRegistry())
        try service.open()
        return try KeyRing.open(service, uses: NoUses(), folder: folder.path)
    }
    /// Of which nothing can be committed.
    private struct StuckStore: RegistryStore {
        struct IsStuck: Error {}
        let store: MemoryRegistryStore
        func load() throws -> StoredRegistry { try store.load() }
        func commit(_ commit: RegistryCommit) throws { throw IsStuck() }
    }
    private struct NoUses: KeyUseStore {
        func keyUses() throws -> [KeyID: Int64] { [:] }
        func record(use millis: Int64, of key: KeyID) {}
    }
    private func role(_ verdict: KeyRing.Verdict) -> KeyRole? {
        if case .key(let key) = verdict { key.role } else { nil }
    }

    @Test func isMadeOnceAndKeptForItsOwnerAlone() throws {
        let (folder, store) = (TemporaryFolder(), MemoryRegistryStore())
        let (ring, token) = try start(folder, store)
        let made = try #require(token)
        #expect(role(ring.verdict(on: made)) == .platform)
        #expect(try PlatformKey.token(inFolder: folder.path) == made)
        for name in [PlatformKey.fileName, TokenDigester.fileName] {
            let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + "/" + name)
            #expect(attributes[.posixPermissions] as? Int == 0o600, "\(name)")
        }
        let (again, second) = try start(folder, store)
        #expect(second == nil && role(again.verdict(on: made)) == .platform)
        try FileManager.default.removeItem(atPath: folder.path + "/" + PlatformKey.fileName)
        #expect(try start(folder, store).1 == nil, "an operator may keep it elsewhere")
    }
    @Test func anEmptyFileAsksForAnother() throws {
        let (folder, store) = (TemporaryFolder(), MemoryRegistryStore())
        let first = try #require(try start(folder, store).1)
        try Data().write(to: URL(fileURLWithPath: folder.path + "/" + PlatformKey.fileName))
        let (ring, token) = try start(folder, store)
        let second = try #require(token)
        #expect(second != first && role(ring.verdict(on: second)) == .platform)
        #expect(role(ring.verdict(on: first)) == .platform, "nothing was revoked")
    }
    @Test func withoutTheDigestKeyEveryKeyIsVoid() throws {
        let (folder, store) = (TemporaryFolder(), MemoryRegistryStore())
        let (before, first) = try start(folder, store)
        let (_, other) = try before.make(
            tenant: nil, role: .viewer, name: "", expiresMillis: nil, actor: ChangeActor("t"))
        try FileManager.default.removeItem(atPath: folder.path + "/" + TokenDigester.fileName)
        let (ring, token) = try start(folder, store)
        #expect(ring.verdict(on: try #require(first)) == .unknown && ring.verdict(on: other) == .unknown)
        #expect(role(ring.verdict(on: try #require(token))) == .platform)
        #expect(try store.load().keys.count == 1)
    }
    /// A start that cannot commit ends where one that dies there ends.
    @Test(arguments: [false, true])
    func aStartThatEndsHalfWayLeavesNobodyLockedOut(_ isAskedFor: Bool) throws {
        let (folder, store) = (TemporaryFolder(), MemoryRegistryStore())
        _ = try start(folder, store)
        try FileManager.default.removeItem(atPath: folder.path + "/" + TokenDigester.fileName)
        if isAskedFor { try Data().write(to: URL(fileURLWithPath: folder.path + "/" + PlatformKey.fileName)) }
        #expect(throws: (any Error).self) { try start(folder, StuckStore(store: store)) }
        let (ring, token) = try start(folder, store)
        #expect(role(ring.verdict(on: try #require(token))) == .platform)
        #expect(try PlatformKey.token(inFolder: folder.path) == token)
        #expect(try start(folder, store).1 == nil)
    }
    @Test func aDigestKeyThatIsNotOneIsRefused() throws {
        let folder = TemporaryFolder()
        try Data("x".utf8).write(to: URL(fileURLWithPath: folder.path + "/" + TokenDigester.fileName))
        #expect(throws: KeyFileError.self) { try start(folder, MemoryRegistryStore()) }
    }
}
