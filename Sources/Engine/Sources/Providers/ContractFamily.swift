// The contract's envelope (docs/contract.md) as a scheme: what a tenant's own systems send to `/v1/webhooks/ingest`,
// taken on the ingest port at line rate.

import FastPath

enum ContractFamily {
    static let providers: [Provider] = [contract]

    /// Three parts with dots between, in hexadecimal; the time in seconds, 300 from now at most.
    static let scheme: SchemeDefinition = {
        var scheme = SchemeDefinition(
            algorithm: .hmac(.sha256),
            headers: [SchemeHeaders(signature: "X-Signature", id: "X-Request-Id", timestamp: "X-Timestamp")])
        scheme.signed = "{id}.{timestamp}.{body}"
        scheme.timestamp = TimestampRule()
        return scheme
    }()

    private static let contract: Provider = {
        var provider = Provider(
            ContractEntry.providerName, title: "The contract's envelope",
            guide: ProviderGuide(
                url: "Where the tenant's systems send their events; the same request goes to `/v1/webhooks/ingest`.",
                secret: "The tenant's `signing_secret`, or a text of this source's own.",
                notes: [
                    "Requests need the whole envelope, with the tenant's UUID; answers have the contract's form.",
                    "No session is asked for, one event comes at a time, and `X-Request-Id` alone is the key.",
                    "With `client_certificate` a certificate stands in place of the signature.",
                ]))
        provider.schemes = [ProviderScheme(scheme)]
        provider.eventID = ["header:X-Request-Id"]
        provider.eventType = ["json:$.event_type"]
        provider.dedupKey = ["header:X-Request-Id"]
        provider.takesEnvelope = true
        provider.constantHeaders = [("X-Zen-Contract-Version", "v1alpha1")]
        provider.retries = .automatic
        provider.retryAfterHonoured = true
        return provider
    }()
}
