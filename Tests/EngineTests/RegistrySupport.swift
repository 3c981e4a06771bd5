// What the tests of the registry share: manifests in few words, a service over a store in memory, and a participant
// that notes what it was asked and fails when it is told to.
import Engine
import FastPath
import Synchronization
import Testing

func source(_ name: String, _ change: (inout SourceConfiguration) -> Void = { _ in }) -> SourceConfiguration {
    var source = SourceConfiguration()
    source.name = name
    source.provider = "github"
    source.secrets = ["secret"]
    change(&source)
    return source
}
func endpointSettings(
    _ name: String, _ change: (inout EndpointConfiguration) -> Void = { _ in }
) -> EndpointConfiguration {
    var endpoint = EndpointConfiguration()
    endpoint.name = name
    endpoint.url = "http://hooks.example.com/\(name)"
    change(&endpoint)
    return endpoint
}
func manifest(
    _ sources: [SourceConfiguration] = [source("github")], _ endpoints: [EndpointConfiguration] = [],
    _ change: (inout GatewayConfiguration) -> Void = { _ in }
) -> GatewayConfiguration {
    var manifest = GatewayConfiguration()
    manifest.sources = sources
    manifest.endpoints = endpoints
    change(&manifest)
    return manifest
}

/// A part of the process that only remembers.
final class RecordingParticipant: TopologyParticipant {
    struct Notes {
        var steps: [String] = []
        var endpoints: [[String]] = []
        var added: [Set<EndpointID>] = []
        var removed: [[EndpointID]] = []
        var deleted: [[EndpointID]] = []
        var compiledSources: [Int?] = []
        var withheld: [[String]] = []
        var refusal: ValidationIssues?
        var failsToSecure = false
    }
    let notes = Mutex(Notes())

    func prepare(_ change: TopologyChange) throws(ValidationIssues) -> any PreparedTopology {
        let refusal = notes.withLock { notes in
            notes.steps.append("prepare")
            notes.endpoints.append(change.endpoints.map(\.name))
            notes.added.append(change.addedEndpoints)
            notes.removed.append(change.removedEndpoints)
            notes.deleted.append(change.deletedEndpoints)
            notes.compiledSources.append(change.sources?.compiledCount)
            notes.withheld.append(change.compilation.withheldHeaders)
            return notes.refusal
        }
        if let refusal { throw refusal }
        return Prepared(participant: self)
    }
    func clear() { notes.withLock { $0 = Notes() } }

    private struct Prepared: PreparedTopology {
        let participant: RecordingParticipant
        struct SecureFailed: Error {}

        func secure() throws {
            let fails = participant.notes.withLock { notes in
                notes.steps.append("secure")
                return notes.failsToSecure
            }
            if fails { throw SecureFailed() }
        }
        func publish() { participant.notes.withLock { $0.steps.append("publish") } }
    }
}

/// A store whose commits fail when it is told to.
final class FailingStore: RegistryStore {
    let inner = MemoryRegistryStore()
    let fails = Mutex(false)
    let commits = Mutex(0)
    struct Failed: Error {}

    func load() throws -> StoredRegistry { try inner.load() }
    func commit(_ commit: RegistryCommit) throws {
        if fails.withLock({ $0 }) { throw Failed() }
        commits.withLock { $0 += 1 }
        try inner.commit(commit)
    }
}

/// A service with one participant; `restart` makes the next process on the same store.
struct RegistryBench {
    let store: FailingStore
    let service: RegistryService
    let participant = RecordingParticipant()

    init(_ store: FailingStore = FailingStore(), process: ProcessSettings = ProcessSettings()) throws {
        self.store = store
        service = RegistryService(store: store, process: process, verifiers: VerifierRegistry(), nowMillis: { 1000 })
        try service.open()
        service.add(participant)
    }
    func restart() throws -> RegistryBench { try RegistryBench(store) }

    @discardableResult
    func apply(_ manifest: GatewayConfiguration, dryRun: Bool = false) throws -> ChangeReport {
        try service.apply(.manifest(manifest), actor: .signal, dryRun: dryRun)
    }
    @discardableResult
    func edit(_ edits: RegistryEdit...) throws -> ChangeReport {
        try service.apply(.edits(edits), actor: ChangeActor("tester", requestID: "req_1"))
    }
    func endpoint(_ name: String, tenant: String = "default") throws -> EndpointSpec {
        let tenant = try #require(service.state.tenant(named: tenant))
        return try #require(service.state.endpoints.named(name, tenant: tenant.id))
    }
    func sourceSpec(_ name: String, tenant: String = "default") throws -> SourceSpec {
        let tenant = try #require(service.state.tenant(named: tenant))
        return try #require(service.state.sources.named(name, tenant: tenant.id))
    }
    func refusal(_ body: () throws -> Void) -> RegistryRefusal? {
        do {
            try body()
            return nil
        } catch { return error as? RegistryRefusal }
    }
    /// The paths of what was refused.
    func issues(_ body: () throws -> Void) -> [ValidationIssue] {
        guard case .invalid(let issues) = refusal(body) else { return [] }
        return issues.issues
    }
}
