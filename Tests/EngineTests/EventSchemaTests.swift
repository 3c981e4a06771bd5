// What a schema says of a body, and what is refused when one is saved. The official cases are run beside this
// (`EventSchemaSuiteTests`); here is what they leave out: bounds, places, words, numbers as they are written.
import Engine
import Testing

private func verdict(_ schema: String, _ body: String) throws -> SchemaVerdict {
    try EventSchema(schema).verdict(of: Array(body.utf8))
}
private func isValid(_ schema: String, _ body: String) throws -> Bool { try verdict(schema, body) == .valid }
private func violations(_ schema: String, _ body: String) throws -> [SchemaViolation] {
    guard case .violated(let violations) = try verdict(schema, body) else { return [] }
    return violations
}
private func problem(_ schema: String) -> SchemaProblem? {
    do throws(SchemaProblem) {
        _ = try EventSchema(schema)
        return nil
    } catch { return error }
}

@Suite struct EventSchemaTests {
    // MARK: what is said

    @Test func namesPlaceKeywordAndWhatWouldBeRight() throws {
        let found = try violations(
            #"{"properties":{"data":{"properties":{"a/b":{"items":{"type":"integer","minimum":3}}}}}}"#,
            #"{"data":{"a/b":[5,2,"sk_live_1"]}}"#)
        #expect(
            found == [
                SchemaViolation(
                    instancePath: "/data/a~1b/1",
                    schemaPath: "#/properties/data/properties/a~1b/items/minimum", keyword: "minimum",
                    message: "must be at least 3"),
                SchemaViolation(
                    instancePath: "/data/a~1b/2", schemaPath: "#/properties/data/properties/a~1b/items/type",
                    keyword: "type", message: "must be an integer"),
            ])
    }
    @Test(arguments: [
        (#"{"type":["string","null"]}"#, "must be null or a string"),
        (#"{"enum":["a",1,null]}"#, #"must be one of "a", 1, null"#), (#"{"const":{"a":1}}"#, #"must be {"a":1}"#),
        (#"{"required":["id"]}"#, "must have `id`"), (#"{"maxProperties":0}"#, "must have at most 0 members"),
        (#"{"additionalProperties":false}"#, "must not be there"),
        (#"{"not":{}}"#, "must not match the schema of `not`"),
        (#"{"oneOf":[{},{}]}"#, "must match exactly one of the 2 schemas of `oneOf`; it matches more than one"),
        (#"{"anyOf":[{"type":"null"}]}"#, "must match one or more of the 1 schemas of `anyOf`"),
        (#"{"dependencies":{"secret":["id"]}}"#, "must have `id`, as it has `secret`"),
        (#"{"properties":{"secret":{"pattern":"^x"}}}"#, "must match the expression ^x"),
        (#"{"properties":{"secret":{"format":"uuid"}}}"#, "must be a UUID (RFC 4122)"),
        (#"{"properties":{"secret":{"maxLength":1}}}"#, "must have at most 1 character"),
        (#"{"propertyNames":{"maxLength":1}}"#, "must have at most 1 character"),
    ])
    func neverSaysAValueOfTheBody(schema: String, message: String) throws {
        let found = try violations(schema, #"{"secret":"hunter2-hunter2"}"#)
        #expect(found.map(\.message) == [message])
        #expect(!"\(found)".contains("hunter2"))
    }
    @Test func saysTenAtMost() throws {
        let body = "[" + Array(repeating: "0", count: 100).joined(separator: ",") + "]"
        #expect(try violations(#"{"items":{"type":"string"}}"#, body).count == 10)
    }
    @Test func cutsNamesThatAreLong() throws {
        let name = String(repeating: "n", count: 1000)
        let found = try violations(#"{"additionalProperties":false}"#, #"{"\#(name)":1}"#)
        #expect(found.first?.keyword == "additionalProperties")
        #expect((found.first?.instancePath.utf8.count ?? 0) < 100)
    }
    @Test(arguments: ["", "{", "nul", #"{"a":1,}"#, "\"\\x\"", "[1 2]", "01", "\u{1}"])
    func tellsApartWhatIsNoJSON(body: String) throws {
        guard case .notJSON = try verdict("true", body) else {
            Issue.record("\(body) is taken for JSON")
            return
        }
    }
    @Test func takesNoTextThatIsNotUTF8() throws {
        #expect(try EventSchema("true").verdict(of: [0x22, 0xFF, 0x22]) == .notJSON(.notUTF8))
    }
    @Test func looksAtEveryMemberOfANameThatIsThereTwice() throws {
        #expect(try !isValid(#"{"properties":{"a":{"type":"string"}}}"#, #"{"a":"x","a":1}"#))
        #expect(try !isValid(#"{"properties":{"a":{"type":"string"}}}"#, #"{"a":1,"a":"x"}"#))
        #expect(try !isValid(#"{"properties":{"a":{"type":"string"}}}"#, #"{"\u0061":1}"#))
    }

    // MARK: numbers

    @Test(arguments: [
        ("0.01", "0.07", true), ("0.01", "19.99", true), ("0.01", "0.015", false), ("0.1", "1e400", true),
        ("3", "1e400", false), ("7", "49000000000000000000000000000000", true),
        ("7", "49000000000000000000000000000001", false), ("1e-7", "0.0000003", true), ("1e3", "1500", false),
        ("0.3", "0.9", true), ("1", "-5.0", true), ("5", "0", true),
        ("999999999999999989", "1999999999999999978", true),
        ("2.5", "-7.50", true),
    ])
    func findsMultiplesExactly(divisor: String, number: String, isMultiple: Bool) throws {
        #expect(try isValid(#"{"multipleOf":\#(divisor)}"#, number) == isMultiple)
    }
    @Test func comparesNumbersAsTheyAreWritten() throws {
        #expect(try !isValid(#"{"maximum":9007199254740992}"#, "9007199254740993"))
        #expect(try isValid(#"{"const":1.0}"#, "10e-1"))
        #expect(try !isValid(#"{"uniqueItems":true}"#, "[1,2,1.0]"))
        #expect(try isValid(#"{"type":"integer"}"#, "1e3"))
        #expect(try !isValid(#"{"type":"integer"}"#, "1e-1"))
    }

    // MARK: what later drafts say

    @Test func takesTheKeywordsOfLaterDrafts() throws {
        #expect(try !isValid(#"{"prefixItems":[{"type":"string"}],"items":false}"#, #"["a",1]"#))
        #expect(try !isValid(#"{"dependentRequired":{"a":["b"]}}"#, #"{"a":1}"#))
        #expect(try !isValid(#"{"dependentSchemas":{"a":{"required":["b"]}}}"#, #"{"a":1}"#))
        #expect(try !isValid(#"{"contains":{"const":1},"minContains":2}"#, "[1,2]"))
        #expect(try !isValid(#"{"contains":{"const":1},"maxContains":1}"#, "[1,1]"))
        #expect(try !isValid(##"{"$ref":"#/$defs/a","$defs":{"a":{"$anchor":"x","type":"null"}}}"##, "1"))
        #expect(try !isValid(##"{"allOf":[{"$ref":"#x"}],"$defs":{"a":{"$anchor":"x","type":"null"}}}"##, "1"))
    }
    @Test func readsWhatStandsBesideAReferenceAsItsDraftDoes() throws {
        let beside = ##""$ref":"#/$defs/a","maxLength":1,"$defs":{"a":{"type":"string"}}}"##
        let later = #"{"$schema":"https://json-schema.org/draft/2020-12/schema","# + beside
        #expect(try !isValid(later, #""ab""#))
        #expect(try isValid(#"{"$schema":"http://json-schema.org/draft-07/schema#","# + beside, #""ab""#))
        #expect(problem("{" + beside)?.place == "#/maxLength")
    }

    // MARK: what is refused

    @Test(arguments: [
        (##"{"type":"text"}"##, "#/type"), (##"{"properties":{"a":{"minimum":"1"}}}"##, "#/properties/a/minimum"),
        (##"{"$ref":"https://example.com/s.json"}"##, "#/$ref"), (##"{"$ref":"#/definitions/none"}"##, "#/$ref"),
        (##"{"$ref":"#"}"##, "#"),
        (##"{"allOf":[{"$ref":"#/definitions/a"}],"definitions":{"a":{"$ref":"#"}}}"##, "#"),
        (##"{"pattern":"(?=a)"}"##, "#/pattern"), (##"{"patternProperties":{"(a":{}}}"##, "#/patternProperties/(a"),
        (##"{"multipleOf":0}"##, "#/multipleOf"), (##"{"minLength":1.5}"##, "#/minLength"),
        (##"{"required":["a","a"]}"##, "#/required"), (##"{"allOf":[]}"##, "#/allOf"), (##"{"not":1}"##, "#/not"),
        (##"{"unevaluatedProperties":false}"##, "#/unevaluatedProperties"),
        (##"{"type":"null","type":"null"}"##, "#/type"),
        (##"{"$schema":"http://json-schema.org/draft-03/schema"}"##, "#/$schema"), ("[]", "#"), ("{", "#"),
        (##"{"definitions":{"unused":{"type":5}}}"##, "#/definitions/unused/type"),
        (##"{"items":[{}],"prefixItems":[{}]}"##, "#/items"),
    ])
    func refusesWithThePlace(schema: String, place: String) {
        #expect(problem(schema)?.place == place)
    }
    @Test func refusesWhatIsTooLarge() {
        let many = (0...5_000).map { #""p\#($0)":{}"# }.joined(separator: ",")
        #expect(problem(#"{"properties":{\#(many)}}"#)?.reason.contains("5000") == true)
        let patterns = (0...64).map { #""p\#($0)":{"pattern":"a"}"# }.joined(separator: ",")
        #expect(problem(#"{"properties":{\#(patterns)}}"#)?.reason.contains("64") == true)
        let nested = String(repeating: #"{"not":"#, count: 65) + "true" + String(repeating: "}", count: 65)
        #expect(problem(nested)?.reason.contains("deep") == true)
        let chain = String(repeating: #"{"not":"#, count: 40) + "true" + String(repeating: "}", count: 40)
        #expect(problem(chain)?.reason.contains("32") == true)
        // Each leads to one that stands before it.
        let links = (1...40).map { ##","d\##($0)":{"$ref":"#/definitions/d\##($0 - 1)"}"## }.joined()
        let linked = ##"{"definitions":{"d0":true\##(links)},"items":{"$ref":"#/definitions/d40"}}"##
        #expect(problem(linked)?.reason.contains("32") == true)
        #expect(problem(##"{"description":"\##(String(repeating: "x", count: 300_000))"}"##)?.place == "#")
    }
    @Test func takesASchemaThatLeadsBackThroughTheBody() throws {
        let tree = ##"{"required":["v"],"properties":{"next":{"$ref":"#"}}}"##
        #expect(try isValid(tree, #"{"v":1,"next":{"v":2,"next":{"v":3}}}"#))
        #expect(try violations(tree, #"{"v":1,"next":{"next":{"v":3}}}"#).map(\.instancePath) == ["/next"])
    }

    // MARK: bounds

    /// Each level doubles what is asked of the one below, and none of it holds.
    @Test func endsWhereACheckWouldTakeTooLong() throws {
        var levels = #""l0":{"const":1}"#
        for level in 1...24 {
            let below = ##"{"$ref":"#/definitions/l\##(level - 1)"}"##
            levels += #","l\#(level)":{"anyOf":[\#(below),\#(below)]}"#
        }
        // 24 levels of two steps are more than a chain may have; so the levels are in the body.
        let branch = ##"{"properties":{"n":{"$ref":"#/definitions/t"}},"allOf":[{"required":["x"]}]}"##
        let schema =
            ##"{"definitions":{"t":{"anyOf":[\##(branch),\##(branch)]}},"allOf":[{"$ref":"#/definitions/t"}]}"##
        let body = String(repeating: #"{"n":"#, count: 40) + "{}" + String(repeating: "}", count: 40)
        #expect(problem("{\"definitions\":{\(levels)},\"$ref\":\"#/definitions/l24\"}") != nil)
        #expect(try violations(schema, body).map(\.keyword) == ["limits"])
    }
    @Test func endsAtABodyThatIsTooDeepOrHasTooManyValues() throws {
        let deep = String(repeating: "[", count: 65) + String(repeating: "]", count: 65)
        #expect(try violations("true", deep).map(\.keyword) == ["limits"])
        let many = "[" + String(repeating: "0,", count: 500_000) + "0]"
        #expect(try violations("true", many).map(\.keyword) == ["limits"])
    }
    @Test func findsTwoAlikeAmongManyWithinItsSteps() throws {
        let different = "[" + (0..<100_000).map { #"{"a":\#($0)}"# }.joined(separator: ",") + "]"
        #expect(try isValid(#"{"uniqueItems":true}"#, different))
        #expect(try !isValid(#"{"uniqueItems":true}"#, #"[{"a":1,"b":[2]},{"b":[2.0],"a":1}]"#))
    }
    /// Two objects that have a name twice are never alike, and yet each is held against all that are like it.
    @Test func endsWhereNoTwoOfManyAreAlike() throws {
        let element = "{" + (0..<100).map { #""m\#($0)":0"# }.joined(separator: ",") + #","m0":0}"#
        let body = "[" + Array(repeating: element, count: 300).joined(separator: ",") + "]"
        #expect(try violations(#"{"uniqueItems":true}"#, body).map(\.keyword) == ["limits"])
    }
    @Test func countsNamesAndElementsThatItPassesOver() throws {
        func many(_ rule: String) -> String {
            #"{"allOf":[\#(Array(repeating: rule, count: 400).joined(separator: ","))]}"#
        }
        let longName = #"{"\#(String(repeating: "n", count: 100_000))":0}"#
        #expect(try violations(many(#"{"not":{"required":["x"]}}"#), longName).map(\.keyword) == ["limits"])
        #expect(try violations(many(#"{"properties":{"x":false}}"#), longName).map(\.keyword) == ["limits"])
        let longList = "[" + Array(repeating: "0", count: 100_000).joined(separator: ",") + "]"
        #expect(try violations(many(#"{"items":[true]}"#), longList).map(\.keyword) == ["limits"])
    }
    @Test func whatOneEventTakesIsGoneForTheOthersOfItsRequest() throws {
        let schema = try EventSchema(#"{"items":{"type":"integer"}}"#)
        var stepsLeft = 5
        let first = schema.verdict(of: Array("[1,2]".utf8), stepsLeft: &stepsLeft)
        #expect(first == .valid && stepsLeft == 2)
        guard case .violated(let violations) = schema.verdict(of: Array("[1,2]".utf8), stepsLeft: &stepsLeft) else {
            Issue.record("three steps out of two")
            return
        }
        #expect(violations.map(\.keyword) == ["limits"])
    }
    @Test func takesExpressionsAsSchemasSpellThem() throws {
        #expect(try isValid(#"{"pattern":"^\\u00e9\\/$"}"#, #""é/""#))
        #expect(try !isValid(#"{"pattern":"^a$"}"#, #""a\n""#))
    }
}
