// Holds a JSON value against a schema and says everything that is wrong with it, with paths. Pure; used for the bodies
// of requests, and by tests for the bodies of answers.
import Engine

package struct SchemaCheck {
    private(set) var errors: [FieldProblem] = []
    /// Whoever breaks more rules mends these first. What is over it is not looked into: advice costs more than a key.
    package static let errorCountMax = 100

    package static func errors(_ value: JSONValue, _ schema: ObjectSchema, path: String = "") -> [FieldProblem] {
        var check = SchemaCheck()
        check.object(value, schema, path)
        return check.errors
    }

    private mutating func report(_ path: String, _ reason: String) {
        guard errors.count < SchemaCheck.errorCountMax else { return }
        errors.append(FieldProblem(path: path, reason: reason))
    }
    private func join(_ path: String, _ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    private mutating func object(_ value: JSONValue, _ schema: ObjectSchema, _ path: String) {
        guard case .object(let members) = value else { return report(path, "must be an object, not \(value.kind)") }
        if schema.fields.count(where: { members[$0.name] != nil }) < members.count {
            reportUnknown(members, schema, path)
            guard errors.count < SchemaCheck.errorCountMax else { return }
        }
        for field in schema.fields {
            switch members[field.name] {
            case nil where field.isRequired: report(join(path, field.name), "is required")
            case nil: break
            case .null? where !field.isRequired: break
            case let member?: one(member, field.schema, join(path, field.name))
            }
        }
    }

    private mutating func reportUnknown(_ members: [String: JSONValue], _ schema: ObjectSchema, _ path: String) {
        let known = schema.fields.map(\.name)
        for name in members.keys.sorted() where !known.contains(name) {
            guard errors.count < SchemaCheck.errorCountMax else { return }
            let advice =
                NearestName.of(name, among: known).map { "did you mean `\($0)`?" }
                ?? "known keys: \(known.joined(separator: ", "))"
            report(join(path, name), "unknown key; \(advice)")
        }
    }

    private mutating func one(_ value: JSONValue, _ schema: Schema, _ path: String) {
        switch schema {
        case .text: text(value, path)
        case .time:
            guard let text = text(value, path) else { return }
            if TimeText.parse(text) == nil { report(path, "must be a time such as 2026-01-31T00:00:00Z") }
        case .duration(let range):
            guard let text = text(value, path) else { return }
            guard let millis = TimeSpan.parse(text), range.contains(millis) else {
                let (low, high) = (TimeSpan.text(of: range.lowerBound), TimeSpan.text(of: range.upperBound))
                return report(path, "must be a duration from \(low) to \(high), such as 30s, 5m or 1h")
            }
        case .word(let words):
            guard let text = text(value, path), !words.contains(text) else { return }
            let advice = NearestName.of(text, among: words).map { "; did you mean `\($0)`?" } ?? ""
            report(path, "must be one of \(words.joined(separator: ", "))\(advice)")
        case .flag:
            if case .bool = value { return }
            report(path, "must be true or false, not \(value.kind)")
        case .integer(let range): integer(value, range, path)
        case .number(let range): number(value, range, path)
        case .list(let element, let countMax): list(value, element, countMax, path)
        case .map(let element):
            guard case .object(let members) = value else { return report(path, "must be an object, not \(value.kind)") }
            for (name, member) in members.sorted(by: { $0.key < $1.key }) { one(member, element, join(path, name)) }
        case .object(let schema): object(value, schema, path)
        case .flagOr(let schema):
            if case .bool = value { return }
            if case .object = value { return object(value, schema, path) }
            report(path, "must be true, false or an object, not \(value.kind)")
        case .integerOr(let range, let schema):
            if case .object = value { return object(value, schema, path) }
            integer(value, range, path, orElse: " or an object")
        case .orNull(let element): if value != .null { one(value, element, path) }
        case .anything: break
        }
    }

    @discardableResult private mutating func text(_ value: JSONValue, _ path: String) -> String? {
        if case .text(let text) = value { return text }
        report(path, "must be a text, not \(value.kind)")
        return nil
    }
    private mutating func integer(
        _ value: JSONValue, _ range: ClosedRange<Int>, _ path: String, orElse: String = ""
    ) {
        if case .integer(let integer) = value, let number = Int(exactly: integer), range.contains(number) { return }
        let (low, high) = (range.lowerBound, range.upperBound)
        let bound = high == Int.max ? "of at least \(low)" : "from \(low) to \(high)"
        report(path, "must be a whole number \(bound)\(orElse)")
    }
    private mutating func number(_ value: JSONValue, _ range: ClosedRange<Double>?, _ path: String) {
        let number: Double
        switch value {
        case .integer(let integer): number = Double(integer)
        case .number(let double): number = double
        default: return report(path, "must be a number, not \(value.kind)")
        }
        if let range, !range.contains(number) {
            report(path, "must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
    }
    private mutating func list(_ value: JSONValue, _ element: Schema, _ countMax: Int?, _ path: String) {
        guard case .list(let elements) = value else { return report(path, "must be a list, not \(value.kind)") }
        if let countMax, elements.count > countMax {
            return report(path, "has \(elements.count) elements; at most \(countMax) are allowed")
        }
        for (index, item) in elements.enumerated() { one(item, element, "\(path)[\(index)]") }
    }
}
