// The life of `sluice serve`: load, check, start, serve until a signal, drain, end. The order is: the gateway first (it
// takes the data folder and the ports), then the control API, then the word that it is ready; backwards at the end.
//
// Invariants: SIGTERM and SIGINT drain once, a later one ends at once; SIGHUP and the API reload the same way, one at
// a time, and a bad configuration changes nothing.
import Engine
import FastPath
import Foundation
import Logging
import Synchronization
import UnixSignals

/// Where a manifest comes from.
package enum ManifestSource: Sendable {
    /// The file that the gateway was started with.
    case file
    case text(String)
}

/// Applies a manifest, or says what it would change; throws `ConfigurationError` or `RegistryRefusal`.
package typealias ApplyManifest = @Sendable (ManifestSource, ChangeActor, _ dryRun: Bool) throws -> ChangeReport

/// A gateway as its lifecycle needs it.
package protocol RunningGateway: AnyObject, Sendable {
    /// Takes the data folder, the memory and the ports, and begins to serve. Throws `StartError`.
    func start() throws
    /// Throws `RegistryRefusal`, and has changed nothing, when the change is not sound or not allowed.
    func apply(_ change: RegistryChange, actor: ChangeActor, dryRun: Bool) throws -> ChangeReport
    /// What the control API stands on; `applyManifest` is how it changes everything at once.
    func services(applyManifest: @escaping ApplyManifest) -> ControlServices
    /// Stops taking new events, finishes what is in flight, commits; blocks until done or the time is over. True
    /// exactly when all was finished.
    func drain(withinMillis: Int) -> Bool
    /// What the listeners really got, ports filled in.
    var ingestAddresses: [String] { get }
    var memoryBudgetBytes: Int { get }
    /// What the control listener shows now; nil without TLS.
    var controlContext: TLSContext? { get }
    /// Calls `tell` with what it shows from each reload on.
    func onControlContext(_ tell: @escaping @Sendable (TLSContext?) -> Void)
    /// The token of the platform's key, when this start made it.
    var newPlatformKey: String? { get }
}

package final class GatewayService: Sendable {
    private let load: @Sendable () throws -> Manifest
    private let make: @Sendable (GatewayConfiguration, Logger) throws -> any RunningGateway
    private let logger: Logger
    private let announce: @Sendable (String) -> Void
    private let current: Mutex<GatewayConfiguration>
    private let reloads = ReloadRecord()
    /// Lines of the banner that only this start has.
    private let nextSteps: [String]

    /// `load` is asked once here and at each reload.
    package init(
        load: @escaping @Sendable () throws -> Manifest, logger: Logger, nextSteps: [String],
        announce: @escaping @Sendable (String) -> Void,
        make: @escaping @Sendable (GatewayConfiguration, Logger) throws -> any RunningGateway
    ) throws {
        self.load = load
        self.make = make
        self.logger = logger
        self.announce = announce
        self.nextSteps = nextSteps
        current = Mutex(try load().configuration)
    }

    /// Returns the exit status.
    package func run() async throws -> Int32 {
        ProcessLimits.ignoreBrokenPipe()
        let configuration = current.withLock { $0 }
        try StartChecks.run(configuration)
        if let warning = StartChecks.warning(of: configuration) { logger.warning("\(warning)") }
        warn(of: configuration)
        // Trapped before the start, so that a signal during a long recovery is not lost.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        let gateway = try make(configuration, logger)
        do {
            try gateway.start()
        } catch GatewayError.registry(.invalid(let issues)) {
            // Only a registry that knows what the API made can find them.
            throw try load().error(issues)
        }
        let logger = self.logger
        var services = gateway.services { source, actor, isDry in
            try self.change(gateway, from: source, actor: actor, dryRun: isDry)
        }
        services.health = HealthWithReloads(services.health, reloads)
        var api = ControlAPI(services: services, logger: logger, hasOpenMetrics: configuration.process.openMetrics)
        if configuration.process.adminTLS != nil {
            api.secure { gateway.controlContext }
            gateway.onControlContext(ControlTLS.changed)
        }
        guard let admin = AddressText.host(of: configuration.admin) else {
            throw StartError("the admin address `\(configuration.admin)` is not HOST:PORT", remedy: "mend `admin`")
        }
        let (running, signal) = AsyncStream<Int>.makeStream()
        let control = Task { [api] in
            defer { signal.finish() }
            try await api.run(host: admin.host, port: admin.port) { signal.yield($0) }
        }
        var ports = running.makeAsyncIterator()
        guard let port = await ports.next() else {
            _ = gateway.drain(withinMillis: configuration.gracePeriodMillis)
            throw StartChecks.error(ofAdmin: configuration.admin, await control.result)
        }
        announce(
            Banner.text(
                configuration, ingest: gateway.ingestAddresses, admin: AddressText.text(host: admin.host, port: port),
                memoryBytes: gateway.memoryBudgetBytes, newKey: gateway.newPlatformKey, nextSteps: nextSteps))
        let status = await obey(signals, gateway)
        control.cancel()
        _ = await control.result
        return status
    }

    private func obey(_ signals: UnixSignalsSequence, _ gateway: any RunningGateway) async -> Int32 {
        let (finished, done) = AsyncStream<Bool>.makeStream()
        let logger = self.logger
        let listening = Task {
            var drains = DrainSignals()
            for await received in signals {
                guard received != .sighup else {
                    reloadForSignal(gateway)
                    continue
                }
                switch drains.received(at: ProcessResources.monotonicNanos) {
                case .drain:
                    let grace = current.withLock { $0.gracePeriodMillis }
                    logger.notice(
                        "draining", metadata: ["signal": "\(received)", "grace": "\(TimeSpan.text(of: grace))"])
                    Thread.detachNewThread { done.yield(gateway.drain(withinMillis: grace)) }
                case .sameWish:
                    let moment = TimeSpan.text(of: Int(DrainSignals.momentNanos / 1_000_000))
                    logger.notice(
                        "draining already; a signal more than \(moment) after the first ends at once",
                        metadata: ["signal": "\(received)"])
                case .exitAtOnce:
                    logger.warning("second signal: exiting immediately", metadata: ["signal": "\(received)"])
                    Foundation.exit(128 + received.rawValue)
                }
            }
        }
        var outcomes = finished.makeAsyncIterator()
        let isComplete = await outcomes.next() ?? false
        listening.cancel()
        if isComplete {
            logger.notice("drained: everything in flight is finished")
        } else {
            logger.warning("grace period over: what was in flight to endpoints is delivered again after the next start")
        }
        return 0
    }

    private func reloadForSignal(_ gateway: any RunningGateway) {
        do {
            _ = try change(gateway, from: .file, actor: .signal, dryRun: false)
        } catch let error as ConfigurationError {
            for line in error.lines { logger.error("reload refused", metadata: ["problem": "\(line)"]) }
        } catch let error as ControlError {
            logger.error("reload refused", metadata: ["problem": "\(error.message)"])
        } catch {
            logger.error("reload refused", metadata: ["problem": "\(error)"])
        }
    }

    private func change(
        _ gateway: any RunningGateway, from source: ManifestSource, actor: ChangeActor, dryRun: Bool
    ) throws -> ChangeReport {
        do {
            let report = try apply(gateway, from: source, actor: actor, dryRun: dryRun)
            if !dryRun { reloads.note(isGood: true) }
            return report
        } catch {
            if !dryRun { reloads.note(isGood: false) }
            throw error
        }
    }
    /// Applies a manifest; throws, and changes nothing, when it is wrong.
    private func apply(
        _ gateway: any RunningGateway, from source: ManifestSource, actor: ChangeActor, dryRun: Bool
    ) throws -> ChangeReport {
        let report = try current.withLock { running in
            let manifest =
                switch source {
                case .file: try load()
                case .text(let text):
                    try ConfigurationFile.manifest(
                        text: text, file: "manifest", environment: ProcessInfo.processInfo.environment)
                }
            let report: ChangeReport
            do {
                report = try gateway.apply(.manifest(manifest.configuration), actor: actor, dryRun: dryRun)
            } catch RegistryRefusal.invalid(let issues) {
                throw manifest.error(issues)
            }
            guard !dryRun else { return report }
            running.live = manifest.configuration.live
            running.sources = manifest.configuration.sources
            running.endpoints = manifest.configuration.endpoints
            return report
        }
        guard !dryRun else { return report }
        logger.notice("configuration reloaded", metadata: ["changes": "\(report.diff)"])
        for warning in report.warnings { logger.warning("\(warning)") }
        warn(of: current.withLock { $0 })
        return report
    }

    private func warn(of configuration: GatewayConfiguration) {
        for warning in SourceCompiler.warnings(of: configuration) { logger.warning("\(warning)") }
    }
}
