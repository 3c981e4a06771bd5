// `sluice status`: the state of a running gateway on one page. `sluice reload`: read the configuration file again.
import ArgumentParser
import Engine

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show the state of a running gateway.",
        discussion: """
            EXAMPLE
              sluice status --config sluice.yaml

            Exit status: 0 it is ready, 1 it is not, 2 no gateway answers.
            """)
    @OptionGroup var gateway: GatewayOptions
    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        let path = ControlAPI.base + "/status"
        let status = try await gateway.ask { try await $0.resource(path, StatusResource.self) }
        if json { Output.line(APIText.of(status)) } else { Output.line(status.text) }
        if !status.ready { throw ExitStatus.no }
    }
}

extension StatusResource {
    /// For a person.
    var text: String {
        let up = TimeSpan.text(of: uptimeSeconds * 1000)
        var lines = ["sluice \(version), up \(up)\(ready ? ", ready" : ", NOT READY")"]
        lines += problems.map { "  \($0.code): \($0.message)" }
        lines.append("ingest       \(ingest.joined(separator: ", "))")
        lines.append("events       last sequence \(lastSequence)")
        lines.append("registry     \(tenants) tenants, \(sources) sources")
        let states = EndpointStateName.allCases.map { "\(endpoints[$0.rawValue] ?? 0) \($0.rawValue)" }
        lines.append("endpoints    \(states.joined(separator: ", "))")
        let age = deliveries.oldestWaitingSeconds.map { ", oldest \(TimeSpan.text(of: Int($0 * 1000)))" } ?? ""
        lines.append(
            "deliveries   \(deliveries.inFlight) in flight, \(deliveries.pending) pending, \(deliveries.backlog) in "
                + "the backlog\(age), \(deliveries.dead) dead, lag \(deliveries.lagEvents)")
        return lines.joined(separator: "\n")
    }
}

struct ReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload", abstract: "Have a running gateway read its configuration file again.",
        discussion: """
            A configuration that is not valid changes nothing; every mistake is said.

            EXAMPLES
              sluice reload --config sluice.yaml
              sluice reload --dry-run

            Exit status: 0 done, 1 refused, 2 no gateway answers.
            """)
    @OptionGroup var gateway: GatewayOptions
    @Flag(help: "Say what would change, change nothing.")
    var dryRun = false
    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        let path = URLText.target(ControlAPI.base + "/reload", [("dry_run", dryRun ? "true" : nil)])
        let change = try await gateway.ask { try await $0.change(path, nil, ChangeResource.self) }
        if json { Output.line(APIText.of(change)) } else { Output.line(change.text) }
    }
}

extension ChangeResource {
    /// For a person.
    var text: String {
        var lines = items.map(\.line)
        if truncated { lines.append("… and \(added + changed + removed - items.count) more") }
        lines += warnings.map { "warning: \(LogLines.visible($0))" }
        let counts = "\(added) added, \(changed) changed, \(removed) removed"
        let isNothing = added + changed + removed == 0
        lines.append(
            isNothing ? "no resource changes" : dryRun ? "\(counts) (would be; nothing was changed)" : counts)
        return lines.joined(separator: "\n")
    }
}
