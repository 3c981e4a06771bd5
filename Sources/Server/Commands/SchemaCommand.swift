// `sluice schema test|preview`: a JSON Schema tried before it is saved, on bodies, an event or a stretch of the log.
import ArgumentParser
import Engine
import Foundation

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Try JSON Schemas of events before they are saved.",
        discussion: """
            EXAMPLE
              sluice schema test --schema order.json one.json two.json
              sluice schema preview --schema order.json --type order.created --last 24h
            """,
        subcommands: [Test.self, Preview.self])

    /// As it stands, so that no number is read on the way; checked here, so that a mistake needs no gateway.
    static func read(_ path: String) throws -> (text: [UInt8], schema: EventSchema) {
        let bytes = try InputFile.read(path)
        do throws(SchemaProblem) { return (bytes, try EventSchema(bytes)) } catch {
            throw ValidationError("`\(path)`: \(error.message)")
        }
    }
    static func value(_ text: [UInt8], of path: String) throws -> JSONValue {
        do throws(JSONProblem) { return try JSONReading.value(text) } catch {
            throw ValidationError("`\(path)` \(error.message)")
        }
    }

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say whether bodies are what a schema asks for, and what they break.",
            discussion: """
                Files need no gateway. Exit status 1 when one of them is refused.

                EXAMPLE
                  sluice schema test --schema order.json one.json two.json
                  sluice schema test --schema order.json --event evt_01jqz…
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "The schema, in JSON: a file, or - for standard input.", completion: .file())
        var schema: String
        @Option(help: "An event in the log, by its id.")
        var event: String?
        @Flag(help: "Print JSON, a line for each body.")
        var json = false
        @Argument(help: "Bodies: files, or - for standard input.", completion: .file())
        var files: [String] = []

        func validate() throws {
            guard (event != nil) != !files.isEmpty else {
                throw ValidationError("give either files or --event")
            }
            guard ([schema] + files).count(where: { $0 == "-" }) <= 1 else {
                throw ValidationError("standard input is one of them")
            }
        }
        func run() async throws {
            let (text, compiled) = try SchemaCommand.read(schema)
            var isRefused = false
            if let event {
                var trial = SchemaTrial(schema: try SchemaCommand.value(text, of: schema))
                trial.event = event
                let body = APIText.of(trial)
                let result = try await gateway.ask {
                    try await $0.change(ControlAPI.base + "/schemas/test", body, SchemaResult.self)
                }
                Output.line(json ? APIText.of(result) : result.text(of: event))
                isRefused = !result.valid
            }
            for file in files {
                let result = SchemaResult(compiled.refusal(of: try InputFile.read(file)))
                Output.line(json ? APIText.of(result) : result.text(of: file))
                isRefused = isRefused || !result.valid
            }
            if isRefused { throw ExitStatus.no }
        }
    }

    struct Preview: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run a schema over what came in a time: how much of it would have been refused, with examples.",
            discussion: """
                EXAMPLE
                  sluice schema preview --schema order.json --type order.created --last 24h
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "The schema, in JSON: a file, or - for standard input.", completion: .file())
        var schema: String
        @Option(help: "Only events of this source: its name.")
        var source: String?
        @Option(help: "Only events of this type.")
        var type: String?
        @Option(help: "How far back.", transform: TimeArgument.read)
        var last = TimeArgument(millis: 86_400_000)
        @Flag(help: "Print JSON.")
        var json = false

        func run() async throws {
            let now = TimeText.parse(TimeText.now()) ?? 0
            let span = UInt64(last.millis) * 1_000_000
            let from = TimeText.of(nanoseconds: now > span ? now - span : 0)
            let value = try SchemaCommand.value(try SchemaCommand.read(schema).text, of: schema)
            var order = SchemaPreviewOrder(schema: value, from: from)
            order.until = TimeText.of(nanoseconds: now)
            (order.source, order.type) = (source, type)
            var sum = SchemaPreview()
            repeat {
                let body = APIText.of(order)
                let page = try await gateway.ask {
                    try await $0.change(ControlAPI.base + "/schemas/preview", body, SchemaPreview.self)
                }
                sum.add(page)
                order.cursor = page.next
            } while order.cursor != nil
            Output.line(json ? APIText.of(sum) : sum.text)
        }
    }
}

extension SchemaViolationResource {
    var line: String { "  \(path.isEmpty ? "/" : path)\t\(message) (\(schemaPath))" }
}

extension SchemaResult {
    func text(of name: String) -> String {
        let words = valid ? "is taken" : verdict == "body_not_json" ? "is not JSON" : "is refused"
        return (["\(name) \(words)"] + violations.map(\.line)).joined(separator: "\n")
    }
}

extension SchemaPreview {
    /// Another page of the same walk.
    mutating func add(_ page: SchemaPreview) {
        read += page.read
        checked += page.checked
        refused += page.refused
        notJson += page.notJson
        examples = Array((examples + page.examples).prefix(SchemaPreview.exampleCountMax))
    }
    var text: String {
        var lines = ["\(read) events read, \(checked) checked, \(refused) would have been refused"]
        if notJson > 0 { lines.append("\(notJson) of those for their body is not JSON") }
        for example in examples {
            lines.append(example.event.line)
            lines += example.violations.map(\.line)
        }
        return lines.joined(separator: "\n")
    }
}
