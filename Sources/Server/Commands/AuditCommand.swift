// `sluice audit list|verify`: what was changed and by whom, and whether the log of it is as it was written.
import ArgumentParser
import Engine

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "See who changed what, and verify the log of it.",
        discussion: """
            EXAMPLE
              sluice audit list --config sluice.yaml
            """,
        subcommands: [List.self, Verify.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List changes and refused tries, newest first.",
            discussion: """
                EXAMPLE
                  sluice audit list --limit 20 --json
                """)
        @OptionGroup var gateway: GatewayOptions
        @OptionGroup var page: PageOptions
        @Flag(help: "Print JSON, a line an entry.")
        var json = false

        func run() async throws {
            try await page.each(gateway, ControlAPI.base + "/audit", []) { (entry: AuditResource) in
                Output.line(json ? APIText.of(entry) : entry.line)
            }
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Find an entry that was changed, taken out or moved.",
            discussion: """
                Reads the data folder, beside a running gateway too, and changes nothing. Note what it says is the end
                in another place and give it to the next verification with --since: that alone tells a log whose end
                was cut off, or that was written anew as a whole.

                EXAMPLE
                  sluice audit verify --config sluice.yaml

                Exit status: 0 as it was written, 1 it is not, 2 it cannot be read.
                """)
        @OptionGroup var folder: StoreCommand.Folder
        @Option(help: "The end that an earlier verification found, NUMBER:DIGEST.", transform: Verify.end)
        var since: AuditEnd?
        @Flag(help: "Print JSON.")
        var json = false

        private static func end(_ text: String) throws -> AuditEnd {
            guard let end = AuditEnd(text) else {
                throw ValidationError("--since takes NUMBER:DIGEST, as an earlier verification said it")
            }
            return end
        }
        private struct Result: Encodable {
            let sound: Bool
            let problem: String?
            let entries: Int
            let last: Int64
            let digest: String
        }

        func run() throws {
            let verdict: AuditVerdict
            do {
                verdict = try AuditChain.verify(folder: try folder.path(), known: since)
            } catch let error as StoreError {
                Output.failure(error.description)
                throw ExitStatus.usage
            }
            let result = Result(
                sound: verdict.problem == nil, problem: verdict.problem?.description, entries: verdict.entryCount,
                last: verdict.lastNumber, digest: verdict.digestText)
            if json {
                Output.json(result)
            } else if let problem = result.problem {
                Output.line("not as it was written: \(problem)")
            } else {
                Output.line("\(result.entries) entries, as they were written; the end: \(result.last):\(result.digest)")
            }
            if !result.sound { throw ExitStatus.no }
        }
    }
}

extension AuditResource {
    /// For a person.
    var line: String {
        let what = [kind, LogLines.visible(name), resource].filter { !$0.isEmpty }.joined(separator: " ")
        return "\(at)  \(LogLines.visible(actor))  \(action)  \(what)"
            + (detail.map { "  \(LogLines.visible($0))" } ?? "")
    }
}
