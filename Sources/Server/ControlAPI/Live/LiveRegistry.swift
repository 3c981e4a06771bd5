// Changes of what is configured, through the registry: single endpoints by the API, everything by a manifest; and what
// the audit log has of all of them.
import Engine
import Foundation

final class LiveRegistry: RegistryControl, AuditQueries {
    private let gateway: Gateway
    private let directory: LiveDirectory
    private let applyManifest: ApplyManifest

    init(gateway: Gateway, directory: LiveDirectory, applyManifest: @escaping ApplyManifest) {
        self.gateway = gateway
        self.directory = directory
        self.applyManifest = applyManifest
    }

    // MARK: endpoints

    func create(_ drafts: [EndpointDraft], _ caller: Caller) throws -> [EndpointResource] {
        let lookup = try RegistryLookup(gateway, caller)
        let errors = drafts.enumerated().flatMap {
            $1.preparationErrors(at: "endpoints[\($0)].", isNew: true)
                + $1.credentialErrors(at: "endpoints[\($0)].")
        }
        guard errors.isEmpty else { throw ControlError.invalid(errors) }
        let settings = try drafts.map { draft in
            try lookup.mayName(filesOf: draft)
            var settings = EndpointConfiguration(draft)
            settings.tenant = try lookup.tenantName(draft.tenant)
            return settings
        }
        try apply(settings.map { .createEndpoint($0) }, caller, prefix: drafts.count == 1 ? "endpoints[0]" : "")
        let after = try RegistryLookup(gateway, caller)
        let statuses = try LiveEndpointStatus(gateway)
        let made = try settings.map { settings in
            guard let tenant = after.state.tenant(named: settings.tenant)?.id,
                let made = after.state.endpoints.named(settings.name, tenant: tenant)
            else { throw ControlError(.conflict, "`\(settings.name)` was made, and has been removed since") }
            return made
        }
        return try statuses.resources(made, after)
    }
    func draft(of ref: String, _ caller: Caller) throws -> (draft: EndpointDraft, revision: Int) {
        let endpoint = try RegistryLookup(gateway, caller).endpoint(ref)
        return (EndpointDraft(endpoint.settings), Int(clamping: endpoint.revision))
    }
    func replace(
        _ ref: String, with draft: EndpointDraft, revision: Int?, _ caller: Caller
    ) throws -> EndpointResource {
        let lookup = try RegistryLookup(gateway, caller)
        let endpoint = try lookup.endpoint(ref)
        let errors =
            draft.preparationErrors(isNew: endpoint.settings.policies.redaction?.key == nil)
            + draft.credentialErrors()
        guard errors.isEmpty else { throw ControlError.invalid(errors) }
        try lookup.mayName(filesOf: draft, before: endpoint.settings)
        var settings = EndpointConfiguration(draft)
        settings.tenant = try draft.tenant.map { try lookup.tenantName($0) } ?? endpoint.settings.tenant
        settings.keepWhatIsHidden(of: endpoint.settings)
        if draft.redact?.keepsKey == true {
            settings.policies.redaction?.key = endpoint.settings.policies.redaction?.key
        }
        let replacement = settings
        let known = revision.map { UInt64($0) }
        try apply([.updateEndpoint(endpoint.id, ifRevision: known) { $0 = replacement }], caller)
        return try directory.endpoint(endpoint.publicID.text, caller)
    }
    func remove(_ ref: String, _ caller: Caller) throws {
        try apply([.deleteEndpoint(try RegistryLookup(gateway, caller).endpoint(ref).id)], caller)
    }
    private func apply(_ edits: [RegistryEdit], _ caller: Caller, prefix: String = "") throws {
        do {
            _ = try gateway.apply(.edits(edits), actor: ChangeActor(caller))
        } catch { throw ControlError(error, prefix: prefix) }
    }

    // MARK: manifests

    func apply(manifest: [UInt8], dryRun: Bool, _ caller: Caller) throws -> ChangeResource {
        guard let text = String(validating: manifest, as: UTF8.self) else {
            throw ControlError(.badRequest, "the manifest is not UTF-8 text")
        }
        return try apply(.text(text), dryRun, caller)
    }
    func reload(dryRun: Bool, _ caller: Caller) throws -> ChangeResource { try apply(.file, dryRun, caller) }

    private func apply(_ source: ManifestSource, _ dryRun: Bool, _ caller: Caller) throws -> ChangeResource {
        let actor = ChangeActor(caller)
        do {
            return ChangeResource(try applyManifest(source, actor, dryRun), at: TimeText.now(), actor: actor.name)
        } catch let error as RegistryRefusal {
            throw ControlError(error)
        }
    }
    func lastChange() -> ChangeResource? {
        gateway.lastChange.map { change in
            ChangeResource(
                change.report, at: TimeText.of(nanoseconds: UInt64(max(0, change.timeMillis)) * 1_000_000),
                actor: change.actor.name)
        }
    }

    // MARK: audit

    func audit(_ paging: Paging, _ caller: Caller) throws -> Found<AuditResource, UInt64> {
        guard let log = gateway.audit else { throw ControlError.notRunning }
        var query = AuditQuery()
        query.tenant = try RegistryLookup(gateway, caller).scope
        query.before = paging.after.map { Int64(clamping: $0) }
        query.limit = paging.limit
        let entries: [Engine.AuditEntry]
        do {
            entries = try log.entries(query)
        } catch {
            throw ControlError(.storeUnavailable, "the audit log cannot be read at the moment; try again")
        }
        let next = entries.count == paging.limit ? entries.last.map { UInt64(clamping: $0.number) } : nil
        return Found(entries.map { AuditResource($0) }, next: next)
    }
}

extension RegistryLookup {
    /// The gateway's files are the operator's: whoever sees one tenant only may keep what an endpoint has, no more.
    func mayName(filesOf draft: EndpointDraft, before: EndpointConfiguration? = nil) throws {
        guard try scope != nil, let tls = draft.tls, tls != before?.tls.map({ EndpointTLSResource($0) }) else { return }
        throw ControlError.invalid([FieldProblem(path: "tls", reason: "names files, which is for operators only")])
    }
    /// The name of the tenant that a draft means. To whoever sees one tenant only, another is not found; otherwise one
    /// that is unknown is left for the registry to refuse by its path.
    func tenantName(_ ref: String?) throws -> String {
        if let own = try scope { return try ref.map { try tenant($0).name } ?? reference(own).name }
        guard let ref else { return TenantSpec.defaultName }
        return (try? tenant(ref).name) ?? ref
    }
}

extension EndpointConfiguration {
    /// Durations of a draft have been checked; the tenant is set by whoever knows the registry.
    init(_ draft: EndpointDraft) {
        self.init()
        name = draft.name
        uid = draft.uid
        url = draft.url
        tls = draft.tls.flatMap { EndpointTLS($0) }
        sources = draft.sources ?? sources
        types = draft.types ?? types
        channels = draft.channels ?? channels
        policies.filter = draft.filter?.asStored
        secrets = draft.secrets ?? secrets
        policies.signature = draft.signature?.configuration
        connectMillisMax = draft.timeouts?.connect.flatMap { TimeSpan.parse($0) } ?? connectMillisMax
        headMillisMax = draft.timeouts?.head.flatMap { TimeSpan.parse($0) } ?? headMillisMax
        totalMillisMax = draft.timeouts?.total.flatMap { TimeSpan.parse($0) } ?? totalMillisMax
        retryDelaysMillis = draft.retry?.delays?.compactMap { TimeSpan.parse($0) } ?? retryDelaysMillis
        retryJitter = draft.retry?.jitter ?? retryJitter
        outcomes = draft.outcomes ?? outcomes
        switch draft.ordered {
        case .flag(let flag)?: ordered = flag
        case .byKey(let key)?: (ordered, orderKey) = (true, key)
        case nil: break
        }
        take(draft.redact, draft.transform)
        take(policiesOf: draft)
        take(credentialsOf: draft)
        forwardsHeaders = draft.forwardHeaders ?? forwardsHeaders
        disabled = draft.disabled ?? disabled
    }
    /// What this API does not show is not its to take away. But the credentials of a URL are a part of it: another URL
    /// must not get them.
    package mutating func keepWhatIsHidden(of old: EndpointConfiguration) {
        let fields = extras.fields
        extras = old.extras
        extras.fields = fields
        if url != old.url { extras.userInformation = "" }
    }
}

extension EndpointDraft {
    init(_ settings: EndpointConfiguration) {
        self.init()
        name = settings.name
        uid = settings.uid
        tenant = settings.tenant
        url = settings.url
        tls = settings.tls.map { EndpointTLSResource($0) }
        sources = settings.sources
        types = settings.types
        channels = settings.channels
        filter = settings.policies.filter
        secrets = settings.secrets
        signature = settings.policies.signature.map { SignatureResource($0) }
        concurrency = ConcurrencyResource(settings)
        timeouts = TimeoutsResource(settings)
        retry = RetryResource(settings)
        outcomes = settings.outcomes
        ordered = OrderResource(settings)
        redact = RedactResource(settings.policies.redaction)
        transform = settings.policies.transform?.map { TransformStepResource($0) }
        show(settings.policies)
        show(credentialsOf: settings)
        forwardHeaders = settings.forwardsHeaders
        disabled = settings.disabled
    }
}

extension ChangeResource {
    init(_ report: ChangeReport, at time: String, actor: String) {
        self.init(
            dryRun: report.isDryRun, at: time, actor: actor, summary: report.diff.description,
            items: report.diff.entries.map { ChangeItem($0) }, warnings: report.warnings)
    }
}

extension ChangeItem {
    init(_ entry: TopologyDiff.Entry) {
        let kind = Kind(rawValue: entry.kind) ?? .gateway
        let isOwned = kind == .source || kind == .endpoint || kind == .key
        self.init(
            action: Action(rawValue: entry.effect.rawValue) ?? .changed, kind: kind,
            name: isOwned ? TenantSpec.qualify(entry.name, tenant: entry.tenant) : entry.name,
            id: entry.id.isEmpty ? nil : entry.id, fields: entry.fields.isEmpty ? nil : entry.fields)
    }
}

extension AuditResource {
    init(_ entry: Engine.AuditEntry) {
        let changes = entry.changes.map {
            $0.before.isEmpty ? "\($0.field): \($0.after)" : "\($0.field): \($0.before) → \($0.after)"
        }
        self.init(
            id: UInt64(clamping: entry.number),
            at: TimeText.of(nanoseconds: UInt64(max(0, entry.timeMillis)) * 1_000_000), actor: entry.actor,
            request: entry.requestID, action: entry.action.rawValue, kind: entry.kind?.name ?? "gateway",
            resource: entry.resource, name: entry.name,
            detail: changes.isEmpty ? nil : changes.joined(separator: "; "))
    }
}
