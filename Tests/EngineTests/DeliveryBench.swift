// A dispatcher with its fakes and a clock that only the test moves.

import Engine
import FastPath

final class Bench {
    let log: FakeLog
    let egress = FakeEgress()
    let hosts: FakeHosts
    let store: any DeliveryStore
    let port: PumpedStore
    let pool: PayloadPool
    let dispatcher: Dispatcher<FakeLog, FakeEgress, PumpedStore>
    var now: UInt64 = 1_000_000_000_000
    /// Of endpoints that are not the default tenant's.
    var tenants: [String: TenantID] = [:]
    private(set) var ids: [String: EndpointID]
    private let snapshot: DeliverySnapshot
    private var hasStarted = false
    /// Those that an earlier process had.
    private let before: Set<EndpointID>
    private var applied: Set<EndpointID> = []
    private let wallMillis: Int64

    /// `previous` is the process before this one: its log, store and numbers are gone on with.
    init(
        log: FakeLog? = nil, store: (any DeliveryStore)? = nil, after previous: Bench? = nil,
        poolBytes: Int = 1 << 20, limits: DispatcherLimits = DispatcherLimits(),
        wallMillis: Int64 = 1_700_000_000_000, seed: UInt64 = 1
    ) throws {
        self.log = log ?? previous?.log ?? FakeLog()
        self.store = store ?? previous?.store ?? MemoryStore()
        hosts = previous?.hosts ?? FakeHosts()
        ids = previous?.ids ?? [:]
        tenants = previous?.tenants ?? [:]
        before = Set(ids.values)
        self.wallMillis = wallMillis
        port = PumpedStore(self.store)
        pool = PayloadPool(byteCount: poolBytes)
        try self.store.rebase(now: wallMillis)
        snapshot = try self.store.snapshot()
        dispatcher = Dispatcher(
            log: self.log, egress: egress, store: port, hosts: hosts, pool: pool, limits: limits,
            clock: StoreClock(wallMillis: wallMillis, monotonicNanos: now),
            shared: snapshot.shared ?? self.log.committedEnd, seed: seed)
        dispatcher.sourceNames = Bench.sources.reduce(into: [:]) { $0[Array($1.key.utf8)] = $1.value }
    }
    /// With one endpoint `a`, to which so many events are out.
    static func sending(_ count: Int) throws -> Bench {
        let bench = try Bench()
        try bench.apply([endpoint("a")])
        bench.log.append(count: count)
        bench.advance(millis: 1)
        return bench
    }
    /// What all endpoints that are applied from now on are reached through.
    var proxy: ProxySettings?
    static let sources = ["github": SourceID(1), "stripe": SourceID(2), "big": SourceID(3), "small": SourceID(4)]

    /// These endpoints and no others from now on. Numbers are given in the order of first appearance.
    func apply(_ endpoints: [EndpointConfiguration]) throws {
        let named = endpoints.map { configuration -> (EndpointConfiguration, EndpointID) in
            let id = ids[configuration.name] ?? EndpointID(UInt32(ids.count + 1))
            ids[configuration.name] = id
            return (configuration, id)
        }
        let wanted = Set(named.map(\.1))
        let plans = try plans(try named.map(compile))
        dispatcher.remove(applied.subtracting(wanted).sorted(), forgetting: false, now: now)
        dispatcher.publish(plans, now: now)
        applied = wanted
        hasStarted = true
    }
    func forget(_ name: String) {
        applied.remove(id(name))
        dispatcher.remove([id(name)], forgetting: true, now: now)
    }
    /// As the service does it at start, and later.
    private func plans(_ endpoints: [CompiledEndpoint]) throws -> [LanePlan] {
        let planner = LanePlanner(store: store)
        let ids = endpoints.map(\.id)
        guard !hasStarted else {
            let known = dispatcher.known(among: ids)
            let new = Set(ids).subtracting(before).subtracting(known)
            return try planner.plans(endpoints, new: new, known: known, end: log.committedEnd)
        }
        let first = planner.firstBatch(
            snapshot, retired: before.subtracting(ids).sorted(), shared: snapshot.shared ?? log.committedEnd,
            nowMillis: wallMillis)
        if let first { try store.apply(first) }
        return try planner.plans(
            endpoints, new: Set(ids).subtracting(before), in: snapshot, end: log.committedEnd)
    }
    private func compile(_ given: EndpointConfiguration, id: EndpointID) throws -> CompiledEndpoint {
        var configuration = given
        if configuration.url.isEmpty { configuration.url = "http://127.0.0.1:9000/\(id)" }
        return try compiled(
            configuration, id: id, tenant: tenants[given.name] ?? .main,
            sources: given.sources.flatMap { PublishSource.ids(of: $0) ?? [Bench.sources[$0]!] }, proxy: proxy)
    }
    /// Steps until the dispatcher would sleep.
    func settle() {
        var rounds = 0
        while dispatcher.step(now: now) == 0 {
            rounds += 1
            precondition(rounds < 100_000, "the dispatcher never rests")
        }
    }
    /// Moves the clock, steps, and lets the store write.
    func advance(millis: UInt64) {
        settle()
        now += millis * 1_000_000
        settle()
        port.pump()
        settle()
    }
    func id(_ name: String) -> EndpointID { ids[name]! }
    func rows(_ name: String) throws -> [DeliveryRow] {
        try store.rows(endpoint: id(name), states: Set(DeliveryState.allCases), from: 0, limit: .max)
    }
    /// Where a restart would go on.
    func resume(_ name: String) throws -> UInt64? {
        try store.lane(id(name)).mark?.sequence ?? store.snapshot().shared?.sequence
    }
    func state(_ name: String) throws -> EndpointState? { try store.lane(id(name)).state }
    func status(_ name: String) -> LaneStatus { dispatcher.status(of: id(name), now: now)! }
    /// What the metrics say; nothing before the first attempt.
    func counters(_ name: String) -> LaneCounters {
        let lanes = dispatcher.metrics(now: now).lanes
        return lanes.first { $0.status.endpoint == id(name) }?.counters ?? LaneCounters()
    }
    func perform(_ command: EndpointCommand, _ name: String) {
        precondition(dispatcher.perform(command, on: id(name), now: now))
    }
    func again(_ name: String, _ sequence: UInt64, _ state: DeliveryState?) -> Replay {
        Replay(endpoint: id(name), place: log.place(sequence), state: state)
    }
    /// One attempt, beside the schedule.
    func sendByHand(_ name: String, _ sequence: UInt64) throws -> ReplayResult {
        let state = try store.rows(sequence: sequence).first { $0.endpoint == id(name) }?.state
        var replay = again(name, sequence, state)
        replay.isManual = true
        return dispatcher.replay([replay], now: now)[0]
    }
    func replay(_ name: String, _ sequence: UInt64) throws -> ReplayResult {
        let state = try store.rows(sequence: sequence).first { $0.endpoint == id(name) }?.state
        return dispatcher.replay([again(name, sequence, state)], now: now)[0]
    }
}

func endpoint(_ name: String, change: (inout EndpointConfiguration) -> Void = { _ in }) -> EndpointConfiguration {
    var configuration = EndpointConfiguration()
    configuration.name = name
    configuration.retryJitter = 0
    change(&configuration)
    return configuration
}
