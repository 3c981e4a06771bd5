// Ops-Center's webhooks over a real socket: forms, refusals, what reaches the gateway; and the values by themselves.
import Engine
import FastPath
import Foundation
import Server
import Testing

@Suite struct OpsCenterTests {
    private static let base = "/api/v1/webhooks"
    private static let one = base + "/" + FakeGateway.webhookID

    @Test func aBearerIsEnoughAndTheAnswersHaveTheirForm() async throws {
        try await ControlServer.run { server in
            let body = #"{"url":"http://h/","events":["user.created","*","user.created"],"description":"d"}"#
            let made = try await server.bearer("POST", Self.base, body)
            #expect(made.status == 200 && made.text("secret") == "geheim")
            #expect(made.member("success_count") == nil && made.member("last_triggered_at") == nil)
            #expect(made.text("created_at") == "2027-01-15T08:00:00.000Z")
            let list = try await server.bearer("GET", Self.base + "?enabled_only=true")
            guard case .list(let items)? = list.json, case .object(let first)? = items.first else {
                Issue.record("\(list.body)")
                return
            }
            #expect(first["secret"] == nil && first["success_count"] == .integer(3))
            #expect(first["last_triggered_at"] == .null && first["description"] == .null)
            let patched = try await server.bearer("PATCH", Self.one, #"{"description":null,"enabled":false}"#)
            #expect(patched.status == 200 && patched.text("webhook_id") == FakeGateway.webhookID)
            let gone = try await server.bearer("DELETE", Self.one)
            #expect(gone.status == 200 && gone.text("message") == "Webhook deleted" && gone.text("status") == "success")
            #expect(
                server.gateway.calls == [
                    "create webhook http://h/ [\"user.created\", \"*\"] d true", "webhooks true",
                    "patch webhook - - null false", "delete webhook",
                ])
        }
    }
    @Test(arguments: [
        (#"{"url":"http://h/"}"#, 422), (#"{"events":["*"]}"#, 422), (#"{"url":5,"events":["*"]}"#, 422),
        (#"{"url":null,"events":["*"]}"#, 422), (#"{"url":"http://h/","events":"*"}"#, 422),
        (#"{"url":"http://h/","events":[7]}"#, 422), (#"{"url":"http://h/","events":["*"],"secret":"x"}"#, 422),
        (#"{"url":"http://h/","events":["*"],"enabled":null}"#, 422),
        (#"{"url":"http://h/","events":["*"],"enabled":1}"#, 422),
        (#"{"url":"http://h/","url":"http://i/","events":["*"]}"#, 422), ("[]", 422), ("{", 400), ("", 400),
        ("{\"url\":\"http://h/\u{7F}", 400),
    ])
    func aDraftThatBreaksARuleMakesNothing(_ body: String, _ status: Int) async throws {
        try await ControlServer.run { server in
            let answer = try await server.bearer("POST", Self.base, body)
            #expect(answer.status == status && answer.failure != nil, "\(body): \(answer.status) \(answer.body)")
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func everyRefusalHasTheFormOfTheseRoutes() async throws {
        try await ControlServer.run { server in
            let long = "http://h/" + String(repeating: "x", count: 2048)
            let draft = "{\"url\":\"\(long)\",\"events\":[\"*\"]}"
            let cases: [(String, String, String?, String?, String, Int, String)] = [
                ("GET", Self.base, nil, nil, "nobody", 401, "unauthorized"),
                ("GET", Self.base, nil, nil, "viewer@app_1", 403, "forbidden"),
                ("POST", Self.base + "/events", "{}", "application/json", "viewer@app_1", 403, "forbidden"),
                ("GET", Self.base, nil, nil, "admin@app_1@portal", 403, "forbidden"),
                ("GET", Self.base + "/x", nil, nil, "admin@app_1", 404, "no_such_webhook"),
                ("PATCH", Self.base + "/x", "{", "application/json", "admin@app_1", 404, "no_such_webhook"),
                ("GET", Self.base + "/a/b/c", nil, nil, "admin@app_1", 404, "not_found"),
                ("PUT", Self.base, "{}", "application/json", "admin@app_1", 405, "method_not_allowed"),
                ("POST", Self.base, "{}", "text/plain", "admin@app_1", 415, "not_json"),
                ("POST", Self.base, draft, "application/json; charset=utf-8", "admin@app_1", 422, "invalid"),
                ("GET", Self.base + "?enabled_only=perhaps", nil, nil, "admin@app_1", 422, "invalid"),
                ("GET", Self.base + "?colour=red", nil, nil, "admin@app_1", 422, "invalid"),
                ("GET", Self.one + "/deliveries?limit=0", nil, nil, "admin@app_1", 422, "invalid"),
                ("GET", Self.one + "/deliveries?limit=501", nil, nil, "admin@app_1", 422, "invalid"),
                ("GET", Self.one + "/deliveries?status=done", nil, nil, "admin@app_1", 422, "invalid"),
                ("GET", Self.base + "/stats?webhook_id=x", nil, nil, "admin@app_1", 404, "no_such_webhook"),
            ]
            for (method, path, body, type, token, status, code) in cases {
                let answer = try await server.bearer(method, path, body, type: type, token: token)
                let said = "\(method) \(path): \(answer.status) \(answer.body)"
                #expect(answer.status == status && answer.failure == code, "\(said)")
            }
        }
    }
    @Test func theFixedSegmentsWin() async throws {
        try await ControlServer.run { server in
            let listed = try await server.bearer("GET", Self.base + "/events/available", token: "viewer@app_1")
            guard case .list(let events)? = listed.member("events") else {
                Issue.record("\(listed.body)")
                return
            }
            #expect(events.count == 31)
            let stats = try await server.bearer("GET", Self.base + "/stats")
            #expect(stats.status == 200 && stats.body.contains(#""avg_duration_ms":null"#))
            #expect(stats.body.contains(#""success_rate":null"#) && stats.body.contains(#""retry_rate":null"#))
        }
    }
    @Test func anEventIsPublishedAsItStands() async throws {
        try await ControlServer.run { server in
            let body = #"{"event":"user.created","data":{ "z": 1.50, "a": {"n": 12345678901234567890} }}"#
            let answer = try await server.bearer("POST", Self.base + "/events", body, token: "operator@app_1")
            #expect(answer.status == 202 && answer.member("matched") == .integer(2))
            #expect(server.gateway.calls == [#"publish user.created { "z": 1.50, "a": {"n": 12345678901234567890} }"#])
            for wrong in [
                #"{"event":"*","data":{}}"#, #"{"event":"test.webhook","data":{}}"#, #"{"event":"user.created"}"#,
                #"{"event":"user.created","data":[]}"#, #"{"event":"user.created","data":null}"#,
                #"{"event":"user.created","data":{},"more":1}"#, #"{"data":{}}"#,
                #"{"event":["user.created"],"data":{}}"#,
            ] {
                #expect(try await server.bearer("POST", Self.base + "/events", wrong).status == 422, "\(wrong)")
            }
            #expect(server.gateway.calls.count == 1)
        }
    }
    @Test func aTestHasItsDefaultsAndItsBounds() async throws {
        try await ControlServer.run { server in
            let path = Self.one + "/test"
            let answer = try await server.bearer("POST", path, "{}")
            #expect(answer.status == 200 && answer.text("message")?.contains("test.webhook") == true)
            _ = try await server.bearer("POST", path)
            _ = try await server.bearer("POST", path, #"{"event_type":"a_1.b","test_data":{"x": 1}}"#)
            #expect(server.gateway.calls == ["test test.webhook {}", "test test.webhook {}", #"test a_1.b {"x": 1}"#])
            for wrong in [
                #"{"event_type":"Bad Name!"}"#, #"{"event_type":""}"#, #"{"test_data":[1]}"#, #"{"event_type":null}"#,
                "{\"event_type\":\"\(String(repeating: "x", count: 101))\"}",
            ] {
                #expect(try await server.bearer("POST", path, wrong).status == 422, "\(wrong)")
            }
        }
    }
    @Test func aRowHasItsFieldsAndThePayloadAsItWasSent() async throws {
        try await ControlServer.run { server in
            let answer = try await server.bearer("GET", Self.one + "/deliveries?status=failed&before=d0")
            #expect(server.gateway.calls == ["webhook deliveries failed 50 d0"])
            #expect(answer.body.contains(#""payload":{ "z":1.50,"a":2 }"#))
            guard case .list(let rows)? = answer.json, case .object(let row)? = rows.first else {
                Issue.record("\(answer.body)")
                return
            }
            #expect(
                Set(row.keys) == [
                    "delivery_id", "event_id", "event_type", "payload", "attempt", "status", "status_code",
                    "error_message", "duration_ms", "created_at", "delivered_at", "next_attempt_at",
                ])
            #expect(row["next_attempt_at"] == .null && row["attempt"] == .integer(1))
        }
    }

    @Test func whatIsSentHasThreeMembersAndTheDataUntouched() throws {
        let order = OpsCenterEventOrder(event: "user.created", data: Array(#"{ "é": 1.0 }"#.utf8))
        let body = String(decoding: order.body(at: "2026-01-31T00:00:00.000Z"), as: UTF8.self)
        #expect(
            body == #"{"event":"user.created","timestamp":"2026-01-31T00:00:00.000Z","data":{ "é": 1.0 }}"#)
    }
    @Test func idsSayWhereTheirRowIsAndTakeNothingElse() throws {
        let rows = [
            OpsCenterID.Row(endpoint: EndpointID(1), sequence: 1, ordinal: 0),
            OpsCenterID.Row(endpoint: EndpointID(.max), sequence: .max, ordinal: .max),
            OpsCenterID.Row(endpoint: EndpointID(77), sequence: 1 << 40 | 5, ordinal: 3),
        ]
        for row in rows {
            let text = OpsCenterID.text(row)
            #expect(UUID(uuidString: text) != nil && OpsCenterID.row(text) == row, "\(text)")
            #expect(OpsCenterID.row(text.uppercased()) == row)
        }
        #expect(Set(rows.map { OpsCenterID.text($0) }).count == 3)
        for text in ["", "x", UUID().uuidString, "ffffffff-ffff-8fff-bfff-ffffffffffff"] {
            #expect(OpsCenterID.row(text) == nil, "\(text)")
        }
        let events = [EventID(logIdentity: 1, sequence: 2), EventID(logIdentity: .max, sequence: .max)]
        #expect(Set(events.map { OpsCenterID.text($0) }).count == 2)
        #expect(events.allSatisfy { UUID(uuidString: OpsCenterID.text($0)) != nil })
    }
    @Test func secretsAreLongAndDifferent() {
        let secrets = (0..<50).map { _ in OpsCenterSecret.make() }
        #expect(Set(secrets).count == 50 && secrets.allSatisfy { $0.utf8.count == 64 })
    }
}
