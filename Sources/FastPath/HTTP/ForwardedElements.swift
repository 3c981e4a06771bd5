// The elements of the fields that proxies add, read from the right: comma-separated lists that may stand in several
// lines, quoted strings in `Forwarded`, addresses with and without ports. Passive; for `ForwardedRequest`.
//
// Invariants: all lines of a field are one list, in their order (RFC 9110 §5.3), so that a line which a client put in
// front is left of what the proxies wrote; the work is linear in the head, whatever stands in it, because a loop does
// it.

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

/// A walk over the elements of all lines of one field, the last one first. Linear in the field's bytes: a line is read
/// once, from the left, because only so an escaped quote can be told, and the places where its elements begin are kept.
package struct FieldElements {
    /// Elements that are looked at, empty ones too; no chain of proxies writes as many.
    package static let countMax = 64
    private let kind: ForwardedField
    /// The line being read; a line before the first is none.
    private var line: Int
    /// Of its elements that were not given out: how many, where each begins, where the last one ends.
    private var count = 0
    private var starts = InlineArray<64, UInt32>(repeating: 0)
    private var end = 0
    private var total = 0
    /// There were more than `countMax`, and what was read is worth nothing.
    package private(set) var isMalformed = false
    /// How far the work went: no more than the bytes of the field's lines.
    package private(set) var bytesRead = 0

    package init(_ fields: borrowing FieldTable, _ kind: ForwardedField) {
        self.kind = kind
        line = fields.count
    }

    /// Nil when there are no more. Empty elements are passed over (RFC 9110 §5.6.1), and count.
    package mutating func previous(_ bytes: ByteView, _ fields: borrowing FieldTable) -> ByteView? {
        while true {
            while count == 0 {
                line -= 1
                guard line >= 0, !isMalformed else { return nil }
                if kind.matches(fields[line], in: bytes) { read(bytes.slice(fields[line].value)) }
            }
            count -= 1
            let start = Int(starts[count])
            let element = FieldRules.trimmed(bytes.slice(fields[line].value).slice(start, end - start))
            end = start - 1
            if element.count > 0 { return element }
        }
    }
    /// The elements of one line: each begins behind a comma that is in no quoted string.
    private mutating func read(_ value: ByteView) {
        starts[0] = 0
        var found = 1
        var isQuoted = false
        var place = 0
        while place < value.count, total + found <= FieldElements.countMax {
            let byte = value[place]
            if isQuoted, byte == ASCII.backslash {
                place += 1
            } else if byte == ASCII.quote {
                isQuoted.toggle()
            } else if byte == ASCII.comma, !isQuoted {
                if total + found < FieldElements.countMax { starts[found] = UInt32(truncatingIfNeeded: place + 1) }
                found += 1
            }
            place += 1
        }
        bytesRead += min(place, value.count)
        total += found
        guard total <= FieldElements.countMax else {
            isMalformed = true
            return
        }
        count = found
        end = value.count
    }
    /// The element `count` from the right, the leftmost one of a shorter list, empty when there is none or too many.
    static func fromRight(
        _ bytes: ByteView, _ fields: borrowing FieldTable, _ kind: ForwardedField, _ count: Int
    ) -> ByteView {
        var walk = FieldElements(fields, kind)
        var result = ByteView.empty
        for _ in 0..<count {
            guard let element = walk.previous(bytes, fields) else { break }
            result = element
        }
        return walk.isMalformed ? .empty : result
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
