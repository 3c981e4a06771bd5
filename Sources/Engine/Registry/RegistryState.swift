// Everything that operators have made, at one moment: an immutable version of the registry as a plain value.

package struct RegistryState: Sendable {
    private var tenantTable = PagedTable<TenantSpec>()
    private var tenantsByName: [String: TenantID] = [:]
    private var tenantsByUID: [String: TenantID] = [:]
    private var tenantsByPublicID: [PublicID: TenantID] = [:]
    package private(set) var lastTenantNumber: UInt32 = 0
    package internal(set) var sources = ResourceIndex<SourceConfiguration>()
    package internal(set) var endpoints = ResourceIndex<EndpointConfiguration>()
    package internal(set) var keys = KeyIndex()
    package internal(set) var eventTypes = EventTypeIndex()
    /// Paths are unique over all tenants.
    private var sourcesByPath = ShardedMap<String, SourceID>()
    package internal(set) var live = LiveSettings()
    /// Of the settings of `endpoints`.
    var lists = SharedLists()
    /// False between a start and its manifest: until then `live` and what the manifest makes are not known.
    package internal(set) var hasManifest = false

    package init() {}

    package var tenants: [TenantSpec] { Array(tenantTable.values) }
    package var tenantCount: Int { tenantTable.count }
    package func tenants(after number: UInt32, limit: Int) -> [TenantSpec] {
        tenantTable.values(after: number, limit: limit)
    }
    /// The greatest number first.
    package func tenants(before number: UInt32, limit: Int) -> [TenantSpec] {
        tenantTable.values(before: number, limit: limit)
    }
    package func tenant(_ id: TenantID) -> TenantSpec? { tenantTable[id.number] }
    package func tenant(named name: String) -> TenantSpec? { tenantsByName[name].flatMap { tenant($0) } }
    package func tenant(uid: String) -> TenantSpec? { tenantsByUID[uid].flatMap { tenant($0) } }
    package func tenant(publicID: PublicID) -> TenantSpec? { tenantsByPublicID[publicID].flatMap { tenant($0) } }
    package func source(path: String) -> SourceSpec? { sourcesByPath[path].flatMap { sources[$0] } }

    mutating func set(_ tenant: TenantSpec) {
        if let old = self.tenant(tenant.id) { unlink(old) }
        tenantTable[tenant.id.number] = tenant
        tenantsByName[tenant.name] = tenant.id
        tenantsByPublicID[tenant.publicID] = tenant.id
        if let uid = tenant.uid { tenantsByUID[uid] = tenant.id }
        lastTenantNumber = max(lastTenantNumber, tenant.id.number)
    }
    mutating func remove(_ tenant: TenantSpec) {
        unlink(tenant)
        tenantTable[tenant.id.number] = nil
    }
    private mutating func unlink(_ tenant: TenantSpec) {
        tenantsByName[tenant.name] = nil
        tenantsByPublicID[tenant.publicID] = nil
        if let uid = tenant.uid { tenantsByUID[uid] = nil }
    }

    mutating func setSources(_ specs: [SourceSpec]) {
        for spec in specs { if let old = sources[spec.id] { unlinkPath(old) } }
        sources.set(specs)
        for spec in specs { for path in spec.settings.pathsInForce { sourcesByPath[path] = spec.id } }
    }
    mutating func removeSources(_ specs: [SourceSpec]) {
        for spec in specs { unlinkPath(spec) }
        sources.remove(specs)
    }
    private mutating func unlinkPath(_ spec: SourceSpec) {
        for path in spec.settings.pathsInForce where sourcesByPath[path] == spec.id { sourcesByPath[path] = nil }
    }

    /// The same endpoint, its lists shared with others that have the same.
    mutating func sharingLists(_ spec: EndpointSpec) -> EndpointSpec {
        var copy = spec
        copy.settings.share(&lists)
        return copy
    }

    /// For a start: what a store kept. Numbers go on behind the largest ever used.
    mutating func raise(_ kind: ResourceKind, last number: UInt32) {
        switch kind {
        case .tenant: lastTenantNumber = max(lastTenantNumber, number)
        case .source: sources.lastNumber = max(sources.lastNumber, number)
        case .endpoint: endpoints.lastNumber = max(endpoints.lastNumber, number)
        case .key: keys.lastNumber = max(keys.lastNumber, number)
        case .eventType: eventTypes.lastNumber = max(eventTypes.lastNumber, number)
        }
    }
    func last(_ kind: ResourceKind) -> UInt32 {
        switch kind {
        case .tenant: lastTenantNumber
        case .source: sources.lastNumber
        case .endpoint: endpoints.lastNumber
        case .key: keys.lastNumber
        case .eventType: eventTypes.lastNumber
        }
    }
}
