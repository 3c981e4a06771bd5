// Alarms and reports: what a cluster and its watchmen send. Most have no signature but a header of one's own.

import FastPath

enum OperationsFamily {
    static let providers: [Provider] = [
        pagerDuty, launchDarkly, datadog, alertmanager, falcosidekick, trivyOperator, kyvernoPolicyReporter,
    ]

    private static let pagerDuty: Provider = {
        var provider = Provider(
            "pagerduty", title: "PagerDuty webhooks v3",
            guide: ProviderGuide(
                url: "Integrations, Generic Webhooks (v3), New webhook: Webhook URL.",
                secret: "Shown once when the webhook is made: any text.",
                notes: [
                    "A 4xx other than 429 drops the event at once; three drops disable the webhook for a day.",
                    "The addresses change without warning; app.pagerduty.com/webhook_ips has them.",
                ]))
        var scheme = SchemeDefinition.mac(.sha256, "X-PagerDuty-Signature")
        scheme.list = .comma
        scheme.listKey = "v1"
        provider.schemes = [ProviderScheme(scheme)]
        provider.eventID = ["header:X-Webhook-Id", "json:$.event.id"]
        provider.eventType = ["json:$.event.event_type"]
        provider.dedupKey = ["header:X-Webhook-Id", "json:$.event.id"]
        provider.successStatus = 200
        provider.retries = .automatic
        provider.answerSecondsMax = 5
        return provider
    }()

    private static let launchDarkly: Provider = {
        var provider = Provider(
            "launchdarkly", title: "LaunchDarkly",
            guide: ProviderGuide(
                url: "Integrations, Webhooks, Add integration: URL.",
                secret: "Secret, after Sign this webhook: any text."))
        provider.schemes = [ProviderScheme(.mac(.sha256, "X-LD-Signature"))]
        provider.eventID = ["json:$._id"]
        provider.eventType = ["json:$.kind"]
        provider.dedupKey = ["json:$._id"]
        return provider
    }()

    /// The sender has headers of one's own choice; `X-Api-Key` unless the source's `scheme` names another.
    private static func own(_ name: String, title: String, url: String, header: String) -> Provider {
        var provider = Provider(
            name, title: title,
            guide: ProviderGuide(
                url: url, secret: "A text of your own; as \(header) it goes out as X-Api-Key: the secret.",
                notes: [
                    "Nothing of the body is signed: use it over TLS only.",
                    "With another header: `scheme: { algorithm: token, header: NAME }`.",
                    "A secret `user:password` is looked for in Authorization: Basic.",
                ]))
        provider.schemes = [
            ProviderScheme(.basic, takes: .credentials), ProviderScheme(.token("X-Api-Key"), takes: .notCredentials),
        ]
        return provider
    }

    private static let datadog: Provider = {
        var provider = own(
            "datadog", title: "Datadog", url: "Integrations, Webhooks, New: URL.", header: "Custom Headers")
        provider.guide.notes.append("The payload's template says where the id is: put $ID under `id`.")
        provider.eventID = ["json:$.id"]
        provider.eventType = ["json:$.event_type"]
        provider.dedupKey = ["json:$.id"]
        return provider
    }()
    private static let falcosidekick: Provider = {
        var provider = own(
            "falcosidekick", title: "Falcosidekick", url: "webhook.address of its configuration.",
            header: "webhook.customHeaders")
        provider.methods = [.post, .put]
        provider.eventID = ["json:$.uuid"]
        provider.eventType = ["json:$.rule"]
        provider.dedupKey = ["json:$.uuid"]
        provider.retries = .none
        return provider
    }()
    private static let trivyOperator: Provider = {
        var provider = own(
            "trivy-operator", title: "Trivy Operator", url: "OPERATOR_WEBHOOK_BROADCAST_URL.",
            header: "OPERATOR_WEBHOOK_BROADCAST_CUSTOM_HEADERS")
        provider.eventID = ["json:$.metadata.uid"]
        provider.eventType = ["json:$.kind"]
        provider.answerSecondsMax = 30
        return provider
    }()
    private static let kyvernoPolicyReporter = own(
        "kyverno-policy-reporter", title: "Kyverno Policy Reporter", url: "target.webhook.host of its configuration.",
        header: "target.webhook.headers")

    private static let alertmanager: Provider = {
        var provider = Provider(
            "alertmanager", title: "Prometheus Alertmanager",
            guide: ProviderGuide(
                url: "webhook_configs: url of a receiver.",
                secret: "http_config: authorization: credentials (a bearer token), or basic_auth as user:password.",
                notes: [
                    "Nothing of the body is signed: use it over TLS only.", "A 4xx is not tried again, a 5xx is.",
                ]))
        provider.schemes = [
            ProviderScheme(.basic, takes: .credentials), ProviderScheme(.bearer, takes: .notCredentials),
        ]
        // No id: a group's alarm comes again on purpose as long as it burns, a dead man's switch always.
        provider.eventID = ["json:$.groupKey"]
        provider.eventType = ["json:$.status"]
        provider.retries = .automatic
        return provider
    }()
}
