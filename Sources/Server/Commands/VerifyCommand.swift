// `sluice verify`: a provider's captured requests, or files of signature vectors, through the code of the hot path.
import ArgumentParser
import Engine
import FastPath
import Foundation

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check captured requests against a provider's signature scheme, and say why one fails.",
        discussion: """
            A captured request is a file with an HTTP/1.1 request as it stood on the wire: request line, header fields,
            an empty line, the body. Line ends of the head may be LF alone.

            EXAMPLES
              sluice verify --provider github --secret file:github.secret request.http
              sluice verify --explain --config sluice.yaml --source github request.http
              sluice verify --vectors vectors/github.json vectors/stripe.json

            Exit status: 0 all verify (or agree with what they expect), 1 one does not, 2 usage.
            """)

    @Option(help: "The provider's name in the catalogue.")
    var provider: String?
    @Option(help: "The secret, or file:PATH. Repeat it while a secret rotates: any one may match.")
    var secret: [String] = []
    @Option(
        help: "A configuration file, for the rule and the secrets of --source.",
        completion: .file(extensions: ["yaml"]))
    var config: String?
    @Option(help: "The source in --config whose requests these are.")
    var source: String?
    @Option(
        help: "Scheme and authority that the sender used, such as https://hooks.example.com, where the URL is signed."
    )
    var origin: String?
    @Flag(help: "Say step by step what was read, compared and found; secrets are masked.")
    var explain = false
    @Option(help: "The receiver's clock in unix seconds, instead of now.")
    var now: UInt64?
    @Option(
        parsing: .upToNextOption, help: "Files of vectors instead of requests.",
        completion: .file(extensions: ["json"])
    )
    var vectors: [String] = []
    @Option(help: "The verifier: openssl or multibuffer, instead of the better one here.")
    var engine: String?
    @Flag(help: "Print JSON, one line a request.")
    var json = false
    @Argument(help: "Captured requests; - is standard input.", completion: .file())
    var requests: [String] = []

    func validate() throws {
        if vectors.isEmpty {
            if config != nil || source != nil {
                guard config != nil, source != nil, provider == nil, secret.isEmpty else {
                    throw ValidationError(
                        "--config FILE and --source NAME go together, without --provider and --secret")
                }
            } else {
                guard provider != nil else { throw ValidationError("give --provider NAME, or --vectors FILE…") }
                guard !secret.isEmpty else { throw ValidationError("give --secret S, or --secret file:PATH") }
            }
            guard !requests.isEmpty else {
                throw ValidationError("give the files of captured requests, or - for standard input")
            }
        } else if provider != nil || !secret.isEmpty || !requests.isEmpty || now != nil || config != nil || explain {
            throw ValidationError("--vectors files have their own provider, secrets, clock and requests")
        }
        if let provider {
            guard let known = ProviderCatalogue.provider(named: provider), !known.schemes.isEmpty else {
                let names = ProviderCatalogue.all.filter { !$0.schemes.isEmpty }.map(\.name)
                let advice =
                    NearestName.of(provider, among: names).map { "did you mean `\($0)`?" }
                    ?? "known are \(names.joined(separator: ", "))"
                throw ValidationError("there is no scheme for provider `\(provider)`; \(advice)")
            }
        }
        if let engine,
            VerifierEngine(rawValue: engine) == nil
                || !VerifierEngine.available.contains(where: { $0.rawValue == engine })
        {
            let names = VerifierEngine.available.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("there is no verifier `\(engine)` here; there is \(names)")
        }
    }

    func run() throws {
        let engine = engine.flatMap { VerifierEngine(rawValue: $0) } ?? .automatic
        let isGood =
            if !vectors.isEmpty { try runVectors(engine) } else if explain || config != nil {
                try VerifyExplained.run(self)
            } else {
                try runRequests(engine)
            }
        if !isGood { throw ExitStatus.no }
    }

    // MARK: vectors

    private struct VectorLine: Encodable {
        let id: String
        let result: String
        let reason: String?
    }

    private func runVectors(_ engine: VerifierEngine) throws -> Bool {
        var passed = 0
        var failed = 0
        var skipped: [VectorResult] = []
        for file in vectors {
            let results: [VectorResult]
            do {
                results = try VectorRunner.run(file: try InputFile.read(file), engine: engine)
            } catch let error as ValidationError {
                throw error
            } catch {
                throw ValidationError("`\(file)` is not a JSON array of vectors: \(error)")
            }
            for result in results {
                if result.result == .skipped {
                    skipped.append(result)
                    continue
                }
                Output.json(VectorLine(id: result.id, result: result.result.rawValue, reason: result.reason))
                if result.passes {
                    passed += 1
                } else {
                    failed += 1
                    let was = [result.result.rawValue, result.reason].compactMap(\.self).joined(separator: ":")
                    Output.note("\(result.id): expected \(result.expected), was \(was)")
                }
            }
        }
        for result in skipped { Output.json(VectorLine(id: result.id, result: "skipped", reason: result.reason)) }
        Output.line("\(passed) passed, \(failed) failed" + (skipped.isEmpty ? "" : ", \(skipped.count) skipped"))
        return failed == 0
    }

    // MARK: captured requests

    private struct RequestLine: Encodable {
        let file: String
        let result: String
        var reason: String?
        var id: String?
        var type: String?
        var handshake: String?
    }

    private func runRequests(_ engine: VerifierEngine) throws -> Bool {
        let secrets = try secret.map { try SecretText.resolve($0) }
        let clock = now ?? UInt64(Date().timeIntervalSince1970)
        var isGood = true
        for file in requests {
            let raw = VerifyCommand.wireForm(try InputFile.read(file))
            let outcome = VectorRunner.verify(
                provider: provider ?? "", secrets: secrets, now: clock, rawRequest: raw, engine: engine)
            if case .invalidSecret(let words) = outcome {
                Output.failure("--secret: \(words)")
                throw ExitStatus.usage
            }
            let line = VerifyCommand.line(file, outcome)
            if line.result != "accept" { isGood = false }
            if json {
                Output.json(line)
            } else {
                let details = [
                    ("reason", line.reason), ("id", line.id), ("type", line.type), ("handshake", line.handshake),
                ]
                let words = details.compactMap { name, value in value.map { " \(name)=\(LogLines.quoted($0))" } }
                    .joined()
                Output.line("\(file): \(line.result)\(words)")
            }
        }
        return isGood
    }

    private static func line(_ file: String, _ outcome: CapturedOutcome) -> RequestLine {
        switch outcome {
        case .accepted(let answer, let event):
            var line = RequestLine(file: file, result: "accept", id: event.id, type: event.type)
            switch answer {
            case .none: break
            case .answered(let answer): line.handshake = String(decoding: answer.body, as: UTF8.self)
            case .rejected(let reason): line = RequestLine(file: file, result: "reject", reason: reason.rawValue)
            }
            return line
        case .rejected(let reason): return RequestLine(file: file, result: "reject", reason: reason.rawValue)
        case .unreadable(let reason): return RequestLine(file: file, result: "unreadable", reason: reason)
        case .invalidSecret(let words): return RequestLine(file: file, result: "invalid", reason: words)
        }
    }

    /// A head whose lines end in LF alone gets CRLF; the body stays as it is.
    static func wireForm(_ raw: [UInt8]) -> [UInt8] {
        guard let lineEnd = raw.firstIndex(of: 0x0A), lineEnd == 0 || raw[lineEnd - 1] != 0x0D else { return raw }
        var head: [UInt8] = []
        var place = 0
        while place < raw.count {
            let end = raw[place...].firstIndex(of: 0x0A) ?? raw.count
            head += raw[place..<end] + [0x0D, 0x0A]
            let isEmpty = end == place
            place = end + 1
            if isEmpty { break }
        }
        return place < raw.count ? head + raw[place...] : head
    }
}
