// The `sluice` command: its subcommands, nothing else.
import ArgumentParser

@main
struct Sluice: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "sluice", abstract: "A webhook gateway.")
}
