// Connection pools: a lane keeps its own while nobody needs it, and never loses it while something is in flight.

import Engine
import FastPath
import Testing

@Suite struct PoolDirectoryTests {
    private func begin(_ lane: Lane) { lane.attemptBegan(.first(ticket: 0), bytes: 1) }
    private func end(_ lane: Lane, _ pools: inout PoolDirectory) {
        lane.attemptEnded(.first(ticket: 0), bytes: 1)
        if lane.inFlight == 0 { pools.rest(lane) }
    }

    @Test func aLaneKeepsItsPool() throws {
        var pools = PoolDirectory(poolCount: 2)
        let one = try lane(1)
        let first = pools.pool(for: one)
        begin(one)
        end(one, &pools)
        #expect(pools.pool(for: one) == first)
    }
    @Test func theOneThatRestsLongestGivesItsPoolAway() throws {
        var pools = PoolDirectory(poolCount: 3)
        let lanes = try (1...4).map { try lane($0) }
        for lane in lanes[0..<3] {
            _ = pools.pool(for: lane)
            begin(lane)
        }
        let second = try #require(lanes[1].pool)
        end(lanes[1], &pools)
        end(lanes[2], &pools)
        #expect(pools.pool(for: lanes[3]) == second)
        #expect(lanes[1].pool == nil && lanes[2].pool != nil && lanes[0].pool != nil)
    }
    @Test func oneThatIsBusyAgainKeepsIt() throws {
        var pools = PoolDirectory(poolCount: 2)
        let (busy, resting, new) = (try lane(1), try lane(2), try lane(3))
        for lane in [busy, resting] {
            _ = pools.pool(for: lane)
            begin(lane)
        }
        end(busy, &pools)
        end(resting, &pools)
        begin(busy)
        #expect(pools.pool(for: new) != busy.pool)
        #expect(resting.pool == nil)
        begin(new)
        // It rests again: now it may.
        end(busy, &pools)
        let mine = try #require(busy.pool)
        #expect(pools.pool(for: resting) == mine)
    }
    @Test func aRemovedLaneGivesItBackOnce() throws {
        var pools = PoolDirectory(poolCount: 2)
        let (gone, other, third) = (try lane(1), try lane(2), try lane(3))
        _ = pools.pool(for: gone)
        pools.rest(gone)
        pools.release(gone)
        pools.release(gone)
        let given = [pools.pool(for: other), pools.pool(for: third)]
        #expect(Set(given).count == 2)
    }
    @Test func noPoolBelongsToTwoWhateverComesAndGoes() throws {
        let (poolCount, orderMax) = (8, 7)
        var pools = PoolDirectory(poolCount: poolCount)
        var generator = SeededGenerator(seed: 11)
        let lanes = try (1...50).map { try lane($0) }
        var out = 0
        for _ in 0..<100_000 {
            let lane = lanes.randomElement(using: &generator)!
            if out < orderMax, Bool.random(using: &generator) {
                begin(lane)
                _ = pools.pool(for: lane)
                out += 1
            } else if lane.inFlight > 0 {
                end(lane, &pools)
                out -= 1
            } else if Int.random(in: 0..<50, using: &generator) == 0 {
                pools.release(lane)
            }
        }
        let held = lanes.compactMap(\.pool)
        #expect(Set(held).count == held.count && held.allSatisfy { $0 < UInt32(poolCount) })
        #expect(lanes.allSatisfy { $0.inFlight == 0 || $0.pool != nil })
    }
}
