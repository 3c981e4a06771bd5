// A signed token of an identity provider (JWT, RFC 7519, in the compact form of RFC 7515): taken apart strictly, then
// held against keys and claims. Pure; the time comes in.
//
// Invariants: the algorithm is the key's, and a token that says another is refused; what the header says about where
// keys are to be found (`jku`, `x5u`, `jwk`, `x5c`) is never looked at; a name that an object has twice, a header that
// asks to be understood (`crit`) and a token without an end are refused. A claim counts only behind a signature.
import FastPath

/// Why a token is refused. Says nothing that its bearer does not know, but for what is configured by name.
package enum TokenFault: Error, Equatable, Sendable {
    case malformed
    case algorithm
    case unknownKey
    case signature
    case issuer
    case audience
    case expired
    case notYet
    case claim(String)

    package var message: String {
        switch self {
        case .malformed: "the token is no signed JWT (three parts of base 64 for URLs)"
        case .algorithm: "the token is not signed in a way that is taken here, or not as its key is"
        case .unknownKey: "the token's key is none of the identity provider's; if it is new, try again in a minute"
        case .signature: "the token's signature is wrong"
        case .issuer: "the token is another issuer's"
        case .audience: "the token is for another audience"
        case .expired: "the token has expired"
        case .notYet: "the token is not valid yet"
        case .claim(let name): "the token's claim `\(name)` is missing, or says nothing that is known here"
        }
    }
}

struct JSONWebToken {
    /// Clocks differ a little.
    static let leewaySeconds: UInt64 = 60
    static let bytesMax = 16_384

    let algorithm: TokenAlgorithm
    let keyID: String?
    let claims: SignedJSON
    private let signed: [UInt8]
    private let signature: [UInt8]

    /// Told from the gateway's own tokens, which have no dots.
    static func hasForm(_ text: String) -> Bool { text.utf8.lazy.filter { $0 == 0x2E }.count == 2 }

    init(_ text: String) throws(TokenFault) {
        guard text.utf8.count <= JSONWebToken.bytesMax else { throw .malformed }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = TextEncoding.bareBase64URL(parts[0]).flatMap({ SignedJSON($0) }),
            case .object = head, head["crit"] == nil,
            let claims = TextEncoding.bareBase64URL(parts[1]).flatMap({ SignedJSON($0) }), case .object = claims,
            let signature = TextEncoding.bareBase64URL(parts[2])
        else { throw .malformed }
        if let type = head["typ"] {
            guard let name = type.text?.lowercased(), ["jwt", "at+jwt", "application/at+jwt"].contains(name) else {
                throw .malformed
            }
        }
        guard let name = head["alg"]?.text, let algorithm = TokenAlgorithm(rawValue: name) else { throw .algorithm }
        if let id = head["kid"] {
            guard let text = id.text else { throw .malformed }
            keyID = text
        } else {
            keyID = nil
        }
        self.algorithm = algorithm
        self.claims = claims
        self.signature = signature
        signed = Array("\(parts[0]).\(parts[1])".utf8)
    }

    /// Of the provider's keys, those with the token's key id; where it names none, all.
    func check(_ keys: [TokenKey]) throws(TokenFault) {
        let meant = keys.filter { keyID == nil || $0.id == keyID }
        guard !meant.isEmpty else { throw .unknownKey }
        let usable = meant.filter { $0.algorithm == algorithm }
        guard !usable.isEmpty else { throw .algorithm }
        // Whoever names no key has few.
        guard usable.prefix(keyID == nil ? 4 : 64).contains(where: { isSigned(by: $0.key) }) else { throw .signature }
    }
    private func isSigned(by key: PublicKey) -> Bool {
        guard key.algorithm == .ecdsaP256 else { return key.verifies(signature, of: signed) }
        // RFC 7518 section 3.4: both numbers at their full length.
        guard signature.count == 64 else { return false }
        let der = DER.sequence(DER.integer(Array(signature[..<32])) + DER.integer(Array(signature[32...])))
        return key.verifies(der, of: signed)
    }
    func check(secret: [UInt8]) throws(TokenFault) {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        try check(by: SigningKey(secret: secret, algorithm: .sha256, in: memory))
    }
    /// The key is one of HMAC-SHA256, and its memory lives through the call.
    func check(by key: SigningKey) throws(TokenFault) {
        guard algorithm == .hs256 else { throw .algorithm }
        guard Digest.areEqual(key.mac(over: signed), signature) else { throw .signature }
    }

    /// The last second in which it is good.
    func checkClaims(_ settings: IdentitySettings, nowSeconds: UInt64) throws(TokenFault) -> UInt64 {
        guard claims["iss"]?.text == settings.issuer else { throw .issuer }
        let audiences = claims["aud"]?.text.map { [$0] } ?? claims["aud"]?.elements?.compactMap(\.text) ?? []
        guard audiences.contains(where: settings.audiences.contains) else { throw .audience }
        guard let end = JSONWebToken.seconds(claims["exp"]) else { throw .claim("exp") }
        let (last, isEndless) = end.addingReportingOverflow(JSONWebToken.leewaySeconds)
        guard !isEndless, nowSeconds < last else { throw .expired }
        for name in ["nbf", "iat"] {
            guard let claim = claims[name] else { continue }
            guard let time = JSONWebToken.seconds(claim) else { throw .claim(name) }
            guard time <= nowSeconds + JSONWebToken.leewaySeconds else { throw .notYet }
        }
        return last - 1
    }
    /// A NumericDate (RFC 7519 section 2): seconds, of which a fraction is left out.
    private static func seconds(_ claim: SignedJSON?) -> UInt64? {
        guard case .number(let text)? = claim else { return nil }
        let (whole, fraction) = (text.prefix { $0 != "." }, text.drop { $0 != "." }.dropFirst())
        guard whole.utf8.count <= 16, fraction.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt64(whole)
    }
}
