// `sluice tenants list|show|create|update|rotate-secret|remove`: whose sources and endpoints there are.
import ArgumentParser
import Engine

struct TenantsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tenants", abstract: "See tenants; make and remove them.",
        discussion: """
            EXAMPLE
              sluice tenants create acme --uid customer-7
            """,
        subcommands: [List.self, Show.self, Create.self, Update.self, RotateSecret.self, Remove.self])

    fileprivate static let path = ControlAPI.base + "/tenants"

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List tenants, in the order in which they were made.",
            discussion: """
                EXAMPLE
                  sluice tenants list --all --json
                """)
        @OptionGroup var gateway: GatewayOptions
        @OptionGroup var page: PageOptions
        @Flag(help: "Print JSON, one line a tenant.")
        var json = false

        func run() async throws {
            try await page.each(gateway, TenantsCommand.path, []) { (tenant: TenantResource) in
                Output.line(json ? APIText.of(tenant) : tenant.line)
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one tenant; never its signing secret.",
            discussion: """
                EXAMPLE
                  sluice tenants show acme
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The tenant's id, UUID, uid or name.")
        var tenant: String

        func run() async throws {
            let path = TenantsCommand.path + "/" + URLText.encoded(tenant)
            let found = try await gateway.ask { try await $0.resource(path, TenantResource.self) }
            Output.line(json ? APIText.of(found) : found.line)
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a tenant. Its signing secret is said now and never again.",
            discussion: """
                EXAMPLE
                  sluice tenants create acme --uid customer-7
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "Your own id for it.")
        var uid: String?
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "Its name: 1 to 64 of a-z A-Z 0-9 . _ -")
        var name: String

        func run() async throws {
            let draft = APIText.of(TenantDraft(name: name, uid: uid))
            let made = try await gateway.ask {
                try await $0.change(TenantsCommand.path, draft, TenantResource.self)
            }
            made.say(json)
        }
    }

    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a tenant another name or uid.",
            discussion: """
                EXAMPLE
                  sluice tenants update acme --name acme-ltd
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "Its name: 1 to 64 of a-z A-Z 0-9 . _ -")
        var name: String?
        @Option(help: "Your own id for it; an empty text takes it away.")
        var uid: String?
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The tenant's id, UUID, uid or name.")
        var tenant: String

        func run() async throws {
            var members: [String: JSONValue] = [:]
            members["name"] = name.map { .text($0) }
            members["uid"] = uid.map { $0.isEmpty ? .null : .text($0) }
            let path = TenantsCommand.path + "/" + URLText.encoded(tenant)
            let changed: TenantResource = try await gateway.patch(path, members, naming: "--name, --uid")
            changed.say(json)
        }
    }

    struct RotateSecret: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate-secret",
            abstract: "Make a new signing secret for a tenant; it is said now and never again, and counts at once.",
            discussion: """
                EXAMPLE
                  sluice tenants rotate-secret acme
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The tenant's id, UUID, uid or name.")
        var tenant: String

        func run() async throws {
            let path = TenantsCommand.path + "/" + URLText.encoded(tenant) + "/rotate-secret"
            try await gateway.ask { try await $0.change(path, nil, TenantResource.self) }.say(json)
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a tenant with its keys.",
            discussion: """
                EXAMPLE
                  sluice tenants remove acme --with-resources
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Its sources and endpoints go with it; without this one that has some is left as it is.")
        var withResources = false
        @Argument(help: "The tenant's id, UUID, uid or name.")
        var tenant: String

        func run() async throws {
            let path = TenantsCommand.path + "/" + URLText.encoded(tenant)
            let target = URLText.target(path, [("with_resources", withResources ? "true" : nil)])
            try await gateway.ask { try await $0.remove(target) }
        }
    }
}

extension TenantResource {
    /// With the secret of an answer that has one.
    fileprivate func say(_ isJSON: Bool) {
        if isJSON { return Output.line(APIText.of(self)) }
        Output.line(line)
        if let signingSecret { Output.line("signing secret  \(signingSecret)") }
    }
    /// One line for a person.
    fileprivate var line: String {
        let own = uid.map { "  uid \($0)" } ?? ""
        return "\(name)  \(id)  \(tenantId)\(own)  \(sources) sources, \(endpoints) endpoints, by \(origin.rawValue)"
    }
}
