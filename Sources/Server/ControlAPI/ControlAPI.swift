// The control API: metrics, health, events, deliveries, replay, reload, on the admin port. One event loop and one
// worker thread of its own; nothing here is on the way of an event. docs/http-api.md is its reference.
import Engine
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOPosix

package struct ControlAPI: Sendable {
    package static let bodyBytesMax = 64 << 10

    let control: any GatewayControl
    let worker = ControlWorker()
    /// Probes and scrapes do not queue behind a replay of millions.
    let statusWorker = ControlWorker()
    let logger: Logger
    /// Reads the configuration again and applies it; throws and changes nothing when it is wrong.
    let reload: @Sendable () throws -> Void

    package init(
        control: any GatewayControl, logger: Logger, reload: @escaping @Sendable () throws -> Void
    ) {
        self.control = control
        self.logger = logger
        self.reload = reload
    }

    /// Serves until the task is cancelled. `onRunning` gets the port in use; throws when the address cannot be bound.
    package func run(host: String, port: Int, onRunning: @escaping @Sendable (Int) -> Void) async throws {
        let application = Application(
            router: router(host: host),
            configuration: ApplicationConfiguration(address: .hostname(host, port: port)),
            onServerRunning: { channel in onRunning(channel.localAddress?.port ?? port) },
            eventLoopGroupProvider: .shared(ControlAPI.group),
            logger: ControlAPI.quietLogger)
        try await application.run()
    }

    // Never shut down: a connection that closes late would otherwise schedule on a loop that is gone.
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    // Hummingbird's own notices are about itself, not about what an operator acts on.
    private static let quietLogger: Logger = {
        var logger = Logger(label: "sluice.admin")
        logger.logLevel = .critical
        return logger
    }()

    func router(host: String) -> Router<ControlContext> {
        let router = Router(context: ControlContext.self)
        router.addMiddleware {
            ErrorGuard(logger: logger)
            BrowserGuard(host: host)
        }
        router.get("/health") { _, _ in ControlAnswer.json(["status": "alive"]) }
        router.get("/ready") { _, _ in try await ready() }
        router.get("/metrics") { _, _ in
            let families = try await statusWorker.run { control.metrics() }
            return ControlAnswer.text(PrometheusText.of(families), contentType: PrometheusText.contentType)
        }
        router.get("/api/events") { request, _ in try await events(request) }
        router.get("/api/events/{id}") { request, context in try await event(request, context) }
        router.get("/api/deliveries") { request, _ in try await deliveries(request) }
        router.get("/api/endpoints") { _, _ in
            ControlAnswer.json(Listing(endpoints: try await worker.run { try control.endpoints() }))
        }
        router.post("/api/replay") { request, _ in try await replay(request) }
        addRejectedRoutes(router)
        router.post("/api/reload") { _, _ in
            try await worker.run { try reload() }
            return ControlAnswer.json(["status": "reloaded"])
        }
        return router
    }

    private struct Listing: Encodable { let endpoints: [EndpointStatus] }
    private struct Deliveries: Encodable { let deliveries: [DeliveryItem] }
    private struct Readiness: Encodable {
        let status: String
        let problems: [ReadinessProblem]
    }

    private func ready() async throws -> Response {
        let problems = try await statusWorker.run { control.readiness() }
        let readiness = Readiness(status: problems.isEmpty ? "ready" : "not_ready", problems: problems)
        return ControlAnswer.json(readiness, status: problems.isEmpty ? .ok : .serviceUnavailable)
    }

    private func events(_ request: Request) async throws -> Response {
        let parameters = try QueryReading(request, known: ["source", "type", "after", "limit"])
        var query = EventQuery()
        query.source = parameters.text("source")
        query.type = parameters.text("type")
        query.after = parameters.text("after")
        query.limit = try parameters.count("limit", 1...EventQuery.limitMax) ?? query.limit
        let asked = query
        return ControlAnswer.json(try await worker.run { try control.events(asked) })
    }

    private func event(_ request: Request, _ context: ControlContext) async throws -> Response {
        let id = try context.parameters.require("id")
        let reveal = try ControlAPI.reveal(request)
        guard let detail = try await worker.run({ try control.event(id: id, reveal: reveal) }) else {
            throw ControlError(status: 404, code: "no_such_event", message: "there is no event `\(id)` in the log")
        }
        return ControlAnswer.json(detail)
    }

    private func deliveries(_ request: Request) async throws -> Response {
        let parameters = try QueryReading(request, known: ["state", "endpoint", "limit"])
        var query = DeliveryFilter()
        if let text = parameters.text("state") {
            guard let state = DeliveryStateFilter(rawValue: text) else {
                let words = DeliveryStateFilter.allCases.map(\.rawValue).joined(separator: ", ")
                throw ControlError(status: 400, code: "bad_parameter", message: "`state` takes \(words)")
            }
            query.state = state
        }
        query.endpoint = parameters.text("endpoint")
        query.limit = try parameters.count("limit", 1...EventQuery.limitMax) ?? query.limit
        let asked = query
        return ControlAnswer.json(Deliveries(deliveries: try await worker.run { try control.deliveries(asked) }))
    }

    private func replay(_ request: Request) async throws -> Response {
        let body = try await request.body.collect(upTo: ControlAPI.bodyBytesMax)
        let asked = try ControlAPI.replayRequest(Data(body.readableBytesView))
        return ControlAnswer.json(try await worker.run { try control.replay(asked) })
    }

    /// An unknown key would silently widen what is replayed, so it is an error.
    package static func replayRequest(_ body: Data) throws -> ReplayRequest {
        try decode(
            body, ReplayRequest.self,
            known: ["event", "endpoint", "source", "type", "from", "until", "dead", "dryRun"],
            empty: "{} counts all events")
    }
    /// `empty` says what an empty object asks for.
    static func decode<Value: Decodable>(
        _ body: Data, _ type: Value.Type, known: [String], empty: String
    ) throws -> Value {
        guard let object = try? JSONSerialization.jsonObject(with: body) as? [String: Any] else {
            throw ControlError(
                status: 400, code: "bad_json", message: "the body must be a JSON object; \(empty)")
        }
        if let name = object.keys.sorted().first(where: { !known.contains($0) }) {
            let advice =
                NearestName.of(name, among: known).map { "did you mean `\($0)`?" }
                ?? "known keys: \(known.joined(separator: ", "))"
            throw ControlError(status: 400, code: "unknown_key", message: "unknown key `\(name)`; \(advice)")
        }
        do {
            return try JSONDecoder().decode(type, from: body)
        } catch let DecodingError.typeMismatch(_, context) {
            let name = context.codingPath.last?.stringValue ?? "?"
            throw ControlError(status: 400, code: "bad_value", message: "`\(name)`: \(context.debugDescription)")
        } catch {
            throw ControlError(
                status: 400, code: "bad_json", message: "the body is not the JSON that this call takes")
        }
    }
}

/// The query of a request, unknown and malformed parameters refused.
struct QueryReading {
    private let values: [String: String]

    init(_ request: Request, known: [String]) throws {
        var values: [String: String] = [:]
        for (key, value) in request.uri.queryParameters {
            let name = String(key)
            guard known.contains(name) else {
                let list = known.joined(separator: ", ")
                throw ControlError(
                    status: 400, code: "unknown_parameter", message: "unknown parameter `\(name)`; it takes \(list)")
            }
            values[name] = String(value)
        }
        self.values = values
    }
    func text(_ name: String) -> String? { values[name].flatMap { $0.isEmpty ? nil : $0 } }
    func count(_ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        guard let text = text(name) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw ControlError(
                status: 400, code: "bad_parameter",
                message: "`\(name)` takes a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }
}
