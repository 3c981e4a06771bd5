// `sluice repairs retry|cancel|forward|list|show|stop`: what went wrong put right in bulk, counted first.
import ArgumentParser
import Engine
import FastPath

struct RepairsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repairs",
        abstract: "Retry, cancel or forward all deliveries that match; counts first.",
        discussion: """
            A repair goes on in the gateway, over a restart too, whether or not this command waits for it.

            EXAMPLES
              sluice repairs retry --endpoint billing --class authentication
              sluice repairs retry --endpoint billing --from 2026-01-31T00:00:00Z --per-second 50 --yes
            """,
        subcommands: [Retry.self, Cancel.self, Forward.self, List.self, Show.self, Stop.self])

    static let path = ControlAPI.base + "/repairs"

    struct Selection: ParsableArguments {
        @Option(help: "Only deliveries of this endpoint: id, uid or name.")
        var endpoint: String?
        @Option(help: "Only this event's; may be given several times, with --endpoint.")
        var event: [String] = []
        @Option(help: "Only those of events of this source.")
        var source: String?
        @Option(help: "Only those of events of this type; * stands for anything.")
        var type: String?
        @Option(name: .customLong("class"), help: "Only those that failed so: network, authentication, tls, …")
        var failureClass: String?
        @Option(help: "Only those whose last answer was so: 503, or 5xx.")
        var status: String?
        @Option(help: "Only those of events received at or after this time (RFC 3339).")
        var from: String?
        @Option(help: "Only those of events received before this time (RFC 3339).")
        var until: String?
        @Option(help: "Only those whose last attempt ended at or after this time (RFC 3339).")
        var failedFrom: String?
        @Option(help: "Only those whose last attempt ended before this time (RFC 3339).")
        var failedUntil: String?

        func validate() throws {
            try TimeOption.check([
                ("--from", from), ("--until", until), ("--failed-from", failedFrom), ("--failed-until", failedUntil),
            ])
            if let wrong = event.first(where: { EventID($0) == nil }) {
                throw ValidationError("`\(wrong)` is not an event id: evt_ and 21 characters")
            }
            if !event.isEmpty, endpoint == nil { throw ValidationError("--event goes with --endpoint") }
            if let status, StatusRange.parse(status) == nil {
                throw ValidationError("--status takes \(StatusRange.form)")
            }
        }
        func draft(_ action: RepairAction) -> RepairDraft {
            var draft = RepairDraft(action: action.rawValue)
            (draft.endpoint, draft.source, draft.type, draft.class) = (endpoint, source, type, failureClass)
            (draft.status, draft.from, draft.until) = (status, from, until)
            draft.events = event.isEmpty ? nil : event
            (draft.failedFrom, draft.failedUntil) = (failedFrom, failedUntil)
            return draft
        }
    }

    /// Of what is sent once more: which of what has ended.
    struct Ended: ParsableArguments {
        @Option(help: "Only dead letters of this reason, such as retries_exhausted.")
        var reason: String?
        @Flag(help: "What succeeded too; asks for --endpoint.")
        var delivered = false

        func narrowed(_ draft: RepairDraft) -> RepairDraft {
            var draft = draft
            draft.reason = reason
            if delivered { draft.states = [.dead, .delivered] }
            return draft
        }
    }

    /// Counts, and with `--yes` does it and shows how far it comes.
    struct Doing: ParsableArguments {
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "So many deliveries a second at most.")
        var perSecond = RepairOrder.perSecondDefault
        @Flag(help: "Do it.")
        var yes = false
        @Flag(help: "Do not wait for the end.")
        var detach = false
        @Flag(help: "Print JSON: the repair as it is at the end.")
        var json = false

        func validate() throws {
            guard RepairOrder.perSecondRange.contains(perSecond) else {
                throw ValidationError("--per-second takes a number from 1 to \(RepairOrder.perSecondRange.upperBound)")
            }
        }
        func run(_ draft: RepairDraft) async throws {
            var draft = draft
            draft.perSecond = perSecond
            var repair = try await follow(try await begin(draft), "counting")
            guard repair.state == RepairState.finished.rawValue else { throw failed(repair) }
            guard yes, repair.matched > 0 else { return say(repair) }
            draft.dryRun = false
            let counted = repair.matched
            repair = try await begin(draft)
            if !detach { repair = try await follow(repair, "of \(counted)") }
            say(repair)
            if repair.state == RepairState.failed.rawValue { throw ExitStatus.no }
        }
        private func begin(_ draft: RepairDraft) async throws -> RepairResource {
            let body = APIText.of(draft)
            return try await gateway.ask { try await $0.change(RepairsCommand.path, body, RepairResource.self) }
        }
        private func follow(_ begun: RepairResource, _ what: String) async throws -> RepairResource {
            let path = RepairsCommand.path + "/\(begun.id)"
            var repair = begun
            var wait = 50
            while !repair.isOver {
                try await Task.sleep(for: .milliseconds(wait))
                wait = min(wait * 2, 1000)
                repair = try await gateway.ask { try await $0.resource(path, RepairResource.self) }
                if wait >= 800, !json { Output.note("\(repair.dryRun ? repair.matched : repair.done) \(what)") }
            }
            return repair
        }
        private func failed(_ repair: RepairResource) -> ExitCode {
            Output.failure("the count \(repair.state)" + (repair.note.map { ": \($0)" } ?? ""))
            return ExitStatus.no
        }
        private func say(_ repair: RepairResource) {
            if json { return Output.line(APIText.of(repair)) }
            guard repair.dryRun else { return Output.line(repair.line) }
            let what = repair.matched == 1 ? "1 delivery" : "\(repair.matched) deliveries"
            var words = repair.matched > 0 ? "\(what) would be taken; --yes does it" : "nothing matches"
            if repair.stopped > 0 { words += "; \(repair.stopped) more are for endpoints that are disabled" }
            if repair.busy > 0 { words += "; \(repair.busy) are on their way already" }
            if repair.eventsGone > 0 { words += "; the events of \(repair.eventsGone) are gone" }
            Output.line(words)
        }
    }

    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send dead letters again, or with --delivered also what succeeded.",
            discussion: """
                EXAMPLES
                  sluice repairs retry --endpoint billing --reason retries_exhausted
                  sluice repairs retry --endpoint billing --failed-from 2026-01-31T00:00:00Z --per-second 50 --yes
                """)
        @OptionGroup var doing: Doing
        @OptionGroup var selection: Selection
        @OptionGroup var ended: Ended

        func run() async throws { try await doing.run(ended.narrowed(selection.draft(.retry))) }
    }

    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give up what waits for another attempt; it can be retried as a dead letter.",
            discussion: """
                EXAMPLE
                  sluice repairs cancel --endpoint billing --type 'invoice.*' --yes
                """)
        @OptionGroup var doing: Doing
        @OptionGroup var selection: Selection

        func run() async throws { try await doing.run(selection.draft(.cancel)) }
    }

    struct Forward: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send dead letters, or with --delivered also what succeeded, to another endpoint.",
            discussion: """
                EXAMPLE
                  sluice repairs forward --endpoint billing --to billing-2 --yes
                """)
        @OptionGroup var doing: Doing
        @OptionGroup var selection: Selection
        @Option(help: "Where they go: id, uid or name of an endpoint of the same tenant.")
        var to: String
        @OptionGroup var ended: Ended

        func run() async throws {
            var draft = ended.narrowed(selection.draft(.forward))
            draft.to = to
            try await doing.run(draft)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List repairs, newest first.",
            discussion: """
                EXAMPLE
                  sluice repairs list --limit 10
                """)
        @OptionGroup var gateway: GatewayOptions
        @OptionGroup var page: PageOptions
        @Flag(help: "Print JSON, one line a repair.")
        var json = false

        func run() async throws {
            try await page.each(gateway, RepairsCommand.path, []) { (repair: RepairResource) in
                Output.line(json ? APIText.of(repair) : repair.line)
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a repair and how far it has come.",
            discussion: """
                EXAMPLE
                  sluice repairs show rpr_0123456789abcdefghjkmnpqrs
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The repair's id.")
        var repair: String

        func run() async throws {
            let path = RepairsCommand.path + "/" + URLText.encoded(repair)
            let found = try await gateway.ask { try await $0.resource(path, RepairResource.self) }
            Output.line(json ? APIText.of(found) : found.line)
        }
    }

    struct Stop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End a repair; what it has done is done.",
            discussion: """
                EXAMPLE
                  sluice repairs stop rpr_0123456789abcdefghjkmnpqrs
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The repair's id.")
        var repair: String

        func run() async throws {
            let path = RepairsCommand.path + "/" + URLText.encoded(repair) + "/cancel"
            let ended = try await gateway.ask { try await $0.change(path, nil, RepairResource.self) }
            Output.line(json ? APIText.of(ended) : ended.line)
        }
    }
}

extension RepairResource {
    /// One line for a person.
    var line: String {
        var words = "\(createdAt)  \(id)  \(action)  \(state)"
        words += dryRun ? "  counted \(matched)" : "  \(done) done of \(matched)"
        if let endpoint { words += "  \(endpoint.name)" }
        if let to { words += " → \(to.name)" }
        if stopped > 0 { words += "  \(stopped) at disabled endpoints" }
        if busy > 0 { words += "  \(busy) on their way already" }
        if eventsGone > 0 { words += "  \(eventsGone) events gone" }
        if let note { words += "  (\(LogLines.visible(note)))" }
        return words
    }
}

extension DeliveriesCommand {
    struct Cancel: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give up a delivery that waits for another attempt.",
            discussion: """
                EXAMPLE
                  sluice deliveries cancel evt_0123456789abcdefghjkmnpqr billing
                """)
        @OptionGroup var target: Target

        func run() async throws {
            let path = target.path + "/cancel"
            let now = try await target.gateway.ask { try await $0.change(path, nil, DeliveryResource.self) }
            Output.line(target.json ? APIText.of(now) : now.line)
        }
    }

    struct DeadLetters: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "dead", abstract: "Count dead letters by endpoint, class and reason.",
            discussion: """
                EXAMPLE
                  sluice deliveries dead --endpoint billing
                """)
        @OptionGroup var gateway: GatewayOptions
        @Option(help: "Only those of this endpoint: id, uid or name.")
        var endpoint: String?
        @OptionGroup var page: PageOptions
        @Flag(help: "Print JSON, one line an endpoint.")
        var json = false

        func run() async throws {
            let path = ControlAPI.base + "/dead-letters/counts"
            try await page.each(gateway, path, [("endpoint", endpoint)]) { (found: DeadLetterCounts) in
                guard !json else { return Output.line(APIText.of(found)) }
                Output.line("\(found.endpoint.name)  \(found.total)")
                for one in found.counts { Output.line("  \(one.count)  \(one.class)  \(one.reason)") }
            }
        }
    }
}
