// `sluice serve`: the gateway.
import ArgumentParser
import Engine
import FastPath
import Foundation
import Logging

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the gateway.",
        discussion: """
            Without --config it starts an example on 127.0.0.1. SIGTERM and SIGINT finish what is in flight and end it,
            a second one more than two seconds later ends it at once; SIGHUP reads the configuration again.

            EXAMPLE
              sluice serve --config sluice.yaml

            Exit status: 0 ended as asked, 2 the configuration or the machine does not allow a start, 70 too little
            memory, or a fault of its own.
            """)

    @Option(help: "The configuration file.", completion: .file(extensions: ["yaml", "yml"]))
    var config: String?
    @Option(help: "The data folder, instead of the configuration's.", completion: .directory)
    var data: String?
    @Option(help: .hidden)
    var testClock: UInt64?

    func run() async throws {
        let logger = Logger(label: "sluice") { _ in LogLines() }
        PlantedFaults.plant()
        do {
            let service = try GatewayService(
                load: try loader(), logger: logger, nextSteps: nextSteps(), announce: { Output.note($0) },
                make: { LiveGateway($0, logger: $1) })
            let status = try await service.run()
            if status != 0 { throw ExitCode(status) }
        } catch let error as ConfigurationError {
            Output.failure(
                "the configuration has \(error.problems.count == 1 ? "a problem" : "\(error.problems.count) problems")")
            Output.note(error.description)
            throw ExitStatus.usage
        } catch let error as GatewayError {
            Output.failure(error.description)
            throw error.isOfMemory ? ExitStatus.fault : ExitStatus.usage
        } catch let error as StartError {
            Output.failure(error.description)
            throw error.isOfMemory ? ExitStatus.fault : ExitStatus.usage
        }
    }

    /// Reads the configuration, now and at each reload, and lays the command line over it.
    private func loader() throws -> @Sendable () throws -> Manifest {
        let config = config
        let data = data
        let testClock = testClock
        var environment = ProcessInfo.processInfo.environment
        if config == nil { environment[ExampleConfiguration.secretVariable] = ServeCommand.exampleSecret }
        let variables = environment
        return {
            var manifest =
                try config.map { try ConfigurationFile.manifest($0, environment: variables) }
                ?? ConfigurationFile.manifest(
                    text: ExampleConfiguration.text, file: "example.yaml", environment: variables)
            if let data { manifest.configuration.dataFolder = data }
            manifest.configuration.testClock = testClock
            return manifest
        }
    }

    /// The example's secret: the variable's, or one made for this start.
    private static let exampleSecret: String = {
        let given = ProcessInfo.processInfo.environment[ExampleConfiguration.secretVariable] ?? ""
        let fresh = (0..<32).map { _ in UInt8.random(in: 0 ... .max) }
        return given.isEmpty ? "whsec_" + Data(fresh).base64EncodedString() : given
    }()

    private func nextSteps() -> [String] {
        guard config == nil else { return ["sluice events tail", "docs/operations.md says what to watch"] }
        let isOurs = ProcessInfo.processInfo.environment[ExampleConfiguration.secretVariable] == nil
        let secret = isOurs ? "'\(ServeCommand.exampleSecret)'" : "\"$\(ExampleConfiguration.secretVariable)\""
        return [
            "this is the example; its secret is \(isOurs ? "made for this run alone" : "the one given")",
            "sluice sink --secret \(secret)",
            "sluice send --provider github --secret \(secret) --url http://127.0.0.1:8080/in/github --type push",
            "your own: docs/sluice.example.yaml, docs/configuration.md, then sluice serve --config FILE",
        ]
    }
}
