// Who changed what, and when: one entry a resource changed, written in the transaction of the change itself, so that
// there is no change without its entry and no entry without its change. Tries that were refused have entries as well, a
// bounded number. The entries are a chain (`AuditChain`).
//
// Invariant: no entry contains a secret (see `SettingsField`).

/// Raw values are stored.
package enum AuditAction: String, CaseIterable, Sendable {
    case create, update, delete
    /// Deliveries were made again, or requests verified again.
    case replay, reverify
    /// Pending deliveries were given up.
    case cancel
    /// A secret, or a request with its credentials, was shown.
    case reveal
    /// Nothing was done: the caller may not, or is not known.
    case refuse
}

package struct AuditEntry: Equatable, Sendable {
    /// Given by the log, ascending; 0 before it is written.
    package var number: Int64 = 0
    package var timeMillis: Int64
    package var actor: String
    package var requestID: String?
    package var action: AuditAction
    /// Nil = the gateway's own settings.
    package var kind: ResourceKind?
    package var tenant: TenantID
    /// The public id, empty for the gateway's own settings.
    package var resource: String
    package var name: String
    package var changes: [FieldChange]

    package init(
        number: Int64 = 0, timeMillis: Int64, actor: String, requestID: String?, action: AuditAction,
        kind: ResourceKind?,
        tenant: TenantID, resource: String, name: String, changes: [FieldChange]
    ) {
        self.number = number
        self.timeMillis = timeMillis
        self.actor = actor
        self.requestID = requestID
        self.action = action
        self.kind = kind
        self.tenant = tenant
        self.resource = resource
        self.name = name
        self.changes = changes
    }
}

package struct AuditQuery: Sendable {
    /// Nil = of all tenants.
    package var tenant: TenantID?
    /// Entries before this number, for the next page.
    package var before: Int64?
    package var limit = 100
    package init() {}
}

package enum AuditBounds {
    /// The newest that are kept: years of one change an hour, some tens of megabytes at most. What is older is removed
    /// with the entry that takes its place, so that the log of a busy API does not fill the disk.
    package static let entryCountMax = 100_000
}

package protocol AuditLog: Sendable {
    /// How many are kept; the newest.
    var entryCountMax: Int { get }
    /// For what is done beside the registry, such as a replay.
    func record(_ entries: [AuditEntry]) throws
    /// The newest first.
    func entries(_ query: AuditQuery) throws -> [AuditEntry]
}

extension RegistryPlan {
    /// What the change did, for the audit log.
    func auditEntries(by actor: ChangeActor, nowMillis: Int64) -> [AuditEntry] {
        var entries: [AuditEntry] = []
        func add(
            _ action: AuditAction, _ kind: ResourceKind?, _ tenant: TenantID, _ resource: String, _ name: String,
            _ changes: [FieldChange] = []
        ) {
            entries.append(
                AuditEntry(
                    timeMillis: nowMillis, actor: actor.name, requestID: actor.requestID, action: action, kind: kind,
                    tenant: tenant, resource: resource, name: name, changes: changes))
        }
        if !liveChanges.isEmpty { add(.update, nil, .main, "", "gateway", liveChanges) }
        for tenant in tenants {
            let old = before.tenant(tenant.id)
            let changes = [
                FieldChange(field: "name", before: old?.name ?? "none", after: tenant.name),
                FieldChange(field: "uid", before: old?.uid ?? "none", after: tenant.uid ?? "none"),
            ]
            var secret: [FieldChange] = []
            if let old, old.signingSecret != tenant.signingSecret {
                let before = old.signingSecret == nil ? "none" : "1 secret"
                secret = [FieldChange(field: "signing_secret", before: before, after: "1 secret")]
            }
            add(
                old == nil ? .create : .update, .tenant, tenant.id, tenant.publicID.text, tenant.name,
                changes.filter { $0.before != $0.after } + secret
                    + tenant.profile.changes(from: old?.profile ?? TenantProfile()))
        }
        func add<Settings>(_ changes: ResourceChanges<Settings>, _ before: ResourceIndex<Settings>) {
            for spec in changes.toStore {
                let old = before[spec.id]
                let isNew = old == nil && !changes.changedWhileDown.contains(spec.id.number)
                add(
                    isNew ? .create : .update, Settings.kind, spec.tenant, spec.publicID.text, spec.name,
                    spec.settings.changes(from: old?.settings ?? Settings()))
            }
            for spec in changes.removed {
                add(.delete, Settings.kind, spec.tenant, spec.publicID.text, spec.name)
            }
            for old in changes.vanished { add(.delete, Settings.kind, old.tenant, old.publicID.text, old.name) }
        }
        add(sources, before.sources)
        add(endpoints, before.endpoints)
        for key in keys {
            add(.create, .key, key.tenant ?? .nobody, key.publicID.text, key.name, key.shownFields)
        }
        for key in removedKeys { add(.delete, .key, key.tenant ?? .nobody, key.publicID.text, key.name) }
        for type in eventTypes {
            let old = before.eventTypes[type.id]
            add(
                old == nil ? .create : .update, .eventType, .nobody, type.publicID.text, type.name,
                type.settings.changes(from: old?.settings ?? EventTypeSettings()))
        }
        for type in removedEventTypes { add(.delete, .eventType, .nobody, type.publicID.text, type.name) }
        for tenant in removedTenants { add(.delete, .tenant, tenant.id, tenant.publicID.text, tenant.name) }
        return entries
    }
}
