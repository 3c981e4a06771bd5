// How a change of the registry reaches the running gateway: the endpoints of delivery, the sources of the ingest loops
// and those that refused requests are looked at with.
//
// Before the gateway runs a published change is kept as what the start begins with.
import FastPath
import Foundation
import Synchronization

/// The endpoints that delivery runs. A change compiles those that it names and no other.
final class EndpointParticipant: TopologyParticipant {
    /// What runs; nil before the start.
    struct Running: Sendable {
        let delivery: DeliveryService<LogReaders>
        let commitSignal: CommitSignal
    }
    struct Start {
        let endpoints: [CompiledEndpoint]
        let new: Set<EndpointID>
        let retired: [EndpointID]
        let sourceNames: [String: SourceID]
        let weights: [TenantID: Int]
        let groups: EventGroups
    }
    private struct State {
        /// All of them, until the start has taken them.
        var awaiting: [EndpointID: CompiledEndpoint] = [:]
        /// Of those, the ones that are new to this folder.
        var new: Set<EndpointID> = []
        /// Those that the manifest does not name and that may come back.
        var retired: [EndpointID] = []
        var sourceNames: [String: SourceID] = [:]
        var weights: [TenantID: Int] = [:]
        var groups = EventGroups()
        var environment: (compilation: EndpointCompilation, shared: EndpointEnvironment)?
        var running: Running?
    }
    private let state = Mutex(State())

    /// What the start begins with; kept no longer.
    func takeStart() -> Start {
        state.withLock { state in
            defer {
                state.awaiting = [:]
                state.new = []
                state.retired = []
                state.weights = [:]
            }
            return Start(
                endpoints: state.awaiting.values.sorted { $0.id < $1.id }, new: state.new, retired: state.retired,
                sourceNames: state.sourceNames, weights: state.weights, groups: state.groups)
        }
    }
    func run(_ running: Running) { state.withLock { $0.running = running } }

    func prepare(_ change: TopologyChange) throws(ValidationIssues) -> any PreparedTopology {
        let environment: EndpointEnvironment
        do throws(ValidationIssue) { environment = try self.environment(change.compilation) } catch {
            throw ValidationIssues([error])
        }
        var compiled: [CompiledEndpoint] = []
        var issues: [ValidationIssue] = []
        compiled.reserveCapacity(change.endpoints.count)
        for spec in change.endpoints {
            do { compiled.append(try CompiledEndpoint(spec, environment)) } catch {
                issues.append(error.issue(at: change.path(of: spec.id)))
            }
        }
        guard issues.isEmpty else { throw ValidationIssues(issues) }
        return PreparedEndpoints(participant: self, change: change, compiled: compiled)
    }
    private func environment(_ compilation: EndpointCompilation) throws(ValidationIssue) -> EndpointEnvironment {
        let known = state.withLock { $0.environment }
        if let known, known.compilation == compilation { return known.shared }
        let made = try EndpointEnvironment(compilation, version: Gateway.version)
        state.withLock { $0.environment = (compilation, made) }
        return made
    }

    private final class PreparedEndpoints: PreparedTopology, @unchecked Sendable {
        private let participant: EndpointParticipant
        private let change: TopologyChange
        private let compiled: [CompiledEndpoint]
        private let plans = Mutex<[LanePlan]>([])

        init(participant: EndpointParticipant, change: TopologyChange, compiled: [CompiledEndpoint]) {
            self.participant = participant
            self.change = change
            self.compiled = compiled
        }
        private var running: Running? { participant.state.withLock { $0.running } }
        var expressions: [ExpressionLedger.Owner: [LinearPattern]] {
            compiled.reduce(into: [:]) { expressions, endpoint in
                if let own = endpoint.patterns { expressions[.endpoint(endpoint.id)] = own }
            }
        }

        func secure() throws {
            guard let running else { return }
            let made = try running.delivery.prepare(compiled, new: change.addedEndpoints)
            plans.withLock { $0 = made }
        }
        func publish() {
            var names: [String: SourceID]?
            var groups: EventGroups?
            if change.sources != nil {
                names = change.after.sourceNamesOfDefaultTenant
                groups = change.after.eventGroups
            }
            guard let running else { return keep(names, groups) }
            var next = DeliveryChange()
            next.upserted = plans.withLock { $0 }
            next.removed = change.removedEndpoints
            next.deleted = change.deletedEndpoints
            next.sourceNames = names
            next.weights = change.weights
            next.groups = groups
            running.delivery.publish(next)
            running.delivery.keepHistory(millis: change.live.historyMillis)
            running.commitSignal.setWanted(change.after.endpoints.count > 0)
        }
        private func keep(_ names: [String: SourceID]?, _ groups: EventGroups?) {
            participant.state.withLock { state in
                for endpoint in compiled { state.awaiting[endpoint.id] = endpoint }
                state.new.formUnion(change.addedEndpoints)
                for id in change.removedEndpoints {
                    state.awaiting[id] = nil
                    state.new.remove(id)
                }
                state.retired = change.after.endpoints.retired.values.map { EndpointID($0.number) }
                if let names { state.sourceNames = names }
                if let weights = change.weights {
                    if weights.isWhole { state.weights = [:] }
                    state.weights.merge(weights.weights) { _, new in new }
                }
                if let groups { state.groups = groups }
            }
        }
    }
}

/// The sources that the ingest loops take events for.
final class SourceParticipant: TopologyParticipant {
    /// What runs; nil before the start.
    struct Running: Sendable {
        let ingest: IngestComponent
        let rejected: RejectedComponent
    }
    private struct State {
        var running: Running?
        var snapshot: IngestSnapshot?
    }
    private let state = Mutex(State())

    /// What is in force, or what the start begins with.
    var snapshot: IngestSnapshot {
        guard let snapshot = state.withLock({ $0.snapshot }) else {
            preconditionFailure("a manifest was applied and compiled nothing")
        }
        return snapshot
    }
    func run(_ running: Running) { state.withLock { $0.running = running } }

    func prepare(_ change: TopologyChange) throws(ValidationIssues) -> any PreparedTopology {
        PreparedSources(participant: self, change: change)
    }

    private struct PreparedSources: PreparedTopology {
        let participant: SourceParticipant
        let change: TopologyChange

        func publish() {
            guard let sources = change.sources else { return }
            let (running, old) = participant.state.withLock { state in
                defer { state.snapshot = sources.snapshot }
                return (state.running, state.snapshot)
            }
            guard let running else { return }
            running.rejected.worker?.reload(
                change.after.sourcesByNumber, known: change.after.sources.knownNumbers)
            let loops = running.ingest.loops
            for loop in loops { loop.publish(sources.snapshot) }
            // The old one stays alive here until each loop has let it go.
            withExtendedLifetime(old) {
                while !loops.allSatisfy({ $0.isInForce(sources.snapshot) || $0.stage == .finished }) {
                    Thread.sleep(forTimeInterval: 0.001)
                }
            }
        }
    }
}

extension RegistryState {
    /// The sources by their number, each with the public URL that holds for it.
    package var sourcesByNumber: [UInt32: SourceConfiguration] {
        sources.all.reduce(into: [:]) { known, spec in
            var copy = spec.settings
            copy.publicURL = copy.publicURL ?? live.publicURL
            known[spec.id.number] = copy
        }
    }
    /// For records of earlier versions, which name their source only.
    var sourceNamesOfDefaultTenant: [String: SourceID] {
        var names: [String: SourceID] = [:]
        for spec in sources.all where spec.tenant == .main { names[spec.name] = spec.id }
        return names
    }
}
