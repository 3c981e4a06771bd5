// `sluice store check|rebuild`: looks at the delivery store, and makes a new one beside a log whose store was lost.
import ArgumentParser
import Engine
import FastPath
import Foundation

struct StoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Check the delivery store, or make a new one when it is lost or damaged.",
        subcommands: [Check.self, Rebuild.self])

    struct Folder: ParsableArguments {
        @Option(
            help: "The configuration file, which names the data folder.",
            completion: .file(extensions: ["yaml", "yml"]))
        var config: String?
        @Option(help: "The data folder, instead of the configuration's.", completion: .directory)
        var data: String?

        func path() throws -> String {
            if let data { return data }
            guard let config else { return "./sluice-data" }
            return try ConfigurationInput.read(config).dataFolder
        }
        func masterKey() throws -> MasterKeyPlace {
            guard let config else { return .dataFolder }
            return try ConfigurationInput.read(config).process.masterKey
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read the store and the history of deliveries, and say what is wrong with them.",
            discussion: """
                Changes nothing and works beside a running gateway.

                EXAMPLE
                  sluice store check --config sluice.yaml

                Exit status: 0 sound, 1 missing or damaged, 2 it cannot be read.
                """)
        @OptionGroup var folder: Folder
        @Flag(help: "Print JSON.")
        var json = false

        private struct Result: Encodable {
            let sound: Bool
            let problem: String?
            let historyProblems: [String]
            let pending: Int
            let deadLetters: Int
            let finished: Int
        }

        func run() throws {
            let path = try folder.path()
            let report = try StoreCommand.check(path)
            let result = Result(
                sound: report.problem == nil && report.historyProblems.isEmpty, problem: report.problem?.description,
                historyProblems: report.historyProblems, pending: report.pending, deadLetters: report.dead,
                finished: report.historyRows)
            if json {
                Output.json(result)
            } else {
                if let problem = result.problem { Output.line("problem: \(problem)") }
                for problem in result.historyProblems { Output.line("history: \(problem)") }
                Output.line(
                    "\(result.pending) pending, \(result.deadLetters) dead letters, \(result.finished) finished: "
                        + (result.sound ? "sound" : "not sound"))
            }
            if !result.sound { throw ExitStatus.no }
        }
    }

    struct Rebuild: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a new store, so that events that are still in the log are delivered again.",
            discussion: """
                For a data folder whose store.sqlite is missing or damaged while its log has events. The damaged file
                and the history of deliveries are moved aside. At the next start every endpoint gets the events from
                --from on, also those it had already, with the same webhook-id. Dead letters, the audit log and how far
                each endpoint was are lost. Tenants, keys, and what was made through the API are kept where they can
                be read; where they cannot, the command says so: numbers are then given anew, and where there are
                tenants besides `default`, restore a backup instead; refused requests are then moved aside as
                well. The gateway must not run meanwhile.

                EXAMPLES
                  sluice store rebuild --config sluice.yaml
                  sluice store rebuild --config sluice.yaml --from 2026-11-20T08:00:00Z
                  sluice store rebuild --config sluice.yaml --from evt_0123456789abcdefghjkmnpqr

                Exit status: 0 made, 1 the store is sound and stays as it is, 2 the folder cannot be used.
                """)
        @OptionGroup var folder: Folder
        @Option(help: "Where deliveries begin: beginning, end, a time, or an event's id.")
        var from = "beginning"

        func validate() throws {
            if RebuildStart(from) == nil {
                throw ValidationError(
                    "--from takes `beginning`, `end`, a time such as 2026-11-20T08:00:00Z, or an event's id")
            }
        }

        func run() throws {
            let path = try folder.path()
            guard let start = RebuildStart(from) else { throw ExitStatus.usage }
            do {
                let log = try LogFolder(path: path, access: .exclusive)
                guard let problem = try StoreCommand.check(path).problem else {
                    Output.failure("the store is sound; nothing was changed")
                    throw ExitStatus.no
                }
                let place = try start.place(path, logIdentity: log.identity.identity)
                let report = try StoreRebuild.run(
                    folder: path, logIdentity: log.identity.identity, shared: place, masterKey: folder.masterKey())
                withExtendedLifetime(log) {}
                Output.note(problem.cause)
                for name in report.movedAside { Output.line("moved aside: \(name)") }
                let first = EventID(logIdentity: log.identity.identity, sequence: place.sequence)
                Output.line("new store: deliveries begin with event \(first.text)")
                if !report.keepsRegistry {
                    Output.note(
                        "tenants, keys, and what was made through the API could not be read and are lost; events "
                            + "of tenants besides `default` may now be another tenant's: restore a backup where there "
                            + "are any"
                    )
                }
            } catch let error as LogOpenError {
                Output.failure(error.description)
                throw ExitStatus.usage
            } catch let error as StoreError {
                Output.failure(error.description)
                throw ExitStatus.usage
            } catch let error as MasterKeyError {
                Output.failure(error.description)
                throw ExitStatus.usage
            }
        }
    }

    /// The check, with the number of events that the log holds.
    fileprivate static func check(_ path: String) throws -> StoreCheck.Report {
        do {
            return try StoreCheck.run(folder: path) { UInt64(try LogCheck.run(path: path).recordCount) }
        } catch let error as LogOpenError {
            Output.failure(error.description)
            throw ExitStatus.usage
        } catch let error as StoreError {
            Output.failure(error.description)
            throw ExitStatus.usage
        }
    }
}

/// What `--from` names.
private enum RebuildStart {
    case beginning, end
    case time(UInt64)
    case event(EventID)

    init?(_ text: String) {
        switch text {
        case "beginning": self = .beginning
        case "end": self = .end
        default:
            if let event = EventID(text) {
                self = .event(event)
            } else if let time = TimeText.parse(text) {
                self = .time(time)
            } else {
                return nil
            }
        }
    }

    func place(_ path: String, logIdentity: UInt64) throws -> EventLocation {
        switch self {
        case .beginning, .end:
            let summary = try LogCheck.run(path: path)
            let next = summary.lastSequence.map { $0 + 1 } ?? summary.segments.last?.firstSequence ?? 1
            let isBeginning = if case .beginning = self { true } else { false }
            return EventLocation(sequence: isBeginning ? summary.firstSequence ?? next : next, position: 0)
        case .event(let id):
            guard EventID(logIdentity: logIdentity, sequence: id.sequence) == id else {
                Output.failure("the event \(id.text) is of another log")
                throw ExitStatus.usage
            }
            return EventLocation(sequence: id.sequence, position: 0)
        case .time(let time):
            var found: UInt64?
            var last: UInt64 = 0
            _ = try LogCheck.run(path: path) { record, _ in
                last = record.sequence
                if record.receivedAt >= time { found = record.sequence }
                return found == nil
            }
            return EventLocation(sequence: found ?? last + 1, position: 0)
        }
    }
}
