// Pools of connections that went stale, addresses in turn, and what is kept of answers: the egress loop against real
// sockets.

import FastPath
import Glibc
import Testing

@Suite struct EgressPoolTests {
    /// A server whose connections are all dead from the second request on, until it is healed: it answers `warm`
    /// requests at once, each on a connection of its own, and then forgets these connections.
    private final class ForgetfulServer: @unchecked Sendable {
        private let gate = ScriptedServer { _ in }
        private(set) var server: ScriptedServer!

        init(warm: Int) {
            server = ScriptedServer { [gate] connection in
                guard let first = connection.readRequest() else { return }
                guard connection.index < warm else {
                    connection.answer(201)
                    while connection.readRequest() != nil { connection.answer(201) }
                    return
                }
                gate.keep(first)
                // All are open at a time.
                while gate.kept.count < warm { usleep(1000) }
                connection.answer(200)
                // The next request is read and the connection dies without a word.
                if connection.readRequest() == nil { self.closedByClient.keep(first) }
            }
        }
        let closedByClient = ScriptedServer { _ in }
    }

    @Test func aStalePoolCostsEachRequestOneRepeatAtMost() throws {
        let forgetful = ForgetfulServer(warm: 16)
        let server = forgetful.server!
        let harness = try EgressHarness([server.endpoint()])
        for _ in 0..<16 { harness.deliver() }
        harness.wait(for: 16)
        #expect(server.acceptedCount == 16)
        #expect(harness.outcomes.values.allSatisfy { $0.status == 200 })
        // One request finds out.
        let lost = try harness.deliverAndWait()
        #expect(lost.result == .connectionLost && lost.lostReusedConnection)
        // The other fifteen are closed with it: none of them is met again.
        var patience = 3000
        while forgetful.closedByClient.kept.count < 15, patience > 0 {
            usleep(10_000)
            patience -= 1
        }
        #expect(forgetful.closedByClient.kept.count == 15)
        #expect(try harness.deliverAndWait { $0.isFresh = true }.status == 201)
        for _ in 0..<20 { #expect(try harness.deliverAndWait().status == 201) }
        #expect(server.acceptedCount == 17)
        harness.finish()
    }
    @Test func sixteenRequestsAtOnceOverAStalePoolAreLostOnceEachAtMost() throws {
        let forgetful = ForgetfulServer(warm: 16)
        let harness = try EgressHarness([forgetful.server.endpoint()])
        for _ in 0..<16 { harness.deliver() }
        harness.wait(for: 16)
        let tokens = (0..<16).map { _ in harness.deliver() }
        harness.wait(for: 32)
        // Each repeat is over a fresh connection, which is what the dispatcher asks for.
        var repeated = 0
        for token in tokens {
            let outcome = try #require(harness.outcomes[token])
            guard outcome.status != 201 else { continue }
            #expect(outcome.lostReusedConnection)
            repeated += 1
            #expect(try harness.deliverAndWait { $0.isFresh = true }.status == 201)
        }
        #expect(repeated > 0)
        harness.finish()
    }
    @Test func aFreshRequestTakesNoConnectionThatIsThere() throws {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil { connection.answer(200 + connection.index) }
        }
        let harness = try EgressHarness([server.endpoint()])
        #expect(try harness.deliverAndWait().status == 200)
        #expect(try harness.deliverAndWait { $0.isFresh = true }.status == 201)
        #expect(server.acceptedCount == 2)
        harness.finish()
    }

    // MARK: addresses

    @Test func eachAddressIsReachedByItsIndex() throws {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil { connection.answer() }
        }
        var description = server.endpoint()
        // Nobody listens at the second.
        description.addresses = [
            try #require(EgressAddress(literal: "127.0.0.1", port: server.port)),
            try #require(EgressAddress(literal: "127.0.0.2", port: server.port)),
        ]
        let harness = try EgressHarness([description])
        let refused = try harness.deliverAndWait {
            $0.addressIndex = 1
        }
        #expect(refused.result == .connectFailed && refused.systemError == ECONNREFUSED)
        #expect(try harness.deliverAndWait().status == 200)
        // An index past the end is the last address, not memory behind it.
        let beyond = try harness.deliverAndWait {
            $0.addressIndex = 200
            $0.isFresh = true
        }
        #expect(beyond.result == .connectFailed)
        harness.finish()
    }
    @Test func anAddressThatSwallowsPacketsLeavesTimeForTheNext() throws {
        let listener = FullListener()
        var description = DestinationDescription(
            addresses: [try #require(EgressAddress(literal: "127.0.0.1", port: listener.port))], authority: "x",
            target: "/", secrets: [])
        description.addresses.append(description.addresses[0])
        description.connectMillisMax = 3000
        description.headMillisMax = 60_000
        description.totalMillisMax = 60_000
        description.concurrency = 8
        let harness = try EgressHarness([description])
        listener.fill()
        let (early, last) = (harness.deliver { $0.hasAlternative = true }, harness.deliver())
        harness.wait(for: 2)
        let (first, second) = (try #require(harness.outcomes[early]), try #require(harness.outcomes[last]))
        #expect(first.result == .connectTimedOut && second.result == .connectTimedOut)
        // A second and three by the limits; only their order is asked for.
        #expect(first.durationMicros < second.durationMicros)
        harness.finish()
    }

    // MARK: what is kept of answers

    private func kept(
        _ text: String, closing: Bool = false, keeping: OutboundRequest.AnswerKeeping = .ofFailures
    ) throws -> String {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil {
                connection.send(text)
                if closing { return }
            }
        }
        let harness = try EgressHarness([server.endpoint()])
        // Twice: what is kept of one answer is not the next one's.
        var answers: [String] = []
        for _ in 0..<2 {
            let token = harness.deliver { $0.keeping = keeping }
            #expect(try harness.outcome(token).result == .answered)
            answers.append(String(decoding: harness.answers[token] ?? [], as: UTF8.self))
        }
        harness.finish()
        #expect(answers[0] == answers[1])
        return answers[0]
    }
    @Test func theBeginningOfAFailureIsKeptHoweverItIsFramed() throws {
        let long = String((0..<1000).map { "\($0) " }.joined().prefix(6000))
        precondition(long.utf8.count > 3000)
        for body in ["no such customer", String(repeating: long, count: 3)] {
            let expected = String(body.prefix(4096))
            #expect(try kept("HTTP/1.1 422 U\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)") == expected)
            var chunked = "HTTP/1.1 500 E\r\nTransfer-Encoding: chunked\r\n\r\n"
            var rest = Substring(body)
            while !rest.isEmpty {
                let piece = rest.prefix(1000)
                chunked += String(piece.utf8.count, radix: 16) + "\r\n\(piece)\r\n"
                rest = rest.dropFirst(piece.count)
            }
            #expect(try kept(chunked + "0\r\n\r\n") == expected)
            #expect(try kept("HTTP/1.1 404 N\r\n\r\n\(body)", closing: true) == expected)
        }
    }
    @Test func nothingIsKeptOfASuccessUnlessItIsAskedFor() throws {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
        #expect(try kept(text) == "")
        #expect(try kept(text, keeping: .always) == "fine")
    }
    @Test func ofAnAnswerThatIsTooLongToBeReadTheFirstPieceIsKept() throws {
        let body = String(repeating: "0123456789", count: 7000)
        let server = ScriptedServer { connection in
            guard connection.readRequest() != nil else { return }
            connection.send("HTTP/1.1 503 S\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            connection.waitForClose()
        }
        let harness = try EgressHarness([server.endpoint()])
        let token = harness.deliver()
        #expect(try harness.outcome(token).status == 503)
        let kept = String(decoding: harness.answers[token] ?? [], as: UTF8.self)
        #expect(!kept.isEmpty && kept.utf8.count <= 4096 && body.hasPrefix(kept))
        harness.finish()
    }
    @Test func ofAnAnswerThatIsCutShortTheBeginningIsKept() throws {
        let server = ScriptedServer { connection in
            guard connection.readRequest() != nil else { return }
            connection.send("HTTP/1.1 500 E\r\nContent-Length: 100\r\n\r\nstack trace")
        }
        let harness = try EgressHarness([server.endpoint()])
        let token = harness.deliver()
        #expect(try harness.outcome(token).status == 500)
        #expect(harness.answers[token] == Array("stack trace".utf8))
        harness.finish()
    }
    @Test func aTokenWithoutARoomIsAnsweredAndKeepsNothing() throws {
        let server = ScriptedServer { connection in
            while connection.readRequest() != nil { connection.answer(500, "broken") }
        }
        let harness = try EgressHarness([server.endpoint()])
        let token: UInt64 = 5 << 32 | 0xFFFF_FFFF
        harness.deliver { $0.token = token }
        harness.wait(for: 1)
        let outcome = try #require(harness.outcomes[token])
        #expect(outcome.status == 500 && outcome.answerBytes == 0)
        harness.finish()
    }
}

/// A listener whose queue is full: it takes no more connections, and says nothing.
private final class FullListener {
    let port: UInt16
    private let listener: Int32
    private var fillers: [Int32] = []

    init() {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        port = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                precondition(bind(listener, generic, length) == 0 && listen(listener, 0) == 0)
                precondition(getsockname(listener, generic, &length) == 0)
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
    }
    deinit { for descriptor in fillers + [listener] { close(descriptor) } }
    func fill() {
        for _ in 0..<8 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            address.sin_port = port.bigEndian
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            fillers.append(descriptor)
        }
    }
}
