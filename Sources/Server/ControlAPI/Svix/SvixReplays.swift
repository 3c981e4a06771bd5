// Sending again in bulk: what failed, what never came, what a filter takes. Each is a background task.
import Engine
import Foundation
import HTTPTypes

package struct SvixReplayOrder: Equatable, Sendable {
    package enum Kind: Equatable, Sendable {
        /// What failed and never succeeded, one attempt each.
        case recover
        /// What the endpoint takes and never had, by its schedule.
        case missing
        /// What it had, one attempt each.
        case bulk
    }
    package var kind: Kind
    /// Nanoseconds since 1970; the end is not in it.
    package var times: Range<UInt64>
    /// Empty = all.
    package var eventTypes: [String] = []
    package var channel: String?
    package var tag: String?
    /// Nil = those that succeeded and those that failed.
    package var status: Int?
    package var statusClass: Int?

    package init(_ kind: Kind, _ times: Range<UInt64>) {
        self.kind = kind
        self.times = times
    }
    package var task: BackgroundTask.Kind {
        switch kind {
        case .recover: .recover
        case .missing: .replay
        case .bulk: .bulkReplay
        }
    }

    // MARK: reading

    static var nowNanos: UInt64 { UInt64(max(0, Date().timeIntervalSince1970) * 1_000_000_000) }
    private static let day: UInt64 = 24 * 3600 * 1_000_000_000
    static let recoverDaysMax: UInt64 = 14
    /// What clocks may be apart.
    private static let slack: UInt64 = 300 * 1_000_000_000

    /// What is wrong is noted in `body`.
    package init(_ kind: Kind, _ body: inout SvixBody) {
        self.init(kind, SvixReplayOrder.times(kind, &body))
        guard kind == .bulk else { return }
        eventTypes = body.labels("eventTypes", count: 1...1000).value ?? []
        channel = body.label("channel")
        tag = body.label("tag")
        status = body.givenInteger("status", 0...4).value
        statusClass = body.givenInteger("statusCodeClass", 0...500).value
        if let statusClass, !statusClass.isMultiple(of: 100) {
            body.report("statusCodeClass", message: "must be 0, 100, 200, 300, 400 or 500")
        }
    }
    private static func times(_ kind: Kind, _ body: inout SvixBody) -> Range<UInt64> {
        let since = body.requiredText("since")
        let until = body.givenText("until").value
        let from = since.flatMap { TimeText.parse($0) }
        let end = until.map { TimeText.parse($0) } ?? nowNanos
        if since != nil, from == nil { body.report("since", message: "must be a time", .decode) }
        if end == nil { body.report("until", message: "must be a time", .decode) }
        guard let from, let end else { return 0..<0 }
        if kind == .recover, end > from, end - from > recoverDaysMax * day + slack {
            body.report("since", message: "must not be more than \(recoverDaysMax) days before `until`")
        }
        return from..<max(from, end)
    }

    static let recoverSchema = ObjectSchema(
        "RecoverIn", "Of which time.",
        [.required("since", .time, "At most \(recoverDaysMax) days before `until`."), until])
    static let replaySchema = ObjectSchema("ReplayIn", "Of which time.", [since, until])
    static let bulkSchema = ObjectSchema(
        "BulkReplayIn", "Which messages; all parts must hold.",
        [
            since, until,
            .optional("eventTypes", .orNull(.list(.text, countMax: 1000)), "Only of these types."),
            .optional("channel", .orNull(.text), "Only messages that have it."),
            .optional("tag", .orNull(.text), "Only messages that have it."),
            .optional(
                "status", .orNull(.integer(0...4)),
                "0 success, 2 fail, 3 sending: a retry is planned; 1 and 4 are no message's. 0 and 2 when absent."),
            .optional(
                "statusCodeClass", .orNull(.integer(0...500)),
                "Only whose last answer was of this class: 0 (none), 100, 200 … 500."),
        ])
    private static let since = ObjectSchema.Field.required("since", .time, "Only what was published then or later.")
    private static let until = ObjectSchema.Field.optional("until", .orNull(.time), "Now when absent.")
}

extension SvixBody {
    fileprivate mutating func label(_ name: String) -> String? {
        guard let text = givenText(name).value else { return nil }
        if !PublishRules.isLabel(text) {
            report(name, message: SvixRules.aboutLabel(PublishRules.labelBytesMax))
        }
        return text
    }
}

/// What is begun goes on behind the answer; refs are ids and uids, what the caller may not see is `not_found`.
package protocol SvixReplays: AnyObject, Sendable {
    var tasks: BackgroundTasks { get }
    func replay(
        _ order: SvixReplayOrder, endpoint: String, application: String, _ caller: Caller
    ) throws -> BackgroundTask
    /// Payloads of all messages that there are by now are not shown again.
    func expungeAll(application: String, _ caller: Caller) throws -> BackgroundTask
}

struct ReplayTaskController {
    let replays: any SvixReplays
    let endpoints: any SvixEndpoints
    let kept: KeptAnswers
    let worker: ControlWorker

    var routes: [Route] {
        [
            order(
                .recover, "recover", "v1.endpoint.recover",
                "Send what failed at an endpoint in a time, and never succeeded, once more.",
                SvixReplayOrder.recoverSchema, answer: BackgroundTask.begunSchema("RecoverOut")),
            order(
                .missing, "replay-missing", "v1.endpoint.replay-missing",
                "Send an endpoint what it takes of a time and never had.", SvixReplayOrder.replaySchema,
                answer: ReplayTaskController.replayAnswer),
            order(
                .bulk, "bulk-replay", "v1.endpoint.bulk-replay",
                "Send an endpoint what it had in a time once more.", SvixReplayOrder.bulkSchema,
                answer: ReplayTaskController.replayAnswer),
            expunge,
        ]
    }
    private static let replayAnswer = BackgroundTask.begunSchema("ReplayOut")

    private func order(
        _ kind: SvixReplayOrder.Kind, _ name: String, _ operation: String, _ summary: String, _ body: ObjectSchema,
        answer: ObjectSchema
    ) -> Route {
        let (replays, endpoints, worker) = (replays, endpoints, worker)
        return .svix(
            .post, "/app/{app}/endpoint/{endpoint}/" + name, operation, summary, body: body, status: 202,
            answer: answer, kept: kept
        ) { call in
            let (application, endpoint) = (call.parameter("app"), call.parameter("endpoint"))
            _ = try await worker.run { try endpoints.endpoint(application, endpoint, call.caller) }
            let order = try await worker.read(call) { SvixReplayOrder(kind, &$0) }
            let task = try await worker.run {
                try replays.replay(order, endpoint: endpoint, application: application, call.caller)
            }
            return SvixReply(202, task.begun)
        }
    }
    private var expunge: Route {
        let (replays, worker) = (replays, worker)
        return .svix(
            .post, "/app/{app}/msg/expunge-all-contents", "v1.message.expunge-all-contents",
            "Erase the payloads of all messages that there are: shown no more from the answer on.", status: 202,
            answer: BackgroundTask.begunSchema("ExpungeAllContentsOut"), kept: kept
        ) { call in
            let application = call.parameter("app")
            let task = try await worker.run { try replays.expungeAll(application: application, call.caller) }
            return SvixReply(202, task.begun)
        }
    }
}
