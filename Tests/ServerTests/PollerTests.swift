// Polling of the Svix-shaped API: what is asked for, how it is answered.
import Engine
import FastPath
import Foundation
import Server
import Testing

@Suite struct PollerTests {
    private let place = MessageID(EventID(logIdentity: 7, sequence: 9)).text

    @Test func aPollHasItsFiltersAndAnswersPayloadsAsTheyStand() async throws {
        try await ControlServer.run { server in
            let path = "/api/v1/app/app_1/poller/sink"
            let answer = try await server.get(
                path + "?limit=3&iterator=\(place)&event_type=a.b&channel=c&after=1970-01-01T00:00:02Z")
            #expect(server.gateway.calls.last == "poll app_1 sink 3 \(place) a.b c 2000000000")
            #expect(answer.status == 200 && answer.text("iterator") == "msg_2" && answer.member("done") == false)
            #expect(answer.body.contains("\"payload\":{ }") && answer.member("data") != .list([]))
            let plain = try await server.get(path)
            #expect(server.gateway.calls.last == "poll app_1 sink 50 - - - 0" && plain.status == 200)
        }
    }
    @Test func aConsumerHasNoFiltersOfItsOwn() async throws {
        try await ControlServer.run { server in
            let path = "/api/v1/app/app_1/poller/sink/consumer/c-1"
            let answer = try await server.get(path + "?limit=250&event_type=a&after=1970-01-01T00:00:02Z")
            #expect(server.gateway.calls.last == "poll app_1 sink c-1 250 - - - 0")
            #expect(answer.member("data") == .list([]) && answer.member("done") == true)
            let sought = try await server.change("POST", path + "/seek", "{\"after\":\"1970-01-01T00:00:01Z\"}")
            #expect(server.gateway.calls.last == "seek app_1 sink c-1 1000000000")
            #expect(sought.status == 200 && sought.text("iterator") == "msg_3")
        }
    }
    @Test func whatIsWrongIsNamed() async throws {
        try await ControlServer.run { server in
            let path = "/api/v1/app/app_1/poller/sink"
            let iterators = ["iterator=x", "iterator=-\(place)"]
            for query in iterators + ["limit=0", "limit=251", "channel=a%20b", "event_type=%20"] {
                let answer = try await server.get("\(path)?\(query)")
                #expect(answer.status == 422 && answer.body.contains("\"query\""), "\(query)")
            }
            #expect(try await server.get(path + "?after=yesterday").status == 400)
            #expect(try await server.get(path + "/consumer/a%20b").status == 422)
            for body in ["{}", "{\"after\":3}", "{\"after\":\"soon\"}", ""] {
                let answer = try await server.change("POST", path + "/consumer/c/seek", body)
                #expect(answer.status == 422, "\(body)")
            }
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func ofOneApplicationSoManyPollsWait() throws {
        let queue = PollQueue(ControlWorker())
        for _ in 0..<PollQueue.waitingMax { try queue.enter("one") }
        do {
            try queue.enter("one")
            Issue.record("one more waits")
        } catch let error as SvixError {
            #expect(error.status == 429 && error.code == "rate_limited")
        }
        try queue.enter("two")
        queue.leave("one")
        try queue.enter("one")
    }
}
