// A whole ingest loop on a simulated world: however bytes come and go, the answers are the same; whatever the peer or
// the disk does, nothing is answered before it is on disk, and everything that was lent comes home.

import FastPath
import TestSupport
import Testing

private let sources = [
    HarnessSource(name: "open", check: .none), HarnessSource(name: "token", check: .token, rejectedPerSecondMax: 0),
    HarnessSource(name: "hmac", check: .hmac),
]

private let chunked =
    "POST /in/open HTTP/1.1\r\nHost: a\r\nX-Id: c1\r\nTransfer-Encoding: chunked\r\n\r\n"
    + "5\r\nhello\r\n7;x=1\r\n, world\r\n0\r\nTrailer: t\r\n\r\n"

/// What one connection sends, whole.
private let exchanges: [String] = [
    post("open", "{\"a\":1}", "X-Id: 1\r\n"),
    post("open", "", "X-Id: empty\r\n"),
    post("open", "same", "X-Id: 2\r\n") + post("open", "same", "X-Id: 2\r\n"),
    post("token", "x", "X-Token: the right one\r\nX-Id: 3\r\n"),
    post("token", "x", "X-Token: wrong\r\n") + post("token", "y"),
    post("hmac", "x", "X-Signature: 00\r\n"),
    chunked + chunked,
    post("open", String(repeating: "b", count: 9000), "X-Id: 4\r\n") + "\r\n\r\n" + post("open", "c", "X-Id: 5\r\n"),
    "GET /in/open HTTP/1.1\r\nHost: a\r\n\r\n" + post("nowhere", "thrown away") + post("open", "d", "X-Id: 6\r\n"),
    "POST /in/open HTTP/1.0\r\nContent-Length: 3\r\nX-Id: 7\r\n\r\nabc",
    post("open", "e", "Connection: close\r\nX-Id: 8\r\n") + post("open", "not read", "X-Id: 9\r\n"),
    "POST /in/open HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "garbage\r\n\r\n", "POST /in/open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    post("open", String(repeating: "x", count: 60_000)),
    "POST /in/open HTTP/1.1\r\n" + String(repeating: "X-Field: 0123456789\r\n", count: 90) + "Host: a\r\nX-Id: 10\r\n"
        + "Content-Length: 4\r\n\r\nmany",
]

/// Plays one exchange in pieces of `pieceBytes` and returns what was answered.
private func play(_ text: String, pieceBytes: Int, sendBytesMax: Int = .max, bufferBytes: Int = 4096) throws -> String {
    let ingest = try SimulatedIngest(sources, bufferBytes: bufferBytes)
    ingest.world.sendBytesMax = sendBytesMax
    let socket = try #require(ingest.world.connect())
    ingest.tick()
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        socket.inbound += rest.prefix(pieceBytes)
        rest = rest.dropFirst(pieceBytes)
        ingest.tick(0)
    }
    ingest.ticks(40 + (sendBytesMax < 100 ? 4000 : 0))
    socket.isDone = true
    ingest.ticks(5)
    #expect(socket.isClosed)
    ingest.finish()
    return socket.text
}

struct IngestLoopSimulationTests {
    @Test func answersTheSameHoweverTheBytesCome() throws {
        for exchange in exchanges {
            let whole = try play(exchange, pieceBytes: .max)
            #expect(whole.hasPrefix("HTTP/1.1 "))
            for pieceBytes in [1, 2, 7, 64, 1000] where exchange.utf8.count < 5000 || pieceBytes > 2 {
                let pieces = try play(exchange, pieceBytes: pieceBytes)
                #expect(pieces == whole, "\(exchange.prefix(60)) in pieces of \(pieceBytes)")
            }
            #expect(try play(exchange, pieceBytes: 300, sendBytesMax: 1) == whole)
            let small = try play(exchange, pieceBytes: .max, bufferBytes: 64)
            #expect(small == whole, "\(exchange.prefix(60)) in small buffers")
        }
    }
    @Test func answersTheSameAtEverySplit() throws {
        let exchange = post("token", "{\"a\":1}", "X-Token: the right one\r\nX-Id: 3\r\n") + chunked
        let whole = try play(exchange, pieceBytes: .max)
        #expect(whole.components(of: "\"accepted\"") == 2)
        for cut in 1..<exchange.utf8.count {
            let ingest = try SimulatedIngest(sources)
            let socket = try #require(ingest.world.connect())
            socket.inbound += Array(exchange.utf8.prefix(cut))
            ingest.ticks(2)
            socket.inbound += Array(exchange.utf8.dropFirst(cut))
            ingest.ticks(6)
            #expect(socket.text == whole, "cut at \(cut)")
        }
    }
    @Test func answersNothingBeforeTheDisk() throws {
        let ingest = try SimulatedIngest(sources)
        ingest.world.holdsDisk = true
        let sockets = try (0..<3).map { _ in try #require(ingest.world.connect()) }
        ingest.tick()
        for (index, socket) in sockets.enumerated() {
            socket.inbound += Array(post("open", "x", "X-Id: \(index / 2)\r\n").utf8)
            ingest.ticks(3)
            #expect(socket.outbound.isEmpty)
        }
        ingest.world.holdsDisk = false
        ingest.ticks(4)
        #expect(sockets[0].text.contains("\"accepted\""))
        #expect(sockets[1].text.contains("\"duplicate\""))
        #expect(sockets[2].text.contains("\"accepted\""))
        ingest.finish()
    }
    @Test func whatTheDiskDoesNotKeepIsRefused() throws {
        for fault in [DiskFault.syncFails, .writeFails(5), .writeFails(28), .placingFails, .syncCancelled] {
            let ingest = try SimulatedIngest(sources)
            let first = try #require(ingest.world.connect())
            first.inbound += Array(post("open", "x", "X-Id: first\r\n").utf8)
            ingest.ticks(4)
            #expect(first.text.contains("\"accepted\""))
            // Twice: a group that fails once goes to another segment.
            ingest.world.disk.faults = [fault, fault]
            let socket = try #require(ingest.world.connect())
            socket.inbound += Array(post("open", "y", "X-Id: second\r\n").utf8)
            ingest.ticks(8)
            ingest.world.disk.faults = []
            #expect(socket.text.hasPrefix("HTTP/1.1 "), "\(fault)")
            let wasRefused = socket.text.contains("503")
            socket.inbound += Array(post("open", "y", "X-Id: second\r\n").utf8)
            ingest.ticks(30)
            #expect(socket.text.contains(wasRefused ? "\"accepted\"" : "\"duplicate\""), "\(fault)")
            #expect(ingest.world.disk.syncAfterFailureCount == 0)
            ingest.finish()
        }
    }
    @Test func aHangingDiskIsAnsweredAndItsLateReceiptIsNobodys() throws {
        let ingest = try SimulatedIngest(sources)
        ingest.world.holdsDisk = true
        let socket = try #require(ingest.world.connect())
        socket.inbound += Array(post("open", "x", "X-Id: slow\r\n").utf8)
        ingest.ticks(2)
        ingest.tick(20_000)
        ingest.ticks(3)
        #expect(socket.text.contains("log_slow"))
        let answer = socket.text
        ingest.world.holdsDisk = false
        ingest.ticks(4)
        #expect(socket.text == answer)
        let again = try #require(ingest.world.connect())
        again.inbound += Array(post("open", "x", "X-Id: slow\r\n").utf8)
        ingest.ticks(4)
        #expect(again.text.contains("\"duplicate\""))
        ingest.finish()
    }
    @Test func whoSendsNothingIsTimedOut() throws {
        for (sent, answer) in [("", ""), ("POST /in", "408"), (String(post("open", "abc").dropLast()), "408")] {
            let ingest = try SimulatedIngest(sources)
            let socket = try #require(ingest.world.connect())
            socket.inbound += Array(sent.utf8)
            ingest.ticks(2)
            ingest.tick(100_000)
            ingest.ticks(3)
            #expect(answer.isEmpty ? socket.outbound.isEmpty : socket.text.contains(answer))
            ingest.tick(100_000)
            ingest.ticks(3)
            #expect(socket.isClosed)
            ingest.finish()
        }
    }
    @Test func anExpectingClientIsToldToGoOnOrWhyNot() throws {
        let ingest = try SimulatedIngest(sources)
        func begin(_ path: String) throws -> SimulatedSocket {
            let socket = try #require(ingest.world.connect())
            let head = post(path, "", "X-Id: e\r\nExpect: 100-continue\r\n").replacing("Length: 0", with: "Length: 4")
            socket.inbound += Array(head.utf8)
            ingest.ticks(3)
            return socket
        }
        let taken = try begin("open")
        #expect(taken.text == "HTTP/1.1 100 Continue\r\n\r\n")
        taken.inbound += Array("body".utf8)
        ingest.ticks(4)
        #expect(taken.text.contains("\"accepted\""))
        let refused = try begin("nowhere")
        #expect(refused.text.hasPrefix("HTTP/1.1 404 ") && refused.text.contains("Connection: close"))
        ingest.finish()
    }
    @Test func aRequestIsNotAnsweredAsTheOneBeforeIt() throws {
        let ingest = try SimulatedIngest(sources)
        let socket = try #require(ingest.world.connect())
        socket.inbound += Array("HEAD /in/open HTTP/1.1\r\nHost: a\r\n\r\ngarbage\r\n\r\n".utf8)
        ingest.ticks(6)
        #expect(socket.text.hasPrefix("HTTP/1.1 405 ") && socket.text.contains("\"reason\":\"bad_"))
        ingest.finish()
    }
    @Test func anEmptyLineInPiecesBeginsNoRequest() throws {
        let ingest = try SimulatedIngest(sources)
        let socket = try #require(ingest.world.connect())
        for piece in [post("open", "a"), "\r", "\n"] {
            socket.inbound += Array(piece.utf8)
            ingest.ticks(4)
        }
        ingest.tick(100_000)
        ingest.ticks(3)
        #expect(socket.isClosed && !socket.text.contains("408"))
        ingest.finish()
    }
    @Test func thoseWhoseTimeIsOverEndAFewAtATime() throws {
        let ingest = try SimulatedIngest(sources) { $0.connectionCountMax = 300 }
        let silent = try (0..<200).map { _ in try #require(ingest.world.connect()) }
        for socket in silent { socket.inbound += Array("POST /in/open HT".utf8) }
        ingest.ticks(20)
        ingest.tick(60_000)
        let first = ingest.count(.connectionsTimedOut)
        #expect(first > 0 && first < 20)
        // Others are served between them.
        let socket = try #require(ingest.world.connect())
        ingest.tick()
        socket.inbound += Array(post("open", "x", "X-Id: between\r\n").utf8)
        ingest.ticks(3)
        #expect(socket.text.contains("\"accepted\"") && ingest.count(.connectionsTimedOut) < 200)
        ingest.ticks(40)
        #expect(ingest.count(.connectionsTimedOut) == 200)
        // The memory for requests has room for 64 of them.
        #expect(silent.count { $0.text.contains("408") } == 64)
        ingest.finish()
    }
    @Test func runsOutOfMemoryWithoutLosingAnyOfIt() throws {
        let ingest = try SimulatedIngest(sources, assemblyBytes: 64 << 10)
        let sockets = try (0..<24).map { _ in try #require(ingest.world.connect()) }
        ingest.tick()
        for socket in sockets {
            socket.inbound += Array(post("open", String(repeating: "m", count: 40_000)).utf8.prefix(12_000))
            ingest.ticks(2)
        }
        #expect(ingest.count(.assemblyExhausted) > 0)
        #expect(sockets.contains { $0.text.contains("memory_busy") })
        for socket in sockets { socket.isReset = true }
        ingest.ticks(10)
        ingest.finish()
    }

    @Test(arguments: 1...12) func aRandomWorldGetsEverythingBack(seed: Int) throws {
        var random = SeededRandom(UInt64(seed))
        func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
        let ingest = try SimulatedIngest(
            sources, seed: UInt64(seed), bufferCount: [4, 64][pick(2)], bufferBytes: [32, 512, 4096][pick(3)],
            assemblyBytes: [64 << 10, 256 << 10][pick(2)])
        var sockets: [SimulatedSocket] = []
        var nextKey = 0
        for _ in 0..<3000 {
            switch pick(12) {
            case 0: if sockets.count < 24, let socket = ingest.world.connect() { sockets.append(socket) }
            case 1, 2, 3, 4:
                guard !sockets.isEmpty else { break }
                let place = pick(sockets.count)
                nextKey += 1
                let body = String(repeating: "k", count: [0, 10, 3000, 20_000][pick(4)])
                var text = post("open", body, "X-Id: k\(nextKey)\r\n")
                if pick(10) == 0 { text = exchanges[pick(exchanges.count)] }
                if pick(6) == 0 { text = String(text.prefix(pick(text.utf8.count) + 1)) }
                sockets[place].inbound += Array(text.utf8)
            case 5: ingest.world.holdsDisk = pick(2) == 0
            case 6: ingest.world.sendBytesMax = [1, 40, .max, .max][pick(4)]
            case 7 where pick(4) == 0 && !sockets.isEmpty: sockets[pick(sockets.count)].isDone = true
            case 8 where pick(4) == 0 && !sockets.isEmpty: sockets[pick(sockets.count)].isReset = true
            case 9 where pick(6) == 0:
                ingest.world.disk.faults = [[.syncFails, .writeFails(5), .shortWrite(700), .interrupted][pick(4)]]
            default: ingest.tick(UInt64([0, 1, 1, 50, 3000][pick(5)]))
            }
            sockets.removeAll { $0.isClosed }
        }
        #expect(ingest.count(.accepted) > 100)
        ingest.world.sendBytesMax = .max
        ingest.finish()
        #expect(ingest.world.disk.syncAfterFailureCount == 0)
    }
}

extension String {
    fileprivate func components(of part: String) -> Int { ranges(of: part).count }
}
