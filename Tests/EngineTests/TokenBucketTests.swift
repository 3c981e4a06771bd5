// So many in a time and no more.

import Engine
import FastPath
import Testing

@Suite struct TokenBucketTests {
    private static let second: UInt64 = 1_000_000_000

    /// How many go within `seconds` when there is always one more, asked every `grain` nanoseconds.
    private func count(_ interval: UInt64, burst: Int, seconds: UInt64, grain: UInt64 = 1_000_000) -> Int {
        var bucket = TokenBucket()
        var count = 0
        for now in stride(from: 5 * Self.second, to: (5 + seconds) * Self.second, by: Int(grain)) {
            while bucket.end(now: now, intervalNanos: interval, burst: burst) == nil {
                bucket.took(now: now, intervalNanos: interval)
                count += 1
            }
        }
        return count
    }
    @Test(arguments: [1, 7, 10, 100, 1000, 20_000])
    func isExactToOnePercentOverAMinute(perSecond: Int) {
        let count = count(1_000_000_000 / UInt64(perSecond), burst: 1, seconds: 60)
        #expect(abs(count - 60 * perSecond) <= max(1, 60 * perSecond / 100), "\(count)")
    }
    @Test func aBurstGoesAtOnceAndNoMore() {
        var bucket = TokenBucket()
        let interval = Self.second / 10
        for _ in 0..<100 {
            #expect(bucket.end(now: Self.second, intervalNanos: interval, burst: 100) == nil)
            bucket.took(now: Self.second, intervalNanos: interval)
        }
        #expect(bucket.end(now: Self.second, intervalNanos: interval, burst: 100) == Self.second + interval)
        #expect(bucket.end(now: Self.second + interval, intervalNanos: interval, burst: 100) == nil)
        #expect(!bucket.isFull(now: 10 * Self.second) && bucket.idleAt == 11 * Self.second)
        #expect(bucket.isFull(now: 11 * Self.second), "all tokens are back")
        #expect(count(interval, burst: 100, seconds: 60) == 100 + 599)
    }
    @Test func aSlowRateIsADistance() {
        var bucket = TokenBucket()
        let interval = 6 * Self.second
        bucket.took(now: Self.second, intervalNanos: interval)
        let end = 7 * Self.second - 20_000_000
        #expect(bucket.end(now: 6 * Self.second, intervalNanos: interval, burst: 1) == end)
        #expect(bucket.end(now: 7 * Self.second, intervalNanos: interval, burst: 1) == nil)
    }
    @Test(arguments: [3, 20, 50, 300])
    func whoComesLateLosesNothing(perSecond: Int) {
        let interval = 1_000_000_000 / UInt64(perSecond)
        var bucket = TokenBucket()
        var (now, count) = (Self.second, 0)
        while now < 61 * Self.second {
            if let end = bucket.end(now: now, intervalNanos: interval, burst: 1) {
                now = end + 1_500_000
                continue
            }
            bucket.took(now: now, intervalNanos: interval)
            count += 1
        }
        #expect(abs(count - 60 * perSecond) <= max(1, 60 * perSecond / 100), "\(count)")
    }
    @Test func itsSettingsSayTheRate() {
        var settings = RateSettings()
        #expect(settings.intervalNanos == nil)
        settings.perMinute = 30
        #expect(settings.intervalNanos == 2 * Self.second && settings.text == "30 a minute")
        settings.perMinute = nil
        settings.perSecond = 4
        settings.burst = 20
        #expect(settings.intervalNanos == 250_000_000 && settings.text == "4 a second, burst 20")
    }
    @Test func whatHasNotGoneIsGivenBack() {
        var bucket = TokenBucket()
        let interval = Self.second / 10
        bucket.took(now: Self.second, intervalNanos: interval)
        #expect(bucket.end(now: Self.second, intervalNanos: interval, burst: 1) != nil)
        bucket.gaveBack(intervalNanos: interval)
        #expect(bucket.isFull(now: Self.second))
        // One that knows of nothing that has gone has nothing to get back.
        var new = TokenBucket()
        new.gaveBack(intervalNanos: interval)
        #expect(new == TokenBucket())
        var spacing = DeliverySpacing()
        spacing.took(now: Self.second, intervalNanos: interval)
        spacing.gaveBack(intervalNanos: interval)
        #expect(spacing.end(now: Self.second, intervalNanos: interval) == nil)
        var budget = RetryBudget(now: Self.second)
        for _ in 0..<10 { budget.retry(now: Self.second) }
        #expect(budget.end(now: Self.second) != nil)
        budget.gaveBackRetry()
        #expect(budget.end(now: Self.second) == nil)
        budget.gaveBackFirst(share: 0.5)
        #expect(budget.end(now: Self.second) != nil)
    }
}
