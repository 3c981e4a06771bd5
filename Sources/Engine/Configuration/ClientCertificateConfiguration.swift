// What a source demands of its clients' certificates, as an operator says it: the path of a file with authorities,
// names, fingerprints. Each that is given must fit.

package struct ClientCertificateConfiguration: Equatable, Codable, Sendable {
    /// A PEM file; nil: any of the listener's authorities.
    package var authorities: String?
    /// Common names, or DNS names, URIs and e-mail addresses of the subject alternative name.
    package var names: [String] = []
    /// SHA-256 of certificates, in hexadecimal, with or without colons.
    package var fingerprints: [String] = []
    /// A digest of what the file held when this was made: authorities that were changed in place are a change.
    package var contents = ""
    package init() {}

    /// For a list of what has changed.
    package var summary: String {
        let parts = [
            authorities.map { "ca \(PEMFile.name($0)) (\(contents.prefix(8)))" },
            names.isEmpty ? nil : "names \(names.joined(separator: ", "))",
            fingerprints.isEmpty ? nil : "\(fingerprints.count) fingerprints",
        ]
        return parts.compactMap(\.self).joined(separator: "; ")
    }
    package var isEmpty: Bool { authorities == nil && names.isEmpty && fingerprints.isEmpty }
}
