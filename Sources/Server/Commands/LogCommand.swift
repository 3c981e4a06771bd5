// `sluice log check|stats|show`: reads a log offline, read-only, beside a running gateway or without one.
import ArgumentParser
import Engine
import FastPath
import Foundation

struct LogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Read a data folder's log, read-only.",
        subcommands: [Check.self, Stats.self, Show.self])

    struct Folder: ParsableArguments {
        @Argument(help: "The data folder.", completion: .directory)
        var data = "./sluice-data"

        /// The whole log, or from a sequence on.
        func read(
            from sequence: UInt64 = 1, visit: (RecordView, RecordPosition) -> Bool = { _, _ in true }
        ) throws -> LogSummary {
            do {
                return try LogCheck.run(path: data, from: sequence, visit: visit)
            } catch {
                Output.failure(error.forReading)
                throw ExitStatus.usage
            }
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read and verify every record.",
            discussion: """
                EXAMPLE
                  sluice log check ./sluice-data

                Exit status: 0 sound (an unfinished end is no damage), 1 damaged, 2 no log there.
                """)
        @OptionGroup var folder: Folder
        @Flag(help: "Print JSON.")
        var json = false

        private struct CheckResult: Encodable {
            let sound: Bool
            let records: Int
            let damages: [String]
            let unfinishedBytes: Int
            let beingErased: Int
        }

        func run() throws {
            let summary = try folder.read()
            let damages = summary.damages.map(\.text)
            if json {
                Output.json(
                    CheckResult(
                        sound: summary.isSound, records: summary.recordCount, damages: damages,
                        unfinishedBytes: summary.tornTail?.byteCount ?? 0, beingErased: summary.erasingCount))
            } else {
                for damage in damages { Output.line("damage: \(damage)") }
                if let tail = summary.tornTail {
                    Output.line(
                        "unfinished end: \(tail.byteCount) bytes that were never acknowledged, or are being written now"
                    )
                }
                if summary.erasingCount > 0 {
                    Output.line(
                        "being erased: \(summary.erasingCount) records, by a running gateway or by the next start")
                }
                let verdict = summary.isSound ? "sound" : "\(damages.count) damages"
                Output.line("\(summary.recordCount) records in \(summary.segments.count) segments: \(verdict)")
            }
            if !summary.isSound { throw ExitStatus.no }
        }
    }

    struct Stats: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Count what is in the log.",
            discussion: """
                EXAMPLE
                  sluice log stats ./sluice-data --json
                """)
        @OptionGroup var folder: Folder
        @Flag(help: "Print JSON.")
        var json = false

        private struct Statistics: Encodable {
            struct Source: Encodable {
                let records: Int
                let bytes: Int
            }
            let log: String
            let segments: Int
            let segmentBytes: Int
            let records: Int
            let recordBytes: Int
            let bodyBytes: Int
            let erased: Int
            let firstSequence: UInt64?
            let lastSequence: UInt64?
            let firstReceivedAt: String?
            let lastReceivedAt: String?
            let sources: [String: Source]
            let damages: Int
        }

        func run() throws {
            let summary = try folder.read()
            let statistics = Statistics(
                log: String(summary.logIdentity, radix: 16), segments: summary.segments.count,
                segmentBytes: summary.segments.reduce(0) { $0 + $1.byteCount }, records: summary.recordCount,
                recordBytes: summary.recordBytes, bodyBytes: summary.bodyBytes, erased: summary.erasedCount,
                firstSequence: summary.firstSequence,
                lastSequence: summary.lastSequence,
                firstReceivedAt: summary.firstReceivedAt.map(TimeText.of(nanoseconds:)),
                lastReceivedAt: summary.lastReceivedAt.map(TimeText.of(nanoseconds:)),
                sources: summary.sources.mapValues { Statistics.Source(records: $0.recordCount, bytes: $0.byteCount) },
                damages: summary.damages.count)
            if json { return Output.json(statistics) }
            Output.line("segments  \(statistics.segments) (\(ByteSize.approximate(statistics.segmentBytes)))")
            Output.line(
                "records   \(statistics.records) (\(ByteSize.approximate(statistics.recordBytes)), "
                    + "bodies \(ByteSize.approximate(statistics.bodyBytes)))")
            if statistics.erased > 0 { Output.line("erased    \(statistics.erased)") }
            if let first = statistics.firstSequence, let last = statistics.lastSequence {
                Output.line("sequences \(first) to \(last)")
                Output.line("received  \(statistics.firstReceivedAt ?? "-") to \(statistics.lastReceivedAt ?? "-")")
            }
            for (name, source) in statistics.sources.sorted(by: { $0.key < $1.key }) {
                Output.line(
                    "source    \(LogLines.quoted(name)): \(source.records) records, "
                        + ByteSize.approximate(source.bytes)
                )
            }
            if statistics.damages > 0 { Output.line("damages   \(statistics.damages) (`sluice log check` lists them)") }
        }
    }

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show records: all of one, or a line each.",
            discussion: """
                EXAMPLES
                  sluice log show ./sluice-data --event evt_0123456789abcdefghjkmnpqr
                  sluice log show ./sluice-data --from 1000 --limit 20
                """)
        @OptionGroup var folder: Folder
        @Option(help: "The first sequence.")
        var from: UInt64 = 1
        @Option(help: "At most so many; without it all.")
        var limit: Int?
        @Flag(help: "Print JSON, one line a record, headers and body included.")
        var json = false
        @Option(help: "One event, by its id.")
        var event: String?

        func validate() throws {
            if let limit, limit < 1 { throw ValidationError("--limit takes a number from 1") }
            if let event, EventID(event) == nil {
                throw ValidationError("`\(event)` is not an event id: expected evt_ followed by 21 characters")
            }
        }

        func run() throws {
            if let event, let id = EventID(event) { return try showOne(id) }
            let identity = try LogIdentityReading.identity(folder)
            var left = limit ?? .max
            _ = try folder.read(from: from) { record, _ in
                if json {
                    Output.json(EventDetail(record, logIdentity: identity, deliveries: []))
                } else {
                    Output.line(EventRow(record, logIdentity: identity).line)
                }
                left -= 1
                return left > 0
            }
        }
        private func showOne(_ id: EventID) throws {
            guard let detail = try OfflineLog.event(id, folder) else {
                Output.failure("there is no event \(id.text) in \(folder.data)")
                throw ExitStatus.no
            }
            if json { Output.json(detail) } else { Output.line(detail.text) }
        }
    }
}

enum LogIdentityReading {
    static func identity(_ folder: LogCommand.Folder) throws -> UInt64 {
        do {
            return try LogFolder(path: folder.data, access: .readOnly).identity.identity
        } catch {
            Output.failure(error.forReading)
            throw ExitStatus.usage
        }
    }
}

extension LogOpenError {
    /// The words for somebody who wants to read a folder and makes none.
    var forReading: String {
        let advice = "name the data folder of a gateway, the `data:` of its configuration"
        return switch self {
        case .folderUnusable(let path, ENOENT): "there is no folder \(path); \(advice)"
        case .folderUnusable(let path, ENOTDIR): "\(path) is no folder; \(advice)"
        case .folderUnusable(let path, let error): "\(path) cannot be read: \(systemText(error))"
        case .foreign(let path, let what): "\(path) is not a data folder of sluice: \(what); \(advice)"
        default: description
        }
    }
}

enum OfflineLog {
    /// One event, or nil when the log has it not (any more) or the id is of another log.
    static func event(_ id: EventID, _ folder: LogCommand.Folder) throws -> EventDetail? {
        let identity = try LogIdentityReading.identity(folder)
        guard EventID(logIdentity: identity, sequence: id.sequence) == id else { return nil }
        var found: EventDetail?
        _ = try folder.read(from: id.sequence) { record, _ in
            if record.sequence == id.sequence { found = EventDetail(record, logIdentity: identity, deliveries: []) }
            return false
        }
        return found
    }
    /// The last `limit` events that the filter takes, in their order.
    static func latest(_ filter: EventFilter, limit: Int, _ folder: LogCommand.Folder) throws -> [EventRow] {
        let identity = try LogIdentityReading.identity(folder)
        var rows: [EventRow] = []
        let summary = try folder.read { record, _ in
            guard filter.takes(record) else { return true }
            rows.append(EventRow(record, logIdentity: identity))
            if rows.count >= 2 * limit { rows.removeFirst(rows.count - limit) }
            return true
        }
        if let source = filter.source, summary.sources[source] == nil {
            let known = summary.sources.keys.sorted()
            Output.failure(ControlError.unknown(.noSuchSource, "event of source", source, known: known).message)
            throw ExitStatus.no
        }
        return rows.suffix(limit)
    }
}
