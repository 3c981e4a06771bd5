// The ingest loops, each on a thread of its own. The last that starts and the first that drains of what takes requests:
// from its start on the gateway accepts connections.

import FastPath
import Foundation

final class IngestComponent: Component {
    private struct Running: Sendable {
        let threads: [LoopThread]
        let metrics: [IngestMetrics]
        let blockBytesMax: Int
        let memoryBytes: Int
    }
    let name = "ingest"
    private let configuration: GatewayConfiguration
    private let engine: VerifierEngine
    private let controls: LoopControls
    private let sources: SourceParticipant
    private let registry: RegistryComponent
    private let listeners: ListenerComponent
    private let certificates: ListenerCertificates
    private let verifiers: VerifierComponent
    private let rejected: RejectedComponent
    private let journal: JournalComponent
    private let running = StartResult<Running>()

    init(
        _ configuration: GatewayConfiguration, controls: LoopControls, registry: RegistryComponent,
        sources: SourceParticipant, listeners: ListenerComponent, certificates: ListenerCertificates,
        verifiers: VerifierComponent, rejected: RejectedComponent, journal: JournalComponent
    ) throws(GatewayError) {
        self.configuration = configuration
        engine = try IngestComponent.engine(configuration)
        self.controls = controls
        self.sources = sources
        self.registry = registry
        self.listeners = listeners
        self.certificates = certificates
        self.verifiers = verifiers
        self.rejected = rejected
        self.journal = journal
    }
    var loops: [IngestControl] { controls.loops }
    /// One a loop.
    var metrics: [IngestMetrics] { running.value.metrics }
    /// Head and body of the largest request that the loops have room for.
    var blockBytesMax: Int { running.value.blockBytesMax }
    var memoryBytes: Int { running.value.memoryBytes }

    func start() throws {
        try listeners.activate()
        var threads: [LoopThread] = []
        var metrics: [IngestMetrics] = []
        var memoryBytes = 0
        do {
            for index in controls.loops.indices {
                let ownMetrics = controls.journal == nil ? journal.metrics : IngestMetrics()
                metrics.append(ownMetrics)
                let setup = setup(loop: index, ownMetrics)
                memoryBytes += ingestMemoryBytes(setup)
                threads.append(try run(index, setup))
            }
        } catch {
            end(threads)
            throw error
        }
        let (loops, listen) = (controls.loops, configuration.process.listen)
        certificates.onChange { contexts in
            for loop in loops { loop.publish(contexts: listen.map { contexts[$0] }) }
        }
        running.set(
            Running(
                threads: threads, metrics: metrics, blockBytesMax: blockBytes, memoryBytes: memoryBytes))
    }
    /// The loops bound their own drain, by half of the grace period: the rest is the deliveries'.
    func drain(withinMillis: Int) -> Bool {
        end(running.value.threads)
        return true
    }

    private func end(_ threads: [LoopThread]) {
        for loop in controls.loops { loop.drain() }
        listeners.stopListening()
        for thread in threads { thread.join() }
    }
    private func run(_ index: Int, _ setup: IngestSetup) throws(GatewayError) -> LoopThread {
        let control = controls.loops[index]
        let port = journal.ports[index]
        let snapshot = sources.snapshot
        let failure = StartFailure()
        let thread: LoopThread
        do {
            thread = try LoopThread(name: "ingest-\(index)", urgency: .prompt) {
                runIngestLoop(setup: setup, shared: control, snapshot: snapshot, port: port) { failure.set($0) }
            }
        } catch { throw .thread(error) }
        while control.stage == .starting { Thread.sleep(forTimeInterval: StartFailure.pollSeconds) }
        guard control.stage != .failed else {
            thread.join()
            throw failure.error
        }
        return thread
    }
    private var blockBytes: Int {
        SourceTopology.bodyBytesMax(registry.configurationInForce) + configuration.limits.headBytesMax
    }
    private func setup(loop: Int, _ metrics: IngestMetrics) -> IngestSetup {
        var setup = IngestSetup()
        setup.limits.requestLineBytesMax = configuration.limits.requestLineBytesMax
        setup.limits.headBytesMax = configuration.limits.headBytesMax
        setup.limits.fieldCountMax = configuration.limits.fieldCountMax
        setup.limits.bodyBytesMax = configuration.limits.bodyBytesMax
        setup.limits.headMillisMax = configuration.limits.headMillisMax
        setup.limits.bodyMillisMax = configuration.limits.bodyMillisMax
        setup.limits.idleMillisMax = configuration.limits.idleMillisMax
        setup.limits.sendMillisMax = configuration.limits.sendMillisMax
        setup.limits.commitMillisMax = configuration.limits.commitMillisMax
        setup.limits.connectionCountMax = configuration.limits.connectionCountMax
        setup.limits.connectionsPerAddressMax = configuration.limits.connectionsPerAddressMax
        setup.blockBytesMax = blockBytes
        setup.assemblyBytes = max(configuration.limits.assemblyBytes, blockBytes)
        setup.listeners = listeners.descriptors(loop: loop)
        setup.preambleListeners = configuration.preambleListeners
        let contexts = certificates.contexts
        if !contexts.isEmpty { setup.contexts = configuration.process.listen.map { contexts[$0] } }
        setup.metrics = metrics
        setup.engine = engine
        setup.verifiers = verifiers.links[loop]
        setup.rejected = rejected.ring(loop: loop)
        setup.publishers = verifiers.workers.publishers
        return setup
    }
    private static func engine(_ configuration: GatewayConfiguration) throws(GatewayError) -> VerifierEngine {
        switch configuration.verifierEngine {
        case .auto: return .automatic
        case .openssl: return .openssl
        case .multibuffer:
            guard VerifierEngine.available.contains(.multiBuffer) else { throw .verifierUnavailable("multibuffer") }
            return .multiBuffer
        }
    }
}

/// How an event gets into the log beside the loops.
final class InjectorComponent: Component {
    let name = "injector"
    private let controls: LoopControls
    private let log: LogComponent
    private let journal: JournalComponent
    private let made = StartResult<EventInjector>()

    init(controls: LoopControls, log: LogComponent, journal: JournalComponent) {
        self.controls = controls
        self.log = log
        self.journal = journal
    }
    var injector: EventInjector { made.value }

    func start() throws {
        made.set(
            EventInjector(
                link: journal.injection, loopIndex: controls.journal == nil ? nil : controls.loops.count,
                logIdentity: log.folder.identity.identity))
    }
    /// Before the loops: the only one of them may drive the journal, and what was taken must get its receipt.
    func drain(withinMillis: Int) -> Bool {
        injector.close()
        return true
    }
}
