// The `sluice` command: its subcommands and its exit statuses.
import ArgumentParser
import Engine
import Foundation

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
        version: Gateway.version,
        subcommands: [
            ServeCommand.self, StatusCommand.self, ReloadCommand.self, EndpointsCommand.self, DeliveriesCommand.self,
            EventsCommand.self, RepairsCommand.self, ConfigCommand.self, LogCommand.self, StoreCommand.self,
            VerifyCommand.self,
            SendCommand.self, LoadCommand.self, SinkCommand.self, DoctorCommand.self, ProvidersCommand.self,
            FilterCommand.self, SchemaCommand.self, TransformCommand.self,
            GateCommand.self, AuditCommand.self, PublishCommand.self, SecretsCommand.self,
            TenantsCommand.self, KeysCommand.self, AppsCommand.self, EventTypesCommand.self,
            LoginCommand.self, LogoutCommand.self, ProfilesCommand.self, CompletionsCommand.self,
        ])

    static func main() async {
        let reading = CommandReading(Array(CommandLine.arguments.dropFirst()))
        guard var command = reading.command else {
            Output.raw(reading.text, isFailure: reading.status != 0)
            Foundation.exit(reading.status)
        }
        do {
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let status as ExitCode {
            Foundation.exit(status.rawValue)
        } catch {
            let ending = CommandReading.ending(of: error)
            Output.raw(ending.text, isFailure: ending.status != 0)
            Foundation.exit(ending.status)
        }
    }
}
