// Meta (Facebook, Instagram, WhatsApp) and X.

import FastPath

enum SocialFamily {
    static let providers: [Provider] = [meta, x]

    private static let meta: Provider = {
        var provider = Provider(
            "meta", title: "Meta (Facebook, Instagram, WhatsApp)",
            guide: ProviderGuide(
                url: "App Dashboard, Webhooks: Callback URL. Start Sluice first: Meta tries the URL.",
                secret: "App settings, Basic, App secret.",
                notes: ["Verify token, next to the callback URL, is any text that `verify_token` repeats."],
                settings: [#"verify_token: "${META_VERIFY_TOKEN}""#]))
        provider.schemes = [ProviderScheme(.mac(.sha256, "X-Hub-Signature-256", prefix: "sha256="))]
        provider.eventType = ["json:$.object"]
        provider.successStatus = 200
        provider.handshakes = [.metaSubscription]
        provider.retries = .automatic
        return provider
    }()

    private static let x: Provider = {
        var provider = Provider(
            "x", title: "X (Twitter)",
            guide: ProviderGuide(
                url: "`url` of POST /2/webhooks. Start Sluice first: X tries the URL, and again every hour.",
                secret: "Consumer secret (API key secret) of the app."))
        var scheme = SchemeDefinition.mac(
            .sha256, "x-twitter-webhooks-signature", prefix: "sha256=", encoding: .base64)
        // The challenge's answer is the signature of its token, with the same key in the same form.
        scheme.refusesOpaqueBody = true
        provider.schemes = [ProviderScheme(scheme)]
        provider.successStatus = 200
        provider.handshakes = [.xChallenge]
        provider.answerSecondsMax = 10
        return provider
    }()
}
