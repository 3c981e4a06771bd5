// Result files and the comparison of two of them. What the rule decides on noise is in GateRuleTests.
import BenchmarkGate
import Foundation
import Testing

private let machine = GateMachine(
    architecture: "x86_64", processor: "a processor 1.2", processorCount: 2, kernel: "6.18", libraries: "abc")

private func figure(
    _ name: String, _ values: [Double], kind: GateFigureKind = .ratio, better: GateDirection = .lower
) -> GateFigure {
    GateFigure(
        name: name, kind: kind, better: better, unit: "us",
        rounds: values.map { GateRound(subject: $0 * 8, yardstick: 8) })
}
private func run(_ figures: [GateFigure], effort: GateEffort = .full, on machine: GateMachine = machine) -> GateRun {
    GateRun(
        effort: effort, machine: machine, commit: "abc", date: "2026-01-01T00:00:00Z", command: "perf/gate",
        figures: figures)
}
/// Ten rounds around `value`, none like the other.
private func around(_ value: Double) -> [Double] { (0..<10).map { value * (1 + 0.002 * Double($0 - 5)) } }

private func problem(_ text: String) -> GateProblem? {
    do throws(GateProblem) {
        _ = try GateRun.parse(Data(text.utf8), file: "run.json")
        return nil
    } catch { return error }
}
private func problem(_ run: GateRun, _ baseline: GateRun) -> GateProblem? {
    do throws(GateProblem) {
        _ = try GateComparison(run: run, baseline: baseline)
        return nil
    } catch { return error }
}

@Suite struct GateFileTests {
    @Test func aRunSurvivesItsFile() throws {
        let original = run([figure("a", around(1)), figure("b", [3, 3], kind: .count)])
        #expect(try GateRun.parse(original.encoded(), file: "run.json") == original)
    }
    @Test func whatIsNoResultFileIsRefusedWithItsReason() throws {
        #expect(problem("not JSON") == .damaged(file: "run.json", why: "it is not JSON"))
        #expect(problem("{}") == .notAGateFile(file: "run.json"))
        #expect(problem(#"{"format":"sluice-gate","version":2}"#) == .newerVersion(file: "run.json", version: 2))
        #expect(
            problem(#"{"format":"sluice-gate","version":1,"effort":"full"}"#)
                == .damaged(file: "run.json", why: "`machine` is missing"))
    }
    @Test(arguments: [0.0, -1, .infinity, .nan]) func aNumberThatMakesNoRatioIsDamage(value: Double) {
        #expect(run([figure("a", [1, value])]).flaw != nil)
        var broken = run([figure("a", [1])])
        broken.figures[0].rounds[0].yardstick = value
        #expect(broken.flaw != nil)
    }
    @Test func figuresWithoutRoundsOrTwiceAreDamage() {
        #expect(run([]).flaw == "it has no figures")
        #expect(run([figure("a", [])]).flaw != nil)
        #expect(run([figure("a", [1]), figure("a", [1])]).flaw == "the figure `a` appears twice")
        #expect(run([figure("a", [1]), figure("b", [1])]).flaw == nil)
    }
    @Test func roundsAreAddedToTheFigureOfTheirKind() throws {
        var growing = run([])
        let round = GateRound(subject: 2, yardstick: 1)
        try growing.add(round, to: "a", kind: .ratio, better: .lower, unit: "us")
        try growing.add(round, to: "a", kind: .ratio, better: .lower, unit: "us")
        #expect(growing.figures.count == 1 && growing.figures[0].rounds.count == 2)
        #expect(throws: GateProblem.self) {
            try growing.add(round, to: "a", kind: .ratio, better: .higher, unit: "us")
        }
    }
}

@Suite struct GateComparisonTests {
    @Test func directionSaysWhatWorseIs() throws {
        for (better, changed, verdict) in [
            (GateDirection.lower, 1.2, GateDecision.worse), (.lower, 0.8, .better), (.higher, 1.25, .better),
            (.higher, 0.8, .worse), (.lower, 1, .same), (.higher, 1, .same),
        ] {
            let baseline = run([figure("a", around(1), better: better)])
            let comparison = try GateComparison(
                run: run([figure("a", around(changed), better: better)]), baseline: baseline)
            #expect(comparison.verdict == verdict, "\(better) is better, \(changed) times")
        }
    }
    @Test func theEffectIsThePercentageByWhichItIsSlower() throws {
        let comparison = try GateComparison(
            run: run([figure("a", around(1.2))]), baseline: run([figure("a", around(1))]))
        let figure = comparison.figures[0]
        #expect(abs(figure.slowerPercent - 20) < 0.5)
        #expect(figure.slowerPercentLow < 20 && figure.slowerPercentHigh > 20)
        #expect(abs(figure.run - 1.2) < 0.01 && abs(figure.baseline - 1) < 0.01)
    }
    @Test func oneWorseFigureDecides() throws {
        let baseline = run([figure("a", around(1)), figure("b", around(1)), figure("c", around(1))])
        let comparison = try GateComparison(
            run: run([figure("a", around(0.7)), figure("b", around(1)), figure("c", around(1.3))]), baseline: baseline)
        #expect(comparison.verdict == .worse)
        #expect(comparison.figures.map(\.verdict) == [.better, .same, .worse])
    }
    @Test func wildRoundsDecideNothing() throws {
        let wild = (0..<10).map { $0.isMultiple(of: 2) ? 0.5 : 2.2 }
        let comparison = try GateComparison(
            run: run([figure("a", wild)]), baseline: run([figure("a", wild.reversed())]))
        #expect(comparison.verdict == .undecided)
    }
    @Test func tooFewRoundsDecideNothing() throws {
        let comparison = try GateComparison(
            run: run([figure("a", [2, 2, 2])]), baseline: run([figure("a", around(1))]))
        #expect(comparison.verdict == .undecided)
        #expect(comparison.figures[0].why != nil)
    }
    @Test func countsAreComparedWithoutNoise() throws {
        let baseline = run([figure("a", [1000], kind: .count)])
        for (count, verdict) in [(1001.0, GateDecision.same), (1040, .worse), (960, .better)] {
            let changed = run([figure("a", [count], kind: .count)])
            #expect(try GateComparison(run: changed, baseline: baseline).verdict == verdict)
        }
    }
    @Test func countsOfOtherLibrariesDecideNothing() throws {
        var other = machine
        other.libraries = "def"
        let changed = run([figure("a", [5000], kind: .count)], on: other)
        let comparison = try GateComparison(run: changed, baseline: run([figure("a", [1000], kind: .count)]))
        #expect(comparison.verdict == .undecided)
    }
    @Test func countsTravelBetweenShapesThatChoseTheSameCode() throws {
        var here = machine
        here.features = "lanes: sha256 8"
        var there = here
        there.processor = "another 3.4"
        let baseline = run([figure("a", [1000], kind: .count), figure("b", around(1))], on: here)
        for (count, verdict) in [(1001.0, GateDecision.same), (1040, .worse)] {
            let counted = run([figure("a", [count], kind: .count)], on: there)
            #expect(try GateComparison(run: counted, baseline: baseline).verdict == verdict)
        }
        let timed = run([figure("a", [1001], kind: .count), figure("b", around(1))], on: there)
        #expect(problem(timed, baseline)?.code == "other_machine_shape")
        there.features = "lanes: sha256 2"
        #expect(problem(run([figure("a", [1001], kind: .count)], on: there), baseline)?.code == "other_machine_shape")
        there.features = nil
        #expect(problem(run([figure("a", [1001], kind: .count)], on: there), baseline)?.code == "other_machine_shape")
    }
    @Test func whatDoesNotCompareIsAProblemAndNoVerdict() {
        var other = machine
        other.processorCount = 64
        let plain = run([figure("a", around(1))])
        #expect(problem(run([figure("a", around(2))], on: other), plain)?.code == "other_machine_shape")
        #expect(problem(run([figure("a", around(2))], effort: .quick), plain)?.code == "other_effort")
        #expect(problem(run([figure("b", around(2))]), plain)?.code == "unknown_figure")
        #expect(problem(run([figure("a", around(2), kind: .count)]), plain)?.code == "other_figure")
        #expect(problem(run([figure("a", around(2), better: .higher)]), plain)?.code == "other_figure")
    }
    @Test func anotherKernelIsNoOtherShape() {
        var other = machine
        other.kernel = "7.0"
        #expect(problem(run([figure("a", around(1))], on: other), run([figure("a", around(1))])) == nil)
    }
    @Test func figuresThatWereNotMeasuredAreListed() throws {
        let baseline = run([figure("a", around(1)), figure("b", around(1))])
        let comparison = try GateComparison(run: run([figure("a", around(1))]), baseline: baseline)
        #expect(comparison.unmeasured == ["b"])
        #expect(comparison.verdict == .same)
    }
    @Test func theSameFilesGiveTheSameAnswer() throws {
        let baseline = run([figure("a", around(1))])
        let changed = run([figure("a", around(1.07))])
        #expect(
            try GateComparison(run: changed, baseline: baseline) == GateComparison(run: changed, baseline: baseline))
    }
}

@Suite struct BootstrapTests {
    @Test func theMidmeanForgivesAnOutlier() {
        #expect(Bootstrap.midmean([1, 2, 3, 1000]) == 2.5)
        #expect(Bootstrap.midmean([5]) == 5)
        #expect(Bootstrap.midmean([1, 2, 6]) == 3)
    }
    /// The interval must hold the truth about as often as it says; with 12 rounds it is known to be a little narrow.
    @Test func theIntervalHoldsTheTruth() {
        var numbers = GateNumbers(seed: 4)
        func sample() -> [Double] {
            // A sum of twelve uniform numbers is as good as normal here.
            (0..<12).map { _ in
                (0..<12).reduce(0) { sum, _ in sum + Double(numbers.below(1 << 20)) / Double(1 << 20) }
            }
        }
        var held = 0
        let trials = 400
        for trial in 0..<trials {
            let interval = Bootstrap.difference(
                sample(), sample(), confidence: 0.95, seed: UInt64(trial), resampleCount: 400)
            if interval.low <= 0 && interval.high >= 0 { held += 1 }
        }
        #expect(Double(held) / Double(trials) > 0.88)
        #expect(held < trials)
    }
    @Test func moreRoundsMakeANarrowerInterval() {
        var numbers = GateNumbers(seed: 9)
        func width(_ count: Int) -> Double {
            let values = (0..<count).map { _ in Double(numbers.below(1000)) }
            let interval = Bootstrap.difference(values, values.reversed(), confidence: 0.95, seed: 1)
            return interval.high - interval.low
        }
        #expect(width(400) < width(16) / 2)
    }
}
