// What `$in` and `$nin` compare with, so that a value is looked up and not held against each. Immutable.
//
// Invariant: it comes to what equality with each operand in turn would come to, in O(log of their number) comparisons.

import FastPath

struct FilterOperandSet: Sendable {
    private var hasNull = false
    private var hasTrue = false
    private var hasFalse = false
    /// By their value, ascending.
    private var numbers: [[UInt8]] = []
    /// By their bytes, ascending.
    private var texts: [[UInt8]] = []
    private let longest: Int

    init(_ operands: [FilterOperand]) {
        for operand in operands {
            switch operand {
            case .null: hasNull = true
            case .bool(true): hasTrue = true
            case .bool(false): hasFalse = true
            case .number(let number): numbers.append(number)
            case .text(let text): texts.append(text)
            }
        }
        numbers.sort { FilterOperandSet.order(of: $0, to: $1) < 0 }
        texts.sort { left, right in left.withView { left in right.withView { left.ordered(before: $0) } } < 0 }
        longest = texts.map(\.count).max() ?? 0
    }
    /// Both were written as JSON.
    private static func order(of left: [UInt8], to right: [UInt8]) -> Int {
        left.withView { left in
            right.withView { right in
                guard let left = DecimalNumber(left), let right = DecimalNumber(right) else { return 0 }
                return left.compared(to: right)
            }
        }
    }

    func outcome(of candidate: FilterCandidate) -> FilterOutcome {
        var outcome = FilterOutcome.otherType
        func meet(_ found: Bool?) {
            guard let found, outcome != .holds else { return }
            outcome = found ? .holds : .differs
        }
        switch candidate.form {
        case .object, .array: break
        case .number: meet(number(candidate.view))
        case .literal:
            if hasNull { meet(candidate.view.equals("null")) }
            meet(word(candidate.view))
        case .text:
            meet(word(candidate.view))
            meet(number(candidate.view))
            if !texts.isEmpty { meet(text(candidate.view)) }
        case .string:
            guard !texts.isEmpty else { break }
            // An escape is up to six times as long as what it spells.
            guard candidate.view.count <= 6 * longest else { return .differs }
            meet(FilterCondition.decoded(candidate) { text($0) } ?? false)
        }
        return outcome
    }
    /// Nil when none of them is `true` or `false`.
    private func word(_ view: ByteView) -> Bool? {
        guard hasTrue || hasFalse else { return nil }
        return hasTrue && view.equals("true") || hasFalse && view.equals("false")
    }
    /// Nil when none of them is a number, or it is none.
    private func number(_ view: ByteView) -> Bool? {
        guard !numbers.isEmpty, let value = DecimalNumber(view) else { return nil }
        return FilterOperandSet.isFound(in: numbers) { operand in
            DecimalNumber(operand).map { value.compared(to: $0) } ?? 0
        }
    }
    private func text(_ view: ByteView) -> Bool {
        FilterOperandSet.isFound(in: texts) { view.ordered(before: $0) }
    }
    /// `order`: below, at or above 0 when what is looked for stands before, at or behind the operand.
    private static func isFound(in sorted: [[UInt8]], _ order: (ByteView) -> Int) -> Bool {
        var (low, high) = (0, sorted.count)
        while low < high {
            let middle = (low + high) / 2
            let found = sorted[middle].withView(order)
            if found == 0 { return true }
            if found < 0 { high = middle } else { low = middle + 1 }
        }
        return false
    }
}
