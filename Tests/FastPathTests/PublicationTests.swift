// Publications over a real loop: the test is the worker that makes event and answer, the loop keeps and answers.

import FastPath
import TestSupport
import Testing

struct PublicationTests {
    private let publish = HarnessSource(name: "publish", check: .publications(9))
    private let tokens = HarnessSource(name: "tokens", check: .token)
    private let tokenLine = "X-Token: \(IngestHarness.token)"

    private func event(_ body: [UInt8], key: String? = nil) -> InjectedEvent {
        var event = InjectedEvent(source: "@publish")
        event.sourceNumber = 77
        event.tenant = RecordFormat.tenantBytes(of: 5)
        event.dedupKey = Array((key ?? "").utf8)
        event.dedupWindowSeconds = key == nil ? 0 : 3600
        event.eventType = Array("order.paid".utf8)
        event.target = Array("/api/v1/events".utf8)
        event.fieldLines = Array("Content-Type: application/json\r\n".utf8)
        event.body = body
        return event
    }
    /// The id stands between two texts.
    private func answer(
        _ before: String = "id=", _ form: PublicationIDForm = .event, after: String = ";", status: Int = 202
    ) -> PublicationAnswer {
        let place = [UInt8](repeating: 48, count: form.byteCount)
        var answer = PublicationAnswer(status: status, body: Array(before.utf8) + place + Array(after.utf8))
        answer.idForm = form
        answer.idPlace = before.utf8.count
        answer.lines = "X-Request-Id: r\r\n"
        return answer
    }
    private func give(_ harness: IngestHarness, _ order: borrowing OffloadedRequest, _ publication: Publication) {
        harness.link.answer(order, publication)
        harness.link.wakeLoop()
    }

    @Test(arguments: [false, true])
    func anEventIsKeptAsTheWorkerMadeItAndNamedInItsAnswer(hasJournalThread: Bool) throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish], hasJournalThread: hasJournalThread)
        let client = IngestClient(port: harness.port)
        var answers: [IngestClient.Response] = []
        for form in [PublicationIDForm.event, .message] {
            client.send(IngestClient.request("publish", ["X-Id: 1"], body: "{\"a\":1}"))
            let order = try harness.nextOrder()
            #expect(order.request.body == Array("{\"a\":1}".utf8) && order.duplicateOf == nil)
            #expect(order.client?.text == "127.0.0.1")
            let made = Publication.offered(event([1, 2, 3]), accepted: answer("id=", form), duplicate: nil)
            give(harness, order, made)
            answers.append(try #require(client.response()))
        }
        #expect(answers.allSatisfy { $0.status == 202 && $0.head.contains("X-Request-Id: r\r\n") })
        #expect(answers.allSatisfy { $0.head.contains("Content-Type: application/json\r\n") })
        let id = try #require(EventID(String(answers[0].body.dropFirst(3).dropLast())))
        #expect(answers[0].body == "id=\(id.text);" && answers[1].body.hasPrefix("id=msg_"))
        #expect(answers[1].body.utf8.count == 3 + EventID.messageByteCount + 1)
        let kept = LoggedEvent(
            source: "@publish", body: [1, 2, 3], verdict: "verified", sourceNumber: 77, tenantNumber: 5)
        #expect(try harness.finish() == [kept, kept])
    }

    @Test("A call that a worker refuses leaves nothing in the log, whatever the length of its answer")
    func refusals() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish])
        let client = IngestClient(port: harness.port)
        for (status, count) in [(401, 10), (404, 500), (422, 900), (422, 40_000), (409, 1)] {
            client.send(IngestClient.request("publish", body: "x"))
            var refusal = PublicationAnswer(status: status, body: [UInt8](repeating: 65, count: count))
            refusal.contentType = "application/problem+json"
            give(harness, try harness.nextOrder(), .answered(refusal))
            let answer = try #require(client.response())
            #expect(answer.status == status && answer.body.utf8.count == count)
            #expect(answer.head.contains("Content-Type: application/problem+json\r\n"))
            #expect(!answer.head.contains("Sluice-Durability"))
        }
        #expect(try harness.finish().isEmpty)
    }

    @Test("Answers larger than a connection's room come whole and in order, and their memory comes home")
    func largeAnswers() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish, tokens])
        let client = IngestClient(port: harness.port)
        // Many times what may be held at once.
        for round in 0..<60 {
            let filling = String(repeating: Character(Unicode.Scalar(UInt8(97 + round % 26))), count: 400_000)
            client.send(
                IngestClient.request("publish", body: [UInt8](repeating: 66, count: 400_000))
                    + IngestClient.request("tokens", [tokenLine, "X-Id: \(round)"], body: "t"))
            let made = Publication.offered(
                event([UInt8(round)]), accepted: answer("id=", .message, after: filling), duplicate: nil)
            give(harness, try harness.nextOrder(), made)
            let first = try #require(client.response())
            #expect(first.status == 202 && first.body.hasSuffix(filling) && first.body.hasPrefix("id=msg_"))
            #expect(first.body.utf8.count == 3 + EventID.messageByteCount + 400_000)
            #expect(client.response()?.status == 202)
        }
        #expect(try harness.finish().count == 120)
    }

    @Test("Of a duplicate the worker's word is sent; where it has none, the worker sees the call again")
    func duplicates() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish])
        let client = IngestClient(port: harness.port)
        func offer(_ key: String, duplicate: PublicationAnswer?) throws {
            client.send(IngestClient.request("publish", body: key))
            let made = Publication.offered(event([1], key: key), accepted: answer("new="), duplicate: duplicate)
            give(harness, try harness.nextOrder(), made)
        }
        try offer("a", duplicate: answer("old="))
        let first = try #require(client.response())
        try offer("a", duplicate: answer("old="))
        let second = try #require(client.response())
        #expect(first.body.hasPrefix("new=") && second.body == "old=" + first.body.dropFirst(4))
        try offer("a", duplicate: answer("known", .none, status: 409))
        #expect(client.response()?.status == 409)
        try offer("a", duplicate: nil)
        let again = try harness.nextOrder()
        let id = try #require(EventID(String(first.body.dropFirst(4).dropLast())))
        #expect(again.duplicateOf == id.sequence && again.request.body == Array("a".utf8))
        give(harness, again, .answered(answer("looked up", .none)))
        let looked = try #require(client.response())
        #expect(looked.body == "looked up;" && looked.head.contains("Sluice-Durability: fsync"))
        #expect(harness.count(.accepted) == 1 && harness.count(.duplicate) == 3)
        #expect(try harness.finish().count == 1)
    }

    @Test("What no worker decides is refused as the control API would, and so is another method")
    func undecided() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish])
        let client = IngestClient(port: harness.port)
        client.send(IngestClient.request("publish", body: "x"))
        harness.link.answer(try harness.nextOrder(), .undecided)
        let busy = try #require(client.response())
        #expect(busy.status == 503 && busy.body == #"{"code":"unavailable","detail":"verifier_busy"}"#)
        #expect(busy.head.contains("Retry-After:"))
        client.send(Array("GET /in/publish HTTP/1.1\r\nHost: h\r\n\r\n".utf8))
        let method = try #require(client.response())
        #expect(method.status == 405 && method.body.hasPrefix(#"{"code":"method_not_allowed""#))
        client.send(IngestClient.request("publish", body: [UInt8](repeating: 65, count: 1_100_000)))
        let large = try #require(client.response())
        #expect(large.status == 413 && large.body.hasPrefix(#"{"code":"payload_too_large""#))
        #expect(try harness.finish().isEmpty)
    }

    @Test("Whoever goes away leaves nothing behind: before the verdict, before the commit, within a large answer")
    func closedMeanwhile() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish, tokens])
        let large = String(repeating: "l", count: 3_000_000)
        for round in 0..<60 {
            let client = IngestClient(port: harness.port)
            client.send(IngestClient.request("publish", body: [UInt8](repeating: 67, count: 300_000)))
            let order = try harness.nextOrder()
            if round % 3 == 0 { client.reset() }
            let made = Publication.offered(
                event([7]), accepted: answer(after: round % 3 == 2 ? large : ";"), duplicate: nil)
            give(harness, order, made)
            if round % 3 == 1 { client.reset() }
            if round % 3 == 2 {
                // The answer does not fit into the socket: it is on its way when the client goes.
                waitUntil { harness.count(.accepted) + harness.count(.accepted, source: 1) > 0 }
                client.reset()
            }
            let other = IngestClient(port: harness.port)
            other.send(IngestClient.request("tokens", [tokenLine, "X-Id: \(round)"], body: "here"))
            #expect(other.response()?.status == 202)
        }
        #expect(try harness.finish().filter { $0.source == "tokens" }.count == 60)
    }

    @Test("A repeated call that a reload overtakes is judged anew, and one after it is asked of nobody who is gone")
    func reloadOfARepeatedCall() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [tokens, publish])
        let client = IngestClient(port: harness.port)
        func offer(_ body: String) throws {
            let made = Publication.offered(event([1], key: "k"), accepted: answer("new="), duplicate: nil)
            let order = try harness.nextOrder()
            #expect(order.duplicateOf == nil && order.request.body == Array(body.utf8))
            give(harness, order, made)
        }
        client.send(IngestClient.request("publish", body: "first"))
        try offer("first")
        #expect(client.response()?.body.hasPrefix("new=") == true)
        client.send(IngestClient.request("publish", body: "second"))
        try offer("second")
        let stale = try harness.nextOrder()
        #expect(stale.duplicateOf != nil)
        try harness.reload([publish])
        give(harness, stale, .answered(answer("stale", .none)))
        // From the route on: it is asked as if it were new, and again as what it is.
        try offer("second")
        let again = try harness.nextOrder()
        #expect(again.duplicateOf == stale.duplicateOf)
        give(harness, again, .answered(answer("fresh", .none)))
        #expect(client.response()?.body == "fresh;")
        #expect(try harness.finish().count == 1)
    }

    @Test("Whoever goes away while a worker sees a repeated call leaves nothing behind")
    func closedWhileSeenAgain() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish, tokens])
        // Many times what may be held at once, and more than may be seen again at once.
        for round in 0..<60 {
            let client = IngestClient(port: harness.port)
            client.send(IngestClient.request("publish", body: [UInt8](repeating: 67, count: 300_000)))
            let made = Publication.offered(event([7], key: "k"), accepted: answer(), duplicate: nil)
            give(harness, try harness.nextOrder(), made)
            if round == 0 {
                #expect(client.response()?.status == 202)
                continue
            }
            let again = try harness.nextOrder()
            #expect(again.duplicateOf != nil && again.request.body.count == 300_000)
            if round % 2 == 0 { client.reset() }
            give(harness, again, .answered(answer("looked up", .none)))
            if round % 2 == 1 { #expect(client.response()?.body == "looked up;") }
            let other = IngestClient(port: harness.port)
            other.send(IngestClient.request("tokens", [tokenLine, "X-Id: \(round)"], body: "here"))
            #expect(other.response()?.status == 202)
        }
        #expect(try harness.finish().filter { $0.source == "tokens" }.count == 59)
    }

    @Test("No more than sixteen repeated calls are with workers at once; the next is let in when there is room")
    func boundOfRepeatedCalls() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish])
        let clients = (0..<18).map { _ in IngestClient(port: harness.port) }
        func offer(_ place: Int) throws {
            clients[place].send(IngestClient.request("publish", body: "k"))
            let made = Publication.offered(event([1], key: "k"), accepted: answer(), duplicate: nil)
            give(harness, try harness.nextOrder(), made)
        }
        try offer(0)
        #expect(clients[0].response()?.status == 202)
        var held: [HeldOrder] = []
        for place in 1...16 {
            try offer(place)
            held.append(HeldOrder(try harness.nextOrder()))
        }
        #expect(held.allSatisfy { $0.order.duplicateOf != nil })
        try offer(17)
        let busy = try #require(clients[17].response())
        #expect(busy.status == 503 && busy.body == #"{"code":"unavailable","detail":"verifier_busy"}"#)
        #expect(harness.hasNoOrder())
        give(harness, held[0].order, .answered(answer("looked up", .none)))
        #expect(clients[1].response()?.body == "looked up;")
        try offer(0)
        held[0] = HeldOrder(try harness.nextOrder())
        for one in held { give(harness, one.order, .answered(answer("looked up", .none))) }
        for place in [0] + Array(2...16) { #expect(clients[place].response()?.body == "looked up;") }
        #expect(try harness.finish().count == 1)
    }
    private final class HeldOrder {
        let order: OffloadedRequest
        init(_ order: consuming OffloadedRequest) { self.order = order }
    }

    @Test("Answers that nobody reads are bounded; one is always let in, and what was read makes room")
    func unreadAnswers() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish])
        let (slow, other) = (IngestClient(port: harness.port), IngestClient(port: harness.port))
        slow.send(IngestClient.request("publish", body: "slow"))
        let large = String(repeating: "l", count: 18 << 20)
        give(harness, try harness.nextOrder(), .answered(answer(large, .none)))
        func ask() throws -> IngestClient.Response {
            other.send(IngestClient.request("publish", body: "other"))
            give(harness, try harness.nextOrder(), .answered(answer("small", .none, status: 404)))
            return try #require(other.response())
        }
        let busy = try ask()
        #expect(busy.status == 503 && busy.body == #"{"code":"unavailable","detail":"memory_busy"}"#)
        #expect(slow.response()?.body.utf8.count == large.utf8.count + 1)
        var last = busy
        for _ in 0..<10_000 where last.status == 503 { last = try ask() }
        #expect(last.status == 404 && last.body == "small;")
        #expect(try harness.finish().isEmpty)
    }

    @Test("Publications leave a quarter of the workers' queue to others")
    func shares() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish], capacity: 4)
        let clients = (0..<4).map { _ in IngestClient(port: harness.port) }
        for client in clients.dropLast() { client.send(IngestClient.request("publish", body: "x")) }
        let orders = HeldOrders(try harness.nextOrder(), try harness.nextOrder(), try harness.nextOrder())
        clients[3].send(IngestClient.request("publish", body: "x"))
        let busy = try #require(clients[3].response())
        #expect(busy.status == 503 && busy.body == #"{"code":"unavailable","detail":"verifier_busy"}"#)
        give(harness, orders.first, .answered(answer("a", .none, status: 404)))
        give(harness, orders.second, .answered(answer("a", .none, status: 404)))
        give(harness, orders.third, .answered(answer("a", .none, status: 404)))
        for client in clients.dropLast() { #expect(client.response()?.status == 404) }
        #expect(try harness.finish().isEmpty)
    }
    private struct HeldOrders: ~Copyable {
        let first: OffloadedRequest
        let second: OffloadedRequest
        let third: OffloadedRequest

        init(
            _ first: consuming OffloadedRequest, _ second: consuming OffloadedRequest,
            _ third: consuming OffloadedRequest
        ) {
            self.first = first
            self.second = second
            self.third = third
        }
    }

    @Test("Who names no key is not asked for the body")
    func noContinueForStrangers() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish])
        let client = IngestClient(port: harness.port)
        let head = ["POST /api/v1/events HTTP/1.1", "Host: h", "Content-Length: 100", "Expect: 100-continue"]
        client.send(Array((head.joined(separator: "\r\n") + "\r\n\r\n").utf8))
        let refused = try #require(client.response())
        #expect(refused.status == 401 && refused.body == #"{"code":"unauthorized","detail":"unauthorized"}"#)
        #expect(refused.head.contains("WWW-Authenticate: Bearer realm=\"sluice\"\r\n"))
        #expect(harness.hasNoOrder() && harness.publishers.takeTurnedAway() == 1)
        #expect(harness.publishers.takeTurnedAway() == 0, "each is told once")
        #expect(try harness.finish().isEmpty)
    }

    @Test("A reload while a worker looks at a call has it looked at anew")
    func reload() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish])
        let client = IngestClient(port: harness.port)
        client.send(IngestClient.request("publish", body: "x"))
        let stale = try harness.nextOrder()
        try harness.reload([publish, tokens])
        give(harness, stale, .offered(event([1]), accepted: answer("stale="), duplicate: nil))
        let fresh = try harness.nextOrder()
        #expect(fresh.duplicateOf == nil && fresh.request.body == Array("x".utf8))
        give(harness, fresh, .offered(event([2]), accepted: answer("fresh="), duplicate: nil))
        #expect(client.response()?.body.hasPrefix("fresh=") == true)
        #expect(try harness.finish().map(\.body) == [[2]])
    }

    // MARK: callers who are known for a moment

    private let lines = ["Authorization: Bearer the-key-of-a-publisher", "X-Sluice-Request: 1"]

    private func plain(_ lines: [String], _ body: String) -> [UInt8] {
        let head = ["POST /api/v1/events HTTP/1.1", "Host: h", "Content-Length: \(body.utf8.count)"] + lines
        return Array((head.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
    }
    private func pass(_ harness: IngestHarness, millis: UInt64 = 600_000) -> PublisherPass {
        var pass = PublisherPass(
            bearer: Array("Bearer the-key-of-a-publisher".utf8), tenant: RecordFormat.tenantBytes(of: 5),
            windowSeconds: 3600, bodyBytesMax: 1000, endsMillis: ProcessResources.wallNanos / 1_000_000 + millis)
        pass.version = harness.publishers.version
        // A slow machine takes no pass away within a test.
        pass.lifeMillis = 600_000
        return pass
    }
    /// A worker lets the caller in.
    private func letIn(_ harness: IngestHarness, _ client: IngestClient, _ pass: PublisherPass) throws {
        client.send(plain(lines, "first"))
        let made = Publication.offered(event([1]), accepted: answer(), duplicate: nil, pass: pass)
        give(harness, try harness.nextOrder(), made)
        #expect(client.response()?.status == 202)
    }

    @Test(arguments: [false, true])
    func plainEventsOfAKnownCallerAreTakenWithoutAWorker(hasJournalThread: Bool) throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish], hasJournalThread: hasJournalThread)
        let client = IngestClient(port: harness.port)
        try letIn(harness, client, pass(harness))
        let body = #"{"type":"order.paid","payload":{ "n":1.0e2 },"event_id":"a-1"}"#
        client.send(plain(lines, body) + plain(lines, body))
        let (first, second) = (try #require(client.response()), try #require(client.response()))
        #expect(first.status == 202 && first.body.hasPrefix(#"{"id":"evt_"#))
        #expect(first.body.hasSuffix("\",\"status\":\"accepted\"}\n"))
        #expect(first.head.contains("Cache-Control: no-store\r\n") && first.head.contains("Sluice-Durability: fsync"))
        #expect(second.body == first.body.replacing("accepted", with: "duplicate"))
        #expect(harness.hasNoOrder() && harness.count(.accepted) == 2 && harness.count(.duplicate) == 1)
        let kept = try harness.finish()
        #expect(kept.count == 2 && kept[1].body == Array(#"{ "n":1.0e2 }"#.utf8))
        #expect(kept[1].tenantNumber == 5 && kept[1].verdict == "verified")
    }

    @Test(arguments: ["00", "01", "fe"])
    func theTraceOfAKnownCallersEventIsKept(version: String) throws {
        let trace = version + self.trace.dropFirst(2)
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish])
        let client = IngestClient(port: harness.port)
        try letIn(harness, client, pass(harness))
        let body = #"{"type":"t","payload":1,"event_id":"a-1"}"#
        client.send(plain(lines + ["TraceParent: \(trace)"], body))
        #expect(client.response()?.status == 202)
        _ = try harness.finish()
        var kept: [String] = []
        _ = try LogCheck.run(path: folder.path) { record, _ in
            kept.append(record.fieldLines.text)
            return true
        }
        let wanted = "Sluice-Event-Id: a-1\r\ntraceparent: \(trace)\r\nContent-Type: application/json\r\n"
        #expect(kept.last == wanted)
    }
    private let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test("What is not plain, and who is not known any more, is a worker's")
    func othersAreAWorkers() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [publish])
        let client = IngestClient(port: harness.port)
        let body = #"{"type":"t","payload":1}"#
        func goesToAWorker(_ lines: [String], _ body: String, _ sourceLine: Int = #line) throws {
            client.send(plain(lines, body))
            give(harness, try harness.nextOrder(), .answered(answer("worker", .none)))
            #expect(client.response()?.body == "worker;", "line \(sourceLine)")
        }
        try goesToAWorker(lines, body)
        try letIn(harness, client, pass(harness))
        for more in ["X-Tenant-Id: acme", "Idempotency-Key: k", "X-Request-Id: r", lines[0], lines[1]] {
            try goesToAWorker(lines + [more], body)
        }
        let zeros = "00-\(String(repeating: "0", count: 32))-b7ad6b7169203331-01"
        let others = ["ff" + trace.dropFirst(2), "01\(trace.dropFirst(2))-x"]
        for parent in ["", "nonsense", zeros, trace.uppercased(), trace + "0"] + others {
            try goesToAWorker(lines + ["traceparent: \(parent)"], body)
        }
        try goesToAWorker(lines + ["traceparent: \(trace)", "traceparent: \(trace)"], body)
        try goesToAWorker(lines + ["traceparent: \(trace)", "tracestate: a=1"], body)
        try goesToAWorker(["Authorization: Bearer the-key-of-a-publisheR", lines[1]], body)
        try goesToAWorker([lines[0]], body)
        try goesToAWorker([lines[0], "X-Sluice-Request: 2"], body)
        try goesToAWorker(lines, #"{"type":"t","payload":1,"tags":["a"]}"#)
        try goesToAWorker(lines, #"{"type":"t","payload":"\#(String(repeating: "x", count: 1000))"}"#)
        client.send(plain(lines, body))
        #expect(client.response()?.body.hasPrefix(#"{"id":"evt_"#) == true)
        // The registry has changed: a key may be gone.
        harness.publishers.changed()
        try goesToAWorker(lines, body)
        try letIn(harness, client, pass(harness, millis: 0))
        try goesToAWorker(lines, body)
        var stale = pass(harness)
        stale.version -= 1
        try letIn(harness, client, stale)
        try goesToAWorker(lines, body)
        #expect(try harness.finish().count == 4)
    }
}
