// The sources that run: each compiled once for its (id, revision), all together as the snapshot that the ingest loops
// read.
//
// Invariants: an immutable value; a source whose revision and whose settings of the gateway did not change is not
// compiled again. A source keeps its counter slot for the life of the process, so counters never go back.
import FastPath
import Synchronization

/// One source, with the memory that its views point into.
final class CompiledSource: @unchecked Sendable {
    let id: SourceID
    let revision: UInt64
    let parts: CompiledSourceParts
    fileprivate let ingest: IngestSource
    fileprivate let tenant: TenantID
    fileprivate let paths: [ByteView]
    /// Nil when no worker sees its requests.
    private let lease: VerifierLease?
    /// Nil when it has no limit of its own.
    fileprivate let limiter: RateLimiter?

    /// `before`: the version that runs.
    init(_ spec: SourceSpec, before: CompiledSource?, _ context: SourceCompilation) throws(SourceError) {
        let source = spec.settings
        limiter = source.rateLimit.map { RateLimiter.keeping(before?.limiter, $0.settings) }
        parts = try SourceCompiler.compile(
            source, defaultWindowSeconds: context.live.dedupWindowSeconds, gatewayURL: context.live.publicURL,
            certificates: context.verifiers.certificates)
        let memory = parts.memory
        var compiled = IngestSource(
            name: memory.place(text: source.name), scheme: parts.scheme, selectors: parts.selectors,
            handshake: parts.handshake)
        if parts.verifier != nil || parts.reader != nil {
            lease = context.verifiers.register(WorkerDuty(parts, keepsRejected: source.mode == .observe))
        } else {
            lease = nil
        }
        compiled.workerVerdict = parts.verifier == nil ? .unverified : .verified
        compiled.splits = source.split != nil
        compiled.verifierID = lease?.id ?? 0
        compiled.observes = source.mode == .observe
        compiled.isNeverRepeated =
            ProviderCatalogue.provider(named: source.provider)?.retries == ProviderRetries.none
        compiled.rejectedPerSecondMax = UInt32(clamping: context.live.rejectedPerSecondMax)
        compiled.dedupWindowSeconds = parts.dedupWindowSeconds
        compiled.bodyBytesMax = context.bodies.bytesMax(of: source)
        compiled.answer = parts.answer
        compiled.durability = source.durability.level
        compiled.counterSlot = context.counters.slot(of: spec.id)
        compiled.edge = parts.edge
        compiled.sourceNumber = spec.id.number
        compiled.limits.set(source: limiter)
        if spec.tenant != .main {
            compiled.tenant = memory.place(bytes: RecordFormat.tenantBytes(of: spec.tenant.number))
        }
        ingest = compiled
        paths = source.pathsInForce.map { memory.place(text: $0) }
        id = spec.id
        tenant = spec.tenant
        revision = spec.revision
    }
}

/// What sources are compiled with.
struct SourceCompilation {
    let live: LiveSettings
    let bodies: BodyLimits
    let verifiers: VerifierRegistry
    let counters: SourceCounters
}

package final class SourceTopology: Sendable {
    /// In the order of their numbers.
    let compiled: [CompiledSource]
    package let snapshot: IngestSnapshot
    package let live: LiveSettings
    /// Headers whose value is a source's secret, sorted.
    package let withheldHeaders: [String]
    private let tenantLimits: TenantLimits
    /// Of a source's schemas.
    func patterns(of id: SourceID) -> [LinearPattern] {
        let place = compiled.partitionIndex { $0.id < id }
        guard place < compiled.count, compiled[place].id == id else { return [] }
        return compiled[place].parts.schemas?.patterns ?? []
    }
    /// How many sources this version compiled; the rest was taken over from the one before.
    package let compiledCount: Int

    /// Reports every source that cannot be compiled at its path.
    init(
        _ state: RegistryState, before: SourceTopology?, context: SourceCompilation,
        path: (SourceSpec) -> FieldPath
    ) throws(ValidationIssues) {
        var known: [SourceID: CompiledSource] = [:]
        for one in before?.compiled ?? [] { known[one.id] = one }
        let keepsCompiled = before?.live.compilesSources(like: state.live) ?? false
        var compiled: [CompiledSource] = []
        var issues: [ValidationIssue] = []
        var count = 0
        for spec in state.sources.all {
            if keepsCompiled, let one = known[spec.id], one.revision == spec.revision {
                compiled.append(one)
                continue
            }
            count += 1
            do {
                compiled.append(try CompiledSource(spec, before: known[spec.id], context))
            } catch { issues.append(SourceRules.issue(error.problem, at: path(spec))) }
        }
        guard issues.isEmpty else { throw ValidationIssues(issues) }
        let memory = CompiledMemory()
        let edge: EdgePolicy
        do {
            edge = try EdgeCompiler.policy(trustedProxies: state.live.trustedProxies, in: memory)
        } catch { throw ValidationIssues(FieldPath("trusted_proxies"), error.message) }
        self.compiled = compiled
        compiledCount = count
        live = state.live
        withheldHeaders = CredentialPlaces.headers(state.sources.all.flatMap { CredentialPlaces.of($0.settings) })
            .sorted()
        let tenantLimits = TenantLimits(state, before: before?.tenantLimits)
        self.tenantLimits = tenantLimits
        var sources = compiled.map { source in
            var ingest = source.ingest
            ingest.limits.set(tenant: tenantLimits[source.tenant])
            if source.parts.provider.takesEnvelope {
                // Of no tenant it takes nothing.
                let uuid = state.tenant(source.tenant)?.publicID.uuid ?? PublicID(0, .tenant).uuid
                ingest.envelope = EnvelopeRule(tenant: memory.place(text: uuid))
            }
            return ingest
        }
        var routes = compiled.enumerated().flatMap { place, source in
            source.paths.map { IngestRoute($0, source: place) }
        }
        if let path = state.live.healthPath {
            routes.append(IngestRoute(memory.place(text: path), source: sources.count))
            sources.append(HealthSource.make(in: memory))
        }
        if state.live.takesPublications {
            routes += IngestPublications.routes(in: memory, source: sources.count)
            sources.append(
                IngestPublications.source(
                    in: memory, bodyBytesMax: context.bodies.publicationBytesMax,
                    counterSlot: context.counters.slotOfPublications()))
        }
        snapshot = IngestSnapshot(
            sources: sources, routes: routes, edge: edge, tenants: tenantLimits.all,
            owners: [memory] + compiled.map { $0 as AnyObject })
    }
    /// Of its sources and publishers together; nil where it has none.
    package func limiter(of tenant: TenantID) -> RateLimiter? { tenantLimits[tenant] }
    /// How far back a duplicate of any source may lie.
    static func dedupWindowSecondsMax(_ configuration: GatewayConfiguration) -> UInt32 {
        max(configuration.dedupWindowSeconds, configuration.sources.compactMap(\.dedupWindowSeconds).max() ?? 0)
    }
    /// The largest body that any source takes.
    static func bodyBytesMax(_ configuration: GatewayConfiguration) -> Int {
        let bodies = BodyLimits(configuration.process)
        return max(
            configuration.live.takesPublications ? bodies.publicationBytesMax : configuration.limits.bodyBytesMax,
            configuration.sources.map(bodies.bytesMax).max() ?? 0)
    }
}

/// How large a body each source takes.
struct BodyLimits {
    private let usual: Int
    /// What a provider's own limit is cut to: the log and the buffers take no more.
    private let cap: Int
    /// Of a publication, whose payload may have what is usual.
    let publicationBytesMax: Int

    /// `held`: what the buffers of the running process can hold; nil before there is one.
    init(_ process: ProcessSettings, held: Int? = nil) {
        usual = process.limits.bodyBytesMax
        let room = min(process.log.groupBytes, process.limits.assemblyBytes) - process.limits.headBytesMax
        // A limit that the operator has set counts for all sources without one of their own.
        let isOwn = usual != LimitsConfiguration().bodyBytesMax
        publicationBytesMax = min(usual + IngestPublications.wrapperBytesMax, held ?? .max)
        cap = isOwn ? usual : max(usual, min(room, held ?? room))
    }
    /// A request that is split is in the log twice: its events, and itself.
    func bytesMax(of source: SourceConfiguration) -> Int {
        if let own = source.bodyBytesMax { return own }
        let provider = ProviderCatalogue.provider(named: source.provider)?.bodyBytesMax ?? 0
        return max(usual, min(provider, source.split == nil ? cap : cap / 2))
    }
}

/// Where each source is counted, for the life of the process.
package final class SourceCounters: Sendable {
    private struct Slots {
        var bySource: [SourceID: Int] = [:]
        var labels: [String] = []
    }
    private let slots = Mutex(Slots())

    package init() {}
    /// By slot; empty where a slot belongs to a source that never came into force.
    package var labels: [String] { slots.withLock { $0.labels } }
    /// Of those that have one of their own.
    var slotBySource: [SourceID: Int] { slots.withLock { $0.bySource } }

    /// The last slot is shared by all sources past the bound.
    func slot(of id: SourceID) -> Int {
        slots.withLock { slots in
            if let known = slots.bySource[id] { return known }
            guard slots.labels.count < IngestMetrics.sourceSlotCount - 1 else {
                return IngestMetrics.sourceSlotCount - 1
            }
            slots.bySource[id] = slots.labels.count
            slots.labels.append("")
            return slots.labels.count - 1
        }
    }
    func slotOfPublications() -> Int {
        let slot = slot(of: .publishing)
        slots.withLock { if slot < $0.labels.count { $0.labels[slot] = PublishSource.name } }
        return slot
    }
    /// A renamed source goes on under its new name.
    func label(_ specs: [SourceSpec]) {
        slots.withLock { slots in
            for spec in specs {
                if let slot = slots.bySource[spec.id] { slots.labels[slot] = spec.qualifiedName }
            }
        }
    }
}

extension Durability {
    var level: DurabilityLevel {
        switch self {
        case .fsync: .fsync
        case .written: .written
        case .memory: .memory
        }
    }
}
