// Times of answers in fixed memory: counts over logarithmic buckets, each divided into equal steps, as an HDR histogram
// has them. Passive.
//
// Invariants: a value is off by less than one step of its bucket (`1 / 2^stepBits` of it); values beyond the last
// bucket are counted in it, and `maximum` has them exactly. If they fail, percentiles lie.
// Safety: owns its memory; the index is computed from the value and bounded by construction.

@safe package struct LoadRecorder: ~Copyable {
    /// 2^42 ns, 73 minutes: longer than any time-out that can be asked for.
    private static let valueBits = 42
    private let stepBits: Int
    private let counts: UnsafeMutablePointer<UInt64>
    package let bucketCount: Int
    private let memory: MappedMemory
    package private(set) var count: UInt64 = 0
    package private(set) var sum: UInt64 = 0
    package private(set) var minimum = UInt64.max
    package private(set) var maximum: UInt64 = 0

    /// With 10 step bits three digits are right, in 264 KiB; with 5 one and a half, in 10 KiB.
    package init(stepBits: Int = 10) throws(OutOfMemory) {
        precondition(stepBits >= 1 && stepBits <= 12)
        self.stepBits = stepBits
        bucketCount = (LoadRecorder.valueBits - stepBits + 1) << stepBits
        memory = try MappedMemory(byteCount: bucketCount * 8)
        unsafe counts = UnsafeMutableRawPointer(memory.base).bindMemory(to: UInt64.self, capacity: bucketCount)
    }

    @inline(__always) package mutating func record(nanos value: UInt64) {
        let bucket = bucket(of: value)
        unsafe counts[bucket] = counts[bucket] &+ 1
        count &+= 1
        sum &+= value
        minimum = min(minimum, value)
        maximum = max(maximum, value)
    }
    @inline(__always) package func bucket(of value: UInt64) -> Int {
        let steps = UInt64(1) << UInt64(stepBits)
        guard value >= 2 * steps else { return Int(value) }
        let exponent = 63 - value.leadingZeroBitCount - stepBits
        let index = exponent << stepBits + Int(value >> UInt64(exponent))
        return min(index, bucketCount - 1)
    }
    /// The smallest and the largest value of a bucket.
    package func range(ofBucket index: Int) -> ClosedRange<UInt64> {
        let exponent = UInt64(max(0, index >> stepBits - 1))
        let low = UInt64(index - Int(exponent) << stepBits) << exponent
        return low...(low + (1 << exponent) - 1)
    }
    package func count(ofBucket index: Int) -> UInt64 {
        precondition(index >= 0 && index < bucketCount)
        return unsafe counts[index]
    }
    /// The value at or below which `share` (0 to 1) of all lie; 0 when there is none. O(buckets).
    package func value(atShare share: Double) -> UInt64 {
        guard count > 0 else { return 0 }
        let wanted = min(UInt64(share * Double(count)) + 1, count)
        var seen: UInt64 = 0
        for index in 0..<bucketCount {
            unsafe seen &+= counts[index]
            if seen >= wanted {
                let bounds = range(ofBucket: index)
                return min(bounds.upperBound, maximum)
            }
        }
        return maximum
    }
    package mutating func removeAll() {
        for index in 0..<bucketCount { unsafe counts[index] = 0 }
        (count, sum, minimum, maximum) = (0, 0, .max, 0)
    }
}

/// The three that a run has.
struct LoadRecorders: ~Copyable {
    /// From the intended time, and from the time of sending.
    var latency: LoadRecorder
    var service: LoadRecorder
    /// Of the present interval.
    var recent: LoadRecorder

    init() throws(OutOfMemory) {
        // Locals first: nothing is half made when one cannot be had.
        let first = try LoadRecorder()
        let second = try LoadRecorder()
        let third = try LoadRecorder(stepBits: 5)
        latency = first
        service = second
        recent = third
    }
}
