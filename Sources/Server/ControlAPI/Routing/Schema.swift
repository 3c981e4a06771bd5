// The form of the API's JSON, said once: the published document is made from it, bodies are checked against it, and a
// test holds every value that the API answers with against it.
//
// Invariant: a field that is not in a value's schema is not in its JSON, and the other way about.

package indirect enum Schema: Sendable {
    case text
    /// RFC 3339, UTC.
    case time
    /// Such as `30s` or `1h`, in milliseconds within the range.
    case duration(ClosedRange<Int>)
    case word([String])
    case flag
    case integer(ClosedRange<Int>)
    case number(ClosedRange<Double>?)
    case list(Schema, countMax: Int? = nil)
    /// Any key, values of one form.
    case map(Schema)
    /// A flag, or more than that.
    case flagOr(ObjectSchema)
    /// A whole number, or more than that.
    case integerOr(ClosedRange<Int>, ObjectSchema)
    case object(ObjectSchema)
    case orNull(Schema)
    /// Not described further.
    case anything

    static let count = Schema.integer(0...Int.max)
}

package struct ObjectSchema: Sendable {
    package struct Field: Sendable {
        package let name: String
        let schema: Schema
        let isRequired: Bool
        let about: String

        static func required(_ name: String, _ schema: Schema, _ about: String) -> Field {
            Field(name: name, schema: schema, isRequired: true, about: about)
        }
        static func optional(_ name: String, _ schema: Schema, _ about: String) -> Field {
            Field(name: name, schema: schema, isRequired: false, about: about)
        }
    }
    /// Unique among all objects of the API: the document refers to it by this.
    package let name: String
    let about: String
    package let fields: [Field]

    init(_ name: String, _ about: String, _ fields: [Field]) {
        self.name = name
        self.about = about
        self.fields = fields
    }
}

extension ObjectSchema {
    /// Of a change by RFC 7396: every field may be absent, those of objects within too. It is the same where nothing is
    /// required.
    func asPatch(named name: String? = nil) -> ObjectSchema {
        let patched = fields.map { field in
            Field(name: field.name, schema: field.schema.asPatch, isRequired: false, about: field.about)
        }
        return ObjectSchema(name ?? (asksForSomething ? self.name + "Patch" : self.name), about, patched)
    }
    fileprivate var asksForSomething: Bool { fields.contains { $0.isRequired || $0.schema.asksForSomething } }
}

extension Schema {
    /// Of objects alone: a list is changed as a whole.
    fileprivate var asPatch: Schema {
        switch self {
        case .object(let object): .object(object.asPatch())
        case .flagOr(let object): .flagOr(object.asPatch())
        case .integerOr(let range, let object): .integerOr(range, object.asPatch())
        case .orNull(let schema): .orNull(schema.asPatch)
        case .text, .time, .duration, .word, .flag, .integer, .number, .list, .map, .anything: self
        }
    }
    fileprivate var asksForSomething: Bool {
        switch self {
        case .object(let object), .flagOr(let object), .integerOr(_, let object): object.asksForSomething
        case .orNull(let schema): schema.asksForSomething
        case .text, .time, .duration, .word, .flag, .integer, .number, .list, .map, .anything: false
        }
    }
}

/// A value of the API whose JSON has a schema.
package protocol Described: Codable, Sendable {
    static var schema: ObjectSchema { get }
}

/// One page of a listing.
package struct Page<Item: Described>: Codable, Sendable {
    package var items: [Item]
    /// Ask again with `cursor` this; nil when there is nothing more.
    package var next: String?
    package init(items: [Item], next: String? = nil) {
        self.items = items
        self.next = next
    }
}

extension Page: Equatable where Item: Equatable {}

extension Page: Described {
    package static var schema: ObjectSchema {
        ObjectSchema(
            Item.schema.name + "Page", "One page of a listing.",
            [
                .required("items", .list(.object(Item.schema)), "In the order of the listing."),
                .optional("next", .text, "The `cursor` of the next page; absent when there is nothing more."),
            ])
    }
}

/// Id and name of another resource.
package struct Reference: Codable, Equatable, Sendable {
    package var id: String
    package var name: String
    package init(id: String, name: String) {
        self.id = id
        self.name = name
    }
}

extension Reference: Described {
    package static let schema = ObjectSchema(
        "Reference", "Another resource.",
        [.required("id", .text, "Never changes."), .required("name", .text, "As it is called now.")])
}
