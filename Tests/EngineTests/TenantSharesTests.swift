// Turns of tenants: by weight, by what they were charged, and none forgotten.

import Engine
import FastPath
import Testing

@Suite struct TenantSharesTests {
    /// Serves starved lanes one by one, each of which takes `costs` of its tenant and wants more; the sums by tenant.
    private func serve(
        _ lanes: [Lane], _ costs: [TenantID: Int], weights: [TenantID: Int] = [:], rounds: Int
    ) -> [TenantID: Int] {
        var scheduler = LaneScheduler(unit: 1000)
        scheduler.set(weights: weights, replacing: true)
        for lane in lanes { scheduler.starve(lane) }
        var sums: [TenantID: Int] = [:]
        for _ in 0..<rounds {
            scheduler.wakeStarved(1)
            guard let lane = scheduler.popStarved(), let cost = costs[lane.endpoint.tenant] else { break }
            scheduler.charge(cost)
            sums[lane.endpoint.tenant, default: 0] += cost
            scheduler.starve(lane)
            scheduler.served(lacks: false)
        }
        return sums
    }
    @Test func tenantsGetTheSameWhateverTheirLanes() throws {
        var lanes = try (1...500).map { try lane($0, tenant: TenantID(1)) }
        lanes += try (2...10).map { try lane(500 + $0, tenant: TenantID($0)) }
        let costs = Dictionary(uniqueKeysWithValues: (1...10).map { (TenantID($0), 1000) })
        let sums = serve(lanes, costs, rounds: 10_000)
        #expect(sums.values.allSatisfy { $0 == 1_000_000 }, "\(sums)")
    }
    @Test func whatCostsMoreComesMoreSeldom() throws {
        let lanes = try (1...3).map { try lane($0, tenant: TenantID($0)) }
        let costs = [TenantID(1): 100, TenantID(2): 1000, TenantID(3): 7300]
        let sums = serve(lanes, costs, rounds: 30_000)
        let (least, most) = (sums.values.min() ?? 0, sums.values.max() ?? 0)
        #expect(sums.count == 3 && Double(most - least) < 0.02 * Double(most), "\(sums)")
    }
    @Test func weightsAreRatios() throws {
        let lanes = try (1...3).map { try lane($0, tenant: TenantID($0)) }
        let costs = [TenantID(1): 900, TenantID(2): 900, TenantID(3): 900]
        let sums = serve(lanes, costs, weights: [TenantID(2): 2, TenantID(3): 5], rounds: 8000)
        let unit = Double(sums[TenantID(1)] ?? 1)
        #expect(abs(Double(sums[TenantID(2)] ?? 0) / unit - 2) < 0.04, "\(sums)")
        #expect(abs(Double(sums[TenantID(3)] ?? 0) / unit - 5) < 0.1, "\(sums)")
    }
    @Test func whoCannotTakeWhatThereIsStopsNobody() throws {
        var scheduler = LaneScheduler(unit: 1000)
        for number in 1...3 { scheduler.starve(try lane(UInt32(number), tenant: TenantID(UInt32(number)))) }
        var tried: [UInt32] = []
        for _ in 0..<6 {
            scheduler.wakeStarved(1)
            guard let lane = scheduler.popStarved() else { break }
            tried.append(lane.id.number)
            scheduler.starve(lane)
            scheduler.served(lacks: true)
        }
        #expect(tried == [1, 2, 3, 1, 2, 3])
    }
    @Test func whileNobodyElseWaitsNothingIsOwed() throws {
        var scheduler = LaneScheduler(unit: 1000)
        let (one, other) = (try lane(1, tenant: TenantID(1)), try lane(2, tenant: TenantID(2)))
        scheduler.makeReady(one)
        for _ in 0..<100 {
            _ = scheduler.popReady()
            scheduler.charge(1_000_000)
            #expect(!scheduler.isTurnOver)
            scheduler.goesOn(one)
            scheduler.served(lacks: false)
        }
        scheduler.makeReady(other)
        var turns: [UInt32] = []
        for _ in 0..<100 {
            guard let lane = scheduler.popReady() else { break }
            turns.append(lane.id.number)
            scheduler.charge(20_000)
            #expect(scheduler.isTurnOver)
            scheduler.goesOn(lane)
            scheduler.served(lacks: false)
        }
        #expect(abs(turns.count { $0 == 1 } - 50) <= 33, "the last turn alone counts: \(turns)")
    }
    /// Tenants are known while they hold or want something, and no longer.
    @Test func tenantsThatWantNothingAreForgotten() throws {
        var scheduler = LaneScheduler(unit: 1000)
        scheduler.set(weights: [TenantID(7): 9], replacing: true)
        for number in 1...50 { scheduler.makeReady(try lane(UInt32(number), tenant: TenantID(UInt32(number)))) }
        #expect(scheduler.tenants.count == 50 && scheduler.tenants.weightSum == 58)
        while scheduler.popReady() != nil { scheduler.served(lacks: false) }
        #expect(scheduler.tenants.count == 0 && scheduler.tenants.weightSum == 0)
        let share = scheduler.took(100, of: TenantID(7), isFirstOfLane: true)
        #expect(scheduler.tenants.weightSum == 9 && share.held.bytes == 100 && share.holderCount == 1)
        scheduler.set(weights: [TenantID(7): 1], replacing: false)
        #expect(scheduler.tenants.weightSum == 1)
        scheduler.gaveBack(100, share, isLastOfLane: true)
        #expect(scheduler.tenants.count == 0 && share.holderCount == 0)
    }
}
