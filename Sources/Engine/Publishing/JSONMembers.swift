// The members of a JSON object as they stand in its text: the whole is held against RFC 8259, and each value is cut out
// as it was written, so that a payload is kept byte by byte. Pure; one pass, no recursion, no tree.
//
// Invariants: every step consumes a byte or throws; nested containers cost a bit each, and there is a bound to them; a
// member's range lies in the text.
import FastPath
import Foundation

package enum JSONProblem: Error, Equatable, Sendable {
    /// At this byte.
    case malformed(Int)
    case notUTF8
    case notAnObject
    case tooDeep
    case numberTooLong
    case numberOutOfRange
    case repeated(String)
    case tooManyMembers
    case tooManyValues

    package var message: String {
        switch self {
        case .malformed(let place): "is not JSON: it breaks off or goes wrong at byte \(place)"
        case .notUTF8: "is not UTF-8"
        case .notAnObject: "must be a JSON object"
        case .tooDeep: "is nested more than \(JSONMembers.depthMax) deep"
        case .numberTooLong: "has a number of more than \(JSONPlace.numberMax) characters"
        case .numberOutOfRange: "has a number that is beyond all that can be kept"
        case .repeated(let name): "has `\(name.prefix(64))` twice"
        case .tooManyMembers: "has more than \(JSONMembers.memberCountMax) members"
        case .tooManyValues: "has more than \(JSONDocument.valueCountMax) values"
        }
    }
}

package struct JSONMembers: Sendable {
    package enum Form: Sendable { case text, number, object, list, flag, null }
    package struct Member: Sendable {
        package let name: String
        package let form: Form
        /// As written, quotes and brackets with it.
        package let range: Range<Int>
    }
    static let depthMax = JSONReading.depthMax
    /// Each new name is compared with those before it.
    static let memberCountMax = 256

    package private(set) var members: [Member] = []
    private var at: JSONPlace
    private var text: [UInt8] { at.text }
    private var next: UInt8 { at.next }
    private var place: Int {
        get { at.place }
        set { at.place = newValue }
    }

    /// Of the object that `text` is.
    package init(_ text: [UInt8]) throws(JSONProblem) {
        guard String(validating: text, as: UTF8.self) != nil else { throw .notUTF8 }
        at = JSONPlace(text)
        at.passSpace()
        guard next == UInt8(ascii: "{") else {
            try passValue()
            throw .notAnObject
        }
        place += 1
        at.passSpace()
        if next == UInt8(ascii: "}") { place += 1 } else { try readMembers() }
        at.passSpace()
        guard at.isAtEnd else { throw .malformed(place) }
    }
    private init(unread text: [UInt8]) { at = JSONPlace(text) }
    /// Whether `text` is one object and nothing else. How many members it has, and whether two have one name, is its
    /// sender's affair.
    package static func isObject(_ text: [UInt8]) -> Bool {
        guard String(validating: text, as: UTF8.self) != nil else { return false }
        var scan = JSONMembers(unread: text)
        scan.at.passSpace()
        guard scan.next == UInt8(ascii: "{") else { return false }
        do throws(JSONProblem) { try scan.passValue() } catch { return false }
        scan.at.passSpace()
        return scan.at.isAtEnd
    }
    package subscript(name: String) -> Member? { members.first { $0.name == name } }
    package func bytes(of member: Member) -> [UInt8] { Array(text[member.range]) }
    /// Nil when it is no text, or one that no Unicode text spells.
    package func string(of member: Member) -> String? {
        member.form == .text ? JSONMembers.string(text[member.range]) : nil
    }
    /// Nil when it is no list of texts.
    package func strings(of member: Member) -> [String]? {
        guard member.form == .list else { return nil }
        var scan = JSONMembers(unread: bytes(of: member))
        do throws(JSONProblem) { return try scan.readTexts() } catch { return nil }
    }
    /// Of a list that is JSON; nil when one of them is no text.
    private mutating func readTexts() throws(JSONProblem) -> [String]? {
        var texts: [String] = []
        repeat {
            // Past the bracket, or a comma.
            place += 1
            at.passSpace()
            if texts.isEmpty, next == UInt8(ascii: "]") { return [] }
            let start = place
            guard next == UInt8(ascii: "\"") else { return nil }
            try passString()
            guard let text = JSONMembers.string(text[start..<place]) else { return nil }
            texts.append(text)
            at.passSpace()
        } while next == UInt8(ascii: ",")
        return texts
    }

    private mutating func readMembers() throws(JSONProblem) {
        while true {
            at.passSpace()
            let start = place
            try passString()
            guard let name = JSONMembers.string(text[start..<place]) else { throw .malformed(start) }
            guard self[name] == nil else { throw .repeated(name) }
            guard members.count < JSONMembers.memberCountMax else { throw .tooManyMembers }
            try passColon()
            at.passSpace()
            let first = place
            guard let form = form(of: next) else { throw .malformed(place) }
            try passValue()
            members.append(Member(name: name, form: form, range: first..<place))
            at.passSpace()
            guard next == UInt8(ascii: ",") else { break }
            place += 1
        }
        guard next == UInt8(ascii: "}") else { throw .malformed(place) }
        place += 1
    }
    private func form(of byte: UInt8) -> Form? {
        switch byte {
        case UInt8(ascii: "\""): .text
        case UInt8(ascii: "{"): .object
        case UInt8(ascii: "["): .list
        case UInt8(ascii: "t"), UInt8(ascii: "f"): .flag
        case UInt8(ascii: "n"): .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): .number
        default: nil
        }
    }
    private static func string(_ quoted: ArraySlice<UInt8>) -> String? {
        let inside = quoted.dropFirst().dropLast()
        guard inside.contains(UInt8(ascii: "\\")) else { return String(decoding: inside, as: UTF8.self) }
        return try? JSONDecoder().decode(String.self, from: Data(quoted))
    }

    // MARK: One pass

    /// Past one value, white space before it too.
    private mutating func passValue() throws(JSONProblem) {
        // The lowest bit is the innermost container: 1 = an object.
        var kinds: UInt64 = 0
        var depth = 0
        while true {
            at.passSpace()
            let byte = next
            if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                guard depth < JSONMembers.depthMax else { throw .tooDeep }
                let isObject = byte == UInt8(ascii: "{")
                kinds = kinds << 1 | (isObject ? 1 : 0)
                depth += 1
                place += 1
                at.passSpace()
                if next != (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    if isObject { try passName() }
                    continue
                }
            } else {
                try passScalar(byte)
            }
            guard try leaves(&kinds, &depth) else { return }
        }
    }
    /// Behind a value, or before the end of an empty container: true when another value follows.
    private mutating func leaves(_ kinds: inout UInt64, _ depth: inout Int) throws(JSONProblem) -> Bool {
        while depth > 0 {
            at.passSpace()
            let isObject = kinds & 1 == 1
            if next == UInt8(ascii: ",") {
                // Not behind the bracket that opens.
                place += 1
                if isObject { try passName() }
                return true
            }
            guard next == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { throw .malformed(place) }
            place += 1
            kinds >>= 1
            depth -= 1
        }
        return false
    }
    private mutating func passName() throws(JSONProblem) {
        at.passSpace()
        try passString()
        try passColon()
    }
    private mutating func passColon() throws(JSONProblem) {
        at.passSpace()
        try at.pass(UInt8(ascii: ":"))
    }
    private mutating func passScalar(_ first: UInt8) throws(JSONProblem) {
        switch first {
        case UInt8(ascii: "\""): try passString()
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): _ = try at.passNumber()
        case UInt8(ascii: "t"): try at.passWord("true")
        case UInt8(ascii: "f"): try at.passWord("false")
        case UInt8(ascii: "n"): try at.passWord("null")
        default: throw .malformed(place)
        }
    }
    private mutating func passString() throws(JSONProblem) {
        guard next == UInt8(ascii: "\"") else { throw .malformed(place) }
        place += 1
        while true {
            let start = place
            place = text.withView { CharacterClasses.firstSpecialInJSONText($0, from: start, to: $0.count) }
            let byte = next
            guard byte >= 0x20 else { throw .malformed(place) }
            place += 1
            guard byte == UInt8(ascii: "\\") else { return }
            try passEscape()
        }
    }
    private mutating func passEscape() throws(JSONProblem) {
        switch next {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            place += 1
        case UInt8(ascii: "u"):
            guard place + 5 <= text.count,
                text[place + 1..<place + 5].allSatisfy({ CharacterClasses.isHexadecimal($0) })
            else { throw .malformed(place) }
            place += 5
        default: throw .malformed(place)
        }
    }
}
