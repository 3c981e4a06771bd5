// Who is let in: every route with every role, with no key and with keys that are none; a tenant's keys and the tenant
// that a key of all may name. The routes are the table's own, so a new one is tried without a change here.
import Engine
import Foundation
import Server
import Synchronization
import Testing

@Suite struct AccessTests {
    private static func bearer(_ token: String) -> [String] {
        ["Authorization: Bearer \(token)", "X-Sluice-Request: 1"]
    }

    /// What else a call of a path has to say before it is asked who calls.
    private static func more(_ path: String) -> [String] { path.hasPrefix("/v1/") ? FakeGateway.envelope() : [] }

    /// Path parameters that the fake knows.
    private func target(_ route: String) -> (method: String, path: String) {
        let parts = route.split(separator: " ").map(String.init)
        let path = parts[1].replacing("{id}", with: "e1").replacing("{event}", with: "evt_1")
            .replacing("{endpoint}", with: "e1").replacing(/\{\w+\}/, with: "x")
        return (parts[0], path)
    }
    private func code(_ answer: RawAnswer) -> String? {
        if let code = answer.text("code") { return code }
        guard case .object(let error)? = answer.member("error"), case .text(let code)? = error["code"] else {
            return nil
        }
        return code
    }
    /// Method, path and what is asked, from the document that is served.
    private func routes(_ server: ControlServer) async throws -> [(route: String, operation: String)] {
        let document = try await server.get("/api/v1/openapi.json")
        guard case .object(let paths)? = document.member("paths") else { return [] }
        var routes: [(String, String)] = []
        for (path, methods) in paths {
            guard case .object(let methods) = methods else { continue }
            for (method, operation) in methods {
                guard case .object(let members) = operation, case .text(let id)? = members["operationId"] else {
                    continue
                }
                routes.append(("\(method.uppercased()) \(path)", id))
            }
        }
        return routes
    }

    @Test func everyOperationHasARowAndEveryRowAnOperation() async throws {
        try await ControlServer.run { server in
            let operations = try await routes(server).map(\.operation)
            #expect(operations.count > 40 && Set(operations) == Set(AccessTable.rows.keys))
        }
    }
    @Test func everyRouteAsksEveryRole() async throws {
        try await ControlServer.run { server in
            for (route, operation) in try await routes(server) {
                let (method, path) = target(route)
                let access = AccessTable.access(to: operation)
                let body = method == "GET" ? nil : ""
                for role in KeyRole.allCases {
                    for tenant in [nil, "app_1"] where role != .platform || tenant == nil {
                        let token = tenant.map { "\(role.name)@\($0)" } ?? role.name
                        let answer = try await server.send(
                            method, path, AccessTests.bearer(token) + AccessTests.more(path), body, host: "127.0.0.1")
                        #expect(
                            isForbidden(answer) == !mayCall(role, tenant, access),
                            "\(route) as \(token): \(answer.status)")
                        #expect(answer.status != 401)
                    }
                }
            }
        }
    }
    private func isForbidden(_ answer: RawAnswer) -> Bool {
        answer.status == 403 && ["forbidden", "insufficient access"].contains(code(answer))
    }
    /// Said again in words of its own, so that the middleware is not its own measure.
    private func mayCall(_ role: KeyRole, _ tenant: String?, _ access: Access) -> Bool {
        let order: [KeyRole] = [.viewer, .operator, .admin, .platform]
        switch access {
        case .anyone: return true
        case .gateway where tenant != nil: return false
        case .tenant(let least), .gateway(let least):
            if least == .publisher { return role != .viewer }
            guard let own = order.firstIndex(of: role), let needed = order.firstIndex(of: least) else { return false }
            return own >= needed
        }
    }

    @Test func applicationsAndTheirTokensAskForWhatTenantsAndKeysAskFor() {
        let sameAs = [
            "v1.application.create": "createTenant", "v1.application.update": "upsertTenant",
            "v1.application.patch": "updateTenant", "v1.application.delete": "deleteTenant",
            "v1.authentication.app-portal-access": "createKey", "v1.authentication.dashboard-access": "createKey",
        ]
        for (operation, own) in sameAs {
            let access = AccessTable.rows[operation]
            #expect(access != nil && access == AccessTable.rows[own] && access == .gateway(.platform), "\(operation)")
        }
    }
    @Test func thePortalsTokenOpensItsApplicationAndNothingElse() async throws {
        try await ControlServer.run { server in
            var closed: Set<String> = []
            for (route, operation) in try await routes(server) {
                let (method, path) = target(route)
                let more = AccessTests.more(path)
                let access = AccessTable.access(to: operation)
                // Operational webhooks are the organization's, whose form of API it may be.
                let isOutbound = operation.hasPrefix("v1.") && !operation.hasPrefix("v1.operational-webhook.")
                for role in [KeyRole.viewer, .operator, .admin] {
                    let fields = AccessTests.bearer("\(role.name)@app_1@portal") + more
                    let answer = try await server.send(
                        method, path, fields, method == "GET" ? nil : "", host: "127.0.0.1")
                    let may = access == .anyone || isOutbound && mayCall(role, "app_1", access)
                    #expect(isForbidden(answer) == !may, "\(route) for a portal's \(role.name): \(answer.status)")
                    if isOutbound, role == .admin, isForbidden(answer) { closed.insert(operation) }
                }
            }
            #expect(
                closed == [
                    "v1.application.list", "v1.application.create", "v1.application.update", "v1.application.patch",
                    "v1.application.delete", "v1.authentication.app-portal-access",
                    "v1.authentication.dashboard-access", "v1.authentication.expire-all", "v1.event-type.create",
                    "v1.event-type.update", "v1.event-type.patch", "v1.event-type.delete",
                    "v1.event-type.import-openapi", "v1.event-type.import-preset", "v1.endpoint.send-example",
                    "v1.message.create", "v1.message.expunge-content", "v1.message.expunge-all-contents",
                    "v1.message-attempt.expunge-content", "v1.statistics.aggregate-app-stats",
                    "v1.statistics.aggregate-event-types",
                ])
            let named = AccessTests.bearer("admin@app_1@portal") + ["X-Tenant-Id: app_1"]
            for path in ["/endpoints", "/events/evt_1?reveal=true", "/rejected", "/audit"] {
                let answer = try await server.get("/api/v1" + path, named)
                #expect(isForbidden(answer), "\(path)")
            }
        }
    }
    @Test func strangersAreAnsweredNothingButHealth() async throws {
        try await ControlServer.run { server in
            var open: [String] = []
            let all =
                try await routes(server).map { target($0.route) } + [
                    ("GET", "/nowhere"), ("GET", "/api/v1/tenants/"), ("PUT", "/metrics"), ("GET", "//api/v1//events"),
                ]
            server.gateway.asked.withLock { $0 = FakeGateway.Asked() }
            for (method, path) in all {
                let fields = ["Authorization: none", "X-Sluice-Request: 1"] + AccessTests.more(path)
                let answer = try await server.send(method, path, fields, method == "GET" ? nil : "", host: "127.0.0.1")
                if answer.status != 401 {
                    open.append("\(method) \(path)")
                } else {
                    #expect(answer.field("WWW-Authenticate") == "Bearer realm=\"sluice\"", "\(path)")
                    #expect(
                        ["unauthorized", "authentication_failed", "unauthenticated"].contains(code(answer)), "\(path)")
                }
            }
            #expect(
                Set(open) == [
                    "GET /health", "GET /ready", "GET /readyz", "GET /health/database", "GET /api/v1/health",
                    "GET /api/v1/health/ping",
                    "POST /api/v1/auth/logout",
                ])
            #expect(server.gateway.calls.isEmpty)
            let head = try await server.send("HEAD", "/metrics", ["Authorization: none"], nil, host: "127.0.0.1")
            #expect(head.status == 401 && head.body.isEmpty)
        }
    }
    @Test(arguments: [
        "Bearer", "Bearer ", "Bearer nobody", "bearer  ", "Basic cGxhdGZvcm06", "platform", "Bearer platform viewer",
        "Bearer expired", "Bearer platform\u{00A0}", "Token platform", "BearerPlatform platform",
    ])
    func whatIsNoKeyIsRefused(_ field: String) async throws {
        try await ControlServer.run { server in
            let answer = try await server.get("/api/v1/status", ["Authorization: \(field)"])
            #expect(answer.status == 401, "\(field)")
            #expect(!answer.body.contains("nobody"), "an answer repeats no token")
        }
    }
    @Test func twoKeysAreNone() async throws {
        try await ControlServer.run { server in
            let both = ["Authorization: Bearer viewer", "Authorization: Bearer platform"]
            let twice = try await server.get("/api/v1/status", both)
            #expect(twice.status == 401)
            let spaced = try await server.get("/api/v1/status", ["Authorization: bEaReR   viewer"])
            #expect(spaced.status == 200)
        }
    }
    @Test func aKeyOfAllTenantsMayNameOne() async throws {
        try await ControlServer.run { server in
            func tenant(_ token: String, _ named: String?) async throws -> (Int, String?) {
                let field = named.map { ["X-Tenant-Id: \($0)"] } ?? []
                let answer = try await server.get("/api/v1/endpoints", AccessTests.bearer(token) + field)
                return (answer.status, server.gateway.asked.withLock { $0.callers.last?.principal.tenant })
            }
            #expect(try await tenant("viewer", nil) == (200, nil))
            #expect(try await tenant("viewer", "app_2") == (200, "app_2"))
            #expect(try await tenant("viewer@app_1", nil) == (200, "app_1"))
            #expect(try await tenant("viewer@app_1", "app_1") == (200, "app_1"))
            #expect(try await tenant("viewer@app_1", "app_2").0 == 404)
            #expect(try await tenant("platform", "app_3").0 == 404)
            // What is the gateway's own has no tenant to name.
            let status = try await server.get("/api/v1/status", AccessTests.bearer("platform") + ["X-Tenant-Id: app_2"])
            #expect(status.status == 200)
        }
    }
    @Test func credentialsAreShownToAdministratorsAlone() async throws {
        try await ControlServer.run { server in
            for path in ["/api/v1/events/evt_1", "/api/events/evt_1"] {
                for (role, status) in [("viewer", 403), ("operator", 403), ("admin", 200)] {
                    let answer = try await server.get("\(path)?reveal=true", AccessTests.bearer(role))
                    #expect(answer.status == status, "\(path) as \(role)")
                    #expect(try await server.get(path, AccessTests.bearer(role)).status == 200)
                }
            }
        }
    }
    @Test func failedSignInsAreLimitedAndAValidKeyIsNot() async throws {
        try await ControlServer.run { server in
            // Time gives tries back: a slow machine has more than ten.
            var answers: [RawAnswer] = []
            while answers.count < 100, answers.last?.status != 429 {
                answers.append(try await server.get("/metrics", AccessTests.bearer("nobody")))
            }
            let refused = try #require(answers.last)
            answers.removeLast()
            #expect(answers.count >= 10 && answers.allSatisfy { $0.status == 401 })
            #expect(refused.status == 429 && refused.text("code") == "too_many_attempts")
            #expect(refused.field("Retry-After") == "60")
            #expect(try await server.get("/metrics", AccessTests.bearer("viewer")).status == 200)
            let lines = server.log.lines.withLock { $0 }.filter { $0.contains("sign-in refused") }
            #expect(lines.count == answers.count)
            #expect(lines.allSatisfy { $0.contains("127.0.0.1") && !$0.contains("nobody") })
        }
    }
    @Test func whatIsRefusedIsNotedWithWhoAndWhy() async throws {
        try await ControlServer.run { server in
            _ = try await server.get("/api/v1/keys", AccessTests.bearer("admin@app_1") + ["X-Request-Id: r1"])
            _ = try await server.get("/api/v1/events?limit=5", AccessTests.bearer("nobody"))
            _ = try await server.get("/api/v1/nothing", AccessTests.bearer("viewer"))
            let refused = server.gateway.asked.withLock { $0.refused }
            #expect(refused.map(\.reason) == [.forbidden, .unauthorized])
            #expect(refused.map(\.target) == ["GET /api/v1/keys", "GET /api/v1/events"])
            #expect(refused.map(\.principal.name) == ["key_admin@app_1", "stranger"])
            #expect(refused.first?.requestID == "r1" && refused.allSatisfy { $0.address == "127.0.0.1" })
        }
    }
    @Test func ofAFloodOfRefusedTriesSomeAMinuteAreNoted() {
        var sample = RefusalSample()
        let noted = (0..<1000).map { sample.note(nowMillis: 5_000 + Int64($0)) }
        #expect(noted.compactMap(\.self) == Array(repeating: 0, count: RefusalSample.countMaxMinute))
        #expect(sample.note(nowMillis: 65_000) == 1000 - RefusalSample.countMaxMinute)
        #expect(sample.note(nowMillis: 65_001) == 0)
    }
    @Test func oneOfManyAlikeStandsForAllOfThem() {
        var sample = RefusalSample()
        #expect(sample.note(nowMillis: 5_000, count: 7) == 6)
        for _ in 1..<RefusalSample.countMaxMinute { #expect(sample.note(nowMillis: 5_001) == 0) }
        #expect(sample.note(nowMillis: 5_002, count: 40) == nil)
        #expect(sample.note(nowMillis: 70_000, count: 2) == 41)
    }
    @Test func aTryEveryFewSecondsFillsNoLogInYears() {
        var sample = RefusalSample()
        let days = 30
        let noted = (0..<(days * 28_800)).compactMap { sample.note(nowMillis: Int64($0) * 3_000) }
        #expect(noted.count == days * RefusalSample.countMaxDay)
        #expect(noted.reduce(noted.count, +) <= days * 28_800 && noted.contains { $0 > 0 }, "what was left out is told")
        #expect(days * AuditBounds.entryCountMax / noted.count >= 365)
    }
    @Test func metricsMayBeOpened() async throws {
        try await ControlServer.run(hasOpenMetrics: true) { server in
            let stranger = ["Authorization: none"]
            let metrics = try await server.get("/metrics", stranger)
            let status = try await server.get("/api/v1/status", stranger)
            #expect(metrics.status == 200 && status.status == 401)
        }
    }
    @Test func theDocumentSaysWhoMayCall() async throws {
        try await ControlServer.run { server in
            let text = try await server.get("/api/v1/openapi.json").body
            #expect(text.contains("\"securitySchemes\":{\"key\":{\"scheme\":\"bearer\",\"type\":\"http\"}}"))
            #expect(text.contains("\"x-sluice-role\":\"operator\"") && text.contains("\"x-sluice-scope\":\"gateway\""))
        }
    }
}
