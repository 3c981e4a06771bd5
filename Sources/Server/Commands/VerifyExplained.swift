// `sluice verify --explain`, and `--config` with `--source`: captured requests against a source's rule, step by step.
import ArgumentParser
import Engine
import FastPath
import Foundation

enum VerifyExplained {
    private struct Line: Encodable {
        let file: String
        let result: String
        let reason: String?
        let hint: String?
        let steps: [ExplainedStep]?
    }

    /// True when all verify.
    static func run(_ command: VerifyCommand) throws -> Bool {
        let (source, neighbours) = try sources(command)
        let clock = command.now ?? UInt64(Date().timeIntervalSince1970)
        var isGood = true
        for file in command.requests {
            let raw = VerifyCommand.wireForm(try InputFile.read(file))
            let explanation = RequestExplanation(
                raw, source: source, neighbours: neighbours, origin: command.origin, nowSeconds: clock)
            if !explanation.isAccepted { isGood = false }
            let result = explanation.isAccepted ? "accept" : "reject"
            if command.json {
                Output.json(
                    Line(
                        file: file, result: result, reason: explanation.reason,
                        hint: explanation.finding?.hint.rawValue, steps: command.explain ? explanation.steps : nil))
                continue
            }
            let words = [("reason", explanation.reason), ("hint", explanation.finding?.hint.rawValue)]
                .compactMap { name, value in value.map { " \(name)=\($0)" } }.joined()
            Output.line("\(file): \(result)\(words)")
            guard command.explain else { continue }
            for step in explanation.steps {
                let mark =
                    switch step.mark {
                    case .fine: "ok "
                    case .wrong: "NO "
                    case .note: "   "
                    }
                let name = step.step.padding(toLength: 10, withPad: " ", startingAt: 0)
                Output.line("  \(mark) \(name) \(LogLines.visible(step.text))")
            }
        }
        return isGood
    }

    private static func sources(_ command: VerifyCommand) throws -> (SourceConfiguration, [SourceConfiguration]) {
        guard let path = command.config, let name = command.source else {
            var source = SourceConfiguration()
            source.name = command.provider ?? ""
            source.provider = command.provider ?? ""
            source.secrets = try command.secret.map { SourceSecret(try SecretText.resolve($0)) }
            return (source, [])
        }
        let configuration = try ConfigurationInput.read(path)
        let source = try ConfiguredSource.find(name, in: configuration.sources, file: path)
        if source.unverified { throw ValidationError("source `\(name)` is `unverified`: there is nothing to check") }
        return (source, configuration.sources)
    }
}
