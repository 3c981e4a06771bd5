// Delivery against a world that fails at random and a process that dies at random: what is not in the store when it
// dies is forgotten. Every seed replays exactly.
//
// Checked: no mark in the store ever passes an event that has no row there (a loss on the next crash); marks never go
// back; in the end every wanted event is delivered or dead at each endpoint; a second 2xx comes only after a crash that
// forgot the first; all memory comes home.

import Engine
import FastPath
import Synchronization
import Testing

private struct Key: Hashable {
    var endpoint: Int
    var sequence: UInt64
}

private final class World {
    let log = FakeLog()
    let store = MemoryStore()
    var generator: SeededGenerator
    let endpoints: [EndpointConfiguration]
    var wallMillis: Int64 = 1_700_000_000_000
    var types: [String] = [""]
    var accepted: [Key: Int] = [:]
    var forgotten: [Key: Int] = [:]
    var marks: [Int: UInt64] = [:]
    var crashes = 0

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        endpoints = [
            endpoint("good") { $0.concurrency = 8 },
            endpoint("flaky") {
                $0.concurrency = 4; $0.types = ["a", "b"]; $0.retryDelaysMillis = [100, 1000, 5000, 20_000]
            },
            endpoint("slow") {
                $0.concurrency = 1; $0.types = ["b*"]
            },
            endpoint("dead") {
                $0.concurrency = 3; $0.types = ["c"]; $0.retryDelaysMillis = [200, 400]
            },
        ]
    }
    func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &generator) < percent }
    func wants(_ endpoint: EndpointConfiguration, _ type: String) -> Bool {
        endpoint.types.isEmpty || endpoint.types.contains { TypePattern($0).matches(Array(type.utf8)) }
    }
    func appendSome() {
        for _ in 0..<Int.random(in: 0...12, using: &generator) {
            let type = ["a", "b", "c"][Int.random(in: 0..<3, using: &generator)]
            types.append(type)
            log.append(
                FakeEvent(type: type, body: String(repeating: "x", count: Int.random(in: 0...9000, using: &generator))))
        }
    }
    func begin() throws -> Bench {
        var limits = DispatcherLimits()
        limits.batchRowsMax = 16
        limits.orderCountMax = 14
        limits.sharedEventsPerStep = 5
        let bench = try Bench(
            log: log, store: store, poolBytes: 64 * 1024, limits: limits, wallMillis: wallMillis, seed: generator.next()
        )
        bench.port.requestCountMax = 4
        bench.egress.capacity = 9
        try bench.apply(endpoints)
        return bench
    }
    func answerSome(_ bench: Bench, percent: Int) {
        var index = 0
        while index < bench.egress.out.count {
            let sent = bench.egress.out[index]
            let endpoint = Int(sent.order.endpoint)
            guard chance(endpoint == 2 && percent < 100 ? percent / 8 : percent) else {
                index += 1
                continue
            }
            var status: UInt16 = 200
            var change: (inout DeliveryOutcome) -> Void = { _ in }
            if endpoint == 3 { status = 500 }
            if endpoint == 1, chance(40) {
                status = [500, 429, 404, 302, 503][Int.random(in: 0..<5, using: &generator)]
            }
            if chance(5) {
                change = {
                    $0.result = .connectionLost; $0.lostReusedConnection = true; $0.status = 0
                }
            }
            if chance(3) {
                change = {
                    $0.result = .abandoned; $0.status = 0
                }
            }
            var result = DeliveryOutcome(token: 0, endpoint: 0, result: .answered)
            change(&result)
            #expect(bench.egress.answer(index, status: status, change: change), "memory of an order was touched")
            if result.result == .answered, (200...299).contains(status) {
                accepted[Key(endpoint: endpoint, sequence: sent.sequence), default: 0] += 1
            }
        }
    }
    /// Every wanted event before a mark has its row, and marks only grow.
    func checkMarks(_ bench: Bench) throws {
        for (index, configuration) in endpoints.enumerated() {
            let number = bench.numbers[configuration.name]!
            guard let stored = try store.endpoints().first(where: { $0.number == number }) else { continue }
            let before = marks[number] ?? 1
            #expect(stored.resume.sequence >= before, "a mark went back")
            for sequence in before..<max(before, stored.resume.sequence)
            where wants(configuration, types[Int(sequence)]) {
                let hasRow = store.state.withLock { $0.rows[number]?[sequence] != nil }
                #expect(hasRow, "endpoint \(index) would lose \(sequence)")
            }
            marks[number] = stored.resume.sequence
        }
    }
    /// Forgets everything that is not in the store.
    func crash(_ bench: Bench) {
        crashes += 1
        for (key, count) in accepted {
            let number = bench.numbers[endpoints[key.endpoint].name]!
            let isKept = store.state.withLock { $0.rows[number]?[key.sequence]?.state == .delivered }
            if !isKept { forgotten[key] = count }
        }
        // The clock may have been set meanwhile.
        wallMillis += Int64.random(in: -3_600_000...3_600_000, using: &generator)
    }
    func run() throws {
        var bench = try begin()
        for _ in 0..<400 {
            if chance(70) { appendSome() }
            bench.now += UInt64.random(in: 0...400_000_000, using: &generator)
            for _ in 0..<Int.random(in: 0...4, using: &generator) { _ = bench.dispatcher.step(now: bench.now) }
            answerSome(bench, percent: 40)
            store.setFull(chance(10))
            for _ in 0..<Int.random(in: 0...3, using: &generator) { bench.port.pumpOne() }
            try checkMarks(bench)
            if chance(4) {
                crash(bench)
                store.setFull(false)
                bench = try begin()
            }
        }
        store.setFull(false)
        try finish(bench)
    }
    /// The world heals; everything must come to its end.
    func finish(_ bench: Bench) throws {
        for _ in 0..<6000 {
            bench.now += 100_000_000
            bench.settle()
            answerSome(bench, percent: 100)
            bench.settle()
            bench.port.pump()
        }
        bench.advance(millis: 2000)
        try checkMarks(bench)
        for (index, configuration) in endpoints.enumerated() {
            let rows = try bench.rows(configuration.name)
            var states: [UInt64: DeliveryState] = [:]
            for row in rows { states[row.place.sequence] = row.state }
            for sequence in 1..<types.count where wants(configuration, types[sequence]) {
                let state = states[UInt64(sequence)]
                #expect(
                    state == .delivered || state == .dead,
                    "\(configuration.name) \(sequence): \(String(describing: state))")
                let count = accepted[Key(endpoint: index, sequence: UInt64(sequence))] ?? 0
                #expect(state != .delivered || count >= 1, "delivered without an answer")
                #expect(
                    count <= 1 + (forgotten[Key(endpoint: index, sequence: UInt64(sequence))] ?? 0),
                    "sent twice for nothing")
            }
            #expect(rows.allSatisfy { wants(configuration, types[Int($0.place.sequence)]) })
            #expect(marks[bench.numbers[configuration.name]!] == UInt64(types.count))
        }
        #expect(bench.pool.leasedCount == 0)
    }
}

@Test(arguments: 1...24)
func nothingIsLostWhateverDies(seed: Int) throws {
    let world = World(seed: UInt64(seed))
    try world.run()
    #expect(world.types.count > 500)
}

@Test func theSimulationDoesCrash() throws {
    let world = World(seed: 99)
    try world.run()
    #expect(world.crashes > 3)
    #expect(!world.forgotten.isEmpty)
}
