// The character classes of RFC 9110 and 3986, and the searches for the first byte outside one.
//
// Invariant: a search returns a place in `from...to`; every byte before it is inside the class. A byte wrongly let
// through here is a smuggling hole in everything above.
// Safety: the class table is read through the literal's own address; it has 256 entries (asserted by a test), one for
// each value of the index. Everything else is read through `ByteView`.

package enum ASCII {
    package static let tab: UInt8 = 0x09
    package static let lineFeed: UInt8 = 0x0A
    package static let carriageReturn: UInt8 = 0x0D
    package static let space: UInt8 = 0x20
    package static let quote: UInt8 = 0x22
    package static let comma: UInt8 = 0x2C
    package static let zero: UInt8 = 0x30
    package static let colon: UInt8 = 0x3A
    package static let semicolon: UInt8 = 0x3B
    package static let equals: UInt8 = 0x3D
    package static let openBracket: UInt8 = 0x5B
    package static let backslash: UInt8 = 0x5C
    package static let openBrace: UInt8 = 0x7B
    package static let delete: UInt8 = 0x7F
}

@safe package enum CharacterClasses {
    /// One letter a byte value: `@` plus 1 for a token character (RFC 9110 §5.6.2), 2 for a registered-name character
    /// without the comma (RFC 3986 §3.2.2), 4 for a hexadecimal digit. Text, because a literal's bytes are a constant
    /// in the image and reading them needs no lazy initialisation.
    package static let table: StaticString = """
        @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\
        @C@ACCCCBBCC@CC@GGGGGGGGGG@B@B@@\
        @GGGGGGCCCCCCCCCCCCCCCCCCCC@@@AC\
        AGGGGGGCCCCCCCCCCCCCCCCCCCC@A@C@\
        @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\
        @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\
        @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\
        @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
        """

    @inline(__always) private static func bits(_ byte: UInt8) -> UInt8 { unsafe table.utf8Start[Int(byte)] }
    @inline(__always) package static func isToken(_ byte: UInt8) -> Bool { bits(byte) & 1 != 0 }
    @inline(__always) package static func isRegisteredName(_ byte: UInt8) -> Bool { bits(byte) & 2 != 0 }
    @inline(__always) package static func isHexadecimal(_ byte: UInt8) -> Bool { bits(byte) & 4 != 0 }
    @inline(__always) package static func isDigit(_ byte: UInt8) -> Bool { byte &- ASCII.zero < 10 }
    @inline(__always) package static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }
    @inline(__always) package static func isBlank(_ byte: UInt8) -> Bool { byte == ASCII.space || byte == ASCII.tab }
    /// What a field value may hold: HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5).
    @inline(__always) package static func isFieldText(_ byte: UInt8) -> Bool {
        byte >= ASCII.space && byte != ASCII.delete || byte == ASCII.tab
    }
    /// The value of a byte that `isHexadecimal`.
    @inline(__always) package static func hexadecimalValue(_ byte: UInt8) -> UInt8 {
        byte <= 0x39 ? byte &- ASCII.zero : (byte | 0x20) &- 0x57
    }

    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080

    /// The first byte in `from..<to` that is not field text, `to` when there is none.
    // Eight bytes at a time: a borrow of the subtractions runs upward only, so the lowest flag is always a true one.
    @inline(__always) package static func firstOutsideFieldText(_ bytes: ByteView, from: Int, to: Int) -> Int {
        var place = from
        while place &+ 8 <= to {
            let word = UInt64(littleEndian: bytes.load(place, as: UInt64.self))
            let deleted = word ^ (ones &* UInt64(ASCII.delete))
            let hits = ((word &- ones &* 0x20) & ~word | (deleted &- ones) & ~deleted) & highs
            guard hits != 0 else {
                place &+= 8
                continue
            }
            place &+= hits.trailingZeroBitCount &>> 3
            guard bytes[place] == ASCII.tab else { return place }
            place &+= 1
        }
        while place < to, isFieldText(bytes[place]) { place &+= 1 }
        return place
    }
    /// The first byte in `from..<to` that a JSON text cannot simply go on with (a quote, a backslash, a control), `to`
    /// when there is none.
    package static func firstSpecialInJSONText(_ bytes: ByteView, from: Int, to: Int) -> Int {
        var place = from
        while place &+ 8 <= to {
            let word = UInt64(littleEndian: bytes.load(place, as: UInt64.self))
            let quotes = word ^ (ones &* UInt64(ASCII.quote))
            let escapes = word ^ (ones &* 0x5C)
            let hits =
                ((word &- ones &* 0x20) & ~word | (quotes &- ones) & ~quotes | (escapes &- ones) & ~escapes) & highs
            guard hits == 0 else { return place &+ hits.trailingZeroBitCount &>> 3 }
            place &+= 8
        }
        while place < to, bytes[place] >= 0x20, bytes[place] != ASCII.quote, bytes[place] != 0x5C { place &+= 1 }
        return place
    }
    package static func isASCII(_ bytes: ByteView, from: Int, to: Int) -> Bool {
        var place = from
        var seen: UInt64 = 0
        while place &+ 8 <= to {
            seen |= bytes.load(place, as: UInt64.self)
            place &+= 8
        }
        while place < to {
            seen |= UInt64(bytes[place])
            place &+= 1
        }
        return seen & highs == 0
    }
    /// The first byte in `from..<to` that is not printable ASCII (0x21 to 0x7E), `to` when there is none.
    @inline(__always) package static func firstOutsidePrintable(_ bytes: ByteView, from: Int, to: Int) -> Int {
        var place = from
        while place &+ 8 <= to {
            let word = UInt64(littleEndian: bytes.load(place, as: UInt64.self))
            let deleted = word ^ (ones &* UInt64(ASCII.delete))
            let hits = ((word &- ones &* 0x21) & ~word | (deleted &- ones) & ~deleted | word) & highs
            guard hits == 0 else { return place &+ hits.trailingZeroBitCount &>> 3 }
            place &+= 8
        }
        while place < to, bytes[place] &- 0x21 < 0x5E { place &+= 1 }
        return place
    }
}
