// Requests that workers verify, over a real loop: the test is the worker, so each verdict comes when the test says.

import FastPath
import TestSupport
import Testing

struct OffloadTests {
    private let costly = HarnessSource(name: "costly", check: .worker(7))
    private let tokens = HarnessSource(name: "tokens", check: .token)
    private let tokenLine = "X-Token: \(IngestHarness.token)"

    @Test("A worker gets the request as it came, and its verdict decides the answer")
    func verdictDecides() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [costly])
        let client = IngestClient(port: harness.port)
        client.send(IngestClient.request("costly", ["X-Id: 1"], body: "first"))
        let first = try harness.nextOrder()
        #expect(first.verifierID == 7)
        #expect(first.request.body == Array("first".utf8))
        #expect(first.request.target == "/in/costly")
        #expect(first.request.values(of: "x-id") == [Array("1".utf8)])
        harness.link.answer(first, .accepted)
        #expect(client.response()?.status == 202)
        client.send(IngestClient.request("costly", body: "second"))
        harness.link.answer(try harness.nextOrder(), .rejected(.staleTimestamp))
        let refusal = try #require(client.response())
        #expect(refusal.status == 401)
        #expect(refusal.body.contains("stale_timestamp"))
        client.send(IngestClient.request("costly", body: "third"))
        harness.link.answer(try harness.nextOrder(), .undecided)
        let later = try #require(client.response())
        #expect(later.status == 503)
        #expect(later.head.lowercased().contains("retry-after:"))
        #expect(
            try harness.finish() == [LoggedEvent(source: "costly", body: Array("first".utf8), verdict: "verified")])
    }

    @Test("Bodies in chunks, in pieces and large ones reach the worker and the log whole")
    func bodiesWhole() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [costly])
        let client = IngestClient(port: harness.port)
        var expected: [[UInt8]] = []
        for size in [0, 1, 4000, 4096, 70_000, 400_000] {
            let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ size) }
            client.send(IngestClient.request("costly", ["X-Id: \(size)"], body: body))
            let order = try harness.nextOrder()
            #expect(order.request.body == body)
            harness.link.answer(order, .accepted)
            #expect(client.response()?.status == 202)
            expected.append(body)
        }
        let chunked = "POST /in/costly HTTP/1.1\r\nHost: h\r\nX-Id: c\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(Array((chunked + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").utf8))
        let order = try harness.nextOrder()
        #expect(order.request.body == Array("abcde".utf8))
        harness.link.answer(order, .accepted)
        #expect(client.response()?.status == 202)
        expected.append(Array("abcde".utf8))
        #expect(try harness.finish().map(\.body) == expected)
    }

    @Test("What comes behind a request that is being verified waits, and is answered in order")
    func pipelined() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [costly, tokens])
        let client = IngestClient(port: harness.port)
        let large = [UInt8](repeating: 65, count: 50_000)
        client.send(
            IngestClient.request("costly", ["X-Id: a"], body: "a")
                + IngestClient.request("tokens", ["X-Token: wrong"], body: "b")
                + IngestClient.request("costly", ["X-Id: c"], body: large)
                + IngestClient.request("tokens", [tokenLine, "X-Id: d"], body: "d"))
        let first = try harness.nextOrder()
        client.send(IngestClient.request("tokens", [tokenLine, "X-Id: e"], body: large))
        #expect(harness.hasNoOrder())
        harness.link.answer(first, .accepted)
        let second = try harness.nextOrder()
        #expect(second.request.body == large)
        harness.link.answer(second, .accepted)
        let statuses = (0..<5).map { _ in client.response()?.status }
        #expect(statuses == [202, 401, 202, 202, 202])
        #expect(try harness.finish().map(\.body) == [[97], large, [100], large])
    }

    @Test("A connection that goes away while its request is verified keeps its slot and block until the verdict")
    func closedMeanwhile() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [costly, tokens])
        for round in 0..<20 {
            let client = IngestClient(port: harness.port)
            client.send(IngestClient.request("costly", ["X-Id: \(round)"], body: "gone \(round)"))
            let order = try harness.nextOrder()
            client.reset()
            waitUntil { harness.count(.connectionsAccepted) == UInt64(round * 2 + 1) }
            let other = IngestClient(port: harness.port)
            other.send(IngestClient.request("tokens", [tokenLine, "X-Id: \(round)"], body: "here"))
            #expect(other.response()?.status == 202)
            #expect(harness.count(.connectionsClosed) <= UInt64(round * 2))
            harness.link.answer(order, round % 2 == 0 ? .accepted : .rejected(.signatureMismatch))
            other.reset()
            waitUntil { harness.count(.connectionsClosed) == UInt64(round * 2 + 2) }
        }
        #expect(try harness.finish().filter { $0.source == "tokens" }.count == 20)
    }

    @Test("With the workers' ring full a costly source answers 503, and others go on")
    func ringFull() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [costly, tokens], capacity: 4)
        let clients = (0..<4).map { _ in IngestClient(port: harness.port) }
        for (index, client) in clients.enumerated() {
            client.send(IngestClient.request("costly", ["X-Id: \(index)"], body: "waits"))
        }
        var orders: [OrderBox] = []
        for _ in 0..<4 { orders.append(OrderBox(try harness.nextOrder())) }
        let client = IngestClient(port: harness.port)
        client.send(IngestClient.request("costly", body: "too many"))
        let refusal = try #require(client.response())
        #expect(refusal.status == 503)
        #expect(refusal.body.contains("verifier_busy"))
        #expect(refusal.head.lowercased().contains("retry-after:"))
        client.send(IngestClient.request("tokens", [tokenLine], body: "quick"))
        #expect(client.response()?.status == 202)
        for box in orders { harness.link.answer(box.order, .accepted) }
        for client in clients { #expect(client.response()?.status == 202) }
        client.send(IngestClient.request("costly", body: "room again"))
        harness.link.answer(try harness.nextOrder(), .accepted)
        #expect(client.response()?.status == 202)
        #expect(try harness.finish().count == 6)
    }
    private final class OrderBox {
        let order: OffloadedRequest
        init(_ order: consuming OffloadedRequest) { self.order = order }
    }

    @Test("After a reload a request is judged by the configuration in force, whatever its old verdict")
    func reloadMeanwhile() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [costly])
        let client = IngestClient(port: harness.port)
        // Another verifier at the same path: it is asked too.
        client.send(IngestClient.request("costly", ["X-Id: 1"], body: "again"))
        let old = try harness.nextOrder()
        try harness.reload([HarnessSource(name: "costly", check: .worker(8))])
        harness.link.answer(old, .rejected(.signatureMismatch))
        let fresh = try harness.nextOrder()
        #expect(fresh.verifierID == 8)
        #expect(fresh.request.body == Array("again".utf8))
        harness.link.answer(fresh, .accepted)
        #expect(client.response()?.status == 202)
        // A verifier that is not known any more, and a scheme that the loop verifies itself.
        client.send(IngestClient.request("costly", [tokenLine, "X-Id: 2"], body: "hot now"))
        let retired = try harness.nextOrder()
        try harness.reload([HarnessSource(name: "costly", check: .token)])
        harness.link.answer(retired, .retired)
        #expect(client.response()?.status == 202)
        // A path that is gone; what waits behind it goes on.
        try harness.reload([costly])
        client.send(IngestClient.request("costly", body: "gone"))
        let gone = try harness.nextOrder()
        client.send(IngestClient.request("tokens", [tokenLine, "X-Id: 3"], body: "behind"))
        try harness.reload([tokens])
        harness.link.answer(gone, .accepted)
        #expect(client.response()?.status == 404)
        #expect(client.response()?.status == 202)
        let bodies = try harness.finish().map { String(decoding: $0.body, as: UTF8.self) }
        #expect(bodies == ["again", "hot now", "behind"])
    }

    @Test("A drain waits for the verdicts that are out", arguments: [false, true])
    func drainWaits(hasJournalThread: Bool) throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [costly], hasJournalThread: hasJournalThread)
        let client = IngestClient(port: harness.port)
        client.send(IngestClient.request("costly", body: "at the end"))
        let order = try harness.nextOrder()
        let idle = IngestClient(port: harness.port)
        waitUntil { harness.count(.connectionsAccepted) == 2 }
        harness.shared.drain()
        // The loop has seen it when an idle connection is closed.
        #expect(idle.response() == nil)
        #expect(harness.shared.stage == .running)
        harness.link.answer(order, .accepted)
        #expect(client.response()?.status == 202)
        #expect(client.response() == nil)
        #expect(try harness.finish().count == 1)
    }
}
