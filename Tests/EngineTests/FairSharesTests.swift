// Tenants that want more than there is, in simulated time: each gets its part, and who wants little does not wait for
// those that want much.

import Engine
import FastPath
import Testing

/// Endpoints that answer after their time.
private final class World {
    let bench: Bench
    let serviceMillis: UInt64
    private var due: [UInt64: UInt64] = [:]
    /// By endpoint number.
    private(set) var answered: [Int: Int] = [:]
    /// When the answer of each event came, by sequence; of one endpoint each.
    private(set) var answeredAt: [UInt64: UInt64] = [:]

    init(orders: Int, poolBytes: Int, serviceMillis: UInt64) throws {
        var limits = DispatcherLimits()
        limits.orderCountMax = orders
        bench = try Bench(poolBytes: poolBytes, limits: limits)
        self.serviceMillis = serviceMillis
    }
    /// `count` endpoints of a tenant, and the names of them.
    func endpoints(_ tenant: TenantID, count: Int, concurrency: Int) -> [EndpointConfiguration] {
        (0..<count).map { index in
            let name = "t\(tenant.number)e\(index)"
            bench.tenants[name] = tenant
            return endpoint(name) { $0.concurrency = concurrency }
        }
    }
    func step() {
        bench.settle()
        for sent in bench.egress.out where due[sent.request.token] == nil {
            due[sent.request.token] = bench.now + serviceMillis * 1_000_000
        }
        bench.now += 1_000_000
        var index = 0
        while index < bench.egress.out.count {
            let sent = bench.egress.out[index]
            guard let time = due[sent.request.token], time <= bench.now else {
                index += 1
                continue
            }
            due[sent.request.token] = nil
            answered[sent.endpoint, default: 0] += 1
            answeredAt[sent.sequence] = bench.now
            bench.egress.answer(index)
        }
        bench.settle()
        bench.port.pump()
    }
    func forgetAnswers() { answered = [:] }
    /// Answers by tenant, in the order of `configurations`.
    func answers(_ tenants: [[EndpointConfiguration]]) -> [Double] {
        tenants.map { list in Double(list.reduce(0) { $0 + (answered[Int(bench.id($1.name).number)] ?? 0) }) }
    }
}
/// 1 = all the same; 1/n = one has everything.
private func jain(_ shares: [Double]) -> Double {
    let (sum, squares) = (shares.reduce(0, +), shares.reduce(0) { $0 + $1 * $1 })
    return squares == 0 ? 0 : sum * sum / (Double(shares.count) * squares)
}

@Suite struct FairSharesTests {
    /// Tenant 1 has 500 endpoints, the others one; bodies of 100 bytes to 3 KiB.
    @Test func aHundredTenantsGetTheSameWhateverTheyAre() throws {
        let world = try World(orders: 64, poolBytes: 8 << 20, serviceMillis: 10)
        let tenants = (1...100).map { number in
            world.endpoints(TenantID(UInt32(number)), count: number == 1 ? 500 : 1, concurrency: 16)
        }
        try world.bench.apply(tenants.flatMap(\.self))
        for round in 0..<110 {
            for number in 1...100 where number > 1 || round < 40 {
                let body = String(repeating: "x", count: 100 + number * 7919 % 3000)
                world.bench.log.append(FakeEvent(tenant: TenantID(UInt32(number)), body: body))
            }
        }
        for _ in 0..<200 { world.step() }
        world.forgetAnswers()
        for _ in 0..<1000 { world.step() }
        let answers = world.answers(tenants)
        #expect(jain(answers) >= 0.98, "\(jain(answers)) of \(answers)")
        #expect(answers.reduce(0, +) > 5000, "the orders were in use: \(answers)")
    }
    @Test(arguments: [1, 20])
    func weightsAreRatios(endpointCount: Int) throws {
        let world = try World(orders: 256, poolBytes: 64 << 20, serviceMillis: 20)
        world.bench.dispatcher.set(weights: [TenantID(2): 2, TenantID(3): 5], replacing: true)
        let tenants = (1...3).map { world.endpoints(TenantID($0), count: endpointCount, concurrency: 256) }
        try world.bench.apply(tenants.flatMap(\.self))
        for _ in 0..<(endpointCount == 1 ? 2600 : 130) {
            for number in 1...3 { world.bench.log.append(FakeEvent(tenant: TenantID(UInt32(number)))) }
        }
        for _ in 0..<65 { world.step() }
        world.forgetAnswers()
        for _ in 0..<200 { world.step() }
        let answers = world.answers(tenants)
        #expect(abs(answers[1] / answers[0] - 2) < 0.12, "\(answers)")
        #expect((4.7...5.3).contains(answers[2] / answers[0]), "\(answers)")
    }
    @Test func whatOneTenantDoesNotWantOthersHave() throws {
        let world = try World(orders: 512, poolBytes: 64 << 20, serviceMillis: 50)
        let busy = world.endpoints(TenantID(1), count: 8, concurrency: 512)
        let idle = world.endpoints(TenantID(2), count: 8, concurrency: 512)
        try world.bench.apply(busy + idle)
        world.bench.log.append(count: 600, FakeEvent(tenant: TenantID(1)))
        for _ in 0..<200 { world.step() }
        #expect(world.bench.egress.out.count > 440, "\(world.bench.egress.out.count) of 512")
    }
    /// What memory takes: the bytes that tenants have out are the same, not the number of deliveries.
    @Test func largeBodiesCountAsWhatTheyAre() throws {
        let world = try World(orders: 1024, poolBytes: 16 << 20, serviceMillis: 20)
        let sizes = [30_000, 120_000, 250_000]
        let tenants = (1...3).map { world.endpoints(TenantID($0), count: 20, concurrency: 64) }
        try world.bench.apply(tenants.flatMap(\.self))
        for round in 0..<200 {
            for (index, size) in sizes.enumerated() where index == 0 || round < 60 {
                world.bench.log.append(
                    FakeEvent(tenant: TenantID(UInt32(index + 1)), body: String(repeating: "x", count: size)))
            }
        }
        for _ in 0..<60 { world.step() }
        world.forgetAnswers()
        for _ in 0..<120 { world.step() }
        let answers = world.answers(tenants)
        let blocks = sizes.map { Double(world.bench.pool.blockBytes(for: $0 + 500) ?? 0) }
        let bytes = zip(answers, blocks).map { $0 * $1 }
        #expect(jain(bytes) > 0.95, "\(bytes) bytes, \(answers) deliveries")
    }
    /// B's events one by one, alone and beside a tenant that has fifty times as many and more than there is room for.
    @Test func whoWantsLittleWaitsForNobody() throws {
        var longest: [UInt64] = []
        for isAlone in [true, false] {
            let world = try World(orders: 64, poolBytes: 8 << 20, serviceMillis: 100)
            let much = world.endpoints(TenantID(1), count: 20, concurrency: 64)
            let little = world.endpoints(TenantID(2), count: 1, concurrency: 16)
            try world.bench.apply(much + little)
            var came: [UInt64: UInt64] = [:]
            for millis in 0..<2000 {
                if millis % 20 == 0 {
                    if !isAlone { world.bench.log.append(count: 50, FakeEvent(tenant: TenantID(1))) }
                    world.bench.log.append(FakeEvent(tenant: TenantID(2)))
                    came[world.bench.log.committedEnd.sequence - 1] = world.bench.now
                }
                world.step()
            }
            let waits = came.compactMap { sequence, time in world.answeredAt[sequence].map { $0 - time } }
            #expect(waits.count > 85)
            longest.append(waits.max() ?? .max)
        }
        #expect(longest[1] <= 2 * longest[0], "\(longest)")
    }
}
