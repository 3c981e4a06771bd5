// Forms, envelopes and files: Typeform, DocuSign Connect, Dropbox.

import FastPath

enum DocumentFamily {
    static let providers: [Provider] = [typeform, docuSign, dropbox]

    private static let typeform: Provider = {
        var provider = Provider(
            "typeform", title: "Typeform",
            guide: ProviderGuide(
                url: "The form, Connect, Webhooks, Add a webhook.",
                secret: "Secret, under Edit of the webhook: any text."))
        provider.schemes = [
            ProviderScheme(.mac(.sha256, "Typeform-Signature", prefix: "sha256=", encoding: .base64))
        ]
        provider.eventID = ["json:$.event_id"]
        provider.eventType = ["json:$.event_type"]
        provider.dedupKey = ["json:$.event_id"]
        provider.successStatus = 200
        provider.retries = .automatic
        provider.answerSecondsMax = 30
        return provider
    }()

    /// One numbered header for each active key of the account, of which any may match.
    private static let docuSign: Provider = {
        var provider = Provider(
            "docusign", title: "DocuSign Connect",
            guide: ProviderGuide(
                url: "Settings, Connect, Add Configuration: URL to publish; data format REST v2.1.",
                secret:
                    "Connect keys, Add secret key: base 64 text, used as it is. Include HMAC signature must be on.",
                notes: ["A message has no id, and a retry differs in `retryCount`: every one is kept."]))
        var scheme = SchemeDefinition.mac(.sha256, "X-DocuSign-Signature-1", encoding: .base64)
        scheme.headers += (2...10).map { SchemeHeaders(signature: "X-DocuSign-Signature-\($0)") }
        scheme.takesEverySet = true
        provider.schemes = [ProviderScheme(scheme)]
        // No id of its own: an envelope has many events, and a retry differs in `retryCount`.
        provider.eventID = ["json:$.data.envelopeId"]
        provider.eventType = ["json:$.event"]
        provider.successStatus = 200
        provider.retries = .automatic
        return provider
    }()

    private static let dropbox: Provider = {
        var provider = Provider(
            "dropbox", title: "Dropbox",
            guide: ProviderGuide(
                url: "App Console, the app, Webhooks: Webhook URIs. Start Sluice first: Dropbox tries the URL.",
                secret: "App secret, on the same page.",
                notes: ["A notification says which accounts changed, not what, and has no id: list the folder then."]))
        provider.schemes = [ProviderScheme(.mac(.sha256, "X-Dropbox-Signature"))]
        provider.successStatus = 200
        provider.handshakes = [.dropboxChallenge]
        provider.retries = .automatic
        provider.answerSecondsMax = 10
        return provider
    }()
}
