// What a filter means, one rule a test, and what is refused when one is saved.
import Engine
import FastPath
import Foundation
import TestSupport
import Testing

func filterValue(_ json: String) throws -> PlainJSON {
    try JSONDecoder().decode(PlainJSON.self, from: Data(json.utf8))
}

/// An event of texts, for filters.
struct FilterEvent {
    var type = "invoice.paid"
    var source = "github"
    var channels = ""
    var lines = "Content-Type: application/json\r\nX-Region: eu\r\nX-Amount: 100\r\nX-Tag: a\r\nx-tag:  b \r\n"
    var body = "{}"

    func ask<Answer>(_ question: (FilterInput) -> Answer) -> Answer {
        let texts = [type, source, channels, lines, body].map { Array($0.utf8) }
        return Array(texts.joined()).withView { all in
            var start = 0
            let views = texts.map { text in
                defer { start += text.count }
                return all.slice(start, text.count)
            }
            return question(
                FilterInput(
                    type: views[0], source: views[1], channels: views[2], fieldLines: views[3], body: views[4]))
        }
    }
}

private func verdict(_ filter: String, _ event: FilterEvent = FilterEvent()) throws -> FilterVerdict {
    let compiled = try CompiledFilter(try filterValue(filter))
    return event.ask { compiled.verdict(on: $0) }
}
private func matches(_ filter: String, _ event: FilterEvent = FilterEvent()) throws -> Bool {
    try verdict(filter, event) == .matches
}
/// A filter over the body `body`.
private func inBody(_ conditions: String, _ body: String) throws -> Bool {
    try matches(#"{"body":\#(conditions)}"#, FilterEvent(body: body))
}

@Suite struct FilterTests {
    @Test(arguments: [
        (#"{"type":"invoice.paid"}"#, true), (#"{"type":"invoice"}"#, false),
        (#"{"type":{"$startsWith":"invoice."}}"#, true), (#"{"type":{"$endsWith":".paid"}}"#, true),
        (#"{"type":{"$contains":"ice.p"}}"#, true), (#"{"type":{"$contains":"ice.q"}}"#, false),
        (#"{"type":{"$regex":"^[a-z]+\\.paid$"}}"#, true), (#"{"type":{"$regex":"x"}}"#, false),
        (#"{"source":{"$in":["stripe","github"]}}"#, true), (#"{"source":{"$nin":["stripe","github"]}}"#, false),
        (#"{"source":{"$neq":"stripe"}}"#, true), (#"{"type":{"$gt":"invoice.o","$lt":"invoice.q"}}"#, true),
        (#"{"type":"invoice.paid","source":"stripe"}"#, false),
        (#"{"$or":[{"type":"x"},{"source":"github"}]}"#, true),
        (#"{"$and":[{"type":"x"},{"source":"github"}]}"#, false), (#"{"$not":{"type":"x"}}"#, true),
        (#"{"type":{"$not":{"$eq":"x"}}}"#, true),
        (#"{"type":{"$or":[{"$eq":"x"},{"$eq":"invoice.paid"}]}}"#, true),
    ])
    func asksTypeAndSource(filter: String, expected: Bool) throws {
        #expect(try matches(filter) == expected)
    }
    @Test func asksHeaderFieldsWithoutCaseEachLine() throws {
        #expect(try matches(#"{"headers":{"x-region":"eu"}}"#))
        #expect(try matches(#"{"headers":{"X-REGION":{"$in":["us","eu"]}}}"#))
        #expect(try matches(#"{"headers":{"X-Tag":"b"}}"#) && matches(#"{"headers":{"X-Tag":"a"}}"#))
        #expect(try !matches(#"{"headers":{"X-Tag":{"$neq":"b"}}}"#))
        #expect(try matches(#"{"headers":{"X-Absent":{"$exist":false},"X-Tag":{"$exist":true}}}"#))
        #expect(try !matches(#"{"headers":{"X-Regio":"eu"}}"#))
        // Texts are numbers where a number is asked for.
        #expect(try matches(#"{"headers":{"X-Amount":{"$gte":99.5}}}"#) && matches(#"{"headers":{"X-Amount":1e2}}"#))
        #expect(try !matches(#"{"headers":{"X-Region":{"$gte":0}}}"#))
        #expect(try matches(#"{"headers":{"$or":[{"X-Absent":"1"},{"X-Region":"eu"}]}}"#))
    }
    @Test func asksChannelsAsAList() throws {
        let event = FilterEvent(channels: "eu,project_1")
        #expect(try matches(#"{"channels":"eu"}"#, event) && matches(#"{"channels":{"$contains":"project_1"}}"#, event))
        #expect(try !matches(#"{"channels":{"$contains":"project"}}"#, event))
        #expect(try matches(#"{"channels":{"$startsWith":"project"}}"#, event))
        #expect(try !matches(#"{"channels":{"$exist":true}}"#) && matches(#"{"channels":{"$exist":true}}"#, event))
        #expect(try !matches(#"{"channels":{"$neq":"eu"}}"#, event) && matches(#"{"channels":{"$neq":"eu"}}"#))
    }
    @Test func comparesNumbersByTheirExactValue() throws {
        for spelled in ["1.5", "1.50", "15e-1", "0.15E+1", "150e-2"] {
            #expect(try inBody(#"{"n":1.5}"#, "{\"n\":\(spelled)}"), "\(spelled)")
        }
        #expect(try inBody(#"{"n":{"$gt":9007199254740992}}"#, #"{"n":9007199254740993}"#))
        #expect(try !inBody(#"{"n":9007199254740992}"#, #"{"n":9007199254740992.0000000000000000001}"#))
        #expect(try inBody(#"{"n":{"$lt":0}}"#, #"{"n":-1e-400}"#) && inBody(#"{"n":0}"#, #"{"n":-0.0e9}"#))
        #expect(try inBody(#"{"n":{"$gt":1}}"#, #"{"n":1e999999999999999999999}"#))
        #expect(try inBody(#"{"n":{"$gt":-3,"$lte":-2.9}}"#, #"{"n":-2.95}"#))
        #expect(try !inBody(#"{"n":{"$gte":0}}"#, #"{"n":"5"}"#) && !inBody(#"{"n":1}"#, #"{"n":01}"#))
        #expect(try inBody(#"{"n":{"$in":[1,2.5]}}"#, #"{"n":2.50}"#))
    }
    @Test func comparesTextsDecoded() throws {
        #expect(try inBody(#"{"t":"é\n\""}"#, #"{"t":"\u00e9\n\u0022"}"#))
        #expect(try inBody(#"{"t":"é"}"#, #"{"t":"é"}"#))
        #expect(try inBody(#"{"t":{"$contains":"😀"}}"#, #"{"t":"a\ud83d\ude00b"}"#))
        #expect(try inBody(#"{"t":{"$startsWith":"a/"}}"#, #"{"t":"\u0061\/b"}"#))
        #expect(try inBody(#"{"t":{"$regex":"^a.c$"}}"#, #"{"t":"a\u00e9c"}"#))
        #expect(try !inBody(#"{"t":{"$startsWith":"a"}}"#, #"{"t":"a\q"}"#))
        #expect(try inBody(#"{"t":{"$gt":"b"}}"#, #"{"t":"ba"}"#) && !inBody(#"{"t":{"$gt":"b"}}"#, #"{"t":"b"}"#))
        // A name is compared decoded too, and of two the first counts.
        #expect(try inBody(#"{"user_id":1}"#, #"{"user\u005fid":1,"user_id":2}"#))
    }
    @Test func knowsNullTrueAndFalseFromTexts() throws {
        #expect(try inBody(#"{"a":null}"#, #"{"a":null}"#) && !inBody(#"{"a":null}"#, "{}"))
        #expect(try !inBody(#"{"a":null}"#, #"{"a":"null"}"#) && inBody(#"{"a":true}"#, #"{"a":true}"#))
        #expect(try !inBody(#"{"a":true}"#, #"{"a":"true"}"#) && !inBody(#"{"a":"true"}"#, #"{"a":true}"#))
        #expect(try inBody(#"{"a":{"$exist":true}}"#, #"{"a":null}"#))
    }
    @Test func aMissingValueMeetsNothingButWhatDeniesIt() throws {
        for condition in [#"{"$eq":1}"#, #"{"$gt":1}"#, #"{"$in":[1]}"#, #"{"$contains":"a"}"#, #"{"$exist":true}"#] {
            #expect(try !inBody("{\"a\":\(condition)}", #"{"b":1}"#), "\(condition)")
        }
        for condition in [#"{"$neq":1}"#, #"{"$nin":[1]}"#, #"{"$exist":false}"#, #"{"$not":{"$gt":1}}"#] {
            #expect(try inBody("{\"a\":\(condition)}", #"{"b":1}"#), "\(condition)")
        }
    }
    @Test func anArrayMeetsWhatOneOfItsElementsMeets() throws {
        let body = #"{"tags":["vip","eu",7],"items":[{"sku":"a","n":1},{"sku":"b","n":9}],"deep":[["x"]],"none":[]}"#
        #expect(try inBody(#"{"tags":"vip"}"#, body) && inBody(#"{"tags":{"$contains":"eu"}}"#, body))
        #expect(try !inBody(#"{"tags":{"$contains":"vi"}}"#, body) && inBody(#"{"tags":{"$startsWith":"vi"}}"#, body))
        #expect(try inBody(#"{"tags":{"$gt":6}}"#, body) && !inBody(#"{"tags":{"$neq":"eu"}}"#, body))
        #expect(try inBody(#"{"$.items[*].sku":"b"}"#, body) && !inBody(#"{"$.items[*].n":{"$gt":9}}"#, body))
        #expect(try inBody(#"{"items":{"$[1].n":9}}"#, body) && inBody(#"{"$.items[0]":{"sku":"a"}}"#, body))
        #expect(try !inBody(#"{"deep":"x"}"#, body) && inBody(#"{"$.deep[*]":"x"}"#, body))
        #expect(try !inBody(#"{"none":{"$eq":1}}"#, body) && inBody(#"{"none":{"$neq":1,"$exist":true}}"#, body))
    }
    @Test func aBodyThatIsNotJSONMeetsNeitherAConditionNorItsOpposite() throws {
        let event = FilterEvent(body: "a=1&b=2")
        for filter in [#"{"body":{"a":1}}"#, #"{"body":{"a":{"$neq":1}}}"#, #"{"$not":{"body":{"a":1}}}"#] {
            #expect(try verdict(filter, event) == .unreadable)
        }
        #expect(try verdict(#"{"$or":[{"type":"invoice.paid"},{"body":{"a":1}}]}"#, event) == .matches)
        #expect(try verdict(#"{"type":"x","body":{"a":1}}"#, event) == .differs)
        #expect(try verdict(#"{"body":{"a":1}}"#, FilterEvent(body: #"{"a":1"#)) == .unreadable)
        for body in ["", "token=1", "n=1", "1=2", "2024-01-01", "true or not"] {
            #expect(try verdict(#"{"body":{"a":{"$neq":1}}}"#, FilterEvent(body: body)) == .unreadable, "\(body)")
        }
    }
    @Test func listsHoldForWhatOneOfTheirValuesEquals() throws {
        let values = [
            "null", "true", "false", "0", "-0.0", "1", "1.0", "10e-1", "-3", "1e3", "1000", #""""#, #""a""#,
            #""\u0061""#, #""ab""#,
            #""b""#, #""1""#, #""true""#, #""\q""#, #""é""#, #""\u00e9""#, "[]", #"["b",1]"#, "{}",
        ]
        let operands = ["null", "true", "false", "0", "1", "-3", "1000", #""""#, #""a""#, #""b""#, #""é""#, #""1""#]
        var random = SeededRandom(5)
        for _ in 0..<200 {
            let list = operands.filter { _ in Bool.random(using: &random) }
            guard !list.isEmpty else { continue }
            let joined = list.joined(separator: ",")
            for value in values {
                let body = "{\"a\":\(value)}"
                let expected = try list.contains { try inBody("{\"a\":\($0)}", body) }
                #expect(try inBody("{\"a\":{\"$in\":[\(joined)]}}", body) == expected, "\(value) of \(joined)")
                #expect(try inBody("{\"a\":{\"$nin\":[\(joined)]}}", body) != expected, "\(value) of \(joined)")
            }
            let texts = list.filter { $0 != "null" }
            guard !texts.isEmpty else { continue }
            for word in ["", "a", "b", "1", "1.0", "true", "TRUE", "-3", "1e3", "x"] {
                let event = FilterEvent(lines: "X-A: \(word)\r\n")
                let expected = try texts.contains { try matches("{\"headers\":{\"X-A\":\($0)}}", event) }
                let filter = "{\"headers\":{\"X-A\":{\"$in\":[\(texts.joined(separator: ","))]}}}"
                #expect(try matches(filter, event) == expected, "\(word) of \(texts)")
            }
        }
    }
    @Test func whatIsNotComparedWithAllThereIsIsNotKnown() throws {
        func body(_ count: Int, first: String = "") -> FilterEvent {
            FilterEvent(body: "{\"a\":[\"\(first)\"" + String(repeating: ",\"\"", count: count - 1) + "]}")
        }
        let conditions = (0..<63).map { "{\"body\":{\"a\":\"x\($0)\"}}" }.joined(separator: ",")
        let none = "{\"$or\":[\(conditions)]}"
        // With the array itself.
        let few = FilterLimits.comparisonsMax / 63 - 1
        #expect(try verdict(none, body(few)) == .differs && verdict("{\"$not\":\(none)}", body(few)) == .matches)
        #expect(try verdict(none, body(few + 2)) == .unreadable)
        #expect(try verdict("{\"$not\":\(none)}", body(few + 2)) == .unreadable)
        // What is met for sure stays so.
        #expect(try verdict(none, body(few + 1000, first: "x7")) == .matches)
        #expect(try verdict("{\"$or\":[{\"type\":\"invoice.paid\"},\(conditions)]}", body(few + 2)) == .matches)
        // The length of a list counts for nothing, that of a value does.
        let list = (0..<256).map { "\"id-\($0)\"" }.joined(separator: ",")
        #expect(try verdict("{\"body\":{\"a\":{\"$nin\":[\(list)]}}}", body(500_000)) == .matches)
        let long = FilterEvent(body: "{\"a\":\"" + String(repeating: "y", count: 1 << 20) + "\"}")
        let parts = (0..<64).map { "{\"body\":{\"a\":{\"$contains\":\"x\($0)\"}}}" }.joined(separator: ",")
        #expect(try verdict("{\"$or\":[\(parts)]}", long) == .unreadable)

        let compiled = try CompiledFilter(try filterValue(none))
        let trace = body(few + 1000, first: "x7").ask { compiled.trace($0) }
        #expect(trace.conditions.filter { $0.finding == .tooLong && $0.holds == nil }.count == 62)
        #expect(trace.conditions.filter { $0.finding == .compared && $0.holds == true }.map(\.operand) == ["\"x7\""])
    }
    @Test func expressionsReadSoMuchOfAnEventAndNoMore() throws {
        let long = String(repeating: "a", count: FilterLimits.expressionBytesMax)
        #expect(try inBody(#"{"a":{"$regex":"a$"}}"#, "{\"a\":\"\(long)\"}"))
        #expect(try !inBody(#"{"a":{"$regex":"a$"}}"#, "{\"a\":\"\(long)a\"}"))
        let compiled = try CompiledFilter(try filterValue(#"{"body":{"a":{"$regex":"a$"}}}"#))
        let trace = FilterEvent(body: "{\"a\":\"\(long)a\"}").ask { compiled.trace($0) }
        #expect(trace.conditions.map(\.finding) == [.tooLong])
    }
}

@Suite struct FilterTraceTests {
    @Test func saysWhyConditionByCondition() throws {
        let filter = """
            {"type":{"$startsWith":"order."},"headers":{"X-Region":"eu","X-Secret-Name":"s"},
             "body":{"data":{"amount":{"$gte":100,"$lt":"x"},"gone":1}}}
            """
        let compiled = try CompiledFilter(try filterValue(filter), withheld: [HeaderName("x-secret-name")])
        let trace = FilterEvent(body: #"{"data":{"amount":250}}"#).ask { compiled.trace($0) }
        #expect(trace.verdict == .differs)
        let lines = trace.conditions.map {
            "\($0.place) \($0.op.rawValue) \($0.operand) \($0.holds.map { "\($0)" } ?? "-") \($0.finding.rawValue)"
        }
        #expect(
            lines == [
                "body.data.amount.$gte $gte 100 true compared",
                #"body.data.amount.$lt $lt "x" false other_type"#,
                "body.data.gone $eq 1 false missing",
                #"headers.X-Region $eq "eu" true compared"#,
                #"headers.X-Secret-Name $eq "s" false withheld"#,
                #"type.$startsWith $startsWith "order." false compared"#,
            ])
        let other = FilterEvent(body: "no").ask { compiled.trace($0) }
        #expect(other.conditions.first?.finding == .notJSON && other.conditions.first?.holds == nil)
    }
}

@Suite struct FilterRefusalTests {
    private func refusal(_ json: String) throws -> String? {
        let value = try filterValue(json)
        do throws(ValidationIssue) { _ = try CompiledFilter(value) } catch {
            return error.description
        }
        return nil
    }
    @Test(arguments: [
        ("{}", "has no condition"), ("[]", "must be an object such as"), (#""x""#, "must be an object such as"),
        (#"{"body":{}}"#, "body: has no condition"), (#"{"typ":"x"}"#, "typ: is unknown; did you mean `type`?"),
        (#"{"body":{"a":{"$ne":1}}}"#, "body.a.$ne: is unknown; did you mean `$neq`?"),
        (#"{"body":{"a":{"$exists":true}}}"#, "did you mean `$exist`?"),
        (#"{"body":{"a":["x"]}}"#, "body.a: is a list; write { $in: […] }"),
        (#"{"body":{"a.b":1}}"#, "body.a.b: is no name; a path is `$.data.amount`"),
        (#"{"body":{"$.a[":1}}"#, "body.$.a[: has a [ without its ]"),
        (#"{"body":{"a":{"$in":[]}}}"#, "takes a list of at least one value"),
        (#"{"body":{"a":{"$in":[{"b":1}]}}}"#, "body.a.$in[0]: takes a text, a number, true, false or null"),
        (#"{"body":{"a":{"$gt":true}}}"#, "takes a number or a text"),
        (#"{"body":{"a":{"$exist":1}}}"#, "takes true or false"),
        (#"{"body":{"a":{"$regex":"("}}}"#, "body.a.$regex: is no regular expression (RE2): "),
        (#"{"body":{"a":{"$regex":"(a)\\1"}}}"#, "is no regular expression (RE2): "),
        (#"{"body":{"a":{"$regex":"x{600}y{600}"}}}"#, "costs too much"),
        (#"{"body":{"a":{"$contains":""}}}"#, "is empty"), (#"{"type":null}"#, "write { $exist: false }"),
        (#"{"headers":{"bad name":"x"}}"#, "is not the name of a header field"),
        (#"{"headers":{"Authorization":"x"}}"#, "carries a credential"),
        (#"{"headers":{"X-Gitlab-Token":"x"}}"#, "carries a credential"),
        (#"{"headers":{"Sluice-Tags":"x"}}"#, "is a field of Sluice's own"),
        (#"{"$or":{"type":"x"}}"#, "$or: takes a list of conditions"),
        (#"{"$and":["x"]}"#, "$and[0]: must be an object"),
        (#"{"body":{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":1}}}}}}}}}}"#, "leads 9 steps deep"),
    ])
    func saysWhereAndWhy(filter: String, expected: String) throws {
        let said = try #require(try refusal(filter))
        #expect(said.contains(expected), "\(said)")
    }
    @Test func boundsSizeDepthConditionsPathsAndTexts() throws {
        func body(_ count: Int) -> String {
            "{\"body\":{" + (0..<count).map { "\"k\($0)\":\($0)" }.joined(separator: ",") + "}}"
        }
        #expect(try refusal(body(32)) == nil && refusal(body(33))?.contains("one path too many") == true)
        let conditions = "{\"$or\":[" + (0..<64).map { "{\"type\":\"t\($0)\"}" }.joined(separator: ",")
        #expect(try refusal(conditions + "]}") == nil)
        #expect(try refusal(conditions + ",{\"type\":\"x\"}]}")?.contains("one condition too many") == true)
        let deep = String(repeating: "{\"$not\":", count: 15)
        #expect(try refusal(deep + "{\"type\":\"x\"}" + String(repeating: "}", count: 15)) == nil)
        let deeper = String(repeating: "{\"$not\":", count: 17)
        #expect(
            try refusal(deeper + "{\"type\":\"x\"}" + String(repeating: "}", count: 17))?.contains("nested") == true)
        let text = String(repeating: "x", count: FilterLimits.textBytesMax + 1)
        #expect(try refusal("{\"type\":\"\(text)\"}")?.contains("at most 1024") == true)
        let long = (0..<20).map { "\"\($0)\(text.dropFirst(3))\"" }.joined(separator: ",")
        #expect(try refusal("{\"type\":{\"$in\":[\(long)]}}")?.contains("bytes; at most 16384") == true)
    }
    @Test func isSpelledTheSameHoweverItWasWritten() throws {
        let one = try filterValue(#"{"type":"a\"b\u0001", "body":{"n":[1,2.5,null,true]}}"#)
        #expect(one.json == #"{"body":{"n":[1,2.5,null,true]},"type":"a\"b\u0001"}"#)
        #expect(try filterValue(one.json) == one)
    }
}
