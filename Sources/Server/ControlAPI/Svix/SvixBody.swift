// The body of a call of the Svix-shaped API: an object of JSON, read field by field; everything that is wrong with it
// is said together. What it does not know it leaves alone, and it never looks at the content type.
//
// Invariant: what is said is bounded, however much is wrong with a body.
import Engine
import Foundation

/// A field of a patch: absent leaves what there is, null clears it.
package enum SvixGiven<Value> {
    case absent
    case null
    case value(Value)

    package var value: Value? { if case .value(let value) = self { value } else { nil } }
}
extension SvixGiven: Equatable where Value: Equatable {}
extension SvixGiven: Sendable where Value: Sendable {}

package struct SvixBody {
    package let members: [String: JSONValue]
    private let place: [String]
    package private(set) var issues: [SvixIssue] = []

    /// Throws 422 for what is no object of JSON. `isOptional`: nothing at all is an empty object.
    package init(_ bytes: [UInt8], isOptional: Bool = false) throws {
        place = ["body"]
        if isOptional, bytes.isEmpty {
            members = [:]
            return
        }
        let read: JSONValue
        do throws(JSONProblem) { read = try JSONReading.value(bytes) } catch {
            throw SvixError.invalid([SvixIssue(["body"], "the body \(error.message)", .decode)])
        }
        guard case .object(let members) = read else {
            throw SvixError.invalid([SvixIssue(["body"], "the body \(JSONProblem.notAnObject.message)", .decode)])
        }
        self.members = members
    }
    private init(_ members: [String: JSONValue], at place: [String]) {
        self.members = members
        self.place = place
    }

    package mutating func report(_ name: String..., message: String, _ kind: SvixIssue.Kind = .rule) {
        note(SvixIssue(place + name, message, kind))
    }
    /// Whoever breaks more rules mends these first.
    package static let issueCountMax = 100
    private mutating func note(_ issue: SvixIssue) {
        if issues.count < SvixBody.issueCountMax { issues.append(issue) }
    }
    /// Throws everything that was found to be wrong.
    package func finish() throws {
        guard issues.isEmpty else { throw SvixError.invalid(issues) }
    }
    /// Takes what was found to be wrong with an object within.
    package mutating func take(_ inner: SvixBody) {
        for issue in inner.issues { note(issue) }
    }

    /// Null where the field is there and null.
    package mutating func given<Value>(
        _ name: String, _ form: String, _ read: (JSONValue) -> Value?
    ) -> SvixGiven<Value> {
        switch members[name] {
        case nil: return .absent
        case .null?: return .null
        case let value?:
            if let read = read(value) { return .value(read) }
            report(name, message: "must be \(form)", .decode)
            return .absent
        }
    }
    /// For fields that may not be null.
    package mutating func value<Value>(_ name: String, _ form: String, _ read: (JSONValue) -> Value?) -> Value? {
        let given = given(name, form, read)
        if case .null = given { report(name, message: "must be \(form), not null", .decode) }
        return given.value
    }
    package mutating func missing(_ name: String) {
        note(SvixIssue(place + ["", ""], "the field `\(name)` is missing", .decode))
    }
    package mutating func text(_ name: String) -> String? {
        let text = value(name, "a text", SvixBody.text)
        check(text, name)
        return text
    }
    package mutating func requiredText(_ name: String) -> String? {
        if members[name] == nil { missing(name) }
        return text(name)
    }
    package mutating func givenText(_ name: String) -> SvixGiven<String> {
        let given = given(name, "a text", SvixBody.text)
        check(given.value, name)
        return given
    }
    package mutating func flag(_ name: String) -> Bool? {
        value(name, "true or false") { if case .bool(let flag) = $0 { flag } else { nil } }
    }
    package mutating func givenInteger(_ name: String, _ range: ClosedRange<Int>) -> SvixGiven<Int> {
        let given = given(name, "a whole number") { value -> Int? in
            if case .integer(let integer) = value { Int(integer) } else { nil }
        }
        if let integer = given.value, !range.contains(integer) {
            report(name, message: "must be from \(range.lowerBound) to \(range.upperBound)")
        }
        return given
    }
    /// An object of texts; what it takes as compact JSON is bounded.
    package mutating func metadata(_ name: String = "metadata") -> SvixGiven<[String: String]> {
        let given = given(name, "an object of texts", SvixBody.texts)
        if let texts = given.value {
            if JSONText.of(texts).utf8.count > SvixBody.metadataBytesMax {
                report(name, message: "takes more than \(SvixBody.metadataBytesMax) bytes")
            }
            for (key, value) in texts where !SvixBody.isPlain(key + value) {
                report(name, message: "has a control character in `\(key.filter { $0.isLetter })`")
            }
        }
        return given
    }
    package static let metadataBytesMax = 4096
    /// A list of labels without repeats, in the order given.
    package mutating func labels(_ name: String, count: ClosedRange<Int>, bytesMax: Int = 256) -> SvixGiven<[String]> {
        let given = given(name, "a list of texts") { value -> [String]? in
            guard case .list(let elements) = value else { return nil }
            let texts = elements.compactMap(SvixBody.text)
            return texts.count == elements.count ? texts : nil
        }
        guard let texts = given.value else { return given }
        var seen: Set<String> = []
        let unique = texts.filter { seen.insert($0).inserted }
        guard count.contains(unique.count) else {
            report(name, message: "must have \(count.lowerBound) to \(count.upperBound) items")
            return .value([])
        }
        for (index, text) in texts.enumerated() where !SvixRules.isLabel(text, bytesMax: bytesMax) {
            report(name, "[\(index)]", message: SvixRules.aboutLabel(bytesMax))
        }
        return .value(unique)
    }
    package mutating func object(_ name: String) -> SvixBody? {
        guard let members = given(name, "an object", SvixBody.members).value else { return nil }
        return SvixBody(members, at: place + [name])
    }

    private static let textBytesMax = 65_536
    private mutating func check(_ text: String?, _ name: String) {
        guard let text else { return }
        if !SvixBody.isPlain(text) { report(name, message: "has a control character") }
        if text.utf8.count > SvixBody.textBytesMax {
            report(name, message: "has more than \(SvixBody.textBytesMax) bytes")
        }
    }
    /// Tabs and line ends are part of texts; what comes before them in ASCII is not.
    private static func isPlain(_ text: String) -> Bool { text.utf8.allSatisfy { $0 > 0x08 } }
    private static func text(_ value: JSONValue) -> String? { if case .text(let text) = value { text } else { nil } }
    private static func members(_ value: JSONValue) -> [String: JSONValue]? {
        if case .object(let members) = value { members } else { nil }
    }
    package static func texts(_ value: JSONValue) -> [String: String]? {
        guard case .object(let members) = value else { return nil }
        let texts = members.compactMapValues(text)
        return texts.count == members.count ? texts : nil
    }
}

extension ControlWorker {
    /// What a call's body says, read on the worker: a large one takes a while. Throws everything that is wrong with it.
    func read<Value: Sendable>(
        _ call: Call, _ read: @escaping @Sendable (inout SvixBody) throws -> Value
    ) async throws -> Value {
        try await run {
            var body = try SvixBody(call.body)
            let value = try read(&body)
            try body.finish()
            return value
        }
    }
}

/// What labels of the Svix-shaped API may look like.
package enum SvixRules {
    /// 1 to `bytesMax` of a-z A-Z 0-9 - _ .
    package static func isLabel(_ text: String, bytesMax: Int = 256) -> Bool {
        NameRules.isUID(text) && text.utf8.count <= bytesMax
    }
    package static func aboutLabel(_ bytesMax: Int = 256) -> String {
        "must be 1 to \(bytesMax) of the characters a-z A-Z 0-9 - _ ."
    }
    /// A uid is told from an id by its beginning.
    package static func uidProblem(_ text: String, idPrefix: String) -> String? {
        guard isLabel(text) else { return aboutLabel() }
        return text.hasPrefix(idPrefix) ? "must not begin with `\(idPrefix)`, as ids do" : nil
    }
}
