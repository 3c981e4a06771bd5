// The ring between two threads and its wake-up: order, bounds, wrapping cursors, nothing lost and nothing twice.

import FastPath
import Glibc
import Synchronization
import Testing

@Suite struct SPSCRingTests {
    @Test func keepsOrderAndRefusesWhenFull() {
        let ring = SPSCRing<UInt64>(capacity: 4)
        #expect(ring.capacity == 4 && ring.isEmpty && ring.pop() == nil)
        for value in 0..<4 { #expect(ring.push(UInt64(value))) }
        #expect(!ring.push(99))
        #expect(ring.count == 4)
        for value in 0..<4 { #expect(ring.pop() == UInt64(value)) }
        #expect(ring.pop() == nil)
    }
    @Test func roundsCapacityUpToAPowerOfTwo() {
        #expect(SPSCRing<UInt8>(capacity: 5).capacity == 8)
        #expect(SPSCRing<UInt8>(capacity: 1).capacity == 1)
    }
    @Test func wrapsItsCursorsPastTheirMaximum() {
        let ring = SPSCRing<UInt64>(capacity: 8, startingAt: UInt64.max - 3)
        var next: UInt64 = 0
        var expected: UInt64 = 0
        for round in 0..<10 {
            for _ in 0..<(round % 8 + 1) {
                #expect(ring.push(next))
                next += 1
            }
            #expect(ring.count == round % 8 + 1)
            while let value = ring.pop() {
                #expect(value == expected)
                expected += 1
            }
        }
        #expect(expected == next)
    }
    @Test func pushesAndDrainsBatchesAcrossTheEdge() {
        let ring = SPSCRing<UInt32>(capacity: 8, startingAt: UInt64.max - 5)
        let batch: [UInt32] = [1, 2, 3, 4, 5, 6]
        #expect(ring.push(batch.span) == 6)
        #expect(ring.push(batch.span) == 2)
        #expect(ring.push(batch.span) == 0)
        var seen: [UInt32] = []
        #expect(ring.drain(maximum: 5) { seen.append($0) } == 5)
        #expect(ring.drain(maximum: 100) { seen.append($0) } == 3)
        #expect(ring.drain(maximum: 100) { seen.append($0) } == 0)
        #expect(seen == [1, 2, 3, 4, 5, 6, 1, 2])
    }
    @Test func losesAndRepeatsNothingBetweenTwoThreads() {
        let ring = SPSCRing<UInt64>(capacity: 2048, startingAt: UInt64.max - 1_000_000)
        let total: UInt64 = 2_000_000
        let producer = TestThread {
            var next: UInt64 = 0
            while next < total {
                if next % 7 == 0 {
                    let batch = [next &* 3, (next + 1) &* 3, (next + 2) &* 3]
                    next += UInt64(ring.push(batch.span))
                } else if ring.push(next &* 3) {
                    next += 1
                } else {
                    sched_yield()
                }
            }
        }
        var received: UInt64 = 0
        var disorder = 0
        while received < total {
            let popped = ring.drain(maximum: 64) { value in
                if value != received &* 3 { disorder += 1 }
                received += 1
            }
            if popped == 0 { sched_yield() }
        }
        producer.join()
        #expect(disorder == 0)
        // A batch may run up to two past the total.
        #expect(ring.count <= 2)
    }
    @Test func wakesAConsumerThatSleepsAndLosesNoSignal() throws {
        let ring = SPSCRing<UInt64>(capacity: 4)
        let wakeup = try #require(Wakeup())
        let total: UInt64 = 50_000
        let producer = TestThread {
            var next: UInt64 = 0
            while next < total {
                if ring.push(next) {
                    next += 1
                    wakeup.signal()
                } else {
                    sched_yield()
                }
            }
        }
        var sum: UInt64 = 0
        var received: UInt64 = 0
        var slept = 0
        while received < total {
            while let value = ring.pop() {
                sum += value
                received += 1
            }
            if received < total {
                slept += 1
                // A lost signal would leave it here with an element in the ring until the time is over.
                let signalled = wakeup.sleep(timeoutMillis: 60_000) { !ring.isEmpty }
                #expect(signalled || !ring.isEmpty)
            }
        }
        producer.join()
        #expect(sum == total * (total - 1) / 2)
        #expect(slept > 0)
    }
    @Test func signalWithoutASleeperLeavesTheDescriptorQuiet() throws {
        let wakeup = try #require(Wakeup())
        wakeup.signal()
        #expect(!wakeup.sleep(timeoutMillis: 0) { false })
        wakeup.beginSleep()
        wakeup.signal()
        wakeup.signal()
        wakeup.endSleep()
        #expect(wakeup.sleep(timeoutMillis: 0) { false })
        #expect(!wakeup.sleep(timeoutMillis: 0) { false })
    }
}
