// The ingest side as the gateway builds it, in this process: a recovered log in a temporary folder, its keeper's
// thread, one ingest loop, one source that signs as GitHub does. The loop drives the journal itself, as where there is
// one loop, or gives its events to a journal thread, as where there are several. No delivery.
//
// Invariant: the hot threads are counted from before they build anything; whoever measures reads the difference.
import FastPath
import Glibc
import MallocCounter
import Synchronization

struct ProbeError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

final class ProbeGateway: Sendable {
    static let secret = "a secret of the probe"
    static let path = "/in/github"
    /// Of the same source with limits.
    static let limitedPath = "/in/limited"
    static let usedUpPath = "/in/used-up"
    /// Small, so that segments are rolled while the probe counts.
    private static let segmentBytes = 4 << 20
    private static let groupBytes = 1 << 20
    private static let keptSegmentCount = 4
    private static let connectionCount = 64
    private static let ticketCount = connectionCount + 64

    let port: UInt16
    let metrics: IngestMetrics
    let tail: CommittedTail
    private let folder: LogFolder
    private let listener: Listener
    private let shared: IngestControl
    private let snapshot: IngestSnapshot
    private let loop: LoopThread
    private let journalThread: (shared: JournalControl, thread: LoopThread)?
    private let keeper: ProbeKeeper

    /// With a context it listens with TLS alone.
    init(path: String, hasJournalThread: Bool, context: TLSContext?) throws {
        guard let shared = IngestControl(testClock: nil, graceMillis: 1000), let reader = Wakeup(),
            let keeperWakeup = Wakeup(), let journalShared = JournalControl()
        else { throw ProbeError("no descriptors left") }
        let recovered = try Recovery.open(
            path: path,
            settings: RecoverySettings(
                dedupEntryCount: 1 << 17, dedupWindowSecondsMax: 86_400,
                nowSeconds: UInt32(truncatingIfNeeded: ProcessResources.wallNanos / 1_000_000_000)))
        folder = recovered.folder
        let journal = try recovered.makeJournal(
            segmentBytes: ProbeGateway.segmentBytes, groupBytes: ProbeGateway.groupBytes,
            groupTicketCountMax: ProbeGateway.ticketCount)
        tail = CommittedTail(journal)
        let driverWakeup = hasJournalThread ? journalShared.wakeup : shared.wakeup
        let mailbox = SpareMailbox(keeper: keeperWakeup, driver: driverWakeup)
        guard
            let segments = SegmentKeeper(
                folder: folder, segmentBytes: ProbeGateway.segmentBytes, freeBytesMin: 16 << 20)
        else { throw ProbeError("no memory for the segment keeper") }
        keeper = try ProbeKeeper(
            segments, mailbox, keeperWakeup, keptBytes: ProbeGateway.keptSegmentCount * ProbeGateway.segmentBytes)
        let metrics = IngestMetrics()
        let driver = JournalDriver(
            journal: journal, logIdentity: folder.identity.identity, folder: folder.directory, tail: tail,
            spares: mailbox, reader: CommitSignal(reader), metrics: metrics, ticketCountMax: ProbeGateway.ticketCount)
        self.metrics = metrics
        let journalPort: TransferBox<JournalClient>
        if hasJournalThread {
            let link = try JournalLink(
                eventBytes: 8 << 20, eventBytesMax: 1 << 20, receiptCount: ProbeGateway.connectionCount,
                journalWakeup: journalShared.wakeup,
                loopWakeup: shared.wakeup)
            let thread = try ProbeGateway.startJournal(TransferBox(driver), link, journalShared)
            journalThread = (journalShared, thread)
            journalPort = TransferBox(JournalClient(link: link, loopIndex: 0, logIdentity: folder.identity.identity))
        } else {
            journalThread = nil
            journalPort = TransferBox(JournalClient(driver: driver, wakeup: shared.wakeup))
        }
        listener = try Listener("127.0.0.1:0", isShared: false)
        try listener.activate()
        guard let port = UInt16(listener.text.split(separator: ":").last ?? "") else { throw ProbeError("no port") }
        self.port = port
        var setup = IngestSetup()
        setup.listeners = [listener.descriptor]
        setup.contexts = [context]
        setup.metrics = metrics
        setup.limits.connectionCountMax = ProbeGateway.connectionCount
        let ready = setup
        let snapshot = try ProbeGateway.snapshot()
        self.snapshot = snapshot
        self.shared = shared
        loop = try LoopThread(name: "ingest-0") {
            malloc_counter_watch()
            runIngestLoop(setup: ready, shared: shared, snapshot: snapshot, port: journalPort) { _ in }
        }
        while shared.stage == .starting { usleep(500) }
        guard shared.stage == .running else { throw ProbeError("the ingest loop did not start") }
        // A fresh folder takes its first event only when its first segment is prepared.
        while keeper.preparedCount == 0 { usleep(1000) }
        usleep(50_000)
    }

    private static func startJournal(
        _ driver: TransferBox<JournalDriver>, _ link: JournalLink, _ shared: JournalControl
    ) throws -> LoopThread {
        let thread = try LoopThread(name: "journal") {
            malloc_counter_watch()
            runJournalLoop(driver: driver, links: [link], shared: shared) { _ in }
        }
        while shared.stage == .starting { usleep(500) }
        guard shared.stage == .running else { throw ProbeError("the journal loop did not start") }
        return thread
    }
    private static func snapshot() throws -> IngestSnapshot {
        let memory = CompiledMemory()
        var scheme = SchemeDefinition(
            algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: "X-Hub-Signature-256")])
        scheme.prefix = "sha256="
        var source = IngestSource(
            name: memory.place(text: "github"), scheme: try SignatureScheme([(scheme, [secret])], in: memory),
            selectors: try EventSelectors(
                eventID: ["header:X-GitHub-Delivery"], eventType: ["header:X-GitHub-Event"],
                dedupKey: ["header:X-GitHub-Delivery", "body"], in: memory),
            handshake: nil)
        let wide = RateLimiter(
            RateLimiter.Settings(
                capacity: 1_000_000, perSecond: 1_000_000, perMinute: 1_000_000_000, perHour: 1_000_000_000))
        let usedUp = RateLimiter(RateLimiter.Settings(perHour: 1))
        _ = usedUp.take(ProcessResources.monotonicNanos)
        var sources = [source]
        for limiter in [wide, usedUp] {
            source.limits.set(source: limiter)
            sources.append(source)
        }
        return IngestSnapshot(
            sources: sources, paths: [path, limitedPath, usedUpPath].map { memory.place(text: $0) },
            owners: [memory, wide, usedUp])
    }

    /// Answers what is under way and ends the threads.
    func stop() {
        shared.drain()
        loop.join()
        journalThread?.shared.drain()
        journalThread?.thread.join()
        keeper.stop()
        listener.close()
    }
}

/// Prepares segments on a thread of its own and removes old ones, so that a long run needs little disk.
final class ProbeKeeper: Sendable {
    private let keeper: Mutex<SegmentKeeper>
    private let mailbox: SpareMailbox
    private let wakeup: Wakeup
    private let keptBytes: Int
    private let isStopping = Atomic<Bool>(false)
    private let prepared = Atomic<Int>(0)
    var preparedCount: Int { prepared.load(ordering: .acquiring) }
    private let thread = Mutex<LoopThread?>(nil)

    init(_ keeper: consuming SegmentKeeper, _ mailbox: SpareMailbox, _ wakeup: Wakeup, keptBytes: Int) throws {
        self.keeper = Mutex(keeper)
        self.mailbox = mailbox
        self.wakeup = wakeup
        self.keptBytes = keptBytes
        let started = try LoopThread(name: "log-keeper") { [self] in run() }
        thread.withLock { $0 = started }
    }
    private func run() {
        while !isStopping.load(ordering: .acquiring) {
            while mailbox.wanted > 0 {
                mailbox.answer(prepare())
                prepared.add(1, ordering: .releasing)
            }
            _ = wakeup.sleep(timeoutMillis: 1000) { mailbox.wanted > 0 || isStopping.load(ordering: .acquiring) }
        }
    }
    private func prepare() -> SegmentDescriptor? {
        let rule = RetentionRule(bytesMax: keptBytes, ageNanosMax: nil, lowWaterSequence: .max)
        return keeper.withLock { keeper in
            _ = try? keeper.retain(rule, now: ProcessResources.wallNanos)
            return try? keeper.prepareSpare()
        }
    }
    func stop() {
        isStopping.store(true, ordering: .releasing)
        wakeup.signal()
        thread.withLock { $0.take() }?.join()
        for spare in mailbox.leftover() { keeper.withLock { $0.discard(spare) } }
    }
}
