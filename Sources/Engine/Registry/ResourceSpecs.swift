// What an operator has made, with its identity: tenants, sources, endpoints as plain values. Keys are in `Keys/`.
//
// Invariants: `id` and `publicID` never change and are never given to another resource; `revision` grows by one with
// each change, so (id, revision) names one version; names are labels.

package enum ResourceKind: UInt8, CaseIterable, Sendable {
    case tenant = 1
    case source = 2
    case endpoint = 3
    case key = 4
    case eventType = 5

    package var name: String {
        switch self {
        case .tenant: "tenant"
        case .source: "source"
        case .endpoint: "endpoint"
        case .key: "key"
        case .eventType: "event_type"
        }
    }
}

/// Who made a resource; nobody else may change it. Raw values are stored.
package enum ResourceOrigin: UInt8, CaseIterable, Sendable {
    case manifest = 1
    case api = 2

    package var name: String { self == .manifest ? "manifest" : "api" }
}

package struct TenantSpec: Equatable, Sendable {
    package static let defaultName = "default"
    package var id: TenantID
    package var publicID: PublicID
    package var uid: String?
    package var name: String
    package var origin: ResourceOrigin
    package var revision: UInt64
    /// 0 for the tenant `default` of a data folder.
    package var createdMillis: Int64
    /// What its own webhooks are signed with; shown to whoever made it, once. Nil for those of before there were any.
    package var signingSecret: String?
    package var profile = TenantProfile()
    /// When it changed last; 0 = as when it was made.
    package var updatedMillis: Int64 = 0

    /// A name that is unique over all tenants.
    package static func qualify(_ name: String, tenant: String) -> String {
        tenant == defaultName ? name : "\(tenant)/\(name)"
    }
}

/// What the outbound API keeps of a tenant, which it calls an application.
package struct TenantProfile: Equatable, Codable, Sendable {
    /// In people's words; nil = the tenant's name.
    package var title: String?
    package var metadata: [String: String] = [:]
    /// Messages a second; kept and shown.
    package var throttleRate: Int?
    /// Requests that its sources and publishers may send together; nil = what the manifest says of it or of everyone.
    package var rateLimit: RateLimitConfiguration?
    /// Its part of what all tenants deliver by; nil = what the manifest says of it or of everyone, else 1.
    package var weight: Int?

    package init() {}
}

extension TenantProfile {
    static let fields: [SettingsField<TenantProfile>] = [
        SettingsField("title") { $0.title },
        SettingsField("metadata", { $0.metadata }, text: { $0.keys.sorted().joined(separator: ", ") }),
        SettingsField("throttle_rate", { $0.throttleRate }, text: { $0.map { "\($0)" } ?? "none" }),
        SettingsField("rate_limit", { $0.rateLimit }, text: { $0?.text ?? "none" }),
        SettingsField("weight", { $0.weight }, text: { $0.map { "\($0)" } ?? "none" }),
    ]
    func changes(from old: TenantProfile) -> [FieldChange] {
        TenantProfile.fields.filter { !$0.isEqual(old, self) }.map {
            FieldChange(field: $0.key, before: $0.text(old), after: $0.text(self))
        }
    }
}

/// What sources and endpoints have in common for the registry.
package protocol ResourceSettings: Equatable, Codable, Sendable {
    associatedtype Kind: Sendable
    static var kind: ResourceKind { get }
    static var publicIDPrefix: PublicID.Prefix { get }
    /// The list of the manifest that they stand in.
    static var listKey: String { get }
    static var fields: [SettingsField<Self>] { get }
    init()
    var name: String { get set }
    /// The tenant's name.
    var tenant: String { get set }
    var uid: String? { get set }
    /// Takes the lists that many have alike from `lists`.
    mutating func share(_ lists: inout SharedLists)
}

extension ResourceSettings {
    package mutating func share(_ lists: inout SharedLists) {}
}

extension SourceConfiguration: ResourceSettings {
    package typealias Kind = SourceKind
    package static var kind: ResourceKind { .source }
    package static var publicIDPrefix: PublicID.Prefix { .source }
    package static var listKey: String { "sources" }
}
extension EndpointConfiguration: ResourceSettings {
    package typealias Kind = EndpointKind
    package static var kind: ResourceKind { .endpoint }
    package static var publicIDPrefix: PublicID.Prefix { .endpoint }
    package static var listKey: String { "endpoints" }
    package mutating func share(_ lists: inout SharedLists) {
        sources = lists.shared(sources)
        types = lists.shared(types)
        channels = lists.shared(channels)
        retryDelaysMillis = lists.shared(retryDelaysMillis)
    }
}

/// The settings of one version of a resource: kept once, shared by all that hold the version.
package final class SettingsBox<Settings: ResourceSettings>: Equatable, Sendable {
    package let settings: Settings

    package init(_ settings: Settings) { self.settings = settings }
    package static func == (left: SettingsBox, right: SettingsBox) -> Bool {
        left === right || left.settings == right.settings
    }
}

package struct ResourceSpec<Settings: ResourceSettings>: Equatable, Sendable {
    package var id: Identifier<Settings.Kind>
    package var publicID: PublicID
    package var tenant: TenantID
    package var origin: ResourceOrigin
    package var revision: UInt64
    package var createdMillis: Int64
    /// When it changed last through the API; 0 = as when it was made.
    package var updatedMillis: Int64 = 0
    /// What `settings` is kept in, so that whatever is compiled from it needs no copy.
    package private(set) var box: SettingsBox<Settings>
    /// The sources that an endpoint names, resolved; empty = all of its tenant. A source names none.
    package var sourceIDs: [SourceID] = []

    package init(
        id: Identifier<Settings.Kind>, publicID: PublicID, tenant: TenantID, origin: ResourceOrigin, revision: UInt64,
        createdMillis: Int64, settings: Settings, sourceIDs: [SourceID] = []
    ) {
        self.id = id
        self.publicID = publicID
        self.tenant = tenant
        self.origin = origin
        self.revision = revision
        self.createdMillis = createdMillis
        box = SettingsBox(settings)
        self.sourceIDs = sourceIDs
    }
    /// As the operator wrote them; the names of its tenant and sources are kept up to date.
    package var settings: Settings {
        get { box.settings }
        set { box = SettingsBox(newValue) }
    }
    package var name: String { box.settings.name }
    package var uid: String? { box.settings.uid }
    package var qualifiedName: String { TenantSpec.qualify(settings.name, tenant: settings.tenant) }
}

package typealias SourceSpec = ResourceSpec<SourceConfiguration>
package typealias EndpointSpec = ResourceSpec<EndpointConfiguration>

/// The identity of a resource of the manifest without its settings, which the store does not keep: left behind when the
/// manifest no longer has it, or found at a start before the manifest is read. Named again, it is the same resource. An
/// explicit deletion leaves none.
package struct RetiredResource: Equatable, Sendable {
    package var kind: ResourceKind
    package var number: UInt32
    package var publicID: PublicID
    package var tenant: TenantID
    package var name: String
    package var uid: String?
    package var revision: UInt64
    package var createdMillis: Int64
    /// Of its last settings; see `ResourceSettings.digest`.
    package var digest: UInt64
    /// True exactly when it was in force until the last process ended, and no manifest has been read since.
    package var wasInForce = false
}
