// What an operator does to an endpoint while it runs: pause, disable, enable, try now, another URL, removal and return,
// forgetting; and what of it a restart keeps.

import Engine
import FastPath
import Testing

@Suite struct DispatcherCommandTests {
    private func sequences(_ bench: Bench) -> [UInt64] { bench.egress.out.map(\.sequence) }

    @Test func aPausedEndpointGetsNothingUntilItsTime() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a")])
        bench.perform(.pause(millis: 60_000), "a")
        bench.log.append(count: 3)
        bench.advance(millis: 59_000)
        #expect(sequences(bench).isEmpty)
        #expect(bench.status("a").state.condition == .paused && bench.status("a").backlog == 3)
        bench.advance(millis: 1000)
        #expect(sequences(bench) == [1, 2, 3])
        #expect(bench.status("a").state.condition == .active)
    }
    @Test func aPauseOutlivesARestartAndEndsByItself() throws {
        let first = try Bench()
        try first.apply([endpoint("a"), endpoint("b")])
        first.perform(.pause(millis: 60_000), "a")
        first.advance(millis: 2000)
        let second = try Bench(after: first, wallMillis: 1_700_000_002_000)
        try second.apply([endpoint("a"), endpoint("b")])
        second.log.append(count: 2)
        second.advance(millis: 1)
        #expect(second.egress.out.map(\.endpoint) == [2, 2])
        second.egress.answerAll()
        second.advance(millis: 59_000)
        #expect(sequences(second) == [1, 2] && second.egress.out.map(\.endpoint) == [1, 1])
    }
    @Test func disabledIsUntilEnabledAndOutlivesARestart() throws {
        let first = try Bench()
        try first.apply([endpoint("a")])
        first.perform(.disable, "a")
        first.log.append(count: 2)
        first.advance(millis: 90_000_000)
        #expect(sequences(first).isEmpty)
        #expect(try first.state("a")?.condition == .disabled)
        // It holds the log back: its events are wanted still.
        #expect(first.dispatcher.lowWater() == 1)
        let second = try Bench(after: first)
        try second.apply([endpoint("a")])
        second.advance(millis: 1000)
        #expect(sequences(second).isEmpty)
        second.perform(.enable, "a")
        second.advance(millis: 1)
        #expect(sequences(second) == [1, 2])
    }
    @Test func aCommandIsDurableAtOnce() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a")])
        bench.perform(.disable, "a")
        bench.settle()
        bench.port.pump()
        #expect(try bench.state("a")?.reason == .operatorRequest)
        #expect(!bench.dispatcher.perform(.enable, on: EndpointID(77), now: bench.now))
    }
    @Test func anAttemptByHandStandsBesideTheSchedule() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.retryDelaysMillis = [60_000, 60_000] }])
        bench.log.append(count: 2)
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 2000)
        // Both wait for their retry; one is sent by hand in its place, and its failure is the end of it.
        #expect(try bench.sendByHand("a", 1) == .accepted)
        bench.advance(millis: 1)
        #expect(sequences(bench) == [1] && bench.egress.out.map(\.attempt) == [1])
        #expect(try bench.sendByHand("a", 1) == .alreadyPending, "it is out")
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 2000)
        var rows = try bench.rows("a")
        #expect(rows.map(\.state) == [.dead, .pending] && AttemptCount.isManual(rows[0].attempts))
        #expect(AttemptCount.number(of: rows[0].attempts) == 1)
        #expect(bench.status("a").pending == 1 && bench.status("a").dead == 1)
        #expect(try bench.store.attempts(sequence: 1).map(\.number) == [1, AttemptCount.manual + 1])
        bench.advance(millis: 70_000)
        #expect(sequences(bench) == [2], "the schedule of the other goes on")
        bench.egress.answerAll()
        #expect(try bench.sendByHand("a", 1) == .accepted)
        bench.advance(millis: 1)
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        rows = try bench.rows("a")
        #expect(rows.map(\.state) == [.delivered, .delivered] && bench.status("a").pending == 0)
    }
    @Test func aMessageIsSentUnderItsOwnIDAndKeepsEveryAnswer() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a")])
        var event = FakeEvent()
        event.sourceID = .messages
        event.source = PublishSource.name
        bench.log.append(event)
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        let id = MessageID(EventID(logIdentity: bench.log.identity, sequence: 1)).text
        let ids = bench.egress.out.map(\.eventID)
        #expect(ids == [id, EventID(logIdentity: bench.log.identity, sequence: 2).text])
        #expect(bench.egress.out[0].fieldLines.contains("webhook-id: \(id)\r\n"))
        #expect(bench.egress.out.map(\.request.keeping) == [.always, .ofFailures])
        bench.egress.answerAll(body: "thanks")
        bench.advance(millis: 2000)
        #expect(try bench.store.attempts(sequence: 1).map(\.answer) == [Array("thanks".utf8)])
        #expect(try bench.store.attempts(sequence: 2).isEmpty)
    }
    @Test func onlyWhatIsPublishedHasChannels() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.channels = ["eu"] }, endpoint("b")])
        var event = FakeEvent()
        event.fieldLines = "Sluice-Channels: x,eu\r\nContent-Type: a/b\r\n"
        bench.log.append(event)
        for id in PublishSource.ids(of: PublishSource.name) ?? [] {
            event.sourceID = id
            bench.log.append(event)
        }
        event.fieldLines = "Sluice-Channels: us\r\n"
        bench.log.append(event)
        bench.advance(millis: 1)
        let sent = bench.egress.out.map { [Int($0.sequence), $0.endpoint] }.sorted { $0.lexicographicallyPrecedes($1) }
        #expect(sent == [[1, 2], [2, 1], [2, 2], [3, 1], [3, 2], [4, 2]])
        #expect(!bench.egress.out.contains { $0.sequence > 1 && $0.fieldLines.contains("Sluice-Channels") })
    }
    @Test func retryNowBringsForwardWhatWaits() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.retryDelaysMillis = [3_600_000, 3_600_000] }])
        bench.log.append(count: 5)
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 1000)
        #expect(sequences(bench).isEmpty && bench.status("a").pending == 5)
        bench.perform(.retryNow, "a")
        for _ in 0..<4 {
            bench.advance(millis: 1)
            bench.egress.answerAll()
        }
        bench.advance(millis: 50)
        #expect(bench.egress.submitted == 10 && bench.status("a").pending == 0)
        #expect(try bench.rows("a").allSatisfy { $0.state == .delivered && $0.attempts == 2 })
        bench.advance(millis: 9_000_000)
        #expect(sequences(bench).isEmpty)
    }
    @Test func retryNowEndsThePauseThatTheEndpointAskedFor() throws {
        let bench = try Bench.sending(1)
        bench.egress.answerAll(status: 503) { $0.retryAfterSeconds = 600 }
        bench.advance(millis: 1000)
        #expect(bench.status("a").state.condition == .paused && bench.status("a").isSlowed)
        bench.perform(.retryNow, "a")
        bench.advance(millis: 1)
        bench.advance(millis: 1)
        #expect(sequences(bench) == [1])
    }
    @Test func retryNowWaitsForAStoreWhoseQueueIsFull() throws {
        let store = MemoryStore()
        let bench = try Bench(store: store)
        bench.port.requestCountMax = 2
        try bench.apply([endpoint("a") { $0.retryDelaysMillis = [3_600_000] }])
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 1000)
        store.setFull(true)
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        bench.egress.answerAll()
        bench.advance(millis: 30)
        bench.perform(.retryNow, "a")
        store.setFull(false)
        for _ in 0..<4 { bench.advance(millis: 30) }
        #expect(sequences(bench) == [1])
    }
    @Test func whatHasToWaitForTheStoreKeepsNobodyAwake() throws {
        let store = MemoryStore()
        var limits = DispatcherLimits()
        limits.batchRowsMax = 1
        let bench = try Bench(store: store, limits: limits)
        bench.port.requestCountMax = 2
        try bench.apply([endpoint("a")])
        bench.log.append(count: 4)
        bench.advance(millis: 1)
        store.setFull(true)
        bench.egress.answerAll()
        bench.advance(millis: 30)
        #expect(bench.egress.hasOutcome && !bench.dispatcher.hasWork)
        store.setFull(false)
        bench.port.pump()
        #expect(bench.dispatcher.hasWork)
        for _ in 0..<4 { bench.advance(millis: 30) }
        #expect(!bench.egress.hasOutcome && !bench.dispatcher.hasWork)
        #expect(try bench.rows("a").count == 4)
    }
    @Test func anotherURLLiftsWhatTheOldOneDid() throws {
        let bench = try Bench.sending(1)
        bench.egress.answerAll(status: 410)
        bench.log.append(count: 1)
        bench.advance(millis: 1000)
        #expect(bench.status("a").state.reason == .gone && sequences(bench).isEmpty)
        // Another secret is no other place.
        try bench.apply([endpoint("a") { $0.secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] }])
        bench.advance(millis: 1)
        #expect(sequences(bench).isEmpty)
        try bench.apply([endpoint("a") { $0.url = "http://127.0.0.1:9001/1" }])
        bench.advance(millis: 1)
        #expect(sequences(bench) == [2] && bench.status("a").state.condition == .active)
    }
    @Test func anotherURLDoesNotLiftAnOperatorsWord() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a")])
        bench.perform(.disable, "a")
        try bench.apply([endpoint("a") { $0.url = "http://127.0.0.1:9001/1" }])
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        #expect(sequences(bench).isEmpty)
    }
    @Test func whatIsOutToTheOldURLStaysValidAndTheNextGoesToTheNew() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.concurrency = 1 }])
        bench.log.append(count: 2)
        bench.advance(millis: 1)
        let old = bench.egress.out[0]
        try bench.apply([
            endpoint("a") {
                $0.concurrency = 1
                $0.url = "http://127.0.0.1:9001/1/new"
            }
        ])
        bench.advance(millis: 1)
        #expect(bench.egress.out.count == 1 && old.request.prefix.text == old.prefix)
        #expect(bench.egress.answer(0))
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.prefix).first?.contains("/1/new HTTP/1.1\r\nHost: 127.0.0.1:9001") == true)
    }
    @Test func aRemovedEndpointComesBackWithItsPlaceAfterARestart() throws {
        let first = try Bench()
        try first.apply([endpoint("a") { $0.retryDelaysMillis = [1000] }, endpoint("b")])
        first.log.append(count: 1)
        first.advance(millis: 1)
        first.egress.answerAll(status: 500)
        first.advance(millis: 100)
        try first.apply([endpoint("b")])
        first.log.append(count: 2)
        first.advance(millis: 2000)
        first.egress.answerAll()
        first.advance(millis: 2000)
        for isAtStart in [true, false] {
            let second = try Bench(store: first.store, after: first)
            if !isAtStart {
                try second.apply([endpoint("b")])
                second.advance(millis: 10)
            }
            try second.apply([endpoint("a"), endpoint("b")])
            for _ in 0..<5 { second.advance(millis: 100) }
            let mine = second.egress.out.filter { $0.endpoint == 1 }
            #expect(mine.map(\.sequence).sorted() == [1, 2, 3], "at start: \(isAtStart)")
            #expect(second.status("a").state.condition == .active)
        }
    }
    @Test func metricsForgetRemovedEndpointsAndRememberTheirWork() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a"), endpoint("b")])
        bench.log.append(count: 2)
        bench.advance(millis: 1)
        try bench.apply([endpoint("b")])
        // What is out comes back after the removal, one of it as a failure.
        bench.egress.answer(0, status: 500)
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        let metrics = bench.dispatcher.metrics(now: bench.now)
        #expect(metrics.lanes.map(\.status.name) == ["b"])
        #expect(metrics.endpointCount == 1 && metrics.others.attemptCount + metrics.lanes[0].counters.attemptCount == 4)
        #expect(metrics.conditions.filter { $0.value != 0 } == [.active: 1])
        #expect(try bench.rows("a").map(\.state) == [.pending, .delivered])
        try bench.apply([endpoint("a"), endpoint("b")])
        #expect(bench.dispatcher.metrics(now: bench.now).conditions.filter { $0.value != 0 } == [.active: 2])
    }
    @Test func aForgottenEndpointLeavesNothingOpenBehind() throws {
        let store = MemoryStore()
        let bench = try Bench(store: store)
        bench.port.requestCountMax = 2
        try bench.apply([endpoint("a"), endpoint("b")])
        bench.log.append(count: 4)
        bench.advance(millis: 1)
        for _ in 0..<2 { bench.egress.answer(0, status: 500) }
        bench.settle()
        bench.now += 30_000_000
        bench.settle()
        // The store's queue is full with the batch; the forgetting waits behind it.
        bench.forget("a")
        #expect(bench.dispatcher.status(of: bench.id("a"), now: bench.now) == nil)
        bench.egress.answerAll(status: 500)
        for _ in 0..<5 { bench.advance(millis: 1000) }
        #expect(try store.counts(endpoint: bench.id("a")) == OpenDeliveries(endpoint: bench.id("a")))
        #expect(try bench.state("a") == nil && store.lane(bench.id("a")).mark == nil)
        let metrics = bench.dispatcher.metrics(now: bench.now)
        #expect(metrics.endpointCount == 1)
        #expect(metrics.pending == bench.status("b").pending && metrics.dead == 0 && metrics.backlog == 0)
        #expect(bench.pool.leasedCount == bench.egress.out.count)
        bench.log.append(count: 1)
        bench.advance(millis: 6000)
        #expect(bench.egress.out.allSatisfy { $0.endpoint == 2 })
    }
    @Test func goingDownAndComingBackAreTold() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a") { $0.retryDelaysMillis = [1000, 1000, 1000, 1000] }])
        bench.log.append(count: 1)
        bench.advance(millis: 1)
        for _ in 0..<3 {
            bench.egress.answerAll(change: failing(.connectFailed))
            bench.advance(millis: 1000)
        }
        #expect(bench.dispatcher.notices.map(\.state.condition) == [.failing])
        #expect(bench.dispatcher.notices[0].old == .active && bench.dispatcher.notices[0].name == "a")
        bench.egress.answerAll()
        bench.advance(millis: 30)
        #expect(bench.dispatcher.notices.map(\.state.condition) == [.failing, .active])
        #expect(try bench.state("a")?.condition == .active)
    }
}
