// Which receive buffers are with the kernel: few while few are filled, all when they run out, each exactly once.
import FastPath
import Testing

@Suite struct BufferCirculationTests {
    /// Buffers in the order in which the kernel fills them.
    struct Kernel {
        private(set) var queue: [Int] = []

        mutating func take(from circulation: inout BufferCirculation) {
            while let buffer = circulation.next() { queue.append(buffer) }
        }
        mutating func fill(_ count: Int) -> [Int] {
            let filled = Array(queue.prefix(count))
            queue.removeFirst(filled.count)
            return filled
        }
    }

    /// One round: the kernel fills `count`, or what it has; the loop reads them and gives them back.
    static func round(_ count: Int, _ kernel: inout Kernel, _ circulation: inout BufferCirculation) -> [Int] {
        let filled = kernel.fill(count)
        circulation.filled(filled.count, ranOut: filled.count < count)
        for buffer in filled { circulation.put(buffer) }
        kernel.take(from: &circulation)
        return filled
    }
    static func begin(_ count: Int, _ kernel: inout Kernel) -> BufferCirculation {
        var circulation = BufferCirculation(capacity: count)
        for buffer in 0..<count { circulation.put(buffer) }
        kernel.take(from: &circulation)
        return circulation
    }

    @Test func fewAreWrittenWhileFewAreFilled() {
        var kernel = Kernel()
        var circulation = Self.begin(4096, &kernel)
        var used: Set<Int> = []
        for _ in 0..<10_000 { used.formUnion(Self.round(40, &kernel, &circulation)) }
        #expect(used.count <= 80)
        #expect(circulation.withKernel == 80 && circulation.restingCount == 4096 - 80)
    }
    @Test func asManyAgainAsTheMostOfTheLastRoundsAndFewerLater() {
        var kernel = Kernel()
        var circulation = Self.begin(4096, &kernel)
        _ = Self.round(50, &kernel, &circulation)
        #expect(circulation.withKernel == 100)
        for _ in 0..<BufferCirculation.roundCount { _ = Self.round(1, &kernel, &circulation) }
        #expect(circulation.wanted == 100, "it counts for as many rounds more")
        for _ in 0..<2 * BufferCirculation.roundCount { _ = Self.round(1, &kernel, &circulation) }
        #expect(circulation.wanted == BufferCirculation.countMin)
    }
    @Test func allGoOutWhenThereAreNone() {
        var kernel = Kernel()
        var circulation = Self.begin(512, &kernel)
        #expect(circulation.withKernel == BufferCirculation.countMin && circulation.hasResting)
        #expect(Self.round(300, &kernel, &circulation).count == BufferCirculation.countMin)
        #expect(circulation.withKernel == 512 && !circulation.hasResting)
        #expect(Self.round(300, &kernel, &circulation).count == 300)
    }
    @Test(arguments: [0, 1, 3, 64, 100]) func eachIsInOnePlace(count: Int) {
        var kernel = Kernel()
        var circulation = Self.begin(count, &kernel)
        var random = SystemRandomNumberGenerator()
        var held: [Int] = []
        for _ in 0..<5_000 {
            let filled = kernel.fill(Int.random(in: 0...count, using: &random))
            circulation.filled(filled.count, ranOut: kernel.queue.isEmpty && Bool.random(using: &random))
            held += filled
            // The loop may keep some for another round.
            for _ in 0..<Int.random(in: 0...held.count, using: &random) { circulation.put(held.removeLast()) }
            kernel.take(from: &circulation)
            #expect(circulation.withKernel == kernel.queue.count)
            #expect(circulation.withKernel + circulation.restingCount + held.count == count)
            #expect(Set(kernel.queue + held).count == kernel.queue.count + held.count)
        }
    }
}
