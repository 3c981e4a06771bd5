// `sluice apps list|show|create|update|remove|token`: tenants as the applications of the Svix-shaped API that they are.
import ArgumentParser
import Engine

struct AppsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apps", abstract: "See applications of the Svix-shaped API; make, change and remove them.",
        discussion: """
            An application is a tenant, with metadata and a rate beside its name.

            EXAMPLE
              sluice apps create 'Acme Ltd' --uid customer-7
            """,
        subcommands: [List.self, Show.self, Create.self, Update.self, Remove.self, Token.self])

    fileprivate static let path = ControlAPI.base + "/app"
    fileprivate static func path(of app: String) -> String { path + "/" + URLText.encoded(app) }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List applications, the oldest first.",
            discussion: """
                EXAMPLE
                  sluice apps list --all --json
                """)
        @OptionGroup var gateway: GatewayOptions
        @OptionGroup var page: PageOptions
        @Flag(help: "Print JSON, one line an application.")
        var json = false

        func run() async throws {
            try await page.eachSvix(gateway, AppsCommand.path, []) { Output.line(json ? $0.json : $0.appLine) }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one application.",
            discussion: """
                EXAMPLE
                  sluice apps show customer-7
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The application's id or uid.")
        var app: String

        func run() async throws {
            let found = try await gateway.svix(.get, AppsCommand.path(of: app))
            Output.line(json ? found.json : found.appLine)
        }
    }

    /// What is said of an application.
    struct Fields: ParsableArguments {
        @Option(help: "Your own id for it.")
        var uid: String?
        @Option(help: "Messages a second, 1 to 65535.")
        var rate: Int?
        @Option(name: .customLong("metadata"), help: "KEY=VALUE, kept with it; may be repeated.")
        var metadata: [String] = []

        func members() throws -> [String: JSONValue] {
            var members: [String: JSONValue] = [:]
            members["uid"] = uid.map { .text($0) }
            members["throttleRate"] = rate.map { .integer(Int64($0)) }
            members["metadata"] = try PairText.metadata(metadata, option: "--metadata")
            return members
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an application.",
            discussion: """
                EXAMPLE
                  sluice apps create 'Acme Ltd' --uid customer-7 --metadata plan=gold
                """)
        @OptionGroup var gateway: GatewayOptions
        @OptionGroup var fields: Fields
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "Its name, in people's words.")
        var name: String

        func run() async throws {
            var members = try fields.members()
            members["name"] = .text(name)
            let made = try await gateway.svix(.post, AppsCommand.path, .object(members))
            Output.line(json ? made.json : made.appLine)
        }
    }

    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change what is named of an application, and nothing else.",
            discussion: """
                EXAMPLE
                  sluice apps update customer-7 --name 'Acme Limited' --rate 50
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "Its name, in people's words.")
        var name: String?
        @OptionGroup var fields: Fields
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The application's id or uid.")
        var app: String

        func run() async throws {
            var members = try fields.members()
            members["name"] = name.map { .text($0) }
            let changed: SvixItem = try await gateway.patch(
                AppsCommand.path(of: app), members, naming: "--name, --uid, --rate, …")
            Output.line(json ? changed.json : changed.appLine)
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove an application and all that it has.",
            discussion: """
                EXAMPLE
                  sluice apps remove customer-7
                """)
        @OptionGroup var gateway: GatewayOptions
        @Argument(help: "The application's id or uid.")
        var app: String

        func run() async throws {
            let path = AppsCommand.path(of: app)
            try await gateway.ask { try await $0.remove(path) }
        }
    }

    struct Token: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token that lets an application's own people in. It is said now and never again.",
            discussion: """
                Without --json the token alone goes to standard output.

                EXAMPLE
                  sluice apps token customer-7 --expires-in 1h --read-only
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "How long it is valid, such as 1h or 7d; 28 days when absent.", transform: TimeArgument.read)
        var expiresIn: TimeArgument?
        @Flag(help: "Nothing can be changed with it.")
        var readOnly = false
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The application's id or uid.")
        var app: String

        func run() async throws {
            var members: [String: JSONValue] = ["readOnly": .bool(readOnly)]
            members["expiry"] = expiresIn.map { .integer(Int64($0.millis / 1000)) }
            let path = ControlAPI.base + "/auth/app-portal-access/" + URLText.encoded(app)
            let made = try await gateway.svix(.post, path, .object(members))
            Output.line(json ? made.json : made.text("token") ?? "")
        }
    }
}

extension SvixItem {
    /// One line for a person.
    fileprivate var appLine: String {
        let own = text("uid").map { "  uid \($0)" } ?? ""
        var rate = ""
        if case .integer(let limit)? = members["throttleRate"] { rate = "  \(limit) a second" }
        return "\(LogLines.visible(text("name") ?? ""))  \(text("id") ?? "")\(own)\(rate)"
    }
}
