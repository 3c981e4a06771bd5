// The dedup table nearly empty and nearly full: it must not become slow with its fill.
import FastPath

enum DedupClaim {
    static let claim = Claim(name: "dedup") { effort in
        let usual = effort.isCounting ? 1 << 14 : effort.isSmall ? 1 << 16 : 1 << 20
        var lines = try measure(effort, entryCount: usual, percent: 10, "10 % full")
        lines += try measure(effort, entryCount: usual, percent: 90, "90 % full")
        // A table for millions takes seconds to fill: not at small size.
        guard !effort.isSmall else { return lines }
        return lines + (try measure(effort, entryCount: 11_111_112, percent: 90, "10 million entries"))
    }
    private static let window: UInt32 = 86_400

    private static func measure(
        _ effort: Effort, entryCount: Int, percent: Int, _ fill: String
    ) throws -> [Measurement] {
        guard let work = Work(entryCount: entryCount, percent: percent) else {
            throw BenchmarkError("no memory for the table")
        }
        let count = min(work.filled, effort.count(400_000))
        guard work.hits(count) == UInt64(count) else { throw BenchmarkError("an entry is missing") }
        let timings = Stopwatch.best(effort, count: count, [work.hits, work.misses])
        let fresh = min(max(work.capacity / 100, 1), 100_000)
        let insert = Stopwatch.best(effort, count: fresh, reset: { work.removeFresh(fresh) }, [work.insert])[0]
        work.removeFresh(fresh)
        func line(_ name: String, _ timing: Timing) -> Measurement {
            Measurement(
                name: "dedup \(name), \(fill)", value: timing.nanos, unit: "ns",
                claim: "a table of \(work.capacity) entries, in random order", hash: timing.hash)
        }
        return [line("hit", timings[0]), line("miss", timings[1]), line("insert", insert)]
    }

    private final class Work {
        private var table: DedupTable
        let filled: Int
        var capacity: Int { table.capacity }

        init?(entryCount: Int, percent: Int) {
            guard let table = DedupTable(entryCount: entryCount) else { return nil }
            self.table = table
            filled = self.table.capacity * percent / 100
            var numbers = SeededNumbers(state: 1)
            for serial in 0..<filled {
                self.table.insert(
                    Work.print(&numbers), sequence: UInt64(serial + 1), nowSeconds: 1000, windowSeconds: window)
            }
        }
        private static func print(_ numbers: inout SeededNumbers) -> Fingerprint {
            Fingerprint(
                slot: Hash128(low: numbers.next(), high: numbers.next()),
                tag: Hash128(low: numbers.next(), high: numbers.next()))
        }
        /// How many of the first `count` are found. They lie in random places, whatever the order of insertion was.
        private func lookup(_ count: Int, seed: UInt64) -> UInt64 {
            var numbers = SeededNumbers(state: seed)
            var found: UInt64 = 0
            for _ in 0..<count
            where table.lookup(Work.print(&numbers), nowSeconds: 1000, windowSeconds: window) != nil { found += 1 }
            return found
        }
        func hits(_ count: Int) -> UInt64 { lookup(count, seed: 1) }
        func misses(_ count: Int) -> UInt64 { lookup(count, seed: 2) }
        func insert(_ count: Int) -> UInt64 {
            var numbers = SeededNumbers(state: 3)
            for serial in 0..<count {
                let sequence = UInt64(filled + serial + 1)
                table.insert(Work.print(&numbers), sequence: sequence, nowSeconds: 1000, windowSeconds: window)
            }
            return UInt64(table.entryCount)
        }
        func removeFresh(_ count: Int) {
            var numbers = SeededNumbers(state: 3)
            for serial in 0..<count { table.remove(Work.print(&numbers), sequence: UInt64(filled + serial + 1)) }
        }
    }
}
