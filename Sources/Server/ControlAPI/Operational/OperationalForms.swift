// Endpoints of operational webhooks, their types of events and their statistics, as the contract spells them.
//
// Invariant: a secret is in the answer that an endpoint was made with, and in no other.
import Engine
import Foundation

/// What is said of an endpoint that is made or replaced; what is left out has its default.
package struct OperationalDraft: Equatable, Sendable {
    package static let urlBytesMax = 2048
    package static let headerCountMax = 20
    package static let rates = 1...1000
    package static let aboutBytesMax = 4096

    package var url: String
    package var about = ""
    /// Empty = all.
    package var types: [String] = []
    package var headers: [String: String] = [:]
    /// Deliveries a second; nil = no limit.
    package var rate: Int?
    package var isEnabled = true

    package init(url: String) { self.url = url }
    /// 400 for what is no JSON, 422 for what breaks a rule.
    package init(reading body: [UInt8]) throws {
        let value = try BodyReading.json(body)
        let errors = SchemaCheck.errors(value, OperationalDraft.schema)
        guard errors.isEmpty, case .object(let members) = value, case .text(let url)? = members["url"] else {
            throw ControlError.invalid(errors)
        }
        self.init(url: url)
        if case .text(let text)? = members["description"] { about = text }
        if case .list(let list)? = members["event_types"] {
            var seen: Set<String> = []
            types = list.compactMap { if case .text(let text) = $0 { text } else { nil } }
                .filter { seen.insert($0).inserted }
        }
        if case .object(let fields)? = members["headers"] {
            headers = fields.compactMapValues { if case .text(let text) = $0 { text } else { nil } }
        }
        if case .integer(let number)? = members["rate_limit"] { rate = Int(number) }
        if case .bool(let flag)? = members["enabled"] { isEnabled = flag }
        try check()
    }
    private func check() throws {
        guard url.utf8.count <= OperationalDraft.urlBytesMax else {
            throw ControlError(.invalid, "url: has more than \(OperationalDraft.urlBytesMax) bytes")
        }
        guard about.utf8.count <= OperationalDraft.aboutBytesMax else {
            throw ControlError(.invalid, "description: has more than \(OperationalDraft.aboutBytesMax) bytes")
        }
        guard headers.count <= OperationalDraft.headerCountMax else {
            throw ControlError(.invalid, "headers: has more than \(OperationalDraft.headerCountMax) fields")
        }
        for name in headers.keys.sorted() where OperationalDraft.isReserved(name) {
            throw ControlError(.invalid, "headers: `\(name.prefix(64))` is a field that the gateway writes itself")
        }
    }
    private static let reserved: Set<String> = [
        "host", "content-length", "content-type", "transfer-encoding", "connection", "user-agent",
    ]
    /// Whatever its letters' case.
    package static func isReserved(_ name: String) -> Bool {
        let name = name.lowercased()
        return reserved.contains(name) || name.hasPrefix("webhook-")
    }
    static let schema = ObjectSchema(
        "OperationalEndpointDraft", "An endpoint of operational webhooks that is made or replaced.",
        [
            .required("url", .text, "http or https, at most \(urlBytesMax) bytes."),
            .optional("description", .orNull(.text), "For people."),
            .optional(
                "event_types", .list(.word(OperationalEventType.allCases.map(\.rawValue))),
                "The types that it gets; empty or left out: all but those of the gateway's own condition."),
            .optional(
                "headers", .map(.text),
                "Fields that go with every delivery, at most \(headerCountMax); none that the gateway writes itself."),
            .optional(
                "rate_limit", .orNull(.integer(rates)), "Deliveries a second; what is over waits. `null`: no limit."),
            .optional("enabled", .flag, "What happens while it is `false` is not sent later either."),
        ])
}

package struct OperationalEndpoint: Equatable, Sendable {
    /// A UUID.
    package var id: String
    package var draft: OperationalDraft
    /// In the answer to its making.
    package var secret: String?
    package var createdMillis: Int64
    package var updatedMillis: Int64

    package init(
        id: String, draft: OperationalDraft, secret: String? = nil, createdMillis: Int64, updatedMillis: Int64
    ) {
        self.id = id
        self.draft = draft
        self.secret = secret
        self.createdMillis = createdMillis
        self.updatedMillis = updatedMillis
    }
    package var json: JSONValue {
        var members: [String: JSONValue] = [
            "id": .text(id), "url": .text(draft.url), "description": draft.about.isEmpty ? .null : .text(draft.about),
            "event_types": .list(draft.types.map { .text($0) }),
            "headers": .object(draft.headers.mapValues { .text($0) }),
            "rate_limit": draft.rate.map { .integer(Int64($0)) } ?? .null, "enabled": .bool(draft.isEnabled),
            "created_at": .text(TimeText.of(epochMillis: createdMillis)),
            "updated_at": .text(TimeText.of(epochMillis: updatedMillis)),
        ]
        if let secret { members["secret"] = .text(secret) }
        return .object(members)
    }
    static let schema = ObjectSchema(
        "OperationalEndpoint", "An endpoint of operational webhooks.",
        [
            .required("id", .text, "A UUID."), .required("url", .text, "Where its events go."),
            .required("description", .orNull(.text), "For people."),
            .required("event_types", .list(.text), "The types that it gets; empty: all."),
            .required("headers", .map(.text), "Fields that go with every delivery."),
            .required("rate_limit", .orNull(.integer(OperationalDraft.rates)), "Deliveries a second."),
            .required("enabled", .flag, "Whether it gets anything."),
            .optional("secret", .text, "What its deliveries are signed with; in the answer to its making only."),
            .required("created_at", .time, "When it was made."),
            .required("updated_at", .time, "When it changed last."),
        ])
}

/// A type with an example.
enum OperationalTypeForm {
    static func json(_ type: OperationalEventType) -> JSONValue {
        [
            "name": .text(type.rawValue), "description": .text(type.about),
            "example": JSONValue(OperationalPayload.example(of: type)),
        ]
    }
    static let schema = ObjectSchema(
        "OperationalEventType", "A type of operational event.",
        [
            .required("name", .text, "As in `event_types`."), .required("description", .text, "When it is sent."),
            .required("example", .anything, "A whole body."),
        ])
}

/// What became of the messages of a tenant's regular endpoints in a time. A message counts once for each endpoint that
/// it went to.
package struct OperationalStats: Equatable, Sendable {
    package struct Counts: Equatable, Sendable {
        package var summary = DeliverySummary()
        package init(_ summary: DeliverySummary = DeliverySummary()) { self.summary = summary }
        var members: [String: JSONValue] {
            let total = summary.delivered + summary.pending + summary.dead
            let finished = summary.delivered + summary.dead
            func number(_ count: Int) -> JSONValue { .integer(Int64(count)) }
            return [
                "messages": [
                    "total": number(total), "succeeded": number(summary.delivered), "pending": number(summary.pending),
                    "exhausted": number(summary.dead),
                ],
                // Each delivery that was taken has one attempt that succeeded, its last.
                "attempts": [
                    "total": number(summary.attempts), "succeeded": number(summary.delivered),
                    "failed": number(max(0, summary.attempts - summary.delivered)),
                ],
                "success_rate": finished == 0 ? .null : .number(Double(summary.delivered) / Double(finished)),
            ]
        }
    }
    package struct Endpoint: Equatable, Sendable {
        package var id: String
        package var kind: String
        package var counts: Counts
        package init(id: String, kind: String, counts: Counts) {
            self.id = id
            self.kind = kind
            self.counts = counts
        }
    }
    /// Milliseconds since 1970.
    package var period: Range<Int64>
    package var endpoints: [Endpoint]

    package init(period: Range<Int64>, endpoints: [Endpoint]) {
        self.period = period
        self.endpoints = endpoints
    }
    package var json: JSONValue {
        var all = Counts()
        for endpoint in endpoints { all.summary.add(endpoint.counts.summary) }
        var members = all.members
        members["since"] = .text(TimeText.of(epochMillis: period.lowerBound))
        members["until"] = .text(TimeText.of(epochMillis: period.upperBound))
        members["endpoints"] = .list(
            endpoints.map { endpoint in
                var members = endpoint.counts.members
                members["endpoint_id"] = .text(endpoint.id)
                members["endpoint_kind"] = .text(endpoint.kind)
                let last = endpoint.counts.summary.lastMillis
                members["last_attempt_at"] = last == 0 ? .null : .text(TimeText.of(epochMillis: last))
                return .object(members)
            })
        return .object(members)
    }

    private static let messages = ObjectSchema(
        "OperationalMessageCounts", "Messages, each counted at each endpoint that it went to.",
        [
            .required("total", .count, "All."), .required("succeeded", .count, "Taken by the endpoint."),
            .required("pending", .count, "To be tried again."), .required("exhausted", .count, "Given up."),
        ])
    private static let attempts = ObjectSchema(
        "OperationalAttemptCounts", "Attempts of those messages.",
        [
            .required("total", .count, "All."), .required("succeeded", .count, "Answered 2xx."),
            .required("failed", .count, "Others."),
        ])
    private static let counts: [ObjectSchema.Field] = [
        .required("messages", .object(messages), "How many, and what became of them."),
        .required("attempts", .object(attempts), "How many those took."),
        .required("success_rate", .orNull(.number(0...1)), "Of what is finished; null when nothing is."),
    ]
    static let schema = ObjectSchema(
        "OperationalStats", "What became of the messages of the tenant's regular endpoints.",
        [
            .required("since", .time, "The beginning of the time."), .required("until", .time, "Its end."),
            .required("endpoints", .list(.object(endpointSchema)), "Each regular endpoint, also one without messages."),
        ] + counts)
    private static let endpointSchema = ObjectSchema(
        "OperationalEndpointStats", "One endpoint's part.",
        [
            .required("endpoint_id", .text, "As its own surface calls it."),
            .required("endpoint_kind", .text, "`ops-center`, `outbound` (the Svix-shaped API) or `endpoint`."),
            .required("last_attempt_at", .orNull(.time), "The end of its latest attempt in the time."),
        ] + counts)
}

extension JSONValue {
    init(_ value: PayloadValue) {
        switch value {
        case .null: self = .null
        case .flag(let flag): self = .bool(flag)
        case .number(let number): self = .integer(number)
        case .text(let text): self = .text(text)
        case .list(let elements): self = .list(elements.map { JSONValue($0) })
        case .object(let members):
            self = .object(Dictionary(members.map { ($0.name, JSONValue($0.value)) }) { _, last in last })
        }
    }
}
