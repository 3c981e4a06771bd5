// An endpoint as an operator describes it: plain values, secrets resolved. Defaults live here and nowhere else;
// `docs/configuration.md` documents each.
//
// Invariant: what came after the first version is stored as an optional, so that a row of an earlier one is read at
// once.

package struct EndpointConfiguration: Equatable, Codable, Sendable {
    /// A label, unique within the tenant.
    package var name = ""
    /// The tenant's name.
    package var tenant = TenantSpec.defaultName
    /// Chosen by whoever made it; identifies the endpoint when its name changes.
    package var uid: String?
    package var url = ""
    /// For an https URL; nil: the system's authorities, and no certificate of its own.
    package var tls: EndpointTLS?
    /// Names of sources of the same tenant; empty = all of them.
    package var sources: [String] = []
    /// Patterns with `*` over the event type; empty = all.
    package var types: [String] = []
    /// Standard Webhooks secrets, base 64 with or without `whsec_`; all of them sign, so that one can rotate. Empty =
    /// unsigned.
    package var secrets: [String] = []
    package var concurrency = 16
    package var connectMillisMax = 5_000
    package var headMillisMax = 15_000
    package var totalMillisMax = 30_000
    /// Delays before the 2nd, 3rd … attempt, milliseconds; after the last the delivery is a dead letter.
    package var retryDelaysMillis = EndpointConfiguration.retryDelaysMillisDefault
    /// Half-width of the jitter as a share of the delay, 0 to 1.
    package var retryJitter = 0.1
    /// What answers mean, as it was written: `preset`, a status (`404`) or a class (`4xx`) to a word of `OutcomeTable`.
    package var outcomes: [String: String] = [:]
    /// Deliveries go in the order in which their events came: each when the one before it is delivered or dead.
    package var ordered = false
    /// Where the key stands among whose events the order holds; the first that has a value counts. Empty = among all.
    package var orderKey: [String] = []
    /// Forward the provider's own header fields (hop-by-hop and framing ones never go).
    package var forwardsHeaders = true
    /// A disabled endpoint keeps its place in the log and gets nothing.
    package var disabled = false
    /// Nil for most, and in what an earlier version wrote; see `channels`.
    private var channelList: [String]?
    /// Nil for most; see `extras`.
    private var kept: Boxed<EndpointExtras>?
    /// Nil for most; see `policies`.
    private var policyBox: Boxed<EndpointPolicies>?
    package init() {}

    /// Published events that share one; empty = all events, with channels or without.
    package var channels: [String] {
        get { channelList ?? [] }
        set { channelList = newValue.isEmpty ? nil : newValue }
    }
    /// What the outbound API adds.
    package var extras: EndpointExtras {
        get { kept?.value ?? EndpointExtras() }
        set { kept = newValue == EndpointExtras() ? nil : Boxed(newValue) }
    }
    /// What its deliveries go by beyond the settings above.
    package var policies: EndpointPolicies {
        get { policyBox?.value ?? EndpointPolicies() }
        set { policyBox = newValue == EndpointPolicies() ? nil : Boxed(newValue) }
    }

    private static let retryDelaysMillisDefault =
        [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400].map { $0 * 1000 }
}

extension EndpointConfiguration {
    /// Unique over all tenants: the name alone in the default tenant.
    package var qualifiedName: String { TenantSpec.qualify(name, tenant: tenant) }
}
