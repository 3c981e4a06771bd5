// A private key that signs: for `sluice send`, for tests, and for signing what goes out. Ed25519 and ECDSA P-256.
//
// Invariants: as in PublicKey.swift. The text of a key is given out only by `secretText`, and by nothing that prints.
// Safety: the class owns its EVP_PKEY, which OpenSSL zeroises when it frees it; pointers into arrays live for one call.

import CShims

@safe package final class PrivateKey: @unchecked Sendable {
    package let algorithm: PublicKeyAlgorithm
    private let key: OpaquePointer
    /// RSA signatures of 8192 bits have as many.
    private static let signatureBytesMax = 1024

    private static func forms(_ algorithm: PublicKeyAlgorithm) -> String {
        algorithm == .ed25519
            ? "an Ed25519 private key: whsk_ and base 64, 64 hexadecimal digits of its seed, or PKCS #8 PEM"
            : "a private key for \(algorithm == .ecdsaP256 ? "ECDSA P-256" : "RSA") as PEM, without a password"
    }

    /// `text`: `whsk_` and base 64 of the seed and the public key (or of the seed alone), hexadecimal of the seed, or
    /// PEM. A `whsk_` whose halves do not belong together is refused: signing with it would give the seed away.
    package init(_ text: String, for algorithm: PublicKeyAlgorithm) throws(PublicKeyError) {
        let wanted = PrivateKey.forms(algorithm)
        let trimmed = KeyText.trimmed(text)
        guard !trimmed.hasPrefix("whpk_"), !trimmed.hasPrefix("whsec_"),
            let key = unsafe PrivateKey.parse(trimmed, algorithm)
        else { throw .wrongForm(wanted: wanted) }
        guard unsafe sluice_key_kind(key) == algorithm.kind else {
            unsafe sluice_key_free(key)
            throw .wrongForm(wanted: wanted)
        }
        unsafe self.key = key
        self.algorithm = algorithm
    }
    private init(owning key: OpaquePointer, algorithm: PublicKeyAlgorithm) {
        unsafe self.key = key
        self.algorithm = algorithm
    }
    deinit { unsafe sluice_key_free(key) }

    /// A fresh key of Ed25519 or ECDSA P-256; nil when the system gives no randomness, or for RSA.
    package static func generate(_ algorithm: PublicKeyAlgorithm) -> PrivateKey? {
        switch algorithm {
        case .ed25519:
            var seed = [UInt8](repeating: 0, count: 32)
            guard unsafe sluice_random(&seed, seed.count) == 0, let key = unsafe sluice_key_ed25519_private(seed) else {
                return nil
            }
            unsafe sluice_memory_cleanse(&seed, seed.count)
            return unsafe PrivateKey(owning: key, algorithm: algorithm)
        case .ecdsaP256:
            return unsafe sluice_key_p256_generate().map { unsafe PrivateKey(owning: $0, algorithm: algorithm) }
        case .rsaSHA256, .rsaSHA1: return nil
        }
    }

    private static func parse(_ text: String, _ algorithm: PublicKeyAlgorithm) -> OpaquePointer? {
        if KeyText.isPEM(text) {
            let bytes = Array(text.utf8)
            return unsafe sluice_key_private_pem(bytes, bytes.count)
        }
        guard algorithm == .ed25519, let raw = KeyText.ed25519Bytes(text, prefix: "whsk_"),
            raw.count == 32 || raw.count == 64, let key = unsafe sluice_key_ed25519_private(Array(raw[..<32]))
        else { return nil }
        if raw.count == 64 {
            var own = [UInt8](repeating: 0, count: 32)
            guard unsafe sluice_key_ed25519_bytes(key, &own) == 1, own == Array(raw[32...]) else {
                unsafe sluice_key_free(key)
                return nil
            }
        }
        return unsafe key
    }

    /// Ed25519: 64 bytes, the same for the same message. ECDSA: DER, another each time.
    package func signature(of message: [UInt8]) -> [UInt8] {
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: PrivateKey.signatureBytesMax) { buffer, count in
            count = unsafe sluice_key_sign(
                key, algorithm.digest, message, message.count, buffer.baseAddress, buffer.count)
        }
        precondition(!bytes.isEmpty, "a key that was parsed signs")
        return bytes
    }

    package var publicKey: PublicKey {
        var der = unsafe [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            let bytes = unsafe sluice_key_spki(key, buffer.baseAddress, buffer.count)
            count = bytes <= buffer.count ? bytes : 0
        }
        guard let half = unsafe sluice_key_public_der(&der, der.count),
            let key = unsafe try? PublicKey(owning: half, for: algorithm)
        else { preconditionFailure("a private key has a public half of its kind") }
        return key
    }

    /// PKCS #8 PEM; as secret as the key.
    package var secretText: String {
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 16_384) { buffer, count in
            let bytes = unsafe sluice_key_pkcs8_pem(key, buffer.baseAddress, buffer.count)
            count = bytes <= buffer.count ? bytes : 0
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Digests and comparison for verifiers that are code. Worker threads and tests.
package enum Digest {
    package static func sha256(_ message: [UInt8]) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            count = unsafe sluice_digest(
                Int32(SLUICE_KEY_SHA256.rawValue), message, message.count, buffer.baseAddress)
        }
    }
    /// The time depends on the lengths alone, which are no secret.
    package static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        unsafe left.count == right.count && sluice_digest_equal(left, right, left.count) == 1
    }
}
