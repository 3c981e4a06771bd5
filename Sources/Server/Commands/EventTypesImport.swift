// `sluice event-types import`: a catalogue from a file of JSON, declared as far as it is new or different.
import ArgumentParser
import Engine
import Foundation

extension EventTypesCommand {
    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Declare the event types of a file: what is new is made, what differs is changed.",
            discussion: """
                The file is a list of event types as the API takes them (`name`, `description`, `schemas`, \
                `featureFlag`, `deprecated`, `archived`), an object with such a list as `data`, or a line for each, \
                as `list --json` prints them. All of it is looked at before anything is changed; a second import \
                changes nothing.

                EXAMPLES
                  sluice event-types import types.json --dry-run
                  sluice event-types list --all --with-schemas --json --profile test \\
                    | sluice event-types import - --profile prod

                Exit status: 0 done, 1 refused, 2 no gateway or usage.
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Say what would change, change nothing.")
        var dryRun = false
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The file; - for standard input.", completion: .file(extensions: ["json"]))
        var file: String

        private struct Outcome: Encodable {
            var dryRun: Bool
            var created: [String] = []
            var changed: [String] = []
            var unchanged = 0
        }

        func run() async throws {
            let wanted: [EventTypeEntry]
            do { wanted = try EventTypeEntry.list(try InputFile.read(file)) } catch let error as EventTypeFileError {
                throw ValidationError("\(file == "-" ? "standard input" : file): \(error.message)")
            }
            var there: [String: SvixItem] = [:]
            let query: [(name: String, value: String?)] = [("include_archived", "true"), ("with_content", "true")]
            _ = try await gateway.svixPages(EventTypesCommand.path, query, limit: Int.max) {
                there[$0.text("name") ?? ""] = $0
            }
            var outcome = Outcome(dryRun: dryRun)
            for entry in wanted {
                let known = there[entry.name]
                if let known, entry.isAs(known) {
                    outcome.unchanged += 1
                    continue
                }
                if !dryRun {
                    _ = try await gateway.svix(.put, EventTypesCommand.path(of: entry.name), entry.body)
                }
                if known == nil { outcome.created.append(entry.name) } else { outcome.changed.append(entry.name) }
            }
            if json { return Output.json(outcome) }
            for name in outcome.created { Output.line("created  \(name)") }
            for name in outcome.changed { Output.line("changed  \(name)") }
            let (created, changed) = (outcome.created.count, outcome.changed.count)
            Output.note(
                "\(created) created, \(changed) changed, \(outcome.unchanged) as they were"
                    + (dryRun ? " (a dry run: nothing was changed)" : ""))
        }
    }
}

package struct EventTypeFileError: Error, Equatable {
    package let message: String
}

/// One of a file.
package struct EventTypeEntry: Equatable, Sendable {
    package let name: String
    private let members: [String: JSONValue]
    private static let fields = ["description", "archived", "deprecated", "featureFlag", "schemas", "enforceSchema"]
    /// They are in what the API prints, and are the gateway's to say.
    private static let told: Set<String> = ["name", "createdAt", "updatedAt", "groupName"]

    /// All of a file; nothing is left out without a word.
    package static func list(_ bytes: [UInt8]) throws(EventTypeFileError) -> [EventTypeEntry] {
        var entries: [EventTypeEntry] = []
        var names: Set<String> = []
        for (index, value) in try values(bytes).enumerated() {
            let entry = try EventTypeEntry(value, "[\(index)]")
            guard names.insert(entry.name).inserted else {
                throw EventTypeFileError(message: "[\(index)]: `\(entry.name)` is there twice")
            }
            entries.append(entry)
        }
        return entries
    }
    private static func values(_ bytes: [UInt8]) throws(EventTypeFileError) -> [JSONValue] {
        switch try? JSONReading.value(bytes) {
        case .list(let values)?: return values
        case .object(let members)?:
            if case .list(let values)? = members["data"] { return values }
            return [.object(members)]
        default: break
        }
        var values: [JSONValue] = []
        for (index, line) in bytes.split(separator: 0x0A).enumerated() {
            guard let value = try? JSONReading.value(Array(line)) else {
                throw EventTypeFileError(
                    message: "it is neither a list of event types in JSON nor a line for each (line \(index + 1))")
            }
            values.append(value)
        }
        return values
    }
    private init(_ value: JSONValue, _ place: String) throws(EventTypeFileError) {
        guard case .object(let members) = value else {
            throw EventTypeFileError(message: "\(place): must be an object, not \(value.kind)")
        }
        guard case .text(let name)? = members["name"], SvixRules.isLabel(name) else {
            throw EventTypeFileError(message: "\(place).name: \(SvixRules.aboutLabel())")
        }
        let known = EventTypeEntry.fields + EventTypeEntry.told
        if let strange = members.keys.sorted().first(where: { !known.contains($0) }) {
            let advice = NearestName.of(strange, among: known).map { "; did you mean `\($0)`?" } ?? ""
            throw EventTypeFileError(message: "\(place).\(strange): is not known\(advice)")
        }
        let body = SvixEventType.updateSchema
        let own = members.filter { EventTypeEntry.fields.contains($0.key) && $0.value != .null }
        self.name = name
        self.members = own.merging(["description": .text("")]) { given, _ in given }
        if let problem = SchemaCheck.errors(.object(self.members), body, path: place).first {
            throw EventTypeFileError(message: problem.line)
        }
    }
    /// What a replacement says: what the file leaves out takes its default.
    package var body: JSONValue { .object(members) }

    func isAs(_ item: SvixItem) -> Bool {
        EventTypeEntry.fields.allSatisfy { field in
            func said(_ value: JSONValue?) -> JSONValue? {
                value == .null || value == .bool(false) || value == .text("") ? nil : value
            }
            return said(members[field]) == said(item.members[field])
        }
    }
}
