// How many in flight an endpoint bears, found out.

import Engine
import FastPath
import Testing

@Suite struct AdaptiveConcurrencyTests {
    private static let milli: UInt64 = 1_000_000

    private func settings(min: Int = 2, target: Int = 100) -> AdaptiveSettings {
        var settings = AdaptiveSettings()
        settings.min = min
        settings.targetMillis = target
        return settings
    }
    /// One round: everything that may be out ends at `now`, after `millis`.
    private func round(
        _ limit: inout AdaptiveConcurrency, millis: UInt64, isFailure: Bool = false, now: UInt64, max: Int = 64
    ) {
        let count = limit.allowance
        for left in 0..<count {
            _ = limit.ended(
                isFailure: isFailure, micros: UInt32(millis * 1000), inFlight: count - left, max: max, by: settings(),
                now: now * Self.milli)
        }
    }
    @Test func halvesOnceARoundAndNoFurtherThanTheMinimum() {
        var limit = AdaptiveConcurrency(max: 64, now: 0)
        var seen: [Int] = []
        for turn in 1...7 as ClosedRange<UInt64> {
            round(&limit, millis: 200, now: turn * 1000)
            seen.append(limit.allowance)
        }
        #expect(seen == [32, 16, 8, 4, 2, 2, 2])
    }
    @Test func whatWentOutBeforeItFellSaysNothing() {
        var limit = AdaptiveConcurrency(max: 16, now: 0)
        let fell = limit.ended(
            isFailure: true, micros: 1000, inFlight: 16, max: 16, by: settings(), now: 1000 * Self.milli)
        #expect(fell == .lowered && limit.allowance == 8)
        let old = limit.ended(
            isFailure: true, micros: 500_000, inFlight: 15, max: 16, by: settings(), now: 1100 * Self.milli)
        #expect(old == .same && limit.allowance == 8)
        let new = limit.ended(
            isFailure: true, micros: 50_000, inFlight: 8, max: 16, by: settings(), now: 1200 * Self.milli)
        #expect(new == .lowered && limit.allowance == 4)
    }
    @Test func oneMoreForEachRoundThatWasQuick() {
        var limit = AdaptiveConcurrency(max: 16, now: 0)
        round(&limit, millis: 1, isFailure: true, now: 1000)
        #expect(limit.allowance == 8)
        var rounds = 0
        for turn in 2...100 as ClosedRange<UInt64> where limit.allowance < 16 {
            let before = limit.allowance
            round(&limit, millis: 10, now: turn * 1000, max: 16)
            #expect(limit.allowance - before <= 1)
            rounds += 1
        }
        #expect(limit.allowance == 16 && (8...24).contains(rounds), "\(rounds)")
    }
    @Test func whoDoesNotUseItGetsNoMore() {
        var limit = AdaptiveConcurrency(max: 16, now: 0)
        round(&limit, millis: 1, isFailure: true, now: 1000)
        for turn in 2...200 as ClosedRange<UInt64> {
            _ = limit.ended(
                isFailure: false, micros: 1000, inFlight: 1, max: 16, by: settings(), now: turn * 1000 * Self.milli)
        }
        #expect(limit.allowance == 8)
        #expect(!limit.isForgotten(now: 259_000 * Self.milli) && limit.isForgotten(now: 260_000 * Self.milli))
    }
    @Test func convergesBetweenTwoLatencies() {
        // An endpoint that answers in 50 ms while 20 are out, and in 50 more for each that comes on top.
        var limit = AdaptiveConcurrency(max: 256, now: 0)
        var seen: [Int] = []
        for turn in 1...400 as ClosedRange<UInt64> {
            let millis = 50 + 50 * UInt64(max(0, limit.allowance - 20))
            round(&limit, millis: millis, now: turn * 20_000, max: 256)
            if turn > 100 { seen.append(limit.allowance) }
        }
        #expect(seen.allSatisfy { (10...22).contains($0) }, "\(Set(seen).sorted())")
    }
}
