// Amazon SNS, and CloudEvents by HTTP 1.1 Web Hooks for Event Delivery.

import FastPath

enum CloudFamily {
    static let providers: [Provider] = [sns, cloudEvents]

    private static let sns: Provider = {
        var provider = Provider(
            "aws-sns", title: "Amazon SNS",
            guide: ProviderGuide(
                url: "The topic, Create subscription, protocol HTTPS: Endpoint.",
                secret:
                    "TopicArn of the topic, arn:aws:sns:…. It is no secret: any topic of any account is signed by "
                    + "Amazon.",
                notes: [
                    "The subscription's confirmation is kept as an event of type SubscriptionConfirmation; visit its "
                        + "SubscribeURL. Sluice never fetches it by itself.",
                    "The certificate is fetched from "
                        + "https://sns.REGION.amazonaws.com/SimpleNotificationService-….pem alone, and kept; give it "
                        + "as one more secret, as PEM, where the gateway may not fetch.",
                ]))
        provider.schemes = [ProviderScheme(named: .notificationService)]
        provider.eventID = ["json:$.MessageId", "header:x-amz-sns-message-id"]
        provider.eventType = ["json:$.Type"]
        provider.dedupKey = ["json:$.MessageId", "header:x-amz-sns-message-id"]
        provider.successStatus = 200
        provider.retries = .automatic
        provider.answerSecondsMax = 15
        return provider
    }()

    private static let cloudEvents: Provider = {
        var provider = Provider(
            "cloudevents", title: "CloudEvents webhook",
            guide: ProviderGuide(
                url: "The subscription's sink.",
                secret:
                    "A bearer token of your own; the sender puts it into Authorization: Bearer or ?access_token=.",
                notes: [
                    "Nothing of the body is signed: use it over TLS only.",
                    "A sender asks with OPTIONS first; who may is in `allowed_origins`.",
                ],
                settings: ["allowed_origins: [events.example.com]"]))
        provider.schemes = [ProviderScheme(.bearer), ProviderScheme(.token("query:access_token"))]
        provider.eventID = ["header:ce-id", "json:$.id"]
        provider.eventType = ["header:ce-type", "json:$.type"]
        // CloudEvents 1.0, "id": unique within a `source` only. In binary mode they are headers, in structured mode the
        // body has them beside `specversion`, without which it is some other JSON.
        provider.dedupKey = [
            "header:ce-source + header:ce-id", "json:$.specversion + json:$.source + json:$.id",
        ]
        provider.handshakes = [.cloudEventsOptions]
        provider.retries = .automatic
        provider.retryAfterHonoured = true
        return provider
    }()
}
