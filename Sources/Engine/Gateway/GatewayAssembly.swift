// Builds and starts the parts of a gateway in their order, and undoes what was started when a later step fails.
import FastPath
import Foundation
import Logging

/// Everything that runs.
struct RunningParts {
    var snapshot: IngestSnapshot
    var offload: OffloadParts
    var injector: EventInjector
    /// Nil when nothing of what is refused is kept.
    var rejected: RejectedWorker?
    var loops: [IngestShared] = []
    var loopThreads: [LoopThread] = []
    var metrics: [IngestMetrics] = []
    /// Nil when the only loop drives the journal itself.
    var journal: JournalShared?
    var journalThread: LoopThread?
    var journalMetrics: IngestMetrics
    var listeners: [Listener] = []
    var listenerTexts: [String] = []
    var egress: EgressLoop
    var delivery: DeliveryService<LogReaders>
    var logWorker: LogWorker
    var commitSignal: CommitSignal
    var folder: LogFolder
    var tail: CommittedTail
    var recovery: RecoveryReport
    var memoryBytes = 0
    var blockBytesMax = 0
}

enum GatewayAssembly {
    static func egressLimits(_ configuration: GatewayConfiguration) -> EgressLimits {
        var limits = EgressLimits()
        let wanted = configuration.endpoints.reduce(0) { $0 + $1.concurrency }
        limits.connectionCountMax = min(max(wanted, 64), 4096)
        return limits
    }
    static func loopCount(_ configuration: GatewayConfiguration) -> Int {
        switch configuration.loops {
        case .fixed(let count): count
        // Half of the cores take, the other half delivers.
        case .auto: max(1, min(ProcessInfo.processInfo.activeProcessorCount / 2, 16))
        }
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

    static func start(
        _ configuration: GatewayConfiguration, snapshot: IngestSnapshot, verifiers: VerifierRegistry,
        endpoints: EndpointTable.Compiled, egressLimits: EgressLimits, logger: Logger
    ) throws -> RunningParts {
        let engine = try engine(configuration)
        guard configuration.log.groupBytes + RecordFormat.blockBytes <= configuration.log.segmentBytes else {
            throw GatewayError.limits("log.group must be smaller than log.segment")
        }
        let threads = try IngestThreads(configuration, verifiers: verifiers)
        var recovered = try LogParts.recover(configuration)
        let store = try openStore(configuration)
        recovered.raise(to: try sequenceFloor(store, configuration))
        let log = try LogParts(recovered, configuration, driverWakeup: threads.driverWakeup, logger: logger)
        let listeners = try Listeners(configuration, loopCount: loopCount(configuration))
        do {
            return try run(
                configuration, snapshot, endpoints, egressLimits, engine, log, store, listeners, threads, logger)
        } catch {
            listeners.close()
            throw error
        }
    }
    private static func openStore(_ configuration: GatewayConfiguration) throws(GatewayError) -> SQLiteStore {
        let path = storePath(configuration)
        do { return try SQLiteStore(path: path) } catch { throw .store(path: path, reason: "\(error)") }
    }
    private static func sequenceFloor(
        _ store: SQLiteStore, _ configuration: GatewayConfiguration
    ) throws(GatewayError) -> UInt64 {
        do { return try store.sequenceFloor() } catch {
            throw .store(path: storePath(configuration), reason: "\(error)")
        }
    }
    private static func storePath(_ configuration: GatewayConfiguration) -> String {
        configuration.dataFolder + "/store.sqlite"
    }

    private static func startRejected(
        _ configuration: GatewayConfiguration, _ offload: OffloadParts, _ logger: Logger
    ) throws(GatewayError) -> RejectedWorker? {
        guard configuration.rejected.isOn else {
            RejectedStore.remove(folder: configuration.dataFolder)
            return nil
        }
        let path = configuration.dataFolder + "/" + RejectedStore.fileName
        let store: RejectedStore
        do {
            store = try RejectedStore(path: path, bounds: configuration.rejected)
        } catch { throw .store(path: path, reason: "\(error)") }
        let worker = RejectedWorker(
            store: store, feeds: offload.rejectedRings, wakeup: offload.rejectedWakeup,
            sources: configuration.sourcesWithPublicURL, certificates: offload.certificates, logger: logger)
        do { try worker.start() } catch { throw .thread(error) }
        return worker
    }

    private static func run(
        _ configuration: GatewayConfiguration, _ snapshot: IngestSnapshot, _ endpoints: EndpointTable.Compiled,
        _ egressLimits: EgressLimits, _ engine: VerifierEngine, _ log: LogParts, _ store: SQLiteStore,
        _ listeners: Listeners, _ threads: IngestThreads, _ logger: Logger
    ) throws -> RunningParts {
        guard let orders = DeliveryOrderRing(capacity: egressLimits.orderCountMax),
            let outcomes = DeliveryOutcomeRing(capacity: egressLimits.orderCountMax),
            let egress = EgressLoop(
                orders: orders, outcomes: outcomes, snapshot: endpoints.snapshot, limits: egressLimits)
        else { throw GatewayError.outOfDescriptors }
        let folder = log.folder
        let tail = log.tail
        let delivery = try DeliveryService(
            DeliveryParts(
                log: LogReaders(folder: folder, tail: tail),
                makeReader: { LogReaders(folder: folder, tail: tail) }, store: store, orders: orders,
                outcomes: outcomes, logger: logger),
            configuration: configuration.delivery)
        do { try egress.start() } catch { throw GatewayError.ring(error) }
        try delivery.start(endpoints.plans)
        log.worker.setLowWater { delivery.retentionLowWater }
        let injection = try threads.offload.injectionLink(configuration, driver: threads.driverWakeup)
        let injector = EventInjector(
            link: injection, loopIndex: threads.journal == nil ? nil : threads.loops.count,
            logIdentity: folder.identity.identity)
        var parts = RunningParts(
            snapshot: snapshot, offload: threads.offload, injector: injector, journalMetrics: IngestMetrics(),
            egress: egress, delivery: delivery,
            logWorker: log.worker,
            commitSignal: CommitSignal(delivery.wakeup), folder: folder, tail: tail, recovery: log.report)
        do {
            parts.rejected = try startRejected(configuration, threads.offload, logger)
            try startIngest(&parts, configuration, engine, log, listeners, threads)
            parts.commitSignal.setWanted(!endpoints.plans.isEmpty)
        } catch {
            for loop in parts.loops { loop.drain() }
            for thread in parts.loopThreads { thread.join() }
            injector.close()
            parts.journal?.drain()
            parts.journalThread?.join()
            threads.offload.workers.stop()
            parts.rejected?.stop()
            egress.stop()
            egress.join()
            delivery.stop()
            log.worker.stop()
            throw error
        }
        parts.memoryBytes += threads.offload.memoryBytes + injection.events.byteCount
        parts.memoryBytes += log.memoryBytes + egressLimits.memoryBytes + configuration.delivery.bufferBytes
        return parts
    }

    private static func setup(
        _ configuration: GatewayConfiguration, _ engine: VerifierEngine, _ listeners: [Int32],
        _ metrics: IngestMetrics
    ) -> IngestSetup {
        var setup = IngestSetup()
        setup.limits.requestLineBytesMax = configuration.limits.requestLineBytesMax
        setup.limits.headBytesMax = configuration.limits.headBytesMax
        setup.limits.bodyBytesMax = configuration.limits.bodyBytesMax
        setup.limits.headMillisMax = configuration.limits.headMillisMax
        setup.limits.bodyMillisMax = configuration.limits.bodyMillisMax
        setup.limits.idleMillisMax = configuration.limits.idleMillisMax
        setup.limits.sendMillisMax = configuration.limits.sendMillisMax
        setup.limits.connectionCountMax = configuration.limits.connectionCountMax
        setup.blockBytesMax = SourceTable.bodyBytesMax(configuration) + configuration.limits.headBytesMax
        setup.assemblyBytes = max(configuration.limits.assemblyBytes, setup.blockBytesMax)
        setup.listeners = listeners
        setup.preambleListeners = configuration.preambleListeners
        setup.metrics = metrics
        setup.engine = engine
        return setup
    }

    private static func startIngest(
        _ parts: inout RunningParts, _ configuration: GatewayConfiguration, _ engine: VerifierEngine, _ log: LogParts,
        _ listeners: Listeners, _ threads: IngestThreads
    ) throws {
        let shareds = threads.loops
        let count = shareds.count
        let ports = try ports(&parts, threads, configuration, log)
        try log.worker.start()
        try threads.offload.start()
        try listeners.activate()
        for index in 0..<count {
            let metrics = count == 1 ? parts.journalMetrics : IngestMetrics()
            var setup = setup(configuration, engine, listeners.byLoop[index], metrics)
            setup.verifiers = threads.offload.links[index]
            if !threads.offload.rejectedRings.isEmpty { setup.rejected = threads.offload.rejectedRings[index] }
            parts.metrics.append(metrics)
            parts.loops.append(shareds[index])
            parts.memoryBytes += ingestMemoryBytes(setup)
            parts.blockBytesMax = setup.blockBytesMax
            let shared = shareds[index]
            let port = ports[index]
            let snapshot = parts.snapshot
            let failure = FailureBox()
            do {
                parts.loopThreads.append(
                    try LoopThread(name: "ingest-\(index)") { [setup] in
                        runIngestLoop(setup: setup, shared: shared, snapshot: snapshot, port: port) {
                            failure.set($0)
                        }
                    })
            } catch { throw GatewayError.thread(error) }
            while shared.stage == .starting { Thread.sleep(forTimeInterval: 0.0005) }
            if shared.stage == .failed { throw failure.error }
        }
        parts.listeners = listeners.all
        parts.listenerTexts = listeners.texts
    }

    /// One loop drives the journal itself; several share a journal thread.
    private static func ports(
        _ parts: inout RunningParts, _ threads: IngestThreads, _ configuration: GatewayConfiguration, _ log: LogParts
    ) throws -> [Handover<JournalPort>] {
        let shareds = threads.loops
        let made = log.makeDriver(
            configuration, reader: parts.commitSignal, metrics: parts.journalMetrics)
        guard let journal = threads.journal else {
            return [
                Handover(JournalPort(driver: made, wakeup: shareds[0].wakeup, injection: parts.injector.link))
            ]
        }
        let driver = Handover(made)
        var links: [JournalLink] = []
        for shared in shareds {
            do {
                links.append(
                    try JournalLink(
                        eventBytes: GatewayAssembly.ringBytes(configuration),
                        eventBytesMax: configuration.log.groupBytes,
                        receiptCount: configuration.limits.connectionCountMax, journalWakeup: journal.wakeup,
                        loopWakeup: shared.wakeup))
            } catch { throw GatewayError.outOfMemory(what: "the ring to the journal", bytes: error.byteCount) }
            parts.memoryBytes += GatewayAssembly.ringBytes(configuration)
        }
        let failure = FailureBox()
        let shared = links + [parts.injector.link]
        do {
            parts.journalThread = try LoopThread(name: "journal") {
                runJournalLoop(driver: driver, links: shared, shared: journal) {
                    failure.set(GatewayError.ring($0))
                }
            }
        } catch { throw GatewayError.thread(error) }
        parts.journal = journal
        while journal.stage == .starting { Thread.sleep(forTimeInterval: 0.0005) }
        if journal.stage == .failed { throw failure.error }
        let identity = log.folder.identity.identity
        return links.enumerated().map { Handover(JournalPort(link: $1, loopIndex: $0, logIdentity: identity)) }
    }
    /// A power of two that takes the largest event several times.
    private static func ringBytes(_ configuration: GatewayConfiguration) -> Int {
        ringBytes(configuration, least: 8 << 20, events: 4)
    }
    static func injectionRingBytes(_ configuration: GatewayConfiguration) -> Int {
        ringBytes(configuration, least: 1 << 20, events: 2)
    }
    private static func ringBytes(_ configuration: GatewayConfiguration, least: Int, events: Int) -> Int {
        var bytes = least
        while bytes < events * (SourceTable.bodyBytesMax(configuration) + configuration.limits.headBytesMax) {
            bytes *= 2
        }
        return bytes
    }
}

/// What the outside shares with the ingest loops, and with the journal's thread where there is one.
struct IngestThreads {
    let loops: [IngestShared]
    let journal: JournalShared?
    let offload: OffloadParts
    var driverWakeup: Wakeup { journal?.wakeup ?? loops[0].wakeup }

    init(_ configuration: GatewayConfiguration, verifiers: VerifierRegistry) throws(GatewayError) {
        // The rest of the grace period is the deliveries'.
        let grace = UInt64(configuration.gracePeriodMillis) / 2
        var loops: [IngestShared] = []
        for _ in 0..<GatewayAssembly.loopCount(configuration) {
            guard let shared = IngestShared(testClock: configuration.testClock, graceMillis: grace) else {
                throw .outOfDescriptors
            }
            loops.append(shared)
        }
        self.loops = loops
        offload = try OffloadParts(configuration, registry: verifiers, loops: loops)
        guard loops.count > 1 else {
            journal = nil
            return
        }
        guard let journal = JournalShared() else { throw .outOfDescriptors }
        self.journal = journal
    }
}
