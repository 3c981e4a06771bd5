// A source's secret with the time in which it counts, and how its text becomes key bytes. Runs on worker threads at
// start and reload; it may allocate and throws words a person can use, never the secret.

/// Outside its window a secret matches nothing; both ends belong to the window.
package struct SourceSecret: Equatable, Codable, Sendable, ExpressibleByStringLiteral {
    package var value: String
    /// Unix seconds.
    package var notBefore: UInt64?
    package var notAfter: UInt64?

    package init(_ value: String, notBefore: UInt64? = nil, notAfter: UInt64? = nil) {
        self.value = value
        self.notBefore = notBefore
        self.notAfter = notAfter
    }
    package init(stringLiteral value: String) { self.init(value) }

    package func isUsable(at nowSeconds: UInt64) -> Bool {
        nowSeconds >= notBefore ?? 0 && nowSeconds <= notAfter ?? .max
    }
}

// A configuration that is printed, or interpolated into a message, must not show it.
extension SourceSecret: CustomStringConvertible, CustomReflectable {
    package var description: String { "(secret)" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

package enum SecretEncoding: String, CaseIterable, Sendable {
    /// The text's UTF-8 bytes.
    case text
    case base64
    case hex
    /// Base 64 with or without `whsec_` before it and padding behind it (Standard Webhooks).
    case whsec
    /// A public key of Ed25519 in any form that `PublicKey` takes; 32 bytes.
    case ed25519
    /// A public key of ECDSA P-256 or RSA in any form that `PublicKey` takes; the DER of its SubjectPublicKeyInfo.
    case spki

    package func key(of secret: String, index: Int) throws(SchemeError) -> [UInt8] {
        guard !secret.isEmpty else { throw .emptySecret(index: index) }
        switch self {
        case .text:
            return Array(secret.utf8)
        case .hex:
            guard let key = TextEncoding.bytes(of: secret, as: .hex), !key.isEmpty else {
                throw .badSecret(index: index, wanted: "hexadecimal digits, two for each byte")
            }
            return key
        case .base64:
            guard let key = TextEncoding.bytes(of: secret, as: .base64), !key.isEmpty else {
                throw .badSecret(index: index, wanted: "base 64")
            }
            return key
        case .whsec: return try SecretEncoding.symmetricKey(of: secret, index: index)
        case .ed25519:
            do throws(PublicKeyError) {
                return try PublicKey(secret, for: .ed25519).ed25519Bytes
            } catch { throw .badSecret(index: index, wanted: error.message) }
        case .spki: return try SecretEncoding.publicKeyInfo(of: secret, index: index)
        }
    }

    private static func symmetricKey(of secret: String, index: Int) throws(SchemeError) -> [UInt8] {
        // Taking a public key for a secret would let anyone sign.
        if secret.hasPrefix("whpk_") || secret.hasPrefix("whsk_") {
            throw .badSecret(
                index: index,
                wanted: "this is an ed25519 key (v1a); the scheme takes a symmetric secret, whsec_ and base 64")
        }
        let text = secret.hasPrefix("whsec_") ? String(secret.dropFirst(6)) : secret
        guard let key = TextEncoding.bytes(of: text, as: .base64), !key.isEmpty else {
            throw .badSecret(index: index, wanted: "whsec_ and base 64")
        }
        return key
    }

    private static func publicKeyInfo(of secret: String, index: Int) throws(SchemeError) -> [UInt8] {
        do throws(PublicKeyError) {
            return try PublicKey(secret, for: .ecdsaP256).spki
        } catch {
            guard case .otherKind(found: "RSA", _) = error else {
                throw .badSecret(index: index, wanted: error.message)
            }
        }
        do throws(PublicKeyError) {
            return try PublicKey(secret, for: .rsaSHA256).spki
        } catch { throw .badSecret(index: index, wanted: error.message) }
    }
}

extension SchemeDefinition {
    /// The key that verifies by this costly scheme. Traps for the others.
    package func publicKey(of secret: String, index: Int) throws(SchemeError) -> PublicKey {
        guard !secret.isEmpty else { throw .emptySecret(index: index) }
        let algorithm: PublicKeyAlgorithm =
            switch algorithm {
            case .ed25519: .ed25519
            case .ecdsaP256: .ecdsaP256
            case .rsaSHA256: .rsaSHA256
            case .hmac, .token, .basic: preconditionFailure("a scheme without public keys")
            }
        do throws(PublicKeyError) {
            return try PublicKey(secret, for: algorithm)
        } catch { throw .badSecret(index: index, wanted: error.message) }
    }
}
