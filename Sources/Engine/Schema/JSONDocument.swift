// A JSON text as a flat table of its values, in the order they stand: what a schema is run over, and what a schema is
// read from. Numbers stay as they are written. Worker threads; it allocates.
//
// Invariants: the whole text is held against RFC 8259, and is UTF-8; depth and number of values are bounded; a value's
// `next` is behind all that is in it, so that a walk always goes on. What breaks otherwise: a body passes that its
// receiver cannot read.
import FastPath

package struct JSONDocument: Sendable {
    enum Kind: UInt8, Sendable { case null, no, yes, number, text, list, object }
    struct Value: Sendable {
        var kind: Kind
        /// Of a text: something in it is an escape.
        var hasEscape = false
        /// As it stands in the text; of a text without its quotes.
        var start: Int32
        var end: Int32
        /// Of a list its elements, of an object its members.
        var count: Int32 = 0
        /// The place of the value behind this one and all that is in it.
        var next: Int32
    }
    package static let depthMax = 64
    /// About 24 bytes each, while the body is checked.
    package static let valueCountMax = 500_000

    let text: [UInt8]
    /// The members of an object are a text, which is the name, and the value, one behind the other.
    private(set) var values: [Value] = []

    package init(_ text: [UInt8]) throws(JSONProblem) {
        guard String(validating: text, as: UTF8.self) != nil else { throw .notUTF8 }
        self.text = text
        var at = JSONPlace(text)
        // A byte order mark, which a reader may ignore (RFC 8259 §8.1).
        if text.starts(with: [0xEF, 0xBB, 0xBF]) { at.place = 3 }
        try read(&at)
        at.passSpace()
        guard at.isAtEnd else { throw .malformed(at.place) }
    }

    // MARK: what stands where

    /// The places of a list's elements.
    package func elements(of place: Int) -> [Int] {
        var places: [Int] = []
        places.reserveCapacity(Int(values[place].count))
        var next = place + 1
        for _ in 0..<Int(values[place].count) {
            places.append(next)
            next = Int(values[next].next)
        }
        return places
    }
    /// The places of an object's members, in their order.
    package func members(of place: Int) -> [(name: Int, value: Int)] {
        var members: [(name: Int, value: Int)] = []
        members.reserveCapacity(Int(values[place].count))
        var next = place + 1
        for _ in 0..<Int(values[place].count) {
            members.append((next, next + 1))
            next = Int(values[next + 1].next)
        }
        return members
    }
    func kind(_ place: Int) -> Kind { values[place].kind }
    func count(_ place: Int) -> Int { Int(values[place].count) }
    /// What a text spells, escapes read.
    func bytes(_ place: Int) -> [UInt8] {
        let value = values[place]
        let written = text[Int(value.start)..<Int(value.end)]
        guard value.hasEscape else { return Array(written) }
        return Array(written).withView { JSONSyntax.decoded($0) }
    }
    package func string(_ place: Int) -> String { String(decoding: bytes(place), as: UTF8.self) }
    /// As it is written.
    package func written(_ place: Int) -> ArraySlice<UInt8> {
        let value = values[place]
        let quotes: Int32 = value.kind == .text ? 1 : 0
        return text[Int(value.start - quotes)..<Int(value.end + quotes)]
    }
    func length(_ place: Int) -> Int { Int(values[place].end - values[place].start) }
    /// Of a text or a number, as it stands.
    func withView<R>(_ place: Int, _ body: (ByteView) -> R) -> R {
        let value = values[place]
        return text.withView { body($0.slice(Int(value.start), Int(value.end - value.start))) }
    }

    // MARK: one pass

    /// The containers that are open while it reads.
    private struct Open {
        var places: [Int] = []
    }
    private mutating func read(_ at: inout JSONPlace) throws(JSONProblem) {
        var open = Open()
        while true {
            at.passSpace()
            let byte = at.next
            if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                guard open.places.count < JSONDocument.depthMax else { throw .tooDeep }
                let isObject = byte == UInt8(ascii: "{")
                open.places.append(values.count)
                try add(Value(kind: isObject ? .object : .list, start: Int32(at.place), end: 0, next: 0))
                at.place += 1
                at.passSpace()
                if at.next != (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    if isObject { try readName(&at) }
                    continue
                }
            } else {
                try readScalar(byte, &at)
                if let last = open.places.last { values[last].count += 1 }
            }
            guard try leave(&open, &at) else { return }
        }
    }
    /// Behind a value, or before the end of an empty container: true when another value follows.
    private mutating func leave(_ open: inout Open, _ at: inout JSONPlace) throws(JSONProblem) -> Bool {
        while let place = open.places.last {
            at.passSpace()
            let isObject = values[place].kind == .object
            if at.next == UInt8(ascii: ",") {
                at.place += 1
                if isObject { try readName(&at) }
                return true
            }
            try at.pass(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"))
            values[place].end = Int32(at.place)
            values[place].next = Int32(values.count)
            open.places.removeLast()
            if let outer = open.places.last { values[outer].count += 1 }
        }
        return false
    }
    private mutating func readName(_ at: inout JSONPlace) throws(JSONProblem) {
        at.passSpace()
        try readText(&at)
        at.passSpace()
        try at.pass(UInt8(ascii: ":"))
    }
    private mutating func readScalar(_ first: UInt8, _ at: inout JSONPlace) throws(JSONProblem) {
        let start = Int32(at.place)
        let kind: Kind
        switch first {
        case UInt8(ascii: "\""): return try readText(&at)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            _ = try at.passNumber()
            kind = .number
        case UInt8(ascii: "t"):
            try at.passWord("true")
            kind = .yes
        case UInt8(ascii: "f"):
            try at.passWord("false")
            kind = .no
        case UInt8(ascii: "n"):
            try at.passWord("null")
            kind = .null
        default: throw .malformed(at.place)
        }
        try add(Value(kind: kind, start: start, end: Int32(at.place), next: Int32(values.count + 1)))
    }
    private mutating func readText(_ at: inout JSONPlace) throws(JSONProblem) {
        try at.pass(UInt8(ascii: "\""))
        let start = at.place
        var hasEscape = false
        while true {
            let from = at.place
            at.place = text.withView { CharacterClasses.firstSpecialInJSONText($0, from: from, to: $0.count) }
            if at.next == UInt8(ascii: "\"") { break }
            guard at.next == UInt8(ascii: "\\") else { throw .malformed(at.place) }
            hasEscape = true
            try passEscape(&at)
        }
        try add(
            Value(
                kind: .text, hasEscape: hasEscape, start: Int32(start), end: Int32(at.place),
                next: Int32(values.count + 1)))
        at.place += 1
    }
    private func passEscape(_ at: inout JSONPlace) throws(JSONProblem) {
        at.place += 1
        switch at.next {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            at.place += 1
        case UInt8(ascii: "u"):
            guard at.place + 5 <= text.count,
                text[at.place + 1..<at.place + 5].allSatisfy({ CharacterClasses.isHexadecimal($0) })
            else { throw .malformed(at.place) }
            at.place += 5
        default: throw .malformed(at.place)
        }
    }
    private mutating func add(_ value: Value) throws(JSONProblem) {
        guard values.count < JSONDocument.valueCountMax else { throw .tooManyValues }
        values.append(value)
    }
}

// MARK: the same value

/// Values of documents held against each other as JSON means them: 1.0 is 1, members have no order. What it looks at
/// is counted, so that whoever asks has a bound.
struct JSONSameness {
    private(set) var steps = 0

    /// Equal values have equal hashes, in this process.
    mutating func hash(_ document: JSONDocument, _ place: Int) -> Int {
        steps += 1
        var hasher = Hasher()
        let kind = document.kind(place)
        hasher.combine(kind.rawValue)
        switch kind {
        case .null, .no, .yes: break
        case .number:
            document.withView(place) { view in
                if let number = DecimalNumber(view) { number.hash(into: &hasher) }
            }
        case .text:
            steps += document.length(place) >> 5
            hasher.combine(document.bytes(place))
        case .list:
            for element in document.elements(of: place) { hasher.combine(hash(document, element)) }
        case .object:
            var sum = 0
            for member in document.members(of: place) {
                steps += document.length(member.name) >> 5
                var own = Hasher()
                own.combine(document.bytes(member.name))
                own.combine(hash(document, member.value))
                sum &+= own.finalize()
            }
            hasher.combine(sum)
        }
        return hasher.finalize()
    }

    mutating func isSame(_ left: JSONDocument, _ place: Int, _ right: JSONDocument, _ other: Int) -> Bool {
        steps += 1
        guard left.kind(place) == right.kind(other) else { return false }
        switch left.kind(place) {
        case .null, .no, .yes: return true
        case .number:
            return left.withView(place) { one in
                right.withView(other) { two in
                    guard let one = DecimalNumber(one), let two = DecimalNumber(two) else { return false }
                    return one.compared(to: two) == 0
                }
            }
        case .text:
            steps += (left.length(place) + right.length(other)) >> 5
            return left.bytes(place) == right.bytes(other)
        case .list:
            guard left.count(place) == right.count(other) else { return false }
            for (one, two) in zip(left.elements(of: place), right.elements(of: other))
            where !isSame(left, one, right, two) {
                return false
            }
            return true
        case .object: return areSameMembers(left, place, right, other)
        }
    }
    private mutating func areSameMembers(
        _ left: JSONDocument, _ place: Int, _ right: JSONDocument, _ other: Int
    ) -> Bool {
        guard left.count(place) == right.count(other) else { return false }
        var byName: [[UInt8]: Int] = [:]
        for member in right.members(of: other) {
            // Also where it comes to nothing, as it does for each two that have a name twice.
            steps += 1 + right.length(member.name) >> 5
            byName[right.bytes(member.name)] = member.value
        }
        // A name that is there twice makes an object that is like no other.
        guard byName.count == right.count(other) else { return false }
        for member in left.members(of: place) {
            guard let twin = byName[left.bytes(member.name)], isSame(left, member.value, right, twin) else {
                return false
            }
        }
        return true
    }
}
