// Counters that one loop writes and any thread may read: a relaxed load and store, no locked instruction, on memory of
// their own.
//
// Invariant: one writer. Two writers would lose counts, nothing else.
// Safety: owns its memory for its life; loops and readers hold a reference.
import Synchronization

@safe package final class CounterBlock: @unchecked Sendable {
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>
    package let count: Int

    package init(count: Int) {
        self.count = count
        // 128 bytes apart from whatever lies beside, so that a reader's line is not another writer's.
        let memory = UnsafeMutableRawPointer.allocate(byteCount: count * 8 + 128, alignment: 128)
        unsafe cells = memory.bindMemory(to: Atomic<UInt64>.self, capacity: count)
        for index in 0..<count { unsafe (cells + index).initialize(to: Atomic<UInt64>(0)) }
    }
    deinit { unsafe cells.deallocate() }

    @inline(__always) package func add(_ index: Int, _ amount: UInt64 = 1) {
        // A local, because `&&` would capture and retain self.
        let limit = count
        precondition(index >= 0 && index < limit)
        if isPlanted(.counterTorn) {
            unsafe UnsafeMutableRawPointer(cells + index).assumingMemoryBound(to: UInt64.self).pointee &+= amount
            return
        }
        let value = unsafe cells[index].load(ordering: .relaxed)
        unsafe cells[index].store(value &+ amount, ordering: .relaxed)
    }
    @inline(__always) package func set(_ index: Int, _ value: UInt64) {
        // A local, because `&&` would capture and retain self.
        let limit = count
        precondition(index >= 0 && index < limit)
        unsafe cells[index].store(value, ordering: .relaxed)
    }
    package func read(_ index: Int) -> UInt64 {
        // A local, because `&&` would capture and retain self.
        let limit = count
        precondition(index >= 0 && index < limit)
        return unsafe cells[index].load(ordering: .relaxed)
    }
}

/// A histogram over powers of two of microseconds with four steps each: bucket upper bounds are within 25 % of each
/// other. Same rule as the counters: one writer, any reader.
@safe package final class LatencyHistogram: Sendable {
    package static let bucketCount = 100
    private let cells = CounterBlock(count: LatencyHistogram.bucketCount + 1)

    package init() {}

    @inline(__always) package func record(micros: UInt64, count: UInt64 = 1) {
        cells.add(LatencyHistogram.bucket(of: micros), count)
        cells.add(LatencyHistogram.bucketCount, micros &* count)
    }
    @inline(__always) package static func bucket(of micros: UInt64) -> Int {
        guard micros >= 4 else { return Int(micros) }
        let exponent = 63 - micros.leadingZeroBitCount
        return min(exponent * 4 - 4 + Int((micros >> UInt64(exponent - 2)) & 3), bucketCount - 1)
    }
    /// The largest value, in microseconds, that falls into `bucket`.
    package static func upperBound(ofBucket bucket: Int) -> UInt64 {
        guard bucket >= 4 else { return UInt64(bucket) }
        let exponent = UInt64(bucket / 4 + 1)
        return ((4 + UInt64(bucket % 4) + 1) << (exponent - 2)) - 1
    }
    package func counts() -> [UInt64] { (0..<LatencyHistogram.bucketCount).map { cells.read($0) } }
    package var sumMicros: UInt64 { cells.read(LatencyHistogram.bucketCount) }
}
