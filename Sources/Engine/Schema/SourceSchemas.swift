// The schemas of one source: one for every event, and one for each of some types, which goes before it. And what is
// answered where an event breaks one.
//
// Invariant: a request that holds several events is taken whole or not at all; nothing of an event's values is said.
import FastPath
import Foundation

/// A source's schemas as an operator gives them: JSON texts.
package struct SourceSchemaSettings: Equatable, Codable, Sendable {
    /// Of all types that have none of their own; nil = such events are not checked.
    package var all: String?
    package var byType: [String: String] = [:]
    package static let typeCountMax = 100
    /// For audit entries: which types, how long each schema is, and a digest that another schema does not share.
    var summary: String {
        guard !isEmpty else { return "none" }
        let own = byType.sorted { $0.key < $1.key } + (all.map { [(key: "*", value: $0)] } ?? [])
        return own.map { "\($0.key) (\($0.value.utf8.count) bytes, \(SourceSchemaSettings.digest($0.value)))" }
            .joined(separator: ", ")
    }
    /// FNV-1a: it tells versions apart, and proves nothing.
    private static func digest(_ text: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return String(hash, radix: 16)
    }

    package init() {}
    package var isEmpty: Bool { all == nil && byType.isEmpty }
    /// Which types have one, `*` for the others.
    package var types: [String] { byType.keys.sorted() + (all == nil ? [] : ["*"]) }
}

/// Why an event is refused for its schema.
package enum SchemaRefusal: Equatable, Sendable {
    case notJSON
    case violated([SchemaViolation])

    package var reason: SignatureRejection {
        switch self {
        case .notJSON: .bodyNotJSON
        case .violated: .schemaViolation
        }
    }
    package var violations: [SchemaViolation] {
        if case .violated(let violations) = self { violations } else { [] }
    }
}

extension EventSchema {
    /// Nil: it is what the schema asks for.
    package func refusal(of body: [UInt8]) -> SchemaRefusal? {
        var stepsLeft = SchemaBounds.stepCountMax
        return refusal(of: body, stepsLeft: &stepsLeft)
    }
    /// `stepsLeft`: of all that are checked with it.
    func refusal(of body: [UInt8], stepsLeft: inout Int) -> SchemaRefusal? {
        switch verdict(of: body, stepsLeft: &stepsLeft) {
        case .valid: nil
        case .notJSON: .notJSON
        case .violated(let violations): .violated(violations)
        }
    }
}

package struct SourceSchemas: Sendable {
    private let all: EventSchema?
    private let byType: [[UInt8]: EventSchema]

    /// Nil where there is none.
    static func compile(_ settings: SourceSchemaSettings) throws(SourceProblemError) -> SourceSchemas? {
        guard !settings.isEmpty else { return nil }
        guard settings.byType.count <= SourceSchemaSettings.typeCountMax else {
            throw SourceProblemError(
                .tooManySchemas("schemas: more than \(SourceSchemaSettings.typeCountMax) types"))
        }
        var byType: [[UInt8]: EventSchema] = [:]
        for (type, text) in settings.byType.sorted(by: { $0.key < $1.key }) {
            byType[Array(type.utf8)] = try compile(text, type: type)
        }
        var all: EventSchema?
        if let text = settings.all { all = try compile(text, type: nil) }
        return SourceSchemas(all: all, byType: byType)
    }
    private static func compile(_ text: String, type: String?) throws(SourceProblemError) -> EventSchema {
        do throws(SchemaProblem) { return try EventSchema(text) } catch {
            throw SourceProblemError(.badSchema(type: type, error.message))
        }
    }

    /// All expressions in them.
    var patterns: [LinearPattern] { (all?.patterns ?? []) + byType.values.flatMap(\.patterns) }
    /// Nil where events of the type are not checked.
    func schema(of type: [UInt8]) -> EventSchema? { byType[type] ?? all }

    /// Of a request as it was read; nil when it may go on. A compressed body is checked as what it holds.
    func refusal(of request: borrowing CapturedRequest, _ reading: EventReader.Reading) -> SchemaRefusal? {
        switch reading {
        case .tooLarge: return nil
        case .whole(let texts):
            guard let schema = schema(of: texts.eventType) else { return nil }
            return schema.refusal(of: ContentDecoding.decodedBody(of: request) ?? request.body)
        case .split(let table):
            let body = request.body
            var refusal: SchemaRefusal?
            var (index, stepsLeft) = (0, SchemaBounds.requestStepCountMax)
            table.all { place, type in
                refusal = schema(of: type)?.refusal(of: Array(body[place]), stepsLeft: &stepsLeft)
                    .map { $0.of(event: index) }
                index += 1
                return refusal == nil
            }
            return refusal
        }
    }
}

extension SchemaRefusal {
    fileprivate func of(event index: Int) -> SchemaRefusal {
        guard case .violated(let violations) = self else { return self }
        return .violated(
            violations.map { violation in
                var own = violation
                own.event = index
                return own
            })
    }

    /// As the ingest port says it.
    package var answer: PublicationAnswer {
        PublicationAnswer(status: 422, body: Array(json.utf8))
    }
    private var json: String {
        let start = #"{"status":"rejected","reason":"\#(reason.rawValue)""#
        guard !violations.isEmpty else { return start + "}" }
        return start + #","violations":["# + violations.map(\.json).joined(separator: ",") + "]}"
    }
}

extension SchemaViolation {
    fileprivate var json: String {
        var members: [String: PlainJSON] = [
            "path": .text(instancePath), "schema_path": .text(schemaPath), "keyword": .text(keyword),
            "message": .text(message),
        ]
        if let event { members["event"] = .integer(Int64(event)) }
        return PlainJSON.object(members).json
    }
}
