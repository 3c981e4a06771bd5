// Hexadecimal and base 64, strictly: one text for one value, so that no changed signature reads as the same bytes
// (but for the case of hexadecimal digits, which RFC 4648 §8 leaves open).
// Decoding says how it failed, because an ill-formed header and a wrong signature are different reasons.
//
// Safety: writes go to memory of which the caller states the room; each function names how much it needs.

package enum SignatureEncoding: UInt8, CaseIterable, Sendable { case hex, base64, base64URL }

/// What a claimed signature's text is.
package enum DecodeResult: Equatable, Sendable {
    /// `count` bytes were written.
    case bytes(Int)
    /// Well-formed, but no value that this scheme can give: one of another length.
    case neverEqual
    case malformed
}

package enum TextEncoding {
    /// Decodes into `memory`, which takes `wanted` bytes; anything that is not exactly `wanted` bytes is `neverEqual`.
    @inline(__always)
    package static func decode(
        _ text: ByteView, as encoding: SignatureEncoding, wanted: Int, into memory: UnsafeMutablePointer<UInt8>
    ) -> DecodeResult {
        switch encoding {
        case .hex: unsafe decodeHex(text, wanted: wanted, into: memory)
        case .base64: unsafe decodeBase64(text, url: false, wanted: wanted, into: memory)
        case .base64URL: unsafe decodeBase64(text, url: true, wanted: wanted, into: memory)
        }
    }

    private static func decodeHex(
        _ text: ByteView, wanted: Int, into memory: UnsafeMutablePointer<UInt8>
    )
        -> DecodeResult
    {
        guard text.count > 0 else { return .malformed }
        let fits = text.count == 2 * wanted
        if fits, text.count & 7 == 0, unsafe decodeLowerHex(text, into: memory) { return .bytes(wanted) }
        for index in 0..<text.count {
            guard CharacterClasses.isHexadecimal(text[index]) else { return .malformed }
            guard fits else { continue }
            let nibble = CharacterClasses.hexadecimalValue(text[index])
            if index & 1 == 0 { unsafe memory[index >> 1] = nibble << 4 } else { unsafe memory[index >> 1] |= nibble }
        }
        return fits ? .bytes(wanted) : .neverEqual
    }
    /// The common case, eight digits in a word at once; false when one is not a lower-case digit: the slow way takes
    /// the others. (SIMD16 was tried first: its halves cost 540 ns for 64 digits, 6 % of a request; words cost a
    /// tenth.)
    @inline(__always)
    private static func decodeLowerHex(_ text: ByteView, into memory: UnsafeMutablePointer<UInt8>) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        var bad: UInt64 = 0
        var place = 0
        while place < text.count {
            let word = unsafe UInt64(
                littleEndian: UnsafeRawPointer(text.base + place).loadUnaligned(as: UInt64.self))
            // A digit's upper half is 3, a letter's 6; the letters' bit 6 tells them apart.
            let letters = (word >> 6) & ones
            let low = word & (ones &* 0x0F)
            bad |= (word & (ones &* 0xF0)) ^ (ones &* 0x30 &+ letters &* 0x30)
            // No digit above 9, no letter above f, none before a: each would carry into bit 4, or fail to.
            bad |= (low &+ (ones &- letters) &* 6) & (ones &* 0x10)
            bad |= (low &+ letters &* 9) & (ones &* 0x10)
            bad |= (letters << 4) & ~(low &+ letters &* 0x0F)
            let nibbles = low &+ letters &* 9
            var bytes = (nibbles << 4 | nibbles >> 8) & 0x00FF_00FF_00FF_00FF
            bytes = (bytes | bytes >> 8) & 0x0000_FFFF_0000_FFFF
            bytes |= bytes >> 16
            unsafe UnsafeMutableRawPointer(memory + place / 2).storeBytes(
                of: UInt32(truncatingIfNeeded: bytes).littleEndian, as: UInt32.self)
            place += 8
        }
        return bad == 0
    }
    /// RFC 4648 §4 and §5 with the bits behind the value zero. Standard base 64 must be padded; the URL alphabet may be
    /// bare.
    private static func decodeBase64(
        _ text: ByteView, url: Bool, wanted: Int, into memory: UnsafeMutablePointer<UInt8>
    ) -> DecodeResult {
        var digits = text.count
        while digits > 0, text.count - digits < 2, text[digits - 1] == 0x3D { digits -= 1 }
        guard digits > 0, digits & 3 != 1 else { return .malformed }
        let padding = text.count - digits
        let wholePadding = (4 - digits & 3) & 3
        guard padding == wholePadding || (url && padding == 0) else { return .malformed }
        let fits = digits * 3 / 4 == wanted
        var bits: UInt32 = 0
        var bitCount: UInt32 = 0
        var place = 0
        for index in 0..<digits {
            let digit = base64Digit(text[index], url: url)
            if digit == 0xFF { return .malformed }
            bits = bits << 6 | UInt32(digit)
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                if fits { unsafe memory[place] = UInt8(truncatingIfNeeded: bits >> bitCount) }
                place += 1
                bits &= (1 << bitCount) - 1
            }
        }
        guard bits == 0 else { return .malformed }
        return fits ? .bytes(wanted) : .neverEqual
    }
    @inline(__always) private static func base64Digit(_ byte: UInt8, url: Bool) -> UInt8 {
        switch byte {
        case 0x41...0x5A: byte - 0x41
        case 0x61...0x7A: byte - 0x61 + 26
        case 0x30...0x39: byte - 0x30 + 52
        case 0x2B: url ? 0xFF : 62
        case 0x2F: url ? 0xFF : 63
        case 0x2D: url ? 62 : 0xFF
        case 0x5F: url ? 63 : 0xFF
        default: 0xFF
        }
    }

    /// Writes `2 × bytes.count`.
    static func writeHex(_ bytes: ByteView, into memory: UnsafeMutablePointer<UInt8>) {
        for index in 0..<bytes.count {
            let byte = bytes[index]
            unsafe memory[2 * index] = lowerHex(byte >> 4)
            unsafe memory[2 * index + 1] = lowerHex(byte & 15)
        }
    }
    @inline(__always) private static func lowerHex(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? 0x30 + nibble : 0x57 + nibble
    }

    package static func base64Count(_ bytes: Int) -> Int { (bytes + 2) / 3 * 4 }

    /// Writes `base64Count(bytes.count)`, padded.
    static func writeBase64(_ bytes: ByteView, into memory: UnsafeMutablePointer<UInt8>) {
        var place = 0
        var index = 0
        while index < bytes.count {
            let rest = bytes.count - index
            let group =
                UInt32(bytes[index]) << 16 | (rest > 1 ? UInt32(bytes[index + 1]) << 8 : 0)
                | (rest > 2 ? UInt32(bytes[index + 2]) : 0)
            unsafe memory[place] = base64Letter(group >> 18)
            unsafe memory[place + 1] = base64Letter(group >> 12)
            unsafe memory[place + 2] = rest > 1 ? base64Letter(group >> 6) : 0x3D
            unsafe memory[place + 3] = rest > 2 ? base64Letter(group) : 0x3D
            place += 4
            index += 3
        }
    }
    @inline(__always) private static func base64Letter(_ group: UInt32) -> UInt8 {
        let value = UInt8(truncatingIfNeeded: group & 63)
        return switch value {
        case 0..<26: 0x41 + value
        case 26..<52: 0x61 + value - 26
        case 52..<62: 0x30 + value - 52
        case 62: 0x2B
        default: 0x2F
        }
    }
}

// For worker threads and tests; these allocate.
extension TextEncoding {
    package static func hex(_ bytes: [UInt8]) -> String {
        unsafe text(count: 2 * bytes.count) { memory in bytes.withView { unsafe writeHex($0, into: memory) } }
    }
    package static func base64(_ bytes: [UInt8]) -> String {
        unsafe text(count: base64Count(bytes.count)) { memory in bytes.withView { unsafe writeBase64($0, into: memory) }
        }
    }
    private static func text(count: Int, _ write: (UnsafeMutablePointer<UInt8>) -> Void) -> String {
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: max(count, 1)) { buffer, initialized in
            unsafe write(buffer.baseAddress!)
            initialized = count
        }
        return String(decoding: bytes, as: UTF8.self)
    }
    /// Nil when `text` is not `encoding`. Lenient where people paste secrets: missing padding passes.
    package static func bytes(of text: String, as encoding: SignatureEncoding) -> [UInt8]? {
        var padded = Array(text.utf8)
        if encoding == .base64 { while padded.count & 3 != 0 { padded.append(0x3D) } }
        if padded.isEmpty { return [] }
        let digits = padded.count - (encoding == .hex ? 0 : padded.reversed().prefix(while: { $0 == 0x3D }).count)
        let wanted = encoding == .hex ? digits / 2 : digits * 3 / 4
        var isGood = false
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: max(wanted, 1)) { buffer, count in
            let result = padded.withView { unsafe decode($0, as: encoding, wanted: wanted, into: buffer.baseAddress!) }
            isGood = result == .bytes(wanted)
            count = isGood ? wanted : 0
        }
        return isGood ? bytes : nil
    }
}

// As a signature is written, not as a secret is pasted: one text for one value.
extension TextEncoding {
    /// Padded base 64; nil for anything else.
    package static func strictBase64(_ text: String) -> [UInt8]? {
        guard text.utf8.count & 3 == 0, !text.isEmpty else { return nil }
        return bytes(of: text, as: .base64)
    }
    /// The URL alphabet without padding, as in a JWT; nil for anything else.
    package static func bareBase64URL(_ text: some StringProtocol) -> [UInt8]? {
        guard !text.isEmpty, !text.utf8.contains(0x3D) else { return nil }
        return bytes(of: String(text), as: .base64URL)
    }
}
