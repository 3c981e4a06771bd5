// The keywords of one subschema with their places, and their forms. Pure.

struct SchemaKeywords {
    let document: JSONDocument
    let path: String
    private var places: [String: Int] = [:]

    init(_ document: JSONDocument, _ place: Int, path: String) throws(SchemaProblem) {
        self.document = document
        self.path = path
        for member in document.members(of: place) {
            let name = document.string(member.name)
            guard places.updateValue(member.value, forKey: name) == nil else {
                throw SchemaProblem(path + "/" + name, "stands there twice")
            }
            if let instead = SchemaKeywords.refused[name] {
                throw SchemaProblem(self.path(name), "is not supported; \(instead)")
            }
        }
    }
    /// Keywords that a schema is not run without: it would take what it says it does not.
    private static let refused = [
        "unevaluatedProperties": "write `additionalProperties` beside all the `properties`",
        "unevaluatedItems": "write `items` or `additionalItems`",
        "$dynamicRef": "write `$ref`", "$recursiveRef": "write `$ref`",
    ]
    private static let annotations: Set<String> = [
        "$ref", "$id", "$schema", "$comment", "$anchor", "title", "description", "default", "examples", "definitions",
        "$defs", "readOnly", "writeOnly", "deprecated", "contentEncoding", "contentMediaType", "contentSchema",
    ]
    private static let assertions: Set<String> = [
        "type", "enum", "const", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "multipleOf",
        "maxLength", "minLength", "pattern", "format", "items", "prefixItems", "additionalItems", "maxItems",
        "minItems", "uniqueItems", "contains", "maxContains", "minContains", "properties", "patternProperties",
        "additionalProperties", "propertyNames", "maxProperties", "minProperties", "required", "dependencies",
        "dependentRequired", "dependentSchemas", "allOf", "anyOf", "oneOf", "not", "if",
    ]
    /// Those that check something, sorted.
    var asserted: [String] { places.keys.filter { SchemaKeywords.assertions.contains($0) }.sorted() }
    subscript(name: String) -> Int? { places[name] }
    func path(_ keyword: String) -> String { path + "/" + SchemaWords.pointed(Array(keyword.utf8)) }
    private func problem(_ keyword: String, _ form: String) -> SchemaProblem {
        SchemaProblem(path(keyword), "must be \(form)")
    }

    // MARK: forms

    func text(_ place: Int, _ keyword: String) throws(SchemaProblem) -> String {
        guard document.kind(place) == .text else { throw problem(keyword, "a text") }
        return document.string(place)
    }
    func flag(_ keyword: String) throws(SchemaProblem) -> Bool? {
        guard let place = places[keyword] else { return nil }
        guard [.yes, .no].contains(document.kind(place)) else { throw problem(keyword, "true or false") }
        return document.kind(place) == .yes
    }
    /// As it is written.
    func number(_ keyword: String) throws(SchemaProblem) -> [UInt8]? {
        guard let place = places[keyword] else { return nil }
        guard document.kind(place) == .number else { throw problem(keyword, "a number") }
        return Array(document.written(place))
    }
    func count(_ keyword: String) throws(SchemaProblem) -> Int? {
        guard let place = places[keyword] else { return nil }
        let form = "a whole number from 0"
        guard document.kind(place) == .number else { throw problem(keyword, form) }
        // 2.0 is 2.
        let number = Double(String(decoding: document.written(place), as: UTF8.self)) ?? -1
        guard number >= 0, number.rounded() == number else { throw problem(keyword, form) }
        return Int(min(number, 1e15))
    }
    func list(_ keyword: String) throws(SchemaProblem) -> [Int]? {
        guard let place = places[keyword] else { return nil }
        guard document.kind(place) == .list else { throw problem(keyword, "a list") }
        return document.elements(of: place)
    }
    func schemaList(_ keyword: String) throws(SchemaProblem) -> [Int]? {
        guard let list = try list(keyword) else { return nil }
        guard !list.isEmpty else { throw problem(keyword, "a list of schemas, not empty") }
        return list
    }
    func object(_ keyword: String) throws(SchemaProblem) -> [(name: [UInt8], value: Int)]? {
        guard let place = places[keyword] else { return nil }
        guard document.kind(place) == .object else { throw problem(keyword, "an object") }
        return document.members(of: place).map { (document.bytes($0.name), $0.value) }
    }
    func texts(_ place: Int, _ path: String) throws(SchemaProblem) -> [[UInt8]] {
        let problem = SchemaProblem(path, "must be a list of different texts")
        guard document.kind(place) == .list else { throw problem }
        let elements = document.elements(of: place)
        guard elements.allSatisfy({ document.kind($0) == .text }) else { throw problem }
        let texts = elements.map { document.bytes($0) }
        guard Set(texts).count == texts.count else { throw problem }
        return texts
    }
    func types() throws(SchemaProblem) -> SchemaTypes? {
        guard let place = places["type"] else { return nil }
        let form =
            "one of \(SchemaTypes.named.map(\.0).joined(separator: ", ")), or a list of some of them, each once"
        let isList = document.kind(place) == .list
        let words = isList ? document.elements(of: place) : [place]
        var types: SchemaTypes = []
        for word in words {
            guard document.kind(word) == .text,
                let type = SchemaTypes.named.first(where: { $0.0 == document.string(word) }),
                !types.contains(type.1)
            else { throw problem("type", form) }
            types.insert(type.1)
        }
        guard !words.isEmpty else { throw problem("type", form) }
        return types
    }
}

extension SchemaWords {
    /// From the root to a value, for places that a reference leads to. O(depth × members).
    static func pointer(to target: Int, in document: JSONDocument) -> String {
        var pointer = "#"
        var place = 0
        while place != target {
            let isObject = document.kind(place) == .object
            let inner = isObject ? document.members(of: place).map(\.value) : document.elements(of: place)
            guard let index = inner.lastIndex(where: { $0 <= target }) else { return pointer }
            let name = isObject ? pointed(document.bytes(document.members(of: place)[index].name)) : "\(index)"
            pointer += "/" + name
            place = inner[index]
        }
        return pointer
    }
}
