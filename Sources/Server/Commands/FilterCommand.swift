// `sluice filter test|preview`: a filter tried before it is saved, on an event or over a stretch of the log.
import ArgumentParser
import Engine
import Foundation

struct FilterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "filter", abstract: "Try filters of endpoints before they are saved.",
        discussion: """
            EXAMPLE
              sluice filter test --filter paid.yaml --type invoice.paid --body invoice.json
              sluice filter preview billing --filter paid.yaml --last 24h
            """,
        subcommands: [Test.self, Preview.self])

    /// YAML or JSON.
    static func read(_ path: String) throws -> JSONValue {
        guard let text = String(validating: try InputFile.read(path), as: UTF8.self) else {
            throw ValidationError("`\(path)` is not UTF-8 text")
        }
        do throws(YAMLValue.Problem) { return try YAMLValue.json(text) } catch {
            let line = error.line > 0 ? ":\(error.line)" : ""
            throw ValidationError("`\(path)\(line)` \(error.message)")
        }
    }

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say whether a filter lets an event through, and why.",
            discussion: """
                A filter in a file and an event that is given need no gateway. Exit status 1 when the filter does not \
                match.

                EXAMPLE
                  sluice filter test --filter paid.yaml --type invoice.paid --header 'X-Region: eu' --body invoice.json
                  sluice filter test --endpoint billing --event evt_01jqz…
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "The filter, in YAML or JSON: a file, or - for standard input.")
        var filter: String?
        @Option(help: "The filter of this endpoint: id, uid or name.")
        var endpoint: String?
        @Option(help: "An event in the log, by its id.")
        var event: String?
        @Option(help: "Of an event that is given: its type.")
        var type: String?
        @Option(help: "Its source.")
        var source: String?
        @Option(name: .customLong("channel"), help: "A channel of it; may be repeated.")
        var channels: [String] = []
        @Option(name: .customLong("header"), help: "A header field of it, `Name: value`; may be repeated.")
        var headers: [String] = []
        @Option(help: "Its body: a file, or - for standard input.")
        var body: String?
        @Flag(help: "Print JSON.")
        var json = false

        func validate() throws {
            guard (filter == nil) != (endpoint == nil) else {
                throw ValidationError("give either --filter or --endpoint")
            }
            let isGiven = type != nil || source != nil || !channels.isEmpty || !headers.isEmpty || body != nil
            guard (event != nil) != isGiven else {
                throw ValidationError("give either --event or an event: --type, --source, --header, --body, …")
            }
            guard filter != "-" || body != "-" else { throw ValidationError("standard input is either of both") }
        }
        private func given() throws -> GivenEvent {
            var given = GivenEvent()
            given.type = type
            given.source = source
            given.channels = channels.isEmpty ? nil : channels
            for header in headers {
                let parts = header.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2, !parts[0].isEmpty else {
                    throw ValidationError("--header takes `Name: value`, not `\(header)`")
                }
                given.headers = given.headers ?? [:]
                given.headers?[String(parts[0])] = parts[1].trimmingCharacters(in: .whitespaces)
            }
            if let body {
                guard let text = String(validating: try InputFile.read(body), as: UTF8.self) else {
                    throw ValidationError("the body is not UTF-8 text")
                }
                given.body = text
            }
            return given
        }
        func run() async throws {
            let result = try await self.result()
            Output.line(json ? APIText.of(result) : result.text)
            if !result.matched { throw ExitStatus.no }
        }
        private func result() async throws -> FilterResult {
            let value = try filter.map { try FilterCommand.read($0) }
            if let value, event == nil {
                let compiled: CompiledFilter
                do throws(ValidationIssue) { compiled = try CompiledFilter(value.asStored) } catch {
                    throw ValidationError("\(error.under(FieldPath("filter")))")
                }
                return FilterResult(compiled.trace(try given()))
            }
            var trial = FilterTrial()
            trial.filter = value
            trial.endpoint = endpoint
            trial.event = event
            if event == nil { trial.given = try given() }
            let body = APIText.of(trial)
            return try await gateway.ask {
                try await $0.change(ControlAPI.base + "/filters/test", body, FilterResult.self)
            }
        }
    }

    struct Preview: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run a filter over what came in a time: what an endpoint would get more, and less.",
            discussion: """
                EXAMPLE
                  sluice filter preview billing --filter paid.yaml --last 24h
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "The filter, in YAML or JSON: a file, or - for standard input; without it: none.")
        var filter: String?
        @Option(help: "How far back.", transform: TimeArgument.read)
        var last = TimeArgument(millis: 86_400_000)
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The endpoint's id, uid or name.")
        var endpoint: String

        func run() async throws {
            let now = TimeText.parse(TimeText.now()) ?? 0
            let span = UInt64(last.millis) * 1_000_000
            var order = FilterPreviewOrder(from: TimeText.of(nanoseconds: now > span ? now - span : 0))
            order.until = TimeText.of(nanoseconds: now)
            order.filter = try filter.map { try FilterCommand.read($0) }
            let path = EndpointsCommand.path + "/" + URLText.encoded(endpoint) + "/filter/preview"
            var sum = FilterPreview()
            repeat {
                let body = APIText.of(order)
                let page = try await gateway.ask { try await $0.change(path, body, FilterPreview.self) }
                sum.add(page)
                order.cursor = page.next
            } while order.cursor != nil
            Output.line(json ? APIText.of(sum) : sum.text)
        }
    }
}

extension FilterResult {
    /// A line for the verdict, and one for each condition.
    var text: String {
        let words = verdict == "matches" ? "matches" : verdict == "differs" ? "does not match" : "body is not JSON"
        let lines = conditions.map { condition in
            let holds = condition.holds.map { $0 ? "yes" : "no" } ?? "-"
            let why = condition.finding == FilterTrace.Finding.compared.rawValue ? "" : " (\(condition.finding))"
            return "  \(holds)\t\(condition.place) \(condition.operator) \(condition.operand)\(why)"
        }
        return ([words] + lines).joined(separator: "\n")
    }
}

extension FilterPreview {
    /// Another page of the same walk.
    mutating func add(_ page: FilterPreview) {
        read += page.read
        subscribed += page.subscribed
        before += page.before
        after += page.after
        gained += page.gained
        lost += page.lost
        notJson += page.notJson
        let room = FilterPreview.exampleCountMax
        gainedExamples = Array((gainedExamples + page.gainedExamples).prefix(room))
        lostExamples = Array((lostExamples + page.lostExamples).prefix(room))
    }
    var text: String {
        var lines = [
            "\(read) events read, \(subscribed) of its sources, types and channels",
            "\(before) let through now, \(after) by this filter: \(gained) more, \(lost) less",
        ]
        if notJson > 0 { lines.append("\(notJson) kept away because their body is not JSON") }
        lines += gainedExamples.map { "  +\t" + $0.line } + lostExamples.map { "  -\t" + $0.line }
        return lines.joined(separator: "\n")
    }
}
