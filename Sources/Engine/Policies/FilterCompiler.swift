// From a filter as it was written to its conditions, their places in an event, and how they go together; and every
// reason to refuse one, with its place. docs/filters.md is its reference. Pure.
//
// Invariant: what compiles costs an event one pass over its lines for each condition on one, one over its body, and the
// comparisons that the bounds below allow.

import FastPath

/// How conditions go together.
indirect enum FilterNode: Sendable {
    case all([FilterNode])
    case any([FilterNode])
    case not(FilterNode)
    case condition(Int)
}

/// What a filter may be.
package enum FilterLimits {
    /// As JSON.
    package static let bytesMax = 16 << 10
    package static let depthMax = 16
    /// A bit each.
    package static let conditionCountMax = 64
    package static let pathCountMax = JSONWalk.pathCountMax
    /// Of one list.
    package static let listCountMax = 256
    /// Of one text that is compared with.
    package static let textBytesMax = 1024
    /// All expressions together.
    package static let instructionCountMax = 1000
    /// Text of one event that the expressions of a filter read.
    package static let expressionBytesMax = 16 << 10
    /// Of the values of one event with what a filter asks for: one for a short value and a condition, more for a long
    /// one.
    package static let comparisonsMax = 1 << 20
}

struct FilterCompiler {
    private enum Context {
        case event
        case headers
        case body([JSONWalkPath.Step])
        case value(FilterCondition.Subject)

        /// It holds parts, and no value.
        var isPart: Bool {
            switch self {
            case .event, .headers, .body([]): true
            case .body, .value: false
            }
        }
    }
    private(set) var conditions: [FilterCondition] = []
    private(set) var paths: [JSONWalkPath] = []
    private var instructionCount = 0
    private let withheld: [HeaderName]
    private static let credentials = CredentialMask()
    private static let parts = ["type", "source", "channels", "headers", "body"]
    private static let logic = ["$and", "$or", "$not"]
    private static let operators = FilterOperator.allCases.map(\.rawValue)

    init(withheld: [HeaderName]) { self.withheld = withheld }

    mutating func compile(_ filter: PlainJSON) throws(ValidationIssue) -> FilterNode {
        let size = filter.json.utf8.count
        guard size <= FilterLimits.bytesMax else {
            throw ValidationIssue(FieldPath(), "has \(size) bytes; at most \(FilterLimits.bytesMax)")
        }
        return try node(filter, .event, FieldPath(), 0)
    }

    // MARK: objects

    private mutating func node(
        _ value: PlainJSON, _ context: Context, _ place: FieldPath, _ depth: Int
    ) throws(ValidationIssue) -> FilterNode {
        guard depth <= FilterLimits.depthMax else {
            throw ValidationIssue(place, "is nested more than \(FilterLimits.depthMax) deep")
        }
        guard case .object(let members) = value else { return try bare(value, context, place) }
        guard !members.isEmpty else { throw ValidationIssue(place, "has no condition") }
        var nodes: [FilterNode] = []
        for (name, member) in members.sorted(by: { $0.key < $1.key }) {
            let place = place[name]
            if FilterCompiler.logic.contains(name) {
                nodes.append(try combined(name, member, context, place, depth))
            } else {
                nodes.append(try self.member(name, member, context, place, depth))
            }
        }
        return nodes.count == 1 ? nodes[0] : .all(nodes)
    }
    private mutating func combined(
        _ name: String, _ value: PlainJSON, _ context: Context, _ place: FieldPath, _ depth: Int
    ) throws(ValidationIssue) -> FilterNode {
        if name == "$not" { return .not(try node(value, context, place, depth + 1)) }
        guard case .list(let list) = value, !list.isEmpty else {
            throw ValidationIssue(place, "takes a list of conditions, such as [{…}, {…}]")
        }
        var nodes: [FilterNode] = []
        for (index, one) in list.enumerated() {
            guard case .object = one else { throw ValidationIssue(place[index], "must be an object of conditions") }
            nodes.append(try node(one, context, place[index], depth + 1))
        }
        return name == "$and" ? .all(nodes) : .any(nodes)
    }
    private mutating func member(
        _ name: String, _ value: PlainJSON, _ context: Context, _ place: FieldPath, _ depth: Int
    ) throws(ValidationIssue) -> FilterNode {
        switch context {
        case .event: return try node(value, try part(name, place), place, depth + 1)
        case .headers: return try node(value, .value(try header(name, place)), place, depth + 1)
        case .value(let subject): return .condition(try condition(name, value, subject, place))
        case .body(let steps):
            if !steps.isEmpty, FilterOperator(rawValue: name) != nil {
                return .condition(try condition(name, value, try subject(steps, place), place))
            }
            return try node(value, .body(try path(name, behind: steps, place)), place, depth + 1)
        }
    }
    /// A value alone is compared with.
    private mutating func bare(
        _ value: PlainJSON, _ context: Context, _ place: FieldPath
    ) throws(ValidationIssue) -> FilterNode {
        if case .list = value, !context.isPart {
            throw ValidationIssue(place, "is a list; write { $in: […] } for one of several")
        }
        switch context {
        case .event:
            throw ValidationIssue(place, "must be an object such as { type: { $startsWith: invoice. } }")
        case .headers: throw ValidationIssue(place, "must be an object such as { X-Region: eu }")
        case .body([]): throw ValidationIssue(place, "must be an object such as { $.data.amount: { $gte: 100 } }")
        case .body(let steps): return try equality(value, try subject(steps, place), place)
        case .value(let subject): return try equality(value, subject, place)
        }
    }
    private mutating func equality(
        _ value: PlainJSON, _ subject: FilterCondition.Subject, _ place: FieldPath
    ) throws(ValidationIssue) -> FilterNode {
        .condition(try add(.equal, value, subject, place))
    }

    // MARK: places of an event

    private func part(_ name: String, _ place: FieldPath) throws(ValidationIssue) -> Context {
        switch name {
        case "type": return .value(.type)
        case "source": return .value(.source)
        case "channels": return .value(.channels)
        case "headers": return .headers
        case "body": return .body([])
        default: throw unknown(name, among: FilterCompiler.parts + FilterCompiler.logic, place)
        }
    }
    private func header(_ name: String, _ place: FieldPath) throws(ValidationIssue) -> FilterCondition.Subject {
        if name.hasPrefix("$") { throw unknown(name, among: FilterCompiler.logic, place) }
        let lowered = Array(name.lowercased().utf8)
        guard name.utf8.count <= ExtrasRules.nameBytesMax, lowered.withView({ FieldRules.isToken($0) }) else {
            throw ValidationIssue(place, "is not the name of a header field")
        }
        guard !name.lowercased().hasPrefix("sluice-") else {
            throw ValidationIssue(
                place, "is a field of Sluice's own; `type`, `source` and `channels` say what it does")
        }
        guard !FilterCompiler.credentials.hides(name) else {
            throw ValidationIssue(place, "carries a credential, which a filter does not read")
        }
        let isWithheld = withheld.contains { secret in lowered.withView { $0.equals(secret.view) } }
        return isWithheld ? .withheld : .header(lowered)
    }
    private func path(
        _ name: String, behind steps: [JSONWalkPath.Step], _ place: FieldPath
    ) throws(ValidationIssue) -> [JSONWalkPath.Step] {
        var steps = steps
        if name.hasPrefix("$.") || name.hasPrefix("$[") {
            do throws(JSONPathError) { steps += try JSONWalkPath(name).steps } catch {
                switch error {
                case .bad(_, let why): throw ValidationIssue(place, why)
                }
            }
        } else if name.hasPrefix("$") {
            throw unknown(name, among: FilterCompiler.operators + FilterCompiler.logic, place)
        } else {
            guard !name.isEmpty, !name.contains(where: { $0 == "." || $0 == "[" }) else {
                throw ValidationIssue(
                    place, "is no name; a path is `$.data.amount`, and a name with a dot `$['data.amount']`")
            }
            steps.append(.key(name))
        }
        guard steps.count <= JSONWalkPath.stepCountMax else {
            throw ValidationIssue(
                place, "leads \(steps.count) steps deep into the body; at most \(JSONWalkPath.stepCountMax)")
        }
        return steps
    }
    private mutating func subject(
        _ steps: [JSONWalkPath.Step], _ place: FieldPath
    ) throws(ValidationIssue) -> FilterCondition.Subject {
        let path = JSONWalkPath(steps: steps)
        if let known = paths.firstIndex(of: path) { return .body(known) }
        guard paths.count < FilterLimits.pathCountMax else {
            throw ValidationIssue(
                place, "is one path too many; a filter takes at most \(FilterLimits.pathCountMax)")
        }
        paths.append(path)
        return .body(paths.count - 1)
    }
    private func unknown(_ name: String, among names: [String], _ place: FieldPath) -> ValidationIssue {
        let advice =
            NearestName.of(name, among: names).map { "did you mean `\($0)`?" }
            ?? "known here: \(names.joined(separator: ", "))"
        return ValidationIssue(place, "is unknown; \(advice)")
    }

    // MARK: conditions

    private mutating func condition(
        _ name: String, _ value: PlainJSON, _ subject: FilterCondition.Subject, _ place: FieldPath
    ) throws(ValidationIssue) -> Int {
        guard let op = FilterOperator(rawValue: name) else {
            throw unknown(name, among: FilterCompiler.operators + FilterCompiler.logic, place)
        }
        return try add(op, value, subject, place)
    }
    private mutating func add(
        _ op: FilterOperator, _ value: PlainJSON, _ subject: FilterCondition.Subject, _ place: FieldPath
    ) throws(ValidationIssue) -> Int {
        guard conditions.count < FilterLimits.conditionCountMax else {
            throw ValidationIssue(
                place, "is one condition too many; a filter takes at most \(FilterLimits.conditionCountMax)")
        }
        let isOfBody = if case .body = subject { true } else { false }
        let (test, isNegated) = try test(op, value, isOfBody: isOfBody, place)
        conditions.append(
            FilterCondition(
                subject: subject, test: test, isNegated: isNegated, op: op, place: place, operand: value.json))
        return conditions.count - 1
    }
    private mutating func test(
        _ op: FilterOperator, _ value: PlainJSON, isOfBody: Bool, _ place: FieldPath
    ) throws(ValidationIssue) -> (FilterCondition.Test, isNegated: Bool) {
        switch op {
        case .equal, .unequal: return (.equals(try operand(value, isOfBody, place)), op == .unequal)
        case .oneOf, .noneOf: return (.oneOf(FilterOperandSet(try operands(value, isOfBody, place))), op == .noneOf)
        case .greater: return (.ordered(sign: 1, orEqual: false, try orderedOperand(value, place)), false)
        case .greaterOrEqual: return (.ordered(sign: 1, orEqual: true, try orderedOperand(value, place)), false)
        case .less: return (.ordered(sign: -1, orEqual: false, try orderedOperand(value, place)), false)
        case .lessOrEqual: return (.ordered(sign: -1, orEqual: true, try orderedOperand(value, place)), false)
        case .startsWith: return (.startsWith(try text(value, place)), false)
        case .endsWith: return (.endsWith(try text(value, place)), false)
        case .contains:
            let operand = try operand(value, isOfBody, place)
            guard case .text(let text) = operand else { return (.contains(nil, operand), false) }
            guard !text.isEmpty else { throw ValidationIssue(place, "is empty; every text contains that") }
            return (.contains(ByteSearch(text), operand), false)
        case .exists:
            guard case .bool(let flag) = value else { throw ValidationIssue(place, "takes true or false") }
            return (.exists, !flag)
        case .matches: return (.matches(try pattern(value, place)), false)
        }
    }
    private func operand(
        _ value: PlainJSON, _ isOfBody: Bool, _ place: FieldPath
    ) throws(ValidationIssue) -> FilterOperand {
        switch value {
        case .null where isOfBody: return .null
        case .null: throw ValidationIssue(place, "is null, which is only in a body; write { $exist: false }")
        case .bool(let flag): return .bool(flag)
        case .integer, .number: return .number(Array(value.json.utf8))
        case .text(let text): return .text(try bounded(text, place))
        case .list, .object: throw ValidationIssue(place, "takes a text, a number, true, false or null")
        }
    }
    private func operands(
        _ value: PlainJSON, _ isOfBody: Bool, _ place: FieldPath
    ) throws(ValidationIssue) -> [FilterOperand] {
        guard case .list(let list) = value, !list.isEmpty else {
            throw ValidationIssue(place, "takes a list of at least one value, such as [eu, us]")
        }
        guard list.count <= FilterLimits.listCountMax else {
            throw ValidationIssue(place, "has \(list.count) values; at most \(FilterLimits.listCountMax)")
        }
        var operands: [FilterOperand] = []
        for (index, one) in list.enumerated() { operands.append(try operand(one, isOfBody, place[index])) }
        return operands
    }
    private func orderedOperand(_ value: PlainJSON, _ place: FieldPath) throws(ValidationIssue) -> FilterOperand {
        switch value {
        case .integer, .number: return .number(Array(value.json.utf8))
        case .text(let text): return .text(try bounded(text, place))
        case .null, .bool, .list, .object: throw ValidationIssue(place, "takes a number or a text")
        }
    }
    private func text(_ value: PlainJSON, _ place: FieldPath) throws(ValidationIssue) -> [UInt8] {
        guard case .text(let text) = value, !text.isEmpty else { throw ValidationIssue(place, "takes a text") }
        return try bounded(text, place)
    }
    private func bounded(_ text: String, _ place: FieldPath) throws(ValidationIssue) -> [UInt8] {
        guard text.utf8.count <= FilterLimits.textBytesMax else {
            throw ValidationIssue(
                place, "is a text of \(text.utf8.count) bytes; at most \(FilterLimits.textBytesMax)")
        }
        return Array(text.utf8)
    }
    private mutating func pattern(_ value: PlainJSON, _ place: FieldPath) throws(ValidationIssue) -> LinearPattern {
        let spelled = String(decoding: try text(value, place), as: UTF8.self)
        let pattern: LinearPattern
        do throws(LinearPatternError) { pattern = try LinearPattern.shared(spelled) } catch {
            throw ValidationIssue(place, "is no regular expression (RE2): \(error.reason)")
        }
        instructionCount += pattern.instructionCount
        guard instructionCount <= FilterLimits.instructionCountMax else {
            throw ValidationIssue(
                place,
                "costs too much: the expressions of a filter may compile to \(FilterLimits.instructionCountMax) "
                    + "instructions together, and come to \(instructionCount)")
        }
        return pattern
    }
}
