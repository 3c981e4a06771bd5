// `sluice events find`: the event that a provider calls by an id of its own.
import ArgumentParser
import Engine

extension EventsCommand {
    struct Find: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Find events by the id that the provider gave them.",
            discussion: """
                Looks through the whole log from the newest event back, and stops when --limit are found.

                EXAMPLE
                  sluice events find --provider-id evt_1PgafmB7WZ01zgkW6
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "The id, exactly as the provider writes it.")
        var providerId: String
        @OptionGroup var selection: Selection
        @Option(help: "At most so many.")
        var limit = 10
        @Flag(help: "Print JSON, one line an event.")
        var json = false

        func validate() throws {
            guard (1...QueryParameter.limitMax).contains(limit) else {
                throw ValidationError("--limit takes a number from 1 to \(QueryParameter.limitMax)")
            }
            guard !providerId.isEmpty else { throw ValidationError("--provider-id is empty") }
        }
        func run() async throws {
            let query = [("provider_id", providerId), ("source", selection.source), ("type", selection.type)]
            var count = 0
            let next = try await gateway.pages(EventsCommand.path, query, limit: limit) { (event: EventRow) in
                count += 1
                Output.line(json ? APIText.of(event) : event.line)
            }
            if next != nil { Output.note("there are more: --limit \(QueryParameter.limitMax) shows as many as that") }
            guard count > 0 else {
                Output.failure("no event in the log has the provider id `\(providerId)`")
                throw ExitStatus.no
            }
        }
    }
}
