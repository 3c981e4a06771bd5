// A source's secret with the time in which it counts, and how its text becomes key bytes. Runs on worker threads at
// start and reload; it may allocate and throws words a person can use, never the secret.

/// Outside its window a secret matches nothing; both ends belong to the window.
package struct SourceSecret: Equatable, Sendable, ExpressibleByStringLiteral {
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
    /// A public key of Ed25519: 32 bytes as hexadecimal, as base 64, or as `whpk_` and base 64.
    case ed25519
    /// A public key as SubjectPublicKeyInfo: PEM, or the base 64 of its DER. The bytes are the DER.
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
        case .ed25519: return try SecretEncoding.ed25519Key(of: secret, index: index)
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

    private static func ed25519Key(of secret: String, index: Int) throws(SchemeError) -> [UInt8] {
        if secret.hasPrefix("whsk_") || secret.hasPrefix("whsk1_") || secret.hasPrefix("whsec_") {
            throw .badSecret(
                index: index,
                wanted: "this is a key that signs; who verifies takes the public one, whpk_ and base 64")
        }
        let text = secret.hasPrefix("whpk_") ? String(secret.dropFirst(5)) : secret
        let isHex = text.utf8.count == 64
        let bytes = TextEncoding.bytes(of: text, as: isHex ? .hex : .base64)
        guard let bytes, bytes.count == 32 else {
            throw .badSecret(
                index: index,
                wanted: "an Ed25519 public key of 32 bytes: 64 hexadecimal digits, base 64, or whpk_ and base 64")
        }
        return bytes
    }

    private static func publicKeyInfo(of secret: String, index: Int) throws(SchemeError) -> [UInt8] {
        var text = secret
        if secret.contains("-----BEGIN") {
            let lines = secret.split(whereSeparator: \.isNewline).map(trimmed).filter { !$0.isEmpty }
            guard lines.first == "-----BEGIN PUBLIC KEY-----", lines.last == "-----END PUBLIC KEY-----" else {
                throw .badSecret(
                    index: index, wanted: "a PEM that begins with -----BEGIN PUBLIC KEY----- and is whole")
            }
            text = lines.dropFirst().dropLast().joined()
        }
        // DER of a SEQUENCE: whether it is a key, and of which algorithm, is for whoever verifies with it.
        guard let bytes = TextEncoding.bytes(of: text, as: .base64), bytes.count > 2, bytes[0] == 0x30 else {
            throw .badSecret(
                index: index, wanted: "a public key: PEM (-----BEGIN PUBLIC KEY-----), or base 64 of its DER (SPKI)")
        }
        return bytes
    }
    private static func trimmed(_ line: Substring) -> String {
        String(line.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}
