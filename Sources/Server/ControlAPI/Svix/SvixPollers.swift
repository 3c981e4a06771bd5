// Polling of the Svix-shaped API: an application's messages read from the log, oldest first, by an iterator that the
// caller keeps or by a consumer whose position the store keeps.
import Engine

/// What one call asks for.
package struct SvixPoll: Equatable, Sendable {
    /// Of sinks that are no endpoint's.
    static let namedPrefix = "poll_"
    package var limit = SvixPaging.limitDefault
    /// What `iterator` said; nil = from the consumer's position, or the beginning.
    package var iterator: String?
    package var eventType: String?
    package var channel: String?
    /// Nanoseconds since 1970, strict; only where there is nothing else to begin with.
    package var after: UInt64?

    package init() {}
    package init(_ query: SvixQuery, isIterator: (String) -> Bool, hasFilters: Bool) throws {
        let paging = try query.paging(isAscending: true, isIterator: isIterator)
        guard !paging.isBackward else {
            throw SvixError.invalid(["query", "iterator"], "is not what `iterator` of this poller said")
        }
        limit = paging.limit
        iterator = paging.iterator
        guard hasFilters else { return }
        eventType = query.text("event_type")
        channel = query.text("channel")
        after = try query.time("after")
        if let channel, !PublishRules.isLabel(channel) {
            throw SvixError.invalid(["query", "channel"], SvixRules.aboutLabel(PublishRules.labelBytesMax))
        }
        if let eventType, !SvixRules.isLabel(eventType) {
            throw SvixError.invalid(["query", "event_type"], SvixRules.aboutLabel())
        }
    }
    static let consumerQuery = [
        Route.svixPaging[0],
        QueryParameter("iterator", .text, "Where to go on: `iterator` of an earlier answer."),
    ]
    static let query =
        consumerQuery + [
            QueryParameter("event_type", .text, "Only messages of this type."),
            QueryParameter("channel", .text, "Only messages that have it."),
            QueryParameter("after", .time, "Without an iterator: only what is younger."),
        ]
}

package struct SvixPolled: Equatable, Sendable {
    package var data: [SvixMessage]
    package var iterator: String
    /// There is nothing more at the moment.
    package var isDone: Bool

    package init(data: [SvixMessage], iterator: String, isDone: Bool) {
        self.data = data
        self.iterator = iterator
        self.isDone = isDone
    }
    /// JSON with the payloads as they stand; no iterator needs an escape.
    package var text: String {
        let items = data.map { $0.text(withContent: true) }.joined(separator: ",")
        return "{\"data\":[\(items)],\"done\":\(isDone),\"iterator\":\"\(iterator)\"}"
    }
    static let schema = ObjectSchema(
        "PollingEndpointOut", "Messages of a poll.",
        [
            .required(
                "data",
                .list(.object(ObjectSchema("PollingEndpointMessageOut", "A message.", SvixMessage.fields))),
                "The oldest first."),
            .required("iterator", .text, "Hand it back as `iterator` to go on."),
            .required("done", .flag, "There is nothing more at the moment."),
        ])
    static let seekSchema = ObjectSchema(
        "PollingEndpointConsumerSeekOut", "Where a consumer is now.",
        [.required("iterator", .text, "As a poll would have said it.")])
    static let seekDraftSchema = ObjectSchema(
        "PollingEndpointConsumerSeekIn", "Where a consumer is to go on.",
        [.required("after", .time, "Behind the messages up to this time.")])
}

/// Sinks of one application. A sink is an endpoint, by id or uid, with its event types and channels; or any other name,
/// which is all of the application's messages. What the caller may not see is `not_found`.
package protocol SvixPollers: AnyObject, Sendable {
    func poll(_ poll: SvixPoll, application: String, sink: String, _ caller: Caller) throws -> SvixPolled
    /// The consumer's position is behind what is answered when this returns.
    func poll(
        _ poll: SvixPoll, application: String, sink: String, consumer: String, _ caller: Caller
    ) throws -> SvixPolled
    /// `after` in nanoseconds since 1970. Gives the iterator.
    func seek(
        after: UInt64, application: String, sink: String, consumer: String, _ caller: Caller
    ) throws -> String
}
