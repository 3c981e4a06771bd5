// `sluice events why ID`: what happened to one event, or refused request, from its receipt to its last attempt.
import ArgumentParser
import Engine
import FastPath

extension EventsCommand {
    struct Why: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say why an event went where it went, and where it did not.",
            discussion: """
                Of a refused request (rej_…) it says why it was refused.

                EXAMPLES
                  sluice events why evt_0123456789abcdefghjkmnpqr
                  sluice events why evt_0123456789abcdefghjkmnpqr --endpoint billing
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "Only at this endpoint: id or name.")
        var endpoint: String?
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The id of an event, or of a refused request.")
        var id: String

        func validate() throws {
            if EventID(id) == nil, !id.hasPrefix(EventTrace.rejectedPrefix) {
                throw ValidationError(
                    "`\(id)` is not the id of an event (evt_ and 21 characters) or of a refused request (rej_…)")
            }
        }
        func run() async throws {
            let path = EventsCommand.path + "/\(URLText.encoded(id))/trace"
            var trace = try await gateway.ask { try await $0.resource(path, EventTrace.self) }
            while let next = trace.next {
                let more = URLText.target(path, [("cursor", next)])
                let page = try await gateway.ask { try await $0.resource(more, EventTrace.self) }
                trace.endpoints += page.endpoints
                trace.next = page.next
            }
            if let endpoint {
                trace.endpoints = trace.endpoints.filter { $0.endpoint.id == endpoint || $0.endpoint.name == endpoint }
                if trace.endpoints.isEmpty {
                    Output.failure("the event's tenant has no endpoint `\(endpoint)`")
                    throw ExitStatus.no
                }
            }
            Output.line(json ? APIText.of(trace) : trace.text)
        }
    }
}

extension EventTrace {
    /// For a person.
    var text: String {
        var lines = [event?.line, rejected?.line].compactMap(\.self)
        lines += receipt.map { "  " + $0.text }
        for endpoint in endpoints {
            lines += ["", "\(endpoint.endpoint.name)  \(endpoint.outcome.rawValue)"]
            lines += endpoint.why.map { "  " + $0.text }
            lines += (endpoint.attempts ?? []).map { "  " + $0.text }
        }
        return lines.joined(separator: "\n")
    }
}

extension TraceStep {
    var text: String { "\(code): \(LogLines.visible(detail))" + (until.map { ", until \($0)" } ?? "") }
}
