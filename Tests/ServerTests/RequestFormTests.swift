// What the published document says of bodies of requests and of answers, beside the fields; and which routes are at a
// path.
import Engine
import Foundation
import Logging
import Server
import Testing

@Suite struct RequestFormTests {
    private var document: JSONValue {
        let logger = Logger(label: "t") { _ in LogLines(write: { _ in }) }
        return ControlAPI(services: ControlServices(FakeGateway()), logger: logger).document
    }
    private func member(_ value: JSONValue?, _ path: String...) -> JSONValue? {
        path.reduce(value) { value, name in
            guard case .object(let members)? = value else { return nil }
            return members[name]
        }
    }
    private func schema(_ name: String, _ path: String...) -> JSONValue? {
        path.reduce(member(document, "components", "schemas", name)) { member($0, $1) }
    }
    private func statuses(_ path: String, _ method: String) -> Set<String> {
        guard case .object(let answers)? = member(document, "paths", path, method, "responses") else { return [] }
        return Set(answers.keys)
    }

    @Test func bodiesTakeNullForWhatMayBeAbsentAndNoUnknownKey() {
        for name in ["EndpointDraft", "Timeouts", "Retry", "KeyOrder", "TenantDraft", "TenantPatch", "PublishOrder"] {
            #expect(schema(name, "additionalProperties") == false, "\(name)")
        }
        #expect(schema("TenantDraft", "properties", "uid", "anyOf") == [["type": "string"], ["type": "null"]])
        #expect(schema("TenantDraft", "properties", "name", "anyOf") == nil)
        #expect(schema("Timeouts", "properties", "total", "anyOf") != nil)
    }
    @Test func theSvixShapedAPILeavesAloneWhatItDoesNotKnow() {
        #expect(schema("ApplicationIn", "properties", "name") != nil)
        #expect(schema("ApplicationIn", "additionalProperties") == nil)
        // Its schemas say by themselves where null is taken.
        #expect(schema("EventTypeIn", "properties", "archived", "anyOf") == nil)
    }
    @Test func webhooksTakeNullOnlyWhereTheySaySo() {
        #expect(schema("WebhookDraft", "additionalProperties") == false)
        #expect(schema("WebhookDraft", "properties", "enabled", "anyOf") == nil)
        #expect(schema("Webhook", "additionalProperties") == nil)
    }
    @Test func everyAnswerOfACallIsInTheDocument() {
        #expect(statuses("/api/v1/tenants/{id}", "put").isSuperset(of: ["200", "201"]))
        // A body that none is asked for, or a parameter.
        #expect(statuses("/api/v1/tenants/{id}/rotate-secret", "post").isSuperset(of: ["200", "400", "413"]))
    }
    @Test func whatIsSpelledOutIsNotWhatAParameterStandsFor() async throws {
        try await ControlServer.run { server in
            let answer = try await server.change("DELETE", "/api/v1/rejected/reverify")
            #expect(answer.status == 405 && answer.field("Allow") == "POST", "\(answer.head)")
            let other = try await server.change("DELETE", "/api/v1/rejected/rej_1")
            #expect(other.status == 405 && other.field("Allow") == "GET", "\(other.head)")
        }
    }
}
