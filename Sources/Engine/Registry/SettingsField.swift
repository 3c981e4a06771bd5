// The fields of sources and endpoints, one row each: how two versions are compared and what of a value may be shown.
// The difference of two versions, the audit's before and after, and the digest of a version all walk this table.
//
// Invariant: `text` never contains a secret: it says how many there are, and leaves the query of a URL out.
import FastPath

package struct SettingsField<Settings: Sendable>: Sendable {
    /// As in the manifest, without the list: `timeouts.total`.
    package let key: String
    package let isEqual: @Sendable (Settings, Settings) -> Bool
    package let text: @Sendable (Settings) -> String
    fileprivate var digesting = Digesting.always

    /// How a field is part of `digest`. Of fields that came later, an endpoint which has none of them must have the
    /// digest that an earlier version gave it, or an upgrade would take every endpoint of a manifest for a changed one.
    fileprivate enum Digesting: Sendable {
        case always
        /// With its key, where its text is not `none`.
        case whenSet
        /// No manifest can set it.
        case never
    }
    fileprivate func apart(_ digesting: Digesting) -> SettingsField {
        var field = self
        field.digesting = digesting
        return field
    }

    init<Value: Equatable & SendableMetatype>(
        _ key: String, _ value: @escaping @Sendable (Settings) -> Value,
        text: @escaping @Sendable (Value) -> String
    ) {
        self.key = key
        isEqual = { value($0) == value($1) }
        self.text = { text(value($0)) }
    }
    init<Value: Equatable & SendableMetatype>(_ key: String, _ value: @escaping @Sendable (Settings) -> Value) {
        self.init(key, value) { "\($0)" }
    }
    init(_ key: String, _ value: @escaping @Sendable (Settings) -> String?) {
        self.init(key, value) { $0 ?? "none" }
    }
    init(_ key: String, _ value: @escaping @Sendable (Settings) -> [String]) {
        self.init(key, value) { $0.isEmpty ? "none" : $0.joined(separator: ", ") }
    }
}

/// A field that differs between two versions; both texts may be shown.
package struct FieldChange: Equatable, Codable, Sendable {
    package let field: String
    package let before: String
    package let after: String

    package init(field: String, before: String, after: String) {
        self.field = field
        self.before = before
        self.after = after
    }
}

extension ResourceSettings {
    package func changes(from old: Self) -> [FieldChange] {
        Self.fields.filter { !$0.isEqual(old, self) }.map {
            FieldChange(field: $0.key, before: $0.text(old), after: $0.text(self))
        }
    }
    /// A digest of what a manifest sets, but for secrets, equal over restarts: it tells whether a manifest changed a
    /// resource while no process ran. Secrets stay out, so that nothing can be guessed from it.
    var digest: UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for field in Self.fields {
            var text = field.text(self)
            switch field.digesting {
            case .always: break
            case .whenSet where text == "none": continue
            case .whenSet: text = field.key + ": " + text
            case .never: continue
            }
            for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
            hash = (hash ^ 0x1F) &* 0x100_0000_01B3
        }
        return hash
    }
}

/// `http://host/path` of a URL: its query may be a capability.
func withoutQuery(_ url: String) -> String {
    guard let mark = url.firstIndex(of: "?") else { return url }
    return url[..<mark] + "?…"
}
/// The files by their last part, and the beginning of the digest of what is in them.
func filesText(_ tls: EndpointTLS?) -> String {
    guard let tls else { return "none" }
    let files = EndpointTLS.File.allCases.compactMap { file in
        tls.path(file).map { "\(file.rawValue) \($0.split(separator: "/").last ?? "")" }
    }
    return files.joined(separator: ", ") + " (\(tls.contents.prefix(8)))"
}
private func countText(_ count: Int) -> String {
    count == 0 ? "none" : count == 1 ? "1 secret" : "\(count) secrets"
}
/// What the values are is the caller's affair.
private func keysText(_ metadata: [String: String]) -> String {
    metadata.isEmpty ? "none" : metadata.keys.sorted().joined(separator: ", ")
}
private func millisText(_ millis: Int) -> String { TimeSpan.text(of: millis) }

extension EndpointConfiguration {
    package static var fields: [SettingsField<EndpointConfiguration>] { table }
    private static let table =
        manifestFields + lanePolicyFields.map { $0.apart(.whenSet) } + outboundFields.map { $0.apart(.never) }
    private static let channelsField: SettingsField<EndpointConfiguration> = SettingsField("channels") { $0.channels }
    private static let signatureField: SettingsField<EndpointConfiguration> = SettingsField(
        "signature", { $0.policies.signature }, text: { $0?.text ?? "none" })
    private static let headersField: SettingsField<EndpointConfiguration> = SettingsField(
        "headers", { $0.extras.fields },
        text: { $0.isEmpty ? "none" : $0.map(\.name).joined(separator: ", ") })
    private static let authorizationField: SettingsField<EndpointConfiguration> = SettingsField(
        "authorization", { $0.policies.authorization }, text: { $0?.text ?? "none" })
    private static let filterField: SettingsField<EndpointConfiguration> = SettingsField(
        "filter", { $0.policies.filter }, text: { $0?.json ?? "none" })
    private static let redactField: SettingsField<EndpointConfiguration> = SettingsField(
        "redact", { $0.policies.redaction }, text: { $0?.text ?? "none" })
    private static let transformField: SettingsField<EndpointConfiguration> = SettingsField(
        "transform", { $0.policies.transform }, text: { $0?.map(\.text).joined(separator: "; ") ?? "none" })
    private static let manifestFields: [SettingsField<EndpointConfiguration>] = [
        SettingsField("name") { $0.name },
        SettingsField("tenant") { $0.tenant },
        SettingsField("uid") { $0.uid },
        SettingsField("url", { $0.url }, text: withoutQuery),
        SettingsField("tls", { $0.tls }, text: filesText),
        SettingsField("sources") { $0.sources },
        SettingsField("types") { $0.types },
        channelsField.apart(.whenSet),
        filterField.apart(.whenSet),
        SettingsField("secret", { $0.secrets }, text: { countText($0.count) }),
        signatureField.apart(.whenSet), headersField.apart(.whenSet), authorizationField.apart(.whenSet),
        SettingsField("concurrency") { $0.concurrency },
        SettingsField("timeouts.connect", { $0.connectMillisMax }, text: millisText),
        SettingsField("timeouts.head", { $0.headMillisMax }, text: millisText),
        SettingsField("timeouts.total", { $0.totalMillisMax }, text: millisText),
        SettingsField(
            "retry.delays", { $0.retryDelaysMillis }, text: { $0.map(millisText).joined(separator: ", ") }),
        SettingsField("retry.jitter") { $0.retryJitter },
        SettingsField(
            "outcomes", { $0.outcomes },
            text: { written in
                let pairs = written.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
                return pairs.isEmpty ? "default" : pairs.joined(separator: ", ")
            }),
        SettingsField("ordered") { $0.ordered },
        SettingsField("ordered.key") { $0.orderKey },
        redactField.apart(.whenSet), transformField.apart(.whenSet),
        SettingsField("forward_headers") { $0.forwardsHeaders },
        SettingsField("disabled") { $0.disabled },
    ]
    /// What the outbound API adds.
    private static let outboundFields: [SettingsField<EndpointConfiguration>] = [
        SettingsField("description") { $0.extras.about },
        SettingsField("metadata", { $0.extras.metadata }, text: keysText),
        SettingsField("throttle_rate", { $0.extras.throttleRate }, text: { $0.map { "\($0)" } ?? "none" }),
        SettingsField("version") { $0.extras.version },
        SettingsField("credentials", { $0.extras.userInformation }, text: { $0.isEmpty ? "none" : "1 secret" }),
        SettingsField("old_secrets", { $0.extras.oldSecrets }, text: { countText($0.count) }),
        SettingsField("signature_names", { $0.extras.signatureNames }, text: { "\($0)" }),
        SettingsField("family", { $0.extras.family }, text: { $0.rawValue }),
        SettingsField("contract", { $0.extras.contract }, text: { $0?.value.text ?? "none" }),
    ]
}

extension SourceConfiguration {
    package static var fields: [SettingsField<SourceConfiguration>] { table }
    private static let table: [SettingsField<SourceConfiguration>] = [
        SettingsField("name") { $0.name },
        SettingsField("tenant") { $0.tenant },
        SettingsField("uid") { $0.uid },
        SettingsField("provider") { $0.provider },
        SettingsField("path", { $0.pathsInForce }, text: { $0.joined(separator: ", ") }),
        SettingsField("secrets", { $0.secrets }, text: { countText($0.count) }),
        SettingsField("unverified") { $0.unverified },
        SettingsField("scheme", { $0.scheme }, text: { $0.map { "\($0)" } ?? "none" }),
        SettingsField("event.id") { $0.eventID },
        SettingsField("event.type") { $0.eventType },
        eventGroupField.apart(.whenSet),
        SettingsField("dedup.key") { $0.dedupKey },
        SettingsField(
            "dedup.window", { $0.dedupWindowSeconds }, text: { $0.map { millisText(Int($0) * 1000) } ?? "none" }),
        SettingsField("split") { $0.split },
        SettingsField("body", { $0.bodyBytesMax }, text: { $0.map(ByteSize.text) ?? "none" }),
        SettingsField("durability", { $0.durability }, text: { $0.rawValue }),
        SettingsField("mode", { $0.mode }, text: { $0.rawValue }),
        SettingsField("handshakes", { $0.handshakes }, text: { $0.isEmpty ? "none" : "\($0)" }),
        SettingsField("answer", { $0.answer }, text: { $0.map { "\($0)" } ?? "none" }),
        SettingsField(
            "tolerance", { $0.timestampToleranceSeconds }, text: { $0.map { millisText($0 * 1000) } ?? "none" }),
        SettingsField("public_url") { $0.publicURL },
        SettingsField("allow_addresses") { $0.allowAddresses },
        SettingsField("client_certificate", { $0.clientCertificate }, text: { $0.map(\.summary) ?? "none" }),
        SettingsField("verify_token", { $0.verifyToken }, text: { $0 == nil ? "none" : "1 secret" }),
        SettingsField("allowed_origins") { $0.allowedOrigins },
        rateLimitField.apart(.whenSet),
        schemaField.apart(.whenSet),
    ]
    private static let eventGroupField: SettingsField<SourceConfiguration> = SettingsField(
        "event.group", { $0.eventGroup })
    private static let schemaField: SettingsField<SourceConfiguration> = SettingsField(
        "schema", { $0.schemas }, text: { $0.summary })
    private static let rateLimitField: SettingsField<SourceConfiguration> = SettingsField(
        "rate_limit", { $0.rateLimit }, text: { $0?.text ?? "none" })
}
