// On the way to being disabled: each mark is told once in a spell of failures, over restarts too, and none after a
// recovery.

import Engine
import FastPath
import Testing

private let hour: Int64 = 3_600_000

@Suite struct FailingAlertTests {
    private func failing(at millis: Int64) -> EndpointHealth {
        var health = EndpointHealth(EndpointState(endpoint: EndpointID(1)))
        for _ in 0..<EndpointHealth.failureCountMin { _ = health.failed("e", nowMillis: millis) }
        return health
    }
    @Test func eachMarkIsPassedOnce() {
        var health = failing(at: 1000)
        var passed: [Int64: Int] = [:]
        for minute in Int64(0)..<60 {
            passed[minute] = health.alert(afterMillis: hour, nowMillis: 1000 + minute * 60_000)
        }
        #expect(passed == [30: 50, 42: 70, 54: 90])
        #expect(health.alert(afterMillis: hour, nowMillis: 1000 + hour) == nil, "it ends then")
    }
    @Test func whoIsSeldomTriedIsToldOfTheHighestAlone() {
        var health = failing(at: 0)
        #expect(health.alert(afterMillis: hour, nowMillis: 50 * 60_000) == 70)
        #expect(health.alert(afterMillis: hour, nowMillis: 51 * 60_000) == nil)
        #expect(health.alert(afterMillis: hour, nowMillis: 59 * 60_000) == 90)
    }
    @Test func aSpellEndsWithASuccessAnOperatorAndAPause() {
        for way in 0..<3 {
            var health = failing(at: 0)
            #expect(health.alert(afterMillis: hour, nowMillis: hour / 2) == 50)
            let now = hour / 2 + 1
            switch way {
            case 0: _ = health.succeeded(nowMillis: now)
            case 1: _ = health.enabled(nowMillis: now)
            default: _ = health.paused(.operatorRequest, untilMillis: 0, nowMillis: now)
            }
            #expect(health.state.alertedPercent == 0 && health.alert(afterMillis: hour, nowMillis: 2 * hour) == nil)
        }
    }
    /// A breaker opens and probes within the spell; a probe that succeeds ends it.
    @Test func aBreakerDoesNotBeginItAnew() {
        var health = failing(at: 0)
        #expect(health.alert(afterMillis: hour, nowMillis: hour / 2) == 50)
        _ = health.moved(to: .open, untilMillis: hour, nowMillis: hour / 2)
        #expect(health.alert(afterMillis: hour, nowMillis: hour * 3 / 4) == 70)
        _ = health.moved(to: .halfOpen, nowMillis: hour * 3 / 4)
        #expect(health.state.alertedPercent == 70)
        let isToKeep = health.succeeded(nowMillis: hour * 3 / 4)
        #expect(isToKeep && health.state.alertedPercent == 0)
        #expect(health.alert(afterMillis: hour, nowMillis: hour) == nil)
    }

    private static let marks: [PolicyEvent] = [.failingAt50, .failingAt70, .failingAt90, .failingAt100]
    /// A process that ends, and the one after it; `wall`: when that begins.
    private func restarted(_ bench: Bench, _ endpoint: EndpointConfiguration, _ wall: inout Int64) throws -> Bench {
        bench.advance(millis: 30)
        wall += Int64(bench.now - 1_000_000_000_000) / 1_000_000
        let next = try Bench(after: bench, wallMillis: wall)
        try next.apply([endpoint])
        next.advance(millis: 1)
        next.advance(millis: 1)
        return next
    }
    private func told(_ bench: Bench) -> [PolicyEvent] {
        let events = bench.dispatcher.metrics(now: bench.now).policyEvents
        return FailingAlertTests.marks.flatMap { Array(repeating: $0, count: Int(events[$0.rawValue])) }
    }
    private let settings = endpoint("a") {
        $0.policies.disableAfterMillis = Int(hour)
        $0.retryDelaysMillis = [Int](repeating: 300_000, count: 60)
    }

    @Test(arguments: [false, true]) func aRestartTellsNothingAgain(restarts: Bool) throws {
        var bench = try Bench()
        try bench.apply([settings])
        bench.log.append(count: 4)
        bench.advance(millis: 1)
        var wall: Int64 = 1_700_000_000_000
        var heard: [(minute: Int, event: PolicyEvent)] = []
        for minute in stride(from: 0, through: 65, by: 5) {
            bench.egress.answerAll(status: 500)
            bench.advance(millis: 30)
            heard += told(bench).dropFirst(restarts ? 0 : heard.count).map { (minute: minute, event: $0) }
            if restarts { bench = try restarted(bench, settings, &wall) }
            bench.advance(millis: 300_000)
            bench.advance(millis: 1)
        }
        #expect(heard.map(\.event) == FailingAlertTests.marks, "\(heard)")
        #expect(heard.first?.minute == 30 && heard.last?.minute == 60, "\(heard)")
        #expect(bench.status("a").state.reason == .failedForDays)
    }
    @Test func aRecoveryBeginsAnew() throws {
        let bench = try Bench()
        try bench.apply([settings])
        bench.log.append(count: 4)
        bench.advance(millis: 1)
        var minutes: [Int] = []
        for minute in stride(from: 0, through: 75, by: 5) {
            let before = told(bench).count
            if minute == 35 { bench.egress.answer(0) }
            bench.egress.answerAll(status: 500)
            bench.advance(millis: 30)
            if told(bench).count > before { minutes.append(minute) }
            bench.advance(millis: 300_000)
            bench.advance(millis: 1)
        }
        #expect(minutes == [30, 65] && told(bench) == [.failingAt50, .failingAt50])
        #expect(bench.status("a").state.condition == .failing)
    }
}
