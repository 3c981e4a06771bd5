// From edits of the API to a plan. The edits are taken one after the other, each on what the ones before it left, and
// together they are one change.

/// Where a plan has its sources or its endpoints. A path and not the index itself: a copy that is held while the plan
/// changes would make each change copy what it shares.
private typealias ResourceIndexPath<Settings: ResourceSettings> = KeyPath<RegistryState, ResourceIndex<Settings>>

extension RegistryPlan {
    /// `path` is where the edit stands in what the caller sent.
    mutating func plan(_ edit: RegistryEdit, at path: FieldPath) throws(RegistryRefusal) {
        switch edit {
        case .createTenant(let name, let uid, let profile):
            if checkTenant(name: name, uid: uid, profile, except: nil, path) {
                _ = makeTenant(name: name, uid: uid, origin: .api, profile: profile)
            }
        case .updateTenant(let id, let name, let uid, let profile): try update(tenant: id, name, uid, profile, path)
        case .rotateSigningSecret(let id): try rotateSecret(tenant: id)
        case .deleteTenant(let id, let ifEmpty): try delete(tenant: id, ifEmpty: ifEmpty)
        case .createSource(let settings): create(settings, index: \.sources, path) { $0.set([$1]) }
        case .createEndpoint(let settings, let isNameless):
            create(settings, isNameless: isNameless, index: \.endpoints, path) { $0.set([$1]) }
        case .updateSource(let id, let revision, let update):
            let old = try editable(after.sources[id], .source, id.number, revision)
            try self.update(old, update, index: \.sources, path) { $0.set([$1]) }
        case .updateEndpoint(let id, let revision, let update):
            let old = try editable(after.endpoints[id], .endpoint, id.number, revision)
            try self.update(old, update, index: \.endpoints, path) { $0.set([$1]) }
        case .deleteSource(let id):
            let source = try editable(after.sources[id], .source, id.number, nil)
            reportUse(of: source, path)
            remove([source], keepsIdentity: false)
        case .deleteEndpoint(let id):
            remove([try editable(after.endpoints[id], .endpoint, id.number, nil)], keepsIdentity: false)
        case .createKey(let draft): try create(draft, path)
        case .deleteKey(let id):
            guard let key = after.keys[id] else { throw .notFound(.key, number: id.number) }
            remove([key])
        case .createEventType(let name, let settings): create(eventType: name, settings, path)
        case .updateEventType(let id, let update):
            guard let old = after.eventTypes[id] else { throw .notFound(.eventType, number: id.number) }
            self.update(old, update, path)
        case .deleteEventType(let id):
            guard let type = after.eventTypes[id] else { throw .notFound(.eventType, number: id.number) }
            remove(type)
        }
    }

    // MARK: Event types

    private mutating func create(eventType name: String, _ settings: EventTypeSettings, _ path: FieldPath) {
        if !NameRules.isUID(name) { report(path["name"], "must be 1 to 256 of the characters a-z A-Z 0-9 . _ -") }
        if after.eventTypes.named(name) != nil {
            report(path["name"], "is already the name of another event type", about: .value)
        }
        if after.eventTypes.count >= EventTypeBounds.countMax {
            report(path, "there are \(EventTypeBounds.countMax) event types, and no more are kept", about: .nothing)
        }
        check(settings, path)
        guard issues.isEmpty else { return }
        make(eventType: name, settings)
    }
    private mutating func update(
        _ old: EventTypeSpec, _ update: SettingsUpdate<EventTypeSettings>, _ path: FieldPath
    ) {
        var type = old
        update(&type.settings)
        check(type.settings, path)
        guard type.settings != old.settings, issues.isEmpty else { return }
        type.revision += 1
        type.updatedMillis = nowMillis
        set(type)
    }
    private mutating func check(_ settings: EventTypeSettings, _ path: FieldPath) {
        if settings.about.utf8.count > EventTypeBounds.aboutBytesMax {
            report(path["description"], "has more than \(EventTypeBounds.aboutBytesMax) bytes")
        }
        if (settings.schemas?.utf8.count ?? 0) > EventTypeBounds.schemasBytesMax {
            report(path["schemas"], "have more than \(EventTypeBounds.schemasBytesMax) bytes")
        } else if let problem = settings.enforcementProblem {
            report(path["enforce_schema"], problem)
        }
        if let flag = settings.featureFlag, !NameRules.isUID(flag) {
            report(path["feature_flag"], "must be 1 to 256 of the characters a-z A-Z 0-9 . _ -")
        }
    }

    // MARK: Sources and endpoints

    private func editable<Settings>(
        _ spec: ResourceSpec<Settings>?, _ kind: ResourceKind, _ number: UInt32, _ revision: UInt64?
    ) throws(RegistryRefusal) -> ResourceSpec<Settings> {
        guard let spec else { throw .notFound(kind, number: number) }
        guard spec.origin == .api else { throw .managedByManifest(kind, name: spec.qualifiedName) }
        guard revision == nil || revision == spec.revision else {
            throw .changedMeanwhile(kind, name: spec.qualifiedName, revision: spec.revision)
        }
        return spec
    }

    private mutating func create<Settings>(
        _ settings: Settings, isNameless: Bool = false, index: ResourceIndexPath<Settings>, _ path: FieldPath,
        _ set: (inout RegistryPlan, ResourceSpec<Settings>) -> Void
    ) {
        guard let tenant = after.tenant(named: settings.tenant)?.id else {
            return report(path["tenant"], "is not the name of a tenant", about: .value)
        }
        guard checkLabels(settings, tenant, index, except: nil, path) else { return }
        // A new resource under an old name: what the manifest left behind there is not it.
        if let old = after[keyPath: index].retired(settings, tenant: tenant) { forget(old) }
        var spec = make(settings, tenant: tenant, origin: .api)
        if isNameless { spec.settings.name = spec.publicID.text }
        spec.sourceIDs = sourceIDs(of: settings, tenant: tenant)
        set(&self, spec)
    }

    private mutating func update<Settings>(
        _ old: ResourceSpec<Settings>, _ update: SettingsUpdate<Settings>, index: ResourceIndexPath<Settings>,
        _ path: FieldPath, _ set: (inout RegistryPlan, ResourceSpec<Settings>) -> Void
    ) throws(RegistryRefusal) {
        var spec = old
        update(&spec.settings)
        guard spec.settings.tenant == old.settings.tenant else {
            return report(path["tenant"], "cannot change; create it again in the other tenant")
        }
        guard spec.settings != old.settings, checkLabels(spec.settings, spec.tenant, index, except: old.id.number, path)
        else { return }
        spec.sourceIDs = sourceIDs(of: spec.settings, tenant: spec.tenant)
        spec.revision += 1
        spec.updatedMillis = nowMillis
        set(&self, spec)
        if let source = old as? SourceSpec, source.name != spec.name { try rename(source, to: spec.name) }
    }

    /// Endpoints that name the source name it by its new name. O(endpoints of the tenant).
    private mutating func rename(_ source: SourceSpec, to name: String) throws(RegistryRefusal) {
        var renamed: [EndpointSpec] = []
        for endpoint in after.endpoints.all(of: source.tenant) where endpoint.sourceIDs.contains(source.id) {
            guard endpoint.origin == .api else { throw .managedByManifest(.endpoint, name: endpoint.qualifiedName) }
            var copy = endpoint
            copy.settings.sources = endpoint.settings.sources.map { $0 == source.name ? name : $0 }
            copy.revision += 1
            renamed.append(copy)
        }
        set(renamed)
    }

    /// False, and reported, when the name, uid or path belongs to another.
    private mutating func checkLabels<Settings>(
        _ settings: Settings, _ tenant: TenantID, _ index: ResourceIndexPath<Settings>, except number: UInt32?,
        _ path: FieldPath
    ) -> Bool {
        let count = issues.count
        if let other = after[keyPath: index].named(settings.name, tenant: tenant), other.id.number != number {
            report(path["name"], "is already the name of another \(Settings.kind.name)", about: .value)
        }
        if let uid = settings.uid, let other = after[keyPath: index].with(uid: uid, tenant: tenant),
            other.id.number != number
        {
            report(path["uid"], "is already the uid of another \(Settings.kind.name)", about: .value)
        }
        for taken in (settings as? SourceConfiguration)?.pathsInForce ?? [] {
            guard let other = after.source(path: taken), other.id.number != number else { continue }
            report(path["path"], "`\(taken)` is already the path of another source", about: .nothing)
        }
        return issues.count == count
    }

    /// O(endpoints of the tenant).
    private mutating func reportUse(of source: SourceSpec, _ path: FieldPath) {
        let users = after.endpoints.all(of: source.tenant).filter { $0.sourceIDs.contains(source.id) }
        guard let first = users.first else { return }
        let others = users.count > 1 ? " and \(users.count - 1) more" : ""
        report(
            path, "source \"\(source.name)\" is named by endpoint \"\(first.name)\"\(others); change that first",
            about: .nothing)
    }

    // MARK: Tenants

    private mutating func checkTenant(
        name: String?, uid: String?, _ profile: TenantProfile, except id: TenantID?, _ path: FieldPath
    ) -> Bool {
        let count = issues.count
        issues += profile.rateLimit?.issues(at: path["rate_limit"]) ?? []
        issues += [TenantWeights.issue(profile.weight, at: path)].compactMap(\.self)
        issues += NameRules.issues(name: name ?? TenantSpec.defaultName, uid: uid, at: path)
        if let name, let other = after.tenant(named: name), other.id != id {
            report(path["name"], "is already the name of another tenant", about: .value)
        }
        if let uid, let other = after.tenant(uid: uid), other.id != id {
            report(path["uid"], "is already the uid of another tenant", about: .value)
        }
        // A tenant is asked for by either, so neither may lead to another one.
        if let name, let other = after.tenant(uid: name), other.id != id {
            report(path["name"], "is the uid of another tenant", about: .value)
        }
        if let uid, let other = after.tenant(named: uid), other.id != id {
            report(path["uid"], "is the name of another tenant", about: .value)
        }
        return issues.count == count
    }
    private func editable(tenant id: TenantID) throws(RegistryRefusal) -> TenantSpec {
        guard let tenant = after.tenant(id) else { throw .notFound(.tenant, number: id.number) }
        guard id != .main else { throw .defaultTenant }
        let hasManifest =
            after.sources.all(of: id).contains { $0.origin == .manifest }
            || after.endpoints.all(of: id).contains { $0.origin == .manifest }
        guard !hasManifest else { throw .managedByManifest(.tenant, name: tenant.name) }
        return tenant
    }
    /// What the manifest says of a tenant by its name holds for no other, and would make it again.
    private func checkFile(names tenant: TenantSpec) throws(RegistryRefusal) {
        guard !after.live.tenants.contains(where: { $0.name == tenant.name }) else {
            throw .managedByManifest(.tenant, name: tenant.name)
        }
    }
    /// Its sources and endpoints say its new name; sources keep the paths they have.
    private mutating func rotateSecret(tenant id: TenantID) throws(RegistryRefusal) {
        guard var tenant = after.tenant(id) else { throw .notFound(.tenant, number: id.number) }
        tenant.signingSecret = TenantSpec.makeSigningSecret()
        tenant.revision += 1
        tenant.updatedMillis = nowMillis
        set(tenant)
    }
    private mutating func update(
        tenant id: TenantID, _ name: String?, _ uid: String??, _ profile: SettingsUpdate<TenantProfile>?,
        _ path: FieldPath
    ) throws(RegistryRefusal) {
        var tenant = try editable(tenant: id)
        let old = tenant
        tenant.name = name ?? tenant.name
        tenant.uid = uid ?? tenant.uid
        profile?(&tenant.profile)
        guard tenant != old, checkTenant(name: tenant.name, uid: tenant.uid, tenant.profile, except: id, path) else {
            return
        }
        tenant.revision += 1
        tenant.updatedMillis = nowMillis
        if tenant.name != old.name { try checkFile(names: old) }
        set(tenant)
        guard tenant.name != old.name else { return }
        set(
            after.sources.all(of: id).map { source in
                var copy = source
                copy.settings.path = source.settings.pathInForce
                copy.settings.tenant = tenant.name
                copy.revision += 1
                return copy
            })
        set(
            after.endpoints.all(of: id).map { endpoint in
                var copy = endpoint
                copy.settings.tenant = tenant.name
                copy.revision += 1
                return copy
            })
    }
    private mutating func delete(tenant id: TenantID, ifEmpty: Bool) throws(RegistryRefusal) {
        let tenant = try editable(tenant: id)
        try checkFile(names: tenant)
        let (sourceCount, endpointCount) = (after.sources.numbers(of: id).count, after.endpoints.numbers(of: id).count)
        guard !ifEmpty || sourceCount + endpointCount == 0 else {
            throw .tenantInUse(name: tenant.name, sourceCount: sourceCount, endpointCount: endpointCount)
        }
        remove(after.keys.all(of: id))
        remove(Array(after.endpoints.all(of: id)), keepsIdentity: false)
        remove(Array(after.sources.all(of: id)), keepsIdentity: false)
        remove(tenant)
    }

    // MARK: Keys

    private mutating func create(_ draft: KeyDraft, _ path: FieldPath) throws(RegistryRefusal) {
        if let tenant = draft.tenant, after.tenant(tenant) == nil { throw .notFound(.tenant, number: tenant.number) }
        if draft.role == .platform, draft.tenant != nil {
            report(path["role"], "`platform` belongs to no tenant")
        }
        if !draft.name.isEmpty { issues += NameRules.issues(name: draft.name, uid: nil, at: path) }
        if let expires = draft.expiresMillis, expires <= nowMillis {
            report(path["expires_at"], "is in the past")
        }
        guard issues.isEmpty else { return }
        if draft.isPortal, let tenant = draft.tenant { makeRoom(forPortalOf: tenant) }
        make(draft)
    }
    /// Those that have ended go a few at a time, so that no change grows with them; when none has and there are as many
    /// as may be, the oldest goes.
    private mutating func makeRoom(forPortalOf tenant: TenantID) {
        let (known, now) = (after.keys.portals(of: tenant), nowMillis)
        var gone = Array(known.filter { $0.isExpired(nowMillis: now) }.prefix(KeyBounds.portalEndedCountMax))
        if gone.isEmpty { gone = Array(known.prefix(max(0, known.count + 1 - KeyBounds.portalCountMax))) }
        remove(gone)
    }
}
