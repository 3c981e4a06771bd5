// How fast an endpoint lets itself be served.

import Engine
import FastPath
import Testing

@Suite struct LanePaceTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func backOffWithoutAWordDoubles() {
        var pace = LanePace()
        var now: UInt64 = 0
        var pauses: [UInt64] = []
        for _ in 0..<8 {
            pace.adjust(.backOff, concurrency: 16, now: now)
            pace.adjust(.backOff, concurrency: 16, now: now)
            pauses.append((pace.pausedUntil - now) / Self.second)
            now = pace.pausedUntil
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 60, 60])
        #expect(pace.allowance(16) == 1 && !pace.isFull)
        for _ in 0..<16 { pace.adjust(.recovered, concurrency: 16, now: now) }
        #expect(pace.allowance(16) == 16 && pace.isFull)
        pace.adjust(.backOff, concurrency: 16, now: now)
        #expect(pace.pausedUntil - now == Self.second, "what was is forgotten")
    }
    @Test func eachSuccessGivesOneMore() {
        var pace = LanePace()
        pace.adjust(.pause(seconds: 10), concurrency: 4, now: 0)
        #expect(pace.isPaused(now: 10 * Self.second - 1) && !pace.isPaused(now: 10 * Self.second))
        pace.adjust(.recovered, concurrency: 4, now: 5)
        #expect(pace.allowance(4) == 1, "a success of before the pause")
        var allowances: [Int] = []
        for _ in 0..<4 {
            pace.adjust(.recovered, concurrency: 4, now: 10 * Self.second)
            allowances.append(pace.allowance(4))
        }
        #expect(allowances == [2, 3, 4, 4] && pace.isFull)
    }
    @Test func aPauseIsProlongedAndNeverShortened() {
        var pace = LanePace()
        pace.adjust(.pause(seconds: 10), concurrency: 4, now: 0)
        pace.adjust(.pause(seconds: 3), concurrency: 4, now: 0)
        pace.adjust(.backOff, concurrency: 4, now: 0)
        #expect(pace.pausedUntil == 10 * Self.second)
        pace.adjust(.pause(seconds: 10), concurrency: 4, now: Self.second)
        #expect(pace.pausedUntil == 11 * Self.second)
        pace.adjust(.unchanged, concurrency: 4, now: Self.second)
        #expect(pace.pausedUntil == 11 * Self.second)
    }
    @Test func oneAtATimeRecoversAtOnce() {
        var pace = LanePace()
        pace.adjust(.backOff, concurrency: 1, now: 0)
        pace.adjust(.recovered, concurrency: 1, now: 2 * Self.second)
        #expect(pace.isFull && pace.allowance(1) == 1)
    }
}
