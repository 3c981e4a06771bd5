// Deliveries that are prepared first: what the dispatcher hands over and takes back, with workers that only the test
// moves; and the real workers.
import Engine
import FastPath
import Testing

/// Does what it is told when it is told. Faults: no room, results in any order, results that never come.
final class FakePreparer: PreparationPort {
    var capacity = Int.max
    private(set) var waiting: [PreparationOrder] = []
    private var done: [PreparedDelivery] = []

    func hasRoom(for byteCount: Int) -> Bool { waiting.count < capacity }
    func submit(_ order: PreparationOrder) {
        precondition(waiting.count < capacity)
        waiting.append(order)
    }
    func nextPrepared() -> PreparedDelivery? { done.isEmpty ? nil : done.removeFirst() }
    var hasPrepared: Bool { !done.isEmpty }
    func finish(_ index: Int = 0) { done.append(PreparedDelivery(waiting.remove(at: index))) }
    func finishAll() { while !waiting.isEmpty { finish() } }
}

private func preparing(
    _ name: String = "a", _ change: (inout EndpointConfiguration) -> Void = { _ in }
) -> EndpointConfiguration {
    endpoint(name) {
        $0.policies.redaction = RedactionSettings()
        change(&$0)
    }
}

@Suite struct DispatcherPreparationTests {
    private let preparer = FakePreparer()
    private func made(_ endpoints: [EndpointConfiguration], poolBytes: Int = 1 << 20) throws -> Bench {
        let bench = try Bench(poolBytes: poolBytes)
        bench.dispatcher.preparer = preparer
        try bench.apply(endpoints)
        return bench
    }

    @Test func sendsWhatWasPreparedAndSignsNothingElse() throws {
        let bench = try made([preparing(), endpoint("plain")])
        bench.log.append(FakeEvent(fieldLines: "X-From: a@b.co\r\n", body: "{\"m\":\"a@b.co\"}"))
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.endpoint) == [2], "one that asks for nothing waits for nobody")
        #expect(bench.status("a").inFlight == 1 && preparer.waiting.count == 1)
        preparer.finishAll()
        bench.settle()
        let sent = bench.egress.out[1]
        #expect(sent.body == "{\"m\":\"[REDACTED_EMAIL]\"}" && sent.fieldLines.contains("X-From: [REDACTED_EMAIL]\r\n"))
        #expect(sent.fieldLines.contains("Sluice-Attempt: 1\r\n") && sent.sequence == 1)
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        #expect(try bench.rows("a").map(\.state) == [.delivered])
        #expect(try bench.resume("a") == 2)
        #expect(bench.pool.leasedCount == 0)
        let figures = bench.dispatcher.metrics(now: bench.now).preparation
        #expect(figures.out == 0 && figures.prepared == 1)
        #expect(figures.redactions[Int(RedactionKind.email.rawValue)] == 2)
    }
    @Test func aRetryIsPreparedAnew() throws {
        let bench = try made([preparing { $0.retryDelaysMillis = [1000] }])
        bench.log.append(FakeEvent(body: "a@b.co"))
        bench.advance(millis: 1)
        preparer.finishAll()
        bench.settle()
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 1100)
        #expect(preparer.waiting.count == 1)
        preparer.finishAll()
        bench.settle()
        #expect(bench.egress.out.map(\.attempt) == [2] && bench.egress.out[0].body == "[REDACTED_EMAIL]")
    }
    @Test func aPoisonEventIsSetAsideAndHoldsNothingUp() throws {
        let bench = try made([
            preparing {
                $0.policies.transform = [.remove(paths: ["$.a"])]
                $0.ordered = true
            }
        ])
        bench.log.append(FakeEvent(body: "no JSON"))
        bench.log.append(FakeEvent(body: "{\"a\":1}"))
        bench.advance(millis: 1)
        preparer.finishAll()
        bench.advance(millis: 50)
        preparer.finishAll()
        bench.advance(millis: 50)
        #expect(bench.egress.out.map(\.body) == ["{}"])
        let row = try bench.rows("a")[0]
        #expect(row.state == .dead && row.reason == .transformationFailed && row.result == .notPrepared)
        let attempt = try #require(try bench.store.attempts(sequence: 1).first)
        #expect(attempt.result == .notPrepared && attempt.systemError == PreparationFailure.notJSON.rawValue)
        #expect(bench.status("a").state.condition == .active, "it says nothing of the endpoint")
        #expect(bench.counters("a").deadLetters[Int(DeadLetterReason.transformationFailed.rawValue)] == 1)
        let figures = bench.dispatcher.metrics(now: bench.now).preparation
        #expect(figures.failures[Int(PreparationFailure.notJSON.rawValue)] == 1)
    }
    @Test func keepsTheOrderWhateverComesBackFirst() throws {
        let bench = try made([preparing { ($0.ordered, $0.orderKey) = (true, ["json:$.k"]) }])
        for (key, number) in [("x", 1), ("y", 2), ("x", 3)] {
            bench.log.append(FakeEvent(body: "{\"k\":\"\(key)\",\"n\":\(number)}"))
        }
        bench.advance(millis: 1)
        #expect(preparer.waiting.count == 2, "the third waits for the first")
        preparer.finish(1)
        bench.settle()
        preparer.finishAll()
        bench.settle()
        #expect(bench.egress.out.map(\.sequence) == [2, 1])
        bench.egress.answerAll()
        bench.advance(millis: 50)
        preparer.finishAll()
        bench.settle()
        #expect(bench.egress.out.map(\.sequence) == [3])
    }
    @Test func aLaneStaysWhileTheWorkersAreFull() throws {
        preparer.capacity = 2
        let bench = try made([preparing { $0.concurrency = 8 }, endpoint("plain") { $0.concurrency = 64 }])
        bench.log.append(count: 20)
        bench.advance(millis: 1)
        #expect(preparer.waiting.count == 2 && bench.egress.out.count == 20)
        var rounds = 0
        while bench.counters("a").delivered < 20 {
            preparer.finishAll()
            bench.settle()
            bench.egress.answerAll()
            bench.advance(millis: 5)
            rounds += 1
            try #require(rounds < 200)
        }
        bench.advance(millis: 2000)
        #expect(try bench.rows("a").count == 20 && bench.pool.leasedCount == 0)
    }
    @Test func aDrainWaitsForTheWorkers() throws {
        let bench = try made([preparing()])
        bench.log.append(FakeEvent())
        bench.advance(millis: 1)
        bench.dispatcher.beginDrain()
        bench.advance(millis: 50)
        #expect(!bench.dispatcher.isDrained)
        preparer.finishAll()
        bench.settle()
        bench.egress.answerAll()
        bench.advance(millis: 50)
        bench.advance(millis: 50)
        #expect(bench.dispatcher.isDrained)
        #expect(try bench.rows("a").map(\.state) == [.delivered])
    }
    @Test func newSettingsPrepareAnew() throws {
        let bench = try made([preparing { $0.policies.redaction?.patterns = ["ip"] }])
        bench.log.append(FakeEvent(body: "a@b.co 10.0.0.1"))
        bench.advance(millis: 1)
        try bench.apply([preparing()])
        preparer.finishAll()
        bench.settle()
        #expect(bench.egress.out.isEmpty, "not by the old ones")
        preparer.finishAll()
        bench.settle()
        #expect(bench.egress.out.map(\.body) == ["[REDACTED_EMAIL] [REDACTED_IP]"])
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        #expect(bench.pool.leasedCount == 0)
        #expect(try bench.rows("a").map(\.attempts) == [1])
    }
    /// Short addresses that become long texts: more memory than was taken is taken the next time.
    @Test func whatGrowsGetsItsRoom() throws {
        let bench = try made([preparing()])
        let text = String(repeating: "::1 ", count: 4000)
        bench.log.append(FakeEvent(body: text))
        bench.advance(millis: 1)
        preparer.finishAll()
        bench.settle()
        #expect(bench.egress.out.isEmpty && preparer.waiting.count == 1)
        preparer.finishAll()
        bench.settle()
        #expect(bench.egress.out.map(\.body) == [String(repeating: "[REDACTED_IP] ", count: 4000)])
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        #expect(bench.pool.leasedCount == 0)
    }
    @Test func whatFitsNowhereIsADeadLetter() throws {
        let bench = try made([preparing()], poolBytes: 32 << 10)
        bench.log.append(FakeEvent(body: String(repeating: "::1 ", count: 4000)))
        bench.advance(millis: 1)
        preparer.finishAll()
        bench.advance(millis: 50)
        #expect(try bench.rows("a").map(\.reason) == [.transformationFailed])
        #expect(bench.pool.leasedCount == 0)
    }
    @Test func aRemovedEndpointsComeHome() throws {
        let bench = try made([preparing()])
        bench.log.append(count: 3)
        bench.advance(millis: 1)
        bench.forget("a")
        preparer.finishAll()
        bench.settle()
        #expect(bench.egress.out.isEmpty, "nothing is sent to it any more")
        bench.egress.answerAll()
        bench.advance(millis: 50)
        #expect(bench.pool.leasedCount == 0)
    }

    /// Nobody takes back what is prepared while the store writes nothing.
    @Test func theWorkersStopWhenNobodyTakesBack() throws {
        let bench = try made([preparing { $0.concurrency = 64 }])
        bench.log.append(count: 20, FakeEvent(body: String(repeating: "a@b.co ", count: 100)))
        bench.advance(millis: 1)
        let orders = preparer.waiting
        try #require(orders.count == 20)
        let size = orders.map { PreparedDelivery($0).byteCount }.max() ?? 0
        let wakeup = try #require(Wakeup())
        let workers = PreparationWorkers(threadCount: 2, wakeup: wakeup, byteCountMax: 4 * size)
        for order in orders { workers.submit(order) }
        workers.start()
        defer { workers.stop() }
        var rounds = 0
        while !workers.preparedState.isHeldBack {
            _ = wakeup.sleep(timeoutMillis: 1) { false }
            rounds += 1
            try #require(rounds < 100_000)
        }
        for _ in 0..<50 {
            _ = wakeup.sleep(timeoutMillis: 1) { false }
            // Each thread had begun with one before the bound was reached.
            #expect(workers.preparedState.byteCount < 6 * size)
        }
        var tokens: Set<UInt64> = []
        while tokens.count < 20 {
            if let next = workers.nextPrepared() {
                #expect(tokens.insert(next.order.token).inserted)
            } else {
                _ = wakeup.sleep(timeoutMillis: 1) { workers.hasPrepared }
            }
            #expect(workers.preparedState.byteCount < 6 * size)
        }
        #expect(workers.preparedState == (0, false))
    }
    @Test(arguments: ["expires", "forgotten", "other settings"])
    func noSizeIsRememberedOfWhatIsPreparedNoMore(_ how: String) throws {
        let settings = preparing {
            $0.concurrency = 1
            $0.policies.deadlineMillis = 60_000
        }
        let bench = try made([settings, endpoint("plain")])
        // It grows beyond its room, is put back, and finds the workers full.
        bench.log.append(
            FakeEvent(body: String(repeating: "::1 ", count: 4000), receivedAt: 1_700_000_000_000_000_000))
        bench.advance(millis: 1)
        preparer.capacity = 0
        preparer.finishAll()
        bench.settle()
        #expect(preparer.waiting.isEmpty && bench.dispatcher.preparedSizeCount == 1)
        switch how {
        case "expires":
            bench.advance(millis: 61_000)
            // Another's end brings the lane back.
            bench.egress.answerAll()
            bench.advance(millis: 50)
            bench.advance(millis: 50)
            #expect(try bench.rows("a").map(\.reason) == [.expired])
        case "forgotten":
            bench.forget("a")
        default:
            try bench.apply([endpoint("a"), endpoint("plain")])
        }
        #expect(bench.dispatcher.preparedSizeCount == 0)
    }

    @Test(arguments: [EndpointCommand.pause(millis: nil), .disable])
    func nothingGoesToOneThatWasStoppedMeanwhile(_ command: EndpointCommand) throws {
        let bench = try made([preparing()])
        bench.log.append(FakeEvent(body: "a@b.co"))
        bench.advance(millis: 1)
        bench.perform(command, "a")
        preparer.finishAll()
        bench.settle()
        #expect(bench.egress.out.isEmpty && bench.status("a").inFlight == 0 && bench.pool.leasedCount == 0)
        bench.perform(.enable, "a")
        bench.settle()
        preparer.finishAll()
        bench.settle()
        #expect(bench.egress.out.map(\.attempt) == [1])
    }
    @Test func nothingGoesToOneWhoseBreakerOpenedMeanwhile() throws {
        let bench = try made([
            preparing {
                $0.concurrency = 2
                $0.policies.breaker = BreakerSettings()
                $0.policies.breaker?.failures = 1
            }
        ])
        bench.log.append(count: 2)
        bench.advance(millis: 1)
        #expect(preparer.waiting.count == 2)
        preparer.finish()
        bench.settle()
        bench.egress.answerAll(status: 500)
        bench.settle()
        preparer.finishAll()
        bench.settle()
        #expect(bench.status("a").state.reason == .breakerOpen)
        #expect(bench.egress.out.isEmpty && bench.status("a").inFlight == 0)
    }
    @Test func whatIsNotSentTakesNothingOfTheRate() throws {
        let bench = try made([
            preparing {
                $0.policies.rate = RateSettings()
                $0.policies.rate?.perMinute = 1
                $0.policies.transform = [.remove(paths: ["$.a"])]
            }
        ])
        bench.log.append(FakeEvent(body: "no JSON"))
        bench.log.append(FakeEvent(body: "{\"a\":1}"))
        bench.advance(millis: 1)
        #expect(preparer.waiting.map(\.place.sequence) == [1])
        preparer.finishAll()
        bench.settle()
        #expect(preparer.waiting.map(\.place.sequence) == [2])
        bench.perform(.pause(millis: nil), "a")
        preparer.finishAll()
        bench.settle()
        #expect(preparer.waiting.isEmpty && bench.egress.out.isEmpty)
        bench.perform(.enable, "a")
        bench.settle()
        #expect(preparer.waiting.map(\.place.sequence) == [2])
        preparer.finishAll()
        bench.settle()
        #expect(bench.egress.out.map(\.sequence) == [2])
    }
    @Test func aRetryThatIsNotSentGivesItsBudgetBackAndAsksForItAgain() throws {
        let bench = try made([
            preparing {
                $0.concurrency = 64
                $0.retryDelaysMillis = [Int](repeating: 100, count: 50)
                $0.policies.retry = RetrySettings()
                $0.policies.retry?.budget = 0.001
            }
        ])
        bench.log.append(count: 12)
        bench.advance(millis: 1)
        preparer.finishAll()
        bench.settle()
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 200)
        #expect(preparer.waiting.count == 10, "the reserve")
        // Two more by the time that passes.
        for _ in 0..<3 { bench.advance(millis: 10_000) }
        #expect(preparer.waiting.count == 12)
        bench.perform(.pause(millis: nil), "a")
        preparer.finishAll()
        bench.settle()
        bench.perform(.enable, "a")
        bench.settle()
        #expect(preparer.waiting.count == 10, "the budget keeps no more than its reserve")
        preparer.finishAll()
        bench.settle()
        bench.egress.answerAll()
        bench.advance(millis: 10_000)
        bench.settle()
        #expect(preparer.waiting.count == 1)
    }

    @Test func tenantsTakeTurnsAtTheWorkers() throws {
        let bench = try Bench()
        let others = [TenantID(8), TenantID(9)]
        (bench.tenants["b"], bench.tenants["c"]) = (others[0], others[1])
        bench.dispatcher.preparer = preparer
        try bench.apply(["a", "b", "c"].map { preparing($0) { $0.concurrency = 16 } })
        bench.log.append(count: 4, FakeEvent())
        for tenant in others { bench.log.append(count: 2, FakeEvent(tenant: tenant)) }
        bench.advance(millis: 1)
        var queue = PreparationQueue()
        let orders = preparer.waiting.sorted { $0.place.sequence < $1.place.sequence }
        try #require(orders.count == 8)
        for order in orders { queue.append(order) }
        #expect(queue.byteCount == orders.reduce(0) { $0 + $1.byteCount })
        var came: [UInt64] = []
        for _ in 0..<3 { came += queue.popFirst().map { [$0.place.sequence] } ?? [] }
        #expect(came == [1, 5, 7])
        // One that comes back stands behind those that wait.
        queue.append(orders[4])
        while let order = queue.popFirst() { came.append(order.place.sequence) }
        #expect(came == [1, 5, 7, 2, 6, 8, 3, 5, 4])
        #expect(queue.isEmpty && queue.byteCount == 0)
    }
    @Test func theWorkersAnswerEachOrderOnce() throws {
        let wakeup = try #require(Wakeup())
        let workers = PreparationWorkers(threadCount: 3, wakeup: wakeup)
        let bench = try Bench()
        bench.dispatcher.preparer = workers
        workers.start()
        defer { workers.stop() }
        try bench.apply([preparing { $0.concurrency = 256 }])
        bench.log.append(count: 2000, FakeEvent(body: "{\"m\":\"a@b.co\"}"))
        var rounds = 0
        while bench.counters("a").delivered < 2000 {
            bench.settle()
            #expect(bench.egress.out.allSatisfy { $0.body == "{\"m\":\"[REDACTED_EMAIL]\"}" })
            bench.egress.answerAll()
            bench.port.pump()
            _ = wakeup.sleep(timeoutMillis: 1) { workers.hasPrepared }
            rounds += 1
            try #require(rounds < 100_000)
        }
        #expect(bench.dispatcher.metrics(now: bench.now).preparation.prepared == 2000)
    }
}
