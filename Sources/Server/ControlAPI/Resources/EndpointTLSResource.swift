// The files of an https endpoint, as the API takes and shows them: paths on the gateway's machine.
import Engine

package struct EndpointTLSResource: Codable, Equatable, Sendable {
    package var ca: String?
    package var certificate: String?
    package var key: String?
    package var crl: String?
    package init() {}
}

extension EndpointTLSResource: Described {
    package static let schema = ObjectSchema(
        "EndpointTLS",
        "Files in PEM on the gateway's machine; read when the endpoint is made or changed and at a start.",
        [
            .optional("ca", .text, "Authorities that are trusted instead of the system's."),
            .optional("certificate", .text, "A certificate to show, with what leads to its root."),
            .optional("key", .text, "Its private key; absent when `certificate` holds it too."),
            .optional("crl", .text, "Lists of revoked certificates; one must cover the endpoint's."),
        ])
}

extension EndpointTLSResource {
    init(_ tls: EndpointTLS) {
        self.init()
        ca = tls.authorities
        certificate = tls.certificate
        key = tls.key
        crl = tls.revoked
    }
}

extension EndpointTLS {
    /// Nil when no file is named.
    init?(_ resource: EndpointTLSResource) {
        self.init()
        authorities = resource.ca
        certificate = resource.certificate
        key = resource.key
        revoked = resource.crl
        guard !isEmpty else { return nil }
        noteContents()
    }
}
