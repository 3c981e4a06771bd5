// `sluice config diff`: what a configuration file would change in a running gateway.
import ArgumentParser
import Engine

extension ConfigCommand {
    struct Diff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say what a configuration file would change in a running gateway; changes nothing.",
            discussion: """
                Variables and secret files are read by the gateway, as at a reload.

                EXAMPLE
                  sluice config diff sluice.yaml --admin 127.0.0.1:8081

                Exit status: 0 said, 1 the file is not valid (or, with --exit-code, something would change), 2 usage.
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Exit with 1 when something would change.")
        var exitCode = false
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(
            help: "The configuration file; - for standard input.", completion: .file(extensions: ["yaml", "yml"]))
        var file = "sluice.yaml"

        func run() async throws {
            let text = String(decoding: try InputFile.read(file), as: UTF8.self)
            let path = URLText.target(ControlAPI.base + "/config", [("dry_run", "true")])
            let change = try await gateway.ask {
                try await $0.change(path, text, ChangeResource.self, contentType: "application/yaml")
            }
            Output.line(json ? APIText.of(change) : change.text)
            if exitCode, change.added + change.changed + change.removed > 0 { throw ExitStatus.no }
        }
    }
}
