// `sluice endpoints create|update|remove`: endpoints of the API made, changed and taken away.
import ArgumentParser
import Engine
import Foundation

extension EndpointsCommand {
    /// What is said of an endpoint.
    struct Fields: ParsableArguments {
        @Option(help: "Your own id for it.")
        var uid: String?
        @Option(name: .customLong("type"), help: "Only events of this type, with * for anything; may be repeated.")
        var types: [String] = []
        @Option(name: .customLong("source"), help: "Only events of this source; may be repeated.")
        var sources: [String] = []
        @Option(name: .customLong("channel"), help: "Only events of this channel; may be repeated.")
        var channels: [String] = []
        @Option(
            name: .customLong("secret"),
            help: "Signs deliveries: file:PATH, so that no list of processes shows it; may be repeated.")
        var secrets: [String] = []
        @Option(help: "Requests in flight at once.")
        var concurrency: Int?

        func members() throws -> [String: JSONValue] {
            func list(_ texts: [String]) -> JSONValue? { texts.isEmpty ? nil : .list(texts.map { .text($0) }) }
            var members: [String: JSONValue] = [:]
            members["uid"] = uid.map { .text($0) }
            members["types"] = list(types)
            members["sources"] = list(sources)
            members["channels"] = list(channels)
            members["secrets"] = list(try secrets.map(SecretText.resolve))
            members["concurrency"] = concurrency.map { .integer(Int64($0)) }
            return members
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an endpoint.",
            discussion: """
                EXAMPLE
                  sluice endpoints create billing https://billing.internal/hooks --tenant acme --type 'invoice.*'
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "Whose it is: a tenant's id, uid or name.")
        var tenant: String?
        @OptionGroup var fields: Fields
        @Flag(help: "It gets nothing until it is enabled.")
        var disabled = false
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "Its name: 1 to 64 of a-z A-Z 0-9 . _ -")
        var name: String
        @Argument(help: "Where it is delivered to.")
        var url: String

        func run() async throws {
            var members = try fields.members()
            members["name"] = .text(name)
            members["url"] = .text(url)
            members["tenant"] = tenant.map { .text($0) }
            if disabled { members["disabled"] = true }
            let body = JSONText.of(JSONValue.object(members))
            let made = try await gateway.ask {
                try await $0.change(EndpointsCommand.path, body, EndpointResource.self)
            }
            Output.line(json ? APIText.of(made) : made.text)
        }
    }

    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change what is named of an endpoint, and nothing else.",
            discussion: """
                EXAMPLE
                  sluice endpoints update billing --url https://billing.internal/new --concurrency 8
                """)
        @OptionGroup var target: Target
        @Option(help: "Another name.")
        var name: String?
        @Option(help: "Where it is delivered to.")
        var url: String?
        @OptionGroup var fields: Fields

        func run() async throws {
            var members = try fields.members()
            members["name"] = name.map { .text($0) }
            members["url"] = url.map { .text($0) }
            target.show(try await target.gateway.patch(target.path, members, naming: "--url, --type, …"))
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove an endpoint; what waits for it is given up.",
            discussion: """
                EXAMPLE
                  sluice endpoints remove billing
                """)
        @OptionGroup var gateway: GatewayOptions
        @Argument(help: "The endpoint's id, uid or name.")
        var endpoint: String

        func run() async throws {
            let path = EndpointsCommand.path + "/" + URLText.encoded(endpoint)
            try await gateway.ask { try await $0.remove(path) }
        }
    }
}
