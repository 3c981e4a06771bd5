// Ops-Center's events, the log of their attempts, and the sums over it, as values.
import Engine

/// An event that is to be published.
package struct OpsCenterEventOrder: Equatable, Sendable {
    package var event: String
    /// An object, as it was written.
    package var data: [UInt8]

    package init(event: String, data: [UInt8]) {
        self.event = event
        self.data = data
    }
    package init(publishing bytes: [UInt8]) throws {
        let body = try WebhookBody(bytes, knowing: ["event", "data"])
        event = try body.required("event", try body.text("event"))
        data = try body.required("data", try body.object("data"))
        guard OpsCenterCatalogue.isEvent(event) else {
            throw ControlError(.invalid, "`event` is not the name of an event; `events/available` lists them")
        }
    }
    package init(testing bytes: [UInt8]) throws {
        let body = try WebhookBody(bytes, knowing: ["event_type", "test_data"], isOptional: true)
        event = try body.text("event_type") ?? OpsCenterCatalogue.testName
        data = try body.object("test_data") ?? Array("{}".utf8)
        guard OpsCenterCatalogue.isTestName(event) else {
            throw ControlError(
                .invalid, "`event_type` must be 1 to \(OpsCenterCatalogue.testNameBytesMax) of `a-z 0-9 . _`")
        }
    }
    /// What is sent: exactly these three, the data as it was written. No name needs an escape.
    package func body(at time: String) -> [UInt8] {
        Array("{\"event\":\"\(event)\",\"timestamp\":\"\(time)\",\"data\":".utf8) + data + [UInt8(ascii: "}")]
    }

    static let schema = ObjectSchema(
        "WebhookEvent", "An event that is to be published.",
        [
            .required("event", .word(OpsCenterCatalogue.events.map(\.name)), "A name of the catalogue."),
            .required("data", .map(.anything), "Delivered as it stands."),
        ])
    static let testSchema = ObjectSchema(
        "WebhookTest", "What a test sends.",
        [
            .optional("event_type", .text, "1 to 100 of `a-z 0-9 . _`; `test.webhook` when absent."),
            .optional("test_data", .map(.anything), "`{}` when absent."),
        ])
}

/// What became of it.
package struct OpsCenterPublished: Equatable, Sendable {
    /// A UUID.
    package var id: String
    package var event: String
    package var time: String
    /// Enabled webhooks that will get it.
    package var matched: Int

    package init(id: String, event: String, time: String, matched: Int) {
        self.id = id
        self.event = event
        self.time = time
        self.matched = matched
    }
    var json: JSONValue {
        [
            "event_id": .text(id), "event": .text(event), "timestamp": .text(time),
            "matched": .integer(Int64(matched)),
        ]
    }
    static let schema = ObjectSchema(
        "WebhookEventPublished", "An event that is on disk.",
        [
            .required("event_id", .text, "A UUID."),
            .required("event", .text, "Its name."),
            .required("timestamp", .time, "As every delivery has it."),
            .required("matched", .count, "How many enabled webhooks will get it."),
        ])
}

package enum OpsCenterStatus: String, CaseIterable, Sendable { case pending, success, failed }

package struct OpsCenterDeliverySearch: Equatable, Sendable {
    package static let limitDefault = 50
    package static let limitMax = 500
    package var status: OpsCenterStatus?
    package var eventType: String?
    package var limit = OpsCenterDeliverySearch.limitDefault
    /// Rows older than this one.
    package var before: String?

    package init() {}
    init(_ query: QueryValues) {
        status = query.text("status").flatMap { OpsCenterStatus(rawValue: $0) }
        eventType = query.text("event_type")
        limit = query.count("limit") ?? OpsCenterDeliverySearch.limitDefault
        before = query.text("before")
    }
    static let query = [
        QueryParameter("status", .word(OpsCenterStatus.allCases.map(\.rawValue)), "Only rows in this state."),
        QueryParameter(
            "limit", .count(1...limitMax), "At most so many rows; \(limitDefault) by default."),
        QueryParameter("event_type", .text, "Only rows of events of this name."),
        QueryParameter("before", .text, "A `delivery_id`: only rows older than that one."),
    ]
}

/// One attempt of one event at one webhook: made, or still to come.
package struct OpsCenterDelivery: Equatable, Sendable {
    package var id: String
    package var event: String
    /// Nil when it has left the log.
    package var eventType: String?
    /// The whole body, as it was sent; nil as above.
    package var payload: [UInt8]?
    package var attempt = 1
    package var status = OpsCenterStatus.pending
    package var statusCode: Int?
    package var error: String?
    package var durationMillis: Int?
    package var createdMillis: Int64 = 0
    package var endedMillis: Int64?
    package var nextMillis: Int64?

    package init(id: String, event: String) {
        self.id = id
        self.event = event
    }
    package var text: String {
        func time(_ millis: Int64?) -> JSONValue { millis.map { .text(TimeText.of(epochMillis: $0)) } ?? .null }
        let members: JSONValue = [
            "delivery_id": .text(id), "event_id": .text(event), "event_type": eventType.map { .text($0) } ?? .null,
            "attempt": .integer(Int64(attempt)), "status": .text(status.rawValue),
            "status_code": statusCode.map { .integer(Int64($0)) } ?? .null,
            "error_message": error.map { .text($0) } ?? .null,
            "duration_ms": durationMillis.map { .integer(Int64($0)) } ?? .null,
            "created_at": .text(TimeText.of(epochMillis: createdMillis)), "delivered_at": time(endedMillis),
            "next_attempt_at": time(nextMillis),
        ]
        let shown = payload.map { String(decoding: $0, as: UTF8.self) } ?? "null"
        return "\(JSONText.of(members).dropLast()),\"payload\":\(shown)}"
    }
    static let schema = ObjectSchema(
        "WebhookDelivery", "One attempt of one event at one webhook.",
        [
            .required("delivery_id", .text, "A UUID."),
            .required("event_id", .text, "The same for all attempts of an event."),
            .required("event_type", .orNull(.text), "The event's name; `null` when it has left the log."),
            .required("payload", .orNull(.map(.anything)), "The body as it was sent; `null` when it has left the log."),
            .required("attempt", .integer(1...Int.max), "1 for the first."),
            .required("status", .word(OpsCenterStatus.allCases.map(\.rawValue)), "`pending`: still to come."),
            .required("status_code", .orNull(.integer(100...999)), "Of the answer; `null` when there was none."),
            .required("error_message", .orNull(.text), "Why it failed; `null` else."),
            .required("duration_ms", .orNull(.count), "Of the attempt; `null` while it is to come."),
            .required("created_at", .time, "When the row was made."),
            .required("delivered_at", .orNull(.time), "When the attempt ended; `null` while it is to come."),
            .required("next_attempt_at", .orNull(.time), "When one that is to come is due; `null` else."),
        ])
}

/// Sums over all attempts since a webhook was made, and over what is to come.
package struct OpsCenterStats: Equatable, Sendable {
    package struct Row: Equatable, Sendable {
        package var webhook: String
        package var eventType: String
        package var status: OpsCenterStatus
        package var count: Int
        /// Nil of what is to come.
        package var averageMillis: Double?
        package var lastMillis: Int64?

        package init(webhook: String, eventType: String, status: OpsCenterStatus, count: Int) {
            self.webhook = webhook
            self.eventType = eventType
            self.status = status
            self.count = count
        }
        var json: JSONValue {
            [
                "webhook_id": .text(webhook), "event_type": .text(eventType), "status": .text(status.rawValue),
                "count": .integer(Int64(count)), "avg_duration_ms": averageMillis.map { .number($0) } ?? .null,
                "last_delivery": lastMillis.map { .text(TimeText.of(epochMillis: $0)) } ?? .null,
            ]
        }
    }
    package var rows: [Row] = []
    package var successCount = 0
    package var failureCount = 0
    package var attemptCount = 0
    package var retryCount = 0

    package init() {}
    package var json: JSONValue {
        func share(_ part: Int, of whole: Int) -> JSONValue {
            whole == 0 ? .null : .number(Double(part) / Double(whole))
        }
        return [
            "stats": .list(rows.map(\.json)),
            "totals": [
                "success_count": .integer(Int64(successCount)), "failure_count": .integer(Int64(failureCount)),
                "success_rate": share(successCount, of: successCount + failureCount),
                "retry_rate": share(retryCount, of: attemptCount),
            ],
        ]
    }
    static let schema = ObjectSchema(
        "WebhookStats", "Sums over the attempts at an organization's webhooks.",
        [
            .required("stats", .list(.object(rowSchema)), "A row for each webhook, event type and status."),
            .required("totals", .object(totalSchema), "Over all of them."),
        ])
    private static let rowSchema = ObjectSchema(
        "WebhookStatsRow", "Attempts of one webhook and type in one state.",
        [
            .required("webhook_id", .text, "The webhook."),
            .required("event_type", .text, "The events' name; empty for names of tests beyond the first 256."),
            .required("status", .word(OpsCenterStatus.allCases.map(\.rawValue)), "`pending`: still to come."),
            .required("count", .count, "So many."),
            .required("avg_duration_ms", .orNull(.number(nil)), "`null` of what is to come."),
            .required("last_delivery", .orNull(.time), "When the last one ended; `null` as above."),
        ])
    private static let totalSchema = ObjectSchema(
        "WebhookTotals", "Sums over all webhooks that were asked for.",
        [
            .required("success_count", .count, "Events that were taken."),
            .required("failure_count", .count, "Events that were given up."),
            .required("success_rate", .orNull(.number(0...1)), "Their share; `null` when there is neither."),
            .required("retry_rate", .orNull(.number(0...1)), "The share of attempts that were not the first."),
        ])
}
