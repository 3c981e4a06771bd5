// Deliveries and dead letters: listed, shown with their attempts, made again; and replays of many.
import Engine
import HTTPTypes
import Hummingbird

struct DeliveryController {
    let deliveries: any DeliveryQueries
    let replays: any ReplayControl
    let worker: ControlWorker

    private static let path = ControlAPI.base + "/deliveries"

    private static let state = QueryParameter(
        "state", .word(DeliveryStateName.allCases.map(\.rawValue)), "Only those in this state.")
    private func filters(withState: Bool) -> [QueryParameter] {
        (withState ? [DeliveryController.state] : []) + [
            QueryParameter("endpoint", .text, "Only those of this endpoint: id, uid or name."),
            QueryParameter("source", .text, "Only those of events of this source."),
            QueryParameter("type", .text, "Only those of events of this type; `*` stands for anything."),
            QueryParameter("reason", .word(deliveries.deadLetterReasons), "Only dead letters of this reason."),
            QueryParameter("class", .word(DeadLetterClass.names), "Only those that failed so: see `class`."),
            QueryParameter("status", .text, "Only those whose last answer was so: `503`, or `5xx`."),
            QueryParameter("from", .time, "Only those whose last attempt ended at or after this time."),
            QueryParameter("until", .time, "Only those whose last attempt ended before this time."),
        ] + QueryParameter.paging
    }

    var routes: [Route] {
        [
            listing("/deliveries", "listDeliveries", "deliveries", "List deliveries, newest event first.", nil),
            show, retry,
            listing(
                "/dead-letters", "listDeadLetters", "dead-letters", "List dead letters, newest event first.", .dead),
        ]
    }

    private func listing(
        _ path: String, _ operation: String, _ resource: String, _ summary: String, _ only: DeliveryStateName?
    ) -> Route {
        let (deliveries, worker) = (deliveries, worker)
        return Route(
            method: .get, path: ControlAPI.base + path, operation: operation, resource: resource,
            summary: summary + " A page may be empty and have a `next`.", query: filters(withState: only == nil),
            answer: .json(Page<DeliveryResource>.schema),
            problems: [.noSuchEndpoint, .noSuchSource, .storeUnavailable, .logUnavailable, .notRunning]
        ) { call in
            var search = DeliverySearch()
            if let only { search.states = [only] }
            if let state = call.query.text("state").flatMap({ DeliveryStateName(rawValue: $0) }) {
                search.states = [state]
            }
            search.endpoint = call.query.text("endpoint")
            search.source = call.query.text("source")
            search.type = call.query.text("type")
            search.reason = call.query.text("reason")
            search.failureClass = call.query.text("class")
            search.statuses = try call.query.text("status").map { text in
                guard let range = StatusRange.parse(text) else {
                    throw ControlError(.badParameter, "`status` takes \(StatusRange.form)")
                }
                return range
            }
            search.updated = try call.query.times()
            search.limit = call.query.limit
            search.before = try call.query.cursor(.deliveries, count: 2).map {
                DeliveryPosition(sequence: $0[0], endpoint: $0[1])
            }
            let asked = search
            let found = try await worker.run { try deliveries.deliveries(asked, call.caller) }
            let next = found.next.map { Cursor(.deliveries, $0.sequence, $0.endpoint).text }
            return ControlResponse.resource(Page(items: found.items, next: next))
        }
    }

    private var show: Route {
        let (deliveries, worker) = (deliveries, worker)
        return Route(
            method: .get, path: DeliveryController.path + "/{event}/{endpoint}", operation: "getDelivery",
            resource: "deliveries", summary: "Show a delivery and its attempts.", answer: .json(DeliveryDetail.schema),
            problems: [.noSuchEvent, .noSuchEndpoint, .noSuchDelivery, .storeUnavailable, .notRunning]
        ) { call in
            ControlResponse.resource(
                try await worker.run {
                    try deliveries.delivery(
                        event: call.parameter("event"), endpoint: call.parameter("endpoint"), call.caller)
                })
        }
    }
    private var retry: Route {
        let (replays, worker) = (replays, worker)
        return Route(
            method: .post, path: DeliveryController.path + "/{event}/{endpoint}/retry", operation: "retryDelivery",
            resource: "deliveries", summary: "Deliver one event again, at once, whatever became of it before.",
            status: .accepted, answer: .json(RetryAnswer.schema),
            problems: [
                .noSuchEvent, .noSuchEndpoint, .alreadyPending, .endpointStopped, .busy, .logUnavailable, .notRunning,
            ]
        ) { call in
            ControlResponse.resource(
                try await worker.run {
                    try replays.retry(
                        event: call.parameter("event"), endpoint: call.parameter("endpoint"), call.caller)
                }, status: .accepted)
        }
    }
}

struct ReplayController {
    let replays: any ReplayControl
    let worker: ControlWorker

    var routes: [Route] {
        let (replays, worker) = (replays, worker)
        return [
            Route(
                method: .post, path: ControlAPI.base + "/replays", operation: "createReplay", resource: "replays",
                summary: "Count what matches, and deliver it again when `dry_run` is `false`.",
                body: .json(ReplayOrder.schema), answer: .json(ReplayOutcome.schema),
                problems: [
                    .noSuchEvent, .noSuchEndpoint, .noSuchSource, .endpointStopped, .busy, .storeUnavailable,
                    .logUnavailable,
                    .notRunning,
                ]
            ) { call in
                let order = try BodyReading.decode(call.body, as: ReplayOrder.self)
                let errors = ReplayController.errors(order)
                guard errors.isEmpty else { throw ControlError.invalid(errors) }
                return ControlResponse.resource(try await worker.run { try replays.replay(order, call.caller) })
            }
        ]
    }

    /// What holds between fields.
    static func errors(_ order: ReplayOrder) -> [FieldProblem] {
        var errors: [FieldProblem] = []
        if order.states?.isEmpty == true { errors.append(FieldProblem(path: "states", reason: "is empty")) }
        if order.scopes.contains(.missing), order.event == nil {
            for (path, value) in [("endpoint", order.endpoint), ("from", order.from)] where value == nil {
                errors.append(FieldProblem(path: path, reason: "is required with `missing`, which may be very many"))
            }
        }
        if let event = order.event, event.isEmpty { errors.append(FieldProblem(path: "event", reason: "is empty")) }
        let (from, until) = (order.from.flatMap { TimeText.parse($0) }, order.until.flatMap { TimeText.parse($0) })
        if let from, let until, until < from {
            errors.append(FieldProblem(path: "until", reason: "is before `from`"))
        }
        return errors
    }
}
