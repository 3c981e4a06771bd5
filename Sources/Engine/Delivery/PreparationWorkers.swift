// The threads that prepare events for the dispatcher: a fixed number of them, a bounded queue before them. They touch
// nothing of the dispatcher's but its wakeup.
//
// Invariants: `preparedBytes` are those of what is done and not taken back; while these are at their bound no thread
// begins with another order, so that memory stays bounded when nobody takes them back. An order that was taken is
// answered, except after `stop`, when nobody asks any more.
import FastPath
import Foundation
import Synchronization

package final class PreparationWorkers: PreparationPort, @unchecked Sendable {
    /// Waiting and out together; each has a slot of the dispatcher's, of which there are not many more.
    package static let orderCountMax = 1024
    /// Of waiting ones, and again of prepared ones. A larger one goes alone, of each thread.
    package static let byteCountMax = 32 << 20
    private let condition = NSCondition()
    // Only inside the condition's lock.
    private var waiting = PreparationQueue()
    private var preparedBytes = 0
    private var isStopping = false
    private var running = 0
    private let prepared = Mutex<[PreparedDelivery]>([])
    private let preparedCount = Atomic<Int>(0)
    /// The dispatcher's alone.
    private var taken: [PreparedDelivery] = []
    /// Handed over and not taken back; the dispatcher's alone.
    private var out = 0
    private let wakeup: Wakeup
    private let threadCount: Int
    private let byteCountMax: Int

    package init(threadCount: Int, wakeup: Wakeup, byteCountMax: Int = PreparationWorkers.byteCountMax) {
        self.threadCount = max(1, threadCount)
        self.byteCountMax = byteCountMax
        self.wakeup = wakeup
    }
    package func start() {
        running = threadCount
        for index in 0..<threadCount {
            let thread = Thread { [self] in run() }
            thread.name = "prepare-\(index)"
            thread.start()
        }
    }
    /// What waits is dropped; returns when the threads have ended.
    package func stop() {
        condition.lock()
        isStopping = true
        condition.broadcast()
        while running > 0 { condition.wait() }
        condition.unlock()
    }

    package func hasRoom(for byteCount: Int) -> Bool {
        guard out < PreparationWorkers.orderCountMax else { return false }
        condition.lock()
        defer { condition.unlock() }
        return waiting.isEmpty || waiting.byteCount + byteCount <= byteCountMax
    }
    package func submit(_ order: PreparationOrder) {
        out += 1
        condition.lock()
        waiting.append(order)
        condition.signal()
        condition.unlock()
    }
    package var hasPrepared: Bool { !taken.isEmpty || preparedCount.load(ordering: .acquiring) > 0 }
    package func nextPrepared() -> PreparedDelivery? {
        if taken.isEmpty, preparedCount.load(ordering: .acquiring) > 0 {
            taken = prepared.withLock { list in
                defer { list.removeAll(keepingCapacity: true) }
                return list.reversed()
            }
            preparedCount.subtract(taken.count, ordering: .acquiringAndReleasing)
        }
        guard let next = taken.popLast() else { return nil }
        out -= 1
        condition.lock()
        let wasFull = isFull
        preparedBytes -= next.byteCount
        if wasFull, !isFull { condition.broadcast() }
        condition.unlock()
        return next
    }
    /// Bytes of what is prepared and was not taken back, and whether something waits for room among them.
    package var preparedState: (byteCount: Int, isHeldBack: Bool) {
        condition.lock()
        defer { condition.unlock() }
        return (preparedBytes, isFull && !waiting.isEmpty)
    }
    /// Only inside the condition's lock.
    private var isFull: Bool { preparedBytes >= byteCountMax }

    private func run() {
        while let order = nextOrder() {
            let done = PreparedDelivery(order)
            condition.lock()
            preparedBytes += done.byteCount
            condition.unlock()
            prepared.withLock { $0.append(done) }
            preparedCount.add(1, ordering: .acquiringAndReleasing)
            wakeup.signal()
        }
        condition.lock()
        running -= 1
        condition.broadcast()
        condition.unlock()
    }
    /// Nil when there will be none.
    private func nextOrder() -> PreparationOrder? {
        condition.lock()
        defer { condition.unlock() }
        while waiting.isEmpty || isFull, !isStopping { condition.wait() }
        return isStopping ? nil : waiting.popFirst()
    }
}
