// The policies of a lane in the table of an endpoint's fields: how two versions are compared, and what the audit log
// and the difference of two manifests say.

extension EndpointConfiguration {
    static let lanePolicyFields: [SettingsField<EndpointConfiguration>] = [
        SettingsField("breaker", { $0.policies.breaker }, text: { $0?.text ?? "none" }),
        SettingsField("retry.policy", { $0.policies.retry }, text: { $0?.text ?? "none" }),
        SettingsField("errors", { $0.policies.errors }, text: { $0?.text ?? "none" }),
        SettingsField("rate", { $0.policies.rate }, text: { $0?.text ?? "none" }),
        SettingsField(
            "concurrency.adaptive", { $0.policies.concurrency },
            text: { $0.map { "from \($0.min), target \(TimeSpan.text(of: $0.targetMillis))" } ?? "none" }),
        SettingsField("deadline", { $0.policies.deadlineMillis }, text: timeText),
        SettingsField("delay", { $0.policies.delayMillis }, text: timeText),
        SettingsField("shadow", { $0.policies.shadow }, text: { $0.map { "share \($0.share)" } ?? "none" }),
        SettingsField("coalesce", { $0.policies.coalesce }, text: { $0?.text ?? "none" }),
        SettingsField("batch", { $0.policies.batch }, text: { $0?.text ?? "none" }),
        SettingsField("disable_after", { $0.policies.disableAfterMillis }, text: timeText),
    ]
    private static func timeText(_ millis: Int?) -> String { millis.map { TimeSpan.text(of: $0) } ?? "none" }
}
