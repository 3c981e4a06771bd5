// One way through the ring between two threads, and there and back through two of them. The ring's source is in this
// target by symlink: a generic of another module is not specialised here, and the loops, which use it in its own
// module, do not pay that.
import FastPath
import Glibc
import Synchronization

enum RingClaim {
    static let claim = Claim(name: "ring") { effort in
        // Two threads take turns under callgrind as its scheduler likes: a count would not repeat.
        if effort.isCounting { return [] }
        let count = effort.count(4_000_000)
        var lines: [Measurement] = []
        for (name, batch) in [("one by one", 1), ("in batches of 64", 64)] {
            var failure: BenchmarkError?
            func run(_ count: Int) -> UInt64 {
                do { return try exchange(count, batch: batch) } catch {
                    failure = error
                    return 0
                }
            }
            let timing = Stopwatch.best(effort, count: count, [run])[0]
            if let failure { throw failure }
            let sum = UInt64(count) * UInt64(count - 1) / 2
            guard timing.hash == sum else { throw BenchmarkError("an element is lost") }
            lines.append(
                Measurement(
                    name: "ring, \(name)", value: timing.nanos, unit: "ns",
                    claim: "an element of 8 B from one thread to another, 1024 slots", hash: timing.hash))
        }
        lines.append(try roundTrip(effort))
        return lines
    }

    /// One element under way at a time: what a hand-over and its answer cost when both sides look all the time.
    private static func roundTrip(_ effort: Effort) throws -> Measurement {
        var failure: BenchmarkError?
        func run(_ count: Int) -> UInt64 {
            let there = SPSCRing<UInt64>(capacity: 16)
            let back = SPSCRing<UInt64>(capacity: 16)
            let echo: LoopThread
            do {
                echo = try LoopThread(name: "ring-echo") {
                    for _ in 0..<count { send(take(there), back) }
                }
            } catch {
                failure = BenchmarkError("no thread: \(error.errno)")
                return 0
            }
            var sum: UInt64 = 0
            for serial in 0..<count {
                send(UInt64(serial), there)
                sum &+= take(back)
            }
            echo.join()
            return sum
        }
        let count = effort.count(200_000)
        let timing = Stopwatch.best(effort, count: count, [run])[0]
        if let failure { throw failure }
        guard timing.hash == UInt64(count) * UInt64(count - 1) / 2 else { throw BenchmarkError("an answer is wrong") }
        return Measurement(
            name: "ring, round trip", value: timing.nanos, unit: "ns",
            claim: "an element to another thread and its answer, one at a time", hash: timing.hash)
    }
    private static func send(_ value: UInt64, _ ring: SPSCRing<UInt64>) {
        var idle = 0
        while !ring.push(value) { wait(&idle, hadWork: false) }
    }
    private static func take(_ ring: SPSCRing<UInt64>) -> UInt64 {
        var idle = 0
        var taken: UInt64 = 0
        while ring.drain(maximum: 1, { taken = $0 }) == 0 { wait(&idle, hadWork: false) }
        return taken
    }

    /// The sum of what came.
    private static func exchange(_ count: Int, batch: Int) throws(BenchmarkError) -> UInt64 {
        let ring = SPSCRing<UInt64>(capacity: 1024)
        let producer: LoopThread
        do {
            producer = try LoopThread(name: "ring-producer") { produce(count, batch, ring) }
        } catch { throw BenchmarkError("no thread: \(error.errno)") }
        var sum: UInt64 = 0
        var left = count
        var idle = 0
        while left > 0 {
            let popped = ring.drain(maximum: 64) { sum &+= $0 }
            left -= popped
            wait(&idle, hadWork: popped > 0)
        }
        producer.join()
        return sum
    }
    private static func produce(_ count: Int, _ batch: Int, _ ring: SPSCRing<UInt64>) {
        var values = [UInt64](repeating: 0, count: batch)
        var next: UInt64 = 0
        var idle = 0
        while next < UInt64(count) {
            if batch == 1 {
                let isPushed = ring.push(next)
                if isPushed { next += 1 }
                wait(&idle, hadWork: isPushed)
                continue
            }
            let size = min(batch, count - Int(next))
            for place in 0..<size { values[place] = next + UInt64(place) }
            let pushed = ring.push(values.span.extracting(0..<size))
            next += UInt64(pushed)
            wait(&idle, hadWork: pushed > 0)
        }
    }
    /// Gives the processor away when the other side may not have one.
    private static func wait(_ idle: inout Int, hadWork: Bool) {
        idle = hadWork ? 0 : idle + 1
        if idle > 2000 {
            sched_yield()
            idle = 0
        }
    }
}
