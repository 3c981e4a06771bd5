// Deliveries as the API shows them: one event at one endpoint, and its attempts.
import Engine
import FastPath

package enum DeliveryStateName: String, CaseIterable, Codable, Sendable {
    case delivered, pending, dead, superseded
}

/// Durations of one attempt by stage.
package struct TimingResource: Codable, Equatable, Sendable {
    package var totalMillis: Double
    /// Nil when the connection was there already, or none came about.
    package var connectMillis: Double?
    /// Nil when no byte of an answer came.
    package var firstByteMillis: Double?
    package init(totalMillis: Double, connectMillis: Double? = nil, firstByteMillis: Double? = nil) {
        self.totalMillis = totalMillis
        self.connectMillis = connectMillis
        self.firstByteMillis = firstByteMillis
    }
}

extension TimingResource: Described {
    package static let schema = ObjectSchema(
        "Timing", "How long an attempt took, by stage.",
        [
            .required("total_millis", .number(0...Double.infinity), "From the start of the attempt to its end."),
            .optional(
                "connect_millis", .number(0...Double.infinity), "To the new connection; absent when one was reused."),
            .optional("first_byte_millis", .number(0...Double.infinity), "To the first byte of the answer."),
        ])
}

package struct DeliveryResource: Codable, Equatable, Sendable {
    package var event: String
    package var endpoint: Reference
    package var state: DeliveryStateName
    /// Counted attempts so far.
    package var attempts: Int
    /// Of the last attempt's answer; nil when none came.
    package var status: Int?
    /// How the last attempt ended.
    package var result: String
    /// Why it is a dead letter.
    package var reason: String?
    /// Which kind of trouble it met.
    package var `class`: String?
    package var nextAttemptAt: String?
    package var updatedAt: String
    package var timing: TimingResource?
    /// Nil, as the next three, when the event has left the log.
    package var source: String?
    package var type: String?
    package var receivedAt: String?

    package init(
        event: String, endpoint: Reference, state: DeliveryStateName, attempts: Int, result: String, updatedAt: String
    ) {
        self.event = event
        self.endpoint = endpoint
        self.state = state
        self.attempts = attempts
        self.result = result
        self.updatedAt = updatedAt
    }
}

extension DeliveryResource: Described {
    static let resultAbout =
        "`answered`, `connect_failed`, `connect_timed_out`, `head_timed_out`, `total_timed_out`, "
        + "`connection_lost`, `bad_answer`, `answer_too_large`, `name_not_resolved`, `address_refused`, "
        + "`tls_failed`, `proxy_refused`, `not_prepared`, `authorization_failed` or `abandoned`."
    package static let schema = ObjectSchema(
        "Delivery", "One event at one endpoint.",
        [
            .required("event", .text, "The event's id."),
            .required("endpoint", .object(Reference.schema), "Where it goes."),
            .required(
                "state", .word(DeliveryStateName.allCases.map(\.rawValue)),
                "`delivered`, `pending` (to be tried again), `dead` (given up, kept), or `superseded` (a newer "
                    + "event of its key is delivered in its place)."),
            .required("attempts", .count, "Attempts so far."),
            .optional("status", .integer(100...599), "HTTP status of the last answer; absent when none came."),
            .required("result", .text, "How the last attempt ended: " + resultAbout),
            .optional("reason", .text, "Why it is a dead letter."),
            .optional("class", .word(DeadLetterClass.names), "Of a dead letter: which kind of trouble it met."),
            .optional("next_attempt_at", .time, "When it is tried again."),
            .required("updated_at", .time, "When the last attempt ended."),
            .optional("timing", .object(TimingResource.schema), "Of the last attempt."),
            .optional("source", .text, "The event's source; absent when the event has left the log."),
            .optional("type", .text, "The event's type; absent when the event has left the log."),
            .optional("received_at", .time, "When the event came; absent when it has left the log."),
        ])
}

package struct AttemptResource: Codable, Equatable, Sendable {
    /// 1 for the first.
    package var number: Int
    package var endedAt: String
    package var timing: TimingResource
    package var status: Int?
    package var result: String
    /// What the system said, such as `connection refused`.
    package var systemError: String?
    /// Why TLS failed, such as `expired`.
    package var tlsError: String?
    /// What the proxy answered.
    package var proxyStatus: Int?
    /// Why the event could not be transformed or redacted, such as `not_json`.
    package var preparationError: String?
    package var authorizationError: String?
    /// What the token endpoint answered.
    package var tokenStatus: Int?
    /// The first 4 KiB of the answer's body when they are UTF-8, else nil and `answerBase64` has them.
    package var answer: String?
    package var answerBase64: String?
    /// It went to the endpoint's second URL.
    package var failover: Bool?
    /// Of that URL.
    package var host: String?

    package init(number: Int, endedAt: String, timing: TimingResource, result: String) {
        self.number = number
        self.endedAt = endedAt
        self.timing = timing
        self.result = result
    }
}

extension AttemptResource: Described {
    package static let schema = ObjectSchema(
        "Attempt", "One attempt at a delivery.",
        [
            .required("number", .integer(1...Int.max), "1 for the first."),
            .required("ended_at", .time, "When it ended."),
            .required("timing", .object(TimingResource.schema), "How long it took."),
            .optional("status", .integer(100...599), "HTTP status of the answer; absent when none came."),
            .required("result", .text, "How it ended: " + DeliveryResource.resultAbout),
            .optional("system_error", .text, "What the system said, such as `connection refused`."),
            .optional(
                "tls_error", .word(TLSFailure.allCases.filter { $0 != .none }.map(\.code)),
                "Why TLS failed, when `result` is `tls_failed`."),
            .optional("proxy_status", .integer(100...999), "What the proxy answered instead of a tunnel."),
            .optional(
                "preparation_error", .word(PreparationFailure.allCases.map(\.name)),
                "Why the event could not be transformed or redacted, when `result` is `not_prepared`."),
            .optional(
                "authorization_error", .word(AccessTokenFault.allCases.map(\.name)),
                "Why there was no access token, when `result` is `authorization_failed`."),
            .optional("token_status", .integer(100...999), "What the token endpoint answered then."),
            .optional(
                "answer", .text,
                "The first 4 KiB of the answer's body, when they are text; what a token endpoint said of its error."),
            .optional("answer_base64", .text, "The same when they are not text."),
            .optional("failover", .flag, "True of one that went to the endpoint's second URL; absent of all others."),
            .optional("host", .text, "Host and port of that URL as it was then; absent of all others."),
        ])
}

package struct DeliveryDetail: Codable, Equatable, Sendable {
    package var delivery: DeliveryResource
    /// Oldest first.
    package var attempts: [AttemptResource]
    package init(delivery: DeliveryResource, attempts: [AttemptResource]) {
        self.delivery = delivery
        self.attempts = attempts
    }
}

extension DeliveryDetail: Described {
    package static let schema = ObjectSchema(
        "DeliveryDetail", "One delivery with its attempts.",
        [
            .required("delivery", .object(DeliveryResource.schema), "How it stands."),
            .required(
                "attempts", .list(.object(AttemptResource.schema)),
                "Oldest first. Of a delivery that succeeded at once no answer is kept."),
        ])
}

/// What became of a request to deliver again.
package struct RetryAnswer: Codable, Equatable, Sendable {
    package var event: String
    package var endpoint: Reference
    package init(event: String, endpoint: Reference) {
        self.event = event
        self.endpoint = endpoint
    }
}

extension RetryAnswer: Described {
    package static let schema = ObjectSchema(
        "RetryAnswer", "The delivery is on its way again.",
        [
            .required("event", .text, "The event's id."),
            .required("endpoint", .object(Reference.schema), "Where it goes."),
        ])
}

package enum ReplayScope: String, CaseIterable, Codable, Sendable {
    /// Dead letters.
    case dead
    /// Deliveries that succeeded.
    case delivered
    /// Events that the endpoint wants now and never had: those from before it existed or before it wanted them.
    case missing
}

/// What to deliver again. Empty fields match everything.
package struct ReplayOrder: Codable, Equatable, Sendable {
    package var event: String?
    package var endpoint: String?
    package var source: String?
    package var type: String?
    package var from: String?
    package var until: String?
    /// `dead` and `delivered` when nil.
    package var states: [ReplayScope]?
    /// True when nil.
    package var dryRun: Bool?
    package init() {}

    package var isDry: Bool { dryRun ?? true }
    package var scopes: Set<ReplayScope> { Set(states ?? [.dead, .delivered]) }
}

extension ReplayOrder: Described {
    package static let schema = ObjectSchema(
        "ReplayOrder", "What to deliver again; an absent field matches everything.",
        [
            .optional("event", .text, "One event's id."),
            .optional("endpoint", .text, "Id, uid or name; required with `missing`."),
            .optional("source", .text, "Only events of this source."),
            .optional("type", .text, "Only events of this type; `*` stands for anything."),
            .optional("from", .time, "Only events received at or after this time; required with `missing`."),
            .optional("until", .time, "Only events received before this time."),
            .optional(
                "states", .list(.word(ReplayScope.allCases.map(\.rawValue)), countMax: 3),
                "`dead`: dead letters; `delivered`: those that succeeded, and of one `event` those that were "
                    + "superseded; `missing`: events that the endpoint never had (backfill). "
                    + "`[\"dead\",\"delivered\"]` when absent."
            ),
            .optional("dry_run", .flag, "`true` when absent: count, change nothing."),
        ])
}

package struct ReplayOutcome: Codable, Equatable, Sendable {
    package var dryRun: Bool
    /// What the order takes and can be sent.
    package var matched = 0
    /// How many of those are on their way now; 0 in a dry run.
    package var accepted = 0
    /// Match the filter, but are on their way already; not part of `matched`.
    package var pending = 0
    /// Of `matched`: those that the endpoint never had.
    package var missing = 0
    /// Match, and stay as they are: their endpoint is disabled.
    package var stopped = 0
    /// Match by their delivery, but have left the log.
    package var eventsGone = 0
    package init(dryRun: Bool) { self.dryRun = dryRun }
}

extension ReplayOutcome: Described {
    package static let schema = ObjectSchema(
        "ReplayOutcome", "What a replay did, or would do.",
        [
            .required("dry_run", .flag, "Nothing was changed."),
            .required("matched", .count, "Deliveries that the order takes."),
            .required("accepted", .count, "How many of them are on their way now; 0 in a dry run."),
            .required("pending", .count, "Deliveries that match and are on their way already; not part of `matched`."),
            .required("missing", .count, "Of `matched`: those that the endpoint never had."),
            .required(
                "stopped", .count, "Deliveries that match at endpoints that are disabled, and stay as they are."),
            .required("events_gone", .count, "Deliveries whose event has left the log; they cannot be sent."),
        ])
}
