// Stripe, Shopify, Square, Paddle.

import FastPath

enum CommerceFamily {
    static let providers: [Provider] = [stripe, shopify, square, paddle]

    private static let stripe: Provider = {
        var provider = Provider(
            "stripe", title: "Stripe",
            guide: ProviderGuide(
                url: "Workbench, Webhooks, Add destination: Endpoint URL.",
                secret: "Signing secret of the destination: whsec_…, used as the whole text.",
                notes: ["The Stripe CLI's listener has a secret of its own."]))
        var scheme = SchemeDefinition.mac(.sha256, "Stripe-Signature", signed: "{timestamp}.{body}")
        scheme.list = .comma
        scheme.listKey = "v1"
        // Stripe's libraries look at the past only. The key is the whole `whsec_…` text, not decoded.
        scheme.timestamp = TimestampRule(listKey: "t", checksFuture: false)
        provider.schemes = [ProviderScheme(scheme)]
        provider.eventID = ["json:$.id"]
        provider.eventType = ["json:$.type"]
        provider.dedupKey = ["json:$.id"]
        provider.successStatus = 200
        provider.retries = .automatic
        // Stripe's file ips_webhooks.txt, named by docs.stripe.com/ips, as mirrored on 2026-05-15.
        provider.addresses = [
            "3.18.12.63", "3.69.109.8", "3.120.168.93", "3.130.192.231", "13.235.14.237", "13.235.122.149",
            "18.211.135.69", "35.154.171.200", "35.157.207.129", "52.15.183.38", "54.88.130.119", "54.88.130.237",
            "54.187.174.169", "54.187.205.235", "54.187.216.72",
        ]
        return provider
    }()

    private static let shopify: Provider = {
        var provider = Provider(
            "shopify", title: "Shopify",
            guide: ProviderGuide(
                url: "The app's configuration (shopify.app.toml, webhooks), or Settings, Notifications, Webhooks.",
                secret: "The app's client secret; for webhooks of the admin the key shown under their list.",
                notes: ["After eight failed tries in four hours a subscription made by the API is removed."]))
        // The name without X- is the new one; a request may have both.
        var scheme = SchemeDefinition.mac(.sha256, "Shopify-Hmac-Sha256", encoding: .base64)
        scheme.headers.append(SchemeHeaders(signature: "X-Shopify-Hmac-Sha256"))
        provider.schemes = [ProviderScheme(scheme)]
        provider.eventID = ["header:X-Shopify-Webhook-Id", "header:Shopify-Webhook-Id"]
        provider.eventType = ["header:X-Shopify-Topic", "header:Shopify-Topic"]
        provider.dedupKey = ["header:X-Shopify-Webhook-Id", "header:Shopify-Webhook-Id"]
        provider.successStatus = 200
        provider.retries = .automatic
        provider.answerSecondsMax = 5
        return provider
    }()

    private static let square: Provider = {
        var provider = Provider(
            "square", title: "Square",
            guide: ProviderGuide(
                url: "Developer Console, the application, Webhooks, Subscriptions: Notification URL.",
                secret: "Signature key of the subscription, used as text.",
                notes: ["The notification URL is signed, letter by letter: Sluice must know its public URL."]))
        let scheme = SchemeDefinition.mac(
            .sha256, "x-square-hmacsha256-signature", encoding: .base64, signed: "{url}{body}")
        provider.schemes = [ProviderScheme(scheme)]
        provider.eventID = ["json:$.event_id"]
        provider.eventType = ["json:$.type"]
        provider.dedupKey = ["json:$.event_id"]
        provider.successStatus = 200
        provider.retries = .automatic
        provider.retryHeader = "square-retry-number"
        provider.answerSecondsMax = 10
        return provider
    }()

    private static let paddle: Provider = {
        var provider = Provider(
            "paddle", title: "Paddle Billing",
            guide: ProviderGuide(
                url: "Developer tools, Notifications, New destination: URL.",
                secret: "Secret key of the destination: pdl_ntfset_…, used as the whole text.",
                notes: ["The signature is good for five seconds; a greater `tolerance` forgives a slow way."]))
        var scheme = SchemeDefinition.mac(.sha256, "Paddle-Signature", signed: "{timestamp}:{body}")
        scheme.list = .semicolon
        scheme.listKey = "h1"
        scheme.timestamp = TimestampRule(listKey: "ts", toleranceSeconds: 5, checksFuture: false)
        provider.schemes = [ProviderScheme(scheme)]
        provider.eventID = ["json:$.notification_id", "json:$.event_id"]
        provider.eventType = ["json:$.event_type"]
        provider.dedupKey = ["json:$.notification_id", "json:$.event_id"]
        provider.successStatus = 200
        provider.retries = .automatic
        provider.answerSecondsMax = 5
        // developer.paddle.com, "Handle webhook delivery", read 2026-11-21: live, then sandbox.
        provider.addresses = [
            "34.232.58.13", "34.195.105.136", "34.237.3.244", "35.155.119.135", "52.11.166.252", "34.212.5.7",
            "34.194.127.46", "54.234.237.108", "3.208.120.145", "44.226.236.210", "44.241.183.62", "100.20.172.113",
        ]
        return provider
    }()
}
