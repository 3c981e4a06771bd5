// A filter that is ready to be asked: which events an endpoint takes, by what they say. Immutable; any thread may ask.
//
// Logic has three values. A condition on a body that is not JSON, or that was not asked of all its values, is neither
// met nor unmet, nor is its opposite, and only what is met for sure lets an event through.
//
// Invariants: an event costs one pass over its field lines for each condition on one, and one over its body, which is
// not made when the rest decides, with a bounded number of comparisons; nothing of an event is kept.

import FastPath

/// What of an event a filter may ask for. The views live for one call.
package struct FilterInput {
    package var type: ByteView
    package var source: ByteView
    /// Comma-separated.
    package var channels: ByteView
    package var fieldLines: ByteView
    package var body: ByteView

    package init(type: ByteView, source: ByteView, channels: ByteView, fieldLines: ByteView, body: ByteView) {
        self.type = type
        self.source = source
        self.channels = channels
        self.fieldLines = fieldLines
        self.body = body
    }
    package init(_ event: StoredEvent) {
        self.init(
            type: event.eventType, source: event.source, channels: event.channels, fieldLines: event.fieldLines,
            body: event.body)
    }
}

package enum FilterVerdict: Equatable, Sendable {
    case matches
    case differs
    /// It would take a body that is JSON to say so, or more comparisons than a filter makes of an event.
    case unreadable
}

package final class CompiledFilter: Sendable {
    private let root: FilterNode
    let conditions: [FilterCondition]
    /// Of conditions on the body, and of all others: bit i stands for condition i.
    let ofBody: UInt64
    private let ofRest: UInt64
    private let negated: UInt64
    /// By path, its conditions.
    private let byPath: [UInt64]
    private let walk: JSONWalk?

    /// Where in the filter what is wrong is the path of the issue. `withheld`: fields that carry a source's secret.
    package init(_ filter: PlainJSON, withheld: [HeaderName] = []) throws(ValidationIssue) {
        var compiler = FilterCompiler(withheld: withheld)
        root = try compiler.compile(filter)
        conditions = compiler.conditions
        var ofBody: UInt64 = 0
        var negated: UInt64 = 0
        var byPath = [UInt64](repeating: 0, count: compiler.paths.count)
        for (index, condition) in compiler.conditions.enumerated() {
            let bit = UInt64(1) << UInt64(index)
            if condition.isNegated { negated |= bit }
            if case .body(let path) = condition.subject {
                ofBody |= bit
                byPath[path] |= bit
            }
        }
        let all = compiler.conditions.count == 64 ? UInt64.max : (1 << UInt64(compiler.conditions.count)) - 1
        self.ofBody = ofBody
        ofRest = all & ~ofBody
        self.negated = negated
        self.byPath = byPath
        walk = compiler.paths.isEmpty ? nil : JSONWalk(compiler.paths)
    }

    var patterns: [LinearPattern] {
        conditions.compactMap { if case .matches(let pattern) = $0.test { pattern } else { nil } }
    }
    package func matches(_ input: FilterInput) -> Bool { verdict(on: input) == .matches }
    package func verdict(on input: FilterInput) -> FilterVerdict {
        var work = 0
        return verdict(on: input, work: &work)
    }
    /// Adds to `work` what it took: comparisons, bytes that expressions read, and an eighth of the body's where it was
    /// gone through.
    package func verdict(on input: FilterInput, work: inout Int) -> FilterVerdict {
        var findings = FilterFindings()
        defer { work += findings.work }
        lookAround(input, &findings)
        let early = decided(findings, unknown: ofBody | findings.unasked)
        guard early == nil else { return early == true ? .matches : .differs }
        work += input.body.count / 8
        lookInside(input, &findings)
        return verdict(findings)
    }

    /// Every condition, whether it was needed or not.
    func findings(on input: FilterInput) -> FilterFindings {
        var findings = FilterFindings()
        lookAround(input, &findings)
        lookInside(input, &findings)
        return findings
    }
    func verdict(_ findings: FilterFindings) -> FilterVerdict {
        switch decided(findings, unknown: findings.isWhole ? findings.unasked : ofBody | findings.unasked) {
        case true?: .matches
        case false?: .differs
        case nil: .unreadable
        }
    }
    func holds(_ index: Int, _ findings: FilterFindings) -> Bool {
        (findings.held ^ negated) >> UInt64(index) & 1 == 1
    }

    private func decided(_ findings: FilterFindings, unknown: UInt64) -> Bool? {
        CompiledFilter.decided(root, findings.held ^ negated, unknown)
    }
    /// Nil = it hangs on one that is unknown.
    private static func decided(_ node: FilterNode, _ held: UInt64, _ unknown: UInt64) -> Bool? {
        switch node {
        case .condition(let index):
            let bit = UInt64(1) << UInt64(index)
            return unknown & bit != 0 ? nil : held & bit != 0
        case .not(let inner): return decided(inner, held, unknown).map { !$0 }
        case .all(let nodes):
            var isKnown = true
            for node in nodes {
                switch decided(node, held, unknown) {
                case false?: return false
                case true?: break
                case nil: isKnown = false
                }
            }
            return isKnown ? true : nil
        case .any(let nodes):
            var isKnown = true
            for node in nodes {
                switch decided(node, held, unknown) {
                case true?: return true
                case false?: break
                case nil: isKnown = false
                }
            }
            return isKnown ? false : nil
        }
    }

    // MARK: the values of an event

    /// Everything but the body.
    private func lookAround(_ input: FilterInput, _ findings: inout FilterFindings) {
        var rest = ofRest
        while rest != 0 {
            let index = rest.trailingZeroBitCount
            rest &= rest - 1
            switch conditions[index].subject {
            case .type where input.type.count > 0:
                meet(index, FilterCandidate(view: input.type, form: .text), &findings)
            case .source: meet(index, FilterCandidate(view: input.source, form: .text), &findings)
            case .channels: meetChannels(index, input.channels, &findings)
            case .header(let name): meetFields(index, name, input.fieldLines, &findings)
            case .type, .withheld, .body: break
            }
        }
    }
    private func meetChannels(_ index: Int, _ list: ByteView, _ findings: inout FilterFindings) {
        guard list.count > 0 else { return }
        if case .exists = conditions[index].test {
            return meet(index, FilterCandidate(view: list, form: .text), &findings)
        }
        var start = 0
        while start < list.count {
            var end = start
            while end < list.count, list[end] != UInt8(ascii: ",") { end += 1 }
            let channel = list.slice(start, end - start)
            meet(index, FilterCandidate(view: channel, form: .text, isElement: true), &findings)
            start = end + 1
        }
    }
    /// Of each line with this name, the value, trimmed.
    private func meetFields(_ index: Int, _ name: [UInt8], _ lines: ByteView, _ findings: inout FilterFindings) {
        var start = 0
        while start < lines.count {
            var end = start
            while end < lines.count, lines[end] != 0x0A { end += 1 }
            let colon = start + name.count
            if colon < end, lines[colon] == UInt8(ascii: ":"),
                name.withView({ lines.slice(start, name.count).equalsIgnoringCase(lowered: $0) })
            {
                let hasReturn = end > colon + 1 && lines[end - 1] == 0x0D
                let value = FieldRules.trimmed(lines.slice(colon + 1, end - colon - (hasReturn ? 2 : 1)))
                meet(index, FilterCandidate(view: value, form: .text), &findings)
            }
            start = end + 1
        }
    }

    private func lookInside(_ input: FilterInput, _ findings: inout FilterFindings) {
        guard let walk else { return }
        findings.isWhole = walk.walk(input.body) { visit in
            guard let form = FilterCandidate.Form(visit.value.kind) else { return }
            let view = input.body.slice(visit.value.range)
            meet(visit.ending, FilterCandidate(view: view, form: form), &findings)
            meet(visit.elements, FilterCandidate(view: view, form: form, isElement: true), &findings)
        }
    }
    private func meet(_ paths: UInt32, _ candidate: FilterCandidate, _ findings: inout FilterFindings) {
        var paths = paths
        while paths != 0 {
            let wanted = byPath[paths.trailingZeroBitCount]
            paths &= paths - 1
            findings.seen |= wanted
            var rest = wanted & ~findings.held
            guard findings.comparisons > 0 else {
                findings.cut |= rest
                continue
            }
            while rest != 0 {
                meet(rest.trailingZeroBitCount, candidate, &findings)
                rest &= rest - 1
            }
        }
    }
    private func meet(_ index: Int, _ candidate: FilterCandidate, _ findings: inout FilterFindings) {
        let bit = UInt64(1) << UInt64(index)
        findings.seen |= bit
        guard findings.held & bit == 0 else { return }
        findings.comparisons -= conditions[index].cost(of: candidate)
        guard findings.comparisons >= 0 else {
            findings.cut |= bit
            return
        }
        switch conditions[index].outcome(of: candidate, expressionBytes: &findings.expressionBytes) {
        case .holds:
            findings.held |= bit
            findings.compared |= bit
        case .differs: findings.compared |= bit
        case .tooLong: findings.tooLong |= bit
        case .otherType: break
        }
    }
}

/// What was found of the conditions of a filter in one event: bit i stands for condition i.
struct FilterFindings {
    /// Their tests hold.
    var held: UInt64 = 0
    /// The event has such a value.
    var seen: UInt64 = 0
    /// It has one of a type that they are about.
    var compared: UInt64 = 0
    /// It has one that their expressions read no more of.
    var tooLong: UInt64 = 0
    /// They were not asked of all that the event has of them.
    var cut: UInt64 = 0
    /// Nothing is known of them: another value may have held.
    var unasked: UInt64 { cut & ~held }
    var comparisons = FilterLimits.comparisonsMax
    var expressionBytes = FilterLimits.expressionBytesMax
    /// The body is JSON, or was not asked for.
    var isWhole = true
    var work: Int {
        FilterLimits.comparisonsMax - comparisons + FilterLimits.expressionBytesMax - expressionBytes
    }
}

extension FilterCandidate.Form {
    fileprivate init?(_ kind: JSONKind) {
        switch kind {
        case .absent, .malformed: return nil
        case .string: self = .string
        case .number: self = .number
        case .literal: self = .literal
        case .object: self = .object
        case .array: self = .array
        }
    }
}
