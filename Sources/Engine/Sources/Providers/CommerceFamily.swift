// Stripe and Shopify.

import FastPath

enum CommerceFamily {
    static let providers: [Provider] = [stripe, shopify]

    private static let stripe: Provider = {
        var provider = Provider(name: "stripe")
        var scheme = SchemeDefinition(
            algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: "Stripe-Signature")])
        scheme.list = .comma
        scheme.listKey = "v1"
        scheme.signed = "{timestamp}.{body}"
        // Stripe's libraries look at the past only. The key is the whole `whsec_…` text, not decoded.
        scheme.timestamp = TimestampRule(listKey: "t", checksFuture: false)
        provider.schemes = [ProviderScheme(scheme)]
        provider.eventID = ["json:$.id"]
        provider.eventType = ["json:$.type"]
        provider.dedupKey = ["json:$.id", "body"]
        provider.successStatus = 200
        provider.retries = .automatic
        return provider
    }()

    private static let shopify: Provider = {
        var provider = Provider(name: "shopify")
        // The name without X- is the new one; a request may have both.
        var scheme = SchemeDefinition(
            algorithm: .hmac(.sha256),
            headers: [
                SchemeHeaders(signature: "Shopify-Hmac-Sha256"), SchemeHeaders(signature: "X-Shopify-Hmac-Sha256"),
            ])
        scheme.encoding = .base64
        provider.schemes = [ProviderScheme(scheme)]
        provider.eventID = ["header:X-Shopify-Webhook-Id", "header:Shopify-Webhook-Id"]
        provider.eventType = ["header:X-Shopify-Topic", "header:Shopify-Topic"]
        provider.dedupKey = ["header:X-Shopify-Webhook-Id", "header:Shopify-Webhook-Id", "body"]
        provider.successStatus = 200
        provider.retries = .automatic
        provider.answerSecondsMax = 5
        return provider
    }()
}
