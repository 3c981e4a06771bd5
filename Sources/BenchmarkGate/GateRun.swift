// A benchmark run as a file: where it was measured, what of, and each figure as rounds of subject beside yardstick.
// Versioned JSON, so that a baseline committed today is readable in a year or refused with an explanation. Pure: bytes
// in, values or a problem out.
//
// Invariants of a `GateRun` that was read: it has figures, no name twice, each figure has rounds, and every number of a
// round is finite and above zero. If these failed, a ratio would be infinite and the verdict on it arbitrary.
import Foundation

/// What a comparison needs to know of the machine. Two runs compare when their shapes are the same.
package struct GateMachine: Codable, Equatable, Sendable {
    package var architecture: String
    package var processor: String
    package var processorCount: Int
    package var kernel: String
    /// A fingerprint of the libraries whose code is on the measured path; instruction counts hold for one of them only.
    package var libraries: String
    /// What was chosen for the processor where instructions were counted; nil when none were, or in older files.
    package var features: String?

    package init(
        architecture: String, processor: String, processorCount: Int, kernel: String, libraries: String,
        features: String? = nil
    ) {
        self.architecture = architecture
        self.processor = processor
        self.processorCount = processorCount
        self.kernel = kernel
        self.libraries = libraries
        self.features = features
    }
    /// The kernel is no part of it: yardstick and subject ran on the same one.
    package var shape: String { "\(architecture), \(processor), \(processorCount) processors" }
}

package enum GateDirection: String, Codable, Sendable, CaseIterable {
    case higher
    case lower
}

package enum GateFigureKind: String, Codable, Sendable, CaseIterable {
    /// Timed, so every round differs.
    case ratio
    /// Instructions: the same in each round, so any difference is the code's.
    case count
}

/// How much was measured, and so how small a slowdown the verdict answers for.
package enum GateEffort: String, Codable, Sendable, CaseIterable {
    case quick
    case full
}

package struct GateRound: Codable, Equatable, Sendable {
    package var subject: Double
    package var yardstick: Double
    package init(subject: Double, yardstick: Double) {
        self.subject = subject
        self.yardstick = yardstick
    }
    package var ratio: Double { subject / yardstick }
}

package struct GateFigure: Codable, Equatable, Sendable {
    package var name: String
    package var kind: GateFigureKind
    package var better: GateDirection
    package var unit: String
    package var rounds: [GateRound]

    package init(name: String, kind: GateFigureKind, better: GateDirection, unit: String, rounds: [GateRound]) {
        self.name = name
        self.kind = kind
        self.better = better
        self.unit = unit
        self.rounds = rounds
    }
}

package struct GateRun: Codable, Equatable, Sendable {
    package static let format = "sluice-gate"
    package static let version = 1

    package var format = GateRun.format
    package var version = GateRun.version
    package var effort: GateEffort
    package var machine: GateMachine
    package var commit: String
    /// ISO 8601.
    package var date: String
    /// What anyone can call to measure it again.
    package var command: String
    package var figures: [GateFigure]

    package init(
        effort: GateEffort, machine: GateMachine, commit: String, date: String, command: String, figures: [GateFigure]
    ) {
        self.effort = effort
        self.machine = machine
        self.commit = commit
        self.date = date
        self.command = command
        self.figures = figures
    }
}

/// Why two files cannot be compared. `code` is for machines.
package enum GateProblem: Error, Equatable, Sendable, CustomStringConvertible {
    case unreadable(file: String, why: String)
    case notAGateFile(file: String)
    case newerVersion(file: String, version: Int)
    case damaged(file: String, why: String)
    case otherShape(run: String, baseline: String)
    case otherEffort(run: GateEffort, baseline: GateEffort)
    case unknownFigure(String)
    case otherFigure(String, why: String)

    package var code: String {
        switch self {
        case .unreadable: "unreadable"
        case .notAGateFile: "not_a_gate_file"
        case .newerVersion: "newer_version"
        case .damaged: "damaged"
        case .otherShape: "other_machine_shape"
        case .otherEffort: "other_effort"
        case .unknownFigure: "unknown_figure"
        case .otherFigure: "other_figure"
        }
    }
    package var description: String {
        switch self {
        case .unreadable(let file, let why): "cannot read `\(file)`: \(why)"
        case .notAGateFile(let file): "`\(file)` is not a result file of the gate (\"format\": \"\(GateRun.format)\")"
        case .newerVersion(let file, let version):
            "`\(file)` has version \(version); this Sluice reads up to \(GateRun.version)"
        case .damaged(let file, let why): "`\(file)` is damaged: \(why)"
        case .otherShape(let run, let baseline):
            "the baseline is of another machine shape: \(baseline); the run is of: \(run). "
                + "Record a baseline on this shape"
        case .otherEffort(let run, let baseline):
            "the run is \(run.rawValue), the baseline \(baseline.rawValue): compare runs of one effort"
        case .unknownFigure(let name): "the baseline has no figure `\(name)`: record the baseline again"
        case .otherFigure(let name, let why): "the figure `\(name)` is not the baseline's: \(why)"
        }
    }
}

extension GateRun {
    private struct Envelope: Decodable {
        let format: String?
        let version: Int?
    }

    /// `file` is for the words of a problem.
    package static func parse(_ bytes: Data, file: String) throws(GateProblem) -> GateRun {
        let envelope: Envelope
        do {
            envelope = try JSONDecoder().decode(Envelope.self, from: bytes)
        } catch {
            throw .damaged(file: file, why: GateRun.reason(error))
        }
        guard envelope.format == GateRun.format, let version = envelope.version else { throw .notAGateFile(file: file) }
        guard version <= GateRun.version else { throw .newerVersion(file: file, version: version) }
        let run: GateRun
        do {
            run = try JSONDecoder().decode(GateRun.self, from: bytes)
        } catch {
            throw .damaged(file: file, why: GateRun.reason(error))
        }
        if let why = run.flaw { throw .damaged(file: file, why: why) }
        return run
    }

    /// Nil exactly when the invariants hold.
    package var flaw: String? {
        if figures.isEmpty { return "it has no figures" }
        var names: Set<String> = []
        for figure in figures {
            if !names.insert(figure.name).inserted { return "the figure `\(figure.name)` appears twice" }
            if figure.rounds.isEmpty { return "the figure `\(figure.name)` has no rounds" }
            for round in figure.rounds {
                let isSound =
                    round.subject.isFinite && round.yardstick.isFinite && round.subject > 0
                    && round.yardstick > 0 && round.ratio.isNormal
                if !isSound { return "a round of `\(figure.name)` is not two numbers above zero" }
            }
        }
        return nil
    }

    /// Keys sorted, a line a value: baselines are read in diffs.
    package func encoded() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return try encoder.encode(self) + Data("\n".utf8)
    }

    /// One more round of a figure; the figure's first round makes it.
    package mutating func add(
        _ round: GateRound, to name: String, kind: GateFigureKind, better: GateDirection, unit: String
    ) throws(GateProblem) {
        guard let place = figures.firstIndex(where: { $0.name == name }) else {
            figures.append(GateFigure(name: name, kind: kind, better: better, unit: unit, rounds: [round]))
            return
        }
        guard figures[place].kind == kind, figures[place].better == better else {
            throw .otherFigure(name, why: "its earlier rounds are of another kind or direction")
        }
        figures[place].rounds.append(round)
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "`\(key.stringValue)` is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "\(path(context)): \(context.debugDescription)"
        case DecodingError.dataCorrupted(let context):
            context.codingPath.isEmpty ? "it is not JSON" : "\(path(context)): \(context.debugDescription)"
        default: "it is not JSON"
        }
    }
    private static func path(_ context: DecodingError.Context) -> String {
        let names = context.codingPath.map(\.stringValue)
        return names.isEmpty ? "the top" : "`" + names.joined(separator: ".") + "`"
    }
}
