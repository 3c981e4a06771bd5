// Endpoints that refuse everybody: how many attempts are made, and that the deliveries that wait still go by their
// time.

import Engine
import FastPath
import Testing

private let moment = RefusalStreak.momentNanos

@Suite struct RefusalTests {
    private var refused: DeliveryOutcome { DeliveryOutcome(token: 0, result: .connectFailed) }

    @Test func aStreakBeginsWithTheSixteenthInARow() {
        var streak = RefusalStreak()
        for count in 1..<RefusalStreak.countMin {
            streak.ended(refused, isRefusal: true, now: 100)
            #expect(!streak.isOn && !streak.holds(now: 100), "\(count)")
        }
        streak.ended(refused, isRefusal: true, now: 100)
        #expect(streak.isOn && streak.holds(now: 99 + moment) && !streak.holds(now: 100 + moment))
        #expect(streak.isOn, "one at a time, however long nothing was due")
        streak.ended(refused, isRefusal: true, now: 200 + moment)
        #expect(streak.holds(now: 199 + 2 * moment) && !streak.holds(now: 200 + 2 * moment))
        streak.ended(DeliveryOutcome(token: 0, result: .answered), isRefusal: false, now: 300 + moment)
        #expect(streak.isEmpty && !streak.isOn && !streak.holds(now: 300 + moment))
    }
    @Test func anythingElseInBetweenIsNoStreak() {
        var streak = RefusalStreak()
        for turn in 0..<100 { streak.ended(refused, isRefusal: turn % 5 != 4, now: 1) }
        #expect(!streak.isOn)
    }

    private let settings = endpoint("a") { $0.retryDelaysMillis = [60_000, 60_000, 60_000] }
    /// Ends whatever is out, until nothing more goes without time.
    private func answer(_ bench: Bench, _ change: (inout DeliveryOutcome) -> Void) {
        bench.settle()
        while !bench.egress.out.isEmpty {
            bench.egress.answerAll(change: change)
            bench.settle()
            bench.port.pump()
            bench.settle()
        }
    }
    private func bare503(_ outcome: inout DeliveryOutcome) { outcome.status = 503 }

    @Test(arguments: [false, true]) func waitingDeliveriesCostAFewAttempts(answers: Bool) throws {
        let bench = try Bench()
        try bench.apply([settings])
        bench.log.append(count: 2000)
        let refusal = answers ? bare503 : failing(.connectFailed)
        answer(bench, refusal)
        #expect(bench.egress.submitted <= 32, "the first round: \(bench.egress.submitted)")
        bench.advance(millis: 30)
        #expect(try bench.rows("a").count { $0.state == .pending && $0.attempts == 1 } == 2000)
        #expect(try bench.resume("a") == 2001, "nothing holds the log back")
        // Three more rounds, a minute apart, and the end by its time.
        for _ in 0..<400 {
            bench.advance(millis: 500)
            answer(bench, refusal)
        }
        bench.advance(millis: 30)
        #expect(bench.egress.submitted <= 32 + 30, "\(bench.egress.submitted)")
        let rows = try bench.rows("a")
        #expect(rows.count == 2000 && rows.allSatisfy { $0.state == .dead && $0.reason == .retriesExhausted })
        #expect(rows.allSatisfy { $0.attempts == 4 && $0.result == (answers ? .answered : .connectFailed) })
    }
    @Test func anEndpointThatIsBackGetsEverything() throws {
        let bench = try Bench()
        try bench.apply([settings])
        bench.log.append(count: 500)
        answer(bench, failing(.connectFailed))
        bench.advance(millis: 30)
        bench.advance(millis: 60_000)
        #expect(bench.egress.out.count == 1, "the others wait for what becomes of it")
        answer(bench) { _ in }
        bench.advance(millis: 30)
        let rows = try bench.rows("a")
        #expect(rows.count { $0.state == .delivered } == 500 && rows.allSatisfy { $0.attempts == 2 })
    }
    @Test func whatIsSentByHandIsTried() throws {
        let bench = try Bench()
        try bench.apply([settings])
        bench.log.append(count: 100)
        answer(bench, failing(.connectFailed))
        let before = bench.egress.submitted
        bench.advance(millis: 30)
        #expect(try bench.sendByHand("a", 50) == .accepted)
        bench.advance(millis: 1)
        #expect(bench.egress.submitted == before + 1)
        answer(bench, failing(.connectFailed))
        bench.perform(.retryNow, "a")
        bench.advance(millis: 1)
        bench.advance(millis: 1)
        #expect(bench.egress.submitted > before + 1)
    }
    /// A 503 that says when to come again is the endpoint's pace; a time-out may be of the one request.
    @Test func whatIsNoRefusalIsTriedEachTime() throws {
        let changes: [(inout DeliveryOutcome) -> Void] = [failing(.headTimedOut), { $0.status = 500 }]
        for change in changes {
            let bench = try Bench()
            try bench.apply([settings])
            bench.log.append(count: 200)
            answer(bench, change)
            #expect(bench.egress.submitted == 200)
        }
    }
}
