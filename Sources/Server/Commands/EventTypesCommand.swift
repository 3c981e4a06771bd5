// `sluice event-types list|show|create|update|archive|import`: what events there are to be asked for.
import ArgumentParser
import Engine
import Foundation

struct EventTypesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "event-types",
        abstract: "See the event types that endpoints may ask for; declare and change them.",
        discussion: """
            EXAMPLE
              sluice event-types create invoice.paid --description 'An invoice was paid.'
            """,
        subcommands: [List.self, Show.self, Create.self, Update.self, Archive.self, Import.self])

    static let path = ControlAPI.base + "/event-type"
    static func path(of name: String) -> String { path + "/" + URLText.encoded(name) }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List event types by name.",
            discussion: """
                EXAMPLES
                  sluice event-types list
                  sluice event-types list --archived --with-schemas --all --json > types.json
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Archived ones too.")
        var archived = false
        @Flag(help: "With their schemas, for --json.")
        var withSchemas = false
        @OptionGroup var page: PageOptions
        @Flag(help: "Print JSON, one line an event type.")
        var json = false

        func run() async throws {
            let query = [
                ("include_archived", archived ? "true" : nil), ("with_content", withSchemas ? "true" : nil),
            ]
            try await page.eachSvix(gateway, EventTypesCommand.path, query) {
                Output.line(json ? $0.json : $0.typeLine)
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one event type; with --json its schemas too.",
            discussion: """
                EXAMPLE
                  sluice event-types show invoice.paid --json
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "Its name.")
        var name: String

        func run() async throws {
            let found = try await gateway.svix(.get, EventTypesCommand.path(of: name))
            Output.line(json ? found.json : found.typeLine)
        }
    }

    /// What is said of an event type.
    struct Fields: ParsableArguments {
        @Option(help: "Only tokens that have this flag see it; an empty text: all of them.")
        var featureFlag: String?
        @Option(
            name: .customLong("schema"), help: "VERSION=FILE: the JSON Schema of a version; may be repeated.",
            completion: .file())
        var schemas: [String] = []
        @Flag(inversion: .prefixedNo, help: "New endpoints should not ask for it.")
        var deprecated: Bool?
        @Flag(inversion: .prefixedNo, help: "Refuse what breaks the newest schema (docs/schemas.md).")
        var enforceSchema: Bool?

        func members() throws -> [String: JSONValue] {
            var members: [String: JSONValue] = [:]
            members["featureFlag"] = featureFlag.map { $0.isEmpty ? .null : .text($0) }
            members["deprecated"] = deprecated.map { .bool($0) }
            members["enforceSchema"] = enforceSchema.map { .bool($0) }
            var versions: [String: JSONValue] = [:]
            for text in schemas {
                guard let sign = text.firstIndex(of: "="), sign != text.startIndex else {
                    throw ValidationError("--schema takes VERSION=FILE")
                }
                let file = String(text[text.index(after: sign)...])
                guard let schema = try? JSONReading.value(try InputFile.read(file))
                else { throw ValidationError("`\(file)` is not JSON") }
                versions[String(text[..<sign])] = schema
            }
            if !versions.isEmpty { members["schemas"] = .object(versions) }
            return members
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Declare an event type, or bring an archived one back.",
            discussion: """
                EXAMPLE
                  sluice event-types create invoice.paid --description 'An invoice was paid.' --schema 1=paid.json
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "In people's words.")
        var description = ""
        @OptionGroup var fields: Fields
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "Its name: 1 to 256 of a-z A-Z 0-9 - _ .")
        var name: String

        func run() async throws {
            var members = try fields.members()
            members["name"] = .text(name)
            members["description"] = .text(description)
            let made = try await gateway.svix(.post, EventTypesCommand.path, .object(members))
            Output.line(json ? made.json : made.typeLine)
        }
    }

    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change what is named of an event type, and nothing else.",
            discussion: """
                EXAMPLES
                  sluice event-types update invoice.paid --description 'An invoice was paid in full.'
                  sluice event-types update invoice.paid --deprecated
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "In people's words.")
        var description: String?
        @OptionGroup var fields: Fields
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "Its name.")
        var name: String

        func run() async throws {
            var members = try fields.members()
            members["description"] = description.map { .text($0) }
            let changed: SvixItem = try await gateway.patch(
                EventTypesCommand.path(of: name), members, naming: "--description, --schema, …")
            Output.line(json ? changed.json : changed.typeLine)
        }
    }

    struct Archive: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put an event type away: no endpoint can ask for it from then on; `create` brings it back.",
            discussion: """
                EXAMPLE
                  sluice event-types archive invoice.paid
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Remove it for good.")
        var expunge = false
        @Argument(help: "Its name.")
        var name: String

        func run() async throws {
            let target = URLText.target(
                EventTypesCommand.path(of: name), [("expunge", expunge ? "true" : nil)])
            try await gateway.ask { try await $0.remove(target) }
        }
    }
}

extension SvixItem {
    /// One line for a person.
    var typeLine: String {
        let states = [flag("archived") ? "archived" : nil, flag("deprecated") ? "deprecated" : nil].compactMap(\.self)
        let flags = text("featureFlag").map { ["for \($0)"] } ?? []
        let more = (states + flags).joined(separator: ", ")
        return "\(text("name") ?? "")\(more.isEmpty ? "" : "  (\(more))")  "
            + LogLines.visible(text("description") ?? "")
    }
}
