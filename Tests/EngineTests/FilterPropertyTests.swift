// Filters against a plain reading of their rules: documents and filters that a seeded generator makes, a tree that is
// walked without any cleverness, and the same answer from both; and any bytes at all.
import Engine
import FastPath
import TestSupport
import Testing

/// A value, and how it may be spelled. Numbers are thousandths.
private indirect enum Tree {
    case null, bool(Bool), number(Int), text(String)
    case list([Tree])
    case object([(name: String, value: Tree)])
}

extension Tree {
    fileprivate var isContainer: Bool {
        switch self {
        case .list, .object: true
        case .null, .bool, .number, .text: false
        }
    }
}

private enum Step { case key(String), index(Int), any }

private indirect enum Rule {
    case all([Rule]), any([Rule]), not(Rule)
    case body([Step], String, PlainJSON)
    case type(String, PlainJSON)
}

private struct Generator {
    var random: SeededRandom
    private static let names = ["a", "b", "é", "k\"q"]
    private static let texts = ["", "a", "ab", "b", "ba", "é\n", "😀", "100", "true"]
    private static let operators = [
        "$eq", "$neq", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$startsWith", "$endsWith", "$contains", "$exist",
        "$regex",
    ]

    mutating func pick<Element>(_ list: [Element]) -> Element { list[Int.random(in: 0..<list.count, using: &random)] }
    mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

    mutating func tree(_ depth: Int = 0) -> Tree {
        switch Int.random(in: 0..<(depth < 4 ? 8 : 4), using: &random) {
        case 0: return pick([.null, .bool(true), .bool(false)])
        case 1, 2: return .number(pick([0, 1000, 1500, -1500, 100_000, 1, -7]))
        case 3: return .text(pick(Generator.texts))
        case 4, 5: return .list((0..<Int.random(in: 0...3, using: &random)).map { _ in tree(depth + 1) })
        default: return object(depth)
        }
    }
    mutating func object(_ depth: Int) -> Tree {
        .object((0..<Int.random(in: 0...4, using: &random)).map { _ in (pick(Generator.names), tree(depth + 1)) })
    }

    mutating func spelled(_ tree: Tree) -> String {
        let space = pick(["", "", " ", "\n\t"])
        switch tree {
        case .null: return space + "null"
        case .bool(let flag): return space + "\(flag)"
        case .number(let thousandths): return space + number(thousandths)
        case .text(let text): return space + quoted(text)
        case .list(let list): return space + "[" + list.map { spelled($0) }.joined(separator: ",") + space + "]"
        case .object(let members):
            let words = members.map { quoted($0.name) + space + ":" + spelled($0.value) }
            return space + "{" + words.joined(separator: ",") + space + "}"
        }
    }
    private mutating func number(_ thousandths: Int) -> String {
        let (sign, size) = (thousandths < 0 ? "-" : "", abs(thousandths))
        let whole = size / 1000
        let rest = String(String(size % 1000 + 1000).dropFirst())
        switch Int.random(in: 0..<4, using: &random) {
        case 0 where size % 1000 == 0: return "\(sign)\(whole)"
        case 1: return "\(sign)\(size)e-3"
        case 2: return "\(sign)0.000\(size)E+\(String(size).count)"
        default: return "\(sign)\(whole).\(rest)00"
        }
    }
    private mutating func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            let isEscaped = scalar.value < 0x20 || scalar == "\"" || scalar == "\\" || chance(3)
            guard isEscaped else {
                quoted.unicodeScalars.append(scalar)
                continue
            }
            for unit in String(Character(scalar)).utf16 {
                let digits = String(unit, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return quoted + "\""
    }

    mutating func rule(_ depth: Int = 0) -> Rule {
        switch Int.random(in: 0..<(depth < 3 ? 6 : 3), using: &random) {
        case 3: return .all((0..<Int.random(in: 1...3, using: &random)).map { _ in rule(depth + 1) })
        case 4: return .any((0..<Int.random(in: 1...3, using: &random)).map { _ in rule(depth + 1) })
        case 5: return .not(rule(depth + 1))
        default: break
        }
        let op = pick(Generator.operators)
        if chance(6) { return .type(op, operand(op, isOfBody: false)) }
        let steps = (0..<Int.random(in: 1...4, using: &random)).map { _ -> Step in
            pick([.key(pick(Generator.names)), .key("a"), .index(pick([0, 1])), .any])
        }
        return .body(steps, op, operand(op, isOfBody: true))
    }
    private mutating func operand(_ op: String, isOfBody: Bool) -> PlainJSON {
        switch op {
        case "$in", "$nin": return .list((0..<Int.random(in: 1...3, using: &random)).map { _ in scalar(isOfBody) })
        case "$exist": return .bool(chance(2))
        case "$gt", "$gte", "$lt", "$lte":
            return chance(2) ? .text(pick(Generator.texts)) : value(pick([0, 1500, 1, -7]))
        case "$startsWith", "$endsWith": return .text(pick(["a", "b", "é", "1"]))
        case "$contains":
            let one = scalar(isOfBody)
            return one == .text("") ? .text("b") : one
        case "$regex": return .text(pick(["a", "^b", "[ab]$", "^.$"]))
        default: return scalar(isOfBody)
        }
    }
    private mutating func scalar(_ isOfBody: Bool) -> PlainJSON {
        switch Int.random(in: 0..<(isOfBody ? 4 : 3), using: &random) {
        case 0: return .text(pick(Generator.texts))
        case 1: return value(pick([0, 1000, 1500, 100_000]))
        case 2: return .bool(chance(2))
        default: return .null
        }
    }
    private func value(_ thousandths: Int) -> PlainJSON {
        thousandths % 1000 == 0 ? .integer(Int64(thousandths / 1000)) : .number(Double(thousandths) / 1000)
    }
}

extension Rule {
    /// As one would write it.
    func written(_ generator: inout Generator) -> PlainJSON {
        switch self {
        case .all(let rules): return .object(["$and": .list(rules.map { $0.written(&generator) })])
        case .any(let rules): return .object(["$or": .list(rules.map { $0.written(&generator) })])
        case .not(let rule): return .object(["$not": rule.written(&generator)])
        case .type(let op, let operand): return .object(["type": .object([op: operand])])
        case .body(let steps, let op, let operand):
            var inner = PlainJSON.object([op: operand])
            if op == "$eq", generator.chance(2) { inner = operand }
            for step in steps.reversed() {
                switch step {
                case .key(let name): inner = .object([generator.chance(2) ? name : "$['\(name)']": inner])
                case .index(let index): inner = .object(["$[\(index)]": inner])
                case .any: inner = .object(["$[*]": inner])
                }
            }
            return .object(["body": inner])
        }
    }

    /// Nil = it hangs on a body that is not JSON.
    func holds(type: String, body: Tree?) -> Bool? {
        switch self {
        case .all(let rules):
            let answers = rules.map { $0.holds(type: type, body: body) }
            return answers.contains(false) ? false : answers.contains(nil) ? nil : true
        case .any(let rules):
            let answers = rules.map { $0.holds(type: type, body: body) }
            return answers.contains(true) ? true : answers.contains(nil) ? nil : false
        case .not(let rule): return rule.holds(type: type, body: body).map { !$0 }
        case .type(let op, let operand):
            return type.isEmpty ? Rule.ask(op, operand, [], []) : Rule.ask(op, operand, [.plain(type)], [])
        case .body(let steps, let op, let operand):
            guard let body else { return nil }
            let values = steps.reduce([body]) { values, step in values.flatMap { Rule.next($0, step) } }
            var elements: [Tree] = []
            for case .list(let list) in values {
                elements += list.filter { !$0.isContainer }
            }
            return Rule.ask(op, operand, values.map { .tree($0) }, elements.map { .tree($0) })
        }
    }
    private static func next(_ tree: Tree, _ step: Step) -> [Tree] {
        switch (tree, step) {
        case (.object(let members), .key(let name)): members.first { $0.name == name }.map { [$0.value] } ?? []
        case (.list(let list), .index(let index)): index < list.count ? [list[index]] : []
        case (.list(let list), .any): list
        default: []
        }
    }

    private enum Candidate {
        case plain(String)
        case tree(Tree)
    }
    private static func ask(
        _ op: String, _ operand: PlainJSON, _ values: [Candidate], _ elements: [Candidate]
    ) -> Bool {
        switch op {
        case "$neq": return !ask("$eq", operand, values, elements)
        case "$nin": return !ask("$in", operand, values, elements)
        case "$exist": return operand == .bool(!values.isEmpty)
        case "$contains":
            return values.contains { contains($0, operand) } || elements.contains { isEqual($0, operand) }
        default: return (values + elements).contains { meets($0, op, operand) }
        }
    }
    private static func contains(_ candidate: Candidate, _ operand: PlainJSON) -> Bool {
        guard let text = text(candidate), case .text(let part) = operand else { return false }
        return Array(text.utf8).firstRange(of: Array(part.utf8)) != nil
    }
    private static func text(_ candidate: Candidate) -> String? {
        switch candidate {
        case .plain(let text), .tree(.text(let text)): text
        default: nil
        }
    }
    private static func number(_ candidate: Candidate) -> Int? {
        switch candidate {
        case .tree(.number(let thousandths)): thousandths
        case .plain(let text): Int(text).map { $0 * 1000 }
        default: nil
        }
    }
    private static func number(_ operand: PlainJSON) -> Int? {
        switch operand {
        case .integer(let integer): Int(integer) * 1000
        case .number(let number): Int((number * 1000).rounded())
        default: nil
        }
    }
    private static func isEqual(_ candidate: Candidate, _ operand: PlainJSON) -> Bool {
        switch operand {
        case .null: if case .tree(.null) = candidate { return true }
        case .bool(let flag):
            if case .tree(.bool(flag)) = candidate { return true }
            if case .plain("\(flag)") = candidate { return true }
        case .integer, .number: return number(candidate) == number(operand) && number(candidate) != nil
        case .text(let wanted): return text(candidate).map { $0.utf8.elementsEqual(wanted.utf8) } ?? false
        case .list, .object: break
        }
        return false
    }
    private static func meets(_ candidate: Candidate, _ op: String, _ operand: PlainJSON) -> Bool {
        if op == "$eq" { return isEqual(candidate, operand) }
        if op == "$in", case .list(let list) = operand { return list.contains { isEqual(candidate, $0) } }
        var order: Int?
        if let left = number(candidate), let right = number(operand) { order = left - right }
        if let left = text(candidate), case .text(let right) = operand {
            let (first, second) = (Array(left.utf8), Array(right.utf8))
            order = first.lexicographicallyPrecedes(second) ? -1 : first == second ? 0 : 1
            switch op {
            case "$startsWith": return first.starts(with: second)
            case "$endsWith": return first.reversed().starts(with: second.reversed())
            case "$regex": return expression(left, right)
            default: break
            }
        }
        guard let order else { return false }
        switch op {
        case "$gt": return order > 0
        case "$gte": return order >= 0
        case "$lt": return order < 0
        case "$lte": return order <= 0
        default: return false
        }
    }
    private static func expression(_ text: String, _ pattern: String) -> Bool {
        let scalars = Array(text.unicodeScalars)
        switch pattern {
        case "a": return scalars.contains("a")
        case "^b": return scalars.first == "b"
        case "[ab]$": return scalars.last == "a" || scalars.last == "b"
        default: return scalars.count == 1 && scalars[0] != "\n"
        }
    }
}

@Suite struct FilterPropertyTests {
    @Test(arguments: 0..<8) func answersAsAPlainReadingDoes(seed: Int) throws {
        var generator = Generator(random: SeededRandom(UInt64(seed) &* 977 &+ 1))
        var counts: [FilterVerdict: Int] = [:]
        for _ in 0..<1500 {
            let rule = generator.rule()
            let written = rule.written(&generator)
            let compiled = try CompiledFilter(written)
            let tree = generator.chance(4) ? generator.tree() : generator.object(0)
            let spelled = generator.spelled(tree)
            let type = generator.pick(["a", "ab", "100", "true", ""])
            var event = FilterEvent(type: type, body: spelled)
            let expected = rule.holds(type: type, body: tree)
            var got = event.ask { compiled.verdict(on: $0) }
            #expect(got == FilterVerdict(expected), "\(written.json) of \(type) \(spelled)")
            #expect(event.ask { compiled.trace($0).verdict } == got)
            counts[got, default: 0] += 1
            // Cut off inside, it is no JSON.
            guard case .object = tree else { continue }
            let bytes = Array(spelled.utf8)
            let end = bytes.lastIndex(of: UInt8(ascii: "}")) ?? 0
            event.body = String(decoding: bytes[..<Int.random(in: 0...end, using: &generator.random)], as: UTF8.self)
            got = event.ask { compiled.verdict(on: $0) }
            #expect(got == FilterVerdict(rule.holds(type: type, body: nil)), "\(written.json) of \(event.body)")
            counts[got, default: 0] += 1
        }
        // All three are met often, or the documents would prove little.
        #expect(counts.count == 3 && counts.values.allSatisfy { $0 > 100 }, "\(counts)")
    }
    @Test func isTotalOnAnyBytes() throws {
        var generator = Generator(random: SeededRandom(99))
        let memory = GuardedBytes(capacity: 4096)
        for round in 0..<3000 {
            let compiled = try CompiledFilter(generator.rule().written(&generator))
            var bytes = Array(generator.spelled(generator.object(0)).utf8)
            for _ in 0..<(round % 5) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &generator.random)
                switch round % 3 {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator.random)
                case 1: bytes.remove(at: place)
                default: bytes.insert(generator.pick(Array(#"{}[]",:\"#.utf8)), at: place)
                }
            }
            let body = memory.fill(bytes.prefix(4096))
            let input = FilterInput(type: .empty, source: .empty, channels: .empty, fieldLines: body, body: body)
            // It answers, the same twice, and the trace says the same.
            let verdict = compiled.verdict(on: input)
            #expect(compiled.verdict(on: input) == verdict && compiled.trace(input).verdict == verdict)
        }
    }
}

extension FilterVerdict {
    fileprivate init(_ answer: Bool?) { self = answer.map { $0 ? .matches : .differs } ?? .unreadable }
}
