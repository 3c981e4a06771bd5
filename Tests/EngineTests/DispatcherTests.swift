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
    let seen = bench.egress.out.map { "\($0.order.endpoint) \($0.sequence) \($0.body)" }.sorted()
    #expect(seen == ["0 1 {\"t\":\"push\"}", "0 2 {\"t\":\"star\"}", "1 1 {\"t\":\"push\"}"])
    let lines = bench.egress.out[0].fieldLines
    #expect(lines.contains("webhook-id: \(bench.egress.out[0].eventID)\r\n") && lines.contains("Sluice-Attempt: 1\r\n"))
    bench.egress.answerAll()
    bench.advance(millis: 50)
    #expect(try bench.rows("all").map(\.state) == [.delivered, .delivered])
    #expect(try bench.rows("pushes").map(\.place.sequence) == [1])
    #expect(try bench.rows("stripe").isEmpty)
    bench.advance(millis: 2000)
    #expect(try bench.store.endpoints().map(\.resume.sequence) == [3, 3, 3])
    #expect(bench.pool.leasedCount == 0)
}

@Test func aSlowEndpointDelaysNoOther() throws {
    let bench = try Bench()
    try bench.apply([endpoint("slow") { $0.concurrency = 2 }, endpoint("fast") { $0.concurrency = 4 }])
    for _ in 0..<1000 { bench.log.append(FakeEvent()) }
    var rounds = 0
    while bench.metrics("fast").counters.delivered < 1000 {
        bench.settle()
        while let index = bench.egress.out.firstIndex(where: { $0.order.endpoint == 1 }) { bench.egress.answer(index) }
        bench.port.pump()
        rounds += 1
        try #require(rounds < 600)
    }
    #expect(bench.egress.out.count == 2)
    #expect(bench.egress.out.allSatisfy { $0.order.endpoint == 0 })
    // Now it answers: everything is there still, in order.
    for _ in 0..<600 {
        bench.settle()
        bench.egress.answerAll()
        bench.port.pump()
    }
    bench.advance(millis: 2000)
    #expect(try bench.rows("slow").count == 1000)
    #expect(try bench.store.endpoints().map(\.resume.sequence) == [1001, 1001])
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
    #expect(bench.metrics("e7").counters.delivered == 50)
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

@Test func aPermanentAnswerIsADeadLetterAtOnce() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a")])
    bench.log.append(FakeEvent())
    bench.advance(millis: 1)
    bench.egress.answerAll(status: 404)
    bench.advance(millis: 50)
    #expect(try bench.rows("a").map(\.reason) == [.permanentAnswer])
    #expect(bench.metrics("a").counters.deadLetters[1] == 1)
}

@Test func goneDisablesTheEndpointUntilItIsEnabled() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a"), endpoint("b")])
    for _ in 0..<3 { bench.log.append(FakeEvent()) }
    bench.advance(millis: 1)
    let first = bench.egress.out.firstIndex { $0.order.endpoint == 0 }!
    bench.egress.answer(first, status: 410)
    bench.egress.answerAll()
    bench.advance(millis: 50)
    for _ in 0..<3 { bench.log.append(FakeEvent()) }
    bench.advance(millis: 50)
    #expect(bench.egress.out.allSatisfy { $0.order.endpoint == 1 } && bench.egress.out.count == 3)
    #expect(try bench.store.endpoints()[0].stop == .gone)
    #expect(try bench.rows("a").map(\.state) == [.dead, .delivered, .delivered])
    #expect(bench.dispatcher.enable(number: bench.numbers["a"]!))
    bench.advance(millis: 1)
    #expect(bench.egress.out.count { $0.order.endpoint == 0 } == 3)
    #expect(try bench.store.endpoints()[0].stop == nil)
}

@Test func tooManyRequestsSlowsTheEndpointAndNotItsNeighbour() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a") { $0.concurrency = 4 }, endpoint("b") { $0.concurrency = 4 }])
    for _ in 0..<20 { bench.log.append(FakeEvent()) }
    bench.advance(millis: 1)
    let index = bench.egress.out.firstIndex { $0.order.endpoint == 0 }!
    bench.egress.answer(index, status: 429) { $0.retryAfterSeconds = 60 }
    for _ in 0..<20 {
        bench.settle()
        bench.egress.answerAll()
        bench.port.pump()
    }
    #expect(bench.metrics("b").counters.delivered == 20)
    #expect(bench.metrics("a").counters.delivered == 3 && bench.metrics("a").isPaused)
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
    #expect(bench.metrics("a").counters.delivered == 20)
}

@Test func backOffWithoutAWordDoubles() {
    var pace = LanePace()
    var now: UInt64 = 0
    var pauses: [UInt64] = []
    for _ in 0..<8 {
        pace.adjust(.backOff, concurrency: 16, now: now)
        pace.adjust(.backOff, concurrency: 16, now: now)
        pauses.append((pace.pausedUntil - now) / 1_000_000_000)
        now = pace.pausedUntil
    }
    #expect(pauses == [1, 2, 4, 8, 16, 32, 60, 60])
    #expect(pace.allowance(16) == 1)
    for _ in 0..<16 { pace.adjust(.recovered, concurrency: 16, now: now) }
    #expect(pace.allowance(16) == 16)
}

@Test func aDeadKeptConnectionIsRepeatedAtOnceAndNotCounted() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a")])
    bench.log.append(FakeEvent())
    bench.advance(millis: 1)
    let lost: (inout DeliveryOutcome) -> Void = {
        $0.result = .connectionLost
        $0.status = 0
        $0.lostReusedConnection = true
    }
    bench.egress.answerAll(change: lost)
    bench.advance(millis: 0)
    #expect(bench.egress.out.map(\.attempt) == [1])
    bench.egress.answerAll(change: lost)
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
    let bench = try Bench()
    try bench.apply([endpoint("a")])
    for _ in 0..<5 { bench.log.append(FakeEvent()) }
    bench.advance(millis: 1)
    while bench.egress.out.count > 1 { bench.egress.answer(1) }
    bench.advance(millis: 2000)
    #expect(try bench.store.endpoints()[0].resume.sequence == 1)
    #expect(try bench.rows("a").map(\.place.sequence) == [2, 3, 4, 5])
    bench.egress.answerAll()
    bench.settle()
    bench.now += 2_000_000_000
    bench.settle()
    #expect(try bench.store.endpoints()[0].resume.sequence == 1)
    #expect(bench.metrics("a").mark == 1)
    bench.port.pump()
    bench.settle()
    #expect(try bench.store.endpoints()[0].resume.sequence == 6)
    #expect(bench.metrics("a").mark == 6)
}

@Test func whatTheStoreHadIsNotSentAgainAfterAStart() throws {
    let log = FakeLog()
    let store = MemoryStore()
    let first = try Bench(log: log, store: store)
    try first.apply([endpoint("a")])
    for _ in 0..<5 { log.append(FakeEvent()) }
    first.advance(millis: 1)
    first.egress.answer(3)
    first.egress.answer(1, status: 500)
    first.advance(millis: 2000)
    // The process dies here: 4 is delivered, 2 is pending, the others were out.
    let second = try Bench(log: log, store: store, wallMillis: 1_700_000_002_000)
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
    for _ in 0..<2000 { bench.log.append(FakeEvent()) }
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
        while let index = bench.egress.out.firstIndex(where: { $0.order.endpoint == 4 }) { bench.egress.answer(index) }
        bench.port.pump()
    }
    #expect(bench.metrics("fast").counters.delivered == 500)
    #expect((0..<4).allSatisfy { bench.metrics("slow\($0)").inFlight >= 1 })
}

@Test func aFullEgressRingLosesNothing() throws {
    let bench = try Bench()
    bench.egress.capacity = 3
    try bench.apply([endpoint("a")])
    for _ in 0..<100 { bench.log.append(FakeEvent()) }
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
    bench.log.append(FakeEvent())
    bench.advance(millis: 1)
    bench.egress.answerAll()
    bench.advance(millis: 2000)
    try bench.apply([endpoint("b")])
    for _ in 0..<3 { bench.log.append(FakeEvent()) }
    bench.advance(millis: 2000)
    #expect(bench.egress.out.count == 3)
    bench.egress.answerAll()
    bench.advance(millis: 2000)
    #expect(try bench.store.endpoints().map(\.isRemoved) == [true, false])
    #expect(try bench.store.endpoints().map(\.resume.sequence) == [2, 5])
    try bench.apply([endpoint("a"), endpoint("b")])
    bench.advance(millis: 1)
    #expect(bench.egress.out.map(\.sequence) == [2, 3, 4])
}

@Test func aDisabledEndpointKeepsItsPlace() throws {
    let bench = try Bench()
    try bench.apply([endpoint("a") { $0.disabled = true }])
    for _ in 0..<3 { bench.log.append(FakeEvent()) }
    bench.advance(millis: 2000)
    #expect(bench.egress.out.isEmpty)
    try bench.apply([endpoint("a")])
    bench.advance(millis: 1)
    #expect(bench.egress.out.map(\.sequence) == [1, 2, 3])
}

@Test func aNewEndpointBeginsWithWhatComesAfterIt() throws {
    let bench = try Bench()
    for _ in 0..<3 { bench.log.append(FakeEvent()) }
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
    let number = bench.numbers["a"]!
    func replay(_ sequence: UInt64) -> ReplayVerdict {
        bench.dispatcher.replay(number: number, places: [bench.log.place(sequence)], now: bench.now)[0]
    }
    #expect(replay(1) == .accepted)
    #expect(replay(1) == .alreadyPending)
    #expect(replay(2) == .notReached)
    #expect(bench.dispatcher.replay(number: 99, places: [bench.log.place(1)], now: bench.now) == [.unknownEndpoint])
    bench.advance(millis: 1)
    #expect(bench.egress.out.map(\.eventID) == [id])
    #expect(bench.egress.out.map(\.attempt) == [1])
    #expect(replay(1) == .alreadyPending)
    bench.egress.answerAll()
    bench.advance(millis: 50)
    #expect(try bench.rows("a").map(\.state) == [.delivered])
    #expect(replay(1) == .accepted)
}

@Test func aReplayAskedForTwiceWhileThePageIsOnItsWayIsSentOnce() throws {
    let log = FakeLog()
    let store = MemoryStore()
    let first = try Bench(log: log, store: store)
    try first.apply([endpoint("a")])
    for _ in 0..<2 { log.append(FakeEvent()) }
    first.advance(millis: 1)
    first.egress.answerAll(status: 404)
    first.advance(millis: 2000)
    first.advance(millis: 1)
    let second = try Bench(log: log, store: store)
    try second.apply([endpoint("a")])
    let number = second.numbers["a"]!
    _ = second.dispatcher.replay(number: number, places: [log.place(1)], now: second.now)
    second.settle()
    // The first page has been asked for and has not come.
    for _ in 0..<2 {
        _ = second.dispatcher.replay(number: number, places: [log.place(2), log.place(1)], now: second.now)
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
        var walk = ReplayWalk(filter, endpoint: bench.numbers["a"]!, store: bench.store, log: bench.log)
        var found: [UInt64] = []
        var gone = 0
        while let page = try walk.next() {
            found += page.places.map(\.sequence)
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
    let bench = try Bench()
    try bench.apply([endpoint("a")])
    for _ in 0..<2 { bench.log.append(FakeEvent()) }
    bench.advance(millis: 1)
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
    for _ in 0..<3 { bench.log.append(FakeEvent()) }
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
    for _ in 0..<3 { bench.log.append(FakeEvent()) }
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
    for _ in 0..<10 { bench.log.append(FakeEvent()) }
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
    #expect(try bench.store.endpoints()[0].resume.sequence == 2)
    #expect(bench.pool.leasedCount == 0)
}

@Test func aWallClockThatWasSetBackMovesNoRetryAfterAStart() throws {
    let log = FakeLog()
    let store = MemoryStore()
    let first = try Bench(log: log, store: store)
    try first.apply([endpoint("a") { $0.retryDelaysMillis = [60_000] }])
    log.append(FakeEvent())
    first.advance(millis: 1)
    first.egress.answerAll(status: 500)
    first.advance(millis: 50)
    // Started again with the clock ten years back: still about a minute, not ten years.
    let second = try Bench(log: log, store: store, wallMillis: 1_700_000_000_000 - 315_360_000_000)
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
    for _ in 0..<count { bench.log.append(FakeEvent()) }
    while bench.egress.submitted < count || !bench.egress.out.isEmpty {
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 30)
    }
    bench.advance(millis: 30)
    #expect(bench.metrics("a").retriesWaiting <= RetryQueue.entryCountMax)
    #expect(try bench.store.counts(endpoint: bench.numbers["a"]!).pending == count)
    var rounds = 0
    var order: [UInt64] = []
    while bench.metrics("a").counters.delivered < UInt64(count) {
        order += bench.egress.out.map(\.sequence)
        bench.egress.answerAll()
        bench.advance(millis: 200)
        rounds += 1
        try #require(rounds < 5000)
    }
    #expect(bench.egress.submitted == 2 * count)
    #expect(Set(order).count == count)
    bench.advance(millis: 50)
    #expect(try bench.store.counts(endpoint: bench.numbers["a"]!).pending == 0)
}
