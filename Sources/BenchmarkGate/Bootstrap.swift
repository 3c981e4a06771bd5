// How far apart two samples are, and how sure that is: the difference of their midmeans with a bootstrap interval.
// Pure and repeatable: the same samples give the same interval, on any machine.
//
// The midmean (the mean of the middle half) forgives a round in which the machine did something else, as the median
// does, and is less lumpy with the few rounds that a gate can afford.

/// SplitMix64: the same numbers in each run.
package struct GateNumbers {
    private var state: UInt64
    package init(seed: UInt64) { state = seed }
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
    /// From 0 up to `bound`, without it.
    package mutating func below(_ bound: Int) -> Int {
        Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }
}

package struct GateInterval: Equatable, Sendable {
    package var estimate: Double
    package var low: Double
    package var high: Double

    package init(estimate: Double, low: Double, high: Double) {
        self.estimate = estimate
        self.low = low
        self.high = high
    }
}

package enum Bootstrap {
    /// Enough that the ends of a 99 % interval do not depend on the seed by more than its own rounding.
    package static let resampleCount = 2000

    /// The mean of what is left without the lowest and the highest quarter (rounded down).
    package static func midmean(_ values: [Double]) -> Double {
        precondition(!values.isEmpty)
        let sorted = values.sorted()
        let cut = sorted.count / 4
        let middle = sorted[cut..<(sorted.count - cut)]
        return middle.reduce(0, +) / Double(middle.count)
    }

    /// `left` minus `right`, with the interval that holds it with `confidence`.
    package static func difference(
        _ left: [Double], _ right: [Double], confidence: Double, seed: UInt64, resampleCount: Int = resampleCount
    ) -> GateInterval {
        precondition(confidence > 0 && confidence < 1 && resampleCount > 0)
        var numbers = GateNumbers(seed: seed)
        var differences: [Double] = []
        differences.reserveCapacity(resampleCount)
        for _ in 0..<resampleCount {
            differences.append(midmean(resample(left, &numbers)) - midmean(resample(right, &numbers)))
        }
        differences.sort()
        let tail = (1 - confidence) / 2
        let lowPlace = Int(Double(resampleCount) * tail)
        return GateInterval(
            estimate: midmean(left) - midmean(right), low: differences[lowPlace],
            high: differences[resampleCount - 1 - lowPlace])
    }

    private static func resample(_ values: [Double], _ numbers: inout GateNumbers) -> [Double] {
        (0..<values.count).map { _ in values[numbers.below(values.count)] }
    }
}
