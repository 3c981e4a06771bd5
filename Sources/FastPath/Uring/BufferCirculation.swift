// How many of a ring's receive buffers are with the kernel, and which. The kernel fills them in the order they were
// given, so those with it are written in turn: a few stay in the processor's cache, all of them do not. So as many are
// with it as the last rounds filled, twice; the others rest, and the one used last is given first. Passive.
//
// Invariants: a buffer is with the kernel, with the loop, or rests here, each exactly once; `withKernel` counts the
// first. When the kernel finds none although some rest, all go out, and the next rounds learn anew.
// Safety: owns the stack of those that rest; its count never exceeds the number of buffers.

@safe package struct BufferCirculation: ~Copyable {
    /// Never fewer with the kernel.
    package static let countMin = 64
    /// So many rounds remember the most that one of them filled, then it counts for as many more.
    package static let roundCount = 1024

    private let resting: UnsafeMutablePointer<UInt32>
    private let capacity: Int
    package private(set) var restingCount = 0
    package private(set) var withKernel = 0
    package private(set) var wanted: Int
    private var peak = 0
    private var previousPeak = 0
    private var round = 0

    /// All of `capacity` buffers are with the loop, which puts them.
    package init(capacity: Int) {
        self.capacity = capacity
        unsafe resting = .allocate(capacity: max(capacity, 1))
        wanted = min(capacity, BufferCirculation.countMin)
    }
    deinit { unsafe resting.deallocate() }

    /// Some are not with the kernel although it could have them.
    package var hasResting: Bool { restingCount > 0 }

    /// The kernel has filled `count` since the last round; `ranOut`: it wanted one more and had none.
    @inline(__always) package mutating func filled(_ count: Int, ranOut: Bool) {
        precondition(count <= withKernel)
        withKernel -= count
        peak = max(peak, ranOut ? capacity : count)
        round += 1
        if round == BufferCirculation.roundCount {
            previousPeak = peak
            peak = 0
            round = 0
        }
        wanted = min(capacity, max(BufferCirculation.countMin, 2 * max(peak, previousPeak)))
    }
    /// The loop has read it.
    @inline(__always) package mutating func put(_ buffer: Int) {
        precondition(restingCount < capacity)
        unsafe resting[restingCount] = UInt32(truncatingIfNeeded: buffer)
        restingCount += 1
    }
    /// The next that goes to the kernel; nil when it has enough.
    @inline(__always) package mutating func next() -> Int? {
        guard withKernel < wanted, restingCount > 0 else { return nil }
        withKernel += 1
        restingCount -= 1
        return unsafe Int(resting[restingCount])
    }
}
