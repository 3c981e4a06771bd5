// The strict grammar of JSON's scalars (RFC 8259) where they lie, and texts as they are read and written. Passive; for
// whoever passes over a document that goes on to somebody else.
//
// Invariant: a function moves `place` behind what it says and nowhere else; false leaves the document malformed.

package enum JSONSyntax {
    @inline(__always) static func passSpace(_ text: ByteView, _ place: inout Int) {
        while place < text.count {
            let byte = text[place]
            guard byte <= 0x20, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            place &+= 1
        }
    }
    /// From behind the opening quote to behind the closing one; `hasEscape` when something in it is one.
    static func passString(_ text: ByteView, _ place: inout Int, hasEscape: inout Bool) -> Bool {
        while true {
            place = CharacterClasses.firstSpecialInJSONText(text, from: place, to: text.count)
            guard place < text.count else { return false }
            let byte = text[place]
            if byte == ASCII.quote {
                place += 1
                return true
            }
            guard byte == ASCII.backslash else { return false }
            hasEscape = true
            guard place + 1 < text.count else { return false }
            switch text[place + 1] {
            case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74: place += 2
            case 0x75:
                guard place + 6 <= text.count else { return false }
                for index in place + 2..<place + 6 where !CharacterClasses.isHexadecimal(text[index]) { return false }
                place += 6
            default: return false
            }
        }
    }
    static func passNumber(_ text: ByteView, _ place: inout Int) -> Bool {
        func digits() -> Bool {
            let start = place
            while place < text.count, CharacterClasses.isDigit(text[place]) { place += 1 }
            return place > start
        }
        if place < text.count, text[place] == UInt8(ascii: "-") { place += 1 }
        if place < text.count, text[place] == ASCII.zero {
            place += 1
        } else if !digits() {
            return false
        }
        if place < text.count, text[place] == UInt8(ascii: ".") {
            place += 1
            guard digits() else { return false }
        }
        if place < text.count, text[place] | 0x20 == UInt8(ascii: "e") {
            place += 1
            if place < text.count, text[place] == UInt8(ascii: "+") || text[place] == UInt8(ascii: "-") { place += 1 }
            guard digits() else { return false }
        }
        return true
    }
    static func passWord(_ text: ByteView, _ place: inout Int) -> Bool {
        let word: StaticString
        switch text[place] {
        case UInt8(ascii: "t"): word = "true"
        case UInt8(ascii: "f"): word = "false"
        default: word = "null"
        }
        let count = word.utf8CodeUnitCount
        guard text.count - place >= count, text.slice(place, count).equals(word) else { return false }
        place += count
        return true
    }

    /// What a text spells, escapes read; half a surrogate pair is the replacement character.
    package static func decoded(_ text: ByteView) -> [UInt8] {
        JSONEscape.decoded(text, malformed: 0xFFFD) ?? []
    }
    /// The same the other way about, without quotes.
    package static func write(_ text: ByteView, into out: inout [UInt8]) {
        var copied = 0
        for place in 0..<text.count {
            let byte = text[place]
            guard byte < 0x20 || byte == ASCII.quote || byte == ASCII.backslash else { continue }
            out.add(text, copied, place)
            copied = place + 1
            out.append(ASCII.backslash)
            switch byte {
            case ASCII.quote, ASCII.backslash: out.append(byte)
            case 0x0A: out.append(UInt8(ascii: "n"))
            case 0x0D: out.append(UInt8(ascii: "r"))
            case 0x09: out.append(UInt8(ascii: "t"))
            default:
                out += "u00".utf8
                out.append(byte >> 4 == 0 ? 0x30 : 0x31)
                let low = byte & 15
                out.append(low < 10 ? 0x30 + low : 0x57 + low)
            }
        }
        out.add(text, copied, text.count)
    }
}
