// Schemas of sources and of event types: what a worker says of a request, which of a type's versions is enforced, and
// what is refused when one is saved. What a schema means is in `EventSchemaTests`.
import Engine
import FastPath
import Testing

private let idNeeded = #"{"required":["id"]}"#

@Suite struct SourceSchemaTests {
    private func open(_ change: (inout SourceConfiguration) -> Void) -> SourceConfiguration {
        source("s") {
            $0.provider = "generic"
            $0.secrets = []
            $0.unverified = true
            $0.eventType = ["json:$.kind"]
            change(&$0)
        }
    }
    private func result(
        _ source: SourceConfiguration, _ body: [UInt8], lines: String = "", observes: Bool = false
    ) throws -> WorkerDuty.Result {
        let parts = try SourceCompiler.compile(source)
        defer { withExtendedLifetime(parts.memory) {} }
        let duty = WorkerDuty(parts, keepsRejected: observes)
        let head = Array("POST /in/s HTTP/1.1\r\nHost: h\r\n\(lines)\r\n".utf8)
        let request = try CapturedRequest(head: head, body: body)
        return duty.result(request, origin: nil, nowSeconds: 1000)
    }
    private func answer(_ source: SourceConfiguration, _ body: String) throws -> VerifierResult {
        try result(source, Array(body.utf8)).answer
    }

    @Test func theTypesOwnSchemaGoesBeforeThatOfAll() throws {
        let both = open {
            $0.schemas.all = "false"
            $0.schemas.byType = ["a": idNeeded, "b": "true"]
        }
        #expect(try answer(both, #"{"kind":"a","id":1}"#) == .accepted)
        #expect(try answer(both, #"{"kind":"a"}"#) == .rejected(.schemaViolation))
        #expect(try answer(both, #"{"kind":"b"}"#) == .accepted)
        #expect(try answer(both, #"{"kind":"c","id":1}"#) == .rejected(.schemaViolation))
        let some = open { $0.schemas.byType = ["a": idNeeded] }
        #expect(try answer(some, #"{"kind":"c"}"#) == .accepted)
        #expect(try answer(some, "no JSON") == .accepted)
        let all = open { $0.schemas.all = idNeeded }
        #expect(try answer(all, "no JSON") == .rejected(.bodyNotJSON))
    }
    @Test func aSourceWithoutASchemaIsNoWorkersAffair() throws {
        let parts = try SourceCompiler.compile(open { _ in })
        #expect(parts.schemas == nil && parts.reader == nil && parts.verifier == nil)
        let signed = source("s") { $0.schemas.all = "true" }
        let compiled = try SourceCompiler.compile(signed)
        #expect(compiled.verifier != nil && compiled.reader != nil && compiled.schemas != nil)
        #expect(try SourceCompiler.compile(source("s")).verifier == nil)
    }
    @Test func aForgeryHearsOfNoSchema() throws {
        let signed = source("s") { $0.schemas.all = "false" }
        let result = try result(signed, Array("{}".utf8), lines: "X-Hub-Signature-256: sha256=00\r\n")
        #expect(result.refusal == nil && result.answer != .rejected(.schemaViolation) && result.answer != .accepted)
    }
    @Test func anObservingSourceKeepsWhatBreaksItWithTypeAndKey() throws {
        let observing = open { $0.schemas.all = idNeeded }
        let result = try result(observing, Array(#"{"kind":"a"}"#.utf8), observes: true)
        #expect(result.answer == .rejected(.schemaViolation) && result.refusal == nil)
        #expect(result.reading?.elements.count == 1)
    }
    @Test func ofAListEachEventIsCheckedAndTheRequestIsOne() throws {
        let list = open {
            $0.split = "json:$"
            $0.schemas.byType = ["a": idNeeded]
        }
        #expect(try answer(list, #"[{"kind":"a","id":1},{"kind":"b"}]"#) == .accepted)
        let refusal = try result(list, Array(#"[{"kind":"b"},{"kind":"a","id":1},{"kind":"a"}]"#.utf8)).refusal
        #expect(refusal?.violations.map(\.event) == [2])
        let text = String(decoding: try #require(refusal).answer.body, as: UTF8.self)
        #expect(
            text == #"{"status":"rejected","reason":"schema_violation","violations":[{"event":2,"keyword":"required","#
                + ##""message":"must have `id`","path":"","schema_path":"#/required"}]}"##)
    }
    @Test func aCompressedBodyIsCheckedAsWhatItHolds() throws {
        // deflate, stored: `{"id":1}`.
        let body = Array(#"{"id":1}"#.utf8)
        let packed: [UInt8] = [1, UInt8(body.count), 0, ~UInt8(body.count), 0xFF] + body
        let source = open { $0.schemas.all = idNeeded }
        let answer = try result(source, packed, lines: "Content-Encoding: deflate\r\n").answer
        #expect(answer == .accepted)
        #expect(try result(source, packed).answer == .rejected(.bodyNotJSON))
    }
    @Test func saysWhichSchemasThereAreAndNoneOfTheirText() throws {
        var (old, new) = (source("s"), source("s"))
        new.schemas.all = #"{"const":"geheim"}"#
        new.schemas.byType["a"] = "true"
        let changes = new.changes(from: old)
        #expect(changes.map(\.field) == ["schema"] && !"\(changes)".contains("geheim"))
        #expect(new.schemas.types == ["a", "*"])
        old = new
        new.schemas.all = #"{"const":"anders"}"#
        let other = try #require(new.changes(from: old).first)
        #expect(other.before != other.after)
    }

    // MARK: event types

    private func type(_ schemas: String?, enforces: Bool = true) -> EventTypeSettings {
        var settings = EventTypeSettings()
        settings.schemas = schemas
        settings.enforcesSchema = enforces
        return settings
    }
    @Test(arguments: [
        (#"{"1":{},"2":{}}"#, "2"), (#"{"10":{},"9":{}}"#, "10"), (#"{"1.10":{},"1.9":{}}"#, "1.10"),
        (#"{"v2":{},"1":{}}"#, "v2"), (#"{"draft":{},"1":{}}"#, "1"), (#"{"a":{},"b":{}}"#, "b"),
    ])
    func theNewestVersionIsTheGreatest(schemas: String, newest: String) {
        #expect(type(schemas).newestVersion == newest)
    }
    @Test func isEnforcedFromTheChangeOnAndByTheNewestSchema() throws {
        let bench = try RegistryBench()
        let schemas = EventTypeSchemas()
        func refusal(_ body: String) -> SchemaRefusal? {
            schemas.schema(of: "a", in: bench.service.state.eventTypes)?.refusal(of: Array(body.utf8))
        }
        try bench.edit(.createEventType(name: "a", type(#"{"1":false,"2":{"required":["id"]}}"#, enforces: false)))
        #expect(bench.service.state.eventTypes.enforcedCount == 0 && refusal("{}") == nil)
        let made = try #require(bench.service.state.eventTypes.named("a"))
        try bench.edit(.updateEventType(made.id) { $0.enforcesSchema = true })
        #expect(bench.service.state.eventTypes.enforcedCount == 1)
        #expect(refusal("{}")?.reason == .schemaViolation && refusal(#"{"id":1}"#) == nil)
        #expect(refusal("x") == .notJSON)
        try bench.edit(.updateEventType(made.id) { $0.schemas = #"{"3":true}"# })
        #expect(refusal("{}") == nil)
        try bench.edit(.deleteEventType(made.id))
        #expect(bench.service.state.eventTypes.enforcedCount == 0 && refusal("x") == nil)
    }
    @Test func whatCannotBeEnforcedIsNotSaved() throws {
        let bench = try RegistryBench()
        func issues(_ schemas: String?) -> [String] {
            bench.issues { try bench.edit(.createEventType(name: "a", self.type(schemas))) }.map { "\($0)" }
        }
        for (schemas, said) in [
            (nil, "needs a schema"), ("{}", "needs a schema"), (##"{"1":{"pattern":"(?=a)"}}"##, "#/pattern"),
            (##"{"1":{},"2":{"$ref":"#"}}"##, "version 2"),
        ] as [(String?, String)] {
            let found = issues(schemas)
            #expect(found.count == 1 && found[0].contains("enforce_schema") && found[0].contains(said), "\(found)")
        }
        // A version that is not enforced may be anything.
        #expect(issues(#"{"1":{"pattern":"(?=a)"},"2":{}}"#).isEmpty)
    }
}
