// Delivery against a world that fails at random and a process that dies at random: what is not in the store when it
// dies is forgotten. Every seed replays exactly.
//
// The faults: answers of every kind, memory and rings that are full, a store that cannot write, hosts that do not
// resolve or resolve elsewhere, endpoints removed and brought back, commands of an operator, replays, a wall clock that
// jumps.
//
// Checked: no mark in the store ever passes an event that has no row there (a loss on the next crash); the shared mark
// never goes back, nor does a lane's own; the low water is never ahead of what the store still needs; in the end every
// wanted event is delivered or dead at each endpoint; a second 2xx comes only after a crash that forgot the first, or a
// replay; at endpoints that ask for an order never two of one key are out, and none gets its first 2xx behind a later
// one of its key; all memory comes home.

import Engine
import FastPath
import Foundation
import Synchronization
import Testing

private struct Key: Hashable {
    var endpoint: Int
    var sequence: UInt64
}

private final class World {
    private var previous: Bench?
    let log = FakeLog()
    let store = MemoryStore()
    var generator: SeededGenerator
    let endpoints: [EndpointConfiguration]
    var removed: Set<Int> = []
    var wallMillis: Int64 = 1_700_000_000_000
    var types: [String] = [""]
    /// The last sequence that had its first 2xx, by endpoint and key.
    var ordered: [String: UInt64] = [:]
    var accepted: [Key: Int] = [:]
    /// 2xx that may come once more: forgotten by a crash, or asked for.
    var forgiven: [Key: Int] = [:]
    var marks: [Int: UInt64] = [:]
    var crashes = 0
    var commands = 0
    var replays = 0

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
        endpoints = [
            // Delays that end within the time that the healed world is given.
            endpoint("good") {
                $0.concurrency = 8
                $0.retryDelaysMillis = [100] + Array(repeating: 5000, count: 40)
            },
            endpoint("flaky") {
                $0.concurrency = 4
                $0.types = ["a", "b"]
                $0.retryDelaysMillis = [100, 1000, 5000, 20_000]
            },
            endpoint("slow") {
                $0.concurrency = 1
                $0.types = ["b*"]
                $0.retryDelaysMillis = [100] + Array(repeating: 5000, count: 40)
            },
            endpoint("dead") {
                $0.concurrency = 3
                $0.types = ["c"]
                $0.retryDelaysMillis = [200, 400]
            },
            endpoint("named") {
                $0.url = "http://hooks.example:9000/5"
                $0.concurrency = 4
                $0.types = ["a", "c"]
                $0.retryDelaysMillis = Array(repeating: 2000, count: 60)
            },
            // Never a dead letter: then the first 2xx of a key ascend without exception.
            endpoint("ordered") {
                $0.ordered = true
                $0.types = ["a"]
                $0.retryDelaysMillis = Array(repeating: 700, count: 500)
            },
            endpoint("keyed") {
                $0.ordered = true
                $0.orderKey = ["header:X-Customer"]
                $0.concurrency = 5
                $0.types = ["a", "c"]
                $0.retryDelaysMillis = Array(repeating: 700, count: 500)
            },
        ]
    }
    func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &generator) < percent }
    /// Those that the manifest names now.
    private var named: [EndpointConfiguration] {
        endpoints.indices.filter { !removed.contains($0) }.map { endpoints[$0] }
    }
    func wants(_ endpoint: EndpointConfiguration, _ type: String) -> Bool {
        endpoint.types.isEmpty || endpoint.types.contains { TypePattern($0).matches(Array(type.utf8)) }
    }
    func appendSome() {
        for _ in 0..<Int.random(in: 0...12, using: &generator) {
            let type = ["a", "b", "c"][Int.random(in: 0..<3, using: &generator)]
            types.append(type)
            let customer = Int.random(in: 0..<4, using: &generator)
            log.append(
                FakeEvent(
                    type: type, fieldLines: "X-Customer: \(customer)\r\n",
                    body: String(repeating: "x", count: Int.random(in: 0...9000, using: &generator))))
        }
    }
    func begin() throws -> Bench {
        var limits = DispatcherLimits()
        limits.batchRowsMax = 16
        limits.orderCountMax = 14
        limits.poolCountMax = 28
        limits.sharedEventsPerStep = 5
        limits.quantumBytes = 4096
        let bench = try Bench(
            log: log, store: store, after: previous, poolBytes: 64 * 1024, limits: limits, wallMillis: wallMillis,
            seed: generator.next())
        bench.port.requestCountMax = 4
        bench.egress.capacity = 9
        try bench.apply(
            named.shuffled(using: &generator).sorted { left, right in
                // Numbers are given by the first start; later ones may come in any order.
                previous == nil ? index(left) < index(right) : false
            })
        previous = bench
        return bench
    }
    private func index(_ configuration: EndpointConfiguration) -> Int {
        endpoints.firstIndex { $0.name == configuration.name }!
    }

    // MARK: faults

    func answerSome(_ bench: Bench, percent: Int) {
        var index = 0
        while index < bench.egress.out.count {
            let sent = bench.egress.out[index]
            let endpoint = sent.endpoint - 1
            guard chance(endpoint == 2 && percent < 100 ? percent / 8 : percent) else {
                index += 1
                continue
            }
            var status: UInt16 = 200
            var change: (inout DeliveryOutcome) -> Void = { _ in }
            if endpoint == 3 { status = 500 }
            if endpoint >= 5, percent < 100, chance(30) {
                status = [500, 429, 503][Int.random(in: 0..<3, using: &generator)]
            }
            if endpoint == 1 || endpoint == 4, percent < 100, chance(40) {
                status = [500, 429, 404, 302, 503][Int.random(in: 0..<5, using: &generator)]
            }
            if chance(5) { change = lostReused }
            if chance(5) { change = failing(.connectFailed) }
            if chance(3) { change = failing(.abandoned) }
            var result = DeliveryOutcome(token: 0, result: .answered)
            change(&result)
            #expect(bench.egress.answer(index, status: status, change: change), "memory of an order was touched")
            if result.result == .answered, (200...299).contains(status) {
                checkOrder(sent)
                accepted[Key(endpoint: endpoint, sequence: sent.sequence), default: 0] += 1
            }
        }
    }
    /// Of one that gets a 2xx now.
    private func checkOrder(_ sent: FakeEgress.Sent) {
        guard sent.endpoint > 5, accepted[Key(endpoint: sent.endpoint - 1, sequence: sent.sequence)] == nil else {
            return
        }
        let before = ordered.updateValue(sent.sequence, forKey: orderKey(sent)) ?? 0
        #expect(before < sent.sequence, "\(sent.sequence) behind \(before) at endpoint \(sent.endpoint)")
    }
    private func orderKey(_ sent: FakeEgress.Sent) -> String {
        let line = sent.fieldLines.split(separator: "\r\n").first { $0.hasPrefix("X-Customer") } ?? ""
        return sent.endpoint == 6 ? "6" : "\(sent.endpoint) \(line)"
    }
    private func checkOut(_ bench: Bench) {
        var keys: Set<String> = []
        for sent in bench.egress.out where sent.endpoint > 5 {
            #expect(keys.insert(orderKey(sent)).inserted, "two of \(orderKey(sent)) are out")
        }
    }
    func disturb(_ bench: Bench) throws {
        if chance(10) {
            let entries: [FakeHosts.Entry] = [
                .failed, .silent, .addresses(["127.0.0.1"]), .addresses(["127.0.0.2", "127.0.0.1"]),
                .addresses(["10.0.0.1"]),
            ]
            bench.hosts.set("hooks.example", entries.randomElement(using: &generator)!)
        }
        if chance(6) {
            let index = Int.random(in: 0..<endpoints.count, using: &generator)
            if removed.remove(index) == nil { removed.insert(index) }
            try bench.apply(named)
        }
        if chance(10) {
            commands += 1
            let command: [EndpointCommand] = [
                .enable, .retryNow, .retryNow, .pause(millis: 3000), .pause(millis: nil), .disable,
            ]
            let id = bench.id(endpoints.randomElement(using: &generator)!.name)
            _ = bench.dispatcher.perform(command.randomElement(using: &generator)!, on: id, now: bench.now)
        }
        if chance(20) { try replaySomething(bench) }
    }
    private func replaySomething(_ bench: Bench) throws {
        let index = Int.random(in: 0..<endpoints.count, using: &generator)
        guard types.count > 1, wants(endpoints[index], "b") || index != 3 else { return }
        // Mostly events that lanes have behind them; the newest are not reached yet.
        let sequence = UInt64(Int.random(in: 1..<max(2, types.count / 8), using: &generator))
        guard wants(endpoints[index], types[Int(sequence)]),
            try bench.replay(endpoints[index].name, sequence) == .accepted
        else { return }
        replays += 1
        forgiven[Key(endpoint: index, sequence: sequence), default: 0] += 1
    }
    /// Forgets everything that is not in the store.
    func crash(_ bench: Bench) {
        crashes += 1
        for (key, count) in accepted {
            let id = bench.id(endpoints[key.endpoint].name)
            let isKept = store.state.withLock { $0.rows[id]?[key.sequence]?.state == .delivered }
            if !isKept { forgiven[key] = max(forgiven[key] ?? 0, count) + 1 }
        }
        // The clock may have been set meanwhile.
        wallMillis += Int64.random(in: -3_600_000...3_600_000, using: &generator)
    }

    // MARK: checks

    /// Every wanted event before a mark has its row, and marks only grow.
    func checkMarks(_ bench: Bench) throws {
        for (index, configuration) in endpoints.enumerated() {
            let id = bench.id(configuration.name)
            guard let mark = try bench.resume(configuration.name) else { continue }
            let before = marks[index] ?? 1
            #expect(mark >= before, "a mark of \(configuration.name) went back")
            for sequence in before..<max(before, mark) where wants(configuration, types[Int(sequence)]) {
                let hasRow = store.state.withLock { $0.rows[id]?[sequence] != nil }
                #expect(hasRow, "\(configuration.name) would lose \(sequence)")
            }
            marks[index] = mark
            guard !removed.contains(index), bench.status(configuration.name).state.reason != .gone else { continue }
            #expect(bench.dispatcher.lowWater() ?? .max <= mark, "the log may be cut before \(configuration.name)")
        }
    }
    func run() throws {
        var bench = try begin()
        for _ in 0..<400 {
            if chance(70) { appendSome() }
            bench.now += UInt64.random(in: 0...400_000_000, using: &generator)
            for _ in 0..<Int.random(in: 0...4, using: &generator) { _ = bench.dispatcher.step(now: bench.now) }
            checkOut(bench)
            answerSome(bench, percent: 40)
            try disturb(bench)
            store.setFull(chance(10))
            for _ in 0..<Int.random(in: 0...3, using: &generator) { bench.port.pumpOne() }
            try checkMarks(bench)
            if chance(6) {
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
        removed.removeAll()
        try bench.apply(endpoints)
        bench.hosts.set("hooks.example", .addresses(["127.0.0.1"]))
        for configuration in endpoints { bench.perform(.enable, configuration.name) }
        var quiet = 0
        for _ in 0..<20_000 where quiet < 50 {
            bench.now += 100_000_000
            bench.settle()
            answerSome(bench, percent: 100)
            bench.settle()
            bench.port.pump()
            let waits = endpoints.contains { bench.status($0.name).waiting > 0 || bench.status($0.name).lagEvents > 0 }
            quiet = waits ? 0 : quiet + 1
        }
        bench.advance(millis: 2000)
        try checkMarks(bench)
        for (index, configuration) in endpoints.enumerated() {
            let rows = try bench.rows(configuration.name)
            var states: [UInt64: DeliveryState] = [:]
            for row in rows { states[row.place.sequence] = row.state }
            for sequence in 1..<types.count where wants(configuration, types[sequence]) {
                let key = Key(endpoint: index, sequence: UInt64(sequence))
                let state = states[UInt64(sequence)]
                #expect(
                    state == .delivered || state == .dead,
                    "\(configuration.name) \(sequence): \(String(describing: state))")
                let count = accepted[key] ?? 0
                #expect(state != .delivered || count >= 1, "delivered without an answer")
                #expect(count <= 1 + (forgiven[key] ?? 0), "\(configuration.name) \(sequence) sent twice for nothing")
            }
            #expect(rows.allSatisfy { wants(configuration, types[Int($0.place.sequence)]) })
            #expect(marks[index] == UInt64(types.count))
            let status = bench.status(configuration.name)
            #expect(status.pending == 0 && status.dead == rows.count { $0.state == .dead })
        }
        #expect(bench.pool.leasedCount == 0)
    }
}

@Suite struct DeliverySimulationTests {
    /// `SLUICE_ROUNDS=full` runs the long way.
    private static let seeds = ProcessInfo.processInfo.environment["SLUICE_ROUNDS"] == "full" ? 1...3000 : 1...48

    @Test(arguments: seeds)
    func nothingIsLostWhateverDies(seed: Int) throws {
        let world = World(seed: UInt64(seed))
        try world.run()
        #expect(world.types.count > 500)
    }
    @Test func theSimulationDoesDisturb() throws {
        let worlds = (95...99).map { World(seed: $0) }
        for world in worlds { try world.run() }
        func sum(_ path: KeyPath<World, Int>) -> Int { worlds.reduce(0) { $0 + $1[keyPath: path] } }
        #expect(sum(\.crashes) > 3)
        #expect(sum(\.commands) > 10)
        #expect(sum(\.replays) > 3)
        #expect(worlds.contains { !$0.forgiven.isEmpty })
    }
}
