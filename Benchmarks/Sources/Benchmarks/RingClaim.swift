// One way through the ring between two threads. The ring's source is in this target by symlink: a generic of another module is
// not specialised here, and the loops, which use it in its own module, do not pay that.
import FastPath
import Glibc
import Synchronization

enum RingClaim {
    static let claim = Claim(name: "ring") { effort in
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
            guard timing.hash == UInt64(count) * UInt64(count - 1) / 2 else { throw BenchmarkError("an element is lost") }
            lines.append(
                Measurement(
                    name: "ring, \(name)", value: timing.nanos, unit: "ns",
                    claim: "an element of 8 B from one thread to another, 1024 slots", hash: timing.hash))
        }
        return lines
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
            let values = (0..<size).map { next + UInt64($0) }
            let pushed = ring.push(values.span)
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
