// The egress loop over TLS, against servers of this process: deliveries, kept connections, resumption, and what becomes
// of an order when the peer is not whom it must be, or stops in the middle.

import FastPath
import Synchronization
import TestSupport
import Testing

@Suite struct EgressTLSTests {
    private func endpoint(
        _ server: ScriptedServer, _ context: TLSContext, name: String = "sluice.test"
    ) -> DestinationDescription {
        var description = server.endpoint()
        description.authority = "\(name):\(server.port)"
        description.tls = DestinationTLS(context: context, name: name, isAddress: false)
        return description
    }
    private static func echoServer(_ tls: TLSContext) -> ScriptedServer {
        ScriptedServer(tls: tls) { connection in
            while let request = connection.readRequest() { connection.answer(200, "\(request.body.count)") }
        }
    }

    @Test func deliversAndKeepsItsConnection() throws {
        let server = EgressTLSTests.echoServer(try TLSFixture.server("server"))
        let harness = try EgressHarness([endpoint(server, TLSFixture.client())])
        for size in [0, 1, 16_383, 16_384, 100_000] {
            var token: UInt64 = 0
            let outcome = try harness.deliverAndWait([UInt8](repeating: 7, count: size)) {
                $0.keeping = .always
                token = $0.token
            }
            #expect(outcome.result == .answered && outcome.status == 200)
            #expect(harness.answers[token] == Array("\(size)".utf8))
        }
        harness.finish()
        #expect(server.acceptedCount == 1)
    }
    @Test func carriesManyOrdersAtOnce() throws {
        let server = EgressTLSTests.echoServer(try TLSFixture.server("server_rsa"))
        let harness = try EgressHarness([endpoint(server, TLSFixture.client())])
        for number in 0..<300 { harness.deliver([UInt8](repeating: 1, count: number * 97)) }
        harness.wait(for: 300)
        for outcome in harness.outcomes.values { #expect(outcome.status == 200, "\(outcome)") }
        harness.finish()
        #expect(server.openCountMost <= 16)
    }
    @Test func resumesItsSessionOnANewConnection() throws {
        let resumed = Atomic<Int>(0)
        let context = try TLSFixture.server("server")
        let server = ScriptedServer(tls: context) { connection in
            guard connection.readRequest() != nil else { return }
            if connection.isResumed { resumed.wrappingAdd(1, ordering: .relaxed) }
            connection.send("HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            connection.finish()
            connection.waitForClose()
        }
        let harness = try EgressHarness([endpoint(server, TLSFixture.client())])
        for _ in 0..<4 { #expect(try harness.deliverAndWait().status == 200) }
        harness.finish()
        // OpenSSL 3.0 does not tell a ticket that comes over a resumed session: the next handshake is a full one then.
        #expect(server.acceptedCount == 4)
        #expect(resumed.load(ordering: .relaxed) >= 2)
    }
    @Test(arguments: [
        ("other_name", TLSFailure.nameMismatch), ("unknown", .unknownAuthority), ("self_signed", .selfSigned),
    ])
    func sendsNothingToWhomItDoesNotBelieve(_ identity: String, _ reason: TLSFailure) throws {
        let reached = Atomic<Int>(0)
        let server = ScriptedServer(tls: try TLSFixture.server(identity)) { connection in
            if connection.readRequest() != nil { reached.wrappingAdd(1, ordering: .relaxed) }
        }
        let harness = try EgressHarness([endpoint(server, TLSFixture.client())])
        for _ in 0..<3 {
            let outcome = try harness.deliverAndWait()
            #expect(outcome.result == .tlsFailed && outcome.tlsFailure == reason)
        }
        harness.finish()
        #expect(reached.load(ordering: .relaxed) == 0)
    }
    @Test func namesAPlainServerAndOneThatSpeaksHTTP2() throws {
        let plain = ScriptedServer { connection in connection.answer(400) }
        let second = ScriptedServer(tls: try TLSFixture.server("server")) { connection in
            _ = connection.readRequest()
            connection.send("\0\0\0\u{4}\0\0\0\0\0")
            connection.waitForClose()
        }
        let context = try TLSFixture.client()
        let harness = try EgressHarness([endpoint(plain, context), endpoint(second, context)])
        #expect(try harness.deliverAndWait(endpoint: 0).tlsFailure == .notTLS)
        #expect(try harness.deliverAndWait(endpoint: 1).tlsFailure == .noHTTP1)
        harness.finish()
    }
    @Test func anAnswerThatEndsWithItsConnectionCountsByItsStatus() throws {
        let server = ScriptedServer(tls: try TLSFixture.server("server")) { connection in
            guard connection.readRequest() != nil else { return }
            connection.send("HTTP/1.1 200 X\r\n\r\nup to the end")
            if connection.index == 1 { connection.finish() }
        }
        let harness = try EgressHarness([endpoint(server, TLSFixture.client())])
        // The status could be read, and decides; but the connection is not used again.
        for _ in 0..<2 { #expect(try harness.deliverAndWait().status == 200) }
        #expect(server.acceptedCount == 2)
        harness.finish()
    }
    @Test func givesUpOnAServerThatStopsInItsHandshake() throws {
        let server = ScriptedServer { connection in connection.waitForClose() }
        var description = endpoint(server, try TLSFixture.client())
        description.connectMillisMax = 200
        let harness = try EgressHarness([description])
        #expect(try harness.deliverAndWait().result == .connectTimedOut)
        // One that is stopped in the middle of another.
        harness.deliver()
        harness.finish()
    }
    @Test func aCloseOfAnIdleConnectionIsNoFailure() throws {
        let server = ScriptedServer(tls: try TLSFixture.server("server")) { connection in
            guard connection.readRequest() != nil else { return }
            connection.answer()
            connection.finish()
        }
        let harness = try EgressHarness([endpoint(server, TLSFixture.client())])
        for _ in 0..<20 {
            let outcome = try harness.deliverAndWait()
            #expect(outcome.status == 200 || outcome.lostReusedConnection, "\(outcome)")
        }
        harness.finish()
    }
    @Test func asksAProxyForATunnelToTheAddress() throws {
        let target = EgressTLSTests.echoServer(try TLSFixture.server("server"))
        let asked = Mutex<[String]>([])
        let refusing = ScriptedServer { connection in
            guard let request = connection.readRequest() else { return }
            asked.withLock { $0.append(request.head) }
            connection.send("HTTP/1.0 407 No\r\n\r\n")
            connection.waitForClose()
        }
        let plain = ScriptedServer { connection in
            guard let request = connection.readRequest() else { return }
            asked.withLock { $0.append(request.head) }
            connection.send("HTTP/1.1 200")
            connection.send(" OK\r\nVia: x\r\n\r\n")
            while connection.readRequest() != nil { connection.answer(204, "") }
        }
        let proxy = { (server: ScriptedServer) in
            DestinationProxy(addresses: [server.endpoint().addresses[0]], targets: ["192.0.2.1:443"])
        }
        var first = endpoint(target, try TLSFixture.client())
        first.proxy = proxy(refusing)
        var second = target.endpoint()
        second.proxy = proxy(plain)
        let harness = try EgressHarness([first, second])
        let outcome = try harness.deliverAndWait(endpoint: 0)
        #expect(outcome.result == .proxyRefused && outcome.systemError == 407)
        for _ in 0..<3 { #expect(try harness.deliverAndWait(endpoint: 1).status == 204) }
        harness.finish()
        #expect(target.acceptedCount == 0 && plain.acceptedCount == 1)
        let head = "CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: 192.0.2.1:443\r\n\r\n"
        #expect(asked.withLock { $0 } == [head, head])
    }
    @Test func anotherContextIsAnotherConnection() throws {
        let server = EgressTLSTests.echoServer(try TLSFixture.server("server", clients: .required))
        let harness = try EgressHarness([endpoint(server, TLSFixture.client("client"))])
        #expect(try harness.deliverAndWait().status == 200)
        try harness.replace(0, with: endpoint(server, TLSFixture.client()))
        #expect(try harness.deliverAndWait().tlsFailure == .certificateRefused)
        harness.finish()
    }
}
