// Messages of the Svix-shaped API, which are events that were published: how they are taken and shown.
//
// Invariant: a payload's text is kept and delivered as it came; it is never parsed and printed again.
import Engine
import FastPath

package struct SvixMessage: Equatable, Sendable {
    package enum Payload: Equatable, Sendable {
        case json([UInt8])
        /// Expunged, or no object of JSON.
        case expired
    }
    package var id: String
    package var eventId: String?
    package var eventType: String
    package var channels: [String]
    package var tags: [String] = []
    /// Milliseconds since 1970: it is sent no sooner. Nil = at once.
    package var deliverAtMillis: Int64?
    /// Nanoseconds since 1970.
    package var timestamp: UInt64
    package var payload: Payload

    package init(
        id: String, eventId: String?, eventType: String, channels: [String], timestamp: UInt64, payload: Payload
    ) {
        self.id = id
        self.eventId = eventId
        self.eventType = eventType
        self.channels = channels
        self.timestamp = timestamp
        self.payload = payload
    }
    /// What it takes in an answer.
    var payloadBytes: Int { if case .json(let bytes) = payload { bytes.count } else { 0 } }
    /// JSON with the payload as it stands; `{}` for it without content. `more` is put beside. Without an encoder: it is
    /// answered thousands of times a second, and no name of a message needs an escape.
    package func text(withContent: Bool, more: String = "") -> String {
        let (head, tail) = parts(withContent: withContent, more: more)
        return head + id + tail
    }
    /// What stands before the id, and behind it.
    package func parts(withContent: Bool, more: String = "") -> (head: String, tail: String) {
        func quoted(_ text: String) -> String { "\"\(text)\"" }
        let list = channels.isEmpty ? "null" : "[\(channels.map(quoted).joined(separator: ","))]"
        let shown: String
        switch payload {
        case _ where !withContent: shown = "{}"
        case .json(let bytes): shown = String(decoding: bytes, as: UTF8.self)
        case .expired: shown = "{\"expired\":true}"
        }
        let head =
            "{\"channels\":\(list),\"eventId\":\(eventId.map(quoted) ?? "null"),\"eventType\":\(quoted(eventType)),"
            + "\"id\":\""
        var tail = "\",\"timestamp\":\(quoted(TimeText.of(nanoseconds: timestamp)))"
        if !tags.isEmpty { tail += ",\"tags\":[\(tags.map(quoted).joined(separator: ","))]" }
        if let deliverAtMillis { tail += ",\"deliverAt\":\(quoted(TimeText.of(epochMillis: deliverAtMillis)))" }
        tail += "\(more),\"payload\":\(shown)}"
        return (head, tail)
    }
    /// The same as a value, with `{}` for the payload.
    var jsonWithoutContent: JSONValue {
        var members: [String: JSONValue] = [
            "channels": channels.isEmpty ? .null : .list(channels.map { .text($0) }),
            "eventId": eventId.map { .text($0) } ?? .null, "eventType": .text(eventType), "id": .text(id),
            "timestamp": .text(TimeText.of(nanoseconds: timestamp)), "payload": [:],
        ]
        if !tags.isEmpty { members["tags"] = .list(tags.map { .text($0) }) }
        if let deliverAtMillis { members["deliverAt"] = .text(TimeText.of(epochMillis: deliverAtMillis)) }
        return .object(members)
    }
    static let schema = ObjectSchema("MessageOut", "A message: an event that was published.", fields)
    static let fields: [ObjectSchema.Field] = [
        .required("id", .text, "`msg_…`; sorts by time."),
        .optional("eventId", .orNull(.text), "The caller's own id."),
        .required("eventType", .text, "Its type."),
        .required(
            "payload", .map(.anything), "As it was sent; `{}` without content, `{\"expired\": true}` when it is gone."),
        .optional("channels", .orNull(.list(.text)), "For endpoints that ask for channels."),
        .optional("tags", .list(.text), "By which it is found."),
        .optional("deliverAt", .time, "It is sent then, and no sooner."),
        .required("timestamp", .time, "When it was published."),
    ]
}

/// A message that is to be.
package struct SvixMessageDraft: Equatable, Sendable {
    package static let channelCountMax = 5
    package static let tagCountMax = PublishRules.tagCountMax
    package static let eventTypeBytesMax = 256
    package var eventType = ""
    package var eventId: String?
    package var channels: [String] = []
    package var tags: [String] = []
    /// Milliseconds since 1970.
    package var deliverAtMillis: Int64?
    package var retentionHours: Int?
    package var body: [UInt8] = []
    /// Made when the path names none.
    package var application: SvixApplicationDraft?
    package var idempotencyKey: String?

    package init(eventType: String, body: [UInt8]) {
        self.eventType = eventType
        self.body = body
    }
    /// Throws 422 with all that is wrong. `application` is the path's.
    package init(
        _ bytes: [UInt8], application: String, idempotencyKey: String? = nil,
        nowNanos: UInt64 = ProcessResources.wallNanos
    ) throws {
        let read: JSONMembers
        do throws(JSONProblem) { read = try JSONMembers(bytes) } catch {
            throw SvixError.invalid([SvixIssue(["body"], "the body \(error.message)", .decode)])
        }
        var reading = MessageReading(members: read, nowNanos: nowNanos)
        eventType = reading.eventType()
        eventId = reading.eventId()
        channels = reading.labels("channels", count: 1...SvixMessageDraft.channelCountMax)
        tags = reading.labels("tags", count: 0...SvixMessageDraft.tagCountMax)
        self.idempotencyKey = idempotencyKey
        deliverAtMillis = reading.deliverAtMillis(isRepeatable: eventId != nil || idempotencyKey != nil)
        retentionHours = reading.retentionHours()
        body = reading.payload()
        self.application = try reading.application(application)
        guard reading.issues.isEmpty else { throw SvixError.invalid(reading.issues) }
    }

    static let schema = ObjectSchema(
        "MessageIn", "A message that is to be.",
        [
            .required("eventType", .text, "1 to 256 of `a-z A-Z 0-9 - _ .`."),
            .required("payload", .map(.anything), "Delivered as it stands; `data` is another name of it."),
            .optional("eventId", .orNull(.text), "The caller's own id; a second message with it is a conflict."),
            .optional(
                "channels", .orNull(.list(.text, countMax: channelCountMax)), "For endpoints that ask for channels."),
            .optional("application", .orNull(.object(SvixApplication.draftSchema)), "Made when there is none."),
            .optional("tags", .orNull(.list(.text, countMax: tagCountMax)), "By which it is found; as channels."),
            .optional(
                "deliverAt", .orNull(.time), "Sent then and no sooner: one minute to 24 hours from now."),
            .optional(
                "payloadRetentionPeriod", .orNull(.integer(PublishRules.retentionDays)),
                "For so many days its payload is shown and sent by hand; without it as long as the log has it."),
            .optional(
                "payloadRetentionHours", .orNull(.integer(PublishRules.retentionHours)),
                "The same in hours; one of the two."),
        ])
}

/// Which messages of an application; all parts must hold.
package struct SvixMessageSearch: Equatable, Sendable {
    package var paging: SvixPaging
    package var channel: String?
    package var tag: String?
    /// Empty = all.
    package var eventTypes: [String] = []
    /// Nanoseconds since 1970; both are strict.
    package var before: UInt64?
    package var after: UInt64?

    package init(paging: SvixPaging) { self.paging = paging }
    package init(_ query: SvixQuery, isIterator: (String) -> Bool) throws {
        paging = try query.paging(isAscending: false, isIterator: isIterator)
        channel = query.text("channel")
        tag = query.text("tag")
        eventTypes = query.list("event_types")
        before = try query.time("before")
        after = try query.time("after")
        for (name, label) in [("channel", channel), ("tag", tag)] {
            guard let label, !PublishRules.isLabel(label) else { continue }
            throw SvixError.invalid(["query", name], SvixRules.aboutLabel(PublishRules.labelBytesMax))
        }
        for type in eventTypes where !SvixRules.isLabel(type) {
            throw SvixError.invalid(["query", "event_types"], SvixRules.aboutLabel())
        }
    }
    static let query = [
        QueryParameter("channel", .text, "Only messages that have it."),
        QueryParameter("tag", .text, "Only messages that have it."),
        QueryParameter("event_types", .text, "Only messages of these types; comma-separated or repeated."),
        QueryParameter("before", .time, "Only what is older."),
        QueryParameter("after", .time, "Only what is younger; alone, the oldest of those come first."),
    ]
    static let withContent = QueryParameter("with_content", .flag, "`true` when absent: payloads are shown.")
}

/// Messages of applications; `application` and `message` are ids, uids or event ids. What the caller may not see is
/// `not_found`.
package protocol SvixMessages: AnyObject, Sendable {
    /// On disk when this returns.
    func publish(
        _ draft: SvixMessageDraft, application: String, _ caller: Caller
    ) async throws -> SvixMessage
    /// The same, and sent to this endpoint alone, where it takes such messages and is not disabled.
    func publish(
        _ draft: SvixMessageDraft, to endpoint: String, application: String, _ caller: Caller
    ) async throws -> SvixMessage
    /// Whether an endpoint that is not disabled would get such a message.
    func isWanted(_ type: String, channels: [String], application: String, _ caller: Caller) throws -> Bool
    func messages(
        _ search: SvixMessageSearch, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixMessage>
    func message(_ ref: String, application: String, _ caller: Caller) throws -> SvixMessage
    /// Its payload is not shown again.
    func expunge(_ ref: String, application: String, _ caller: Caller) throws
}
