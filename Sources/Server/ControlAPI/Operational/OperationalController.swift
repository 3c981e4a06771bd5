// Operational webhooks: who hears of what becomes of the other endpoints, and what there is to hear.
import Engine
import Foundation
import HTTPTypes
import Hummingbird

struct OperationalController {
    let webhooks: any OperationalWebhooks
    let worker: ControlWorker

    private static let base = "/operational_webhooks"
    private static let one = base + "/{id}"
    private static let periodMillis: Int64 = 86_400_000

    /// What has a name of its own stands before what an id stands for.
    var routes: [Route] { [types, stats, list, create, get, replace, remove] }

    private func route(
        _ method: HTTPRequest.Method, _ path: String, _ operation: String, _ summary: String,
        query: [QueryParameter] = [], body: ObjectSchema? = nil, status: Int = 200, answer: Route.Answer,
        _ reply: @escaping @Sendable (Call) async throws -> WebhookReply
    ) -> Route {
        .webhooks(
            method, path, operation, summary, query: query, body: body.map { .json($0) }, status: status,
            answer: answer, reply)
    }
    private var types: Route {
        route(
            .get, OperationalController.base + "/event_types", "listOperationalEventTypes",
            "List the types of operational events.",
            query: [
                QueryParameter(
                    "conditions", .flag,
                    "`true`: those that an endpoint must name: of the gateway's own condition, and `endpoint.failing`.")
            ], answer: .list(OperationalTypeForm.schema)
        ) { call in
            let types = OperationalEventType.allCases.filter { $0.isByNameAlone == call.query.flag("conditions") }
            return .json(.list(types.map(OperationalTypeForm.json)))
        }
    }
    private var stats: Route {
        let (webhooks, worker) = (webhooks, worker)
        return route(
            .get, OperationalController.base + "/stats", "getOperationalStats",
            "Count what became of the messages of the tenant's regular endpoints.",
            query: [
                QueryParameter("since", .time, "The beginning; 24 hours before the end by default."),
                QueryParameter("until", .time, "The end, which is not in it; now by default."),
            ], answer: .json(OperationalStats.schema)
        ) { call in
            let now = Int64(Date().timeIntervalSince1970 * 1000)
            // What happens in this millisecond is counted.
            let until = call.query.time("until").map { Int64(clamping: $0 / 1_000_000) } ?? now + 1
            let since =
                call.query.time("since").map { Int64(clamping: $0 / 1_000_000) }
                ?? until - OperationalController.periodMillis
            guard since <= until else { throw ControlError(.invalid, "`until` is before `since`") }
            let stats = try await worker.run { try webhooks.operationalStats(since..<until, call.caller) }
            return .json(stats.json)
        }
    }
    private var list: Route {
        let (webhooks, worker) = (webhooks, worker)
        return route(
            .get, OperationalController.base, "listOperationalEndpoints",
            "List the endpoints of operational webhooks, the newest first.", answer: .list(OperationalEndpoint.schema)
        ) { call in
            let all = try await worker.run { try webhooks.operationalEndpoints(call.caller) }
            return .json(.list(all.map(\.json)))
        }
    }
    private var create: Route {
        let (webhooks, worker) = (webhooks, worker)
        return route(
            .post, OperationalController.base, "createOperationalEndpoint",
            "Make an endpoint of operational webhooks; the only answer that has its secret.",
            body: OperationalDraft.schema, status: 201, answer: .json(OperationalEndpoint.schema)
        ) { call in
            let draft = try OperationalDraft(reading: call.body)
            let made = try await worker.run { try webhooks.createOperationalEndpoint(draft, call.caller) }
            return .json(made.json)
        }
    }
    private var get: Route {
        let (webhooks, worker) = (webhooks, worker)
        return route(
            .get, OperationalController.one, "getOperationalEndpoint", "Show an endpoint of operational webhooks.",
            answer: .json(OperationalEndpoint.schema)
        ) { call in
            let id = call.parameter("id")
            return .json(try await worker.run { try webhooks.operationalEndpoint(id, call.caller) }.json)
        }
    }
    private var replace: Route {
        let (webhooks, worker) = (webhooks, worker)
        return route(
            .put, OperationalController.one, "replaceOperationalEndpoint",
            "Make an endpoint what the body says, but for its id and its secret.", body: OperationalDraft.schema,
            answer: .json(OperationalEndpoint.schema)
        ) { call in
            let id = call.parameter("id")
            // What is not there is not there, whatever the body says.
            _ = try await worker.run { try webhooks.operationalEndpoint(id, call.caller) }
            let draft = try OperationalDraft(reading: call.body)
            let replaced = try await worker.run { try webhooks.replaceOperationalEndpoint(id, draft, call.caller) }
            return .json(replaced.json)
        }
    }
    private var remove: Route {
        let (webhooks, worker) = (webhooks, worker)
        return route(
            .delete, OperationalController.one, "deleteOperationalEndpoint",
            "Remove an endpoint of operational webhooks.", status: 204, answer: .nothing
        ) { call in
            let id = call.parameter("id")
            try await worker.run { try webhooks.deleteOperationalEndpoint(id, call.caller) }
            return .nothing
        }
    }
}
