// The breaker in the lane: what it costs while an endpoint is dead, what outlives a restart, what an operator may say.

import Engine
import FastPath
import Testing

@Suite struct DispatcherBreakerTests {
    private func broken(
        _ name: String = "a", change: (inout EndpointConfiguration) -> Void = { _ in }
    ) -> EndpointConfiguration {
        endpoint(name) {
            $0.policies.breaker = BreakerSettings()
            $0.concurrency = 4
            $0.retryDelaysMillis = [Int](repeating: 1000, count: 60)
            change(&$0)
        }
    }
    /// With so many events waiting at an endpoint whose breaker has just opened.
    private func opened(_ count: Int, change: (inout EndpointConfiguration) -> Void = { _ in }) throws -> Bench {
        let bench = try Bench()
        try bench.apply([broken(change: change)])
        bench.log.append(count: count)
        bench.advance(millis: 1)
        while !bench.egress.out.isEmpty {
            bench.egress.answerAll(change: failing(.connectFailed))
            bench.advance(millis: 1)
        }
        return bench
    }
    private func events(_ bench: Bench, _ event: PolicyEvent) -> UInt64 {
        bench.dispatcher.metrics(now: bench.now).policyEvents[event.rawValue]
    }
    private func breakers(_ bench: Bench) -> [BreakerPhase: Int] {
        bench.dispatcher.metrics(now: bench.now).breakers.filter { $0.value != 0 }
    }

    @Test func aDeadEndpointCostsItsProbesHoweverMuchWaits() throws {
        let bench = try opened(5000)
        // Four were out when the fifth failure opened it.
        #expect(bench.egress.submitted == 8)
        #expect(bench.status("a").state.reason == .breakerOpen && breakers(bench) == [.open: 1])
        let (reads, served) = (bench.log.reads, bench.dispatcher.lanesServed)
        for _ in 0..<10 {
            bench.advance(millis: 59_900)
            #expect(bench.egress.out.isEmpty)
            bench.advance(millis: 110)
            #expect(bench.egress.out.count == 1, "one probe")
            bench.egress.answerAll(status: 503)
            bench.advance(millis: 1)
        }
        #expect(bench.egress.submitted == 18)
        #expect(bench.log.reads - reads < 40 && bench.dispatcher.lanesServed - served < 100)
        #expect(events(bench, .breakerOpened) == 11 && events(bench, .breakerProbed) == 10)
        // It opened and tried again each minute, which nobody was told of.
        #expect(bench.dispatcher.notices.map(\.state.condition) == [.failing, .paused])
        #expect(bench.counters("a").delivered == 0 && bench.status("a").dead == 0)
    }
    @Test func threeProbesCloseItAndTheRestFollowsAtARamp() throws {
        let bench = try opened(200)
        bench.advance(millis: 60_000)
        var atOnce: [Int] = []
        for _ in 0..<7 {
            atOnce.append(bench.egress.out.count)
            bench.egress.answerAll()
            bench.advance(millis: 1)
        }
        #expect(Array(atOnce.prefix(5)) == [1, 1, 1, 1, 2], "one probe at a time, then one more with each success")
        #expect(atOnce.last == 4 && breakers(bench) == [:])
        #expect(bench.status("a").state.condition == .active && events(bench, .breakerClosed) == 1)
        for _ in 0..<100 {
            bench.egress.answerAll()
            bench.advance(millis: 20)
        }
        bench.advance(millis: 2000)
        #expect(bench.counters("a").delivered == 200)
        #expect(try bench.rows("a").count { $0.state == .delivered } == 200)
    }
    @Test func oneProbeThatFailsOpensItAgain() throws {
        let bench = try opened(20)
        bench.advance(millis: 60_000)
        bench.egress.answerAll()
        bench.advance(millis: 1)
        bench.egress.answerAll(change: failing(.headTimedOut))
        bench.advance(millis: 1)
        #expect(bench.status("a").state.reason == .breakerOpen && bench.egress.out.isEmpty)
        bench.advance(millis: 59_000)
        #expect(bench.egress.out.isEmpty)
        bench.advance(millis: 1100)
        #expect(bench.egress.out.count == 1)
    }
    @Test func anOrderOutlivesIt() throws {
        let bench = try opened(30) { $0.ordered = true }
        for _ in 0..<10 where breakers(bench) == [:] {
            bench.advance(millis: 1000)
            bench.egress.answerAll(status: 500)
            bench.advance(millis: 1)
        }
        #expect(breakers(bench) == [.open: 1] && bench.egress.submitted == 5)
        bench.advance(millis: 60_000)
        var order: [UInt64] = []
        for _ in 0..<200 where order.count < 30 {
            order += bench.egress.out.map(\.sequence)
            bench.egress.answerAll()
            bench.advance(millis: 300)
        }
        #expect(order == Array(1...30))
    }
    @Test func itsPhaseOutlivesAProcess() throws {
        let first = try opened(50)
        first.advance(millis: 2000)
        let second = try Bench(after: first, wallMillis: 1_700_000_030_000)
        try second.apply([broken()])
        second.advance(millis: 1)
        #expect(second.egress.out.isEmpty && breakers(second) == [.open: 1])
        second.advance(millis: 31_000)
        #expect(second.egress.out.count == 1 && breakers(second) == [.halfOpen: 1])
        second.advance(millis: 1000)
        // It dies while it is half-open.
        let third = try Bench(after: second, wallMillis: 1_700_000_063_000)
        try third.apply([broken()])
        third.advance(millis: 1)
        #expect(third.egress.out.count == 1 && breakers(third) == [.halfOpen: 1])
        third.egress.answerAll(status: 500)
        third.advance(millis: 1)
        #expect(third.status("a").state.reason == .breakerOpen)
    }
    @Test func anOperatorOutranksIt() throws {
        let bench = try opened(50)
        bench.perform(.retryNow, "a")
        bench.advance(millis: 1)
        #expect(bench.egress.out.count == 1, "a probe now")
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 1)
        bench.perform(.enable, "a")
        bench.advance(millis: 1)
        #expect(bench.egress.out.count == 4 && breakers(bench) == [:])
        bench.perform(.pause(millis: nil), "a")
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 1)
        #expect(bench.status("a").state.reason == .operatorRequest, "what was out does not change that")
        bench.advance(millis: 3_600_000)
        #expect(bench.egress.out.isEmpty)
    }
    @Test func whoeverTakesItAwayClosesIt() throws {
        let bench = try opened(50)
        try bench.apply([broken { $0.policies.breaker = nil }])
        bench.advance(millis: 1)
        #expect(bench.status("a").state.condition == .active && breakers(bench) == [:])
        #expect(!bench.egress.out.isEmpty)
    }
    @Test func aLongerPauseThatItAskedForIsItsCooldown() throws {
        let bench = try Bench()
        try bench.apply([broken { $0.concurrency = 8 }])
        bench.log.append(count: 8)
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 429) { $0.retryAfterSeconds = 600 }
        bench.advance(millis: 1)
        #expect(bench.status("a").state.reason == .breakerOpen)
        bench.advance(millis: 599_000)
        #expect(bench.egress.out.isEmpty)
        bench.advance(millis: 1100)
        #expect(bench.egress.out.count == 1 && breakers(bench) == [.halfOpen: 1])
    }
    @Test func answersThatAreNoTriggerDoNotOpenIt() throws {
        let bench = try Bench()
        try bench.apply([broken()])
        bench.log.append(count: 40)
        for _ in 0..<20 {
            bench.advance(millis: 1)
            bench.egress.answerAll(status: 422)
        }
        bench.advance(millis: 50)
        #expect(breakers(bench) == [:] && bench.status("a").dead == 40)
    }
    @Test func aNameThatDoesNotResolveOpensIt() throws {
        let bench = try Bench()
        bench.hosts.set("h.example", .failed)
        try bench.apply([broken { $0.url = "http://h.example/1" }])
        bench.log.append(count: 100)
        for _ in 0..<50 { bench.advance(millis: 1000) }
        #expect(breakers(bench) == [.open: 1])
        #expect(bench.counters("a").attemptCount <= 6)
    }
    @Test func itStopsNobodyElse() throws {
        let bench = try Bench()
        try bench.apply([broken(), endpoint("b")])
        bench.log.append(count: 500)
        for _ in 0..<200 {
            bench.advance(millis: 1)
            bench.egress.answer(endpoint: 1, status: 500)
            bench.egress.answer(endpoint: 2)
        }
        #expect(bench.counters("b").delivered == 500 && breakers(bench) == [.open: 1])
    }
    @Test func aRemovedEndpointCountsNoMore() throws {
        let bench = try opened(10)
        try bench.apply([endpoint("b")])
        #expect(breakers(bench) == [:])
        try bench.apply([broken(), endpoint("b")])
        bench.advance(millis: 1)
        #expect(bench.status("a").state.condition == .active, "what came of its answers is not remembered")
    }
    @Test func aPauseThatIsNoTriggerEndsNoProbing() throws {
        let bench = try Bench()
        let settings = broken {
            $0.policies.breaker?.on = ["5xx"]
            $0.policies.breaker?.failures = 1
        }
        try bench.apply([settings])
        bench.log.append(count: 20)
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 1)
        #expect(breakers(bench) == [.open: 1])
        bench.advance(millis: 60_000)
        #expect(bench.egress.out.count == 1 && breakers(bench) == [.halfOpen: 1])
        bench.egress.answerAll(status: 429) { $0.retryAfterSeconds = 600 }
        bench.advance(millis: 1)
        #expect(breakers(bench) == [.open: 1] && bench.egress.out.isEmpty)
        bench.advance(millis: 599_000)
        #expect(bench.egress.out.isEmpty)
        bench.advance(millis: 1100)
        #expect(bench.egress.out.count == 1 && breakers(bench) == [.halfOpen: 1], "probes all the same")
    }
}
