// `sluice send`: signs and sends as a provider would, over a few keep-alive connections.
import ArgumentParser
import Engine
import FastPath
import Foundation

struct SendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send",
        abstract: "Sign and send webhooks as a provider would.",
        discussion: """
            Without --body each event has a body of its own with the id and the type where the provider puts them.

            With --config and --source scheme, secrets and address are that source's; a source that is `unverified`
            gets requests without a signature.

            EXAMPLES
              sluice send --provider github --secret S --url http://127.0.0.1:8080/in/github --type push
              sluice send --config sluice.yaml --source billing --header 'X-Trace: 1'

            Exit status: 0 every answer was 2xx, 1 one was not, 2 usage.
            """)

    @Option(help: "The provider's name in the catalogue.")
    var provider: String?
    @Option(
        help: """
            The secret, or file:PATH; for a scheme with public keys the private one. Repeat it to sign as during a \
            rotation.
            """)
    var secret: [String] = []
    @Option(help: "Where to: http://HOST[:PORT]/PATH; with --config by default the source's own address.")
    var url: String?
    @OptionGroup var target: TargetOptions
    @Option(
        help: "What the receiver is called from outside, such as https://hooks.example.com, where URLs are signed.")
    var publicURL: String?
    @Option(help: "The event's type.")
    var type = "test"
    @Option(help: "The body, from a file, or - for standard input.", completion: .file())
    var body: String?
    @Option(help: "How many events.")
    var count = 1
    @Option(help: "How many connections.")
    var concurrency = 1
    @Option(help: "How long an answer may take (default: 30s).", transform: TimeArgument.read)
    var timeout = TimeArgument.seconds(30)
    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws {
        guard (1...1_000_000_000).contains(count) else { throw ValidationError("--count takes a number from 1") }
        guard (1...1024).contains(concurrency) else {
            throw ValidationError("--concurrency takes a number from 1 to 1024")
        }
        guard timeout.millis > 0 else { throw ValidationError("--timeout must be more than 0") }
        if target.source == nil {
            guard provider != nil, url != nil else {
                throw ValidationError(
                    "give --provider NAME, --secret S and --url URL, or --config FILE and --source NAME")
            }
        } else if provider != nil || !secret.isEmpty {
            throw ValidationError("provider and secrets are those of --source; leave out --provider and --secret")
        }
    }

    private struct Summary: Encodable {
        let sent: Int
        let failed: Int
        let statuses: [String: Int]
        let seconds: Double
    }

    func run() async throws {
        let configured = try target.configured()
        let url = try configured?.address(self.url) ?? self.url ?? ""
        let place = try place(of: url)
        var plan = SendPlan(
            signer: try signer(configured?.source), eventBody: eventBody(configured?.source),
            body: try body.map { try InputFile.read($0) }, type: type, url: place, count: count)
        let origin = publicURL ?? configured?.source.publicURL
        plan.origin = origin.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
        plan.fields = try target.fields()
        let started = Date()
        let result = try await Sender(plan).run(connections: min(concurrency, count), timeoutMillis: timeout.millis)
        let seconds = Date().timeIntervalSince(started)
        let isGood = result.failures.isEmpty && result.statuses.keys.allSatisfy { (200...299).contains($0) }
        let statuses = Dictionary(uniqueKeysWithValues: result.statuses.map { ("\($0.key)", $0.value) })
        let failed = result.failures.values.reduce(0, +)
        if json {
            Output.json(Summary(sent: count, failed: failed, statuses: statuses, seconds: seconds))
        } else if count == 1, let answer = result.lastAnswer {
            Output.line("\(answer.status) \(answer.body.trimmingCharacters(in: .newlines))")
        } else if result.failures.isEmpty || count > 1 {
            let list = result.statuses.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }
            Output.line(
                "\(count) sent in \(String(format: "%.2f", seconds)) s: "
                    + (list.isEmpty ? "no answer" : list.joined(separator: ", ")))
        }
        for (reason, count) in result.failures.sorted(by: { $0.key < $1.key }) {
            Output.failure("\(url): \(reason)" + (count > 1 ? " (\(count) times)" : ""))
        }
        if !isGood { throw ExitStatus.no }
    }

    private func signer(_ source: SourceConfiguration?) throws -> RequestSigner {
        do throws(SourceError) {
            if let source { return try RequestSigner(source: source, nowSeconds: UInt64(Date().timeIntervalSince1970)) }
        } catch { throw ValidationError("--source \(error.source): it cannot be signed for: \(error.problem.message)") }
        let provider = provider ?? ""
        let secrets = try secret.map { try SecretText.resolve($0) }
        do throws(SourceError) {
            return try RequestSigner(provider: provider, secrets: secrets)
        } catch {
            if case .noSecret = error.problem {
                throw ValidationError("--secret is missing: give the secret that \(provider) signs with, or file:PATH")
            }
            throw ValidationError("--provider \(provider): \(error.problem.message)")
        }
    }
    private func eventBody(_ source: SourceConfiguration?) -> EventBody {
        guard let source else { return EventBody(provider: provider ?? "") }
        return EventBody(provider: source.provider, eventID: source.eventID, eventType: source.eventType)
    }
    /// The URL, when it is one and its host is known.
    private func place(of url: String) throws -> URLComponents {
        if let problem = AddressText.problem(ofURL: url, shown: url) { throw ValidationError("--url: \(problem)") }
        guard let parts = URLComponents(string: url), parts.scheme?.lowercased() == "http" else {
            throw ValidationError("--url: send speaks plain HTTP; give http://HOST[:PORT]/PATH")
        }
        let host = (parts.host ?? "").trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        do throws(ResolveError) {
            _ = try Resolver.resolve(host: host, port: UInt16(clamping: parts.port ?? 80))
        } catch {
            switch error {
            case .failed(let why): throw ValidationError("--url: host `\(host)` was not found: \(why)")
            case .noAddress: throw ValidationError("--url: host `\(host)` has no address")
            }
        }
        return parts
    }
}
