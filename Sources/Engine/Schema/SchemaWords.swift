// What violations say: words of the schema, bounded, so that an answer stays small. Pure.

enum SchemaWords {
    private static let nameBytesMax = 64
    private static let shownBytesMax = 120
    private static let valueCountMax = 6

    static func types(_ types: SchemaTypes) -> String {
        let words = types.names.map { name in
            switch name {
            case "null": "null"
            case "boolean": "true or false"
            case "integer", "array", "object": "an \(name)"
            default: "a \(name)"
            }
        }
        guard words.count > 1, let last = words.last else { return words.first ?? "nothing" }
        return words.dropLast().joined(separator: ", ") + " or " + last
    }
    static func values(_ values: SchemaTest.Values, in schema: JSONDocument) -> String {
        let shown = values.places.prefix(valueCountMax).map {
            self.shown(String(decoding: schema.written($0), as: UTF8.self))
        }
        if values.keyword == "const" { return "must be \(shown.first ?? "nothing")" }
        guard !shown.isEmpty else { return "must be one of none" }
        return "must be one of \(shown.joined(separator: ", "))" + (values.places.count > valueCountMax ? ", …" : "")
    }
    static func shown(_ text: String) -> String { cut(text, shownBytesMax) }
    static func name(_ bytes: [UInt8]) -> String { cut(String(decoding: bytes, as: UTF8.self), nameBytesMax) }
    /// A name as a part of a JSON pointer (RFC 6901).
    static func pointed(_ bytes: [UInt8]) -> String {
        name(bytes).replacing("~", with: "~0").replacing("/", with: "~1")
    }
    /// What a schema `false` is called: by the keyword that it is the value of, where that says more.
    static func keyword(ofFalse path: String) -> String {
        let last = path.split(separator: "/").last.map(String.init) ?? ""
        return ["additionalProperties", "additionalItems", "items"].contains(last) ? last : "false"
    }
    private static func cut(_ text: String, _ bytesMax: Int) -> String {
        guard text.utf8.count > bytesMax else { return text }
        return String(decoding: text.utf8.prefix(bytesMax), as: UTF8.self) + "…"
    }
}

extension SchemaTest.Limit.Order {
    var words: String {
        switch self {
        case .maximum: "at most"
        case .exclusiveMaximum: "below"
        case .minimum: "at least"
        case .exclusiveMinimum: "above"
        }
    }
    /// `order`: below, at or above 0, as the value is less, the same or greater than the limit.
    func takes(_ order: Int) -> Bool {
        switch self {
        case .maximum: order <= 0
        case .exclusiveMaximum: order < 0
        case .minimum: order >= 0
        case .exclusiveMinimum: order > 0
        }
    }
}

extension SchemaTest.Size {
    func takes(_ count: Int) -> Bool { isMaximum ? count <= limit : count >= limit }
    func words(_ unit: String) -> String {
        "must have at \(isMaximum ? "most" : "least") \(limit) \(unit)\(limit == 1 ? "" : "s")"
    }
}
