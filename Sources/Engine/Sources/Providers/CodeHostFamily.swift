// GitHub, GitLab, and the hosts that one runs oneself: Gitea, Gogs, Bitbucket Server.

import FastPath

enum CodeHostFamily {
    static let providers: [Provider] = [gitHub, gitHubSHA1, gitLab, gitea, gogs, bitbucketServer]

    private static func gitHub(
        _ name: String, title: String, header: String, prefix: String, algorithm: MACAlgorithm, notes: [String]
    ) -> Provider {
        var provider = Provider(
            name, title: title,
            guide: ProviderGuide(
                url: "Settings, Webhooks, Add webhook: Payload URL; content type application/json.",
                secret: "Secret, in the same form: any text.",
                notes: notes + ["GitHub never tries again by itself; Recent Deliveries has a button for it."]))
        provider.schemes = [ProviderScheme(.mac(algorithm, header, prefix: prefix))]
        // The same on a redelivery, and in the deliveries of all webhooks and apps that subscribe to the event ("guid",
        // docs.github.com, "Get a delivery for a webhook"): each of those is an event of its own.
        provider.eventID = ["header:X-GitHub-Delivery"]
        provider.eventType = ["header:X-GitHub-Event"]
        provider.dedupKey = [
            "header:X-GitHub-Delivery + header:X-GitHub-Hook-ID + header:X-GitHub-Event",
            "header:X-GitHub-Delivery + header:X-GitHub-Event", "header:X-GitHub-Delivery",
        ]
        provider.retries = .none
        provider.answerSecondsMax = 10
        // docs.github.com, "Webhook events and payloads": "Payloads are capped at 25 MB".
        provider.bodyBytesMax = 25 << 20
        // GitHub publishes its ranges as an answer of its API (GET /meta, `hooks`), not as a list to keep.
        return provider
    }
    private static let gitHub = gitHub(
        "github", title: "GitHub", header: "X-Hub-Signature-256", prefix: "sha256=", algorithm: .sha256,
        notes: ["The addresses are in the API's answer to GET /meta, as `hooks`."])
    /// The legacy header, for senders that have no other. A profile of its own: a SHA-1 signature never satisfies
    /// `github`.
    private static let gitHubSHA1 = gitHub(
        "github-sha1", title: "GitHub, legacy SHA-1 header", header: "X-Hub-Signature", prefix: "sha1=",
        algorithm: .sha1, notes: ["For old GitHub Enterprise Servers and imitators only."])

    /// A signing token begins with `whsec_` and is Standard Webhooks v1; any other secret is the plain token.
    private static let gitLab: Provider = {
        var provider = Provider(
            "gitlab", title: "GitLab",
            guide: ProviderGuide(
                url: "Settings, Webhooks, Add new webhook: URL.",
                secret: "Secret token, in the same form: any text, sent as it is; or the signing token, whsec_ and "
                    + "base 64, where GitLab offers one.",
                notes: ["The plain token proves nothing about the body: prefer the signing token."]))
        let signing = StandardWebhooksFamily.definition(headers: [StandardWebhooksFamily.headers("webhook")])
        provider.schemes = [
            ProviderScheme(signing, takes: .prefixed("whsec_")),
            ProviderScheme(.token("X-Gitlab-Token"), takes: .notPrefixed("whsec_")),
        ]
        provider.eventID = ["header:webhook-id", "header:Idempotency-Key", "header:X-Gitlab-Event-UUID"]
        provider.eventType = ["header:X-Gitlab-Event", "json:$.object_kind"]
        // docs.gitlab.com, "Webhooks": the same over retries. Not X-Gitlab-Event-UUID: events that one event sets off
        // share it.
        provider.dedupKey = ["header:webhook-id", "header:Idempotency-Key"]
        provider.retries = .none
        provider.answerSecondsMax = 10
        // GitLab Docs, "GitLab.com settings", section "IP range", read 2026-11-21. A GitLab of one's own has its own.
        provider.addresses = ["34.74.90.64/28", "34.74.226.0/24"]
        return provider
    }()

    private static let gitea: Provider = {
        var provider = Provider(
            "gitea", title: "Gitea and Forgejo",
            guide: ProviderGuide(
                url: "Settings, Webhooks, Add Webhook: Target URL; content type application/json.",
                secret: "Secret, in the same form: any text."))
        provider.schemes = [ProviderScheme(.mac(.sha256, "X-Gitea-Signature"))]
        provider.eventID = ["header:X-Gitea-Delivery"]
        provider.eventType = ["header:X-Gitea-Event"]
        provider.dedupKey = ["header:X-Gitea-Delivery"]
        return provider
    }()

    private static let gogs: Provider = {
        var provider = Provider(
            "gogs", title: "Gogs",
            guide: ProviderGuide(
                url: "Settings, Webhooks, Add a new webhook: Payload URL; content type application/json.",
                secret: "Secret, in the same form: any text."))
        provider.schemes = [ProviderScheme(.mac(.sha256, "X-Gogs-Signature"))]
        provider.eventID = ["header:X-Gogs-Delivery"]
        provider.eventType = ["header:X-Gogs-Event"]
        provider.dedupKey = ["header:X-Gogs-Delivery"]
        return provider
    }()

    private static let bitbucketServer: Provider = {
        var provider = Provider(
            "bitbucket-server", title: "Bitbucket Server and Data Center",
            guide: ProviderGuide(
                url: "Repository settings, Webhooks, Create webhook: URL.",
                secret: "Secret, in the same form: any text. Without it nothing is signed."))
        provider.schemes = [ProviderScheme(AtlassianFamily.hubSignature)]
        provider.eventID = ["header:X-Request-Id"]
        provider.eventType = ["header:X-Event-Key"]
        provider.dedupKey = ["header:X-Request-Id"]
        return provider
    }()
}
