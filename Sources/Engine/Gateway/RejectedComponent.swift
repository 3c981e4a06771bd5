// Keeps requests that were answered 401: a ring for each loop, and the worker that writes what comes through them.

import FastPath
import Logging

final class RejectedComponent: Component {
    private static let ringBytes = 2 << 20
    let name = "rejected requests"
    private let configuration: GatewayConfiguration
    private let registry: RegistryComponent
    /// Of a worker, which fetches none.
    private let certificates: CertificateResolver
    /// One a loop; empty when no refused request is kept.
    private let rings: [RejectedRing]
    private let wakeup: Wakeup
    private let logger: Logger
    private let running = StartResult<RejectedWorker>()

    init(
        _ configuration: GatewayConfiguration, verifiers: VerifierRegistry, registry: RegistryComponent,
        loopCount: Int, logger: Logger
    ) throws(GatewayError) {
        self.configuration = configuration
        self.registry = registry
        certificates = verifiers.certificates.with(.cachedOnly)
        self.logger = logger
        guard let wakeup = Wakeup() else { throw .outOfDescriptors }
        self.wakeup = wakeup
        let isOn = configuration.rejectedPerSecondMax > 0 && configuration.rejected.isOn
        var rings: [RejectedRing] = []
        do throws(OutOfMemory) {
            for _ in 0..<(isOn ? loopCount : 0) {
                rings.append(try RejectedRing(byteCount: RejectedComponent.ringBytes, wakeup: wakeup))
            }
        } catch { throw .outOfMemory(what: "the ring of refused requests", bytes: error.byteCount) }
        self.rings = rings
    }
    func ring(loop: Int) -> RejectedRing? { rings.isEmpty ? nil : rings[loop] }
    /// Nil when no refused request is kept.
    var worker: RejectedWorker? { running.ifStarted }
    var memoryBytes: Int { rings.reduce(0) { $0 + $1.byteCount } }

    func start() throws {
        guard configuration.rejected.isOn else { return RejectedStore.remove(folder: configuration.dataFolder) }
        let path = configuration.dataFolder + "/" + RejectedStore.fileName
        let store: RejectedStore
        do { store = try RejectedStore(path: path, bounds: configuration.rejected) } catch {
            throw GatewayError.rejectedStore(reason: "\(StoreError.of(error, file: RejectedStore.fileName))")
        }
        let state = registry.service.state
        let worker = RejectedWorker(
            store: store, feeds: rings, wakeup: wakeup, sources: state.sourcesByNumber,
            known: state.sources.knownNumbers, certificates: certificates, logger: logger)
        do { try worker.start() } catch { throw GatewayError.thread(error) }
        running.set(worker)
    }
    /// After the loops have ended: what is in the rings is still written.
    func stop() { worker?.stop() }
}
