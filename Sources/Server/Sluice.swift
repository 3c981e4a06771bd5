// The `sluice` command: its subcommands and its exit statuses.
import ArgumentParser
import Foundation

@main
struct Sluice: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice",
        abstract:
            "A webhook gateway: takes provider webhooks, keeps them on disk before it answers, delivers them signed.",
        discussion: """
            EXAMPLE
              sluice serve
              sluice config check sluice.yaml
              sluice verify --provider github --secret file:github.secret request.http

            Exit status: 0 done, 1 the answer is no, 2 usage or configuration, 70 a fault of Sluice's own.
            """,
        subcommands: [
            ServeCommand.self, VerifyCommand.self, SendCommand.self, LoadCommand.self, SinkCommand.self,
            EventsCommand.self, LogCommand.self, ConfigCommand.self, DoctorCommand.self, ProvidersCommand.self,
            GateCommand.self,
        ])

    /// ArgumentParser's own status for a wrong command line is 64; Sluice's is 2.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let status as ExitCode {
            Foundation.exit(status.rawValue)
        } catch {
            let code = exitCode(for: error)
            if code == .success || code == .validationFailure {
                Output.raw(fullMessage(for: error), isFailure: code != .success)
                Foundation.exit(code == .success ? 0 : ExitStatus.usage.rawValue)
            }
            Output.failure("\(error)")
            Foundation.exit(ExitStatus.fault.rawValue)
        }
    }
}
