// `sluice transform test|what-if`: a transformation or redaction tried on a running gateway before it is saved.
import ArgumentParser
import Engine
import Foundation

struct TransformCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transform", abstract: "Try what is made of events before they are sent.",
        subcommands: [Test.self, WhatIf.self])

    fileprivate static let path = ControlAPI.base + "/transformations"
    fileprivate static let settingsBytesMax = 1 << 20

    /// What is tried.
    struct Settings: ParsableArguments {
        @Option(help: "Of this endpoint: what the file does not say holds as it is there.")
        var endpoint: String?
        @Option(
            help: "A file with `redact` and `transform`, YAML or JSON, as an endpoint has them.", completion: .file())
        var settings: String?

        fileprivate func members() throws -> [String: JSONValue] {
            var members: [String: JSONValue] = [:]
            if let settings { members = try TransformCommand.read(settings) }
            members["endpoint"] = endpoint.map { .text($0) }
            guard !members.isEmpty else {
                throw ValidationError("name an endpoint with --endpoint, or a file with --settings")
            }
            return members
        }
    }
    private static func read(_ path: String) throws -> [String: JSONValue] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw ValidationError("`\(path)` cannot be read")
        }
        guard data.count <= settingsBytesMax, let text = String(data: data, encoding: .utf8) else {
            throw ValidationError("`\(path)` is not UTF-8 text of at most 1 MiB")
        }
        let value: JSONValue
        do throws(YAMLValue.Problem) { value = try YAMLValue.json(text) } catch {
            throw ValidationError("`\(path)`\(error.line > 0 ? ", line \(error.line)," : "") \(error.message)")
        }
        guard case .object(let members) = value, Set(members.keys).isSubset(of: ["redact", "transform"]) else {
            throw ValidationError("`\(path)` has something else than `redact` and `transform`")
        }
        return members
    }

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what would be sent of one event or body.",
            discussion: """
                Prints the body; exit status 1 when nothing would be sent, with the reason.

                EXAMPLES
                  sluice transform test --endpoint crm --event evt_0123456789abcdefghjkmnpqr
                  sluice transform test --settings new.yaml --body @event.json
                """)
        @OptionGroup var gateway: GatewayOptions
        @OptionGroup var tried: Settings
        @Option(help: "The event that it is tried on.")
        var event: String?
        @Option(help: "The body that it is tried on, or @FILE.")
        var body: String?
        @Flag(help: "Print JSON.")
        var json = false

        func validate() throws {
            if (event == nil) == (body == nil) { throw ValidationError("give either --event or --body") }
        }
        func run() async throws {
            var members = try tried.members()
            members["event"] = event.map { .text($0) }
            members["body"] = try body.map { .text(try bodyText($0)) }
            let text = APIText.of(JSONValue.object(members))
            let answer = try await gateway.ask {
                try await $0.change(TransformCommand.path + "/test", text, TransformationTestAnswer.self)
            }
            if json {
                Output.json(answer)
            } else if let reason = answer.reason {
                Output.failure("nothing would be sent: \(reason) (\(answer.result))")
            } else {
                Output.line(answer.body ?? "base64:\(answer.bodyBase64 ?? "")")
            }
            if answer.result != "ok" { throw ExitStatus.no }
        }
        private func bodyText(_ text: String) throws -> String {
            guard text.hasPrefix("@") else { return text }
            let path = String(text.dropFirst())
            guard let data = FileManager.default.contents(atPath: path), let read = String(data: data, encoding: .utf8)
            else { throw ValidationError("`\(path)` cannot be read as UTF-8 text") }
            return read
        }
    }

    struct WhatIf: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "what-if", abstract: "Show what would become of the newest events of the log.",
            discussion: """
                Against what the endpoint has now, or against the events as they came.

                EXAMPLE
                  sluice transform what-if --endpoint crm --settings new.yaml --from 2026-01-31T00:00:00Z
                """)
        @OptionGroup var gateway: GatewayOptions
        @OptionGroup var tried: Settings
        @Option(help: "Only events of this source.")
        var source: String?
        @Option(help: "Only events of this type; * stands for anything.")
        var type: String?
        @Option(help: "Only events received at or after this time (RFC 3339).")
        var from: String?
        @Option(help: "Only events received before this time.")
        var until: String?
        @Option(help: "At most so many, 1 to 10000.")
        var limit = TransformationSurvey.limitDefault
        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws {
            var members = try tried.members()
            for (name, value) in [("source", source), ("type", type), ("from", from), ("until", until)] {
                members[name] = value.map { .text($0) }
            }
            members["limit"] = .integer(Int64(limit))
            let text = APIText.of(JSONValue.object(members))
            let answer = try await gateway.ask {
                try await $0.change(TransformCommand.path + "/what-if", text, TransformationSurveyAnswer.self)
            }
            if json { return Output.json(answer) }
            Output.line(
                "\(answer.events) events\(answer.isComplete ? "" : " (there are more)"), \(answer.changed) changed, "
                    + "\(answer.failed.values.reduce(0, +)) not sent")
            for (reason, count) in answer.failed.sorted(by: { $0.key < $1.key }) {
                Output.line("  \(reason)  \(count)")
            }
            for example in answer.examples {
                Output.line("\(example.event)  \(example.result)")
                if let before = example.before { Output.line("  - \(before)") }
                if let after = example.after { Output.line("  + \(after)") }
            }
        }
    }
}
