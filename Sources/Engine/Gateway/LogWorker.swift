// The log's slow work on a thread of its own: spares ahead of need, retention, and the clean-up at the end. Blocking
// file calls are allowed here and nowhere else of the ingest side.
//
// Invariants: each wish for a spare gets one answer; a failure is told once, and again only when its words change.
import FastPath
import Logging
import Synchronization

final class LogWorker: Sendable {
    struct Status: Sendable {
        var lastFailure: String?
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
    /// The first sequence that a reader still needs.
    private let lowWater: Mutex<(@Sendable () -> UInt64?)?> = Mutex(nil)
    private let status = Mutex(Status())
    private let isStopping = Atomic<Bool>(false)
    private let thread = Mutex<LoopThread?>(nil)
    private static let retentionNanos: UInt64 = 5_000_000_000

    init(
        keeper: consuming SegmentKeeper, tail: CommittedTail, mailbox: SpareMailbox, wakeup: Wakeup,
        configuration: LogConfiguration,
        logger: Logger
    ) {
        self.keeper = Mutex(keeper)
        self.mailbox = mailbox
        self.tail = tail
        self.wakeup = wakeup
        self.configuration = configuration
        self.logger = logger
    }
    var current: Status { status.withLock { $0 } }
    func setLowWater(_ body: @escaping @Sendable () -> UInt64?) { lowWater.withLock { $0 = body } }

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
            while mailbox.wanted > 0, !isStopping.load(ordering: .acquiring) { prepare() }
            if ProcessResources.monotonicNanos >= retainAt {
                retain()
                retainAt = ProcessResources.monotonicNanos + LogWorker.retentionNanos
            }
            _ = wakeup.sleep(timeoutMillis: 1000) {
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
    /// A spare is to be done before the current segment is: its share must stay at twice the share of the segment that
    /// is used. With no other spare in hand and the segment nearly full there is no time for zeros.
    private func pace(_ doneBytes: Int) -> SparePace {
        let used = tail.snapshot.endOffset
        if mailbox.wanted > 1 { return used > configuration.segmentBytes / 16 * 15 ? .behind : .full }
        return doneBytes < 2 * used ? .full : .slow
    }
    private func prepareSpare(_ pace: (Int) -> SparePace) throws(SpareFailure) -> SegmentDescriptor {
        // An end that is wanted does not wait for pauses.
        try keeper.withLock { keeper throws(SpareFailure) in
            try keeper.prepareSpare { isStopping.load(ordering: .relaxed) ? .behind : pace($0) }
        }
    }
    private func prepare() {
        do {
            let spare = try prepareSpare(pace)
            mailbox.answer(.ready(spare))
            report(nil)
        } catch {
            mailbox.answer(.failed)
            report("\(error)")
        }
    }
    private func retain() {
        guard let lowWater = lowWater.withLock({ $0 }) else { return }
        let rule = RetentionRule(
            bytesMax: configuration.retentionBytes,
            ageNanosMax: configuration.retentionMillis.map { UInt64($0) * 1_000_000 },
            lowWaterSequence: lowWater() ?? .max)
        do {
            let result = try keeper.withLock { keeper throws(LogOpenError) in
                try keeper.retain(rule, now: ProcessResources.wallNanos)
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
