// The keys of an identity provider: a JWK set (RFC 7517 section 5) as public keys. Only keys that verify one of our
// algorithms are taken; a set has others, and none of them makes it wrong.
//
// Invariants: a key verifies one algorithm, told by its own kind and never by a token; no private or symmetric key is
// taken from a set, for a set is no secret.
import FastPath

/// How a token is signed (RFC 7518 section 3.1, RFC 8037). There is no `none`.
package enum TokenAlgorithm: String, Sendable {
    case eddsa = "EdDSA"
    case es256 = "ES256"
    case rs256 = "RS256"
    case hs256 = "HS256"
}

package struct TokenKey: Sendable {
    package let id: String?
    package let key: PublicKey

    var algorithm: TokenAlgorithm {
        switch key.algorithm {
        case .ed25519: .eddsa
        case .ecdsaP256: .es256
        case .rsaSHA256, .rsaSHA1: .rs256
        }
    }
}

package enum JSONWebKeySetError: Error, Equatable, Sendable {
    case notASet
    case noUsableKey

    package var message: String {
        switch self {
        case .notASet: "holds no JWK set: an object of JSON with a list `keys`"
        case .noUsableKey:
            "holds no key that verifies EdDSA (Ed25519), ES256 (P-256) or RS256 (RSA of 2048 bits or more)"
        }
    }
}

package struct JSONWebKeySet: Sendable {
    package let keys: [TokenKey]
    /// So many are looked at; providers have two or three.
    package static let keyCountMax = 64

    package init(_ bytes: [UInt8]) throws(JSONWebKeySetError) {
        guard let document = SignedJSON(bytes), let list = document["keys"]?.elements else { throw .notASet }
        keys = list.prefix(JSONWebKeySet.keyCountMax).compactMap { JSONWebKeySet.key($0) }
        guard !keys.isEmpty else { throw .noUsableKey }
    }

    private static func key(_ entry: SignedJSON) -> TokenKey? {
        guard entry["use"] == nil || entry["use"]?.text == "sig", let kind = entry["kty"]?.text else { return nil }
        let read: PublicKey? =
            switch (kind, entry["crv"]?.text) {
            case ("OKP", "Ed25519"?): ed25519(entry)
            case ("EC", "P-256"?): p256(entry)
            case ("RSA", nil): rsa(entry)
            default: nil
            }
        guard let read else { return nil }
        let key = TokenKey(id: entry["kid"]?.text, key: read)
        guard entry["alg"] == nil || entry["alg"]?.text == key.algorithm.rawValue else { return nil }
        return key
    }
    private static func bytes(_ entry: SignedJSON, _ name: String) -> [UInt8]? {
        entry[name]?.text.flatMap { TextEncoding.bareBase64URL($0) }
    }
    private static func ed25519(_ entry: SignedJSON) -> PublicKey? {
        guard let point = bytes(entry, "x"), point.count == 32 else { return nil }
        return try? PublicKey("whpk_" + TextEncoding.base64(point), for: .ed25519)
    }
    private static func p256(_ entry: SignedJSON) -> PublicKey? {
        guard let x = bytes(entry, "x"), let y = bytes(entry, "y"), x.count == 32, y.count == 32 else { return nil }
        // id-ecPublicKey over prime256v1; the point is not compressed.
        let algorithm: [UInt8] = [
            0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D,
            0x03, 0x01, 0x07,
        ]
        return subjectKey(algorithm, [0x04] + x + y, for: .ecdsaP256)
    }
    private static func rsa(_ entry: SignedJSON) -> PublicKey? {
        guard let modulus = bytes(entry, "n"), let exponent = bytes(entry, "e"), modulus.count <= 2048,
            exponent.count <= 8
        else { return nil }
        // rsaEncryption with its NULL.
        let algorithm: [UInt8] = [
            0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00,
        ]
        let numbers = DER.sequence(DER.integer(modulus) + DER.integer(exponent))
        return subjectKey(algorithm, numbers, for: .rsaSHA256)
    }
    /// Of a SubjectPublicKeyInfo (RFC 5280 section 4.1).
    private static func subjectKey(
        _ algorithm: [UInt8], _ key: [UInt8], for kind: PublicKeyAlgorithm
    ) -> PublicKey? {
        let info = DER.sequence(algorithm + DER.element(0x03, [0] + key))
        return try? PublicKey(TextEncoding.base64(info), for: kind)
    }
}

/// As much of X.690's distinguished encoding as keys and signatures need.
enum DER {
    static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        let count = content.count
        if count < 0x80 { return [tag, UInt8(count)] + content }
        var length: [UInt8] = []
        var rest = count
        while rest > 0 {
            length.insert(UInt8(rest & 0xFF), at: 0)
            rest >>= 8
        }
        return [tag, 0x80 | UInt8(length.count)] + length + content
    }
    static func sequence(_ content: [UInt8]) -> [UInt8] { element(0x30, content) }
    /// A number that is not negative, the most significant byte first.
    static func integer(_ bytes: [UInt8]) -> [UInt8] {
        let bare = bytes.drop { $0 == 0 }
        let isSigned = bare.first.map { $0 & 0x80 != 0 } ?? true
        return element(0x02, (isSigned ? [0] : []) + bare)
    }
}
