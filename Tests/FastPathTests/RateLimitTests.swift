// Token buckets and sliding windows over simulated time: how exact they are, what they say of themselves, what several
// threads make of one.

import FastPath
import Synchronization
import TestSupport
import Testing

private let second: UInt64 = 1_000_000_000
private let bucketSettings = RateLimiter.Settings(capacity: 100, perSecond: 10)
private let windowSettings = RateLimiter.Settings(perMinute: 100, perHour: 1000)

/// The moments at which a request was let in, of requests that come evenly.
private func admitted(
    _ limit: RateLimiter, perSecond: UInt64, seconds: UInt64, from start: UInt64 = 1000 * second
) -> [UInt64] {
    let step = second / perSecond
    return (0..<perSecond * seconds).map { start + $0 * step }.filter { limit.take($0).isOpen }
}
/// The most of `moments` within any stretch of `period`.
private func densest(_ moments: [UInt64], within period: UInt64) -> Int {
    var (first, most) = (0, 0)
    for (index, moment) in moments.enumerated() {
        while moments[first] + period <= moment { first += 1 }
        most = max(most, index - first + 1)
    }
    return most
}

struct RateLimitTests {
    @Test func aBucketIsExactOverAMinuteAtTenTimesItsRate() {
        let limiter = RateLimiter(bucketSettings)
        let moments = admitted(limiter, perSecond: 100, seconds: 60)
        // 100 tokens, and 10 a second for the 59.99 s behind the first request.
        #expect(abs(moments.count - 700) <= 7, "\(moments.count)")
        #expect(moments.prefix(100).last! < 1000 * second + 2 * second)
        // It has 100, and not one more, after any rest.
        let later = 100_000 * second
        #expect((0..<300).count { _ in limiter.take(later).isOpen } == 100)
    }
    @Test(arguments: [1, 3, 7, 999, 70_000, 1_000_000] as [UInt32])
    func aBucketOfAnyRateIsExact(_ rate: UInt32) {
        let limit = RateLimiter(RateLimiter.Settings(capacity: 10, perSecond: rate))
        // So that both the rate and what comes divide the time.
        let (seconds, offered) = rate > 1000 ? (1, UInt64(rate) * 4) : (60, UInt64(rate) * 10)
        let count = Double(admitted(limit, perSecond: offered, seconds: UInt64(seconds)).count)
        let wanted = Double(rate) * Double(seconds) + 9
        #expect(abs(count - wanted) <= max(wanted * 0.01, 1), "\(count) of \(wanted)")
    }
    @Test func aWindowNeverHasMoreAndInTheLongRunNoLess() {
        let limit = RateLimiter(RateLimiter.Settings(perMinute: 100))
        let even = admitted(limit, perSecond: 17, seconds: 6000)
        #expect(densest(even, within: 60 * second) == 100)
        #expect(Double(even.count) >= 100 * 100 * 0.99)
        // In bursts, at moments of every kind.
        var random = SeededRandom(12)
        var (now, moments) = (1_000_000 * second, [UInt64]())
        for _ in 0..<2000 {
            now += random.next() % (20 * second)
            for _ in 0..<random.next() % 60 where limit.take(now).isOpen { moments.append(now) }
        }
        #expect(densest(moments, within: 60 * second) == 100)
    }
    @Test func theFirstMinuteOfAWindowTakesItsNumberAndTheHourItsOwn() {
        let limiter = RateLimiter(windowSettings)
        let first = admitted(limiter, perSecond: 20, seconds: 60)
        #expect(first.count == 100)
        let rest = admitted(limiter, perSecond: 20, seconds: 3540, from: 1060 * second)
        #expect(first.count + rest.count == 1000)
        #expect(densest(first + rest, within: 3600 * second) == 1000)
        let decision = limiter.look(4600 * second - 1)
        #expect(!decision.isOpen && decision.quota.limit == 1000 && decision.quota.remaining == 0)
        // The first came 3,600 s ago and counts to the end of its slice; the last ten minutes later.
        #expect(decision.waitSeconds <= 29 && (540...600).contains(decision.quota.resetSeconds))
    }
    @Test(arguments: [bucketSettings, windowSettings, RateLimiter.Settings(capacity: 5, perSecond: 3, perMinute: 7)])
    func afterTheWaitThereIsOneMoreAndNotBefore(_ settings: RateLimiter.Settings) {
        let limit = RateLimiter(settings)
        var now = 5000 * second
        for _ in 0..<50 {
            while limit.take(now).isOpen {}
            let wait = limit.look(now).waitNanos
            #expect(wait > 0)
            #expect(!limit.look(now + wait - 1).isOpen)
            now += wait
            #expect(limit.take(now).isOpen)
        }
    }
    @Test func whatIsGivenBackIsThereAgainAndARefusalTakesNothing() {
        let limiter = RateLimiter(RateLimiter.Settings(capacity: 10, perSecond: 1, perMinute: 4))
        let (limit, now) = (limiter, 50 * second)
        for _ in 0..<4 { #expect(limit.take(now).isOpen) }
        for _ in 0..<100 { #expect(!limit.take(now).isOpen) }
        for _ in 0..<4 { limit.giveBack(now + second) }
        // The bucket lost nothing to what the window refused.
        #expect(limit.look(now).quota == RateQuota(limit: 4, remaining: 4, resetSeconds: 0))
        for _ in 0..<4 { #expect(limit.take(now + second).isOpen) }
        #expect(limit.take(now + second).quota.remaining == 0)
    }
    @Test func itSaysWhatIsLeftAndWhenAllIsBack() {
        let limiter = RateLimiter(bucketSettings)
        let now = 7 * second
        let first = limiter.take(now)
        #expect(first.quota == RateQuota(limit: 100, remaining: 99, resetSeconds: 1) && first.waitSeconds == 0)
        for _ in 0..<99 { _ = limiter.take(now) }
        let refused = limiter.take(now)
        #expect(refused.quota == RateQuota(limit: 100, remaining: 0, resetSeconds: 10))
        #expect(refused.waitNanos == second / 10 && refused.waitSeconds == 1)
    }
    @Test func severalThreadsShareOneExactly() {
        for settings in [bucketSettings, RateLimiter.Settings(perMinute: 700)] {
            let limiter = RateLimiter(settings)
            let count = Atomic<Int>(0)
            let clock = Atomic<UInt64>(0)
            // A minute at ten times the limit, each request at its own moment, whichever thread has it.
            let step = second / 100
            let threads = (0..<4).map { index in
                try? LoopThread(name: "limit-\(index)") {
                    while true {
                        let at = clock.wrappingAdd(1, ordering: .relaxed).oldValue
                        guard at < 60 * 100 else { return }
                        if limiter.take(1000 * second + at * step).isOpen { count.add(1, ordering: .relaxed) }
                    }
                }
            }
            for thread in threads { thread?.join() }
            let total = count.load(ordering: .relaxed)
            #expect(abs(total - 700) <= 7, "\(total)")
        }
    }
    /// The cells that are cleared are then the same that the others count in already.
    @Test func afterAnIdleTimeSeveralThreadsLoseNothing() {
        let limiter = RateLimiter(RateLimiter.Settings(perMinute: 100))
        for round in 0..<200 as Range<UInt64> {
            let now = 1000 * second + round * 180 * second
            let count = Atomic<Int>(0)
            let threads = (0..<4).map { index in
                try? LoopThread(name: "limit-\(index)") {
                    for _ in 0..<20 where limiter.take(now).isOpen { count.add(1, ordering: .relaxed) }
                }
            }
            for thread in threads { thread?.join() }
            var all = count.load(ordering: .relaxed)
            for _ in 0..<200 where limiter.take(now).isOpen { all += 1 }
            #expect(all == 100, "round \(round)")
        }
    }
    @Test func atOneMomentManyThreadsGetWhatThereIsAndNoMore() {
        for settings in [bucketSettings, RateLimiter.Settings(perMinute: 100)] {
            let limiter = RateLimiter(settings)
            let count = Atomic<Int>(0)
            let threads = (0..<4).map { index in
                try? LoopThread(name: "limit-\(index)") {
                    for _ in 0..<20_000 where limiter.take(9 * second).isOpen {
                        count.add(1, ordering: .relaxed)
                        // Some are not genuine.
                        if index == 0 {
                            limiter.giveBack(9 * second)
                            count.subtract(1, ordering: .relaxed)
                        }
                    }
                }
            }
            for thread in threads { thread?.join() }
            // The last to end may have given one back.
            var all = count.load(ordering: .relaxed)
            while limiter.take(9 * second).isOpen { all += 1 }
            #expect(all == 100)
            #expect(!limiter.look(9 * second).isOpen)
        }
    }
    @Test("A hundred equal tenants, each over its limit, get the same (Jain's index)")
    func tenantsGetTheSame() {
        let limiters = (0..<100).map { _ in RateLimiter(bucketSettings) }
        var counts = [Double](repeating: 0, count: 100)
        var random = SeededRandom(98)
        let (start, step) = (1000 * second, second / 10_000)
        for request: UInt64 in 0..<600_000 {
            let tenant = Int(random.next() % 100)
            if limiters[tenant].take(start + request * step).isOpen { counts[tenant] += 1 }
        }
        let sum: Double = counts.reduce(0, +)
        let squares: Double = counts.map { $0 * $0 }.reduce(0, +)
        let index = sum * sum / (100 * squares)
        #expect(index >= 0.98 && sum > 60_000, "\(index)")
    }
}
