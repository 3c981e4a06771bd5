// Repairs over the control API: what is ordered and counted by default, what is refused with its place.
import Engine
import Foundation
import Server
import Synchronization
import Testing

@Suite struct ControlRepairTests {
    @Test func countsByDefaultAndRepairsOnlyWhenTold() async throws {
        try await ControlServer.run { server in
            let counted = try await server.change("POST", "/api/v1/repairs", #"{"action":"retry","endpoint":"e1"}"#)
            #expect(counted.status == 202 && counted.member("dry_run") == .bool(true), "\(counted.body)")
            let done = try await server.change(
                "POST", "/api/v1/repairs",
                #"{"action":"forward","endpoint":"e1","to":"e2","class":"authentication","#
                    + #""per_second":5,"dry_run":false}"#)
            #expect(done.status == 202 && done.member("dry_run") == .bool(false), "\(done.body)")
            #expect(server.gateway.calls == ["repair retry true", "repair forward false"])
        }
    }
    @Test func refusesWhatDoesNotGoTogether() async throws {
        try await ControlServer.run { server in
            let bodies = [
                (#"{}"#, "action"), (#"{"action":"mend"}"#, "action"), (#"{"action":"forward"}"#, "to"),
                (#"{"action":"retry","to":"e2"}"#, "to"), (#"{"action":"retry","states":[]}"#, "states"),
                (#"{"action":"cancel","states":["dead"]}"#, "states"),
                (#"{"action":"cancel","reason":"cancelled"}"#, "reason"),
                (#"{"action":"retry","states":["delivered"]}"#, "endpoint"),
                (#"{"action":"retry","events":["evt_1"]}"#, "endpoint"),
                (#"{"action":"retry","events":[],"endpoint":"e1"}"#, "events"),
                (#"{"action":"retry","endpoint":"e1","states":["delivered"],"class":"authentication"}"#, "class"),
                (#"{"action":"retry","status":"6xx"}"#, "status"), (#"{"action":"retry","status":"5x"}"#, "status"),
                (#"{"action":"retry","class":"bad"}"#, "class"), (#"{"action":"retry","reason":"bad"}"#, "reason"),
                (#"{"action":"retry","per_second":0}"#, "per_second"),
                (#"{"action":"retry","from":"2026-02-01T00:00:00Z","until":"2026-01-01T00:00:00Z"}"#, "until"),
                (
                    #"{"action":"retry","failed_from":"2026-02-01T00:00:00Z","failed_until":"2026-01-01T00:00:00Z"}"#,
                    "failed_until"
                ),
            ]
            for (body, path) in bodies {
                let answer = try await server.change("POST", "/api/v1/repairs", body)
                #expect(answer.status == 422 && answer.body.contains("\"path\":\"\(path)\""), "\(body): \(answer.body)")
            }
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func repairsAreListedShownAndEnded() async throws {
        try await ControlServer.run { server in
            var cursor: String?
            var pages = 0
            repeat {
                let page = try await server.get(
                    "/api/v1/repairs?limit=1" + (cursor.map { "&cursor=\($0)" } ?? ""))
                #expect(page.status == 200 && page.items().count == 1, "\(page.body)")
                cursor = page.text("next")
                pages += 1
            } while cursor != nil
            #expect(pages == 3)
            #expect(try await server.get("/api/v1/repairs/rpr_1").status == 200)
            #expect(try await server.change("POST", "/api/v1/repairs/rpr_1/cancel").status == 200)
            server.gateway.refusal.withLock { $0 = ControlError(.noSuchRepair, "no") }
            #expect(try await server.get("/api/v1/repairs/rpr_1").status == 404)
            server.gateway.refusal.withLock { $0 = ControlError(.tooManyRepairs, "no") }
            #expect(try await server.change("POST", "/api/v1/repairs", #"{"action":"retry"}"#).status == 429)
        }
    }
    @Test func oneDeliveryIsCancelledAndDeadLettersAreCounted() async throws {
        try await ControlServer.run { server in
            let cancelled = try await server.change("POST", "/api/v1/deliveries/evt_1/e1/cancel")
            #expect(cancelled.status == 200 && cancelled.text("reason") == "cancelled")
            server.gateway.refusal.withLock { $0 = ControlError(.notPending, "no") }
            #expect(try await server.change("POST", "/api/v1/deliveries/evt_1/e1/cancel").status == 409)
            let counts = try await server.get("/api/v1/dead-letters/counts?endpoint=e1")
            #expect(counts.status == 200 && counts.items().count == 1)
            #expect(server.gateway.calls.last == "count dead e1")
        }
    }
    @Test func listingsTakeClassAndStatus() async throws {
        try await ControlServer.run { server in
            _ = try await server.get("/api/v1/dead-letters?class=authentication&status=4xx")
            let search = try #require(server.gateway.asked.withLock { $0.deliverySearches }.first)
            #expect(search.failureClass == "authentication" && search.statuses == 400...499)
            for query in ["class=x", "status=6xx", "status=0"] {
                let refused = try await server.get("/api/v1/dead-letters?" + query)
                #expect(refused.text("code") == "bad_parameter", "\(query)")
            }
        }
    }
}
