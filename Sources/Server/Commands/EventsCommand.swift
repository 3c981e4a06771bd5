// `sluice events tail|list|find|show|replay|erase`: asks a running gateway; `list` and `show` also read a data folder
// without one.
import ArgumentParser
import Engine
import FastPath
import Foundation

struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "See events and their deliveries, and send them again.",
        subcommands: [
            Tail.self, List.self, Find.self, Show.self, Why.self, Replay.self, Erase.self,
            RejectedCommand.self, ReverifyCommand.self,
        ])

    static let path = ControlAPI.base + "/events"

    struct Selection: ParsableArguments {
        @Option(help: "Only events of this source.")
        var source: String?
        @Option(help: "Only events of this type; * stands for anything.")
        var type: String?

        fileprivate func target(after: String?, limit: Int) -> String {
            URLText.target(
                EventsCommand.path, [("source", source), ("type", type), ("after", after), ("limit", "\(limit)")])
        }
        /// The latest, the oldest of them first.
        fileprivate func latest(_ gateway: GatewayOptions, limit: Int) async throws -> [EventRow] {
            var events: [EventRow] = []
            _ = try await gateway.pages(EventsCommand.path, [("source", source), ("type", type)], limit: limit) {
                events.append($0)
            }
            return events.reversed()
        }
    }

    struct Tail: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show events as they arrive.",
            discussion: """
                EXAMPLE
                  sluice events tail --source github
                """)
        @OptionGroup var gateway: GatewayOptions
        @OptionGroup var selection: Selection
        @Flag(help: "Print JSON, one line an event.")
        var json = false

        func run() async throws {
            var after = try await begin()
            while true {
                let path = selection.target(after: after, limit: EventQuery.limitMax)
                let page = try await gateway.ask { try await $0.resource(path, Page<EventRow>.self) }
                page.items.forEach(show)
                after = page.next ?? after
                if page.items.count < EventQuery.limitMax { try await Task.sleep(for: .milliseconds(500)) }
            }
        }
        private func show(_ event: EventRow) {
            if json { Output.json(event) } else { Output.line(event.line) }
        }
        /// Shows what is there, and says where to go on: behind the newest event of all, whatever is selected.
        private func begin() async throws -> String {
            var limit = 10
            while true {
                let path = URLText.target(EventsCommand.path, [("limit", "1")])
                let newest = try await gateway.ask { try await $0.resource(path, Page<EventRow>.self) }.items.first
                if let newest {
                    let latest = try await selection.latest(gateway, limit: limit)
                    latest.forEach(show)
                    return [newest, latest.last ?? newest].max { $0.sequence < $1.sequence }?.id ?? newest.id
                }
                // An empty log: all that comes is new.
                limit = EventQuery.limitMax
                try await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the latest events.",
            discussion: """
                EXAMPLES
                  sluice events list --type 'invoice.*' --limit 20
                  sluice events list --data ./sluice-data      (without a gateway)
                """)
        @OptionGroup var gateway: GatewayOptions
        @OptionGroup var selection: Selection
        @Option(help: "At most so many.")
        var limit = 50
        @Option(help: "Read this data folder instead of asking a gateway.", completion: .directory)
        var data: String?
        @Flag(help: "Print JSON, one line an event.")
        var json = false

        func validate() throws {
            guard (1...EventQuery.limitMax).contains(limit) else {
                throw ValidationError("--limit takes a number from 1 to \(EventQuery.limitMax)")
            }
        }
        func run() async throws {
            let events: [EventRow]
            if let data {
                var folder = LogCommand.Folder()
                folder.data = data
                events = try OfflineLog.latest(
                    EventFilter(source: selection.source, type: selection.type), limit: limit, folder)
            } else {
                events = try await selection.latest(gateway, limit: limit)
            }
            for event in events {
                if json { Output.json(event) } else { Output.line(event.line) }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one event as received, and its deliveries.",
            discussion: """
                EXAMPLE
                  sluice events show evt_0123456789abcdefghjkmnpqr
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(
            help: "Read this data folder instead of asking a gateway; deliveries are not shown then.",
            completion: .directory)
        var data: String?
        @Flag(help: "Print JSON.")
        var json = false
        @Flag(help: "Show credentials in header fields and the URL, too.")
        var reveal = false
        @Argument(help: "The event's id.")
        var event: String

        func validate() throws {
            if EventID(event) == nil {
                throw ValidationError("`\(event)` is not an event id: expected evt_ followed by 21 characters")
            }
        }
        func run() async throws {
            let detail: EventDetail
            if let data, let id = EventID(event) {
                var folder = LogCommand.Folder()
                folder.data = data
                guard let found = try OfflineLog.event(id, folder) else {
                    Output.failure("there is no event \(event) in \(data)")
                    throw ExitStatus.no
                }
                detail = reveal ? found : found.masked(CredentialMask())
            } else {
                let path = EventsCommand.path + "/\(event)" + (reveal ? "?reveal=true" : "")
                detail = EventDetail(try await gateway.ask { try await $0.resource(path, EventContent.self) })
            }
            if json { Output.json(detail) } else { Output.line(detail.text) }
        }
    }

    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Deliver events again: one, or all that match. Counts first.",
            discussion: """
                Without an event id it takes all that match and are finished, delivered or dead letters; with --dead
                only the latter. It says how many and changes nothing unless --yes is given.

                EXAMPLES
                  sluice events replay evt_0123456789abcdefghjkmnpqr --endpoint billing --yes
                  sluice events replay --dead --endpoint billing --from 2026-01-31T00:00:00Z
                """)
        @OptionGroup var gateway: GatewayOptions
        @OptionGroup var selection: Selection
        @Option(help: "Only to this endpoint.")
        var endpoint: String?
        @Option(help: "Only events received at or after this time (RFC 3339).")
        var from: String?
        @Option(help: "Only events received before this time (RFC 3339).")
        var until: String?
        @Flag(help: "Only dead letters.")
        var dead = false
        @Flag(help: "Do it.")
        var yes = false
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "One event's id.")
        var event: String?

        func validate() throws {
            if let event, EventID(event) == nil {
                throw ValidationError("`\(event)` is not an event id: expected evt_ followed by 21 characters")
            }
            try TimeOption.check([("--from", from), ("--until", until)])
        }
        func run() async throws {
            var request = ReplayRequest()
            request.event = event
            request.endpoint = endpoint
            request.source = selection.source
            request.type = selection.type
            request.from = from
            request.until = until
            request.dead = dead
            let counting = request
            var answer = try await replay(counting.order())
            if yes, answer.count > 0 {
                request.dryRun = false
                answer = try await replay(request.order())
            }
            if json { return Output.json(answer) }
            let what = answer.count == 1 ? "1 delivery" : "\(answer.count) deliveries"
            Output.line(
                answer.dryRun
                    ? (answer.count > 0 ? "\(what) would be made again; --yes does it" : "nothing matches")
                    : "\(what) on the way again")
        }
        private func replay(_ order: ReplayOrder) async throws -> ReplayResponse {
            let body = APIText.of(order)
            let outcome = try await gateway.ask {
                try await $0.change(ControlAPI.base + "/replays", body, ReplayOutcome.self)
            }
            return ReplayResponse(outcome)
        }
    }
}
