// The classes of bytes that a redaction looks for, as two tables of 256, and the forms that it leaves behind.
//
// Safety: literals are static memory of 256 bytes, and a byte is no larger.

@safe enum RedactionBytes {
    /// The first five are bits of the first table, the others of the second.
    enum Set: UInt8 {
        /// `A-Z a-z 0-9 _`, and what Slack's, GitLab's and RFC 6750's tokens may have.
        case word, slack, dashed, token68
        /// Of a member, a field or a variable.
        case name
        /// Before the `@` of an e-mail address.
        case local
        /// Of host names and namespaces.
        case label
        /// What a value without quotes goes on over.
        case value
        case url
        /// What every find has.
        case mark
    }
    // One letter a byte value: `@` plus a bit for each set. Text, because reading a literal needs no initialisation.
    private static let first: StaticString = """
        @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@H@^XH__________@@@H@@\
        @__________________________@@@@]@__________________________@@@H@\
        @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\
        @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
        """
    private static let second: StaticString = """
        @@@@@@@@@P@@@@@@@@@@@@@@@@@@@@@@PL@LLMHIHHLMH__\\OOOOOOOOOO\\H@\\@L\
        \\OOOOOOOOOOOOOOOOOOOOOOOOOOHDHD_DOOOOOOOOOOOOOOOOOOOOOOOOOO@D@L@\
        OOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOO\
        OOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOOO
        """

    @inline(__always) static func has(_ set: Set, _ byte: UInt8) -> Bool {
        let bit = set.rawValue
        if bit < 5 { return unsafe first.utf8Start[Int(byte)] >> bit & 1 != 0 }
        return unsafe second.utf8Start[Int(byte)] >> (bit - 5) & 1 != 0
    }
    @inline(__always) static func isMark(_ byte: UInt8) -> Bool { has(.mark, byte) }
    @inline(__always) static func isWord(_ byte: UInt8) -> Bool { has(.word, byte) }
    static func isScheme(_ byte: UInt8) -> Bool {
        has(.slack, byte) || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
    }

    /// Behind what has taken the place of a find and begins at `start`; nil when that is none.
    static func placeholderEnd(_ text: ByteView, from start: Int) -> Int? {
        let prefix: StaticString = "[REDACTED_"
        let length = prefix.utf8CodeUnitCount
        guard start + length < text.count, text.slice(start, length).equals(prefix) else { return nil }
        var end = start + length
        while end < text.count, has(.word, text[end]) { end += 1 }
        return end > start + length && end < text.count && text[end] == UInt8(ascii: "]") ? end + 1 : nil
    }
    static func isPlaceholder(_ text: ByteView) -> Bool { placeholderEnd(text, from: 0) == text.count }
    /// `ns-` and eight digits of a hash.
    static func isHashedNamespace(_ text: ByteView) -> Bool {
        guard text.count == 11, text.slice(0, 3).equals("ns-") else { return false }
        for index in 3..<11 where !CharacterClasses.isHexadecimal(text[index]) || text[index] < 0x30 { return false }
        return true
    }
}
