// The routes of before `/api/v1`, kept as they were for the tools that use them: camelCase JSON, errors as
// `{"error":{"code":…,"message":…}}`. Thin: each asks the same services as its successor.
import Engine
import Foundation
import HTTPTypes
import Hummingbird

struct DeprecatedController {
    let services: ControlServices
    let worker: ControlWorker
    let bulkWorker: ControlWorker

    private static let limit = QueryParameter("limit", .count(1...QueryParameter.limitMax), "At most so many.")
    private static let filters = [
        QueryParameter("source", .text, "Only events of this source."),
        QueryParameter("type", .text, "Only events of this type; `*` stands for anything."),
    ]

    private static let pageCountMax = 10

    var routes: [Route] { events + deliveries + [endpoints, replay, reload] + rejected }

    /// A route of before, with everything that is the same for all of them.
    private func route(
        _ method: HTTPRequest.Method, _ path: String, _ operation: String, successor: String,
        query: [QueryParameter] = [], takesBody: Bool = false,
        _ handle: @escaping @Sendable (Call) async throws -> Response
    ) -> Route {
        Route(
            method: method, path: "/api" + path, operation: operation, resource: "deprecated",
            summary: "Use \(successor).", query: query, body: takesBody ? .json(DeprecatedController.anyBody) : nil,
            answer: .document, isDeprecated: true, handle: handle)
    }
    private static let anyBody = ObjectSchema("DeprecatedBody", "As the page of this route says.", [])

    // MARK: events

    private var events: [Route] {
        let (events, worker) = (services.events, worker)
        let after = QueryParameter("after", .text, "Events after this id.")
        return [
            route(
                .get, "/events", "deprecatedListEvents", successor: "GET /api/v1/events",
                query: DeprecatedController.filters + [after, DeprecatedController.limit]
            ) { call in
                var query = EventQuery()
                query.source = call.query.text("source")
                query.type = call.query.text("type")
                query.after = call.query.text("after")
                query.limit = call.query.limit
                let asked = query
                return ControlResponse.json(try await worker.run { try events.events(asked, call.caller) })
            },
            route(
                .get, "/events/{id}", "deprecatedGetEvent", successor: "GET /api/v1/events/{id}",
                query: [QueryParameter.reveal]
            ) { call in
                let (id, reveal) = (call.parameter("id"), call.query.flag("reveal"))
                let content = try await worker.run { try events.event(id, reveal: reveal, call.caller) }
                return ControlResponse.json(EventDetail(content))
            },
        ]
    }

    // MARK: deliveries and endpoints

    private struct Deliveries: Encodable { let deliveries: [DeliveryItem] }
    private struct Endpoints: Encodable { let endpoints: [EndpointStatus] }

    private var deliveries: [Route] {
        let (deliveries, worker) = (services.deliveries, worker)
        let state = QueryParameter("state", .word(DeliveryStateName.allCases.map(\.rawValue)), "Only those.")
        let endpoint = QueryParameter("endpoint", .text, "Only those of this endpoint.")
        return [
            route(
                .get, "/deliveries", "deprecatedListDeliveries", successor: "GET /api/v1/deliveries",
                query: [state, endpoint, DeprecatedController.limit]
            ) { call in
                var search = DeliverySearch()
                if let state = call.query.text("state").flatMap({ DeliveryStateName(rawValue: $0) }) {
                    search.states = [state]
                }
                search.endpoint = call.query.text("endpoint")
                search.limit = call.query.limit
                let asked = search
                let items = try await worker.run {
                    var search = asked
                    var items: [DeliveryResource] = []
                    // Its answer has no place to say that there is more, and no call may hold the worker for long.
                    for _ in 0..<DeprecatedController.pageCountMax {
                        search.limit = asked.limit - items.count
                        let found = try deliveries.deliveries(search, call.caller)
                        items += found.items
                        search.before = found.next
                        if items.count == asked.limit || search.before == nil { break }
                    }
                    return items
                }
                return ControlResponse.json(Deliveries(deliveries: items.map { DeliveryItem($0) }))
            }
        ]
    }
    private var endpoints: Route {
        let (directory, worker) = (services.endpoints, worker)
        return route(.get, "/endpoints", "deprecatedListEndpoints", successor: "GET /api/v1/endpoints") { call in
            let all = try await worker.run {
                var search = EndpointSearch()
                search.paging.limit = QueryParameter.limitMax
                var all: [EndpointResource] = []
                repeat {
                    let found = try directory.endpoints(search, call.caller)
                    all += found.items
                    search.paging.after = found.next
                } while search.paging.after != nil
                return all
            }
            return ControlResponse.json(Endpoints(endpoints: all.map { EndpointStatus($0) }))
        }
    }

    // MARK: replay and reload

    private var replay: Route {
        let (replays, worker) = (services.replays, bulkWorker)
        return route(
            .post, "/replay", "deprecatedReplay", successor: "POST /api/v1/replays", takesBody: true
        ) { call in
            let request = try DeprecatedController.replayRequest(Data(call.body))
            let order = try request.order()
            let outcome = try await worker.run { try replays.replay(order, call.caller) }
            return ControlResponse.json(
                ReplayResponse(outcome))
        }
    }
    private struct Reloaded: Encodable {
        let status = "reloaded"
        let summary: String
        let changes: [ChangeItem]
        let warnings: [String]
    }
    private var reload: Route {
        let (registry, worker) = (services.registry, worker)
        return route(.post, "/reload", "deprecatedReload", successor: "POST /api/v1/reload") { call in
            let change = try await worker.run { try registry.reload(dryRun: false, call.caller) }
            return ControlResponse.json(
                Reloaded(summary: change.summary, changes: change.items, warnings: change.warnings))
        }
    }

    // MARK: rejected

    private var rejected: [Route] {
        let (rejected, worker, bulkWorker) = (services.rejected, worker, bulkWorker)
        let filters = [
            QueryParameter("source", .text, "Only those of this source."),
            QueryParameter("reason", .text, "Only those refused for this reason."),
            QueryParameter("before", .text, "Only those older than this id."), DeprecatedController.limit,
        ]
        return [
            route(
                .get, "/rejected", "deprecatedListRejected", successor: "GET /api/v1/rejected", query: filters
            ) { call in
                var filter = RejectedFilter()
                filter.source = call.query.text("source")
                filter.reason = call.query.text("reason")
                filter.before = call.query.text("before")
                filter.limit = call.query.limit
                let asked = filter
                return ControlResponse.json(try await worker.run { try rejected.rejected(asked, call.caller) })
            },
            route(
                .get, "/rejected/{id}", "deprecatedGetRejected", successor: "GET /api/v1/rejected/{id}",
                query: [QueryParameter.reveal]
            ) { call in
                let (id, reveal) = (call.parameter("id"), call.query.flag("reveal"))
                let detail = try await worker.run { try rejected.rejected(id: id, reveal: reveal, call.caller) }
                guard let detail else {
                    throw RejectedController.gone(id)
                }
                return ControlResponse.json(detail)
            },
            route(
                .post, "/rejected/reverify", "deprecatedReverify", successor: "POST /api/v1/rejected/reverify",
                takesBody: true
            ) { call in
                let request = try DeprecatedController.reverifyRequest(Data(call.body))
                return ControlResponse.json(try await bulkWorker.run { try rejected.reverify(request, call.caller) })
            },
        ]
    }

    // MARK: bodies

    /// An unknown key would silently widen what is replayed, so it is an error.
    static func replayRequest(_ body: Data) throws -> ReplayRequest {
        try decode(
            body, ReplayRequest.self,
            known: ["event", "endpoint", "source", "type", "from", "until", "dead", "dryRun"],
            empty: "{} counts all events")
    }
    static func reverifyRequest(_ body: Data) throws -> ReverifyRequest {
        try decode(body, ReverifyRequest.self, known: ["source", "ids", "dryRun"], empty: "{} counts all of them")
    }
    /// `empty` says what an empty object asks for.
    private static func decode<Value: Decodable>(
        _ body: Data, _ type: Value.Type, known: [String], empty: String
    ) throws -> Value {
        let value: JSONValue
        do throws(JSONProblem) { value = try JSONReading.value([UInt8](body)) } catch {
            throw ControlError(.badJSON, "the body \(error.message); it must be a JSON object; \(empty)")
        }
        guard case .object(let object) = value else {
            throw ControlError(.badJSON, "the body must be a JSON object; \(empty)")
        }
        if let name = object.keys.sorted().first(where: { !known.contains($0) }) {
            let advice =
                NearestName.of(name, among: known).map { "did you mean `\($0)`?" }
                ?? "known keys: \(known.joined(separator: ", "))"
            throw ControlError(.unknownKey, "unknown key `\(name)`; \(advice)")
        }
        do {
            return try JSONDecoder().decode(type, from: body)
        } catch let DecodingError.typeMismatch(_, context) {
            let name = context.codingPath.last?.stringValue ?? "?"
            throw ControlError(.badValue, "`\(name)`: \(context.debugDescription)")
        } catch {
            throw ControlError(.badJSON, "the body is not the JSON that this call takes")
        }
    }
}

extension ReplayResponse {
    init(_ outcome: ReplayOutcome) {
        self.init(count: outcome.dryRun ? outcome.matched : outcome.accepted, dryRun: outcome.dryRun)
    }
}

extension ReplayRequest {
    /// One event at a named endpoint is sent whatever became of it before.
    func order() throws -> ReplayOrder {
        for (name, text) in [("from", from), ("until", until)] {
            if let text, TimeText.parse(text) == nil {
                throw ControlError(.badValue, "`\(name)` takes a time such as 2026-01-31T00:00:00Z")
            }
        }
        var order = ReplayOrder()
        order.event = event
        order.endpoint = endpoint
        order.source = source
        order.type = type
        order.from = from
        order.until = until
        order.states = dead == true ? [.dead] : [.dead, .delivered]
        if event != nil, endpoint != nil { order.states = [.dead, .delivered, .missing] }
        order.dryRun = dryRun
        return order
    }
}

extension DeliveryItem {
    init(_ delivery: DeliveryResource) {
        let failure = delivery.result == "answered" ? nil : delivery.result
        self.init(
            event: delivery.event, endpoint: delivery.endpoint.name, state: delivery.state.rawValue,
            attempts: delivery.attempts, status: delivery.status, reason: delivery.reason ?? failure,
            nextAttemptAt: delivery.nextAttemptAt, source: delivery.source, type: delivery.type)
    }
}

extension EndpointStatus {
    init(_ endpoint: EndpointResource) {
        let status = endpoint.status
        let state =
            switch status.state {
            case .active, .failing: "active"
            case .paused: "slowed"
            case .disabled: "disabled"
            }
        self.init(
            name: endpoint.name, url: endpoint.url, state: state, waiting: status.pending, dead: status.dead,
            lag: status.lagEvents)
    }
}

extension EventDetail {
    init(_ content: EventContent) {
        self.init(
            event: content.event, method: content.method, target: content.target, headers: content.headers, body: [],
            deliveries: content.deliveries.map { DeliveryItem($0) })
        body = content.body
        bodyBase64 = content.bodyBase64
    }
}
