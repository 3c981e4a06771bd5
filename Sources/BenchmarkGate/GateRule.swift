// The decision: what a figure's rounds and its baseline's say together. The rule's numbers are chosen by simulation
// over recorded rounds of real machines (GateRuleTests, perf/gate_power.py), not by taste.
//
// Timed figures are compared as logarithms, so that "a tenth slower" is the same distance from any value and in both
// directions. A figure is worse exactly when its estimate is beyond half of the slowdown that the effort answers for
// AND the interval leaves no doubt that it is slower at all: the first keeps out what a machine's moods make of the
// same code (real, repeatable, and of no interest), the second what chance does. An interval half as wide again as what
// is looked for is no measurement: a machine that is busy with other things gets `undecided`, unless even the near end
// of the interval is beyond the slowdown that is looked for.
import Foundation

package enum GateDecision: String, Codable, Sendable, CaseIterable {
    case better
    case same
    case worse
    /// The rounds allow no answer; no reason to stop anybody.
    case undecided
}

package struct GateRule: Equatable, Sendable {
    /// The slowdown that must be found, as a share: 0.1 = a tenth slower.
    package var slowdown: Double
    package var confidence: Double
    /// Fewer rounds than this on either side decide nothing.
    package var roundCountMin: Int
    /// Instruction counts have no noise; what is left is how the compiler laid out code that nobody touched.
    package var countChange: Double

    package static func of(_ effort: GateEffort) -> GateRule {
        switch effort {
        case .quick: GateRule(slowdown: 0.2, confidence: 0.99, roundCountMin: 6, countChange: 0.03)
        case .full: GateRule(slowdown: 0.1, confidence: 0.99, roundCountMin: 8, countChange: 0.03)
        }
    }

    /// In logarithms.
    private var reach: Double { log(1 + slowdown) }

    /// `change` is positive for worse.
    package func verdict(_ change: GateInterval) -> GateDecision {
        if change.low >= reach { return .worse }
        if change.high <= -reach { return .better }
        guard change.high - change.low <= 1.5 * reach else { return .undecided }
        if change.estimate >= reach / 2, change.low > 0 { return .worse }
        if change.estimate <= -reach / 2, change.high < 0 { return .better }
        // The slowdown (and as large a gain) is outside the interval: it can be ruled out.
        return change.low > -reach && change.high < reach ? .same : .undecided
    }
    package func verdict(countChange change: Double) -> GateDecision {
        if change >= log(1 + countChange) { return .worse }
        return change <= -log(1 + countChange) ? .better : .same
    }
}
