// One body held against one schema. A value that lives for one check; worker threads.
//
// Invariants: a check takes at most `stepCountMax` steps and `nestingMax` levels, and a body that needs more is refused
// as such, whatever else holds; violations name places and what would be right, never a value of the body.
import FastPath

package enum SchemaVerdict: Equatable, Sendable {
    case valid
    /// No JSON at all.
    case notJSON(JSONProblem)
    /// At most `violationCountMax`.
    case violated([SchemaViolation])
}

struct SchemaRun {
    private enum Step {
        case member(Int)
        case element(Int)
    }
    private let schema: EventSchema
    private let document: JSONDocument
    private let stepCountMax: Int
    private(set) var steps = 0
    private var nesting = 0
    private var isExhausted = false
    private var path: [Step] = []
    private var violations: [SchemaViolation] = []

    init(_ schema: EventSchema, _ document: JSONDocument, stepCountMax: Int) {
        self.schema = schema
        self.document = document
        self.stepCountMax = stepCountMax
    }

    mutating func verdict() -> SchemaVerdict {
        let isValid = check(schema.root, 0, collects: true)
        if isExhausted { return .violated([SchemaRun.tooMuch]) }
        return isValid ? .valid : .violated(violations)
    }
    private static let tooMuch = SchemaViolation(
        instancePath: "", schemaPath: "#", keyword: "limits",
        message: "must take at most \(SchemaBounds.stepCountMax) steps to check, nested at most "
            + "\(SchemaBounds.nestingMax) deep")

    private mutating func pay(_ count: Int) -> Bool {
        steps += count
        if steps > stepCountMax { isExhausted = true }
        return !isExhausted
    }

    /// Without `collects` it ends at the first rule that is broken.
    private mutating func check(_ index: RuleIndex, _ place: Int, collects: Bool) -> Bool {
        guard pay(1) else { return false }
        guard nesting < SchemaBounds.nestingMax else {
            isExhausted = true
            return false
        }
        let rule = schema.rules[index]
        if rule.refusesAll {
            return fail(rule, "", "must not be there", collects)
        }
        nesting += 1
        defer { nesting -= 1 }
        var isValid = true
        for test in rule.tests {
            if holds(test, rule, place, collects) { continue }
            isValid = false
            if !collects || isExhausted || violations.count >= SchemaBounds.violationCountMax { break }
        }
        return isValid
    }

    private mutating func holds(_ test: SchemaTest, _ rule: SchemaRule, _ place: Int, _ collects: Bool) -> Bool {
        switch test {
        case .reference(let target): return check(target, place, collects: collects)
        case .types(let types):
            return isOf(types, place) || fail(rule, "type", "must be " + SchemaWords.types(types), collects)
        case .values(let values): return isOne(of: values, rule, place, collects)
        case .limit, .multiple: return holdsForNumber(test, rule, place, collects)
        case .textSize, .pattern, .format: return holdsForText(test, rule, place, collects)
        case .items, .itemCount, .unique, .contains: return holdsForList(test, rule, place, collects)
        case .members, .names, .memberCount, .required, .dependency:
            return holdsForObject(test, rule, place, collects)
        case .all, .any, .one, .not, .conditional: return holdsTogether(test, rule, place, collects)
        }
    }

    // MARK: what is said

    /// False.
    private mutating func fail(_ rule: SchemaRule, _ keyword: String, _ message: String, _ collects: Bool) -> Bool {
        guard collects, violations.count < SchemaBounds.violationCountMax else { return false }
        violations.append(
            SchemaViolation(
                instancePath: instancePath, schemaPath: keyword.isEmpty ? rule.path : rule.path + "/" + keyword,
                keyword: keyword.isEmpty ? SchemaWords.keyword(ofFalse: rule.path) : keyword, message: message))
        return false
    }
    private var instancePath: String {
        path.map { step in
            switch step {
            case .element(let index): "/\(index)"
            case .member(let name): "/" + SchemaWords.pointed(document.bytes(name))
            }
        }.joined()
    }
    private mutating func check(
        _ index: RuleIndex, _ place: Int, under step: Step, collects: Bool
    ) -> Bool {
        path.append(step)
        defer { path.removeLast() }
        return check(index, place, collects: collects)
    }
    /// Whether to look further after one that failed.
    private func goesOn(_ collects: Bool) -> Bool {
        collects && !isExhausted && violations.count < SchemaBounds.violationCountMax
    }

    // MARK: any value

    private func isOf(_ types: SchemaTypes, _ place: Int) -> Bool {
        switch document.kind(place) {
        case .null: types.contains(.null)
        case .no, .yes: types.contains(.boolean)
        case .number:
            types.contains(.number)
                || types.contains(.integer) && document.withView(place) { DecimalNumber($0)?.isWhole ?? false }
        case .text: types.contains(.string)
        case .list: types.contains(.array)
        case .object: types.contains(.object)
        }
    }
    private mutating func isOne(
        of values: SchemaTest.Values, _ rule: SchemaRule, _ place: Int, _ collects: Bool
    ) -> Bool {
        var sameness = JSONSameness()
        // The values of the schema are read once, when it is saved; of the body only as much as the value is long.
        var isFound = false
        if pay(document.length(place) >> 5), values.hashes.contains(sameness.hash(document, place)) {
            for other in values.places where !isFound {
                isFound = sameness.isSame(document, place, schema.document, other)
                if sameness.steps > SchemaBounds.stepCountMax { break }
            }
        }
        guard pay(sameness.steps) else { return false }
        return isFound || fail(rule, values.keyword, SchemaWords.values(values, in: schema.document), collects)
    }

    // MARK: numbers and texts

    private mutating func holdsForNumber(
        _ test: SchemaTest, _ rule: SchemaRule, _ place: Int, _ collects: Bool
    ) -> Bool {
        guard document.kind(place) == .number, pay(document.length(place) >> 5) else { return !isExhausted }
        switch test {
        case .limit(let limit):
            let order = document.withView(place) { value in
                limit.number.withView { bound in
                    guard let value = DecimalNumber(value), let bound = DecimalNumber(bound) else { return 0 }
                    return value.compared(to: bound)
                }
            }
            return limit.order.takes(order)
                || fail(
                    rule, limit.order.rawValue,
                    "must be \(limit.order.words) \(String(decoding: limit.number, as: UTF8.self))", collects)
        case .multiple(let divisor, let text):
            return document.withView(place) { DecimalNumber($0).map { divisor.divides($0) } ?? false }
                || fail(rule, "multipleOf", "must be a multiple of \(text)", collects)
        default: return true
        }
    }
    private mutating func holdsForText(
        _ test: SchemaTest, _ rule: SchemaRule, _ place: Int, _ collects: Bool
    ) -> Bool {
        guard document.kind(place) == .text, pay(document.length(place) >> 5) else { return !isExhausted }
        let text = document.bytes(place)
        switch test {
        case .textSize(let size):
            // Characters, not bytes.
            let count = text.count(where: { $0 & 0xC0 != 0x80 })
            return size.takes(count) || fail(rule, size.keyword, size.words("character"), collects)
        case .pattern(let pattern):
            return text.withView { pattern.matches($0) }
                || fail(rule, "pattern", "must match the expression \(SchemaWords.shown(pattern.text))", collects)
        case .format(let format):
            return format.takes(text) || fail(rule, "format", "must be \(format.wanted)", collects)
        default: return true
        }
    }

    // MARK: lists

    private mutating func holdsForList(
        _ test: SchemaTest, _ rule: SchemaRule, _ place: Int, _ collects: Bool
    ) -> Bool {
        // Finding its elements is work of its own, also where few of them are looked at.
        guard document.kind(place) == .list, pay(document.count(place) >> 5) else { return !isExhausted }
        switch test {
        case .itemCount(let size):
            return size.takes(document.count(place)) || fail(rule, size.keyword, size.words("element"), collects)
        case .unique: return isUnique(place) || fail(rule, "uniqueItems", "must have no element twice", collects)
        case .items(let items):
            var isValid = true
            for (index, element) in document.elements(of: place).enumerated() {
                guard let own = index < items.first.count ? items.first[index] : items.rest else { break }
                if check(own, element, under: .element(index), collects: collects) { continue }
                isValid = false
                guard goesOn(collects) else { break }
            }
            return isValid
        case .contains(let contains):
            var count = 0
            for element in document.elements(of: place) {
                if check(contains.rule, element, collects: false) { count += 1 }
                if isExhausted { return false }
            }
            if count < contains.minimum {
                let wanted = contains.minimum == 1 ? "an element" : "at least \(contains.minimum) elements"
                return fail(rule, "contains", "must have \(wanted) that matches `contains`", collects)
            }
            guard let maximum = contains.maximum, count > maximum else { return true }
            return fail(
                rule, "maxContains", "must have at most \(maximum) elements that match `contains`", collects)
        default: return true
        }
    }
    /// By hashes, so that it costs as much as the list is long.
    private mutating func isUnique(_ place: Int) -> Bool {
        var sameness = JSONSameness()
        var byHash: [Int: [Int]] = [:]
        for element in document.elements(of: place) {
            let before = sameness.steps
            let hash = sameness.hash(document, element)
            for other in byHash[hash] ?? [] where sameness.isSame(document, other, document, element) {
                return false
            }
            byHash[hash, default: []].append(element)
            guard pay(sameness.steps - before) else { return false }
        }
        return true
    }

    // MARK: objects

    private mutating func holdsForObject(
        _ test: SchemaTest, _ rule: SchemaRule, _ place: Int, _ collects: Bool
    ) -> Bool {
        guard document.kind(place) == .object, pay(document.count(place) >> 4) else { return !isExhausted }
        switch test {
        case .memberCount(let size):
            return size.takes(document.count(place)) || fail(rule, size.keyword, size.words("member"), collects)
        case .members(let members): return holdsForMembers(members, rule, place, collects)
        case .names(let names):
            var isValid = true
            for member in document.members(of: place) {
                if check(names, member.name, under: .member(member.name), collects: collects) { continue }
                isValid = false
                guard goesOn(collects) else { break }
            }
            return isValid
        case .required(let names):
            let there = self.names(of: place)
            var isValid = true
            for name in names where !there.contains(name) {
                isValid = fail(rule, "required", "must have `\(SchemaWords.name(name))`", collects)
                guard goesOn(collects) else { break }
            }
            return isValid
        case .dependency(let dependency): return holds(dependency, rule, place, collects)
        default: return true
        }
    }
    private mutating func names(of place: Int) -> Set<[UInt8]> {
        var names: Set<[UInt8]> = []
        for member in document.members(of: place) {
            guard pay(1 + document.length(member.name) >> 5) else { break }
            names.insert(document.bytes(member.name))
        }
        return names
    }
    private mutating func holdsForMembers(
        _ members: SchemaTest.Members, _ rule: SchemaRule, _ place: Int, _ collects: Bool
    ) -> Bool {
        var isValid = true
        for member in document.members(of: place) {
            let reading = document.length(member.name) >> 5
            guard pay(1 + reading + (1 + reading) * members.patterns.count) else { return false }
            let name = document.bytes(member.name)
            var isKnown = false
            var isRight = true
            if let own = members.properties[name] {
                isKnown = true
                isRight = check(own, member.value, under: .member(member.name), collects: collects)
            }
            for (pattern, own) in members.patterns where name.withView({ pattern.matches($0) }) {
                isKnown = true
                if !check(own, member.value, under: .member(member.name), collects: collects) { isRight = false }
            }
            if !isKnown, let rest = members.rest {
                isRight = check(rest, member.value, under: .member(member.name), collects: collects)
            }
            if isRight { continue }
            isValid = false
            guard goesOn(collects) else { break }
        }
        return isValid
    }
    private mutating func holds(
        _ dependency: SchemaTest.Dependency, _ rule: SchemaRule, _ place: Int, _ collects: Bool
    ) -> Bool {
        let there = names(of: place)
        guard there.contains(dependency.name) else { return true }
        if let own = dependency.rule { return check(own, place, collects: collects) }
        guard let missing = dependency.needs.first(where: { !there.contains($0) }) else { return true }
        return fail(
            rule, dependency.keyword,
            "must have `\(SchemaWords.name(missing))`, as it has `\(SchemaWords.name(dependency.name))`", collects)
    }

    // MARK: several together

    private mutating func holdsTogether(
        _ test: SchemaTest, _ rule: SchemaRule, _ place: Int, _ collects: Bool
    ) -> Bool {
        switch test {
        case .all(let rules):
            var isValid = true
            for own in rules where !check(own, place, collects: collects) {
                isValid = false
                guard goesOn(collects) else { break }
            }
            return isValid
        case .any(let rules):
            for own in rules where check(own, place, collects: false) { return true }
            return fail(rule, "anyOf", "must match one or more of the \(rules.count) schemas of `anyOf`", collects)
        case .one(let rules):
            var count = 0
            for own in rules where check(own, place, collects: false) {
                count += 1
                if count > 1 { break }
            }
            let found = count == 0 ? "none" : "more than one"
            return count == 1
                || fail(
                    rule, "oneOf",
                    "must match exactly one of the \(rules.count) schemas of `oneOf`; it matches \(found)", collects)
        case .not(let own):
            return !check(own, place, collects: false) && !isExhausted
                || fail(rule, "not", "must not match the schema of `not`", collects)
        case .conditional(let condition, let then, let otherwise):
            let branch = check(condition, place, collects: false) ? then : otherwise
            guard let branch, !isExhausted else { return !isExhausted }
            return check(branch, place, collects: collects)
        default: return true
        }
    }
}
