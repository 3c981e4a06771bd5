// Endpoints of applications: made and changed through the registry, with the retries and names of fields that Svix's
// own have.
import Engine
import FastPath
import Foundation

extension LiveOutbound {
    func endpoints(_ application: String, _ paging: SvixPaging, _ caller: Caller) throws -> SvixPage<SvixEndpoint> {
        let lookup = try lookup(caller)
        let numbers = lookup.state.endpoints.numbers(of: try lookup.application(application).id)
        let mark = paging.iterator.flatMap { SvixID.resource($0, .endpoint)?.number }
        let place =
            mark.map { mark in
                numbers.partitionIndex { paging.walksUp ? $0 <= mark : $0 < mark }
            } ?? (paging.walksUp ? 0 : numbers.count)
        // Webhooks of a family are told by their own surface.
        func take(_ numbers: some Sequence<UInt32>) -> [EndpointSpec] {
            let own = numbers.lazy.compactMap { lookup.state.endpoints[EndpointID($0)] }
                .filter { [family] in $0.settings.extras.family == family }
            return Array(own.prefix(paging.limit + 1))
        }
        let found = paging.walksUp ? take(numbers[place...]) : take(numbers[..<place].reversed())
        return SvixPage(walked: found.map { SvixEndpoint($0, shownTo: caller) }, paging) { $0.id }
    }
    func endpoint(_ application: String, _ ref: String, _ caller: Caller) throws -> SvixEndpoint {
        SvixEndpoint(try lookup(caller).endpoint(application, ref), shownTo: caller)
    }
    func create(
        _ application: String, _ draft: SvixEndpointDraft, secret: String?, headers: [String: String], _ caller: Caller
    ) throws -> SvixEndpoint {
        let lookup = try lookup(caller)
        let tenant = try lookup.application(application)
        try check(draft, of: tenant, lookup.state)
        var settings: EndpointConfiguration =
            family == .operational ? .operational(in: tenant) : .outbound(in: tenant)
        try settings.take(draft)
        settings.secrets = [secret ?? SvixSecret.make()]
        settings.extras.fields = headers.sorted { $0.key < $1.key }.map {
            ConfiguredField(name: $0.key, value: $0.value)
        }
        let made = try apply(.createEndpoint(settings, isNameless: true), caller)
        guard let id = made.first else { throw SvixError.conflict("the endpoint was removed as it was made") }
        return try endpoint(tenant.publicID.text, id, caller)
    }
    func replace(
        _ application: String, _ ref: String, _ draft: SvixEndpointDraft, _ caller: Caller
    ) throws -> (endpoint: SvixEndpoint, isNew: Bool) {
        let lookup = try lookup(caller)
        let tenant = try lookup.application(application)
        guard let known = lookup.endpoint(of: tenant, ref) else {
            return (try create(application, draft, secret: nil, headers: [:], caller), true)
        }
        return (try set(known, of: tenant, draft, lookup, caller), false)
    }
    func patch(
        _ application: String, _ ref: String, _ patch: SvixEndpointPatch, _ caller: Caller
    ) throws -> SvixEndpoint {
        let lookup = try lookup(caller)
        let tenant = try lookup.application(application)
        let known = try lookup.endpoint(application, ref)
        let old = SvixEndpointDraft(known.settings)
        var draft = patch.over(old)
        // Types that were archived since stay until they are named anew.
        let isSameTypes = draft.eventTypes == old.eventTypes
        if isSameTypes { draft.eventTypes = [] }
        try check(draft, of: tenant, lookup.state, except: known)
        draft.eventTypes = isSameTypes ? old.eventTypes : draft.eventTypes
        return try write(known, draft, caller)
    }
    private func set(
        _ known: EndpointSpec, of tenant: TenantSpec, _ draft: SvixEndpointDraft, _ lookup: OutboundLookup,
        _ caller: Caller
    ) throws -> SvixEndpoint {
        try check(draft, of: tenant, lookup.state, except: known)
        return try write(known, draft, caller)
    }
    private func write(_ known: EndpointSpec, _ draft: SvixEndpointDraft, _ caller: Caller) throws -> SvixEndpoint {
        var settings = known.settings
        try settings.take(draft)
        let replacement = settings
        try apply(.updateEndpoint(known.id, ifRevision: known.revision) { $0 = replacement }, caller)
        return SvixEndpoint(try state().endpoints[known.id] ?? known, shownTo: caller)
    }
    /// Types have been declared and are not archived; the uid is nobody else's.
    private func check(
        _ draft: SvixEndpointDraft, of tenant: TenantSpec, _ state: RegistryState, except known: EndpointSpec? = nil
    ) throws {
        if let uid = draft.uid, let other = state.endpoints.with(uid: uid, tenant: tenant.id), other.id != known?.id {
            throw SvixError.conflict("another endpoint of this application has the uid `\(uid)`")
        }
        guard family == .registry else {
            guard draft.channels.isEmpty else {
                throw SvixError.invalid(["body", "channels"], "operational webhooks have no channels")
            }
            return
        }
        let unknown = draft.eventTypes.filter { state.eventTypes.named($0).map(\.settings.isArchived) ?? true }
        guard unknown.isEmpty else {
            let names = unknown.prefix(10).joined(separator: ", ")
            throw SvixError.invalid(["body", "eventTypes"], "these are no event types, or archived ones: \(names)")
        }
    }
    func deleteEndpoint(_ application: String, _ ref: String, _ caller: Caller) throws {
        try apply(.deleteEndpoint(try lookup(caller).endpoint(application, ref).id), caller)
    }

    // MARK: secrets

    func secret(_ application: String, _ ref: String, _ caller: Caller) throws -> String {
        let endpoint = try lookup(caller).endpoint(application, ref)
        guard let secret = endpoint.settings.secrets.first else {
            throw SvixError.notFound("the deliveries of this endpoint are not signed")
        }
        let what = [FieldChange(field: "secret", before: "", after: "shown")]
        try gateway.note(.reveal, on: endpoint, of: endpoint.tenant, what, caller)
        return EndpointSecret.verifierText(secret)
    }
    private static let oldSecretCountMax = 10

    func rotate(
        _ application: String, _ ref: String, to secret: String?, graceSeconds: Int, _ caller: Caller
    ) throws -> String {
        let known = try lookup(caller).endpoint(application, ref)
        let now = UInt64(Date().timeIntervalSince1970)
        let end = now + UInt64(graceSeconds)
        let secret = secret ?? SvixSecret.make()
        var settings = known.settings
        var old = settings.extras.oldSecrets.filter { $0.endSeconds > now }
        if graceSeconds > 0 { old = settings.secrets.map { EndingSecret($0, endSeconds: end) } + old }
        guard old.count <= LiveOutbound.oldSecretCountMax else {
            throw SvixError(
                400, "limit_reached",
                "\(LiveOutbound.oldSecretCountMax) old secrets sign still; wait for the end of one, or leave no grace"
            )
        }
        let pairs = ([secret] + old.map(\.text)).filter(EndpointSecret.isAsymmetric)
        guard pairs.count <= EndpointSecret.asymmetricCountMax else {
            throw SvixError(
                400, "limit_reached",
                "\(EndpointSecret.asymmetricCountMax) key pairs at most sign at a time; wait for the end of one, or "
                    + "leave no grace")
        }
        settings.secrets = [secret]
        settings.extras.oldSecrets = old
        let replacement = settings
        try apply(.updateEndpoint(known.id, ifRevision: known.revision) { $0 = replacement }, caller)
        return EndpointSecret.verifierText(secret)
    }

    // MARK: header fields

    func headers(_ application: String, _ ref: String, _ caller: Caller) throws -> [String: String?] {
        let extras = try lookup(caller).endpoint(application, ref).settings.extras
        // Of one that was made elsewhere every value is a secret.
        let hides = family == .registry && extras.signatureNames != .svix
        let fields: [(String, String?)] = extras.fields.map { ($0.name, hides ? nil : $0.value) }
        return Dictionary(fields) { first, _ in first }
    }
    func setHeaders(
        _ application: String, _ ref: String, _ headers: [String: String?], merges: Bool, _ caller: Caller
    ) throws {
        let known = try lookup(caller).endpoint(application, ref)
        let named = Set(headers.keys.map { $0.lowercased() })
        var fields = merges ? known.settings.extras.fields.filter { !named.contains($0.name.lowercased()) } : []
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
            if let value { fields.append(ConfiguredField(name: name, value: value)) }
        }
        guard fields.count <= SvixHeaders.countMax else {
            throw SvixError.invalid(["body", "headers"], "more than \(SvixHeaders.countMax) header fields")
        }
        let replacement = fields
        try apply(
            .updateEndpoint(known.id, ifRevision: known.revision) { $0.extras.fields = replacement }, caller)
    }
}

extension EndpointConfiguration {
    /// What Svix's endpoints have in common.
    static func outbound(in tenant: TenantSpec) -> EndpointConfiguration {
        var settings = EndpointConfiguration()
        settings.tenant = tenant.name
        settings.retryDelaysMillis = [5, 300, 1800, 7200, 18_000, 36_000, 36_000].map { $0 * 1000 }
        settings.retryJitter = 0.2
        settings.outcomes = ["3xx": "retry", "4xx": "retry", "5xx": "retry", "410": "retry"]
        settings.forwardsHeaders = false
        settings.extras.signatureNames = .svix
        return settings
    }
    mutating func take(_ draft: SvixEndpointDraft) throws {
        let (plain, user) = OutboundURL.split(draft.url)
        do { url = try OutboundURL.normalised(plain) } catch {
            throw SvixError.invalid(["body", "url"], error.description)
        }
        extras.userInformation = user
        uid = draft.uid
        extras.about = draft.about
        extras.version = draft.version
        disabled = draft.isDisabled
        extras.throttleRate = draft.throttleRate
        types = draft.eventTypes
        channels = draft.channels
        extras.metadata = draft.metadata
    }
}

/// URLs as they are given and shown. `user:password@` stands apart in the registry, where no URL has any.
package enum OutboundURL {
    package static func split(_ url: String) -> (plain: String, user: String) {
        guard let scheme = url.range(of: "://") else { return (url, "") }
        let rest = url[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard let at = authority.lastIndex(of: "@") else { return (url, "") }
        return (String(url[..<scheme.upperBound] + rest[rest.index(after: at)...]), String(authority[..<at]))
    }
    package static func joined(_ url: String, user: String) -> String {
        guard !user.isEmpty, let scheme = url.range(of: "://") else { return url }
        return url[..<scheme.upperBound] + user + "@" + url[scheme.upperBound...]
    }
    /// The credentials in it are for those who may set them.
    package static func shown(_ settings: EndpointConfiguration, to caller: Caller) -> String {
        let user = settings.extras.userInformation
        let mayKnow = user.isEmpty || caller.principal.role.includes(AccessTable.revealing)
        return joined(settings.url, user: mayKnow ? user : "***")
    }
    package static func normalised(_ url: String) throws(EndpointAddressError) -> String {
        let address = try EndpointAddress(url)
        return (address.isSecure ? "https://" : "http://") + address.hostField + address.target
    }
}

extension SvixEndpointDraft {
    init(_ settings: EndpointConfiguration) {
        self.init()
        url = OutboundURL.joined(settings.url, user: settings.extras.userInformation)
        uid = settings.uid
        about = settings.extras.about
        version = settings.extras.version
        isDisabled = settings.disabled
        throttleRate = settings.extras.throttleRate
        eventTypes = settings.types
        channels = settings.channels
        metadata = settings.extras.metadata
    }
}

extension SvixEndpoint {
    init(_ endpoint: EndpointSpec, shownTo caller: Caller) {
        var settings = SvixEndpointDraft(endpoint.settings)
        settings.url = OutboundURL.shown(endpoint.settings, to: caller)
        self.init(
            id: SvixID.text(endpoint.publicID, number: endpoint.id.number), settings: settings,
            createdMillis: endpoint.createdMillis,
            updatedMillis: max(endpoint.updatedMillis, endpoint.createdMillis))
    }
}
