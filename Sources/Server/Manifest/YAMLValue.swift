// YAML that a caller sends, as a JSON value: the core schema of YAML 1.2, for texts that may be anybody's.
//
// Invariant: the value is bounded by a count of its nodes and by the bytes of its texts, aliases written out, and so is
// the work before it is one: aliases are few, since what they stand for grows with every anchor between.
import Engine
import Foundation
import Yams

package enum YAMLValue {
    package static let depthMax = 64
    package static let nodeCountMax = 200_000
    /// Of all scalars, aliases written out.
    package static let bytesMax = 4 << 20
    /// Of texts that have an anchor.
    package static let aliasCountMax = 24
    private static let noYAML = "is neither YAML nor JSON"

    package struct Problem: Error, Equatable, Sendable {
        /// From 1; 0 when it is of no line.
        package let line: Int
        package let message: String
    }

    package static func json(_ text: String) throws(Problem) -> JSONValue {
        try checkAliases(text)
        let root: Node?
        do { root = try Yams.compose(yaml: text, .basic) } catch {
            throw (error as? YamlError).map { problem(of: $0) } ?? Problem(line: 0, message: noYAML)
        }
        guard let root else { throw Problem(line: 0, message: "is empty") }
        var left = Budget()
        return try value(root, 0, &left)
    }
    /// Of a file that is read already.
    static func json(_ node: Node) throws(Problem) -> JSONValue {
        var left = Budget()
        return try value(node, 0, &left)
    }
    private struct Budget {
        var nodes = nodeCountMax
        var bytes = bytesMax

        mutating func take(_ text: String, _ line: Int) throws(Problem) {
            bytes -= text.utf8.count
            guard bytes >= 0 else { throw Problem(line: line, message: "has more than \(bytesMax) bytes of text") }
        }
    }
    private static func value(_ node: Node, _ depth: Int, _ left: inout Budget) throws(Problem) -> JSONValue {
        let line = node.mark?.line ?? 0
        guard depth <= depthMax else { throw Problem(line: line, message: "is nested more than \(depthMax) deep") }
        left.nodes -= 1
        guard left.nodes > 0 else { throw Problem(line: line, message: "has more than \(nodeCountMax) values") }
        switch node {
        case .scalar(let scalar):
            try left.take(scalar.string, line)
            return plain(scalar)
        case .sequence(let sequence):
            var list: [JSONValue] = []
            for element in sequence { list.append(try value(element, depth + 1, &left)) }
            return .list(list)
        case .mapping(let mapping):
            var members: [String: JSONValue] = [:]
            for (key, element) in mapping {
                guard let name = key.scalar?.string else {
                    throw Problem(line: key.mark?.line ?? line, message: "has a key that is no text")
                }
                try left.take(name, key.mark?.line ?? line)
                guard members.updateValue(try value(element, depth + 1, &left), forKey: name) == nil else {
                    throw Problem(line: key.mark?.line ?? line, message: "has `\(name.prefix(64))` twice")
                }
            }
            return .object(members)
        default: throw Problem(line: line, message: "has a value that JSON has not")
        }
    }
    /// What is quoted is a text, whatever it looks like.
    private static func plain(_ scalar: Node.Scalar) -> JSONValue {
        let text = scalar.string
        guard scalar.style == .any || scalar.style == .plain else { return .text(text) }
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        default: break
        }
        guard text.utf8.allSatisfy("0123456789+-.eE".utf8.contains) else { return .text(text) }
        if let integer = Int64(text) { return .integer(integer) }
        if let number = Double(text), number.isFinite { return .number(number) }
        return .text(text)
    }

    /// Keys are hashed while they are read, whatever an alias makes of them: it is counted before.
    private static func checkAliases(_ text: String) throws(Problem) {
        let countMax = aliasCountMax + 1
        guard count("&", in: text, atMost: 1) > 0, count("*", in: text, atMost: countMax) == countMax else { return }
        throw Problem(
            line: 0, message: "has anchors and more than \(aliasCountMax) aliases; write them out, or send JSON")
    }
    /// Where such a mark could begin an anchor or an alias: behind a space or a bracket, before a name. YAML breaks
    /// lines at characters that are no ASCII too, and a text may begin with a byte order mark.
    private static func count(_ mark: Character, in text: String, atMost: Int) -> Int {
        let wanted = mark.asciiValue ?? 0
        var (found, before) = (0, UInt8(ascii: "\n"))
        var isAfterMark = false
        for byte in text.utf8 {
            if isAfterMark, byte > 0x20, byte != wanted { found += 1 }
            guard found < atMost else { break }
            isAfterMark = byte == wanted && (before <= 0x20 || before >= 0x80 || "[{,:?-".utf8.contains(before))
            before = byte
        }
        return found
    }
    private static func problem(of error: YamlError) -> Problem {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            Problem(line: mark.line, message: "is not YAML: \(problem)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            Problem(
                line: context.mark.line,
                message: "has `\((duplicates.first.map { "\($0)" } ?? "a key").prefix(64))` twice")
        default: Problem(line: 0, message: noYAML)
        }
    }
}
