// Where `$ref` leads inside one document: the identifiers that subschemas have, and JSON pointers. Nothing is fetched.
//
// Invariant: a reference leads to a value of this document or is refused.
import Foundation

struct SchemaReferences {
    private let document: JSONDocument
    private let dialect: SchemaDialect
    /// Base URIs of the subschemas, by their places.
    private var bases: [Int: String] = [:]
    /// The subschemas that have an identifier of their own, by its URI; the root by "" too.
    private var resources: [String: Int] = [:]
    /// By `URI#name`.
    private var anchors: [String: Int] = [:]

    /// Keywords whose value is a schema, a list of some, or an object of some. Those of a list or an object have no
    /// identifier of their own.
    static let schemaKeywords: Set<String> = [
        "additionalItems", "additionalProperties", "contains", "propertyNames", "if", "then", "else", "not", "items",
    ]
    static let listKeywords: Set<String> = ["allOf", "anyOf", "oneOf", "items", "prefixItems"]
    static let mapKeywords: Set<String> = [
        "properties", "patternProperties", "definitions", "$defs", "dependencies", "dependentSchemas",
    ]

    init(_ document: JSONDocument, _ dialect: SchemaDialect) {
        self.document = document
        self.dialect = dialect
        resources[""] = 0
        visit(0, base: "")
    }

    private mutating func visit(_ place: Int, base: String) {
        guard document.kind(place) == .object else { return }
        let members = document.members(of: place).map { (document.string($0.name), $0.value) }
        var base = base
        let hidesSiblings = dialect != .draft2019 && members.contains { $0.0 == "$ref" }
        for (name, value) in members where document.kind(value) == .text && !hidesSiblings {
            if name == "$id" { identify(place, document.string(value), &base) }
            if name == "$anchor" { anchors[base + "#" + document.string(value)] = place }
        }
        bases[place] = base
        for (name, value) in members {
            switch document.kind(value) {
            case .object where SchemaReferences.mapKeywords.contains(name):
                for member in document.members(of: value) { visit(member.value, base: base) }
            case .object where SchemaReferences.schemaKeywords.contains(name): visit(value, base: base)
            case .list where SchemaReferences.listKeywords.contains(name):
                for element in document.elements(of: value) { visit(element, base: base) }
            default: break
            }
        }
    }
    private mutating func identify(_ place: Int, _ id: String, _ base: inout String) {
        let (uri, fragment) = SchemaReferences.parts(id)
        if !uri.isEmpty {
            base = SchemaReferences.resolved(uri, base)
            resources[base] = place
        }
        if let fragment, !fragment.isEmpty { anchors[base + "#" + fragment] = place }
    }
    private static func parts(_ reference: String) -> (uri: String, fragment: String?) {
        guard let hash = reference.firstIndex(of: "#") else { return (reference, nil) }
        return (String(reference[..<hash]), String(reference[reference.index(after: hash)...]))
    }
    private static func resolved(_ uri: String, _ base: String) -> String {
        guard !base.isEmpty, let url = URL(string: base) else { return uri }
        return URL(string: uri, relativeTo: url)?.absoluteString ?? uri
    }

    /// The place that a reference of the subschema at `place` leads to.
    func target(of reference: String, from place: Int) throws(SchemaProblem) -> Int {
        let base = bases[place] ?? ""
        let (uri, fragment) = SchemaReferences.parts(reference)
        let full = uri.isEmpty ? base : SchemaReferences.resolved(uri, base)
        guard let resource = resources[full] else {
            throw SchemaProblem(
                "", "leads to another document, which is not fetched; put what it means under `definitions`")
        }
        guard let fragment, !fragment.isEmpty else { return resource }
        guard fragment.hasPrefix("/") else {
            if let place = anchors[full + "#" + fragment] { return place }
            throw SchemaProblem("", "leads to an identifier that no part of this schema has")
        }
        guard let found = pointed(fragment, from: resource) else {
            throw SchemaProblem("", "leads to nothing in this schema")
        }
        return found
    }
    private func pointed(_ pointer: String, from start: Int) -> Int? {
        guard let plain = pointer.removingPercentEncoding else { return nil }
        var place = start
        for part in plain.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            let name = Array(part.replacing("~1", with: "/").replacing("~0", with: "~").utf8)
            switch document.kind(place) {
            case .object:
                guard let member = document.members(of: place).first(where: { document.bytes($0.name) == name }) else {
                    return nil
                }
                place = member.value
            case .list:
                let elements = document.elements(of: place)
                guard let index = Int(String(decoding: name, as: UTF8.self)), elements.indices.contains(index) else {
                    return nil
                }
                place = elements[index]
            default: return nil
            }
        }
        return place
    }
}
