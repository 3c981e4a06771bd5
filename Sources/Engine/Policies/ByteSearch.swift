// Finds some bytes in a text in time that is linear in the text, whatever both are (Knuth, Morris and Pratt).

import FastPath

struct ByteSearch: Sendable {
    let pattern: [UInt8]
    /// How much of the pattern still matches when its byte at this place does not.
    private let fallback: [UInt16]

    /// `pattern`: 1 to 65,535 bytes.
    init(_ pattern: [UInt8]) {
        precondition(!pattern.isEmpty && pattern.count <= Int(UInt16.max))
        self.pattern = pattern
        var fallback = [UInt16](repeating: 0, count: pattern.count)
        var matched = 0
        for place in 1..<max(pattern.count, 1) {
            while matched > 0, pattern[place] != pattern[matched] { matched = Int(fallback[matched - 1]) }
            if pattern[place] == pattern[matched] { matched += 1 }
            fallback[place] = UInt16(matched)
        }
        self.fallback = fallback
    }
    func isFound(in text: ByteView) -> Bool {
        guard text.count >= pattern.count else { return false }
        var matched = 0
        for place in 0..<text.count {
            let byte = text[place]
            while matched > 0, byte != pattern[matched] { matched = Int(fallback[matched - 1]) }
            if byte == pattern[matched] { matched += 1 }
            if matched == pattern.count { return true }
        }
        return false
    }
}
