// `sluice login|logout|profiles`: keys that are kept for gateways, so that no command line has one.
import ArgumentParser
import Engine
import Foundation

/// The name of a profile, as an option.
struct ProfileName: ExpressibleByArgument {
    let text: String
    init?(argument: String) {
        guard Profiles.isName(argument) else { return nil }
        text = argument
    }
}

/// Where the profiles are; what is wrong with the file ends the command.
enum ProfileAccess {
    static func file() throws -> ProfileFile {
        try telling { try ProfileFile(environment: ProcessInfo.processInfo.environment) }
    }
    static func telling<Value>(_ work: () throws -> Value) throws -> Value {
        do { return try work() } catch let error as ProfileError {
            Output.failure(error.message)
            throw ExitStatus.usage
        }
    }
    static func unknown(_ name: String, _ profiles: Profiles) -> ExitCode {
        let advice = profiles.names.isEmpty ? "there is none" : "there is \(profiles.names.joined(separator: ", "))"
        Output.failure("there is no profile `\(name)`; \(advice)")
        return ExitStatus.no
    }
}

struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login", abstract: "Keep a gateway's address and a key for it, for the commands that follow.",
        discussion: """
            The key is that of --key, else the first line of standard input where that is no terminal, else that of \
            SLUICE_KEY; else it is asked for, and not shown. Neither a list of processes nor a history needs to have \
            it. It is tried first, and kept in `sluice/profiles.json` of the configuration folder (XDG_CONFIG_HOME, \
            else ~/.config), which only you may read.

            Commands use the profile of --profile, else of SLUICE_PROFILE, else the one of the last login; --admin \
            and --config name a gateway by themselves, and then no profile counts.

            EXAMPLES
              sluice login --url http://gateway.internal:8081 --profile prod < prod.key
              sluice login --url https://gateway.internal:8443 --ca gateway-ca.pem
              sluice login --url 127.0.0.1:8081
              sluice endpoints list --profile prod

            Exit status: 0 kept, 1 the key is not taken, 2 no gateway or usage.
            """)
    @Option(
        help: "The gateway's control listener: https://HOST:PORT where it has TLS, else http://HOST:PORT or HOST:PORT.",
        transform: LoginCommand.address)
    var url: AdminAddress
    @Option(
        help: """
            A PEM file of the authorities that its certificate leads to, kept with it; by default SLUICE_CA, else the \
            system's.
            """, completion: .file(extensions: ["pem", "crt"]))
    var ca: String?
    @Option(help: "The key; better not here, where lists of processes show it.")
    var key: String?
    @Option(help: "The profile's name.")
    var profile = ProfileName(argument: "default")!
    @Flag(help: "Keep it without asking the gateway.")
    var offline = false

    private static func address(_ text: String) throws -> AdminAddress {
        guard let address = AdminAddress(argument: text) else {
            throw ValidationError("--url takes https://HOST:PORT, http://HOST:PORT or HOST:PORT")
        }
        return address
    }
    func validate() throws {
        guard ca == nil || url.isSecure else { throw ValidationError("--ca is for an https:// --url") }
    }
    /// As later calls find it from wherever they are made.
    private var authorities: String? {
        guard url.isSecure else { return nil }
        return AdminTrust.file(ca, ProcessInfo.processInfo.environment).map {
            URL(fileURLWithPath: $0).standardizedFileURL.path
        }
    }

    func run() async throws {
        let file = try ProfileAccess.file()
        // What is wrong with it is said before the key is asked for.
        _ = try ProfileAccess.telling { try file.read() }
        let token = try secret()
        if !offline { try await check(token) }
        let kept = Profile(admin: url.description, key: token, authorities: authorities)
        try ProfileAccess.telling { try file.change { $0.keep(kept, as: profile.text) } }
        Output.line("profile \(profile.text): \(url), kept in \(file.path)")
    }
    private func secret() throws -> String {
        func trimmed(_ text: String?) -> String { (text ?? "").trimmingCharacters(in: .whitespacesAndNewlines) }
        let environment = ProcessInfo.processInfo.environment
        var text = trimmed(key)
        // Whoever gives one along means that, whatever the shell has.
        if text.isEmpty, !SecretPrompt.isTerminal { text = trimmed(readLine()) }
        if text.isEmpty { text = trimmed(environment[GatewayOptions.keyVariable]) }
        if text.isEmpty, SecretPrompt.isTerminal { text = trimmed(SecretPrompt.line("key for \(url): ")) }
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw ValidationError("there is no key: give it on standard input, or in SLUICE_KEY")
        }
        return text
    }
    /// Whoever may do less than read is let in all the same.
    private func check(_ token: String) async throws {
        do {
            let client = try AdminClient(
                address: url, key: AdminKey(token, "it is the one that was given"), authorities: authorities)
            _ = try await client.resource(ControlAPI.base + "/tenants?limit=1", JSONValue.self)
        } catch let error as AdminError where error.status != 403 {
            Output.failure(error.message)
            throw error.isAnswer ? ExitStatus.no : ExitStatus.usage
        }
    }
}

struct LogoutCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logout", abstract: "Forget a key that `sluice login` kept; revoking it is `sluice keys revoke`.",
        discussion: """
            EXAMPLES
              sluice logout
              sluice logout --profile prod

            Exit status: 0 forgotten, 1 there was none, 2 usage.
            """)
    @Option(help: "The profile's name; the current one when absent.")
    var profile: ProfileName?
    @Flag(help: "All of them.")
    var all = false

    func validate() throws {
        if all, profile != nil { throw ValidationError("--profile or --all, not both") }
    }
    func run() throws {
        let file = try ProfileAccess.file()
        let names = try ProfileAccess.telling {
            try file.change { profiles in
                let names = all ? profiles.names : [profile?.text ?? profiles.current].compactMap(\.self)
                guard !names.isEmpty else {
                    Output.failure("nobody is signed in")
                    throw ExitStatus.no
                }
                for name in names where !profiles.forget(name) { throw ProfileAccess.unknown(name, profiles) }
                return names
            }
        }
        for name in names { Output.line("profile \(name): forgotten") }
    }
}

struct ProfilesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profiles", abstract: "See the gateways that `sluice login` keeps keys for; choose one.",
        discussion: """
            EXAMPLE
              sluice profiles use prod
            """,
        subcommands: [List.self, Use.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List profiles; never their keys.",
            discussion: """
                EXAMPLE
                  sluice profiles list --json
                """)
        @Flag(help: "Print JSON, one line a profile.")
        var json = false

        private struct Line: Encodable {
            let name: String
            let admin: String
            let current: Bool
        }
        func run() throws {
            let file = try ProfileAccess.file()
            let profiles = try ProfileAccess.telling { try file.read() }
            for name in profiles.names {
                let line = Line(name: name, admin: profiles[name]?.admin ?? "", current: profiles.current == name)
                if json { Output.json(line) } else { Output.line("\(line.current ? "*" : " ") \(name)  \(line.admin)") }
            }
        }
    }

    struct Use: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Choose the profile that counts where none is named.",
            discussion: """
                EXAMPLE
                  sluice profiles use prod
                """)
        @Argument(help: "The profile's name.")
        var name: String

        func run() throws {
            let file = try ProfileAccess.file()
            try ProfileAccess.telling {
                try file.change { profiles in
                    guard profiles.choose(name) else { throw ProfileAccess.unknown(name, profiles) }
                }
            }
        }
    }
}
