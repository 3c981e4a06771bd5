// JSON that a caller sends, as a value: RFC 8259 and nothing beside it, read in one pass. What would be read in two
// ways or cost without end is refused: a name twice in an object, nesting, numbers too long for any. Every body that
// becomes a value comes through here; payloads, which are kept as they stand, through `JSONMembers`, with the same
// bounds.
//
// Invariants: every step consumes a byte or throws, and each byte is copied once at most; recursion is bounded by
// `depthMax`; a value is only as large as its text. Pure.
import FastPath

package struct JSONReading {
    package static let depthMax = 64
    private let depthMax: Int
    private var at: JSONPlace
    private var text: [UInt8] { at.text }
    private var next: UInt8 { at.next }
    private var place: Int {
        get { at.place }
        set { at.place = newValue }
    }

    package static func value(
        _ text: [UInt8], depthMax: Int = JSONReading.depthMax
    ) throws(JSONProblem) -> PlainJSON {
        var reading = JSONReading(text: text, depthMax: depthMax)
        let value = try reading.value(0)
        reading.at.passSpace()
        guard reading.at.isAtEnd else { throw .malformed(reading.place) }
        return value
    }
    private init(text: [UInt8], depthMax: Int) {
        self.depthMax = depthMax
        at = JSONPlace(text)
    }

    private mutating func passed(_ byte: UInt8) -> Bool {
        at.passSpace()
        guard next == byte else { return false }
        place += 1
        return true
    }

    private mutating func value(_ depth: Int) throws(JSONProblem) -> PlainJSON {
        at.passSpace()
        switch next {
        case UInt8(ascii: "{"):
            guard depth < depthMax else { throw .tooDeep }
            return .object(try members(depth + 1))
        case UInt8(ascii: "["):
            guard depth < depthMax else { throw .tooDeep }
            return .list(try elements(depth + 1))
        case UInt8(ascii: "\""): return .text(try string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: throw .malformed(place)
        }
    }
    private mutating func members(_ depth: Int) throws(JSONProblem) -> [String: PlainJSON] {
        place += 1
        var members: [String: PlainJSON] = [:]
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
    private mutating func elements(_ depth: Int) throws(JSONProblem) -> [PlainJSON] {
        place += 1
        var elements: [PlainJSON] = []
        if passed(UInt8(ascii: "]")) { return elements }
        repeat { elements.append(try value(depth)) } while passed(UInt8(ascii: ","))
        try at.pass(UInt8(ascii: "]"))
        return elements
    }
    private mutating func word(_ word: String, _ value: PlainJSON) throws(JSONProblem) -> PlainJSON {
        try at.passWord(word)
        return value
    }

    // MARK: numbers

    /// A whole one that fits is an integer, however it is written.
    private mutating func number() throws(JSONProblem) -> PlainJSON {
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
        // What stands before `start`, where it had escapes.
        var read: [UInt8] = []
        var start = place
        while true {
            let from = place
            place = text.withView { CharacterClasses.firstSpecialInJSONText($0, from: from, to: $0.count) }
            guard next == UInt8(ascii: "\\") else { break }
            read += text[start..<place]
            place += 1
            try passEscape(into: &read)
            start = place
        }
        let end = place
        try at.pass(UInt8(ascii: "\""))
        let string: String?
        if read.isEmpty {
            string = String(validating: text[start..<end], as: UTF8.self)
        } else {
            read += text[start..<end]
            string = String(validating: read, as: UTF8.self)
        }
        guard let string else { throw .notUTF8 }
        return string
    }
    /// What stands behind a backslash. Half a pair of surrogates is no character.
    private mutating func passEscape(into read: inout [UInt8]) throws(JSONProblem) {
        let start = place
        switch next {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): read.append(next)
        case UInt8(ascii: "b"): read.append(0x08)
        case UInt8(ascii: "f"): read.append(0x0C)
        case UInt8(ascii: "n"): read.append(0x0A)
        case UInt8(ascii: "r"): read.append(0x0D)
        case UInt8(ascii: "t"): read.append(0x09)
        default:
            var unit = try unit()
            if (0xD800..<0xDC00).contains(unit) {
                try at.pass(UInt8(ascii: "\\"))
                let low = try self.unit()
                guard (0xDC00..<0xE000).contains(low) else { throw .malformed(start) }
                unit = 0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(unit) else { throw .malformed(start) }
            read.append(contentsOf: String(scalar).utf8)
            return
        }
        place += 1
    }
    private mutating func unit() throws(JSONProblem) -> UInt32 {
        try at.pass(UInt8(ascii: "u"))
        guard place + 4 <= text.count else { throw .malformed(place) }
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard CharacterClasses.isHexadecimal(next) else { throw .malformed(place) }
            unit = unit << 4 | UInt32(CharacterClasses.hexadecimalValue(next))
            place += 1
        }
        return unit
    }
}
