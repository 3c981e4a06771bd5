// The answers to the byte, and that none writes beyond its room (the memory ends at a guard page).
import FastPath
import TestSupport
import Testing

@Suite struct HTTPReplyTests {
    // 1994-11-06T08:49:37Z, the example of RFC 9110.
    let date = DateCache(unixSeconds: 784_111_777)
    let memory = GuardedBytes(capacity: Reply.byteCountMax)
    private var start: UnsafeMutablePointer<UInt8> { memory.start(count: Reply.byteCountMax) }
    private func text(_ count: Int) -> String {
        String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }
    private func event(_ reply: Reply, _ outcome: Reply.EventStatus, _ id: EventID?) -> String {
        text(reply.writeEvent(outcome, id: id, date: date, to: start, capacity: Reply.byteCountMax))
    }

    @Test func answersAnEvent() {
        let id = EventID(logIdentity: 0x12_3456_789A, sequence: .max)
        var reply = Reply(status: 202)
        reply.durability = "synced"
        #expect(
            event(reply, .accepted, id) == """
                HTTP/1.1 202 Accepted\r
                Date: Sun, 06 Nov 1994 08:49:37 GMT\r
                X-Content-Type-Options: nosniff\r
                Content-Type: application/json\r
                Content-Length: 54\r
                Sluice-Durability: synced\r
                \r
                {"status":"accepted","id":"\(id.text)"}
                """)
        reply.closes = true
        #expect(
            event(reply, .duplicate, id).hasSuffix(
                "Connection: close\r\n\r\n{\"status\":\"duplicate\",\"id\":\"\(id.text)\"}"))
        reply.isHead = true
        #expect(event(reply, .duplicate, id).hasSuffix("Connection: close\r\n\r\n"))
        #expect(event(reply, .duplicate, id).contains("Content-Length: 55\r\n"))
        // A source may be told to answer 204: no body and no length (RFC 9110 §15.3.5).
        let empty = event(Reply(status: 204), .accepted, id)
        #expect(empty.hasSuffix("nosniff\r\n\r\n") && !empty.contains("Content-Length"))
    }
    @Test func answersAnEventWithoutAnIdOfItsOwn() {
        let reply = Reply(status: 202)
        #expect(
            event(reply, .accepted, nil).hasSuffix("Content-Length: 21\r\n\r\n{\"status\":\"accepted\"}"))
        #expect(
            event(reply, .duplicate, nil).hasSuffix("Content-Length: 22\r\n\r\n{\"status\":\"duplicate\"}"))
    }
    @Test func answersARefusalWithItsReason() {
        for error in HTTPError.allCases {
            let count = Reply(error).writeRejected(
                reason: error.rawValue, date: date, to: start, capacity: Reply.byteCountMax)
            let answer = text(count)
            #expect(answer.hasPrefix("HTTP/1.1 \(error.status) "))
            #expect(answer.contains("Connection: close\r\n"))
            #expect(answer.hasSuffix("\r\n\r\n{\"status\":\"rejected\",\"reason\":\"\(error.rawValue)\"}"))
        }
        // What makes it safe to put them into JSON as they are.
        for reason in HTTPError.allCases.map(\.rawValue) + SignatureRejection.allCases.map(\.rawValue) {
            #expect(
                reason.utf8.allSatisfy { CharacterClasses.isToken($0) && $0 < 0x7B }
                    && reason.utf8.count <= Reply.textBytesMax)
        }
    }
    @Test func saysAllowRetryAfterKeepAliveAndType() {
        var reply = Reply(status: 405)
        reply.allow = ByteView("POST")
        reply.retryAfterSeconds = 120
        reply.keepsVersion10 = true
        reply.contentType = .text
        let body = Array("no".utf8)
        let answer = text(body.withView { reply.write($0, date: date, to: start, capacity: Reply.headBytesMax + 2) })
        #expect(answer.contains("\r\nAllow: POST\r\n") && answer.contains("\r\nRetry-After: 120\r\n"))
        #expect(
            answer.contains("\r\nConnection: keep-alive\r\n") && answer.contains("\r\nContent-Type: text/plain\r\n"))
        #expect(answer.hasSuffix("Content-Length: 2\r\n" + answer.split(separator: "Content-Length: 2\r\n").last!))
        #expect(answer.hasSuffix("\r\n\r\nno"))
    }
    /// The largest answer of each status fits the room that is promised, and our own client reads it back.
    @Test func everyStatusFitsAndReadsBack() {
        let longest: StaticString = "0123456789012345678901234567890123456789012345678901234567890123"
        var fields = FieldTable()
        var knownCount = 0
        for status in 100...599 where Reply.isKnown(status: status) {
            knownCount += 1
            var reply = Reply(status: status)
            reply.allow = ByteView(longest)
            reply.durability = longest
            reply.retryAfterSeconds = .max
            reply.closes = true
            let reason = String(repeating: "r", count: Reply.textBytesMax)
            let count = reply.writeRejected(reason: reason, date: date, to: start, capacity: Reply.byteCountMax)
            var parser = ResponseParser()
            let view = ByteView(UnsafePointer(start), count: count)
            let result = parser.parse(view, isHead: false, fields: &fields, headBytesMax: Reply.headBytesMax)
            guard case .complete(let head) = result else {
                Issue.record("\(status): \(result)")
                continue
            }
            #expect(head.status == status && head.closes)
            #expect(status == 204 ? head.body == .none : head.body == .length(count - head.byteCount))
        }
        #expect(knownCount == 22)
        for status in [
            200, 202, 204, 400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 417, 422, 429, 431, 500, 501, 503, 505,
        ] {
            #expect(Reply.isKnown(status: status), "\(status)")
        }
    }
    @Test func trapsRatherThanWriteBeyondItsRoom() async {
        await #expect(processExitsWith: .failure) {
            let guarded = GuardedBytes(capacity: 100)
            _ = Reply(status: 200).write(
                .empty, date: DateCache(unixSeconds: 0), to: guarded.start(count: 100), capacity: 100)
        }
    }
}
