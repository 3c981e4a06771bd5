// What is new and what waits for another attempt at one endpoint: whatever is scarce there, each has its turn, and
// where an order is asked for, the order.

import Engine
import FastPath
import Testing

@Suite struct DispatcherTurnTests {
    enum Scarce: CaseIterable { case places, rate, orders, quantum }

    private func limits(_ scarce: Scarce) -> DispatcherLimits {
        var limits = DispatcherLimits()
        if scarce == .orders { limits.orderCountMax = 4 }
        if scarce == .quantum { limits.quantumBytes = 1 }
        return limits
    }
    private func wide(_ change: (inout EndpointConfiguration) -> Void = { _ in }) -> EndpointConfiguration {
        endpoint("a") {
            $0.concurrency = 256
            $0.retryDelaysMillis = [Int](repeating: 600_000, count: 9)
            change(&$0)
        }
    }
    /// With so many retries that are due, of an endpoint that takes little from now on.
    private func bench(_ count: Int, _ scarce: Scarce) throws -> Bench {
        let bench = try Bench(poolBytes: 8 << 20, limits: limits(scarce))
        try bench.apply([wide()])
        bench.log.append(count: count)
        while bench.status("a").pending < count {
            bench.advance(millis: 30)
            bench.egress.answerAll(status: 500)
        }
        try bench.apply([
            wide {
                if scarce == .places { $0.concurrency = 1 }
                if scarce == .rate {
                    $0.policies.rate = RateSettings()
                    $0.policies.rate?.perSecond = 100
                }
            }
        ])
        bench.now += 900_000_000_000
        return bench
    }
    /// The sequences of the next deliveries, each answered at once.
    private func take(_ bench: Bench, _ count: Int, beforeEach: () -> Void = {}) throws -> [UInt64] {
        var sent: [UInt64] = []
        var rounds = 0
        while sent.count < count {
            beforeEach()
            bench.advance(millis: 10)
            sent += bench.egress.out.map(\.sequence)
            bench.egress.answerAll()
            rounds += 1
            try #require(rounds < 100 * count, "\(sent)")
        }
        return sent
    }

    @Test(arguments: Scarce.allCases)
    func newEventsDoNotWaitBehindTwoThousandRetries(_ scarce: Scarce) throws {
        let old = UInt64(2000)
        let bench = try bench(Int(old), scarce)
        bench.log.append(count: 30)
        let sent = try take(bench, 80)
        let new = sent.prefix(80).filter { $0 > old }
        #expect(new.count == 30 && new == new.sorted(), "\(sent)")
    }
    /// As many as there is room for in the backlog, and more of them than ever go.
    @Test(arguments: [Scarce.places, .rate, .orders])
    func retriesDoNotWaitBehindNewEventsThatNeverEnd(_ scarce: Scarce) throws {
        let old = 40
        let bench = try bench(old, scarce)
        bench.log.append(count: 3000)
        let sent = try take(bench, 120) { bench.log.append(count: 5) }
        #expect(sent.count { $0 <= UInt64(old) } >= old, "\(sent)")
    }
    @Test(arguments: [Scarce.places, .rate])
    func retriesGoOnWhereTheNextNewEventCannotBeRead(_ scarce: Scarce) throws {
        let old = 40
        let bench = try bench(old, scarce)
        bench.log.append(count: 1)
        bench.log.unavailable = [UInt64(old) + 1]
        #expect(try take(bench, old).allSatisfy { $0 <= UInt64(old) })
        bench.log.unavailable = []
        #expect(try take(bench, 1) == [UInt64(old) + 1])
    }
    @Test func anOrderIsKeptAllTheSame() throws {
        let bench = try Bench(poolBytes: 8 << 20)
        try bench.apply([wide { $0.ordered = true }])
        bench.log.append(count: 50)
        bench.advance(millis: 30)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 599_000)
        bench.log.append(count: 10)
        bench.advance(millis: 30)
        #expect(bench.egress.out.isEmpty)
        bench.now += 10_000_000_000
        #expect(try take(bench, 60) == Array(1...60))
    }
    /// More than a queue keeps in memory, all due, and held back by the budget.
    @Test func whatIsForLaterGoesInTimeHoweverManyRetriesAreHeldBack() throws {
        let bench = try Bench(poolBytes: 8 << 20)
        try bench.apply([
            wide {
                $0.retryDelaysMillis = [Int](repeating: 1000, count: 50)
                $0.policies.retry = RetrySettings()
                $0.policies.retry?.budget = 0.001
            }
        ])
        let count = RetryQueue.entryCountMax + 1000
        bench.log.append(count: count)
        while bench.status("a").pending < count {
            bench.advance(millis: 1)
            bench.egress.answerAll(status: 500)
        }
        let due = bench.now + 60_000_000_000
        let millis = 1_700_000_000_000 + (due - 1_000_000_000_000) / 1_000_000
        let later = "Sluice-Deliver-At: \(millis)\r\n"
        bench.log.append(FakeEvent(sourceID: .messages, source: PublishSource.name, fieldLines: later))
        var sent: [UInt64] = []
        while bench.now < due + 1_000_000_000 {
            bench.advance(millis: 500)
            sent += bench.egress.out.map(\.sequence)
            bench.egress.answerAll(status: 500)
        }
        #expect(sent.contains(UInt64(count) + 1) && sent.count < 30, "\(sent)")
    }
}
