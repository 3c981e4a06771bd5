// `sluice events rejected` and `sluice events reverify`: what was answered 401, why, and taking it in after all.
import ArgumentParser
import Engine
import FastPath
import Foundation

struct RejectedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rejected", abstract: "List refused requests, with the reason and, where one was found, a hint.",
        subcommands: [List.self, Show.self], defaultSubcommand: List.self)
    fileprivate static let path = ControlAPI.base + "/rejected"

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List refused requests, newest first.",
            discussion: """
                EXAMPLES
                  sluice events rejected --source github
                  sluice events rejected --reason signature_mismatch --limit 20 --json
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "Only those of this source.")
        var source: String?
        @Option(help: "Only those refused for this reason, such as signature_mismatch.")
        var reason: String?
        @Option(help: "At most so many.")
        var limit = 50
        @Flag(help: "Print JSON, one line a request.")
        var json = false

        func validate() throws {
            guard (1...EventQuery.limitMax).contains(limit) else {
                throw ValidationError("--limit takes a number from 1 to \(EventQuery.limitMax)")
            }
            if let reason, SignatureRejection(rawValue: reason) == nil {
                let names = SignatureRejection.allCases.map(\.rawValue)
                let advice =
                    NearestName.of(reason, among: names).map { "did you mean `\($0)`?" }
                    ?? "it takes \(names.joined(separator: ", "))"
                throw ValidationError("--reason: `\(reason)` is not known; \(advice)")
            }
        }
        func run() async throws {
            var page = PageOptions()
            page.limit = limit
            page.isSilent = true
            let query = [("source", source), ("reason", reason)]
            try await page.each(gateway, RejectedCommand.path, query) { (item: RejectedItem) in
                if json { Output.json(item) } else { Output.line(item.line) }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one refused request as received, with credentials masked.",
            discussion: """
                EXAMPLE
                  sluice events rejected show rej_17
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Print JSON.")
        var json = false
        @Flag(help: "Show credentials in header fields and the URL, too.")
        var reveal = false
        @Argument(help: "The request's id.")
        var id: String

        func validate() throws {
            if RejectedRow.number(of: id) == nil {
                throw ValidationError("`\(id)` is not the id of a refused request: expected rej_ followed by a number")
            }
        }
        func run() async throws {
            let path = RejectedCommand.path + "/\(id)" + (reveal ? "?reveal=true" : "")
            let detail = try await gateway.ask { try await $0.resource(path, RejectedDetail.self) }
            if json { Output.json(detail) } else { Output.line(detail.text) }
        }
    }
}

struct ReverifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reverify",
        abstract: "Verify refused requests again against the current configuration; those that pass become events.",
        discussion: """
            Each is checked at the time that it came. What passes is delivered as every event is, and is not listed as
            refused any more; a second run adds nothing.

            EXAMPLES
              sluice events reverify --source github --dry-run
              sluice events reverify --source github
              sluice events reverify --id rej_17 rej_18

            Exit status: 0 done, 1 the gateway says no, 2 usage.
            """)
    @OptionGroup var gateway: GatewayOptions
    @Option(help: "Only those of this source.")
    var source: String?
    @Option(name: .customLong("id"), parsing: .upToNextOption, help: "Only these.")
    var ids: [String] = []
    @Flag(help: "Report what would happen to them without changing anything.")
    var dryRun = false
    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        if let bad = ids.first(where: { RejectedRow.number(of: $0) == nil }) {
            throw ValidationError("`\(bad)` is not the id of a refused request: expected rej_ followed by a number")
        }
    }
    func run() async throws {
        var request = ReverifyRequest()
        request.source = source
        request.ids = ids.isEmpty ? nil : ids
        request.dryRun = dryRun
        let asked = APIText.of(request)
        let answer = try await gateway.ask {
            try await $0.change(RejectedCommand.path + "/reverify", asked, ReverifyResponse.self)
        }
        if json { Output.json(answer) } else { Output.line(answer.text) }
    }
}
