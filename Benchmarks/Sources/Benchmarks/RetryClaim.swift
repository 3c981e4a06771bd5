// The retry queue of a lane: an entry falls due, is taken, fails, and is scheduled again later, while thousands wait.
// The queue's source is in this target by symlink, with the two values that it keeps.
import FastPath

enum RetryClaim {
    static let claim = Claim(name: "retry") { effort in
        try [100, 2000].map { waiting in
            let work = Work(waiting: waiting)
            guard work.run(10) != 0 else { throw BenchmarkError("nothing fell due") }
            let timing = Stopwatch.best(effort, count: effort.count(400_000), [work.run])[0]
            return Measurement(
                name: "retry wheel, \(waiting) waiting", value: timing.nanos, unit: "ns",
                claim: "one taken when due and scheduled again", hash: timing.hash)
        }
    }

    private final class Work {
        private var queue = RetryQueue()
        private var now: Int64 = 0
        private var numbers = SeededNumbers(state: 3)

        init(waiting: Int) {
            // Fewer than asked for: the store has no more.
            for (kind, count) in [(RetryKind.first, 0), (.again, waiting)] {
                queue.beginLoad(RetryLoad(kind: kind, from: .first))
                queue.loaded((0..<count).map { entry(UInt64($0 + 1)) }, kind: kind, limit: count + 1)
            }
        }
        private func entry(_ sequence: UInt64) -> RetryEntry {
            let delay = Int64(1000 + numbers.next() % 3_600_000)
            return RetryEntry(
                key: RetryKey(dueMillis: now + delay, sequence: sequence), position: 4096 * sequence, attempts: 1)
        }
        func run(_ count: Int) -> UInt64 {
            var hash: UInt64 = 1
            for _ in 0..<count {
                guard let due = queue.nextDueMillis else { return 0 }
                now = max(now, due)
                guard let taken = queue.popDue(nowMillis: now) else { return 0 }
                hash.mix(UInt64(taken.key.sequence))
                queue.schedule(entry(taken.key.sequence))
            }
            return hash
        }
    }
}
