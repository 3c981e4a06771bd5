// What a listener shows over TLS, as an operator says it: paths of files, never what is in them.

package struct ListenerTLS: Equatable, Sendable {
    package struct Identity: Equatable, Sendable {
        /// The certificate with what leads to its root, in PEM.
        package var certificate = ""
        /// Nil when `certificate` holds it too.
        package var key: String?
        package init() {}
    }
    /// The first serves whoever asks for no name, or for one that none has.
    package var identities: [Identity] = []
    /// Whose certificates clients may show; nil: they are not asked for one.
    package var clientAuthorities: String?
    /// Lists of those of them that are revoked; nil: revocation is not looked at.
    package var clientRevoked: String?
    package init() {}

    /// In an order that does not change.
    package var paths: [String?] {
        identities.flatMap { [$0.certificate, $0.key] } + [clientAuthorities, clientRevoked]
    }
}
