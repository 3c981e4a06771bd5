// Health, readiness, metrics and the state of the gateway; and the document that describes the API.
import Engine
import Hummingbird

struct StatusController {
    let health: any GatewayHealth
    let worker: ControlWorker

    var routes: [Route] {
        let (health, worker) = (health, worker)
        return [
            Route(
                method: .get, path: "/health", operation: "getHealth", resource: "status",
                summary: "Whether the process lives.", answer: .json(VitalSchemas.alive)
            ) { StatusController.page(StatusController.alive(try await worker.run { health.vitals() }), to: $0) },
            Route(
                method: .get, path: "/ready", operation: "getReadiness", resource: "status",
                summary: "Whether new events are taken; 503 with the same body when they are not.",
                answer: .json(VitalSchemas.readiness)
            ) { call in
                let (problems, vitals) = try await worker.run { (health.readiness(), health.vitals()) }
                let body: JSONValue = [
                    "status": problems.isEmpty ? "ready" : "not_ready",
                    "problems": .list(
                        problems.map { ["code": .text($0.code), "message": .text($0.message)] }),
                    "dependencies": vitals.dependencies,
                ]
                return StatusController.page(body, isHealthy: problems.isEmpty, to: call)
            },
            Route(
                method: .get, path: "/readyz", operation: "getReadinessOfParts", resource: "status",
                summary: "The same by part, with the form of the store.", answer: .json(VitalSchemas.allReadiness)
            ) { call in
                let (problems, vitals) = try await worker.run { (health.readiness(), health.vitals()) }
                let isReady = problems.isEmpty && vitals.isHealthy
                let body: JSONValue = [
                    "status": isReady ? "ready" : "not_ready",
                    "dependencies": [
                        "database": .text(vitals.database.rawValue), "queue": .text(vitals.queue.rawValue),
                        "migration": .text(vitals.migration.rawValue),
                    ],
                ]
                return StatusController.page(body, isHealthy: isReady, to: call)
            },
            Route(
                method: .get, path: "/health/database", operation: "getDatabaseHealth", resource: "status",
                summary: "How the store does; 503 when it cannot be read.", answer: .json(VitalSchemas.database)
            ) { call in
                let vitals = try await worker.run { health.vitals() }
                let body: JSONValue = [
                    "status": .text(vitals.database.rawValue),
                    "latency_ms": JSONValue.number(vitals.databaseMillis).asStored,
                    "pool": ["writers": 1, "status": .text(vitals.database.rawValue)],
                ]
                return StatusController.page(body, isHealthy: vitals.database != .unhealthy, to: call)
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
    private static func alive(_ vitals: GatewayVitals) -> JSONValue {
        [
            "status": "alive", "timestamp": .text(TimeText.now()), "uptime": .integer(Int64(vitals.uptimeSeconds)),
            "version": .text(vitals.version), "contract_version": .text(EdgeVersion.newest.rawValue),
            "supported_versions": .list(EdgeVersion.allCases.map { .text($0.rawValue) }),
            "dependencies": vitals.dependencies,
        ]
    }
    /// A page of the contract too, with what each answer of it carries; it asks for no envelope.
    private static func page(_ body: JSONValue, isHealthy: Bool = true, to call: Call) -> Response {
        var response = ControlResponse.json(body, status: isHealthy ? .ok : .serviceUnavailable)
        Edge.SecurityHeaders.dress(&response.headers)
        let asked = call.fields[Edge.ContractVersion.header].flatMap { EdgeVersion(rawValue: $0) }
        response.headers[Edge.ContractVersion.header] = (asked ?? .newest).rawValue
        return response
    }
}

enum DocumentController {
    /// The document describes this route too.
    static func route(describing routes: [Route], hasOpenMetrics: Bool) -> Route {
        func route(_ handle: @escaping @Sendable (Call) async throws -> Response) -> Route {
            Route(
                method: .get, path: ControlAPI.base + "/openapi.json", operation: "getDocument", resource: "status",
                summary: "This API as OpenAPI 3.1.", answer: .document, isTagged: true, handle: handle)
        }
        let described = routes + [route { _ in ControlResponse.nothing() }]
        let document = KeptDocument {
            JSONText.of(
                OpenAPIDocument.of(RouteTable(described, hasOpenMetrics: hasOpenMetrics), version: Gateway.version))
                + "\n"
        }
        return route { call in await document.response(call.fields[.ifNoneMatch]) }
    }
}
