// AES-256-GCM: what is sealed under a key opens with that key and the same context alone, and only as it was sealed.
// For worker threads; what is sealed, and under which key, is decided in Engine/Secrets.
//
// Invariants: a key's bytes are in memory of its own, overwritten when the key goes, and given out by
// `withSecretBytes` alone; a nonce is 96 random bits, so one key may seal 2³² values (NIST SP 800-38D, 8.3).
// Safety: `SealingKey` owns its bytes and never changes them; pointers into arrays live for one call of C, which writes
// at most what the array was made for.

import CShims

@safe package final class SealingKey: @unchecked Sendable {
    package static let byteCount = Int(SLUICE_SEAL_KEY_BYTES)
    fileprivate let bytes: UnsafeMutablePointer<UInt8>

    /// A fresh one; nil when the system gives no randomness.
    package static func make() -> SealingKey? {
        let key = SealingKey()
        return unsafe sluice_random(key.bytes, byteCount) == 0 ? key : nil
    }
    /// Nil unless there are as many bytes as a key has.
    package convenience init?(_ bytes: [UInt8]) {
        guard bytes.count == SealingKey.byteCount else { return nil }
        self.init()
        for place in bytes.indices { unsafe self.bytes[place] = bytes[place] }
    }
    private init() {
        unsafe bytes = UnsafeMutablePointer.allocate(capacity: SealingKey.byteCount)
        unsafe bytes.initialize(repeating: 0, count: SealingKey.byteCount)
    }
    deinit {
        unsafe sluice_memory_cleanse(bytes, SealingKey.byteCount)
        unsafe bytes.deallocate()
    }

    /// A copy, which is overwritten when `body` returns.
    package func withSecretBytes<R>(_ body: ([UInt8]) throws -> R) rethrows -> R {
        var copy = unsafe Array(UnsafeBufferPointer(start: bytes, count: SealingKey.byteCount))
        defer { unsafe sluice_memory_cleanse(&copy, copy.count) }
        return try body(copy)
    }
    /// Names the key and says nothing about it: an HMAC-SHA256 under it.
    package func mac(over message: [UInt8]) -> [UInt8] {
        let memory = CompiledMemory()
        return withSecretBytes { SigningKey(secret: $0, algorithm: .sha256, in: memory).mac(over: message) }
    }
}

/// One thread at a time uses it; making one costs some microseconds, using it again does not.
@safe package final class AuthenticatedCipher {
    private static let nonceBytes = Int(SLUICE_SEAL_NONCE_BYTES)
    private static let tagBytes = Int(SLUICE_SEAL_TAG_BYTES)
    /// What a sealed value is longer than the value.
    package static let overheadBytes = nonceBytes + tagBytes
    private let seal: OpaquePointer

    /// Nil when OpenSSL has no AES-256-GCM.
    package init?() {
        guard let seal = unsafe sluice_seal_create() else { return nil }
        unsafe self.seal = seal
    }
    deinit { unsafe sluice_seal_destroy(seal) }

    /// Nonce, ciphertext, tag. Nil when the system gives no randomness.
    package func seal(_ plain: [UInt8], under key: SealingKey, context: [UInt8]) -> [UInt8]? {
        let sealed = unsafe [UInt8](
            unsafeUninitializedCapacity: plain.count + AuthenticatedCipher.overheadBytes
        ) { buffer, count in
            guard let start = buffer.baseAddress,
                unsafe sluice_random(start, AuthenticatedCipher.nonceBytes) == 0,
                unsafe sluice_seal_close(
                    seal, key.bytes, start, context, context.count, plain, plain.count,
                    start + AuthenticatedCipher.nonceBytes) == 0
            else { return }
            count = plain.count + AuthenticatedCipher.overheadBytes
        }
        return sealed.isEmpty ? nil : sealed
    }
    /// What was sealed stands from `start` to the end. Nil when key or context are others, or a bit of it is.
    package func open(
        _ sealed: [UInt8], from start: Int = 0, under key: SealingKey, context: [UInt8]
    ) -> [UInt8]? {
        let length = sealed.count - start - AuthenticatedCipher.overheadBytes
        guard start >= 0, length >= 0 else { return nil }
        var isOpen = false
        // One byte more, so that an empty value has an address.
        let plain = unsafe [UInt8](unsafeUninitializedCapacity: length + 1) { buffer, count in
            unsafe sealed.withUnsafeBufferPointer { source in
                guard let base = source.baseAddress, let target = buffer.baseAddress else { return }
                let nonce = unsafe base + start
                isOpen =
                    unsafe sluice_seal_open(
                        seal, key.bytes, nonce, context, context.count, nonce + AuthenticatedCipher.nonceBytes,
                        length + AuthenticatedCipher.tagBytes, target) == 0
            }
            count = isOpen ? length : 0
        }
        return isOpen ? plain : nil
    }
}
