// Reads an address from bytes without allocation: for header fields and PROXY lines on the loops. As strict as
// `IPAddress.init(_:)`, which a test compares it with.

extension IPAddress {
    /// Nil when `text` is neither a dotted quad nor an IPv6 address (without brackets). An IPv4-mapped address is the
    /// IPv4 address that it maps.
    @_noAllocation @_noLocks package static func parse(_ text: ByteView) -> IPAddress? {
        if let bits = parseV4(text) { return IPAddress(v4: bits) }
        return parseV6(text)?.unmapped
    }
    /// `::ffff:a.b.c.d` as `a.b.c.d`; any other address as it is.
    package var unmapped: IPAddress {
        guard family == .v6, high == 0, low >> 32 == 0xFFFF else { return self }
        return IPAddress(v4: UInt32(truncatingIfNeeded: low))
    }

    private static func parseV4(_ text: ByteView) -> UInt32? {
        guard text.count >= 7, text.count <= 15 else { return nil }
        var bits: UInt32 = 0
        var part: UInt32 = 0
        var digits = 0
        var parts = 1
        for index in 0..<text.count {
            let byte = text[index]
            if byte == 0x2E {
                guard digits > 0, parts < 4 else { return nil }
                bits = bits << 8 | part
                parts += 1
                part = 0
                digits = 0
                continue
            }
            guard CharacterClasses.isDigit(byte), digits < 3, digits == 0 || part > 0 else { return nil }
            part = part * 10 + UInt32(byte - ASCII.zero)
            guard part < 256 else { return nil }
            digits += 1
        }
        return parts == 4 && digits > 0 ? bits << 8 | part : nil
    }

    /// The groups so far, 16 bits each, with the place of the `::`.
    private struct Groups {
        var high: UInt64 = 0
        var low: UInt64 = 0
        var count = 0
        mutating func append(_ group: UInt64) {
            high = high << 16 | low >> 48
            low = low << 16 | group
            count += 1
        }
        /// The last `groups` of them, and what stands before them, moved up by `gap` groups of zeros.
        func opened(before groups: Int) -> (high: UInt64, low: UInt64) {
            let all = UInt128(high) << 64 | UInt128(low)
            let tailBits = UInt128(16 * groups)
            let tail = groups == 0 ? 0 : all & ((1 << tailBits) - 1)
            let front = groups == 8 ? 0 : all >> tailBits
            let frontCount = count - groups
            let moved = frontCount == 0 ? 0 : front << UInt128(16 * (8 - frontCount))
            let value = moved | tail
            return (UInt64(truncatingIfNeeded: value >> 64), UInt64(truncatingIfNeeded: value))
        }
    }

    private static func parseV6(_ text: ByteView) -> IPAddress? {
        guard text.count >= 2, text.count <= 45 else { return nil }
        var groups = Groups()
        /// Groups before the `::`; -1 without one.
        var gapAt = -1
        var place = 0
        if text[0] == ASCII.colon {
            guard text[1] == ASCII.colon else { return nil }
            gapAt = 0
            place = 2
        }
        while place < text.count {
            var end = place
            var isQuad = false
            while end < text.count, text[end] != ASCII.colon {
                if text[end] == 0x2E { isQuad = true }
                end += 1
            }
            let part = text.slice(place, end - place)
            if isQuad {
                guard end == text.count, groups.count <= 6, let bits = parseV4(part) else { return nil }
                groups.append(UInt64(bits >> 16))
                groups.append(UInt64(bits & 0xFFFF))
                break
            }
            guard part.count >= 1, part.count <= 4, groups.count < 8 else { return nil }
            var group: UInt64 = 0
            for index in 0..<part.count {
                guard CharacterClasses.isHexadecimal(part[index]) else { return nil }
                group = group << 4 | UInt64(CharacterClasses.hexadecimalValue(part[index]))
            }
            groups.append(group)
            guard end < text.count else { break }
            place = end + 1
            guard place < text.count else { return nil }
            if text[place] == ASCII.colon {
                guard gapAt < 0 else { return nil }
                gapAt = groups.count
                place += 1
            }
        }
        if gapAt < 0 { return groups.count == 8 ? IPAddress(v6High: groups.high, low: groups.low) : nil }
        guard groups.count <= 7 else { return nil }
        let words = groups.opened(before: groups.count - gapAt)
        return IPAddress(v6High: words.high, low: words.low)
    }
}
