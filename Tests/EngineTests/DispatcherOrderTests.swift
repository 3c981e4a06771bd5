// Endpoints that ask for an order, one situation a test: what is out, what follows, over failures and restarts.

import Engine
import FastPath
import Testing

private func ordered(
    _ key: String? = nil, change: (inout EndpointConfiguration) -> Void = { _ in }
) -> EndpointConfiguration {
    endpoint("a") {
        $0.ordered = true
        if let key { $0.orderKey = [key] }
        $0.retryDelaysMillis = [1000, 1000, 1000]
        change(&$0)
    }
}
private func of(_ customer: String) -> FakeEvent { FakeEvent(fieldLines: "X-Customer: \(customer)\r\n") }

extension Bench {
    /// Answers what is out, one round after the other; the sequences in the order in which they were sent.
    fileprivate func drain(_ rounds: Int = 100, status: (FakeEgress.Sent) -> UInt16 = { _ in 200 }) -> [UInt64] {
        var sent: [UInt64] = []
        for _ in 0..<rounds {
            settle()
            while let first = egress.out.first {
                sent.append(first.sequence)
                egress.answer(0, status: status(first))
            }
            advance(millis: 100)
        }
        return sent
    }
    fileprivate var outNow: [UInt64] {
        settle()
        return egress.out.map(\.sequence).sorted()
    }
}

@Suite struct DispatcherOrderTests {
    @Test func oneTwoThreeFourAlsoWhenThreeFailsOnce() throws {
        let bench = try Bench()
        try bench.apply([ordered { $0.concurrency = 16 }])
        bench.log.append(count: 6)
        #expect(bench.outNow == [1])
        var hasFailed = false
        let sent = bench.drain { sent in
            guard sent.sequence == 3, !hasFailed else { return 200 }
            hasFailed = true
            return 500
        }
        #expect(sent == [1, 2, 3, 3, 4, 5, 6])
        #expect(try bench.rows("a").allSatisfy { $0.state == .delivered } && bench.rows("a").count == 6)
        #expect(bench.pool.leasedCount == 0)
    }
    @Test func aDeadLetterLetsTheNextGo() throws {
        let bench = try Bench()
        try bench.apply([ordered { $0.retryDelaysMillis = [500] }])
        bench.log.append(count: 3)
        let sent = bench.drain { $0.sequence == 2 ? 500 : 200 }
        #expect(sent == [1, 2, 2, 3])
        #expect(try bench.rows("a").map(\.state) == [.delivered, .dead, .delivered])
    }
    @Test func aKeyWaitsForItselfAndForNoOther() throws {
        let bench = try Bench()
        try bench.apply([ordered("header:X-Customer") { $0.retryDelaysMillis = [60_000] }])
        for customer in ["x", "y", "x", "y", "x", "z"] { bench.log.append(of(customer)) }
        #expect(bench.outNow == [1, 2, 6])
        let sent = bench.drain(20) { $0.sequence == 1 ? 500 : 200 }
        #expect(sent.sorted() == [1, 2, 4, 6] && sent.filter { $0 == 2 || $0 == 4 } == [2, 4])
        // What is held back has its row, so the mark has gone on.
        #expect(try bench.rows("a").filter { $0.state == .pending }.map(\.place.sequence) == [1, 3, 5])
        bench.advance(millis: 2000)
        #expect(try bench.resume("a") == 7)
        bench.log.append(of("x"))
        bench.advance(millis: 60_000)
        #expect(bench.drain(20) == [1, 3, 5, 7])
        #expect(bench.status("a").pending == 0)
    }
    @Test func anOrderOutlivesARestart() throws {
        let bench = try Bench()
        try bench.apply([ordered("header:X-Customer") { $0.retryDelaysMillis = [60_000] }])
        for customer in ["x", "y", "x", "x"] { bench.log.append(of(customer)) }
        _ = bench.drain(20) { $0.sequence == 1 ? 500 : 200 }
        bench.advance(millis: 2000)
        // The row of 1 is due in a minute, those of 3 and 4 at once: they are not to go before it.
        let next = try Bench(after: bench)
        try next.apply([ordered("header:X-Customer") { $0.retryDelaysMillis = [60_000] }])
        for customer in ["x", "y"] { next.log.append(of(customer)) }
        #expect(next.drain(20) == [6])
        next.advance(millis: 60_000)
        #expect(next.drain(20) == [1, 3, 4, 5])
    }
    @Test func whatWasOutWhenTheProcessDiedGoesBeforeWhatWaitedForIt() throws {
        let bench = try Bench()
        try bench.apply([ordered("header:X-Customer")])
        for customer in ["x", "x", "x"] { bench.log.append(of(customer)) }
        #expect(bench.outNow == [1])
        // The rows of 2 and 3 are written; 1 is out, and is forgotten.
        bench.advance(millis: 50)
        bench.advance(millis: 50)
        let next = try Bench(after: bench)
        try next.apply([ordered("header:X-Customer")])
        #expect(next.drain(20) == [1, 2, 3])
    }
    @Test func theStrictOrderOutlivesARestartToo() throws {
        let bench = try Bench()
        try bench.apply([ordered { $0.retryDelaysMillis = [60_000] }])
        bench.log.append(count: 3)
        _ = bench.drain(5) { _ in 503 }
        bench.advance(millis: 2000)
        let next = try Bench(after: bench)
        try next.apply([ordered { $0.retryDelaysMillis = [60_000] }])
        next.log.append(count: 2)
        #expect(next.drain(20) == [])
        next.advance(millis: 60_000)
        #expect(next.drain(20) == [1, 2, 3, 4, 5])
    }
    @Test func aReplayTakesItsPlace() throws {
        let bench = try Bench()
        try bench.apply([ordered()])
        bench.log.append(count: 5)
        #expect(bench.drain(20) == [1, 2, 3, 4, 5])
        bench.log.append(count: 2)
        #expect(bench.outNow == [6])
        for sequence in [UInt64(4), 2, 3] { #expect(try bench.replay("a", sequence) == .accepted) }
        #expect(bench.outNow == [6])
        var hasFailed = false
        let sent = bench.drain(60) { sent in
            guard sent.sequence == 3, !hasFailed else { return 200 }
            hasFailed = true
            return 500
        }
        #expect(sent == [6, 2, 3, 3, 4, 7])
    }
    @Test func retryNowKeepsTheOrder() throws {
        let bench = try Bench()
        try bench.apply([ordered("header:X-Customer") { $0.retryDelaysMillis = [60_000] }])
        for customer in ["x", "x", "x"] { bench.log.append(of(customer)) }
        _ = bench.drain(5) { _ in 500 }
        bench.perform(.retryNow, "a")
        #expect(bench.drain(20) == [1, 2, 3])
    }
    @Test func anAbandonedAttemptGoesBeforeWhatFollows() throws {
        let bench = try Bench()
        try bench.apply([ordered("header:X-Customer")])
        for customer in ["x", "x", "y"] { bench.log.append(of(customer)) }
        #expect(bench.outNow == [1, 3])
        bench.egress.answer(0, change: failing(.abandoned))
        let sent = bench.drain(20)
        #expect(sent.filter { $0 < 3 } == [1, 2])
    }
    @Test func anOrderBeginsWhenWhatIsOutHasComeBack() throws {
        let bench = try Bench()
        try bench.apply([ordered { $0.ordered = false }])
        bench.log.append(count: 3)
        #expect(bench.outNow == [1, 2, 3])
        try bench.apply([ordered()])
        bench.log.append(count: 2)
        bench.egress.answer(2, status: 500)
        bench.advance(millis: 50)
        #expect(bench.outNow == [1, 2])
        bench.egress.answer(0, status: 500)
        bench.egress.answer(0, status: 200)
        #expect(bench.drain(60) == [1, 3, 4, 5])
    }
    @Test func withoutAnOrderWhatWasHeldBackGoes() throws {
        let bench = try Bench()
        try bench.apply([ordered("header:X-Customer") { $0.retryDelaysMillis = [60_000] }])
        for customer in ["x", "x", "x"] { bench.log.append(of(customer)) }
        _ = bench.drain(5) { _ in 500 }
        try bench.apply([ordered { $0.ordered = false }])
        #expect(bench.drain(20).sorted() == [2, 3])
    }
    @Test func otherEndpointsAndIdleLanesPayNothing() throws {
        let bench = try Bench()
        try bench.apply([ordered { $0.retryDelaysMillis = [60_000] }, endpoint("b") { $0.concurrency = 4 }])
        bench.log.append(count: 3000)
        for _ in 0..<1000 {
            bench.settle()
            bench.egress.answer(endpoint: 1, status: 500)
            bench.egress.answer(endpoint: 2)
            bench.port.pump()
        }
        #expect(bench.counters("b").delivered == 3000 && bench.counters("a").delivered == 0)
        #expect(bench.status("a").pending == 1)
    }
    @Test func whatIsHeldBackHasABoundAndGoesOnBehindIt() throws {
        let bench = try Bench()
        try bench.apply([ordered("header:X-Customer") { $0.retryDelaysMillis = [600_000] }])
        bench.log.append(count: LaneOrder.memberCountMax + 3000, of("x"))
        bench.log.append(of("y"))
        _ = bench.drain(60) { _ in 500 }
        #expect(bench.status("a").pending == LaneOrder.memberCountMax)
        #expect(bench.egress.submitted == 1, "the other key waits behind the bound")
        bench.advance(millis: 600_000)
        var count = 0
        while bench.egress.submitted < 4000, count < 20_000 {
            count += 1
            bench.settle()
            // The other key's comes into reach on the way.
            #expect((1...2).contains(bench.egress.out.count))
            bench.egress.answerAll()
            bench.port.pump()
        }
        #expect(bench.egress.submitted >= 4000)
        #expect(bench.status("a").pending <= LaneOrder.memberCountMax)
    }
}
