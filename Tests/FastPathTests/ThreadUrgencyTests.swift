// Threads get their places beside each other, and nothing else of theirs changes. What that is worth is measured by
// `perf/run busy-api`.

import FastPath
import Glibc
import Synchronization
import Testing

@Suite struct ThreadUrgencyTests {
    private func niceness(_ urgency: ThreadUrgency) throws -> Int32 {
        let seen = Atomic<Int32>(.min)
        let thread = try LoopThread(name: "urgency", urgency: urgency) {
            seen.store(getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0), ordering: .relaxed)
        }
        thread.join()
        return seen.load(ordering: .relaxed)
    }
    @Test func onlyWhoYieldsIsNicer() throws {
        let own = getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0)
        #expect(try niceness(.ordinary) == own)
        #expect(try niceness(.prompt) == own)
        #expect(try niceness(.yielding) == max(own, 10))
    }
    @Test func aThreadWithShortSlicesIsOneOfTheOrdinaryClass() throws {
        let seen = Atomic<Int32>(.min)
        let thread = try LoopThread(name: "urgency", urgency: .prompt) {
            seen.store(sched_getscheduler(0), ordering: .relaxed)
        }
        thread.join()
        #expect(seen.load(ordering: .relaxed) == sched_getscheduler(0))
    }
}
