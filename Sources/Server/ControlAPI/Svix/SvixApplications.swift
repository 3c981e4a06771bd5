// Applications of the Svix-shaped API, which are the registry's tenants: how they are shown and taken.
import Engine

package struct SvixApplication: Equatable, Sendable {
    package var id: String
    package var uid: String?
    package var name: String
    package var throttleRate: Int?
    package var metadata: [String: String]
    package var createdMillis: Int64
    package var updatedMillis: Int64

    package init(
        id: String, uid: String? = nil, name: String, throttleRate: Int? = nil, metadata: [String: String] = [:],
        createdMillis: Int64, updatedMillis: Int64
    ) {
        self.id = id
        self.uid = uid
        self.name = name
        self.throttleRate = throttleRate
        self.metadata = metadata
        self.createdMillis = createdMillis
        self.updatedMillis = updatedMillis
    }
    package var json: JSONValue {
        var members: [String: JSONValue] = [
            "id": .text(id), "uid": uid.map { .text($0) } ?? .null, "name": .text(name),
            "metadata": .object(metadata.mapValues { .text($0) }),
            "createdAt": .text(TimeText.of(epochMillis: createdMillis)),
            "updatedAt": .text(TimeText.of(epochMillis: updatedMillis)),
        ]
        // The old name is there only when there is a rate.
        let rate = throttleRate.map { JSONValue.integer(Int64($0)) }
        members["throttleRate"] = rate ?? .null
        if let rate { members["rateLimit"] = rate }
        return .object(members)
    }
}

/// An application as a whole: to make, or to replace another by.
package struct SvixApplicationDraft: Equatable, Sendable {
    package var name: String
    package var uid: String?
    package var throttleRate: Int?
    package var metadata: [String: String]

    package init(name: String, uid: String? = nil, throttleRate: Int? = nil, metadata: [String: String] = [:]) {
        self.name = name
        self.uid = uid
        self.throttleRate = throttleRate
        self.metadata = metadata
    }
    /// What is wrong is noted in `body`.
    package init(reading body: inout SvixBody) {
        let name = body.requiredText("name")
        if name?.isEmpty == true { body.report("name", message: "needs at least one character") }
        self.init(
            name: name ?? "", uid: body.uid(idPrefix: PublicID.Prefix.tenant.rawValue).value,
            throttleRate: body.throttleRate().value, metadata: body.metadata().value ?? [:])
    }
}

package struct SvixApplicationPatch: Equatable, Sendable {
    package var name: String?
    package var uid: SvixGiven<String>
    package var throttleRate: SvixGiven<Int>
    package var metadata: SvixGiven<[String: String]>

    package init(_ body: inout SvixBody) {
        name = body.text("name")
        if name?.isEmpty == true { body.report("name", message: "needs at least one character") }
        uid = body.uid(idPrefix: PublicID.Prefix.tenant.rawValue)
        throttleRate = body.throttleRate()
        metadata = body.metadata()
    }
}

extension SvixBody {
    mutating func uid(idPrefix: String) -> SvixGiven<String> {
        let uid = givenText("uid")
        if let text = uid.value, let problem = SvixRules.uidProblem(text, idPrefix: idPrefix) {
            report("uid", message: problem)
        }
        return uid
    }
    /// Under its name of today, which counts, or the one of before.
    mutating func throttleRate() -> SvixGiven<Int> {
        let range = 1...65_535
        let old = givenInteger("rateLimit", range)
        let rate = givenInteger("throttleRate", range)
        return rate == .absent ? old : rate
    }
}

extension SvixGiven where Value: Sendable {
    /// What stands after the patch where `old` stood.
    package func over(_ old: Value?) -> Value? {
        switch self {
        case .absent: old
        case .null: nil
        case .value(let value): value
        }
    }
}

/// Applications of the registry. `ref` is an id or a uid; what the caller's tenant may not see is `not_found`.
package protocol SvixApplications: AnyObject, Sendable {
    func applications(_ paging: SvixPaging, _ caller: Caller) throws -> SvixPage<SvixApplication>
    func application(_ ref: String, _ caller: Caller) throws -> SvixApplication
    /// `getsExisting`: the one that has the uid, as it is.
    func create(
        _ draft: SvixApplicationDraft, getsExisting: Bool, _ caller: Caller
    ) throws -> (application: SvixApplication, isNew: Bool)
    /// Makes one where there is none, with the draft's uid.
    func replace(
        _ ref: String, _ draft: SvixApplicationDraft, _ caller: Caller
    ) throws -> (application: SvixApplication, isNew: Bool)
    func patch(_ ref: String, _ patch: SvixApplicationPatch, _ caller: Caller) throws -> SvixApplication
    /// With all that it has.
    func deleteApplication(_ ref: String, _ caller: Caller) throws
    /// A token of the application alone, with an end.
    func portalToken(_ ref: String, _ order: SvixPortalOrder, _ caller: Caller) throws -> String
    /// All such tokens of the application end.
    func endPortalTokens(_ ref: String, _ caller: Caller) throws
}

/// Who is to get in, and for how long.
package struct SvixPortalOrder: Equatable, Sendable {
    package static let secondsDefault = 28 * 86_400
    package var featureFlags: [String] = []
    package var seconds = SvixPortalOrder.secondsDefault
    package var isReadOnly = false
    package init() {}
}

extension SvixApplication {
    static let schema = ObjectSchema(
        "ApplicationOut", "An application: a tenant of the gateway.",
        [
            .required("id", .text, "`app_…`; never changes and is never used again."),
            .optional("uid", .orNull(.text), "The caller's own id."),
            .required("name", .text, "In people's words."),
            .optional("throttleRate", .orNull(.integer(1...65_535)), "Messages a second; kept and shown."),
            .optional("rateLimit", .integer(1...65_535), "The old name of `throttleRate`."),
            .required("metadata", .map(.text), "The caller's own."),
            .required("createdAt", .time, "When it was made."),
            .required("updatedAt", .time, "When it changed last."),
        ])
    private static let changeable: [ObjectSchema.Field] = [
        .optional("uid", .orNull(.text), "1 to 256 of `a-z A-Z 0-9 - _ .`, not beginning with `app_`."),
        .optional("throttleRate", .orNull(.integer(1...65_535)), "Messages a second."),
        .optional("rateLimit", .orNull(.integer(1...65_535)), "The old name of `throttleRate`."),
        .optional("metadata", .orNull(.map(.text)), "Texts; at most 4096 bytes of JSON."),
    ]
    static let draftSchema = ObjectSchema(
        "ApplicationIn", "An application that is to be.",
        [.required("name", .text, "At least one character.")] + changeable)
    static let patchSchema = ObjectSchema(
        "ApplicationPatch", "What of an application is to change.",
        [.optional("name", .text, "At least one character.")] + changeable)
}
