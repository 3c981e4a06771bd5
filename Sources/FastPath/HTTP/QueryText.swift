// A query as text: one parameter by its name, percent-decoding byte by byte. Passive, no memory.
//
// Invariant: names are compared decoded, so that a parameter cannot hide behind another spelling of its name; of two
// equal ones the first counts.

/// The parameters of a query (`application/x-www-form-urlencoded`).
enum QueryText {
    /// The raw value of the first parameter called `name` (not encoded itself); nil when there is none.
    static func value(of name: ByteView, in query: ByteView) -> ByteView? {
        var place = 0
        return value(of: name, in: query, from: &place)
    }
    /// The same of the parameters from `place` on, which moves behind the one found.
    static func value(of name: ByteView, in query: ByteView, from place: inout Int) -> ByteView? {
        guard name.count > 0 else { return nil }
        while place < query.count {
            let start = place
            var end = start
            var middle = -1
            while end < query.count, query[end] != 0x26 {
                if middle < 0, query[end] == ASCII.equals { middle = end }
                end += 1
            }
            place = end + 1
            let nameEnd = middle < 0 ? end : middle
            if spells(query.slice(start, nameEnd - start), name) {
                return middle < 0 ? query.slice(end, 0) : query.slice(middle + 1, end - middle - 1)
            }
        }
        return nil
    }
    /// The byte at `place` and the place behind it: `%41` is `A`, `+` a space. A `%` without its digits is itself.
    @inline(__always) static func byte(_ value: ByteView, at place: Int) -> (byte: UInt8, next: Int) {
        let byte = value[place]
        if byte == 0x2B { return (ASCII.space, place + 1) }
        guard byte == 0x25, place + 2 < value.count, CharacterClasses.isHexadecimal(value[place + 1]),
            CharacterClasses.isHexadecimal(value[place + 2])
        else { return (byte, place + 1) }
        let high = CharacterClasses.hexadecimalValue(value[place + 1])
        return (high << 4 | CharacterClasses.hexadecimalValue(value[place + 2]), place + 3)
    }
    /// True exactly when `encoded`, decoded, is `plain`.
    static func spells(_ encoded: ByteView, _ plain: ByteView) -> Bool {
        guard encoded.count >= plain.count else { return false }
        var place = 0
        var matched = 0
        while place < encoded.count {
            let (byte, next) = QueryText.byte(encoded, at: place)
            guard matched < plain.count, plain[matched] == byte else { return false }
            matched += 1
            place = next
        }
        return matched == plain.count
    }
}
