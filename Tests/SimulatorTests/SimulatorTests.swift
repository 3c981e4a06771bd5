// The whole gateway from one seed, many seeds: nothing that was answered is lost, nothing that was refused is
// delivered, everything comes home. `make simulate SEED=n` replays one and tells its story.

import Foundation
import Simulator
import Testing

@Suite struct SimulatorTests {
    /// `SLUICE_ROUNDS=full` runs the long way.
    private static let isFull = ProcessInfo.processInfo.environment["SLUICE_ROUNDS"] == "full"
    private static let blockCount: UInt64 = isFull ? 800 : 20
    private static let seedsOfBlock: UInt64 = 25

    @Test(arguments: 0..<blockCount)
    func nothingIsLostWhateverHappens(block: UInt64) throws {
        for seed in block * Self.seedsOfBlock + 1...(block + 1) * Self.seedsOfBlock {
            let finding = try World(seed: seed).run()
            #expect(finding == nil, "SEED=\(seed): \(finding ?? "")")
        }
    }
    @Test func aSeedIsAlwaysTheSameRun() throws {
        for seed in [3, 14, 15] as [UInt64] {
            var traces: Set<UInt64> = []
            for _ in 0..<8 {
                let world = try World(seed: seed)
                _ = world.run()
                traces.insert(world.clock.story.hash)
            }
            #expect(traces.count == 1, "seed \(seed)")
        }
    }
    @Test func theStormDoesDisturb() throws {
        var sum = World.Figures()
        var answered = 0
        for seed in 9001...9040 as ClosedRange<UInt64> {
            let world = try World(seed: seed)
            #expect(world.run() == nil)
            let figures = world.figures
            sum.crashes += figures.crashes
            sum.powerCuts += figures.powerCuts
            sum.crashesInRecovery += figures.crashesInRecovery
            sum.removedSegments += figures.removedSegments
            sum.segmentFailures += figures.segmentFailures
            answered += world.ledger.answeredCount
        }
        #expect(sum.crashes > 40 && sum.powerCuts > 20 && sum.crashesInRecovery > 3)
        #expect(sum.removedSegments > 10 && sum.segmentFailures > 10)
        #expect(answered > 1000)
    }
}
