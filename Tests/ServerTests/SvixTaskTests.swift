// Examples, prechecks and background tasks of the Svix-shaped API over a real socket.
import Engine
import Foundation
import Server
import Synchronization
import Testing

@Suite struct SvixTaskTests {
    private func call(
        _ server: ControlServer, _ method: String, _ path: String, _ body: String? = nil, _ fields: [String] = []
    ) async throws -> RawAnswer {
        try await server.send(method, "/api/v1" + path, fields, body, host: "127.0.0.1")
    }
    private static let endpoint = "/app/app_1/endpoint/ep_1"

    // MARK: replays

    @Test func whatWasMissedIsWhatTheEndpointTakesNow() {
        var settings = EndpointConfiguration()
        (settings.sources, settings.types, settings.channels) = (["github"], ["a.*"], ["eu"])
        let target = EndpointSpec(
            id: EndpointID(1), publicID: PublicID.make(.endpoint), tenant: .main, origin: .api, revision: 1,
            createdMillis: 0, settings: settings)
        let filter = SvixReplayOrder(.missing, 5..<7).filter(of: target)
        #expect(filter.sources == ["github"] && filter.types == ["a.*"] && filter.channels == ["eu"])
        #expect(filter.includesMissed && filter.isOfMessages && filter.received == 5..<7)
        #expect(SvixReplayOrder(.recover, 5..<7).filter(of: target).sources.isEmpty)
    }

    // MARK: examples

    private func type(_ schemas: JSONValue?) -> SvixEventType {
        var type = SvixEventType(name: "a.b")
        type.schemas = schemas
        return type
    }
    @Test func theExampleIsThatOfTheSchema() throws {
        let schema: JSONValue = ["examples": [["n": 1], ["n": 2], "text"]]
        #expect(try SvixExample.payload(of: type(["1": schema]), index: 0) == ["n": 1])
        #expect(try SvixExample.payload(of: type(["2": ["examples": [["n": 3]]], "1": schema]), index: 1) == ["n": 2])
        #expect(try SvixExample.payload(of: type(["v2": ["examples": [["n": 3]]]]), index: 0) == ["n": 3])
        let without: [JSONValue?] = [
            nil, [:], ["1": true], ["1": [:]], ["1": ["examples": []]], ["1": ["examples": ["n": 1]]],
        ]
        for (schemas, index) in without.map({ ($0, 0) }) + [(["1": schema], 2), (["1": schema], 3)] {
            do {
                _ = try SvixExample.payload(of: type(schemas), index: index)
                Issue.record("\(String(describing: schemas)) \(index)")
            } catch let error as SvixError { #expect(error.status == 400 && error.code == "invalid_scheme") }
        }
    }
    @Test func anExampleIsSentToOneEndpoint() async throws {
        try await ControlServer.run { server in
            let path = SvixTaskTests.endpoint + "/send-example"
            let sent = try await call(server, "POST", path, #"{"eventType":"svix.ping"}"#)
            #expect(sent.status == 200 && sent.text("id") == "msg_1" && sent.member("payload") == .object([:]))
            #expect(server.gateway.calls == ["message app_1 svix.ping to ep_1"])
            #expect(server.gateway.asked.withLock { $0.messages.last?.body } == Array(#"{"success":true}"#.utf8))
            let key = ["idempotency-key: one"]
            let first = try await call(server, "POST", path, #"{"eventType":"svix.ping"}"#, key)
            let second = try await call(server, "POST", path, #"{"eventType":"svix.ping"}"#, key)
            #expect(second.body == first.body && server.gateway.calls.count == 2)
            #expect(try await call(server, "POST", path, #"{"eventType":"none"}"#).status == 404)
            #expect(try await call(server, "POST", path, #"{"eventType":"a b"}"#).status == 422)
            #expect(try await call(server, "POST", path, "{}").status == 422)
            #expect(try await call(server, "POST", "/app/app_1/endpoint/none/send-example", "{}").status == 404)
            let own = ["Authorization: Bearer admin@app_1"]
            #expect(try await call(server, "POST", path, #"{"eventType":"svix.ping"}"#, own).status == 403)
        }
    }

    // MARK: prechecks

    @Test func aPrecheckPublishesNothing() async throws {
        try await ControlServer.run { server in
            let path = "/app/app_1/msg/precheck/active"
            let wanted = try await call(server, "POST", path, #"{"eventType":"a.b","channels":["eu","eu"]}"#)
            #expect(wanted.status == 200 && wanted.member("active") == .bool(true))
            let unwanted = try await call(server, "POST", path, #"{"eventType":"a.b"}"#)
            #expect(unwanted.member("active") == .bool(false))
            #expect(server.gateway.calls == ["is wanted a.b [\"eu\"]", "is wanted a.b []"])
            for bad in ["{}", #"{"eventType":"a b"}"#, #"{"eventType":"a","channels":[]}"#, "["] {
                #expect(try await call(server, "POST", path, bad).status == 422, "\(bad)")
            }
            #expect(try await call(server, "POST", "/app/none/msg/precheck/active", "{}").status == 404)
            for (role, status) in [("publisher", 200), ("viewer", 403)] {
                let field = ["Authorization: Bearer \(role)@app_1"]
                #expect(try await call(server, "POST", path, #"{"eventType":"a.b"}"#, field).status == status)
            }
        }
    }

    // MARK: tasks

    private func since(days: Double) -> String {
        ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: -days * 86_400))
    }
    @Test func whatIsBegunIsATask() async throws {
        try await ControlServer.run { server in
            let body = "{\"since\":\"\(since(days: 1))\"}"
            let names = [
                "recover": "endpoint.recover", "replay-missing": "endpoint.replay",
                "bulk-replay": "endpoint.bulk-replay",
            ]
            for (name, task) in names.sorted(by: { $0.key < $1.key }) {
                let begun = try await call(server, "POST", "\(SvixTaskTests.endpoint)/\(name)", body)
                #expect(begun.status == 202 && begun.text("task") == task && begun.text("status") == "running")
                #expect(begun.text("id")?.hasPrefix("qtask_") == true && begun.text("updatedAt") != nil)
                let id = begun.text("id") ?? ""
                var found = try await call(server, "GET", "/background-task/\(id)")
                for _ in 0..<1000 where found.text("status") == "running" {
                    try await Task.sleep(for: .milliseconds(2))
                    found = try await call(server, "GET", "/background-task/\(id)")
                }
                #expect(found.text("status") == "finished" && found.body.contains(#""data":{"messagesSent":7}"#))
                let key = ["idempotency-key: \(name)"]
                let first = try await call(server, "POST", "\(SvixTaskTests.endpoint)/\(name)", body, key)
                let second = try await call(server, "POST", "\(SvixTaskTests.endpoint)/\(name)", body, key)
                #expect(first.text("id") == second.text("id") && first.text("id") != id)
            }
            let all = try await call(server, "GET", "/background-task")
            guard case .list(let items)? = all.member("data") else { Issue.record("\(all.body)"); return }
            #expect(items.count == 6 && all.member("done") == .bool(true))
            let recovered = try await call(server, "GET", "/background-task?task=endpoint.recover&limit=1")
            #expect(recovered.member("done") == .bool(false))
            #expect(try await call(server, "GET", "/background-task?status=waiting").status == 400)
            #expect(try await call(server, "GET", "/background-task?iterator=x").status == 422)
            // Of another application there are none.
            let others = try await call(server, "GET", "/background-task", nil, ["Authorization: Bearer viewer@app_2"])
            #expect(others.member("data") == .list([]))
        }
    }
    @Test func ordersAreReadWhole() async throws {
        try await ControlServer.run { server in
            let long = "{\"since\":\"\(since(days: 15))\"}"
            #expect(try await call(server, "POST", SvixTaskTests.endpoint + "/recover", long).status == 422)
            #expect(try await call(server, "POST", SvixTaskTests.endpoint + "/replay-missing", long).status == 202)
            let path = SvixTaskTests.endpoint + "/bulk-replay"
            let order = """
                {"since":"2026-01-01T00:00:00Z","until":"2026-01-02T00:00:00Z","eventTypes":["a.b","c"],\
                "channel":"eu","tag":"t","status":2,"statusCodeClass":500}
                """
            #expect(try await call(server, "POST", path, order).status == 202)
            let taken = try #require(server.gateway.asked.withLock { $0.replayOrders.last })
            #expect(taken.eventTypes == ["a.b", "c"] && taken.channel == "eu" && taken.tag == "t")
            #expect(taken.status == 2 && taken.statusClass == 500 && taken.kind == .bulk)
            #expect(taken.times == 1_767_225_600_000_000_000..<1_767_312_000_000_000_000)
            let since = "\"since\":\"2026-01-01T00:00:00Z\""
            let wrong = [
                "{}", "{\"since\":\"x\"}", "{\(since),\"status\":5}", "{\(since),\"statusCodeClass\":150}",
                "{\(since),\"channel\":\"a b\"}", "{\(since),\"tag\":1}", "{\(since),\"eventTypes\":[]}",
                "{\(since),\"until\":7}",
            ]
            for body in wrong { #expect(try await call(server, "POST", path, body).status == 422, "\(body)") }
            for name in ["recover", "replay-missing", "bulk-replay"] {
                #expect(try await call(server, "POST", "/app/app_1/endpoint/none/\(name)", "{}").status == 404)
            }
        }
    }
    @Test func usageIsCountedByTasks() async throws {
        try await ControlServer.run { server in
            let order = #"{"since":"2026-01-01T00:00:00Z","until":"2026-01-02T00:00:00Z","appIds":["app_1","none"]}"#
            let usage = try await call(server, "POST", "/stats/usage/app", order)
            #expect(usage.status == 202 && usage.text("task") == "application.stats")
            #expect(usage.member("unresolvedAppIds") == ["none"])
            let types = try await call(server, "PUT", "/stats/usage/event-types")
            #expect(types.status == 202 && types.text("task") == "event-type.aggregate")
            #expect(
                server.gateway.calls == [
                    "usage 1767225600000..<1767312000000 [\"app_1\", \"none\"]", "subscribed types",
                ])
            let since = #""since":"2026-01-02T00:00:00Z""#
            for body in ["{}", "{\(since)}", "{\(since),\"until\":\"2026-01-01T00:00:00Z\"}"] {
                #expect(try await call(server, "POST", "/stats/usage/app", body).status == 422, "\(body)")
            }
            // They are of all tenants, and so are their tasks.
            let own = ["Authorization: Bearer admin@app_1"]
            #expect(try await call(server, "POST", "/stats/usage/app", order, own).status == 403)
            let id = types.text("id") ?? ""
            #expect(try await call(server, "GET", "/background-task/\(id)", nil, own).status == 404)
        }
    }
    @Test func operationalWebhooksAreEndpointsToo() async throws {
        try await ControlServer.run { server in
            let list = "/operational-webhook/endpoint"
            let made = try await call(server, "POST", list, #"{"url":"http://h/","eventTypes":["endpoint.created"]}"#)
            #expect(made.status == 201 && made.text("id") == "ep_1")
            #expect(try await call(server, "GET", list + "/ep_1").text("id") == "ep_1")
            #expect(try await call(server, "GET", list + "/ep_1/secret").text("key") == "whsec_geheim")
            #expect(try await call(server, "POST", list + "/ep_1/secret/rotate", "{}").status == 200)
            #expect(try await call(server, "PUT", list + "/ep_1/headers", #"{"headers":{"x-a":"b"}}"#).status == 204)
            #expect(try await call(server, "GET", list + "/ep_1/headers").member("sensitive") == ["Authorization"])
            #expect(try await call(server, "PATCH", list + "/ep_1", "{}").status == 405)
            #expect(
                server.gateway.calls == [
                    "create endpoint  http://h/ true [:]", "rotate true 86400", "headers x-a=b false",
                ])
            for (caller, status) in [("admin@app_1", 200), ("operator@app_1", 403), ("admin@app_1@portal", 403)] {
                let field = ["Authorization: Bearer \(caller)"]
                #expect(try await call(server, "GET", list + "/ep_1", nil, field).status == status, "\(caller)")
            }
        }
    }
    @Test func tokensOfAnApplicationEndAtOnce() async throws {
        try await ControlServer.run { server in
            let path = "/auth/app/app_1/expire-all"
            for body in ["", "{}", #"{"expiry":0,"sessionIds":null}"#] {
                #expect(try await call(server, "POST", path, body).status == 204, "\(body)")
            }
            #expect(server.gateway.calls == Array(repeating: "end tokens of app_1", count: 3))
            for body in [#"{"expiry":60}"#, #"{"sessionIds":["a"]}"#, #"{"expiry":"x"}"#, "["] {
                #expect(try await call(server, "POST", path, body).status == 422, "\(body)")
            }
            let unknown = try await call(server, "POST", "/auth/app/none/expire-all", "{}")
            #expect(unknown.status == 404)
            let admin = try await call(server, "POST", path, "{}", ["Authorization: Bearer admin"])
            #expect(admin.status == 403)
        }
    }
    @Test func expungingAllIsATaskToo() async throws {
        try await ControlServer.run { server in
            let path = "/app/app_1/msg/expunge-all-contents"
            let begun = try await call(server, "POST", path)
            #expect(begun.status == 202 && begun.text("task") == "application.purge_content")
            #expect(server.gateway.calls == ["expunge all of app_1"])
            let own = ["Authorization: Bearer admin@app_1"]
            #expect(try await call(server, "POST", path, nil, own).status == 403)
        }
    }
}
