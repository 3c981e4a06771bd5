// The control API over a real socket: what holds for every route, and the routes of before `/api/v1`.
import Engine
import Foundation
import Server
import Synchronization
import Testing

@Suite struct ControlAPITests {
    // MARK: every route

    @Test func answersHealthReadinessAndMetrics() async throws {
        try await ControlServer.run { server in
            #expect(try await server.get("/health").text("status") == "alive")
            #expect(try await server.get("/ready").status == 200)
            server.gateway.problems.withLock { $0 = [ReadinessProblem(code: "log_full", message: "no space")] }
            let notReady = try await server.get("/ready")
            #expect(notReady.status == 503 && notReady.body.contains("\"code\":\"log_full\""))
            let metrics = try await server.get("/metrics")
            #expect(metrics.field("Content-Type") == PrometheusText.contentType)
            #expect(metrics.body.contains("\nsluice_ready 1\n"))
            let status = try await server.get("/api/v1/status")
            #expect(status.member("ready") == .bool(false) && status.member("uptime_seconds") == .integer(5))
        }
    }
    @Test func answersHEADAsGET() async throws {
        try await ControlServer.run { server in
            let answer = try await server.send("HEAD", "/ready", [], nil, host: "127.0.0.1")
            #expect(answer.status == 200 && answer.body.isEmpty)
        }
    }
    @Test func refusesWhatChangesSomethingWithoutTheHeader() async throws {
        try await ControlServer.run { server in
            for target in ["/api/replay", "/api/reload", "/api/v1/reload", "/api/v1/endpoints/e1/enable"] {
                let answer = try await server.send("POST", target, [], "{}", host: "127.0.0.1")
                #expect(answer.status == 403 && answer.body.contains("missing_header"), "\(target)")
            }
            let removal = try await server.send("DELETE", "/api/v1/endpoints/e1", [], nil, host: "127.0.0.1")
            #expect(removal.status == 403)
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func refusesAForeignHostOnLoopback() async throws {
        try await ControlServer.run { server in
            let foreign = try await server.get("/api/v1/status", host: "evil.example:8081")
            #expect(foreign.status == 421 && foreign.text("code") == "wrong_host")
            #expect(try await server.get("/ready", host: "localhost:1").status == 200)
            #expect(try await server.get("/ready", host: "[::1]:1").status == 200)
        }
    }
    @Test func takesASaneRequestIDAndMakesOneElse() async throws {
        try await ControlServer.run { server in
            let own = try await server.get("/api/v1/tenants", ["X-Request-Id: abc-1.2_3"])
            #expect(own.field("X-Request-Id") == "abc-1.2_3")
            #expect(server.gateway.asked.withLock { $0.callers.last?.requestID } == "abc-1.2_3")
            let forged = try await server.get("/api/v1/tenants", ["X-Request-Id: a b=\"c\""])
            let made = try #require(forged.field("X-Request-Id"))
            let other = try await server.get("/health").field("X-Request-Id")
            #expect(made.hasPrefix("req_") && made != other)
            let refused = try await server.get("/api/v1/nothing", ["X-Request-Id: mine"])
            #expect(refused.text("request") == "mine" && refused.field("X-Request-Id") == "mine")
        }
    }
    @Test func logsEachChangeWithItsRequestID() async throws {
        try await ControlServer.run { server in
            _ = try await server.send(
                "POST", "/api/v1/endpoints/e1/enable", ["X-Sluice-Request: 1", "X-Request-Id: r1"], "",
                host: "127.0.0.1")
            let lines = server.log.lines.withLock { $0 }
            #expect(lines.contains { $0.contains("request=r1") && $0.contains("status=200") }, "\(lines)")
        }
    }
    @Test func saysWhatIsWrongAsAProblem() async throws {
        try await ControlServer.run { server in
            let answer = try await server.get("/api/v1/endpoints/e7")
            #expect(answer.status == 404 && answer.field("Content-Type") == "application/problem+json")
            #expect(answer.text("type") == "urn:sluice:problem:no_such_endpoint")
            #expect(answer.text("code") == "no_such_endpoint" && answer.member("status") == .integer(404))
            #expect(answer.text("title") == "No such endpoint")
            #expect(answer.text("detail")?.contains("did you mean `e") == true)
        }
    }
    @Test func tellsAWrongMethodFromAWrongPath() async throws {
        try await ControlServer.run { server in
            #expect(try await server.get("/nowhere").text("code") == "not_found")
            let wrong = try await server.change("PUT", "/api/v1/endpoints")
            #expect(wrong.status == 405 && wrong.text("code") == "method_not_allowed")
            #expect(wrong.field("Allow") == "GET, POST")
        }
    }
    @Test func namesUnknownParametersWithASuggestion() async throws {
        try await ControlServer.run { server in
            let unknown = try await server.get("/api/v1/endpoints?stat=failing")
            #expect(unknown.status == 400 && unknown.text("code") == "unknown_parameter")
            #expect(unknown.text("detail")?.contains("did you mean `state`?") == true)
            let word = try await server.get("/api/v1/endpoints?state=failed")
            #expect(word.text("code") == "bad_parameter" && word.text("detail")?.contains("failing") == true)
            for query in ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2"] {
                #expect(try await server.get("/api/v1/endpoints?\(query)").text("code") == "bad_parameter", "\(query)")
            }
            #expect(try await server.get("/api/v1/deliveries?from=yesterday").text("code") == "bad_parameter")
            let backwards = "from=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z"
            #expect(try await server.get("/api/v1/deliveries?\(backwards)").text("code") == "bad_parameter")
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func aFaultIsA500WithoutItsText() async throws {
        try await ControlServer.run { server in
            server.gateway.refusal.withLock { $0 = CancellationError() }
            let answer = try await server.get("/api/v1/endpoints")
            #expect(answer.status == 500 && answer.text("code") == "internal")
            #expect(!answer.body.contains("Cancellation"))
            #expect(server.log.lines.withLock { $0.contains { $0.contains("Cancellation") } })
        }
    }
    @Test func saysWhenToComeBackAfterA503() async throws {
        try await ControlServer.run { server in
            server.gateway.refusal.withLock { $0 = ControlError(.busy, "too much") }
            let answer = try await server.get("/api/v1/deliveries")
            #expect(answer.status == 503 && answer.field("Retry-After") == "1")
        }
    }

    // MARK: routes of before

    @Test func deprecatedListingsAnswerAsBefore() async throws {
        try await ControlServer.run { server in
            let page = try await server.get("/api/events?source=a&type=b.%2A&limit=5")
            #expect(page.text("next") == "a|b.*|5")
            let unknown = try await server.get("/api/events?sourc=a")
            #expect(unknown.status == 400 && unknown.body.contains("{\"error\":{\"code\":\"unknown_parameter\""))
            #expect(try await server.get("/api/events?limit=0").status == 400)
            let dead = try await server.get("/api/deliveries?state=dead&limit=150")
            #expect(dead.body.contains("\"endpoint\":\"e1\"") && dead.body.contains("\"reason\":\"connect_failed\""))
            guard case .list(let items)? = dead.member("deliveries") else { Issue.record("no list"); return }
            #expect(items.count == 150)
            #expect(try await server.get("/api/deliveries?state=gone").status == 400)
            #expect(try await server.get("/api/events/evt_none").status == 404)
            let event = try await server.get("/api/events/evt_1?reveal=true")
            #expect(event.body.contains("\"bodyBytes\":2") && event.body.contains("\"deliveries\":[{"))
            let endpoints = try await server.get("/api/endpoints")
            guard case .list(let all)? = endpoints.member("endpoints") else { Issue.record("no list"); return }
            #expect(all.count == 5 && endpoints.body.contains("\"state\":\"active\""))
        }
    }
    @Test func deprecatedReplayTakesOnlyWhatWasSpelledRight() async throws {
        try await ControlServer.run { server in
            let misspelled = try await server.change("POST", "/api/replay", "{\"endpont\":\"a\"}")
            #expect(misspelled.status == 400 && misspelled.body.contains("did you mean `endpoint`?"))
            #expect(try await server.change("POST", "/api/replay", "{\"endpoint\":1}").status == 400)
            #expect(try await server.change("POST", "/api/replay", "{\"from\":\"now\"}").status == 400)
            #expect(try await server.change("POST", "/api/replay", "[]").status == 400)
            #expect(server.gateway.calls.isEmpty)
            let counted = try await server.change("POST", "/api/replay", "{\"endpoint\":\"a\",\"dead\":true}")
            #expect(counted.body == "{\"count\":3,\"dryRun\":true}\n")
            let done = try await server.change("POST", "/api/replay", "{\"dryRun\":false}")
            #expect(done.body == "{\"count\":3,\"dryRun\":false}\n")
            let one = try await server.change("POST", "/api/replay", "{\"event\":\"evt_1\",\"endpoint\":\"a\"}")
            #expect(one.status == 200)
            let scopes = server.gateway.asked.withLock { $0.orders.map(\.scopes) }
            #expect(scopes == [[.dead], [.dead, .delivered], [.dead, .delivered, .missing]])
        }
    }
    @Test func aBadReloadIsToldLineByLine() async throws {
        try await ControlServer.run { server in
            let error = ConfigurationError(
                file: "s.yaml",
                problems: [
                    ConfigurationProblem(line: 3, message: "wrong"), ConfigurationProblem(line: 5, message: "bad"),
                ])
            server.gateway.refusal.withLock { $0 = error }
            let before = try await server.change("POST", "/api/reload")
            #expect(before.status == 422 && before.body.contains("\"s.yaml:3: wrong\",\"s.yaml:5: bad\""))
            #expect(try await server.change("POST", "/api/reload", "{}").body.contains("\"status\":\"reloaded\""))
            server.gateway.refusal.withLock { $0 = error }
            let now = try await server.change("POST", "/api/v1/reload")
            #expect(now.status == 422 && now.text("code") == "bad_configuration")
            #expect(now.body.contains("{\"path\":\"s.yaml:3\",\"reason\":\"wrong\"}"))
        }
    }
}
