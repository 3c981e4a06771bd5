// The gateway: log, ingest loops, egress loop, delivery and their order of starting and ending. Everything here is slow
// and happens on the caller's thread; the loops run on their own.
//
// Start: configuration compiled → data folder taken and recovered → store → listeners → egress → delivery → journal →
// ingest. End, the other way: ingest drains (its last group is committed) → journal → delivery drains → egress → store
// → log worker. A step that fails undoes the ones before it, so a start that throws leaves nothing running and nothing
// taken.
import FastPath
import Foundation
import Logging
import Synchronization

package final class Gateway: Sendable {
    package static let version = "0.1.0"
    private let configuration: Mutex<GatewayConfiguration>
    let logger: Logger
    let state = Mutex(State())
    private let sourceTable = Mutex(SourceTable())
    private let endpointTable = Mutex(EndpointTable())
    private let verifiers = VerifierRegistry()

    /// What runs; nil before `start` and after `drain`.
    struct State: @unchecked Sendable {
        var running: RunningParts?
        var isDraining = false
    }

    package init(_ configuration: GatewayConfiguration, logger: Logger) {
        self.configuration = Mutex(configuration)
        self.logger = logger
    }
    package var currentConfiguration: GatewayConfiguration { configuration.withLock { $0 } }
    package var ingestAddresses: [String] { state.withLock { $0.running?.listenerTexts ?? [] } }
    package var memoryBudgetBytes: Int { state.withLock { $0.running?.memoryBytes ?? 0 } }
    var sourceNames: [String] { sourceTable.withLock { $0.names } }

    private func snapshot(of configuration: GatewayConfiguration) throws(GatewayError) -> IngestSnapshot {
        try sourceTable.withLock { table throws(GatewayError) in
            try table.snapshot(of: configuration, verifiers: verifiers)
        }
    }

    /// Throws `GatewayError`, with nothing left running.
    package func start() throws {
        let configuration = currentConfiguration
        verifiers.certificates.open()
        let snapshot = try snapshot(of: configuration)
        let egressLimits = GatewayAssembly.egressLimits(configuration)
        let compiled = try endpointTable.withLock { table throws(GatewayError) in
            try table.compile(configuration, limits: egressLimits, version: Gateway.version)
        }
        let parts = try GatewayAssembly.start(
            configuration, snapshot: snapshot, verifiers: verifiers, endpoints: compiled, egressLimits: egressLimits,
            logger: logger)
        state.withLock { $0.running = parts }
    }

    /// Sources and endpoints from now on, without a dropped connection. Throws, and changes nothing, when they are
    /// wrong.
    package func reload(_ fresh: GatewayConfiguration) throws {
        let running = state.withLock { $0.running }
        guard let running else { return }
        let room = running.blockBytesMax
        let needed = SourceTable.bodyBytesMax(fresh) + fresh.limits.headBytesMax
        guard needed <= room else {
            throw GatewayError.limits(
                "a body limit above \(room - fresh.limits.headBytesMax) bytes takes effect at a restart only")
        }
        let compiled = try endpointTable.withLock { table throws(GatewayError) in
            try table.compile(fresh, limits: running.egress.limits, version: Gateway.version)
        }
        let snapshot = try snapshot(of: fresh)
        running.egress.replace(compiled.snapshot)
        try running.delivery.reload(compiled.plans)
        running.commitSignal.setWanted(!compiled.plans.isEmpty)
        running.rejected?.reload(fresh.sourcesWithPublicURL)
        for loop in running.loops { loop.publish(snapshot) }
        let old = state.withLock { state in
            let old = state.running?.snapshot
            state.running?.snapshot = snapshot
            return old
        }
        // The old one stays alive here until each loop has let it go.
        withExtendedLifetime(old) {
            while !running.loops.allSatisfy({ $0.isInForce(snapshot) || $0.stage == .finished }) {
                Thread.sleep(forTimeInterval: 0.001)
            }
        }
        configuration.withLock { $0 = fresh }
    }

    /// Stops taking new events, finishes what is in flight, commits, checkpoints. True when all was finished in time.
    package func drain(withinMillis: Int) -> Bool {
        let running = state.withLock { state in
            state.isDraining = true
            return state.running
        }
        guard let running else { return true }
        let end = ProcessResources.monotonicNanos + UInt64(max(withinMillis, 1)) * 1_000_000
        running.injector.close()
        // A fetch that is under way has until the end to come to its own.
        verifiers.certificates.close()
        for loop in running.loops { loop.drain() }
        for listener in running.listeners { listener.stop() }
        for thread in running.loopThreads { thread.join() }
        running.offload.workers.stop()
        running.rejected?.stop()
        running.journal?.drain()
        running.journalThread?.join()
        for listener in running.listeners { listener.close() }
        let now = ProcessResources.monotonicNanos
        let left = end > now ? Int((end - now) / 1_000_000) : 0
        let isDelivered = running.delivery.drain(timeoutMillis: max(left, 50))
        running.egress.stop()
        running.egress.join()
        _ = running.delivery.drain(timeoutMillis: 1000)
        running.delivery.stop()
        running.logWorker.stop()
        verifiers.certificates.join(withinMillis: 500)
        state.withLock { $0.running = nil }
        return isDelivered
    }
}
