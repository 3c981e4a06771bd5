// Limits over whole ingest loops: what is answered, who pays and when, what forgeries cost the genuine sender.

import FastPath
import TestSupport
import Testing

private let genuine = "X-Token: \(IngestHarness.token)\r\n"

private func bucket(_ capacity: UInt32, perSecond: UInt32 = 1) -> RateLimiter {
    RateLimiter(RateLimiter.Settings(capacity: capacity, perSecond: perSecond))
}
private func limited(_ name: String, _ check: HarnessSource.Check, _ limiter: RateLimiter?) -> HarnessSource {
    var source = HarnessSource(name: name, check: check)
    source.limiter = limiter
    return source
}
extension SimulatedIngest {
    /// The statuses of requests that are sent one after the other on one connection.
    fileprivate func statuses(_ requests: [String]) throws -> [String] {
        let socket = try #require(world.connect())
        tick()
        var statuses: [String] = []
        for request in requests {
            socket.outbound = []
            socket.inbound += Array(request.utf8)
            for _ in 0..<8 where socket.outbound.isEmpty { tick(0) }
            statuses.append(String(socket.text.dropFirst(9).prefix(3)))
        }
        socket.isDone = true
        tick(0)
        tick(0)
        return statuses
    }
}

struct IngestLimitTests {
    @Test func aSourceOverItsLimitIsAnswered429AndSaysWhenToComeAgain() throws {
        let ingest = try SimulatedIngest([
            limited("open", .none, bucket(2)), HarnessSource(name: "free", check: .none),
        ])
        let socket = try #require(ingest.world.connect())
        ingest.tick()
        func ask(_ source: String, _ id: Int) -> String {
            socket.outbound = []
            socket.inbound += Array(post(source, "x", "X-Id: \(id)\r\n").utf8)
            for _ in 0..<8 where socket.outbound.isEmpty { ingest.tick(0) }
            return socket.text
        }
        let first = ask("open", 1)
        #expect(first.hasPrefix("HTTP/1.1 202 "))
        #expect(first.contains("\r\nRateLimit-Limit: 2\r\nRateLimit-Remaining: 1\r\nRateLimit-Reset: 1\r\n"))
        #expect(ask("open", 2).contains("\r\nRateLimit-Remaining: 0\r\n"))
        let refused = ask("open", 3)
        #expect(refused.hasPrefix("HTTP/1.1 429 Too Many Requests\r\n"))
        #expect(refused.contains("\r\nRetry-After: 1\r\n"))
        #expect(refused.contains("\r\nRateLimit-Limit: 2\r\nRateLimit-Remaining: 0\r\nRateLimit-Reset: 2\r\n"))
        #expect(refused.hasSuffix(#"{"status":"rejected","reason":"rate_limited"}"#))
        let other = ask("free", 4)
        #expect(other.hasPrefix("HTTP/1.1 202 ") && !other.contains("RateLimit"))
        ingest.tick(1000)
        #expect(ask("open", 3).hasPrefix("HTTP/1.1 202 "))
        #expect(ingest.count(.rateLimited) == 1 && ingest.count(.overTenantLimit) == 0)
        #expect(ingest.count(.accepted) == 3 && ingest.count(.rejected) == 0)
        ingest.finish()
    }
    @Test func loopsShareALimitAndATenantsSourcesDoToo() throws {
        let (own, shared) = (bucket(5), bucket(8))
        var sources = [limited("a", .none, own), limited("b", .none, nil)]
        for index in sources.indices { sources[index].tenantLimiter = shared }
        let loops = try (0..<2).map { try SimulatedIngest(sources, seed: UInt64($0 + 1)) }
        func send(_ loop: Int, _ source: String, _ count: Int) throws -> Int {
            try loops[loop].statuses((0..<count).map { post(source, "x", "X-Id: \(source)\($0)\r\n") })
                .count { $0 == "202" }
        }
        #expect(try send(0, "a", 3) == 3)
        #expect(try send(1, "a", 4) == 2)
        #expect(try send(0, "b", 9) == 3)
        #expect(try send(1, "b", 1) == 0)
        // What the source refuses takes nothing of the tenant's.
        #expect(loops[1].count(.rateLimited) == 2 && loops[1].count(.overTenantLimit) == 0)
        #expect(loops[0].count(.overTenantLimit, source: 1) == 6)
        for loop in loops { loop.finish() }
    }
    @Test("Forgeries take nothing of what the genuine sender may send", arguments: [false, true])
    func forgeries(isToken: Bool) throws {
        let limiter = RateLimiter(RateLimiter.Settings(perHour: 3))
        let check = isToken ? HarnessSource.Check.token : .hmac
        let ingest = try SimulatedIngest([limited("open", .none, nil), limited("signed", check, limiter)])
        let forged = post(
            "signed", "x", "X-Token: wrong\r\nX-Signature: " + String(repeating: "0", count: 64) + "\r\n")
        let many = try ingest.statuses(Array(repeating: forged, count: 40))
        #expect(many.allSatisfy { $0 == "401" })
        #expect(limiter.look(ingest.world.monotonic).quota.remaining == 3)
        // All at once, before the loop knows any of them: the first to come are the only ones that wait for a place.
        let sockets = try (0..<20).map { _ in try #require(ingest.world.connect()) }
        ingest.tick(11_000)
        for socket in sockets { socket.inbound += Array(forged.utf8) }
        ingest.ticks(4)
        #expect(sockets.allSatisfy { $0.text.hasPrefix("HTTP/1.1 401") || $0.text.hasPrefix("HTTP/1.1 429") })
        #expect(limiter.look(ingest.world.monotonic).quota.remaining == 3)
        for socket in sockets { socket.inbound += Array(forged.utf8) }
        ingest.ticks(4)
        #expect(sockets.allSatisfy { $0.text.hasSuffix(#"_mismatch"}"#) })
        #expect(limiter.look(ingest.world.monotonic).quota.remaining == 3)
        for socket in sockets { socket.isDone = true }
        ingest.finish()
    }
    @Test func theGenuineSenderPaysOnceAndWhatIsOverIsRefusedUnverified() throws {
        let ingest = try SimulatedIngest([limited("signed", .token, bucket(3))])
        let right = (0..<5).map { post("signed", "x", genuine + "X-Id: \($0)\r\n") }
        #expect(try ingest.statuses(Array(right[..<2])) == ["202", "202"])
        let forged = post("signed", "x", "X-Token: wrong\r\n")
        // After a forgery the genuine sender pays when it is proven; with nothing left both are refused alike.
        #expect(try ingest.statuses([forged, right[2], right[3], forged]) == ["401", "202", "429", "429"])
        #expect(ingest.count(.rejected) == 1 && ingest.count(.rateLimited) == 2)
        ingest.finish()
    }
    @Test func aForgerThatLeavesAtOnceTakesNothingWithIt() throws {
        let limiter = RateLimiter(RateLimiter.Settings(perHour: 3))
        let ingest = try SimulatedIngest([limited("signed", .hmac, limiter)])
        let forged = post("signed", "x", "X-Signature: " + String(repeating: "0", count: 64) + "\r\n")
        for _ in 0..<10 {
            let socket = try #require(ingest.world.connect())
            ingest.tick()
            socket.inbound += Array(forged.utf8)
            socket.isDone = true
            ingest.ticks(3)
            ingest.tick(11_000)
        }
        #expect(limiter.look(ingest.world.monotonic).quota.remaining == 3)
        ingest.finish()
    }
    @Test func whatAWorkerVerifiesPaysWithItsVerdict() throws {
        let folder = TemporaryFolder()
        let limiter = RateLimiter(RateLimiter.Settings(perHour: 1))
        let harness = try IngestHarness(folder.path, [limited("costly", .worker(3), limiter)])
        let (client, other) = (IngestClient(port: harness.port), IngestClient(port: harness.port))
        client.send(IngestClient.request("costly", ["X-Id: 1"], body: "forged"))
        harness.link.answer(try harness.nextOrder(), .rejected(.signatureMismatch))
        #expect(client.response()?.status == 401)
        // Both are with a worker when there is one place.
        client.send(IngestClient.request("costly", ["X-Id: 2"], body: "genuine"))
        let first = try harness.nextOrder()
        other.send(IngestClient.request("costly", ["X-Id: 3"], body: "late"))
        let second = try harness.nextOrder()
        harness.link.answer(first, .accepted)
        #expect(client.response()?.status == 202)
        harness.link.answer(second, .accepted)
        #expect(other.response()?.status == 429)
        // From now on none is shown to a worker.
        client.send(IngestClient.request("costly", ["X-Id: 4"], body: "over"))
        let refused = try #require(client.response())
        #expect(refused.status == 429 && refused.head.contains("RateLimit-Remaining: 0\r\n"))
        #expect(harness.hasNoOrder())
        #expect(try harness.finish().map { String(decoding: $0.body, as: UTF8.self) } == ["genuine"])
    }
    @Test func aSourceThatObservesKeepsAndCountsWhatIsForgedToo() throws {
        var source = limited("signed", .token, bucket(2))
        source.observes = true
        let ingest = try SimulatedIngest([source])
        let forged = (0..<3).map { post("signed", "x\($0)", "X-Token: wrong\r\n") }
        #expect(try ingest.statuses(forged) == ["202", "202", "429"])
        ingest.finish()
    }
    @Test func aPublicationTakesOfItsTenants() throws {
        let folder = TemporaryFolder()
        var publish = HarnessSource(name: "publish", check: .publications(9), tenantNumber: 5)
        publish.tenantLimiter = RateLimiter(RateLimiter.Settings(perHour: 2))
        let harness = try IngestHarness(folder.path, [publish])
        let client = IngestClient(port: harness.port)
        var statuses: [Int] = []
        for (number, tenant) in [5, 6, 5, 5, 6].enumerated() {
            client.send(IngestClient.request("publish", body: "{}"))
            var event = InjectedEvent(source: "@publish")
            event.tenant = RecordFormat.tenantBytes(of: UInt32(tenant))
            event.target = Array("/api/v1/events".utf8)
            event.body = [UInt8(number)]
            event.dedupWindowSeconds = 0
            let answer = PublicationAnswer(status: 202, body: Array("kept".utf8))
            let made = Publication.offered(event, accepted: answer, duplicate: answer)
            harness.link.answer(try harness.nextOrder(), made)
            harness.link.wakeLoop()
            let response = try #require(client.response())
            statuses.append(response.status)
            guard response.status == 429 else { continue }
            #expect(response.body == #"{"code":"rate_limited","detail":"rate_limited"}"#)
            #expect(response.head.contains("Retry-After: "))
        }
        #expect(statuses == [202, 202, 202, 429, 202])
        #expect(harness.count(.overTenantLimit) == 1)
        #expect(try harness.finish().count == 4)
    }
    @Test func aReloadThatKeepsALimitKeepsWhatIsUsed() throws {
        let folder = TemporaryFolder()
        let limiter = RateLimiter(RateLimiter.Settings(perHour: 2))
        let harness = try IngestHarness(folder.path, [limited("open", .none, limiter)])
        let client = IngestClient(port: harness.port)
        func send(_ id: Int) -> Int? {
            client.send(IngestClient.request("open", ["X-Id: \(id)"], body: "x"))
            return client.response()?.status
        }
        #expect(send(1) == 202)
        try harness.reload([HarnessSource(name: "other", check: .none), limited("open", .none, limiter)])
        #expect(send(2) == 202)
        #expect(send(3) == 429)
        try harness.reload([HarnessSource(name: "open", check: .none)])
        #expect(send(4) == 202)
        #expect(try harness.finish().count == 3)
    }
}
