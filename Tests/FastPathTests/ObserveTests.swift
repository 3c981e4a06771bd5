// Sources that observe, copies of what is refused, and events that a worker puts into the log, over a real loop.

import FastPath
import TestSupport
import Testing

struct ObserveTests {
    private let zeros = "X-Signature: " + String(repeating: "0", count: 64)
    private let tokenLine = "X-Token: \(IngestHarness.token)"

    @Test("A source that observes keeps what fails its check, with the verdict")
    func observes() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(
            folder.path,
            [
                HarnessSource(name: "hot", check: .hmac, observes: true),
                HarnessSource(name: "costly", check: .worker(3), observes: true),
                HarnessSource(name: "open", check: .none), HarnessSource(name: "token", check: .token, observes: true),
            ], capacity: 1)
        let client = IngestClient(port: harness.port)
        func statuses(_ count: Int) -> [Int?] { (0..<count).map { _ in client.response()?.status } }
        client.send(IngestClient.request("hot", [zeros], body: "mismatch") + IngestClient.request("hot", body: "bare"))
        client.send(IngestClient.request("open", body: "unverified"))
        client.send(IngestClient.request("token", [tokenLine], body: "right"))
        #expect(statuses(4) == [202, 202, 202, 202])
        client.send(IngestClient.request("costly", body: "by worker"))
        let order = try harness.nextOrder()
        let other = IngestClient(port: harness.port)
        other.send(IngestClient.request("costly", body: "no room"))
        #expect(other.response()?.status == 202)
        harness.link.answer(order, .rejected(.wrongAlgorithm))
        #expect(client.response()?.status == 202)
        #expect(harness.count(.observed) == 2)
        #expect(harness.count(.rejected) == 0)
        #expect(harness.count(.accepted) == 2)
        #expect(harness.count(.observed, source: 1) == 1)
        #expect(harness.count(.unchecked, source: 1) == 1)
        let events = try harness.finish()
        let verdicts = events.map { String(decoding: $0.body, as: UTF8.self) + ": " + $0.verdict }
        #expect(
            verdicts.sorted() == [
                "bare: missing_header", "by worker: wrong_algorithm", "mismatch: signature_mismatch",
                "no room: skipped", "right: verified", "unverified: unverified",
            ])
    }

    @Test("A refused request is copied whole, up to its source's budget of a second")
    func rejectedCopies() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(
            folder.path,
            [
                HarnessSource(name: "few", check: .token, rejectedPerSecondMax: 2),
                HarnessSource(name: "none", check: .token),
                HarnessSource(name: "hot", check: .hmac, rejectedPerSecondMax: 1000),
                HarnessSource(name: "costly", check: .worker(1), rejectedPerSecondMax: 1000),
            ])
        let client = IngestClient(port: harness.port)
        for number in 0..<50 {
            client.send(IngestClient.request("few", ["X-Token: bad"], body: "few \(number)"))
            client.send(IngestClient.request("none", ["X-Token: bad"], body: "none"))
        }
        for _ in 0..<100 { #expect(client.response()?.status == 401) }
        let kept = harness.count(.captured)
        #expect(kept >= 2 && kept < 50)
        #expect(kept + harness.count(.notCaptured) == 50)
        #expect(harness.count(.captured, source: 1) == 0)
        for _ in 0..<kept {
            let request = try #require(harness.rejected.next())
            #expect(request.sourceName == "few")
            #expect(request.reason == .tokenMismatch)
        }
        #expect(harness.rejected.next() == nil)
        client.send(IngestClient.request("hot", [zeros], body: "exactly this"))
        #expect(client.response()?.status == 401)
        client.send(IngestClient.request("costly", body: "and this"))
        harness.link.answer(try harness.nextOrder(), .rejected(.invalidSecret))
        #expect(client.response()?.status == 401)
        // Too large to be copied at all: counted, not cut.
        client.send(IngestClient.request("hot", body: [UInt8](repeating: 1, count: RejectedRing.requestBytesMax)))
        #expect(client.response()?.status == 401)
        let hot = try #require(harness.rejected.next())
        #expect(hot.reason == .signatureMismatch)
        #expect(hot.head + hot.body == IngestClient.request("hot", [zeros], body: "exactly this"))
        #expect(hot.receivedAt > 0)
        #expect(try hot.captured().body == hot.body)
        let costly = try #require(harness.rejected.next())
        #expect(costly.sourceName == "costly" && costly.reason == .invalidSecret)
        #expect(harness.rejected.next() == nil)
        #expect(harness.count(.notCaptured, source: 2) == 1)
        #expect(try harness.finish().isEmpty)
    }

    @Test("What was not proven takes no genuine event's key, and is a duplicate among its like")
    func unprovenKeys() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [HarnessSource(name: "token", check: .token, observes: true)])
        let client = IngestClient(port: harness.port)
        for (token, body) in [
            ("X-Token: forged", "forged"), ("X-Token: forged", "again"), (tokenLine, "genuine"), (tokenLine, "retried"),
        ] {
            client.send(IngestClient.request("token", [token, "X-Id: 1001"], body: body))
            #expect(client.response()?.status == 202)
        }
        let events = try harness.finish()
        #expect(events.map { String(decoding: $0.body, as: UTF8.self) } == ["forged", "genuine"])
    }

    @Test("A refused request is kept with its client's address, whoever verifies it")
    func clientOfTheRefused() throws {
        let folder = TemporaryFolder()
        let sources = [
            HarnessSource(name: "token", check: .token, rejectedPerSecondMax: 100),
            HarnessSource(name: "hot", check: .hmac, rejectedPerSecondMax: 100),
            HarnessSource(name: "costly", check: .worker(1), rejectedPerSecondMax: 100),
        ]
        let harness = try IngestHarness(folder.path, sources, trusted: [try #require(CIDR("127.0.0.0/8"))])
        let client = IngestClient(port: harness.port)
        func kept() throws -> String? {
            waitUntil { !harness.rejected.isEmpty }
            return try #require(harness.rejected.next()).peer?.text
        }
        // One batch: the fields of the first are gone when its signature is known to be wrong.
        client.send(
            IngestClient.request("hot", [zeros, "X-Forwarded-For: 203.0.113.1"], body: "a")
                + IngestClient.request("hot", [zeros, "Forwarded: for=203.0.113.2"], body: "b")
                + IngestClient.request("token", ["X-Forwarded-For: 203.0.113.3, 127.0.0.9"], body: "c"))
        for _ in 0..<3 { #expect(client.response()?.status == 401) }
        let batch = [try kept(), try kept(), try kept()]
        #expect(Set(batch) == ["203.0.113.1", "203.0.113.2", "203.0.113.3"])
        client.send(IngestClient.request("costly", ["X-Forwarded-For: 203.0.113.4"], body: "d"))
        harness.link.answer(try harness.nextOrder(), .rejected(.invalidSecret))
        #expect(client.response()?.status == 401)
        #expect(try kept() == "203.0.113.4")
        client.send(IngestClient.request("token", ["X-Forwarded-For: unknown"], body: "e"))
        #expect(client.response()?.status == 401)
        #expect(try kept() == nil)
        client.send(IngestClient.request("token", body: "f"))
        #expect(client.response()?.status == 401)
        #expect(try kept() == "127.0.0.1")
        #expect(try harness.finish().isEmpty)
    }

    @Test("Whom nobody trusts names no client of a refused request")
    func untrustedClientOfTheRefused() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(
            folder.path, [HarnessSource(name: "token", check: .token, rejectedPerSecondMax: 100)])
        let client = IngestClient(port: harness.port)
        client.send(IngestClient.request("token", ["X-Forwarded-For: 203.0.113.3"], body: "c"))
        #expect(client.response()?.status == 401)
        waitUntil { !harness.rejected.isEmpty }
        #expect(harness.rejected.next()?.peer?.text == "127.0.0.1")
        #expect(try harness.finish().isEmpty)
    }

    @Test("An injected event is in the log once, whoever brought it first", arguments: [false, true])
    func injection(hasJournalThread: Bool) throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(
            folder.path, [HarnessSource(name: "token", check: .token)], hasJournalThread: hasJournalThread)
        let client = IngestClient(port: harness.port)
        client.send(IngestClient.request("token", [tokenLine, "X-Id: known"], body: "from outside"))
        #expect(client.response()?.status == 202)
        var event = InjectedEvent(source: "token")
        event.dedupKey = Array("fresh".utf8)
        event.body = Array("injected".utf8)
        guard case .kept(let id) = harness.injector.offer(event) else {
            Issue.record("a fresh event was not kept")
            return
        }
        #expect(harness.injector.offer(event) == .duplicate(id))
        var known = event
        known.dedupKey = Array("known".utf8)
        guard case .duplicate = harness.injector.offer(known) else {
            Issue.record("an event of the loop was kept a second time")
            return
        }
        // More than the ring of receipts takes at once, each twice.
        let many = (0..<60).map { number in
            var copy = event
            copy.dedupKey = Array("many \(number / 2)".utf8)
            copy.body = Array("many".utf8)
            return copy
        }
        let fates = harness.injector.offer(contentsOf: many)
        #expect(fates.count { if case .kept = $0 { true } else { false } } == 30)
        #expect(fates.count { if case .duplicate = $0 { true } else { false } } == 30)
        var large = event
        large.body = [UInt8](repeating: 0, count: 2 << 20)
        #expect(harness.injector.offer(large) == .tooLarge)
        client.send(IngestClient.request("token", [tokenLine, "X-Id: fresh"], body: "too late"))
        #expect(client.response()?.status == 202)
        harness.injector.close()
        #expect(harness.injector.offer(event) == .closed)
        let events = try harness.finish()
        #expect(events.count { $0.body == Array("injected".utf8) } == 1)
        #expect(events.count == 32)
    }

    @Test("The names of verdicts, and the codes they have on disk, never change")
    func verdictNames() {
        let names = (0..<256).map { RecordVerification(code: UInt8($0)).name }
        #expect(Array(names[0...3]) == ["verified", "unverified", "skipped", "unknown"])
        #expect(
            Array(names[16..<39]) == [
                "signature_mismatch", "missing_header", "malformed_header", "duplicate_header", "stale_timestamp",
                "future_timestamp", "malformed_timestamp", "token_mismatch", "invalid_credentials", "wrong_algorithm",
                "untrusted_cert_url", "body_hash_mismatch", "challenge_not_opaque", "missing_challenge",
                "malformed_challenge", "invalid_secret", "origin_not_allowed", "verify_token_mismatch", "empty_body",
                "address_not_allowed", "body_too_large", "missing_client_certificate", "client_certificate_not_allowed",
            ])
        for reason in SignatureRejection.allCases { #expect(RecordVerification.rejected(reason).reason == reason) }
        #expect(SignatureRejection.allCases.count <= SourceCounter.reasonCellCount)
    }
}
