// The log's slow work on a thread of its own: spares ahead of need, retention, the look whether the log is still in
// place, and the clean-up at the end. Blocking file calls are allowed here and nowhere else of the ingest side.
//
// Invariants: each wish for a spare gets one answer; a failure is told once, and again only when its words change; the
// journal is told of a loss within `lookMillis`, and before it gets a segment that was made after it.
import FastPath
import Logging
import Synchronization

final class LogWorker: Sendable {
    struct Status: Sendable {
        var lastFailure: String?
        /// The log is not where it was: nothing is taken until a new segment can be made in its place.
        var loss: LogLoss?
        var removedSegments: UInt64 = 0
        var heldBackSegments = 0
        var freeBytes = 0
    }
    private let keeper: Mutex<SegmentKeeper>
    private let mailbox: SpareMailbox
    private let tail: CommittedTail
    private let wakeup: Wakeup
    private let logger: Logger
    private let configuration: LogConfiguration
    private let pacing: SparePacing
    /// The first sequence that a reader still needs.
    private let lowWater: Mutex<(@Sendable () -> UInt64?)?> = Mutex(nil)
    /// Makes sure that it will not be an earlier one after a power cut.
    private let isLowWaterKept: Mutex<(@Sendable () -> Bool)?> = Mutex(nil)
    private let status = Mutex(Status())
    private let watching: Mutex<Watching>
    private let isStopping = Atomic<Bool>(false)
    private let thread = Mutex<LoopThread?>(nil)
    private static let retentionNanos: UInt64 = 5_000_000_000
    private static let lookMillis: UInt64 = 250
    private struct Watching {
        var watch: LogWatch
        var lookAt: UInt64 = 0
        /// What the journal was told since it last got a segment.
        var told: LogLoss?
        /// First sequence of a segment that the journal has given up.
        var abandoned: UInt64 = 0

        mutating func look(segment: UInt64) -> LogLoss? {
            let loss = watch.loss(segment: segment == abandoned ? 0 : segment)
            guard let loss, loss != told else { return nil }
            told = loss
            abandoned = segment
            return loss
        }
    }

    init(
        keeper: consuming SegmentKeeper, watch: LogWatch, tail: CommittedTail, mailbox: SpareMailbox, wakeup: Wakeup,
        configuration: LogConfiguration,
        logger: Logger
    ) {
        self.keeper = Mutex(keeper)
        watching = Mutex(Watching(watch: watch))
        self.mailbox = mailbox
        self.tail = tail
        self.wakeup = wakeup
        self.configuration = configuration
        self.logger = logger
        pacing = SparePacing(
            targetCount: JournalConfiguration.spareCountTarget(segmentBytes: configuration.segmentBytes),
            segmentBytes: configuration.segmentBytes)
    }
    var current: Status { status.withLock { $0 } }
    func setLowWater(_ body: @escaping @Sendable () -> UInt64?, isKept: @escaping @Sendable () -> Bool) {
        isLowWaterKept.withLock { $0 = isKept }
        lowWater.withLock { $0 = body }
    }

    func start() throws(GatewayError) {
        do {
            let started = try LoopThread(name: "log-keeper") { [self] in run() }
            thread.withLock { $0 = started }
        } catch { throw .thread(error) }
    }
    /// After the journal's driver has ended: unused spares go.
    func stop() {
        isStopping.store(true, ordering: .releasing)
        wakeup.signal()
        thread.withLock { $0.take() }?.join()
        while let retired = mailbox.takeRetired() { keeper.withLock { $0.close(retired) } }
        for spare in mailbox.leftover() { keeper.withLock { $0.discard(spare) } }
    }

    private func run() {
        var retainAt = ProcessResources.monotonicNanos + LogWorker.retentionNanos
        // The youngest retired segment stays in the page cache for readers that are a little behind.
        var youngest: SegmentDescriptor?
        while !isStopping.load(ordering: .acquiring) {
            while let retired = mailbox.takeRetired() {
                if let older = youngest { keeper.withLock { $0.letGo(older) } }
                youngest = retired
            }
            lookForLoss()
            // One a round: what else there is to do comes to its turn however fast segments are used.
            if mailbox.wanted > 0, !isStopping.load(ordering: .acquiring) { prepare() }
            if ProcessResources.monotonicNanos >= retainAt {
                retain()
                retainAt = ProcessResources.monotonicNanos + LogWorker.retentionNanos
            }
            _ = wakeup.sleep(timeoutMillis: Int32(LogWorker.lookMillis)) {
                mailbox.wanted > 0 || mailbox.hasRetired || isStopping.load(ordering: .acquiring)
            }
        }
        if let youngest { keeper.withLock { $0.close(youngest) } }
    }
    /// In a fresh folder, before anybody can send: the first event finds its segment. Nil, and told, when it cannot be
    /// made.
    func prepareFirst() -> SegmentDescriptor? {
        do { return try prepareSpare { _ in .full } } catch {
            report("\(error)")
            return nil
        }
    }
    private func pace(_ doneBytes: Int, since begun: CommittedTail.Snapshot) -> SparePace {
        if mailbox.isUrgent { return .full }
        let now = tail.snapshot
        let segments = Int(clamping: now.segmentGeneration &- begun.segmentGeneration)
        let grown = segments * configuration.segmentBytes + now.endOffset - begun.endOffset
        return pacing.pace(
            wantedCount: mailbox.wanted, doneBytes: doneBytes, grownBytes: max(0, grown), usedBytes: now.endOffset)
    }
    private func prepareSpare(_ pace: (Int) -> SparePace) throws(SpareFailure) -> SegmentDescriptor {
        // An end that is wanted does not wait for pauses.
        try keeper.withLock { keeper throws(SpareFailure) in
            try keeper.prepareSpare(pieceBytes: { SparePacing.pieceBytes(groupBytes: tail.snapshot.groupBytes) }) {
                lookForLoss()
                return isStopping.load(ordering: .relaxed) ? .behind : pace($0)
            }
        }
    }
    private func prepare() {
        do {
            let spare = try prepareSpareInRoom()
            watching.withLock { $0.told = nil }
            status.withLock { $0.loss = nil }
            mailbox.answer(spare)
            report(nil)
        } catch {
            mailbox.answer(nil)
            report("\(error)")
        }
    }
    private func prepareSpareInTime() throws(SpareFailure) -> SegmentDescriptor {
        let begun = tail.snapshot
        return try prepareSpare { pace($0, since: begun) }
    }
    /// On a disk that is too small for what retention would keep, history goes first: events come before it.
    /// One segment a wish: file systems tell of freed space late, and the journal asks again after a second.
    private func prepareSpareInRoom() throws(SpareFailure) -> SegmentDescriptor {
        do throws(SpareFailure) { return try prepareSpareInTime() } catch {
            guard case .tooLittleSpace = error, removeOldest() else { throw error }
            return try prepareSpareInTime()
        }
    }
    /// False when no segment may go.
    private func removeOldest() -> Bool {
        guard let lowWater = lowWater.withLock({ $0 })?() else { return false }
        let isKept = isLowWaterKept.withLock { $0 } ?? { true }
        let removed = try? keeper.withLock { keeper throws(LogOpenError) in
            try keeper.removeOldest(lowWaterSequence: lowWater, isKept: isKept)
        }
        guard let removed, let first = removed.removedSegments.first else { return false }
        status.withLock { $0.removedSegments += 1 }
        logger.warning(
            "the disk is too small for log.retention; the oldest segment went before its time",
            metadata: ["segment": "\(SegmentName.segment(first))"])
        return true
    }
    private func lookForLoss() {
        let now = ProcessResources.monotonicNanos
        let loss = watching.withLock { watching -> LogLoss? in
            guard now >= watching.lookAt else { return nil }
            watching.lookAt = now + LogWorker.lookMillis * 1_000_000
            return watching.look(segment: tail.snapshot.segmentFirst)
        }
        guard let loss else { return }
        mailbox.tellLoss(loss)
        status.withLock { $0.loss = loss }
        logger.critical("the log is not in its place; events are refused", metadata: ["why": "\(loss)"])
    }
    private func retain() {
        guard let lowWater = lowWater.withLock({ $0 }) else { return }
        let rule = RetentionRule(
            bytesMax: configuration.retentionBytes,
            ageNanosMax: configuration.retentionMillis.map { UInt64($0) * 1_000_000 },
            lowWaterSequence: lowWater() ?? .max)
        let isKept = isLowWaterKept.withLock { $0 } ?? { true }
        do {
            let result = try keeper.withLock { keeper throws(LogOpenError) in
                try keeper.retain(rule, now: ProcessResources.wallNanos, isKept: isKept)
            }
            status.withLock {
                $0.removedSegments += UInt64(result.removedSegments.count)
                $0.heldBackSegments = result.heldBackCount
            }
        } catch { logger.error("retention failed; it is tried again", metadata: ["why": "\(error)"]) }
    }
    private func report(_ failure: String?) {
        let isNews = status.withLock { status in
            defer { status.lastFailure = failure }
            return status.lastFailure != failure
        }
        guard isNews else { return }
        if let failure {
            logger.error(
                "log segment not prepared; new events are refused when the last one is full",
                metadata: ["why": "\(failure)"])
        } else {
            logger.notice("log segments are prepared again")
        }
    }
}
