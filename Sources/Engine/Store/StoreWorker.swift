// The store's thread: takes requests in order from a bounded queue, writes, answers, prunes when it has nothing else to
// do. A write that fails (disk full, I/O error) is tried again with backoff until it succeeds: nothing behind it
// overtakes, the queue fills, the dispatcher stops taking outcomes, and events wait safely in the log.

import FastPath
import Foundation
import Logging
import Synchronization

package final class StoreWorker: StorePort, @unchecked Sendable {
    /// Batches of up to 2000 rows; with the dispatcher's own one this bounds what a crash repeats.
    private static let requestCountMax = 8
    private static let failureMillisMax: Int32 = 5000
    private static let pruneRowsMax = 1000

    private struct Shared {
        var requests: [StoreRequest] = []
        var replies: [StoreReply] = []
        var metrics = StoreWorkerMetrics()
        /// Store time before which delivered rows may go, and the oldest event of the log; nil while nothing is known.
        var prunable: (before: Int64, oldest: UInt64)?
        var isStopping = false
        var isStopped = false
    }
    private let shared = Mutex(Shared())
    /// Whether `replies` has something, so that the dispatcher's look costs no lock.
    private let replyCount = Atomic<Int>(0)
    private let requestCount = Atomic<Int>(0)
    private let store: any DeliveryStore
    private let wakeup: Wakeup
    private let dispatcherWakeup: Wakeup
    private let reserve: DiskReserve?
    private let logger: Logger

    /// Nil when the process has no descriptor left.
    package init?(store: any DeliveryStore, dispatcherWakeup: Wakeup, reserve: DiskReserve? = nil, logger: Logger) {
        guard let wakeup = Wakeup() else { return nil }
        self.store = store
        self.wakeup = wakeup
        self.dispatcherWakeup = dispatcherWakeup
        self.reserve = reserve
        self.logger = logger
    }

    package func start() {
        let thread = Thread { [self] in run() }
        thread.name = "store"
        thread.start()
    }
    /// What is in the queue is still written, unless the store fails: then it is met again after the next start.
    package func stop() {
        shared.withLock { $0.isStopping = true }
        wakeup.signal()
        while !shared.withLock({ $0.isStopped }) { Thread.sleep(forTimeInterval: 0.001) }
    }
    package var metrics: StoreWorkerMetrics { shared.withLock { $0.metrics } }
    package func allowPruning(before: Int64, oldest: UInt64) {
        shared.withLock { $0.prunable = (before, oldest) }
        wakeup.signal()
    }

    // MARK: The dispatcher's side

    package var hasRoom: Bool { requestCount.load(ordering: .acquiring) + 2 <= StoreWorker.requestCountMax }
    package func submit(_ request: StoreRequest) {
        shared.withLock { $0.requests.append(request) }
        requestCount.add(1, ordering: .acquiringAndReleasing)
        wakeup.signal()
    }
    package var hasReply: Bool { replyCount.load(ordering: .acquiring) > 0 }
    package func nextReply() -> StoreReply? {
        guard hasReply else { return nil }
        let reply = shared.withLock { $0.replies.isEmpty ? nil : $0.replies.removeFirst() }
        if reply != nil { replyCount.subtract(1, ordering: .acquiringAndReleasing) }
        return reply
    }

    // MARK: The thread

    private func run() {
        while true {
            let (next, isStopping) = shared.withLock { ($0.requests.first, $0.isStopping) }
            if let next {
                guard serve(next) else { break }
                shared.withLock { _ = $0.requests.removeFirst() }
                requestCount.subtract(1, ordering: .acquiringAndReleasing)
                dispatcherWakeup.signal()
            } else if isStopping {
                break
            } else if !pruneOnce() {
                reserve?.restore()
                _ = wakeup.sleep(timeoutMillis: 1000) { requestCount.load(ordering: .acquiring) > 0 || isStoppingNow }
            }
        }
        shared.withLock { $0.isStopped = true }
    }
    private var isStoppingNow: Bool { shared.withLock { $0.isStopping } }

    /// False when it was told to stop while the store kept failing.
    private func serve(_ request: StoreRequest) -> Bool {
        var delay: Int32 = 50
        while true {
            do {
                try serveOnce(request)
                let wasFailing = shared.withLock { state in
                    defer { state.metrics.isFailing = false }
                    return state.metrics.isFailing
                }
                if wasFailing { logger.notice("the delivery store takes writes again") }
                return true
            } catch {
                if StoreError.isOfFullDisk(error), reserve?.letGo() == true { continue }
                noteFailure(error)
                if isStoppingNow { return false }
                _ = wakeup.sleep(timeoutMillis: delay) { isStoppingNow }
                delay = min(delay * 2, StoreWorker.failureMillisMax)
            }
        }
    }
    private func serveOnce(_ request: StoreRequest) throws {
        switch request {
        case .commit(let batch):
            let dropped = try store.apply(batch)
            shared.withLock { state in
                state.metrics.batches += 1
                state.metrics.rows += UInt64(batch.rows.count)
            }
            reply(.committed(shared: batch.shared, marks: batch.marks))
            if !dropped.isEmpty { reply(.dropped(dropped)) }
        case .loadPending(let endpoint, let load, let limit):
            let rows = try store.pending(endpoint: endpoint, load, limit: limit)
            reply(.pending(endpoint: endpoint, kind: load.kind, rows: rows, limit: limit))
        case .expedite(let endpoint, let due):
            try store.expedite(endpoint, due: due)
            reply(.expedited(endpoint))
        case .advance(let endpoint, let millis, let nowMillis):
            try store.advance(endpoint, byMillis: millis, nowMillis: nowMillis)
            reply(.expedited(endpoint))
        case .cancel(let keys, let reason, let nowMillis):
            reply(.cancelled(try store.cancel(keys, reason: reason, nowMillis: nowMillis)))
        case .forget(let endpoints): try store.forget(endpoints)
        }
    }
    private func reply(_ reply: StoreReply) {
        shared.withLock { $0.replies.append(reply) }
        replyCount.add(1, ordering: .acquiringAndReleasing)
    }
    /// One line when it begins; the metrics tell how often.
    private func noteFailure(_ error: any Error) {
        let isNew = shared.withLock { state in
            state.metrics.failures += 1
            state.metrics.lastError = String(describing: error)
            defer { state.metrics.isFailing = true }
            return !state.metrics.isFailing
        }
        guard isNew else { return }
        logger.error(
            "the delivery store cannot be written; deliveries pause, events stay in the log",
            metadata: ["error": "\(error)"])
    }
    /// True while there is more to look at.
    private func pruneOnce() -> Bool {
        guard let limit = shared.withLock({ $0.prunable }) else { return false }
        do {
            let result = try store.prune(before: limit.before, oldest: limit.oldest, limit: StoreWorker.pruneRowsMax)
            if !result.goesOn { shared.withLock { $0.prunable = nil } }
            if !result.dropped.isEmpty {
                reply(.dropped(result.dropped))
                dispatcherWakeup.signal()
            }
            return result.goesOn
        } catch {
            noteFailure(error)
            shared.withLock { $0.prunable = nil }
            return false
        }
    }
}
