// Event types taken over in one step: out of an OpenAPI document, or from a preset.
import Engine
import HTTPTypes

/// Which event types are to be, whatever they came from.
package struct SvixImportOrder: Equatable, Sendable {
    package var types: [OpenAPIEventType]
    /// What is not among them is archived.
    package var replacesAll = false
    /// Nothing is changed.
    package var isDry = false
    package init(types: [OpenAPIEventType]) { self.types = types }
}

/// What it changed, or would change.
package struct SvixImportReport: Equatable, Sendable {
    package var changed: [OpenAPIEventType] = []
    /// Names.
    package var archived: [String] = []
    package init() {}

    func json(isDry: Bool) -> JSONValue {
        func type(_ type: OpenAPIEventType) -> JSONValue {
            [
                "name": .text(type.name), "description": .text(type.about),
                "schemas": type.schema.map { [SvixEventType.importVersion: $0] } ?? .null,
                "deprecated": .bool(type.isDeprecated), "groupName": .null, "featureFlags": .null,
            ]
        }
        return [
            "data": [
                "modified": .list(isDry ? [] : changed.map { .text($0.name) }),
                "to_modify": isDry ? .list(changed.map(type)) : .null,
                "archived": .list(archived.map { .text($0) }),
            ]
        ]
    }
    static let schema = ObjectSchema(
        "EventTypeImportOpenApiOut", "What an import changed.", [.required("data", .object(dataSchema), "What.")])
    private static let dataSchema = ObjectSchema(
        "EventTypeImportOpenApiOutData", "What an import changed, or would change.",
        [
            .required("modified", .list(.text), "Names of types that were declared or changed; empty of a dry run."),
            .optional("to_modify", .orNull(.list(.object(typeSchema))), "Of a dry run: what they would be."),
            .required("archived", .list(.text), "Names of types that were archived, or would be."),
        ])
    private static let typeSchema = ObjectSchema(
        "EventTypeFromOpenApi", "An event type that an import would declare or change.",
        [
            .required("name", .text, "The webhook's name."),
            .required("description", .text, "In people's words."),
            .optional("schemas", .orNull(.map(.anything)), "Version to JSON Schema (draft 7)."),
            .required("deprecated", .flag, "Not to be used by new endpoints."),
            .optional("groupName", .orNull(.text), "Always null."),
            .optional("featureFlags", .orNull(.list(.text)), "Always null: flags stay as they are."),
        ])
}

extension SvixEventType {
    /// Of the schema that an import brings.
    static let importVersion = "1"
}

struct EventTypeImportController {
    let types: any SvixEventTypes
    let kept: KeptAnswers
    let worker: ControlWorker

    var routes: [Route] { [openAPI, preset] }

    private var openAPI: Route {
        let (types, worker) = (types, worker)
        return .svix(
            .post, "/event-type/import/openapi", "v1.event-type.import-openapi",
            "Declare the webhooks of an OpenAPI document as event types; archived ones come back.",
            body: EventTypeImportController.openAPISchema, bodyBytesMax: Route.svixContentBytesMax,
            answer: SvixImportReport.schema, kept: kept
        ) { call in
            let order = try await worker.read(call) { try EventTypeImportController.openAPI(&$0) }
            let report = try await worker.run { try types.importTypes(order, call.caller) }
            return SvixReply(200, report.json(isDry: order.isDry))
        }
    }
    private static func openAPI(_ body: inout SvixBody) throws -> SvixImportOrder {
        let spec = body.given("spec", "an object") { value -> JSONValue? in
            if case .object = value { value } else { nil }
        }.value
        let raw = body.given("specRaw", "a text") { value -> String? in
            if case .text(let text) = value { text } else { nil }
        }.value
        let replacesAll = body.givenFlag("replaceAll").value ?? false
        let isDry = body.givenFlag("dryRun").value ?? false
        try body.finish()
        guard (spec == nil) != (raw == nil) else {
            throw SvixError.generic("one of `spec` (JSON) and `specRaw` (a text of YAML or JSON) is needed, not both")
        }
        var document = spec ?? .null
        if let raw { document = try EventTypeImportController.document(raw) }
        var order = SvixImportOrder(
            types: try OpenAPIWebhooks.read(document, at: ["body", spec == nil ? "specRaw" : "spec"]))
        (order.replacesAll, order.isDry) = (replacesAll, isDry)
        return order
    }
    private static func document(_ text: String) throws -> JSONValue {
        let first = text.utf8.first { $0 > 0x20 }
        if first == UInt8(ascii: "{"), let inner = try? SvixBody(Array(text.utf8)) { return .object(inner.members) }
        do throws(YAMLValue.Problem) { return try YAMLValue.json(text) } catch {
            let place = error.line > 0 ? "line \(error.line) " : "it "
            throw SvixError.invalid(["body", "specRaw"], place + error.message)
        }
    }

    private static let presets = ["ops-center"]
    private var preset: Route {
        let (types, worker) = (types, worker)
        return .svix(
            .post, "/event-type/import/preset", "v1.event-type.import-preset",
            "Declare the event types of a catalogue that comes with the gateway; archived ones come back.",
            body: EventTypeImportController.presetSchema, answer: SvixImportReport.schema, kept: kept
        ) { call in
            let order = try await worker.read(call) { body -> SvixImportOrder in
                let name = body.requiredText("preset")
                if let name, !EventTypeImportController.presets.contains(name) {
                    let known = EventTypeImportController.presets.joined(separator: ", ")
                    body.report("preset", message: "must be one of \(known)")
                }
                var order = SvixImportOrder(types: OpsCenterCatalogue.events.map { OpenAPIEventType($0) })
                order.replacesAll = body.givenFlag("replaceAll").value ?? false
                order.isDry = body.givenFlag("dryRun").value ?? false
                return order
            }
            let report = try await worker.run { try types.importTypes(order, call.caller) }
            return SvixReply(200, report.json(isDry: order.isDry))
        }
    }

    private static let changes: [ObjectSchema.Field] = [
        .optional("dryRun", .orNull(.flag), "`true`: say what would change, and change nothing."),
        .optional("replaceAll", .orNull(.flag), "`true`: archive what is not among them."),
    ]
    private static let openAPISchema = ObjectSchema(
        "EventTypeImportOpenApiIn", "An OpenAPI document, in one of two forms.",
        [
            .optional("spec", .orNull(.map(.anything)), "The document."),
            .optional("specRaw", .orNull(.text), "The document as a text of YAML or JSON."),
        ] + changes)
    private static let presetSchema = ObjectSchema(
        "EventTypeImportPresetIn", "A catalogue that comes with the gateway.",
        [.required("preset", .word(presets), "`ops-center`: the 31 events of Ops-Center's webhooks.")] + changes)
}

extension OpenAPIEventType {
    /// As its webhooks are sent it, with an example.
    fileprivate init(_ event: OpsCenterCatalogue.Event) {
        self.init(name: event.name)
        about = event.about
        let example: JSONValue = [
            "event": .text(event.name), "timestamp": "2026-01-31T12:00:00Z", "data": ["id": "00000000"],
        ]
        schema = [
            "type": "object", "required": ["event", "timestamp", "data"],
            "properties": [
                "event": ["const": .text(event.name)], "timestamp": ["type": "string", "format": "date-time"],
                "data": ["type": "object"],
            ],
            "examples": [example],
        ]
    }
}
