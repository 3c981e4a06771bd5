// `sluice gate`: a benchmark run against its baseline; the yardstick to measure beside; and how rounds get into a file.
import ArgumentParser
import BenchmarkGate
import Engine
import FastPath
import Foundation

struct GateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gate", abstract: "Compare a benchmark run with its baseline, without letting noise decide.",
        discussion: """
            Every figure is a ratio to a yardstick of the same round; the verdict is better, same, worse or undecided,
            with the size of the change and its interval.

            EXAMPLE
              sluice gate probe --listen 127.0.0.1:9100 &
              sluice gate add run.json --figure ingest.cpu --better lower --subject 10.6 --yardstick 8.7
              sluice gate run.json baseline.json
            """,
        subcommands: [Compare.self, Add.self, Probe.self, Machine.self], defaultSubcommand: Compare.self)

    struct Compare: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compare a run with its baseline.",
            discussion: """
                EXAMPLE
                  sluice gate run.json baseline.json --json

                Exit status: 1 only when a figure is worse; 0 otherwise; 2 when the two cannot be compared (another
                machine shape, another effort, an unknown figure, a damaged file): --json then says which.
                """)
        @Argument(help: ArgumentHelp("The run's result file.", valueName: "run"), completion: .file())
        var runPath: String
        @Argument(help: ArgumentHelp("The baseline's.", valueName: "baseline"), completion: .file())
        var baselinePath: String
        @Flag(help: "Print JSON.")
        var json = false

        private struct Refusal: Encodable {
            let problem: String
            let message: String
        }

        func run() throws {
            let comparison: GateComparison
            do throws(GateProblem) {
                comparison = try GateComparison(run: GateFile.read(runPath), baseline: GateFile.read(baselinePath))
            } catch {
                if json { Output.json(Refusal(problem: error.code, message: error.description)) }
                Output.failure(error.description)
                throw ExitStatus.usage
            }
            if json {
                Output.json(comparison)
            } else {
                for figure in comparison.figures { Output.line(figure.line) }
                for name in comparison.unmeasured { Output.line("not measured \(name)") }
                Output.line(
                    "\(comparison.verdict.rawValue): \(comparison.runCommit) beside \(comparison.baselineCommit), "
                        + comparison.effort.rawValue)
            }
            if comparison.verdict == .worse { throw ExitStatus.no }
        }
    }

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add one round to a result file, creating it if needed.",
            discussion: """
                EXAMPLE
                  sluice gate add run.json --figure checkout.rate --better higher --subject 5120 --yardstick 61200
                """)
        @Argument(help: "The result file.", completion: .file())
        var file: String
        @Option(help: "The figure's name.")
        var figure: String
        @Option(help: "Which way is better: higher or lower.")
        var better: GateDirection
        @Option(help: "What was measured in this round.")
        var subject: Double
        @Option(help: "What the yardstick did in the same round.")
        var yardstick: Double
        @Option(help: "What the subject is counted in.")
        var unit = ""
        @Option(help: "ratio (timed) or count (instructions, the same each time).")
        var kind = GateFigureKind.ratio
        @Option(
            help: "How much is measured, and so what is found: quick (20 %) or full (10 %); the file's, or full."
        )
        var effort: GateEffort?
        @Option(help: "The commit that was measured.")
        var commit = "unknown"
        @Option(help: "The command that measures it again.")
        var command = ""

        func validate() throws {
            for (name, value) in [("--subject", subject), ("--yardstick", yardstick)]
            where !(value > 0 && value.isFinite) {
                throw ValidationError("\(name) takes a number above 0, as its quotient must mean something")
            }
        }

        func run() throws {
            do throws(GateProblem) {
                var run: GateRun
                if FileManager.default.fileExists(atPath: file) {
                    run = try GateFile.read(file)
                    if let effort, effort != run.effort {
                        throw .otherEffort(run: effort, baseline: run.effort)
                    }
                } else {
                    run = GateRun(
                        effort: effort ?? .full, machine: GateMachineProbe.machine(), commit: commit,
                        date: TimeText.of(nanoseconds: ProcessResources.wallNanos), command: command, figures: [])
                }
                let round = GateRound(subject: subject, yardstick: yardstick)
                try run.add(round, to: figure, kind: kind, better: better, unit: unit)
                if let flaw = run.flaw { throw .damaged(file: file, why: flaw) }
                try GateFile.write(run, file)
            } catch {
                Output.failure(error.description)
                throw ExitStatus.usage
            }
        }
    }

    struct Machine: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show how a result file would describe this machine.",
            discussion: """
                EXAMPLE
                  sluice gate machine --json
                """)
        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let machine = GateMachineProbe.machine()
            if json { return Output.json(machine) }
            Output.line(machine.shape)
            Output.line("kernel \(machine.kernel), libraries \(machine.libraries)")
        }
    }
}

extension GateDirection: ExpressibleByArgument {}
extension GateFigureKind: ExpressibleByArgument {}
extension GateEffort: ExpressibleByArgument {}
extension LimitProbeWork: ExpressibleByArgument {}

enum GateFile {
    static func read(_ path: String) throws(GateProblem) -> GateRun {
        let bytes: Data
        do {
            bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw .unreadable(file: path, why: ConfigurationReading.reason(of: error))
        }
        return try GateRun.parse(bytes, file: path)
    }
    /// In one step: a run that is cut off leaves the rounds that were whole.
    static func write(_ run: GateRun, _ path: String) throws(GateProblem) {
        do {
            try run.encoded().write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw .unreadable(file: path, why: ConfigurationReading.reason(of: error))
        }
    }
}
