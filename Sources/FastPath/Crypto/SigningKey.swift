// A key ready to use: both engines' midstates, computed once for each secret.
//
// Safety: `SigningKey` points into the `CompiledMemory` that made it and is valid as long as that lives. The midstates
// are as secret as the key: they are never printed and are zeroised with their memory.

import CShims

package enum MACAlgorithm: UInt8, CaseIterable, Sendable {
    case sha256, sha1, sha512

    package var digestBytes: Int {
        switch self {
        case .sha256: 32
        case .sha1: 20
        case .sha512: 64
        }
    }
    /// The longest digest: what a caller's tag memory must take.
    package static let digestBytesMax = 64

    @inline(__always) var code: UInt32 {
        switch self {
        case .sha256: UInt32(SLUICE_HMAC_SHA256.rawValue)
        case .sha1: UInt32(SLUICE_HMAC_SHA1.rawValue)
        case .sha512: UInt32(SLUICE_HMAC_SHA512.rawValue)
        }
    }
}

@safe package struct SigningKey: @unchecked Sendable {
    let midstates: UnsafePointer<sluice_hmac_key>
    package let algorithm: MACAlgorithm

    /// O(length of the secret); for compilation, not for a loop.
    package init(secret: [UInt8], algorithm: MACAlgorithm, in memory: CompiledMemory) {
        let key = unsafe memory.place(sluice_hmac_key.self, count: 1)
        let result = unsafe secret.withUnsafeBufferPointer {
            unsafe sluice_hmac_key_make(key, algorithm.code, $0.baseAddress, $0.count)
        }
        precondition(result == 0)
        unsafe midstates = UnsafePointer(key)
        self.algorithm = algorithm
    }

    /// Safety: `tag` has room for `algorithm.digestBytes`.
    package func compute(over message: ByteView, into tag: UnsafeMutablePointer<UInt8>) {
        var stream = MACStream(self)
        stream.add(message)
        unsafe stream.finish(into: tag)
    }
    /// The MAC in lower-case hexadecimal: `2 × digestBytes` bytes. Safety: `memory` has room for them.
    package func writeHex(over message: ByteView, into memory: UnsafeMutablePointer<UInt8>) -> Int {
        var tag = MACTag()
        let count = algorithm.digestBytes
        unsafe withUnsafeMutablePointer(to: &tag) {
            unsafe $0.withMemoryRebound(to: UInt8.self, capacity: MACAlgorithm.digestBytesMax) { bytes in
                unsafe compute(over: message, into: bytes)
                unsafe TextEncoding.writeHex(ByteView(bytes, count: count), into: memory)
            }
        }
        return 2 * count
    }
    /// The MAC in padded base 64. Safety: `memory` has room for `TextEncoding.base64Count(digestBytes)`.
    package func writeBase64(over message: ByteView, into memory: UnsafeMutablePointer<UInt8>) -> Int {
        var tag = MACTag()
        let count = algorithm.digestBytes
        unsafe withUnsafeMutablePointer(to: &tag) {
            unsafe $0.withMemoryRebound(to: UInt8.self, capacity: MACAlgorithm.digestBytesMax) { bytes in
                unsafe compute(over: message, into: bytes)
                unsafe TextEncoding.writeBase64(ByteView(bytes, count: count), into: memory)
            }
        }
        return TextEncoding.base64Count(count)
    }
    /// Allocates; for worker threads and tests.
    package func mac(over message: [UInt8]) -> [UInt8] {
        message.withView { view in
            unsafe [UInt8](unsafeUninitializedCapacity: algorithm.digestBytes) { buffer, count in
                unsafe compute(over: view, into: buffer.baseAddress!)
                count = algorithm.digestBytes
            }
        }
    }
}

/// A MAC over pieces that lie apart, with no copy of them.
/// Safety: borrows the key's midstates, which the key's owner keeps.
@safe struct MACStream {
    private var state = sluice_hmac_state()
    private let key: UnsafePointer<sluice_hmac_key>

    @inline(__always) init(_ key: SigningKey) {
        unsafe self.key = key.midstates
        unsafe sluice_hmac_begin(&state, self.key)
    }
    @inline(__always) mutating func add(_ piece: ByteView) {
        if piece.count > 0 { unsafe sluice_hmac_add(&state, key, piece.base, piece.count) }
    }
    /// Safety: `tag` has room for the algorithm's digest.
    @inline(__always) mutating func finish(into tag: UnsafeMutablePointer<UInt8>) {
        unsafe sluice_hmac_end(&state, key, tag)
    }
}

/// Room for the longest digest, on the stack.
struct MACTag {
    var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
}
