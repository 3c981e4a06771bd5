// The whole gateway from one seed, many seeds: nothing that was answered is lost, nothing that was refused is
// delivered, everything comes home. `make simulate SEED=n` replays one and tells its story.

import Simulator
import Testing

@Suite struct SimulatorTests {
    /// A few: an error that is thrown is costly beside the test library, which takes a backtrace of each.
    /// `Tests/Crash/simulator.py` runs many.
    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func nothingIsLostWhateverHappens(seed: UInt64) throws {
        let finding = try World(seed: seed).run()
        #expect(finding == nil, "SEED=\(seed): \(finding ?? "")")
    }
    @Test func theStormDoesDisturb() throws {
        var sum = World.Figures()
        var answered = 0
        for seed in 9001...9008 as ClosedRange<UInt64> {
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
        #expect(sum.crashes > 5 && sum.powerCuts > 3 && sum.crashesInRecovery > 0)
        #expect(sum.removedSegments > 10 && sum.segmentFailures > 0)
        #expect(answered > 300)
    }
}
