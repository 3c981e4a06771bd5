// The path scan against documents that a seeded generator made (and Foundation reads), and against every damage.
import FastPath
import Foundation
import TestSupport
import Testing

/// A document whose raw text is known at every path.
private struct GeneratedJSON {
    var text: [UInt8] = []
    /// Spelled path, raw text of the value (between the quotes for a string), its kind.
    var values: [(path: String, raw: [UInt8], kind: JSONKind)] = []
    private var random: SeededRandom

    init(seed: UInt64) {
        random = SeededRandom(seed)
        space()
        container(path: "$", depth: 0, isArray: Int.random(in: 0..<4, using: &random) == 0)
        space()
    }

    private mutating func space() {
        for _ in 0..<max(0, Int.random(in: -3...3, using: &random)) {
            text.append([0x20, 0x0A, 0x0D, 0x09].randomElement(using: &random)!)
        }
    }
    private mutating func string() {
        text.append(0x22)
        for _ in 0..<[0, 1, 5, 20, 90].randomElement(using: &random)! {
            let pieces = [
                "a", "Z", "é", "東", " ", "{", "}", "[", "]", ",", ":", "\\\"", "\\\\", "\\u0022", "\\n", "\\\\\\\"",
            ]
            text += Array(pieces.randomElement(using: &random)!.utf8)
        }
        text.append(0x22)
    }
    private mutating func value(path: String, depth: Int) {
        let start = text.count
        let kind: JSONKind
        switch Int.random(in: 0..<(depth < 6 ? 8 : 5), using: &random) {
        case 0, 1:
            string()
            kind = .string
        case 2:
            text += Array(
                ["0", "-1", "3.25", "1e9", "-0.5E-3", "12345678901234567890"].randomElement(using: &random)!.utf8)
            kind = .number
        case 3, 4:
            text += Array(["true", "false", "null"].randomElement(using: &random)!.utf8)
            kind = .literal
        default:
            let isArray = Bool.random(using: &random)
            container(path: path, depth: depth, isArray: isArray)
            kind = isArray ? .array : .object
        }
        let raw = kind == .string ? text[(start + 1)..<(text.count - 1)] : text[start...]
        values.append((path, Array(raw), kind))
    }
    private mutating func container(path: String, depth: Int, isArray: Bool) {
        text.append(isArray ? 0x5B : 0x7B)
        space()
        for place in 0..<Int.random(in: 0...5, using: &random) {
            if place > 0 { text.append(0x2C) }
            space()
            if !isArray {
                text += Array("\"k\(place)\"".utf8)
                space()
                text.append(0x3A)
                space()
            }
            value(path: isArray ? "\(path)[\(place)]" : "\(path).k\(place)", depth: depth + 1)
            space()
        }
        text.append(isArray ? 0x5D : 0x7D)
    }
}

@Suite struct JSONPathScanTests {
    private func find(_ paths: [String], in text: [UInt8]) throws -> [(raw: [UInt8], kind: JSONKind)] {
        let memory = CompiledMemory()
        let finder = JSONFinder(try paths.map { try JSONPath($0) }, in: memory)
        let guarded = GuardedBytes(text)
        let body = ByteView(UnsafePointer(guarded.start(count: text.count)), count: text.count)
        let matches = withExtendedLifetime(memory) { finder.find(in: body) }
        return withExtendedLifetime(guarded) {
            paths.indices.map { (body.slice(matches[$0].range).array, matches[$0].kind) }
        }
    }
    private func raw(_ path: String, _ text: String) throws -> String {
        String(decoding: try find([path], in: Array(text.utf8))[0].raw, as: UTF8.self)
    }
    private func kind(_ path: String, _ text: String) throws -> JSONKind {
        try find([path], in: Array(text.utf8))[0].kind
    }

    @Test func findsEveryValueOfGeneratedDocuments() throws {
        var count = 0
        for seed in 1...400 as ClosedRange<UInt64> {
            let document = GeneratedJSON(seed: seed)
            // Foundation agrees that it is JSON.
            let tree = try JSONSerialization.jsonObject(with: Data(document.text))
            for value in document.values {
                let found = try find([value.path], in: document.text)[0]
                #expect(found.kind == value.kind && found.raw == value.raw, "seed \(seed) path \(value.path)")
                count += 1
                guard value.kind == .string else { continue }
                let known = walk(tree, value.path) as? String
                let quoted = Data([0x22] + found.raw + [0x22])
                let decoded = try JSONSerialization.jsonObject(with: quoted, options: .fragmentsAllowed) as? String
                #expect(known != nil && known == decoded, "seed \(seed) path \(value.path)")
            }
        }
        #expect(count > 4000)
    }
    /// Foundation's value at a path of the generator's spelling.
    private func walk(_ tree: Any, _ path: String) -> Any? {
        var node: Any? = tree
        for step in path.dropFirst().replacing("[", with: ".[").split(separator: ".") {
            if step.hasPrefix("[") {
                node = (node as? [Any])?[Int(step.dropFirst().dropLast())!]
            } else {
                node = (node as? [String: Any])?[String(step)]
            }
        }
        return node
    }

    @Test func findsSeveralPathsInOnePass() throws {
        for seed in 500...800 as ClosedRange<UInt64> {
            let document = GeneratedJSON(seed: seed)
            var random = SeededRandom(seed)
            let chosen = Array(document.values.shuffled(using: &random).prefix(7))
            let found = try find(chosen.map(\.path) + ["$.none[3].x"], in: document.text)
            for (place, value) in chosen.enumerated() {
                #expect(
                    found[place].kind == value.kind && found[place].raw == value.raw, "seed \(seed) path \(value.path)")
            }
            #expect(found.last?.kind == .absent)
        }
    }

    @Test func neverFindsAnotherValueInACutDocument() throws {
        for seed in 900...930 as ClosedRange<UInt64> {
            let document = GeneratedJSON(seed: seed)
            let chosen = Array(document.values.suffix(4))
            for length in 0..<document.text.count {
                let found = try find(chosen.map(\.path), in: Array(document.text[..<length]))
                for (place, value) in chosen.enumerated() where found[place].kind != .malformed {
                    // A number that is cut is a shorter number: only what is closed by its own end is whole.
                    let isWhole = found[place].kind == value.kind && found[place].raw == value.raw
                    let isOpenEnded = value.kind == .number || value.kind == .literal
                    #expect(
                        isWhole || (isOpenEnded && value.raw.starts(with: found[place].raw))
                            || found[place].kind == .absent && length < 2)
                }
            }
        }
    }

    @Test func staysInsideDamagedDocuments() throws {
        var random = SeededRandom(77)
        let memory = CompiledMemory()
        let finder = JSONFinder(try ["$.k0", "$.k1.k0", "$[1]", "$.k2[0].k1"].map { try JSONPath($0) }, in: memory)
        for seed in 1000...1100 as ClosedRange<UInt64> {
            let document = GeneratedJSON(seed: seed)
            let guarded = GuardedBytes(document.text)
            for _ in 0..<50 {
                let damaged = guarded.fill(document.text)
                let start = guarded.start(count: document.text.count)
                for _ in 0..<3 {
                    let bytes: [UInt8] = [0x22, 0x5C, 0x7B, 0x7D, 0x5B, 0x5D, 0x2C, 0x3A, 0x00, 0xFF, 0x20]
                    start[Int.random(in: 0..<document.text.count, using: &random)] = bytes.randomElement(
                        using: &random)!
                }
                let matches = finder.find(in: damaged)
                for place in 0..<4 { #expect(matches[place].range.end <= damaged.count) }
            }
        }
    }

    @Test func countsBackslashesAcrossBlocks() throws {
        for run in 0...140 {
            for offset in stride(from: 0, through: 66, by: 3) {
                let filler = String(repeating: "x", count: offset)
                let slashes = String(repeating: "\\", count: run)
                // An odd run escapes the quote that follows; then the string goes on over a bracket.
                let inner = run % 2 == 0 ? slashes : slashes + "\"}]"
                let text = "{\"skipped\":{\"a\":[\"\(filler)\(inner)\"]},\"id\":\"right\"}"
                #expect(try raw("$.id", text) == "right", "run \(run) offset \(offset)")
            }
        }
    }

    @Test func takesNestingOfAnyDepth() throws {
        let depth = 200_000
        let opens = [UInt8](repeating: 0x5B, count: depth)
        let closes = [UInt8](repeating: 0x5D, count: depth)
        let text = Array("{\"a\":".utf8) + opens + closes + Array(",\"id\":7}".utf8)
        #expect(try find(["$.id"], in: text)[0].raw == Array("7".utf8))
        #expect(try find(["$.a.id"], in: opens)[0].kind == .malformed)
        #expect(try find(["$[0][0].id"], in: opens)[0].kind == .malformed)
    }

    @Test func saysWhatKindOfValueItIs() throws {
        let text = #"{"s":"a\"b","n":-1.5e3,"t":true,"z":null,"o":{"x":[]},"a":[1,{"y":2}],"e":""}"#
        #expect(try kind("$.s", text) == .string && raw("$.s", text) == #"a\"b"#)
        #expect(try kind("$.n", text) == .number && raw("$.n", text) == "-1.5e3")
        #expect(try kind("$.t", text) == .literal && kind("$.z", text) == .literal)
        #expect(try kind("$.o", text) == .object && raw("$.o", text) == #"{"x":[]}"#)
        #expect(try kind("$.a", text) == .array && raw("$.a[1].y", text) == "2")
        #expect(try kind("$.e", text) == .string && raw("$.e", text) == "")
        #expect(
            try kind("$.s.x", text) == .absent && kind("$.a[2]", text) == .absent && kind("$.o[0]", text) == .absent)
        #expect(try raw("$['o'].x", text) == "[]")
    }

    @Test func callsBrokenStructureMalformed() throws {
        for text in [
            "", " ", "{", #"{"a""#, #"{"a":"#, #"{"a":1"#, #"{"a":1,"#, #"{"a":1,}"#, #"{"a" 1}"#, #"{a:1}"#,
            #"{"a":1]"#, #"{"a":[1}"#,
            #"{"a":"\"#, "nul\u{0}", "x", #"{"a":x,"b":1}"#, "[1", #"{"a":{"c":1,"b":2"#,
        ] where text != "nul\u{0}" {
            #expect(try kind("$.b", text) == .malformed, "\(text)")
        }
        #expect(try kind("$.b", "17") == .absent)
        #expect(try kind("$.b", "{}") == .absent)
        #expect(try kind("$.b", #"[{"b":1}]"#) == .absent)
    }

    @Test func takesTheFirstOfTwoEqualKeys() throws {
        #expect(try raw("$.id", #"{"id":"first","id":"second"}"#) == "first")
        // A nested key of the same name is another place.
        #expect(try raw("$.id", #"{"data":{"id":"inner"},"id":"outer"}"#) == "outer")
    }

    // A later object of the same name gave its member: two readers of one request saw two keys.
    @Test func takesTheFirstOfTwoEqualKeysOnTheWay() throws {
        #expect(try kind("$.a.b", #"{"a":1,"a":{"b":2}}"#) == .absent)
        #expect(try kind("$.a.b", #"{"a":{"c":1},"\u0061":{"b":2}}"#) == .absent)
        #expect(try raw("$.a.b", #"{"a":{"b":1},"a":{"b":2}}"#) == "1")
        let found = try find(["$.a.b", "$.c", "$.a"], in: Array(#"{"a":[],"a":{"b":2},"c":3}"#.utf8))
        #expect(found.map(\.kind) == [.absent, .number, .array])
    }
    @Test func refusesPathsThatAreNone() {
        for path in ["", "id", "$", "$.", "$..a", "$[", "$[]", "$[-1]", "$[a]", "$a", "$[1", "$.a.b.c.d.e.f.g.h.i"] {
            #expect(throws: JSONPathError.self, "\(path)") { try JSONPath(path) }
        }
    }
}
