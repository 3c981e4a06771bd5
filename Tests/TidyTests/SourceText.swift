// A source file as the rules see it: its lines, and its code with comments and string contents blanked out, so that a
// word in a message is never taken for code. Invariant: `code` has as many lines as the text; else line numbers lie.

/// One file of the tree.
struct SourceText {
    /// Relative to the root of the repository.
    let path: String
    let lines: [String]
    /// The same lines without comments and without what stands between quotes. O(n) in the bytes of the file.
    let code: [String]

    init(path: String, text: String) {
        self.path = path
        lines = SourceText.lines(of: text)
        code = SourceText.lines(of: SourceText.blanked(Array(text.utf8)))
    }

    /// The comment block the file begins with; a tools-version line or an interpreter line before it does not count.
    var header: [String] {
        var rest = lines[...]
        while let first = rest.first, first.hasPrefix("#!") || first.hasPrefix("// swift-tools-version") {
            rest = rest.dropFirst()
        }
        return Array(rest.prefix { $0.hasPrefix("//") || $0.hasPrefix("#") })
    }

    private static func lines(of text: String) -> [String] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    private enum State { case code, lineComment, blockComment(Int), string(quotes: Int, hashes: Int) }

    private static func blanked(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var state = State.code
        var index = 0
        while index < bytes.count {
            let step = advance(bytes, index, &state, &output)
            index += step
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// Reads one token at `index`, appends what remains of it, and returns how many bytes it took.
    private static func advance(_ bytes: [UInt8], _ index: Int, _ state: inout State, _ output: inout [UInt8]) -> Int {
        let byte = bytes[index]
        switch state {
        case .code: return advanceCode(bytes, index, &state, &output)
        case .lineComment:
            if byte == newline {
                state = .code
                output.append(byte)
            }
            return 1
        case .blockComment(let depth):
            if starts(bytes, index, "*/") {
                state = depth == 1 ? .code : .blockComment(depth - 1)
                return 2
            }
            if starts(bytes, index, "/*") {
                state = .blockComment(depth + 1)
                return 2
            }
            if byte == newline { output.append(byte) }
            return 1
        case .string(let quotes, let hashes):
            if hashes == 0, byte == UInt8(ascii: "\\"), index + 1 < bytes.count {
                if bytes[index + 1] == newline { output.append(newline) }
                return 2
            }
            let end = String(repeating: "\"", count: quotes) + String(repeating: "#", count: hashes)
            if starts(bytes, index, end) {
                state = .code
                output.append(UInt8(ascii: "\""))
                return end.utf8.count
            }
            if byte == newline {
                output.append(byte)
                // An unclosed one-line string cannot reach past its line: a regular expression literal or a lone quote.
                if quotes == 1 { state = .code }
            }
            return 1
        }
    }

    private static func advanceCode(
        _ bytes: [UInt8], _ index: Int, _ state: inout State, _ output: inout [UInt8]
    ) -> Int {
        if starts(bytes, index, "//") {
            state = .lineComment
            return 2
        }
        if starts(bytes, index, "/*") {
            state = .blockComment(1)
            return 2
        }
        var hashes = 0
        while index + hashes < bytes.count, bytes[index + hashes] == UInt8(ascii: "#") { hashes += 1 }
        let quote = index + hashes
        if quote < bytes.count, bytes[quote] == UInt8(ascii: "\"") {
            let quotes = starts(bytes, quote, "\"\"\"") ? 3 : 1
            state = .string(quotes: quotes, hashes: hashes)
            output.append(UInt8(ascii: "\""))
            return hashes + quotes
        }
        output.append(bytes[index])
        return 1
    }

    private static let newline = UInt8(ascii: "\n")

    private static func starts(_ bytes: [UInt8], _ index: Int, _ text: String) -> Bool {
        let wanted = Array(text.utf8)
        guard index + wanted.count <= bytes.count else { return false }
        return bytes[index..<index + wanted.count].elementsEqual(wanted)
    }
}
