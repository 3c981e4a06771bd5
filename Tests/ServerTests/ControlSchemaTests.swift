// Schemas over the control API: tried on a body and over a stretch of the log, and as keys of a manifest's source.
import Engine
import Foundation
import Server
import Testing

@Suite struct ControlSchemaTests {
    @Test func triesASchemaOnOneBody() async throws {
        try await ControlServer.run { server in
            let answer = try await server.change("POST", "/api/v1/schemas/test", #"{"schema":true,"body":"{}"}"#)
            #expect(answer.status == 200 && answer.text("verdict") == "schema_violation")
            #expect(answer.body.contains(##""schema_path":"#/required""##))
            #expect(server.gateway.calls == ["test schema {}"])
        }
    }
    @Test(arguments: [
        #"{"schema":true}"#, #"{"schema":true,"body":"{}","event":"evt_1"}"#, #"{"schema":true,"payload":1,"body":""}"#,
    ])
    func asksForOneBody(body: String) async throws {
        try await ControlServer.run { server in
            let answer = try await server.change("POST", "/api/v1/schemas/test", body)
            #expect(answer.status == 422 && answer.body.contains(#""path":"event""#))
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func pagesThroughAPreview() async throws {
        try await ControlServer.run { server in
            let path = "/api/v1/schemas/preview"
            let order = #""schema":{"type":"object"},"type":"a","from":"2026-01-01T00:00:00Z""#
            let page = try await server.change("POST", path, "{\(order)}")
            let next = try #require(page.text("next"))
            let last = try await server.change("POST", path, "{\(order),\"cursor\":\"\(next)\"}")
            #expect(last.status == 200 && last.text("next") == nil)
            #expect(server.gateway.calls == ["preview schema a -", "preview schema a 7"])
            let forged = try await server.change("POST", path, "{\(order),\"cursor\":\"AAAA\"}")
            #expect(forged.text("code") == "bad_cursor")
        }
    }
    @Test func saysWhatAPayloadBreaksInThePlacesOfItsSurface() {
        let violation = SchemaViolation(
            instancePath: "/items/0", schemaPath: "#/properties/items/items/type", keyword: "type",
            message: "must be a string")
        let error = ControlError(.violated([violation]))
        #expect(error.code.status == 422)
        #expect(
            error.errors == [
                FieldProblem(
                    path: "payload/items/0", reason: "must be a string (`#/properties/items/items/type`)")
            ])
        let body = JSONText.of(SvixError(error).body)
        #expect(body.contains(#"["body","payload","items","0"]"#), "\(body)")
        #expect(ControlError(.notJSON).errors.map(\.path) == ["payload"])
    }
}

@Suite struct ManifestSchemaTests {
    private func parse(_ lines: String, folder: String = "/nowhere") throws -> SourceConfiguration? {
        let text =
            "sources:\n  - name: a\n    provider: generic\n    unverified: true\n"
            + lines.split(separator: "\n").map { "    \($0)\n" }.joined()
        return try ConfigurationFile.parse(text, file: folder + "/sluice.yaml", environment: ["a": "b"]).sources.first
    }
    private func problem(_ lines: String) -> ConfigurationProblem? {
        do {
            _ = try parse(lines)
        } catch let error as ConfigurationError {
            return error.problems.first
        } catch { Issue.record("\(error)") }
        return nil
    }

    @Test func readsAMappingJSONAndAFile() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(#"{"maximum":12345678901234567890}"#.utf8).write(to: folder.appendingPathComponent("s.json"))
        let lines = """
            schema: { required: [id], pattern: "${a}" }
            schemas:
              a: file:s.json
              b: '{"type":"object"}'
              c: false
            """
        let source = try #require(try parse(lines, folder: folder.path))
        #expect(source.schemas.all == #"{"pattern":"${a}","required":["id"]}"#)
        #expect(
            source.schemas.byType == [
                "a": #"{"maximum":12345678901234567890}"#, "b": #"{"type":"object"}"#, "c": "false",
            ])
        #expect(try parse("mode: observe")?.schemas.isEmpty == true)
    }
    @Test(arguments: [
        ("schema:", "no value", 5), ("schema: file:none.json", "there is no such file", 5),
        ("schemas: [a]", "takes a mapping", 5), ("schema: { type: text }", "#/type", 5),
        ("schemas:\n  a: true\n  b: { not: 1 }", "#/not", 7),
    ])
    func saysWhatIsWrongAndAtWhichLine(lines: String, said: String, line: Int) throws {
        let found = try #require(problem(lines))
        #expect(found.message.contains(said) && found.line == line, "\(found)")
    }
}
