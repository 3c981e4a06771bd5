// Fireflies and Otter: transcripts of meetings. Calendly: the meetings. None names an event id, so every event is kept.

import FastPath

enum MeetingFamily {
    static let providers: [Provider] = [fireflies, otter, calendly]

    private static let fireflies: Provider = {
        var provider = Provider(
            "fireflies", title: "Fireflies",
            guide: ProviderGuide(
                url: "Settings, Developer settings, Webhook.",
                secret: "Webhook signing secret, on the same page: any text. Without it nothing is signed."))
        provider.schemes = [ProviderScheme(.mac(.sha256, "X-Hub-Signature", prefix: "sha256="))]
        provider.eventType = ["json:$.event", "json:$.eventType"]
        provider.answerSecondsMax = 10
        return provider
    }()

    /// No public source describes Otter's scheme; this is what its users report.
    private static let otter: Provider = {
        var provider = Provider(
            "otter", title: "Otter",
            guide: ProviderGuide(
                url: "The workspace's integrations, Webhooks.", secret: "The webhook's signing secret: any text.",
                notes: ["Otter publishes no description of its signature; try it with `mode: observe` first."]))
        provider.schemes = [ProviderScheme(.mac(.sha256, "x-otter-signature"))]
        provider.eventType = ["json:$.event"]
        return provider
    }()

    private static let calendly: Provider = {
        var provider = Provider(
            "calendly", title: "Calendly",
            guide: ProviderGuide(
                url: "`url` of POST /webhook_subscriptions.",
                secret: "`signing_key` of the same call, chosen by you: any text."))
        var scheme = SchemeDefinition.mac(.sha256, "Calendly-Webhook-Signature", signed: "{timestamp}.{body}")
        scheme.list = .comma
        scheme.listKey = "v1"
        scheme.timestamp = TimestampRule(listKey: "t", toleranceSeconds: 180, checksFuture: false)
        provider.schemes = [ProviderScheme(scheme)]
        provider.eventType = ["json:$.event"]
        provider.successStatus = 200
        provider.retries = .automatic
        provider.answerSecondsMax = 15
        return provider
    }()
}
