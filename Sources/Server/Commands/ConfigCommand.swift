// `sluice config check`: reads a configuration as `serve` would, starts nothing.
import ArgumentParser
import Engine
import Foundation

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check a configuration file.", subcommands: [Check.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read a configuration as `serve` would, and say all that is wrong with it.",
            discussion: """
                EXAMPLE
                  sluice config check sluice.yaml

                Exit status: 0 it is good, 2 it is not (every problem with its line, on standard error).
                """)
        @Argument(help: "The configuration file.", completion: .file(extensions: ["yaml", "yml"]))
        var file = "sluice.yaml"
        @Flag(help: "Print the result as JSON.")
        var json = false

        func run() throws {
            do {
                let configuration = try ConfigurationFile.load(file)
                if json {
                    Output.json(Verdict(file: file, ok: true, problems: []))
                } else {
                    Output.line(
                        "\(file): good; \(configuration.sources.count) sources, \(configuration.endpoints.count) endpoints")
                }
            } catch let error as ConfigurationError {
                if json {
                    Output.json(Verdict(file: file, ok: false, problems: error.problems.map { .init($0) }))
                } else {
                    Output.failure(error.description)
                }
                throw ExitStatus.usage
            }
        }
    }

    private struct Verdict: Encodable {
        struct Problem: Encodable {
            let line: Int
            let message: String
            init(_ problem: ConfigurationProblem) {
                line = problem.line
                message = problem.message
            }
        }
        let file: String
        let ok: Bool
        let problems: [Problem]
    }
}
