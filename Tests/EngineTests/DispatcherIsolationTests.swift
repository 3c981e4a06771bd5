// No lane takes another's share, and an event costs the same however many lanes are idle.

import Engine
import FastPath
import Testing

@Suite struct DispatcherIsolationTests {
    /// A healthy endpoint gets `count` small events, one after the other, while others never answer.
    private func expectHealthy(_ bench: Bench, _ name: String, count: Int) throws {
        let number = Int(bench.id(name).number)
        let before = try bench.rows(name).count { $0.state == .delivered }
        for _ in 0..<count {
            bench.log.append(FakeEvent(source: "small"))
            // The time of no time-out: nobody is helped by a silent one's end.
            for _ in 0..<4 {
                bench.settle()
                bench.egress.answer(endpoint: number)
                bench.port.pump()
                bench.now += 1_000_000
            }
        }
        bench.advance(millis: 30)
        #expect(try bench.rows(name).count { $0.state == .delivered } == before + count)
        #expect(bench.egress.out.allSatisfy { $0.endpoint != number })
    }
    struct Silent: Sendable, CustomTestStringConvertible {
        var count: Int
        var concurrency: Int
        var bodyBytes: Int
        var eventCount: Int
        var testDescription: String { "\(count) × concurrency \(concurrency), bodies of \(bodyBytes)" }
    }
    @Test(arguments: [
        Silent(count: 4, concurrency: 16, bodyBytes: 2, eventCount: 200),
        Silent(count: 34, concurrency: 16, bodyBytes: 1 << 20, eventCount: 3),
        Silent(count: 9, concurrency: 16, bodyBytes: 5_000_000, eventCount: 3),
        Silent(count: 3, concurrency: 16, bodyBytes: 20_000_000, eventCount: 2),
        Silent(count: 300, concurrency: 16, bodyBytes: 2, eventCount: 40),
        Silent(count: 1, concurrency: 4096, bodyBytes: 2, eventCount: 5000),
    ])
    func silentEndpointsStopNoHealthyOne(silent: Silent) throws {
        let bench = try Bench(poolBytes: 64 << 20)
        let others = (0..<silent.count).map { index in
            endpoint("silent\(index)") {
                $0.sources = ["big"]
                $0.concurrency = silent.concurrency
            }
        }
        let healthy = endpoint("healthy") { $0.sources = ["small"] }
        try bench.apply(others + [healthy])
        let body = String(repeating: "x", count: silent.bodyBytes)
        bench.log.append(count: silent.eventCount, FakeEvent(source: "big", body: body))
        bench.settle()
        #expect(!bench.egress.out.isEmpty)
        try expectHealthy(bench, "healthy", count: 50)
        // One that was never tried finds room as well.
        try bench.apply(others + [healthy, endpoint("new") { $0.sources = ["small"] }])
        try expectHealthy(bench, "new", count: 20)
    }
    /// They have half of all slots together and no more; who comes new among them waits for one of their time-outs.
    @Test func moreSilentEndpointsThanSlotsStopNoneThatWorks() throws {
        let bench = try Bench(poolBytes: 64 << 20)
        let healthy = endpoint("healthy") { $0.sources = ["small"] }
        let silent = (0..<2200).map { index in endpoint("silent\(index)") { $0.sources = ["big"] } }
        try bench.apply([healthy])
        try expectHealthy(bench, "healthy", count: 1)
        try bench.apply([healthy] + silent)
        bench.log.append(count: 3, FakeEvent(source: "big"))
        bench.settle()
        let taken = bench.egress.out.count
        #expect(taken >= 1000 && taken < silent.count, "not all of them have a slot")
        try expectHealthy(bench, "healthy", count: 20)
        try bench.apply([healthy] + silent + [endpoint("new") { $0.sources = ["small"] }])
        bench.log.append(FakeEvent(source: "small"))
        bench.settle()
        let new = Int(bench.id("new").number)
        #expect(bench.egress.out.allSatisfy { $0.endpoint != new })
        for _ in 0..<20 where bench.egress.out.allSatisfy({ $0.endpoint != new }) {
            bench.egress.answerAll(change: failing(.headTimedOut))
            bench.advance(millis: 1)
        }
        #expect(bench.egress.out.contains { $0.endpoint == new }, "it has its turn")
    }
    @Test func endpointsThatWorkedAndFellSilentStopNoHealthyOne() throws {
        let bench = try Bench(poolBytes: 64 << 20)
        try bench.apply(
            (0..<40).map { index in
                endpoint("e\(index)") {
                    $0.sources = ["big"]
                    $0.concurrency = 256
                }
            } + [endpoint("healthy") { $0.sources = ["small"] }])
        bench.log.append(FakeEvent(source: "big"))
        bench.settle()
        bench.egress.answerAll()
        bench.settle()
        bench.log.append(count: 400, FakeEvent(source: "big", body: String(repeating: "x", count: 100_000)))
        bench.settle()
        try expectHealthy(bench, "healthy", count: 50)
    }
    @Test func everySizeGoesOutWhateverTheOthersAre() throws {
        for seed in 1...20 {
            var generator = SeededGenerator(seed: UInt64(seed))
            let bench = try Bench(poolBytes: 1 << 20)
            try bench.apply((0..<6).map { endpoint("e\($0)") })
            for _ in 0..<60 {
                let bytes = 1 << Int.random(in: 4...19, using: &generator)
                bench.log.append(FakeEvent(body: String(repeating: "x", count: bytes - 1)))
            }
            var rounds = 0
            while bench.dispatcher.metrics(now: bench.now).lanes.reduce(0, { $0 + $1.counters.delivered }) < 360 {
                bench.settle()
                bench.egress.answerAll()
                bench.advance(millis: 30)
                rounds += 1
                try #require(rounds < 2000)
            }
            #expect(bench.pool.leasedCount == 0)
        }
    }
    /// Log reads, matcher walks and host questions of one event to one lane, beside 1 and beside 10,000 idle ones.
    @Test func anEventCostsTheSameBesideTenThousandIdleLanes() throws {
        var costs: [[Int]] = []
        for idle in [1, 10_000] {
            let bench = try Bench()
            let others = (0..<idle).map { index in endpoint("idle\(index)") { $0.types = ["never"] } }
            try bench.apply([endpoint("busy") { $0.types = ["push"] }] + others)
            bench.advance(millis: 2000)
            bench.advance(millis: 2000)
            let (reads, served) = (bench.log.reads, bench.dispatcher.lanesServed)
            for _ in 0..<100 {
                bench.log.append(FakeEvent())
                bench.settle()
                bench.egress.answerAll()
                bench.settle()
            }
            bench.advance(millis: 2000)
            costs.append([bench.log.reads - reads, Int(bench.dispatcher.lanesServed - served)])
            #expect(try bench.store.snapshot().marks.isEmpty)
            #expect(bench.counters("busy").delivered == 100)
        }
        #expect(costs[0] == costs[1])
        #expect(costs[0][0] == 100 && costs[0][1] <= 100)
    }
}
