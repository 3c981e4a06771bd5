// What runs beside the ingest loops on their behalf: the workers that verify, the rings of refused requests, the way
// by which a worker puts an event into the log. Made before the loops, ended after them.
import FastPath

struct OffloadParts {
    let workers: VerifierWorkers
    /// One a loop.
    let links: [VerifierLink]
    /// One a loop; empty when nothing of what is refused is kept.
    let rejectedRings: [RejectedRing]
    /// Signalled by `rejectedRings`.
    let rejectedWakeup: Wakeup
    let injectorWakeup: Wakeup
    /// Those that the verifiers have; for who must not fetch any.
    let certificates: CertificateDesk
    let memoryBytes: Int
    static let rejectedRingBytes = 2 << 20

    init(
        _ configuration: GatewayConfiguration, registry: VerifierRegistry, loops: [IngestShared]
    ) throws(GatewayError) {
        guard let workers = VerifierWorkers(registry: registry, threadCount: configuration.verifierThreadCount),
            let rejectedWakeup = Wakeup(), let injectorWakeup = Wakeup()
        else { throw .outOfDescriptors }
        self.workers = workers
        certificates = registry.certificates.with(.looks)
        self.rejectedWakeup = rejectedWakeup
        self.injectorWakeup = injectorWakeup
        links = loops.map {
            VerifierLink(capacity: configuration.verifierQueueCount, bell: workers.bell, loopWakeup: $0.wakeup)
        }
        guard configuration.rejectedPerSecondMax > 0, configuration.rejected.isOn else {
            rejectedRings = []
            memoryBytes = 0
            return
        }
        var rings: [RejectedRing] = []
        do throws(OutOfMemory) {
            for _ in loops {
                rings.append(try RejectedRing(byteCount: OffloadParts.rejectedRingBytes, wakeup: rejectedWakeup))
            }
        } catch { throw .outOfMemory(what: "the ring of refused requests", bytes: error.byteCount) }
        rejectedRings = rings
        memoryBytes = rings.reduce(0) { $0 + $1.byteCount }
    }

    func start() throws(GatewayError) {
        do { try workers.start(links) } catch { throw .thread(error) }
    }
    /// The injector's two rings; `driver` wakes whoever drives the journal.
    func injectionLink(_ configuration: GatewayConfiguration, driver: Wakeup) throws(GatewayError) -> JournalLink {
        let bytes = GatewayAssembly.injectionRingBytes(configuration)
        do {
            return try JournalLink(
                eventBytes: bytes, eventBytesMax: configuration.log.groupBytes,
                receiptCount: EventInjector.eventCountMax, journalWakeup: driver, loopWakeup: injectorWakeup)
        } catch { throw .outOfMemory(what: "the ring of injected events", bytes: error.byteCount) }
    }
}
