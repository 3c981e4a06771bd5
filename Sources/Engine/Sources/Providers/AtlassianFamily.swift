// Jira Cloud: webhooks that an administrator makes, and those of a Connect app.

import FastPath

enum AtlassianFamily {
    static let providers: [Provider] = [jira, jiraConnect]

    /// `X-Hub-Signature: sha256=…`; Bitbucket Server signs the same way.
    static let hubSignature = SchemeDefinition.mac(.sha256, "X-Hub-Signature", prefix: "sha256=")

    private static let jira: Provider = {
        var provider = Provider(
            "jira", title: "Jira Cloud",
            guide: ProviderGuide(
                url: "Jira settings, System, WebHooks, Create a WebHook: URL.",
                secret: "Secret, in the same form: any text. Without it nothing is signed.",
                notes: ["Webhooks that a Connect app registers are signed otherwise: see jira-connect."]))
        provider.schemes = [ProviderScheme(hubSignature)]
        // developer.atlassian.com, "Webhooks": unique within a site and the same on every try.
        provider.eventID = ["header:X-Atlassian-Webhook-Identifier"]
        provider.eventType = ["json:$.webhookEvent"]
        provider.dedupKey = ["header:X-Atlassian-Webhook-Identifier"]
        provider.successStatus = 200
        provider.retries = .automatic
        provider.retryHeader = "X-Atlassian-Webhook-Retry"
        provider.answerSecondsMax = 30
        return provider
    }()

    private static let jiraConnect: Provider = {
        var provider = Provider(
            "jira-connect", title: "Jira Connect app",
            guide: ProviderGuide(
                url: "modules.webhooks in the app's descriptor, atlassian-connect.json.",
                secret: "sharedSecret from the body of the `installed` callback of the site.",
                notes: [
                    "The token signs method, path and query, not the body.",
                    "Behind a proxy Sluice must know its public URL, because the path is signed.",
                ]))
        provider.schemes = [ProviderScheme(named: .jiraConnect)]
        provider.eventID = ["header:X-Atlassian-Webhook-Identifier"]
        provider.eventType = ["json:$.webhookEvent"]
        provider.dedupKey = ["header:X-Atlassian-Webhook-Identifier"]
        provider.successStatus = 200
        provider.retries = .automatic
        provider.retryHeader = "X-Atlassian-Webhook-Retry"
        provider.answerSecondsMax = 30
        return provider
    }()
}
