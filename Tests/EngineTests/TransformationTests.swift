// What the steps of a transformation make of a body, what they refuse, and what is refused when it is saved.
import Engine
import FastPath
import Foundation
import TestSupport
import Testing

private func made(_ steps: [TransformStep], _ body: String, fieldLines: String = "") throws -> PreparedEvent {
    var policies = EndpointPolicies()
    policies.transform = steps
    let preparation = try #require(Preparation(policies))
    return try preparation.prepare(fieldLines: Array(fieldLines.utf8), body: Array(body.utf8))
}
private func text(_ steps: [TransformStep], _ body: String) throws -> String {
    String(decoding: try made(steps, body).body, as: UTF8.self)
}

@Suite struct TransformationTests {
    private let event = #"{"id": 12345678901234567890.10, "user": {"name": "A\u0062", "tags": ["x", "y"]}, "ok": true}"#

    @Test func picksInTheDocumentsOrder() throws {
        #expect(
            try text([.pick(paths: ["$.ok", "$.user.tags[1]", "$.id"])], event)
                == #"{"id":12345678901234567890.10,"user":{"tags":["y"]},"ok":true}"#)
        #expect(try text([.pick(paths: ["$.none"])], event) == "{}")
        #expect(try text([.pick(paths: ["$.user", "$.user.name"])], event).hasPrefix(#"{"user":{"name": "A\u0062""#))
    }
    @Test func removes() throws {
        #expect(try text([.remove(paths: ["$.user.tags[0]", "$.ok", "$.none.a"])], event)
            == #"{"id":12345678901234567890.10,"user":{"name":"A\u0062","tags":["y"]}}"#)
        #expect(try text([.remove(paths: ["$.a"])], #"{"a":1,"b":2,"\u0061":3}"#) == #"{"b":2}"#)
        #expect(try text([.remove(paths: ["$.none"])], #" { "a" : 1 } "#) == #"{ "a" : 1 }"#)
    }
    @Test func renames() throws {
        #expect(try text([.rename(path: "$.user.name", to: "n\"m")], #"{"user":{"name":1,"b":2}}"#)
            == #"{"user":{"n\"m":1,"b":2}}"#)
        #expect(try text([.rename(path: "$.a", to: "b")], #"{"b":1,"a":2,"c":3}"#) == #"{"a":2,"c":3}"#
            .replacing("\"a\"", with: "\"b\""))
        #expect(try text([.rename(path: "$.x", to: "b")], #"{"a":1}"#) == #"{"a":1}"#)
    }
    @Test func setsConstantsAndMakesTheWay() throws {
        #expect(try text([.constant(path: "$.a.b", json: "1.50")], "{}") == #"{"a":{"b":1.50}}"#)
        #expect(try text([.constant(path: "$.l[1]", json: "[]")], #"{"l":[0]}"#) == #"{"l":[0,[]]}"#)
        #expect(try text([.constant(path: "$.a.b", json: "2"), .constant(path: "$.a.c", json: "3")], #"{"a":{"b":1}}"#)
            == #"{"a":{"b":2,"c":3}}"#)
        #expect(throws: PreparationFailure.wrongShape) { try text([.constant(path: "$.a.b", json: "1")], #"{"a":1}"#) }
        let beyond = TransformStep.constant(path: "$.l[2]", json: "1")
        #expect(throws: PreparationFailure.wrongShape) { try text([beyond], #"{"l":[]}"#) }
        // What was set can be gone into.
        #expect(try text([.constant(path: "$.a", json: #"{"b":[1]}"#), .remove(paths: ["$.a.b[0]"])], "{}")
            == #"{"a":{"b":[]}}"#)
    }
    @Test(arguments: [
        ("upper", #""aé""#, #""AÉ""#), ("lower", #""A\u0042""#, #""ab""#), ("trim", #"" a\n""#, #""a""#),
        ("text", "1.50", #""1.50""#), ("text", #""a""#, #""a""#), ("text", "true", #""true""#),
        ("text", #"{"b": 1}"#, #""{\"b\": 1}""#), ("number", #"" 1.50 ""#, "1.50"), ("number", "2", "2"),
        ("time", "1767323045", #""2026-01-02T03:04:05.000Z""#),
        ("time", #""1767323045123""#, #""2026-01-02T03:04:05.123Z""#),
        ("sha256", #""abc""#, #""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#),
    ])
    func formats(_ form: String, _ value: String, _ expected: String) throws {
        #expect(try text([.format(path: "$.v", form: form)], "{\"v\":\(value)}") == "{\"v\":\(expected)}")
        #expect(try text([.format(path: "$.w", form: form)], "{\"v\":\(value)}") == "{\"v\":\(value)}")
    }
    @Test(arguments: [("upper", "1"), ("number", #""x""#), ("number", "true"), ("time", #""soon""#), ("time", "-1")])
    func whatCannotBeFormattedIsSaid(_ form: String, _ value: String) {
        #expect(throws: PreparationFailure.notConvertible) {
            try text([.format(path: "$.v", form: form)], "{\"v\":\(value)}")
        }
    }
    /// A receiver that takes the last of two equal names would see what was not changed.
    @Test func whatIsWrittenIsThereOnce() throws {
        let twice = #"{"mail":"a@x.co","n":1,"mail":"a@x.co"}"#
        let digest = TextEncoding.hex(Digest.sha256(Array("a@x.co".utf8)))
        #expect(
            try text([.format(path: "$.mail", form: "sha256")], twice) == "{\"mail\":\"\(digest)\",\"n\":1}")
        #expect(
            try text([.format(path: "$.u.mail", form: "sha256")], #"{"u":{"n":1},"u":{"mail":"a@x.co"}}"#)
                == #"{"u":{"n":1},"u":{}}"#)
        #expect(try text([.constant(path: "$.mail", json: "2")], twice) == #"{"mail":2,"n":1}"#)
        #expect(try text([.template(path: "$.mail", text: "{{$.n}}")], twice) == #"{"mail":"1","n":1}"#)
        #expect(
            try text([.constant(path: "$.u.m", json: "2")], #"{"u":{"m":1},"\u0075":{"m":1}}"#) == #"{"u":{"m":2}}"#)
        #expect(
            try text([.rename(path: "$.u.m", to: "k")], #"{"u":{"m":1},"u":{"m":1}}"#)
                == #"{"u":{"k":1},"u":{"k":1}}"#)
    }
    @Test func namesInATextMayHaveSpaces() throws {
        let step = TransformStep.template(path: "$.t", text: "{{ $['a name'].b }}-{{$['a name'].b}}")
        #expect(try text([step], #"{"a name":{"b":1}}"#) == #"{"a name":{"b":1},"t":"1-1"}"#)
    }
    @Test func makesTextsOfValues() throws {
        let step = TransformStep.template(path: "$.t", text: "{{$.user.name}}: {{ $.id }}/{{$.none}}{{$.user.tags}}!")
        #expect(try text([step], event).hasSuffix(#","t":"Ab: 12345678901234567890.10/[\"x\", \"y\"]!"}"#))
    }
    @Test func goesInTheWrittenOrder() throws {
        let steps: [TransformStep] = [
            .template(path: "$.b", text: "{{$.a}}{{$.a}}"), .rename(path: "$.b", to: "c"), .remove(paths: ["$.a"]),
        ]
        #expect(try text(steps, #"{"a":"x"}"#) == #"{"c":"xx"}"#)
    }
    @Test(arguments: ["", "{", "a=b", #"{"a":1} {"a":2}"#, "[1,]", "nul", #"{"a":01}"#, "\u{0}"])
    func whatIsNoJSONIsSaid(_ body: String) {
        #expect(throws: PreparationFailure.notJSON) { try text([.remove(paths: ["$.a"])], body) }
    }
    @Test func whatGrowsTooLargeIsStopped() {
        let steps = (0..<32).map { index in
            TransformStep.template(path: "$.a", text: String(repeating: "{{$.a}}", count: 30) + "\(index)")
        }
        #expect(throws: PreparationFailure.tooLarge) { try text(steps, #"{"a":"0123456789"}"#) }
    }
    @Test func manyPathsThatAreNotThereAreLookedForAtOnce() throws {
        let members = (0..<20_000).map { "\"k\($0)\":\($0)" }.joined(separator: ",")
        let body = "{\(members),\"n\":{\"y\":\"\(String(repeating: "z", count: 1 << 20))\"}}"
        let step = TransformStep.remove(paths: (0..<64).map { "$.none\($0)" })
        #expect(try text(Array(repeating: step, count: 16), body) == body)
        let all = TransformStep.remove(paths: ["$.n.y", "$.k0", "$.n.x", "$.k19999", "$.n"])
        #expect(try text([all], body) == "{\((1..<19_999).map { "\"k\($0)\":\($0)" }.joined(separator: ","))}")
        // Of a list each goes from where the ones before have left it.
        #expect(try text([.remove(paths: ["$.l[0]", "$.l[0].a", "$.l[1]"])], #"{"l":[1,{"a":2,"b":3},4,5]}"#)
            == #"{"l":[{"b":3},5]}"#)
    }
    @Test func whatTakesTooMuchWorkIsStopped() throws {
        let body = #"{"n":{"y":"\#(String(repeating: "z", count: 1 << 20))"}}"#
        func reading(_ count: Int) -> TransformStep {
            .template(path: "$.t", text: String(repeating: "{{$.n.x}}", count: count))
        }
        #expect(try text([reading(20)], body).hasSuffix(#","t":""}"#))
        #expect(throws: PreparationFailure.tooLarge) { try text([reading(100)], body) }
    }
    /// gzip of `[0,0,…,0]` by matches of 258 bytes, two back, in the fixed code.
    private func packed(matchCount: Int) -> [UInt8] {
        var out: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
        var (bits, count) = (0, 0)
        func put(_ code: Int, _ length: Int) {
            for place in (0..<length).reversed() {
                bits |= (code >> place & 1) << count
                count += 1
                if count == 8 {
                    out.append(UInt8(bits))
                    (bits, count) = (0, 0)
                }
            }
        }
        // The last block, fixed code; then `[`, `0` and `,`.
        put(0b110, 3)
        for byte in "[0,".utf8 { put(0x30 + Int(byte), 8) }
        for _ in 0..<matchCount {
            put(0b1100_0101, 8)
            put(1, 5)
        }
        for byte in "0]".utf8 { put(0x30 + Int(byte), 8) }
        put(0, 7)
        put(0, 7)
        return out + [UInt8](repeating: 0, count: 8)
    }
    @Test func aSmallBodyThatUnfoldsToMuchIsStopped() throws {
        func prepared(_ step: TransformStep, _ matchCount: Int) throws -> Int {
            var policies = EndpointPolicies()
            policies.transform = [step]
            let preparation = try #require(Preparation(policies))
            let lines = Array("Content-Encoding: gzip\r\n".utf8)
            return try preparation.prepare(fieldLines: lines, body: packed(matchCount: matchCount)).body.count
        }
        let first = TransformStep.remove(paths: ["$[0]"])
        #expect(try prepared(first, 100) == 3 + 25_800)
        #expect(throws: PreparationFailure.contentCoding) { try prepared(first, 33_000) }
        // A list of more than a million: not opened by a path that goes on by a name.
        #expect(throws: PreparationFailure.tooLarge) { try prepared(first, 9_000) }
        #expect(throws: PreparationFailure.wrongShape) { try prepared(.constant(path: "$.a", json: "1"), 9_000) }
        #expect(try prepared(.remove(paths: ["$.a"]), 9_000) == 5 + 258 * 9_000)
    }
    @Test func compressedBodiesAreReadOrRefused() throws {
        // gzip of {"a":"b"}, stored.
        let plain = Array(#"{"a":"b"}"#.utf8)
        let body: [UInt8] =
            [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1, UInt8(plain.count), 0, ~UInt8(plain.count), 0xFF] + plain
            + [UInt8](repeating: 0, count: 8)
        var policies = EndpointPolicies()
        policies.transform = [.constant(path: "$.c", json: "1")]
        let preparation = try #require(Preparation(policies))
        let lines = "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-MD5: x\r\nX-A: b\r\n"
        let prepared = try preparation.prepare(fieldLines: Array(lines.utf8), body: body)
        #expect(prepared.body == Array(#"{"a":"b","c":1}"#.utf8))
        #expect(String(decoding: prepared.fieldLines, as: UTF8.self) == "Content-Type: application/json\r\nX-A: b\r\n")
        for coding in ["br", "gzip, gzip", "gzip"] {
            #expect(throws: PreparationFailure.contentCoding) {
                try preparation.prepare(fieldLines: Array("content-encoding: \(coding)\r\n".utf8), body: plain)
            }
        }
    }
    @Test func redactsWhatATransformationMade() throws {
        var policies = EndpointPolicies()
        policies.redaction = RedactionSettings()
        policies.transform = [.template(path: "$.t", text: "by {{$.a}}@example.org")]
        let preparation = try #require(Preparation(policies))
        let prepared = try preparation.prepare(
            fieldLines: Array("X-Token: abc\r\n".utf8), body: Array(#"{"a":"ann"}"#.utf8))
        #expect(String(decoding: prepared.body, as: UTF8.self) == #"{"a":"ann","t":"by [REDACTED_EMAIL]"}"#)
        #expect(String(decoding: prepared.fieldLines, as: UTF8.self) == "X-Token: [REDACTED_API_KEY]\r\n")
        #expect(prepared.redactions.reduce(0, +) == 2)
    }
    /// Whatever the steps are, JSON stays JSON, and the same is made twice.
    @Test func whatComesOutIsJSON() throws {
        var random = SeededRandom(3)
        let paths = ["$.a", "$.a.b", "$.l[0]", "$.l[1].c", "$['x y']", "$.a.b.c.d"]
        func path() -> String { paths[Int(random.next() % UInt64(paths.count))] }
        let bodies = [
            #"{"a":{"b":"q\n"},"l":[1,{"c":"d"}],"x y":null}"#, #"{"a":1,"a":2}"#, "[]", "3", #"{"l":[[]]}"#,
            #"{"":{}}"#,
        ]
        var madeCount = 0
        for _ in 0..<5000 {
            let steps = (0..<Int(random.next() % 5) + 1).map { _ -> TransformStep in
                switch random.next() % 6 {
                case 0: .pick(paths: [path(), path()])
                case 1: .remove(paths: [path()])
                case 2: .rename(path: "$.a", to: "x y")
                case 3: .constant(path: path(), json: #"{"b":{"c":1}}"#)
                case 4: .format(path: path(), form: TransformFormat.allCases[Int(random.next() % 7)].rawValue)
                default: .template(path: path(), text: "\"\\ {{\(path())}}")
                }
            }
            let body = bodies[Int(random.next() % UInt64(bodies.count))]
            guard let prepared = try? made(steps, body) else { continue }
            madeCount += 1
            #expect(JSONEdit(prepared.body) != nil, "\(steps) made \(prepared.body) of \(body)")
            #expect(try made(steps, body) == prepared)
        }
        #expect(madeCount > 1000)
    }

    // MARK: when it is saved

    private func issues(_ change: (inout EndpointPolicies) -> Void) -> [String] {
        var policies = EndpointPolicies()
        change(&policies)
        return policies.preparationIssues(at: FieldPath("endpoints")).map(\.description)
    }
    @Test func refusesWhatIsWrongByItsPlace() {
        func transform(_ step: TransformStep) -> String {
            issues { $0.transform = [.remove(paths: ["$.ok"]), step] }.joined(separator: "|")
        }
        #expect(transform(.pick(paths: [])).hasPrefix("endpoints.transform[1].pick: must have 1 to 64 paths"))
        #expect(transform(.remove(paths: ["a"])).hasPrefix("endpoints.transform[1].remove[0]: "))
        #expect(transform(.rename(path: "$.l[0]", to: "x")).contains("rename.path: must end in a name"))
        #expect(transform(.rename(path: "$.l", to: "")).contains("rename.to: must have 1 to 256 bytes"))
        #expect(transform(.constant(path: "$.l", json: "{")).contains("constant.value: is no JSON"))
        #expect(transform(.format(path: "$.l", form: "uper")).contains("did you mean `upper`?"))
        #expect(transform(.template(path: "$.l", text: "{{$.a")).contains("template.text: "))
        #expect(transform(.template(path: "$.l", text: "{{a}}")).contains("must begin with $"))
        let many = issues { $0.transform = Array(repeating: .remove(paths: ["$.a"]), count: 33) }
        #expect(many[0].contains("at most 32"))
    }
    @Test func refusesRedactionsThatAreWrong() {
        func redact(_ change: (inout RedactionSettings) -> Void) -> String {
            var settings = RedactionSettings()
            change(&settings)
            return issues { $0.redaction = settings }.joined(separator: "|")
        }
        func custom(_ pattern: String, name: String = "n", replace: String? = nil) -> String {
            redact {
                var one = RedactionSettings.Custom()
                (one.name, one.pattern, one.replace) = (name, pattern, replace)
                $0.custom = [one]
            }
        }
        #expect(redact { _ in } == "")
        #expect(redact { $0.patterns = ["emial"] }.contains("redact.patterns[0]: is no pattern; did you mean `email`?"))
        #expect(redact { $0.hash = ["custom", "x"] }.contains("redact.hash[1]"))
        #expect(redact { $0.key = "short" }.contains("redact.key: must have 16 to 256 bytes"))
        #expect(redact { $0.allow = ["*", "a*b*"] }.components(separatedBy: "allow[").count == 3)
        #expect(custom("(") .contains("redact.custom[0].pattern: is no expression"))
        #expect(custom("a*").contains("matches an empty text"))
        #expect(custom("[A-Z]{5}").contains("stands where something has been replaced"))
        #expect(custom("x", replace: "yxz").contains("matches `yxz`"))
        #expect(custom("x", name: "a-b").contains("custom[0].name"))
        #expect(custom("((a{100}){100}){10}").contains("is no expression that can be used"))
        #expect(custom("ORD-[0-9]+") == "")
        for replace in ["a\r\nX: y", "\u{0}", "\u{7F}"] {
            #expect(custom("x", replace: replace).contains("custom[0].replace: must be without control characters"))
        }
        #expect(custom("x", replace: "é\"") == "")
    }
    @Test func noSecretIsShown() {
        var settings = RedactionSettings()
        var one = RedactionSettings.Custom()
        (one.name, one.pattern) = ("n", "very-secret-word")
        (settings.hash, settings.key, settings.custom, settings.allow) = (
            ["email"], "a key of sixteen bytes", [one], ["very-secret-text"]
        )
        #expect(!settings.text.contains("sixteen") && !settings.text.contains("very-secret"))
        #expect(settings.text.contains("with 1 secret"))
        var other = settings
        other.custom[0].pattern = "another"
        #expect(other.text != settings.text)
        let constant = TransformStep.constant(path: "$.key", json: "\"very-secret\"")
        let template = TransformStep.template(path: "$.key", text: "very-secret {{$.a}}")
        #expect(constant.text.hasPrefix("constant $.key (") && !constant.text.contains("very-secret"))
        #expect(template.text.hasPrefix("template $.key (") && !template.text.contains("very-secret"))
        #expect(constant.text != TransformStep.constant(path: "$.key", json: "\"other\"").text)
    }
    @Test func anEarlierRowHasNeither() throws {
        var policies = EndpointPolicies()
        policies.redaction = RedactionSettings()
        policies.transform = [.remove(paths: ["$.a"]), .template(path: "$.b", text: "c")]
        let encoded = try JSONEncoder().encode(policies)
        #expect(try JSONDecoder().decode(EndpointPolicies.self, from: encoded) == policies)
        #expect(try JSONDecoder().decode(EndpointPolicies.self, from: Data("{}".utf8)) == EndpointPolicies())
        #expect(Preparation(EndpointPolicies()) == nil)
    }
}
