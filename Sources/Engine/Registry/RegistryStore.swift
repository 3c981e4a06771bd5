// Where the registry is kept. What the API makes is kept whole; of what the manifest makes only the identity, because
// the manifest is its truth and its secrets are nobody else's.
//
// Invariants: a commit is durable when it returns, and whole or not at all, its audit entries included; the numbers
// that a store has seen are never smaller after a restart.

package protocol RegistryStore: Sendable {
    /// Everything that was committed. A store that is new has the default tenant.
    func load() throws -> StoredRegistry
    func commit(_ commit: RegistryCommit) throws
}

package struct StoredRegistry: Sendable {
    package var tenants: [TenantSpec] = []
    /// Made by the API.
    package var sources: [SourceSpec] = []
    package var endpoints: [EndpointSpec] = []
    /// Made by the manifest: those in force when the last process ended, and those it dropped earlier.
    package var identities: [RetiredResource] = []
    package var keys: [KeySpec] = []
    package var eventTypes: [EventTypeSpec] = []
    package var lastNumbers: [ResourceKind: UInt32] = [:]
    /// Of the settings of `endpoints`.
    package var lists = SharedLists()
    package init() {}

    package var state: RegistryState {
        var state = RegistryState()
        state.lists = lists
        for tenant in tenants { state.set(tenant) }
        state.setSources(sources)
        state.endpoints.set(endpoints)
        for identity in identities {
            switch identity.kind {
            case .source: state.sources.retire(identity)
            case .endpoint: state.endpoints.retire(identity)
            case .tenant, .key, .eventType: break
            }
        }
        for key in keys { state.keys.set(key) }
        for type in eventTypes { state.eventTypes.set(type) }
        for (kind, number) in lastNumbers { state.raise(kind, last: number) }
        return state
    }
}

/// One transaction.
package struct RegistryCommit: Sendable {
    package var tenants: [TenantSpec]
    package var removedTenants: [TenantID]
    package var keys: [KeySpec]
    package var removedKeys: [KeyID]
    package var eventTypes: [EventTypeSpec]
    package var removedEventTypes: [EventTypeID]
    package var sources: [SourceSpec]
    package var endpoints: [EndpointSpec]
    /// Identities that are kept without their resource.
    package var retired: [RetiredResource]
    /// Numbers whose identity ends.
    package var deleted: [(kind: ResourceKind, number: UInt32)]
    package var lastNumbers: [ResourceKind: UInt32]
    package var audit: [AuditEntry]

    init(_ plan: RegistryPlan, audit: [AuditEntry]) {
        tenants = plan.tenants
        removedTenants = plan.removedTenants.map(\.id)
        keys = plan.keys
        removedKeys = plan.removedKeys.map(\.id)
        eventTypes = plan.eventTypes
        removedEventTypes = plan.removedEventTypes.map(\.id)
        sources = plan.sources.toStore
        endpoints = plan.endpoints.toStore
        retired = plan.sources.kept + plan.endpoints.kept
        deleted = plan.sources.gone.map { (.source, $0) } + plan.endpoints.gone.map { (.endpoint, $0) }
        lastNumbers = [:]
        for kind in ResourceKind.allCases { lastNumbers[kind] = plan.after.last(kind) }
        self.audit = audit
    }
    /// All of another store, into one that is new.
    init(copying stored: StoredRegistry, nowMillis: Int64) {
        (tenants, keys, sources, endpoints) = (stored.tenants, stored.keys, stored.sources, stored.endpoints)
        eventTypes = stored.eventTypes
        (removedTenants, removedKeys, removedEventTypes, deleted) = ([], [], [], [])
        retired = stored.identities
        lastNumbers = stored.lastNumbers
        audit = [
            AuditEntry(
                timeMillis: nowMillis, actor: "store rebuild", requestID: nil, action: .create, kind: nil,
                tenant: .nobody, resource: "", name: "registry", changes: [])
        ]
    }
}

extension ResourceChanges {
    fileprivate var kept: [RetiredResource] {
        removed.filter { retired.contains($0.id.number) }.map(\.retirement) + vanished
    }
    /// Numbers whose identity ends.
    var gone: [UInt32] {
        removed.filter { !retired.contains($0.id.number) }.map(\.id.number) + forgotten
    }
}
