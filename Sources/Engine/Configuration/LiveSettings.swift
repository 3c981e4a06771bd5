// What holds for the whole gateway and can change while it runs.

package struct LiveSettings: Equatable, Sendable {
    /// Scheme and host as senders use them, such as `https://hooks.example.com`; nil = as each request says.
    package var publicURL: String?
    /// Where the ingest port answers GET and HEAD with 200; nil = nowhere.
    package var healthPath: String?
    /// The ingest port takes publications beside providers' requests.
    package var takesPublications = false
    /// CIDR ranges of proxies whose word on a request's origin counts; `unix` for local sockets.
    package var trustedProxies: [String] = []
    /// How long two events with the same key are duplicates.
    package var dedupWindowSeconds: UInt32 = 86_400
    /// CIDR ranges that endpoints may live in although they are not global (loopback, private, …).
    package var allow: [String] = []
    /// Through which deliveries go; nil = directly.
    package var proxy: ProxySettings?
    /// How long finished deliveries stay listed.
    package var historyMillis = 7 * 86_400_000
    /// How long `SIGTERM` waits for what is in flight, milliseconds.
    package var gracePeriodMillis = 10_000
    /// Refused requests copied for a closer look, a second and source; 0 = none.
    package var rejectedPerSecondMax = 100
    /// What compiled regular expressions may take.
    package var expressions = ExpressionBounds()
    /// What tenants may send, by the manifest.
    package var tenants: [TenantSettings] = []
    /// Whose tokens open the control API beside the gateway's own keys; nil = nobody's.
    package var identity: IdentitySettings?
    /// To be shown to targets of whoever names them.
    package var namedCertificates: [NamedCertificate] = []
    /// A digest of the files that `listen` names, so that a certificate which was renewed in place is a change.
    package var certificateContents: String?
    package init() {}
}

extension LiveSettings {
    private static let fields: [SettingsField<LiveSettings>] = [
        SettingsField("public_url") { $0.publicURL },
        SettingsField("health_path") { $0.healthPath },
        SettingsField("publish") { $0.takesPublications },
        SettingsField("trusted_proxies") { $0.trustedProxies },
        SettingsField("grace", { $0.gracePeriodMillis }, text: { TimeSpan.text(of: $0) }),
        SettingsField("rejected.per_second") { $0.rejectedPerSecondMax },
        SettingsField("expressions.tenant", { $0.expressions.tenantBytesMax }, text: { ByteSize.text(of: $0) }),
        SettingsField("expressions.total", { $0.expressions.bytesMax }, text: { ByteSize.text(of: $0) }),
        SettingsField(
            "tenants", { $0.tenants },
            text: { tenants in
                let texts = tenants.map { tenant in
                    let weight = tenant.weight.map { ", weight \($0)" } ?? ""
                    return "\(tenant.name): \(tenant.rateLimit?.text ?? "none")\(weight)"
                }
                return texts.isEmpty ? "none" : texts.joined(separator: "; ")
            }),
        SettingsField("identity", { $0.identity }, text: { $0?.label ?? "none" }),
        SettingsField(
            NamedCertificate.listKey, { $0.namedCertificates },
            text: { $0.isEmpty ? "none" : $0.map(\.text).joined(separator: "; ") }),
        SettingsField("listen.tls", { $0.certificateContents }, text: { $0.map { String($0.prefix(8)) } ?? "none" }),
        SettingsField("dedup.window", { $0.dedupWindowSeconds }, text: { TimeSpan.text(of: Int($0) * 1000) }),
        SettingsField("delivery.allow") { $0.allow },
        SettingsField(
            "delivery.proxy", { $0.proxy },
            text: { $0.map { "\($0.url) except \($0.exceptions.joined(separator: ", "))" } ?? "none" }),
        SettingsField("delivery.history", { $0.historyMillis }, text: { TimeSpan.text(of: $0) }),
    ]
    package func changes(from old: LiveSettings) -> [FieldChange] {
        LiveSettings.fields.filter { !$0.isEqual(old, self) }.map {
            FieldChange(field: $0.key, before: $0.text(old), after: $0.text(self))
        }
    }
    /// True exactly when sources compiled with `other` would be the same with these settings.
    func compilesSources(like other: LiveSettings) -> Bool {
        publicURL == other.publicURL && dedupWindowSeconds == other.dedupWindowSeconds
            && rejectedPerSecondMax == other.rejectedPerSecondMax
    }
}
