// The phase of a breaker in the condition of its endpoint, where it outlives the process.

import Engine
import FastPath
import Testing

@Suite struct BreakerHealthTests {
    private func failing(since millis: Int64 = 1000) -> EndpointHealth {
        var health = EndpointHealth(EndpointState(endpoint: EndpointID(1)))
        for _ in 0..<EndpointHealth.failureCountMin { _ = health.failed("x", nowMillis: millis) }
        return health
    }
    @Test func goesThroughItsPhasesAndKeepsSinceWhenItFails() {
        var health = failing()
        #expect(health.breakerPhase == .closed)
        let opened = health.moved(to: .open, untilMillis: 5000, nowMillis: 2000)
        #expect(opened && health.state.condition == .paused && health.state.reason == .breakerOpen)
        #expect(health.state.untilMillis == 5000 && health.state.sinceMillis == 1000)
        let early = health.pauseEnded(nowMillis: 4999)
        let inTime = health.pauseEnded(nowMillis: 5000)
        #expect(!early && inTime)
        #expect(health.state.condition == .failing && health.breakerPhase == .halfOpen)
        let becameActive = health.succeeded(nowMillis: 5100)
        #expect(!becameActive, "a probe alone does not make it active")
        #expect(health.state.lastSuccessMillis == 5100 && health.breakerPhase == .halfOpen)
        let again = health.moved(to: .open, untilMillis: 9000, nowMillis: 6000)
        #expect(again && health.state.sinceMillis == 1000)
        #expect(health.failingMillis(nowMillis: 7000) == 1900, "a probe was a success")
        let probing = health.moved(to: .halfOpen, nowMillis: 7000)
        let closed = health.moved(to: .closed, nowMillis: 8000)
        #expect(probing && closed && health.state.condition == .active && health.state.sinceMillis == 8000)
        #expect(health.failingMillis(nowMillis: 9000) == nil)
    }
    @Test func onlyAnOpenOneBecomesHalfOpenAndOnlyABreakersConditionIsClosed() {
        var health = failing()
        let probing = health.moved(to: .halfOpen, nowMillis: 2000)
        let closed = health.moved(to: .closed, nowMillis: 2000)
        #expect(!probing && !closed && health.state.condition == .failing)
    }
    @Test func anOperatorsWordAndTheEndStand() {
        var paused = failing()
        _ = paused.paused(.operatorRequest, untilMillis: 0, nowMillis: 2000)
        let outranked = paused.moved(to: .open, untilMillis: 5000, nowMillis: 3000)
        #expect(!outranked && paused.state.reason == .operatorRequest)
        var gone = failing()
        _ = gone.disabled(.gone, nowMillis: 2000)
        let opened = gone.moved(to: .open, untilMillis: 5000, nowMillis: 3000)
        #expect(!opened && gone.state.reason == .gone)
    }
    @Test func aLongerPauseThatItAskedForBecomesItsCooldown() {
        var before = failing()
        _ = before.paused(.askedForLess, untilMillis: 90_000, nowMillis: 2000)
        let opened = before.moved(to: .open, untilMillis: 62_000, nowMillis: 2000)
        #expect(opened && before.state.untilMillis == 90_000 && before.state.reason == .breakerOpen)
        var behind = failing()
        _ = behind.moved(to: .open, untilMillis: 62_000, nowMillis: 2000)
        let shortened = behind.paused(.askedForLess, untilMillis: 30_000, nowMillis: 3000)
        let lengthened = behind.paused(.askedForLess, untilMillis: 90_000, nowMillis: 3000)
        #expect(!shortened && lengthened)
        #expect(behind.state.reason == .breakerOpen && behind.state.untilMillis == 90_000)
    }
    @Test func anEndOfNothingButFailuresComesInAnyPhase() {
        var health = failing()
        _ = health.moved(to: .open, untilMillis: 5000, nowMillis: 2000)
        _ = health.pauseEnded(nowMillis: 5000)
        let early = health.ended(afterMillis: 60_000, nowMillis: 60_999)
        let inTime = health.ended(afterMillis: 60_000, nowMillis: 61_000)
        #expect(!early && inTime)
        #expect(health.state.condition == .disabled && health.state.reason == .failedForDays)
    }
    @Test func aRemovedEndpointComesBackClosed() {
        var health = failing()
        _ = health.moved(to: .open, untilMillis: 5000, nowMillis: 2000)
        let removed = health.removed(nowMillis: 3000)
        #expect(removed && health.breakerPhase == .closed)
        let returned = health.returned(nowMillis: 4000)
        #expect(returned && health.state.condition == .active)
    }
    @Test func aProbesSuccessBeginsTheTimeOfFailuresAnew() {
        var health = failing()
        _ = health.moved(to: .open, untilMillis: 50_000, nowMillis: 2000)
        _ = health.pauseEnded(nowMillis: 50_000)
        _ = health.succeeded(nowMillis: 50_500)
        let early = health.ended(afterMillis: 60_000, nowMillis: 110_000)
        _ = health.moved(to: .open, untilMillis: 140_000, nowMillis: 110_000)
        let inTime = health.ended(afterMillis: 60_000, nowMillis: 110_500)
        #expect(!early && inTime && health.state.reason == .failedForDays)
    }
    @Test func aPauseThatAProbeWasAskedForIsACooldown() {
        var health = failing()
        _ = health.moved(to: .open, untilMillis: 5000, nowMillis: 2000)
        _ = health.pauseEnded(nowMillis: 5000)
        let paused = health.paused(.askedForLess, untilMillis: 65_000, nowMillis: 5000)
        #expect(paused && health.breakerPhase == .open && health.state.condition == .paused)
        #expect(health.state.untilMillis == 65_000 && health.state.sinceMillis == 1000)
        let ended = health.pauseEnded(nowMillis: 65_000)
        #expect(ended && health.breakerPhase == .halfOpen)
    }
}
