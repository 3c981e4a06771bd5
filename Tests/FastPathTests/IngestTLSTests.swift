// TLS in front of an ingest loop, in a simulated world: the same answers as without, however the ciphertext is cut; and
// what is no handshake ends, is counted, and harms nobody.

import FastPath
import TestSupport
import Testing

private let sources = [HarnessSource(name: "open", check: .none), HarnessSource(name: "token", check: .token)]

func post(_ path: String, _ body: String, _ fields: String = "") -> String {
    "POST /in/\(path) HTTP/1.1\r\nHost: a\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
}

/// A client of TLS on a simulated socket.
final class SecureClient {
    let socket: SimulatedSocket
    private let ingest: SimulatedIngest
    private let context: TLSContext
    var side: TLSSide
    /// Bytes a tick in each direction.
    var pieceBytes: Int

    init(_ ingest: SimulatedIngest, _ context: TLSContext, pieceBytes: Int = .max) throws {
        self.ingest = ingest
        self.context = context
        self.pieceBytes = pieceBytes
        socket = try #require(ingest.world.connect())
        guard
            let session = TLSSession(
                connecting: context.view, name: Array("sluice.test".utf8CString), isAddress: false)
        else { throw HarnessError.noMemory }
        side = TLSSide(session)
        side.take([])
        ingest.ticks(2)
        exchange()
    }
    /// Until neither side has anything to say.
    func exchange() {
        var quiet = 0
        while quiet < 4 {
            let sent = side.give(pieceBytes)
            socket.inbound += sent
            ingest.tick(0)
            let received = Array(socket.outbound.prefix(pieceBytes))
            socket.outbound.removeFirst(received.count)
            if !received.isEmpty { side.take(received) }
            quiet = sent.isEmpty && received.isEmpty ? quiet + 1 : 0
        }
    }
    func send(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            guard let taken = side.write(Array(rest.prefix(8000))) else { return }
            rest = rest.dropFirst(taken)
            exchange()
        }
    }
    var text: String { String(decoding: side.plaintext, as: UTF8.self) }
}

private func plain(_ text: String) throws -> String {
    let ingest = try SimulatedIngest(sources)
    let socket = try #require(ingest.world.connect())
    socket.inbound += Array(text.utf8)
    ingest.ticks(20)
    return socket.text
}

struct IngestTLSTests {
    private let exchanges = [
        post("open", "{\"a\":1}", "X-Id: 1\r\n"), post("open", "a", "X-Id: 2\r\n") + post("open", "b", "X-Id: 3\r\n"),
        post("token", "x", "X-Token: wrong\r\n"), post("open", String(repeating: "b", count: 30_000), "X-Id: 4\r\n"),
        "POST /in/open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "garbage\r\n\r\n",
    ]

    @Test func answersAsWithoutTLSHoweverTheCiphertextIsCut() throws {
        let client = try TLSFixture.client()
        for exchange in exchanges {
            let expected = try plain(exchange)
            for (pieceBytes, sendBytesMax) in [(Int.max, Int.max), (1000, 7), (1, Int.max)]
            where pieceBytes > 1 || exchange.utf8.count < 1000 {
                let ingest = try SimulatedIngest(sources, tls: TLSFixture.server("server_rsa", "server"))
                ingest.world.sendBytesMax = sendBytesMax
                let connection = try SecureClient(ingest, client, pieceBytes: pieceBytes)
                connection.send(exchange)
                #expect(connection.text == expected, "\(exchange.prefix(40)) in pieces of \(pieceBytes)")
                #expect(ingest.count(.tlsHandshakes) == 1)
                connection.socket.isDone = true
                ingest.ticks(5)
                ingest.finish()
            }
        }
    }
    @Test func aLastAnswerSaysThatNothingFollows() throws {
        let ingest = try SimulatedIngest(sources, tls: TLSFixture.server("server"))
        let connection = try SecureClient(ingest, TLSFixture.client())
        connection.send(post("open", "x", "Connection: close\r\n"))
        #expect(connection.text.contains("\"accepted\""))
        #expect(connection.side.last == .closed)
        ingest.finish()
    }
    @Test func anInterimAnswerIsNotTheLastWord() throws {
        let ingest = try SimulatedIngest(sources, tls: TLSFixture.server("server"))
        let connection = try SecureClient(ingest, TLSFixture.client())
        let whole = post("open", "body", "Connection: close\r\nExpect: 100-continue\r\nX-Id: e\r\n")
        connection.send(String(whole.dropLast(4)))
        #expect(connection.text == "HTTP/1.1 100 Continue\r\n\r\n")
        connection.send("body")
        #expect(connection.text.contains("\"accepted\""))
        #expect(connection.side.last == .closed)
        ingest.finish()
    }
    @Test func theClientMaySayThatNothingFollows() throws {
        let ingest = try SimulatedIngest(sources, tls: TLSFixture.server("server"))
        let connection = try SecureClient(ingest, TLSFixture.client())
        _ = connection.side.write(Array(post("open", "x").utf8))
        connection.side.session.finish()
        connection.exchange()
        #expect(connection.text.contains("\"accepted\""))
        ingest.ticks(5)
        #expect(connection.socket.isClosed)
        ingest.finish()
    }
    @Test func whatIsNoHandshakeIsCountedAndEnds() throws {
        for (bytes, failure) in [
            (post("open", "x"), TLSFailure.plainHTTP), ("\u{16}\u{3}\u{1}garbage that is no hello at all", .malformed),
            (String(repeating: "z", count: 300), .notTLS),
        ] {
            let ingest = try SimulatedIngest(sources, tls: TLSFixture.server("server"))
            let socket = try #require(ingest.world.connect())
            ingest.ticks(2)
            socket.inbound += Array(bytes.utf8)
            ingest.ticks(5)
            ingest.tick(5000)
            ingest.ticks(3)
            #expect(socket.isClosed, "\(failure)")
            let counted = TLSFailure.allCases.filter { ingest.metrics.tlsFailures.read(Int($0.rawValue)) > 0 }
            #expect(counted.count == 1 && (counted[0] == failure || failure == .malformed), "\(counted)")
            let good = try SecureClient(ingest, TLSFixture.client())
            good.send(post("open", "x"))
            #expect(good.text.contains("\"accepted\""))
            ingest.finish()
        }
    }
    @Test func aHandshakeThatStopsIsTimedOut() throws {
        let ingest = try SimulatedIngest(sources, tls: TLSFixture.server("server"))
        let socket = try #require(ingest.world.connect())
        ingest.ticks(2)
        socket.inbound += [22, 3, 1]
        ingest.ticks(3)
        ingest.tick(20_000)
        ingest.ticks(3)
        #expect(socket.isClosed && socket.outbound.isEmpty)
        ingest.finish()
    }
    @Test func aFloodOfHandshakesWaitsWhileOthersNeedTheLoop() {
        var gate = HandshakeGate()
        gate.refill(now: 1_000_000_000, isContended: false)
        var count = 0
        while gate.letIn() { count += 1 }
        #expect(count > 10)
        // A second of contention: a twentieth of it, whatever one takes.
        for nanos: UInt64 in [50_000, 1_000_000] {
            for _ in 0..<100 { gate.took(nanos) }
            count = 0
            for tick in 1...1000 {
                gate.refill(now: 1_000_000_000 + UInt64(tick) * 1_000_000, isContended: true)
                while gate.letIn() { count += 1 }
            }
            #expect(UInt64(count) * nanos < 70_000_000)
            #expect(UInt64(count) * nanos > 20_000_000)
            gate = HandshakeGate()
            gate.refill(now: 1_000_000_000, isContended: true)
        }
    }
    @Test func whatCameToNothingIsGivenBack() {
        var gate = HandshakeGate()
        gate.refill(now: 1_000_000_000, isContended: true)
        for _ in 0..<10_000 {
            let isLetIn = gate.letIn()
            #expect(isLetIn)
            gate.giveBack()
        }
    }
    /// Each of them was once let in, and paid for, ahead of who had something to say.
    @Test func whoSaysNothingKeepsNoHandshakeWaiting() throws {
        let ingest = try SimulatedIngest(sources, tls: TLSFixture.server("server")) { $0.connectionCountMax = 400 }
        let silent = try (0..<300).map { _ in try #require(ingest.world.connect()) }
        ingest.tick()
        let first = try SecureClient(ingest, TLSFixture.client())
        #expect(ingest.count(.tlsHandshakes) == 1)
        first.send(post("open", "x"))
        #expect(first.text.contains("\"accepted\""))
        // They go, without a word or with half of one.
        for (index, socket) in silent.enumerated() {
            if index % 2 == 0 { socket.isDone = true } else { socket.inbound += [22, 3, 1] }
        }
        ingest.ticks(30)
        #expect(silent.enumerated().allSatisfy { $1.isClosed == ($0 % 2 == 0) })
        _ = try SecureClient(ingest, TLSFixture.client())
        #expect(ingest.count(.tlsHandshakes) == 2)
        ingest.tick(20_000)
        ingest.ticks(30)
        #expect(silent.allSatisfy { $0.isClosed && $0.outbound.isEmpty })
        ingest.finish()
    }
    @Test func addressesAreCountedOneByOne() throws {
        var counts = AddressCounts(countMax: 3, capacity: 100, seed: 9)
        var random = SeededRandom(4)
        var model: [IPAddress: Int] = [:]
        let addresses = try (0..<60).map { index in
            try #require(IPAddress(index % 2 == 0 ? "10.0.0.\(index)" : "2001:db8:0:\(index)::1"))
        }
        for _ in 0..<20_000 {
            let address = addresses[Int(random.next() % 60)]
            if random.next() % 2 == 0, model.values.reduce(0, +) < 100 {
                let isTaken = counts.add(address)
                #expect(isTaken == (model[address, default: 0] < 3))
                if isTaken { model[address, default: 0] += 1 }
            } else if model[address, default: 0] > 0 {
                counts.remove(address)
                model[address]! -= 1
            }
            for (address, count) in model { #expect(counts.count(address) == count) }
        }
        let (one, other) = (try #require(IPAddress("2001:db8:0:1::1")), try #require(IPAddress("2001:db8:0:1:ff::2")))
        #expect(counts.count(one) == counts.count(other), "one /64 is one client")
    }
}
