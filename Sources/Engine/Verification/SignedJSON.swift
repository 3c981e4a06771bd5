// JSON whose values are signed one by one (SNS, Adyen, JWT): decoded strictly, with numbers kept as they are written.
//
// Invariants: a name that an object has twice makes the whole text invalid, because what is verified and what the
// receiver reads could be different values; so does what RFC 8259 does not allow, and a lone surrogate. Nesting is
// bounded, so that a body cannot exhaust the stack.

import FastPath

indirect enum SignedJSON: Equatable, Sendable {
    case null
    case bool(Bool)
    /// As written.
    case number(String)
    case string(String)
    case array([SignedJSON])
    case object([String: SignedJSON])

    static let depthMax = 64

    /// `refusesEscapedNames`: of the outermost object, so that a reader that compares names as they are spelled finds
    /// the same members.
    init?(_ bytes: [UInt8], refusesEscapedNames: Bool = false) {
        var reader = SignedJSONReader(bytes, refusesEscapedNames: refusesEscapedNames)
        guard let value = reader.document() else { return nil }
        self = value
    }

    subscript(name: String) -> SignedJSON? {
        guard case .object(let members) = self else { return nil }
        return members[name]
    }
    var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }
    var elements: [SignedJSON]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }
    /// What a template makes of a scalar; nil for containers.
    var scalarText: String? {
        switch self {
        case .null: ""
        case .bool(let value): value ? "true" : "false"
        case .number(let text), .string(let text): text
        case .array, .object: nil
        }
    }
    /// A whole number of seconds; nil for a fraction, an exponent or a sign.
    var seconds: UInt64? {
        guard case .number(let text) = self, text.utf8.count <= 16 else { return nil }
        return UInt64(text)
    }
}

private struct SignedJSONReader {
    private let bytes: [UInt8]
    private let refusesEscapedNames: Bool
    private var place = 0

    init(_ bytes: [UInt8], refusesEscapedNames: Bool) {
        self.bytes = bytes
        self.refusesEscapedNames = refusesEscapedNames
    }

    mutating func document() -> SignedJSON? {
        guard let value = value(depth: 0) else { return nil }
        skipSpace()
        return place == bytes.count ? value : nil
    }

    private var next: UInt8? { place < bytes.count ? bytes[place] : nil }
    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { place += 1 }
    }
    private mutating func takes(_ byte: UInt8) -> Bool {
        skipSpace()
        guard next == byte else { return false }
        place += 1
        return true
    }
    private mutating func takes(word: StaticString) -> Bool {
        let wanted = word.description.utf8
        guard bytes[place...].starts(with: wanted) else { return false }
        place += wanted.count
        return true
    }

    private mutating func value(depth: Int) -> SignedJSON? {
        skipSpace()
        guard depth < SignedJSON.depthMax, let first = next else { return nil }
        switch first {
        case 0x7B: return object(depth)
        case 0x5B: return array(depth)
        case 0x22: return string().map(SignedJSON.string)
        case 0x74: return takes(word: "true") ? .bool(true) : nil
        case 0x66: return takes(word: "false") ? .bool(false) : nil
        case 0x6E: return takes(word: "null") ? .null : nil
        default: return number()
        }
    }
    private mutating func object(_ depth: Int) -> SignedJSON? {
        place += 1
        var members: [String: SignedJSON] = [:]
        if takes(0x7D) { return .object(members) }
        repeat {
            skipSpace()
            let start = place
            guard next == 0x22, let name = string() else { return nil }
            if refusesEscapedNames, depth == 0, bytes[start..<place].contains(0x5C) { return nil }
            guard takes(0x3A), let value = value(depth: depth + 1),
                members.updateValue(value, forKey: name) == nil
            else { return nil }
        } while takes(0x2C)
        return takes(0x7D) ? .object(members) : nil
    }
    private mutating func array(_ depth: Int) -> SignedJSON? {
        place += 1
        var elements: [SignedJSON] = []
        if takes(0x5D) { return .array(elements) }
        repeat {
            guard let value = value(depth: depth + 1) else { return nil }
            elements.append(value)
        } while takes(0x2C)
        return takes(0x5D) ? .array(elements) : nil
    }

    private mutating func digits() -> Bool {
        let start = place
        while let byte = next, byte &- 0x30 < 10 { place += 1 }
        return place > start
    }
    private mutating func number() -> SignedJSON? {
        let start = place
        if next == 0x2D { place += 1 }
        let isZero = next == 0x30
        let first = place
        guard digits(), !isZero || place == first + 1 else { return nil }
        if next == 0x2E {
            place += 1
            guard digits() else { return nil }
        }
        if let byte = next, byte | 0x20 == 0x65 {
            place += 1
            if next == 0x2B || next == 0x2D { place += 1 }
            guard digits() else { return nil }
        }
        return .number(String(decoding: bytes[start..<place], as: UTF8.self))
    }

    private mutating func string() -> String? {
        place += 1
        var text: [UInt8] = []
        while let byte = next {
            if byte == 0x5C {
                guard appendEscape(to: &text) else { return nil }
                continue
            }
            place += 1
            switch byte {
            case 0x22: return String(validating: text, as: UTF8.self)
            case 0..<0x20: return nil
            default: text.append(byte)
            }
        }
        return nil
    }
    private mutating func appendEscape(to text: inout [UInt8]) -> Bool {
        var end = place
        let value = bytes.withView { JSONEscape.scalar($0, &end) }
        place = end
        guard let scalar = value.flatMap({ Unicode.Scalar($0) }) else { return false }
        text.append(contentsOf: String(Character(scalar)).utf8)
        return true
    }
}
