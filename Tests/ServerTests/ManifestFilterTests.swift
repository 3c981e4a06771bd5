// The key `filter` of a manifest: a mapping or JSON in a text, and what a mistake in it is called, at which line.
import Engine
import Foundation
import Server
import Testing

@Suite struct ManifestFilterTests {
    private func parse(_ filter: String) throws -> GatewayConfiguration {
        let text = "sources: []\nendpoints:\n  - name: a\n    url: http://example.com/\n    filter: \(filter)\n"
        return try ConfigurationFile.parse(text, file: "sluice.yaml", environment: ["a": "b"])
    }
    private func problem(_ filter: String) -> ConfigurationProblem? {
        do {
            _ = try parse(filter)
        } catch let error as ConfigurationError {
            return error.problems.first
        } catch { Issue.record("\(error)") }
        return nil
    }

    @Test func readsAMappingAndJSONAlike() throws {
        let wanted = PlainJSON.object([
            "body": .object(["$.a": .object(["$gte": .number(1.5)]), "b": .text("${a}"), "c": .bool(true)]),
            "type": .object(["$in": .list([.text("x"), .integer(5), .text("5")])]),
        ])
        for filter in [
            #"{ body: { $.a: { $gte: 1.5 }, b: "${a}", c: true }, type: { $in: [x, 5, "5"] } }"#,
            #"'{"body":{"$.a":{"$gte":1.5},"b":"${a}","c":true},"type":{"$in":["x",5,"5"]}}'"#,
            "\n      body:\n        $.a: { $gte: 1.5 }\n        b: ${a}\n        c: true\n"
                + "      type: { $in: [x, 5, '5'] }",
        ] {
            let endpoint = try #require(try parse(filter).endpoints.first)
            #expect(endpoint.policies.filter == wanted)
        }
        #expect(EndpointConfiguration().policies.filter == nil)
    }
    @Test(arguments: [
        ("", "no value", 5), ("'{'", "neither a mapping nor JSON", 5), ("\n      type: a\n      type: b", "twice", 0),
        ("[a]", "must be an object such as", 5),
        ("\n      body:\n        a: { $gt: true }", "takes a number or a text", 5),
    ])
    func saysWhatIsWrong(filter: String, said: String, line: Int) throws {
        let found = try #require(problem(filter))
        #expect(found.message.contains(said), "\(found.message)")
        #expect(line == 0 || found.line >= line)
    }
    @Test func aFilterIsAFieldOfItsEndpointThatChanges() {
        var (old, new) = (EndpointConfiguration(), EndpointConfiguration())
        new.policies.filter = .object(["type": .text("a")])
        let changes = new.changes(from: old)
        #expect(changes == [FieldChange(field: "filter", before: "none", after: #"{"type":"a"}"#)])
        old.policies = new.policies
        #expect(new.changes(from: old).isEmpty)
    }
}
