// Certificates of the configuration file that go by a name: whoever may only say a name (entries of the contract's
// registry) shows one of them to its `https` target. Plain values: paths, never what is in them.
//
// Invariant: a certificate is its tenant's. Another tenant that names it is told what one is told that names none, so
// that nobody calls a target in another's name.

package struct NamedCertificate: Equatable, Sendable {
    package static let everyTenant = "*"
    package static let listKey = "client_certificates"
    package var name = ""
    /// Whose entries may name it; `*` = every tenant's.
    package var tenant = TenantSpec.defaultName
    package var tls = EndpointTLS()
    package init() {}

    func isFor(_ tenant: String) -> Bool { self.tenant == tenant || self.tenant == NamedCertificate.everyTenant }
    var text: String { "\(name) for \(tenant): \(filesText(tls))" }
}

extension [NamedCertificate] {
    /// Nil for what this tenant may not name.
    func files(of name: String, for tenant: String) -> EndpointTLS? {
        first { $0.name == name && $0.isFor(tenant) }?.tls
    }
    /// What is wrong with the name, as the tenant is told it.
    func problem(ofName name: String, for tenant: String) -> String? {
        guard files(of: name, for: tenant) == nil else { return nil }
        let own = filter { $0.isFor(tenant) }.prefix(10).map { "`\($0.name)`" }
        let known = own.isEmpty ? "there is none for this tenant" : "there is \(own.joined(separator: ", "))"
        return "`\(name)` names none of the configuration's `\(NamedCertificate.listKey)`; \(known)"
    }
}

extension LiveSettings {
    /// The files by which an endpoint with these settings is reached; nil = the system's authorities, no certificate.
    package func tls(of endpoint: EndpointConfiguration) -> EndpointTLS? {
        guard let name = endpoint.extras.contract?.value.certificate else { return endpoint.tls }
        return namedCertificates.files(of: name, for: endpoint.tenant)
    }
}
