// Bodies of the contract edge, read field by field: every mistake is found and named by its path, and nothing counts
// before all of them are looked at.
import Engine
import FastPath

/// Members of an object, and what is wrong with them so far.
struct ContractFields {
    private let members: [String: JSONValue]
    private let path: String
    private(set) var problems: [FieldProblem] = []

    /// 400 for what is no JSON, 422 for what is no object.
    init(_ bytes: [UInt8], knowing names: [String]) throws {
        let value: JSONValue
        do throws(JSONProblem) { value = try JSONReading.value(bytes) } catch {
            throw EdgeRefusal(.malformedJSON, "the body \(bytes.isEmpty ? "is empty; it must be JSON" : error.message)")
        }
        guard case .object(let members) = value else {
            throw EdgeRefusal.invalid([FieldProblem(path: "", reason: "the body must be an object, not \(value.kind)")])
        }
        self.init(members, at: "", knowing: names)
    }
    init(_ members: [String: JSONValue], at path: String, knowing names: [String]) {
        self.members = members
        self.path = path
        for name in members.keys.sorted() where !names.contains(name) {
            guard problems.count < ContractFields.problemCountMax else { return }
            let advice =
                NearestName.of(name, among: names).map { "did you mean `\($0)`?" }
                ?? "known keys: \(names.joined(separator: ", "))"
            report(String(name.prefix(64)), "is an unknown key; \(advice)")
        }
    }
    /// Whoever breaks more rules mends these first.
    private static let problemCountMax = SchemaCheck.errorCountMax
    mutating func report(_ name: String, _ reason: String) {
        guard problems.count < ContractFields.problemCountMax else { return }
        problems.append(FieldProblem(path: path.isEmpty ? name : "\(path).\(name)", reason: reason))
    }
    mutating func take(_ other: ContractFields) {
        problems += other.problems.prefix(ContractFields.problemCountMax - problems.count)
    }
    func check() throws { if !problems.isEmpty { throw EdgeRefusal.invalid(problems) } }

    func has(_ name: String) -> Bool { members[name] != nil }
    /// Absent and null are the same.
    private func given(_ name: String) -> JSONValue? { members[name].flatMap { $0 == .null ? nil : $0 } }

    mutating func text(_ name: String, _ range: ClosedRange<Int>, isRequired: Bool = false) -> String? {
        guard let value = given(name) else {
            if isRequired { report(name, "is required") }
            return nil
        }
        // Not what a reader takes for one: such a character may have any number of marks.
        guard case .text(let text) = value, range.contains(text.unicodeScalars.count) else {
            report(name, "must be a text of \(range.lowerBound) to \(range.upperBound) characters")
            return nil
        }
        return text
    }
    mutating func word(_ name: String, among words: [String], isRequired: Bool = false) -> String? {
        guard let value = given(name) else {
            if isRequired { report(name, "is required: one of \(words.joined(separator: ", "))") }
            return nil
        }
        guard case .text(let text) = value, words.contains(text) else {
            report(name, "must be one of \(words.joined(separator: ", "))")
            return nil
        }
        return text
    }
    mutating func count(_ name: String, _ range: ClosedRange<Int>) -> Int? {
        guard let value = given(name) else { return nil }
        guard case .integer(let number) = value, range.contains(Int(clamping: number)) else {
            report(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return Int(number)
    }
    mutating func number(_ name: String, _ range: ClosedRange<Double>) -> Double? {
        guard let value = given(name) else { return nil }
        let number: Double? =
            switch value {
            case .integer(let whole): Double(whole)
            case .number(let number): number
            default: nil
            }
        guard let number, range.contains(number) else {
            report(name, "must be a number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }
    mutating func flag(_ name: String) -> Bool? {
        guard let value = given(name) else { return nil }
        guard case .bool(let flag) = value else {
            report(name, "must be true or false")
            return nil
        }
        return flag
    }
    mutating func texts(_ name: String, countMax: Int) -> [String]? {
        guard let value = given(name) else { return nil }
        if case .list(let list) = value, list.count <= countMax {
            let texts = list.compactMap { one -> String? in if case .text(let text) = one { text } else { nil } }
            if texts.count == list.count { return texts }
        }
        report(name, "must be a list of at most \(countMax) texts")
        return nil
    }
    mutating func object(_ name: String, knowing names: [String]) -> ContractFields? {
        guard let value = given(name) else { return nil }
        guard case .object(let members) = value else {
            report(name, "must be an object, not \(value.kind)")
            return nil
        }
        return ContractFields(members, at: path.isEmpty ? name : "\(path).\(name)", knowing: names)
    }
    func value(_ name: String) -> JSONValue? { members[name] }
}
