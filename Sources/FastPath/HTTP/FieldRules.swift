// The fields that decide where a message ends and whether the connection stays: which they are and how their values are
// read. Shared by both directions. Strict where leniency would let two parsers see two messages.
// Safety: literals are static memory.

/// The fields that the codec itself acts on.
package enum KnownField {
    case host, contentLength, transferEncoding, connection, expect, retryAfter

    // `HeaderName.hash` of each name, asserted by a test. A hash only finds the candidate; the name decides.
    @inline(__always) package init?(_ field: HeaderField, in bytes: ByteView) {
        let name: StaticString
        switch field.hash {
        case 0xAFFE_A56F: (self, name) = (.host, "host")
        case 0x4DF9_451D: (self, name) = (.contentLength, "content-length")
        case 0xDDB4_744C: (self, name) = (.transferEncoding, "transfer-encoding")
        case 0x38B9_9ED9: (self, name) = (.connection, "connection")
        case 0x96DA_6B58: (self, name) = (.expect, "expect")
        case 0xC6DA_1376: (self, name) = (.retryAfter, "retry-after")
        default: return nil
        }
        guard FieldRules.matches(bytes.slice(field.name), name) else { return nil }
    }
}

package enum FieldRules {
    /// True exactly when `text` is `lowered` but for the case of letters.
    @inline(__always) package static func matches(_ text: ByteView, _ lowered: StaticString) -> Bool {
        unsafe text.equalsIgnoringCase(lowered: ByteView(lowered.utf8Start, count: lowered.utf8CodeUnitCount))
    }

    /// Digits only, no leading zero, at most 2^63-1; nil for anything else. `005` is refused because readers disagree
    /// on whether it is octal.
    package static func contentLength(_ value: ByteView) -> Int? {
        guard value.count > 0, value.count <= 19, value.count == 1 || value[0] != ASCII.zero else { return nil }
        return number(value)
    }
    /// Digits only; nil for anything else, and when it does not fit.
    package static func number(_ value: ByteView) -> Int? {
        guard value.count > 0 else { return nil }
        var result = 0
        for index in 0..<value.count {
            guard CharacterClasses.isDigit(value[index]) else { return nil }
            let (product, isOver) = result.multipliedReportingOverflow(by: 10)
            let (sum, isOverToo) = product.addingReportingOverflow(Int(value[index] - ASCII.zero))
            guard !isOver, !isOverToo else { return nil }
            result = sum
        }
        return result
    }
    /// `value` without white space at its ends.
    @inline(__always) package static func trimmed(_ value: ByteView) -> ByteView {
        var start = 0
        var end = value.count
        while start < end, CharacterClasses.isBlank(value[start]) { start &+= 1 }
        while end > start, CharacterClasses.isBlank(value[end &- 1]) { end &-= 1 }
        return value.slice(start, end - start)
    }
    /// The comma-separated element that begins at `start`, trimmed; moves `start` behind its comma, beyond the end
    /// after the last one.
    @inline(__always) package static func nextElement(_ value: ByteView, _ start: inout Int) -> ByteView {
        var end = start
        while end < value.count, value[end] != ASCII.comma { end &+= 1 }
        let element = trimmed(value.slice(start, end - start))
        start = end &+ 1
        return element
    }
    @inline(__always) package static func isToken(_ text: ByteView) -> Bool {
        guard text.count > 0 else { return false }
        for index in 0..<text.count where !CharacterClasses.isToken(text[index]) { return false }
        return true
    }
}

/// What the `Connection` fields of one message say (RFC 9112 §9.3).
package struct ConnectionOptions {
    package var hasClose = false
    package var hasKeepAlive = false

    package init() {}
    package mutating func add(_ value: ByteView) {
        var start = 0
        while start <= value.count {
            let option = FieldRules.nextElement(value, &start)
            if FieldRules.matches(option, "close") { hasClose = true }
            if FieldRules.matches(option, "keep-alive") { hasKeepAlive = true }
        }
    }
    package func closes(versionMinor: UInt8) -> Bool { hasClose || versionMinor == 0 && !hasKeepAlive }
}

/// All `Transfer-Encoding` fields of one message, as one list. Only a single `chunked` frames a message here.
package struct TransferCodings {
    private var elementCount = 0
    private var chunkedCount = 0
    private var isLastChunked = false
    private var isMalformed = false

    package init() {}
    package mutating func add(_ value: ByteView) {
        var start = 0
        while start <= value.count {
            let element = FieldRules.nextElement(value, &start)
            var nameEnd = 0
            while nameEnd < element.count, element[nameEnd] != ASCII.semicolon { nameEnd &+= 1 }
            let name = FieldRules.trimmed(element.slice(0, nameEnd))
            let isNamedChunked = FieldRules.matches(name, "chunked")
            // An empty element, and `chunked` with parameters, are read as `chunked` by some peers and not by others.
            if !FieldRules.isToken(name) || isNamedChunked && nameEnd < element.count { isMalformed = true }
            isLastChunked = isNamedChunked
            if isNamedChunked { chunkedCount &+= 1 }
            elementCount &+= 1
        }
    }
    package var isPresent: Bool { elementCount > 0 }
    /// Why the message cannot be framed, nil when it is plainly chunked. A list that makes sense but is not
    /// implemented is 501.
    package var error: HTTPError? {
        if isMalformed || chunkedCount > 1 || chunkedCount == 1 && !isLastChunked { return .badTransferEncoding }
        return chunkedCount == 1 && elementCount == 1 ? nil : .unsupportedTransferCoding
    }
}

/// The form of a host with its port: `uri-host [ ":" port ]` (RFC 9110 §7.2).
package enum HostRules {
    /// True when `value` has that form and its port is at most 65535. Empty is allowed, a comma is not: a list of
    /// hosts is what it would hide.
    package static func isValid(_ value: ByteView) -> Bool {
        var place = 0
        if value.count > 0, value[0] == 0x5B {
            guard let end = literalEnd(value) else { return false }
            place = end
        } else {
            while place < value.count, CharacterClasses.isRegisteredName(value[place]) { place &+= 1 }
        }
        guard place < value.count else { return true }
        guard value[place] == ASCII.colon else { return false }
        let port = value.slice(place + 1, value.count - place - 1)
        if port.count == 0 { return true }
        guard let number = FieldRules.number(port) else { return false }
        return number <= 65_535
    }
    /// The place behind the `]` of an IP literal; nil when it is malformed.
    private static func literalEnd(_ value: ByteView) -> Int? {
        var place = 1
        let isFuture = value.count > 1 && value[1] | 0x20 == 0x76
        if isFuture {
            place = 2
            while place < value.count, CharacterClasses.isHexadecimal(value[place]) { place &+= 1 }
            guard place > 2, place < value.count, value[place] == 0x2E else { return nil }
            place &+= 1
        }
        let start = place
        while place < value.count, isLiteralByte(value[place], isFuture: isFuture) { place &+= 1 }
        guard place > start, place < value.count, value[place] == 0x5D else { return nil }
        return place + 1
    }
    private static func isLiteralByte(_ byte: UInt8, isFuture: Bool) -> Bool {
        if byte == ASCII.colon { return true }
        if isFuture { return byte == ASCII.comma || byte != 0x25 && CharacterClasses.isRegisteredName(byte) }
        return byte == 0x2E || CharacterClasses.isHexadecimal(byte)
    }
}
