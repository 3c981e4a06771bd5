// Messages and attempts over a real socket, in the form that the field's SDKs speak.
import Engine
import Foundation
import Server
import Synchronization
import Testing

@Suite struct SvixMessageTests {
    private static let path = "/api/v1/app/app_1/msg"
    private func post(_ server: ControlServer, _ path: String, _ body: String) async throws -> RawAnswer {
        try await server.send("POST", path, [], body, host: "127.0.0.1")
    }
    private func drafts(_ server: ControlServer) -> [SvixMessageDraft] {
        server.gateway.asked.withLock { $0.messages }
    }

    @Test func aPayloadIsKeptAndShownAsItStands() async throws {
        try await ControlServer.run { server in
            let payload = "{ \"z\": 1,  \"n\": 12345678901234567890, \"a\": {\"y\": 2.50} }"
            let body =
                "{\"eventType\":\"order.paid\",\"payload\":\(payload),\"eventId\":\"o-1\","
                + "\"channels\":[\"b\",\"a\",\"b\"]}"
            let answer = try await post(server, SvixMessageTests.path, body)
            #expect(answer.status == 202 && answer.body.contains("\"payload\":{ \"z\":1.50,\"a\":2 }"))
            #expect(answer.text("id") == "msg_1" && answer.text("eventId") == "order-7")
            let draft = try #require(drafts(server).first)
            #expect(String(decoding: draft.body, as: UTF8.self) == payload)
            #expect(draft.eventType == "order.paid" && draft.eventId == "o-1" && draft.channels == ["b", "a"])
            let bare = try await post(server, SvixMessageTests.path + "?with_content=false", body)
            #expect(bare.status == 202 && bare.member("payload") == .object([:]))
        }
    }
    @Test func dataIsPayloadAndARawPayloadStandsForIt() async throws {
        try await ControlServer.run { server in
            _ = try await post(server, SvixMessageTests.path, #"{"eventType":"a","data":{"x": 1}}"#)
            _ = try await post(
                server, SvixMessageTests.path,
                #"{"eventType":"a","payload":{},"transformationsParams":{"rawPayload":"{\"keep\":   \"é\"}"}}"#)
            let bodies = drafts(server).map { String(decoding: $0.body, as: UTF8.self) }
            #expect(bodies == [#"{"x": 1}"#, #"{"keep":   "é"}"#])
        }
    }
    @Test func tagsTimeAndRetentionAreRead() throws {
        // 2027-01-15T08:00:00Z.
        let now: UInt64 = 1_800_000_000_000_000_000
        func draft(_ more: String) throws -> SvixMessageDraft {
            let body = "{\"eventType\":\"a\",\"payload\":{}\(more)}"
            return try SvixMessageDraft(Array(body.utf8), application: "app_1", nowNanos: now)
        }
        let full = try draft(
            #","tags":["b","a","b"],"deliverAt":"2027-01-15T08:01:00.250Z","payloadRetentionHours":36"#)
        #expect(full.tags == ["b", "a"] && full.deliverAtMillis == 1_800_000_060_250 && full.retentionHours == 36)
        #expect(try draft(#","payloadRetentionPeriod":5"#).retentionHours == 120)
        #expect(try draft(#","deliverAt":"2027-01-16T09:00:00+01:00""#).deliverAtMillis == 1_800_086_400_000)
        let none = try draft(
            #","tags":null,"deliverAt":null,"payloadRetentionPeriod":null,"payloadRetentionHours":null"#)
        #expect(none.tags.isEmpty && none.deliverAtMillis == nil && none.retentionHours == nil)
        #expect(try draft(#","tags":[]"#).tags.isEmpty)
        for time in ["2027-01-15T08:00:59Z", "2027-01-16T08:00:01Z", "2027-01-14T08:00:00Z"] {
            #expect(throws: SvixError.self) { try draft(",\"deliverAt\":\"\(time)\"") }
        }
        // The same call again, when its time is near or over.
        let late = #","eventId":"e","deliverAt":"2027-01-15T08:00:59Z""#
        #expect(try draft(late).deliverAtMillis == 1_800_000_059_000)
        #expect(throws: SvixError.self) { try draft(#","eventId":"e","deliverAt":"2027-01-16T08:00:01Z""#) }
        let body = Array(#"{"eventType":"a","payload":{},"deliverAt":"2027-01-14T08:00:00Z"}"#.utf8)
        let again = try SvixMessageDraft(body, application: "app_1", idempotencyKey: "k", nowNanos: now)
        #expect(again.deliverAtMillis == 1_799_913_600_000 && again.idempotencyKey == "k")
    }
    @Test func tagsAndTimeAreShownWhereThereAreSome() {
        var message = SvixMessage(
            id: "msg_1", eventId: nil, eventType: "a", channels: [], timestamp: 1_800_000_000_000_000_000,
            payload: .json(Array("{}".utf8)))
        #expect(!message.text(withContent: true).contains("tags"))
        (message.tags, message.deliverAtMillis) = (["vip", "x"], 1_800_000_060_250)
        let text = message.text(withContent: true, more: ",\"status\":3")
        #expect(text.contains("\"tags\":[\"vip\",\"x\"],\"deliverAt\":\"2027-01-15T08:01:00.250Z\",\"status\":3,"))
    }
    @Test(arguments: [
        (#"{"payload":{}}"#, ["body", "", ""]), (#"{"eventType":"a"}"#, ["body", "", ""]),
        (#"{"eventType":5,"payload":{}}"#, ["body", "eventType"]),
        (#"{"eventType":"has space","payload":{}}"#, ["body", "eventType"]),
        (#"{"eventType":"a","payload":[]}"#, ["body", "payload"]),
        (#"{"eventType":"a","payload":{},"eventId":"msg_x"}"#, ["body", "eventId"]),
        (#"{"eventType":"a","payload":{},"eventId":""}"#, ["body", "eventId"]),
        (#"{"eventType":"a","payload":{},"channels":[]}"#, ["body", "channels"]),
        (#"{"eventType":"a","payload":{},"channels":["$"]}"#, ["body", "channels", "[0]"]),
        (#"{"eventType":"a","payload":{},"payloadRetentionPeriod":4}"#, ["body", "payloadRetentionPeriod"]),
        (#"{"eventType":"a","payload":{},"payloadRetentionPeriod":"10"}"#, ["body", "payloadRetentionPeriod"]),
        (#"{"eventType":"a","payload":{},"payloadRetentionHours":0}"#, ["body", "payloadRetentionHours"]),
        (#"{"eventType":"a","payload":{},"payloadRetentionHours":2161}"#, ["body", "payloadRetentionHours"]),
        (
            #"{"eventType":"a","payload":{},"payloadRetentionHours":5,"payloadRetentionPeriod":5}"#,
            ["body", "payloadRetentionHours"]
        ),
        (#"{"eventType":"a","payload":{},"tags":"x"}"#, ["body", "tags"]),
        (#"{"eventType":"a","payload":{},"tags":["ok","a b"]}"#, ["body", "tags", "[1]"]),
        (#"{"eventType":"a","payload":{},"tags":["1","2","3","4","5","6","7","8","9","10","11"]}"#, ["body", "tags"]),
        (#"{"eventType":"a","payload":{},"deliverAt":"soon"}"#, ["body", "deliverAt"]),
        (#"{"eventType":"a","payload":{},"deliverAt":7}"#, ["body", "deliverAt"]),
        (#"{"eventType":"a","payload":{},"deliverAt":"2026-01-31T00:00:00Z"}"#, ["body", "deliverAt"]),
        (#"{"eventType":"a","payload":{},"application":{"name":"x"}}"#, ["body", "application", "uid"]),
        (#"{"eventType":"a","payload":{},"application":{"name":"x","uid":"u"}}"#, ["body", "application", "uid"]),
        ("[]", ["body"]), ("{", ["body"]),
    ])
    func whatBreaksARuleIsSaidWithItsPlace(_ body: String, _ loc: [String]) async throws {
        try await ControlServer.run { server in
            let answer = try await post(server, SvixMessageTests.path, body)
            guard case .list(let items)? = answer.member("detail"), case .object(let item)? = items.first else {
                Issue.record("\(body): \(answer.status) \(answer.body)")
                return
            }
            #expect(answer.status == 422 && item["loc"] == .list(loc.map { .text($0) }), "\(body): \(answer.body)")
            #expect(drafts(server).isEmpty)
        }
    }
    @Test func listsHaveTheFormOfTheField() async throws {
        try await ControlServer.run { server in
            let page = try await server.get(SvixMessageTests.path + "?channel=eu&event_types[]=a&event_types=b,c")
            #expect(page.status == 200 && page.member("done") == .bool(true))
            #expect(page.text("iterator") == "msg_1" && page.text("prevIterator") == "-msg_1")
            #expect(page.body.contains("\"payload\":{ \"z\":1.50,\"a\":2 }"))
            let attempted = try await server.get("/api/v1/app/app_1/endpoint/ep_1/msg?with_content=false")
            #expect(attempted.body.contains("\"status\":3,\"statusText\":\"sending\",\"nextAttempt\":\"2027-"))
            let attempts = try await server.get("/api/v1/app/app_1/attempt/msg/msg_1?status_code_class=500")
            #expect(attempts.body.contains("\"responseStatusCode\":500") && attempts.body.contains("\"triggerType\":1"))
            let none = try await server.get("/api/v1/app/app_1/msg/msg_1/endpoint")
            #expect(none.member("data") == .list([]) && none.member("iterator") == .null)
            #expect(server.gateway.calls.first == "messages app_1 eu [\"a\", \"b\", \"c\"]")
            let wrong = ["msg?channel=$$", "msg?tag=$$", "msg?event_types=a%20b", "msg?limit=251"]
            for bad in wrong + ["attempt/msg/msg_1?iterator=x"] {
                #expect(try await server.get("/api/v1/app/app_1/" + bad).status == 422, "\(bad)")
            }
            for bad in ["attempt/msg/msg_1?status=9", "attempt/msg/msg_1?status_code_class=150", "msg?before=x"] {
                #expect(try await server.get("/api/v1/app/app_1/" + bad).status == 400, "\(bad)")
            }
        }
    }
    @Test func attemptsAreMadeByHandAndCounted() async throws {
        try await ControlServer.run { server in
            let resent = try await post(server, "/api/v1/app/app_1/msg/msg_1/endpoint/ep_1/resend", "")
            #expect(resent.status == 202 && resent.json == .object([:]))
            let stats = try await server.get("/api/v1/app/app_1/endpoint/ep_1/stats")
            #expect(stats.member("success") == .integer(3) && stats.member("canceled") == .integer(0))
            let range = try await server.get("/api/v1/app/app_1/endpoint/ep_1/stats?since=2020-01-01T00:00:00Z")
            #expect(range.status == 400 && range.text("code") == "invalid_range")
            let gone = try await server.send(
                "DELETE", "/api/v1/app/app_1/msg/msg_1/content", [], nil, host: "127.0.0.1")
            #expect(gone.status == 204)
        }
    }
}
