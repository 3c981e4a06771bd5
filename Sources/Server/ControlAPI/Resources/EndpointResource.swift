// Endpoints as the API shows them: what was configured, and how they are doing.
import Engine

package enum EndpointStateName: String, CaseIterable, Codable, Sendable { case active, failing, paused, disabled }

/// How an endpoint is doing.
package struct EndpointStatusResource: Codable, Equatable, Sendable {
    package var state = EndpointStateName.active
    /// Why it is in that state; nil when there is nothing to say.
    package var reason: String?
    /// RFC 3339; nil = since ever.
    package var since: String?
    /// When a pause ends; nil = not by itself.
    package var until: String?
    package var lastError: String?
    package var lastFailureAt: String?
    package var lastSuccessAt: String?
    /// Requests out with the endpoint.
    package var inFlight = 0
    /// Put off to a later attempt.
    package var pending = 0
    /// Matched, and not attempted yet.
    package var backlog = 0
    /// All three together.
    package var waiting = 0
    package var oldestWaitingSeconds: Double?
    package var dead = 0
    /// Events on disk that it has not met yet.
    package var lagEvents: UInt64 = 0
    package init() {}
}

extension EndpointStatusResource: Described {
    package static let schema = ObjectSchema(
        "EndpointStatus", "How an endpoint is doing.",
        [
            .required(
                "state", .word(EndpointStateName.allCases.map(\.rawValue)),
                "`active`; `failing`: its last attempts failed, it is still tried; `paused`: gets nothing until a "
                    + "time or an operator says so; `disabled`: gets nothing until an operator says so."
            ),
            .optional(
                "reason", .text,
                "Why: `gone` (it answered 410, or what its `outcomes` call `disable`), `operator_request`, "
                    + "`asked_for_less` (`Retry-After`, 429, 502, 504), `attempts_failed`, `failed_for_days`, "
                    + "`breaker_open`, `breaker_probing` (its `breaker`), `unresolved` (its host "
                    + "name), `authorization_failed` (no access token for it), `configuration` (`disabled: true`)."
            ),
            .optional("since", .time, "Since when it is in this state."),
            .optional("until", .time, "When a pause ends; absent when it does not end by itself."),
            .optional("last_error", .text, "The last failure in one line."),
            .optional("last_failure_at", .time, "When an attempt failed last."),
            .optional("last_success_at", .time, "When a delivery succeeded last."),
            .required("in_flight", .count, "Requests that are out with it."),
            .required("pending", .count, "Deliveries put off to a later attempt."),
            .required(
                "backlog", .count,
                "Events that it wants and that have not been attempted yet, as far as they have been read."),
            .required("waiting", .count, "`in_flight`, `pending` and `backlog` together."),
            .optional("oldest_waiting_seconds", .number(0...Double.infinity), "The age of the oldest of those."),
            .required("dead", .count, "Dead letters."),
            .required("lag_events", .count, "Events on disk that have not been read for it yet."),
        ])
}

package struct TimeoutsResource: Codable, Equatable, Sendable {
    package var connect: String?
    package var head: String?
    package var total: String?
    package init(connect: String? = nil, head: String? = nil, total: String? = nil) {
        self.connect = connect
        self.head = head
        self.total = total
    }
}

extension TimeoutsResource: Described {
    private static let range = 10...600_000
    package static let schema = ObjectSchema(
        "Timeouts", "How long an attempt may take, such as `5s`.",
        [
            .optional("connect", .duration(range), "To be connected."),
            .optional("head", .duration(range), "Until the head of the answer is there."),
            .optional("total", .duration(range), "For the whole attempt."),
        ])
}

package struct RetryResource: Codable, Equatable, Sendable {
    package var delays: [String]?
    package var jitter: Double?
    package var preset: String?
    package var backoff: BackoffResource?
    package var budget: Double?
    package init(delays: [String]? = nil, jitter: Double? = nil) {
        self.delays = delays
        self.jitter = jitter
    }
}

extension RetryResource: Described {
    package static let schema = ObjectSchema(
        "Retry", "When a failed delivery is tried again.",
        [
            .optional(
                "delays", .list(.duration(0...30 * 86_400_000), countMax: 64),
                "Before the 2nd, 3rd, … attempt; after the last the delivery is a dead letter."),
            .optional("jitter", .number(0...1), "Half-width of the random part of a delay, as a share of it."),
            .optional(
                "preset", .word(RetryPreset.allCases.map(\.rawValue)),
                "A schedule by its name, in the place of `delays` and `jitter`."),
            .optional("backoff", .object(BackoffResource.schema), "A schedule that grows, in their place."),
            .optional(
                "budget", .number(RetrySettings.budgetRange), "Retries at most, as a share of first attempts."),
        ])
}

/// In which order an endpoint is delivered to: `true`, `false`, or by the key of each event.
package enum OrderResource: Codable, Equatable, Sendable {
    case flag(Bool)
    case byKey([String])

    private struct Keyed: Codable {
        var key: [String]
    }
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else {
            self = .byKey(try container.decode(Keyed.self).key)
        }
    }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .flag(let flag): try container.encode(flag)
        case .byKey(let key): try container.encode(Keyed(key: key))
        }
    }
    static let schema = ObjectSchema(
        "OrderKey", "By what an endpoint's deliveries are ordered.",
        [
            .required(
                "key", .list(.text, countMax: 4),
                "`header:NAME`, `json:$.PATH` or `group`, the first that has a value; deliveries with the same value "
                    + "keep their order, and do not wait for others."
            )
        ])
    static let about = """
        `true`: each delivery goes when the one before it is delivered or dead; `{"key": […]}`: so among those of a \
        key; `false`: in any order.
        """
}

/// What a caller says of an endpoint; what is absent takes its default.
package struct EndpointDraft: Codable, Equatable, Sendable {
    package var name = ""
    /// The caller's own id, unique in the tenant.
    package var uid: String?
    /// Id, uid or name; nil = the tenant `default`.
    package var tenant: String?
    package var url = ""
    package var tls: EndpointTLSResource?
    package var sources: [String]?
    package var types: [String]?
    package var channels: [String]?
    package var filter: JSONValue?
    /// Never shown again.
    package var secrets: [String]?
    package var signature: SignatureResource?
    package var headers: [String: String]?
    package var authorization: AuthorizationResource?
    package var concurrency: ConcurrencyResource?
    package var timeouts: TimeoutsResource?
    package var retry: RetryResource?
    package var outcomes: [String: String]?
    package var ordered: OrderResource?
    package var redact: RedactResource?
    package var transform: [TransformStepResource]?
    package var breaker: BreakerResource?
    package var errors: ErrorsResource?
    package var rate: RateResource?
    package var deadline: String?
    package var delay: String?
    package var shadow: ShadowResource?
    package var coalesce: CoalesceResource?
    package var batch: BatchResource?
    package var disableAfter: String?
    package var forwardHeaders: Bool?
    package var disabled: Bool?
    package init() {}
}

extension EndpointDraft: Described {
    package static let schema = ObjectSchema(
        "EndpointDraft", "What an endpoint is to be; what is absent takes its default.",
        [
            .required("name", .text, "1 to 64 of `a-z A-Z 0-9 . _ -`, unique in its tenant; may be changed."),
            .optional("uid", .text, "An id of your own, unique in the tenant."),
            .optional("tenant", .text, "Id, uid or name of its tenant; `default` when absent. Cannot be changed."),
            .required("url", .text, "Where it is delivered to."),
            .optional("tls", .object(EndpointTLSResource.schema), "For an `https://` URL; operators only."),
            .optional("sources", .list(.text, countMax: 1000), "Names of sources; none = all of the tenant."),
            .optional("types", .list(.text, countMax: 1000), "Patterns with `*` over the event type; none = all."),
            .optional(
                "channels", .list(.text, countMax: PublishRules.endpointChannelCountMax),
                "Only published events that share one; none = all events."),
            .optional("filter", FilterForm.schema, FilterForm.about),
            .optional(
                "secrets", .list(.text, countMax: 8),
                "Sign deliveries by Standard Webhooks, each of them; taken literally, never shown again; none = "
                    + "unsigned."
            ),
            .optional(
                "signature", .object(SignatureResource.schema), "How it is signed; by Standard Webhooks when absent."),
            .optional(
                "concurrency", .integerOr(ConcurrencyResource.range, ConcurrencyResource.schema),
                ConcurrencyResource.about),
            .optional("timeouts", .object(TimeoutsResource.schema), "Limits of one attempt."),
            .optional("retry", .object(RetryResource.schema), "The schedule of attempts."),
            .optional("outcomes", .map(.text), EndpointResource.aboutOutcomes),
            .optional("ordered", .flagOr(OrderResource.schema), OrderResource.about),
            .optional("redact", .flagOr(RedactResource.schema), RedactResource.about),
            .optional(
                "transform", .list(.object(TransformStepResource.schema), countMax: Transformation.stepCountMax),
                "What is made of each body before it is sent, in this order."),
            .optional("breaker", .flagOr(BreakerForm.schema), BreakerResource.about),
            .optional("forward_headers", .flag, "Send the provider's own header fields along."),
            .optional("disabled", .flag, "Keeps its position in the log and receives nothing."),
        ] + ObjectSchema.credentialFields + ObjectSchema.lanePolicyFields)
}

package struct EndpointBatch: Codable, Equatable, Sendable {
    package static let countMax = 1000
    package var endpoints: [EndpointDraft]
    package init(endpoints: [EndpointDraft]) { self.endpoints = endpoints }
}

extension EndpointBatch: Described {
    package static let schema = ObjectSchema(
        "EndpointBatch", "Many endpoints at once; all are made, or none.",
        [.required("endpoints", .list(.object(EndpointDraft.schema), countMax: countMax), "1 to \(countMax) of them.")])
}

package enum ResourceOrigin: String, CaseIterable, Codable, Sendable { case manifest, api }

package struct EndpointResource: Codable, Equatable, Sendable {
    package var id: String
    package var name: String
    package var uid: String?
    package var tenant: Reference
    package var origin = ResourceOrigin.manifest
    /// Which surface it was made for.
    package var family = EndpointFamily.registry
    /// Grows with each change.
    package var revision = 1
    package var url: String
    package var tls: EndpointTLSResource?
    package var sources: [String] = []
    package var types: [String] = []
    package var channels: [String] = []
    package var filter: JSONValue?
    /// How many secrets sign; the secrets themselves are not shown.
    package var secretCount = 0
    package var signature: SignatureResource?
    package var headers: [String: String] = [:]
    package var authorization: AuthorizationResource?
    package var concurrency: ConcurrencyResource
    package var timeouts: TimeoutsResource
    package var retry: RetryResource
    package var outcomes: [String: String] = [:]
    package var ordered = OrderResource.flag(false)
    package var redact = RedactResource.flag(false)
    package var transform: [TransformStepResource] = []
    package var breaker = BreakerResource.flag(false)
    package var errors: ErrorsResource?
    package var rate: RateResource?
    package var deadline: String?
    package var delay: String?
    package var shadow: ShadowResource?
    package var coalesce: CoalesceResource?
    package var batch: BatchResource?
    package var disableAfter: String?
    package var forwardHeaders = true
    package var disabled = false
    package var status: EndpointStatusResource

    package init(
        id: String, name: String, tenant: Reference, url: String, concurrency: ConcurrencyResource,
        timeouts: TimeoutsResource, retry: RetryResource, status: EndpointStatusResource
    ) {
        self.id = id
        self.name = name
        self.tenant = tenant
        self.url = url
        self.concurrency = concurrency
        self.timeouts = timeouts
        self.retry = retry
        self.status = status
    }
}

extension EndpointResource: Described {
    fileprivate static let aboutOutcomes =
        "What answers mean: `preset`, a status (`404`) or a class (`4xx`) to a word; `{}` = the preset `default`."
    package static let schema = ObjectSchema(
        "Endpoint", "Where events are delivered to, and how that goes.",
        [
            .required("id", .text, "`ep_…`; never changes and is never used again."),
            .required("name", .text, "Unique in its tenant; may be changed."),
            .optional("uid", .text, "The caller's own id."),
            .required("tenant", .object(Reference.schema), "Whose it is."),
            .required(
                "origin", .word(ResourceOrigin.allCases.map(\.rawValue)),
                "Who manages it; what the manifest made is changed there only."),
            .required(
                "family", .word(EndpointFamily.allCases.map(\.rawValue)),
                "`ops-center`: a webhook of `/api/v1/webhooks`; how it is sent and when again is that surface's."),
            .required("revision", .integer(1...Int.max), "Grows with each change."),
            .required("url", .text, "Where it is delivered to."),
            .optional("tls", .object(EndpointTLSResource.schema), "Its files, for an `https://` URL."),
            .required("sources", .list(.text), "Names of sources; empty = all."),
            .required("types", .list(.text), "Patterns over the event type; empty = all."),
            .required("channels", .list(.text), "Only published events that share one; empty = all events."),
            .optional("filter", FilterForm.schema, FilterForm.about),
            .required("secret_count", .count, "How many secrets sign; they are not shown."),
            .optional(
                "signature", .object(SignatureResource.schema), "How it is signed; absent: by Standard Webhooks."),
            .required("headers", .map(.text), ObjectSchema.aboutHeaders),
            .optional(
                "authorization", .object(AuthorizationResource.schema), "How the gateway proves to it who it is."),
            .required(
                "concurrency", .integerOr(ConcurrencyResource.range, ConcurrencyResource.schema),
                ConcurrencyResource.about),
            .required("timeouts", .object(TimeoutsResource.schema), "Limits of one attempt."),
            .required("retry", .object(RetryResource.schema), "The schedule of attempts."),
            .required("outcomes", .map(.text), aboutOutcomes),
            .required("ordered", .flagOr(OrderResource.schema), OrderResource.about),
            .required("redact", .flagOr(RedactResource.schema), RedactResource.about),
            .required(
                "transform", .list(.object(TransformStepResource.schema)),
                "What is made of each body before it is sent, in this order."),
            .required("breaker", .flagOr(BreakerForm.schema), BreakerResource.about),
            .required("forward_headers", .flag, "The provider's own header fields are sent along."),
            .required("disabled", .flag, "As configured; `status.state` says what holds."),
            .required("status", .object(EndpointStatusResource.schema), "How it is doing."),
        ] + ObjectSchema.lanePolicyFields)
}

/// The body of a pause.
package struct PauseOrder: Codable, Equatable, Sendable {
    /// Such as `1h`; nil = until it is enabled.
    package var `for`: String?
    package init(for time: String? = nil) { self.for = time }
}

extension PauseOrder: Described {
    package static let schema = ObjectSchema(
        "Pause", "How long an endpoint gets nothing.",
        [
            .optional(
                "for", .duration(1000...366 * 86_400_000),
                "Such as `1h`; absent = until the endpoint is enabled again.")
        ])
}
