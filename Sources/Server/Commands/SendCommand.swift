// `sluice send`: signs and sends as a provider would, over a few keep-alive connections.
import ArgumentParser
import Engine
import Foundation

struct SendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send",
        abstract: "Sign and send webhooks as a provider would.",
        discussion: """
            Without --body each event has a body of its own with the id and the type where the provider puts them.

            EXAMPLE
              sluice send --provider github --secret S --url http://127.0.0.1:8080/in/github --type push

            Exit status: 0 every answer was 2xx, 1 one was not, 2 usage.
            """)

    @Option(help: "The provider's name in the catalogue.")
    var provider: String
    @Option(
        help: """
            The secret, or file:PATH; for a scheme with public keys the private one. Repeat it to sign as during a \
            rotation.
            """)
    var secret: [String] = []
    @Option(help: "Where to: http://HOST[:PORT]/PATH.")
    var url: String
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
    @Option(help: "How long an answer may take.")
    var timeout = TimeArgument(argument: "30s")!
    @Flag(help: "Print the result as JSON.")
    var json = false

    func validate() throws {
        guard (1...1_000_000_000).contains(count) else { throw ValidationError("--count takes a number from 1") }
        guard (1...1024).contains(concurrency) else {
            throw ValidationError("--concurrency takes a number from 1 to 1024")
        }
        if let problem = AddressText.problem(ofURL: url, shown: url) { throw ValidationError("--url: \(problem)") }
    }

    private struct Summary: Encodable {
        let sent: Int
        let failed: Int
        let statuses: [String: Int]
        let seconds: Double
    }

    func run() async throws {
        let signer: RequestSigner
        do {
            signer = try RequestSigner(provider: provider, secrets: try secret.map { try SecretText.resolve($0) })
        } catch let error as SourceError {
            throw ValidationError("--provider \(provider): \(error.problem.message)")
        }
        var plan = SendPlan(
            signer: signer, eventBody: EventBody(provider: provider), body: try body.map { try InputFile.read($0) },
            type: type, url: URLComponents(string: url) ?? URLComponents(), count: count)
        plan.origin = publicURL.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
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
}
