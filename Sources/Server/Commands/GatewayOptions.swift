// What every command takes that asks a running gateway: where it is, how much to list; and how its answers and refusals
// become words and exit statuses.
import ArgumentParser
import Engine
import Foundation

struct GatewayOptions: ParsableArguments {
    @Option(
        help: """
            The running gateway's admin address, HOST:PORT or https://HOST:PORT; by default that of --config, else \
            127.0.0.1:8081.
            """)
    var admin: AdminAddress?
    @Option(
        help: """
            A PEM file of the authorities that the certificate of an https:// gateway leads to; by default SLUICE_CA, \
            else the profile's, else the system's.
            """, completion: .file(extensions: ["pem", "crt"]))
    var ca: String?
    @Option(
        help: "The gateway's configuration file, for its admin address and its key.",
        completion: .file(extensions: ["yaml"]))
    var config: String?
    @Option(
        help: "The data folder of the running gateway, for its key, where it was started with another than --config's.",
        completion: .directory)
    var dataFolder: String?
    @Option(
        help: """
            The key to sign in with; by default that of --profile or of the current profile, else SLUICE_KEY, else \
            that of SLUICE_PROFILE, else what is in platform.key of the data folder.
            """)
    var key: String?
    @Option(help: "The gateway that `sluice login` kept by this name; by default SLUICE_PROFILE, else the current one.")
    var profile: ProfileName?

    func validate() throws {
        guard profile == nil || admin == nil && config == nil && dataFolder == nil else {
            throw ValidationError(
                "--profile names a gateway by itself: leave out --admin and --config, and --data-folder")
        }
    }

    private func client() throws -> AdminClient {
        let process = ProcessSettings()
        let environment = ProcessInfo.processInfo.environment
        var place = GatewayPlace(
            standard: GatewayPlace.Seat(admin: process.admin, dataFolder: process.dataFolder), environment: environment)
        (place.admin, place.key, place.profile) = (admin?.description, key, profile?.text)
        place.dataFolder = dataFolder
        do {
            if let config {
                let found = try ConfigurationFile.place(of: config)
                place.configured = GatewayPlace.Seat(admin: found.admin, dataFolder: found.dataFolder)
            }
        } catch  where admin != nil {
            // A file that is not valid keeps nobody from a gateway that is named.
        }
        let answer: GatewayPlace.Answer
        do {
            answer = try place.answer(
                profiles: {
                    // Without a home folder there are none.
                    guard let file = try? ProfileFile(environment: environment) else { return Profiles() }
                    return try file.read()
                }, folderKey: GatewayOptions.folderKey)
        } catch let problem as GatewayPlace.Problem {
            throw ValidationError(problem.message)
        } catch let error as ProfileError { throw ValidationError(error.message) }
        guard let address = AdminAddress(argument: answer.address) else {
            throw ValidationError("the admin address `\(answer.address)` is not HOST:PORT or https://HOST:PORT")
        }
        return try AdminClient(
            address: address, key: AdminKey(answer.key.token, answer.key.origin),
            authorities: AdminTrust.file(ca, environment) ?? answer.authorities)
    }
    private static func folderKey(_ folder: String) -> GatewayPlace.Key {
        do {
            let token = try PlatformKey.token(inFolder: folder)
            let place = "\(folder)/\(PlatformKey.fileName)"
            return GatewayPlace.Key(token, token == nil ? "there is none in \(place)" : "it is the one in \(place)")
        } catch {
            return GatewayPlace.Key(nil, "in \(folder): \(error)")
        }
    }
    static let keyVariable = GatewayPlace.keyVariable

    /// Runs `work` and turns a refusal into words and an exit status.
    func ask<Answer>(_ work: (AdminClient) async throws -> Answer) async throws -> Answer {
        do {
            return try await work(try client())
        } catch let error as ConfigurationError {
            Output.failure(error.description)
            throw ExitStatus.usage
        } catch let error as AdminError {
            Output.failure(error.message)
            for line in error.lines { Output.note("  " + line) }
            throw error.isAnswer ? ExitStatus.no : ExitStatus.usage
        }
    }
}

/// How much of a listing is wanted.
struct PageOptions: ParsableArguments {
    @Option(help: "At most so many.")
    var limit = 50
    @Option(help: "Go on where an earlier call with the same options ended, as it said.")
    var cursor: String?
    @Flag(help: "All of them, however many.")
    var all = false

    func validate() throws {
        guard limit > 0 else { throw ValidationError("--limit takes a number of at least 1") }
    }

    /// Shows each item, and says how it goes on.
    func each<Item: Described>(
        _ gateway: GatewayOptions, _ path: String, _ query: [(name: String, value: String?)], show: (Item) -> Void
    ) async throws {
        let next = try await gateway.pages(
            path, query, from: cursor, limit: all ? Int.max : limit, show: show)
        if let next { Output.note("more: --cursor \(next)") }
    }
}

extension GatewayOptions {
    /// Asks for page after page until there are `limit` items; `show` gets each. A page may be empty and not the last.
    /// Where it goes on; nil at the end.
    func pages<Item: Described>(
        _ path: String, _ query: [(name: String, value: String?)], from cursor: String? = nil, limit: Int,
        show: (Item) -> Void
    ) async throws -> String? {
        var cursor = cursor
        var left = limit
        repeat {
            let count = min(left, QueryParameter.limitMax)
            let target = URLText.target(path, query + [("limit", "\(count)"), ("cursor", cursor)])
            let page = try await ask { try await $0.resource(target, Page<Item>.self) }
            page.items.forEach(show)
            left -= page.items.count
            cursor = page.next
        } while cursor != nil && left > 0
        return cursor
    }
}

extension GatewayOptions {
    /// Changes what is named of a resource, and nothing else; `options` are some of those that name something.
    func patch<Answer: Decodable>(
        _ path: String, _ members: [String: JSONValue], naming options: String
    ) async throws -> Answer {
        guard !members.isEmpty else { throw ValidationError("say what is to change: \(options)") }
        let body = JSONText.of(JSONValue.object(members))
        return try await ask { try await $0.change(path, body, Answer.self, method: .patch) }
    }
}

enum URLText {
    /// Everything but unreserved characters as percent escapes.
    static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: String(UnicodeScalar(byte))
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
    /// `path` with those of the parameters that have a value.
    static func target(_ path: String, _ query: [(name: String, value: String?)]) -> String {
        let words = query.compactMap { name, value in value.map { "\(name)=\(encoded($0))" } }
        return words.isEmpty ? path : path + "?" + words.joined(separator: "&")
    }
}
