// Fireflies and Otter: transcripts of meetings. Neither names an event id, so the body is the dedup key.

import FastPath

enum MeetingFamily {
    static let providers: [Provider] = [fireflies, otter]

    private static let fireflies: Provider = {
        var provider = Provider(name: "fireflies")
        var scheme = SchemeDefinition(algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: "X-Hub-Signature")])
        scheme.prefix = "sha256="
        provider.schemes = [ProviderScheme(scheme)]
        provider.eventType = ["json:$.event", "json:$.eventType"]
        provider.answerSecondsMax = 10
        return provider
    }()

    /// No public source describes Otter's scheme; this is what its users report.
    private static let otter: Provider = {
        var provider = Provider(name: "otter")
        provider.schemes = [
            ProviderScheme(
                SchemeDefinition(algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: "x-otter-signature")]))
        ]
        provider.eventType = ["json:$.event"]
        return provider
    }()
}
