// The stream of events: one answer that does not end, in the form of server-sent events.
//
// Invariant: the event loop never waits for the gateway, nor the gateway for a reader: what is told waits in the
// reader's buffer, and a connection that is to end is ended from outside.
import Engine
import HTTPTypes
import Hummingbird
import NIOCore

struct StreamController {
    let streams: any EventStreaming
    let worker: ControlWorker

    static let lastEventID = HTTPField.Name("Last-Event-ID")!
    private static let listCountMax = 50
    private static let filters = [
        QueryParameter("kinds", .text, "Only these: `event`, `delivery`, `endpoint`, separated by commas."),
        QueryParameter(
            "types", .text,
            "Only events of these types, and their deliveries; `*` stands for anything, commas between."),
        QueryParameter("source", .text, "Only events of this source, and their deliveries."),
        QueryParameter("endpoint", .text, "Only deliveries and changes of this endpoint: its id, uid or name."),
        QueryParameter(
            "after", .text,
            "Events behind this one (its id, or an `id` of a stream); `Last-Event-ID` counts before it."),
    ]

    var routes: [Route] {
        let (streams, worker) = (streams, worker)
        return [
            Route(
                method: .get, path: ControlAPI.base + "/events/stream", operation: "streamEvents", resource: "events",
                summary: "Events as they are committed, what becomes of their deliveries, and how endpoints do, as "
                    + "server-sent events.",
                query: StreamController.filters, answer: .text(StreamController.contentType),
                problems: [
                    .noSuchEvent, .noSuchSource, .noSuchEndpoint, .badCursor, .tooManyReaders, .busy, .notRunning,
                    .logUnavailable,
                ]
            ) { call in
                let order = try StreamController.order(call)
                let place = try await worker.run { try streams.open(order, call.caller) }
                call.connection?.limitSending(to: StreamController.sendBytes)
                return StreamController.answer(place)
            }
        ]
    }
    private static let contentType = "text/event-stream"
    /// What the kernel keeps for a reader that does not read.
    static let sendBytes = 64 << 10

    private static func order(_ call: Call) throws -> StreamOrder {
        var order = StreamOrder()
        if let kinds = try list("kinds", call) {
            order.kinds = Set(
                try kinds.map { word in
                    if let kind = StreamKind(rawValue: word) { return kind }
                    let known = StreamKind.allCases.map(\.rawValue)
                    let near = NearestName.of(word, among: known).map { "; did you mean `\($0)`?" } ?? ""
                    throw ControlError(.badParameter, "`kinds` takes \(known.joined(separator: ", "))\(near)")
                })
        }
        order.types = try list("types", call) ?? []
        order.source = call.query.text("source")
        order.endpoint = call.query.text("endpoint")
        order.after = call.query.text("after")
        if let last = call.fields[lastEventID], !last.isEmpty { order.after = last }
        order.token = call.token ?? ""
        if let connection = call.connection { order.hangUp = { connection.close() } }
        return order
    }
    private static func list(_ name: String, _ call: Call) throws -> [String]? {
        guard let text = call.query.text(name) else { return nil }
        let words = text.split(separator: ",").map(String.init)
        guard (1...listCountMax).contains(words.count) else {
            throw ControlError(.badParameter, "`\(name)` takes 1 to \(listCountMax) of them, separated by commas")
        }
        return words
    }
    private static func answer(_ place: StreamPlace) -> Response {
        var fields = HTTPFields()
        fields[.contentType] = contentType
        fields[.cacheControl] = "no-store"
        fields[.xContentTypeOptions] = "nosniff"
        // A proxy that gathers an answer before it passes it on would hold it for ever.
        fields[HTTPField.Name("X-Accel-Buffering")!] = "no"
        return Response(
            status: .ok, headers: fields,
            body: body(of: place))
    }
    static func body(of place: StreamPlace) -> ResponseBody {
        ResponseBody { writer in
            // Whatever ends this, the place is free then.
            defer { place.reader.close() }
            try await CallPlace.elsewhere {
                while let bytes = await place.reader.next() { try await writer.write(bytes) }
            }
            try await writer.finish(nil)
        }
    }
}
