// Publishing over a real socket: what the body and the query may say, and that a payload stays as it was written.
import Foundation
import Server
import Synchronization
import Testing

@Suite struct ControlPublishTests {
    private static let path = "/api/v1/events"
    private func published(_ server: ControlServer) -> [PublishOrder] {
        server.gateway.asked.withLock { $0.published }
    }

    @Test func aPayloadIsCutOutOfTheBodyAsItStands() async throws {
        try await ControlServer.run { server in
            let payload = "{ \"z\" : 1.0e+2,\"a\":\t[1,2, 3 ],\"n\":12345678901234567890.50, \"t\":\"\\u00e4\\/\" }"
            let body =
                "{\"tags\":[\"vip\"],\"payload\" : \(payload) , \"type\":\"invoice.paid\",\"channels\":[\"eu\",\"b\"]}"
            let answer = try await server.change("POST", ControlPublishTests.path, body)
            #expect(answer.status == 202 && answer.text("status") == "accepted" && answer.text("id") == "evt_1")
            let order = try #require(published(server).first)
            #expect(order.type == "invoice.paid" && order.contentType == "application/json")
            #expect(String(decoding: order.body, as: UTF8.self) == payload)
            #expect(order.channels == ["eu", "b"] && order.tags == ["vip"] && order.eventId == nil)
        }
    }
    @Test(arguments: ["\"text\"", "[]", "17", "null", "true", "{}"])
    func anyJSONIsAPayload(_ payload: String) async throws {
        try await ControlServer.run { server in
            let body = "{\"type\":\"t\",\"payload\":\(payload),\"event_id\":null}"
            let answer = try await server.change("POST", ControlPublishTests.path, body)
            #expect(answer.status == 202)
            #expect(published(server).map { String(decoding: $0.body, as: UTF8.self) } == [payload])
        }
    }
    @Test func aTimeToBeginWithAndARetentionAreRead() throws {
        // 2027-01-15T08:00:00Z.
        let now: UInt64 = 1_800_000_000_000_000_000
        let body = #"{"type":"t","payload":{},"deliver_at":"2027-01-15T09:00:00Z","retention_hours":48}"#
        let order = try PublishOrder(json: Array(body.utf8), nowNanos: now)
        #expect(order.deliverAtMillis == 1_800_003_600_000 && order.retentionHours == 48)
        let none = #"{"type":"t","payload":{},"deliver_at":null,"retention_hours":null}"#
        let plain = try PublishOrder(json: Array(none.utf8), nowNanos: now)
        #expect(plain.deliverAtMillis == nil && plain.retentionHours == nil)
        #expect(throws: ControlError.self) { try PublishOrder(json: Array(body.utf8), nowNanos: now + 1 << 60) }
        // The same call again, when its time is near or over.
        let late = now + 3_590 * 1_000_000_000
        #expect(throws: ControlError.self) { try PublishOrder(json: Array(body.utf8), nowNanos: late) }
        let again = try PublishOrder(json: Array(body.utf8), idempotencyKey: "k", nowNanos: late)
        #expect(again.deliverAtMillis == order.deliverAtMillis && again.idempotencyKey == "k")
        let named = Array(body.replacing("{}", with: #"{},"event_id":"e""#).utf8)
        #expect(try PublishOrder(json: named, nowNanos: now + 1 << 60).deliverAtMillis == order.deliverAtMillis)
        #expect(throws: ControlError.self) {
            try PublishOrder(json: named, nowNanos: now - 86_400 * 1_000_000_000)
        }
    }
    @Test func theSameEventIDAgainIsADuplicateOfTheFirst() async throws {
        try await ControlServer.run { server in
            for status in ["accepted", "duplicate"] {
                let body = #"{"type":"t","payload":{},"event_id":"order-7"}"#
                let answer = try await server.change("POST", ControlPublishTests.path, body)
                #expect(answer.status == 202 && answer.text("status") == status)
            }
        }
    }
    @Test func withATypeInTheQueryTheBodyIsThePayload() async throws {
        try await ControlServer.run { server in
            let answer = try await server.send(
                "POST", ControlPublishTests.path + "?type=a%2Fb&event_id=x.1&channels=c1,c2&tags=t&group=a%3A7%2Fb",
                ["X-Sluice-Request: 1", "Content-Type: text/csv; header=absent", "Idempotency-Key: k-1"], "1;2\r\n3;4",
                host: "127.0.0.1")
            #expect(answer.status == 202)
            var wanted = PublishOrder(type: "a/b", body: Array("1;2\r\n3;4".utf8))
            wanted.contentType = "text/csv; header=absent"
            (wanted.eventId, wanted.channels, wanted.tags) = ("x.1", ["c1", "c2"], ["t"])
            wanted.group = "a:7/b"
            wanted.idempotencyKey = "k-1"
            #expect(published(server) == [wanted])
        }
    }
    @Test(arguments: [
        ("", "bad_json"), ("[]", "bad_json"), ("{", "bad_json"), (#"{"type":"t","payload":{},}"#, "bad_json"),
        (#"{"type":"t","payload":{}} x"#, "bad_json"), (#"{"type":"t","type":"u","payload":{}}"#, "bad_json"),
        (#"{"payload":{}}"#, "invalid"), (#"{"type":"t"}"#, "invalid"), (#"{"type":7,"payload":{}}"#, "invalid"),
        (#"{"type":"a b","payload":{}}"#, "invalid"), (#"{"type":"t","payload":{},"event_id":"a b"}"#, "invalid"),
        (#"{"type":"t","payload":{},"channels":["a,b"]}"#, "invalid"),
        (#"{"type":"t","payload":{},"channels":"a"}"#, "invalid"),
        (#"{"type":"t","payload":{},"tags":["1","2","3","4","5","6","7","8","9","10","11"]}"#, "invalid"),
        (#"{"type":"t","payload":{},"deliver_at":"soon"}"#, "invalid"),
        (#"{"type":"t","payload":{},"deliver_at":"2026-01-31T00:00:00Z"}"#, "invalid"),
        (#"{"type":"t","payload":{},"retention_hours":0}"#, "invalid"),
        (#"{"type":"t","payload":{},"retention_hours":1.5}"#, "invalid"),
        (#"{"type":"t","payload":{},"retention_hours":"24 "}"#, "invalid"),
        (#"{"type":"t","payload":{},"group":""}"#, "invalid"), (#"{"type":"t","payload":{},"group":7}"#, "invalid"),
        (#"{"type":"t","payload":{},"group":"a b"}"#, "invalid"),
        (#"{"type":"t","payload":{},"tags":["a\r\nb"]}"#, "invalid"), (#"{"typ":"t","payload":{}}"#, "invalid"),
    ])
    func whatIsWrongIsRefusedWhole(_ body: String, _ code: String) async throws {
        try await ControlServer.run { server in
            let answer = try await server.change("POST", ControlPublishTests.path, body)
            #expect(answer.text("code") == code, "\(body): \(answer.body)")
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func everythingThatIsWrongIsSaidAtOnce() async throws {
        try await ControlServer.run { server in
            let body = #"{"type":"","payload":1,"event_id":[],"channels":["ok","no good"],"extra":1}"#
            let answer = try await server.change("POST", ControlPublishTests.path, body)
            for path in ["extra", "event_id", "type", "channels[1]"] {
                #expect(answer.body.contains("\"path\":\"\(path)\""), "\(path)")
            }
        }
    }
    @Test func listsThatAreTooLongAreSaidToBeOnce() async throws {
        try await ControlServer.run { server in
            let labels = (0..<20_000).map { "\"bad \($0)\"" }.joined(separator: ",")
            let body = "{\"type\":\"t\",\"payload\":{},\"channels\":[\(labels)],\"tags\":[\(labels)]}"
            let answer = try await server.change("POST", ControlPublishTests.path, body)
            #expect(answer.text("code") == "invalid" && answer.body.utf8.count < 10_000)
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func aQueryWithoutATypeAndABadKeyAreRefused() async throws {
        try await ControlServer.run { server in
            let body = #"{"type":"t","payload":{}}"#
            let answer = try await server.change("POST", ControlPublishTests.path + "?event_id=x", body)
            #expect(answer.text("code") == "bad_parameter")
            for fields in [["Idempotency-Key: a b"], ["Idempotency-Key: a", "Idempotency-Key: b"]] {
                let refused = try await server.send(
                    "POST", ControlPublishTests.path, ["X-Sluice-Request: 1"] + fields, body, host: "127.0.0.1")
                #expect(refused.text("code") == "bad_request")
            }
            #expect(server.gateway.calls.isEmpty)
        }
    }
    @Test func publishersPublishAndReadNothing() async throws {
        try await ControlServer.run { server in
            let key = ["Authorization: Bearer publisher@app_1", "X-Sluice-Request: 1"]
            let body = #"{"type":"t","payload":{}}"#
            let made = try await server.send("POST", ControlPublishTests.path, key, body, host: "127.0.0.1")
            #expect(made.status == 202)
            #expect(server.gateway.asked.withLock { $0.callers.last?.principal.tenant } == "app_1")
            #expect(try await server.get(ControlPublishTests.path, key).status == 403)
        }
    }
    @Test func whatIsCalledAllTheTimeHasNoLineEach() async throws {
        try await ControlServer.run { server in
            _ = try await server.change("POST", ControlPublishTests.path, #"{"type":"t","payload":{}}"#)
            _ = try await server.change("POST", "/api/v1/endpoints/e1/enable")
            let lines = server.log.lines.withLock { $0 }.filter { $0.contains("control API") }
            #expect(lines.count == 1 && lines[0].contains("enable"))
        }
    }
}
