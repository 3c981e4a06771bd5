// Marks, attempts and replays as the store sees them: what a restart goes on with, and what an operator reads.

import Engine
import FastPath
import Testing

@Suite struct DispatcherMarkTests {
    @Test func theSharedMarkGoesOnWhileASlowLaneKeepsItsOwn() throws {
        let bench = try Bench()
        try bench.apply([endpoint("slow"), endpoint("fast")])
        bench.advance(millis: 2000)
        #expect(try bench.store.snapshot().marks.isEmpty)
        bench.log.append(count: 10)
        bench.settle()
        bench.egress.answer(endpoint: 2)
        bench.advance(millis: 2000)
        #expect(try bench.resume("slow") == 1 && bench.resume("fast") == 11)
        #expect(try bench.store.snapshot().marks.map(\.endpoint) == [bench.id("slow")])
        #expect(bench.dispatcher.lowWater() == 1)
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        #expect(try bench.store.snapshot().marks.isEmpty && bench.dispatcher.lowWater() == 11)
    }
    @Test func aLaneThatFallsFarBehindReadsAloneAndJoinsAgain() throws {
        let store = MemoryStore()
        let bench = try Bench(store: store, poolBytes: 16 << 20)
        try bench.apply([endpoint("slow") { $0.concurrency = 1 }])
        let count = PlaceQueue.countMax + 500
        bench.log.append(count: count)
        bench.settle()
        // The store cannot write: what it knows is still the first event, and so does the low water.
        store.setFull(true)
        bench.now += 2_000_000_000
        bench.settle()
        bench.port.pump()
        #expect(bench.dispatcher.lowWater() == 1)
        store.setFull(false)
        bench.advance(millis: 2000)
        #expect(bench.dispatcher.lowWater() == 1)
        for _ in 0..<count {
            bench.settle()
            bench.egress.answerAll()
            bench.port.pump()
        }
        bench.advance(millis: 2000)
        #expect(try bench.rows("slow").map(\.place.sequence) == (1...UInt64(count)).map { $0 })
        #expect(try bench.store.snapshot().marks.isEmpty)
    }
    @Test func lanesOfEveryKindGoOnWhereTheyStoodWhateverTheirOrder() throws {
        let first = try Bench()
        let names = ["ahead", "follows", "behind"]
        let configurations = names.map { name in endpoint(name) { $0.types = [name] } }
        try first.apply(configurations)
        for type in ["follows", "behind", "ahead"] { first.log.append(FakeEvent(type: type)) }
        first.settle()
        first.egress.answer(endpoint: 2)
        first.advance(millis: 2000)
        // Ahead of the shared mark: an endpoint that is new while the log goes on.
        for type in names + names { first.log.append(FakeEvent(type: type)) }
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let second = try Bench(store: first.store, after: first)
            try second.apply(order.map { configurations[$0] })
            second.advance(millis: 1)
            var seen: [Int: [UInt64]] = [:]
            for sent in second.egress.out { seen[sent.endpoint, default: []].append(sent.sequence) }
            #expect(seen.mapValues { $0.sorted() } == [1: [3, 4, 7], 2: [5, 8], 3: [2, 6, 9]], "\(order)")
        }
    }
    @Test func aStartWithAMarkAheadOfTheSharedOneSkipsNobodysEvents() throws {
        let first = try Bench()
        try first.apply([endpoint("old")])
        first.log.append(count: 5)
        // Nothing is written: the shared mark is at the beginning. A new endpoint begins at the end.
        let second = try Bench(after: first)
        let new = endpoint("new")
        try second.apply([new, endpoint("old")])
        second.advance(millis: 1)
        #expect(second.egress.out.map(\.endpoint) == [1, 1, 1, 1, 1])
        second.log.append(count: 1)
        second.egress.answerAll()
        second.advance(millis: 1)
        #expect(second.egress.out.map { "\($0.endpoint) \($0.sequence)" }.sorted() == ["1 6", "2 6"])
    }
    @Test func aDeliveryThatSucceedsAtOnceHasNoAttemptRow() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.retryDelaysMillis = [1000, 1000] }])
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        bench.egress.answerAll(body: "fine")
        bench.advance(millis: 50)
        #expect(try bench.store.attempts(sequence: 1).isEmpty)
    }
    @Test func eachFailureAndTheLastAttemptHaveTheirRows() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.retryDelaysMillis = [1000, 1000] }])
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 500, body: "database is down") {
            $0.durationMicros = 700
            $0.firstByteMicros = 600
            $0.connectMicros = 100
        }
        bench.advance(millis: 1000)
        // Of the repeat over a fresh connection only the end counts.
        bench.egress.answerAll(change: lostReused)
        bench.advance(millis: 1)
        bench.egress.answerAll {
            failing(.connectionLost)(&$0)
            $0.systemError = 104
        }
        bench.advance(millis: 1000)
        bench.egress.answerAll(status: 200, body: "fine")
        bench.advance(millis: 50)
        let attempts = try bench.store.attempts(sequence: 1)
        #expect(attempts.map(\.number) == [1, 2, 3] && attempts.map(\.status) == [500, 0, 200])
        #expect(attempts.map(\.result) == [.answered, .connectionLost, .answered])
        #expect(attempts.map { String(decoding: $0.answer, as: UTF8.self) } == ["database is down", "", ""])
        #expect(attempts[0].timing.totalMicros == 700 && attempts[0].timing.connectMicros == 100)
        #expect(attempts[0].timing.firstByteMicros == 600 && attempts[1].systemError == 104)
        let row = try bench.rows("a")[0]
        #expect(row.state == .delivered && row.attempts == 3 && row.status == 200)
    }
    @Test func aDeadLettersLastAnswerIsKept() throws {
        let bench = try Bench.sending(1)
        bench.egress.answerAll(status: 422, body: "no such customer")
        bench.advance(millis: 50)
        #expect(
            try bench.store.attempts(sequence: 1).map { String(decoding: $0.answer, as: UTF8.self) }
                == ["no such customer"])
        #expect(bench.status("a").dead == 1)
    }

    // MARK: replays

    @Test func deadDeliveredAndMissedOnesAreSentAgainAndPendingOnesTold() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.types = ["push"] }])
        for type in ["push", "star", "push", "push"] { bench.log.append(FakeEvent(type: type)) }
        bench.advance(millis: 1)
        bench.egress.answer(0, status: 404)
        bench.egress.answer(0, status: 500)
        bench.egress.answer(0)
        bench.advance(millis: 50)
        #expect(bench.status("a").dead == 1 && bench.status("a").pending == 1)
        #expect(try bench.replay("a", 1) == .accepted)
        #expect(try bench.replay("a", 2) == .accepted, "it was never wanted")
        #expect(try bench.replay("a", 3) == .alreadyPending)
        #expect(try bench.replay("a", 4) == .accepted)
        #expect(try bench.replay("a", 5) == .notReached)
        #expect(bench.status("a").pending == 4)
        bench.advance(millis: 1)
        #expect(bench.status("a").dead == 0, "the store has replaced it")
        #expect(bench.egress.out.map(\.sequence).sorted() == [1, 2, 4])
        #expect(bench.egress.out.allSatisfy { $0.attempt == 1 })
        bench.egress.answerAll()
        bench.advance(millis: 50)
        #expect(bench.status("a").pending == 1 && bench.counters("a").replayed == 3)
        #expect(try bench.rows("a").map(\.state) == [.delivered, .delivered, .pending, .delivered])
    }
    @Test func aDeadLetterBehindASlowDeliveryIsSentAgain() throws {
        let bench = try Bench.sending(3)
        bench.egress.answer(2, status: 404)
        bench.advance(millis: 50)
        // The first two are still out and hold the mark.
        #expect(try bench.resume("a") == 1 && bench.replay("a", 3) == .accepted)
        #expect(try bench.replay("a", 1) == .notReached)
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.sequence) == [1, 2, 3])
        // It survives a crash as what it is: pending, and not new.
        let second = try Bench(after: bench)
        try second.apply([endpoint("a")])
        for _ in 0..<3 { second.advance(millis: 10) }
        #expect(second.egress.out.map(\.sequence).sorted() == [1, 2, 3])
    }
    @Test func aReplayIsDurableAtOnce() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.types = ["push"] }])
        bench.log.append(FakeEvent(type: "star"))
        bench.advance(millis: 1)
        #expect(try bench.replay("a", 1) == .accepted)
        bench.settle()
        bench.port.pump()
        #expect(try bench.rows("a").map(\.state) == [.pending])
    }
    @Test func whatIsStillToBeDeliveredIsNoReplay() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a")])
        bench.perform(.pause(millis: nil), "a")
        bench.log.append(count: 2)
        bench.advance(millis: 2000)
        #expect(try bench.replay("a", 1) == .notReached && bench.replay("a", 2) == .notReached)
    }
    @Test func theWalkWithMissedOnesGoesOverTheLog() throws {
        let bench = try Bench()
        try bench.apply([
            endpoint("a") {
                $0.types = ["push"]; $0.concurrency = 4096
            }
        ])
        for index in 0..<3000 { bench.log.append(FakeEvent(type: index % 3 == 0 ? "push" : "star")) }
        bench.log.append(FakeEvent(tenant: TenantID(9), type: "push"))
        for _ in 0..<10 {
            bench.settle()
            while let sent = bench.egress.out.first {
                bench.egress.answer(0, status: sent.sequence % 7 == 0 ? 404 : sent.sequence % 11 == 0 ? 500 : 200)
            }
            bench.advance(millis: 30)
        }
        var filter = ReplayFilter()
        filter.includesMissed = true
        func walk() throws -> (places: [UInt64], pending: Int, gone: Int) {
            var walk = ReplayWalk(
                filter, endpoint: bench.id("a"), tenant: .main, store: bench.store, log: bench.log)
            var found: ([UInt64], Int, Int) = ([], 0, 0)
            while let page = try walk.next() {
                found.0 += page.replays.map(\.place.sequence)
                found.1 += page.alreadyPending
                found.2 += page.eventsGone
            }
            return found
        }
        let pushes = (1...UInt64(3000)).filter { ($0 - 1) % 3 == 0 }
        let dead = pushes.filter { $0 % 7 == 0 }
        let pending = pushes.filter { $0 % 7 != 0 && $0 % 11 == 0 }
        let missed = (1...UInt64(3000)).filter { ($0 - 1) % 3 != 0 }
        #expect(try walk().places == (dead + missed).sorted() && walk().pending == pending.count)
        filter.types = ["star"]
        #expect(try walk().places == missed)
        filter.types = []
        filter.states = [.delivered]
        #expect(try walk().places == (missed + pushes.filter { $0 % 7 != 0 && $0 % 11 != 0 }).sorted())
        filter.received = 100_000_000_000..<200_000_000_000
        #expect(try walk().places.allSatisfy { (100..<200).contains($0) })
        bench.log.unreadable = [150]
        #expect(try walk().gone == 1)
    }
}
