// `sluice deliveries list|show|retry`: what became of events at their endpoints, attempt by attempt. `cancel` and
// `dead` stand beside `sluice repairs`.
import ArgumentParser
import Engine
import FastPath

struct DeliveriesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deliveries", abstract: "See what became of events at their endpoints, and deliver them again.",
        discussion: """
            EXAMPLE
              sluice deliveries list --state dead --endpoint billing
            """,
        subcommands: [List.self, Show.self, Retry.self, Cancel.self, DeadLetters.self])

    static let path = ControlAPI.base + "/deliveries"

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List deliveries, newest event first.",
            discussion: """
                EXAMPLES
                  sluice deliveries list --state dead --endpoint billing
                  sluice deliveries list --type 'invoice.*' --from 2026-01-31T00:00:00Z --all --json
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "Only those in this state: delivered, pending or dead.")
        var state: DeliveryStateName?
        @Option(help: "Only those to this endpoint: id, uid or name.")
        var endpoint: String?
        @Option(help: "Only those of events of this source.")
        var source: String?
        @Option(help: "Only those of events of this type; * stands for anything.")
        var type: String?
        @Option(help: "Only dead letters of this reason, such as retries_exhausted.")
        var reason: String?
        @Option(name: .customLong("class"), help: "Only those that failed so: network, authentication, tls, …")
        var failureClass: String?
        @Option(help: "Only those whose last answer was so: 503, or 5xx.")
        var status: String?
        @Option(help: "Only those whose last attempt ended at or after this time (RFC 3339).")
        var from: String?
        @Option(help: "Only those whose last attempt ended before this time (RFC 3339).")
        var until: String?
        @OptionGroup var page: PageOptions
        @Flag(help: "Print JSON, one line a delivery.")
        var json = false

        func validate() throws {
            try TimeOption.check([("--from", from), ("--until", until)])
        }
        func run() async throws {
            let query = [
                ("state", state?.rawValue), ("endpoint", endpoint), ("source", source), ("type", type),
                ("reason", reason), ("class", failureClass), ("status", status), ("from", from), ("until", until),
            ]
            try await page.each(gateway, DeliveriesCommand.path, query) { (delivery: DeliveryResource) in
                Output.line(json ? APIText.of(delivery) : delivery.line)
            }
        }
    }

    struct Target: ParsableArguments {
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The event's id.")
        var event: String
        @Argument(help: "The endpoint's id, uid or name.")
        var endpoint: String

        var path: String { DeliveriesCommand.path + "/\(URLText.encoded(event))/\(URLText.encoded(endpoint))" }

        func validate() throws {
            if EventID(event) == nil { throw ValidationError("`\(event)` is not an event id: evt_ and 21 characters") }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a delivery and its attempts: when, how long, status, error, answer.",
            discussion: """
                EXAMPLE
                  sluice deliveries show evt_0123456789abcdefghjkmnpqr billing
                """)
        @OptionGroup var target: Target

        func run() async throws {
            let path = target.path
            let detail = try await target.gateway.ask { try await $0.resource(path, DeliveryDetail.self) }
            Output.line(target.json ? APIText.of(detail) : detail.text)
        }
    }

    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deliver one event again, at once, whatever became of it before.",
            discussion: """
                EXAMPLE
                  sluice deliveries retry evt_0123456789abcdefghjkmnpqr billing
                """)
        @OptionGroup var target: Target

        func run() async throws {
            let path = target.path + "/retry"
            let answer = try await target.gateway.ask { try await $0.change(path, nil, RetryAnswer.self) }
            Output.line(
                target.json ? APIText.of(answer) : "\(answer.event) is on its way to \(answer.endpoint.name) again")
        }
    }
}

extension DeliveryStateName: ExpressibleByArgument {}

extension DeliveryResource {
    /// One line for a person. What a sender chose is quoted, so that it cannot move the cursor or forge a line.
    var line: String {
        var words = "\(updatedAt)  \(event)  \(endpoint.name)  \(state.rawValue)  "
        words += attempts == 1 ? "1 attempt" : "\(attempts) attempts"
        words += status.map { "  status \($0)" } ?? (result == "answered" ? "" : "  \(result)")
        if let reason { words += "  \(reason)" }
        if let nextAttemptAt { words += "  next at \(nextAttemptAt)" }
        if let source { words += "  \(source)" }
        if let type, !type.isEmpty { words += "  \(LogLines.quoted(type))" }
        return words
    }
}

extension DeliveryDetail {
    /// For a person.
    var text: String { ([delivery.line, ""] + attempts.map(\.text)).joined(separator: "\n") }
}

extension AttemptResource {
    /// For a person: a line, and the answer under it.
    var text: String {
        var line = "attempt \(number)  \(endedAt)  " + (status.map { "status \($0)" } ?? result)
        if let tlsError { line += " (\(tlsError))" }
        if let systemError { line += " (\(LogLines.visible(systemError)))" }
        if failover == true { line += "  failover" + (host.map { " " + LogLines.visible($0) } ?? "") }
        line += "  \(AttemptResource.millis(timing.totalMillis))"
        if let connect = timing.connectMillis { line += ", connected after \(AttemptResource.millis(connect))" }
        if let first = timing.firstByteMillis { line += ", first byte after \(AttemptResource.millis(first))" }
        guard let answer, !answer.isEmpty else { return line }
        let shown = EventDetail.visibleText(answer).split(separator: "\n", omittingEmptySubsequences: false)
        return ([line] + shown.map { "    \($0)" }).joined(separator: "\n")
    }
    private static func millis(_ value: Double) -> String { "\((value * 10).rounded() / 10) ms" }
}
