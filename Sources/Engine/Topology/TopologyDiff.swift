// What a change makes of what runs, in words: added, changed (which fields), removed, and how many stay as they are.
// The same for a dry run and for the report of a change that was made.
//
// Invariant: it names fields, never their values.

package struct TopologyDiff: Equatable, Codable, Sendable {
    package enum Effect: String, Codable, Sendable { case added, changed, removed }

    package struct Entry: Equatable, Codable, Sendable {
        /// `tenant`, `source`, `endpoint`, `key`, `event_type` or `gateway`.
        package let kind: String
        package let tenant: String
        package let name: String
        /// Empty for the gateway's own settings.
        package let id: String
        package let effect: Effect
        /// Of a change; empty when it happened while no process ran.
        package let fields: [String]
    }

    package private(set) var entries: [Entry] = []
    package private(set) var unchangedSources = 0
    package private(set) var unchangedEndpoints = 0

    package init() {}
    package var isEmpty: Bool { entries.isEmpty }

    init(_ plan: RegistryPlan) {
        let fields = plan.liveChanges.map(\.field)
        if !fields.isEmpty {
            entries.append(Entry(kind: "gateway", tenant: "", name: "", id: "", effect: .changed, fields: fields))
        }
        for tenant in plan.tenants {
            let old = plan.before.tenant(tenant.id)
            let fields = (old?.name != tenant.name ? ["name"] : []) + (old?.uid != tenant.uid ? ["uid"] : [])
            let profile = tenant.profile.changes(from: old?.profile ?? TenantProfile()).map(\.field)
            add(tenant, old == nil ? .added : .changed, old == nil ? [] : fields + profile)
        }
        unchangedSources = add(plan.sources, before: plan.before.sources, after: plan.after)
        unchangedEndpoints = add(plan.endpoints, before: plan.before.endpoints, after: plan.after)
        for key in plan.keys { add(key, .added, plan.after) }
        for key in plan.removedKeys { add(key, .removed, plan.before) }
        for type in plan.eventTypes {
            let old = plan.before.eventTypes[type.id]
            let fields = old.map { type.settings.changes(from: $0.settings).map(\.field) } ?? []
            add(type, old == nil ? .added : .changed, fields)
        }
        for type in plan.removedEventTypes { add(type, .removed, []) }
        for tenant in plan.removedTenants { add(tenant, .removed, []) }
    }
    private mutating func add(_ tenant: TenantSpec, _ effect: Effect, _ fields: [String]) {
        entries.append(
            Entry(
                kind: ResourceKind.tenant.name, tenant: tenant.name, name: tenant.name, id: tenant.publicID.text,
                effect: effect, fields: fields))
    }
    private mutating func add(_ type: EventTypeSpec, _ effect: Effect, _ fields: [String]) {
        entries.append(
            Entry(
                kind: ResourceKind.eventType.name, tenant: TenantSpec.defaultName, name: type.name,
                id: type.publicID.text, effect: effect, fields: fields))
    }
    private mutating func add(_ key: KeySpec, _ effect: Effect, _ state: RegistryState) {
        let tenant = key.tenant.flatMap { state.tenant($0)?.name } ?? TenantSpec.defaultName
        entries.append(
            Entry(
                kind: ResourceKind.key.name, tenant: tenant, name: key.name.isEmpty ? key.publicID.text : key.name,
                id: key.publicID.text, effect: effect, fields: []))
    }
    /// Returns how many are unchanged.
    private mutating func add<Settings>(
        _ changes: ResourceChanges<Settings>, before: ResourceIndex<Settings>, after: RegistryState
    ) -> Int {
        var carried = before.count - changes.removed.count
        for spec in changes.upserted {
            let old = before[spec.id]
            if changes.carried.contains(spec.id.number) {
                carried += 1
                continue
            }
            if old != nil { carried -= 1 }
            let isChange = old != nil || changes.changedWhileDown.contains(spec.id.number)
            let fields = old.map { spec.settings.changes(from: $0.settings).map(\.field) } ?? []
            entries.append(
                Entry(
                    kind: Settings.kind.name, tenant: spec.settings.tenant, name: spec.name, id: spec.publicID.text,
                    effect: isChange ? .changed : .added, fields: fields))
        }
        for spec in changes.removed { addRemoved(Settings.kind, spec.settings.tenant, spec.name, spec.publicID) }
        for old in changes.vanished {
            addRemoved(Settings.kind, after.tenant(old.tenant)?.name ?? "", old.name, old.publicID)
        }
        return carried
    }
    private mutating func addRemoved(_ kind: ResourceKind, _ tenant: String, _ name: String, _ id: PublicID) {
        entries.append(
            Entry(kind: kind.name, tenant: tenant, name: name, id: id.text, effect: .removed, fields: []))
    }
}

extension TopologyDiff: CustomStringConvertible {
    /// Names listed of one kind and effect; the rest is counted.
    private static let namesMax = 10

    /// `1 source added: github; 2 endpoints changed: billing (url, types), crm (secret)`
    package var description: String {
        guard !isEmpty else { return "nothing changed" }
        var parts: [String] = []
        for kind in ["gateway", "tenant", "source", "endpoint", "key", "event_type"] {
            for effect in [Effect.added, .changed, .removed] {
                let some = entries.filter { $0.kind == kind && $0.effect == effect }
                if !some.isEmpty { parts.append(TopologyDiff.text(kind, effect, some)) }
            }
        }
        return parts.joined(separator: "; ")
    }
    private static func text(_ kind: String, _ effect: Effect, _ entries: [Entry]) -> String {
        if kind == "gateway" { return "settings changed: \(entries.flatMap(\.fields).joined(separator: ", "))" }
        let names = entries.prefix(namesMax).map { entry in
            let name = kind == "tenant" ? entry.name : TenantSpec.qualify(entry.name, tenant: entry.tenant)
            return entry.fields.isEmpty ? name : "\(name) (\(entry.fields.joined(separator: ", ")))"
        }
        let rest = entries.count > namesMax ? ", … and \(entries.count - namesMax) more" : ""
        let word = kind == ResourceKind.eventType.name ? "event type" : kind
        let noun = entries.count == 1 ? word : word + "s"
        return "\(entries.count) \(noun) \(effect.rawValue): \(names.joined(separator: ", "))\(rest)"
    }
}

/// What came of a change.
package struct ChangeReport: Equatable, Codable, Sendable {
    package let diff: TopologyDiff
    /// What is sound but should be known; one sentence each.
    package var warnings: [String]
    /// Nothing was changed: the report says what would be.
    package let isDryRun: Bool

    package init(diff: TopologyDiff, warnings: [String], isDryRun: Bool) {
        self.diff = diff
        self.warnings = warnings
        self.isDryRun = isDryRun
    }
}
