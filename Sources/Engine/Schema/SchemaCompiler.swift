// From the text of a schema to its rules. Each subschema becomes one rule, when something first leads to it; a list of
// those that wait takes the place of recursion, so that a reference may lead anywhere.
//
// Invariant: a keyword that is known has the form that the draft asks for, or the schema is refused with its place.
import FastPath

struct SchemaCompiler {
    let document: JSONDocument
    let dialect: SchemaDialect
    private let references: SchemaReferences
    private(set) var rules: [SchemaRule] = []
    private var known: [Int: RuleIndex] = [:]
    private var waiting: [(index: RuleIndex, place: Int)] = []
    private(set) var patterns: [LinearPattern] = []
    private var patternBytes = 0

    init(_ document: JSONDocument, dialect: SchemaDialect?) throws(SchemaProblem) {
        self.document = document
        let said = try SchemaCompiler.dialect(of: document)
        self.dialect = dialect ?? said
        references = SchemaReferences(document, self.dialect)
    }
    private static func dialect(of document: JSONDocument) throws(SchemaProblem) -> SchemaDialect {
        guard document.kind(0) == .object,
            let member = document.members(of: 0).first(where: { document.string($0.name) == "$schema" })
        else { return .unsaid }
        guard document.kind(member.value) == .text else { throw SchemaProblem("#/$schema", "must be a text") }
        let uri = document.string(member.value)
        switch uri.hasSuffix("#") ? String(uri.dropLast()) : uri {
        case "http://json-schema.org/draft-07/schema", "https://json-schema.org/draft-07/schema",
            "http://json-schema.org/draft-06/schema", "https://json-schema.org/draft-06/schema":
            return .draft7
        case "https://json-schema.org/draft/2019-09/schema", "https://json-schema.org/draft/2020-12/schema":
            return .draft2019
        default:
            throw SchemaProblem(
                "#/$schema",
                "is none of the drafts that are known; write `http://json-schema.org/draft-07/schema#` or "
                    + "`https://json-schema.org/draft/2020-12/schema`")
        }
    }

    mutating func compile() throws(SchemaProblem) -> RuleIndex {
        let root = try rule(at: 0, path: "#")
        while let next = waiting.popLast() { try fill(next.index, next.place) }
        try checkChains()
        return root
    }

    /// The rule of the subschema at a place, which is compiled later.
    mutating func rule(at place: Int, path: String) throws(SchemaProblem) -> RuleIndex {
        if let index = known[place] { return index }
        guard [.object, .yes, .no].contains(document.kind(place)) else {
            throw SchemaProblem(path, "must be a schema: an object, true or false")
        }
        guard rules.count < SchemaBounds.ruleCountMax else {
            throw SchemaProblem(path, "is one subschema too many; at most \(SchemaBounds.ruleCountMax)")
        }
        let index = rules.count
        known[place] = index
        rules.append(SchemaRule(path: path))
        waiting.append((index, place))
        return index
    }
    private mutating func fill(_ index: RuleIndex, _ place: Int) throws(SchemaProblem) {
        guard document.kind(place) == .object else {
            rules[index].refusesAll = document.kind(place) == .no
            return
        }
        let keywords = try SchemaKeywords(document, place, path: rules[index].path)
        if let reference = keywords["$ref"] {
            let target = try self.target(of: reference, keywords, from: place)
            rules[index].tests.append(.reference(target))
            guard dialect == .draft2019 else { return try refuseSiblings(keywords) }
        }
        let plain = try SchemaTests.plain(keywords, &self)
        let nested = try SchemaTests.nested(keywords, &self)
        rules[index].tests += plain + nested
    }
    private mutating func target(
        of reference: Int, _ keywords: SchemaKeywords, from place: Int
    ) throws(SchemaProblem) -> RuleIndex {
        let path = keywords.path("$ref")
        let text = try keywords.text(reference, "$ref")
        do throws(SchemaProblem) {
            let target = try references.target(of: text, from: place)
            return try rule(at: target, path: SchemaWords.pointer(to: target, in: document))
        } catch { throw error.place.isEmpty ? SchemaProblem(path, error.reason) : error }
    }
    /// By draft 7 they mean nothing, by those behind it they count: who does not say which would get a schema that
    /// checks less than it says.
    private func refuseSiblings(_ keywords: SchemaKeywords) throws(SchemaProblem) {
        guard dialect == .unsaid, let name = keywords.asserted.first else { return }
        throw SchemaProblem(
            keywords.path(name),
            "stands beside `$ref`, where draft 7 does not read it; put both into `allOf`, or set `$schema` to "
                + "`https://json-schema.org/draft/2020-12/schema`")
    }

    mutating func pattern(_ text: String, path: String) throws(SchemaProblem) -> LinearPattern {
        let pattern: LinearPattern
        do throws(LinearPatternError) { pattern = try LinearPattern.shared(ExpressionText.forRE2(text)) } catch {
            throw SchemaProblem(path, "is no expression that RE2 takes: \(error.reason)")
        }
        patterns.append(pattern)
        patternBytes += pattern.memoryBytes
        guard patterns.count <= SchemaBounds.patternCountMax, patternBytes <= SchemaBounds.patternMemoryBytesMax else {
            throw SchemaProblem(
                path,
                "is one expression too many: at most \(SchemaBounds.patternCountMax), of "
                    + "\(SchemaBounds.patternMemoryBytesMax >> 20) MiB together")
        }
        return pattern
    }

    // MARK: rules on the same value

    /// How many rules wait for each other on one value: bounded, and none for itself. O(rules × `chainMax`).
    private func checkChains() throws(SchemaProblem) {
        let inner = rules.map { $0.tests.flatMap(\.onSameValue) }
        var levels = [Int](repeating: 0, count: rules.count)
        for _ in 0...SchemaBounds.chainMax {
            var didChange = false
            for index in rules.indices {
                let level = inner[index].reduce(0) { max($0, levels[$1] + 1) }
                if level > levels[index] {
                    levels[index] = level
                    didChange = true
                }
            }
            // A round passes on what it has just found, so that a chain may be whole after one.
            guard didChange else { break }
        }
        guard var index = levels.indices.first(where: { levels[$0] > SchemaBounds.chainMax }) else { return }
        var seen: Set<RuleIndex> = []
        while seen.insert(index).inserted {
            guard let next = inner[index].max(by: { levels[$0] < levels[$1] }) else {
                throw SchemaProblem(
                    rules[index].path, "is more than \(SchemaBounds.chainMax) schemas deep on one and the same value")
            }
            index = next
        }
        throw SchemaProblem(
            rules[index].path, "leads back to itself without going into the body, so that a check would never end")
    }
}

/// Expressions of ECMA 262, which schemas are written in, as RE2 spells them where only the spelling differs.
enum ExpressionText {
    /// `\u00e9` is `\x{00e9}`, and so on; everything else stays.
    static func forRE2(_ text: String) -> String {
        var out: [UInt8] = []
        let bytes = Array(text.utf8)
        var place = 0
        while place < bytes.count {
            guard bytes[place] == UInt8(ascii: "\\"), place + 1 < bytes.count else {
                out.append(bytes[place])
                place += 1
                continue
            }
            let digits = bytes[min(place + 2, bytes.count)..<min(place + 6, bytes.count)]
            if bytes[place + 1] == UInt8(ascii: "u"), digits.count == 4,
                digits.allSatisfy({ CharacterClasses.isHexadecimal($0) })
            {
                out += "\\x{".utf8
                out += digits
                out += "}".utf8
                place += 6
            } else if bytes[place + 1] == UInt8(ascii: "/") {
                out.append(UInt8(ascii: "/"))
                place += 2
            } else {
                out += bytes[place..<place + 2]
                place += 2
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
