// Health, readiness, metrics and the state of the gateway; and the document that describes the API.
import Engine
import Hummingbird

struct StatusController {
    let health: any GatewayHealth
    let worker: ControlWorker

    private struct Readiness: Described {
        let status: String
        let problems: [ReadinessProblem]
        static let schema = ObjectSchema(
            "Readiness", "Whether new events are taken.",
            [
                .required("status", .word(["ready", "not_ready"]), "With 200 and 503."),
                .required("problems", .list(.object(ReadinessProblem.schema)), "What is wrong; empty when ready."),
            ])
    }
    private struct Alive: Described {
        var status = "alive"
        static let schema = ObjectSchema("Alive", "The process lives.", [.required("status", .text, "`alive`.")])
    }

    var routes: [Route] {
        let (health, worker) = (health, worker)
        return [
            Route(
                method: .get, path: "/health", operation: "getHealth", resource: "status",
                summary: "Whether the process lives.", answer: .json(Alive.schema)
            ) { _ in ControlResponse.resource(Alive()) },
            Route(
                method: .get, path: "/ready", operation: "getReadiness", resource: "status",
                summary: "Whether new events are taken; 503 with the same body when they are not.",
                answer: .json(Readiness.schema)
            ) { _ in
                let problems = try await worker.run { health.readiness() }
                return ControlResponse.resource(
                    Readiness(status: problems.isEmpty ? "ready" : "not_ready", problems: problems),
                    status: problems.isEmpty ? .ok : .serviceUnavailable)
            },
            Route(
                method: .get, path: "/metrics", operation: "getMetrics", resource: "status",
                summary: "Metrics as Prometheus text.", answer: .text(PrometheusText.contentType)
            ) { _ in
                let families = try await worker.run { health.metrics() }
                return ControlResponse.text(PrometheusText.of(families), contentType: PrometheusText.contentType)
            },
            Route(
                method: .get, path: ControlAPI.base + "/status", operation: "getStatus", resource: "status",
                summary: "The state of the gateway on one page.", answer: .json(StatusResource.schema)
            ) { _ in ControlResponse.resource(try await worker.run { health.status() }) },
        ]
    }
}

enum DocumentController {
    /// The document describes this route too.
    static func route(describing routes: [Route], hasOpenMetrics: Bool) -> Route {
        func route(_ handle: @escaping @Sendable (Call) async throws -> Response) -> Route {
            Route(
                method: .get, path: ControlAPI.base + "/openapi.json", operation: "getDocument", resource: "status",
                summary: "This API as OpenAPI 3.1.", answer: .document, handle: handle)
        }
        let described = routes + [route { _ in ControlResponse.nothing() }]
        return route { _ in
            let document = OpenAPIDocument.of(
                RouteTable(described, hasOpenMetrics: hasOpenMetrics), version: Gateway.version)
            return ControlResponse.json(document)
        }
    }
}
