// The dispatcher, one situation a test, with a clock and a world that only the test moves.

import Engine
import FastPath
import Testing

@Test func deliversEachEventToEachEndpointThatWantsIt() throws {
    let bench = try Bench()
    try bench.apply([
        endpoint("all"), endpoint("pushes") { $0.types = ["push"] }, endpoint("stripe") { $0.sources = ["stripe"] },
    ])
    for type in ["push", "star"] { bench.log.append(FakeEvent(type: type, body: "{\"t\":\"\(type)\"}")) }
    bench.advance(millis: 1)
    let seen = bench.egress.out.map { "\($0.endpoint) \($0.sequence) \($0.body)" }.sorted()
    #expect(seen == ["1 1 {\"t\":\"push\"}", "1 2 {\"t\":\"star\"}", "2 1 {\"t\":\"push\"}"])
    let lines = bench.egress.out[0].fieldLines
    #expect(lines.contains("webhook-id: \(bench.egress.out[0].eventID)\r\n") && lines.contains("Sluice-Attempt: 1\r\n"))
    bench.egress.answerAll()
    bench.advance(millis: 50)
    #expect(try bench.rows("all").map(\.state) == [.delivered, .delivered])
    #expect(try bench.rows("pushes").map(\.place.sequence) == [1])
    #expect(try bench.rows("stripe").isEmpty)
    bench.advance(millis: 2000)
    for name in ["all", "pushes", "stripe"] { #expect(try bench.resume(name) == 3) }
    // Lanes that are quiet follow the shared mark and have no row.
    #expect(try bench.store.snapshot().marks.isEmpty)
    #expect(bench.pool.leasedCount == 0)
}

@Test func aSlowEndpointDelaysNoOther() throws {
    let bench = try Bench()
    try bench.apply([endpoint("slow") { $0.concurrency = 2 }, endpoint("fast") { $0.concurrency = 4 }])
    bench.log.append(count: 1000)
    var rounds = 0
    while bench.counters("fast").delivered < 1000 {
        bench.settle()
        while let index = bench.egress.out.firstIndex(where: { $0.endpoint == 2 }) { bench.egress.answer(index) }
        bench.port.pump()
        rounds += 1
        try #require(rounds < 600)
    }
    #expect(bench.egress.out.count == 2)
    #expect(bench.egress.out.allSatisfy { $0.endpoint == 1 })
    // Now it answers: everything is there still, in order.
    for _ in 0..<600 {
        bench.settle()
        bench.egress.answerAll()
        bench.port.pump()
    }
    bench.advance(millis: 2000)
    #expect(try bench.rows("slow").count == 1000)
    #expect(try bench.resume("slow") == 1001 && bench.resume("fast") == 1001)
}

@Test func lanesThatKeepUpShareOneRead() throws {
    let bench = try Bench()
    try bench.apply((0..<20).map { index in endpoint("e\(index)") { $0.types = ["t\(index)"] } })
    bench.advance(millis: 1)
    for index in 0..<1000 { bench.log.append(FakeEvent(type: "t\(index % 20)")) }
    let before = bench.log.reads
    for _ in 0..<100 {
        bench.settle()
        bench.egress.answerAll()
        bench.port.pump()
    }
    #expect(bench.counters("e7").delivered == 50)
    // Twenty lanes: one read an event for all, and a second one for each event that found its lane full.
    #expect(bench.log.reads - before < 2100)
}

@Test func retriesBySchedule() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a") { $0.retryDelaysMillis = [5000, 60_000] }])
    bench.log.append(FakeEvent())
    bench.advance(millis: 1)
    #expect(bench.egress.out.map(\.attempt) == [1])
    bench.egress.answerAll(status: 500)
    bench.advance(millis: 30)
    #expect(try bench.rows("a").map(\.state) == [.pending])
    bench.advance(millis: 4900)
    #expect(bench.egress.out.isEmpty)
    bench.advance(millis: 100)
    #expect(bench.egress.out.map(\.attempt) == [2])
    bench.egress.answerAll {
        $0.result = .totalTimedOut; $0.status = 0
    }
    bench.advance(millis: 59_000)
    #expect(bench.egress.out.isEmpty)
    bench.advance(millis: 1100)
    #expect(bench.egress.out.map(\.attempt) == [3])
    bench.egress.answerAll(status: 503)
    bench.advance(millis: 50)
    let row = try bench.rows("a")[0]
    #expect(row.state == .dead && row.reason == .retriesExhausted && row.attempts == 3 && row.status == 503)
    bench.advance(millis: 90_000_000)
    #expect(bench.egress.out.isEmpty && bench.egress.submitted == 3)
}

@Test func whoeverWaitsForTheStoreIsToldInTurn() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a")])
    bench.advance(millis: 50)
    var told: [String] = []
    bench.dispatcher.whenCommitted { told.append("nothing to wait for \($0)") }
    #expect(told == ["nothing to wait for true"])
    bench.perform(.pause(millis: nil), "a")
    bench.dispatcher.whenCommitted { told.append("pause \($0)") }
    bench.settle()
    #expect(told.count == 1, "the store has not written yet")
    bench.advance(millis: 1)
    #expect(told.last == "pause true")
    #expect(try bench.state("a")?.condition == .paused)
    bench.perform(.retryNow, "a")
    bench.perform(.enable, "a")
    bench.dispatcher.whenCommitted { told.append("enable \($0)") }
    bench.dispatcher.whenCommitted { told.append("behind it \($0)") }
    bench.dispatcher.end()
    #expect(told.suffix(2) == ["enable false", "behind it false"])
}

@Test func aPermanentAnswerIsADeadLetterAtOnce() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a")])
    bench.log.append(FakeEvent())
    bench.advance(millis: 1)
    bench.egress.answerAll(status: 404)
    bench.advance(millis: 50)
    #expect(try bench.rows("a").map(\.reason) == [.permanentAnswer])
    #expect(bench.counters("a").deadLetters[1] == 1)
}

@Test func goneDisablesTheEndpointUntilItIsEnabled() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a"), endpoint("b")])
    bench.log.append(count: 3)
    bench.advance(millis: 1)
    let first = bench.egress.out.firstIndex { $0.endpoint == 1 }!
    bench.egress.answer(first, status: 410)
    bench.egress.answerAll()
    bench.advance(millis: 50)
    bench.log.append(count: 3)
    bench.advance(millis: 50)
    #expect(bench.egress.out.allSatisfy { $0.endpoint == 2 } && bench.egress.out.count == 3)
    #expect(try bench.state("a")?.reason == .gone)
    #expect(try bench.rows("a").map(\.state) == [.dead, .delivered, .delivered])
    bench.perform(.enable, "a")
    bench.advance(millis: 1)
    #expect(bench.egress.out.count { $0.endpoint == 1 } == 3)
    #expect(try bench.state("a")?.condition == .active)
}

@Test func tooManyRequestsSlowsTheEndpointAndNotItsNeighbour() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a") { $0.concurrency = 4 }, endpoint("b") { $0.concurrency = 4 }])
    bench.log.append(count: 20)
    bench.advance(millis: 1)
    let index = bench.egress.out.firstIndex { $0.endpoint == 1 }!
    bench.egress.answer(index, status: 429) { $0.retryAfterSeconds = 60 }
    for _ in 0..<20 {
        bench.settle()
        bench.egress.answerAll()
        bench.port.pump()
    }
    #expect(bench.counters("b").delivered == 20)
    #expect(bench.counters("a").delivered == 3 && bench.status("a").isSlowed)
    bench.advance(millis: 59_000)
    #expect(bench.egress.out.isEmpty)
    bench.advance(millis: 1100)
    // It starts again with one at a time, and gets one more with each success.
    #expect(bench.egress.out.count == 1)
    bench.egress.answerAll()
    bench.advance(millis: 1)
    #expect(bench.egress.out.count == 2)
    for _ in 0..<40 {
        bench.egress.answerAll()
        bench.advance(millis: 1)
    }
    #expect(bench.counters("a").delivered == 20)
}

@Test func aDeadKeptConnectionIsRepeatedAtOnceAndNotCounted() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a")])
    bench.log.append(FakeEvent())
    bench.advance(millis: 1)
    #expect(bench.egress.out.map(\.request.isFresh) == [false])
    bench.egress.answerAll(change: lostReused)
    bench.advance(millis: 0)
    #expect(bench.egress.out.map(\.attempt) == [1])
    #expect(bench.egress.out.map(\.request.isFresh) == [true])
    bench.egress.answerAll(change: lostReused)
    bench.advance(millis: 50)
    #expect(bench.egress.out.isEmpty)
    #expect(try bench.rows("a").map(\.attempts) == [1])
    bench.advance(millis: 5000)
    #expect(bench.egress.out.map(\.attempt) == [2])
}

@Test func anAbandonedAttemptIsNotCounted() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a")])
    bench.log.append(FakeEvent())
    bench.advance(millis: 1)
    bench.egress.answerAll {
        $0.result = .abandoned; $0.status = 0
    }
    bench.advance(millis: 1)
    #expect(bench.egress.out.map(\.attempt) == [1])
    bench.egress.answerAll()
    bench.advance(millis: 50)
    #expect(try bench.rows("a").map(\.attempts) == [1])
}

@Test func theMarkWaitsForTheSlowestAndForTheStore() throws {
    let bench = try Bench.sending(5)
    while bench.egress.out.count > 1 { bench.egress.answer(1) }
    bench.advance(millis: 2000)
    #expect(try bench.resume("a") == 1)
    #expect(try bench.rows("a").map(\.place.sequence) == [2, 3, 4, 5])
    bench.egress.answerAll()
    bench.settle()
    bench.now += 2_000_000_000
    bench.settle()
    #expect(try bench.resume("a") == 1)
    #expect(bench.dispatcher.lowWater() == 1)
    bench.port.pump()
    bench.settle()
    #expect(try bench.resume("a") == 6)
    #expect(bench.dispatcher.lowWater() == 6)
}

@Test func whatTheStoreHadIsNotSentAgainAfterAStart() throws {
    let first = try Bench.sending(5)
    first.egress.answer(3)
    first.egress.answer(1, status: 500)
    first.advance(millis: 2000)
    // The process dies here: 4 is delivered, 2 is pending, the others were out.
    let second = try Bench(after: first, wallMillis: 1_700_000_002_000)
    try second.apply([endpoint("a")])
    second.advance(millis: 1)
    #expect(second.egress.out.map(\.sequence).sorted() == [1, 3, 5])
    second.egress.answerAll()
    second.advance(millis: 5000)
    second.advance(millis: 1)
    #expect(second.egress.out.map(\.sequence) == [2])
    #expect(second.egress.out.map(\.attempt) == [2])
}

@Test func aFullStoreStopsTheOrdersAndNothingIsLost() throws {
    var limits = DispatcherLimits()
    limits.batchRowsMax = 10
    let store = MemoryStore()
    let bench = try Bench(store: store, limits: limits)
    try bench.apply([endpoint("a")])
    bench.log.append(count: 2000)
    store.setFull(true)
    for _ in 0..<200 {
        bench.advance(millis: 30)
        bench.egress.answerAll()
    }
    // Bounded: the port's queue, the batch, and what was out.
    #expect(bench.egress.submitted <= 10 * 8 + 10 + 32)
    #expect(try bench.rows("a").isEmpty)
    store.setFull(false)
    for _ in 0..<400 {
        bench.advance(millis: 30)
        bench.egress.answerAll()
    }
    #expect(try bench.rows("a").count == 2000)
    #expect(bench.egress.submitted == 2000)
}

@Test func anEventTooLargeForTheMemoryIsADeadLetter() throws {
    let bench = try Bench(poolBytes: 64 * 1024)
    try bench.apply([endpoint("a")])
    bench.log.append(FakeEvent(body: String(repeating: "x", count: 70_000)))
    bench.log.append(FakeEvent())
    bench.advance(millis: 1)
    #expect(bench.egress.out.map(\.sequence) == [2])
    bench.egress.answerAll()
    bench.advance(millis: 50)
    #expect(try bench.rows("a").map(\.reason) == [.tooLarge, nil])
}

@Test func slowEndpointsWithLargeEventsLeaveMemoryForOthers() throws {
    let bench = try Bench(poolBytes: 1 << 20)
    let slow = (0..<4).map { index in
        endpoint("slow\(index)") {
            $0.sources = ["big"]
            $0.concurrency = 64
        }
    }
    try bench.apply(slow + [endpoint("fast") { $0.sources = ["small"] }])
    for _ in 0..<64 { bench.log.append(FakeEvent(source: "big", body: String(repeating: "x", count: 30_000))) }
    for _ in 0..<500 { bench.log.append(FakeEvent(source: "small")) }
    for _ in 0..<200 {
        bench.settle()
        while let index = bench.egress.out.firstIndex(where: { $0.endpoint == 5 }) { bench.egress.answer(index) }
        bench.port.pump()
    }
    #expect(bench.counters("fast").delivered == 500)
    #expect((0..<4).allSatisfy { bench.status("slow\($0)").inFlight >= 1 })
}

@Test func aFullEgressRingLosesNothing() throws {
    let bench = try Bench()
    bench.egress.capacity = 3
    try bench.apply([endpoint("a")])
    bench.log.append(count: 100)
    for _ in 0..<200 {
        bench.settle()
        bench.egress.answerAll()
        bench.port.pump()
    }
    bench.advance(millis: 50)
    #expect(try bench.rows("a").count == 100)
    #expect(bench.egress.submitted == 100)
    #expect(bench.pool.leasedCount == 0)
}

@Test func aRemovedEndpointKeepsItsPlaceAndGetsNothing() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a"), endpoint("b")])
    bench.log.append(count: 1)
    bench.advance(millis: 1)
    bench.egress.answerAll()
    bench.advance(millis: 2000)
    try bench.apply([endpoint("b")])
    bench.log.append(count: 3)
    bench.advance(millis: 2000)
    #expect(bench.egress.out.map(\.endpoint) == [2, 2, 2])
    bench.egress.answerAll()
    bench.advance(millis: 2000)
    #expect(try bench.state("a")?.reason == .removed)
    #expect(try bench.resume("a") == 2 && bench.resume("b") == 5)
    try bench.apply([endpoint("a"), endpoint("b")])
    bench.advance(millis: 1)
    #expect(bench.egress.out.map(\.sequence) == [2, 3, 4])
}

@Test func aDisabledEndpointKeepsItsPlace() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a") { $0.disabled = true }])
    bench.log.append(count: 3)
    bench.advance(millis: 2000)
    #expect(bench.egress.out.isEmpty)
    try bench.apply([endpoint("a")])
    bench.advance(millis: 1)
    #expect(bench.egress.out.map(\.sequence) == [1, 2, 3])
}

@Test func aNewEndpointBeginsWithWhatComesAfterIt() throws {
    let bench = try Bench()
    bench.log.append(count: 3)
    try bench.apply([endpoint("a")])
    bench.log.append(FakeEvent())
    bench.advance(millis: 1)
    #expect(bench.egress.out.map(\.sequence) == [4])
}

@Test func replaysKeepTheIdentityAndCountAnew() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a")])
    bench.log.append(FakeEvent())
    bench.advance(millis: 1)
    let id = bench.egress.out[0].eventID
    bench.egress.answerAll(status: 404)
    bench.advance(millis: 50)
    func replay(_ sequence: UInt64) throws -> ReplayResult { try bench.replay("a", sequence) }
    #expect(try replay(1) == .accepted)
    #expect(try replay(1) == .alreadyPending)
    #expect(try replay(2) == .notReached)
    let nobody = bench.dispatcher.replay(
        [Replay(endpoint: EndpointID(99), place: bench.log.place(1), state: nil)], now: bench.now)
    #expect(nobody == [.unknownEndpoint])
    bench.advance(millis: 1)
    #expect(bench.egress.out.map(\.eventID) == [id])
    #expect(bench.egress.out.map(\.attempt) == [1])
    #expect(try replay(1) == .alreadyPending)
    bench.egress.answerAll()
    bench.advance(millis: 50)
    #expect(try bench.rows("a").map(\.state) == [.delivered])
    #expect(try replay(1) == .accepted)
}

@Test func theCountsFollowWhatTheStoreSaysOfReplaysAndOfOldDeadLetters() throws {
    let bench = try Bench.sending(3)
    bench.egress.answerAll(status: 404)
    bench.advance(millis: 50)
    #expect(bench.status("a").dead == 3)
    // Whoever asks twice has read the store before the first replay is in it.
    for sequence: UInt64 in [1, 1, 2] {
        _ = bench.dispatcher.replay([bench.again("a", sequence, .dead)], now: bench.now)
        bench.settle()
        bench.egress.answerAll()
        bench.settle()
    }
    bench.advance(millis: 50)
    #expect(bench.status("a").pending == 0 && bench.status("a").dead == 1)
    bench.port.prune(oldest: 4)
    bench.settle()
    #expect(bench.status("a").dead == 0 && bench.dispatcher.metrics(now: bench.now).dead == 0)
}

@Test func aReplayAskedForTwiceWhileThePageIsOnItsWayIsSentOnce() throws {
    let first = try Bench.sending(2)
    first.egress.answerAll(status: 404)
    first.advance(millis: 2000)
    first.advance(millis: 1)
    let second = try Bench(after: first)
    try second.apply([endpoint("a")])
    _ = second.dispatcher.replay([second.again("a", 1, .dead)], now: second.now)
    second.settle()
    // The first page has been asked for and has not come.
    for _ in 0..<2 {
        let replays = [2, 1].map { second.again("a", $0, .dead) }
        _ = second.dispatcher.replay(replays, now: second.now)
    }
    for _ in 0..<5 { second.advance(millis: 30) }
    #expect(second.egress.out.map(\.sequence).sorted() == [1, 2])
}

@Test func theReplayWalkTakesWhatTheFilterSays() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a") { $0.concurrency = 4096 }])
    for index in 0..<1200 {
        bench.log.append(
            FakeEvent(source: index % 2 == 0 ? "github" : "stripe", type: index % 3 == 0 ? "push" : "star"))
    }
    for _ in 0..<10 {
        bench.settle()
        while let sent = bench.egress.out.first { bench.egress.answer(0, status: sent.sequence % 10 == 0 ? 404 : 200) }
        bench.advance(millis: 30)
    }
    #expect(try bench.rows("a").count { $0.state == .dead } == 120)
    bench.log.oldestSequence = 101
    var filter = ReplayFilter()
    filter.sources = ["stripe"]
    filter.types = ["pu*"]
    filter.received = 0..<1_000_000_000_001
    func places(_ filter: ReplayFilter) throws -> (places: [UInt64], gone: Int) {
        var walk = ReplayWalk(filter, endpoint: bench.id("a"), tenant: .main, store: bench.store, log: bench.log)
        var found: [UInt64] = []
        var gone = 0
        while let page = try walk.next() {
            found += page.replays.map(\.place.sequence)
            gone += page.eventsGone
        }
        return (found, gone)
    }
    let expected = (101...1000).filter { $0 % 10 == 0 && ($0 - 1) % 2 == 1 && ($0 - 1) % 3 == 0 }.map(UInt64.init)
    #expect(!expected.isEmpty)
    #expect(try places(filter).places == expected)
    #expect(try places(filter).gone == 10)
    filter = ReplayFilter()
    filter.states = [.delivered, .dead]
    #expect(try places(filter).places == Array(101...1200))
    filter.states = [.pending]
    #expect(try places(filter).places.isEmpty)
}

private func benchWithTwoRetriesWaiting() throws -> Bench {
    let bench = try Bench.sending(2)
    bench.egress.answerAll(status: 500)
    bench.advance(millis: 50)
    return bench
}

@Test func anEventThatLeftTheLogIsADeadLetter() throws {
    let bench = try benchWithTwoRetriesWaiting()
    bench.log.oldestSequence = 2
    bench.advance(millis: 5000)
    #expect(bench.egress.out.map(\.sequence) == [2])
    bench.advance(millis: 50)
    #expect(try bench.rows("a")[0].reason == .eventMissing)
}

@Test func anUnreadableRecordIsCountedAndSteppedOver() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a")])
    bench.log.unreadable = [2]
    bench.log.append(count: 3)
    bench.advance(millis: 1)
    #expect(bench.egress.out.map(\.sequence) == [1, 3])
    #expect(bench.dispatcher.metrics(now: bench.now).eventsUnreadable == 1)
}

@Test func aRetryThatCannotBeReadNowHoldsUpNoOther() throws {
    let bench = try benchWithTwoRetriesWaiting()
    bench.log.unavailable = [1]
    bench.advance(millis: 6000)
    #expect(bench.egress.out.map(\.sequence) == [2])
    bench.log.unavailable = []
    bench.advance(millis: 100)
    #expect(bench.egress.out.map(\.sequence) == [2, 1])
}

@Test func anEventThatWasNotedAndCannotBeReadIsTriedAgainLater() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a") { $0.concurrency = 1 }])
    bench.log.append(count: 3)
    bench.advance(millis: 1)
    #expect(bench.egress.out.map(\.sequence) == [1])
    bench.log.unreadable = [2]
    bench.egress.answerAll(status: 200)
    bench.advance(millis: 50)
    #expect(bench.egress.out.map(\.sequence) == [3])
    bench.egress.answerAll(status: 200)
    bench.log.unreadable = []
    bench.advance(millis: 6000)
    #expect(bench.egress.out.map(\.sequence) == [2])
}

@Test func drainingSendsNothingNewAndWritesWhatComesBack() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a") { $0.concurrency = 3 }])
    bench.log.append(count: 10)
    bench.advance(millis: 1)
    bench.dispatcher.beginDrain()
    bench.egress.answer(0)
    bench.egress.answer(0) {
        $0.result = .abandoned; $0.status = 0
    }
    bench.advance(millis: 1)
    #expect(!bench.dispatcher.isDrained)
    bench.egress.answerAll()
    bench.advance(millis: 1)
    #expect(bench.dispatcher.isDrained && bench.egress.out.isEmpty && bench.egress.submitted == 3)
    #expect(try bench.rows("a").map(\.place.sequence) == [1, 3])
    #expect(try bench.resume("a") == 2)
    #expect(bench.pool.leasedCount == 0)
}

@Test func aWallClockThatWasSetBackMovesNoRetryAfterAStart() throws {
    let first = try Bench()
    try first.apply([endpoint("a") { $0.retryDelaysMillis = [60_000] }])
    first.log.append(FakeEvent())
    first.advance(millis: 1)
    first.egress.answerAll(status: 500)
    first.advance(millis: 50)
    // Started again with the clock ten years back: still about a minute, not ten years.
    let second = try Bench(after: first, wallMillis: 1_700_000_000_000 - 315_360_000_000)
    try second.apply([endpoint("a")])
    second.advance(millis: 59_000)
    #expect(second.egress.out.isEmpty)
    second.advance(millis: 1500)
    #expect(second.egress.out.map(\.attempt) == [2])
}

@Test func manyRetriesAreKeptInTheStoreAndComeInOrder() throws {
    let bench = try Bench(poolBytes: 16 << 20)
    try bench.apply([
        endpoint("a") {
            $0.concurrency = 1000; $0.retryDelaysMillis = [60_000]
        }
    ])
    let count = 12_000
    bench.log.append(count: count)
    while bench.egress.submitted < count || !bench.egress.out.isEmpty {
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 30)
    }
    bench.advance(millis: 30)
    #expect(try bench.store.counts(endpoint: bench.id("a")).pending == count)
    var rounds = 0
    var order: [UInt64] = []
    while bench.counters("a").delivered < UInt64(count) {
        order += bench.egress.out.map(\.sequence)
        bench.egress.answerAll()
        bench.advance(millis: 200)
        rounds += 1
        try #require(rounds < 5000)
    }
    #expect(bench.egress.submitted == 2 * count)
    #expect(Set(order).count == count)
    bench.advance(millis: 50)
    #expect(try bench.store.counts(endpoint: bench.id("a")).pending == 0)
}
