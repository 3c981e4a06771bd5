// How an https endpoint is reached, as an operator says it: the files of an authority of its own, of a certificate to
// show, of revoked certificates. Paths, never what is in them: private keys stay where they are.

package struct EndpointTLS: Equatable, Codable, Sendable {
    /// PEM files. Without authorities the system's are trusted.
    package var authorities: String?
    package var certificate: String?
    package var key: String?
    package var revoked: String?
    /// A digest of what the files held when this was made: a certificate that was renewed in place is a change.
    package var contents = ""
    package init() {}

    /// The manifest's and the API's names of the files, in their order.
    package enum File: String, CaseIterable, Sendable { case ca, certificate, key, crl }
    package func path(_ file: File) -> String? {
        switch file {
        case .ca: authorities
        case .certificate: certificate
        case .key: key
        case .crl: revoked
        }
    }
    package var isEmpty: Bool { File.allCases.allSatisfy { path($0) == nil } }
}
