// Event types out of OpenAPI documents: what becomes of references, of other words than draft 7's, of documents that
// are made to cost.
import Engine
import Foundation
import Server
import Synchronization
import Testing

@Suite struct EventTypeImportTests {
    private func json(_ text: String) throws -> JSONValue {
        try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    }
    /// The document with one webhook `a.b`, whose body has this schema.
    private func document(_ schema: String, components: String = "{}") throws -> JSONValue {
        try json(
            """
            {"openapi":"3.1.0","components":{"schemas":\(components)},"webhooks":{"a.b":{"post":{"requestBody":{
            "content":{"application/json":{"schema":\(schema)}}}}}}}
            """)
    }
    private func read(_ document: JSONValue) throws -> [OpenAPIEventType] {
        try OpenAPIWebhooks.read(document, at: ["body", "spec"])
    }
    private func schema(_ text: String, components: String = "{}") throws -> JSONValue? {
        try #require(try read(document(text, components: components)).first).schema
    }
    private func issues(_ document: JSONValue) -> [SvixIssue] {
        do {
            _ = try read(document)
            return []
        } catch { return (error as? SvixError)?.issues ?? [] }
    }

    // MARK: webhooks

    @Test func webhooksOfEitherNameAreEventTypes() throws {
        let found = try read(
            json(
                """
                {"openapi":"3.1.0",
                 "x-webhooks":{"old.one":{"put":{"summary":"An old one.","deprecated":true}}},
                 "webhooks":{
                  "plain":{"summary":"Of the item.","post":{"summary":"Short.","description":"Long."}},
                  "shared":{"$ref":"#/components/pathItems/it"},
                  "bare":{"summary":"Of the item."}},
                 "components":{"pathItems":{"it":{"post":{"description":"Shared."}}}}}
                """))
        #expect(found.map(\.name) == ["bare", "old.one", "plain", "shared"])
        #expect(found.map(\.about) == ["Of the item.", "An old one.", "Long.", "Shared."])
        #expect(found.map(\.isDeprecated) == [false, true, false, false] && found.allSatisfy { $0.schema == nil })
    }
    @Test func theBodysSchemaAndItsExamplesAreTaken() throws {
        let found = try read(
            json(
                """
                {"webhooks":{"a.b":{"post":{"requestBody":{"$ref":"#/components/requestBodies/b"}}}},
                 "components":{"requestBodies":{"b":{"content":{
                   "text/plain":{"schema":{"type":"string"}},
                   "application/vnd.x+json":{"schema":{"type":"object"},
                     "examples":{"z":{"value":{"n":2}},"y":{"$ref":"#/components/examples/e"}}}}}},
                  "examples":{"e":{"value":{"n":1}}}}}
                """))
        #expect(found[0].schema == ["type": "object", "examples": [["n": 1], ["n": 2]]])
    }
    @Test func whatIsWrongIsSaidAtItsPlace() throws {
        let wrong = try json(
            """
            {"webhooks":{"a b":{},"c":{"post":{"requestBody":{"content":{"application/json":{"schema":
            {"properties":{"x":{"$ref":"other.yaml#/X"}}}}}}}},"d":{"$ref":"#/nowhere"},"e":7,
            "f":{"post":{"requestBody":{"content":{"application/json":{"schema":{"type":"text"}}}}}}}}
            """)
        let found = issues(wrong)
        let way = ["post", "requestBody", "content", "application/json", "schema"]
        #expect(
            found.map(\.loc) == [
                ["body", "spec", "webhooks", "a b"],
                ["body", "spec", "webhooks", "c"] + way + ["properties", "x", "$ref"],
                ["body", "spec", "webhooks", "d", "$ref"], ["body", "spec", "webhooks", "e"],
                ["body", "spec", "webhooks", "f"] + way,
            ])
        #expect(found[1].message.contains("outside the document") && found[2].message.contains("leads to nothing"))
        for none in ["{}", #"{"webhooks":{}}"#, #"{"webhooks":[]}"#, #"{"openapi":"3.0.0","paths":{}}"#] {
            #expect(try issues(json(none)).count == 1, "\(none)")
        }
    }

    // MARK: schemas

    @Test func whatASchemaRefersToComesWithIt() throws {
        let bundled = try schema(
            ##"{"type":"object","properties":{"a":{"$ref":"#/components/schemas/A"}}}"##,
            components: ##"""
                {"A":{"type":"array","items":{"$ref":"#/components/schemas/B"}},"B":{"type":"string"},
                 "C":{"type":"null"}}
                """##)
        #expect(
            try bundled
                == json(
                    ##"""
                    {"type":"object","properties":{"a":{"$ref":"#/definitions/A"}},"definitions":{
                    "A":{"type":"array","items":{"$ref":"#/definitions/B"}},"B":{"type":"string"}}}
                    """##))
    }
    @Test func aRootThatRefersIsWhatItRefersTo() throws {
        let bundled = try schema(
            ##"{"$ref":"#/components/schemas/A"}"##,
            components: ##"{"A":{"$ref":"#/components/schemas/B"},"B":{"type":"integer"}}"##)
        #expect(bundled == ["type": "integer"])
    }
    @Test func circlesStayCircles() throws {
        let tree = ##"{"Node":{"type":"object","properties":{"next":{"$ref":"#/components/schemas/Node"}}}}"##
        let bundled = try schema(##"{"$ref":"#/components/schemas/Node"}"##, components: tree)
        #expect(
            try bundled
                == json(
                    ##"""
                    {"type":"object","properties":{"next":{"$ref":"#/definitions/Node"}},"definitions":{"Node":
                    {"type":"object","properties":{"next":{"$ref":"#/definitions/Node"}}}}}
                    """##))
        let loop = ##"{"A":{"$ref":"#/components/schemas/B"},"B":{"$ref":"#/components/schemas/A"}}"##
        #expect(try issues(document(##"{"$ref":"#/components/schemas/A"}"##, components: loop)).count == 1)
        // Within, it is a schema of no end, which a validator may refuse: it ends here.
        _ = try schema(##"{"items":{"$ref":"#/components/schemas/A"}}"##, components: loop)
    }
    @Test func namesAreToldApartAndSpeltAsPointers() throws {
        let bundled = try schema(
            ##"""
            {"definitions":{"X":{"type":"boolean"}},"allOf":[{"$ref":"#/components/schemas/X"},
            {"$ref":"#/components/schemas/W/properties/X"},{"$ref":"#/components/schemas/a~1b%20c"}]}
            """##,
            components: ##"""
                {"X":{"type":"string"},"a/b c":{"type":"number"},"W":{"properties":{"X":{"type":"null"}}}}
                """##)
        #expect(
            try bundled
                == json(
                    ##"""
                    {"allOf":[{"$ref":"#/definitions/X-2"},{"$ref":"#/definitions/X-3"},
                    {"$ref":"#/definitions/a~1b c"}],"definitions":{"X":{"type":"boolean"},
                    "X-2":{"type":"string"},"X-3":{"type":"null"},"a/b c":{"type":"number"}}}
                    """##))
    }
    @Test func otherWordsAreSaidInDraft7s() throws {
        let bundled = try schema(
            ##"""
            {"type":"object","properties":{
            "a":{"type":"string","nullable":true,"enum":["x"]},
            "b":{"type":"number","minimum":1,"exclusiveMinimum":true,"maximum":9,"exclusiveMaximum":false},
            "c":{"$ref":"#/components/schemas/C","description":"beside"},
            "example":{"type":"string","example":"e"}},
            "enum":[{"$ref":"#/is/a/value"}]}
            """##, components: #"{"C":{"type":"string"}}"#)
        #expect(
            try bundled
                == json(
                    ##"""
                    {"type":"object","properties":{
                    "a":{"type":["string","null"],"enum":["x",null]},
                    "b":{"type":"number","exclusiveMinimum":1,"maximum":9},
                    "c":{"allOf":[{"$ref":"#/definitions/C"}],"description":"beside"},
                    "example":{"type":"string","examples":["e"]}},
                    "enum":[{"$ref":"#/is/a/value"}],"definitions":{"C":{"type":"string"}}}
                    """##))
    }
    @Test func whatIsMadeToCostIsRefused() throws {
        let deep = String(repeating: #"{"not":"#, count: 80) + "{}" + String(repeating: "}", count: 80)
        #expect(try issues(document(deep)).first?.message.contains("nested more than") == true)
        // Each of a thousand webhooks has the same thousand schemas.
        let parts = (0..<1000).map { "\"S\($0)\":{\"type\":\"string\"}" }.joined(separator: ",")
        let all = (0..<1000).map { "{\"$ref\":\"#/components/schemas/S\($0)\"}" }.joined(separator: ",")
        let hook = ##"""
            {"post":{"requestBody":{"content":{"application/json":{"schema":
            {"$ref":"#/components/schemas/All"}}}}}}
            """##
        let hooks = (0..<1000).map { "\"h\($0)\":\(hook)" }.joined(separator: ",")
        let wide = try json(
            "{\"webhooks\":{\(hooks)},\"components\":{\"schemas\":{\(parts),\"All\":{\"anyOf\":[\(all)]}}}}")
        #expect(issues(wide).contains { $0.message.contains("has more than") })
        let many = (0...OpenAPIWebhooks.countMax).map { "\"h\($0)\":{}" }.joined(separator: ",")
        #expect(try issues(json("{\"webhooks\":{\(many)}}")).count == 1)
    }

    @Test func whatIsTakenAsItStandsIsCountedByItsText() throws {
        // A few bytes each, and each with the same long example.
        let long = String(repeating: "x", count: OpenAPIWebhooks.typeBytesMax / 2)
        let hook = ##"""
            {"post":{"requestBody":{"content":{"application/json":{"schema":
            {"items":{"$ref":"#/components/schemas/Long"}}}}}}}
            """##
        func document(_ count: Int, _ hook: String, _ long: String) throws -> JSONValue {
            let hooks = (0..<count).map { "\"h\($0)\":\(hook)" }.joined(separator: ",")
            return try json(
                ##"{"webhooks":{\##(hooks)},"components":{"schemas":{"Long":{"const":"\##(long)"},"##
                    + ##""Two":{"const":"\##(long)y"}}}}"##)
        }
        #expect(try read(document(3, hook, long)).count == 3)
        let many = try issues(document(20, hook, long))
        #expect(!many.isEmpty && many.allSatisfy { $0.message.contains("too long") })
        #expect(many.first?.loc.starts(with: ["body", "spec", "webhooks"]) == true)
        let both = hook.replacing(
            "{\"items\"", with: ##"{"not":{"$ref":"#/components/schemas/Two"},"items""##)
        #expect(try issues(document(1, both, long)).count == 1)
        // One place, spelt in many ways.
        let spelt = ["Long", "%4Cong", "L%6Fng"].map { "{\"$ref\":\"#/components/schemas/\($0)\"}" }
        let again = hook.replacing(
            ##"{"items":{"$ref":"#/components/schemas/Long"}}"##,
            with: "{\"anyOf\":[\(spelt.joined(separator: ","))]}")
        #expect(try issues(document(1, again, long)).count == 1)
        let about = ##"{"post":{"description":"\##(long)"}}"##
        #expect(try read(document(3, about, "")).count == 3)
        #expect(try !issues(document(9, about, "")).isEmpty)
        #expect(try issues(document(1, about.replacing("xx", with: "xx\\u0001"), "")).count == 1, "as JSON has it")
    }
    @Test func manyOfOneNameAreNumberedInTurn() throws {
        let count = 20_000
        let places = (0..<count).map { "\"p\($0)\":{\"X\":{}}" }.joined(separator: ",")
        let all = (0..<count).map { "{\"$ref\":\"#/components/schemas/p\($0)/X\"}" }.joined(separator: ",")
        let bundled = try schema("{\"anyOf\":[\(all)]}", components: "{\(places)}")
        guard case .object(let members)? = bundled, case .object(let definitions)? = members["definitions"] else {
            Issue.record("there are no definitions")
            return
        }
        #expect(definitions.count == count && definitions["X"] != nil && definitions["X-\(count)"] != nil)
    }

    // MARK: YAML

    @Test func textsBehindAliasesAreCounted() throws {
        let long = String(repeating: "x", count: YAMLValue.bytesMax / 4)
        do throws(YAMLValue.Problem) {
            _ = try YAMLValue.json("a: &a \(long)\nb: [*a, *a, *a, *a]")
            Issue.record("it was taken")
        } catch { #expect(error.message.contains("bytes of text")) }
        #expect(try YAMLValue.json("a: &a short\nb: [*a, *a, *a, *a]") != .null)
    }
    @Test(arguments: ["\u{2028}", "\u{2029}", "\u{85}", "\u{FEFF}"])
    func aliasesBehindCharactersOfOtherAlphabetsAreSeen(_ before: String) {
        let aliases = Array(repeating: "-\(before)*a", count: YAMLValue.aliasCountMax + 1).joined(separator: "\n")
        do throws(YAMLValue.Problem) {
            _ = try YAMLValue.json("a:\(before)&a 1\nb:\n\(aliases)")
            Issue.record("it was taken")
        } catch { #expect(error.message.contains("aliases")) }
    }
    @Test func yamlIsReadByTheCoreSchema() throws {
        let value = try YAMLValue.json(
            """
            openapi: 3.1.0
            on: yes
            numbers: [1, -2, 1.5, "3", 2024-01-31, 1e3]
            words: [true, 'true', null, ~, plain]
            200: {a: b}
            text: |
              *bold* and **more** & so on
            """)
        guard case .object(let members) = value else { Issue.record("\(value)"); return }
        #expect(members["numbers"] == [1, -2, .number(1.5), "3", "2024-01-31", .number(1000)])
        #expect(members["words"] == [true, "true", .null, .null, "plain"] && members["on"] == "yes")
        #expect(members["openapi"] == "3.1.0" && members["200"] == ["a": "b"])
        #expect(members["text"] == "*bold* and **more** & so on")
        #expect(try YAMLValue.json("a: &x {b: 1}\nc: *x") == ["a": ["b": 1], "c": ["b": 1]])
    }
    @Test func yamlThatIsMadeToCostIsRefused() throws {
        let laughs = (1...9).map { level in
            "l\(level): &l\(level) [" + Array(repeating: "*l\(level - 1)", count: 9).joined(separator: ",") + "]"
        }
        let bomb = "l0: &l0 ha\n" + laughs.joined(separator: "\n")
        #expect(throws: YAMLValue.Problem.self) { try YAMLValue.json(bomb) }
        #expect(throws: YAMLValue.Problem.self) { try YAMLValue.json(String(repeating: "- ", count: 900) + "x") }
        #expect(throws: YAMLValue.Problem.self) { try YAMLValue.json(String(repeating: "[", count: 500_000)) }
        #expect(throws: YAMLValue.Problem.self) { try YAMLValue.json("a: 1\na: 2") }
        #expect(throws: YAMLValue.Problem.self) { try YAMLValue.json("? [a]\n: 2") }
        #expect(throws: YAMLValue.Problem.self) { try YAMLValue.json("a: [") }
        #expect(throws: YAMLValue.Problem.self) { try YAMLValue.json("") }
        let wide = "[" + String(repeating: "1,", count: YAMLValue.nodeCountMax) + "1]"
        #expect(throws: YAMLValue.Problem.self) { try YAMLValue.json(wide) }
    }

    // MARK: the calls

    private func call(_ server: ControlServer, _ path: String, _ body: String) async throws -> RawAnswer {
        try await server.send("POST", "/api/v1/event-type/import/" + path, [], body, host: "127.0.0.1")
    }
    @Test func aDocumentIsTakenInEitherForm() async throws {
        try await ControlServer.run { server in
            let spec = #"{"webhooks":{"a.b":{"post":{"summary":"It came."}}}}"#
            let taken = try await call(server, "openapi", "{\"spec\":\(spec)}")
            #expect(taken.status == 200)
            #expect(taken.member("data") == ["modified": ["a.b"], "to_modify": .null, "archived": []])
            for raw in [spec, "webhooks:\n  a.b:\n    post: {summary: It came.}\n"] {
                let body = JSONText.of(JSONValue.object(["specRaw": .text(raw), "dryRun": true, "replaceAll": true]))
                let dry = try await call(server, "openapi", body)
                let type: JSONValue = [
                    "name": "a.b", "description": "It came.", "schemas": .null, "deprecated": false,
                    "groupName": .null, "featureFlags": .null,
                ]
                #expect(dry.member("data") == ["modified": [], "to_modify": [type], "archived": ["old.one"]])
            }
            let calls = #"import ["a.b"] "#
            #expect(server.gateway.calls == [calls + "false false", calls + "true true", calls + "true true"])
            for body in ["{}", "{\"spec\":\(spec),\"specRaw\":\"x\"}", #"{"spec":null}"#] {
                let neither = try await call(server, "openapi", body)
                #expect(neither.status == 400 && neither.text("code") == "generic_error", "\(body)")
            }
            for body in ["[", #"{"spec":[]}"#, #"{"spec":{}}"#, #"{"specRaw":"a: ["}"#, #"{"specRaw":7}"#] {
                #expect(try await call(server, "openapi", body).status == 422, "\(body)")
            }
        }
    }
    @Test func theEventsOfOpsCenterAreAPreset() async throws {
        try await ControlServer.run { server in
            #expect(try await call(server, "preset", #"{"preset":"ops-center"}"#).status == 200)
            let order = try #require(server.gateway.asked.withLock { $0.imports.last })
            #expect(order.types.map(\.name) == OpsCenterCatalogue.events.map(\.name) && order.types.count == 31)
            for type in order.types {
                #expect(!type.about.isEmpty && type.schema.map { SchemaDraft7.problems(of: $0) } == [])
                var sent = SvixEventType(name: type.name)
                sent.schemas = type.schema.map { ["1": $0] }
                let example = try SvixExample.payload(of: sent, index: 0)
                guard case .object(let members) = example else { Issue.record("\(example)"); continue }
                #expect(members["event"] == .text(type.name))
            }
            #expect(try await call(server, "preset", #"{"preset":"other"}"#).status == 422)
            #expect(try await call(server, "preset", "{}").status == 422)
        }
    }
}
