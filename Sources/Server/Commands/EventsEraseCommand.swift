// `sluice events erase ID`: takes an event's content out of a running gateway's log.
import ArgumentParser
import Engine
import FastPath

extension EventsCommand {
    struct Erase: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Erase an event's content from the log, for good.",
            discussion: """
                The event stays with its id, time and type, and its duplicates are still recognised; what was sent with
                it is overwritten on the disk, and what waits for delivery of it is given up. Backups of the data folder
                still have it. Nothing is changed unless --yes is given.

                EXAMPLE
                  sluice events erase evt_0123456789abcdefghjkmnpqr --yes
                """)
        @OptionGroup var gateway: GatewayOptions
        @Flag(help: "Do it.")
        var yes = false
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: "The event's id.")
        var event: String

        func validate() throws {
            if EventID(event) == nil {
                throw ValidationError("`\(event)` is not an event id: expected evt_ followed by 21 characters")
            }
        }
        func run() async throws {
            let path = EventsCommand.path + "/" + event
            guard yes else {
                let found = try await gateway.ask { try await $0.resource(path, EventContent.self) }
                if json { return Output.json(found.event) }
                Output.line(found.event.line)
                return Output.line(
                    found.event.erased == true ? "it is erased already" : "its content would be erased; --yes does it")
            }
            let answer = try await gateway.ask {
                try await $0.change(path + "/content", nil, ErasureAnswer.self, method: .delete)
            }
            Output.line(json ? APIText.of(answer) : "\(answer.event): its content is erased from the log")
        }
    }
}
