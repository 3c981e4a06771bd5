// Who may take how much: greedy lanes leave room for whoever comes, those that do not work for those that do, and in
// the end everything goes out, whatever its size.

import Engine
import FastPath
import Testing

private struct Holder {
    var held = ResourceShares.Amount()
    var isProven = false
    var blocks: [Int] = []

    /// One lane of a tenant that has everything which is taken, in `holderCount` lanes besides.
    mutating func take(_ block: Int, _ shares: inout ResourceShares, beside holderCount: Int = 0) -> Bool {
        var asking = ResourceShares.Asking()
        (asking.lane, asking.isProven, asking.tenant) = (held, isProven, shares.taken)
        asking.holderCount = holderCount + (held.orders > 0 ? 1 : 0)
        guard shares.allows(block, asking) else { return false }
        shares.take(block, isProven: isProven)
        held.orders += 1
        held.bytes += block
        blocks.append(block)
        return true
    }
    mutating func giveBack(_ shares: inout ResourceShares) {
        let block = blocks.removeFirst()
        shares.giveBack(block, wasProven: isProven)
        held.orders -= 1
        held.bytes -= block
    }
}

@Suite struct ResourceSharesTests {
    private static let mebibyte = 1 << 20
    private func shares() -> ResourceShares { ResourceShares(orderCountMax: 2048, byteCountMax: 64 << 20) }
    /// Every holder takes in turn until none may any more.
    private func fill(_ holders: inout [Holder], _ block: Int, _ shares: inout ResourceShares) {
        var goesOn = true
        while goesOn {
            goesOn = false
            for index in holders.indices {
                let others = holders.count { $0.held.orders > 0 } - (holders[index].held.orders > 0 ? 1 : 0)
                if holders[index].take(block, &shares, beside: others) { goesOn = true }
            }
        }
    }

    @Test(arguments: [1, 3, 34, 300], [1024, 2 << 20, 8 << 20])
    func silentLanesLeaveRoomForNewcomersAndForThoseThatWork(count: Int, block: Int) {
        var shares = shares()
        var silent = [Holder](repeating: Holder(), count: count)
        fill(&silent, block, &shares)
        #expect(shares.takenByUnproven == shares.taken && shares.taken.orders > 0)
        #expect(shares.taken.orders <= 1024)
        #expect(shares.taken.bytes <= 32 << 20)
        // One that was never tried, with a small event; and one that works, with all that it wants for a while.
        var newcomer = Holder()
        #expect(newcomer.take(4096, &shares) == true)
        var working = Holder(isProven: true)
        for _ in 0..<100 { #expect(working.take(4096, &shares) == true) }
    }
    @Test(arguments: [1, 2, 16, 300])
    func greedyLanesLeaveANinthHoweverManyTheyAre(count: Int) {
        var shares = shares()
        var greedy = [Holder](repeating: Holder(isProven: true), count: count)
        fill(&greedy, 1024, &shares)
        #expect((1500...1824).contains(shares.taken.orders), "\(shares.taken.orders)")
        var other = Holder(isProven: true)
        while other.take(1024, &shares, beside: count) {}
        #expect(other.held.orders > 0)
    }
    /// Each tenant takes what it may, as many in its turn as it has weight, its lanes one after the other.
    private func fill(_ tenants: [(lanes: Int, weight: Int)], _ shares: inout ResourceShares) -> [Int] {
        var held = tenants.map { [ResourceShares.Amount](repeating: ResourceShares.Amount(), count: $0.lanes) }
        let sum = tenants.reduce(0) { $0 + $1.weight }
        var goesOn = true
        while goesOn {
            goesOn = false
            for (tenant, (lanes, weight)) in tenants.enumerated() {
                for turn in 0..<weight {
                    let lane = (held[tenant].reduce(0) { $0 + $1.orders } + turn) % lanes
                    var asking = ResourceShares.Asking()
                    (asking.lane, asking.isProven) = (held[tenant][lane], true)
                    (asking.weight, asking.weightSum) = (weight, sum)
                    for one in held[tenant] where one.orders > 0 {
                        asking.tenant.orders += one.orders
                        asking.tenant.bytes += one.bytes
                        asking.holderCount += 1
                    }
                    guard shares.allows(1024, asking) else { continue }
                    shares.take(1024, isProven: true)
                    held[tenant][lane].orders += 1
                    held[tenant][lane].bytes += 1024
                    goesOn = true
                }
            }
        }
        return held.map { $0.reduce(0) { $0 + $1.orders } }
    }
    @Test func aTenantsPartGoesByItsWeightAndNotByItsLanes() {
        var shares = shares()
        let equal = fill([(40, 1), (1, 1), (4, 1)], &shares)
        #expect(equal.allSatisfy { (500...620).contains($0) }, "\(equal)")
        shares = self.shares()
        let weighted = fill([(1, 1), (40, 2), (1, 5)], &shares)
        let unit = Double(weighted[0])
        #expect(abs(Double(weighted[1]) / unit - 2) < 0.15 && abs(Double(weighted[2]) / unit - 5) < 0.3, "\(weighted)")
        #expect(shares.taken.orders > 1700 && shares.taken.orders < 1900)
    }
    /// Those that have some leave the last orders to those that have none.
    @Test func aTenantWithoutOrdersFindsOne() {
        var shares = ResourceShares(orderCountMax: 128, byteCountMax: 64 << 20)
        var lanes = [Holder](repeating: Holder(isProven: true), count: 1000)
        fill(&lanes, 1024, &shares)
        #expect(shares.taken.orders < 128)
        #expect(shares.allows(1024, ResourceShares.Asking()) == true)
    }
    @Test func manyGreedyLanesThatWorkLeaveRoomForOneMore() {
        for count in [10, 100, 500] {
            var shares = shares()
            var greedy = [Holder](repeating: Holder(isProven: true), count: count)
            fill(&greedy, 2 * ResourceSharesTests.mebibyte, &shares)
            var newcomer = Holder(isProven: true)
            #expect(newcomer.take(4096, &shares) == true, "\(count) lanes")
        }
    }
    @Test func largeBlocksLeaveRoomBehindThem() {
        for block in [16 << 20, 32 << 20] {
            var shares = shares()
            var lanes = [Holder](repeating: Holder(isProven: true), count: 8)
            fill(&lanes, block, &shares)
            #expect(shares.taken.bytes <= 60 << 20)
            var silent = [Holder](repeating: Holder(), count: 8)
            fill(&silent, block, &shares)
            var newcomer = Holder()
            #expect(newcomer.take(4096, &shares) == true, "\(block)")
        }
    }
    @Test func aPoolWhoseHalfHoldsNoBlockStillSends() {
        var shares = ResourceShares(orderCountMax: 4, byteCountMax: 16 << 10)
        var lane = Holder()
        #expect(lane.take(16 << 10, &shares) == true)
        #expect(lane.take(1024, &shares) == false)
        lane.giveBack(&shares)
        #expect(shares.taken == ResourceShares.Amount() && shares.takenByUnproven == ResourceShares.Amount())
    }
    /// Lanes of every kind hold what they got until all that is out comes back; then somebody must get on.
    @Test(arguments: 1...200)
    func nothingWaitsForEver(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        let bytes = 1 << Int.random(in: 14...26, using: &generator)
        var shares = ResourceShares(
            orderCountMax: Int.random(in: 1...64, using: &generator), byteCountMax: bytes)
        var lanes = (0..<Int.random(in: 1...40, using: &generator)).map { _ in
            Holder(isProven: Bool.random(using: &generator))
        }
        var wanted = lanes.map { _ in
            (0..<20).map { _ in min(bytes, 1024 << Int.random(in: 0...16, using: &generator)) }
        }
        var rounds = 0
        while wanted.contains(where: { !$0.isEmpty }) {
            rounds += 1
            #expect(rounds < 10_000)
            guard rounds < 10_000 else { return }
            var hasTaken = false
            for index in lanes.indices {
                while let block = wanted[index].first, lanes[index].take(block, &shares) {
                    wanted[index].removeFirst()
                    hasTaken = true
                }
            }
            #expect(hasTaken || shares.taken.orders > 0, "nothing is out and nothing goes")
            #expect(shares.taken.bytes <= bytes)
            // Some come back, in the end all.
            for index in lanes.indices where Bool.random(using: &generator) || !hasTaken {
                while !lanes[index].blocks.isEmpty { lanes[index].giveBack(&shares) }
            }
        }
        for index in lanes.indices { while !lanes[index].blocks.isEmpty { lanes[index].giveBack(&shares) } }
        #expect(shares.taken == ResourceShares.Amount() && shares.takenByUnproven == ResourceShares.Amount())
    }
}
