// Operational webhooks over a real socket: forms, refusals, what reaches the gateway; and the values by themselves.
import Engine
import Foundation
import Server
import Testing

@Suite struct OperationalTests {
    private static let base = "/api/v1/operational_webhooks"
    private static let one = base + "/" + FakeGateway.operationalID

    @Test func aBearerIsEnoughAndTheSecretIsShownOnce() async throws {
        try await ControlServer.run { server in
            let made = try await server.bearer("POST", Self.base + "/", #"{"url":"http://h/"}"#)
            #expect(made.status == 201 && made.text("secret") == "whsec_geheim" && made.text("url") == "http://h/")
            #expect(made.text("id") == FakeGateway.operationalID && made.member("description") == .null)
            #expect(made.member("event_types") == [] && made.member("headers") == [:] && made.member("enabled") == true)
            #expect(made.member("rate_limit") == .null && made.text("created_at") == "2027-01-15T08:00:00.000Z")
            for base in [Self.base, Self.base + "/"] {
                let list = try await server.bearer("GET", base)
                guard case .list(let items)? = list.json, case .object(let first)? = items.first else {
                    Issue.record("\(list.body)")
                    continue
                }
                #expect(items.count == 1 && first["secret"] == nil && first["url"] == "http://h/")
            }
            let body =
                #"{"url":"http://i/","description":"d","event_types":["endpoint.created","endpoint.created"],"#
                + #""headers":{"X-A":"1"},"rate_limit":1000,"enabled":false}"#
            let put = try await server.bearer("PUT", Self.one, body)
            #expect(put.status == 200 && put.member("rate_limit") == .integer(1000) && put.member("secret") == nil)
            let gone = try await server.bearer("DELETE", Self.one)
            #expect(gone.status == 204 && gone.body.isEmpty)
            #expect(
                server.gateway.calls == [
                    "create operational http://h/  [] [] 0 true", "operational endpoints", "operational endpoints",
                    #"replace operational http://i/ d ["endpoint.created"] ["X-A=1"] 1000 false"#,
                    "delete operational",
                ])
        }
    }
    @Test(arguments: [
        ("{}", 422), (#"{"url":5}"#, 422), (#"{"url":"http://h/","event_types":["user.created"]}"#, 422),
        (#"{"url":"http://h/","event_types":"endpoint.created"}"#, 422), (#"{"url":"http://h/","rate_limit":0}"#, 422),
        (#"{"url":"http://h/","rate_limit":1001}"#, 422), (#"{"url":"http://h/","rate_limit":1.5}"#, 422),
        (#"{"url":"http://h/","rate_limit":"1"}"#, 422), (#"{"url":"http://h/","enabled":"no"}"#, 422),
        (#"{"url":"http://h/","colour":"red"}"#, 422), (#"{"url":"http://h/","secret":"x"}"#, 422),
        (#"{"url":"http://h/","headers":{"Webhook-X":"1"}}"#, 422),
        (#"{"url":"http://h/","headers":{"HOST":"1"}}"#, 422),
        (#"{"url":"http://h/","headers":{"X-A":1}}"#, 422), (#"{"url":"http://h/","headers":["X-A"]}"#, 422),
        ("[]", 422), ("{", 400), ("", 400),
    ]) func whatIsWrongWithABodyIsRefusedAndReachesNobody(_ body: String, _ status: Int) async throws {
        try await ControlServer.run { server in
            for (method, path) in [("POST", Self.base), ("PUT", Self.one)] {
                let answer = try await server.bearer(method, path, body)
                #expect(answer.status == status && answer.failure != nil, "\(method) \(body): \(answer.body)")
            }
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func boundsHoldToTheLast() throws {
        func draft(_ change: (inout [String: JSONValue]) -> Void) throws -> OperationalDraft {
            var members: [String: JSONValue] = ["url": "http://h/"]
            change(&members)
            return try OperationalDraft(reading: Array(try JSONEncoder().encode(JSONValue.object(members))))
        }
        let url = "http://h/" + String(repeating: "a", count: OperationalDraft.urlBytesMax - 9)
        #expect(try draft { $0["url"] = .text(url) }.url == url)
        #expect(throws: ControlError.self) { try draft { $0["url"] = .text(url + "a") } }
        func headers(_ count: Int) -> JSONValue {
            .object(Dictionary(uniqueKeysWithValues: (0..<count).map { ("X-\($0)", JSONValue.text("v")) }))
        }
        #expect(try draft { $0["headers"] = headers(20) }.headers.count == 20)
        #expect(throws: ControlError.self) { try draft { $0["headers"] = headers(21) } }
        for rate in [1, 1000] { #expect(try draft { $0["rate_limit"] = .integer(Int64(rate)) }.rate == rate) }
        #expect(try draft { $0["rate_limit"] = .null; $0["description"] = .null } == OperationalDraft(url: "http://h/"))
        for name in ["host", "Content-Type", "WEBHOOK-ID", "user-agent", "webhook-anything", "Transfer-Encoding"] {
            #expect(OperationalDraft.isReserved(name), "\(name)")
        }
        #expect(!OperationalDraft.isReserved("X-Webhook-Id") && !OperationalDraft.isReserved("Authorization"))
    }
    @Test func everyErrorHasItsForm() async throws {
        try await ControlServer.run { server in
            let cases: [(String, String, String?, String, Int, String)] = [
                ("GET", Self.base, nil, "none", 401, "unauthorized"),
                ("GET", Self.base, nil, "operator@app_1", 403, "forbidden"),
                ("GET", Self.base + "/stats", nil, "viewer@app_1", 403, "forbidden"),
                ("GET", Self.base + "/nothing", nil, "admin@app_1", 404, "no_such_webhook"),
                ("PUT", Self.base + "/nothing", "{", "admin@app_1", 404, "no_such_webhook"),
                ("DELETE", Self.base + "/nothing", nil, "admin@app_1", 404, "no_such_webhook"),
                ("PATCH", Self.one, "{}", "admin@app_1", 405, "method_not_allowed"),
                ("GET", Self.base + "/stats?since=yesterday", nil, "admin@app_1", 422, "invalid"),
                (
                    "GET", Self.base + "/stats?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", nil,
                    "admin@app_1", 422, "invalid"
                ),
            ]
            for (method, path, body, token, status, code) in cases {
                let answer = try await server.bearer(method, path, body, token: token)
                #expect(answer.status == status && answer.failure == code, "\(method) \(path): \(answer.body)")
            }
            let typed = try await server.bearer("POST", Self.base, #"{"url":"http://h/"}"#, type: "text/plain")
            #expect(typed.status == 415 && typed.failure == "not_json")
        }
    }
    @Test func theTypesAreForEveryRoleThatReads() async throws {
        try await ControlServer.run { server in
            for role in ["admin", "operator", "viewer"] {
                let answer = try await server.bearer("GET", Self.base + "/event_types", token: "\(role)@app_1")
                guard answer.status == 200, case .list(let types)? = answer.json else {
                    Issue.record("\(role): \(answer.status)")
                    continue
                }
                let names = types.compactMap { type -> String? in
                    guard case .object(let members) = type, case .object(let example)? = members["example"],
                        case .text(let name)? = members["name"], example["type"] == .text(name),
                        Set(example.keys) == ["type", "timestamp", "data"], case .text? = members["description"]
                    else { return nil }
                    return name
                }
                #expect(names == OperationalEventType.usual.map(\.rawValue) && names.count == 7)
                let path = Self.base + "/event_types?conditions=true"
                let more = try await server.bearer("GET", path, token: "\(role)@app_1")
                guard case .list(let conditions)? = more.json else { Issue.record("\(more.body)"); continue }
                #expect(conditions.count == OperationalEventType.allCases.count - 7)
            }
        }
    }
    @Test func statsAddUpAndHaveADayByDefault() async throws {
        try await ControlServer.run { server in
            let answer = try await server.bearer("GET", Self.base + "/stats")
            guard case .object(let all)? = answer.json, case .list(let endpoints)? = all["endpoints"],
                case .object(let first)? = endpoints.first, case .object(let last)? = endpoints.last
            else {
                Issue.record("\(answer.body)")
                return
            }
            #expect(all["messages"] == ["total": 6, "succeeded": 3, "pending": 2, "exhausted": 1] as JSONValue)
            #expect(all["attempts"] == ["total": 9, "succeeded": 3, "failed": 6] as JSONValue)
            #expect(all["success_rate"] == .number(0.75) && first["success_rate"] == .number(0.75))
            #expect(first["endpoint_id"] == "a" && first["endpoint_kind"] == "ops-center")
            #expect(first["last_attempt_at"] == "2027-01-15T08:00:00.000Z")
            #expect(last["success_rate"] == .null && last["last_attempt_at"] == .null)
            let query = "?since=2026-01-01T00:00:00Z&until=2026-01-01T00:00:02.500Z"
            let period = try await server.bearer("GET", Self.base + "/stats" + query)
            #expect(period.text("since") == "2026-01-01T00:00:00.000Z")
            #expect(period.text("until") == "2026-01-01T00:00:02.500Z")
            #expect(server.gateway.calls == ["operational stats 86400000", "operational stats 2500"])
        }
    }
}
