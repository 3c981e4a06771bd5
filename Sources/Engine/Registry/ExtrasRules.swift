// What must hold for the header fields and the credentials that an endpoint has of its own. Pure.
//
// Invariants: a name or a value that passes here cannot end its line; all lines together are few enough that comparing
// each received field with them costs a delivery little.
import FastPath

package enum ExtrasRules {
    package static let fieldCountMax = 50
    /// Names and values of all header fields together; each received field is compared with the names.
    package static let fieldBytesMax = 16 << 10
    package static let nameBytesMax = 256
    /// `user:password`.
    package static let credentialBytesMax = 1024

    static func issues(of extras: EndpointExtras, at path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        let byteCount = extras.fields.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        if extras.fields.count > fieldCountMax {
            issues.append(
                ValidationIssue(path["headers"], "has \(extras.fields.count) names; at most \(fieldCountMax)"))
        } else if byteCount > fieldBytesMax {
            issues.append(
                ValidationIssue(
                    path["headers"], "has names and values of \(byteCount) bytes; at most \(fieldBytesMax)"))
        } else if let problem = extras.fields.lazy.compactMap(problem).first {
            issues.append(ValidationIssue(path["headers"], problem, about: .nothing))
        } else if Set(extras.fields.map { $0.name.lowercased() }).count != extras.fields.count {
            issues.append(ValidationIssue(path["headers"], "has a name twice"))
        }
        let credentials = extras.userInformation.utf8
        if credentials.count > credentialBytesMax {
            issues.append(
                ValidationIssue(
                    path["url"], "has `user:password` of \(credentials.count) bytes; at most \(credentialBytesMax)",
                    about: .nothing))
        } else if !credentials.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) {
            issues.append(
                ValidationIssue(
                    path["url"], "has a space or a control character in `user:password`; write it as %20",
                    about: .nothing))
        }
        return issues
    }
    /// The first rule that a field breaks; says nothing of its value.
    private static func problem(_ field: ConfiguredField) -> String? {
        guard field.name.utf8.count <= nameBytesMax, isToken(field.name) else {
            return "has a name that no header field can have: 1 to \(nameBytesMax) letters, digits and !#$%&'*+-.^_`|~"
        }
        if let reason = refusal(of: field.name) { return "has `\(field.name)`, \(reason)" }
        guard field.value.utf8.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }) else {
            return "has a control character in the value of `\(field.name)`"
        }
        let ends = [field.value.utf8.first, field.value.utf8.last]
        guard !ends.contains(where: { $0 == 0x20 || $0 == 0x09 }) else {
            return "has white space at an end of the value of `\(field.name)`, which no receiver would see"
        }
        return nil
    }
    /// Why no endpoint may have it as a field of its own; nil when it may.
    package static func refusal(of name: String) -> String? {
        let name = name.lowercased()
        switch name {
        case "connection", "keep-alive", "proxy-connection", "te", "trailer", "trailers", "transfer-encoding",
            "upgrade", "proxy-authenticate", "proxy-authorization":
            return "which is of one connection only (hop-by-hop)"
        case "host", "content-length", "content-type", "content-encoding", "expect", "user-agent":
            return "which the gateway writes itself: it says what is sent, or where to"
        default: break
        }
        let own = ["webhook-", "svix-", "sluice-"].first { name.hasPrefix($0) }
        return own.map { "which begins with `\($0)`, as the fields of the delivery's id and signature do" }
    }
    private static func isToken(_ text: String) -> Bool { Array(text.utf8).withView { FieldRules.isToken($0) } }
}
