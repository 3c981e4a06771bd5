// Events and rejected requests as the API shows them. `EventRow` and the rejected ones are shared with the command
// line, which reads them from a data folder too.

extension EventRow: Described {
    package static let schema = ObjectSchema(
        "Event", "One event as it was kept.",
        [
            .required("id", .text, "`evt_…`."),
            .required("sequence", .count, "Its place in the log."),
            .required("source", .text, "The source's name when it came."),
            .required("tenant_number", .count, "Whose it is; 1 is the default tenant."),
            .required("source_number", .count, "Of its source; 0 in events from before sources had numbers."),
            .required("type", .text, "Empty when it has none."),
            .optional(
                "provider_id", .text,
                "What the provider calls it: the key by which duplicates are found; of several values one behind the "
                    + "other. Missing where the event has no identity."),
            .optional(
                "client_subject", .text,
                "Subject of the certificate that the client had to show (`client_certificate` of the source)."),
            .optional(
                "part", .text,
                "Of a request that was split: `request` for the request as it came, which is delivered to nobody, "
                    + "`event` for each of its events, which stand before it."),
            .optional(
                "erased", .flag,
                "`true`: its content was erased from the log, and its size with it; what else is told here is all "
                    + "there is."),
            .required("received_at", .time, "When it came."),
            .required("body_bytes", .count, "Size of the body."),
            .required(
                "verdict", .text,
                "`verified`, `unverified`, `skipped`, or why an observing source would have refused it."),
        ])
}

package struct EventContent: Codable, Equatable, Sendable {
    package var event: EventRow
    package var method: String
    package var target: String
    /// As received, in order; repeated names repeat.
    package var headers: [[String]]
    package var body: String?
    package var bodyBase64: String?
    /// True exactly when the body is shown no more.
    package var expunged: Bool?
    package var deliveries: [DeliveryResource]

    package init(_ detail: EventDetail, isExpunged: Bool = false, deliveries: [DeliveryResource]) {
        event = detail.event
        method = detail.method
        target = detail.target
        headers = detail.headers
        body = isExpunged ? nil : detail.body
        bodyBase64 = isExpunged ? nil : detail.bodyBase64
        expunged = isExpunged ? true : nil
        self.deliveries = deliveries
    }
}

extension EventContent: Described {
    package static let schema = ObjectSchema(
        "EventContent", "An event as it came, and what became of it.",
        [
            .required("event", .object(EventRow.schema), "The event."),
            .required("method", .text, "Of the request."),
            .required("target", .text, "Of the request line; credentials masked unless `reveal=true`."),
            .required(
                "headers", .list(.list(.text)),
                "Name and value of each field, in order; credentials masked unless `reveal=true`."),
            .optional("body", .text, "When it is UTF-8."),
            .optional("body_base64", .text, "When it is not."),
            .optional(
                "expunged", .flag,
                "`true`: the body is shown no more, because somebody had it expunged or `retention_hours` are over."),
            .required("deliveries", .list(.object(DeliveryResource.schema)), "At each endpoint that has met it."),
        ])
}

/// What was erased, and from where.
package struct ErasureAnswer: Codable, Equatable, Sendable {
    package var event: String
    /// `log`: nothing is known of what lies outside of it.
    package var erasedFrom: String

    package init(event: String) {
        self.event = event
        erasedFrom = "log"
    }
}

extension ErasureAnswer: Described {
    package static let schema = ObjectSchema(
        "Erasure", "An event's content is gone.",
        [
            .required("event", .text, "`evt_…`."),
            .required(
                "erased_from", .text,
                "`log`: not from backups and snapshots of the data folder, nor from what was delivered before."),
        ])
}

extension RejectedItem: Described {
    package static let schema = ObjectSchema(
        "Rejected", "A request that was answered 401.",
        [
            .required("id", .text, "`rej_…`."),
            .required("received_at", .time, "When it came."),
            .required("source", .text, "The source's name."),
            .required("reason", .text, "Why it was refused."),
            .optional("hint", .text, "What a closer look found to be the cause."),
            .optional("detail", .text, "More about the hint."),
            .required("bytes", .count, "Head and body together."),
            .optional("peer", .text, "The address it came from."),
        ])
}

extension RejectedDetail: Described {
    package static let schema = ObjectSchema(
        "RejectedContent", "A rejected request as it came.",
        [
            .required("rejected", .object(RejectedItem.schema), "The request."),
            .required("method", .text, "Of the request."),
            .required("target", .text, "Of the request line; credentials masked unless `reveal=true`."),
            .required(
                "headers", .list(.list(.text)),
                "Name and value of each field, in order; credentials masked unless `reveal=true`."),
            .optional("body", .text, "When it is UTF-8."),
            .optional("body_base64", .text, "When it is not."),
        ])
}

extension ReverifyRequest: Described {
    package static let schema = ObjectSchema(
        "ReverifyOrder", "Which rejected requests to verify again; all when empty.",
        [
            .optional("source", .text, "Only those of this source."),
            .optional("ids", .list(.text, countMax: 10_000), "Only these."),
            .optional("dry_run", .flag, "`true` when absent: count, change nothing."),
        ])
}

extension ReverifyResponse: Described {
    package static let schema = ObjectSchema(
        "ReverifyOutcome", "What became of rejected requests that were verified again.",
        [
            .required("accepted", .count, "Events now."),
            .required("duplicate", .count, "Events before."),
            .required("deferred", .count, "Verified, but the log did not take them; still kept."),
            .required("challenge", .count, "A provider's handshake; still kept."),
            .required("without_source", .count, "Of a source that is not configured any more."),
            .required("rejected", .map(.count), "Still refused, by reason."),
            .required("dry_run", .flag, "Nothing was changed."),
        ])
}
