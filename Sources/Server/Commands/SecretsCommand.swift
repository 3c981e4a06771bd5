// `sluice secrets status|rewrap`: the keys that a running gateway's stored secrets are encrypted under.
import ArgumentParser

struct SecretsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "secrets", abstract: "See and rotate the keys that stored secrets are encrypted under.",
        subcommands: [Status.self, Rewrap.self])
    fileprivate static let path = ControlAPI.base + "/secrets"

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say which master key is in force, by its name; never a key.",
            discussion: """
                EXAMPLE
                  sluice secrets status --config sluice.yaml

                Exit status: 0 said, 1 refused, 2 no gateway or usage.
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws {
            let secrets = try await gateway.ask {
                try await $0.resource(SecretsCommand.path, SecretsResource.self)
            }
            Output.line(json ? APIText.of(secrets) : secrets.text)
        }
    }

    struct Rewrap: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Wrap the keys of all tenants with a new master key, while the gateway runs.",
            discussion: """
                The key in the data folder is replaced by one that is made for it. Where `master_key` names a file or a
                variable, put the new key before the old one first, as docs/operations.md says. Back the new key up: a
                backup of the store from now on takes it.

                EXAMPLES
                  sluice secrets rewrap --config sluice.yaml
                  sluice secrets rewrap --config sluice.yaml --data-keys

                Exit status: 0 rotated, 1 refused, 2 no gateway or usage.
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "New keys for all tenants too: every secret is encrypted again.")
        var dataKeys = false
        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws {
            let order = APIText.of(RewrapOrder(dataKeys: dataKeys))
            let done = try await gateway.ask {
                try await $0.change(SecretsCommand.path + "/rewrap", order, RewrapResource.self)
            }
            Output.line(json ? APIText.of(done) : done.text)
            Output.note("back the master key up again: backups of the store from now on take it")
        }
    }
}

extension SecretsResource {
    /// For a person.
    fileprivate var text: String {
        let place =
            switch keptIn {
            case .dataFolder: "master.key of the data folder"
            case .file: "a file"
            case .environment: "the environment"
            }
        return "master key \(masterKey) in \(place)\(since.map { " since \($0)" } ?? ""), wraps \(dataKeys) data keys"
    }
}

extension RewrapResource {
    /// For a person.
    fileprivate var text: String {
        let again = values > 0 ? ", \(values) values encrypted again" : ""
        let rest = clean ? "" : "; what was written before is overwritten at the next start"
        return "master key \(masterKey) in place of \(previousMasterKey): \(dataKeys) data keys\(again)\(rest)"
    }
}
