// Tenants and keys as the API shows and takes them.
//
// Invariant: a signing secret and a token are in the answer to the call that made them, and in no other.
import Engine

package struct TenantResource: Codable, Equatable, Sendable {
    package var id: String
    package var tenantId: String
    package var name: String
    package var uid: String?
    package var origin: ResourceOrigin
    package var revision: Int
    package var sources: Int
    package var endpoints: Int
    package var createdAt: String?
    package var signingSecret: String?
    /// In force, whoever said it.
    package var rateLimit: RateLimitResource?
    /// In force, whoever said it.
    package var weight = 1
    package init(
        id: String, tenantId: String, name: String, uid: String? = nil, origin: ResourceOrigin = .manifest,
        revision: Int = 1, sources: Int, endpoints: Int
    ) {
        self.id = id
        self.tenantId = tenantId
        self.name = name
        self.uid = uid
        self.origin = origin
        self.revision = revision
        self.sources = sources
        self.endpoints = endpoints
    }
}

extension TenantResource: Described {
    package static let schema = ObjectSchema(
        "Tenant", "Whose sources and endpoints are; `default` is always there.",
        [
            .required("id", .text, "`app_…`; never changes and is never used again."),
            .required("tenant_id", .text, "The same id as a UUID."),
            .required("name", .text, "May be changed."),
            .optional("uid", .text, "The caller's own id."),
            .required("origin", .word(ResourceOrigin.allCases.map(\.rawValue)), "Who made it."),
            .required("revision", .integer(1...Int.max), "Grows with each change."),
            .required("sources", .count, "How many it has."),
            .required("endpoints", .count, "How many it has."),
            .required(
                "weight", .integer(TenantShares.weightRange),
                "Its part of what all tenants deliver by, where they want more than there is."),
            .optional("created_at", .time, "When; absent for the `default` of a new data folder."),
            .optional(
                "rate_limit", .object(RateLimitResource.schema),
                "What its sources and publishers may send together; absent where nothing limits them."),
            .optional("signing_secret", .text, "Of its own webhooks; shown once, to the call that made it."),
        ])
}

/// A tenant that is to be.
package struct TenantDraft: Codable, Equatable, Sendable {
    package var name: String
    package var uid: String?
    package var rateLimit: RateLimitResource?
    package var weight: Int?
    package init(name: String, uid: String? = nil, rateLimit: RateLimitResource? = nil) {
        self.name = name
        self.uid = uid
        self.rateLimit = rateLimit
    }
}

extension TenantDraft: Described {
    package static let schema = ObjectSchema(
        "TenantDraft", "A tenant to make.",
        [
            .required("name", .text, "1 to 64 of `a-z A-Z 0-9 . _ -`, unique."),
            .optional("uid", .text, "The caller's own id, unique; 1 to 256 of the same characters."),
            .optional(
                "rate_limit", .object(RateLimitResource.schema),
                "What its sources and publishers may send together; by default what the configuration says."),
            .optional(
                "weight", .integer(TenantShares.weightRange),
                "Its part of what all tenants deliver by; by default what the configuration says, else 1."),
        ])
}

/// What of a tenant is to change.
package struct TenantPatch: Equatable, Sendable {
    package var name: String?
    /// `.some(nil)` takes it away.
    package var uid: String??
    /// `.some(nil)` takes it away.
    package var rateLimit: RateLimitConfiguration??
    /// `.some(nil)` takes it away.
    package var weight: Int??

    /// `changes` holds against the schema.
    init(_ changes: JSONValue) {
        guard case .object(let members) = changes else { return }
        if case .text(let text)? = members["name"] { name = text }
        switch members["uid"] {
        case .text(let text)?: uid = .some(text)
        case .null?: uid = .some(nil)
        default: break
        }
        if let value = members["rate_limit"] { rateLimit = .some(RateLimitResource.limit(value)) }
        switch members["weight"] {
        case .integer(let number)?: weight = .some(Int(number))
        case .null?: weight = .some(nil)
        default: break
        }
    }
    static let schema = ObjectSchema(
        "TenantPatch", "What of a tenant is to change.",
        [
            .optional("name", .text, "Its sources keep the paths that they have."),
            .optional("uid", .text, "`null` takes it away."),
            .optional(
                "rate_limit", .object(RateLimitResource.schema),
                "Replaces the limit as a whole; `null` takes it away."),
            .optional("weight", .integer(TenantShares.weightRange), "`null` takes it away."),
        ])
}

package struct KeyResource: Codable, Equatable, Sendable {
    package var keyId: String
    package var name: String
    package var role: String
    package var tenantId: String
    package var tenant: Reference?
    package var createdAt: String
    package var expiresAt: String?
    package var lastUsedAt: String?
    package var token: String?
    package init(keyId: String, name: String, role: String, tenantId: String, createdAt: String) {
        self.keyId = keyId
        self.name = name
        self.role = role
        self.tenantId = tenantId
        self.createdAt = createdAt
    }

    /// Stands for all tenants.
    static let allTenants = "*"
}

extension KeyResource: Described {
    package static let schema = ObjectSchema(
        "Key", "What lets a caller in, as far as its role goes.",
        [
            .required("key_id", .text, "`key_…`; the audit log names its bearer so."),
            .required("name", .text, "A label; may be empty."),
            .required("role", .word(KeyRole.allCases.map(\.name)), "What its bearer may do."),
            .required("tenant_id", .text, "A UUID, or `*` for all tenants."),
            .optional("tenant", .object(Reference.schema), "Absent for all tenants."),
            .required("created_at", .time, "When it was made."),
            .optional("expires_at", .time, "It is refused from then on."),
            .optional("last_used_at", .time, "Over a restart to the minute."),
            .optional("token", .text, "Shown once, to the call that made the key."),
        ])
}

/// A key that is to be.
package struct KeyOrder: Codable, Equatable, Sendable {
    package var tenantId: String?
    package var role: String
    package var name: String?
    package var expiresAt: String?
    package init(tenantId: String?, role: String, name: String? = nil, expiresAt: String? = nil) {
        self.tenantId = tenantId
        self.role = role
        self.name = name
        self.expiresAt = expiresAt
    }
}

extension KeyOrder: Described {
    package static let schema = ObjectSchema(
        "KeyOrder", "A key to make.",
        [
            .optional(
                "tenant_id", .text,
                "The tenant: its UUID, id, uid or name; `*` for all of them. Required but for `platform`, which has "
                    + "none."
            ),
            .required("role", .word(KeyRole.allCases.map(\.name)), "What its bearer may do."),
            .optional("name", .text, "A label: 1 to 64 of `a-z A-Z 0-9 . _ -`."),
            .optional("expires_at", .time, "Never by default."),
        ])
}
