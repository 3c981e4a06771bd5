// The public name of an event: derived from the log's identity and the record's sequence, so that it needs no storage,
// is the same over retries, replays and restarts, and leads straight back to its record.
//
// Safety: `write(to:)` writes exactly `byteCount` bytes to memory that its caller has room for.

/// `evt_` + 8 characters of the log's identity (40 bits) + 13 of the sequence (64 bits), Crockford base 32, lower case.
package struct EventID: Equatable, Sendable {
    package static let byteCount = 25
    package let logIdentity: UInt64
    package let sequence: UInt64

    package init(logIdentity: UInt64, sequence: UInt64) {
        self.logIdentity = logIdentity & 0xFF_FFFF_FFFF
        self.sequence = sequence
    }
    /// Nil when `text` has not the form above.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == EventID.byteCount, Array(bytes[0..<4]) == Array("evt_".utf8) else { return nil }
        var identity: UInt64 = 0
        var sequence: UInt64 = 0
        for (index, byte) in bytes[4...].enumerated() {
            guard let digit = EventID.alphabet.firstIndex(of: byte) else { return nil }
            if index < 8 {
                identity = identity << 5 | UInt64(digit)
            } else {
                guard sequence >> 59 == 0 else { return nil }
                sequence = sequence << 5 | UInt64(digit)
            }
        }
        self.init(logIdentity: identity, sequence: sequence)
    }
    package var text: String {
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: EventID.byteCount) { buffer, count in
            unsafe write(to: buffer.baseAddress!)
            count = EventID.byteCount
        }
        return String(decoding: bytes, as: UTF8.self)
    }
    /// Writes exactly `byteCount` bytes. Safety: `memory` has room for them.
    @inline(__always) package func write(to memory: UnsafeMutablePointer<UInt8>) {
        unsafe memory[0] = 0x65
        unsafe memory[1] = 0x76
        unsafe memory[2] = 0x74
        unsafe memory[3] = 0x5F
        for index in 0..<8 { unsafe memory[4 + index] = EventID.digit(logIdentity >> UInt64(35 - 5 * index)) }
        for index in 0..<13 { unsafe memory[12 + index] = EventID.digit(sequence >> UInt64(60 - 5 * index)) }
    }
    @inline(__always) private static func digit(_ value: UInt64) -> UInt8 {
        let index = UInt8(truncatingIfNeeded: value & 31)
        // 0-9, then a-z without i, l, o, u.
        if index < 10 { return 48 + index }
        return index + 87 + (index > 17 ? 1 : 0) + (index > 19 ? 1 : 0) + (index > 21 ? 1 : 0) + (index > 26 ? 1 : 0)
    }
    /// As the contract edge calls it: a UUID of version 8 (RFC 9562), in halves; its other bits are identity and
    /// sequence.
    package var uuid: (high: UInt64, low: UInt64) {
        let middle = (logIdentity & 0x3FF) << 2 | sequence >> 62
        return ((logIdentity >> 10) << 16 | 8 << 12 | middle, 0b10 << 62 | sequence & (1 << 62 - 1))
    }
    /// As messages are called: `msg_` and 27 characters of base 62 for 160 bits, which are the sequence, the log's
    /// identity and zeros, the most significant first.
    package static let messageByteCount = 31
    private static let base62: StaticString = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    /// Writes exactly `messageByteCount` bytes. Safety: `memory` has room for them.
    package func writeMessage(to memory: UnsafeMutablePointer<UInt8>) {
        unsafe memory[0] = 0x6D
        unsafe memory[1] = 0x73
        unsafe memory[2] = 0x67
        unsafe memory[3] = 0x5F
        var limbs: InlineArray<5, UInt64> = [
            sequence >> 32, sequence & 0xFFFF_FFFF, logIdentity >> 8, logIdentity << 24 & 0xFFFF_FFFF, 0,
        ]
        var place = EventID.messageByteCount
        while place > 4 {
            // Three digits a division of the whole.
            var rest: UInt64 = 0
            for index in 0..<5 {
                let part = rest << 32 | limbs[index]
                limbs[index] = part / 238_328
                rest = part % 238_328
            }
            for _ in 0..<3 {
                place -= 1
                unsafe memory[place] = EventID.base62.utf8Start[Int(rest % 62)]
                rest /= 62
            }
        }
    }
    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
}
