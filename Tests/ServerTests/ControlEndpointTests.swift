// Endpoints, tenants, sources, configuration and audit over the control API.
import Engine
import Foundation
import Server
import Synchronization
import Testing

@Suite struct ControlEndpointTests {
    @Test func pagesThroughEveryEndpointOnce() async throws {
        try await ControlServer.run { server in
            var names: [String] = []
            var target = "/api/v1/endpoints?limit=2"
            for _ in 0..<3 {
                let page = try await server.get(target)
                names += page.items().compactMap { item in
                    guard case .object(let members) = item, case .text(let name)? = members["name"] else { return nil }
                    return name
                }
                guard let next = page.text("next") else { break }
                target = "/api/v1/endpoints?limit=2&cursor=\(next)"
            }
            #expect(names == ["e1", "e2", "e3", "e4", "e5"])
        }
    }
    @Test func refusesACursorOfAnotherListingAndAForgedOne() async throws {
        try await ControlServer.run { server in
            let next = try #require(try await server.get("/api/v1/endpoints?limit=2").text("next"))
            for (target, cursor) in [
                ("deliveries", next), ("endpoints", next + "A"), ("endpoints", "AAAA"), ("endpoints", "%20"),
            ] {
                let answer = try await server.get("/api/v1/\(target)?cursor=\(cursor)")
                #expect(answer.status == 400 && answer.text("code") == "bad_cursor", "\(target) \(cursor)")
            }
        }
    }
    @Test func passesFiltersOn() async throws {
        try await ControlServer.run { server in
            _ = try await server.get("/api/v1/endpoints?tenant=acme&state=failing&name=b%2A")
            _ = try await server.get("/api/v1/sources?provider=github")
            #expect(server.gateway.calls == ["endpoints acme failing b*", "sources github"])
            #expect(try await server.get("/api/v1/tenants/default").text("id") == "app_1")
            #expect(try await server.get("/api/v1/tenants/x").text("code") == "no_such_tenant")
            #expect(try await server.get("/api/v1/sources/github").text("path") == "/in/github")
            #expect(try await server.get("/api/v1/sources/gitlab").text("code") == "no_such_source")
        }
    }

    // MARK: making

    @Test func makesOneEndpoint() async throws {
        try await ControlServer.run { server in
            let body = """
                {"name":"a","url":"http://h/","types":["x.*"],"timeouts":{"total":"1m"},"retry":{"delays":["5s","1h"]}}
                """
            let answer = try await server.change("POST", "/api/v1/endpoints", body)
            #expect(answer.status == 201 && answer.field("Location") == "/api/v1/endpoints/ep_1")
            #expect(answer.text("id") == "ep_1")
            let draft = try #require(server.gateway.asked.withLock { $0.drafts.first })
            #expect(draft.name == "a" && draft.types == ["x.*"] && draft.timeouts?.total == "1m")
            #expect(draft.retry?.delays == ["5s", "1h"] && draft.secrets == nil)
        }
    }
    @Test func makesAThousandAtOnceAndNoMore() async throws {
        try await ControlServer.run { server in
            func batch(_ count: Int) -> String {
                let drafts = (0..<count).map { "{\"name\":\"e\($0)\",\"url\":\"http://h/\"}" }
                return "{\"endpoints\":[\(drafts.joined(separator: ","))]}"
            }
            #expect(try await server.change("POST", "/api/v1/endpoints", batch(1000)).items().count == 1000)
            let tooMany = try await server.change("POST", "/api/v1/endpoints", batch(1001))
            #expect(tooMany.status == 422 && tooMany.text("detail")?.contains("at most 1000") == true)
            #expect(try await server.change("POST", "/api/v1/endpoints", batch(0)).status == 422)
            #expect(server.gateway.calls == ["create 1000"])
        }
    }
    @Test func saysEverythingThatIsWrongWithABodyAtOnce() async throws {
        try await ControlServer.run { server in
            let body = """
                {"endpoints":[{"name":"a","url":"http://h/"},
                 {"nam":"b","concurrency":0,"timeouts":{"total":"soon"},"types":"x","retry":{"delays":["1s",2]}}]}
                """
            let answer = try await server.change("POST", "/api/v1/endpoints", body)
            #expect(answer.status == 422 && answer.text("code") == "invalid")
            guard case .list(let errors)? = answer.member("errors") else { Issue.record("no errors"); return }
            let paths = errors.compactMap { error -> String? in
                guard case .object(let members) = error, case .text(let path)? = members["path"] else { return nil }
                return path
            }
            #expect(
                Set(paths) == [
                    "endpoints[1].nam", "endpoints[1].name", "endpoints[1].url", "endpoints[1].concurrency",
                    "endpoints[1].timeouts.total", "endpoints[1].types", "endpoints[1].retry.delays[1]",
                ])
            #expect(answer.body.contains("unknown key; did you mean `name`?"))
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func refusesBodiesThatAreNotJSONOrTooLarge() async throws {
        try await ControlServer.run { server in
            #expect(try await server.change("POST", "/api/v1/endpoints", "{").text("code") == "bad_json")
            #expect(try await server.change("POST", "/api/v1/endpoints", "").text("code") == "bad_json")
            #expect(try await server.change("POST", "/api/v1/endpoints", "[]").text("code") == "invalid")
            let large = String(repeating: "x", count: 70_000)
            let answer = try await server.change("PUT", "/api/v1/endpoints/e1", "{\"name\":\"\(large)\"}")
            #expect(answer.status == 413 && answer.text("code") == "too_large")
            #expect(answer.text("detail")?.contains("65536") == true)
            #expect(try await server.change("POST", "/api/v1/endpoints/e1/enable", "{}").text("code") == "bad_request")
        }
    }
    @Test func passesTheRegistrysRefusalsOnWithPathsOfTheBody() async throws {
        try await ControlServer.run { server in
            let refusal = ControlError.invalid([FieldProblem(path: "endpoints[0].url", reason: "is not a URL")])
            let body = "{\"name\":\"a\",\"url\":\"x\"}"
            server.gateway.refusal.withLock { $0 = refusal }
            let single = try await server.change("POST", "/api/v1/endpoints", body)
            #expect(single.status == 422 && single.body.contains("{\"path\":\"url\",\"reason\":\"is not a URL\"}"))
            server.gateway.refusal.withLock { $0 = refusal }
            let batch = try await server.change("POST", "/api/v1/endpoints", "{\"endpoints\":[\(body)]}")
            #expect(batch.body.contains("\"path\":\"endpoints[0].url\""))
            server.gateway.refusal.withLock { $0 = ControlError(.managedByManifest, "change it in the file") }
            let managed = try await server.change("DELETE", "/api/v1/endpoints/e1")
            #expect(managed.status == 409 && managed.text("code") == "managed_by_manifest")
        }
    }

    // MARK: changing

    @Test func replacesWithDefaultsForWhatIsAbsent() async throws {
        try await ControlServer.run { server in
            let body = "{\"name\":\"a\",\"url\":\"http://h/\"}"
            let answer = try await server.change("PUT", "/api/v1/endpoints/e1", body)
            #expect(answer.status == 200)
            #expect(server.gateway.calls == ["replace e1 -"])
            #expect(server.gateway.asked.withLock { $0.drafts.first?.secrets } == nil)
            let missing = try await server.change("PUT", "/api/v1/endpoints/e1", "{\"name\":\"a\"}")
            #expect(missing.status == 422 && missing.body.contains("{\"path\":\"url\",\"reason\":\"is required\"}"))
        }
    }
    @Test func patchChangesOnlyWhatItNames() async throws {
        try await ControlServer.run { server in
            let body = "{\"concurrency\":4,\"timeouts\":{\"head\":null,\"total\":\"9s\"}}"
            #expect(try await server.change("PATCH", "/api/v1/endpoints/e1", body).status == 200)
            let draft = try #require(server.gateway.asked.withLock { $0.drafts.first })
            #expect(draft.concurrency == 4 && draft.url == "http://127.0.0.1/" && draft.secrets == ["whsec_a2VwdA=="])
            #expect(draft.timeouts == TimeoutsResource(connect: "1s", total: "9s"))
            #expect(server.gateway.calls == ["draft e1", "replace e1 7"])
            let wrong = try await server.change("PATCH", "/api/v1/endpoints/e1", "{\"tenant\":\"other\"}")
            #expect(wrong.status == 422 && wrong.body.contains("\"path\":\"tenant\""))
            let required = try await server.change("PATCH", "/api/v1/endpoints/e1", "{\"url\":null}")
            #expect(required.status == 422 && required.body.contains("\"path\":\"url\""))
        }
    }
    @Test func removes() async throws {
        try await ControlServer.run { server in
            let answer = try await server.change("DELETE", "/api/v1/endpoints/e1")
            #expect(answer.status == 204 && answer.body.isEmpty)
            #expect(server.gateway.calls == ["remove e1"])
        }
    }

    // MARK: operating

    @Test func enablesDisablesPausesAndRetries() async throws {
        try await ControlServer.run { server in
            for (verb, body) in [
                ("enable", ""), ("disable", ""), ("pause", ""), ("pause", "{\"for\":\"1h\"}"), ("retry-now", ""),
            ] {
                let answer = try await server.change("POST", "/api/v1/endpoints/e2/\(verb)", body)
                #expect(answer.status == 200 && answer.text("id") == "ep_2", "\(verb)")
            }
            #expect(
                server.gateway.calls == [
                    "enable e2", "disable e2", "pause e2 -", "pause e2 3600000", "retry-now e2",
                ])
            for body in ["{\"for\":\"soon\"}", "{\"for\":1}", "{\"fro\":\"1h\"}", "{\"for\":\"10000d\"}"] {
                #expect(try await server.change("POST", "/api/v1/endpoints/e2/pause", body).status == 422, "\(body)")
            }
        }
    }

    // MARK: configuration, audit

    @Test func comparesAndAppliesAManifest() async throws {
        try await ControlServer.run { server in
            let dry = try await server.change("POST", "/api/v1/config?dry_run=true", "sources: []\n")
            #expect(dry.member("dry_run") == .bool(true) && dry.member("changed") == .integer(1))
            #expect(dry.body.contains("\"fields\":[\"url\"]"))
            _ = try await server.change("POST", "/api/v1/config", "{\"sources\":[]}")
            _ = try await server.change("POST", "/api/v1/reload?dry_run=true")
            #expect(server.gateway.calls == ["apply true", "apply false", "reload true"])
            #expect(server.gateway.asked.withLock { $0.manifests } == ["sources: []\n", "{\"sources\":[]}"])
            #expect(try await server.change("POST", "/api/v1/config").text("code") == "bad_request")
            #expect(try await server.get("/api/v1/config").body.contains("\"last_change\":{"))
            server.gateway.refusal.withLock { $0 = ControlError(.conflict, "changed meanwhile") }
            #expect(try await server.change("POST", "/api/v1/reload").text("code") == "conflict")
        }
    }
    @Test func listsTheAuditLogInPages() async throws {
        try await ControlServer.run { server in
            let first = try await server.get("/api/v1/audit?limit=1")
            #expect(first.body.contains("\"action\":\"paused\""))
            let next = try #require(first.text("next"))
            #expect(try await server.get("/api/v1/audit?cursor=\(next)").text("next") == nil)
            #expect(server.gateway.calls == ["audit -", "audit 9"])
        }
    }
}
