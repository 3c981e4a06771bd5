// The whole gateway from one seed, many seeds: nothing that was answered is lost, nothing that was refused is
// delivered, everything comes home. `make simulate SEED=n` replays one and tells its story.

import Simulator
import Testing

@Suite struct SimulatorTests {
    /// A few: an error that is thrown is costly beside the test library, which takes a backtrace of each.
    /// `Tests/Crash/simulator.py` runs many.
    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func nothingIsLostWhateverHappens(seed: UInt64) throws {
        let finding = try World(seed: seed).run()
        #expect(finding == nil, "SEED=\(seed): \(finding ?? "")")
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
