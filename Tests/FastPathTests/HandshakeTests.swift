// Challenges as data: what is answered, what is refused, what may not even be compiled.
import FastPath
import TestSupport
import Testing

@Suite struct HandshakeTests {
    private let memory = CompiledMemory()
    private var key: SigningKey { SigningKey(secret: [1], algorithm: .sha256, in: memory) }

    private func echo(_ trigger: HandshakeTrigger, _ place: String) -> HandshakeDefinition {
        var definition = HandshakeDefinition(trigger)
        definition.challenge = HandshakeChallenge(place, .printable)
        definition.body = [.literal("{\"c\":\""), .challenge, .literal("\"}")]
        return definition
    }
    private func signing(_ trigger: HandshakeTrigger, _ place: String) -> HandshakeDefinition {
        var definition = HandshakeDefinition(trigger)
        definition.challenge = HandshakeChallenge(place, .opaque, bytesMax: 128)
        definition.body = [.challenge, .literal(" "), .mac(.hex), .literal(" "), .mac(.base64)]
        definition.contentType = .text
        return definition
    }
    private func ask(
        _ handshake: Handshake, _ line: String, _ fields: String = "", key: SigningKey? = nil
    ) -> Handshake.CopiedResponse {
        let bytes = Array("\(line) HTTP/1.1\r\nHost: h\r\n\(fields)\r\n".utf8)
        return bytes.withView { view in
            var parser = HeadParser()
            var head = RequestHead()
            var table = FieldTable()
            guard case .complete = parser.parse(view, into: &head, fields: &table, limits: IngestLimits()) else {
                return .none
            }
            let room = GuardedBytes(capacity: Handshake.scratchBytesMax)
            let answer = handshake.answer(
                bytes: view, head: head, fields: table, body: .empty, key: key, into: room.start(count: room.capacity),
                capacity: room.capacity)
            switch answer {
            case .none: return .none
            case .rejected(let reason, let status): return .rejected(reason, status: status)
            case .reply(let reply):
                return .reply(
                    status: reply.status, contentType: reply.contentType.text, lines: reply.lines.text,
                    body: reply.body.array)
            }
        }
    }
    private func json(_ body: String) -> Handshake.CopiedResponse {
        .reply(status: 200, contentType: "application/json", lines: "", body: Array(body.utf8))
    }

    @Test func answersABodyThatFulfilsEveryCondition() throws {
        let conditions = HandshakeTrigger.body([
            .text(path: "$.type", equals: "check"), .number(path: "$.n", equals: "1"), .absent(path: "$.event"),
        ])
        let handshake = try Handshake([echo(conditions, "json:$.v.c")], in: memory)
        func answer(_ body: String) -> Handshake.CopiedResponse { handshake.answer(body: Array(body.utf8), key: nil) }
        #expect(answer(#"{"type":"check","n":1,"v":{"c":"abc"}}"#) == json(#"{"c":"abc"}"#))
        // The raw text of a JSON string goes back as one.
        #expect(answer(#"{"type":"check","n":1,"v":{"c":"a\"\u00e9"}}"#) == json(#"{"c":"a\"\u00e9"}"#))
        for event in [
            #"{"type":"check","n":1,"v":{"c":"abc"},"event":{}}"#, #"{"type":"check","n":"1","v":{"c":"abc"}}"#,
            #"{"type":"other","n":1,"v":{"c":"abc"}}"#, #"{"n":1,"v":{"c":"abc"}}"#, "", "[]",
            #"{"type":"check","n":1,"v":{"c":"abc"}}"# + String(repeating: " ", count: 5000),
        ] { #expect(answer(event) == .none, "\(event.prefix(60))") }
        #expect(answer(#"{"type":"check","n":1}"#) == .rejected(.missingChallenge, status: 401))
        #expect(answer(#"{"type":"check","n":1,"v":{"c":""}}"#) == .rejected(.missingChallenge, status: 401))
        #expect(answer(#"{"type":"check","n":1,"v":{"c":7}}"#) == .rejected(.malformedChallenge, status: 401))
        #expect(
            answer("{\"type\":\"check\",\"n\":1,\"v\":{\"c\":\"a\u{1}\"}}")
                == .rejected(.malformedChallenge, status: 401))
        #expect(
            answer("{\"type\":\"check\",\"n\":1,\"v\":{\"c\":\"\u{e9}\"}}")
                == .rejected(.malformedChallenge, status: 401))
    }
    @Test func signsOnlyWhatIsOpaqueAndOnlyWithAKey() throws {
        let handshake = try Handshake([signing(.get, "query:t")], in: memory)
        let mac = key.mac(over: Array("a-B_9".utf8))
        let wanted = Array("a-B_9 \(TextEncoding.hex(mac)) \(TextEncoding.base64(mac))".utf8)
        #expect(
            ask(handshake, "GET /x?t=a-B%5F9", key: key)
                == .reply(status: 200, contentType: "text/plain", lines: "", body: wanted))
        #expect(ask(handshake, "GET /x?t=ab") == .rejected(.invalidSecret, status: 401))
        for token in ["%7B%7D", "a.b", "a%20b", "a+b", "v0%3A1", "%C3%A9", String(repeating: "a", count: 129)] {
            #expect(ask(handshake, "GET /x?t=\(token)", key: key) == .rejected(.challengeNotOpaque, status: 401))
        }
        for query in ["", "?", "?t", "?t=", "?x=1&tt=2"] {
            #expect(ask(handshake, "GET /x\(query)", key: key) == .rejected(.missingChallenge, status: 401))
        }
        #expect(ask(handshake, "HEAD /x?t=a", key: key) == .none)
    }
    @Test func echoesAQueryDecodedAndEscaped() throws {
        let handshake = try Handshake([echo(.get, "query:c")], in: memory)
        #expect(ask(handshake, "GET /x?c=%22a%5Cb%22") == json(#"{"c":"\"a\\b\""}"#))
        #expect(ask(handshake, "GET /x?c=a+b&c=2") == json(#"{"c":"a b"}"#))
        for value in ["%0D%0ASet-Cookie:x", "%7F", "%C3%A9", String(repeating: "x", count: 300)] {
            #expect(ask(handshake, "GET /x?c=\(value)") == .rejected(.malformedChallenge, status: 401), "\(value)")
        }
        // What fits the challenge's bound but not the answer once it is escaped.
        var long = echo(.get, "query:c")
        long.challenge?.bytesMax = 512
        let wide = try Handshake([long], in: memory)
        let quotes = String(repeating: "%22", count: 300)
        #expect(ask(wide, "GET /x?c=\(quotes)") == .rejected(.malformedChallenge, status: 401))
    }
    @Test func asksForTheVerifyToken() throws {
        var definition = echo(.get, "query:c")
        definition.requirements = [.parameter("m", equals: "on"), .verifyToken(parameter: "t")]
        definition.refusalStatus = 403
        let handshake = try Handshake([definition], verifyToken: "s+cret", in: memory)
        #expect(ask(handshake, "GET /x?m=on&t=s%2Bcret&c=1") == json(#"{"c":"1"}"#))
        for token in ["", "s%2Bcre", "s%2Bcrets", "s+cret", "S%2Bcret"] {
            #expect(ask(handshake, "GET /x?m=on&t=\(token)&c=1") == .rejected(.verifyTokenMismatch, status: 403))
        }
        #expect(ask(handshake, "GET /x?m=on&c=1") == .rejected(.verifyTokenMismatch, status: 403))
        #expect(ask(handshake, "GET /x?m=off&t=s%2Bcret&c=1") == .rejected(.malformedChallenge, status: 403))
        let without = try Handshake([definition], in: memory)
        #expect(ask(without, "GET /x?m=on&t=&c=1") == .rejected(.verifyTokenMismatch, status: 403))
        #expect(throws: HandshakeError.self) { try Handshake([definition], verifyToken: "", in: memory) }
    }
    @Test func answersWithHeadersToAnAllowedOrigin() throws {
        var definition = HandshakeDefinition(.options)
        definition.requirements = [.allowedOrigin]
        definition.challenge = HandshakeChallenge("header:X-Origin", .origin)
        definition.headers = [
            HandshakeHeader("X-Allowed", [.challenge]),
            HandshakeHeader("X-Rate", [.literal("*")], whenAsked: "X-Asked"),
        ]
        definition.refusalStatus = 403
        let handshake = try Handshake([definition], allowedOrigins: ["A.example"], in: memory)
        func lines(_ text: String) -> Handshake.CopiedResponse {
            .reply(status: 200, contentType: "application/json", lines: text, body: [])
        }
        #expect(ask(handshake, "OPTIONS /x", "X-Origin: a.EXAMPLE\r\n") == lines("X-Allowed: a.EXAMPLE\r\n"))
        #expect(
            ask(handshake, "OPTIONS /x", "x-origin: a.example\r\nx-asked: 1\r\n")
                == lines("X-Allowed: a.example\r\nX-Rate: *\r\n"))
        #expect(ask(handshake, "OPTIONS /x") == .rejected(.missingHeader, status: 403))
        #expect(ask(handshake, "OPTIONS /x", "X-Origin: b.example\r\n") == .rejected(.originNotAllowed, status: 403))
        #expect(
            ask(handshake, "OPTIONS /x", "X-Origin: a.example\r\nX-Origin: a.example\r\n")
                == .rejected(.duplicateHeader, status: 403))
        #expect(ask(handshake, "OPTIONS /x", "X-Origin: a b\r\n") == .rejected(.malformedChallenge, status: 403))
        let nobody = try Handshake([definition], in: memory)
        #expect(ask(nobody, "OPTIONS /x", "X-Origin: a.example\r\n") == .rejected(.originNotAllowed, status: 403))
        let anyone = try Handshake([definition], allowedOrigins: ["*"], in: memory)
        #expect(ask(anyone, "OPTIONS /x", "X-Origin: z.example\r\n") == lines("X-Allowed: z.example\r\n"))
    }
    @Test func compilesNothingThatWouldSignOrEchoTooMuch() {
        func isRefused(_ change: (inout HandshakeDefinition) -> Void) -> Bool {
            var definition = signing(.get, "query:t")
            change(&definition)
            do throws(HandshakeError) {
                _ = try Handshake([definition], in: memory)
                return false
            } catch { return true }
        }
        #expect(!isRefused { _ in })
        #expect(isRefused { $0.challenge?.rule = .printable })
        #expect(isRefused { $0.challenge?.rule = .origin })
        #expect(isRefused { $0.challenge = nil })
        #expect(isRefused { $0.challenge?.bytesMax = 513 })
        #expect(isRefused { $0.challenge?.place = "json:$.t" })
        #expect(isRefused { $0.challenge?.place = "cookie:t" })
        #expect(isRefused { $0.status = 299 })
        #expect(isRefused { $0.headers = [HandshakeHeader("a b", [])] })
        #expect(isRefused { $0.headers = [HandshakeHeader("a", [.literal("x\r\ny")])] })
        #expect(
            isRefused {
                $0 = echo(.get, "query:t")
                $0.headers = [HandshakeHeader("a", [.challenge])]
            })
    }
}
