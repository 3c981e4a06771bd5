// One condition of a filter: what it asks for, where, and whether a value meets it. Passive; a value is read where it
// stands in the record.
//
// Invariants: O(length of the value) a condition, which is what `cost` says; expressions read no more than their budget
// of text.

import FastPath

package enum FilterOperator: String, CaseIterable, Sendable {
    case equal = "$eq"
    case unequal = "$neq"
    case greater = "$gt"
    case greaterOrEqual = "$gte"
    case less = "$lt"
    case lessOrEqual = "$lte"
    case oneOf = "$in"
    case noneOf = "$nin"
    case startsWith = "$startsWith"
    case endsWith = "$endsWith"
    case contains = "$contains"
    case exists = "$exist"
    case matches = "$regex"
}

/// What a value is compared with.
enum FilterOperand: Sendable {
    case null
    case bool(Bool)
    /// As a number of JSON.
    case number([UInt8])
    case text([UInt8])
}

/// A value of an event, where it stands.
struct FilterCandidate {
    enum Form {
        /// Of a header field, a type, a source, a channel: it is what it says.
        case text
        /// Of JSON: between the quotes, escapes as they are.
        case string
        case number, literal, object, array
    }
    let view: ByteView
    let form: Form
    /// Of an array that is the value, or of a list of channels.
    var isElement = false
}

enum FilterOutcome: Sendable {
    case holds
    case differs
    /// The condition is about values of another type.
    case otherType
    /// A text that the expressions of a filter read no more of.
    case tooLong
}

struct FilterCondition: Sendable {
    enum Subject: Equatable, Sendable {
        case type, source, channels
        /// Its name in lower case.
        case header([UInt8])
        /// A field that carries a source's secret: it is not there for a filter.
        case withheld
        /// The place of the path in the walk.
        case body(Int)
    }
    enum Test: Sendable {
        case equals(FilterOperand)
        case oneOf(FilterOperandSet)
        /// `sign` of the comparison that is asked for, or the same value where `orEqual`.
        case ordered(sign: Int, orEqual: Bool, FilterOperand)
        case startsWith([UInt8])
        case endsWith([UInt8])
        /// In a text; as an element of an array.
        case contains(ByteSearch?, FilterOperand)
        case exists
        case matches(LinearPattern)
    }
    let subject: Subject
    let test: Test
    /// It holds where `test` does not.
    let isNegated: Bool
    let op: FilterOperator
    /// In the filter.
    let place: FieldPath
    /// What it compares with, as JSON.
    let operand: String

    /// What it takes to ask it of a value, in comparisons of short ones.
    func cost(of candidate: FilterCandidate) -> Int {
        switch candidate.form {
        case .object, .array: return 1
        case .text, .string, .number, .literal: break
        }
        let length = 1 + candidate.view.count / 32
        switch test {
        case .exists: return 1
        case .oneOf: return 1 + length
        case .matches: return 4 + length
        case .equals, .ordered, .startsWith, .endsWith, .contains: return length
        }
    }
    func outcome(of candidate: FilterCandidate, expressionBytes: inout Int) -> FilterOutcome {
        switch test {
        case .exists: return candidate.isElement ? .differs : .holds
        case .equals(let operand): return FilterCondition.equals(operand, candidate)
        case .oneOf(let operands): return operands.outcome(of: candidate)
        case .ordered(let sign, let orEqual, let operand):
            guard let compared = FilterCondition.compared(candidate, operand) else { return .otherType }
            return compared.signum() == sign || (orEqual && compared == 0) ? .holds : .differs
        case .startsWith(let start): return FilterCondition.text(candidate) { $0.begins(with: start) }
        case .endsWith(let end): return FilterCondition.text(candidate) { $0.ends(with: end) }
        case .contains(let search, let operand):
            if candidate.isElement { return FilterCondition.equals(operand, candidate) }
            guard let search else { return .otherType }
            return FilterCondition.text(candidate) { search.isFound(in: $0) }
        case .matches(let pattern):
            guard candidate.form == .text || candidate.form == .string else { return .otherType }
            guard candidate.view.count <= expressionBytes else { return .tooLong }
            expressionBytes -= candidate.view.count
            return FilterCondition.text(candidate) { pattern.matches($0) }
        }
    }

    private static func equals(_ operand: FilterOperand, _ candidate: FilterCandidate) -> FilterOutcome {
        let view = candidate.view
        switch (operand, candidate.form) {
        case (.null, .literal): return view.equals("null") ? .holds : .differs
        case (.bool(let flag), .literal), (.bool(let flag), .text):
            return view.equals(flag ? "true" : "false") ? .holds : .differs
        case (.number, .number), (.number, .text):
            guard let compared = compared(candidate, operand) else { return .otherType }
            return compared == 0 ? .holds : .differs
        case (.text(let text), .text): return text.withView { view.equals($0) } ? .holds : .differs
        case (.text(let text), .string):
            // An escape is longer than what it spells.
            guard view.count >= text.count else { return .differs }
            return text.withView { JSONEscape.spells(view, $0) } ? .holds : .differs
        default: return .otherType
        }
    }
    /// Below, at or above 0: the candidate is less, the same or greater. Nil for values that have no order together.
    private static func compared(_ candidate: FilterCandidate, _ operand: FilterOperand) -> Int? {
        switch (operand, candidate.form) {
        case (.number(let number), .number), (.number(let number), .text):
            guard let value = DecimalNumber(candidate.view) else { return nil }
            return number.withView { DecimalNumber($0).map { value.compared(to: $0) } }
        case (.text(let text), .text), (.text(let text), .string):
            return decoded(candidate) { view in text.withView { view.ordered(before: $0) } }
        default: return nil
        }
    }
    private static func text(_ candidate: FilterCandidate, _ test: (ByteView) -> Bool) -> FilterOutcome {
        decoded(candidate) { test($0) ? .holds : .differs } ?? .otherType
    }
    /// Nil for what is no text, or spells none.
    static func decoded<Answer>(_ candidate: FilterCandidate, _ body: (ByteView) -> Answer) -> Answer? {
        switch candidate.form {
        case .text: return body(candidate.view)
        case .string:
            guard candidate.view.hasByte(UInt8(ascii: "\\")) else { return body(candidate.view) }
            return JSONEscape.decoded(candidate.view).map { $0.withView(body) }
        case .number, .literal, .object, .array: return nil
        }
    }
}

extension ByteView {
    fileprivate func begins(with bytes: [UInt8]) -> Bool {
        bytes.count <= count && bytes.withView { slice(0, bytes.count).equals($0) }
    }
    fileprivate func ends(with bytes: [UInt8]) -> Bool {
        bytes.count <= count && bytes.withView { slice(count - bytes.count, bytes.count).equals($0) }
    }
    fileprivate func hasByte(_ byte: UInt8) -> Bool {
        for index in 0..<count where self[index] == byte { return true }
        return false
    }
    /// By bytes, which is the order of characters; the shorter one first.
    func ordered(before other: ByteView) -> Int {
        for index in 0..<min(count, other.count) where self[index] != other[index] {
            return self[index] < other[index] ? -1 : 1
        }
        return count - other.count
    }
}
