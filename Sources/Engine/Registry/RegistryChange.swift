// What can be asked of the registry, by whoever asks: a manifest as a whole, or single edits through the API.

package enum RegistryChange: Sendable {
    /// All sources and endpoints of the manifest and the live settings as they are to be from now on. What the manifest
    /// had before and has no more goes; what the API made stays.
    case manifest(GatewayConfiguration)
    /// All of them or none.
    case edits([RegistryEdit])
}

/// Brings the settings of a resource up to date; sets all of them to replace it.
package typealias SettingsUpdate<Settings> = @Sendable (inout Settings) -> Void

package enum RegistryEdit: Sendable {
    /// Without a name it is called by its public id.
    case createTenant(name: String?, uid: String?, profile: TenantProfile = TenantProfile())
    /// Nil leaves the name or the uid as it is; a uid that is `.some(nil)` is taken away.
    case updateTenant(TenantID, name: String?, uid: String??, profile: SettingsUpdate<TenantProfile>? = nil)
    /// Whoever made it; its webhooks are signed with the new one from then on.
    case rotateSigningSecret(TenantID)
    /// With all that it has; `ifEmpty`: refused when it has sources or endpoints. Its keys go with it.
    case deleteTenant(TenantID, ifEmpty: Bool = false)
    case createSource(SourceConfiguration)
    /// `ifRevision`: refused when the source has changed since the caller read it.
    case updateSource(SourceID, ifRevision: UInt64? = nil, SettingsUpdate<SourceConfiguration>)
    case deleteSource(SourceID)
    /// `isNameless`: it is called by its public id.
    case createEndpoint(EndpointConfiguration, isNameless: Bool = false)
    case updateEndpoint(EndpointID, ifRevision: UInt64? = nil, SettingsUpdate<EndpointConfiguration>)
    case deleteEndpoint(EndpointID)
    case createKey(KeyDraft)
    case deleteKey(KeyID)
    case createEventType(name: String, EventTypeSettings)
    case updateEventType(EventTypeID, SettingsUpdate<EventTypeSettings>)
    case deleteEventType(EventTypeID)
}

/// Who asks.
package struct ChangeActor: Equatable, Sendable {
    /// `start`, `signal`, `api`, or the name of a key, token or user.
    package var name: String
    package var requestID: String?

    package init(_ name: String, requestID: String? = nil) {
        self.name = name
        self.requestID = requestID
    }
    package static var start: ChangeActor { ChangeActor("start") }
    package static var signal: ChangeActor { ChangeActor("signal") }
}

/// Why a change was refused; nothing has changed then.
package enum RegistryRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    case invalid(ValidationIssues)
    /// The API asked to change what the manifest says.
    case managedByManifest(ResourceKind, name: String)
    case notFound(ResourceKind, number: UInt32)
    /// It has changed since the caller read it.
    case changedMeanwhile(ResourceKind, name: String, revision: UInt64)
    case defaultTenant
    case tenantInUse(name: String, sourceCount: Int, endpointCount: Int)
    case storeFailed(String)

    /// Stable, for the API and metrics.
    package var code: String {
        switch self {
        case .invalid: "invalid"
        case .managedByManifest: "managed_by_manifest"
        case .notFound: "not_found"
        case .changedMeanwhile: "changed_meanwhile"
        case .defaultTenant: "default_tenant"
        case .tenantInUse: "tenant_in_use"
        case .storeFailed: "store_failed"
        }
    }
    package var description: String {
        switch self {
        case .invalid(let issues): issues.description
        case .managedByManifest(let kind, let name):
            "\(kind.name) \"\(name)\" is managed by the configuration file; change it there and reload"
        case .notFound(let kind, let number): "there is no \(kind.name) with the number \(number)"
        case .changedMeanwhile(let kind, let name, let revision):
            "\(kind.name) \"\(name)\" has changed meanwhile and is at revision \(revision); read it again"
        case .defaultTenant: "the tenant \"\(TenantSpec.defaultName)\" cannot be renamed or deleted"
        case .tenantInUse(let name, let sourceCount, let endpointCount):
            "tenant \"\(name)\" has \(sourceCount) sources and \(endpointCount) endpoints; delete them first, or it "
                + "together with them"
        case .storeFailed(let reason): "the change could not be stored: \(reason)"
        }
    }
}
