// Repairs: ordered, listed, shown, ended; one delivery given up; dead letters counted.
import Engine
import HTTPTypes
import Hummingbird

struct RepairController {
    let repairs: any RepairControl
    let worker: ControlWorker

    private static let path = ControlAPI.base + "/repairs"

    var routes: [Route] { [begin, list, show, cancel, cancelDelivery, counts] }

    private var begin: Route {
        let (repairs, worker) = (repairs, worker)
        return Route(
            method: .post, path: RepairController.path, operation: "createRepair", resource: "repairs",
            summary: "Retry, cancel or forward all deliveries that match; counts them when `dry_run` is not `false`. "
                + "It goes on behind the answer, over a restart too.",
            body: .json(RepairDraft.schema), status: .accepted, answer: .json(RepairResource.schema),
            problems: [.noSuchEvent, .noSuchEndpoint, .endpointStopped, .tooManyRepairs, .storeUnavailable, .notRunning]
        ) { call in
            let draft = try BodyReading.decode(call.body, as: RepairDraft.self)
            let errors = RepairController.errors(draft)
            guard errors.isEmpty else { throw ControlError.invalid(errors) }
            return ControlResponse.resource(
                try await worker.run { try repairs.begin(draft, call.caller) }, status: .accepted)
        }
    }
    private var list: Route {
        let (repairs, worker) = (repairs, worker)
        return Route(
            method: .get, path: RepairController.path, operation: "listRepairs", resource: "repairs",
            summary: "List repairs of the last 90 days, newest first.", query: QueryParameter.paging,
            answer: .json(Page<RepairResource>.schema), problems: [.storeUnavailable, .notRunning]
        ) { call in
            let paging = Paging(after: try call.query.cursor(.repairs, count: 1)?[0], limit: call.query.limit)
            let found = try await worker.run { try repairs.repairs(paging, call.caller) }
            return ControlResponse.resource(
                Page(items: found.items, next: found.next.map { Cursor(.repairs, $0).text }))
        }
    }
    private var show: Route {
        let (repairs, worker) = (repairs, worker)
        return Route(
            method: .get, path: RepairController.path + "/{id}", operation: "getRepair", resource: "repairs",
            summary: "Show a repair and how far it has come.", answer: .json(RepairResource.schema),
            problems: [.noSuchRepair, .storeUnavailable, .notRunning]
        ) { call in
            ControlResponse.resource(try await worker.run { try repairs.repair(call.parameter("id"), call.caller) })
        }
    }
    private var cancel: Route {
        let (repairs, worker) = (repairs, worker)
        return Route(
            method: .post, path: RepairController.path + "/{id}/cancel", operation: "cancelRepair",
            resource: "repairs", summary: "End a repair; what it has done is done.",
            answer: .json(RepairResource.schema),
            problems: [.noSuchRepair, .conflict, .storeUnavailable, .notRunning]
        ) { call in
            ControlResponse.resource(
                try await worker.run { try repairs.cancelRepair(call.parameter("id"), call.caller) })
        }
    }
    private var cancelDelivery: Route {
        let (repairs, worker) = (repairs, worker)
        return Route(
            method: .post, path: ControlAPI.base + "/deliveries/{event}/{endpoint}/cancel",
            operation: "cancelDelivery", resource: "deliveries",
            summary: "Give up a delivery that waits for another attempt: it is a dead letter then, and can be retried.",
            answer: .json(DeliveryResource.schema),
            problems: [
                .noSuchEvent, .noSuchEndpoint, .noSuchDelivery, .notPending, .busy, .storeUnavailable, .notRunning,
            ]
        ) { call in
            ControlResponse.resource(
                try await worker.run {
                    try repairs.cancelDelivery(
                        event: call.parameter("event"), endpoint: call.parameter("endpoint"), call.caller)
                })
        }
    }
    private var counts: Route {
        let (repairs, worker) = (repairs, worker)
        return Route(
            method: .get, path: ControlAPI.base + "/dead-letters/counts", operation: "countDeadLetters",
            resource: "dead-letters", summary: "Count dead letters by endpoint, class and reason.",
            query: [QueryParameter("endpoint", .text, "Only those of this endpoint: id, uid or name.")]
                + QueryParameter.paging,
            answer: .json(Page<DeadLetterCounts>.schema),
            problems: [.noSuchEndpoint, .storeUnavailable, .notRunning]
        ) { call in
            let paging = Paging(after: try call.query.cursor(.deadLetterCounts, count: 1)?[0], limit: call.query.limit)
            let endpoint = call.query.text("endpoint")
            let found = try await worker.run {
                try repairs.deadLetterCounts(endpoint: endpoint, paging, call.caller)
            }
            return ControlResponse.resource(
                Page(items: found.items, next: found.next.map { Cursor(.deadLetterCounts, $0).text }))
        }
    }

    /// What holds between fields.
    static func errors(_ draft: RepairDraft) -> [FieldProblem] {
        var errors: [FieldProblem] = []
        func refuse(_ path: String, _ reason: String) { errors.append(FieldProblem(path: path, reason: reason)) }
        let action = RepairAction(rawValue: draft.action)
        if action == .forward, draft.to == nil { refuse("to", "is required with `forward`: the endpoint to send to") }
        if action != .forward, draft.to != nil { refuse("to", "goes with `forward` only") }
        if draft.events?.isEmpty == true { refuse("events", "is empty") }
        if draft.events != nil, draft.endpoint == nil { refuse("endpoint", "is required with `events`") }
        if draft.states?.isEmpty == true { refuse("states", "is empty") }
        if action == .cancel {
            if draft.states != nil { refuse("states", "does not go with `cancel`, which takes pending deliveries") }
            if draft.reason != nil { refuse("reason", "does not go with `cancel`: only dead letters have one") }
        }
        if draft.states?.contains(.delivered) == true {
            if draft.endpoint == nil { refuse("endpoint", "is required with `delivered`, which may be very many") }
            for (path, value) in [("reason", draft.reason), ("class", draft.class)] where value != nil {
                refuse(path, "does not go with `delivered`: what succeeded has none")
            }
        }
        if let status = draft.status, StatusRange.parse(status) == nil {
            refuse("status", "is not \(StatusRange.form)")
        }
        for (first, last, path) in [
            (draft.from, draft.until, "until"), (draft.failedFrom, draft.failedUntil, "failed_until"),
        ] {
            if let from = first.flatMap({ TimeText.parse($0) }), let until = last.flatMap({ TimeText.parse($0) }),
                until < from
            {
                refuse(path, "is before `\(path == "until" ? "from" : "failed_from")`")
            }
        }
        return errors
    }
}
