// A source as an operator describes it: plain values, secrets resolved. Defaults live here and nowhere else;
// `docs/configuration.md` documents each.

import FastPath

/// What a failed signature means: the request is refused, or kept with the verdict (for a cut-over).
package enum SourceMode: String, CaseIterable, Codable, Sendable { case enforce, observe }

package enum Durability: String, CaseIterable, Codable, Sendable { case fsync, written, memory }

/// What the sender hears after an event; what is nil is the provider's.
package struct AnswerConfiguration: Equatable, Codable, Sendable {
    package var status: Int?
    package var type: String?
    package var body: String?
    package init() {}
}

package struct SourceConfiguration: Equatable, Codable, Sendable {
    /// A label, unique within the tenant.
    package var name = ""
    /// The tenant's name.
    package var tenant = TenantSpec.defaultName
    /// Chosen by whoever made it; identifies the source when its name changes.
    package var uid: String?
    /// A name of the provider catalogue, or `generic`.
    package var provider = "generic"
    /// Nil = `defaultPath`. One that ends with `/*` is that of everything beneath it.
    package var path: String?
    /// Others beside it.
    package var otherPaths: [String] = []
    /// Resolved values, never shown.
    package var secrets: [SourceSecret] = []
    package var unverified = false
    /// Scheme and host as the sender uses them; nil = the gateway's.
    package var publicURL: String?
    /// CIDR ranges that requests are taken from, `provider` for the catalogue's; empty = from everywhere.
    package var allowAddresses: [String] = []
    /// Nil: clients need to show no certificate.
    package var clientCertificate: ClientCertificateConfiguration?
    /// What a challenge must repeat (Meta).
    package var verifyToken: String?
    /// Who may ask to send (CloudEvents): host names or URLs, `*` for any.
    package var allowedOrigins: [String] = []
    /// For `generic`, or to override the provider's.
    package var scheme: SchemeConfiguration?
    package var eventID: [String] = []
    package var eventType: [String] = []
    /// What an event belongs to: `header:NAME` or `json:$.PATH`; the first that has a value.
    package var eventGroup: [String] = []
    package var dedupKey: [String] = []
    package var dedupWindowSeconds: UInt32?
    /// Where a request's list of events is, `json:$` or a path below; nil = a request is one event.
    package var split: String?
    /// Nil where it has none; read it through `schemas`.
    private var givenSchemas: SourceSchemaSettings?
    package var bodyBytesMax: Int?
    package var durability = Durability.fsync
    package var mode = SourceMode.enforce
    /// Beside the provider's; the first that fits a request answers it, these first.
    package var handshakes: [HandshakeConfiguration] = []
    /// Nil = what the provider wants to hear.
    package var answer: AnswerConfiguration?
    package var timestampToleranceSeconds: Int?
    /// Nil = as many requests as come.
    package var rateLimit: RateLimitConfiguration?
    package init() {}
}

extension SourceConfiguration {
    /// What its events are held against.
    package var schemas: SourceSchemaSettings {
        get { givenSchemas ?? SourceSchemaSettings() }
        set { givenSchemas = newValue.isEmpty ? nil : newValue }
    }
    /// The path that it listens on, the first where it has several.
    package var pathInForce: String { path ?? defaultPath }
    package var pathsInForce: [String] { [pathInForce] + otherPaths }
    private var defaultPath: String {
        tenant == TenantSpec.defaultName ? "/in/\(name)" : "/in/\(tenant)/\(name)"
    }
    /// Unique over all tenants: the name alone in the default tenant.
    package var qualifiedName: String { TenantSpec.qualify(name, tenant: tenant) }
}
