// Usage of all applications, counted in the background.
import Engine
import HTTPTypes

package struct SvixUsageOrder: Equatable, Sendable {
    /// Milliseconds since 1970; the end is not in it.
    package var times: Range<Int64>
    /// Ids and uids; nil = all applications.
    package var applications: [String]?
    package static let applicationCountMax = 1000

    /// What is wrong is noted in `body`.
    package init(_ body: inout SvixBody) {
        func time(_ name: String, _ body: inout SvixBody) -> Int64? {
            guard let text = body.requiredText(name) else { return nil }
            let time = TimeText.parse(text)
            if time == nil { body.report(name, message: "must be a time", .decode) }
            return time.map { Int64(clamping: $0 / 1_000_000) }
        }
        times = 0..<0
        if let since = time("since", &body), let until = time("until", &body) {
            if since > until { body.report("until", message: "must not be before `since`") }
            times = since..<max(since, until)
        }
        applications = body.labels("appIds", count: 1...SvixUsageOrder.applicationCountMax).value
    }
    static let schema = ObjectSchema(
        "AppUsageStatsIn", "Of which time, and of which applications.",
        [
            .required("since", .time, "Its beginning."), .required("until", .time, "Its end, which is not in it."),
            .optional(
                "appIds", .orNull(.list(.text, countMax: applicationCountMax)), "Ids and uids; all when absent."),
        ])
}

package protocol SvixStatistics: AnyObject, Sendable {
    /// 422 when none of the applications named is there. Also gives those that are not.
    func usage(_ order: SvixUsageOrder, _ caller: Caller) throws -> (task: BackgroundTask, unresolved: [String])
    func subscribedTypes(_ caller: Caller) throws -> BackgroundTask
}

struct StatisticsController {
    let statistics: any SvixStatistics
    let kept: KeptAnswers
    let worker: ControlWorker

    var routes: [Route] {
        let (statistics, worker) = (statistics, worker)
        return [
            .svix(
                .post, "/stats/usage/app", "v1.statistics.aggregate-app-stats",
                "Count what was sent to endpoints of each application in a time.", body: SvixUsageOrder.schema,
                status: 202, answer: StatisticsController.usageAnswer, kept: kept
            ) { call in
                let order = try await worker.read(call) { SvixUsageOrder(&$0) }
                let (task, unresolved) = try await worker.run { try statistics.usage(order, call.caller) }
                guard case .object(var members) = task.begun else { return SvixReply(202, task.begun) }
                members["unresolvedAppIds"] = .list(unresolved.map { .text($0) })
                return SvixReply(202, .object(members))
            },
            .svix(
                .put, "/stats/usage/event-types", "v1.statistics.aggregate-event-types",
                "List the event types that endpoints of each application ask for.", status: 202,
                answer: BackgroundTask.begunSchema("AggregateEventTypesOut")
            ) { call in
                SvixReply(202, try await worker.run { try statistics.subscribedTypes(call.caller) }.begun)
            },
        ]
    }
    private static let usageAnswer = ObjectSchema(
        "AppUsageStatsOut", "A task that was begun.",
        BackgroundTask.begunFields + [
            .required("unresolvedAppIds", .list(.text), "Those of `appIds` that are no applications.")
        ])
}
