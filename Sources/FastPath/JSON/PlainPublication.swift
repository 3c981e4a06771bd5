// The body of an event that is published, read by the loop itself where it says no more than the common ones do: type,
// payload, perhaps an id of its own. Passive, one pass, no allocation.
//
// Invariant: what is taken here `PublishOrder(json:)` takes too, and finds the same in it; whatever is not plain (an
// escape in a name, a character beyond ASCII, another member, a mistake) is nil, and a worker reads it.

package struct PlainPublication: Equatable, Sendable {
    /// More than this a loop does not read for one call.
    package static let bytesMax = 16 << 10
    private static let depthMax = 64
    private static let digitCountMax = 512
    private static let nameBytesMax = 256

    package private(set) var type = ByteRange.empty
    package private(set) var payload = ByteRange.empty
    /// Empty when there is none.
    package private(set) var eventID = ByteRange.empty

    package init?(_ body: ByteView) {
        guard body.count <= PlainPublication.bytesMax else { return nil }
        var scan = StrictJSON(body)
        guard readMembers(&scan), !type.isEmpty, !payload.isEmpty else { return nil }
    }
    private mutating func readMembers(_ scan: inout StrictJSON) -> Bool {
        guard scan.take(UInt8(ascii: "{")) else { return false }
        repeat {
            guard let name = scan.plainText(), scan.take(UInt8(ascii: ":")) else { return false }
            let text = scan.text.slice(name)
            if text.equals("payload") {
                guard payload.isEmpty, let value = scan.value(depthMax: PlainPublication.depthMax) else { return false }
                payload = value
            } else if text.equals("type") {
                guard type.isEmpty, let value = scan.plainText() else { return false }
                guard isLabel(scan.text.slice(value), takesSigns: true) else { return false }
                type = value
            } else if text.equals("event_id") {
                guard eventID.isEmpty, let value = scan.plainText() else { return false }
                guard isLabel(scan.text.slice(value), takesSigns: false) else { return false }
                eventID = value
            } else {
                return false
            }
        } while scan.take(UInt8(ascii: ","))
        return scan.take(UInt8(ascii: "}")) && scan.isAtEnd
    }
    /// 1 to 256 of `a-z A-Z 0-9 . _ -`, and `/ :` with `takesSigns`: `PublishRules`.
    private func isLabel(_ text: ByteView, takesSigns: Bool) -> Bool {
        guard text.count > 0, text.count <= PlainPublication.nameBytesMax else { return false }
        for index in 0..<text.count {
            let byte = text[index]
            if CharacterClasses.isLetter(byte) || CharacterClasses.isDigit(byte) { continue }
            if byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") { continue }
            guard takesSigns, byte == UInt8(ascii: "/") || byte == UInt8(ascii: ":") else { return false }
        }
        return true
    }
    fileprivate static var digitMax: Int { digitCountMax }
}

/// Values of JSON held against RFC 8259, in ASCII alone.
private struct StrictJSON {
    let text: ByteView
    private var place = 0

    init(_ text: ByteView) { self.text = text }

    /// 0 behind the end, which is no byte of JSON.
    @inline(__always) private var next: UInt8 { place < text.count ? text[place] : 0 }
    @inline(__always) private mutating func passSpace() {
        while place < text.count {
            let byte = text[place]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            place &+= 1
        }
    }
    var isAtEnd: Bool {
        mutating get {
            passSpace()
            return place == text.count
        }
    }
    /// True exactly when it comes next, white space before it or not, and is passed then.
    mutating func take(_ byte: UInt8) -> Bool {
        passSpace()
        guard next == byte else { return false }
        place &+= 1
        return true
    }
    /// A text without escapes, quotes aside; nil for anything else.
    mutating func plainText() -> ByteRange? {
        passSpace()
        guard next == ASCII.quote else { return nil }
        let start = place &+ 1
        place = CharacterClasses.firstSpecialInJSONText(text, from: start, to: text.count)
        guard next == ASCII.quote else { return nil }
        let found = ByteRange(start: start, count: place - start)
        place &+= 1
        for index in Int(found.start)..<found.end where text[index] >= 0x80 { return nil }
        return found
    }
    /// One value without the white space around it; nil when it is none, or no ASCII.
    mutating func value(depthMax: Int) -> ByteRange? {
        passSpace()
        let start = place
        guard passValue(depthMax) else { return nil }
        return ByteRange(start: start, count: place - start)
    }
    private mutating func passValue(_ depthMax: Int) -> Bool {
        // The lowest bit is the innermost container: 1 = an object.
        var kinds: UInt64 = 0
        var depth = 0
        while true {
            passSpace()
            let byte = next
            if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                guard depth < depthMax else { return false }
                let isObject = byte == UInt8(ascii: "{")
                kinds = kinds << 1 | (isObject ? 1 : 0)
                depth &+= 1
                place &+= 1
                passSpace()
                if next != (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    if isObject, !passName() { return false }
                    continue
                }
            } else if !passScalar(byte) {
                return false
            }
            switch leave(&kinds, &depth) {
            case .another: continue
            case .done: return true
            case .wrong: return false
            }
        }
    }
    private enum Leaving { case another, done, wrong }
    private mutating func leave(_ kinds: inout UInt64, _ depth: inout Int) -> Leaving {
        while depth > 0 {
            passSpace()
            let isObject = kinds & 1 == 1
            if next == UInt8(ascii: ",") {
                place &+= 1
                return !isObject || passName() ? .another : .wrong
            }
            guard next == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { return .wrong }
            place &+= 1
            kinds >>= 1
            depth &-= 1
        }
        return .done
    }
    private mutating func passName() -> Bool {
        passSpace()
        return passString() && take(UInt8(ascii: ":"))
    }
    private mutating func passScalar(_ first: UInt8) -> Bool {
        switch first {
        case ASCII.quote: passString()
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): passNumber()
        case UInt8(ascii: "t"): passWord("true")
        case UInt8(ascii: "f"): passWord("false")
        case UInt8(ascii: "n"): passWord("null")
        default: false
        }
    }
    private mutating func passWord(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard text.count - place >= count, text.slice(place, count).equals(word) else { return false }
        place &+= count
        return true
    }
    private mutating func passString() -> Bool {
        guard next == ASCII.quote else { return false }
        place &+= 1
        while true {
            let start = place
            place = CharacterClasses.firstSpecialInJSONText(text, from: start, to: text.count)
            guard CharacterClasses.isASCII(text, from: start, to: place) else { return false }
            let byte = next
            guard byte >= 0x20 else { return false }
            place &+= 1
            guard byte == 0x5C else { return true }
            guard passEscape() else { return false }
        }
    }
    private mutating func passEscape() -> Bool {
        switch next {
        case ASCII.quote, 0x5C, UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
            UInt8(ascii: "r"), UInt8(ascii: "t"):
            place &+= 1
            return true
        case UInt8(ascii: "u"):
            guard text.count - place >= 5 else { return false }
            for index in place &+ 1..<place &+ 5 where !CharacterClasses.isHexadecimal(text[index]) { return false }
            place &+= 5
            return true
        default: return false
        }
    }
    private mutating func passNumber() -> Bool {
        let start = place
        if next == UInt8(ascii: "-") { place &+= 1 }
        if next == UInt8(ascii: "0") { place &+= 1 } else if !passDigits() { return false }
        if next == UInt8(ascii: ".") {
            place &+= 1
            guard passDigits() else { return false }
        }
        if next | 0x20 == UInt8(ascii: "e") {
            place &+= 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { place &+= 1 }
            guard passDigits() else { return false }
        }
        return place - start <= PlainPublication.digitMax
    }
    private mutating func passDigits() -> Bool {
        let start = place
        while CharacterClasses.isDigit(next) { place &+= 1 }
        return place > start
    }
}
