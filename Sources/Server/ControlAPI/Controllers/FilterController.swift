// Filters tried before they are saved: on one event, over a stretch of the log; and which endpoints take an event.
import Engine
import Hummingbird

/// Calls read the log; each reads a bounded part of it.
package protocol FilterTrials: AnyObject, Sendable {
    func test(_ trial: FilterTrial, _ caller: Caller) throws -> FilterResult
    /// The endpoints of the event's tenant, by number.
    func endpoints(of event: String, _ paging: Paging, _ caller: Caller) throws -> Found<EventEndpoint, UInt64>
    /// `after`: the sequence behind which it goes on.
    func preview(
        _ order: FilterPreviewOrder, endpoint: String, after: UInt64?, _ caller: Caller
    ) throws -> (page: FilterPreview, next: UInt64?)
}

struct FilterController {
    let filters: any FilterTrials
    let worker: ControlWorker

    var routes: [Route] { [test, audience, preview] }

    private var test: Route {
        let (filters, worker) = (filters, worker)
        return Route(
            method: .post, path: ControlAPI.base + "/filters/test", operation: "testFilter", resource: "filters",
            summary: "Try a filter on an event, in the log or given: whether it lets it through, and why.",
            body: .json(FilterTrial.schema), bodyBytesMax: 1 << 20, answer: .json(FilterResult.schema),
            problems: [.noSuchEvent, .noSuchEndpoint, .logUnavailable, .notRunning]
        ) { call in
            let trial = try BodyReading.decode(call.body, as: FilterTrial.self)
            let errors = FilterController.errors(trial)
            guard errors.isEmpty else { throw ControlError.invalid(errors) }
            return ControlResponse.resource(try await worker.run { try filters.test(trial, call.caller) })
        }
    }
    private static func errors(_ trial: FilterTrial) -> [FieldProblem] {
        var errors: [FieldProblem] = []
        if (trial.filter == nil) == (trial.endpoint == nil) {
            errors.append(FieldProblem(path: "filter", reason: "give either `filter` or `endpoint`"))
        }
        if (trial.event == nil) == (trial.given == nil) {
            errors.append(FieldProblem(path: "event", reason: "give either `event` or `given`"))
        }
        if trial.given?.payload != nil, trial.given?.body != nil {
            errors.append(FieldProblem(path: "given.payload", reason: "does not go together with `body`"))
        }
        return errors
    }

    private var audience: Route {
        let (filters, worker) = (filters, worker)
        return Route(
            method: .get, path: ControlAPI.base + "/events/{id}/endpoints", operation: "listEventEndpoints",
            resource: "events",
            summary: "Which endpoints of its tenant, as they are configured now, take an event, and why the others do "
                + "not.",
            query: QueryParameter.paging, answer: .json(Page<EventEndpoint>.schema),
            problems: [.noSuchEvent, .logUnavailable, .notRunning]
        ) { call in
            let id = call.parameter("id")
            let paging = Paging(
                after: try call.query.cursor(.audience, count: 1)?[0],
                limit: min(call.query.limit, QueryParameter.limitDefault))
            let found = try await worker.run { try filters.endpoints(of: id, paging, call.caller) }
            return ControlResponse.resource(
                Page(items: found.items, next: found.next.map { Cursor(.audience, $0).text }))
        }
    }

    private var preview: Route {
        let (filters, worker) = (filters, worker)
        return Route(
            method: .post, path: ControlAPI.base + "/endpoints/{id}/filter/preview", operation: "previewFilter",
            resource: "filters",
            summary: "Run a filter over what came in a time, before it is saved: what the endpoint would get more and "
                + "less. Page by page.",
            body: .json(FilterPreviewOrder.schema), answer: .json(FilterPreview.schema),
            problems: [.noSuchEndpoint, .badCursor, .logUnavailable, .notRunning]
        ) { call in
            let ref = call.parameter("id")
            let order = try BodyReading.decode(call.body, as: FilterPreviewOrder.self)
            let after = try order.cursor.map { try Cursor($0, of: .preview, count: 1).parts[0] }
            var (page, next) = try await worker.run {
                try filters.preview(order, endpoint: ref, after: after, call.caller)
            }
            page.next = next.map { Cursor(.preview, $0).text }
            return ControlResponse.resource(page)
        }
    }
}
