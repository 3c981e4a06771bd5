// A run against its baseline, figure by figure, and the one verdict on all. Pure; the same files give the same answer.
//
// Invariant: `worse` needs comparable files. Another machine shape, another effort, a figure that the baseline does not
// have is a `GateProblem`, never a verdict; a figure of the baseline that was not measured is listed. Instructions are
// the same on every machine that chose the same code: a run of counts alone compares across shapes.
import Foundation

package struct FigureComparison: Encodable, Equatable, Sendable {
    package var name: String
    package var verdict: GateDecision
    /// How much slower (positive) or faster (negative), in percent, with the interval's ends.
    package var slowerPercent: Double
    package var slowerPercentLow: Double
    package var slowerPercentHigh: Double
    /// Midmeans of the ratios to the yardstick.
    package var run: Double
    package var baseline: Double
    package var roundCount: Int
    package var baselineRoundCount: Int
    /// Why it is undecided, where the interval does not say it.
    package var why: String?
}

package struct GateComparison: Encodable, Equatable, Sendable {
    /// Worse if one is; else better, undecided, same, whichever comes first among the figures.
    package var verdict: GateDecision
    package var effort: GateEffort
    package var runCommit: String
    package var baselineCommit: String
    package var figures: [FigureComparison]
    /// Figures of the baseline that the run does not have.
    package var unmeasured: [String]

    package init(run: GateRun, baseline: GateRun) throws(GateProblem) {
        guard run.machine.shape == baseline.machine.shape || GateComparison.canTravel(run, baseline) else {
            throw .otherShape(run: run.machine.shape, baseline: baseline.machine.shape)
        }
        guard run.effort == baseline.effort else {
            throw .otherEffort(run: run.effort, baseline: baseline.effort)
        }
        let rule = GateRule.of(run.effort)
        let hasSameLibraries = run.machine.libraries == baseline.machine.libraries
        var verdicts: [FigureComparison] = []
        for figure in run.figures {
            guard let known = baseline.figures.first(where: { $0.name == figure.name }) else {
                throw .unknownFigure(figure.name)
            }
            verdicts.append(try GateComparison.judge(figure, known, rule, hasSameLibraries: hasSameLibraries))
        }
        figures = verdicts
        verdict = [.worse, .better, .undecided].first { kind in verdicts.contains { $0.verdict == kind } } ?? .same
        effort = run.effort
        runCommit = run.commit
        baselineCommit = baseline.commit
        let measured = Set(run.figures.map(\.name))
        unmeasured = baseline.figures.map(\.name).filter { !measured.contains($0) }
    }

    private static func canTravel(_ run: GateRun, _ baseline: GateRun) -> Bool {
        run.figures.allSatisfy { $0.kind == .count } && run.machine.architecture == baseline.machine.architecture
            && run.machine.features != nil && run.machine.features == baseline.machine.features
    }

    private static func judge(
        _ figure: GateFigure, _ known: GateFigure, _ rule: GateRule, hasSameLibraries: Bool
    ) throws(GateProblem) -> FigureComparison {
        guard figure.kind == known.kind else {
            throw .otherFigure(figure.name, why: "one is a \(figure.kind.rawValue), the other a \(known.kind.rawValue)")
        }
        guard figure.better == known.better else {
            throw .otherFigure(figure.name, why: "they disagree whether higher or lower is better")
        }
        let change = change(figure, known, confidence: rule.confidence)
        var verdict = rule.verdict(change)
        var why: String?
        let fewest = min(figure.rounds.count, known.rounds.count)
        switch figure.kind {
        case .count where hasSameLibraries: verdict = rule.verdict(countChange: change.estimate)
        case .count:
            verdict = .undecided
            why = "other libraries than the baseline's, whose instructions are counted too"
        case .ratio where fewest < rule.roundCountMin:
            verdict = .undecided
            why = "\(fewest) rounds, \(rule.roundCountMin) are needed"
        case .ratio:
            if verdict == .undecided { why = "the rounds differ too much among themselves" }
        }
        return FigureComparison(
            name: figure.name, verdict: verdict, slowerPercent: percent(change.estimate),
            slowerPercentLow: percent(change.low), slowerPercentHigh: percent(change.high),
            run: exp(Bootstrap.midmean(logs(figure))), baseline: exp(Bootstrap.midmean(logs(known))),
            roundCount: figure.rounds.count, baselineRoundCount: known.rounds.count, why: why)
    }

    /// In logarithms, positive for slower.
    package static func change(_ figure: GateFigure, _ known: GateFigure, confidence: Double) -> GateInterval {
        let isHigherBetter = figure.better == .higher
        return Bootstrap.difference(
            isHigherBetter ? logs(known) : logs(figure), isHigherBetter ? logs(figure) : logs(known),
            confidence: confidence, seed: seed(figure.name))
    }
    private static func logs(_ figure: GateFigure) -> [Double] { figure.rounds.map { log($0.ratio) } }
    private static func percent(_ change: Double) -> Double { (exp(change) - 1) * 100 }
    /// FNV-1a of the name: a figure's verdict does not depend on what else was measured.
    private static func seed(_ name: String) -> UInt64 {
        name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
    }
}

extension FigureComparison {
    /// A line for a person.
    package var line: String {
        func signed(_ value: Double) -> String { String(format: "%+.1f", value) }
        let name = name.padding(toLength: max(30, name.count), withPad: " ", startingAt: 0)
        let verdict = verdict.rawValue.padding(toLength: 10, withPad: " ", startingAt: 0)
        let range = "(\(signed(slowerPercentLow)) to \(signed(slowerPercentHigh)))"
        let times = String(format: "%.4g beside %.4g", run, baseline)
        return "\(verdict) \(name) \(signed(slowerPercent)) % slower \(range), \(times)" + (why.map { ": \($0)" } ?? "")
    }
}
