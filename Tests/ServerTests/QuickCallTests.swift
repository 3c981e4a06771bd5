// What the handler before the control API's server takes, what it hands on, and in which order answers leave: on a
// channel without a socket, part by part.
import Engine
import FastPath
import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Server
import Synchronization
import Testing

@Suite struct QuickCallTests {
    /// Keeps what is offered until the test says what became of it.
    private final class Publisher: QuickPublishing {
        struct State {
            var isFull = false
            var offered: [@Sendable (InjectionFate) -> Void] = []
            var types: [String] = []
        }
        let state = Mutex(State())

        func quick(_ order: PublishOrder, _ caller: Caller) throws -> QuickPublication { publication(order.type) }
        func quick(_ draft: SvixMessageDraft, application: String, _ caller: Caller) throws -> QuickPublication {
            publication("\(application) \(draft.eventType)")
        }
        private func publication(_ type: String) -> QuickPublication {
            state.withLock { $0.types.append(type) }
            return QuickPublication(event: InjectedEvent(source: "s")) { fate in
                switch fate {
                case .kept: QuickReply(type)
                case .unknown: QuickReply("unknown", status: 503)
                default: nil
                }
            }
        }
        func offer(_ event: InjectedEvent, _ done: @escaping @Sendable (InjectionFate) -> Void) -> Bool {
            state.withLock { state in
                guard !state.isFull else { return false }
                state.offered.append(done)
                return true
            }
        }
        func decide(_ place: Int, _ fate: InjectionFate) { state.withLock { $0.offered[place] }(fate) }
        var offeredCount: Int { state.withLock { $0.offered.count } }
    }
    private struct Bench {
        let publisher = Publisher()
        let channel: EmbeddedChannel

        init() throws {
            let calls = QuickCalls(host: "127.0.0.1", keys: FakeGateway(), publishing: publisher)
            channel = EmbeddedChannel(handler: QuickCallHandler(calls))
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        }
        static func head(
            _ path: String = "/api/v1/events", method: HTTPRequest.Method = .post, without: String? = nil,
            fields more: [(String, String)] = []
        ) -> HTTPRequest {
            var head = HTTPRequest(method: method, scheme: "http", authority: "127.0.0.1:1", path: path)
            let usual = [("Authorization", "Bearer publisher"), ("X-Sluice-Request", "1")].filter { $0.0 != without }
            for (name, value) in usual + more {
                head.headerFields.append(HTTPField(name: HTTPField.Name(name)!, value: value))
            }
            return head
        }
        static let body = #"{"type":"a.b","payload":{}}"#

        func send(_ head: HTTPRequest = Bench.head(), body: [String] = [Bench.body]) throws {
            try channel.writeInbound(HTTPRequestPart.head(head))
            for part in body { try channel.writeInbound(HTTPRequestPart.body(ByteBuffer(string: part))) }
            try channel.writeInbound(HTTPRequestPart.end(nil))
        }
        /// What has gone on to the server since it was last asked: a letter a part, bodies as they are.
        func passed() throws -> String {
            var text = ""
            while let part = try channel.readInbound(as: HTTPRequestPart.self) {
                switch part {
                case .head(let head): text += "<\(head.path ?? "")>"
                case .body(let bytes): text += String(buffer: bytes)
                case .end: text += "."
                }
            }
            return text
        }
        /// The same of answers.
        func answered() throws -> String {
            channel.embeddedEventLoop.run()
            var text = ""
            while let part = try channel.readOutbound(as: HTTPResponsePart.self) {
                switch part {
                case .head(let head): text += "<\(head.status.code)>"
                case .body(let bytes): text += String(buffer: bytes).replacing("\n", with: "")
                case .end: text += "."
                }
            }
            return text
        }
        /// As the server behind would.
        func answer() throws {
            try channel.writeOutbound(HTTPResponsePart.head(HTTPResponse(status: .ok)))
            try channel.writeOutbound(HTTPResponsePart.end(nil))
        }
    }
    private static let id = EventID(logIdentity: 7, sequence: 9)

    @Test func aPublicationIsAnsweredWhenItsFateIsKnown() throws {
        let bench = try Bench()
        try bench.send()
        #expect(try bench.passed() == "" && bench.answered() == "" && bench.publisher.offeredCount == 1)
        bench.publisher.decide(0, .kept(QuickCallTests.id))
        #expect(try bench.answered() == "<202>a.b.")
        try bench.send(
            Bench.head("/api/v1/app/u-1/msg", without: "X-Sluice-Request", fields: [("Connection", "Keep-Alive")]),
            body: [#"{"eventType":"c","#, #""payload":{}}"#])
        bench.publisher.decide(1, .kept(QuickCallTests.id))
        #expect(try bench.answered() == "<202>u-1 c." && bench.passed() == "")
    }
    @Test func anAnswerHasItsFields() throws {
        let bench = try Bench()
        let head = Bench.head("/api/v1/app/u/msg", fields: [("X-Request-Id", "r-1")])
        try bench.send(head, body: [#"{"eventType":"c","payload":{}}"#])
        bench.publisher.decide(0, .unknown)
        bench.channel.embeddedEventLoop.run()
        guard case .head(let answer)? = try bench.channel.readOutbound(as: HTTPResponsePart.self) else {
            Issue.record("there is no answer")
            return
        }
        #expect(answer.status.code == 503 && answer.headerFields[.retryAfter] == "1")
        #expect(answer.headerFields[HTTPField.Name("X-Request-Id")!] == "r-1")
        #expect(answer.headerFields[.accessControlAllowOrigin] == "*" && answer.headerFields[.contentLength] == "8")
        #expect(answer.headerFields[.date]?.hasSuffix(" GMT") == true)
    }
    @Test(arguments: [
        Bench.head("/api/v1/events?type=a"), Bench.head("/api/v1/event"), Bench.head(method: .put),
        Bench.head("/api/v1/app/u/msg/m"), Bench.head("/api/v1/app/a%2Fb/msg"), Bench.head("/api/v1/app//msg"),
        Bench.head(without: "Authorization"), Bench.head(without: "X-Sluice-Request"),
        Bench.head(fields: [("Authorization", "Bearer admin")]), Bench.head(fields: [("X-Tenant-Id", "nobody")]),
        Bench.head(fields: [("Idempotency-Key", "a b")]), Bench.head(fields: [("Expect", "100-continue")]),
        Bench.head(fields: [("Connection", "close")]),
        Bench.head(without: "Authorization", fields: [("Authorization", "Bearer viewer")]),
        Bench.head(without: "Authorization", fields: [("Authorization", "Bearer expired")]),
        Bench.head(without: "Authorization", fields: [("Authorization", "Basic publisher")]),
    ])
    func whatIsUnusualGoesOnWhole(head: HTTPRequest) throws {
        let bench = try Bench()
        try bench.send(head, body: ["{\"type\":\"a.b\",", "\"payload\":{}}"])
        #expect(try bench.passed() == "<\(head.path ?? "")>\(Bench.body)." && bench.publisher.offeredCount == 0)
    }
    @Test func aBodyThatIsWrongOrTooLongGoesOnWhole() throws {
        let long = String(repeating: "x", count: QuickCalls.bodyBytesMax)
        for body in [[], ["{}"], ["no"], [long, "y", "z"], [long + "y", "z"]] {
            let bench = try Bench()
            try bench.send(body: body)
            #expect(try bench.passed() == "</api/v1/events>\(body.joined())." && bench.publisher.offeredCount == 0)
        }
    }
    @Test func whatTheLogDidNotTakeGoesOn() throws {
        let bench = try Bench()
        bench.publisher.state.withLock { $0.isFull = true }
        try bench.send()
        #expect(try bench.passed() == "</api/v1/events>\(Bench.body).")
        try bench.answer()
        #expect(try bench.answered() == "<200>.")
        bench.publisher.state.withLock { $0.isFull = false }
        for (place, fate) in [InjectionFate.failed, .closed, .tooLarge, .duplicate(QuickCallTests.id)].enumerated() {
            try bench.send()
            #expect(try bench.passed() == "")
            bench.publisher.decide(place, fate)
            #expect(try bench.answered() == "" && bench.passed() == "</api/v1/events>\(Bench.body).")
            try bench.answer()
            #expect(try bench.answered() == "<200>.")
        }
    }
    @Test func answersLeaveInTheOrderOfTheirRequests() throws {
        let bench = try Bench()
        try bench.send()
        try bench.send(body: [#"{"type":"second","payload":1}"#])
        try bench.send(Bench.head("/api/v1/status", method: .get), body: [])
        try bench.send()
        #expect(bench.publisher.offeredCount == 1)
        #expect(try bench.passed() == "" && bench.answered() == "")
        bench.publisher.decide(0, .kept(QuickCallTests.id))
        #expect(try bench.answered() == "<202>a.b." && bench.publisher.offeredCount == 2)
        #expect(try bench.passed() == "")
        bench.publisher.decide(1, .kept(QuickCallTests.id))
        #expect(try bench.answered() == "<202>second.")
        // Behind one that the server has, all go to the server.
        #expect(try bench.passed() == "</api/v1/status>.</api/v1/events>\(Bench.body).")
        #expect(bench.publisher.offeredCount == 2)
        try bench.answer()
        try bench.answer()
        try bench.send()
        #expect(bench.publisher.offeredCount == 3)
    }
    @Test func nothingMoreIsReadWhileOneWaits() throws {
        let bench = try Bench()
        try bench.send()
        bench.channel.read()
        // An event of the server's end is kept, too: it would close a connection that has nothing under way.
        bench.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        bench.publisher.decide(0, .kept(QuickCallTests.id))
        #expect(try bench.answered() == "<202>a.b.")
    }
    @Test func aCallerThatLeavesIsNotAnswered() throws {
        let bench = try Bench()
        try bench.send()
        _ = try bench.channel.finish(acceptAlreadyClosed: true)
        bench.publisher.decide(0, .kept(QuickCallTests.id))
        bench.channel.embeddedEventLoop.run()
        #expect(try bench.channel.readOutbound(as: HTTPResponsePart.self) == nil)
    }
}
