// A public key that verifies: Ed25519, ECDSA over P-256 with SHA-256, RSA with PKCS #1 v1.5. For worker threads; a
// verification takes 50 µs and more.
//
// Invariants: a key is of the kind that its algorithm takes, or it is not made; an error names the form that would be
// right and never the value. The key is not changed after it was made, so threads may share it.
// Safety: the class owns its EVP_PKEY and frees it once; pointers into arrays live for one call.

import CShims

package enum PublicKeyAlgorithm: String, CaseIterable, Sendable {
    case ed25519
    /// SHA-256, signatures as ASN.1 DER.
    case ecdsaP256
    case rsaSHA256
    /// For what still uses it (SNS signature version 1); a second preimage of SHA-1 is not within reach.
    case rsaSHA1

    var digest: Int32 {
        switch self {
        case .ed25519: Int32(SLUICE_KEY_PURE.rawValue)
        case .ecdsaP256, .rsaSHA256: Int32(SLUICE_KEY_SHA256.rawValue)
        case .rsaSHA1: Int32(SLUICE_KEY_SHA1.rawValue)
        }
    }
    var kind: Int32 {
        switch self {
        case .ed25519: Int32(SLUICE_KEY_ED25519.rawValue)
        case .ecdsaP256: Int32(SLUICE_KEY_P256.rawValue)
        case .rsaSHA256, .rsaSHA1: Int32(SLUICE_KEY_RSA.rawValue)
        }
    }
    /// The forms in which people have such a public key.
    package var publicForms: String {
        switch self {
        case .ed25519: "an Ed25519 public key: 64 hexadecimal digits, base 64 of 32 bytes, whpk_ and base 64, or PEM"
        case .ecdsaP256: "a P-256 public key: base 64 of its SubjectPublicKeyInfo, or PEM"
        case .rsaSHA256, .rsaSHA1:
            "an RSA public key of 2048 bits or more: base 64 of its SubjectPublicKeyInfo, or PEM"
        }
    }
}

/// Why a text is no key. Carries the form that would be right, never the text.
package enum PublicKeyError: Error, Equatable, Sendable {
    case wrongForm(wanted: String)
    /// It is one, but of a pair's secret half.
    case isPrivate(wanted: String)
    case otherKind(found: String, wanted: String)
    case tooShort(bits: Int, wanted: String)

    package var message: String {
        switch self {
        case .wrongForm(let wanted): wanted
        case .isPrivate(let wanted): "this is a private key; wanted is \(wanted)"
        case .otherKind(let found, let wanted): "this is a key for \(found); wanted is \(wanted)"
        case .tooShort(let bits, let wanted): "this key has \(bits) bits; wanted is \(wanted)"
        }
    }
}

@safe package final class PublicKey: @unchecked Sendable {
    package let algorithm: PublicKeyAlgorithm
    private let key: OpaquePointer
    private static let rsaBitsMin = 2048

    /// Takes the key over, also when it throws.
    init(owning key: OpaquePointer, for algorithm: PublicKeyAlgorithm) throws(PublicKeyError) {
        let wanted = algorithm.publicForms
        guard unsafe sluice_key_kind(key) == algorithm.kind else {
            let found = unsafe PublicKey.kindName(sluice_key_kind(key))
            unsafe sluice_key_free(key)
            throw .otherKind(found: found, wanted: wanted)
        }
        let bits = unsafe Int(sluice_key_bits(key))
        guard algorithm.kind != SLUICE_KEY_RSA.rawValue || bits >= PublicKey.rsaBitsMin else {
            unsafe sluice_key_free(key)
            throw .tooShort(bits: bits, wanted: wanted)
        }
        unsafe self.key = key
        self.algorithm = algorithm
    }
    deinit { unsafe sluice_key_free(key) }

    /// `text`: hexadecimal, base 64 or `whpk_` (Ed25519), base 64 of a SubjectPublicKeyInfo, PEM of one, or of a
    /// certificate.
    package convenience init(_ text: String, for algorithm: PublicKeyAlgorithm) throws(PublicKeyError) {
        let wanted = algorithm.publicForms
        let trimmed = KeyText.trimmed(text)
        guard !trimmed.hasPrefix("whsk_"), !(KeyText.isPEM(trimmed) && trimmed.contains("PRIVATE KEY-----")) else {
            throw .isPrivate(wanted: wanted)
        }
        guard !trimmed.hasPrefix("whsec_"), let key = unsafe PublicKey.parse(trimmed, algorithm) else {
            throw .wrongForm(wanted: wanted)
        }
        unsafe try self.init(owning: key, for: algorithm)
    }

    private static func parse(_ text: String, _ algorithm: PublicKeyAlgorithm) -> OpaquePointer? {
        if KeyText.isPEM(text) {
            let bytes = Array(text.utf8)
            if let key = unsafe bytes.withUnsafeBufferPointer({ unsafe sluice_key_public_pem($0.baseAddress, $0.count) }
            ) {
                return unsafe key
            }
            guard let certificate = unsafe sluice_certificate_pem(bytes, bytes.count, 0) else { return nil }
            defer { unsafe sluice_certificate_free(certificate) }
            return unsafe sluice_certificate_key(certificate)
        }
        if algorithm == .ed25519, let raw = KeyText.ed25519Bytes(text, prefix: "whpk_") {
            return unsafe raw.count == 32 ? sluice_key_ed25519_public(raw) : nil
        }
        guard !text.hasPrefix("whpk_"), let der = KeyText.base64(text) else { return nil }
        return unsafe sluice_key_public_der(der, der.count)
    }
    private static func kindName(_ kind: Int32) -> String {
        switch UInt32(kind) {
        case SLUICE_KEY_ED25519.rawValue: "Ed25519"
        case SLUICE_KEY_P256.rawValue: "ECDSA P-256"
        case SLUICE_KEY_RSA.rawValue: "RSA"
        default: "another algorithm"
        }
    }

    /// True exactly when `signature` was made over `message` by this key's private half.
    package func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        guard !signature.isEmpty else { return false }
        return unsafe sluice_key_verify(key, algorithm.digest, signature, signature.count, message, message.count) == 1
    }
    /// The same key for the algorithm's sister, such as RSA with the other digest.
    package func verifies(_ signature: [UInt8], of message: [UInt8], as other: PublicKeyAlgorithm) -> Bool {
        guard !signature.isEmpty, other.kind == algorithm.kind else { return false }
        return unsafe sluice_key_verify(key, other.digest, signature, signature.count, message, message.count) == 1
    }

    /// False for what no private key could have written: not 64 bytes for Ed25519, no DER of two integers for ECDSA.
    package static func isWellFormed(_ signature: [UInt8], for algorithm: PublicKeyAlgorithm) -> Bool {
        switch algorithm {
        case .ed25519: signature.count == 64
        case .ecdsaP256: unsafe sluice_signature_is_der(signature, signature.count) == 1
        case .rsaSHA256, .rsaSHA1: !signature.isEmpty
        }
    }

    /// As people paste it: `whpk_` for Ed25519, base 64 of the SubjectPublicKeyInfo for the others.
    package var text: String {
        algorithm == .ed25519 ? "whpk_" + TextEncoding.base64(ed25519Bytes) : TextEncoding.base64(spki)
    }
    /// 32 bytes; empty for the others.
    package var ed25519Bytes: [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            count = unsafe sluice_key_ed25519_bytes(key, buffer.baseAddress) == 1 ? 32 : 0
        }
    }
    package var spki: [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            let bytes = unsafe sluice_key_spki(key, buffer.baseAddress, buffer.count)
            count = bytes <= buffer.count ? bytes : 0
        }
    }
}

/// What a pasted key's text can be.
enum KeyText {
    static func trimmed(_ text: String) -> String {
        let bytes = Array(text.utf8)
        guard let first = bytes.firstIndex(where: { $0 > 0x20 }), let last = bytes.lastIndex(where: { $0 > 0x20 })
        else { return "" }
        return String(decoding: bytes[first...last], as: UTF8.self)
    }
    static func isPEM(_ text: String) -> Bool { text.hasPrefix("-----BEGIN ") }

    /// Hexadecimal or base 64, the latter with or without `prefix`; nil when it is neither.
    static func ed25519Bytes(_ text: String, prefix: String) -> [UInt8]? {
        if text.hasPrefix(prefix) { return base64(String(text.dropFirst(prefix.count))) }
        if text.utf8.count == 64, let bytes = TextEncoding.bytes(of: text, as: .hex) { return bytes }
        guard let bytes = base64(text), bytes.count == 32 || bytes.count == 64 else { return nil }
        return bytes
    }
    /// Line breaks are those of a pasted PEM's inside.
    static func base64(_ text: String) -> [UInt8]? {
        let bare = String(decoding: text.utf8.filter { $0 != 0x0A && $0 != 0x0D }, as: UTF8.self)
        guard let bytes = TextEncoding.bytes(of: bare, as: .base64), !bytes.isEmpty else { return nil }
        return bytes
    }
}
