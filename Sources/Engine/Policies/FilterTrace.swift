// Why a filter lets an event through or not, condition by condition. It names what the filter says and what was found
// of it, and no value of the event: whoever may see an endpoint's settings may see it.

import FastPath

package struct FilterTrace: Equatable, Sendable {
    /// What there was for a condition to look at.
    package enum Finding: String, CaseIterable, Sendable {
        /// A value, or several, that it could be asked of.
        case compared
        /// The event has no such value.
        case missing
        /// The value is of a type that it is not about.
        case otherType = "other_type"
        /// The body is not JSON: neither the condition nor its opposite is met.
        case notJSON = "not_json"
        /// More than a filter compares of an event, or a text that its expressions read no more of.
        case tooLong = "too_long"
        /// A field that carries a source's secret, which no filter reads.
        case withheld
    }
    package struct Condition: Equatable, Sendable {
        /// In the filter: `body.data.amount.$gte`.
        package let place: String
        package let op: FilterOperator
        /// What it compares with, as JSON.
        package let operand: String
        /// Nil where the body is not JSON, or not all that there is was compared.
        package let holds: Bool?
        package let finding: Finding
    }
    package let verdict: FilterVerdict
    /// In the order of their places.
    package let conditions: [Condition]
}

extension CompiledFilter {
    /// Asks every condition, needed or not.
    package func trace(_ input: FilterInput) -> FilterTrace {
        let findings = findings(on: input)
        let traced = conditions.enumerated().map { index, condition in
            let finding = self.finding(index, findings)
            return FilterTrace.Condition(
                place: condition.place.description, op: condition.op, operand: condition.operand,
                holds: isKnown(index, findings) ? holds(index, findings) : nil, finding: finding)
        }
        return FilterTrace(verdict: verdict(findings), conditions: traced)
    }
    private func isKnown(_ index: Int, _ findings: FilterFindings) -> Bool {
        let bit = UInt64(1) << UInt64(index)
        return findings.unasked & bit == 0 && (ofBody & bit == 0 || findings.isWhole)
    }
    private func finding(_ index: Int, _ findings: FilterFindings) -> FilterTrace.Finding {
        let bit = UInt64(1) << UInt64(index)
        if conditions[index].subject == .withheld { return .withheld }
        if ofBody & bit != 0, !findings.isWhole { return .notJSON }
        if findings.unasked & bit != 0 { return .tooLong }
        if findings.compared & bit != 0 { return .compared }
        if findings.tooLong & bit != 0 { return .tooLong }
        return findings.seen & bit != 0 ? .otherType : .missing
    }
}
