// The elements of the fields that proxies add, read from the right: comma-separated lists that may stand in several
// lines, quoted strings in `Forwarded`, addresses with and without ports. Passive; for `ForwardedRequest`.
//
// Invariant: all lines of a field are one list, in their order (RFC 9110 §5.3), so that a line which a client put in
// front is left of what the proxies wrote.

/// The fields that are read.
package enum ForwardedField: CaseIterable, Sendable {
    case forwarded, addresses, scheme, host, port

    package var name: StaticString {
        switch self {
        case .forwarded: "forwarded"
        case .addresses: "x-forwarded-for"
        case .scheme: "x-forwarded-proto"
        case .host: "x-forwarded-host"
        case .port: "x-forwarded-port"
        }
    }
    @inline(__always) package func matches(_ field: HeaderField, in bytes: ByteView) -> Bool {
        FieldRules.matches(bytes.slice(field.name), name)
    }
}

enum KnownHops: Equatable {
    case forwarded, addresses
    var field: ForwardedField { self == .forwarded ? .forwarded : .addresses }
}

/// A walk over the elements of all lines of one field, the last one first.
struct FieldElements {
    private let kind: ForwardedField
    /// The line being read, and the end of what is not read of it; a line before the first is none.
    private var line: Int
    private var end = -1

    init(_ bytes: ByteView, _ fields: borrowing FieldTable, _ kind: ForwardedField) {
        self.kind = kind
        line = fields.count
    }

    /// Nil when there are no more. Empty elements are passed over (RFC 9110 §5.6.1).
    mutating func previous(_ bytes: ByteView, _ fields: borrowing FieldTable) -> ByteView? {
        while true {
            while end < 0 {
                line -= 1
                guard line >= 0 else { return nil }
                if kind.matches(fields[line], in: bytes) { end = Int(fields[line].value.count) }
            }
            let value = bytes.slice(fields[line].value)
            let start = FieldElements.elementStart(value, end: end)
            let element = FieldRules.trimmed(value.slice(start, end - start))
            end = start - 1
            if element.count > 0 { return element }
        }
    }
    /// Behind the last comma before `end` that is in no quoted string. A quote may be escaped, which only reading from
    /// the left can tell, so it is read from the left: O(length) for each element, in a line of a bounded head.
    private static func elementStart(_ value: ByteView, end: Int) -> Int {
        var start = 0
        var isQuoted = false
        var place = 0
        while place < end {
            let byte = value[place]
            if isQuoted, byte == ASCII.backslash {
                place += 1
            } else if byte == ASCII.quote {
                isQuoted.toggle()
            } else if byte == ASCII.comma, !isQuoted {
                start = place + 1
            }
            place += 1
        }
        return start
    }
    /// The element `count` from the right, the leftmost one of a shorter list, empty when there is none.
    static func fromRight(
        _ bytes: ByteView, _ fields: borrowing FieldTable, _ kind: ForwardedField, _ count: Int
    ) -> ByteView {
        var walk = FieldElements(bytes, fields, kind)
        var result = ByteView.empty
        for _ in 0..<count {
            guard let element = walk.previous(bytes, fields) else { break }
            result = element
        }
        return result
    }
}

/// The `name=value` pairs of one element of `Forwarded` (RFC 7239 §4).
struct ForwardedPairs {
    private let element: ByteView
    private var place = 0
    private(set) var isMalformed = false

    init(_ element: ByteView) { self.element = element }

    /// Nil at the end, and for what is no pair; `isMalformed` tells which.
    mutating func next() -> (name: ByteView, value: ByteView)? {
        guard place < element.count, !isMalformed else { return nil }
        let start = place
        while place < element.count, CharacterClasses.isToken(element[place]) { place += 1 }
        let name = element.slice(start, place - start)
        guard name.count > 0, place < element.count, element[place] == ASCII.equals else { return malformed() }
        place += 1
        guard let value = value() else { return malformed() }
        skipBlanks()
        if place < element.count {
            guard element[place] == ASCII.semicolon else { return malformed() }
            place += 1
            skipBlanks()
            guard place < element.count else { return malformed() }
        }
        return (name, value)
    }
    /// A token, or what stands in a quoted string; one with an escape is nothing that we read (no address or host has
    /// one).
    private mutating func value() -> ByteView? {
        guard place < element.count else { return nil }
        if element[place] != ASCII.quote {
            let start = place
            // Colons and brackets are no token's, but unquoted addresses with ports are common.
            while place < element.count, isPlain(element[place]) { place += 1 }
            return place > start ? element.slice(start, place - start) : nil
        }
        place += 1
        let start = place
        while place < element.count, element[place] != ASCII.quote {
            guard element[place] != ASCII.backslash else { return nil }
            place += 1
        }
        guard place < element.count else { return nil }
        place += 1
        return element.slice(start, place - 1 - start)
    }
    private func isPlain(_ byte: UInt8) -> Bool {
        CharacterClasses.isToken(byte) || byte == ASCII.colon || byte == 0x5B || byte == 0x5D
    }
    private mutating func skipBlanks() {
        while place < element.count, CharacterClasses.isBlank(element[place]) { place += 1 }
    }
    private mutating func malformed() -> (name: ByteView, value: ByteView)? {
        isMalformed = true
        return nil
    }
}

/// An address as a proxy names it: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`, `2001:db8::1`.
enum HopAddress {
    /// Nil for `unknown`, an obfuscated name and whatever else is no address.
    static func parse(_ text: ByteView) -> IPAddress? {
        if let address = IPAddress.parse(text) { return address }
        guard text.count > 2 else { return nil }
        if text[0] == 0x5B {
            var end = 1
            while end < text.count, text[end] != 0x5D { end += 1 }
            guard end < text.count, isPort(text.slice(end + 1, text.count - end - 1), mayBeEmpty: true) else {
                return nil
            }
            let address = IPAddress.parse(text.slice(1, end - 1))
            return address.flatMap { hasColon(text.slice(1, end - 1)) ? $0 : nil }
        }
        var end = 0
        while end < text.count, text[end] != ASCII.colon { end += 1 }
        guard isPort(text.slice(end, text.count - end), mayBeEmpty: false) else { return nil }
        return IPAddress.parse(text.slice(0, end))
    }
    private static func hasColon(_ text: ByteView) -> Bool {
        for index in 0..<text.count where text[index] == ASCII.colon { return true }
        return false
    }
    private static func isPort(_ text: ByteView, mayBeEmpty: Bool) -> Bool {
        if text.count == 0 { return mayBeEmpty }
        guard text.count > 1, text.count <= 6, text[0] == ASCII.colon else { return false }
        return FieldRules.number(text.slice(1, text.count - 1)) != nil
    }
}
