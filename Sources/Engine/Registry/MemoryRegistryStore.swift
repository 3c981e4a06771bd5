// The registry in memory: for checks that keep nothing, and for tests. It obeys the same contract as the durable one.
import Synchronization

package final class MemoryRegistryStore: RegistryStore, AuditLog {
    private struct Key: Hashable {
        let kind: ResourceKind
        let number: UInt32
    }
    private struct Content {
        var tenants: [TenantID: TenantSpec] = [:]
        var sources: [SourceID: SourceSpec] = [:]
        var endpoints: [EndpointID: EndpointSpec] = [:]
        var keys: [KeyID: KeySpec] = [:]
        var eventTypes: [EventTypeID: EventTypeSpec] = [:]
        var identities: [Key: RetiredResource] = [:]
        var lastNumbers: [ResourceKind: UInt32] = [:]
        var audit: [AuditEntry] = []
    }
    private let content = Mutex(Content())
    package let entryCountMax: Int

    package init(entryCountMax: Int = AuditBounds.entryCountMax) {
        self.entryCountMax = entryCountMax
        content.withLock { content in
            let fresh = RegistryState.fresh(nowMillis: 0)
            for tenant in fresh.tenants { content.tenants[tenant.id] = tenant }
            content.lastNumbers[.tenant] = fresh.lastTenantNumber
        }
    }

    package func load() throws -> StoredRegistry {
        content.withLock { content in
            var stored = StoredRegistry()
            stored.tenants = content.tenants.values.sorted { $0.id < $1.id }
            stored.sources = content.sources.values.sorted { $0.id < $1.id }
            stored.endpoints = content.endpoints.values.sorted { $0.id < $1.id }
            stored.identities = content.identities.values.sorted {
                ($0.kind.rawValue, $0.number) < ($1.kind.rawValue, $1.number)
            }
            stored.keys = content.keys.values.sorted { $0.id < $1.id }
            stored.eventTypes = content.eventTypes.values.sorted { $0.id < $1.id }
            stored.lastNumbers = content.lastNumbers
            return stored
        }
    }

    package func commit(_ commit: RegistryCommit) throws {
        content.withLock { content in
            for id in commit.removedTenants { content.tenants[id] = nil }
            for tenant in commit.tenants { content.tenants[tenant.id] = tenant }
            for id in commit.removedKeys { content.keys[id] = nil }
            for key in commit.keys { content.keys[key.id] = key }
            for id in commit.removedEventTypes { content.eventTypes[id] = nil }
            for type in commit.eventTypes { content.eventTypes[type.id] = type }
            for spec in commit.sources {
                let key = Key(kind: .source, number: spec.id.number)
                content.sources[spec.id] = spec.origin == .api ? spec : nil
                content.identities[key] = spec.origin == .api ? nil : spec.identity(isInForce: true)
            }
            for spec in commit.endpoints {
                let key = Key(kind: .endpoint, number: spec.id.number)
                content.endpoints[spec.id] = spec.origin == .api ? spec : nil
                content.identities[key] = spec.origin == .api ? nil : spec.identity(isInForce: true)
            }
            for one in commit.retired { content.identities[Key(kind: one.kind, number: one.number)] = one }
            for one in commit.deleted {
                content.identities[Key(kind: one.kind, number: one.number)] = nil
                if one.kind == .source { content.sources[SourceID(one.number)] = nil }
                if one.kind == .endpoint { content.endpoints[EndpointID(one.number)] = nil }
            }
            for (kind, number) in commit.lastNumbers {
                content.lastNumbers[kind] = max(content.lastNumbers[kind] ?? 0, number)
            }
            append(commit.audit, to: &content)
        }
    }

    package func record(_ entries: [AuditEntry]) throws { content.withLock { append(entries, to: &$0) } }
    private func append(_ entries: [AuditEntry], to content: inout Content) {
        for entry in entries {
            var numbered = entry
            numbered.number = (content.audit.last?.number ?? 0) + 1
            content.audit.append(numbered)
        }
        content.audit.removeFirst(max(content.audit.count - entryCountMax, 0))
    }
    package func entries(_ query: AuditQuery) throws -> [AuditEntry] {
        content.withLock { content in
            Array(
                content.audit.reversed().lazy.filter { entry in
                    entry.number < query.before ?? .max && (query.tenant == nil || query.tenant == entry.tenant)
                }.prefix(query.limit))
        }
    }
}

extension ResourceSpec {
    func identity(isInForce: Bool) -> RetiredResource {
        var identity = retirement
        identity.wasInForce = isInForce
        return identity
    }
}
