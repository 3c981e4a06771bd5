// Everything that operators have made, at one moment: an immutable version of the registry as a plain value.

package struct RegistryState: Sendable {
    private struct Tables: Sendable {
        var tenants = PagedTable<TenantSpec>()
        var tenantsByName: [String: TenantID] = [:]
        var tenantsByUID: [String: TenantID] = [:]
        var tenantsByPublicID: [PublicID: TenantID] = [:]
        var lastTenantNumber: UInt32 = 0
        var sources = ResourceIndex<SourceConfiguration>()
        var endpoints = ResourceIndex<EndpointConfiguration>()
        var keys = KeyIndex()
        var eventTypes = EventTypeIndex()
        /// Paths are unique over all tenants.
        var sourcesByPath = ShardedMap<String, SourceID>()
        var live = LiveSettings()
        var lists = SharedLists()
        var hasManifest = false
    }
    /// Behind a reference: a call takes several versions, and a copy of the tables counts all their parts up and down.
    private final class Box: @unchecked Sendable {
        var tables: Tables
        init(_ tables: Tables) { self.tables = tables }
    }
    private var box = Box(Tables())
    /// Changed where nobody else holds them; else a copy is.
    private var tables: Tables {
        _read { yield box.tables }
        _modify {
            if !isKnownUniquelyReferenced(&box) { box = Box(box.tables) }
            yield &box.tables
        }
    }

    package internal(set) var sources: ResourceIndex<SourceConfiguration> {
        _read { yield tables.sources }
        _modify { yield &tables.sources }
    }
    package internal(set) var endpoints: ResourceIndex<EndpointConfiguration> {
        _read { yield tables.endpoints }
        _modify { yield &tables.endpoints }
    }
    package internal(set) var keys: KeyIndex {
        _read { yield tables.keys }
        _modify { yield &tables.keys }
    }
    package internal(set) var eventTypes: EventTypeIndex {
        _read { yield tables.eventTypes }
        _modify { yield &tables.eventTypes }
    }
    package internal(set) var live: LiveSettings {
        _read { yield tables.live }
        _modify { yield &tables.live }
    }
    /// Of the settings of `endpoints`.
    var lists: SharedLists {
        _read { yield tables.lists }
        _modify { yield &tables.lists }
    }
    /// False between a start and its manifest: until then `live` and what the manifest makes are not known.
    package internal(set) var hasManifest: Bool {
        get { tables.hasManifest }
        set { tables.hasManifest = newValue }
    }
    package var lastTenantNumber: UInt32 { tables.lastTenantNumber }

    package init() {}

    package var tenants: [TenantSpec] { Array(tables.tenants.values) }
    package var tenantCount: Int { tables.tenants.count }
    package func tenants(after number: UInt32, limit: Int) -> [TenantSpec] {
        tables.tenants.values(after: number, limit: limit)
    }
    /// The greatest number first.
    package func tenants(before number: UInt32, limit: Int) -> [TenantSpec] {
        tables.tenants.values(before: number, limit: limit)
    }
    package func tenant(_ id: TenantID) -> TenantSpec? { tables.tenants[id.number] }
    package func tenant(named name: String) -> TenantSpec? { tables.tenantsByName[name].flatMap { tenant($0) } }
    package func tenant(uid: String) -> TenantSpec? { tables.tenantsByUID[uid].flatMap { tenant($0) } }
    package func tenant(publicID: PublicID) -> TenantSpec? { tables.tenantsByPublicID[publicID].flatMap { tenant($0) } }
    package func source(path: String) -> SourceSpec? { tables.sourcesByPath[path].flatMap { sources[$0] } }

    mutating func set(_ tenant: TenantSpec) {
        if let old = self.tenant(tenant.id) { unlink(old) }
        tables.tenants[tenant.id.number] = tenant
        tables.tenantsByName[tenant.name] = tenant.id
        tables.tenantsByPublicID[tenant.publicID] = tenant.id
        if let uid = tenant.uid { tables.tenantsByUID[uid] = tenant.id }
        tables.lastTenantNumber = max(lastTenantNumber, tenant.id.number)
    }
    mutating func remove(_ tenant: TenantSpec) {
        unlink(tenant)
        tables.tenants[tenant.id.number] = nil
    }
    private mutating func unlink(_ tenant: TenantSpec) {
        tables.tenantsByName[tenant.name] = nil
        tables.tenantsByPublicID[tenant.publicID] = nil
        if let uid = tenant.uid { tables.tenantsByUID[uid] = nil }
    }

    mutating func setSources(_ specs: [SourceSpec]) {
        for spec in specs { if let old = sources[spec.id] { unlinkPath(old) } }
        sources.set(specs)
        for spec in specs { for path in spec.settings.pathsInForce { tables.sourcesByPath[path] = spec.id } }
    }
    mutating func removeSources(_ specs: [SourceSpec]) {
        for spec in specs { unlinkPath(spec) }
        sources.remove(specs)
    }
    private mutating func unlinkPath(_ spec: SourceSpec) {
        for path in spec.settings.pathsInForce where tables.sourcesByPath[path] == spec.id {
            tables.sourcesByPath[path] = nil
        }
    }

    /// The same endpoint, its lists shared with others that have the same.
    mutating func sharingLists(_ spec: EndpointSpec) -> EndpointSpec {
        var copy = spec
        copy.settings.share(&tables.lists)
        return copy
    }

    /// For a start: what a store kept. Numbers go on behind the largest ever used.
    mutating func raise(_ kind: ResourceKind, last number: UInt32) {
        switch kind {
        case .tenant: tables.lastTenantNumber = max(lastTenantNumber, number)
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
