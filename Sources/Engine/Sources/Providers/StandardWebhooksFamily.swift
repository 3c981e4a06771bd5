// Standard Webhooks (v1 and v1a) and who sends by it: Svix, whose headers have names of their own, and OpenAI.

import FastPath

enum StandardWebhooksFamily {
    static let providers: [Provider] = [standardWebhooks, svix, openAI]

    static func definition(headers: [SchemeHeaders]) -> SchemeDefinition {
        var scheme = SchemeDefinition(algorithm: .hmac(.sha256), headers: headers)
        scheme.encoding = .base64
        scheme.list = .space
        scheme.listKey = "v1"
        scheme.signed = "{id}.{timestamp}.{body}"
        scheme.timestamp = TimestampRule()
        scheme.secretEncoding = .whsec
        return scheme
    }
    /// The same string under ed25519; the secret is a public key.
    static func publicKeyDefinition(headers: [SchemeHeaders]) -> SchemeDefinition {
        var scheme = definition(headers: headers)
        scheme.algorithm = .ed25519
        scheme.listKey = "v1a"
        scheme.secretEncoding = .ed25519
        return scheme
    }
    static func headers(_ brand: String) -> SchemeHeaders {
        SchemeHeaders(signature: "\(brand)-signature", id: "\(brand)-id", timestamp: "\(brand)-timestamp")
    }
    private static func schemes(_ headers: [SchemeHeaders]) -> [ProviderScheme] {
        [
            ProviderScheme(publicKeyDefinition(headers: headers), takes: .prefixed("whpk_")),
            ProviderScheme(definition(headers: headers), takes: .notPrefixed("whpk_")),
        ]
    }

    private static let standardWebhooks: Provider = {
        var provider = Provider(
            "standard-webhooks", title: "Standard Webhooks",
            guide: ProviderGuide(
                url: "The endpoint's URL in the sender's settings.",
                secret:
                    "The endpoint's secret: whsec_ and base 64 (v1), or the sender's public key whpk_ and base 64 "
                    + "(v1a).",
                notes: ["For every sender that follows the specification and has no name of its own here."]))
        provider.schemes = schemes([headers("webhook")])
        provider.eventID = ["header:webhook-id"]
        provider.eventType = ["json:$.type"]
        provider.dedupKey = ["header:webhook-id"]
        provider.retries = .automatic
        provider.retryAfterHonoured = true
        provider.answerSecondsMax = 15
        return provider
    }()

    private static let svix: Provider = {
        var provider = Provider(
            "svix", title: "Svix",
            guide: ProviderGuide(
                url: "Endpoints, Add Endpoint, in the application portal.",
                secret: "Signing Secret of the endpoint: whsec_ and base 64 (or whpk_ and base 64).",
                notes: ["An endpoint that fails for five days is disabled."]))
        // The libraries fall back to the unbranded names.
        provider.schemes = schemes([headers("svix"), headers("webhook")])
        provider.eventID = ["header:svix-id", "header:webhook-id"]
        provider.eventType = ["json:$.type", "json:$.event_type", "json:$.eventType"]
        provider.dedupKey = ["header:svix-id", "header:webhook-id"]
        provider.retries = .automatic
        provider.retryAfterHonoured = true
        provider.answerSecondsMax = 15
        // Svix's documentation, "Source IP Addresses" (svix-docs, docs/receiving/source-ips.mdx), read 2026-11-21:
        // US, EU, India.
        provider.addresses = [
            "44.228.126.217", "50.112.21.217", "52.24.126.164", "54.148.139.208", "52.215.16.239", "54.216.8.72",
            "63.33.109.123", "13.126.41.108", "15.207.218.84", "65.2.133.31",
        ]
        return provider
    }()

    private static let openAI: Provider = {
        var provider = Provider(
            "openai", title: "OpenAI",
            guide: ProviderGuide(
                url: "Settings, Project, Webhooks, Create.",
                secret: "Shown once when the endpoint is created: whsec_ and base 64."))
        provider.schemes = [ProviderScheme(definition(headers: [headers("webhook")]))]
        provider.eventID = ["header:webhook-id"]
        provider.eventType = ["json:$.type"]
        provider.dedupKey = ["header:webhook-id"]
        provider.successStatus = 200
        provider.retries = .automatic
        return provider
    }()
}
