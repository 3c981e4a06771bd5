// Events whose content was erased: what waits for delivery of one is a dead letter, lanes that have not come to it pass
// it by, and nobody is sent zeros.

import Engine
import FastPath
import Testing

@Suite struct DispatcherErasureTests {
    private func bench(
        _ name: String = "a", change: @escaping (inout EndpointConfiguration) -> Void = { _ in }
    ) throws -> Bench {
        let bench = try Bench()
        try bench.apply([
            endpoint(name) {
                $0.retryDelaysMillis = [3_600_000, 3_600_000]
                change(&$0)
            }
        ])
        return bench
    }
    private func states(_ bench: Bench, _ name: String = "a") throws -> [UInt64: DeliveryState] {
        Dictionary(uniqueKeysWithValues: try bench.rows(name).map { ($0.place.sequence, $0.state) })
    }

    @Test func lanesThatHaveNotComeToItPassItBy() throws {
        let bench = try bench()
        bench.log.erased = [2, 3]
        bench.log.append(count: 5)
        bench.advance(millis: 1)
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        #expect(try states(bench) == [1: .delivered, 4: .delivered, 5: .delivered])
        #expect(try bench.resume("a") == 6, "it holds nobody's place")
        #expect(bench.status("a").dead == 0)
    }
    @Test func aLaneThatReadsAloneGoesOnBehindIt() throws {
        let bench = try bench { $0.concurrency = 1 }
        bench.log.append(count: 600)
        bench.log.erased = [400, 401, 600]
        var rounds = 0
        while try bench.rows("a").count < 597, rounds < 3000 {
            bench.settle()
            bench.egress.answerAll()
            bench.advance(millis: 5)
            rounds += 1
        }
        bench.advance(millis: 2000)
        let found = try states(bench)
        #expect(found.count == 597 && found.values.allSatisfy { $0 == .delivered })
        #expect(![400, 401, 600].contains { found[$0] != nil })
        #expect(try bench.resume("a") == 601)
    }
    @Test func aPendingDeliveryIsADeadLetterWhenItsTurnComes() throws {
        let bench = try bench()
        bench.log.append(count: 2)
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 503)
        bench.advance(millis: 30)
        bench.log.erased = [1]
        bench.advance(millis: 3_700_000)
        #expect(bench.egress.out.map(\.sequence) == [2])
        bench.advance(millis: 2000)
        let row = try #require(try bench.rows("a").first)
        #expect(row.state == .dead && row.reason == .erased && DeadLetterClass(row) == .local)
        #expect(bench.counters("a").deadLetters[Int(DeadLetterReason.erased.rawValue)] == 1)
        #expect(bench.status("a").pending == 1 && bench.status("a").dead == 1)
    }
    @Test func aMemberOfABatchEndsAndTheOthersGo() throws {
        let bench = try bench {
            var batch = BatchSettings()
            (batch.events, batch.withinMillis) = (3, 1000)
            $0.policies.batch = batch
        }
        bench.log.append(count: 3)
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 503)
        bench.advance(millis: 30)
        bench.log.erased = [2]
        bench.advance(millis: 3_700_000)
        #expect(bench.egress.out.count == 1 && bench.egress.out[0].fieldLines.contains("Sluice-Batch: 2\r\n"))
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        #expect(try states(bench) == [1: .delivered, 2: .dead, 3: .delivered])
        #expect(bench.counters("a").deadLetters[Int(DeadLetterReason.erased.rawValue)] == 1)
    }
    @Test func itIsOneAtOnceWhereTheEraserAsksForIt() throws {
        let bench = try bench()
        bench.log.append(count: 2)
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 503)
        bench.advance(millis: 30)
        bench.log.erased = [1]
        var told: [DeliveryRow]?
        let key = DeliveryKey(sequence: 1, endpoint: bench.id("a"))
        #expect(bench.dispatcher.cancel([key], reason: .erased, now: bench.now) { told = $0 } == [.asked])
        bench.port.pump()
        bench.settle()
        #expect(told?.map(\.reason) == [.erased])
        #expect(bench.counters("a").deadLetters[Int(DeadLetterReason.erased.rawValue)] == 1)
        #expect(bench.counters("a").deadLetters[Int(DeadLetterReason.cancelled.rawValue)] == 0)
        bench.advance(millis: 3_700_000)
        #expect(bench.egress.out.map(\.sequence) == [2])
    }
    @Test func oneWhoseAttemptIsOutGoesAndIsNotTriedAgain() throws {
        let bench = try bench()
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        bench.log.erased = [1]
        #expect(bench.egress.out.map(\.body) == ["{}"])
        bench.egress.answerAll(status: 503)
        bench.advance(millis: 3_700_000)
        #expect(bench.egress.out.isEmpty)
        #expect(try bench.rows("a").map(\.reason) == [.erased])
    }
    @Test func whatWasNotedAndNotSentIsADeadLetter() throws {
        let bench = try bench { $0.concurrency = 1 }
        bench.log.append(count: 3)
        bench.advance(millis: 1)
        bench.log.erased = [2]
        bench.egress.answerAll()
        bench.advance(millis: 5)
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        #expect(try states(bench) == [1: .delivered, 2: .dead, 3: .delivered])
    }
    /// The one that all others wait for; also behind a start, which reads anew what waits.
    @Test(arguments: [nil, "header:X-Customer"], [false, true]) func anOrderGoesOnBehindIt(
        key: String?, restarts: Bool
    ) throws {
        let settings = endpoint("a") {
            $0.ordered = true
            $0.orderKey = key.map { [$0] } ?? []
            $0.retryDelaysMillis = [60_000, 60_000]
        }
        var bench = try Bench()
        try bench.apply([settings])
        for _ in 0..<3 { bench.log.append(FakeEvent(fieldLines: "X-Customer: x\r\n")) }
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 503)
        bench.advance(millis: 2000)
        bench.log.erased = [1]
        if restarts {
            bench = try Bench(after: bench)
            try bench.apply([settings])
        }
        var sent: [UInt64] = []
        for _ in 0..<40 {
            bench.advance(millis: 5000)
            sent += bench.egress.out.map(\.sequence)
            bench.egress.answerAll()
        }
        #expect(sent == [2, 3])
        #expect(try bench.rows("a").map(\.state) == [.dead, .delivered, .delivered])
    }
    @Test func replaysCountItAsGone() throws {
        let bench = try bench()
        bench.log.append(count: 3)
        bench.advance(millis: 1)
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        bench.log.erased = [2]
        var filter = ReplayFilter()
        filter.states = [.delivered]
        func walk() throws -> (places: [UInt64], gone: Int) {
            var walk = ReplayWalk(filter, endpoint: bench.id("a"), tenant: .main, store: bench.store, log: bench.log)
            var (places, gone) = ([UInt64](), 0)
            while let page = try walk.next() {
                places += page.replays.map(\.place.sequence)
                gone += page.eventsGone
            }
            return (places, gone)
        }
        #expect(try walk() == ([1, 3], 1))
        filter.includesMissed = true
        #expect(try walk().places == [1, 3])
    }
}
