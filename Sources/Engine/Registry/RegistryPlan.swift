// What a change comes to: the registry after it, and what has to be stored, compiled and published. Planning touches
// nothing; a plan that is thrown away has had no effect.

package struct RegistryPlan: Sendable {
    package let before: RegistryState
    package private(set) var after: RegistryState
    package private(set) var tenants: [TenantSpec] = []
    package private(set) var removedTenants: [TenantSpec] = []
    package private(set) var keys: [KeySpec] = []
    package private(set) var removedKeys: [KeySpec] = []
    package private(set) var eventTypes: [EventTypeSpec] = []
    package private(set) var removedEventTypes: [EventTypeSpec] = []
    package private(set) var sources = ResourceChanges<SourceConfiguration>()
    package private(set) var endpoints = ResourceChanges<EndpointConfiguration>()
    var issues: [ValidationIssue] = []
    let nowMillis: Int64

    init(_ state: RegistryState, nowMillis: Int64) {
        before = state
        after = state
        self.nowMillis = nowMillis
    }

    /// True exactly when nothing has to be stored or published.
    package var isEmpty: Bool {
        tenants.isEmpty && removedTenants.isEmpty && sources.isEmpty && endpoints.isEmpty && keys.isEmpty
            && removedKeys.isEmpty && eventTypes.isEmpty && removedEventTypes.isEmpty && before.live == after.live
    }
    mutating func report(_ path: FieldPath, _ reason: String, about subject: ValidationIssue.Subject = .field) {
        issues.append(ValidationIssue(path, reason, about: subject))
    }
    mutating func set(_ live: LiveSettings) {
        after.live = live
        after.hasManifest = true
    }
    /// What changes of the gateway's own settings; nothing at a start, when the old ones are not known.
    package var liveChanges: [FieldChange] { before.hasManifest ? after.live.changes(from: before.live) : [] }

    // MARK: Tenants

    mutating func set(_ tenant: TenantSpec) {
        tenants.removeAll { $0.id == tenant.id }
        tenants.append(tenant)
        after.set(tenant)
    }
    mutating func makeTenant(
        name: String?, uid: String? = nil, origin: ResourceOrigin, profile: TenantProfile = TenantProfile()
    ) -> TenantSpec {
        let publicID = PublicID.make(.tenant)
        let tenant = TenantSpec(
            id: TenantID(after.lastTenantNumber + 1), publicID: publicID, uid: uid,
            name: name ?? publicID.text, origin: origin, revision: 1, createdMillis: nowMillis,
            signingSecret: TenantSpec.makeSigningSecret(), profile: profile)
        set(tenant)
        return tenant
    }
    mutating func remove(_ tenant: TenantSpec) {
        tenants.removeAll { $0.id == tenant.id }
        if before.tenant(tenant.id) != nil { removedTenants.append(tenant) }
        after.remove(tenant)
    }

    // MARK: Keys

    mutating func make(_ draft: KeyDraft) {
        after.raise(.key, last: after.last(.key) + 1)
        let key = KeySpec(
            id: KeyID(after.last(.key)), publicID: .make(.key), draft: draft, createdMillis: nowMillis)
        keys.append(key)
        after.keys.set(key)
    }
    mutating func remove(_ specs: [KeySpec]) {
        for key in specs {
            keys.removeAll { $0.id == key.id }
            if before.keys[key.id] != nil { removedKeys.append(key) }
            after.keys.remove(key)
        }
    }

    // MARK: Event types

    mutating func make(eventType name: String, _ settings: EventTypeSettings) {
        after.raise(.eventType, last: after.last(.eventType) + 1)
        set(
            EventTypeSpec(
                id: EventTypeID(after.last(.eventType)), publicID: .make(.eventType), name: name,
                createdMillis: nowMillis, updatedMillis: nowMillis, settings: settings))
    }
    mutating func set(_ type: EventTypeSpec) {
        eventTypes.removeAll { $0.id == type.id }
        eventTypes.append(type)
        after.eventTypes.set(type)
    }
    mutating func remove(_ type: EventTypeSpec) {
        eventTypes.removeAll { $0.id == type.id }
        if before.eventTypes[type.id] != nil { removedEventTypes.append(type) }
        after.eventTypes.remove(type)
    }

    // MARK: Sources and endpoints

    mutating func set(_ specs: [SourceSpec]) {
        sources.set(specs)
        after.setSources(specs)
    }
    mutating func set(_ changed: [EndpointSpec]) {
        let specs = changed.map { after.sharingLists($0) }
        endpoints.set(specs)
        after.endpoints.set(specs)
    }
    /// `keepsIdentity`: named again by the manifest, they are the same ones.
    mutating func remove(_ specs: [SourceSpec], keepsIdentity: Bool) {
        sources.remove(specs, unknown: { before.sources[$0.id] == nil }, keepsIdentity)
        after.removeSources(specs)
        if keepsIdentity { for spec in specs { after.sources.retire(spec.retirement) } }
    }
    mutating func remove(_ specs: [EndpointSpec], keepsIdentity: Bool) {
        endpoints.remove(specs, unknown: { before.endpoints[$0.id] == nil }, keepsIdentity)
        after.endpoints.remove(specs)
        if keepsIdentity { for spec in specs { after.endpoints.retire(spec.retirement) } }
    }
    mutating func forget(_ resource: RetiredResource) {
        switch resource.kind {
        case .source:
            after.sources.forget(resource)
            sources.forgotten.append(resource.number)
        case .endpoint:
            after.endpoints.forget(resource)
            endpoints.forgotten.append(resource.number)
        case .tenant, .key, .eventType: preconditionFailure("only sources and endpoints are ever retired")
        }
    }
    /// It was in force until the last process ended, and the manifest no longer has it.
    mutating func endForce(of resource: RetiredResource) {
        var ended = resource
        ended.wasInForce = false
        switch resource.kind {
        case .source:
            after.sources.retire(ended)
            sources.vanished.append(ended)
        case .endpoint:
            after.endpoints.retire(ended)
            endpoints.vanished.append(ended)
        case .tenant, .key, .eventType: preconditionFailure("only sources and endpoints are ever retired")
        }
    }
    /// A resource that has not been there before, or comes back.
    mutating func make<Settings: ResourceSettings>(
        _ settings: Settings, tenant: TenantID, origin: ResourceOrigin, reviving old: RetiredResource? = nil
    ) -> ResourceSpec<Settings> {
        if let old {
            let isSame = old.wasInForce && old.digest == settings.digest
            switch Settings.kind {
            case .source:
                after.sources.forget(old)
                sources.revive(old, isSame: isSame)
            case .endpoint:
                after.endpoints.forget(old)
                endpoints.revive(old, isSame: isSame)
            case .tenant, .key, .eventType: break
            }
            return ResourceSpec(
                id: Identifier(old.number), publicID: old.publicID, tenant: tenant, origin: origin,
                revision: isSame ? old.revision : old.revision + 1, createdMillis: old.createdMillis,
                settings: settings)
        }
        after.raise(Settings.kind, last: after.last(Settings.kind) + 1)
        return ResourceSpec(
            id: Identifier(after.last(Settings.kind)), publicID: .make(Settings.publicIDPrefix),
            tenant: tenant, origin: origin, revision: 1, createdMillis: nowMillis, settings: settings)
    }
}

package struct ResourceChanges<Settings: ResourceSettings>: Sendable {
    /// New or changed, with their new version; each once.
    package private(set) var upserted: [ResourceSpec<Settings>] = []
    package private(set) var removed: [ResourceSpec<Settings>] = []
    /// Of `removed`, those whose identity is kept for the manifest.
    package private(set) var retired: Set<UInt32> = []
    /// Retired identities that are given up.
    package var forgotten: [UInt32] = []
    /// At a start: gone since the last process ended.
    package var vanished: [RetiredResource] = []
    /// Of `upserted`, those that were in force until the last process ended and have not changed since: compiled and
    /// published, but neither stored nor reported.
    package private(set) var carried: Set<UInt32> = []
    /// Of `upserted`, those that were in force until the last process ended and differ now.
    package private(set) var changedWhileDown: Set<UInt32> = []
    private var places: [UInt32: Int] = [:]

    package var isEmpty: Bool { upserted.isEmpty && removed.isEmpty && forgotten.isEmpty && vanished.isEmpty }
    /// In force no more, whether a change took it away or the last process ended with it.
    var endedIDs: [Identifier<Settings.Kind>] { removed.map(\.id) + vanished.map { Identifier($0.number) } }
    /// What a store has to write.
    package var toStore: [ResourceSpec<Settings>] { upserted.filter { !carried.contains($0.id.number) } }

    mutating func revive(_ old: RetiredResource, isSame: Bool) {
        guard old.wasInForce else { return }
        if isSame { carried.insert(old.number) } else { changedWhileDown.insert(old.number) }
    }

    mutating func set(_ specs: [ResourceSpec<Settings>]) {
        for spec in specs {
            if let place = places[spec.id.number] {
                upserted[place] = spec
            } else {
                places[spec.id.number] = upserted.count
                upserted.append(spec)
            }
        }
    }
    /// `unknown` ones were made by the same change and leave no trace.
    mutating func remove(
        _ specs: [ResourceSpec<Settings>], unknown: (ResourceSpec<Settings>) -> Bool, _ keepsIdentity: Bool
    ) {
        let numbers = Set(specs.map(\.id.number))
        if numbers.contains(where: { places[$0] != nil }) {
            upserted.removeAll { numbers.contains($0.id.number) }
            places = [:]
            for (place, spec) in upserted.enumerated() { places[spec.id.number] = place }
        }
        for spec in specs where !unknown(spec) {
            removed.append(spec)
            if keepsIdentity { retired.insert(spec.id.number) }
        }
    }
}
