// PayPal and Adyen: what they sign is not the request but values of it.

import FastPath

enum PaymentFamily {
    static let providers: [Provider] = [payPal, adyen, adyenPayload]

    private static let payPal: Provider = {
        var provider = Provider(
            "paypal", title: "PayPal",
            guide: ProviderGuide(
                url: "Apps & Credentials, the app, Webhooks, Add Webhook: Webhook URL.",
                secret:
                    "Webhook ID of that webhook, as the list of webhooks shows it. It is no secret; PayPal signs it.",
                notes: [
                    "The certificate is fetched from /v1/notifications/certs/CERT-… of api.paypal.com or "
                        + "api.sandbox.paypal.com alone, and kept; give it as one more secret, as PEM, where the "
                        + "gateway may not fetch.",
                    "The body is signed by its CRC-32 alone, which is no protection against who has seen a request.",
                ]))
        provider.schemes = [ProviderScheme(named: .payPal)]
        provider.eventID = ["json:$.id"]
        provider.eventType = ["json:$.event_type"]
        provider.dedupKey = ["json:$.id"]
        provider.successStatus = 200
        provider.retries = .automatic
        return provider
    }()

    private static func adyen(_ name: String, title: String, secret: String) -> Provider {
        var provider = Provider(
            name, title: title,
            guide: ProviderGuide(
                url: "Customer Area, Developers, Webhooks, Create new webhook: URL.",
                secret: secret + " in hexadecimal digits.",
                notes: ["Adyen reads the answer's body: [accepted]."]))
        provider.successStatus = 200
        provider.successBody = "[accepted]"
        provider.retries = .automatic
        provider.answerSecondsMax = 10
        return provider
    }
    private static let adyen: Provider = {
        var provider = adyen(
            "adyen", title: "Adyen payments (standard webhook)", secret: "HMAC key generated for the webhook,")
        provider.guide.notes.append(
            "Eight values of the first item are signed, not the whole body: treat the others as hearsay.")
        provider.schemes = [ProviderScheme(named: .adyenItem)]
        provider.eventID = ["json:$.notificationItems[0].NotificationRequestItem.pspReference"]
        provider.eventType = ["json:$.notificationItems[0].NotificationRequestItem.eventCode"]
        // No id: one payment has several events under one reference, and a later one may correct one of the same code
        // (docs.adyen.com, "Handle webhook events").
        return provider
    }()
    private static let adyenPayload: Provider = {
        var provider = adyen(
            "adyen-payload", title: "Adyen platforms, banking and management", secret: "HMAC key of the webhook,")
        var scheme = SchemeDefinition.mac(.sha256, "HmacSignature", encoding: .base64)
        scheme.secretEncoding = .hex
        provider.schemes = [ProviderScheme(scheme)]
        provider.eventID = ["json:$.data.id"]
        provider.eventType = ["json:$.type"]
        return provider
    }()
}
