// Whether a value is a JSON Schema of draft 7: each keyword that the draft knows has the form that its meta-schema asks
// for. What it does not know is an annotation and may be anything. Pure.
import Engine

package enum SchemaDraft7 {
    private static let depthMax = 64
    /// Whoever breaks more rules mends these first.
    package static let problemCountMax = 10
    private static let nameBytesMax = 64
    private static let placeBytesMax = 512
    private static let types = ["array", "boolean", "integer", "null", "number", "object", "string"]

    /// One sentence for each keyword of a wrong form; no more than `problemCountMax`.
    package static func problems(of schema: JSONValue) -> [String] {
        var problems: [String] = []
        check(schema, at: "", 0, &problems)
        return problems
    }

    private static func check(_ schema: JSONValue, at place: String, _ depth: Int, _ problems: inout [String]) {
        guard depth < depthMax else {
            problems.append("\(shown(place)) is nested more than \(depthMax) deep")
            return
        }
        if case .bool = schema { return }
        guard case .object(let members) = schema else {
            problems.append("\(shown(place)) must be a schema: an object, true or false")
            return
        }
        for (keyword, value) in members.sorted(by: { $0.key < $1.key }) {
            guard problems.count < problemCountMax else { return }
            let own = below(place, keyword)
            if let expected = mismatch(keyword, value) { problems.append("`\(own)` must be \(expected)") }
            for (name, inner) in schemas(in: keyword, value) {
                guard problems.count < problemCountMax else { return }
                check(inner, at: name.isEmpty ? own : below(own, name), depth + 1, &problems)
            }
        }
    }
    /// Bounded: a name may be as long as a body is, and each keyword below it says it again.
    private static func below(_ place: String, _ name: String) -> String {
        guard place.utf8.count < placeBytesMax else { return place }
        let isLong = name.utf8.count > nameBytesMax
        let shown = isLong ? String(decoding: name.utf8.prefix(nameBytesMax), as: UTF8.self) + "…" : name
        return place.isEmpty ? shown : "\(place).\(shown)"
    }
    private static func shown(_ place: String) -> String { place.isEmpty ? "the schema" : "`\(place)`" }

    /// What a keyword's value must be, when it is not.
    private static func mismatch(_ keyword: String, _ value: JSONValue) -> String? {
        switch keyword {
        case "$id", "$schema", "$ref", "$comment", "title", "description", "pattern", "format", "contentMediaType",
            "contentEncoding":
            return isText(value) ? nil : "a text"
        case "readOnly", "writeOnly", "uniqueItems": return isFlag(value) ? nil : "true or false"
        case "maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum":
            return number(value) != nil ? nil : "a number"
        case "multipleOf": return number(value).map { $0 > 0 } ?? false ? nil : "a number above 0"
        case "maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties":
            return isCount(value) ? nil : "a whole number from 0"
        case "examples": return list(value) != nil ? nil : "a list"
        case "required": return isSetOfTexts(value) ? nil : "a list of different texts"
        case "enum": return list(value) != nil ? nil : "a list"
        case "type": return isType(value) ? nil : "one of \(types.joined(separator: ", ")), or a list of some of them"
        case "items": return list(value) == nil && !isSchema(value) ? "a schema or a list of schemas" : nil
        case "allOf", "anyOf", "oneOf": return list(value)?.isEmpty == false ? nil : "a list of schemas, not empty"
        case "definitions", "properties", "patternProperties", "dependencies":
            return isObject(value) ? nil : "an object"
        case "additionalItems", "contains", "additionalProperties", "propertyNames", "if", "then", "else", "not":
            return isSchema(value) ? nil : "a schema"
        default: return nil
        }
    }
    /// The schemas that a keyword's value holds, with the names that they have there.
    private static func schemas(in keyword: String, _ value: JSONValue) -> [(String, JSONValue)] {
        switch keyword {
        case "items":
            return list(value).map { $0.enumerated().map { ("\($0)", $1) } } ?? (isObject(value) ? [("", value)] : [])
        case "allOf", "anyOf", "oneOf": return (list(value) ?? []).enumerated().map { ("\($0)", $1) }
        case "definitions", "properties", "patternProperties": return members(value)
        case "dependencies": return members(value).filter { !isSetOfTexts($0.1) }
        case "additionalItems", "contains", "additionalProperties", "propertyNames", "if", "then", "else", "not":
            return isObject(value) ? [("", value)] : []
        default: return []
        }
    }

    private static func isText(_ value: JSONValue) -> Bool { if case .text = value { true } else { false } }
    private static func isFlag(_ value: JSONValue) -> Bool { if case .bool = value { true } else { false } }
    private static func isObject(_ value: JSONValue) -> Bool { if case .object = value { true } else { false } }
    private static func isSchema(_ value: JSONValue) -> Bool { isObject(value) || isFlag(value) }
    private static func list(_ value: JSONValue) -> [JSONValue]? {
        if case .list(let list) = value { list } else { nil }
    }
    private static func members(_ value: JSONValue) -> [(String, JSONValue)] {
        guard case .object(let members) = value else { return [] }
        return members.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
    private static func number(_ value: JSONValue) -> Double? {
        switch value {
        case .integer(let integer): Double(integer)
        case .number(let number): number
        default: nil
        }
    }
    private static func isCount(_ value: JSONValue) -> Bool {
        if case .integer(let integer) = value { integer >= 0 } else { false }
    }
    private static func isSetOfTexts(_ value: JSONValue) -> Bool {
        guard let list = list(value) else { return false }
        let texts = list.compactMap { if case .text(let text) = $0 { text } else { nil } }
        return texts.count == list.count && Set(texts).count == texts.count
    }
    private static func isType(_ value: JSONValue) -> Bool {
        if case .text(let text) = value { return types.contains(text) }
        guard let list = list(value), !list.isEmpty, isSetOfTexts(value) else { return false }
        return list.allSatisfy { if case .text(let text) = $0 { types.contains(text) } else { false } }
    }
}
