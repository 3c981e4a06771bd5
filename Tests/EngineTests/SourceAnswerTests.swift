// What a source's sender hears, what a 401 asks for, and challenges as an operator writes them.
import Engine
import FastPath
import Testing

@Suite struct SourceAnswerTests {
    private func compile(
        _ provider: String, _ secret: String = "text", _ change: (inout SourceConfiguration) -> Void = { _ in }
    ) throws -> CompiledSourceParts {
        var source = SourceConfiguration()
        source.name = "s"
        source.provider = provider
        source.secrets = [SourceSecret(secret)]
        change(&source)
        return try SourceCompiler.compile(source)
    }
    private func problem(_ change: (inout SourceConfiguration) -> Void) -> String {
        do {
            _ = try compile("github", "text", change)
            return ""
        } catch { return "\(error)" }
    }
    private func answer(_ status: Int?, _ body: String?, _ type: String? = nil) -> AnswerConfiguration {
        var answer = AnswerConfiguration()
        answer.status = status
        answer.body = body
        answer.type = type
        return answer
    }

    @Test func aSourcesOwnAnswerStandsAboveTheProviders() throws {
        #expect(try compile("github").answer.status == 202)
        #expect(try compile("github") { $0.answer = self.answer(200, "") }.answer.status == 200)
        #expect(try compile("msteams", "AAAA") { $0.answer = self.answer(201, nil) }.answer.status == 201)
        for (own, words) in [
            (answer(299, nil), "none of 200"), (answer(404, nil), "none of 200"), (answer(204, "x"), "a 204 has none"),
            (answer(200, String(repeating: "x", count: 513)), "at most 512"),
            (answer(200, "x", "text"), "content type"),
            (answer(200, nil, "text/plain"), "needs a `body`"), (answer(200, "x", "a/b\r\nX: y"), "content type"),
        ] {
            #expect(problem { $0.answer = own }.contains(words), "\(own)")
        }
    }

    @Test func a401AsksForWhatHTTPHasANameFor() throws {
        func challenge(_ provider: String, _ secret: String = "text") throws -> String {
            let parts = try compile(provider, secret)
            defer { withExtendedLifetime(parts.memory) {} }
            return parts.edge.authenticate.text
        }
        #expect(try challenge("servicenow", "u:p") == #"Basic realm="sluice""#)
        #expect(try challenge("cloudevents") == #"Bearer realm="sluice""#)
        #expect(try challenge("alertmanager") == #"Bearer realm="sluice""#)
        #expect(try challenge("alertmanager", "u:p") == #"Basic realm="sluice""#)
        #expect(try challenge("github") == "")
        #expect(try challenge("gitlab") == "")
    }

    private func ask(_ own: HandshakeConfiguration, _ request: String) throws -> Handshake.CopiedResponse {
        let parts = try compile("github", "text") { $0.handshakes = [own] }
        defer { withExtendedLifetime(parts.memory) {} }
        let handshake = try #require(parts.handshake)
        let captured = try CapturedRequest(Array("\(request)Host: h\r\n\r\n".utf8))
        return captured.isChallenge(for: handshake) ? captured.challengeAnswer(handshake, key: nil) : .none
    }
    private func handshake(
        _ on: HandshakeMoment, _ change: (inout HandshakeConfiguration) -> Void = { _ in }
    ) -> HandshakeConfiguration {
        var own = HandshakeConfiguration()
        own.on = on
        change(&own)
        return own
    }
    private func reply(_ body: String, _ type: String = "text/plain", lines: String = "") -> Handshake.CopiedResponse {
        .reply(status: 200, contentType: type, lines: lines, body: Array(body.utf8))
    }

    @Test func answersWhatAnOperatorWrote() throws {
        #expect(try ask(handshake(.head), "HEAD /in/s HTTP/1.1\r\n") == reply(""))
        let graph = handshake(.post) {
            $0.echo = "query:validationToken"
            $0.body = "{echo}"
        }
        #expect(try ask(graph, "POST /in/s?validationToken=a%3Cb HTTP/1.1\r\n") == reply("a<b"))
        let okta = handshake(.get) {
            $0.echo = "header:X-Okta-Verification-Challenge"
            $0.body = #"{"verification":"{echo}"}"#
        }
        #expect(
            try ask(okta, "GET /in/s HTTP/1.1\r\nX-Okta-Verification-Challenge: a\"b\r\n")
                == reply(#"{"verification":"a\"b"}"#, "application/json"))
        let asana = handshake(.post) {
            $0.echo = "header:X-Hook-Secret"
            $0.headers = ["X-Hook-Secret: {echo}"]
        }
        #expect(
            try ask(asana, "POST /in/s HTTP/1.1\r\nX-Hook-Secret: s1\r\n")
                == reply("", lines: "X-Hook-Secret: s1\r\n"))
        #expect(try ask(asana, "POST /in/s HTTP/1.1\r\n") == .none)
        let ping = handshake(.post) { $0.when = ["header:X-Event-Key=diagnostics:ping"] }
        #expect(try ask(ping, "POST /in/s HTTP/1.1\r\nX-Event-Key: diagnostics:ping\r\n") == reply(""))
        #expect(try ask(ping, "POST /in/s HTTP/1.1\r\nX-Event-Key: push\r\n") == .none)
    }

    @Test func aSourceTakesTheMethodsOfItsChallenges() throws {
        let parts = try compile("github", "text") { $0.handshakes = [self.handshake(.head), self.handshake(.get)] }
        defer { withExtendedLifetime(parts.memory) {} }
        #expect(parts.edge.allow.text == "GET, HEAD, POST")
    }

    @Test func saysWhatIsWrongWithAChallenge() {
        for (own, words) in [
            (handshake(.post), "something by which it is known"), (handshake(.signed), "when"),
            (handshake(.get) { $0.when = ["json:$.a"] }, "is none of header:NAME"),
            (handshake(.get) { $0.echo = "cookie:a" }, "is no place"),
            (handshake(.get) { $0.body = "{echo}" }, "none has a place"),
            (handshake(.get) { $0.headers = ["nonsense"] }, "NAME: VALUE"),
            (handshake(.get) { $0.status = 299 }, "is not known"),
            (handshake(.signed) { $0.when = ["header:a"] }, "no place json"),
        ] {
            let message = problem { $0.handshakes = [own] }
            #expect(message.contains("handshake 1: ") && message.contains(words), "\(message)")
        }
    }
}
