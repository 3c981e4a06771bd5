// The rule's promises, by simulation: an unchanged build is called worse in at most 2 of 100 runs, the slowdown that an
// effort answers for is found in at least 95. Over noise whose parts are known, over rounds of a machine that was busy
// with other things, and over what perf/gate_power.py has recorded.
import BenchmarkGate
import Foundation
import TestSupport
import Testing

private enum Simulation {
    /// Round ratios of a quiet machine: 3 % of spread, and one round in eight in which something else ran.
    static func quiet(_ count: Int, _ numbers: inout GateNumbers) -> [Double] {
        (0..<count).map { _ in
            let uniform = (0..<12).reduce(-6.0) { sum, _ in sum + Double(numbers.below(1 << 20)) / Double(1 << 20) }
            return 1.2 * exp(0.03 * uniform) * (numbers.below(8) == 0 ? 1.15 : 1)
        }
    }
    static func drawn(_ rounds: [Double], _ count: Int, _ numbers: inout GateNumbers) -> [Double] {
        (0..<count).map { _ in rounds[numbers.below(rounds.count)] }
    }
    static func verdict(_ run: [Double], _ baseline: [Double], _ effort: GateEffort, seed: Int) -> GateDecision {
        let rule = GateRule.of(effort)
        return rule.verdict(
            Bootstrap.difference(
                run.map { log($0) }, baseline.map { log($0) }, confidence: rule.confidence, seed: UInt64(seed),
                resampleCount: 500))
    }
    /// Rounds that perf/gate measures.
    static func roundCount(_ effort: GateEffort) -> Int { effort == .quick ? 12 : 24 }
    static let trials = 300
}

private struct RecordedRounds: Decodable {
    struct Turn: Decodable {
        let cpu: Double
        let rate: Double
    }
    struct Case: Decodable {
        let rounds: [[String: Turn]]
    }
    let effort: GateEffort
    let cases: [Case]

    /// Ratios to the probe, larger for slower; of the first case, for which the slowdown was set.
    func ratios(_ build: String) -> [Double] {
        (cases.first?.rounds ?? []).compactMap { round in
            guard let subject = round[build], let yardstick = round["probe-durable"] else { return nil }
            return subject.cpu / yardstick.cpu
        }
    }
}

@Suite struct GateRuleTests {
    @Test(arguments: GateEffort.allCases) func knownNoiseDecidesNothingAndHidesNoSlowdown(effort: GateEffort) {
        var numbers = GateNumbers(seed: 11)
        let slowdown = 1 + GateRule.of(effort).slowdown
        let count = Simulation.roundCount(effort)
        var found = 0
        var alarms = 0
        for trial in 0..<Simulation.trials {
            let baseline = Simulation.quiet(count, &numbers)
            let same = Simulation.quiet(count, &numbers)
            let slow = Simulation.quiet(count, &numbers).map { $0 * slowdown }
            if Simulation.verdict(slow, baseline, effort, seed: trial) == .worse { found += 1 }
            if Simulation.verdict(same, baseline, effort, seed: trial) == .worse { alarms += 1 }
        }
        #expect(Double(found) / Double(Simulation.trials) >= 0.95, "\(found) of \(Simulation.trials) found")
        #expect(Double(alarms) / Double(Simulation.trials) <= 0.02, "\(alarms) of \(Simulation.trials) false alarms")
    }

    /// Rounds recorded while compilers had both processors: nobody is stopped by that.
    @Test(arguments: GateEffort.allCases) func aBusyMachineRaisesNoAlarm(effort: GateEffort) throws {
        let file = Repository.fixture("gate_busy_rounds.json")
        let rounds = try JSONDecoder().decode([[Double]].self, from: Data(contentsOf: file))
        #expect(rounds.count >= 40)
        var numbers = GateNumbers(seed: 12)
        let half = rounds.count / 2
        for (place, isLowerBetter) in [(0, false), (1, true)] {
            let values = rounds.map { isLowerBetter ? $0[place] : 1 / $0[place] }
            var alarms = 0
            for trial in 0..<Simulation.trials {
                // The run and its baseline come from different times.
                let run = Simulation.drawn(Array(values[..<half]), Simulation.roundCount(effort), &numbers)
                let baseline = Simulation.drawn(Array(values[half...]), Simulation.roundCount(effort), &numbers)
                let order = trial.isMultiple(of: 2) ? (run, baseline) : (baseline, run)
                if Simulation.verdict(order.0, order.1, effort, seed: trial) == .worse { alarms += 1 }
            }
            #expect(Double(alarms) / Double(Simulation.trials) <= 0.02, "\(alarms) false alarms, figure \(place)")
        }
    }

    /// What perf/gate_power.py recorded of real builds, when the tree has it.
    @Test(arguments: GateEffort.allCases) func recordedRoundsKeepThePromise(effort: GateEffort) throws {
        let file = Repository.file("perf/results/gate-rounds-\(effort.rawValue).json")
        guard let bytes = try? Data(contentsOf: file) else { return }
        let recorded = try JSONDecoder().decode(RecordedRounds.self, from: bytes)
        #expect(recorded.effort == effort)
        let base = recorded.ratios("base")
        let slow = recorded.ratios("slow")
        #expect(base.count >= 40 && base.count == slow.count)
        var numbers = GateNumbers(seed: 13)
        let half = base.count / 2
        let count = Simulation.roundCount(effort)
        var found = 0
        var alarms = 0
        for trial in 0..<Simulation.trials {
            let baseline = Simulation.drawn(Array(base[..<half]), count, &numbers)
            let changed = Simulation.drawn(Array(slow[half...]), count, &numbers)
            let same = Simulation.drawn(Array(base[half...]), count, &numbers)
            if Simulation.verdict(changed, baseline, effort, seed: trial) == .worse { found += 1 }
            if Simulation.verdict(same, baseline, effort, seed: trial) == .worse { alarms += 1 }
        }
        #expect(Double(found) / Double(Simulation.trials) >= 0.95, "\(found) of \(Simulation.trials) found")
        #expect(Double(alarms) / Double(Simulation.trials) <= 0.02, "\(alarms) of \(Simulation.trials) false alarms")
    }

    @Test func anIntervalWiderThanWhatIsLookedForDecidesNothing() {
        let rule = GateRule.of(.quick)
        #expect(rule.verdict(GateInterval(estimate: 0.5, low: 0.01, high: 2)) == .undecided)
        // Unless even its near end is beyond the slowdown: noise that came with the change does not hide it.
        #expect(rule.verdict(GateInterval(estimate: 0.7, low: 0.35, high: 0.95)) == .worse)
        #expect(rule.verdict(GateInterval(estimate: -0.7, low: -0.95, high: -0.35)) == .better)
        #expect(rule.verdict(GateInterval(estimate: 0.2, low: 0.1, high: 0.3)) == .worse)
        #expect(rule.verdict(GateInterval(estimate: -0.2, low: -0.3, high: -0.1)) == .better)
        #expect(rule.verdict(GateInterval(estimate: 0.05, low: 0.01, high: 0.1)) == .same)
        #expect(rule.verdict(GateInterval(estimate: 0.08, low: -0.05, high: 0.25)) == .undecided)
    }
}
