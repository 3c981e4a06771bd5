// Finds the functions of a Swift file and how long each is, from its blanked code: a keyword, a signature, then braces
// that balance. A requirement of a protocol has no braces and is not counted.

struct FunctionExtent: Equatable {
    let name: String
    /// Of its keyword, from 1.
    let line: Int
    /// From the line of the keyword to that of the closing brace, both counted.
    let lineCount: Int
}

enum FunctionScan {
    static func functions(in file: SourceText) -> [FunctionExtent] {
        let keyword = /(?:^|[\s;{}])(?:func\s+([^\s(<]+|\S+)|(init|deinit|subscript)(?=[\s(<?!{]))/
        return file.code.enumerated().flatMap { index, line in
            line.matches(of: keyword).compactMap { match in
                let name = String(match.1 ?? match.2 ?? "")
                let column = line.distance(from: line.startIndex, to: match.range.upperBound)
                return end(of: file.code, line: index, column: column).map {
                    FunctionExtent(name: name, line: index + 1, lineCount: $0 - index + 1)
                }
            }
        }
    }

    /// The line of the brace that closes the body which begins after (`line`, `column`); nil when there is no body.
    private static func end(of code: [String], line: Int, column: Int) -> Int? {
        var nesting = 0
        var braces = 0
        for index in line..<code.count {
            let text = index == line ? Substring(code[index].dropFirst(column)) : Substring(code[index])
            if index > line, braces == 0, nesting == 0, beginsDeclaration(text) { return nil }
            for character in text {
                switch character {
                case "(", "[": nesting += 1
                case ")", "]": nesting -= 1
                case "{" where nesting == 0 || braces > 0: braces += 1
                case "}" where braces > 0:
                    braces -= 1
                    if braces == 0 { return index }
                case "}" where nesting <= 0: return nil
                default: break
                }
                if nesting < 0, braces == 0 { return nil }
            }
        }
        return nil
    }

    private static func beginsDeclaration(_ text: Substring) -> Bool {
        let words = text.split { !$0.isLetter && $0 != "@" && $0 != "#" }
        guard let word = words.first else { return false }
        return [
            "func", "var", "let", "init", "deinit", "static", "mutating", "package", "public", "private", "internal",
            "struct", "enum", "class", "protocol", "extension", "associatedtype", "subscript", "borrowing", "consuming",
            "typealias",
        ].contains(String(word)) || word.hasPrefix("@") || word.hasPrefix("#")
    }
}
