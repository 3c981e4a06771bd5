// The egress loop in a simulated world: the same requests and outcomes as over real sockets, however what is sent and
// what is answered are cut, and everything comes home whatever the other end does.

import FastPath
import Foundation
import TestSupport
import Testing

/// What became of it, as far as no clock has a part in it.
private struct Fate: Equatable, CustomStringConvertible {
    var result: DeliveryResult
    var status: UInt16
    var retryAfterSeconds: UInt32
    init(_ outcome: DeliveryOutcome) {
        (result, status, retryAfterSeconds) = (outcome.result, outcome.status, outcome.retryAfterSeconds)
    }
    init(_ result: DeliveryResult, _ status: UInt16 = 0, _ retryAfterSeconds: UInt32 = .max) {
        (self.result, self.status, self.retryAfterSeconds) = (result, status, retryAfterSeconds)
    }
    var description: String { "\(result) \(status) \(retryAfterSeconds)" }
}

/// The time that a request tells is the world's of the moment.
private func withoutTime(_ request: String) -> String {
    request.replacing(/webhook-timestamp: 17[0-9]{8}\r\n/, with: "")
}

private let answers: [(EndpointAnswer, Fate)] = [
    (EndpointAnswer(text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), Fate(.answered, 200)),
    (
        EndpointAnswer(text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n"),
        Fate(.answered, 200)
    ),
    (
        EndpointAnswer(text: "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
        Fate(.answered, 204)
    ),
    (
        EndpointAnswer(text: "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"),
        Fate(.answered, 503, 7)
    ),
    (EndpointAnswer(text: "HTTP/1.1 200 OK\r\n\r\nuntil the end", end: .closed), Fate(.answered, 200)),
    (EndpointAnswer(text: "HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\ncut", end: .closed), Fate(.answered, 500)),
    (EndpointAnswer(text: "no HTTP at all\r\n\r\n", end: .closed), Fate(.badAnswer)),
    (EndpointAnswer(text: "", end: .closed), Fate(.connectionLost)),
    (EndpointAnswer(text: "", end: .reset), Fate(.connectionLost)),
    (EndpointAnswer(text: "HTTP/1.1 200", end: .reset), Fate(.connectionLost)),
]

@Suite struct EgressLoopSimulationTests {
    private static let body = "{\"n\":1}"
    private static func request(_ token: UInt64) -> String {
        "POST /hooks HTTP/1.1\r\nHost: sim.test\r\nUser-Agent: Sluice/test\r\n"
            + "Content-Length: \(body.utf8.count)\r\nwebhook-id: evt_\(token)\r\n\r\n\(body)"
    }

    @Test func requestsAndOutcomesDoNotDependOnHowBytesAreCut() throws {
        for (answer, expected) in answers {
            for (pieceBytes, sendBytesMax, bufferBytes) in [
                (Int.max, Int.max, 4096), (1, Int.max, 4096), (7, 5, 4096), (1, 1, 64), (Int.max, 1, 16),
            ] {
                let egress = try SimulatedEgress(bufferBytes: bufferBytes)
                egress.world.sendBytesMax = sendBytesMax
                let endpoint = SimulatedEndpoint(egress.world, answer, pieceBytes: pieceBytes)
                for token in [egress.deliver(Self.body), egress.deliver(Self.body)] {
                    for _ in 0..<2000 where egress.outcomes[token] == nil {
                        egress.tick()
                        endpoint.step()
                    }
                }
                let fates = egress.outcomes.values.map { Fate($0) }
                #expect(fates == [expected, expected], "\(answer.text) in pieces of \(pieceBytes)")
                #expect(endpoint.requests.map(withoutTime).sorted() == [Self.request(1), Self.request(2)])
                egress.finish()
            }
        }
    }
    @Test func realSocketsBringTheSameOutcomes() throws {
        for (answer, expected) in answers {
            let server = ScriptedServer { connection in
                guard connection.readRequest() != nil else { return }
                connection.send(answer.text)
                switch answer.end {
                case .open: connection.waitForClose()
                case .closed: break
                case .reset: connection.resetAtClose()
                }
            }
            let harness = try EgressHarness([server.endpoint()])
            #expect(try Fate(harness.deliverAndWait()) == expected, "\(answer.text)")
            harness.finish()
            server.stop()
        }
    }
    @Test func oneConnectionCarriesOneRequestAfterTheOther() throws {
        let egress = try SimulatedEgress()
        let endpoint = SimulatedEndpoint(egress.world, answers[0].0, pieceBytes: 3)
        for _ in 0..<5 {
            egress.deliver(Self.body)
            for _ in 0..<100 {
                egress.tick()
                endpoint.step()
            }
        }
        #expect(egress.world.connected.count == 1 && endpoint.requests.count == 5)
        // Idle for longer than it is kept.
        egress.tick(20_000)
        egress.ticks(3)
        #expect(egress.world.openCount == 0)
        egress.finish()
    }
    @Test func whatStallsTimesOutWhereItStands() throws {
        let connecting = try SimulatedEgress()
        connecting.world.holdsConnects = true
        let first = connecting.deliver(Self.body)
        connecting.ticks(5)
        #expect(connecting.outcomes.isEmpty)
        connecting.tick(1100)
        connecting.ticks(2)
        #expect(connecting.outcomes[first]?.result == .connectTimedOut)
        connecting.finish()

        for (text, result) in [
            ("", DeliveryResult.headTimedOut), ("HTTP/1.1 20", .headTimedOut),
            ("HTTP/1.1 200 OK\r\nContent-", .answered),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", .answered),
        ] {
            let egress = try SimulatedEgress()
            let endpoint = SimulatedEndpoint(egress.world, EndpointAnswer(text: text), pieceBytes: .max)
            let token = egress.deliver(Self.body)
            for _ in 0..<10 {
                egress.tick()
                endpoint.step()
            }
            #expect(egress.outcomes.isEmpty)
            for _ in 0..<6 { egress.tick(1000) }
            #expect(egress.outcomes[token]?.result == result, "\(text)")
            egress.finish()
        }
    }
    @Test func aConnectThatFailsSaysWhy() throws {
        let egress = try SimulatedEgress()
        egress.world.connectResult = -111
        let token = egress.deliver(Self.body)
        egress.ticks(5)
        #expect(egress.outcomes[token]?.result == .connectFailed && egress.outcomes[token]?.systemError == 111)
        egress.finish()
    }
    @Test func aLinkLocalAddressIsConnectedToOnItsInterface() throws {
        let link = try #require(IPAddress("fe80::2"))
        for (address, scope) in [(link, UInt32(0)), (link, 7), (IPAddress(v4: 0x0A00_0001), 7)] {
            let egress = try SimulatedEgress(address: SocketAddress(address: address, port: 80, scope: scope))
            egress.deliver(Self.body)
            egress.ticks(3)
            let bytes = try #require(egress.world.connectAddresses.first)
            guard address.family == .v6 else {
                #expect(bytes == [2, 0, 0, 80, 10, 0, 0, 1] + [UInt8](repeating: 0, count: 8))
                continue
            }
            // A sockaddr_in6: family, port, flow label, address, scope; numbers of the host but for the port.
            #expect(bytes.count == 28 && Array(bytes[2..<4]) == [0, 80] && Array(bytes[8..<24]) == link.bytes)
            #expect(Array(bytes[24...]) == [UInt8(scope), 0, 0, 0])
            egress.finish()
        }
    }
    @Test func aLostConnectionThatWasUsedBeforeIsSaidToBeOne() throws {
        let egress = try SimulatedEgress()
        let endpoint = SimulatedEndpoint(egress.world, answers[0].0, pieceBytes: .max)
        let first = egress.deliver(Self.body)
        for _ in 0..<10 {
            egress.tick()
            endpoint.step()
        }
        let socket = try #require(egress.world.connected.first)
        let second = egress.deliver(Self.body)
        egress.ticks(2)
        #expect(withoutTime(socket.text) == Self.request(2))
        socket.isReset = true
        egress.ticks(5)
        #expect(egress.outcomes[first]?.lostReusedConnection == false)
        let outcome = try #require(egress.outcomes[second])
        #expect(outcome.result == .connectionLost && outcome.lostReusedConnection)
        egress.finish()
    }
    @Test(arguments: 1...12) func randomWorldsGiveEverythingBack(_ seed: UInt64) throws {
        var random = SeededRandom(seed)
        let egress = try SimulatedEgress(seed: seed, bufferBytes: [16, 64, 4096][Int(seed % 3)])
        let endpoints = answers.map { SimulatedEndpoint(egress.world, $0.0, pieceBytes: Int(1 + random.next() % 40)) }
        for step in 0..<1500 {
            switch random.next() % 12 {
            case 0 where step < 1200 && egress.waitingCount < 30: egress.deliver(Self.body)
            case 1: egress.world.holdsConnects = random.next() % 4 == 0
            case 2: egress.world.sendBytesMax = Int(1 + random.next() % 300)
            case 3: egress.world.connectResult = random.next() % 5 == 0 ? -111 : 0
            case 4:
                let sockets = egress.world.connected
                if !sockets.isEmpty, random.next() % 6 == 0 {
                    sockets[Int(random.next() % UInt64(sockets.count))].isReset = true
                }
            case 5: egress.tick(random.next() % 900)
            default: endpoints[Int(random.next() % UInt64(endpoints.count))].step()
            }
            egress.tick()
        }
        #expect(!egress.outcomes.isEmpty)
        egress.finish()
    }
}
