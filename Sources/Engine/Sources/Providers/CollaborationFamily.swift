// Slack and Zoom: the same signed string under two brands, each with a handshake.

import FastPath

enum CollaborationFamily {
    static let providers: [Provider] = [slack, zoom]

    private static func versionZero(signature: String, timestamp: String) -> SchemeDefinition {
        var scheme = SchemeDefinition(
            algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: signature, timestamp: timestamp)])
        scheme.prefix = "v0="
        scheme.signed = "v0:{timestamp}:{body}"
        scheme.timestamp = TimestampRule()
        return scheme
    }

    private static let slack: Provider = {
        var provider = Provider(name: "slack")
        provider.schemes = [
            ProviderScheme(versionZero(signature: "X-Slack-Signature", timestamp: "X-Slack-Request-Timestamp"))
        ]
        provider.eventID = ["json:$.event_id"]
        provider.eventType = ["json:$.event.type", "json:$.type"]
        provider.dedupKey = ["json:$.event_id", "body"]
        provider.successStatus = 200
        provider.handshake = .slackURLVerification
        provider.retries = .automatic
        provider.answerSecondsMax = 3
        return provider
    }()

    private static let zoom: Provider = {
        var provider = Provider(name: "zoom")
        provider.schemes = [
            ProviderScheme(versionZero(signature: "x-zm-signature", timestamp: "x-zm-request-timestamp"))
        ]
        provider.eventType = ["json:$.event"]
        // No id: `event_ts` is in the body, so the body is the same on a retry and another for another event.
        provider.successStatus = 200
        provider.handshake = .zoomURLValidation
        provider.retries = .automatic
        provider.answerSecondsMax = 3
        return provider
    }()
}
