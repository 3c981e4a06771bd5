// Pending deliveries that an operator gives up, wherever they stand: in memory, in the store alone, behind others in an
// order, on their way in a page; and what has ended meanwhile.

import Engine
import FastPath
import Testing

@Suite struct DispatcherCancelTests {
    private final class Told {
        var rows: [[DeliveryRow]?] = []
    }
    private func key(_ bench: Bench, _ name: String, _ sequence: UInt64) -> DeliveryKey {
        DeliveryKey(sequence: sequence, endpoint: bench.id(name))
    }
    private func cancel(_ bench: Bench, _ sequences: [UInt64], _ told: Told) -> [CancelResult] {
        bench.dispatcher.cancel(sequences.map { key(bench, "a", $0) }, now: bench.now) { told.rows.append($0) }
    }
    /// `count` events that failed once and wait for an hour.
    private func waiting(_ count: Int, change: @escaping (inout EndpointConfiguration) -> Void = { _ in }) throws
        -> Bench
    {
        let bench = try Bench()
        try bench.apply([
            endpoint("a") {
                $0.retryDelaysMillis = [3_600_000, 3_600_000]
                change(&$0)
            }
        ])
        bench.log.append(count: count)
        bench.advance(millis: 1)
        while !bench.egress.out.isEmpty {
            bench.egress.answerAll(status: 503)
            bench.advance(millis: 30)
        }
        return bench
    }

    @Test func whatWaitsIsDeadAndNeverTried() throws {
        let bench = try waiting(4)
        let told = Told()
        #expect(cancel(bench, [2, 3], told) == [.asked, .asked])
        #expect(told.rows.isEmpty, "not before the store has it")
        bench.port.pump()
        bench.settle()
        #expect(told.rows.map { $0?.map(\.place.sequence) } == [[2, 3]])
        let rows = try bench.rows("a")
        #expect(rows.map(\.state) == [.pending, .dead, .dead, .pending])
        #expect(rows[1].reason == .cancelled && rows[1].status == 503 && rows[1].attempts == 1)
        #expect(bench.status("a").pending == 2 && bench.status("a").dead == 2)
        bench.advance(millis: 3_700_000)
        #expect(bench.egress.out.map(\.sequence) == [1, 4])
        #expect(bench.counters("a").deadLetters[Int(DeadLetterReason.cancelled.rawValue)] == 2)
        // And back again: it was a mistake.
        #expect(try bench.replay("a", 2) == .accepted)
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.sequence).contains(2))
    }
    @Test func whatIsOutIsLeftAlone() throws {
        let bench = try waiting(1)
        bench.advance(millis: 3_700_000)
        let told = Told()
        #expect(cancel(bench, [1], told) == [.attempted] && told.rows.map { $0?.count } == [0])
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        #expect(try bench.rows("a").map(\.state) == [.delivered])
        // Delivered by now: the store is asked, and says that there is nothing.
        #expect(cancel(bench, [1], told) == [.asked])
        bench.port.pump()
        bench.settle()
        #expect(told.rows.last??.isEmpty == true && bench.status("a").dead == 0)
        #expect(try bench.rows("a").map(\.state) == [.delivered])
    }
    @Test func anEndpointThatIsNotThereHasNothing() throws {
        let bench = try waiting(1)
        let told = Told()
        let keys = [DeliveryKey(sequence: 1, endpoint: EndpointID(99))]
        #expect(bench.dispatcher.cancel(keys, now: bench.now) { told.rows.append($0) } == [.unknownEndpoint])
        #expect(told.rows.map { $0?.count } == [0])
    }
    @Test func whatTheStoreAloneKnowsIsCancelledToo() throws {
        let first = try waiting(3)
        let second = try Bench(after: first, wallMillis: 1_700_000_100_000)
        try second.apply([endpoint("a") { $0.retryDelaysMillis = [3_600_000, 3_600_000] }])
        let told = Told()
        // Nothing of it was read since the start.
        #expect(cancel(second, [2], told) == [.asked])
        second.advance(millis: 1)
        second.advance(millis: 1)
        #expect(told.rows.map { $0?.map(\.place.sequence) } == [[2]])
        #expect(try second.rows("a").map(\.state) == [.pending, .dead, .pending])
        second.advance(millis: 4_000_000)
        second.advance(millis: 10)
        #expect(second.egress.out.map(\.sequence).sorted() == [1, 3])
    }
    @Test func aPageThatIsOnItsWayBringsNothingBack() throws {
        let first = try waiting(3)
        let second = try Bench(after: first, wallMillis: 1_700_000_100_000)
        try second.apply([endpoint("a") { $0.retryDelaysMillis = [3_600_000, 3_600_000] }])
        // The page is asked for, and read by the store before it hears of the cancelling.
        second.perform(.retryNow, "a")
        second.settle()
        second.port.pump()
        second.settle()
        let told = Told()
        let results = cancel(second, [1, 2, 3], told)
        second.port.pump()
        second.settle()
        second.port.pump()
        second.settle()
        let states = try second.rows("a").map(\.state)
        for (state, result) in zip(states, results) { #expect(state == (result == .asked ? .dead : .pending)) }
        let out = second.egress.out.map(\.sequence)
        for (index, result) in results.enumerated() where result == .asked {
            #expect(!out.contains(UInt64(index + 1)), "cancelled, and sent")
        }
    }
    /// The store has room again between the dispatcher's question and the lane's.
    @Test func aPageIsAskedForBehindACancelThatWaits() throws {
        let first = try waiting(3)
        let second = try Bench(after: first, wallMillis: 1_700_000_100_000)
        try second.apply([endpoint("a") { $0.retryDelaysMillis = [3_600_000, 3_600_000] }])
        let told = Told()
        second.port.saidFirst = [false, false]
        #expect(cancel(second, [1, 2, 3], told) == [.asked, .asked, .asked])
        second.settle()
        #expect(second.port.saidFirst.isEmpty)
        for _ in 0..<3 { second.advance(millis: 200) }
        #expect(told.rows.map { $0?.count } == [3])
        second.advance(millis: 4_000_000)
        second.advance(millis: 10)
        #expect(second.egress.out.isEmpty)
    }
    @Test func thoseBehindItInAnOrderGo() throws {
        let bench = try waiting(3) { $0.ordered = true }
        #expect(try bench.rows("a").first?.state == .pending)
        let told = Told()
        // The first one waits for its hour, the others for it.
        #expect(cancel(bench, [1], told) == [.asked])
        bench.advance(millis: 30)
        bench.advance(millis: 30)
        #expect(bench.egress.out.map(\.sequence) == [2])
        bench.egress.answerAll()
        bench.advance(millis: 30)
        #expect(bench.egress.out.map(\.sequence) == [3])
    }
    @Test func oneThatWaitsForOthersIsCancelled() throws {
        let bench = try Bench()
        try bench.apply([
            endpoint("a") {
                $0.ordered = true
                $0.orderKey = ["header:X-Customer"]
                $0.concurrency = 8
            }
        ])
        bench.log.append(count: 3, FakeEvent(fieldLines: "X-Customer: 1\r\n"))
        bench.advance(millis: 1)
        bench.advance(millis: 30)
        #expect(bench.egress.out.map(\.sequence) == [1])
        #expect(try bench.rows("a").map(\.place.sequence) == [2, 3], "both wait for it, and have their rows")
        let told = Told()
        #expect(cancel(bench, [1, 2], told) == [.attempted, .asked])
        bench.advance(millis: 30)
        #expect(told.rows.map { $0?.map(\.place.sequence) } == [[2]])
        bench.egress.answerAll()
        bench.advance(millis: 30)
        #expect(bench.egress.out.map(\.sequence) == [3], "nothing stands still, and 2 is sent no more")
        #expect(bench.status("a").pending == 1 && bench.status("a").dead == 1)
    }
    @Test func theEndOfTheDispatcherIsTold() throws {
        let bench = try waiting(1)
        let told = Told()
        #expect(cancel(bench, [1], told) == [.asked])
        bench.dispatcher.end()
        #expect(told.rows.count == 1 && told.rows[0] == nil)
    }
    @Test func nothingIsSentAgainToADisabledEndpoint() throws {
        let bench = try waiting(1)
        #expect(try bench.replay("a", 1) == .alreadyPending)
        bench.perform(.disable, "a")
        #expect(try bench.replay("a", 1) == .endpointDisabled)
        var directed = bench.again("a", 1, .pending)
        directed.isDirected = true
        #expect(bench.dispatcher.replay([directed], now: bench.now) == [.alreadyPending])
        bench.perform(.enable, "a")
        #expect(try bench.replay("a", 1) == .alreadyPending)
    }
}
