// Messages and mail: Twilio, SendGrid, Mailgun.

import FastPath

enum MessagingFamily {
    static let providers: [Provider] = [twilio, sendGrid, mailgun]

    private static func twilioScheme(_ algorithm: MACAlgorithm) -> SchemeDefinition {
        var scheme = SchemeDefinition.mac(
            algorithm, "X-Twilio-Signature", encoding: .base64, signed: "{url}{form}")
        // A JSON body is signed by its hash in the URL.
        scheme.bodyHash = "query:bodySHA256"
        scheme.triesBothPorts = true
        return scheme
    }
    private static let twilio: Provider = {
        var provider = Provider(
            "twilio", title: "Twilio",
            guide: ProviderGuide(
                url: "The number, the messaging service or the call of the API that takes a callback URL.",
                secret: "Account, API keys & tokens, Auth token (or a webhook shared key).",
                notes: ["The public URL is signed: Sluice must know it."]))
        var shared = twilioScheme(.sha256)
        shared.appliesWhen = "header:X-Twilio-Webhooks-Signature-Settings"
        provider.schemes = [ProviderScheme(shared), ProviderScheme(twilioScheme(.sha1))]
        provider.methods = [.get, .post]
        provider.eventID = ["header:I-Twilio-Idempotency-Token"]
        // twilio.com/docs, "Connection overrides": the same on every try of a request.
        provider.dedupKey = ["header:I-Twilio-Idempotency-Token"]
        provider.successStatus = 204
        provider.answerSecondsMax = 15
        return provider
    }()

    private static let sendGrid: Provider = {
        var provider = Provider(
            "sendgrid", title: "SendGrid Event Webhook",
            guide: ProviderGuide(
                url: "Settings, Mail settings, Event webhooks: Post URL.",
                secret:
                    "Verification key, after Enable signed event webhook: base 64 of a public key. It is no secret."
            ))
        var scheme = SchemeDefinition(
            algorithm: .ecdsaP256,
            headers: [
                SchemeHeaders(
                    signature: "X-Twilio-Email-Event-Webhook-Signature",
                    timestamp: "X-Twilio-Email-Event-Webhook-Timestamp")
            ])
        scheme.encoding = .base64
        scheme.signed = "{timestamp}{body}"
        scheme.timestamp = TimestampRule()
        scheme.secretEncoding = .spki
        provider.schemes = [ProviderScheme(scheme)]
        // A body is a list of events. `sg_event_id` is "a unique ID to this event that you can use for deduplication
        // purposes" (www.twilio.com/docs/sendgrid, "Event Webhook Reference").
        provider.elementKey = ["json:$.sg_event_id"]
        provider.guide.notes.append(
            "A request holds several events; `split: json:$` keeps each as an event of its own, whose dedup key is then"
                + " `json:$.sg_event_id`.")
        provider.eventID = ["json:$[0].sg_event_id"]
        provider.eventType = ["json:$[0].event"]
        provider.successStatus = 200
        provider.retries = .automatic
        return provider
    }()

    /// Only a time and a token are signed, not the event: who has seen one request can put another event beside its
    /// signature. The token, one for each event, as the dedup key leaves the first.
    private static let mailgun: Provider = {
        var provider = Provider(
            "mailgun", title: "Mailgun",
            guide: ProviderGuide(
                url: "Send, Sending, Webhooks, Add webhook.",
                secret: "API security, HTTP webhook signing key.",
                notes: ["The event itself is not signed. A token is taken once."]))
        var scheme = SchemeDefinition.mac(
            .sha256, "json:$.signature.signature", signed: "{timestamp}{json:$.signature.token}")
        scheme.headers[0].timestamp = "json:$.signature.timestamp"
        scheme.timestamp = TimestampRule()
        scheme.signsPartOnly = true
        // Stored messages and old webhooks are forms, with attachments in several parts (documentation.mailgun.com,
        // "Securing webhooks").
        var form = scheme
        form.headers = [SchemeHeaders(signature: "form:signature", timestamp: "form:timestamp")]
        form.signed = "{timestamp}{form:token}"
        provider.schemes = [ProviderScheme(scheme), ProviderScheme(form)]
        provider.eventID = ["json:$.event-data.id", "form:Message-Id"]
        provider.eventType = ["json:$.event-data.event", "form:event"]
        provider.dedupKey = ["json:$.signature.token", "form:token"]
        // documentation.mailgun.com, "Automatic retries": after 5, 10 and 15 minutes, 1, 2 and 4 hours.
        provider.signedRetrySeconds = 9 * 3600
        provider.successStatus = 200
        provider.retries = .automatic
        return provider
    }()
}
