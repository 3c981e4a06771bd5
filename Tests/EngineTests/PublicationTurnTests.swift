// A worker's turn over many publications: the loop is told of what is decided before the turn is over.

import Engine
import FastPath
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

@Suite struct PublicationTurnTests {
    /// Answers each call; the first, and the one with this number, wait until they are let go.
    private final class Desk: PublicationDesk {
        let isBusy = DispatchSemaphore(value: 0)
        let first = DispatchSemaphore(value: 0)
        let held = DispatchSemaphore(value: 0)
        private let heldNumber: Int
        private let count = Mutex(0)

        init(holding number: Int) { heldNumber = number }
        func decide(_ call: borrowing OffloadedRequest) -> Publication {
            let number = count.withLock { count in
                count += 1
                return count
            }
            if number == 1 {
                isBusy.signal()
                first.wait()
            }
            if number == heldNumber { held.wait() }
            return .answered(PublicationAnswer(status: 404, body: Array("\(number)".utf8)))
        }
    }
    private func call() -> [UInt8] {
        Array("POST /api/v1/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer k\r\nContent-Length: 1\r\n\r\nx".utf8)
    }

    @Test func whatIsDecidedIsAnsweredWhileTheTurnGoesOn() throws {
        let folder = TemporaryFolder()
        var configuration = GatewayConfiguration()
        configuration.dataFolder = folder.path
        configuration.listen = ["127.0.0.1:0"]
        configuration.loops = .fixed(1)
        configuration.live.takesPublications = true
        configuration.log.segmentBytes = 4 << 20
        configuration.log.groupBytes = 512 << 10
        configuration.log.freeBytesMin = 0
        configuration.dedupEntryCount = 4096
        configuration.limits.connectionCountMax = 64
        configuration.limits.bodyBytesMax = 64 << 10
        configuration.limits.assemblyBytes = 1 << 20
        configuration.deliveryBufferBytes = 1 << 20
        let gateway = Gateway(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        // One of the turn that begins when all others wait: behind eight of them.
        let desk = Desk(holding: 10)
        gateway.setPublicationDesk(desk)
        try gateway.start()
        let port = try #require(UInt16(gateway.ingestAddresses[0].split(separator: ":").last ?? ""))
        let clients = (0..<12).map { _ in IngestClient(port: port) }
        clients[0].send(call())
        desk.isBusy.wait()
        // All of them are with the workers, in this order, before the first is let go, so that one turn has them.
        for place in 1..<12 {
            clients[place].send(call())
            waitUntil { gateway.status.ingest[.requests] ?? 0 > place }
        }
        desk.first.signal()
        // While the tenth is held, eight have been told; before, the loop slept until the turn was over.
        for place in 0..<8 { #expect(clients[place].response()?.status == 404) }
        desk.held.signal()
        for place in 8..<12 { #expect(clients[place].response()?.status == 404) }
        #expect(gateway.drain(withinMillis: 2000))
    }
}
