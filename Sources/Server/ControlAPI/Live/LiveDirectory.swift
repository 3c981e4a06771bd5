// Tenants, sources and endpoints of the registry as resources, with how they are doing.
import Engine
import Foundation

final class LiveDirectory: TenantDirectory, SourceDirectory, EndpointDirectory {
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    // MARK: tenants

    func tenants(_ paging: Paging, _ caller: Caller) throws -> Found<TenantResource, UInt64> {
        let lookup = try RegistryLookup(gateway, caller)
        let rest = try lookup.tenants(after: UInt32(clamping: paging.after ?? 0), limit: paging.limit + 1)
        let shown = rest.prefix(paging.limit)
        return Found(
            shown.map { TenantResource($0, lookup.state) },
            next: rest.count > paging.limit ? shown.last.map { UInt64($0.id.number) } : nil)
    }
    func tenant(_ ref: String, _ caller: Caller) throws -> TenantResource {
        let lookup = try RegistryLookup(gateway, caller)
        return TenantResource(try lookup.tenant(ref), lookup.state)
    }

    // MARK: sources

    func sources(_ search: SourceSearch, _ caller: Caller) throws -> Found<SourceResource, UInt64> {
        let lookup = try RegistryLookup(gateway, caller)
        let pattern = search.name.map { TypePattern($0) }
        let counters = counters
        let found = try lookup.page(lookup.state.sources, tenant: search.tenant, search.paging) { chunk in
            chunk.filter { source in
                search.provider.map { source.settings.provider == $0 } ?? true
                    && pattern.map { $0.matches(source.name) } ?? true
            }
        }
        let items = found.items.map { source in
            SourceResource(source, lookup.reference(source.tenant), counters[source.qualifiedName])
        }
        return Found(items, next: found.next)
    }
    func source(_ ref: String, _ caller: Caller) throws -> SourceResource {
        let lookup = try RegistryLookup(gateway, caller)
        let source = try lookup.source(ref)
        return SourceResource(source, lookup.reference(source.tenant), counters[source.qualifiedName])
    }
    private var counters: [String: SourceStatus] {
        Dictionary(gateway.status.sources.map { ($0.name, $0) }) { first, _ in first }
    }

    // MARK: endpoints

    func endpoints(_ search: EndpointSearch, _ caller: Caller) throws -> Found<EndpointResource, UInt64> {
        let lookup = try RegistryLookup(gateway, caller)
        let pattern = search.name.map { TypePattern($0) }
        let statuses = try LiveEndpointStatus(gateway)
        let found = try lookup.page(lookup.state.endpoints, tenant: search.tenant, search.paging) { chunk in
            let listed = chunk.filter { $0.settings.extras.family != .operational }
            let named = pattern.map { pattern in listed.filter { pattern.matches($0.name) } } ?? listed
            guard let state = search.state else { return named }
            let lanes = try statuses.lanes(of: named)
            return named.filter { statuses.state(of: $0, lanes[$0.id]) == state }
        }
        return Found(try statuses.resources(found.items, lookup), next: found.next)
    }
    func endpoint(_ ref: String, _ caller: Caller) throws -> EndpointResource {
        let lookup = try RegistryLookup(gateway, caller)
        let endpoint = try lookup.endpoint(ref)
        return try LiveEndpointStatus(gateway).resource(endpoint, lookup)
    }
}

extension Engine.ResourceOrigin {
    var resource: ResourceOrigin { self == .manifest ? .manifest : .api }
}

extension TenantResource {
    init(_ tenant: TenantSpec, _ state: RegistryState) {
        self.init(
            id: tenant.publicID.text, tenantId: tenant.publicID.uuid, name: tenant.name, uid: tenant.uid,
            origin: tenant.origin.resource, revision: Int(clamping: tenant.revision),
            sources: state.sources.numbers(of: tenant.id).count,
            endpoints: state.endpoints.numbers(of: tenant.id).count)
        createdAt = TimeText.of(millis: tenant.createdMillis)
        rateLimit = state.rateLimit(of: tenant).map { RateLimitResource($0) }
        weight = state.weight(of: tenant)
    }
}

extension SourceResource {
    init(_ source: SourceSpec, _ tenant: Reference, _ status: SourceStatus?) {
        let settings = source.settings
        self.init(
            id: source.publicID.text, name: source.name, tenant: tenant, provider: settings.provider,
            path: settings.pathInForce, mode: settings.mode.rawValue, durability: settings.durability.rawValue,
            unverified: settings.unverified, secretCount: settings.secrets.count)
        uid = source.uid
        origin = source.origin.resource
        revision = Int(clamping: source.revision)
        rateLimit = settings.rateLimit.map { RateLimitResource($0) }
        schemas = settings.schemas.isEmpty ? nil : settings.schemas.types
        for (counter, outcome) in GatewayFamilies.sourceOutcomes {
            requests[outcome] = status?.counters[counter] ?? 0
        }
    }
}

extension EndpointResource {
    init(_ endpoint: EndpointSpec, _ tenant: Reference, _ status: EndpointStatusResource) {
        let settings = endpoint.settings
        self.init(
            id: endpoint.publicID.text, name: endpoint.name, tenant: tenant, url: settings.url,
            concurrency: ConcurrencyResource(settings), timeouts: TimeoutsResource(settings),
            retry: RetryResource(settings), status: status)
        uid = endpoint.uid
        origin = endpoint.origin.resource
        family = endpoint.settings.extras.family
        revision = Int(clamping: endpoint.revision)
        sources = settings.sources
        types = settings.types
        channels = settings.channels
        filter = settings.policies.filter
        secretCount = settings.secrets.count
        signature = settings.policies.signature.map { SignatureResource($0) }
        tls = settings.tls.map { EndpointTLSResource($0) }
        outcomes = settings.outcomes
        ordered = OrderResource(settings)
        redact = RedactResource(settings.policies.redaction)
        transform = (settings.policies.transform ?? []).map { TransformStepResource($0) }
        show(settings.policies)
        show(credentialsOf: settings)
        forwardHeaders = settings.forwardsHeaders
        disabled = settings.disabled
    }
}

extension EndpointResource {
    /// Texts that a transformation sets are for those who may write them.
    func shown(to role: KeyRole) -> EndpointResource {
        guard !role.includes(.operator) else { return self }
        var copy = self
        copy.transform = transform.map(\.withoutTexts)
        return copy
    }
}

extension OrderResource {
    init(_ settings: EndpointConfiguration) {
        self = settings.orderKey.isEmpty ? .flag(settings.ordered) : .byKey(settings.orderKey)
    }
}

extension TimeoutsResource {
    init(_ settings: EndpointConfiguration) {
        self.init(
            connect: TimeSpan.text(of: settings.connectMillisMax), head: TimeSpan.text(of: settings.headMillisMax),
            total: TimeSpan.text(of: settings.totalMillisMax))
    }
}

extension RetryResource {
    init(_ settings: EndpointConfiguration) {
        let own = settings.policies.retry
        if own?.schedule == nil {
            self.init(
                delays: settings.retryDelaysMillis.map { TimeSpan.text(of: $0) }, jitter: settings.retryJitter)
        } else {
            self.init()
        }
        preset = own?.preset?.rawValue
        backoff = own?.backoff.map { BackoffResource($0) }
        budget = own?.budget
    }
}
