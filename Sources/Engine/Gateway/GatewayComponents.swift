// The gateway's components and their order. Each knows the ones that it uses; the list alone says when each starts and
// ends.
//
// The order of the end, which is that of the start backwards, keeps these: what is to be told gets into the log while
// the publisher takes it; the loops drain while the verifiers still answer and neither injector nor publisher takes
// anything more; the journal commits what the loops offered; delivery finishes while the egress loop still runs; the
// log keeper takes back the segments that the journal did not use; the data folder is let go of last.

import FastPath
import Logging

final class GatewayComponents: Sendable {
    let registry: RegistryComponent
    let store: StoreComponent
    let log: LogComponent
    let logKeeper: LogKeeperComponent
    let listeners: ListenerComponent
    let egress: EgressComponent
    let traces: TraceComponent
    let delivery: DeliveryComponent
    let verifiers: VerifierComponent
    let rejected: RejectedComponent
    let journal: JournalComponent
    let ingest: IngestComponent
    let injector: InjectorComponent
    let publisher: PublisherComponent
    let eraser: EraserComponent
    let repairs: RepairComponent
    let listenerCertificates: ListenerCertificates
    let feed = OperationalFeed()
    private let participation: ParticipationComponent
    /// In the order of their start.
    let all: [any Component]

    init(
        _ configuration: GatewayConfiguration, verifiers known: VerifierRegistry, logger: Logger
    ) throws {
        guard configuration.log.groupBytes + RecordFormat.blockBytes <= configuration.log.segmentBytes else {
            throw GatewayError.limits("log.group must be smaller than log.segment")
        }
        let controls = try LoopControls(configuration)
        let loopCount = controls.loops.count
        let dataFolder = DataFolderComponent(path: configuration.dataFolder, logger: logger)
        store = StoreComponent(configuration, dataFolder: dataFolder, logger: logger)
        let endpoints = EndpointParticipant()
        let sources = SourceParticipant()
        listenerCertificates = ListenerCertificates(configuration.process)
        registry = RegistryComponent(
            configuration, store: store, verifiers: known, endpoints: endpoints, sources: sources,
            certificates: listenerCertificates, watcher: feed, logger: logger)
        log = LogComponent(
            configuration, loopCount: loopCount, dataFolder: dataFolder, store: store, registry: registry,
            logger: logger)
        logKeeper = LogKeeperComponent(
            configuration.log, log: log, driverWakeup: controls.driverWakeup, logger: logger)
        listeners = ListenerComponent(addresses: configuration.listen, loopCount: loopCount, logger: logger)
        egress = EgressComponent(connectionCountMax: configuration.deliveryConnectionCountMax)
        traces = TraceComponent(configuration.process.traces, log: log, registry: registry, logger: logger)
        delivery = DeliveryComponent(
            configuration.delivery, endpoints: endpoints, feed: feed, traces: traces, log: log, store: store,
            logKeeper: logKeeper, egress: egress, logger: logger)
        verifiers = try VerifierComponent(configuration, registry: known, loops: controls.loops)
        let certificates = CertificateComponent(known)
        rejected = try RejectedComponent(
            configuration, verifiers: known, registry: registry, loopCount: loopCount, logger: logger)
        journal = try JournalComponent(
            configuration, controls: controls, registry: registry, log: log, logKeeper: logKeeper, delivery: delivery)
        ingest = try IngestComponent(
            configuration, controls: controls, registry: registry, sources: sources, listeners: listeners,
            certificates: listenerCertificates, verifiers: verifiers, rejected: rejected, journal: journal)
        injector = InjectorComponent(controls: controls, log: log, journal: journal)
        publisher = PublisherComponent(configuration, controls: controls, log: log, journal: journal)
        let operational = OperationalComponent(
            configuration, feed: feed, registry: registry, delivery: delivery, publisher: publisher, logger: logger)
        let conditions = ConditionComponent(
            configuration.process.conditions, feed: feed, registry: registry, log: log, delivery: delivery,
            ingest: ingest, certificates: listenerCertificates)
        eraser = EraserComponent(log: log, delivery: delivery, publisher: publisher, logger: logger)
        repairs = RepairComponent(
            registry: registry, store: store, delivery: delivery, publisher: publisher, logger: logger)
        participation = ParticipationComponent(
            delivery: delivery, journal: journal, ingest: ingest, rejected: rejected, registry: registry,
            headBytesMax: configuration.limits.headBytesMax, endpoints: endpoints, sources: sources)
        all = [
            dataFolder, store, registry, TicketKeyComponent(listenerCertificates, logger: logger), log, logKeeper,
            listeners, egress, traces, delivery, verifiers, certificates, rejected,
            journal, ingest, injector, publisher, operational, participation,
            eraser, repairs, conditions, StartRoomComponent(store: store),
        ]
    }

    /// What was taken at start for good.
    var memoryBytes: Int {
        log.memoryBytes + egress.memoryBytes + delivery.memoryBytes + rejected.memoryBytes + journal.memoryBytes
            + ingest.memoryBytes
    }
}
