// News of the keeper's thread for whoever drives the journal (prepared segments, a log that is gone), and the wish for
// a segment on its way back. Rare (one a segment), so a lock is fine; the loop looks at one atomic a tick.
import Synchronization

package enum KeeperNews: Sendable {
    case ready(SegmentDescriptor)
    /// No room, or an error of the disk.
    case failed
    /// Every segment that is told as ready after this was made after it.
    case lost(LogLoss)
}

package final class SpareMailbox: Sendable {
    private let news = Mutex<[KeeperNews]>([])
    private let hasNews = Atomic<Bool>(false)
    private let wantedCount = Atomic<Int>(0)
    private let logHasFailed = Atomic<Bool>(false)
    // From the driver to the keeper: segments that the journal has done with.
    private let retired = SPSCRing<SegmentDescriptor>(capacity: 16)
    private let keeper: Wakeup
    private let driver: Wakeup

    /// `keeper` wakes the thread that prepares, `driver` the loop that waits for a spare.
    package init(keeper: Wakeup, driver: Wakeup) {
        self.keeper = keeper
        self.driver = driver
    }

    // MARK: keeper

    package var wanted: Int { wantedCount.load(ordering: .relaxed) }
    /// The log takes nothing before it gets a segment, however many are ready by the count of wishes.
    package var isUrgent: Bool { logHasFailed.load(ordering: .relaxed) }
    /// One segment for one wish; nil when it cannot be had.
    package func answer(_ spare: SegmentDescriptor?) {
        wantedCount.subtract(1, ordering: .relaxed)
        tell(spare.map { .ready($0) } ?? .failed)
    }
    package func tellLoss(_ loss: LogLoss) { tell(.lost(loss)) }
    private func tell(_ one: KeeperNews) {
        news.withLock { $0.append(one) }
        hasNews.store(true, ordering: .relaxed)
        driver.signal()
    }
    /// What nobody took, to be closed at the end.
    package func leftover() -> [SegmentDescriptor] {
        news.withLock { list in
            defer { list = [] }
            return list.compactMap { if case .ready(let spare) = $0 { spare } else { nil } }
        }
    }

    /// A segment to let go of; nil when there is none.
    package func takeRetired() -> SegmentDescriptor? { retired.pop() }
    package var hasRetired: Bool { !retired.isEmpty }

    // MARK: driver

    @inline(__always) var hasSome: Bool { hasNews.load(ordering: .relaxed) }
    func note(logHasFailed: Bool) { self.logHasFailed.store(logHasFailed, ordering: .relaxed) }
    /// Oldest first.
    func take() -> KeeperNews? {
        news.withLock { list in
            let first = list.isEmpty ? nil : list.removeFirst()
            hasNews.store(!list.isEmpty, ordering: .relaxed)
            return first
        }
    }
    /// The keeper closes it; false when it is so far behind that the driver must.
    func retire(_ segment: SegmentDescriptor) -> Bool {
        guard retired.push(segment) else { return false }
        keeper.signal()
        return true
    }
    func want() {
        wantedCount.add(1, ordering: .relaxed)
        keeper.signal()
    }
}
