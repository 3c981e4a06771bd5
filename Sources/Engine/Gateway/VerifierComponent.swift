// The threads that verify what is too slow for an ingest loop, and the certificates that they use.
//
// Invariant: the workers stop after the loops have ended, because a loop waits for its verdicts.

import FastPath

final class VerifierComponent: Component {
    let name = "verifiers"
    let workers: VerifierWorkers
    /// One a loop.
    let links: [VerifierLink]

    init(
        _ configuration: GatewayConfiguration, registry: VerifierRegistry, loops: [IngestControl]
    ) throws(GatewayError) {
        guard let workers = VerifierWorkers(registry: registry, threadCount: configuration.verifierThreadCount) else {
            throw .outOfDescriptors
        }
        self.workers = workers
        links = loops.map {
            VerifierLink(
                capacity: configuration.verifierQueueCount,
                connectionCountMax: configuration.limits.connectionCountMax, bell: workers.bell,
                loopWakeup: $0.wakeup)
        }
    }
    func start() throws {
        do { try workers.start(links) } catch { throw GatewayError.thread(error) }
    }
    /// Here and not in a drain: a loop that drains waits for the verdicts that are out.
    func stop() { workers.stop() }
}

/// The certificates that signatures are checked with, fetched on demand.
final class CertificateComponent: Component {
    /// A fetch that still waits for the network then is left behind; it ends with the process.
    private static let joinMillisMax = 500
    let name = "certificates"
    private let registry: VerifierRegistry

    init(_ registry: VerifierRegistry) { self.registry = registry }

    func start() throws { registry.certificates.open() }
    /// Nothing is fetched any more. What is under way has until the end of the others' drains to come to its own.
    func drain(withinMillis: Int) -> Bool {
        registry.certificates.close()
        return true
    }
    func stop() { registry.certificates.join(withinMillis: CertificateComponent.joinMillisMax) }
}
