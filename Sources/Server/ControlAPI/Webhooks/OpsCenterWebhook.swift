// Ops-Center's webhooks as values: how one is shown, made and changed; and what the surface asks of the gateway.
import Engine

package struct OpsCenterWebhook: Equatable, Sendable {
    /// A UUID, as the tenant's is.
    package var id: String
    package var organization: String
    package var url = ""
    package var events: [String] = []
    package var about: String?
    package var isEnabled = true
    package var createdMillis: Int64 = 0
    package var updatedMillis: Int64 = 0
    /// 0 = never.
    package var triggeredMillis: Int64 = 0
    package var successCount = 0
    package var failureCount = 0

    package init(id: String, organization: String) {
        self.id = id
        self.organization = organization
    }
    private var common: [String: JSONValue] {
        [
            "webhook_id": .text(id), "organization_id": .text(organization), "url": .text(url),
            "events": .list(events.map { .text($0) }), "description": about.map { .text($0) } ?? .null,
            "enabled": .bool(isEnabled), "created_at": .text(TimeText.of(epochMillis: createdMillis)),
            "updated_at": .text(TimeText.of(epochMillis: updatedMillis)),
        ]
    }
    package var json: JSONValue {
        var members = common
        members["last_triggered_at"] = triggeredMillis > 0 ? .text(TimeText.of(epochMillis: triggeredMillis)) : .null
        members["success_count"] = .integer(Int64(successCount))
        members["failure_count"] = .integer(Int64(failureCount))
        return .object(members)
    }
    /// The one answer that has the secret.
    package func json(made secret: String) -> JSONValue {
        var members = common
        members["secret"] = .text(secret)
        return .object(members)
    }

    private static let commonFields: [ObjectSchema.Field] = [
        .required("webhook_id", .text, "A UUID."),
        .required("organization_id", .text, "The tenant's UUID."),
        .required("url", .text, "Where it is delivered to."),
        .required("events", .list(.text), "Names of the catalogue; `*` = all."),
        .required("description", .orNull(.text), "In people's words."),
        .required("enabled", .flag, "Whether it gets events; false also after an answer of 410."),
        .required("created_at", .time, "When it was made."),
        .required("updated_at", .time, "When it was changed last."),
    ]
    static let schema = ObjectSchema(
        "Webhook", "Where an organization's events are delivered to.",
        commonFields + [
            .required("last_triggered_at", .orNull(.time), "When an event was first sent to it last."),
            .required("success_count", .count, "Events that it took."),
            .required("failure_count", .count, "Events that were given up."),
        ])
    static let madeSchema = ObjectSchema(
        "WebhookMade", "A webhook that was just made.",
        commonFields + [.required("secret", .text, "Signs its deliveries, as the text that it is; shown once.")])
}

/// What a webhook is to be.
package struct OpsCenterWebhookDraft: Equatable, Sendable {
    package var url: String
    package var events: [String]
    package var about: String?
    package var isEnabled = true

    package init(url: String, events: [String]) {
        self.url = url
        self.events = events
    }
    package init(_ bytes: [UInt8]) throws {
        let body = try WebhookBody(bytes, knowing: ["url", "events", "description", "enabled"])
        url = try body.required("url", try body.text("url"))
        events = try body.required("events", try body.texts("events"))
        about = try body.textOrNull("description")
        isEnabled = try body.flag("enabled") ?? true
        try OpsCenterWebhookDraft.check(url: url)
    }
    package static let urlBytesMax = 2048
    fileprivate static func check(url: String) throws {
        guard url.utf8.count <= urlBytesMax else {
            throw ControlError(.invalid, "`url` has \(url.utf8.count) bytes; at most \(urlBytesMax)")
        }
    }

    static let schema = ObjectSchema(
        "WebhookDraft", "What a webhook is to be.",
        [
            .required("url", .text, "`https://…` or `http://…`, at most 2048 characters."),
            .required("events", .list(.text), "Names of the catalogue, at least one; `*` = all, later ones too."),
            .optional("description", .orNull(.text), "In people's words."),
            .optional("enabled", .flag, "True when absent."),
        ])
}

/// What of a webhook is to change; nil = nothing.
package struct OpsCenterWebhookPatch: Equatable, Sendable {
    package var url: String?
    package var events: [String]?
    package var about: SvixGiven<String> = .absent
    package var isEnabled: Bool?

    package init() {}
    package init(_ bytes: [UInt8]) throws {
        let body = try WebhookBody(bytes, knowing: ["url", "events", "description", "enabled"])
        url = try body.text("url")
        events = try body.texts("events")
        if body.has("description") { about = try body.textOrNull("description").map { SvixGiven.value($0) } ?? .null }
        isEnabled = try body.flag("enabled")
        if let url { try OpsCenterWebhookDraft.check(url: url) }
    }
    static let schema = ObjectSchema(
        "WebhookPatch", "What of a webhook is to change; what is absent stays.",
        [
            .optional("url", .text, "Counts from the next attempt on."),
            .optional("events", .list(.text), "All of them."),
            .optional("description", .orNull(.text), "`null` takes it away."),
            .optional("enabled", .flag, "Whether it gets events."),
        ])
}

/// Webhooks of the caller's tenant, `default` when it is confined to none. What it may not see is `no_such_webhook`.
package protocol OpsCenterWebhooks: AnyObject, Sendable {
    /// The newest first.
    func webhooks(enabledOnly: Bool, _ caller: Caller) throws -> [OpsCenterWebhook]
    func webhook(_ id: String, _ caller: Caller) throws -> OpsCenterWebhook
    func create(
        _ draft: OpsCenterWebhookDraft, _ caller: Caller
    ) throws -> (webhook: OpsCenterWebhook, secret: String)
    func patch(_ id: String, _ patch: OpsCenterWebhookPatch, _ caller: Caller) throws -> OpsCenterWebhook
    func deleteWebhook(_ id: String, _ caller: Caller) throws
    /// The newest first.
    func deliveries(
        ofWebhook id: String, _ search: OpsCenterDeliverySearch, _ caller: Caller
    ) throws -> [OpsCenterDelivery]
    /// `webhook` nil = all.
    func stats(webhook: String?, _ caller: Caller) throws -> OpsCenterStats
    /// On disk when this returns.
    func publish(_ order: OpsCenterEventOrder, _ caller: Caller) async throws -> OpsCenterPublished
    /// The same, to this webhook alone, whatever it subscribes to.
    func test(_ id: String, _ order: OpsCenterEventOrder, _ caller: Caller) async throws
}
