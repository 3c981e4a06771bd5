// So many deliveries a second: the state machine by itself, and in a lane beside others.

import Engine
import FastPath
import Testing

@Suite struct DeliverySpacingTests {
    private static let second: UInt64 = 1_000_000_000

    /// When each of `count` deliveries goes that are all there at once, asked for at every millisecond.
    private func times(rate: Int, count: Int) -> [UInt64] {
        let interval = DeliverySpacing.intervalNanos(perSecond: rate)
        var spacing = DeliverySpacing()
        var now: UInt64 = 5 * Self.second
        var times: [UInt64] = []
        while times.count < count {
            while times.count < count, spacing.end(now: now, intervalNanos: interval) == nil {
                spacing.took(now: now, intervalNanos: interval)
                times.append(now - 5 * Self.second)
            }
            now += 1_000_000
        }
        return times
    }

    @Test func aSlowRateIsAStrictDistance() {
        #expect(times(rate: 2, count: 4) == [0, 500_000_000, 1_000_000_000, 1_500_000_000])
        let rate50 = times(rate: 50, count: 20)
        #expect(zip(rate50, rate50.dropFirst()).allSatisfy { $1 - $0 >= 20_000_000 })
    }
    @Test(arguments: [51, 100, 333, 1000]) func aFastRateIsHeldOverTime(_ rate: Int) {
        let times = times(rate: rate, count: 2 * rate)
        // Two seconds' worth, less what the slack lets go ahead.
        let seconds = Double(times[times.count - 1]) / 1e9
        #expect(seconds >= 1.95 && seconds <= 2.0, "\(seconds)")
        for (place, time) in times.enumerated() {
            let within = times[place...].prefix { $0 < time + Self.second }.count
            #expect(within <= rate + rate / 50 + 1, "\(within) within a second")
        }
    }
    @Test func whatWasNotUsedIsNotSavedUp() {
        let interval = DeliverySpacing.intervalNanos(perSecond: 10)
        var spacing = DeliverySpacing()
        #expect(spacing.isIdle && spacing.end(now: 0, intervalNanos: interval) == nil)
        spacing.took(now: 0, intervalNanos: interval)
        #expect(!spacing.isIdle && spacing.end(now: 1, intervalNanos: interval) == 100_000_000)
        spacing.expire(now: 99_999_999)
        #expect(!spacing.isIdle && spacing.idleAt == 100_000_000)
        spacing.expire(now: 60 * Self.second)
        #expect(spacing.isIdle)
        spacing.took(now: 60 * Self.second, intervalNanos: interval)
        #expect(spacing.end(now: 60 * Self.second, intervalNanos: interval) == 60 * Self.second + 100_000_000)
    }

    // MARK: in a lane

    @Test func aLaneWithARateSendsNoFasterAndDropsNothing() throws {
        let bench = try Bench()
        try bench.apply([endpoint("slow") { $0.extras.throttleRate = 2 }, endpoint("fast")])
        bench.advance(millis: 10)
        bench.log.append(count: 6)
        var sent: [(endpoint: Int, at: UInt64)] = []
        let begun = bench.now
        for _ in 0..<400 {
            bench.advance(millis: 10)
            sent += bench.egress.out.map { ($0.endpoint, (bench.now - begun) / 1_000_000) }
            bench.egress.answerAll()
        }
        let slow = sent.filter { $0.endpoint == 1 }.map(\.at)
        #expect(slow.count == 6)
        #expect(zip(slow, slow.dropFirst()).allSatisfy { (490...530).contains($1 - $0) }, "\(slow)")
        #expect(sent.filter { $0.endpoint == 2 }.map(\.at).allSatisfy { $0 <= 20 }, "the other one waits for nothing")
        bench.advance(millis: 2000)
        #expect(try bench.rows("slow").map(\.state) == Array(repeating: .delivered, count: 6))
        #expect(try bench.store.snapshot().marks.isEmpty, "nothing is left of it when it is quiet")
    }
    @Test func theRateHoldsBetweenEventsThatComeOneByOne() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.extras.throttleRate = 1 }])
        bench.advance(millis: 10)
        var times: [UInt64] = []
        let begun = bench.now
        for step in 0..<500 {
            if step % 10 == 0, step < 50 { bench.log.append(FakeEvent()) }
            bench.advance(millis: 10)
            times += bench.egress.out.map { _ in (bench.now - begun) / 1_000_000 }
            bench.egress.answerAll()
        }
        #expect(times.count == 5 && zip(times, times.dropFirst()).allSatisfy { $1 - $0 >= 990 }, "\(times)")
    }
    @Test func retriesCountToo() throws {
        let bench = try Bench()
        try bench.apply([
            endpoint("a") {
                $0.extras.throttleRate = 1
                $0.retryDelaysMillis = [10]
            }
        ])
        bench.advance(millis: 10)
        bench.log.append(FakeEvent())
        bench.advance(millis: 10)
        #expect(bench.egress.out.map(\.attempt) == [1])
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 500)
        #expect(bench.egress.out.isEmpty)
        bench.advance(millis: 600)
        #expect(bench.egress.out.map(\.attempt) == [2])
    }
}
