// Runs seeds of the simulated gateway: `simulate --seeds 1000 [--from N] [--planted NAME]`, or one of them with its
// story: `simulate --seed N`. Exit status 1 when a seed found something; with `--planted`, when none did; 2 when this
// build cannot plant it.

import FastPath
import Glibc
import Simulator

@main struct Simulate {
    private let arguments = CommandLine.arguments

    static func main() throws {
        let command = Simulate()
        let planted = command.option("--planted")
        do throws(Mistake) { try command.plant(planted) } catch {
            print(error.text)
            exit(2)
        }
        let isFine: Bool
        if let seed = command.number("--seed") {
            isFine = try command.runOne(seed)
        } else {
            isFine = try command.runMany(command.number("--seeds") ?? 100, from: command.number("--from") ?? 1)
        }
        if isFine == (planted != nil) { exit(1) }
    }
    private func option(_ name: String) -> String? {
        guard let place = arguments.firstIndex(of: name), place + 1 < arguments.count else { return nil }
        return arguments[place + 1]
    }
    private func number(_ name: String) -> UInt64? { option(name).flatMap { UInt64($0) } }
    private func plant(_ name: String?) throws(Mistake) {
        guard let name else { return }
        #if SLUICE_PLANTED
        guard let fault = PlantedFault.allCases.first(where: { "\($0)" == name }) else {
            throw Mistake(text: "no fault is called \(name)")
        }
        Planted.current = fault.rawValue
        #else
        throw Mistake(text: "\(name): this build has no planted faults; see make mutants")
        #endif
    }
    private struct Mistake: Error { let text: String }

    private func tell(_ world: World, _ finding: String, lines: Int) {
        print("SEED=\(world.seed): \(finding)")
        for line in world.clock.story.lines(lines) { print("  \(line)") }
        print("  again: make simulate SEED=\(world.seed)")
    }
    /// False when it found something, as below.
    private func runOne(_ seed: UInt64) throws -> Bool {
        let world = try World(seed: seed)
        let finding = world.run()
        print("seed \(seed): trace \(String(world.clock.story.hash, radix: 16)), \(world.figures)")
        let ledger = world.ledger
        print("\(ledger.events.count) events, \(ledger.answeredCount) answered, \(ledger.logged.count) logged")
        if let finding { tell(world, finding, lines: number("--lines").map { Int($0) } ?? 300) }
        return finding == nil
    }
    private func runMany(_ count: UInt64, from first: UInt64) throws -> Bool {
        let isQuiet = arguments.contains("--quiet")
        var (millis, crashes, answered, failed) = (UInt64(0), 0, 0, false)
        for seed in first..<first + count where !failed {
            if isQuiet { _ = "seed \(seed)\n".withCString { write(2, $0, strlen($0)) } }
            let world = try World(seed: seed)
            let finding = world.run()
            millis += world.figures.simulatedNanos / 1_000_000
            crashes += world.figures.crashes + world.figures.crashesInRecovery
            answered += world.ledger.answeredCount
            if let finding {
                failed = true
                tell(world, finding, lines: isQuiet ? 0 : 40)
            }
        }
        let verdict = failed ? "something found" : "nothing found"
        let figures = "\(answered) events answered, \(crashes) crashes, \(millis / 1000) s of their time"
        print("\(count) seeds from \(first): \(verdict); \(figures)")
        return !failed
    }
}
