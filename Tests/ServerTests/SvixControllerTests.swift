// The Svix-shaped API over a real socket: what holds for every call, and what each call asks of the gateway.
import Engine
import Foundation
import Server
import Synchronization
import Testing

@Suite struct SvixControllerTests {
    private func call(
        _ server: ControlServer, _ method: String, _ path: String, _ body: String? = nil, _ fields: [String] = []
    ) async throws -> RawAnswer {
        try await server.send(method, "/api/v1" + path, fields, body, host: "127.0.0.1")
    }

    // MARK: every call

    @Test func needsNoHeaderOfOursAndTakesAnyContentType() async throws {
        try await ControlServer.run { server in
            let made = try await call(
                server, "POST", "/app/", #"{"name":"a","else":1}"#, ["Content-Type: text/plain"])
            #expect(made.status == 201 && made.text("name") == "a" && made.member("uid") == .null)
            #expect(made.member("rateLimit") == nil && made.member("throttleRate") == .null)
            #expect(made.text("createdAt") == "1970-01-01T00:00:01.000Z")
            #expect(server.gateway.calls == ["create application a - false"])
        }
    }
    @Test func everyErrorHasItsForm() async throws {
        try await ControlServer.run { server in
            let stranger = ["Authorization: none"]
            let cases: [(String, String, String?, [String], Int, String)] = [
                ("GET", "/app", nil, stranger, 401, "authentication_failed"),
                ("GET", "/app", nil, ["Authorization: Bearer admin@app_1"], 403, "insufficient access"),
                ("GET", "/app/none", nil, [], 404, "not_found"),
                ("GET", "/app/none/nowhere/at/all", nil, [], 404, "not_found"),
                ("DELETE", "/app", nil, [], 405, "method_not_allowed"),
                ("GET", "/app?limit=abc", nil, [], 400, "generic_error"),
                ("POST", "/auth/logout", "", stranger, 501, "not_implemented"),
            ]
            for (method, path, body, fields, status, code) in cases {
                let answer = try await call(server, method, path, body, fields)
                #expect(answer.status == status && answer.text("code") == code, "\(method) \(path)")
                #expect(answer.text("detail")?.isEmpty == false)
                #expect(answer.field("Access-Control-Allow-Origin") == "*")
            }
            let invalid = try await call(server, "POST", "/app", #"{"name":""}"#)
            #expect(invalid.status == 422)
            #expect(invalid.body.contains(#""loc":["body","name"]"#) && invalid.body.contains(#""type":"value_error""#))
        }
    }
    @Test func tokenAndApplicationAreLookedAtBeforeTheBody() async throws {
        try await ControlServer.run { server in
            let stranger = try await call(server, "POST", "/app", "{", ["Authorization: none"])
            #expect(stranger.status == 401)
            #expect(try await call(server, "PATCH", "/app/none", "{").status == 404)
            #expect(try await call(server, "POST", "/app/none/endpoint", "{").status == 404)
            #expect(try await call(server, "POST", "/app/app_1/endpoint", "{").status == 422)
        }
    }
    @Test func aBodyIsBoundedByWhatItIsOf() async throws {
        try await ControlServer.run { server in
            let long = try await call(server, "POST", "/app", String(repeating: " ", count: (256 << 10) + 1))
            #expect(long.status == 413 && long.text("code") == "payload_too_large")
            let type = try await call(server, "POST", "/event-type", String(repeating: " ", count: (256 << 10) + 1))
            #expect(type.status == 422, "schemas may be longer")
            let longer = try await call(server, "POST", "/event-type", String(repeating: " ", count: (2 << 20) + 1))
            #expect(longer.status == 413)
        }
    }
    /// The bodies are announced and never sent: whoever waited for one would wait for ever.
    @Test(.timeLimit(.minutes(4)))
    func aBodyThatNoRouteLooksAtIsNotWaitedFor() async throws {
        try await ControlServer.run { server in
            let announced = ["Content-Length: 3000000"]
            let left = try await call(server, "POST", "/auth/logout", nil, announced + ["Authorization: none"])
            #expect(left.status == 501)
            #expect(try await call(server, "POST", "/auth/dashboard-access/u", nil, announced).status == 200)
            #expect(try await call(server, "DELETE", "/app/app_1", nil, announced).status == 204)
        }
    }
    @Test func aPreflightNeedsNoKeyAndSaysWhatWasAsked() async throws {
        try await ControlServer.run { server in
            let answer = try await call(
                server, "OPTIONS", "/app", nil,
                [
                    "Authorization: none", "Origin: https://a.example", "Access-Control-Request-Method: POST",
                    "Access-Control-Request-Headers: authorization,x-else",
                ])
            #expect(answer.status == 204 && answer.field("Access-Control-Allow-Origin") == "*")
            #expect(answer.field("Access-Control-Allow-Headers") == "authorization,x-else")
            #expect(answer.field("Access-Control-Max-Age") == "600")
            // No other room of the API answers one.
            let own = try await call(server, "OPTIONS", "/endpoints", nil, ["Origin: https://a.example"])
            #expect(own.status != 204 && own.field("Access-Control-Allow-Origin") == nil)
            let tenants = try await call(server, "GET", "/tenants")
            #expect(tenants.field("Access-Control-Allow-Origin") == nil)
        }
    }
    @Test func healthIsOpenAndFailsWithTheGateway() async throws {
        try await ControlServer.run { server in
            let open = ["Authorization: none"]
            #expect(try await call(server, "GET", "/health/ping", nil, open).status == 204)
            #expect(try await call(server, "HEAD", "/health/ping", nil, open).status == 204)
            #expect(try await call(server, "GET", "/health", nil, open).status == 200)
            server.gateway.problems.withLock { $0 = [ReadinessProblem(code: "log_full", message: "no space")] }
            let ill = try await call(server, "GET", "/health", nil, open)
            #expect(ill.status == 500 && ill.body.contains(#""queue":{"status":"error"}"#))
            #expect(ill.body.contains(#""database":{"status":"ok"}"#))
        }
    }
    @Test func aPostWithAKeyIsDoneOnce() async throws {
        try await ControlServer.run { server in
            let key = ["idempotency-key: k1"]
            let first = try await call(server, "POST", "/app", #"{"name":"one"}"#, key)
            let second = try await call(server, "POST", "/app", #"{"name":"two"}"#, key)
            #expect(first.status == 201 && second.status == 201 && second.body == first.body)
            #expect(server.gateway.calls.count == 1)
            // Another address, caller or key is another call.
            _ = try await call(server, "POST", "/app?get_if_exists=true", #"{"name":"two"}"#, key)
            _ = try await call(server, "POST", "/app", #"{"name":"two"}"#, ["idempotency-key: k2"])
            let type = #"{"name":"a","description":"b"}"#
            for caller in ["platform", "admin"] {
                _ = try await call(server, "POST", "/event-type", type, key + ["Authorization: Bearer \(caller)"])
            }
            #expect(server.gateway.calls.count == 5)
            _ = try await call(server, "PUT", "/app/x", #"{"name":"a"}"#, key)
            _ = try await call(server, "PUT", "/app/x", #"{"name":"b"}"#, key)
            #expect(server.gateway.calls.suffix(2) == ["replace application x a", "replace application x b"])
        }
    }

    // MARK: applications

    @Test func listsInEitherOrder() async throws {
        try await ControlServer.run { server in
            let page = try await call(server, "GET", "/app?order=descending&limit=7&unknown=1")
            #expect(page.status == 200 && page.member("done") == .bool(true) && page.text("iterator") == "app_1")
            #expect(page.text("prevIterator") == "-app_1")
            #expect(server.gateway.calls == ["applications 7 false false"])
            let far = try await call(server, "GET", "/app?limit=251")
            #expect(far.status == 422 && far.body.contains(#""loc":["query","limit"]"#))
        }
    }
    @Test func givesTokensForAnApplicationAlone() async throws {
        try await ControlServer.run { server in
            let body = #"{"featureFlags":["beta"],"readOnly":true,"expiry":3600}"#
            let made = try await call(server, "POST", "/auth/app-portal-access/u", body)
            #expect(made.status == 200 && made.text("token") == "sluice_token")
            #expect(made.text("url")?.hasPrefix("http") == true)
            #expect(try await call(server, "POST", "/auth/dashboard-access/u", "").status == 200)
            let draft = #"{"application":{"name":"n","uid":"u"}}"#
            #expect(try await call(server, "POST", "/auth/app-portal-access/u", draft).status == 200)
            #expect(
                server.gateway.calls == [
                    #"portal u ["beta"] 3600 true"#, "portal u [] 2419200 false", "create application n u true",
                    "portal u [] 2419200 false",
                ])
            for inner in [#"{"name":"n","uid":"other"}"#, #"{"name":"n"}"#] {
                let refused = try await call(server, "POST", "/auth/app-portal-access/u", #"{"application":\#(inner)}"#)
                #expect(refused.status == 422 && refused.body.contains(#"["body","application","uid"]"#))
            }
            #expect(try await call(server, "POST", "/auth/app-portal-access/u", "").status == 422)
        }
    }

    // MARK: endpoints

    @Test func secretsAndSensitiveFieldsAreShownWhereTheyBelong() async throws {
        try await ControlServer.run { server in
            let made = try await call(
                server, "POST", "/app/app_1/endpoint", #"{"url":"http://h/","headers":{"X-A":"1"}}"#)
            #expect(made.status == 201 && made.member("secret") == nil && made.member("channels") == .null)
            let viewer = ["Authorization: Bearer viewer"]
            #expect(try await call(server, "GET", "/app/app_1/endpoint/e/secret", nil, viewer).status == 403)
            #expect(try await call(server, "GET", "/app/app_1/endpoint/e/secret").text("key") == "whsec_geheim")
            let rotated = try await call(
                server, "POST", "/app/app_1/endpoint/e/secret/rotate", #"{"gracePeriodSeconds":0}"#)
            #expect(rotated.status == 200 && rotated.text("key") == "whsec_neu")
            let headers = try await call(server, "GET", "/app/app_1/endpoint/e/headers")
            #expect(headers.body == #"{"headers":{"X-Shown":"1"},"sensitive":["Authorization"]}"# + "\n")
            let set = #"{"headers":{"x-b":null,"x-a":"1"}}"#
            #expect(try await call(server, "PATCH", "/app/app_1/endpoint/e/headers", set).status == 204)
            #expect(try await call(server, "PUT", "/app/app_1/endpoint/e/headers", set).status == 422)
            #expect(try await call(server, "PUT", "/app/app_1/endpoint/e/headers", "{}").status == 422)
            #expect(
                server.gateway.calls == [
                    #"create endpoint app_1 http://h/ true ["X-A": "1"]"#, "rotate true 0",
                    "headers x-a=1,x-b=none true",
                ])
        }
    }
}
