// The request target: its form (RFC 9112 §3.2) and where its authority, path and query are. The bytes are printable
// ASCII without a space already; this decides what they mean.
//
// A character outside RFC 3986 is let through, except the two that change what a path means to the next reader: `\`
// (a slash to some) and `#` (an end to some). A broken percent-encoding and an encoded NUL are refused.

package struct Target: Sendable {
    /// Empty in an absolute form without a path (which means `/`) and for CONNECT.
    package var path = ByteRange.empty
    package var query = ByteRange.empty
    /// Not empty exactly in the absolute form.
    package var authority = ByteRange.empty

    /// Nil when the target has none of the forms that its method allows.
    @inline(__always) package init?(_ bytes: ByteView, range: ByteRange, method: ByteView) {
        let first = bytes[Int(range.start)]
        if first == 0x2F, method[0] != 0x43 || !method.equals("CONNECT") {
            guard splitPath(bytes, from: Int(range.start), to: range.end) else { return nil }
            return
        }
        guard parseRareForm(bytes, range, method) else { return nil }
    }
    @inline(never) private mutating func parseRareForm(
        _ bytes: ByteView, _ range: ByteRange, _ method: ByteView
    ) -> Bool {
        if method.equals("CONNECT") {
            return Target.hasPort(bytes.slice(range)) && HostRules.isValid(bytes.slice(range))
        }
        if range.count == 1, bytes[Int(range.start)] == 0x2A {
            path = range
            return method.equals("OPTIONS")
        }
        var place = Int(range.start)
        if Target.begins(bytes.slice(range), "http://") { place += 7 }
        if Target.begins(bytes.slice(range), "https://") { place += 8 }
        guard place > Int(range.start) else { return false }
        let start = place
        while place < range.end, bytes[place] != 0x2F, bytes[place] != 0x3F, bytes[place] != 0x23 { place &+= 1 }
        authority = ByteRange(start: start, count: place - start)
        // `HostRules` has no `@`, so userinfo, the oldest way to make a URL look like another, is refused with the
        // rest.
        guard !authority.isEmpty, HostRules.isValid(bytes.slice(authority)) else { return false }
        return splitPath(bytes, from: place, to: range.end)
    }
    private static func begins(_ text: ByteView, _ scheme: StaticString) -> Bool {
        let count = scheme.utf8CodeUnitCount
        return text.count >= count && FieldRules.matches(text.slice(0, count), scheme)
    }
    /// Sets `path` and `query`; false for a byte or an encoding that is refused.
    @inline(__always) private mutating func splitPath(_ bytes: ByteView, from start: Int, to end: Int) -> Bool {
        var queryStart = -1
        var place = start
        while place < end {
            switch bytes[place] {
            case 0x3F: if queryStart < 0 { queryStart = place &+ 1 }
            case 0x25: guard Target.isEncoding(bytes, at: place, end: end) else { return false }
            case 0x23, ASCII.backslash: return false
            default: break
            }
            place &+= 1
        }
        path = ByteRange(start: start, count: (queryStart < 0 ? end : queryStart - 1) - start)
        if queryStart >= 0 { query = ByteRange(start: queryStart, count: end - queryStart) }
        return true
    }
    /// `%` and two hexadecimal digits that are not `00`.
    @inline(__always) private static func isEncoding(_ bytes: ByteView, at place: Int, end: Int) -> Bool {
        guard place &+ 2 < end else { return false }
        let high = bytes[place &+ 1]
        let low = bytes[place &+ 2]
        return CharacterClasses.isHexadecimal(high) && CharacterClasses.isHexadecimal(low)
            && !(high == ASCII.zero && low == ASCII.zero)
    }
    /// True when a digit ends `text` and it does not begin with its port: CONNECT wants `host:port` (RFC 9112 §3.2.3).
    private static func hasPort(_ text: ByteView) -> Bool {
        var place = text.count
        while place > 0, CharacterClasses.isDigit(text[place - 1]) { place -= 1 }
        return place < text.count && place > 1 && text[place - 1] == ASCII.colon
    }
}
