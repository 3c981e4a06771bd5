// Events that are to be delivered later, one situation a test: met at once, sent when they are due, over restarts, in
// an order, by hand.

import Engine
import FastPath
import Testing

@Suite struct DispatcherPostponingTests {
    private static let wallMillis: Int64 = 1_700_000_000_000

    private func later(millis: Int64, fields: String = "", from source: SourceID = .messages) -> FakeEvent {
        FakeEvent(
            sourceID: source, source: PublishSource.name,
            fieldLines: "Sluice-Deliver-At: \(Self.wallMillis + millis)\r\n\(fields)Content-Type: application/json\r\n")
    }
    private func out(_ bench: Bench) -> [UInt64] {
        bench.settle()
        return bench.egress.out.map(\.sequence).sorted()
    }
    private func take(_ bench: Bench) {
        while !bench.egress.out.isEmpty { bench.egress.answer(0, status: 200) }
        bench.advance(millis: 30)
    }

    /// What waits already goes by the shorter `delay` too, and what its publisher wants later by that.
    @Test func aShorterDelayHoldsForWhatWaits() throws {
        let bench = try Bench()
        func settings(_ millis: Int?) -> EndpointConfiguration { endpoint("a") { $0.policies.delayMillis = millis } }
        try bench.apply([settings(3_600_000)])
        var now = FakeEvent()
        now.receivedAt = UInt64(Self.wallMillis) * 1_000_000
        var planned = later(millis: 1_800_000)
        planned.receivedAt = now.receivedAt
        bench.log.append(now)
        bench.log.append(planned)
        bench.advance(millis: 30)
        #expect(try bench.rows("a").map(\.dueMillis) == [3_600_000, 1_800_000].map { Self.wallMillis + $0 })
        bench.advance(millis: 60_000)
        try bench.apply([settings(600_000)])
        bench.advance(millis: 30)
        #expect(out(bench).isEmpty)
        bench.advance(millis: 539_000)
        #expect(out(bench).isEmpty)
        bench.advance(millis: 1500)
        bench.advance(millis: 30)
        #expect(out(bench) == [1], "ten minutes after it came")
        take(bench)
        try bench.apply([settings(nil)])
        bench.advance(millis: 30)
        bench.advance(millis: 30)
        #expect(out(bench).isEmpty, "not before its own time")
        bench.advance(millis: 1_200_000)
        #expect(out(bench) == [2])
        take(bench)
        #expect(try bench.rows("a").map(\.state) == [.delivered, .delivered] && bench.status("a").pending == 0)
    }
    @Test func itGoesWhenItIsDueAndHoldsNothingBack() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a")])
        bench.log.append(later(millis: 60_000))
        bench.log.append(count: 2)
        bench.advance(millis: 30)
        #expect(out(bench) == [2, 3])
        take(bench)
        let row = try #require(try bench.rows("a").first { $0.place.sequence == 1 })
        #expect(row.state == .pending && row.attempts == 0 && row.dueMillis == Self.wallMillis + 60_000)
        #expect(bench.status("a").pending == 1)
        bench.advance(millis: 2000)
        #expect(try bench.resume("a") == 4, "the mark is behind all of them")
        bench.advance(millis: 57_000)
        #expect(out(bench).isEmpty)
        bench.advance(millis: 1000)
        #expect(out(bench) == [1])
        take(bench)
        #expect(try bench.rows("a").map(\.state) == [.delivered, .delivered, .delivered])
        #expect(bench.status("a").pending == 0 && bench.counters("a").delivered == 3)
        #expect(bench.pool.leasedCount == 0)
    }
    @Test func whatIsDueWhenItIsMetGoesLikeEveryOther() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a")])
        bench.log.append(later(millis: 0))
        bench.log.append(later(millis: -60_000))
        #expect(out(bench) == [1, 2])
    }
    @Test func aProvidersFieldIsNoTime() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a")])
        var event = later(millis: 60_000, from: SourceID(1))
        event.source = "github"
        bench.log.append(event)
        #expect(out(bench) == [1])
    }
    @Test func aFailureGoesOnByTheSchedule() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.retryDelaysMillis = [5000] }])
        bench.log.append(later(millis: 60_000))
        bench.advance(millis: 60_000)
        #expect(out(bench) == [1])
        bench.egress.answer(0, status: 500)
        bench.advance(millis: 4000)
        #expect(out(bench).isEmpty)
        #expect(try bench.rows("a").map(\.attempts) == [1])
        bench.advance(millis: 1000)
        #expect(out(bench) == [1])
    }
    @Test func itOutlivesARestart() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a")])
        for place in 1...3 { bench.log.append(later(millis: Int64(place) * 60_000)) }
        bench.advance(millis: 30)
        bench.advance(millis: 2000)
        let next = try Bench(after: bench)
        try next.apply([endpoint("a")])
        #expect(out(next).isEmpty && next.status("a").pending == 3)
        next.advance(millis: 60_000)
        #expect(out(next) == [1])
        take(next)
        next.advance(millis: 120_000)
        #expect(out(next) == [2, 3])
    }
    @Test func aCrashBeforeTheRowMeetsItAgain() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a")])
        bench.log.append(later(millis: 60_000))
        bench.settle()
        // Nothing has reached the store.
        let next = try Bench(after: bench)
        try next.apply([endpoint("a")])
        next.advance(millis: 30)
        #expect(out(next).isEmpty && next.status("a").pending == 1)
        next.advance(millis: 60_000)
        #expect(out(next) == [1])
    }
    @Test(arguments: [nil, "header:X-Customer"] as [String?])
    func whatComesAfterItInAnOrderDoesNotWait(_ key: String?) throws {
        let settings = endpoint("a") {
            $0.ordered = true
            if let key { $0.orderKey = [key] }
            $0.retryDelaysMillis = [1000]
        }
        let bench = try Bench()
        try bench.apply([settings])
        let customer = "X-Customer: x\r\n"
        bench.log.append(later(millis: 60_000, fields: customer))
        bench.log.append(count: 2, FakeEvent(fieldLines: customer))
        bench.advance(millis: 30)
        #expect(out(bench) == [2])
        take(bench)
        #expect(out(bench) == [3])
        take(bench)
        bench.advance(millis: 2000)
        // Nor after a restart, when its row is all there is of it.
        let next = try Bench(after: bench)
        try next.apply([settings])
        next.log.append(count: 2, FakeEvent(fieldLines: customer))
        next.advance(millis: 30)
        #expect(out(next) == [4])
        // Due while another is out, it goes behind that and before what is younger.
        next.advance(millis: 60_000)
        #expect(out(next) == [4])
        take(next)
        #expect(out(next) == [1])
        take(next)
        #expect(out(next) == [5])
        take(next)
        #expect(next.status("a").pending == 0)
    }
    @Test func retryNowLeavesItForItsTime() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.retryDelaysMillis = [50_000] }])
        bench.log.append(later(millis: 60_000))
        bench.log.append(count: 1)
        bench.advance(millis: 30)
        #expect(out(bench) == [2])
        bench.egress.answer(0, status: 500)
        bench.advance(millis: 30)
        bench.perform(.retryNow, "a")
        // The store moves the rows, and then reads them.
        for _ in 0..<3 { bench.advance(millis: 30) }
        #expect(out(bench) == [2])
        take(bench)
        #expect(bench.status("a").pending == 1)
    }
    @Test func byHandItGoesAtOnceAndNotASecondTime() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a")])
        bench.log.append(later(millis: 60_000))
        bench.advance(millis: 30)
        #expect(try bench.replay("a", 1) == .alreadyPending)
        #expect(try bench.sendByHand("a", 1) == .accepted)
        #expect(out(bench) == [1])
        take(bench)
        bench.advance(millis: 120_000)
        #expect(out(bench).isEmpty)
    }
    @Test func whoMissedItGetsItNoSooner() throws {
        let bench = try Bench()
        bench.log.append(later(millis: 60_000))
        bench.advance(millis: 1)
        try bench.apply([endpoint("a")])
        bench.log.append(count: 1)
        bench.advance(millis: 30)
        take(bench)
        var filter = ReplayFilter()
        filter.states = []
        filter.includesMissed = true
        var walk = ReplayWalk(filter, endpoint: bench.id("a"), tenant: .main, store: bench.store, log: bench.log)
        let replays = try #require(try walk.next()).replays
        #expect(replays.map(\.place.sequence) == [1])
        #expect(bench.dispatcher.replay(replays, now: bench.now) == [.accepted])
        bench.advance(millis: 30)
        #expect(out(bench).isEmpty && bench.status("a").pending == 1)
        bench.advance(millis: 60_000)
        #expect(out(bench) == [1])
    }
    @Test func moreThanAQueueHoldsWaitInTheStore() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.concurrency = 512 }])
        let count = RetryQueue.entryCountMax * 2
        for number in 0..<count { bench.log.append(later(millis: 60_000 + Int64(number % 7))) }
        for _ in 0..<count / 256 { bench.advance(millis: 30) }
        #expect(bench.status("a").pending == count && out(bench).isEmpty)
        bench.advance(millis: 60_000)
        var sent: Set<UInt64> = []
        for _ in 0..<count where sent.count < count {
            bench.settle()
            sent.formUnion(bench.egress.out.map(\.sequence))
            take(bench)
        }
        #expect(sent.count == count && bench.status("a").pending == 0)
    }
    @Test func aShadowsShareHoldsForThemToo() throws {
        var shadow = ShadowSettings()
        shadow.share = 0.1
        let bench = try Bench()
        try bench.apply([
            endpoint("a") {
                $0.concurrency = 512
                $0.policies.shadow = shadow
            }
        ])
        let wanted = { (sequences: ClosedRange<UInt64>) in
            sequences.count { shadow.wants($0, endpoint: bench.id("a")) }
        }
        for _ in 0..<200 { bench.log.append(later(millis: 60_000)) }
        bench.advance(millis: 30)
        #expect(bench.status("a").pending == wanted(1...200) && wanted(1...200) < 60)
        // Nor does one that gets nothing now collect the others.
        bench.perform(.pause(millis: nil), "a")
        bench.log.append(count: 1000)
        bench.advance(millis: 30)
        #expect(bench.status("a").backlog == wanted(201...1200) && wanted(201...1200) < 200)
    }
    @Test func itsAgeCountsFromItsTime() throws {
        let bench = try Bench()
        try bench.apply([
            endpoint("a") {
                $0.policies.deadlineMillis = 3_600_000
                $0.policies.errors = ErrorSettings()
                $0.policies.errors?.preset = .contract
            }
        ])
        var event = later(millis: 7_200_000)
        event.receivedAt = UInt64(Self.wallMillis) * 1_000_000
        bench.log.append(event)
        bench.advance(millis: 30)
        bench.advance(millis: 7_200_000)
        #expect(out(bench) == [1])
        bench.egress.answer(0, status: 500)
        bench.advance(millis: 30)
        let row = try #require(try bench.rows("a").first)
        #expect(row.state == .pending && row.attempts == 1)
    }
    /// Its row is marked as one that is not held to the deadline.
    @Test func aReplayOfItWaitsForItsTimeAndNothingForIt() throws {
        let now = UInt64(Self.wallMillis) * 1_000_000
        let bench = try Bench()
        bench.log.append(later(millis: 60_000))
        bench.advance(millis: 1)
        try bench.apply([
            endpoint("a") {
                $0.ordered = true
                $0.policies.deadlineMillis = 3_600_000
            }
        ])
        bench.log.append(FakeEvent(receivedAt: now))
        bench.advance(millis: 30)
        #expect(out(bench) == [2])
        take(bench)
        var replay = bench.again("a", 1, nil)
        replay.notBeforeMillis = Self.wallMillis + 60_000
        #expect(bench.dispatcher.replay([replay], now: bench.now) == [.accepted])
        bench.advance(millis: 30)
        #expect(try bench.rows("a").first?.attempts == AttemptCount.replayed)
        bench.log.append(FakeEvent(receivedAt: now))
        bench.advance(millis: 30)
        #expect(out(bench) == [3])
        take(bench)
        bench.perform(.retryNow, "a")
        for _ in 0..<3 { bench.advance(millis: 30) }
        #expect(out(bench).isEmpty)
        bench.advance(millis: 60_000)
        #expect(out(bench) == [1])
    }
}
