// Slack, Zoom, Discord, Teams: most prove who they are by a handshake, too.

import FastPath

enum ChatFamily {
    static let providers: [Provider] = [slack, zoom, discord, discordEvents, teams]

    private static func versionZero(signature: String, timestamp: String) -> SchemeDefinition {
        var scheme = SchemeDefinition.mac(.sha256, signature, prefix: "v0=", signed: "v0:{timestamp}:{body}")
        scheme.headers[0].timestamp = timestamp
        scheme.timestamp = TimestampRule()
        return scheme
    }

    private static let slack: Provider = {
        var provider = Provider(
            "slack", title: "Slack (Events API, interactivity, commands)",
            guide: ProviderGuide(
                url: "The app's settings, Event Subscriptions: Request URL. Start Sluice first: Slack tries the URL.",
                secret: "Basic Information, App Credentials, Signing Secret.",
                notes: [
                    "Slack wants its answer within three seconds and tries an event again three times.",
                    "An interaction's type is that of its payload (`view_submission`), a slash command's the command.",
                ]))
        provider.schemes = [
            ProviderScheme(versionZero(signature: "X-Slack-Signature", timestamp: "X-Slack-Request-Timestamp"))
        ]
        provider.eventID = ["json:$.event_id"]
        provider.eventType = ["json:$.event.type", "json:$.type", "form:payload.$.type", "form:command"]
        // docs.slack.dev, "Events API": unique over all workspaces. Interactions and commands have none.
        provider.dedupKey = ["json:$.event_id"]
        provider.successStatus = 200
        // docs.slack.dev, "Handling user interaction": a body is read as what to do to the view or to say.
        provider.successBody = ""
        provider.handshakes = [.slackURLVerification]
        provider.retries = .automatic
        provider.retryHeader = "X-Slack-Retry-Num"
        provider.answerSecondsMax = 3
        return provider
    }()

    private static let zoom: Provider = {
        var provider = Provider(
            "zoom", title: "Zoom",
            guide: ProviderGuide(
                url: "App Marketplace, the app, Features, Access, Event Subscription: notification endpoint URL.",
                secret: "Secret Token, on the same page.",
                notes: ["Zoom validates the URL when it is saved and every 72 hours."]))
        provider.schemes = [
            ProviderScheme(versionZero(signature: "x-zm-signature", timestamp: "x-zm-request-timestamp"))
        ]
        provider.eventType = ["json:$.event"]
        // No id: `event_ts` is a time, and the events of one moment share it.
        provider.successStatus = 200
        provider.handshakes = [.zoomURLValidation]
        provider.retries = .automatic
        provider.answerSecondsMax = 3
        return provider
    }()

    private static func discord(_ name: String, title: String, url: String) -> Provider {
        var provider = Provider(
            name, title: title,
            guide: ProviderGuide(
                url: url + " Start Sluice first: Discord tries the URL, also with bad signatures.",
                secret: "General Information, Public Key: 64 hexadecimal digits. It is no secret."))
        var scheme = SchemeDefinition(
            algorithm: .ed25519,
            headers: [SchemeHeaders(signature: "X-Signature-Ed25519", timestamp: "X-Signature-Timestamp")])
        scheme.signed = "{timestamp}{body}"
        scheme.timestamp = TimestampRule()
        scheme.secretEncoding = .ed25519
        provider.schemes = [ProviderScheme(scheme)]
        provider.answerSecondsMax = 3
        return provider
    }
    private static let discord: Provider = {
        var provider = discord(
            "discord", title: "Discord interactions",
            url: "Developer Portal, the application, General Information: Interactions Endpoint URL.")
        provider.guide.notes = [
            "Every interaction is answered with a deferred message (type 5); the application edits it later by the "
                + "interaction's token."
        ]
        provider.eventID = ["json:$.id"]
        provider.eventType = ["json:$.data.name", "json:$.type"]
        provider.dedupKey = ["json:$.id"]
        provider.successStatus = 200
        provider.successBody = #"{"type":5}"#
        provider.handshakes = [.discordPing, .discordAutocomplete]
        provider.retries = .none
        return provider
    }()
    private static let discordEvents: Provider = {
        var provider = discord(
            "discord-events", title: "Discord webhook events",
            url: "Developer Portal, the application, Webhooks: Endpoint.")
        provider.eventType = ["json:$.event.type"]
        provider.successStatus = 204
        provider.handshakes = [.discordEventsPing]
        provider.retries = .automatic
        return provider
    }()

    private static let teams: Provider = {
        var provider = Provider(
            "msteams", title: "Microsoft Teams outgoing webhook",
            guide: ProviderGuide(
                url: "Manage team, Apps, Create an outgoing webhook: Callback URL.",
                secret: "HMAC security token, shown once: base 64.",
                notes: ["Teams shows the answer's text to the person who wrote."]))
        var scheme = SchemeDefinition.mac(.sha256, "Authorization", prefix: "HMAC ", encoding: .base64)
        scheme.secretEncoding = .base64
        provider.schemes = [ProviderScheme(scheme)]
        provider.eventID = ["json:$.id"]
        provider.eventType = ["json:$.type"]
        // A message's id is its time in milliseconds, so it says which one only within its conversation.
        provider.dedupKey = ["json:$.conversation.id + json:$.id"]
        provider.successStatus = 200
        provider.successBody = #"{"type":"message","text":"Received."}"#
        provider.retries = .none
        provider.answerSecondsMax = 5
        return provider
    }()
}
