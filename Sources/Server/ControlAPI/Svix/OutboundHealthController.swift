// Health as the Svix-shaped API's clients ask for it.
import Engine
import HTTPTypes

struct OutboundHealthController {
    let health: any GatewayHealth
    let worker: ControlWorker

    private static let part = ObjectSchema(
        "HealthStatus", "How a part is doing.", [.required("status", .word(["ok", "error"]), "`ok` when it works.")])
    private static let schema = ObjectSchema(
        "HealthOut", "How the gateway is doing; 500 when a part does not work.",
        [
            .required("database", .object(part), "The store."), .required("queue", .object(part), "The log."),
            .required("cache", .object(part), "Always `ok`: there is none to fail."),
        ])

    var routes: [Route] {
        let (health, worker) = (health, worker)
        return [
            .svix(.get, "/health/ping", "v1.health.ping", "Whether the process lives.", status: 204) { _ in
                SvixReply(204)
            },
            .svix(
                .get, "/health", "v1.health.get", "Whether messages are taken.", answer: OutboundHealthController.schema
            ) { _ in
                let problems = try await worker.run { health.readiness() }.map(\.code)
                let storeFails = problems.contains { $0.hasPrefix("store") }
                let logFails = problems.contains { !$0.hasPrefix("store") }
                func part(_ fails: Bool) -> JSONValue { ["status": fails ? "error" : "ok"] }
                return SvixReply(
                    problems.isEmpty ? 200 : 500,
                    ["database": part(storeFails), "queue": part(logFails), "cache": part(false)])
            },
        ]
    }
}
