// GitHub and GitLab.

import FastPath

enum CodeHostFamily {
    static let providers: [Provider] = [gitHub, gitHubSHA1, gitLab]

    private static func gitHub(_ name: String, header: String, prefix: String, algorithm: MACAlgorithm) -> Provider {
        var provider = Provider(name: name)
        var scheme = SchemeDefinition(algorithm: .hmac(algorithm), headers: [SchemeHeaders(signature: header)])
        scheme.prefix = prefix
        provider.schemes = [ProviderScheme(scheme)]
        // The same on a redelivery.
        provider.eventID = ["header:X-GitHub-Delivery"]
        provider.eventType = ["header:X-GitHub-Event"]
        provider.dedupKey = ["header:X-GitHub-Delivery", "body"]
        provider.retries = .none
        provider.answerSecondsMax = 10
        return provider
    }
    private static let gitHub = gitHub("github", header: "X-Hub-Signature-256", prefix: "sha256=", algorithm: .sha256)
    /// The legacy header, for senders that have no other. A profile of its own: a SHA-1 signature never satisfies
    /// `github`.
    private static let gitHubSHA1 = gitHub("github-sha1", header: "X-Hub-Signature", prefix: "sha1=", algorithm: .sha1)

    /// A signing token begins with `whsec_` and is Standard Webhooks v1; any other secret is the plain token.
    private static let gitLab: Provider = {
        var provider = Provider(name: "gitlab")
        let token = SchemeDefinition(algorithm: .token, headers: [SchemeHeaders(signature: "X-Gitlab-Token")])
        let signing = StandardWebhooksFamily.definition(headers: [StandardWebhooksFamily.headers("webhook")])
        provider.schemes = [
            ProviderScheme(signing, takes: .prefixed("whsec_")), ProviderScheme(token, takes: .notPrefixed("whsec_")),
        ]
        provider.eventID = ["header:webhook-id", "header:Idempotency-Key", "header:X-Gitlab-Event-UUID"]
        provider.eventType = ["header:X-Gitlab-Event", "json:$.object_kind"]
        // Not X-Gitlab-Event-UUID: events that one event sets off share it.
        provider.dedupKey = ["header:webhook-id", "header:Idempotency-Key", "body"]
        provider.retries = .none
        provider.answerSecondsMax = 10
        return provider
    }()
}
