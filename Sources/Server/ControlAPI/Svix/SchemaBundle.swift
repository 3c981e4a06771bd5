// One schema of an OpenAPI document made to stand alone: what it refers to comes with it in `definitions`, and what
// OpenAPI 3.0 and 2020-12 say in other words than draft 7 is said in its words. Pure.
//
// Invariants: each place of the document is taken once, so that circles stay circles; what a schema holds that is no
// schema (examples, constants, extensions) is taken as it stands, and counted by the bytes of its text.
import Engine

struct SchemaBundle {
    struct Problem: Error {
        let way: [String]
        let message: String
    }
    private let document: JSONValue
    /// Values that may be looked at still.
    private(set) var left: Int
    /// What the text of the whole may have still.
    private(set) var bytesLeft: Int
    /// Reference to name in `definitions`, in the order met.
    private var names: [String: String] = [:]
    private var taken: Set<String> = []
    /// The number last given to a name.
    private var numbers: [String: Int] = [:]
    private var waiting: [String] = []
    private static let nameBytesMax = 64
    private static let chainMax = 32

    init(document: JSONValue, left: Int, bytesLeft: Int) {
        self.document = document
        self.left = left
        self.bytesLeft = bytesLeft
    }

    mutating func whole(_ schema: JSONValue) throws(Problem) -> JSONValue {
        var root = schema
        // A root that only refers would hide the definitions beside it.
        var chain = 0
        while case .object(let members) = root, members.count == 1, case .text(let reference)? = members["$ref"] {
            chain += 1
            guard chain <= SchemaBundle.chainMax else {
                throw Problem(way: ["$ref"], message: "is a reference that leads to no end")
            }
            root = try resolve(reference, ["$ref"])
        }
        if case .object(let members) = root, case .object(let own)? = members["definitions"] {
            taken = Set(own.keys)
        }
        let rewritten = try rewrite(root, [], 0)
        try count(rewritten, [])
        var definitions: [String: JSONValue] = [:]
        var next = 0
        while next < waiting.count {
            let reference = waiting[next]
            next += 1
            let found = try resolve(reference, [reference])
            let definition = try rewrite(found, [reference], 0)
            try count(definition, [reference])
            definitions[names[reference] ?? reference] = definition
        }
        guard !definitions.isEmpty, case .object(var members) = rewritten else { return rewritten }
        if case .object(let own)? = members["definitions"] {
            definitions.merge(own) { _, own in own }
        }
        members["definitions"] = .object(definitions)
        return .object(members)
    }
    private mutating func count(_ value: JSONValue, _ way: [String]) throws(Problem) {
        value.takeBytes(of: &bytesLeft)
        try checkBytes(way)
    }
    private func checkBytes(_ way: [String]) throws(Problem) {
        guard bytesLeft >= 0 else { throw Problem(way: way, message: OpenAPIWebhooks.tooLong) }
    }
    private func resolve(_ reference: String, _ way: [String]) throws(Problem) -> JSONValue {
        do throws(OpenAPIPointer.Failure) {
            return try OpenAPIPointer.resolve(reference, in: document)
        } catch { throw Problem(way: way, message: error.message) }
    }

    // MARK: one schema

    private static let mapsOfSchemas: Set<String> = [
        "properties", "patternProperties", "definitions", "$defs", "dependencies", "dependentSchemas",
    ]
    private static let listsOfSchemas: Set<String> = ["allOf", "anyOf", "oneOf", "prefixItems"]
    private static let schemas: Set<String> = [
        "items", "additionalItems", "contains", "additionalProperties", "propertyNames", "if", "then", "else", "not",
        "unevaluatedItems", "unevaluatedProperties", "contentSchema",
    ]

    private static func mayBeList(_ keyword: String) -> Bool { keyword == "items" || listsOfSchemas.contains(keyword) }

    private mutating func rewrite(_ schema: JSONValue, _ way: [String], _ depth: Int) throws(Problem) -> JSONValue {
        left -= 1
        guard left > 0 else { throw Problem(way: way, message: OpenAPIPointer.tooMuch) }
        guard depth <= OpenAPIWebhooks.depthMax else {
            throw Problem(way: way, message: "is nested more than \(OpenAPIWebhooks.depthMax) deep")
        }
        guard case .object(var members) = schema else { return schema }
        for (keyword, value) in members.sorted(by: { $0.key < $1.key }) {
            let place = way + [keyword]
            if SchemaBundle.mapsOfSchemas.contains(keyword), case .object(var inner) = value {
                for (name, one) in inner.sorted(by: { $0.key < $1.key }) {
                    inner[name] = try rewrite(one, place + [name], depth + 1)
                }
                members[keyword] = .object(inner)
            } else if case .list(let list) = value, SchemaBundle.mayBeList(keyword) {
                members[keyword] = .list(try rewrite(list, place, depth))
            } else if SchemaBundle.schemas.contains(keyword) {
                members[keyword] = try rewrite(value, place, depth + 1)
            }
        }
        SchemaBundle.inDraft7(&members)
        guard case .text(let reference)? = members["$ref"] else { return .object(members) }
        members["$ref"] = nil
        let referring: JSONValue = ["$ref": .text("#/definitions/" + escaped(try name(of: reference, way)))]
        guard !members.isEmpty else { return referring }
        // Draft 7 passes over what stands beside a reference.
        var all: [JSONValue] = [referring]
        if case .list(let own)? = members["allOf"] { all += own }
        members["allOf"] = .list(all)
        return .object(members)
    }
    private mutating func rewrite(
        _ list: [JSONValue], _ way: [String], _ depth: Int
    ) throws(Problem) -> [JSONValue] {
        var rewritten: [JSONValue] = []
        for (index, one) in list.enumerated() { rewritten.append(try rewrite(one, way + ["[\(index)]"], depth + 1)) }
        return rewritten
    }
    /// The last word of a place, or that and a number.
    private mutating func name(of reference: String, _ way: [String]) throws(Problem) -> String {
        bytesLeft -= reference.utf8.count
        try checkBytes(way)
        if let known = names[reference] { return known }
        _ = try resolve(reference, way + ["$ref"])
        let last = OpenAPIPointer.tokens(reference).last ?? ""
        let base = last.isEmpty ? "root" : String(last.prefix(SchemaBundle.nameBytesMax))
        var (name, number) = (base, numbers[base] ?? 1)
        while !taken.insert(name).inserted {
            number += 1
            name = "\(base)-\(number)"
        }
        numbers[base] = number
        names[reference] = name
        waiting.append(reference)
        return name
    }
    private func escaped(_ name: String) -> String {
        name.replacing("~", with: "~0").replacing("/", with: "~1").replacing("%", with: "%25")
    }

    /// `nullable`, an exclusive bound that is a flag, an `example`: as draft 7 says them.
    private static func inDraft7(_ members: inout [String: JSONValue]) {
        if members["nullable"] == .bool(true), case .text(let type)? = members["type"] {
            members["type"] = [.text(type), "null"]
            if case .list(let words)? = members["enum"], !words.contains(.null) {
                members["enum"] = .list(words + [.null])
            }
        }
        members["nullable"] = nil
        for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
            guard case .bool(let isExclusive)? = members[exclusive] else { continue }
            members[exclusive] = isExclusive ? members[bound] : nil
            if isExclusive { members[bound] = nil }
        }
        if let example = members["example"], members["examples"] == nil { members["examples"] = [example] }
        members["example"] = nil
        // In OpenAPI 3.0 and Swagger a schema may say it as what it is not.
        if case .bool? = members["required"] { members["required"] = nil }
    }
}
