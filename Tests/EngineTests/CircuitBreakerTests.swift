// The breaker over its phases, its counts and its window.

import Engine
import FastPath
import Testing

@Suite struct CircuitBreakerTests {
    private static let second: UInt64 = 1_000_000_000

    private func settings(_ change: (inout BreakerSettings) -> Void = { _ in }) -> BreakerSettings {
        var settings = BreakerSettings()
        change(&settings)
        return settings
    }
    /// The phases after each of these ends, `f` a failure and `s` a success, one a second.
    private func phases(
        _ ends: String, from phase: BreakerPhase = .closed, isProbe: Bool = false, by settings: BreakerSettings
    ) -> [BreakerPhase] {
        var breaker = CircuitBreaker()
        var phase = phase
        return ends.enumerated().map { index, end in
            phase = breaker.ended(
                isFailure: end == "f", isProbe: isProbe, in: phase, by: settings, now: UInt64(index) * Self.second)
            return phase
        }
    }

    @Test func opensAfterFailuresInARow() {
        #expect(phases("ffff", by: settings()).allSatisfy { $0 == .closed })
        #expect(phases("fffff", by: settings()).last == .open)
        #expect(phases("ffffsffff", by: settings()).allSatisfy { $0 == .closed }, "a success begins anew")
        #expect(phases("f", by: settings { $0.failures = 1 }) == [.open])
    }
    @Test func nothingIsCountedWhileItIsOpen() {
        #expect(phases("sfsf", from: .open, by: settings()).allSatisfy { $0 == .open })
        var breaker = CircuitBreaker()
        _ = breaker.ended(isFailure: true, isProbe: false, in: .open, by: settings(), now: 0)
        #expect(breaker.isAtRest(now: 0))
    }
    @Test func allProbesMustSucceed() {
        #expect(phases("sss", from: .halfOpen, isProbe: true, by: settings()) == [.halfOpen, .halfOpen, .closed])
        #expect(phases("ssf", from: .halfOpen, isProbe: true, by: settings()) == [.halfOpen, .halfOpen, .open])
        #expect(phases("f", from: .halfOpen, isProbe: true, by: settings()) == [.open])
        #expect(phases("s", from: .halfOpen, isProbe: true, by: settings { $0.probes = 1 }) == [.closed])
    }
    @Test func whatWentOutBeforeIsNoProbe() {
        #expect(phases("fsssf", from: .halfOpen, by: settings()).allSatisfy { $0 == .halfOpen })
    }
    @Test func probesAreCountedAnewInEachHalfOpenPhase() {
        var breaker = CircuitBreaker()
        let settings = settings()
        for _ in 0..<2 { _ = breaker.ended(isFailure: false, isProbe: true, in: .halfOpen, by: settings, now: 0) }
        #expect(breaker.probesSucceeded == 2 && !breaker.isAtRest(now: 0))
        breaker.beginProbing()
        #expect(breaker.ended(isFailure: false, isProbe: true, in: .halfOpen, by: settings, now: 0) == .halfOpen)
    }
    @Test func opensByTheShareOfAWindow() {
        let byRate = settings {
            $0.failures = 1000
            $0.rate = BreakerSettings.Rate()
            $0.rate?.of = 10
        }
        #expect(phases("sfsfsfsfs", by: byRate).allSatisfy { $0 == .closed }, "nine say nothing")
        #expect(phases("sfsfsfsfsf", by: byRate).last == .open)
        #expect(phases("sssssssssfff", by: byRate).last == .closed)
    }
    @Test func whatIsOlderThanTheWindowCountsNoMore() {
        var byRate = settings { $0.failures = 1000 }
        byRate.rate = BreakerSettings.Rate()
        byRate.rate?.of = 4
        var breaker = CircuitBreaker()
        for second in 0..<3 as Range<UInt64> {
            #expect(
                breaker.ended(isFailure: true, isProbe: false, in: .closed, by: byRate, now: second * Self.second)
                    == .closed)
        }
        // The three are gone a window and a tenth later.
        let later = 70 * Self.second
        #expect(breaker.ended(isFailure: true, isProbe: false, in: .closed, by: byRate, now: later) == .closed)
        #expect(!breaker.isAtRest(now: later))
        #expect(breaker.windowEnd > later && breaker.windowEnd <= later + 66 * Self.second)
        // In a row they are all the same.
        #expect(breaker.failuresInRow == 4)
    }
    @Test(arguments: [
        (429, true), (500, true), (503, true), (599, true), (404, false), (400, false), (302, false), (408, false),
    ])
    func statusesTripByDefault(_ status: Int, _ trips: Bool) {
        var outcome = DeliveryOutcome(token: 0, result: .answered)
        outcome.status = UInt16(status)
        #expect(BreakerTriggers(BreakerTriggers.wordsDefault).contains(outcome) == trips)
    }
    @Test(arguments: [
        (DeliveryResult.connectFailed, true), (.connectTimedOut, true), (.headTimedOut, true), (.totalTimedOut, true),
        (.connectionLost, true), (.badAnswer, true), (.tlsFailed, true), (.nameNotResolved, true),
        (.addressRefused, false),
    ])
    func resultsTripByDefault(_ result: DeliveryResult, _ trips: Bool) {
        let outcome = DeliveryOutcome(token: 0, result: result)
        #expect(BreakerTriggers(BreakerTriggers.wordsDefault).contains(outcome) == trips)
        #expect(BreakerTriggers(["blocked-address"]).contains(outcome) != trips)
    }
    @Test func triggersAreWordsStatusesAndClasses() {
        var outcome = DeliveryOutcome(token: 0, result: .answered)
        outcome.status = 404
        #expect(BreakerTriggers(["404"]).contains(outcome) && BreakerTriggers(["4xx"]).contains(outcome))
        #expect(!BreakerTriggers(["405", "network"]).contains(outcome))
    }
    @Test func everyFailureHasAClass() {
        let classes: [(UInt16, FailureClass)] = [
            (301, .server), (400, .validation), (401, .authentication), (403, .authentication), (404, .validation),
            (407, .authentication), (408, .server), (422, .validation), (425, .server), (429, .limit), (500, .server),
        ]
        for (status, wanted) in classes {
            var outcome = DeliveryOutcome(token: 0, result: .answered)
            outcome.status = status
            #expect(FailureClass(outcome) == wanted, "\(status)")
        }
        #expect(FailureClass(DeliveryOutcome(token: 0, result: .addressRefused)) == .blockedAddress)
        #expect(FailureClass(DeliveryOutcome(token: 0, result: .headTimedOut)) == .timeout)
    }
    @Test func whatAProbeLeftIsForgottenWhereItIsClosed() {
        var breaker = CircuitBreaker()
        _ = breaker.ended(isFailure: false, isProbe: true, in: .halfOpen, by: settings(), now: 0)
        #expect(breaker.probesSucceeded == 1)
        _ = breaker.ended(isFailure: false, isProbe: false, in: .closed, by: settings(), now: 0)
        #expect(breaker.isAtRest(now: 0))
    }
}
