// Whose tokens open the control API beside the gateway's own keys: one identity provider of the operator's, told by its
// issuer, by the audience it names the gateway by, and by the keys it signs with.
import FastPath

package struct IdentitySettings: Equatable, Sendable {
    /// A token's `iss`, compared byte by byte.
    package var issuer = ""
    /// One of these is a token's `aud`, or among them.
    package var audiences: [String] = []
    /// A file of keys or an `https://` URL of one (JWK set, RFC 7517 section 5); empty where `secret` signs.
    package var keys = ""
    /// What HS256 signs with, as text; empty where `keys` verify.
    package var secret = ""
    /// The claim that names the tenant, by its id or its uid.
    package var tenantClaim = "tenant"
    /// The claim that is a role's name.
    package var roleClaim = "role"
    /// A digest of the file, so that other keys in it are a change.
    package var contents: String?
    package static let secretBytesMin = 32

    package init() {}

    /// For the list of changes: other keys in the file are another label.
    var label: String { issuer + (contents.map { " (\($0.prefix(8)))" } ?? "") }
    package var isFetched: Bool { keys.hasPrefix("https://") }

    /// Rules of the fields; what the file holds is told when it is read.
    func issues(at path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        if issuer.isEmpty { issues.append(ValidationIssue(path["issuer"], "is empty; a token's `iss` has to be it")) }
        if audiences.isEmpty || audiences.contains("") {
            issues.append(
                ValidationIssue(path["audience"], "names nobody; a token's `aud` has to be it, or one of these"))
        }
        if keys.isEmpty == secret.isEmpty {
            issues.append(
                ValidationIssue(path, "needs either `keys` (a file or an https URL of a JWK set) or `secret` (HS256)"))
        } else if keys.isEmpty, secret.utf8.count < IdentitySettings.secretBytesMin {
            issues.append(
                ValidationIssue(
                    path["secret"], "is shorter than \(IdentitySettings.secretBytesMin) bytes; HS256 needs as many"))
        }
        for (name, claim) in [("tenant_claim", tenantClaim), ("role_claim", roleClaim)] where claim.isEmpty {
            issues.append(ValidationIssue(path[name], "is empty; it names a claim of the token"))
        }
        if isFetched {
            do throws(EndpointAddressError) { _ = try EndpointAddress(keys) } catch {
                issues.append(ValidationIssue(path["keys"], "\(error)", about: .value))
            }
        }
        return issues
    }
}
