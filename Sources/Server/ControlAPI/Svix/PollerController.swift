// Polling of the Svix-shaped API.
import Engine
import HTTPTypes

struct PollerController {
    let pollers: any SvixPollers
    let kept: KeptAnswers
    /// One call after the other: two of one consumer do not get the same.
    let worker: ControlWorker

    private static let sink = "/app/{app}/poller/{sink}"
    private static let consumer = sink + "/consumer/{consumer}"

    var routes: [Route] {
        let (pollers, worker) = (pollers, worker)
        return [
            .svix(
                .get, PollerController.sink, "v1.message.poller.poll",
                "Read messages, oldest first, by an iterator that the caller keeps.", query: SvixPoll.query,
                answer: SvixPolled.schema
            ) { call in
                let poll = try PollerController.poll(call, hasFilters: true)
                let (application, sink) = (call.parameter("app"), call.parameter("sink"))
                let polled = try await worker.run {
                    try pollers.poll(poll, application: application, sink: sink, call.caller)
                }
                return SvixReply(200, text: polled.text)
            },
            .svix(
                .get, PollerController.consumer, "v1.message.poller.consumer-poll",
                "Read messages, oldest first, from where the consumer is; it is behind them then.",
                query: SvixPoll.consumerQuery, answer: SvixPolled.schema
            ) { call in
                let poll = try PollerController.poll(call, hasFilters: false)
                let (application, sink) = (call.parameter("app"), call.parameter("sink"))
                let consumer = try PollerController.consumer(call)
                let polled = try await worker.run {
                    try pollers.poll(poll, application: application, sink: sink, consumer: consumer, call.caller)
                }
                return SvixReply(200, text: polled.text)
            },
            .svix(
                .post, PollerController.consumer + "/seek", "v1.message.poller.consumer-seek",
                "Move a consumer to a time.", body: SvixPolled.seekDraftSchema, answer: SvixPolled.seekSchema,
                kept: kept
            ) { call in
                let after = try await worker.read(call) { PollerController.time(&$0) }
                let (application, sink) = (call.parameter("app"), call.parameter("sink"))
                let consumer = try PollerController.consumer(call)
                let iterator = try await worker.run {
                    try pollers.seek(
                        after: after, application: application, sink: sink, consumer: consumer, call.caller)
                }
                return SvixReply(200, ["iterator": .text(iterator)])
            },
        ]
    }
    private static func poll(_ call: Call, hasFilters: Bool) throws -> SvixPoll {
        try SvixPoll(call.svix, isIterator: { MessageID($0) != nil }, hasFilters: hasFilters)
    }
    /// What is wrong with it is noted in the body.
    private static func time(_ body: inout SvixBody) -> UInt64 {
        guard let text = body.requiredText("after") else { return 0 }
        if let time = TimeText.parse(text) { return time }
        body.report("after", message: "must be a time such as 2026-01-31T00:00:00Z", .decode)
        return 0
    }
    private static func consumer(_ call: Call) throws -> String {
        let name = call.parameter("consumer")
        guard SvixRules.isLabel(name) else {
            throw SvixError.invalid(["path", "consumer_id"], SvixRules.aboutLabel())
        }
        return name
    }
}
