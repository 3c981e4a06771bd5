// From what a URL or a filter says (a public id, a uid or a name) to a resource of the registry, as far as the caller
// may see it; and from the registry's refusals to the API's problems.
//
// Invariant: what belongs to another tenant than the caller's is not found; it is never refused.
import Engine
import Foundation

struct RegistryLookup {
    let state: RegistryState
    let caller: Caller
    /// Names that a suggestion is looked for among.
    private static let suggestionCountMax = 1000

    init(_ gateway: Gateway, _ caller: Caller) throws {
        guard let registry = gateway.registry else { throw ControlError.notRunning }
        state = registry.state
        self.caller = caller
    }

    /// The tenant that the caller is confined to; nil = all.
    var scope: TenantID? {
        get throws {
            guard let text = caller.principal.tenant else { return nil }
            guard let id = PublicID(text, prefix: .tenant), let tenant = state.tenant(publicID: id) else {
                throw ControlError(.noSuchTenant, "the caller's tenant no longer exists")
            }
            return tenant.id
        }
    }

    func tenant(_ ref: String) throws -> TenantSpec {
        let scope = try scope
        if let found = state.tenant(ref: ref), scope == nil || scope == found.id { return found }
        let others = try tenants(limit: RegistryLookup.suggestionCountMax)
        throw ControlError.unknown(.noSuchTenant, "tenant", ref, known: others.map(\.name))
    }
    /// Those that the caller may see, by number.
    func tenants(after number: UInt32 = 0, limit: Int) throws -> [TenantSpec] {
        guard let scope = try scope else { return state.tenants(after: number, limit: limit) }
        return scope.number > number ? state.tenant(scope).map { [$0] } ?? [] : []
    }
    func source(_ ref: String) throws -> SourceSpec { try find(ref, in: state.sources, .noSuchSource) }
    /// Those of operational webhooks have their own surface alone.
    func endpoint(_ ref: String) throws -> EndpointSpec {
        let found = try find(ref, in: state.endpoints, .noSuchEndpoint)
        guard found.settings.extras.family != .operational else {
            throw ControlError(.noSuchEndpoint, "there is no endpoint `\(ref)`")
        }
        return found
    }

    /// `TENANT/NAME` names one of another tenant.
    private func find<Settings>(
        _ ref: String, in index: ResourceIndex<Settings>, _ code: ProblemCode
    ) throws -> ResourceSpec<Settings> {
        let scope = try scope
        var tenant = scope ?? .main
        var name = ref
        if let slash = ref.firstIndex(of: "/"), let owner = state.tenant(named: String(ref[..<slash])) {
            tenant = owner.id
            name = String(ref[ref.index(after: slash)...])
        }
        var found: ResourceSpec<Settings>?
        if let id = PublicID(ref, prefix: Settings.publicIDPrefix) {
            found = index.with(publicID: id)
        } else if let (number, id) = SvixID.resource(ref, Settings.publicIDPrefix) {
            found = index.with(publicID: id).flatMap { $0.id.number == number ? $0 : nil }
        }
        found = found ?? index.with(uid: name, tenant: tenant) ?? index.named(name, tenant: tenant)
        if let found, scope == nil || scope == found.tenant { return found }
        let known = index.all(of: scope ?? .main).prefix(RegistryLookup.suggestionCountMax).map(\.name)
        throw ControlError.unknown(code, Settings.kind.name, ref, known: known)
    }

    func reference(_ tenant: TenantID) -> Reference {
        guard let spec = state.tenant(tenant) else { return Reference(id: "", name: "") }
        return Reference(id: spec.publicID.text, name: spec.name)
    }

    /// A page of those of a tenant (nil = all that the caller may see) that `keep` leaves of each chunk.
    func page<Settings>(
        _ index: ResourceIndex<Settings>, tenant ref: String?, _ paging: Paging,
        keep: ([ResourceSpec<Settings>]) throws -> [ResourceSpec<Settings>]
    ) throws -> Found<ResourceSpec<Settings>, UInt64> {
        let tenant = try ref.map { try self.tenant($0).id } ?? scope
        var after = UInt32(clamping: paging.after ?? 0)
        var items: [ResourceSpec<Settings>] = []
        while true {
            let chunk = RegistryLookup.chunk(index, tenant, after: after)
            guard let last = chunk.last else { return Found(items) }
            let kept = try keep(chunk)
            if items.count + kept.count >= paging.limit {
                items += kept.prefix(paging.limit - items.count)
                let end = items.last?.id.number ?? last.id.number
                let hasMore = !RegistryLookup.chunk(index, tenant, after: end, limit: 1).isEmpty
                return Found(items, next: hasMore ? UInt64(end) : nil)
            }
            items += kept
            after = last.id.number
        }
    }
    private static func chunk<Settings>(
        _ index: ResourceIndex<Settings>, _ tenant: TenantID?, after number: UInt32, limit: Int = 500
    ) -> [ResourceSpec<Settings>] {
        guard let tenant else { return index.page(after: number, limit: limit) }
        let numbers = index.numbers(of: tenant)
        return numbers[numbers.partitionIndex { $0 <= number }...].prefix(limit).compactMap { index[Identifier($0)] }
    }
}

extension RegistryState {
    /// By its public id in the spelling of either API, UUID, uid or name.
    func tenant(ref: String) -> TenantSpec? { tenant(idOrUID: ref) ?? tenant(named: ref) }
    /// Names are the operator's labels; what another party says is an id or a uid.
    func tenant(idOrUID ref: String) -> TenantSpec? {
        if let (number, id) = SvixID.resource(ref, .tenant), let found = tenant(publicID: id) {
            return found.id.number == number ? found : nil
        }
        let id = PublicID(ref, prefix: .tenant) ?? PublicID(uuid: ref, prefix: .tenant)
        return id.flatMap { tenant(publicID: $0) } ?? tenant(uid: ref)
    }
    /// One of a family that its surface knows by a UUID; nil for another tenant's.
    func webhook(_ uuid: String, of tenant: TenantID, _ family: EndpointFamily) -> EndpointSpec? {
        PublicID(uuid: uuid, prefix: .endpoint).flatMap { endpoints.with(publicID: $0) }
            .flatMap { $0.tenant == tenant && $0.settings.extras.family == family ? $0 : nil }
    }
}

extension ControlError {
    /// `prefix` is where the change stands in the caller's body; edits of several are spelled `changes[i]` by the
    /// registry and `endpoints[i]` by the API.
    init(_ refusal: RegistryRefusal, prefix: String = "") {
        switch refusal {
        case .invalid(let issues):
            self = .invalid(
                issues.issues.map { issue in
                    FieldProblem(path: ControlError.path("\(issue.path)", prefix), reason: issue.reason)
                })
        case .managedByManifest: self.init(.managedByManifest, refusal.description)
        case .notFound(.tenant, _): self.init(.noSuchTenant, refusal.description)
        case .notFound(.source, _): self.init(.noSuchSource, refusal.description)
        case .notFound(.endpoint, _): self.init(.noSuchEndpoint, refusal.description)
        case .notFound(.key, _): self.init(.noSuchKey, refusal.description)
        case .notFound(.eventType, _): self.init(.notFound, refusal.description)
        case .tenantInUse: self.init(.tenantInUse, refusal.description)
        case .changedMeanwhile, .defaultTenant: self.init(.conflict, refusal.description)
        case .storeFailed: self.init(.storeUnavailable, refusal.description)
        }
    }
    private static func path(_ text: String, _ prefix: String) -> String {
        var path = text
        let batch = "changes["
        if path.hasPrefix(batch) {
            path = "endpoints[" + path.dropFirst(batch.count)
        } else if !prefix.isEmpty {
            path = path.isEmpty ? prefix : "\(prefix).\(path)"
        }
        // A manifest gives the secrets under the key `secret`.
        let keys = path.split(separator: ".", omittingEmptySubsequences: false).map { key in
            key == "secret" || key.hasPrefix("secret[") ? "secrets" + key.dropFirst("secret".count) : String(key)
        }
        return keys.joined(separator: ".")
    }
}

extension ChangeActor {
    init(_ caller: Caller) { self.init(caller.principal.name, requestID: caller.requestID) }
}
