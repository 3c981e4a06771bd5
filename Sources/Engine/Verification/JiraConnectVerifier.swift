// Atlassian Connect: a JWT (HS256) whose `qsh` claim covers method, path and query. The body is not covered; that is
// Atlassian's rule.
//
// Invariants: HS256 and nothing else, whatever the token says; a token without an expiry, or with parts that must be
// understood (`crit`), is refused; `context-qsh`, which covers no request at all, is no hash here.

import FastPath

struct JiraConnectVerifier: StepwiseVerifier {
    /// For clocks that differ a little.
    static let leewaySeconds: UInt64 = 30
    private let memory: CompiledMemory
    private let keys: [TimedKey<SigningKey>]
    /// The path of the app's base URL, which the hash leaves out; empty when it has none.
    private let basePath: String

    init(_ secrets: [SourceSecret], basePath: String = "") throws(SchemeError) {
        memory = CompiledMemory()
        var keys: [TimedKey<SigningKey>] = []
        for (index, secret) in secrets.enumerated() {
            let bytes = try SecretEncoding.text.key(of: secret.value, index: index)
            keys.append(TimedKey(SigningKey(secret: bytes, algorithm: .sha256, in: memory), of: secret))
        }
        guard !keys.isEmpty else { throw .noSecret }
        self.keys = keys
        self.basePath = basePath == "/" ? "" : basePath
    }

    func check(
        _ request: borrowing CapturedRequest, origin: String?, nowSeconds: UInt64
    ) throws(VerificationFailure) {
        let value = try request.single("authorization")
        guard value.utf8.count > 4, value.prefix(4).lowercased() == "jwt " else { throw .rejected(.malformedHeader) }
        let parts = value.dropFirst(4).split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let headBytes = TextEncoding.bareBase64URL(parts[0]),
            let claimBytes = TextEncoding.bareBase64URL(parts[1]), let head = SignedJSON(headBytes),
            case .object = head
        else { throw .rejected(.malformedHeader) }
        guard head["alg"]?.text == "HS256" else { throw .rejected(.wrongAlgorithm) }
        guard head["crit"] == nil, let signature = TextEncoding.bareBase64URL(parts[2]) else {
            throw .rejected(.malformedHeader)
        }
        let signed = Array("\(parts[0]).\(parts[1])".utf8)
        let usable: [SigningKey] = keys.usable(at: nowSeconds)
        let isSigned = withExtendedLifetime(memory) {
            usable.contains { Digest.areEqual($0.mac(over: signed), signature) }
        }
        guard isSigned else { throw .rejected(.signatureMismatch) }
        guard let claims = SignedJSON(claimBytes), case .object = claims else { throw .rejected(.malformedHeader) }
        try checkHash(claims, request)
        try checkTimes(claims, nowSeconds)
    }

    private func checkHash(
        _ claims: SignedJSON, _ request: borrowing CapturedRequest
    ) throws(VerificationFailure) {
        guard let claimed = claims["qsh"]?.text else { throw .rejected(.signatureMismatch) }
        var paths = [request.path]
        if !basePath.isEmpty, request.path.hasPrefix(basePath) {
            let rest = String(request.path.dropFirst(basePath.count))
            if rest.isEmpty || rest.hasPrefix("/") { paths.append(rest) }
        }
        let method = request.method
        let query = request.query
        let isEqual = paths.contains { path in
            Digest.areEqual(
                Array(QueryHash.hash(method: method, path: path, query: query).utf8), Array(claimed.utf8))
        }
        guard isEqual else { throw .rejected(.signatureMismatch) }
    }

    private func checkTimes(_ claims: SignedJSON, _ nowSeconds: UInt64) throws(VerificationFailure) {
        guard let expiry = claims["exp"]?.seconds else { throw .rejected(.malformedTimestamp) }
        guard nowSeconds <= expiry + JiraConnectVerifier.leewaySeconds else { throw .rejected(.staleTimestamp) }
        for name in ["iat", "nbf"] {
            guard let claim = claims[name] else { continue }
            guard let time = claim.seconds else { throw .rejected(.malformedTimestamp) }
            guard time <= nowSeconds + JiraConnectVerifier.leewaySeconds else { throw .rejected(.futureTimestamp) }
        }
    }
}

/// Atlassian's canonical request and its hash, the `qsh` claim.
package enum QueryHash {
    package static func hash(method: String, path: String, query: String) -> String {
        TextEncoding.hex(Digest.sha256(Array(canonical(method: method, path: path, query: query).utf8)))
    }

    static func canonical(method: String, path: String, query: String) -> String {
        var trimmed = path[...]
        while trimmed.hasSuffix("/") { trimmed = trimmed.dropLast() }
        let place =
            trimmed.isEmpty
            ? "/"
            : trimmed.split(separator: "&", omittingEmptySubsequences: false)
                .joined(separator: "%26")
        var values: [String: [String]] = [:]
        for pair in query.split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = encoded(halves[0])
            if name == "jwt" { continue }
            values[name, default: []].append(halves.count > 1 ? encoded(halves[1]) : "")
        }
        let names = values.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let parameters = names.map { name in
            let sorted = (values[name] ?? []).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            return "\(name)=\(sorted.joined(separator: ","))"
        }
        return "\(method.uppercased())&\(place)&\(parameters.joined(separator: "&"))"
    }

    /// Decoded, with a plus as a space, and encoded again: what RFC 3986 reserves, upper-case.
    private static func encoded(_ text: Substring) -> String {
        var result: [UInt8] = []
        var bytes = Array(text.utf8)[...]
        while var byte = bytes.popFirst() {
            if byte == 0x2B { byte = 0x20 }
            if byte == 0x25, bytes.count >= 2,
                let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16)
            {
                byte = value
                bytes = bytes.dropFirst(2)
            }
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: result.append(byte)
            default: result += Array("%\(TextEncoding.hex([byte]).uppercased())".utf8)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
