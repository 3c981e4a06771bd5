// From a whole manifest to a plan: which of its resources are which of the registry's, what is new, changed or gone.
//
// Identity: a resource with a uid is the one with that uid; without, or with one that is new, the one of that name
// (and, when it brings a new uid, only one that has none yet). A resource that the manifest dropped earlier comes back
// as itself. What the API made is never taken over: its names and uids are taken.

extension RegistryPlan {
    mutating func plan(manifest: GatewayConfiguration) {
        set(manifest.live)
        reportRepeats(manifest.sources)
        reportRepeats(manifest.endpoints)
        reportRepeatedPaths(manifest.sources)
        makeTenants(manifest)
        var sources = ManifestMatching(manifest.sources, state: after, index: after.sources)
        let sourceSpecs = match(&sources)
        remove(
            before.sources.all.filter { $0.origin == .manifest && !sources.claimed.contains($0.id.number) },
            keepsIdentity: true)
        sources.unclaimedInForce.forEach { endForce(of: $0) }
        set(sourceSpecs)
        reportTakenPaths(manifest.sources)
        var endpoints = ManifestMatching(manifest.endpoints, state: after, index: after.endpoints)
        let endpointSpecs = match(&endpoints)
        remove(
            before.endpoints.all.filter { $0.origin == .manifest && !endpoints.claimed.contains($0.id.number) },
            keepsIdentity: true)
        endpoints.unclaimedInForce.forEach { endForce(of: $0) }
        set(endpointSpecs)
    }

    /// A tenant that is named is made; one that is no longer named stays, for the API may have given it something.
    private mutating func makeTenants(_ manifest: GatewayConfiguration) {
        let names =
            manifest.sources.map(\.tenant) + manifest.endpoints.map(\.tenant) + manifest.live.tenants.map(\.name)
        var known: Set<String> = []
        for name in names where known.insert(name).inserted && NameRules.isName(name) {
            if after.tenant(named: name) == nil { _ = makeTenant(name: name, origin: .manifest) }
        }
    }

    /// New versions of those that are new or changed.
    private mutating func match<Settings>(_ matching: inout ManifestMatching<Settings>) -> [ResourceSpec<Settings>] {
        var changed: [ResourceSpec<Settings>] = []
        let list = matching.list
        // Those with a uid choose first, so that a name never takes what a uid means.
        for wantsUID in [true, false] {
            for (place, settings) in list.enumerated() where (settings.uid != nil) == wantsUID {
                guard let tenant = after.tenant(named: settings.tenant)?.id else { continue }
                let path = FieldPath(Settings.listKey)[place]
                if let taken = matching.takenByAPI(settings, tenant: tenant) {
                    report(
                        path[taken],
                        "is taken by \(Settings.kind == .source ? "a source" : "an endpoint") that was made through "
                            + "the API; choose another, or delete that one first",
                        about: .value)
                    continue
                }
                let sourceIDs = sourceIDs(of: settings, tenant: tenant)
                if let old = matching.claim(settings, tenant: tenant) {
                    guard old.settings != settings || old.sourceIDs != sourceIDs else { continue }
                    var spec = old
                    spec.settings = settings
                    spec.sourceIDs = sourceIDs
                    spec.revision += 1
                    changed.append(spec)
                    continue
                }
                var spec = make(
                    settings, tenant: tenant, origin: .manifest,
                    reviving: matching.claimRetired(settings, tenant: tenant))
                spec.sourceIDs = sourceIDs
                changed.append(spec)
            }
        }
        return changed
    }

    /// Names that do not exist are reported by the endpoint's rules.
    func sourceIDs<Settings: ResourceSettings>(of settings: Settings, tenant: TenantID) -> [SourceID] {
        guard let endpoint = settings as? EndpointConfiguration, !endpoint.sources.isEmpty else { return [] }
        return endpoint.sources.flatMap { name -> [SourceID] in
            if let ids = PublishSource.ids(of: name) { return ids }
            return after.sources.named(name, tenant: tenant).map { [$0.id] } ?? []
        }
    }

    // MARK: What stands twice in the manifest

    private mutating func reportRepeats<Settings: ResourceSettings>(_ list: [Settings]) {
        // No name contains a slash.
        var names: [String: Int] = [:]
        var uids: [String: Int] = [:]
        for (place, settings) in list.enumerated() {
            let path = FieldPath(Settings.listKey)[place]
            if !settings.name.isEmpty {
                let key = "\(settings.tenant)/\(settings.name)"
                if let first = names[key] {
                    report(
                        path["name"], "is already the name of \(FieldPath(Settings.listKey)[first])", about: .value)
                } else {
                    names[key] = place
                }
            }
            guard let uid = settings.uid else { continue }
            if let first = uids.updateValue(place, forKey: "\(settings.tenant)/\(uid)") {
                report(path["uid"], "is already the uid of \(FieldPath(Settings.listKey)[first])", about: .value)
            }
        }
    }
    private mutating func reportRepeatedPaths(_ sources: [SourceConfiguration]) {
        var paths: [String: Int] = [:]
        for (place, source) in sources.enumerated() where !source.name.isEmpty {
            for path in source.pathsInForce {
                guard let first = paths[path] else {
                    paths[path] = place
                    continue
                }
                // Two of one name without paths of their own were reported as such.
                let isSameName = first != place && sources[first].qualifiedName == source.qualifiedName
                guard source.path != nil || !isSameName else { continue }
                report(
                    FieldPath("sources")[place]["path"], "`\(path)` is already the path of sources[\(first)]",
                    about: .nothing)
            }
        }
    }
    private mutating func reportTakenPaths(_ sources: [SourceConfiguration]) {
        var paths: [String: Int] = [:]
        for (place, source) in sources.enumerated() { for path in source.pathsInForce { paths[path] = place } }
        for other in before.sources.all where other.origin == .api {
            for path in other.settings.pathsInForce {
                guard let place = paths[path] else { continue }
                report(
                    FieldPath("sources")[place]["path"],
                    "`\(path)` is the path of a source that was made through the API", about: .nothing)
            }
        }
    }
}

/// Which resource of the registry each one of the manifest is; each is claimed once.
private struct ManifestMatching<Settings: ResourceSettings> {
    let list: [Settings]
    private let index: ResourceIndex<Settings>
    private(set) var claimed: Set<UInt32> = []

    init(_ list: [Settings], state: RegistryState, index: ResourceIndex<Settings>) {
        self.list = list
        self.index = index
    }

    /// The key whose value belongs to a resource of the API.
    func takenByAPI(_ settings: Settings, tenant: TenantID) -> String? {
        if index.named(settings.name, tenant: tenant)?.origin == .api { return "name" }
        if let uid = settings.uid, index.with(uid: uid, tenant: tenant)?.origin == .api { return "uid" }
        return nil
    }
    mutating func claim(_ settings: Settings, tenant: TenantID) -> ResourceSpec<Settings>? {
        if let uid = settings.uid, let found = index.with(uid: uid, tenant: tenant) { return take(found) }
        guard let found = index.named(settings.name, tenant: tenant), settings.uid == nil || found.uid == nil else {
            return nil
        }
        return take(found)
    }
    private mutating func take(_ spec: ResourceSpec<Settings>) -> ResourceSpec<Settings>? {
        claimed.insert(spec.id.number).inserted ? spec : nil
    }
    /// Those that the last process still had.
    var unclaimedInForce: [RetiredResource] {
        index.retired.values.filter { $0.wasInForce && !claimed.contains($0.number) }
    }
    mutating func claimRetired(_ settings: Settings, tenant: TenantID) -> RetiredResource? {
        guard let found = index.retired(settings, tenant: tenant), claimed.insert(found.number).inserted else {
            return nil
        }
        return found
    }
}
