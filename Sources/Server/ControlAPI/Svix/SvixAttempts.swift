// Attempts of the Svix-shaped API: what was tried for a message at an endpoint, and what came of it.
import Engine

package struct SvixAttempt: Equatable, Sendable {
    package var id: String
    package var messageId: String
    package var endpointId: String
    package var url: String
    /// 0 when no answer came; `response` then says why.
    package var responseStatus: Int
    package var response: String
    package var durationMillis: Int
    package var isSuccess: Bool
    package var isManual: Bool
    package var endedMillis: Int64

    package init(
        id: String, messageId: String, endpointId: String, url: String, responseStatus: Int, response: String,
        durationMillis: Int, isSuccess: Bool, isManual: Bool, endedMillis: Int64
    ) {
        self.id = id
        self.messageId = messageId
        self.endpointId = endpointId
        self.url = url
        self.responseStatus = responseStatus
        self.response = response
        self.durationMillis = durationMillis
        self.isSuccess = isSuccess
        self.isManual = isManual
        self.endedMillis = endedMillis
    }
    package func json(withContent: Bool) -> JSONValue {
        let status: SvixStatus = isSuccess ? .success : .fail
        return [
            "id": .text(id), "msgId": .text(messageId), "endpointId": .text(endpointId), "url": .text(url),
            "response": .text(withContent ? response : "{}"), "responseStatusCode": .integer(Int64(responseStatus)),
            "responseDurationMs": .integer(Int64(durationMillis)), "status": .integer(Int64(status.rawValue)),
            "statusText": .text(status.text), "triggerType": .integer(isManual ? 1 : 0),
            "timestamp": .text(TimeText.of(epochMillis: endedMillis)),
        ]
    }
    static let schema = ObjectSchema(
        "MessageAttemptOut", "One attempt to send a message to an endpoint.",
        [
            .required("id", .text, "`atmpt_…`."),
            .required("msgId", .text, "The message."),
            .required("endpointId", .text, "The endpoint."),
            .required("url", .text, "Where the endpoint is now."),
            .required(
                "response", .text,
                "The beginning of the answer, in base 64 when it is no text; why there was none; `{}` without content."
            ),
            .required("responseStatusCode", .integer(0...999), "0 when there was no answer."),
            .required("responseDurationMs", .count, "From before connecting to the answer's end."),
            .required("status", .integer(0...3), SvixStatus.about),
            .required("statusText", .text, "The same in a word."),
            .required("triggerType", .integer(0...1), "0 by the schedule, 1 by hand."),
            .required("timestamp", .time, "When it ended."),
        ])
}

package enum SvixStatus: Int, CaseIterable, Sendable {
    case success = 0
    case pending = 1
    case fail = 2
    case sending = 3

    static let about = "0 success, 1 pending (never), 2 fail, 3 sending: a retry is planned."
    package var text: String {
        switch self {
        case .success: "success"
        case .pending: "pending"
        case .fail: "fail"
        case .sending: "sending"
        }
    }
}

/// A message and how it stands with one endpoint.
package struct SvixAttemptedMessage: Equatable, Sendable {
    package var message: SvixMessage
    package var status: SvixStatus
    package var nextMillis: Int64?
    package init(message: SvixMessage, status: SvixStatus, nextMillis: Int64?) {
        self.message = message
        self.status = status
        self.nextMillis = nextMillis
    }
    package func text(withContent: Bool) -> String {
        let next = nextMillis.map { "\"\(TimeText.of(epochMillis: $0))\"" } ?? "null"
        let more = ",\"status\":\(status.rawValue),\"statusText\":\"\(status.text)\",\"nextAttempt\":\(next)"
        return message.text(withContent: withContent, more: more)
    }
    static let statusFields: [ObjectSchema.Field] = [
        .required("status", .integer(0...3), SvixStatus.about),
        .required("statusText", .text, "The same in a word."),
        .optional("nextAttempt", .orNull(.time), "When it is tried again, where it is."),
    ]
    static let schema = ObjectSchema(
        "EndpointMessageOut", "A message, and how it stands with the endpoint.", SvixMessage.fields + statusFields)
}

/// An endpoint and how it stands with one message.
package struct SvixDestination: Equatable, Sendable {
    package var endpoint: SvixEndpoint
    package var status: SvixStatus
    package var nextMillis: Int64?
    package init(endpoint: SvixEndpoint, status: SvixStatus, nextMillis: Int64?) {
        self.endpoint = endpoint
        self.status = status
        self.nextMillis = nextMillis
    }
    package var json: JSONValue {
        guard case .object(var members) = endpoint.json else { return .null }
        members["status"] = .integer(Int64(status.rawValue))
        members["statusText"] = .text(status.text)
        members["nextAttempt"] = nextMillis.map { .text(TimeText.of(epochMillis: $0)) } ?? .null
        return .object(members)
    }
    static let schema = ObjectSchema(
        "MessageEndpointOut", "An endpoint, and how a message stands with it.",
        SvixEndpoint.schema.fields + SvixAttemptedMessage.statusFields)
}

/// Which attempts; all parts must hold.
package struct SvixAttemptSearch: Equatable, Sendable {
    package var messages: SvixMessageSearch
    package var status: SvixStatus?
    /// 0 for 0 to 99, else 100 to 500.
    package var statusClass: Int?

    package init(_ query: SvixQuery, isIterator: (String) -> Bool) throws {
        messages = try SvixMessageSearch(query, isIterator: isIterator)
        if let number = try query.integer("status") {
            guard let status = SvixStatus(rawValue: number) else { throw SvixError.generic("`status` takes 0 to 3") }
            self.status = status
        }
        if let number = try query.integer("status_code_class") {
            guard (0...500).contains(number), number.isMultiple(of: 100) else {
                throw SvixError.generic("`status_code_class` takes 0, 100, 200, 300, 400 or 500")
            }
            statusClass = number
        }
    }
    package func takes(_ attempt: SvixAttempt) -> Bool {
        let nanos = UInt64(max(0, attempt.endedMillis)) * 1_000_000
        if let before = messages.before, nanos >= before { return false }
        if let after = messages.after, nanos <= after { return false }
        if let status, status != (attempt.isSuccess ? .success : .fail) { return false }
        if let statusClass {
            let last = statusClass + 99
            if !(statusClass...last).contains(attempt.responseStatus) { return false }
        }
        return true
    }
    package func takes(_ message: SvixMessage) -> Bool {
        if !messages.eventTypes.isEmpty, !messages.eventTypes.contains(message.eventType) { return false }
        if let tag = messages.tag, !message.tags.contains(tag) { return false }
        return messages.channel.map { message.channels.contains($0) } ?? true
    }
    static let query =
        SvixMessageSearch.query + [
            QueryParameter("status", .count(0...3), "Only of this status."),
            QueryParameter("status_code_class", .count(0...500), "Only answers of this class: 0, 100, 200 … 500."),
            SvixMessageSearch.withContent,
        ]
}

package struct SvixStats: Equatable, Sendable {
    package var success = 0
    package var fail = 0
    package init() {}
    var json: JSONValue {
        [
            "success": .integer(Int64(success)), "fail": .integer(Int64(fail)), "pending": 0, "sending": 0,
            "canceled": 0,
        ]
    }
    static let schema = ObjectSchema(
        "EndpointStats", "Attempts of a time, counted.",
        ["success", "fail", "pending", "sending", "canceled"].map { .required($0, .count, "So many.") })
}

/// All refs are ids, uids or event ids; what the caller may not see is `not_found`.
package protocol SvixAttempts: AnyObject, Sendable {
    /// The newest message first, and of one the newest attempt first.
    func attempts(
        endpoint: String, _ search: SvixAttemptSearch, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixAttempt>
    func attempts(
        message: String, endpoint: String?, _ search: SvixAttemptSearch, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixAttempt>
    func attemptedMessages(
        endpoint: String, _ search: SvixAttemptSearch, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixAttemptedMessage>
    /// The oldest endpoint first.
    func destinations(
        message: String, _ paging: SvixPaging, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixDestination>
    func attempt(_ id: String, message: String, application: String, _ caller: Caller) throws -> SvixAttempt
    func expunge(attempt id: String, message: String, application: String, _ caller: Caller) throws
    /// One attempt by hand.
    func resend(message: String, endpoint: String, application: String, _ caller: Caller) throws
    func stats(endpoint: String, _ times: Range<UInt64>, application: String, _ caller: Caller) throws -> SvixStats
}
