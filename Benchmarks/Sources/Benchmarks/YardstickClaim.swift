// What every count is a ratio to: a loop in C that has nothing to do with Sluice.
import FastPath
import InstructionCounter

enum YardstickClaim {
    static let name = "yardstick"
    static let claim = Claim(name: name) { effort in
        let timing = Stopwatch.best(
            effort, count: effort.count(100_000), [{ instruction_counter_yardstick(Int64($0)) }])[0]
        return [
            Measurement(
                name: name, value: timing.nanos, unit: "ns", claim: "FNV-1a of 1 KiB, in C", hash: timing.hash)
        ]
    }
}
