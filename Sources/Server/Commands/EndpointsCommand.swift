// `sluice endpoints list|show|enable|disable|pause|retry-now`: how endpoints are doing, and what an operator does about
// it. `EndpointsChanging` has the commands that make and change them.
import ArgumentParser
import Engine

struct EndpointsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "endpoints",
        abstract: "See how endpoints are doing; make, change, enable, disable, pause and retry them.",
        discussion: """
            EXAMPLE
              sluice endpoints list --state failing
            """,
        subcommands: [
            List.self, Show.self, Create.self, Update.self, Remove.self, Enable.self, Disable.self, Pause.self,
            RetryNow.self,
        ])

    static let path = ControlAPI.base + "/endpoints"

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List endpoints with their state.",
            discussion: """
                EXAMPLES
                  sluice endpoints list --state failing
                  sluice endpoints list --tenant acme --name 'billing*' --all --json
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "Only those of this tenant: id, uid or name.")
        var tenant: String?
        @Option(help: "Only those in this state: active, failing, paused or disabled.")
        var state: EndpointStateName?
        @Option(help: "Only those of this name; * stands for anything.")
        var name: String?
        @OptionGroup var page: PageOptions
        @Flag(help: "Print JSON, one line an endpoint.")
        var json = false

        func run() async throws {
            let query = [("tenant", tenant), ("state", state?.rawValue), ("name", name)]
            try await page.each(gateway, EndpointsCommand.path, query) { (endpoint: EndpointResource) in
                Output.line(json ? APIText.of(endpoint) : endpoint.line)
            }
        }
    }

    /// What the commands that take one endpoint have in common.
    struct Target: ParsableArguments {
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The endpoint's id, uid or name.")
        var endpoint: String

        var path: String { EndpointsCommand.path + "/" + URLText.encoded(endpoint) }
        func show(_ endpoint: EndpointResource) { Output.line(json ? APIText.of(endpoint) : endpoint.text) }
        /// Asks for something to be done and shows the endpoint as it is then.
        func act(_ verb: String, _ body: String? = nil) async throws {
            let path = path + "/" + verb
            show(try await gateway.ask { try await $0.change(path, body, EndpointResource.self) })
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one endpoint: its state since when and why, what waits, how it is configured.",
            discussion: """
                EXAMPLE
                  sluice endpoints show billing
                """)
        @OptionGroup var target: Target
        func run() async throws {
            let path = target.path
            target.show(try await target.gateway.ask { try await $0.resource(path, EndpointResource.self) })
        }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deliver to an endpoint again: ends a pause, and what a 410 or an operator disabled.",
            discussion: """
                EXAMPLE
                  sluice endpoints enable billing
                """)
        @OptionGroup var target: Target
        func run() async throws { try await target.act("enable") }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deliver nothing to an endpoint until it is enabled; what comes waits.",
            discussion: """
                EXAMPLE
                  sluice endpoints disable billing
                """)
        @OptionGroup var target: Target
        func run() async throws { try await target.act("disable") }
    }

    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deliver nothing to an endpoint for a time.",
            discussion: """
                EXAMPLES
                  sluice endpoints pause billing --for 1h
                  sluice endpoints pause billing            (until it is enabled)
                """)
        @OptionGroup var target: Target
        @Option(
            name: .customLong("for"), help: "How long, such as 30s, 5m or 1h.", transform: TimeArgument.read)
        var time: TimeArgument?
        func run() async throws {
            let order = PauseOrder(for: time.map { TimeSpan.text(of: $0.millis) })
            try await target.act("pause", APIText.of(order))
        }
    }

    struct RetryNow: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "retry-now", abstract: "Attempt everything that waits for a later attempt at once.",
            discussion: """
                EXAMPLE
                  sluice endpoints retry-now billing
                """)
        @OptionGroup var target: Target
        func run() async throws { try await target.act("retry-now") }
    }
}

extension EndpointStateName: ExpressibleByArgument {}

extension EndpointResource {
    private var stateWords: String {
        var words = status.state.rawValue
        if let reason = status.reason { words += " (\(reason))" }
        if let until = status.until { words += " until \(until)" }
        return words
    }
    private var waitingWords: String {
        var words = "\(status.waiting) waiting"
        if let age = status.oldestWaitingSeconds, status.waiting > 0 {
            words += " (oldest \(TimeSpan.text(of: Int(age * 1000))))"
        }
        return words + ", \(status.dead) dead, lag \(status.lagEvents)"
    }
    /// One line for a person.
    var line: String {
        let owner = tenant.name == "default" ? "" : "\(tenant.name)/"
        return "\(owner)\(name)  \(id)  \(stateWords)  \(waitingWords)"
    }
    /// For a person.
    var text: String {
        var lines = ["\(name)  \(id)" + (uid.map { "  uid \($0)" } ?? "")]
        lines.append("tenant       \(tenant.name)  \(tenant.id)")
        lines.append("state        \(stateWords)" + (status.since.map { " since \($0)" } ?? ""))
        if let error = status.lastError { lines.append("last error   \(LogLines.visible(error))") }
        if let failed = status.lastFailureAt { lines.append("last failure \(failed)") }
        if let succeeded = status.lastSuccessAt { lines.append("last success \(succeeded)") }
        lines.append(
            "deliveries   \(status.inFlight) in flight, \(status.pending) pending, \(status.backlog) in the backlog, "
                + waitingWords)
        lines.append("url          \(LogLines.visible(url))")
        lines.append("sources      \(sources.isEmpty ? "all" : sources.joined(separator: ", "))")
        lines.append("types        \(types.isEmpty ? "all" : types.joined(separator: ", "))")
        if !channels.isEmpty { lines.append("channels     \(channels.joined(separator: ", "))") }
        lines.append("signing      \(secretCount == 0 ? "unsigned" : "\(secretCount) secrets")")
        lines.append("managed by   \(origin.rawValue), revision \(revision)")
        return lines.joined(separator: "\n")
    }
}
