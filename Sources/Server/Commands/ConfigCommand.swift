// `sluice config check|diff|keys`: reads a configuration as `serve` would, starts nothing.
import ArgumentParser
import Engine
import Foundation

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check a configuration file, or compare it with a running gateway.",
        subcommands: [Check.self, Diff.self, Keys.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read a configuration as `serve` would, and report everything that is wrong with it.",
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
                let warnings =
                    SourceCompiler.warnings(of: configuration)
                    + [StartChecks.warning(of: configuration)].compactMap { $0 }
                if json {
                    Output.json(CheckReport(file: file, ok: true, problems: [], warnings: warnings))
                } else {
                    for warning in warnings { Output.line("\(file): warning: \(warning)") }
                    Output.line(
                        "\(file): good; \(configuration.sources.count) sources, "
                            + "\(configuration.endpoints.count) endpoints"
                    )
                }
            } catch let error as ConfigurationError {
                if json {
                    Output.json(
                        CheckReport(file: file, ok: false, problems: error.problems.map { .init($0) }, warnings: []))
                } else {
                    Output.failure(error.description)
                }
                throw ExitStatus.usage
            }
        }
    }

    struct Keys: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List every key with what it takes, its default and its range.",
            discussion: """
                EXAMPLE
                  sluice config keys | grep limits
                """)
        @Flag(help: "Print JSON.")
        var json = false

        private struct Key: Encodable {
            let key: String
            let takes: String
            let initial: String
            let range: String
        }

        func run() {
            let keys = ConfigurationKeys.all.map {
                Key(key: $0.path, takes: $0.form, initial: $0.initial, range: $0.range)
            }
            if json { return Output.json(keys) }
            let width = keys.map(\.key.count).max() ?? 0
            for key in keys {
                let range = key.range.isEmpty ? "" : " (\(key.range))"
                Output.line(
                    key.key.padding(toLength: width + 2, withPad: " ", startingAt: 0)
                        + "\(key.takes)\(range), \(key.initial)")
            }
        }
    }

    private struct CheckReport: Encodable {
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
        /// What is sound, but should be known.
        let warnings: [String]
    }
}
