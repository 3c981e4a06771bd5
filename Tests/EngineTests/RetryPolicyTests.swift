// When a failed delivery goes again: presets, backoff, and the budget of an endpoint's retries.

import Engine
import FastPath
import Testing

@Suite struct RetryPolicyTests {
    private static let second: UInt64 = 1_000_000_000

    private func delays(_ schedule: RetrySchedule, seed: UInt64 = 1) -> [Int] {
        var generator = SeededGenerator(seed: seed)
        return (1...100).compactMap {
            schedule.delayMillis(afterAttempts: $0, retryAfterSeconds: .max, using: &generator)
        }
    }
    @Test(arguments: [
        (RetryPreset.standardWebhooks, 10), (.svix, 8), (.opsCenter, 6), (.slack, 5),
    ])
    func presetsHaveTheAttemptsOfTheirContracts(_ preset: RetryPreset, _ attempts: Int) {
        #expect(preset.schedule.attemptCountMax == attempts)
        #expect(delays(preset.schedule).count == attempts - 1)
    }
    @Test func presetsHaveTheDelaysOfTheirContracts() {
        for seed in 1...50 as ClosedRange<UInt64> {
            let svix = delays(RetryPreset.svix.schedule, seed: seed)
            for (delay, base) in zip(svix, [5, 300, 1800, 7200, 18_000, 36_000, 36_000]) {
                #expect((base * 800...base * 1200).contains(delay))
            }
            let opsCenter = delays(RetryPreset.opsCenter.schedule, seed: seed)
            for (delay, base) in zip(opsCenter, [60, 300, 900, 3600, 7200]) {
                #expect((base * 1000...base * 1050).contains(delay), "never shortened")
            }
            let slack = delays(RetryPreset.slack.schedule, seed: seed)
            for (delay, bound) in zip(slack, [200, 400, 800, 1600]) { #expect((0...bound).contains(delay)) }
        }
    }
    @Test func backoffGrowsByItsFactorToItsBound() {
        let backoff = BackoffSettings(firstMillis: 100, factor: 3, maxMillis: 2000, attempts: 6)
        #expect((1...5).map { backoff.boundMillis(afterAttempts: $0) } == [100, 300, 900, 2000, 2000])
        let huge = BackoffSettings(firstMillis: 86_400_000, factor: 100, maxMillis: 30 * 86_400_000, attempts: 65)
        #expect(huge.boundMillis(afterAttempts: 64) == 30 * 86_400_000)
    }
    @Test func fullJitterIsAnywhereBelowTheBound() {
        let schedule = RetrySchedule(BackoffSettings(firstMillis: 1000, factor: 2, maxMillis: 1000, attempts: 2))
        var generator = SeededGenerator(seed: 7)
        let delays = (0..<2000).compactMap { _ in
            schedule.delayMillis(afterAttempts: 1, retryAfterSeconds: .max, using: &generator)
        }
        #expect(delays.allSatisfy { (0...1000).contains($0) })
        #expect(delays.min() ?? 1000 < 20 && delays.max() ?? 0 > 980)
        #expect(abs(delays.reduce(0, +) / delays.count - 500) < 30)
        #expect(schedule.delayMillis(afterAttempts: 1, retryAfterSeconds: 9, using: &generator) == 9000)
        #expect(schedule.delayMillis(afterAttempts: 2, retryAfterSeconds: .max, using: &generator) == nil)
    }

    @Test func aBudgetIsAShareOfFirstAttempts() {
        var budget = RetryBudget(now: 0)
        var retries = 0
        for _ in 0..<10_000 {
            budget.firstAttempt(share: 0.1)
            while budget.end(now: 0) == nil {
                budget.retry(now: 0)
                retries += 1
            }
        }
        #expect((1000...1010).contains(retries), "\(retries)")
    }
    @Test func aTrickleGoesWithoutFirstAttempts() {
        var budget = RetryBudget(now: 0)
        for _ in 0..<10 { budget.retry(now: 0) }
        #expect(budget.end(now: 0) == 10 * Self.second)
        #expect(budget.end(now: 10 * Self.second) == nil)
        budget.retry(now: 10 * Self.second)
        #expect(budget.end(now: 11 * Self.second) == 20 * Self.second)
        #expect(!budget.isFull(now: 100 * Self.second) && budget.isFull(now: 110 * Self.second))
    }
    @Test func aQuietTimeBringsTheReserveAndNoMore() {
        var budget = RetryBudget(now: 0)
        for _ in 0..<100 { budget.firstAttempt(share: 1) }
        var retries = 0
        while budget.end(now: 3600 * Self.second) == nil {
            budget.retry(now: 3600 * Self.second)
            retries += 1
        }
        #expect(retries == 10)
    }
}
