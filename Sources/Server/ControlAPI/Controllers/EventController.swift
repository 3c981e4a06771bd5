// Events: listed, found by the provider's own id, followed, shown, erased.
import Hummingbird

struct EventController {
    let events: any EventQueries
    let worker: ControlWorker

    private static let filters = [
        QueryParameter("source", .text, "Only events of this source."),
        QueryParameter("type", .text, "Only events of this type; `*` stands for anything."),
        QueryParameter("provider_id", .text, "Only events that the provider calls so, exactly."),
        QueryParameter("from", .time, "Only events received at or after this time."),
        QueryParameter("until", .time, "Only events received before this time."),
        QueryParameter(
            "after", .text,
            "Events after this one (its id), oldest first; `next` is then always there, to be given as `after`, so "
                + "that a listing can be followed."
        ),
    ]

    var routes: [Route] {
        let (events, worker) = (events, worker)
        return [
            Route(
                method: .get, path: ControlAPI.base + "/events", operation: "listEvents", resource: "events",
                summary: "List events, newest first. A page may be empty and have a `next`.",
                query: EventController.filters + QueryParameter.paging, answer: .json(Page<EventRow>.schema),
                problems: [.noSuchEvent, .noSuchSource, .logUnavailable, .notRunning]
            ) { call in
                if call.query.text("after") != nil {
                    let query = try EventController.following(call.query)
                    let page = try await worker.run { try events.events(query, call.caller) }
                    return ControlResponse.resource(Page(items: page.events, next: page.next))
                }
                let search = try EventController.search(call.query)
                let found = try await worker.run { try events.events(search, call.caller) }
                return ControlResponse.resource(
                    Page(items: found.items, next: found.next.map { Cursor(.events, $0).text }))
            },
            Route(
                method: .get, path: ControlAPI.base + "/events/{id}", operation: "getEvent", resource: "events",
                summary: "Show an event as it came, and its deliveries.", query: [QueryParameter.reveal],
                answer: .json(EventContent.schema),
                problems: [.noSuchEvent, .logUnavailable, .storeUnavailable, .notRunning]
            ) { call in
                let (id, reveal) = (call.parameter("id"), call.query.flag("reveal"))
                return ControlResponse.resource(
                    try await worker.run { try events.event(id, reveal: reveal, call.caller) })
            },
            Route(
                method: .get, path: ControlAPI.base + "/events/{id}/trace", operation: "traceEvent",
                resource: "events",
                summary: "Say why an event went where it went, and where it did not: receipt, verification, "
                    + "duplicates, each endpoint of its tenant. Of a refused request (`rej_…`): why it was refused.",
                query: QueryParameter.paging, answer: .json(EventTrace.schema),
                problems: [
                    .noSuchEvent, .noSuchRejected, .notKept, .badValue, .logUnavailable, .storeUnavailable, .notRunning,
                ]
            ) { call in
                let id = call.parameter("id")
                let paging = Paging(after: try call.query.cursor(.trace, count: 1)?[0], limit: call.query.limit)
                return ControlResponse.resource(
                    try await worker.run { try events.trace(id, paging, call.caller) })
            },
            erase,
        ]
    }
    private var erase: Route {
        let (events, worker) = (events, worker)
        return Route(
            method: .delete, path: ControlAPI.base + "/events/{id}/content", operation: "eraseEvent",
            resource: "events",
            summary: "Erase an event's content from the log: it is shown and delivered to nobody any more, and its "
                + "bytes are overwritten before this is answered. One that is erased already is answered the same.",
            answer: .json(ErasureAnswer.schema),
            problems: [.noSuchEvent, .logUnavailable, .storeUnavailable, .notRunning]
        ) { call in
            let id = call.parameter("id")
            return ControlResponse.resource(try await worker.run { try events.erase(id, call.caller) })
        }
    }

    private static func search(_ query: QueryValues) throws -> EventSearch {
        var search = EventSearch()
        search.source = query.text("source")
        search.type = query.text("type")
        search.providerId = query.text("provider_id")
        search.received = try query.times()
        search.before = try query.cursor(.events, count: 1)?[0]
        search.limit = query.limit
        return search
    }
    private static func following(_ query: QueryValues) throws -> EventQuery {
        for name in ["provider_id", "from", "until", "cursor"] where query.text(name) != nil {
            throw ControlError(.badParameter, "`\(name)` does not go together with `after`")
        }
        var following = EventQuery()
        following.source = query.text("source")
        following.type = query.text("type")
        following.after = query.text("after")
        following.limit = query.limit
        return following
    }
}
