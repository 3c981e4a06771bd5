// JSON that a caller sends, as a value: RFC 8259 and nothing beside it, read in one pass. What would be read in two
// ways or cost without end is refused: a name twice in an object, nesting, numbers too long for any. Every body that
// becomes a value comes through here; payloads, which are kept as they stand, through `JSONMembers`, with the same
// bounds.
//
// Invariants: every step consumes a byte or throws; recursion is bounded by `depthMax`; a value is only as large as its
// text. Pure.
import Engine

package struct JSONReading {
    package static let depthMax = 64
    private var at: JSONPlace
    private var text: [UInt8] { at.text }
    private var next: UInt8 { at.next }
    private var place: Int {
        get { at.place }
        set { at.place = newValue }
    }

    package static func value(_ text: [UInt8]) throws(JSONProblem) -> JSONValue {
        var reading = JSONReading(text: text)
        let value = try reading.value(0)
        reading.at.passSpace()
        guard reading.at.isAtEnd else { throw .malformed(reading.place) }
        return value
    }
    private init(text: [UInt8]) { at = JSONPlace(text) }

    private mutating func passed(_ byte: UInt8) -> Bool {
        at.passSpace()
        guard next == byte else { return false }
        place += 1
        return true
    }

    private mutating func value(_ depth: Int) throws(JSONProblem) -> JSONValue {
        at.passSpace()
        switch next {
        case UInt8(ascii: "{"):
            guard depth < JSONReading.depthMax else { throw .tooDeep }
            return .object(try members(depth + 1))
        case UInt8(ascii: "["):
            guard depth < JSONReading.depthMax else { throw .tooDeep }
            return .list(try elements(depth + 1))
        case UInt8(ascii: "\""): return .text(try string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: throw .malformed(place)
        }
    }
    private mutating func members(_ depth: Int) throws(JSONProblem) -> [String: JSONValue] {
        place += 1
        var members: [String: JSONValue] = [:]
        if passed(UInt8(ascii: "}")) { return members }
        repeat {
            at.passSpace()
            let name = try string()
            at.passSpace()
            try at.pass(UInt8(ascii: ":"))
            guard members[name] == nil else { throw .repeated(name) }
            members[name] = try value(depth)
        } while passed(UInt8(ascii: ","))
        try at.pass(UInt8(ascii: "}"))
        return members
    }
    private mutating func elements(_ depth: Int) throws(JSONProblem) -> [JSONValue] {
        place += 1
        var elements: [JSONValue] = []
        if passed(UInt8(ascii: "]")) { return elements }
        repeat { elements.append(try value(depth)) } while passed(UInt8(ascii: ","))
        try at.pass(UInt8(ascii: "]"))
        return elements
    }
    private mutating func word(_ word: String, _ value: JSONValue) throws(JSONProblem) -> JSONValue {
        try at.passWord(word)
        return value
    }

    // MARK: numbers

    /// A whole one that fits is an integer, however it is written.
    private mutating func number() throws(JSONProblem) -> JSONValue {
        let start = place
        let isWhole = try at.passNumber()
        let digits = String(decoding: text[start..<place], as: UTF8.self)
        if isWhole, let integer = Int64(digits) { return .integer(integer) }
        guard let number = Double(digits), number.isFinite else { throw .numberOutOfRange }
        return Int64(exactly: number).map { .integer($0) } ?? .number(number)
    }
    // MARK: texts

    private mutating func string() throws(JSONProblem) -> String {
        try at.pass(UInt8(ascii: "\""))
        let (text, start) = (text, place)
        var plain: [UInt8]?
        while place < text.count {
            let byte = text[place]
            if byte == UInt8(ascii: "\"") {
                let bytes = plain ?? Array(text[start..<place])
                place += 1
                guard let string = String(validating: bytes, as: UTF8.self) else { throw .notUTF8 }
                return string
            }
            guard byte >= 0x20 else { throw .malformed(place) }
            if byte == UInt8(ascii: "\\") {
                var bytes = plain ?? Array(text[start..<place])
                place += 1
                bytes += try escape()
                plain = bytes
            } else {
                plain?.append(byte)
                place += 1
            }
        }
        throw .malformed(place)
    }
    private static let escapes: [UInt8: UInt8] = [
        UInt8(ascii: "\""): UInt8(ascii: "\""), UInt8(ascii: "\\"): UInt8(ascii: "\\"),
        UInt8(ascii: "/"): UInt8(ascii: "/"), UInt8(ascii: "b"): 0x08, UInt8(ascii: "f"): 0x0C,
        UInt8(ascii: "n"): 0x0A, UInt8(ascii: "r"): 0x0D, UInt8(ascii: "t"): 0x09,
    ]
    /// What stands behind a backslash. Half a pair of surrogates is no character.
    private mutating func escape() throws(JSONProblem) -> [UInt8] {
        let start = place
        if let byte = JSONReading.escapes[next] {
            place += 1
            return [byte]
        }
        var unit = try unit()
        if (0xD800..<0xDC00).contains(unit) {
            try at.pass(UInt8(ascii: "\\"))
            let low = try self.unit()
            guard (0xDC00..<0xE000).contains(low) else { throw .malformed(start) }
            unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(unit) else { throw .malformed(start) }
        return Array(String(Character(scalar)).utf8)
    }
    private mutating func unit() throws(JSONProblem) -> UInt32 {
        try at.pass(UInt8(ascii: "u"))
        guard place + 4 <= text.count,
            let unit = UInt32(String(decoding: text[place..<place + 4], as: UTF8.self), radix: 16),
            text[place] != UInt8(ascii: "+"), text[place] != UInt8(ascii: "-")
        else { throw .malformed(place) }
        place += 4
        return unit
    }
}
