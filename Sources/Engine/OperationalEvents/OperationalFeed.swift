// Facts on their way from those who see them to the one who publishes them, and for whose sake: only tenants that have
// an operational endpoint are told of. Whoever adds never waits: the queue is bounded, and what it has no room for is
// counted and lost.
//
// Invariants: facts leave in the order in which they came; nothing is about an operational endpoint (`add` is not asked
// for those); one task takes.

import FastPath
import Synchronization

package final class OperationalFeed: Sendable {
    /// Some megabytes when all of them wait: seconds of an incident in which everything fails.
    package static let factCountMax = 32_768
    private struct State {
        /// Operational endpoints that are enabled, by tenant.
        var watchers: [TenantID: Set<EndpointID>] = [:]
        var facts: [OperationalFact] = []
        var lostCount: UInt64 = 0
        var waiter: CheckedContinuation<Void, Never>?
        var isClosed = false
    }
    private let state = Mutex(State())
    /// So that nobody takes the lock where nobody listens.
    private let tenantCount = Atomic<Int>(0)
    private let factCountMax: Int

    package init(factCountMax: Int = OperationalFeed.factCountMax) { self.factCountMax = factCountMax }

    package func isWatched(_ tenant: TenantID) -> Bool {
        tenantCount.load(ordering: .relaxed) > 0 && state.withLock { $0.watchers[tenant] != nil }
    }
    package func add(_ fact: OperationalFact) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.isClosed, state.facts.count < factCountMax else {
                state.lostCount += 1
                return nil
            }
            state.facts.append(fact)
            return state.waiter.take()
        }
        waiter?.resume()
    }
    /// All that wait, as soon as there are some; empty when there will be none any more.
    package func next() async -> [OperationalFact] {
        while true {
            let (taken, isClosed) = state.withLock { state in
                defer { state.facts = [] }
                return (state.facts, state.isClosed)
            }
            if !taken.isEmpty || isClosed { return taken }
            await withCheckedContinuation { continuation in
                let isReady = state.withLock { state in
                    guard state.facts.isEmpty, !state.isClosed else { return true }
                    state.waiter = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        }
    }
    /// What is there still leaves; nothing more is taken.
    package func close() {
        let waiter = state.withLock { state in
            state.isClosed = true
            return state.waiter.take()
        }
        waiter?.resume()
    }
    /// Facts that found no room since the last call.
    package func takeLostCount() -> UInt64 {
        state.withLock { state in
            defer { state.lostCount = 0 }
            return state.lostCount
        }
    }

    // MARK: Who listens

    package func set(_ endpoints: some Sequence<EndpointSpec>) {
        state.withLock { state in
            for spec in endpoints where spec.settings.extras.family == .operational {
                if spec.settings.disabled {
                    remove(spec, from: &state)
                } else {
                    state.watchers[spec.tenant, default: []].insert(spec.id)
                }
            }
            tenantCount.store(state.watchers.count, ordering: .relaxed)
        }
    }
    package func remove(_ endpoints: some Sequence<EndpointSpec>) {
        state.withLock { state in
            for spec in endpoints where spec.settings.extras.family == .operational { remove(spec, from: &state) }
            tenantCount.store(state.watchers.count, ordering: .relaxed)
        }
    }
    private func remove(_ spec: EndpointSpec, from state: inout State) {
        state.watchers[spec.tenant]?.remove(spec.id)
        if state.watchers[spec.tenant]?.isEmpty == true { state.watchers[spec.tenant] = nil }
    }
}

extension OperationalFeed: RegistryWatcher {
    /// The first change is that of a start: what it brings was there before.
    package func registryChanged(_ plan: RegistryPlan, by actor: ChangeActor) {
        guard plan.before.hasManifest else { return set(plan.after.endpoints.all) }
        set(plan.endpoints.upserted)
        remove(plan.endpoints.removed)
        guard tenantCount.load(ordering: .relaxed) > 0 else { return }
        for fact in EndpointFact.facts(of: plan, by: actor) where isWatched(fact.spec.tenant) { add(.endpoint(fact)) }
    }
}

extension EndpointFact {
    /// In the order of the change; nothing of operational endpoints.
    static func facts(of plan: RegistryPlan, by actor: ChangeActor) -> [EndpointFact] {
        func fact(_ change: Change, _ spec: EndpointSpec) -> EndpointFact? {
            guard spec.settings.extras.family != .operational,
                let tenant = plan.after.tenant(spec.tenant) ?? plan.before.tenant(spec.tenant)
            else { return nil }
            return EndpointFact(
                change: change, spec: spec, tenantID: tenant.publicID.uuid, actor: actor.name,
                atMillis: plan.nowMillis)
        }
        let made = plan.endpoints.upserted.compactMap { spec -> EndpointFact? in
            guard let old = plan.before.endpoints[spec.id] else { return fact(.created, spec) }
            let change = fact(.updated(old.settings), spec)
            return change.flatMap { EndpointChanges(from: old.settings, to: spec.settings).isEmpty ? nil : $0 }
        }
        return made + plan.endpoints.removed.compactMap { fact(.deleted, $0) }
    }
}
