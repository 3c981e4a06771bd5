// A schema as it is run: its subschemas as numbered rules, each a list of tests, and what a test says when it fails.
// Plain values that never change; no text of a body gets into a message.
import FastPath

/// What a schema may be and what checking a body may take.
package enum SchemaBounds {
    package static let textBytesMax = 256 << 10
    /// Subschemas.
    package static let ruleCountMax = 5_000
    /// Subschemas on one and the same value: references, `allOf`, `anyOf` and so on within each other.
    package static let chainMax = 32
    package static let patternCountMax = 64
    /// What all expressions of one schema may take.
    package static let patternMemoryBytesMax = 8 << 20
    /// Rules run on values, members looked at, 32 bytes of a text read. One takes about a tenth of a microsecond.
    package static let stepCountMax = 1_000_000
    /// Of all events of one request, which one worker checks one behind the other: about a second.
    package static let requestStepCountMax = 10_000_000
    /// Rules that wait for others while a body is checked; each takes some hundred bytes of stack.
    package static let nestingMax = 256
    package static let violationCountMax = 10
}

/// What keeps a schema from being saved.
package struct SchemaProblem: Error, Equatable, Sendable {
    /// A JSON pointer into the schema, such as `#/properties/amount/pattern`.
    package let place: String
    package let reason: String

    package init(_ place: String, _ reason: String) {
        self.place = place
        self.reason = reason
    }
    package var message: String { "`\(place)` \(reason)" }
}

/// One rule that a body breaks. Nothing of it is a value of the body.
package struct SchemaViolation: Equatable, Sendable {
    /// Which event of a request that holds several, from 0; nil where it is one.
    package var event: Int?
    /// A JSON pointer into the body; empty = the whole.
    package let instancePath: String
    /// A JSON pointer to the keyword in the schema.
    package let schemaPath: String
    package let keyword: String
    /// What would be right.
    package let message: String

    package init(instancePath: String, schemaPath: String, keyword: String, message: String) {
        self.instancePath = instancePath
        self.schemaPath = schemaPath
        self.keyword = keyword
        self.message = message
    }
}

struct SchemaTypes: OptionSet, Sendable {
    let rawValue: UInt8
    static let null = SchemaTypes(rawValue: 1)
    static let boolean = SchemaTypes(rawValue: 2)
    static let integer = SchemaTypes(rawValue: 4)
    static let number = SchemaTypes(rawValue: 8)
    static let string = SchemaTypes(rawValue: 16)
    static let array = SchemaTypes(rawValue: 32)
    static let object = SchemaTypes(rawValue: 64)
    static let named: [(String, SchemaTypes)] = [
        ("null", .null), ("boolean", .boolean), ("integer", .integer), ("number", .number), ("string", .string),
        ("array", .array), ("object", .object),
    ]
    var names: [String] { SchemaTypes.named.filter { contains($0.1) }.map(\.0) }
}

/// A rule's number.
typealias RuleIndex = Int

struct SchemaRule: Sendable {
    /// A JSON pointer to it.
    let path: String
    var tests: [SchemaTest] = []
    /// The schema `false`.
    var refusesAll = false
}

/// One keyword, or those that only mean something together.
enum SchemaTest: Sendable {
    /// `maximum` and its kin: `takes` says which order of value and limit is right.
    struct Limit: Sendable {
        enum Order: String, Sendable { case maximum, exclusiveMaximum, minimum, exclusiveMinimum }
        let order: Order
        let number: [UInt8]
    }
    /// Of characters, elements or members.
    struct Size: Sendable {
        let keyword: String
        let limit: Int
        let isMaximum: Bool
    }
    struct Values: Sendable {
        let keyword: String
        /// Places in the schema.
        let places: [Int]
        let hashes: Set<Int>
    }
    struct Items: Sendable {
        var first: [RuleIndex] = []
        var rest: RuleIndex?
    }
    struct Contains: Sendable {
        let rule: RuleIndex
        let minimum: Int
        let maximum: Int?
    }
    struct Members: Sendable {
        var properties: [[UInt8]: RuleIndex] = [:]
        var patterns: [(pattern: LinearPattern, rule: RuleIndex)] = []
        var rest: RuleIndex?
    }
    struct Dependency: Sendable {
        let name: [UInt8]
        var needs: [[UInt8]] = []
        var rule: RuleIndex?
        let keyword: String
    }

    case reference(RuleIndex)
    case types(SchemaTypes)
    case values(Values)
    case limit(Limit)
    case multiple(DecimalNumber.Divisor, text: String)
    case textSize(Size)
    case pattern(LinearPattern)
    case format(SchemaFormat)
    case items(Items)
    case itemCount(Size)
    case unique
    case contains(Contains)
    case members(Members)
    case names(RuleIndex)
    case memberCount(Size)
    case required([[UInt8]])
    case dependency(Dependency)
    case all([RuleIndex])
    case any([RuleIndex])
    case one([RuleIndex])
    case not(RuleIndex)
    case conditional(RuleIndex, then: RuleIndex?, otherwise: RuleIndex?)

    /// The rules that it runs on the very value that it is asked of.
    var onSameValue: [RuleIndex] {
        switch self {
        case .reference(let rule), .not(let rule): [rule]
        case .all(let rules), .any(let rules), .one(let rules): rules
        case .conditional(let rule, let then, let otherwise): [rule] + [then, otherwise].compactMap(\.self)
        case .dependency(let dependency): [dependency.rule].compactMap(\.self)
        default: []
        }
    }
}
