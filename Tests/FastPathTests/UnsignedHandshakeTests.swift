// Challenges by rule: HEAD and GET, values that go back, and POSTs that come before anything is signed.
import FastPath
import TestSupport
import Testing

@Suite struct UnsignedHandshakeTests {
    private let memory = CompiledMemory()

    private func ask(
        _ definition: HandshakeDefinition, _ head: String, _ body: String = ""
    ) throws
        -> Handshake.CopiedResponse
    {
        let handshake = try Handshake([definition], in: memory)
        let raw = "\(head)Host: h\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        let request = try CapturedRequest(Array(raw.utf8))
        guard request.isChallenge(for: handshake) else { return .none }
        return request.challengeAnswer(handshake, key: nil)
    }
    private func echo(
        _ place: String, _ change: (inout HandshakeDefinition) -> Void = { _ in }
    )
        -> HandshakeDefinition
    {
        var definition = HandshakeDefinition(.post)
        definition.challenge = HandshakeChallenge(place, .printable)
        definition.contentType = .text
        definition.body = [.challenge]
        change(&definition)
        return definition
    }
    private func text(_ body: String) -> Handshake.CopiedResponse {
        .reply(status: 200, contentType: "text/plain", lines: "", body: Array(body.utf8))
    }

    @Test func echoesAParameterOfAPostAndTakesAnyOtherAsAnEvent() throws {
        let graph = echo("query:validationToken")
        #expect(try ask(graph, "POST /x?validationToken=a%20b+c HTTP/1.1\r\n") == text("a b c"))
        #expect(try ask(graph, "POST /x HTTP/1.1\r\n", "{}") == .none)
        #expect(
            try ask(graph, "POST /x?validationToken=a%0d%0ab HTTP/1.1\r\n")
                == .rejected(
                    .malformedChallenge, status: 401))
    }

    @Test func echoesAHeaderInAHeader() throws {
        let asana = echo("header:X-Hook-Secret") {
            $0.challenge?.rule = .opaque
            $0.body = []
            $0.headers = [HandshakeHeader("X-Hook-Secret", [.challenge])]
        }
        #expect(
            try ask(asana, "POST /x HTTP/1.1\r\nX-Hook-Secret: abc1\r\n")
                == .reply(
                    status: 200, contentType: "text/plain", lines: "X-Hook-Secret: abc1\r\n", body: []))
        #expect(try ask(asana, "POST /x HTTP/1.1\r\n", "{}") == .none)
    }

    @Test func echoesAValueOfJSONWhenTheConditionsHold() throws {
        let grid = echo("json:$[0].data.validationCode") {
            $0.applies = [HandshakeCondition("header:aeg-event-type", equals: "SubscriptionValidation")]
            $0.contentType = .json
            $0.body = [.literal(#"{"validationResponse":""#), .challenge, .literal(#""}"#)]
        }
        let head = "POST /x HTTP/1.1\r\naeg-event-type: SubscriptionValidation\r\n"
        let body = #"[{"data":{"validationCode":"512d-B"}}]"#
        #expect(
            try ask(grid, head, body)
                == .reply(
                    status: 200, contentType: "application/json", lines: "",
                    body: Array(#"{"validationResponse":"512d-B"}"#.utf8)))
        #expect(try ask(grid, "POST /x HTTP/1.1\r\naeg-event-type: Notification\r\n", body) == .none)
        #expect(try ask(grid, head, #"[{"data":{"validationCode":7}}]"#) == .none)
        #expect(try ask(grid, head, "") == .none)
        let long = #"[{"data":{"validationCode":"x","pad":""# + String(repeating: "p", count: 5000) + #""}}]"#
        #expect(try ask(grid, head, long) == .none)
    }

    @Test func answersAPingByRule() throws {
        var ping = HandshakeDefinition(.post)
        ping.applies = [HandshakeCondition("header:X-Event-Key", equals: "diagnostics:ping")]
        let reply = Handshake.CopiedResponse.reply(
            status: 200, contentType: "application/json", lines: "", body: [])
        #expect(try ask(ping, "POST /x HTTP/1.1\r\nX-Event-Key: diagnostics:ping\r\n", "{}") == reply)
        #expect(try ask(ping, "POST /x HTTP/1.1\r\nX-Event-Key: repo:push\r\n", "{}") == .none)
        ping.applies = [HandshakeCondition("json:$.ping", equals: "a/b"), HandshakeCondition("query:p")]
        #expect(try ask(ping, "POST /x?p=1 HTTP/1.1\r\n", #"{"ping":"a\/b"}"#) == reply)
        #expect(try ask(ping, "POST /x?p= HTTP/1.1\r\n", #"{"ping":"a\/b"}"#) == .none)
        #expect(try ask(ping, "POST /x?p=1 HTTP/1.1\r\n", #"{"ping":null}"#) == .none)
    }

    @Test func refusesARuleThatEveryEventWouldMeet() {
        let all = HandshakeDefinition(.post)
        #expect(throws: HandshakeError.self) { try Handshake([all], in: memory) }
        var body = HandshakeDefinition(.get)
        body.applies = [HandshakeCondition("json:$.a")]
        #expect(throws: HandshakeError.self) { try Handshake([body], in: memory) }
        body.applies = [HandshakeCondition("cookie:a")]
        #expect(throws: HandshakeError.self) { try Handshake([body], in: memory) }
    }
}
