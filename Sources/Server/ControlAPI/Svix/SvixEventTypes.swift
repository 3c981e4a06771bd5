// Event types of the Svix-shaped API: how they are shown and taken.
import Engine
import Foundation

package struct SvixEventType: Equatable, Sendable {
    package var name: String
    package var about = ""
    package var isArchived = false
    package var isDeprecated = false
    package var featureFlag: String?
    /// Version to JSON Schema.
    package var schemas: JSONValue?
    /// What is published is held against the newest of them. Of a body nil: as it was. Shown where it is so, and not
    /// otherwise, as the field is Sluice's own.
    package var enforcesSchema: Bool?
    package var createdMillis: Int64 = 0
    package var updatedMillis: Int64 = 0

    package init(name: String) { self.name = name }

    package func json(withContent: Bool = true) -> JSONValue {
        let own: [String: JSONValue] = enforcesSchema == true ? ["enforceSchema": true] : [:]
        return .object(own.merging(members(withContent: withContent)) { $1 })
    }
    private func members(withContent: Bool) -> [String: JSONValue] {
        [
            "name": .text(name), "description": .text(about), "archived": .bool(isArchived),
            "deprecated": .bool(isDeprecated), "featureFlag": featureFlag.map { .text($0) } ?? .null,
            "schemas": withContent ? schemas ?? .null : .null,
            "createdAt": .text(TimeText.of(epochMillis: createdMillis)),
            "updatedAt": .text(TimeText.of(epochMillis: updatedMillis)),
        ]
    }
    /// What is wrong is noted in `body`. `name` nil: the body says it.
    package init(_ body: inout SvixBody, name: String?) {
        self.name = name ?? body.requiredText("name") ?? ""
        if name == nil, !self.name.isEmpty || body.members["name"] != nil, !SvixRules.isLabel(self.name) {
            body.report("name", message: SvixRules.aboutLabel())
        }
        about = body.requiredText("description") ?? ""
        isArchived = body.flag("archived") ?? false
        isDeprecated = body.flag("deprecated") ?? false
        featureFlag = body.featureFlag().value
        schemas = body.schemas().value
        enforcesSchema = body.flag("enforceSchema")
    }
}

package struct SvixEventTypePatch: Equatable, Sendable {
    package var about: String?
    package var isArchived: Bool?
    package var isDeprecated: Bool?
    package var featureFlag: SvixGiven<String>
    package var schemas: SvixGiven<JSONValue>
    package var enforcesSchema: Bool?

    package init(_ body: inout SvixBody) {
        about = body.text("description")
        isArchived = body.flag("archived")
        isDeprecated = body.flag("deprecated")
        featureFlag = body.featureFlag()
        schemas = body.schemas()
        enforcesSchema = body.flag("enforceSchema")
    }
}

extension SvixBody {
    fileprivate mutating func featureFlag() -> SvixGiven<String> {
        let flag = givenText("featureFlag")
        if let text = flag.value, !SvixRules.isLabel(text) { report("featureFlag", message: SvixRules.aboutLabel()) }
        return flag
    }
    fileprivate mutating func schemas() -> SvixGiven<JSONValue> {
        let given = given("schemas", "an object of versions") { value -> JSONValue? in
            if case .object = value { value } else { nil }
        }
        guard case .object(let versions)? = given.value else { return given }
        guard versions.count <= SvixBody.schemaCountMax else {
            report("schemas", message: "has more than \(SvixBody.schemaCountMax) versions")
            return .absent
        }
        for (version, schema) in versions.sorted(by: { $0.key < $1.key }) {
            for problem in SchemaDraft7.problems(of: schema) {
                report("schemas", version, message: problem)
            }
        }
        return given
    }
    private static let schemaCountMax = 100
}

/// Event types of the registry. Those with a feature flag are not there for callers of a tenant whose key lacks it.
package protocol SvixEventTypes: AnyObject, Sendable {
    func eventTypes(
        _ paging: SvixPaging, includesArchived: Bool, _ caller: Caller
    ) throws -> SvixPage<SvixEventType>
    func eventType(_ name: String, _ caller: Caller) throws -> SvixEventType
    /// One that was archived comes back.
    func create(_ type: SvixEventType, _ caller: Caller) throws -> SvixEventType
    func replace(_ type: SvixEventType, _ caller: Caller) throws -> (type: SvixEventType, isNew: Bool)
    func patch(_ name: String, _ patch: SvixEventTypePatch, _ caller: Caller) throws -> SvixEventType
    /// Archived; `expunge`: gone for good.
    func deleteEventType(_ name: String, expunge: Bool, _ caller: Caller) throws
    /// All in one step, or nothing of it.
    func importTypes(_ order: SvixImportOrder, _ caller: Caller) throws -> SvixImportReport
}

extension SvixEventType {
    static let schema = ObjectSchema(
        "EventTypeOut", "What a type of event means.",
        [
            .required("name", .text, "Such as `invoice.paid`."),
            .required("description", .text, "In people's words."),
            .optional("archived", .flag, "Not listed, and not to be asked for by endpoints."),
            .required("deprecated", .flag, "Not to be used by new endpoints."),
            .optional("featureFlag", .orNull(.text), "Application tokens without it do not see the type."),
            .optional("schemas", .orNull(.map(.anything)), "Version to JSON Schema (draft 7)."),
            .optional(
                "enforceSchema", .flag, "`true`: what breaks the newest schema is refused; else it is not there."),
            .required("createdAt", .time, "When it was made."),
            .required("updatedAt", .time, "When it changed last."),
        ])
    private static let changeable: [ObjectSchema.Field] = [
        .optional("archived", .flag, "`false` by default."),
        .optional("deprecated", .flag, "`false` by default."),
        .optional("featureFlag", .orNull(.text), "1 to 256 of `a-z A-Z 0-9 - _ .`."),
        .optional("schemas", .orNull(.map(.anything)), "Version to JSON Schema (draft 7)."),
        .optional(
            "enforceSchema", .flag,
            "`true`: refuse what breaks the newest schema (docs/schemas.md). Absent: as it was."),
    ]
    static let draftSchema = ObjectSchema(
        "EventTypeIn", "An event type that is to be.",
        [
            .required("name", .text, "1 to 256 of `a-z A-Z 0-9 - _ .`."),
            .required("description", .text, "In people's words."),
        ] + changeable)
    static let updateSchema = ObjectSchema(
        "EventTypeUpdate", "What an event type is to be.",
        [.required("description", .text, "In people's words.")] + changeable)
    static let patchSchema = ObjectSchema(
        "EventTypePatch", "What of an event type is to change.",
        [.optional("description", .text, "In people's words.")] + changeable)
}
