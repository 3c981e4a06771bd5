// Rate, budget, deadline, delay, concurrency, shadow and the end of what only fails, in the lane.

import Engine
import FastPath
import Testing

@Suite struct DispatcherPolicyTests {
    private let wallNanos: UInt64 = 1_700_000_000_000_000_000

    private func bench(_ change: (inout EndpointConfiguration) -> Void) throws -> Bench {
        let bench = try Bench()
        try bench.apply([endpoint("a", change: change)])
        return bench
    }
    private func events(_ bench: Bench, _ event: PolicyEvent) -> UInt64 {
        bench.dispatcher.metrics(now: bench.now).policyEvents[event.rawValue]
    }
    /// Answers whatever is out every `millis`, for so many seconds.
    private func run(_ bench: Bench, seconds: Int, every millis: UInt64, status: UInt16 = 200) {
        for _ in 0..<(seconds * 1000 / Int(millis)) {
            bench.advance(millis: millis)
            bench.egress.answerAll(status: status)
        }
    }

    @Test(arguments: [20, 500])
    func aRateHoldsToOnePercentAtTenTimesTheLimit(perSecond: Int) throws {
        let bench = try bench { endpoint in
            endpoint.policies.rate = RateSettings()
            endpoint.policies.rate?.perSecond = perSecond
        }
        bench.log.append(count: perSecond * 600)
        run(bench, seconds: 60, every: 5)
        #expect(abs(bench.egress.submitted - perSecond * 60) <= perSecond * 60 / 100, "\(bench.egress.submitted)")
        #expect(events(bench, .rateHeld) > 0)
    }
    @Test func aBurstGoesFirst() throws {
        let bench = try bench { endpoint in
            endpoint.concurrency = 100
            endpoint.policies.rate = RateSettings()
            endpoint.policies.rate?.perMinute = 60
            endpoint.policies.rate?.burst = 30
        }
        bench.log.append(count: 100)
        bench.advance(millis: 10)
        #expect(bench.egress.submitted == 30)
        bench.egress.answerAll()
        bench.advance(millis: 3100)
        bench.advance(millis: 1)
        #expect((32...33).contains(bench.egress.submitted), "\(bench.egress.submitted)")
    }
    @Test func whatARateRemembersIsForgottenInTime() throws {
        let bench = try bench { endpoint in
            endpoint.policies.rate = RateSettings()
            endpoint.policies.rate?.perMinute = 60
        }
        bench.log.append(count: 2)
        run(bench, seconds: 3, every: 100)
        #expect(bench.counters("a").delivered == 2)
        bench.advance(millis: 5000)
        let served = bench.dispatcher.lanesServed
        for _ in 0..<10 { bench.advance(millis: 10_000) }
        #expect(bench.dispatcher.lanesServed == served, "an idle lane is not looked at")
    }

    @Test func retriesAreAShareOfFirstAttempts() throws {
        let bench = try bench { endpoint in
            endpoint.concurrency = 64
            endpoint.retryDelaysMillis = [Int](repeating: 100, count: 50)
            endpoint.policies.retry = RetrySettings()
            endpoint.policies.retry?.budget = 0.1
        }
        var firsts = 0
        for _ in 0..<200 {
            bench.log.append(count: 5)
            firsts += 5
            bench.advance(millis: 50)
            bench.egress.answerAll(status: 500)
        }
        // A tenth, the reserve of ten, and one for each of ten seconds in ten.
        let retries = bench.egress.submitted - firsts
        #expect((90...112).contains(retries), "\(retries) retries of \(firsts)")
        #expect(events(bench, .budgetHeld) > 0)
        // Nothing new comes: a trickle, and in the end all of it.
        bench.advance(millis: 100_000)
        bench.egress.answerAll()
        let before = bench.egress.submitted
        run(bench, seconds: 100, every: 1000)
        #expect((8...22).contains(bench.egress.submitted - before), "\(bench.egress.submitted - before)")
    }

    /// What a budget holds back is what has failed, and nothing else.
    @Test func aSpentBudgetHoldsNoFirstAttemptBack() throws {
        let bench = try bench { endpoint in
            endpoint.concurrency = 64
            endpoint.retryDelaysMillis = [Int](repeating: 100, count: 50)
            endpoint.policies.retry = RetrySettings()
            endpoint.policies.retry?.budget = 0.001
        }
        bench.log.append(count: 40)
        let later = "Sluice-Deliver-At: 1700000030000\r\n"
        bench.log.append(FakeEvent(sourceID: .messages, source: PublishSource.name, fieldLines: later))
        bench.advance(millis: 50)
        bench.egress.answer(0)
        run(bench, seconds: 2, every: 50, status: 500)
        #expect(bench.egress.out.isEmpty && bench.status("a").pending == 40)
        let held = bench.dispatcher.trace(2, at: [bench.id("a")], now: bench.now)[bench.id("a")]
        #expect(held?.holds.contains { if case .budget = $0 { true } else { false } } == true)
        // Sent again, by hand, and for later: behind 39 retries that are due.
        #expect(try bench.replay("a", 1) == .accepted)
        #expect(try bench.sendByHand("a", 2) == .accepted)
        bench.advance(millis: 20)
        #expect(bench.egress.out.map(\.sequence).sorted() == [1, 2])
        bench.egress.answerAll()
        while bench.now < 1_031_000_000_000 {
            bench.advance(millis: 100)
            #expect(bench.egress.out.filter { $0.attempt == 1 }.isEmpty || bench.now >= 1_030_000_000_000)
            if bench.egress.out.contains(where: { $0.sequence == 41 }) { return }
            bench.egress.answerAll(status: 500)
        }
        Issue.record("what was for later has not gone")
    }
    /// What ends without being sent takes no room, and yet a turn has its bound.
    @Test func aTurnEndsAlsoWhenNothingIsSent() throws {
        var limits = DispatcherLimits()
        limits.quantumBytes = 6400
        let bench = try Bench(limits: limits)
        try bench.apply([
            endpoint("a") {
                $0.policies.deadlineMillis = 60_000
                $0.retryDelaysMillis = [50_000]
                $0.concurrency = 500
            }
        ])
        bench.log.append(count: 500, FakeEvent(receivedAt: wallNanos))
        for _ in 0..<20 {
            bench.advance(millis: 1)
            bench.egress.answerAll(status: 500)
        }
        bench.advance(millis: 50)
        #expect(bench.status("a").pending == 500)
        bench.perform(.pause(millis: 120_000), "a")
        bench.advance(millis: 50)
        bench.now += 121_000_000_000
        _ = bench.dispatcher.step(now: bench.now)
        #expect((1...100).contains(events(bench, .deadlineExpired)), "\(events(bench, .deadlineExpired))")
        bench.settle()
        #expect(events(bench, .deadlineExpired) == 500)
        bench.advance(millis: 50)
        // What came of the attempt before is kept: it says why there was no success.
        let rows = try bench.rows("a")
        #expect(rows.count == 500)
        #expect(rows.allSatisfy { $0.state == .dead && $0.reason == .expired && $0.status == 500 })
        #expect(rows.allSatisfy { DeadLetterClass($0) == .failure(.server) })
    }

    @Test func whatAPolicyRemembersOutlivesAChangeOfAnother() throws {
        let change: (inout EndpointConfiguration) -> Void = { endpoint in
            endpoint.concurrency = 100
            endpoint.policies.rate = RateSettings()
            endpoint.policies.rate?.perMinute = 60
            endpoint.policies.rate?.burst = 30
        }
        let bench = try bench(change)
        bench.log.append(count: 100)
        bench.advance(millis: 10)
        #expect(bench.egress.submitted == 30)
        // Another policy: no second burst.
        let other = endpoint("a") {
            change(&$0)
            $0.policies.disableAfterMillis = 3_600_000
        }
        try bench.apply([other])
        bench.advance(millis: 10)
        #expect(bench.egress.submitted == 30)
        let faster = endpoint("a") {
            change(&$0)
            $0.policies.rate?.perMinute = 120
        }
        try bench.apply([faster])
        bench.advance(millis: 10)
        #expect(bench.egress.submitted == 60)
    }
    @Test func eachPolicyForgetsByItsOwnSettings() {
        var old = EndpointPolicies()
        old.breaker = BreakerSettings()
        old.rate = RateSettings()
        old.retry = RetrySettings()
        old.retry?.budget = 0.5
        func made() -> LaneMemory {
            let memory = LaneMemory()
            _ = memory.breaker.ended(
                isFailure: true, isProbe: false, in: .closed, by: BreakerSettings(), now: 1)
            memory.bucket.took(now: 1, intervalNanos: 1_000_000_000)
            memory.budget = RetryBudget(now: 1)
            return memory
        }
        func left(_ change: (inout EndpointPolicies) -> Void) -> [Bool] {
            let memory = made()
            var new = old
            change(&new)
            memory.settingsChanged(from: old, to: new)
            return [memory.breaker.failuresInRow > 0, memory.bucket.idleAt > 0, memory.budget != nil]
        }
        #expect(left { $0.deadlineMillis = 5000 } == [true, true, true])
        #expect(left { $0.breaker?.failures += 1 } == [false, true, true])
        #expect(left { $0.rate = nil } == [true, false, true])
        #expect(left { $0.retry?.budget = 0.2 } == [true, true, false])
    }

    @Test func aBudgetHoldsBackRetriesAndNothingElse() throws {
        let bench = try bench { endpoint in
            endpoint.concurrency = 64
            endpoint.retryDelaysMillis = [Int](repeating: 1000, count: 50)
            endpoint.policies.retry = RetrySettings()
            endpoint.policies.retry?.budget = 0.001
        }
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        bench.egress.answerAll()
        bench.advance(millis: 30)
        bench.log.append(count: 12)
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 1100)
        #expect(bench.egress.out.count == 10, "the reserve")
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 1100)
        #expect(bench.egress.out.isEmpty && bench.status("a").pending == 12)
        // Behind twelve that are overdue.
        #expect(try bench.replay("a", 1) == .accepted)
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.sequence) == [1])
        bench.egress.answerAll()
        bench.advance(millis: 10_000)
        #expect(bench.egress.out.count == 1, "one more in ten seconds")
    }

    @Test func whatIsOlderThanItsDeadlineDies() throws {
        let bench = try bench { $0.policies.deadlineMillis = 60_000 }
        bench.log.append(FakeEvent(receivedAt: wallNanos - 61_000_000_000))
        bench.log.append(FakeEvent(receivedAt: wallNanos - 1_000_000_000))
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.sequence) == [2])
        bench.egress.answerAll()
        bench.advance(millis: 50)
        #expect(try bench.rows("a").map(\.state) == [.dead, .delivered])
        #expect(try bench.rows("a").first?.reason == .expired)
        #expect(events(bench, .deadlineExpired) == 1)
        // An operator who wants it gets it.
        #expect(try bench.replay("a", 1) == .accepted)
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.sequence) == [1])
        bench.egress.answerAll()
        bench.advance(millis: 50)
        #expect(try bench.rows("a").map(\.state) == [.delivered, .delivered])
    }
    @Test func aRetryThatWouldComeTooLateIsNotWaitedFor() throws {
        let bench = try bench {
            $0.policies.deadlineMillis = 60_000
            $0.retryDelaysMillis = [30_000, 40_000, 40_000]
        }
        bench.log.append(FakeEvent(receivedAt: wallNanos))
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 30_100)
        #expect(bench.egress.out.map(\.attempt) == [2])
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 50)
        let row = try bench.rows("a")[0]
        #expect(row.state == .dead && row.reason == .expired && row.attempts == 2 && row.status == 500)
    }

    @Test func nothingGoesBeforeItsDelay() throws {
        let bench = try bench { $0.policies.delayMillis = 10_000 }
        for _ in 0..<3 { bench.log.append(FakeEvent(receivedAt: wallNanos)) }
        bench.advance(millis: 50)
        #expect(bench.egress.out.isEmpty && bench.status("a").pending == 3)
        #expect(try bench.rows("a").allSatisfy { $0.state == .pending && $0.attempts == 0 })
        #expect(events(bench, .delayed) == 3)
        // It is kept over a restart.
        bench.advance(millis: 2000)
        let second = try Bench(after: bench, wallMillis: 1_700_000_004_000)
        try second.apply([endpoint("a") { $0.policies.delayMillis = 10_000 }])
        second.advance(millis: 5900)
        #expect(second.egress.out.isEmpty)
        second.advance(millis: 200)
        #expect(second.egress.out.map(\.sequence).sorted() == [1, 2, 3])
        #expect(second.egress.out.allSatisfy { $0.attempt == 1 })
    }
    @Test func aDelayIsNoPartOfTheLongestTime() throws {
        let bench = try bench {
            $0.policies.delayMillis = 1_200_000
            $0.policies.errors = ErrorSettings()
            $0.policies.errors?.preset = .contract
        }
        bench.log.append(FakeEvent(receivedAt: wallNanos))
        bench.advance(millis: 50)
        bench.advance(millis: 1_200_000)
        #expect(bench.egress.out.count == 1)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 50)
        #expect(try bench.rows("a").map(\.state) == [.pending])
        #expect(try bench.rows("a").map(\.attempts) == [1])
    }
    @Test func aDelayKeepsTheOrder() throws {
        let bench = try bench {
            $0.policies.delayMillis = 1000
            $0.ordered = true
        }
        for index in 0..<10 as Range<UInt64> {
            bench.log.append(FakeEvent(receivedAt: wallNanos + index * 100_000_000))
        }
        var order: [UInt64] = []
        for _ in 0..<60 {
            bench.advance(millis: 50)
            order += bench.egress.out.map(\.sequence)
            bench.egress.answerAll()
        }
        #expect(order == Array(1...10))
    }

    @Test func fewerAreOutWithAnEndpointThatIsSlow() throws {
        let bench = try bench { endpoint in
            endpoint.concurrency = 32
            endpoint.policies.concurrency = AdaptiveSettings()
            endpoint.policies.concurrency?.targetMillis = 100
        }
        bench.log.append(count: 3000)
        bench.advance(millis: 1)
        #expect(bench.egress.out.count == 32)
        for _ in 0..<8 {
            bench.advance(millis: 400)
            bench.egress.answerAll { $0.durationMicros = 400_000 }
            bench.advance(millis: 1)
        }
        #expect(bench.egress.out.count == 1 && events(bench, .concurrencyLowered) == 5)
        for _ in 0..<30 {
            bench.advance(millis: 10)
            bench.egress.answerAll { $0.durationMicros = 10_000 }
            bench.advance(millis: 1)
        }
        #expect((10...32).contains(bench.egress.out.count), "\(bench.egress.out.count)")
    }

    @Test(arguments: [400, 70_000] as [UInt64])
    func fewerAreOutAlsoWithOneThatIsBehind(millis: UInt64) throws {
        let bench = try bench { endpoint in
            endpoint.concurrency = 32
            endpoint.policies.concurrency = AdaptiveSettings()
            endpoint.policies.concurrency?.targetMillis = 100
        }
        bench.perform(.pause(millis: nil), "a")
        bench.log.append(count: 3000)
        bench.advance(millis: 1)
        bench.perform(.enable, "a")
        bench.advance(millis: 1)
        #expect(bench.egress.out.count == 32)
        for _ in 0..<8 {
            bench.advance(millis: millis)
            // It is looked at while they are out.
            bench.perform(.enable, "a")
            bench.advance(millis: 1)
            bench.egress.answerAll { $0.durationMicros = UInt32(millis) * 1000 }
            bench.advance(millis: 1)
        }
        #expect(bench.egress.out.count == 1 && events(bench, .concurrencyLowered) == 5)
    }

    @Test func aShadowIsTriedOnceAndLeavesNothing() throws {
        let bench = try bench {
            $0.concurrency = 1000
            $0.policies.shadow = ShadowSettings()
            $0.policies.shadow?.share = 0.25
        }
        bench.log.append(count: 1000)
        bench.advance(millis: 5)
        bench.egress.answer(0)
        bench.egress.answer(0, status: 410)
        bench.advance(millis: 10)
        bench.perform(.enable, "a")
        for _ in 0..<200 {
            bench.advance(millis: 10)
            bench.egress.answerAll(status: 500)
        }
        let count = bench.egress.submitted
        #expect(abs(count - 250) < 60, "\(count)")
        bench.advance(millis: 3000)
        bench.advance(millis: 90_000_000)
        #expect(bench.egress.submitted == count && bench.egress.out.isEmpty)
        #expect(try bench.rows("a").map(\.state) == [.delivered])
        #expect(bench.status("a").pending == 0 && bench.status("a").dead == 0)
        #expect(events(bench, .shadowFailed) == UInt64(count - 1) && events(bench, .shadowDelivered) == 1)
        #expect(try bench.resume("a") == 1001, "it holds nothing back")
    }

    @Test func whatOnlyFailsForSoLongIsDisabled() throws {
        let bench = try bench {
            $0.policies.disableAfterMillis = 3_600_000
            $0.retryDelaysMillis = [Int](repeating: 600_000, count: 20)
        }
        bench.log.append(count: 4)
        bench.advance(millis: 1)
        for turn in 0..<6 {
            bench.egress.answerAll(status: 500)
            bench.advance(millis: 600_000)
            #expect(bench.status("a").state.condition == .failing, "turn \(turn)")
        }
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 1)
        #expect(bench.status("a").state.condition == .disabled && bench.status("a").state.reason == .failedForDays)
    }
    @Test func aSuccessBeginsTheTimeAnew() throws {
        let bench = try bench {
            $0.policies.disableAfterMillis = 3_600_000
            $0.retryDelaysMillis = [Int](repeating: 600_000, count: 40)
        }
        bench.log.append(count: 4)
        bench.advance(millis: 1)
        for turn in 0..<20 {
            if turn % 4 == 3 { bench.egress.answer(0) } else { bench.egress.answerAll(status: 500) }
            bench.egress.answerAll(status: 500)
            bench.log.append(FakeEvent())
            bench.advance(millis: 600_000)
            #expect(bench.status("a").state.condition != .disabled)
        }
    }
}
