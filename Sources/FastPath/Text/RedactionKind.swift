// What a redaction finds, in the order in which one find takes precedence over another that it overlaps, and the text
// that takes its place.

package enum RedactionKind: UInt8, CaseIterable, Sendable {
    case slackToken, githubToken, gitlabToken
    /// With user information, or with a parameter that is a secret.
    case url
    /// `Bearer …`, `Basic …`.
    case token
    case apiKey, secret
    case email
    /// IPv4 and IPv6.
    case ip
    case namespace
    /// An expression of the operator's own.
    case custom

    /// In settings, metrics and answers.
    package var name: String {
        switch self {
        case .slackToken: "slack_token"
        case .githubToken: "github_token"
        case .gitlabToken: "gitlab_token"
        case .url: "url"
        case .token: "token"
        case .apiKey: "api_key"
        case .secret: "secret"
        case .email: "email"
        case .ip: "ip"
        case .namespace: "namespace"
        case .custom: "custom"
        }
    }
    /// `[REDACTED_…]`, without the brackets.
    package var label: String { "REDACTED_" + name.uppercased() }
    package static let builtIn = allCases.filter { $0 != .custom }
}

package struct RedactionKinds: Equatable, Sendable {
    package private(set) var bits: UInt16 = 0

    package init() {}
    package init(_ kinds: some Sequence<RedactionKind>) { for kind in kinds { insert(kind) } }
    package static var all: RedactionKinds { RedactionKinds(RedactionKind.allCases) }
    @inline(__always) package func contains(_ kind: RedactionKind) -> Bool { bits & (1 << UInt16(kind.rawValue)) != 0 }
    package mutating func insert(_ kind: RedactionKind) { bits |= 1 << UInt16(kind.rawValue) }
}

/// One find in a text.
package struct RedactionFind: Equatable, Sendable {
    package var start: Int
    package var end: Int
    /// Where what is secret of it begins: behind `password=`.
    package var valueStart: Int
    package var kind: RedactionKind
    /// Of the operator's own expressions, which one.
    package var custom: UInt8 = 0

    /// The order in which finds take precedence; expressions of the operator's come last, in theirs.
    var rank: Int { Int(kind.rawValue) << 8 | Int(custom) }
}

/// What a name says of the value that it names.
package enum SecretName {
    /// Nil when it says nothing. By its end, without case, `_`, `-`, `.` and space: `X-Api-Key`, `clientSecret`,
    /// `db.password`, `kubernetes_namespace`.
    package static func kind(_ name: ByteView) -> RedactionKind? {
        // Read from the behind; the longest word has 10 letters.
        var tail: InlineArray<12, UInt8> = InlineArray(repeating: 0)
        var count = 0
        var place = name.count
        while place > 0, count < 12 {
            place -= 1
            let byte = name[place]
            if byte == 0x5F || byte == 0x2D || byte == 0x2E || byte == 0x20 { continue }
            tail[count] = byte &- 65 < 26 ? byte | 0x20 : byte
            count += 1
        }
        guard count >= 3 else { return nil }
        switch tail[0] {
        case UInt8(ascii: "y"):  // key
            if ends(tail, count, "apikey") || ends(tail, count, "accesskey") || ends(tail, count, "authkey") {
                return .apiKey
            }
            if ends(tail, count, "secretkey") || ends(tail, count, "privatekey") { return .secret }
        case UInt8(ascii: "n"): if ends(tail, count, "token") { return .apiKey }
        case UInt8(ascii: "d"):
            if ends(tail, count, "password") || ends(tail, count, "passwd") || ends(tail, count, "pwd") {
                return .secret
            }
        case UInt8(ascii: "t"): if ends(tail, count, "secret") { return .secret }
        case UInt8(ascii: "e"):
            if ends(tail, count, "passphrase") { return .secret }
            if ends(tail, count, "namespace") { return .namespace }
        case UInt8(ascii: "s"): if ends(tail, count, "namespaces") { return .namespace }
        default: break
        }
        return nil
    }
    private static func ends(_ tail: InlineArray<12, UInt8>, _ count: Int, _ word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        guard count >= length else { return false }
        let view = ByteView(word)
        for index in 0..<length where tail[index] != view[length - 1 - index] { return false }
        return true
    }
}
