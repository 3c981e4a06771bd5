// Filters over the control API: as a field of an endpoint, tried on an event and over a stretch of the log; and in a
// manifest.
import Engine
import Foundation
import Server
import Synchronization
import Testing

@Suite struct ControlFilterTests {
    private static let filter: JSONValue = [
        "body": ["user_id": ["$startsWith": "u_"], "someName": 1], "headers": ["X-Region": "eu"],
    ]

    @Test func anEndpointsFilterIsTakenAsItStands() async throws {
        try await ControlServer.run { server in
            let filter = String(decoding: try JSONEncoder().encode(ControlFilterTests.filter), as: UTF8.self)
            let body = "{\"name\":\"a\",\"url\":\"http://h/\",\"filter\":\(filter)}"
            #expect(try await server.change("POST", "/api/v1/endpoints", body).status == 201)
            let draft = try #require(server.gateway.asked.withLock { $0.drafts.first })
            #expect(draft.filter == ControlFilterTests.filter)
            let refused = try await server.change(
                "POST", "/api/v1/endpoints", #"{"name":"a","url":"http://h/","filter":"x"}"#)
            #expect(refused.status == 422)
        }
    }
    @Test func triesAFilterOnOneEvent() async throws {
        try await ControlServer.run { server in
            let answer = try await server.change(
                "POST", "/api/v1/filters/test",
                #"{"filter":{"body":{"camelCase":1,"snake_case":2}},"given":{"type":"t","payload":{"snake_case":2}}}"#)
            #expect(answer.status == 200 && answer.text("verdict") == "differs")
            let trial = try #require(server.gateway.asked.withLock { $0.trials.first })
            #expect(trial.filter == ["body": ["camelCase": 1, "snake_case": 2]])
            #expect(trial.given?.payload == ["snake_case": 2] && trial.given?.type == "t")
        }
    }
    @Test(arguments: [
        ("{}", ["filter", "event"]), (#"{"filter":{"type":"a"},"endpoint":"e1","event":"evt_1"}"#, ["filter"]),
        (#"{"filter":{"type":"a"}}"#, ["event"]),
        (#"{"endpoint":"e1","given":{"payload":1,"body":"x"}}"#, ["given.payload"]),
    ])
    func asksForOneFilterAndOneEvent(body: String, paths: [String]) async throws {
        try await ControlServer.run { server in
            let answer = try await server.change("POST", "/api/v1/filters/test", body)
            #expect(answer.status == 422)
            for path in paths { #expect(answer.body.contains("\"path\":\"\(path)\"")) }
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func pagesThroughAPreviewAndTheEndpointsOfAnEvent() async throws {
        try await ControlServer.run { server in
            let path = "/api/v1/endpoints/e1/filter/preview"
            let order = #""filter":{"type":"a"},"from":"2026-01-01T00:00:00Z""#
            let page = try await server.change("POST", path, "{\(order)}")
            let next = try #require(page.text("next"))
            let last = try await server.change("POST", path, "{\(order),\"cursor\":\"\(next)\"}")
            #expect(last.status == 200 && last.text("next") == nil)
            #expect(server.gateway.calls == ["preview e1 -", "preview e1 7"])
            let forged = try await server.change("POST", path, "{\(order),\"cursor\":\"AAAA\"}")
            #expect(forged.text("code") == "bad_cursor")
            #expect(try await server.change("POST", path, "{}").status == 422)
            let first = try await server.get("/api/v1/events/evt_1/endpoints")
            let cursor = try #require(first.text("next"))
            #expect(first.items().count == 1)
            _ = try await server.get("/api/v1/events/evt_1/endpoints?cursor=\(cursor)")
            #expect(server.gateway.calls.suffix(2) == ["endpoints of evt_1 -", "endpoints of evt_1 1"])
        }
    }
    /// Else a manifest would differ from what is kept of it, after each start anew.
    @Test func wholeNumbersAreKeptAsTheyAreReadAgain() throws {
        let written = JSONValue.object(["a": .list([.number(1.0), .number(1e3), .number(-2)]), "b": .number(0.5)])
        let whole = written.asStored
        #expect(whole == .object(["a": .list([.integer(1), .integer(1000), .integer(-2)]), "b": .number(0.5)]))
        let large = JSONValue.list([.number(1e300), .number(9_223_372_036_854_775_808)]).asStored
        for value in [whole, large] {
            #expect(try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(value)) == value)
        }
    }
    @Test func aGivenEventIsAskedAsItWouldBeDelivered() throws {
        var given = GivenEvent()
        (given.type, given.source, given.channels) = ("t", "s", ["a", "b"])
        given.headers = ["X-Region": "eu\r\nX-Other: 1"]
        given.payload = ["n": 5]
        func matches(_ filter: JSONValue) throws -> Bool {
            FilterResult(try CompiledFilter(filter.asStored).trace(given)).matched
        }
        #expect(try matches(["type": "t", "source": "s", "channels": "b", "body": ["n": ["$gt": 4]]]))
        #expect(try matches(["headers": ["X-Other": ["$exist": false], "X-Region": "euX-Other: 1"]]))
        #expect(ControlFilterTests.filter.asStored == ControlFilterTests.filter)
    }
}
