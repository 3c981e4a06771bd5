// Deliveries, dead letters, replays, events and rejected requests over the control API.
import Engine
import Foundation
import Server
import Synchronization
import Testing

@Suite struct ControlDeliveryTests {
    /// Everything of a listing, page by page.
    private func all(_ server: ControlServer, _ target: String) async throws -> [String] {
        var events: [String] = []
        var cursor: String?
        repeat {
            let page = try await server.get(target + (cursor.map { "&cursor=\($0)" } ?? ""))
            #expect(page.status == 200, "\(page.body)")
            events += page.items().compactMap { item in
                guard case .object(let members) = item else { return nil }
                guard case .text(let text)? = members["event"] ?? members["id"] else { return nil }
                return text
            }
            cursor = page.text("next")
        } while cursor != nil
        return events
    }

    @Test func pagesThroughEveryDeliveryOnceNewestFirst() async throws {
        try await ControlServer.run { server in
            let expected = (1...250).reversed().map { "evt_\($0)" }
            let all = try await self.all(server, "/api/v1/deliveries?limit=7")
            #expect(all == expected)
            let dead = try await self.all(server, "/api/v1/dead-letters?limit=100")
            #expect(dead == expected)
            let ofOneSource = try await self.all(server, "/api/v1/deliveries?limit=1000&source=x")
            #expect(ofOneSource.count == 125)
        }
    }
    @Test func passesDeliveryFiltersOn() async throws {
        try await ControlServer.run { server in
            let query =
                "state=pending&endpoint=e1&source=s&type=a.%2A&reason=retries_exhausted"
                + "&from=1970-01-01T00:00:01Z&until=1970-01-01T00:00:02Z&limit=3"
            _ = try await server.get("/api/v1/deliveries?" + query)
            _ = try await server.get("/api/v1/dead-letters")
            let searches = server.gateway.asked.withLock { $0.deliverySearches }
            let first = try #require(searches.first)
            #expect(first.states == [.pending] && first.endpoint == "e1" && first.source == "s" && first.limit == 3)
            #expect(first.type == "a.*" && first.reason == "retries_exhausted")
            #expect(first.updated == 1_000_000_000..<2_000_000_000)
            #expect(searches.last?.states == [.dead])
            #expect(try await server.get("/api/v1/deliveries?reason=bad_luck").text("code") == "bad_parameter")
            #expect(try await server.get("/api/v1/dead-letters?state=dead").text("code") == "unknown_parameter")
        }
    }
    @Test func showsAndRetriesOneDelivery() async throws {
        try await ControlServer.run { server in
            #expect(try await server.get("/api/v1/deliveries/evt_1/e1").body.contains("\"attempts\":[]"))
            let retried = try await server.change("POST", "/api/v1/deliveries/evt_1/e1/retry")
            #expect(retried.status == 202 && retried.text("event") == "evt_1")
            #expect(server.gateway.calls == ["delivery evt_1 e1", "retry evt_1 e1"])
            for (code, status) in [
                (ProblemCode.noSuchDelivery, 404), (.alreadyPending, 409), (.endpointStopped, 409), (.busy, 503),
            ] {
                server.gateway.refusal.withLock { $0 = ControlError(code, "no") }
                let refused = try await server.change("POST", "/api/v1/deliveries/evt_1/e1/retry")
                #expect(refused.status == status && refused.text("code") == code.rawValue)
            }
        }
    }
    @Test func decodesEscapedPathParameters() async throws {
        try await ControlServer.run { server in
            _ = try await server.get("/api/v1/deliveries/evt_1/a%2Fb%20c")
            #expect(server.gateway.calls == ["delivery evt_1 a/b c"])
        }
    }

    // MARK: replays

    @Test func countsByDefaultAndReplaysOnlyWhenTold() async throws {
        try await ControlServer.run { server in
            let counted = try await server.change("POST", "/api/v1/replays", "{\"endpoint\":\"e1\"}")
            #expect(counted.member("dry_run") == .bool(true) && counted.member("accepted") == .integer(0))
            #expect(counted.member("pending") == .integer(2))
            let done = try await server.change(
                "POST", "/api/v1/replays", "{\"states\":[\"dead\"],\"dry_run\":false,\"type\":\"a.*\"}")
            #expect(done.member("accepted") == .integer(3))
            let orders = server.gateway.asked.withLock { $0.orders }
            #expect(orders.map(\.scopes) == [[.dead, .delivered], [.dead]] && orders.last?.type == "a.*")
        }
    }
    @Test func refusesAReplayThatSaysTooLittleOrIsMisspelled() async throws {
        try await ControlServer.run { server in
            let bodies = [
                ("{\"states\":[\"missing\"],\"endpoint\":\"e1\"}", "from"),
                ("{\"states\":[\"missing\"],\"from\":\"2026-01-01T00:00:00Z\"}", "endpoint"),
                ("{\"states\":[]}", "states"), ("{\"states\":[\"pending\"]}", "states[0]"),
                ("{\"dryrun\":false}", "dryrun"), ("{\"from\":\"now\"}", "from"), ("{\"event\":\"\"}", "event"),
                ("{\"from\":\"2026-02-01T00:00:00Z\",\"until\":\"2026-01-01T00:00:00Z\"}", "until"),
            ]
            for (body, path) in bodies {
                let answer = try await server.change("POST", "/api/v1/replays", body)
                #expect(answer.status == 422 && answer.body.contains("\"path\":\"\(path)\""), "\(body): \(answer.body)")
            }
            #expect(server.gateway.calls.isEmpty)
            let backfill = "{\"states\":[\"missing\"],\"endpoint\":\"e1\",\"from\":\"2026-01-01T00:00:00Z\"}"
            #expect(try await server.change("POST", "/api/v1/replays", backfill).status == 200)
        }
    }

    // MARK: events

    @Test func pagesThroughEveryEventOnceNewestFirst() async throws {
        try await ControlServer.run { server in
            let found = try await all(server, "/api/v1/events?limit=4")
            #expect(found == (1...30).reversed().map { "evt_\($0)" })
        }
    }
    @Test func findsEventsByTheProvidersOwnID() async throws {
        try await ControlServer.run { server in
            _ = try await server.get("/api/v1/events?provider_id=a%3Ab&source=stripe")
            let search = try #require(server.gateway.asked.withLock { $0.eventSearches.first })
            #expect(search.providerId == "a:b" && search.source == "stripe")
        }
    }
    @Test func followsEventsAfterOne() async throws {
        try await ControlServer.run { server in
            let page = try await server.get("/api/v1/events?after=evt_9&limit=5")
            #expect(page.text("next") == "evt_9|5")
            let both = try await server.get("/api/v1/events?after=evt_9&provider_id=x")
            #expect(both.status == 400 && both.text("code") == "bad_parameter")
        }
    }
    @Test func showsAnEventMaskedUnlessRevealed() async throws {
        try await ControlServer.run { server in
            let event = try await server.get("/api/v1/events/evt_1")
            #expect(event.body.contains("\"headers\":[[\"A\",\"b\"]]") && event.body.contains("\"body_bytes\":2"))
            _ = try await server.get("/api/v1/events/evt_1?reveal=true")
            #expect(server.gateway.calls == ["event evt_1 false", "event evt_1 true"])
            #expect(try await server.get("/api/v1/events/evt_none").text("code") == "no_such_event")
            #expect(try await server.get("/api/v1/events/evt_1?reveal=yes").text("code") == "bad_parameter")
        }
    }

    // MARK: rejected

    @Test func pagesThroughRejectedRequests() async throws {
        try await ControlServer.run { server in
            let next = try #require(try await server.get("/api/v1/rejected?source=a").text("next"))
            _ = try await server.get("/api/v1/rejected?cursor=\(next)")
            let filters = server.gateway.asked.withLock { $0.rejectedFilters }
            #expect(filters.map(\.before) == [nil, "rej_17"] && filters.first?.source == "a")
            #expect(try await server.get("/api/v1/rejected/rej_1").text("code") == "no_such_rejected")
            let body = "{\"idz\":[]}"
            #expect(try await server.change("POST", "/api/v1/rejected/reverify", body).text("code") == "invalid")
        }
    }
}
