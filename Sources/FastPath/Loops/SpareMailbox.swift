// Prepared segments on their way from the keeper's thread to whoever drives the journal, and the wish for one on its
// way back. Rare (one a segment), so a lock is fine; the loop looks at one atomic a tick.
import Synchronization

package enum SparePreparation: Sendable {
    case ready(SegmentDescriptor)
    /// No room, or an error of the disk.
    case failed
}

package final class SpareMailbox: Sendable {
    private let answers = Mutex<[SparePreparation]>([])
    private let hasAnswer = Atomic<Bool>(false)
    private let wantedCount = Atomic<Int>(0)
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

    package var wanted: Int { wantedCount.load(ordering: .acquiring) }
    /// One answer for one wish.
    package func answer(_ answer: SparePreparation) {
        wantedCount.subtract(1, ordering: .relaxed)
        answers.withLock { $0.append(answer) }
        hasAnswer.store(true, ordering: .releasing)
        driver.signal()
    }
    /// What nobody took, to be closed at the end.
    package func leftover() -> [SegmentDescriptor] {
        answers.withLock { list in
            defer { list = [] }
            return list.compactMap { if case .ready(let spare) = $0 { spare } else { nil } }
        }
    }

    /// A segment to let go of; nil when there is none.
    package func takeRetired() -> SegmentDescriptor? { retired.pop() }
    package var hasRetired: Bool { !retired.isEmpty }

    // MARK: driver

    @inline(__always) var hasReady: Bool { hasAnswer.load(ordering: .acquiring) }
    func take() -> SparePreparation? {
        answers.withLock { list in
            let answer = list.popLast()
            hasAnswer.store(!list.isEmpty, ordering: .relaxed)
            return answer
        }
    }
    /// The keeper closes it; false when it is so far behind that the driver must.
    func retire(_ segment: SegmentDescriptor) -> Bool {
        guard retired.push(segment) else { return false }
        keeper.signal()
        return true
    }
    func want() {
        wantedCount.add(1, ordering: .releasing)
        keeper.signal()
    }
}
