// What the gateway stands on, as its health pages say it: the database (registry and delivery state) and the queue,
// which is the log.
import Engine

package enum Vital: String, CaseIterable, Codable, Sendable { case healthy, degraded, unhealthy }

package struct GatewayVitals: Equatable, Sendable {
    package var version: String
    package var uptimeSeconds: Int
    package var database = Vital.unhealthy
    package var queue = Vital.unhealthy
    /// Whether the store has the form of this version.
    package var migration = Vital.unhealthy
    /// Of one read.
    package var databaseMillis = 0.0

    package init(version: String, uptimeSeconds: Int) {
        self.version = version
        self.uptimeSeconds = uptimeSeconds
    }
    var isHealthy: Bool { database != .unhealthy && queue != .unhealthy }
    var dependencies: JSONValue { ["database": .text(database.rawValue), "queue": .text(queue.rawValue)] }
}

enum VitalSchemas {
    private static let vital = Schema.word(Vital.allCases.map(\.rawValue))
    private static let parts: [ObjectSchema.Field] = [
        .required("database", vital, "Registry and delivery state."),
        .required("queue", vital, "The log."),
    ]
    static let dependencies = ObjectSchema("Dependencies", "What the gateway stands on.", parts)
    static let allDependencies = ObjectSchema(
        "AllDependencies", "The same, and whether the store has the form of this version.",
        parts + [.required("migration", vital, "The store's form.")])
    static let alive = ObjectSchema(
        "Alive", "The process lives.",
        [
            .required("status", .text, "`alive`."),
            .required("timestamp", .time, "Now."),
            .required("uptime", .count, "Seconds since the start."),
            .required("version", .text, "Of Sluice."),
            .required("contract_version", .text, "The newest that is served."),
            .required("supported_versions", .list(.text), "All that are."),
            .required("dependencies", .object(dependencies), "As `/ready` has them."),
        ])
    static let readiness = ObjectSchema(
        "Readiness", "Whether new events are taken.",
        [
            .required("status", .word(["ready", "not_ready"]), "With 200 and 503."),
            .required("problems", .list(.object(ReadinessProblem.schema)), "What is wrong; empty when ready."),
            .required("dependencies", .object(dependencies), "By part."),
        ])
    static let allReadiness = ObjectSchema(
        "ReadinessOfParts", "The same, with the form of the store.",
        [
            .required("status", .word(["ready", "not_ready"]), "With 200 and 503."),
            .required("dependencies", .object(allDependencies), "By part."),
        ])
    static let database = ObjectSchema(
        "DatabaseHealth", "How the store does.",
        [
            .required("status", vital, "503 when unhealthy."),
            .required("latency_ms", .number(nil), "Of one read."),
            .required("pool", .object(pool), "Its connections."),
        ])
    private static let pool = ObjectSchema(
        "DatabasePool", "SQLite has one writer; readers share the file.",
        [.required("writers", .count, "One."), .required("status", vital, "As the store's.")])
}
