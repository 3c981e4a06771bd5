// The attempt at a second URL before the dead-letter queue: when it is made, what it says of the target, what is kept.
import Engine
import FastPath
import Testing

@Suite struct DispatcherFailoverTests {
    /// The second URL's path is `/77`.
    private func entry(
        _ name: String = "a", second: String = "http://127.0.0.1:9000/77", retries: Int = 0,
        _ change: (inout EndpointConfiguration) -> Void = { _ in }
    ) -> EndpointConfiguration {
        endpoint(name) {
            $0.extras.family = .contract
            $0.sources = [PublishSource.contractName]
            $0.secrets = ["0123456789abcdef"]
            var entry = ContractEntry()
            entry.failoverURL = second
            entry.retry.retries = retries
            (entry.retry.firstMillis, entry.retry.maxMillis, entry.retry.hasJitter) = (1000, 1000, false)
            (entry.bucket.capacity, entry.bucket.refill) = (1000, 1000)
            entry.apply(to: &$0)
            change(&$0)
        }
    }
    private func made(_ endpoints: [EndpointConfiguration]) throws -> Bench {
        let bench = try Bench(poolBytes: 1 << 20)
        try bench.apply(endpoints)
        return bench
    }
    private func send(_ bench: Bench, count: Int = 1) {
        for _ in 0..<count {
            bench.log.append(FakeEvent(sourceID: .contract, type: "x", receivedAt: 1_700_000_000_000_000_000))
        }
        bench.advance(millis: 1)
    }
    private func paths(_ bench: Bench) -> [Int] { bench.egress.out.map(\.endpoint) }
    private func numbers(_ bench: Bench, _ sequence: UInt64 = 1) throws -> [UInt16] {
        try bench.store.attempts(sequence: sequence).map(\.number).sorted { $0 & 0xFFF < $1 & 0xFFF }
    }

    @Test func whatTheTargetDoesNotWantGoesToTheSecondOnce() throws {
        let bench = try made([entry()])
        send(bench)
        #expect(paths(bench) == [1])
        let first = bench.egress.out[0]
        bench.egress.answerAll(status: 400)
        bench.advance(millis: 1)
        #expect(paths(bench) == [77] && bench.egress.out[0].body == first.body)
        #expect(bench.egress.out[0].eventID != first.eventID, "an id of its own")
        #expect(try bench.rows("a").isEmpty || bench.rows("a")[0].state == .pending)
        bench.egress.answerAll(status: 204)
        bench.advance(millis: 2000)
        let row = try bench.rows("a")[0]
        #expect(row.state == .delivered && row.status == 204 && AttemptCount.number(of: row.attempts) == 2)
        #expect(AttemptCount.isFailover(row.attempts))
        #expect(try numbers(bench) == [1, 2 | AttemptCount.failover])
        let attempts = try bench.store.attempts(sequence: 1).sorted { $0.status < $1.status }
        #expect(attempts.map(\.status) == [204, 400] && attempts.map(\.host) == ["127.0.0.1:9000", nil])
        let figures = bench.dispatcher.metrics(now: bench.now).failovers
        #expect(figures.delivered == 1 && figures.failed == 0)
        #expect(try bench.resume("a") == 2 && bench.pool.leasedCount == 0 && bench.status("a").inFlight == 0)
    }
    @Test func whoFailsThereIsTheDeadLetterThatItWouldHaveBeen() throws {
        let bench = try made([entry()])
        send(bench)
        bench.egress.answerAll(status: 422)
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 2000)
        let row = try bench.rows("a")[0]
        #expect(row.state == .dead && row.reason == .permanentAnswer && row.status == 422)
        #expect(AttemptCount.number(of: row.attempts) == 2 && bench.egress.out.isEmpty)
        #expect(bench.dispatcher.metrics(now: bench.now).failovers.failed == 1)
        #expect(bench.counters("a").deadLetters[Int(DeadLetterReason.permanentAnswer.rawValue)] == 1)
        // Sent again it goes the whole way again.
        #expect(try bench.replay("a", 1) == .accepted)
        bench.advance(millis: 1)
        #expect(paths(bench) == [1])
        bench.egress.answerAll(status: 400)
        bench.advance(millis: 1)
        #expect(paths(bench) == [77])
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        #expect(try bench.rows("a")[0].state == .delivered)
    }
    @Test func theScheduleComesFirst() throws {
        let bench = try made([entry(retries: 2)])
        send(bench)
        for _ in 0..<3 {
            #expect(paths(bench) == [1])
            bench.egress.answerAll(status: 503)
            bench.advance(millis: 1)
            guard !bench.egress.out.contains(where: { $0.endpoint == 77 }) else { break }
            bench.advance(millis: 1100)
        }
        #expect(paths(bench) == [77])
        bench.egress.answerAll(change: failing(.connectFailed))
        bench.advance(millis: 2000)
        let row = try bench.rows("a")[0]
        #expect(row.state == .dead && row.reason == .retriesExhausted && row.status == 503)
        #expect(try numbers(bench) == [1, 2, 3, 4 | AttemptCount.failover])
    }
    @Test func aTargetThatIsAwayHoldsNothingBack() throws {
        let bench = try made([entry()])
        send(bench, count: 40)
        var rounds = 0
        while bench.dispatcher.metrics(now: bench.now).failovers.delivered < 40 {
            bench.egress.answer(endpoint: 1, status: 0, change: failing(.connectFailed))
            bench.egress.answer(endpoint: 77)
            bench.advance(millis: 1)
            rounds += 1
            try #require(rounds < 60, "those for the second URL wait for the target")
        }
        bench.advance(millis: 2000)
        #expect(try bench.rows("a").allSatisfy { $0.state == .delivered })
        #expect(bench.status("a").state.condition != .active, "what works elsewhere says nothing of the target")
        #expect(bench.pool.leasedCount == 0)
    }
    @Test func itsHostIsAskedForAndChecked() throws {
        let bench = try made([entry(second: "http://second.test/77")])
        bench.hosts.set("second.test", .silent)
        send(bench, count: 2)
        bench.egress.answerAll(status: 400)
        bench.advance(millis: 10)
        #expect(bench.egress.out.isEmpty)
        bench.hosts.set("second.test", .addresses(["127.0.0.1"]))
        bench.advance(millis: 10)
        #expect(paths(bench) == [77, 77])
        bench.egress.answerAll()
        bench.hosts.set("second.test", .addresses(["10.0.0.1"]))
        send(bench)
        bench.egress.answerAll(status: 400)
        bench.advance(millis: 10)
        bench.hosts.set("second.test", .failed)
        send(bench)
        bench.egress.answerAll(status: 400)
        bench.advance(millis: 2000)
        #expect(try bench.rows("a").map(\.state) == [.delivered, .delivered, .dead, .dead])
        #expect(try bench.rows("a").suffix(2).allSatisfy { $0.reason == .permanentAnswer && $0.status == 400 })
        let results = try [3, 4].map { sequence in
            try bench.store.attempts(sequence: sequence).first { AttemptCount.isFailover($0.number) }?.result
        }
        #expect(results == [.addressRefused, .nameNotResolved])
    }
    @Test func aProcessThatDiesInBetweenBeginsWithTheTarget() throws {
        let bench = try made([entry()])
        send(bench)
        bench.egress.answerAll(status: 400)
        bench.advance(millis: 2000)
        #expect(paths(bench) == [77])
        let second = try Bench(after: bench)
        try second.apply([entry()])
        second.advance(millis: 10)
        #expect(paths(second) == [1])
        second.egress.answerAll(status: 400)
        second.advance(millis: 1)
        #expect(paths(second) == [77])
    }
    @Test func nothingNewGoesOutWhileItDrains() throws {
        let bench = try made([entry()])
        send(bench, count: 2)
        bench.egress.answer(0, status: 400)
        bench.advance(millis: 1)
        bench.dispatcher.beginDrain()
        bench.egress.answer(endpoint: 1, status: 400)
        bench.advance(millis: 50)
        #expect(paths(bench) == [77], "the one that was out")
        bench.egress.answerAll(change: failing(.abandoned))
        bench.advance(millis: 50)
        bench.advance(millis: 50)
        #expect(bench.dispatcher.isDrained && bench.pool.leasedCount == 0)
        #expect(try bench.resume("a") == 1, "the next start meets both again")
    }
    @Test func anEntryThatGoesTakesItsOwnWithIt() throws {
        let bench = try made([entry(second: "http://second.test/77")])
        bench.hosts.set("second.test", .silent)
        send(bench, count: 2)
        bench.egress.answerAll(status: 400)
        bench.advance(millis: 1)
        try bench.apply([])
        bench.hosts.set("second.test", .addresses(["127.0.0.1"]))
        bench.advance(millis: 2000)
        #expect(bench.egress.out.isEmpty && bench.pool.leasedCount == 0)
        #expect(try bench.rows("a").allSatisfy { $0.state == .dead && $0.reason == .permanentAnswer })
        #expect(bench.dispatcher.metrics(now: bench.now).lanes.isEmpty, "nothing is left of it")
    }
    @Test func whatCannotBeReadNowIsTriedSoon() throws {
        let bench = try made([entry()])
        send(bench)
        bench.log.unavailable = [1]
        bench.egress.answerAll(status: 400)
        bench.advance(millis: 1500)
        #expect(bench.egress.out.isEmpty)
        #expect(try bench.rows("a").allSatisfy { $0.state == .pending })
        #expect(bench.status("a").inFlight == 1, "what waits is seen")
        bench.log.unavailable = []
        bench.advance(millis: 200)
        #expect(paths(bench) == [77])
    }
    @Test func secondURLsThatHangLeaveOthersTheirShare() throws {
        let bench = try Bench(poolBytes: 256 << 10)
        let small = endpoint("b") { $0.sources = ["github"] }
        try bench.apply([entry { $0.concurrency = 64 }, small])
        for _ in 0..<60 {
            bench.log.append(
                FakeEvent(
                    sourceID: .contract, type: "x", body: String(repeating: "x", count: 12_000),
                    receivedAt: 1_700_000_000_000_000_000))
        }
        for _ in 0..<80 {
            bench.advance(millis: 1)
            bench.egress.answer(endpoint: 1, status: 400)
        }
        #expect(paths(bench).contains(77) && bench.pool.leasedBytes <= 128 << 10)
        bench.log.append(FakeEvent(body: String(repeating: "y", count: 12_000)))
        bench.advance(millis: 1)
        #expect(paths(bench).contains(2), "another endpoint's event goes out")
    }
    @Test func aConnectionThatWasFoundDeadWhileItDrainsIsNoDeadLetter() throws {
        let bench = try made([entry()])
        send(bench)
        bench.egress.answerAll(status: 400)
        bench.advance(millis: 1)
        bench.dispatcher.beginDrain()
        bench.egress.answerAll(change: lostReused)
        bench.advance(millis: 50)
        bench.advance(millis: 50)
        #expect(bench.dispatcher.isDrained && bench.pool.leasedCount == 0)
        #expect(try bench.resume("a") == 1 && bench.rows("a").allSatisfy { $0.state == .pending })
    }
    @Test func anAddressThatMayNotBeDeliveredToIsRefusedWhenItIsSaved() throws {
        for (second, words) in [("http://10.0.0.1/", "not a public address"), ("ftp://a.test/", "scheme")] {
            do {
                _ = try made([entry(second: second)])
                Issue.record("\(second) was taken")
            } catch let error as EndpointError {
                let issue = error.issue(at: FieldPath("e"))
                #expect("\(issue.path)".hasSuffix("delivery_policy.failover_url") && issue.reason.contains(words))
            }
        }
    }
}
