// The rules of the house as pure functions from a file to what is wrong with it. `RulesTests` proves that each fails,
// `TidyTests` runs them over the tree. They read text, not syntax: a rule must be simple enough to have no false alarm.

/// Something that breaks a rule.
struct Finding: Equatable, CustomStringConvertible {
    let path: String
    let line: Int
    let what: String
    var description: String { "\(path):\(line): \(what)" }
}

enum Rules {
    static let functionLinesMax = 70
    static let fileLinesMax = 600
    static let fileLinesMedianMax = 150
    static let lineColumnsMax = 120

    static func concurrencyInFastPath(_ file: SourceText) -> [Finding] {
        guard file.path.hasPrefix("Sources/FastPath/") else { return [] }
        return matches(file, /(?:^|[^\w.`])(async|await|Task|actor|DispatchQueue|NSLock)(?:[^\w`]|$)/)
            .map { Finding(path: file.path, line: $0.line, what: "\($0.capture) in FastPath") }
    }

    /// SQLite's statements are raw pointers; this file alone holds them.
    private static let sqliteStatements = "Sources/Engine/Store/RawStatement.swift"

    static func rawPointers(_ file: SourceText) -> [Finding] {
        guard file.path.hasPrefix("Sources/"), !file.path.hasPrefix("Sources/FastPath/"),
            !file.path.hasPrefix("Sources/CShims/"), file.path != sqliteStatements
        else { return [] }
        return pointerUses(file).map { Finding(path: file.path, line: $0.line, what: "\($0.capture) outside FastPath") }
    }

    /// `unsafe` and `@safe` are claims; each needs its reason in the header or right above.
    static func safetyBesideUnsafe(_ file: SourceText) -> [Finding] {
        guard file.path.hasPrefix("Sources/") else { return [] }
        if file.header.contains(where: { $0.contains("Safety:") }) { return [] }
        return matches(file, /(?:^|[^\w.`])(unsafe|@safe)(?=[^\w`:]|$)/).filter { use in
            !file.lines[max(0, use.line - 1 - safetyLinesAbove)..<use.line].contains { $0.contains("Safety:") }
        }.map { Finding(path: file.path, line: $0.line, what: "\($0.capture) without a `Safety:` line") }
    }
    private static let safetyLinesAbove = 6

    static func safetyParagraph(_ file: SourceText) -> [Finding] {
        guard file.path.hasPrefix("Sources/FastPath/"), let first = pointerUses(file).first else { return [] }
        if file.header.contains(where: { $0.contains("Safety:") }) { return [] }
        let what = "uses \(first.capture); its header has no `Safety:` paragraph"
        return [Finding(path: file.path, line: first.line, what: what)]
    }

    static func header(_ file: SourceText) -> [Finding] {
        let quoted = file.lines.drop { $0.hasPrefix("#!") }.first?.hasPrefix("\"\"\"") == true
        return !file.header.isEmpty || quoted ? [] : [Finding(path: file.path, line: 1, what: "no header comment")]
    }

    static func size(_ file: SourceText) -> [Finding] {
        var found: [Finding] = []
        let count = lineCount(file)
        if count > fileLinesMax {
            found.append(Finding(path: file.path, line: count, what: "\(count) lines, at most \(fileLinesMax)"))
        }
        for (index, line) in file.lines.enumerated() where line.count > lineColumnsMax {
            let what = "\(line.count) columns, at most \(lineColumnsMax)"
            found.append(Finding(path: file.path, line: index + 1, what: what))
        }
        return found
    }

    /// The rule is about the whole: half of the files have at most so many lines.
    static func medianSize(_ files: [SourceText]) -> [Finding] {
        let counts = files.map(lineCount).sorted()
        guard !counts.isEmpty, counts[counts.count / 2] > fileLinesMedianMax else { return [] }
        let what = "the median file has \(counts[counts.count / 2]) lines, at most \(fileLinesMedianMax)"
        return [Finding(path: files[0].path, line: 1, what: what)]
    }
    private static func lineCount(_ file: SourceText) -> Int {
        file.lines.count - (file.lines.last == "" ? 1 : 0)
    }

    static func functionLength(_ file: SourceText) -> [Finding] {
        FunctionScan.functions(in: file).compactMap { function in
            function.lineCount <= functionLinesMax
                ? nil
                : Finding(
                    path: file.path, line: function.line,
                    what: "\(function.name) has \(function.lineCount) lines, at most \(functionLinesMax)")
        }
    }

    /// Swift 6.3.1 leaves out the `deinit` of a generic structure when it optimises (`OwnedMemory`).
    static func deinitOfGeneric(_ file: SourceText) -> [Finding] {
        guard file.path.hasPrefix("Sources/") else { return [] }
        var open: (name: Substring, end: String)?
        var found: [Finding] = []
        for (index, line) in file.code.enumerated() {
            if let (name, end) = open {
                if line.hasPrefix(end) { open = nil }
                if line.contains(/^ *deinit\b/) {
                    found.append(Finding(path: file.path, line: index + 1, what: "deinit in \(name), which is generic"))
                }
            } else if let match = line.firstMatch(of: /^( *)(?:[@\w]+ )*(?:struct|enum) (\w+)</) {
                open = (match.2, match.1 + "}")
            }
        }
        return found
    }

    /// Spelled in two halves, so that this file obeys its own rule.
    static let unfinishedWords = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]
    static let machinePaths = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/tmp/" + "w/", "/tmp/" + "slot"]

    static func unfinished(_ file: SourceText) -> [Finding] {
        file.lines.enumerated().flatMap { index, line in
            unfinishedWords.filter { hasWord(line, $0) }
                .map { Finding(path: file.path, line: index + 1, what: "says \($0)") }
        }
    }

    static func machinePath(_ file: SourceText) -> [Finding] {
        file.lines.enumerated().flatMap { index, line in
            machinePaths.filter { line.contains($0) }
                .map { Finding(path: file.path, line: index + 1, what: "names \($0), a path of one machine") }
        }
    }

    /// Relative links of a Markdown page; `exists` is asked with a path from the root of the repository.
    static func links(_ file: SourceText, exists: (String) -> Bool) -> [Finding] {
        let folder = file.path.split(separator: "/").dropLast()
        var isCode = false
        return file.lines.enumerated().flatMap { index, line -> [Finding] in
            if line.hasPrefix("```") { isCode.toggle() }
            if isCode { return [] }
            return line.matches(of: /\]\(([^)\s]+)\)/).compactMap { match in
                let target = String(match.1.prefix { $0 != "#" })
                if target.isEmpty || target.contains("://") || target.hasPrefix("mailto:") { return nil }
                let path = resolve(folder.map(String.init), target)
                if let path, exists(path) { return nil }
                return Finding(path: file.path, line: index + 1, what: "link to \(target), which is not there")
            }
        }
    }

    /// Nil when the link leaves the repository.
    private static func resolve(_ folder: [String], _ target: String) -> String? {
        var parts = folder
        for part in target.split(separator: "/") {
            switch part {
            case ".": continue
            case "..":
                if parts.popLast() == nil { return nil }
            default: parts.append(String(part))
            }
        }
        return parts.joined(separator: "/")
    }

    private static func pointerUses(_ file: SourceText) -> [(line: Int, capture: String)] {
        matches(file, /(?:^|\W)(Unsafe\w*Pointer|OpaquePointer|withUnsafe\w+|unsafeBitCast)(?=\W|$)/)
    }

    static func matches(
        _ file: SourceText, _ pattern: Regex<(Substring, Substring)>
    ) -> [(line: Int, capture: String)] {
        file.code.enumerated().flatMap { index, line in
            line.matches(of: pattern).map { (line: index + 1, capture: String($0.1)) }
        }
    }

    private static func hasWord(_ line: String, _ word: String) -> Bool {
        line.ranges(of: word).contains { range in
            let before = range.lowerBound == line.startIndex ? nil : line[line.index(before: range.lowerBound)]
            let after = range.upperBound == line.endIndex ? nil : line[range.upperBound]
            return !isWordCharacter(before) && !isWordCharacter(after)
        }
    }
    private static func isWordCharacter(_ character: Character?) -> Bool {
        character.map { $0.isLetter || $0.isNumber || $0 == "_" } ?? false
    }
}
