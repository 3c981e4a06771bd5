// Standard Webhooks (v1) and Svix, whose headers have names of their own.

import FastPath

enum StandardWebhooksFamily {
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
    static func headers(_ brand: String) -> SchemeHeaders {
        SchemeHeaders(signature: "\(brand)-signature", id: "\(brand)-id", timestamp: "\(brand)-timestamp")
    }

    static let providers: [Provider] = [standardWebhooks, svix]

    private static let standardWebhooks: Provider = {
        var provider = Provider(name: "standard-webhooks")
        provider.schemes = [ProviderScheme(definition(headers: [headers("webhook")]))]
        provider.eventID = ["header:webhook-id"]
        provider.eventType = ["json:$.type"]
        provider.dedupKey = ["header:webhook-id"]
        provider.retries = .automatic
        provider.answerSecondsMax = 15
        return provider
    }()

    private static let svix: Provider = {
        var provider = Provider(name: "svix")
        // The libraries fall back to the unbranded names.
        provider.schemes = [ProviderScheme(definition(headers: [headers("svix"), headers("webhook")]))]
        provider.eventID = ["header:svix-id", "header:webhook-id"]
        provider.eventType = ["json:$.type", "json:$.event_type", "json:$.eventType"]
        provider.dedupKey = ["header:svix-id", "header:webhook-id"]
        provider.retries = .automatic
        provider.answerSecondsMax = 15
        return provider
    }()
}
