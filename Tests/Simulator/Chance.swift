// Chance that repeats: the same seed gives the same run on every machine.

import FastPath

package struct Chance: RandomNumberGenerator {
    private var state: UInt64

    package init(_ seed: UInt64) { state = seed &* 0x2545_F491_4F6C_DD1D &+ 1 }
    /// SplitMix64.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
    /// 0..<count
    package mutating func below(_ count: Int) -> Int { Int(next() % UInt64(max(count, 1))) }
    package mutating func between(_ low: UInt64, _ high: UInt64) -> UInt64 { low + next() % (high - low + 1) }
    /// True so many times of a thousand.
    package mutating func permille(_ count: Int) -> Bool { below(1000) < count }
    package mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }
}
