// Schemas of events as the API takes them for a trial, and what comes of one: a body held against one, and a stretch of
// the log. docs/schemas.md says what a schema is taken as.
//
// Invariant: nothing here carries a value of an event but its id, type, source and times.
import Engine
import FastPath

package struct SchemaViolationResource: Codable, Equatable, Sendable {
    package var path: String
    package var schemaPath: String
    package var keyword: String
    package var message: String

    package init(_ violation: SchemaViolation) {
        path = violation.instancePath
        schemaPath = violation.schemaPath
        keyword = violation.keyword
        message = violation.message
    }
}

extension SchemaViolationResource: Described {
    package static let schema = ObjectSchema(
        "SchemaViolation", "One rule of a schema that a body breaks.",
        [
            .required("path", .text, "A JSON pointer into the body; empty: the whole."),
            .required("schema_path", .text, "A JSON pointer to the keyword in the schema."),
            .required("keyword", .text, "The keyword; `limits`: it is more than a check takes."),
            .required("message", .text, "What would be right."),
        ])
}

/// What is tried on what.
package struct SchemaTrial: Codable, Equatable, Sendable {
    package var schema: JSONValue
    package var event: String?
    package var payload: JSONValue?
    package var body: String?
    package init(schema: JSONValue) { self.schema = schema }
}

extension SchemaTrial: Described {
    package static let schema = ObjectSchema(
        "SchemaTrial", "A schema, and one of `event`, `payload` and `body`.",
        [
            .required("schema", .anything, "The JSON Schema: an object, true or false."),
            .optional("event", .text, "The id of an event in the log."),
            .optional("payload", .anything, "A body, as JSON."),
            .optional("body", .text, "A body, as it stands."),
        ])
}

/// Whether a body is what a schema asks for.
package struct SchemaResult: Codable, Equatable, Sendable {
    package var valid: Bool
    package var verdict: String
    package var violations: [SchemaViolationResource]

    package init(_ refusal: SchemaRefusal?) {
        valid = refusal == nil
        verdict = refusal.map(\.reason.rawValue) ?? "valid"
        violations = refusal?.violations.map { SchemaViolationResource($0) } ?? []
    }
}

extension SchemaResult: Described {
    package static let schema = ObjectSchema(
        "SchemaResult", "Whether a body is what a schema asks for.",
        [
            .required("valid", .flag, "It is."),
            .required("verdict", .word(["valid", "schema_violation", "body_not_json"]), "As a refusal would say it."),
            .required(
                "violations", .list(.object(SchemaViolationResource.schema)),
                "At most \(SchemaBounds.violationCountMax)."),
        ])
}

/// A schema that is not saved yet, and the time to try it over.
package struct SchemaPreviewOrder: Codable, Equatable, Sendable {
    package var schema: JSONValue
    package var source: String?
    package var type: String?
    package var from: String
    package var until: String?
    package var cursor: String?
    package init(schema: JSONValue, from: String) {
        self.schema = schema
        self.from = from
    }
}

extension SchemaPreviewOrder: Described {
    package static let schema = ObjectSchema(
        "SchemaPreview", "What a schema would have refused.",
        [
            .required("schema", .anything, "The JSON Schema: an object, true or false."),
            .optional("source", .text, "Only events of this source: its name."),
            .optional("type", .text, "Only events of this type."),
            .required("from", .time, "Events received at or after this time."),
            .optional("until", .time, "Events received before this time; now when absent."),
            .optional("cursor", .text, "Where to go on: `next` of the page before, with the same order otherwise."),
        ])
}

package struct SchemaExample: Codable, Equatable, Sendable {
    package var event: EventRow
    package var verdict: String
    package var violations: [SchemaViolationResource]
    package init(_ event: EventRow, _ refusal: SchemaRefusal) {
        self.event = event
        verdict = refusal.reason.rawValue
        violations = refusal.violations.map { SchemaViolationResource($0) }
    }
}

extension SchemaExample: Described {
    package static let schema = ObjectSchema(
        "SchemaExample", "An event that a schema would have refused.",
        [
            .required("event", .object(EventRow.schema), "The event."),
            .required("verdict", .word(["schema_violation", "body_not_json"]), "Why."),
            .required("violations", .list(.object(SchemaViolationResource.schema)), "What it breaks."),
        ])
}

package struct SchemaPreview: Codable, Equatable, Sendable {
    /// In a page.
    package static let exampleCountMax = 10
    package var read = 0
    package var checked = 0
    package var refused = 0
    package var notJson = 0
    package var examples: [SchemaExample] = []
    package var next: String?
    package init() {}
}

extension SchemaPreview: Described {
    package static let schema = ObjectSchema(
        "SchemaPreviewPage", "A page of what a schema would have refused; sums are of this page.",
        [
            .required("read", .count, "Events that were looked at."),
            .required("checked", .count, "Of those, the ones of the source and the type."),
            .required("refused", .count, "Of those, the ones that the schema refuses."),
            .required("not_json", .count, "Of those, the ones that are not JSON."),
            .required("examples", .list(.object(SchemaExample.schema)), "The first \(exampleCountMax) of this page."),
            .optional("next", .text, "The `cursor` of the next page; absent when the time is over."),
        ])
}
