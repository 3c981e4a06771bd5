// The one way for every change: plan → validate → prepare → commit → publish. Whoever changes anything that sources,
// endpoints or tenants are made of calls `apply`; whoever reads takes `state`, a value that no later change touches.
//
// Invariants: one change at a time; a change that is refused, in whatever step, has changed nothing; a change is
// durable before it is in force; `state` and `sources` are what was committed and published last.
import FastPath
import Foundation
import Synchronization

/// Somebody who only hears of changes, and can neither refuse nor delay one.
package protocol RegistryWatcher: Sendable {
    func registryChanged(_ plan: RegistryPlan, by actor: ChangeActor)
}

package final class RegistryService: Sendable {
    private struct Current {
        var state = RegistryState()
        var sources: SourceTopology?
        /// What all endpoints were compiled with.
        var compilation: EndpointCompilation?
        var participants: [any TopologyParticipant] = []
        var watcher: (any RegistryWatcher)?
        var bodyBytesMax: Int?
        /// True exactly when the process was started with copies of refused requests; nil before its manifest.
        var copiesRejected: Bool?
    }
    private let store: any RegistryStore
    private let process: ProcessSettings
    private let verifiers: VerifierRegistry
    private let nowMillis: @Sendable () -> Int64
    package let counters = SourceCounters()
    package let expressions = ExpressionLedger()
    /// Held over a whole change; `current` only for the moments in which it is read or replaced.
    private let turn = Mutex(())
    private let current = Mutex(Current())

    package init(
        store: any RegistryStore, process: ProcessSettings, verifiers: VerifierRegistry,
        nowMillis: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
    ) {
        self.store = store
        self.process = process
        self.verifiers = verifiers
        self.nowMillis = nowMillis
    }

    /// Reads what was kept. Before the first change.
    package func open() throws(RegistryRefusal) {
        do {
            let state = try store.load().state
            current.withLock { $0.state = state }
        } catch { throw .storeFailed("\(error)") }
    }
    /// Parts are published in the order they were added. Before the change that is the first for them.
    package func add(_ participant: any TopologyParticipant) {
        current.withLock { $0.participants.append(participant) }
    }
    /// Told of each change once it is in force, in their order. Before the change that is the first for it.
    package func watch(_ watcher: any RegistryWatcher) { current.withLock { $0.watcher = watcher } }
    /// The largest body that the buffers hold, once they have been taken.
    package func bound(bodyBytesMax: Int) { current.withLock { $0.bodyBytesMax = bodyBytesMax } }

    package var state: RegistryState { current.withLock { $0.state } }
    /// Nil before the first change.
    package var sources: SourceTopology? { current.withLock { $0.sources } }

    /// All or nothing. With `dryRun`, everything but the commit and what follows.
    package func apply(
        _ change: RegistryChange, actor: ChangeActor, dryRun: Bool = false
    ) throws(RegistryRefusal) -> ChangeReport {
        try turn.withLock { _ throws(RegistryRefusal) in
            try applyInTurn(change, actor, dryRun)
        }
    }
    private func applyInTurn(
        _ change: RegistryChange, _ actor: ChangeActor, _ dryRun: Bool
    ) throws(RegistryRefusal) -> ChangeReport {
        let before = current.withLock { $0 }
        let now = nowMillis()
        let (plan, places) = try plan(change, before, now)
        var report = ChangeReport(
            diff: TopologyDiff(plan), warnings: warnings(change, before) + plan.orphans, isDryRun: dryRun)
        guard !plan.isEmpty || plan.after.hasManifest != before.state.hasManifest else { return report }
        let next = try prepare(plan, before, places)
        let expressions = expressions(of: plan, next, before, places)
        let bounds = plan.after.live.expressions
        // What was saved before runs, however much it is.
        let issues = before.compilation == nil ? [] : self.expressions.issues(expressions, bounds)
        guard issues.isEmpty else { throw .invalid(ValidationIssues(issues)) }
        guard !dryRun else { return report }
        do {
            for part in next.parts { try part.secure() }
            let audit = plan.auditEntries(by: actor, nowMillis: now)
            try store.commit(RegistryCommit(plan, audit: audit))
        } catch { throw .storeFailed("\(error)") }
        counters.label(plan.sources.upserted)
        self.expressions.take(expressions)
        if before.compilation == nil || before.state.live.expressions != bounds {
            report.warnings += self.expressions.overruns(bounds) { plan.after.tenant($0)?.name ?? "\($0)" }
        }
        for part in next.parts { part.publish() }
        current.withLock {
            $0.state = plan.after
            $0.sources = next.sources
            $0.compilation = next.compilation
            if $0.copiesRejected == nil, plan.after.hasManifest {
                $0.copiesRejected = plan.after.live.rejectedPerSecondMax > 0
            }
        }
        verifiers.publishers.changed()
        before.watcher?.registryChanged(plan, by: actor)
        return report
    }

    /// A process takes its own settings once; the rest of such a manifest is applied.
    private func warnings(_ change: RegistryChange, _ before: Current) -> [String] {
        guard case .manifest(let manifest) = change else { return [] }
        var keys = manifest.process.differingKeys(from: process)
        // The rings for the copies are there from the start or not at all.
        if let copies = before.copiesRejected, copies != (manifest.live.rejectedPerSecondMax > 0) {
            keys.append("rejected.per_second")
        }
        return keys.map { "`\($0)` has changed and takes effect at the next restart" }
    }

    // MARK: Plan

    /// Where each changed resource stands in the change.
    private struct Places {
        var sources: [SourceID: FieldPath] = [:]
        var endpoints: [EndpointID: FieldPath] = [:]
    }

    private func plan(
        _ change: RegistryChange, _ before: Current, _ now: Int64
    ) throws(RegistryRefusal) -> (RegistryPlan, Places) {
        var plan = RegistryPlan(before.state, nowMillis: now)
        let validation = RegistryValidation(bodyBytesMax: before.bodyBytesMax)
        var places = Places()
        switch change {
        case .manifest(let manifest):
            plan.plan(manifest: manifest)
            validation.check(&plan, manifest: manifest)
            places = RegistryService.places(of: manifest, in: plan.after)
        case .edits(let edits):
            for (index, edit) in edits.enumerated() {
                let path = edits.count == 1 ? FieldPath() : FieldPath("changes")[index]
                let sourceCount = plan.sources.upserted.count
                let endpointCount = plan.endpoints.upserted.count
                try plan.plan(edit, at: path)
                let sources = RegistryService.touched(plan.sources.upserted, from: sourceCount, edit.source)
                let endpoints = RegistryService.touched(plan.endpoints.upserted, from: endpointCount, edit.endpoint)
                validation.check(&plan, sources: sources, endpoints: endpoints, at: path)
                for source in sources { places.sources[source.id] = path }
                for endpoint in endpoints { places.endpoints[endpoint.id] = path }
            }
        }
        guard plan.issues.isEmpty else { throw .invalid(ValidationIssues(plan.issues)) }
        return (plan, places)
    }
    /// What one edit added to a plan, or changed of what the plan had already.
    private static func touched<Settings>(
        _ upserted: [ResourceSpec<Settings>], from count: Int, _ id: Identifier<Settings.Kind>?
    ) -> [ResourceSpec<Settings>] {
        let added = Array(upserted.dropFirst(min(count, upserted.count)))
        guard let id, !added.contains(where: { $0.id == id }) else { return added }
        return added + upserted.filter { $0.id == id }
    }
    private static func places(of manifest: GatewayConfiguration, in state: RegistryState) -> Places {
        var places = Places()
        for (index, source) in manifest.sources.enumerated() {
            guard let tenant = state.tenant(named: source.tenant)?.id,
                let spec = state.sources.named(source.name, tenant: tenant)
            else { continue }
            places.sources[spec.id] = FieldPath("sources")[index]
        }
        for (index, endpoint) in manifest.endpoints.enumerated() {
            guard let tenant = state.tenant(named: endpoint.tenant)?.id,
                let spec = state.endpoints.named(endpoint.name, tenant: tenant)
            else { continue }
            places.endpoints[spec.id] = FieldPath("endpoints")[index]
        }
        return places
    }

    /// At the first change those of all that there are, later of what changes: as they were compiled to run.
    private func expressions(
        of plan: RegistryPlan, _ next: Prepared, _ before: Current, _ places: Places
    ) -> [ExpressionLedger.Entry] {
        let compiled = next.parts.reduce(into: [:]) { all, part in all.merge(part.expressions) { $0 + $1 } }
        let isFirst = before.compilation == nil
        let endpoints = isFirst ? Array(plan.after.endpoints.all) : plan.endpoints.upserted
        let sources = isFirst ? Array(plan.after.sources.all) : plan.sources.upserted
        let types = isFirst ? Array(plan.after.eventTypes.all) : plan.eventTypes
        var entries = endpoints.map {
            ExpressionLedger.Entry(
                owner: .endpoint($0.id),
                holding: ExpressionLedger.Holding($0, compiled[.endpoint($0.id)]),
                path: (places.endpoints[$0.id] ?? FieldPath("endpoints", $0.qualifiedName))[
                    $0.settings.policies.filter == nil ? "redact" : "filter"])
        }
        entries += sources.map {
            ExpressionLedger.Entry(
                owner: .source($0.id),
                holding: ExpressionLedger.Holding(some: next.sources.patterns(of: $0.id), of: $0.tenant),
                path: (places.sources[$0.id] ?? FieldPath("sources", $0.qualifiedName))[
                    $0.settings.schemas.all == nil ? "schemas" : "schema"])
        }
        entries += types.map {
            ExpressionLedger.Entry(
                owner: .eventType($0.id), holding: ExpressionLedger.Holding($0), path: FieldPath("schemas"))
        }
        var gone = plan.endpoints.endedIDs.map { ExpressionLedger.Owner.endpoint($0) }
        gone += plan.sources.endedIDs.map { .source($0) }
        gone += plan.removedEventTypes.map { .eventType($0.id) }
        return entries + gone.map { ExpressionLedger.Entry(owner: $0, holding: nil) }
    }

    // MARK: Prepare

    private struct Prepared {
        var sources: SourceTopology
        var compilation: EndpointCompilation
        var parts: [any PreparedTopology]
    }

    /// All mistakes of all parts together.
    private func prepare(
        _ plan: RegistryPlan, _ before: Current, _ places: Places
    ) throws(RegistryRefusal) -> Prepared {
        let changesSources =
            before.sources == nil || !plan.sources.isEmpty || plan.before.live != plan.after.live
            || plan.changesTenantLimits
        let sources: SourceTopology
        if let old = before.sources, !changesSources {
            sources = old
        } else {
            let context = SourceCompilation(
                live: plan.after.live, bodies: BodyLimits(process, held: before.bodyBytesMax), verifiers: verifiers,
                counters: counters)
            do {
                sources = try SourceTopology(plan.after, before: before.sources, context: context) {
                    places.sources[$0.id] ?? FieldPath("sources", $0.qualifiedName)
                }
            } catch { throw .invalid(error) }
        }
        let compilation = EndpointCompilation(
            allow: plan.after.live.allow, withheldHeaders: sources.withheldHeaders, proxy: plan.after.live.proxy,
            schedules: process.schedules, certificates: plan.after.live.namedCertificates)
        let change = topologyChange(plan, compilation, before, changesSources ? sources : nil, places)
        var parts: [any PreparedTopology] = []
        var issues: [ValidationIssue] = []
        for participant in before.participants {
            do { parts.append(try participant.prepare(change)) } catch { issues += error.issues }
        }
        guard issues.isEmpty else { throw .invalid(ValidationIssues(issues)) }
        return Prepared(sources: sources, compilation: compilation, parts: parts)
    }
    private func topologyChange(
        _ plan: RegistryPlan, _ compilation: EndpointCompilation, _ before: Current, _ sources: SourceTopology?,
        _ places: Places
    ) -> TopologyChange {
        var endpoints = plan.endpoints.upserted
        // What all of them are compiled with is rare to change; what one says is not.
        if compilation != before.compilation {
            endpoints = []
            endpoints.reserveCapacity(plan.after.endpoints.count)
            endpoints.append(contentsOf: plan.after.endpoints.all)
        }
        let known = plan.before.endpoints.lastNumber
        let added = plan.endpoints.upserted.lazy.filter { $0.id.number > known }.map(\.id)
        return TopologyChange(
            endpoints: endpoints, addedEndpoints: Set(added),
            removedEndpoints: plan.endpoints.endedIDs, deletedEndpoints: plan.endpoints.gone.map { EndpointID($0) },
            compilation: compilation, sources: sources,
            live: plan.after.live, paths: places.endpoints, weights: TenantWeights(plan), after: plan.after)
    }
}

extension RegistryPlan {
    /// Endpoints of the API that name a source which the manifest no longer has. They keep waiting for that source:
    /// what wanted one source must not become what wants all. O(endpoints of a tenant) for each such source.
    fileprivate var orphans: [String] {
        sources.removed.flatMap { source in
            after.endpoints.all(of: source.tenant).filter { $0.sourceIDs.contains(source.id) }.map {
                "endpoint \"\($0.qualifiedName)\" names source \"\(source.name)\", which is gone"
            }
        }
    }
}

extension RegistryEdit {
    fileprivate var source: SourceID? {
        guard case .updateSource(let id, _, _) = self else { return nil }
        return id
    }
    fileprivate var endpoint: EndpointID? {
        guard case .updateEndpoint(let id, _, _) = self else { return nil }
        return id
    }
}
