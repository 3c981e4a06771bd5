// Each hand-over between two real threads: nothing is lost, doubled or read before it is written. With a race of
// PlantedRace.swift in it (SLUICE_RACE names one, in a build that has them) ThreadSanitizer must say so: `make tsan`.

import FastPath
import Foundation
import Synchronization
import Testing

#if SLUICE_PLANTED
private typealias Ring = NumberRing
#else
private typealias Ring = SPSCRing<UInt64>
#endif

@Suite(.serialized) struct HandOverThreadTests {
    init() {
        #if SLUICE_PLANTED
        // Nothing is written without one: tests of other suites read it meanwhile.
        guard let name = ProcessInfo.processInfo.environment["SLUICE_RACE"] else { return }
        PlantedRace.current = PlantedRace.allCases.first { "\($0)" == name }?.rawValue ?? 0
        #endif
    }

    @Test func aRingHandsOverWhatWasWritten() {
        let ring = Ring(capacity: 8)
        let total: UInt64 = 20_000
        let producer = TestThread {
            var next: UInt64 = 0
            while next < total { if ring.push(next) { next += 1 } else { sched_yield() } }
        }
        var expected: UInt64 = 0
        var wrongCount = 0
        while expected < total {
            guard let value = ring.pop() else {
                sched_yield()
                continue
            }
            if value != expected { wrongCount += 1 }
            expected = max(expected, value) + 1
        }
        producer.join()
        #expect(wrongCount == 0)
    }
    @Test func anEventRingKeepsBytesUntilTheyAreGivenBack() throws {
        let ring = try EventRing(byteCount: 8192)
        let total = 5_000
        let producer = TestThread {
            var next = 0
            while next < total {
                let body = [UInt8](repeating: UInt8(next & 255), count: 700)
                let isTaken = body.withView { view in
                    var event = EventInput()
                    (event.body, event.keyIsBody) = (view, true)
                    return ring.push(event, ticket: UInt64(next), durability: .memory)
                }
                if isTaken { next += 1 } else { sched_yield() }
            }
        }
        var received = 0
        var wrongCount = 0
        while received < total {
            guard let front = ring.front() else {
                sched_yield()
                continue
            }
            // Room that is given back too early is taken meanwhile.
            sched_yield()
            let body = front.event.body.array
            if body != [UInt8](repeating: UInt8(received & 255), count: 700) { wrongCount += 1 }
            ring.dropFront(front)
            received += 1
        }
        producer.join()
        #expect(wrongCount == 0)
    }
    @Test func workersThatFindNothingShareARing() throws {
        let wakeup = try #require(Wakeup())
        let link = VerifierLink(capacity: 8, bell: VerifierBell([]), loopWakeup: wakeup)
        let found = Atomic(0)
        let workers = (0..<2).map { _ in
            TestThread {
                for _ in 0..<2_000 where link.next() != nil { found.add(1, ordering: .relaxed) }
            }
        }
        for worker in workers { worker.join() }
        #expect(found.load(ordering: .relaxed) == 0)
    }
    @Test func aCounterIsReadWhileItCounts() {
        let block = CounterBlock(count: 4)
        let writer = TestThread { for _ in 0..<20_000 { block.add(1) } }
        var last: UInt64 = 0
        while last < 20_000 {
            let value = block.read(1)
            #expect(value >= last)
            last = value
            sched_yield()
        }
        writer.join()
        #expect(block.read(1) == 20_000 && block.read(0) == 0)
    }
}
