// Endpoints that want only the newest event of each key, one situation a test: what goes, what is superseded, what a
// restart finds.

import Engine
import FastPath
import Testing

private func coalescing(
    _ key: [String] = ["header:X-Key"], within: Int? = nil, change: (inout EndpointConfiguration) -> Void = { _ in }
) -> EndpointConfiguration {
    endpoint("a") {
        $0.policies.coalesce = CoalesceSettings()
        $0.policies.coalesce?.key = key
        $0.policies.coalesce?.withinMillis = within
        $0.retryDelaysMillis = [60_000, 60_000]
        change(&$0)
    }
}
private func of(_ key: String, at millis: UInt64? = nil) -> FakeEvent {
    FakeEvent(fieldLines: "X-Key: \(key)\r\n", receivedAt: millis.map { $0 * 1_000_000 })
}

extension Bench {
    fileprivate func append(_ keys: String...) { for key in keys { log.append(of(key)) } }
    fileprivate var outNow: [UInt64] {
        settle()
        return egress.out.map(\.sequence).sorted()
    }
    fileprivate func states(_ state: DeliveryState) throws -> [UInt64] {
        advance(millis: 50)
        advance(millis: 50)
        return try rows("a").filter { $0.state == state }.map(\.place.sequence).sorted()
    }
    /// Answers everything with 200 until nothing is out; the sequences in their order.
    fileprivate func finish() -> [UInt64] {
        var sent: [UInt64] = []
        for _ in 0..<200 {
            settle()
            guard !egress.out.isEmpty else { break }
            sent += egress.out.map(\.sequence)
            egress.answerAll()
        }
        advance(millis: 50)
        return sent
    }
    fileprivate var superseded: UInt64 {
        dispatcher.metrics(now: now).policyEvents[PolicyEvent.superseded.rawValue]
    }
}

@Suite struct DispatcherCoalescingTests {
    @Test func onlyTheNewestOfAKeyGoes() throws {
        let bench = try Bench()
        try bench.apply([coalescing()])
        bench.append("x", "y", "x", "y", "x", "z")
        #expect(bench.outNow == [4, 5, 6])
        #expect(bench.finish().count == 3)
        #expect(try bench.states(.superseded) == [1, 2, 3] && bench.states(.delivered) == [4, 5, 6])
        #expect(bench.superseded == 3 && bench.status("a").pending == 0 && bench.pool.leasedCount == 0)
        #expect(try bench.resume("a") == 7)
        #expect(try bench.rows("a").prefix(3).allSatisfy { $0.attempts == 0 && $0.reason == nil })
    }
    @Test func whatIsOutIsLeftAndTheNewestFollowsIt() throws {
        let bench = try Bench()
        try bench.apply([coalescing()])
        bench.append("x")
        #expect(bench.outNow == [1])
        bench.append("x", "x", "y", "x")
        #expect(bench.outNow == [1, 4], "one of a key at a time")
        bench.egress.answer(0)
        #expect(bench.outNow == [4, 5])
        #expect(bench.finish().count == 2)
        #expect(try bench.states(.superseded) == [2, 3] && bench.states(.delivered) == [1, 4, 5])
    }
    @Test func aRetryThatWaitsIsSuperseded() throws {
        let bench = try Bench()
        try bench.apply([coalescing()])
        bench.append("x", "y")
        #expect(bench.outNow == [1, 2])
        bench.egress.answer(0, status: 500)
        bench.advance(millis: 50)
        bench.append("x")
        #expect(bench.outNow == [2, 3], "at once, not when the older one was due")
        #expect(bench.finish().count == 2)
        #expect(try bench.states(.superseded) == [1] && bench.states(.delivered) == [2, 3])
        let row = try #require(try bench.rows("a").first)
        #expect(row.attempts == 1 && row.result == .abandoned)
        #expect(try bench.store.attempts(sequence: 1).map(\.status) == [500], "what was tried is kept")
        bench.advance(millis: 120_000)
        #expect(bench.outNow == [] && bench.status("a").pending == 0)
    }
    @Test func whatFailsWhileANewerOneWaitsIsNotTriedAgain() throws {
        let bench = try Bench()
        try bench.apply([coalescing()])
        bench.append("x")
        #expect(bench.outNow == [1])
        bench.append("x")
        bench.settle()
        bench.egress.answer(0, status: 503)
        #expect(bench.outNow == [2])
        #expect(bench.finish() == [2])
        #expect(try bench.states(.superseded) == [1] && bench.states(.delivered) == [2])
    }
    @Test func aRefusalIsADeadLetterAllTheSame() throws {
        let bench = try Bench()
        try bench.apply([coalescing()])
        bench.append("x")
        #expect(bench.outNow == [1])
        bench.append("x")
        bench.settle()
        bench.egress.answer(0, status: 422)
        #expect(bench.finish() == [2])
        #expect(try bench.states(.dead) == [1] && bench.states(.delivered) == [2] && bench.superseded == 0)
    }
    @Test func eventsWithoutAKeyAreAllDelivered() throws {
        let bench = try Bench()
        try bench.apply([coalescing(["json:$.k"])])
        for body in ["{}", "no json", #"{"k":null}"#, #"{"k":1}"#, #"{"k":1}"#] {
            bench.log.append(FakeEvent(body: body))
        }
        #expect(bench.outNow == [1, 2, 3, 5], "and together")
        #expect(bench.finish().count == 4)
    }
    @Test func theFirstOfAKeyWaitsForItsTime() throws {
        let bench = try Bench()
        try bench.apply([coalescing(within: 5000)])
        let wall: UInt64 = 1_700_000_000_000
        bench.log.append(of("x", at: wall))
        #expect(bench.outNow == [])
        bench.advance(millis: 3000)
        bench.log.append(of("x", at: wall + 3000))
        bench.log.append(of("y", at: wall + 3000))
        bench.advance(millis: 1900)
        #expect(bench.outNow == [])
        // The second has the time of the first: five seconds behind that one it goes.
        bench.advance(millis: 200)
        #expect(bench.outNow == [2])
        bench.advance(millis: 3000)
        #expect(bench.outNow == [2, 3])
        bench.log.append(of("x", at: wall + 8000))
        bench.egress.answerAll()
        bench.advance(millis: 100)
        #expect(bench.outNow == [], "a time of its own")
        bench.advance(millis: 6000)
        #expect(bench.finish() == [4])
        #expect(try bench.states(.superseded) == [1])
    }
    @Test func whatComesWhileItIsStoppedIsReadBeforeAnythingGoes() throws {
        let bench = try Bench()
        try bench.apply([coalescing { $0.concurrency = 1 }])
        bench.perform(.disable, "a")
        for number in 0..<3000 { bench.log.append(of("\(number % 3)")) }
        bench.advance(millis: 50)
        bench.perform(.enable, "a")
        #expect(bench.finish() == [2998, 2999, 3000])
        #expect(bench.superseded == 2997)
    }
    @Test func manyKeysGoInTheirOrderWithAsManyOutAsMayBe() throws {
        let bench = try Bench()
        try bench.apply([coalescing { $0.concurrency = 4 }])
        for number in 1...40 { bench.log.append(of("\(number)")) }
        #expect(bench.outNow == [1, 2, 3, 4])
        #expect(bench.finish() == Array(1...40))
    }
    @Test func whatWaitsIsBoundedByKeysNotByEvents() throws {
        let bench = try Bench()
        try bench.apply([coalescing { $0.retryDelaysMillis = [86_400_000] }])
        for round in 0..<50 {
            for number in 0..<400 { bench.log.append(of("\(number % 20)")) }
            bench.settle()
            bench.egress.answerAll(status: 503)
            bench.advance(millis: 100)
            #expect(bench.status("a").pending <= 40, "round \(round)")
        }
        bench.egress.answerAll(status: 503)
        bench.advance(millis: 100)
        #expect(bench.status("a").pending == 20 && bench.status("a").backlog == 0)
    }
    @Test func aRestartFindsTheNewestOfEach() throws {
        let bench = try Bench()
        try bench.apply([coalescing { $0.concurrency = 1 }])
        bench.append("x", "y", "x", "y")
        #expect(bench.outNow.count == 1)
        bench.advance(millis: 50)
        bench.append("x", "z")
        bench.advance(millis: 50)
        bench.append("y")
        bench.settle()
        // What was not written is forgotten; what was out has no end.
        let next = try Bench(after: bench)
        try next.apply([coalescing()])
        next.advance(millis: 50)
        #expect(Set(next.finish()) == [5, 6, 7])
        #expect(try next.states(.pending) == [])
        #expect(try next.rows("a").allSatisfy { $0.state.isFinished } && next.rows("a").count == 7)
    }
    @Test func aReplayGoesUnlessSomethingNewerWaits() throws {
        let bench = try Bench()
        try bench.apply([coalescing()])
        bench.append("x", "x", "x")
        #expect(bench.finish() == [3])
        #expect(try bench.states(.superseded) == [1, 2])
        #expect(try bench.replay("a", 1) == .accepted)
        #expect(bench.finish() == [1])
        bench.append("x")
        #expect(bench.outNow == [4])
        #expect(try bench.replay("a", 2) == .accepted)
        #expect(bench.finish() == [4])
        #expect(try bench.states(.superseded) == [2] && bench.states(.pending) == [])
        #expect(bench.status("a").pending == 0)
    }
    @Test func whatIsCancelledIsGone() throws {
        let bench = try Bench()
        try bench.apply([coalescing()])
        bench.append("x")
        #expect(bench.outNow == [1])
        bench.append("x")
        bench.advance(millis: 50)
        let key = DeliveryKey(sequence: 2, endpoint: bench.id("a"))
        #expect(bench.dispatcher.cancel([key], now: bench.now) { _ in } == [.asked])
        bench.advance(millis: 50)
        bench.append("x")
        bench.settle()
        #expect(bench.finish() == [1, 3])
        #expect(try bench.states(.dead) == [2] && bench.states(.delivered) == [1, 3])
        #expect(bench.status("a").pending == 0)
    }
    @Test func itBeginsAndEndsWithTheSettings() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.retryDelaysMillis = [60_000] }])
        bench.append("x", "x", "y")
        #expect(bench.outNow == [1, 2, 3])
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 50)
        try bench.apply([coalescing()])
        bench.append("x")
        bench.advance(millis: 50)
        #expect(bench.outNow == [4])
        #expect(try bench.states(.superseded) == [1, 2])
        bench.append("x")
        bench.settle()
        try bench.apply([endpoint("a") { $0.retryDelaysMillis = [60_000] }])
        bench.append("x", "x")
        #expect(bench.outNow == [4, 5, 6, 7])
        bench.egress.answerAll()
        bench.advance(millis: 60_000)
        #expect(bench.finish() == [3])
    }
    @Test func whatIsToBeDeliveredLaterTakesItsPlaceThen() throws {
        let bench = try Bench()
        try bench.apply([coalescing()])
        bench.log.append(
            FakeEvent(
                sourceID: .publishing, source: "@publish",
                fieldLines: "Sluice-Deliver-At: 1700000060000\r\nX-Key: x\r\n"))
        bench.append("x")
        #expect(bench.finish() == [2])
        let next = try Bench(after: bench)
        try next.apply([coalescing()])
        next.append("x")
        next.advance(millis: 50)
        #expect(next.finish() == [3])
        next.advance(millis: 61_000)
        #expect(next.finish() == [1])
    }

    /// Keys, failures, pauses and crashes at random: nothing waits at the end, the newest of each key is delivered, and
    /// what is superseded has a newer one of its key that is delivered.
    @Test(arguments: 1...25) func nothingIsLostThatNoNewerOneReplaces(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        var bench = try Bench()
        let within = seed % 3 == 0 ? 2000 : nil
        let settings = coalescing(within: within) {
            $0.concurrency = 1 + seed % 5
            $0.retryDelaysMillis = [Int](repeating: 1000, count: 50)
        }
        try bench.apply([settings])
        var keys: [UInt64: String] = [:]
        for _ in 0..<300 {
            switch Int.random(in: 0..<12, using: &generator) {
            case 0..<5:
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    let key = "\(Int.random(in: 0..<5, using: &generator))"
                    let elapsed = (bench.now - 1_000_000_000_000) / 1_000_000
                    bench.log.append(of(key, at: 1_700_000_000_000 + elapsed))
                    keys[UInt64(keys.count + 1)] = key
                }
            case 5..<9:
                bench.settle()
                guard !bench.egress.out.isEmpty else { continue }
                let index = Int.random(in: 0..<bench.egress.out.count, using: &generator)
                bench.egress.answer(index, status: Bool.random(using: &generator) ? 200 : 503)
            case 9: bench.settle()
            case 10: bench.advance(millis: UInt64.random(in: 1...1500, using: &generator))
            default:
                guard Int.random(in: 0..<4, using: &generator) == 0 else { continue }
                // What is not pumped yet is lost with the process.
                bench = try Bench(after: bench)
                try bench.apply([settings])
            }
            let out = bench.egress.out.map { keys[$0.sequence] }
            #expect(Set(out).count == out.count, "two of a key are out")
        }
        for _ in 0..<100 {
            bench.advance(millis: 1000)
            bench.egress.answerAll()
        }
        bench.advance(millis: 100)
        let rows = try bench.rows("a")
        #expect(rows.count == keys.count && bench.status("a").pending == 0 && bench.pool.leasedCount == 0)
        for row in rows {
            let later = rows.filter {
                $0.place.sequence > row.place.sequence && keys[$0.place.sequence] == keys[row.place.sequence]
            }
            #expect(row.state.isFinished, "\(row)")
            if later.isEmpty { #expect(row.state == .delivered, "the newest of its key: \(row)") }
            if row.state == .superseded { #expect(later.contains { $0.state == .delivered }) }
        }
    }
}
