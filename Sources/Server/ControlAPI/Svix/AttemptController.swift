// Attempts of the Svix-shaped API: listed, shown, made by hand, counted.
import Engine
import Foundation
import HTTPTypes

struct AttemptController {
    let attempts: any SvixAttempts
    let kept: KeptAnswers
    let worker: ControlWorker

    var routes: [Route] { lists + single + byHand + [stats] }

    private var lists: [Route] {
        let (attempts, worker) = (attempts, worker)
        return [
            .svix(
                .get, "/app/{app}/attempt/endpoint/{endpoint}", "v1.message-attempt.list-by-endpoint",
                "List an endpoint's attempts, newest first.", query: Route.svixPaging + SvixAttemptSearch.query,
                answer: SvixPage<SvixAttempt>.schema(SvixAttempt.schema)
            ) { call in
                let search = try SvixAttemptSearch(call.svix) { AttemptID($0) != nil }
                let withContent = try call.svix.flag("with_content", default: true)
                let page = try await worker.run {
                    try attempts.attempts(
                        endpoint: call.parameter("endpoint"), search, application: call.parameter("app"),
                        call.caller)
                }
                return SvixReply(200, page.json { $0.json(withContent: withContent) })
            },
            .svix(
                .get, "/app/{app}/attempt/msg/{msg}", "v1.message-attempt.list-by-msg",
                "List a message's attempts, newest first.",
                query: Route.svixPaging + SvixAttemptSearch.query + [AttemptController.endpoint],
                answer: SvixPage<SvixAttempt>.schema(SvixAttempt.schema)
            ) { call in
                let search = try SvixAttemptSearch(call.svix) { AttemptID($0) != nil }
                let withContent = try call.svix.flag("with_content", default: true)
                let page = try await worker.run {
                    try attempts.attempts(
                        message: call.parameter("msg"), endpoint: call.svix.text("endpoint_id"), search,
                        application: call.parameter("app"), call.caller)
                }
                return SvixReply(200, page.json { $0.json(withContent: withContent) })
            },
            .svix(
                .get, "/app/{app}/endpoint/{endpoint}/msg", "v1.message-attempt.list-attempted-messages",
                "List the messages that an endpoint has met, newest first.",
                query: Route.svixPaging + SvixAttemptSearch.query,
                answer: SvixPage<SvixAttemptedMessage>.schema(SvixAttemptedMessage.schema)
            ) { call in
                let search = try SvixAttemptSearch(call.svix) { MessageID($0) != nil }
                let withContent = try call.svix.flag("with_content", default: true)
                let page = try await worker.run {
                    try attempts.attemptedMessages(
                        endpoint: call.parameter("endpoint"), search, application: call.parameter("app"),
                        call.caller)
                }
                return SvixReply(200, text: page.text { $0.text(withContent: withContent) })
            },
            destinations,
        ]
    }
    private static let endpoint = QueryParameter("endpoint_id", .text, "Only this endpoint's: its id or uid.")

    private var destinations: Route {
        let (attempts, worker) = (attempts, worker)
        return .svix(
            .get, "/app/{app}/msg/{msg}/endpoint", "v1.message-attempt.list-attempted-destinations",
            "List the endpoints that a message was sent to, oldest first.", query: Route.svixPaging,
            answer: SvixPage<SvixDestination>.schema(SvixDestination.schema)
        ) { call in
            let paging = try call.svix.paging(isAscending: true) { SvixID.resource($0, .endpoint) != nil }
            let page = try await worker.run {
                try attempts.destinations(
                    message: call.parameter("msg"), paging, application: call.parameter("app"), call.caller)
            }
            return SvixReply(200, page.json(\.json))
        }
    }

    private var single: [Route] {
        let (attempts, worker) = (attempts, worker)
        return [
            .svix(
                .get, "/app/{app}/msg/{msg}/attempt/{attempt}", "v1.message-attempt.get", "Show an attempt.",
                answer: SvixAttempt.schema
            ) { call in
                let attempt = try await worker.run {
                    try attempts.attempt(
                        call.parameter("attempt"), message: call.parameter("msg"),
                        application: call.parameter("app"), call.caller)
                }
                return SvixReply(200, attempt.json(withContent: true))
            },
            .svix(
                .delete, "/app/{app}/msg/{msg}/attempt/{attempt}/content",
                "v1.message-attempt.expunge-content", "Show an attempt's answer no more.", status: 204
            ) { call in
                try await worker.run {
                    try attempts.expunge(
                        attempt: call.parameter("attempt"), message: call.parameter("msg"),
                        application: call.parameter("app"), call.caller)
                }
                return SvixReply(204)
            },
        ]
    }

    // MARK: by hand

    private var byHand: [Route] {
        let (attempts, worker) = (attempts, worker)
        return [
            .svix(
                .post, "/app/{app}/msg/{msg}/endpoint/{endpoint}/resend", "v1.message-attempt.resend",
                "Send a message to an endpoint once more, now.", status: 202, answer: AttemptController.nothing,
                kept: kept
            ) { call in
                try await worker.run {
                    try attempts.resend(
                        message: call.parameter("msg"), endpoint: call.parameter("endpoint"),
                        application: call.parameter("app"), call.caller)
                }
                return SvixReply(202, [:])
            },
        ]
    }
    private static var nowNanos: UInt64 { UInt64(max(0, Date().timeIntervalSince1970) * 1_000_000_000) }
    private static let minute: UInt64 = 60_000_000_000
    private static let day: UInt64 = 24 * 60 * minute
    /// What clocks may be apart.
    private static let slack: UInt64 = 5 * minute

    private var stats: Route {
        let (attempts, worker) = (attempts, worker)
        return .svix(
            .get, "/app/{app}/endpoint/{endpoint}/stats", "v1.endpoint.get-stats",
            "Count an endpoint's attempts by status.",
            query: [
                QueryParameter("since", .time, "28 days before `until` when absent."),
                QueryParameter("until", .time, "Now when absent."),
            ], answer: SvixStats.schema
        ) { call in
            let now = AttemptController.nowNanos
            let until = try call.svix.time("until") ?? now
            let length = 28 * AttemptController.day
            let since = try call.svix.time("since") ?? (until > length ? until - length : 0)
            guard until <= now + AttemptController.slack else {
                throw SvixError(400, "invalid_range", "`until` is in the future")
            }
            guard since <= until, until - since <= length + AttemptController.slack else {
                throw SvixError(400, "invalid_range", "`since` must be at most 28 days before `until`")
            }
            let stats = try await worker.run {
                try attempts.stats(
                    endpoint: call.parameter("endpoint"), since..<until, application: call.parameter("app"),
                    call.caller)
            }
            return SvixReply(200, stats.json)
        }
    }

    private static let nothing = ObjectSchema("EmptyResponse", "Nothing.", [])
}
