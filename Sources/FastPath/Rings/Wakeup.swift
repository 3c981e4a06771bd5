// How a producer wakes a consumer that sleeps, and pays nothing when it does not: an eventfd and a flag.
//
// The order that makes a lost wake-up impossible: the consumer sets `sleeping`, fences, looks at its rings once more,
// and only then sleeps; the producer publishes, fences, and only then reads `sleeping`. Whichever fence comes second
// sees what the other side did before its own. Without either fence both may read the old value and the consumer sleeps
// on a full ring. Many threads may signal; one thread sleeps.

import CShims
import Synchronization

package final class Wakeup: Sendable {
    /// Readable exactly when a signal came that `endSleep(readable:)` or `sleep` has not taken yet. For a ring's poll.
    package let descriptor: Int32
    private let sleeping = Atomic<Bool>(false)

    /// Nil when the process has no descriptor left.
    package init?() {
        descriptor = sluice_wakeup_open()
        guard descriptor >= 0 else { return nil }
    }
    deinit { if descriptor >= 0 { sluice_wakeup_close(descriptor) } }

    /// After publishing into a ring, once a batch. A system call only when the consumer sleeps.
    @inline(__always) package func signal() {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        guard sleeping.load(ordering: .relaxed) else { return }
        // Of several producers one pays for the wake-up.
        if sleeping.exchange(false, ordering: .relaxed) { sluice_wakeup_signal(descriptor) }
    }
    /// Consumer: before it looks at its rings the last time. They must be looked at after this and before sleeping.
    @inline(__always) package func beginSleep() {
        sleeping.store(true, ordering: .relaxed)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
    }
    /// Consumer: awake again, whether by a signal or not.
    @inline(__always) package func endSleep() {
        sleeping.store(false, ordering: .relaxed)
    }
    /// Whether nobody has signalled since `beginSleep`. For a world in which one thread plays all of them.
    package var isAsleep: Bool { sleeping.load(ordering: .relaxed) }
    /// Consumer: takes the pending signal, if there is one, so that the descriptor is not readable any more.
    package func clear() { _ = sluice_wakeup_wait(descriptor, 0) }

    /// For a consumer without a ring: sleeps until a signal or the time-out unless `hasWork` finds something at the
    /// last look. True when it was signalled.
    package func sleep(timeoutMillis: Int32, unless hasWork: () -> Bool) -> Bool {
        beginSleep()
        if hasWork() {
            endSleep()
            return false
        }
        let signalled = sluice_wakeup_wait(descriptor, timeoutMillis)
        endSleep()
        return signalled
    }
}
