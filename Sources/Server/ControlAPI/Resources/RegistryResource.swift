// Sources, changes of the configuration and the audit log as the API shows them.

package struct SourceResource: Codable, Equatable, Sendable {
    package var id: String
    package var name: String
    package var uid: String?
    package var tenant: Reference
    package var origin = ResourceOrigin.manifest
    package var revision = 1
    package var provider: String
    package var path: String
    package var mode: String
    package var durability: String
    package var unverified: Bool
    package var secretCount: Int
    package var rateLimit: RateLimitResource?
    /// Which event types are held against a schema, `*` for all others.
    package var schemas: [String]?
    /// Requests since the process started, by what became of them.
    package var requests: [String: UInt64] = [:]

    package init(
        id: String, name: String, tenant: Reference, provider: String, path: String, mode: String, durability: String,
        unverified: Bool, secretCount: Int
    ) {
        self.id = id
        self.name = name
        self.tenant = tenant
        self.provider = provider
        self.path = path
        self.mode = mode
        self.durability = durability
        self.unverified = unverified
        self.secretCount = secretCount
    }
}

extension SourceResource: Described {
    package static let schema = ObjectSchema(
        "Source", "Where events come from.",
        [
            .required("id", .text, "`src_…`; never changes and is never used again."),
            .required("name", .text, "Unique in its tenant; may be changed."),
            .optional("uid", .text, "The caller's own id."),
            .required("tenant", .object(Reference.schema), "Whose it is."),
            .required("origin", .word(ResourceOrigin.allCases.map(\.rawValue)), "Who manages it."),
            .required("revision", .integer(1...Int.max), "Grows with each change."),
            .required("provider", .text, "A name of the provider catalogue, or `generic`."),
            .required("path", .text, "Where providers send to."),
            .required("mode", .word(["enforce", "observe"]), "What a failed signature means."),
            .required("durability", .word(["fsync", "written", "memory"]), "What a 2xx promises."),
            .required("unverified", .flag, "Requests are taken from anyone."),
            .required("secret_count", .count, "How many secrets verify; they are not shown."),
            .optional("rate_limit", .object(RateLimitResource.schema), "What may be sent to it; its tenant's beside."),
            .optional("schemas", .list(.text), "Event types that are held against a schema; `*`: all others."),
            .required(
                "requests", .map(.count),
                "Since the process started, by outcome: `accepted`, `duplicate`, `rejected`, `refused`, "
                    + "`handshake`, `observed`, `unchecked`, `rate_limited`."
            ),
        ])
}

/// One resource that a change touches.
package struct ChangeItem: Codable, Equatable, Sendable {
    package enum Action: String, CaseIterable, Codable, Sendable { case added, changed, removed }
    package enum Kind: String, CaseIterable, Codable, Sendable {
        case tenant, source, endpoint, key, gateway
        case eventType = "event_type"
    }
    package var action: Action
    package var kind: Kind
    package var name: String
    package var id: String?
    /// The fields that differ, of `changed` ones.
    package var fields: [String]?
    package init(action: Action, kind: Kind, name: String, id: String? = nil, fields: [String]? = nil) {
        self.action = action
        self.kind = kind
        self.name = name
        self.id = id
        self.fields = fields
    }
    package var line: String {
        let sign = action == .added ? "+" : action == .removed ? "-" : "~"
        let what = (fields ?? []).isEmpty ? "" : ": " + (fields ?? []).joined(separator: ", ")
        return "\(sign) \(kind.rawValue) \(LogLines.visible(name))\(what)"
    }
}

extension ChangeItem: Described {
    package static let schema = ObjectSchema(
        "ChangeItem", "One resource that a change touches.",
        [
            .required("action", .word(Action.allCases.map(\.rawValue)), "What happens to it."),
            .required("kind", .word(Kind.allCases.map(\.rawValue)), "What it is."),
            .required("name", .text, "As it is called after the change, or was called before its removal."),
            .optional("id", .text, "Its id, once it has one."),
            .optional("fields", .list(.text), "The fields that differ."),
        ])
}

package struct ChangeResource: Codable, Equatable, Sendable {
    package var dryRun: Bool
    package var at: String
    package var actor: String
    /// In words.
    package var summary: String
    package var added = 0
    package var changed = 0
    package var removed = 0
    /// At most `itemCountMax`.
    package var items: [ChangeItem] = []
    /// True exactly when there are more than `items` has.
    package var truncated = false
    /// What is sound, but should be known.
    package var warnings: [String] = []

    package static let itemCountMax = 1000

    package init(
        dryRun: Bool, at: String, actor: String, summary: String, items: [ChangeItem], warnings: [String] = []
    ) {
        self.summary = summary
        self.dryRun = dryRun
        self.at = at
        self.actor = actor
        added = items.count { $0.action == .added }
        changed = items.count { $0.action == .changed }
        removed = items.count { $0.action == .removed }
        self.items = Array(items.prefix(ChangeResource.itemCountMax))
        truncated = items.count > ChangeResource.itemCountMax
        self.warnings = warnings
    }
}

extension ChangeResource: Described {
    package static let schema = ObjectSchema(
        "Change", "What a change of the configuration did, or would do.",
        [
            .required("dry_run", .flag, "Nothing was changed."),
            .required("at", .time, "When."),
            .required("actor", .text, "Who: `start`, `signal`, or the id of a key."),
            .required("summary", .text, "The change in words."),
            .required("added", .count, "Resources added."),
            .required("changed", .count, "Resources changed."),
            .required("removed", .count, "Resources removed."),
            .required("items", .list(.object(ChangeItem.schema)), "Each of them, at most \(itemCountMax)."),
            .required("truncated", .flag, "There are more than `items` has."),
            .required("warnings", .list(.text), "What is sound, but should be known."),
        ])
}

/// The answer to `GET /config`.
package struct ConfigResource: Codable, Equatable, Sendable {
    /// Nil before the first change since the start.
    package var lastChange: ChangeResource?
    package init(lastChange: ChangeResource?) { self.lastChange = lastChange }
}

extension ConfigResource: Described {
    package static let schema = ObjectSchema(
        "Config", "The state of the configuration.",
        [.optional("last_change", .object(ChangeResource.schema), "The last change that took effect.")])
}

package struct AuditResource: Codable, Equatable, Sendable {
    package var id: UInt64
    package var at: String
    package var actor: String
    package var request: String?
    package var action: String
    package var kind: String
    package var resource: String
    package var name: String
    package var detail: String?
    package init(
        id: UInt64, at: String, actor: String, request: String? = nil, action: String, kind: String, resource: String,
        name: String, detail: String? = nil
    ) {
        self.id = id
        self.at = at
        self.actor = actor
        self.request = request
        self.action = action
        self.kind = kind
        self.resource = resource
        self.name = name
        self.detail = detail
    }
}

extension AuditResource: Described {
    package static let schema = ObjectSchema(
        "AuditEntry", "One change that somebody made, or a try that was refused.",
        [
            .required("id", .count, "Grows."),
            .required("at", .time, "When."),
            .required("actor", .text, "Who: `start`, `signal`, or the id of a key."),
            .optional("request", .text, "The id of the request that asked for it."),
            .required(
                "action", .text,
                "What was done: `create`, `update`, `delete`, `replay`, `reverify`, or `reveal` of a secret; "
                    + "`refuse` for a try that was refused."
            ),
            .required(
                "kind", .text,
                "Of which kind of resource: `tenant`, `source`, `endpoint`, `key`, `event_type` or `gateway`."),
            .required("resource", .text, "Its id; empty for `gateway`."),
            .required("name", .text, "As it was called then."),
            .optional("detail", .text, "More, such as the fields that differ; never a secret."),
        ])
}
