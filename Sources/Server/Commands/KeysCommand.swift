// `sluice keys list|create|revoke`: who is let in by the control API.
import ArgumentParser
import Engine
import Foundation

struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "See the keys of the control API; make and revoke them.",
        discussion: """
            EXAMPLE
              sluice keys create --tenant acme --role viewer --name dashboard
            """,
        subcommands: [List.self, Create.self, Revoke.self])

    fileprivate static let path = ControlAPI.base + "/keys"

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List keys, in the order in which they were made; never their tokens.",
            discussion: """
                EXAMPLE
                  sluice keys list --tenant acme --json
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "Only those of this tenant: id, UUID, uid or name.")
        var tenant: String?
        @OptionGroup var page: PageOptions
        @Flag(help: "Print JSON, one line a key.")
        var json = false

        func run() async throws {
            try await page.each(gateway, KeysCommand.path, [("tenant", tenant)]) { (key: KeyResource) in
                Output.line(json ? APIText.of(key) : key.line)
            }
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a key. Its token is said now and never again.",
            discussion: """
                Without --json the token alone goes to standard output, for a file or a variable.

                EXAMPLES
                  sluice keys create --tenant acme --role publisher --name shop > shop.key
                  sluice keys create --all-tenants --role viewer --name prometheus --expires-in 90d
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "publisher, viewer, operator, admin or platform.", transform: Create.role)
        var role: KeyRole
        @Option(help: "Whose it is: a tenant's id, UUID, uid or name.")
        var tenant: String?
        @Flag(help: "It is for all tenants.")
        var allTenants = false
        @Option(help: "A label: 1 to 64 of a-z A-Z 0-9 . _ -")
        var name: String?
        @Option(help: "How long it is valid, such as 12h or 90d; for good when absent.", transform: TimeArgument.read)
        var expiresIn: TimeArgument?
        @Flag(help: "Print JSON.")
        var json = false

        private static let daysMax = 36_500
        private static func role(_ text: String) throws -> KeyRole {
            guard let role = KeyRole(name: text) else {
                throw ValidationError("--role takes \(KeyRole.allCases.map(\.name).joined(separator: ", "))")
            }
            return role
        }
        func validate() throws {
            let isNamed = tenant != nil || allTenants
            if tenant != nil && allTenants { throw ValidationError("--tenant or --all-tenants, not both") }
            if role == .platform, isNamed { throw ValidationError("a platform key belongs to no tenant") }
            if role != .platform, !isNamed { throw ValidationError("give --tenant, or --all-tenants") }
        }
        func run() async throws {
            let nowMillis = UInt64(Date().timeIntervalSince1970 * 1000)
            guard (expiresIn?.millis ?? 0) / 86_400_000 <= Create.daysMax else {
                throw ValidationError("--expires-in takes \(Create.daysMax) days at most")
            }
            let expires = expiresIn.map { TimeText.of(nanoseconds: (nowMillis + UInt64($0.millis)) * 1_000_000) }
            let order = KeyOrder(
                tenantId: allTenants ? KeyResource.allTenants : tenant, role: role.name, name: name,
                expiresAt: expires)
            let made = try await gateway.ask {
                try await $0.change(KeysCommand.path, APIText.of(order), KeyResource.self)
            }
            if json { return Output.line(APIText.of(made)) }
            Output.note(made.line)
            Output.line(made.token ?? "")
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Revoke a key: its token is refused from then on.",
            discussion: """
                EXAMPLE
                  sluice keys revoke key_2vJq1rCk0bZ8mTn5yXw3aD
                """)
        @OptionGroup var gateway: GatewayOptions
        @Argument(help: "The key's id.")
        var id: String

        func run() async throws {
            let target = KeysCommand.path + "/" + URLText.encoded(id)
            try await gateway.ask { try await $0.remove(target) }
        }
    }
}

extension KeyResource {
    /// One line for a person.
    fileprivate var line: String {
        let owner = tenant?.name ?? (role == KeyRole.platform.name ? "the gateway" : "all tenants")
        let ending = expiresAt.map { ", until \($0)" } ?? ""
        let use = lastUsedAt.map { ", last used \($0)" } ?? ", never used"
        return "\(keyId)  \(role) of \(owner)\(name.isEmpty ? "" : "  \(name)")\(ending)\(use)"
    }
}
