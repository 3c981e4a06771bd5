// Endpoints that get several events in one request, one situation a test: what goes together, what becomes of each.

import Engine
import FastPath
import Foundation
import Testing

private func batching(
    _ batch: (inout BatchSettings) -> Void = { _ in }, change: (inout EndpointConfiguration) -> Void = { _ in }
) -> EndpointConfiguration {
    endpoint("a") {
        var settings = BatchSettings()
        (settings.events, settings.withinMillis) = (3, 1000)
        batch(&settings)
        $0.policies.batch = settings
        $0.retryDelaysMillis = [60_000, 60_000]
        change(&$0)
    }
}
private struct Item: Decodable, Equatable {
    var id: String
    var sequence: UInt64 { EventID(id)!.sequence }
}

extension Bench {
    fileprivate func append(_ count: Int) {
        for _ in 0..<count { log.append(FakeEvent(body: "{\"n\":1}")) }
    }
    /// The sequences of each request that is out.
    fileprivate var outNow: [[UInt64]] {
        settle()
        return egress.out.map { sequences(in: $0) }
    }
    fileprivate func sequences(in sent: FakeEgress.Sent) -> [UInt64] {
        let items = try? JSONDecoder().decode([Item].self, from: Data(sent.body.utf8))
        return (items ?? []).map(\.sequence)
    }
    fileprivate func states(_ state: DeliveryState) throws -> [UInt64] {
        advance(millis: 50)
        advance(millis: 50)
        return try rows("a").filter { $0.state == state }.map(\.place.sequence).sorted()
    }
}

@Suite struct DispatcherBatchingTests {
    @Test func aFullOneGoesAtOnceAndTheRestWhenItsTimeIsOver() throws {
        let bench = try Bench()
        try bench.apply([batching()])
        bench.append(7)
        #expect(bench.outNow == [[1, 2, 3], [4, 5, 6]])
        bench.advance(millis: 900)
        #expect(bench.egress.out.count == 2)
        bench.advance(millis: 200)
        #expect(bench.outNow == [[1, 2, 3], [4, 5, 6], [7]])
        let sent = bench.egress.out[0]
        #expect(sent.fieldLines.contains("Content-Type: application/json\r\n"))
        #expect(sent.fieldLines.contains("webhook-id: \(sent.eventID)\r\nSluice-Batch: 3\r\nSluice-Attempt: 1\r\n"))
        #expect(sent.eventID.hasPrefix("bat_") && !sent.fieldLines.contains("X-GitHub-Event"))
        bench.egress.answerAll()
        #expect(try bench.states(.delivered) == [1, 2, 3, 4, 5, 6, 7])
        #expect(bench.counters("a").delivered == 7 && bench.counters("a").attemptCount == 3)
        #expect(bench.status("a").pending == 0 && bench.pool.leasedCount == 0 && bench.egress.submitted == 3)
    }
    @Test func linesInTheOtherForm() throws {
        let bench = try Bench()
        try bench.apply([batching { $0.format = .ndjson }])
        bench.append(3)
        bench.settle()
        let sent = try #require(bench.egress.out.first)
        #expect(sent.fieldLines.contains("Content-Type: application/x-ndjson\r\n"))
        let lines = sent.body.split(separator: "\n")
        #expect(lines.count == 3 && sent.body.hasSuffix("\n"))
        #expect(try lines.map { try JSONDecoder().decode(Item.self, from: Data($0.utf8)).sequence } == [1, 2, 3])
    }
    @Test func aFailureIsThatOfEachAndTheSameGoAgain() throws {
        let bench = try Bench()
        try bench.apply([batching()])
        bench.append(6)
        #expect(bench.outNow == [[1, 2, 3], [4, 5, 6]])
        let ids = bench.egress.out.map(\.eventID)
        bench.egress.answer(0, status: 500, body: "no")
        bench.egress.answer(0, status: 500)
        #expect(try bench.states(.pending) == [1, 2, 3, 4, 5, 6])
        #expect(try bench.store.attempts(sequence: 2).map(\.answer) == [Array("no".utf8)])
        #expect(try bench.rows("a").allSatisfy { $0.attempts == 1 && $0.status == 500 })
        bench.advance(millis: 60_000)
        #expect(bench.outNow == [[1, 2, 3], [4, 5, 6]])
        #expect(bench.egress.out.map(\.eventID) == ids, "an id is kept over retries")
        #expect(bench.egress.out[0].fieldLines.contains("Sluice-Attempt: 2\r\n"))
        bench.egress.answerAll(status: 422)
        #expect(try bench.states(.dead) == [1, 2, 3, 4, 5, 6] && bench.status("a").dead == 6)
        #expect(try bench.rows("a").allSatisfy { $0.reason == .permanentAnswer && $0.attempts == 2 })
    }
    @Test func aScheduleThatIsUsedUpEndsAll() throws {
        let bench = try Bench()
        try bench.apply([batching { $0.events = 2 } change: { $0.retryDelaysMillis = [] }])
        bench.append(2)
        bench.settle()
        bench.egress.answerAll(status: 503)
        #expect(try bench.states(.dead) == [1, 2])
        #expect(try bench.rows("a").allSatisfy { $0.reason == .retriesExhausted })
    }
    @Test func oneAfterTheOtherWhereAnOrderIsAskedFor() throws {
        let bench = try Bench()
        try bench.apply([batching { $0.events = 2 } change: { $0.ordered = true }])
        bench.append(6)
        #expect(bench.outNow == [[1, 2]])
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 5000)
        #expect(bench.outNow == [], "nothing goes past what has failed")
        bench.advance(millis: 60_000)
        #expect(bench.outNow == [[1, 2]])
        bench.egress.answerAll()
        #expect(bench.outNow == [[3, 4]])
        bench.egress.answerAll(status: 422)
        #expect(bench.outNow == [[5, 6]])
        bench.egress.answerAll()
        #expect(try bench.states(.delivered) == [1, 2, 5, 6])
    }
    @Test func anOrderOutlivesARestart() throws {
        let settings = batching { $0.events = 2 } change: { $0.ordered = true }
        let bench = try Bench()
        try bench.apply([settings])
        bench.append(4)
        #expect(bench.outNow == [[1, 2]])
        let id = bench.egress.out[0].eventID
        bench.egress.answerAll(status: 500)
        bench.advance(millis: 2000)
        let next = try Bench(after: bench)
        try next.apply([settings])
        next.append(2)
        next.advance(millis: 100)
        next.advance(millis: 5000)
        #expect(next.outNow == [])
        next.advance(millis: 60_000)
        #expect(next.outNow == [[1, 2]] && next.egress.out[0].eventID == id, "the same ones are the same request")
        next.egress.answerAll()
        #expect(next.outNow == [[3, 4]])
    }
    @Test func whatWasOutWhenTheProcessDiedGoesAgain() throws {
        let bench = try Bench()
        try bench.apply([batching()])
        bench.append(4)
        #expect(bench.outNow == [[1, 2, 3]])
        bench.advance(millis: 50)
        let next = try Bench(after: bench)
        try next.apply([batching()])
        for _ in 0..<3 { next.advance(millis: 1000) }
        #expect(Set(next.outNow.flatMap(\.self)) == [1, 2, 3, 4])
        next.egress.answerAll()
        #expect(try next.states(.delivered) == [1, 2, 3, 4] && next.states(.pending) == [])
    }
    @Test func bytesBoundIt() throws {
        let bench = try Bench()
        try bench.apply([batching { ($0.events, $0.bytes) = (100, 1024) }])
        let body = "{\"text\":\"" + String(repeating: "x", count: 300) + "\"}"
        for _ in 0..<5 { bench.log.append(FakeEvent(body: body)) }
        bench.log.append(FakeEvent(body: "{\"text\":\"" + String(repeating: "x", count: 5000) + "\"}"))
        for _ in 0..<4 { bench.advance(millis: 1000) }
        let out = bench.egress.out.map { (bench.sequences(in: $0), $0.body.utf8.count) }
        #expect(out.flatMap(\.0).sorted() == [1, 2, 3, 4, 5, 6])
        #expect(out.allSatisfy { $0.1 <= 1024 || $0.0 == [6] }, "\(out)")
        bench.egress.answerAll()
        #expect(try bench.states(.delivered).count == 6)
    }
    @Test func aMemberThatCannotBeReadIsItsOwnAffair() throws {
        let bench = try Bench()
        try bench.apply([batching()])
        bench.append(2)
        bench.settle()
        bench.log.oldestSequence = 2
        bench.append(1)
        #expect(bench.outNow == [[2, 3]])
        #expect(try bench.states(.dead) == [1] && bench.rows("a").first?.reason == .eventMissing)
    }
    @Test func itWaitsInTheLogWhileTheEndpointIsBusy() throws {
        let bench = try Bench()
        try bench.apply([batching { _ in } change: { $0.concurrency = 1 }])
        bench.append(3000)
        bench.advance(millis: 100)
        #expect(bench.egress.out.count == 1 && bench.status("a").pending <= 10, "\(bench.status("a"))")
        var sent: [UInt64] = []
        for _ in 0..<1200 where sent.count < 3000 {
            sent += bench.outNow.flatMap(\.self)
            bench.egress.answerAll()
            bench.port.pump()
        }
        #expect(sent == Array(1...3000))
    }
    @Test func batchesAreMadeReadyByWorkersToo() throws {
        let preparer = FakePreparer()
        let bench = try Bench()
        bench.dispatcher.preparer = preparer
        try bench.apply([
            batching { _ in } change: { $0.policies.transform = [.remove(paths: ["$.secret"])] }
        ])
        for body in [#"{"secret":1,"n":1}"#, "no json", #"{"n":3,"secret":2}"#] {
            bench.log.append(FakeEvent(body: body))
        }
        bench.settle()
        #expect(bench.egress.out.isEmpty && preparer.waiting.count == 1)
        preparer.finish()
        #expect(bench.outNow == [[1, 3]])
        #expect(!bench.egress.out[0].body.contains("secret") && bench.egress.out[0].body.contains("\"n\":3"))
        bench.egress.answerAll()
        #expect(try bench.states(.delivered) == [1, 3] && bench.states(.dead) == [2])
        let row = try #require(try bench.rows("a").first { $0.state == .dead })
        #expect(row.reason == .transformationFailed && bench.pool.leasedCount == 0)
    }
    /// It waits for its own time, as many of them as there are.
    @Test func whatIsPostponedHoldsNothingUp() throws {
        let bench = try Bench()
        try bench.apply([batching()])
        let later = FakeEvent(
            sourceID: .messages, source: PublishSource.name,
            fieldLines: "Sluice-Deliver-At: 1700086400000\r\nContent-Type: application/json\r\n")
        bench.log.append(count: 20, later)
        bench.append(12)
        var sent: [UInt64] = []
        for _ in 0..<10 {
            sent += bench.outNow.joined()
            bench.egress.answerAll()
            bench.advance(millis: 200)
        }
        #expect(sent.sorted() == Array(21...32))
        #expect(bench.status("a").pending == 20 && bench.status("a").backlog == 0)
    }
    @Test func aFullOneTakesNothingAlongThatIsForLater() throws {
        let bench = try Bench()
        try bench.apply([batching { $0.withinMillis = 60_000 }])
        bench.log.append(
            FakeEvent(
                sourceID: .messages, source: PublishSource.name,
                fieldLines: "Sluice-Deliver-At: 1700000030000\r\nContent-Type: application/json\r\n"))
        bench.append(3)
        bench.advance(millis: 1)
        #expect(bench.egress.out.map { $0.fieldLines.contains("Sluice-Batch: 3\r\n") } == [true])
        bench.egress.answerAll()
        bench.advance(millis: 20_000)
        #expect(bench.egress.out.isEmpty)
        bench.advance(millis: 11_000)
        #expect(bench.egress.out.map { $0.fieldLines.contains("Sluice-Batch: 1\r\n") } == [true])
        bench.egress.answerAll()
        bench.advance(millis: 50)
        bench.advance(millis: 50)
        #expect(bench.status("a").pending == 0)
    }
    /// More comes out than was taken memory for: all that there is, or more than that.
    @Test(arguments: [40_000, 65_300]) func whatHasGrownIsSentOrEnds(count: Int) throws {
        let preparer = FakePreparer()
        let bench = try Bench(poolBytes: 64 << 10)
        bench.dispatcher.preparer = preparer
        let text = "\"" + String(repeating: "x", count: count) + "\""
        let settings = batching(change: { $0.policies.transform = [.constant(path: "$.b", json: text)] })
        try bench.apply([settings])
        bench.append(1)
        bench.advance(millis: 1)
        bench.advance(millis: 1100)
        #expect(preparer.waiting.count == 1)
        preparer.finish()
        bench.settle()
        #expect(preparer.waiting.isEmpty, "it is not made again and again")
        if count == 40_000 {
            #expect(bench.outNow == [[1]] && bench.pool.leasedBytes == 64 << 10)
            bench.egress.answerAll()
            #expect(try bench.states(.delivered) == [1])
        } else {
            #expect(try bench.states(.dead) == [1])
            #expect(try bench.rows("a").map(\.reason) == [.transformationFailed])
        }
        #expect(bench.pool.leasedCount == 0)
    }
    @Test(arguments: 1...15) func eachEventIsDeliveredOnceFailuresAside(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let settings = batching { $0.events = 2 + seed % 4 } change: {
            $0.ordered = seed % 2 == 0
            $0.concurrency = 1 + seed % 3
            $0.retryDelaysMillis = [Int](repeating: 500, count: 60)
        }
        var bench = try Bench()
        try bench.apply([settings])
        var count: UInt64 = 0
        for _ in 0..<200 {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<4:
                let more = Int.random(in: 1...6, using: &generator)
                bench.append(more)
                count += UInt64(more)
            case 4..<7:
                bench.settle()
                guard !bench.egress.out.isEmpty else { continue }
                bench.egress.answer(0, status: Bool.random(using: &generator) ? 200 : 503)
            case 7..<9: bench.advance(millis: UInt64.random(in: 1...800, using: &generator))
            default:
                guard Int.random(in: 0..<4, using: &generator) == 0 else { continue }
                bench = try Bench(after: bench)
                try bench.apply([settings])
            }
            if seed % 2 == 0 { #expect(bench.egress.out.count <= 1) }
        }
        for _ in 0..<150 {
            bench.advance(millis: 600)
            bench.egress.answerAll()
        }
        bench.advance(millis: 100)
        let rows = try bench.rows("a")
        #expect(rows.map(\.place.sequence) == Array(1...count) && rows.allSatisfy { $0.state == .delivered })
        #expect(bench.status("a").pending == 0 && bench.pool.leasedCount == 0)
    }
}
