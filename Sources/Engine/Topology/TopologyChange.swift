// The seam between the registry and what runs. A change reaches every part in three steps, and the types say what each
// may do: `prepare` compiles and may refuse; `secure` does durable work and may fail; `publish` swaps what was prepared
// and can do neither. Parts are published only when all have been prepared and secured and the registry is committed,
// so no change is ever in force in one part and not in another.
import FastPath

/// What changes, for whoever compiles it.
package struct TopologyChange: Sendable {
    /// New or changed.
    package let endpoints: [EndpointSpec]
    /// Of `endpoints`, those whose number is new; one that comes back goes on where it stood.
    package let addedEndpoints: Set<EndpointID>
    /// Run no more; most of them keep their identity and may come back.
    package let removedEndpoints: [EndpointID]
    /// Will never come back: what is kept about them can go.
    package let deletedEndpoints: [EndpointID]
    package let compilation: EndpointCompilation
    /// Nil when neither a source nor what is compiled into sources changed.
    package let sources: SourceTopology?
    package let live: LiveSettings
    /// Names where issues belong: the place of an endpoint in the change.
    let paths: [EndpointID: FieldPath]
    /// Nil when no tenant's is another than before.
    let weights: TenantWeights?
    package let after: RegistryState

    /// Where a mistake of this endpoint belongs.
    package func path(of id: EndpointID) -> FieldPath {
        paths[id] ?? FieldPath("endpoints", after.endpoints[id]?.qualifiedName ?? "\(id)")
    }
}

/// What all endpoints are compiled with; when it changes, all are compiled again.
package struct EndpointCompilation: Equatable, Sendable {
    package let allow: [String]
    /// Header fields that carry a source's secret itself, in lower case: never forwarded.
    package let withheldHeaders: [String]
    package let proxy: ProxySettings?
    package let schedules: FamilySchedules
    package let certificates: [NamedCertificate]

    package init(
        allow: [String], withheldHeaders: [String], proxy: ProxySettings? = nil,
        schedules: FamilySchedules = FamilySchedules(), certificates: [NamedCertificate] = []
    ) {
        self.certificates = certificates
        self.allow = allow
        self.withheldHeaders = withheldHeaders
        self.proxy = proxy
        self.schedules = schedules
    }
    package var rules: AddressRules { AddressRules(valid: allow) }
}

/// A part of the process that runs what the registry describes.
package protocol TopologyParticipant: Sendable {
    /// Compiles; changes nothing that anyone can see.
    func prepare(_ change: TopologyChange) throws(ValidationIssues) -> any PreparedTopology
}

package protocol PreparedTopology: Sendable {
    /// Durable work that must precede the registry's commit, and harms nothing when that never comes.
    func secure() throws
    func publish()
    /// Those of the resources that it compiled, where there may be some: they are counted as they are, not compiled
    /// again for it.
    var expressions: [ExpressionLedger.Owner: [LinearPattern]] { get }
}

extension PreparedTopology {
    package func secure() throws {}
    package var expressions: [ExpressionLedger.Owner: [LinearPattern]] { [:] }
}
