// The escapes of a JSON string (RFC 8259 §7): what one spells, and whether a whole text spells another. Passive, no
// memory: names of a document are compared where they lie.
//
// Invariant: half a surrogate pair and anything else that is no escape spell nothing; a step always goes forward.

package enum JSONEscape {
    /// `\uXXXX`
    private static let escapeBytesMax = 6

    /// The character that the escape at `place` (its backslash) spells, and `place` moved behind it; nil when it is
    /// malformed.
    package static func scalar(_ text: ByteView, _ place: inout Int) -> UInt32? {
        guard place + 1 < text.count else { return nil }
        let escape = text[place + 1]
        place += 2
        switch escape {
        case 0x22, 0x5C, 0x2F: return UInt32(escape)
        case 0x62: return 0x08
        case 0x66: return 0x0C
        case 0x6E: return 0x0A
        case 0x72: return 0x0D
        case 0x74: return 0x09
        case 0x75: break
        default: return nil
        }
        guard let unit = unit(text, place), unit & 0xFC00 != 0xDC00 else { return nil }
        place += 4
        guard unit & 0xFC00 == 0xD800 else { return unit }
        guard place + 1 < text.count, text[place] == ASCII.backslash, text[place + 1] == 0x75,
            let low = self.unit(text, place + 2), low & 0xFC00 == 0xDC00
        else { return nil }
        place += 6
        return 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
    }
    private static func unit(_ text: ByteView, _ place: Int) -> UInt32? {
        guard place + 4 <= text.count else { return nil }
        var value: UInt32 = 0
        for index in place..<place + 4 {
            guard CharacterClasses.isHexadecimal(text[index]) else { return nil }
            value = value << 4 | UInt32(CharacterClasses.hexadecimalValue(text[index]))
        }
        return value
    }

    /// The character in UTF-8, its first byte lowest.
    static func utf8(_ scalar: UInt32) -> (bytes: UInt32, count: Int) {
        func low(_ shift: UInt32) -> UInt32 { 0x80 | (scalar >> shift & 0x3F) }
        switch scalar {
        case 0..<0x80: return (scalar, 1)
        case 0x80..<0x800: return (0xC0 | scalar >> 6 | low(0) << 8, 2)
        case 0x800..<0x10000: return (0xE0 | scalar >> 12 | low(6) << 8 | low(0) << 16, 3)
        default: return (0xF0 | scalar >> 18 | low(12) << 8 | low(6) << 16 | low(0) << 24, 4)
        }
    }

    /// Whether a name of a document, as it lies there, is the one wanted. An escape is longer than what it spells, so a
    /// name that has some is longer than the one wanted.
    @inline(__always) static func isName(_ key: ByteView, _ wanted: ByteView) -> Bool {
        key.count == wanted.count ? key.equals(wanted) : key.count > wanted.count && spells(key, wanted)
    }
    /// True exactly when `text`, decoded, is `plain`; a text with an escape that is none spells nothing.
    package static func spells(_ text: ByteView, _ plain: ByteView) -> Bool {
        var place = 0
        var matched = 0
        while place < text.count {
            guard text[place] == ASCII.backslash else {
                guard matched < plain.count, plain[matched] == text[place] else { return false }
                matched += 1
                place += 1
                continue
            }
            guard let scalar = scalar(text, &place) else { return false }
            var (bytes, count) = utf8(scalar)
            while count > 0 {
                guard matched < plain.count, plain[matched] == UInt8(truncatingIfNeeded: bytes) else { return false }
                matched += 1
                bytes >>= 8
                count -= 1
            }
        }
        return matched == plain.count
    }

    /// What a text spells; nil when an escape in it spells nothing, unless a character stands in for it, and for what
    /// room such an escape has. Allocates: for worker threads.
    package static func decoded(_ text: ByteView, malformed replacement: UInt32? = nil) -> [UInt8]? {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(text.count)
        var place = 0
        while place < text.count {
            guard text[place] == ASCII.backslash else {
                decoded.append(text[place])
                place += 1
                continue
            }
            let start = place
            let read = scalar(text, &place)
            if read == nil { place = min(start + escapeBytesMax, text.count) }
            guard let scalar = read ?? replacement else { return nil }
            var (bytes, count) = utf8(scalar)
            while count > 0 {
                decoded.append(UInt8(truncatingIfNeeded: bytes))
                bytes >>= 8
                count -= 1
            }
        }
        return decoded
    }
}
