// The gateway as the process sees it: started once, changed by `apply`, drained. Everything here is slow and happens on
// the caller's thread; the loops run on their own. What runs, and in which order, is `GatewayComponents`.
//
// Invariants: a start that throws leaves nothing running and nothing taken; `start` returns when connections are
// accepted, and the gateway says that it is ready at no other time.
import FastPath
import Logging
import Synchronization

/// A change that took effect.
package struct AppliedChange: Sendable {
    package let report: ChangeReport
    package let actor: ChangeActor
    /// Wall clock, since 1970.
    package let timeMillis: Int64
}

package final class Gateway: Sendable {
    package static let version = "0.2.0"
    /// As the start was given it; what has changed since is the registry's to say.
    private let initial: GatewayConfiguration
    let logger: Logger
    let state = Mutex(State())
    let verifiers = VerifierRegistry()

    struct State: Sendable {
        /// What runs; nil before `start` and after `drain`.
        var running: GatewayComponents?
        var lastChange: AppliedChange?
        var isDraining = false
    }
    /// Of `GatewayComponents.all`; a lock of its own, because a drain takes long.
    private let lifecycle = Mutex<ComponentList?>(nil)

    package init(_ configuration: GatewayConfiguration, logger: Logger) {
        initial = configuration
        self.logger = logger
    }
    /// Nil while the gateway does not run.
    package var registry: RegistryService? { state.withLock { $0.running?.registry.service } }
    package var identity: IdentityProvider? { state.withLock { $0.running?.registry.identity } }
    package var keys: KeyRing? { state.withLock { $0.running?.registry.keys } }
    /// The token of the platform's key, when this start made it.
    package var newPlatformKey: String? { state.withLock { $0.running?.registry.newPlatformKey } }
    package var audit: (any AuditLog)? { state.withLock { $0.running?.registry.audit } }
    /// Where master key and data keys are changed.
    package var kept: SQLiteRegistryStore? { state.withLock { $0.running?.registry.kept } }
    /// The last change that took effect, the start's among them; nil before.
    package var lastChange: AppliedChange? { state.withLock { $0.lastChange } }
    /// What is in force: the process's own settings and the sources that the registry has, by manifest and by API.
    /// Without endpoints, which are the registry's to say: here they would all be copied each time.
    package var currentConfiguration: GatewayConfiguration {
        registry.map { initial.with($0.state) } ?? initial
    }
    var process: ProcessSettings { initial.process }
    package var schedules: FamilySchedules { initial.process.schedules }
    package var ingestAddresses: [String] { state.withLock { $0.running?.listeners.texts ?? [] } }
    package var memoryBudgetBytes: Int { state.withLock { $0.running?.memoryBytes ?? 0 } }
    /// By counter slot.
    var sourceNames: [String] { registry?.counters.labels ?? [] }

    /// What looks at publications on the ingest port, from before the start to behind the drain.
    package func setPublicationDesk(_ desk: (any PublicationDesk)?) { verifiers.setDesk(desk) }

    package var publishers: PublisherAccess { verifiers.publishers }

    /// Throws `GatewayError`, with nothing left running.
    package func start() throws {
        let components = try GatewayComponents(initial, verifiers: verifiers, logger: logger)
        try lifecycle.withLock { list in
            var started = ComponentList(components.all) { ProcessResources.monotonicNanos }
            try started.start(stopFailed: tell)
            list = started
            state.withLock { $0 = State(running: components) }
        }
        // Pages of the registry, read once.
        components.store.store.releaseCaches()
        note(components.registry.report, by: .start)
    }

    /// From now on, without a dropped connection. A change that is refused has changed nothing.
    package func apply(
        _ change: RegistryChange, actor: ChangeActor, dryRun: Bool = false
    ) throws(RegistryRefusal) -> ChangeReport {
        guard let registry else { throw .storeFailed("the gateway is not running") }
        let report = try registry.apply(change, actor: actor, dryRun: dryRun)
        if !dryRun { note(report, by: actor) }
        return report
    }
    private func note(_ report: ChangeReport, by actor: ChangeActor) {
        let now = Int64(ProcessResources.wallNanos / 1_000_000)
        state.withLock { $0.lastChange = AppliedChange(report: report, actor: actor, timeMillis: now) }
    }

    /// An endpoint was enabled or disabled by hand, beside its settings: operational webhooks hear of it.
    package func tellSwitched(_ endpoint: EndpointSpec, isEnabled: Bool, by actor: ChangeActor) {
        guard let feed = state.withLock({ $0.running?.feed }), feed.isWatched(endpoint.tenant),
            let tenant = registry?.state.tenant(endpoint.tenant)
        else { return }
        let now = Int64(ProcessResources.wallNanos / 1_000_000)
        feed.add(
            .endpoint(
                EndpointFact(
                    change: .switched(isEnabled: isEnabled), spec: endpoint, tenantID: tenant.publicID.uuid,
                    actor: actor.name, atMillis: now)))
    }

    /// Stops taking new events, finishes what is in flight, commits, checkpoints. True when all was finished in time.
    package func drain(withinMillis: Int) -> Bool {
        state.withLock { $0.isDraining = true }
        let unfinished = lifecycle.withLock { list in
            let unfinished = list?.drain(withinMillis: max(withinMillis, 1)) ?? []
            list?.stop().forEach(tell)
            list = nil
            state.withLock { $0.running = nil }
            return unfinished
        }
        return unfinished.isEmpty
    }

    private func tell(_ failure: ComponentList.StopFailure) {
        logger.error(
            "a component did not stop cleanly",
            metadata: ["component": "\(failure.component)", "why": "\(failure.error)"])
    }
}

extension GatewayConfiguration {
    /// The process's settings with the sources that a registry has, and without endpoints.
    func with(_ state: RegistryState) -> GatewayConfiguration {
        var configuration = self
        configuration.live = state.live
        configuration.sources = state.sources.all.map(\.settings)
        configuration.endpoints = []
        return configuration
    }
}
