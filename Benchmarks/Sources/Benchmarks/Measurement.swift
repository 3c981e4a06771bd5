// How everything here is measured: candidates take turns, round by round, and the best round of each counts, so that
// what else the machine does falls on all of them and ratios hold. Each candidate returns a hash of its results, which
// is printed, so that no compiler may leave the work out. Under callgrind the same bodies are counted instead: once
// each, instructions in the place of nanoseconds.
//
// Safety: `ByteMemory` owns what its views point to; whoever holds a view holds it.
import FastPath
import InstructionCounter

struct BenchmarkError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A printed line.
struct Measurement {
    var name: String
    var value: Double
    var unit: String
    /// What it is measured for, and the goal where there is one.
    var claim: String
    var hash: UInt64

    var line: String {
        let number = Number.text(value)
        let left = name.padded(to: 44) + String(repeating: " ", count: max(0, 10 - number.count)) + number
        return left + " " + unit.padded(to: 6) + " (\(claim))  #" + String(hash, radix: 16)
    }
    var json: String {
        "{\"name\":\"\(name)\",\"value\":\(value),\"unit\":\"\(unit)\",\"claim\":\"\(claim)\","
            + "\"hash\":\"\(String(hash, radix: 16))\"}"
    }
    /// What was counted, or nil where the value is a ratio or a rate of its own.
    var counted: Measurement? {
        guard unit == "ns", value.isFinite, value > 0 else { return nil }
        var counted = self
        counted.unit = "instructions"
        return counted
    }
}

/// One claim: measures, and throws when a result is wrong.
struct Claim: Sendable {
    let name: String
    let measure: @Sendable (Effort) throws -> [Measurement]
}

struct Effort {
    let isSmall: Bool
    /// Instructions are counted, not nanoseconds; then everything is as small as a count can be.
    var isCounting = false
    var rounds: Int { isSmall ? 3 : 9 }
    /// Iterations of one round.
    func count(_ full: Int) -> Int { isCounting ? max(full / 2000, 8) : isSmall ? max(full / 20, 1) : full }
}

struct Timing {
    /// Of one iteration in the best round.
    var nanos = Double.infinity
    var hash: UInt64 = 0
}

enum Stopwatch {
    /// Each body runs `count` iterations a call and returns its hash; `reset` runs before each call, untimed.
    static func best(
        _ effort: Effort, count: Int, reset: () -> Void = {}, _ bodies: [(Int) -> UInt64]
    ) -> [Timing] {
        var timings = [Timing](repeating: Timing(), count: bodies.count)
        if effort.isCounting {
            for (place, body) in bodies.enumerated() {
                timings[place] = counted(count: count, reset: reset, body)
            }
            return timings
        }
        for _ in 0..<effort.rounds {
            for (place, body) in bodies.enumerated() {
                reset()
                let start = ProcessResources.monotonicNanos
                timings[place].hash = body(count)
                let nanos = Double(ProcessResources.monotonicNanos - start) / Double(count)
                timings[place].nanos = min(timings[place].nanos, nanos)
            }
        }
        return timings
    }
    /// Once to make everything lazy be done, once for the count.
    private static func counted(count: Int, reset: () -> Void, _ body: (Int) -> UInt64) -> Timing {
        reset()
        _ = body(count)
        reset()
        instruction_counter_begin()
        let hash = body(count)
        let total = instruction_counter_end()
        return Timing(nanos: total < 0 ? .nan : Double(total) / Double(count), hash: hash)
    }
}

enum Number {
    /// Three digits behind the point below 10, one below 1000, else none.
    static func text(_ value: Double) -> String {
        if value >= 1000 { return "\(Int(value.rounded()))" }
        let unit = value < 10 ? 1000.0 : 10.0
        return "\((value * unit).rounded() / unit)"
    }
}

extension String {
    func padded(to count: Int) -> String { self + String(repeating: " ", count: max(0, count - self.count)) }
}

extension UInt64 {
    /// Order matters; good enough to notice that a result changed.
    mutating func mix(_ value: UInt64) {
        self = (self ^ value) &* 0x9E37_79B9_7F4A_7C15
        self ^= self >> 29
    }
    mutating func mix(_ value: Int) { mix(UInt64(bitPattern: Int64(value))) }
}

/// Bytes that stay where they are.
final class ByteMemory {
    let start: UnsafeMutablePointer<UInt8>
    let count: Int

    init(_ bytes: [UInt8]) {
        count = bytes.count
        start = .allocate(capacity: max(bytes.count, 1))
        for (place, byte) in bytes.enumerated() { start[place] = byte }
    }
    convenience init(_ text: String) { self.init(Array(text.utf8)) }
    deinit { start.deallocate() }

    var view: ByteView { ByteView(start, count: count) }
    func copy(to other: ByteMemory) {
        precondition(other.count >= count)
        UnsafeMutableRawPointer(other.start).copyMemory(from: start, byteCount: count)
    }
}

/// SplitMix64: the same numbers in each run.
struct SeededNumbers {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
