// The state of the whole gateway on one page.

package struct StatusResource: Codable, Equatable, Sendable {
    package struct Deliveries: Codable, Equatable, Sendable {
        package var inFlight = 0
        package var pending = 0
        package var backlog = 0
        package var dead = 0
        /// Of the endpoint that is furthest behind.
        package var lagEvents: UInt64 = 0
        package var oldestWaitingSeconds: Double?
        package init() {}
    }
    package var version: String
    package var startedAt: String
    package var uptimeSeconds: Int
    package var ready: Bool
    package var problems: [ReadinessProblem]
    package var ingest: [String]
    package var tenants = 0
    package var sources = 0
    /// By state.
    package var endpoints: [String: Int] = [:]
    /// Events on disk since the log began.
    package var lastSequence: UInt64 = 0
    package var deliveries = Deliveries()

    package init(
        version: String, startedAt: String, uptimeSeconds: Int, problems: [ReadinessProblem], ingest: [String]
    ) {
        self.version = version
        self.startedAt = startedAt
        self.uptimeSeconds = uptimeSeconds
        ready = problems.isEmpty
        self.problems = problems
        self.ingest = ingest
    }
}

extension StatusResource: Described {
    package static let schema = ObjectSchema(
        "Status", "The state of the gateway.",
        [
            .required("version", .text, "Of Sluice."),
            .required("started_at", .time, "When the process started."),
            .required("uptime_seconds", .count, "Since then."),
            .required("ready", .flag, "As `/ready` says."),
            .required("problems", .list(.object(ReadinessProblem.schema)), "What keeps it from being ready."),
            .required("ingest", .list(.text), "The addresses that providers send to."),
            .required("tenants", .count, "How many there are."),
            .required("sources", .count, "How many there are."),
            .required("endpoints", .map(.count), "How many there are, by state."),
            .required("last_sequence", .count, "The last event on disk."),
            .required("deliveries", .object(deliveries), "Of all endpoints together."),
        ])
    private static let deliveries = ObjectSchema(
        "StatusDeliveries", "Deliveries of all endpoints together.",
        [
            .required("in_flight", .count, "Requests out with endpoints."),
            .required("pending", .count, "Put off to a later attempt."),
            .required("backlog", .count, "Matched, and not attempted yet."),
            .required("dead", .count, "Dead letters."),
            .required("lag_events", .count, "Of the endpoint that is furthest behind."),
            .optional(
                "oldest_waiting_seconds", .number(0...Double.infinity), "The age of the oldest delivery that waits."),
        ])
}

extension ReadinessProblem: Described {
    package static let schema = ObjectSchema(
        "ReadinessProblem", "Something that keeps the gateway from being ready.",
        [
            .required(
                "code", .text,
                "`draining`, `log_failed`, `log_full`, `log_lost`, `log_slow`, `store_failing` or `not_running`."),
            .required("message", .text, "What is wrong."),
        ])
}
