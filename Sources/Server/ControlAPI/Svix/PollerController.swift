// Polling of the Svix-shaped API.
import Engine
import HTTPTypes
import Synchronization

struct PollerController {
    let pollers: any SvixPollers
    let kept: KeptAnswers
    /// One call after the other: two of one consumer do not get the same.
    let worker: ControlWorker

    private static let sink = "/app/{app}/poller/{sink}"
    private static let consumer = sink + "/consumer/{consumer}"

    var routes: [Route] {
        let (pollers, reading, worker) = (pollers, worker, PollQueue(worker))
        return [
            .svix(
                .get, PollerController.sink, "v1.message.poller.poll",
                "Read messages, oldest first, by an iterator that the caller keeps.", query: SvixPoll.query,
                answer: SvixPolled.schema
            ) { call in
                let poll = try PollerController.poll(call, hasFilters: true)
                let (application, sink) = (call.parameter("app"), call.parameter("sink"))
                let polled = try await worker.run(call) {
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
                let polled = try await worker.run(call) {
                    try pollers.poll(poll, application: application, sink: sink, consumer: consumer, call.caller)
                }
                return SvixReply(200, text: polled.text)
            },
            .svix(
                .post, PollerController.consumer + "/seek", "v1.message.poller.consumer-seek",
                "Move a consumer to a time.", body: SvixPolled.seekDraftSchema, answer: SvixPolled.seekSchema,
                kept: kept
            ) { call in
                let after = try await reading.read(call) { PollerController.time(&$0) }
                let (application, sink) = (call.parameter("app"), call.parameter("sink"))
                let consumer = try PollerController.consumer(call)
                let iterator = try await worker.run(call) {
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

/// Polls wait for one worker; of one application only so many, so that the others have their turn.
package final class PollQueue: Sendable {
    package static let waitingMax = 8
    private let worker: ControlWorker
    /// By application; none of 0.
    private let waiting = Mutex<[String: Int]>([:])

    package init(_ worker: ControlWorker) { self.worker = worker }

    func run<Value: Sendable>(_ call: Call, _ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        let whose = call.caller.principal.tenant ?? call.parameter("app")
        try enter(whose)
        defer { leave(whose) }
        return try await worker.run(work)
    }
    package func enter(_ whose: String) throws {
        try waiting.withLock { waiting in
            let count = waiting[whose] ?? 0
            guard count < PollQueue.waitingMax else {
                throw SvixError(
                    429, "rate_limited",
                    "\(count) polls of this application wait already; poll again when they are over")
            }
            waiting[whose] = count + 1
        }
    }
    package func leave(_ whose: String) {
        waiting.withLock { waiting in
            let count = waiting[whose] ?? 0
            waiting[whose] = count > 1 ? count - 1 : nil
        }
    }
}
