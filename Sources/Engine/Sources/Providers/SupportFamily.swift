// Customers and issues: Intercom, HubSpot, Linear, ServiceNow.

import FastPath

enum SupportFamily {
    static let providers: [Provider] = [intercom, hubSpot, hubSpotLegacy, linear, serviceNow]

    private static let intercom: Provider = {
        var provider = Provider(
            "intercom", title: "Intercom",
            guide: ProviderGuide(
                url: "Developer Hub, the app, Configure, Webhooks: Endpoint URL.",
                secret: "Basic information, Client secret.",
                notes: ["Intercom tries again once, after a minute."]))
        provider.schemes = [ProviderScheme(.mac(.sha1, "X-Hub-Signature", prefix: "sha1="))]
        provider.eventID = ["json:$.id"]
        provider.eventType = ["json:$.topic"]
        provider.dedupKey = ["json:$.id"]
        provider.successStatus = 200
        provider.handshakes = [.headCheck]
        provider.retries = .automatic
        provider.answerSecondsMax = 5
        // developers.intercom.com, "Webhook notifications", section on firewalls, read 2026-11-21: USA, Europe,
        // Australia.
        provider.addresses = [
            "34.231.68.152", "34.197.76.213", "35.171.78.91", "35.169.138.21", "52.70.27.159", "52.44.63.161",
            "54.217.125.63", "54.246.173.113", "54.216.9.3", "52.63.36.185", "3.104.68.152", "52.64.2.165",
        ]
        return provider
    }()

    private static func hubSpot(_ name: String, title: String, notes: [String]) -> Provider {
        var provider = Provider(
            name, title: title,
            guide: ProviderGuide(
                url: "The app, Webhooks: Target URL.", secret: "The app's Client secret.", notes: notes))
        // A body is a list of events. `eventId` "is not guaranteed to be unique" (developers.hubspot.com,
        // "Webhooks"), and a retry differs in `attemptNumber`.
        provider.guide.notes.append(
            "A request holds up to 100 events; `split: json:$` keeps each as an event of its own. HubSpot calls "
                + "nothing of an event unique, so each one is kept as often as it comes, unless the source has a `dedup.key`.")
        provider.eventID = ["json:$[0].eventId"]
        provider.eventType = ["json:$[0].subscriptionType"]
        // Workflows may be set to GET.
        provider.methods = [.get, .post, .put]
        provider.successStatus = 200
        provider.retries = .automatic
        provider.answerSecondsMax = 5
        return provider
    }
    private static let urlNote = "The URL is signed: Sluice must know its public URL."
    private static let hubSpot: Provider = {
        var provider = hubSpot("hubspot", title: "HubSpot (signature v3)", notes: [urlNote])
        var scheme = SchemeDefinition.mac(
            .sha256, "X-HubSpot-Signature-v3", encoding: .base64, signed: "{method}{url}{body}{timestamp}")
        // developers.hubspot.com, "Validate requests using the v3 request signature", table of characters.
        scheme.urlDecodes = ":/?@!$'()*,;"
        scheme.headers[0].timestamp = "X-HubSpot-Request-Timestamp"
        scheme.timestamp = TimestampRule(form: .milliseconds, checksFuture: false)
        provider.schemes = [ProviderScheme(scheme)]
        return provider
    }()
    private static let hubSpotLegacy: Provider = {
        var provider = hubSpot(
            "hubspot-legacy", title: "HubSpot (signatures v1 and v2)",
            notes: [urlNote, "A plain hash with no time in it: prefer v3, which HubSpot sends beside it."])
        provider.schemes = [ProviderScheme(named: .hubSpotLegacy)]
        return provider
    }()

    private static let linear: Provider = {
        var provider = Provider(
            "linear", title: "Linear",
            guide: ProviderGuide(
                url: "Settings, API, Webhooks, New webhook: URL.",
                secret: "Signing secret of the webhook: lin_wh_…, used as the whole text.",
                notes: ["The time that counts stands in the body."]))
        var scheme = SchemeDefinition.mac(.sha256, "Linear-Signature")
        scheme.headers[0].timestamp = "json:$.webhookTimestamp"
        scheme.timestamp = TimestampRule(form: .milliseconds, toleranceSeconds: 60)
        provider.schemes = [ProviderScheme(scheme)]
        provider.eventID = ["header:Linear-Delivery"]
        provider.eventType = ["header:Linear-Event", "json:$.type"]
        // What is signed, with the time and the webhook in it, is another for each event and the same on each try. The
        // header of the delivery is not signed: whoever repeats a request can change it.
        provider.dedupKey = ["json:$.webhookTimestamp + body"]
        // linear.app/developers/webhooks: after 1 minute, 1 hour and 6 hours.
        provider.signedRetrySeconds = 8 * 3600
        provider.successStatus = 200
        provider.retries = .automatic
        provider.answerSecondsMax = 5
        return provider
    }()

    private static let serviceNow: Provider = {
        var provider = Provider(
            "servicenow", title: "ServiceNow",
            guide: ProviderGuide(
                url: "System Web Services, Outbound, REST Message: Endpoint.",
                secret: "user:password of the Basic Auth Configuration of that REST message.",
                notes: ["What the body holds, and whether a failure is tried again, is up to the script that sends."])
        )
        provider.schemes = [ProviderScheme(.basic)]
        provider.successStatus = 200
        return provider
    }()
}
