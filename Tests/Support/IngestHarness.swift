// A whole ingest side for tests: recovered log in a temporary folder with one segment, one ingest loop on loopback,
// with or without a journal thread. The test itself plays the worker that verifies, so that it says when a verdict
// comes.

import FastPath
import Glibc
import Testing

/// One source of a harness' snapshot; its path is its name behind `/in/`.
package struct HarnessSource {
    package enum Check {
        case worker(UInt32), publications(UInt32), token, hmac, none
        /// The contract's, of the tenant with this UUID.
        case envelope(String)
    }
    package var name: String
    package var check: Check
    package var observes: Bool
    package var rejectedPerSecondMax: UInt32
    package var dedupKey: [String]
    package var number: UInt32
    package var tenantNumber: UInt32
    /// What a client's certificate must be.
    package var certificate: (@Sendable (CompiledMemory) -> ClientCertificateRule)?
    package var splits: Bool
    package var durability = DurabilityLevel.fsync
    package var dedupWindowSeconds: UInt32 = 86_400
    package var isNeverRepeated = false
    package var limiter: RateLimiter?
    /// Of its tenant.
    package var tenantLimiter: RateLimiter?

    package init(
        name: String, check: Check, observes: Bool = false, rejectedPerSecondMax: UInt32 = 0,
        dedupKey: [String] = ["header:X-Id", "body"], number: UInt32 = 0,
        tenantNumber: UInt32 = RecordFormat.defaultTenantNumber, splits: Bool = false
    ) {
        self.splits = splits
        self.name = name
        self.check = check
        self.observes = observes
        self.rejectedPerSecondMax = rejectedPerSecondMax
        self.dedupKey = dedupKey
        self.number = number
        self.tenantNumber = tenantNumber
    }
}

package final class IngestHarness {
    package let logIdentity: UInt64
    package static let token = "the right one"
    private static let connectionCount = 64
    private static let groupBytes = 1 << 20
    package let port: UInt16
    package let link: VerifierLink
    package let rejected: RejectedRing
    package let injector: EventInjector
    package let metrics = IngestMetrics()
    package let publishers = PublisherAccess()
    package let shared: IngestControl
    package let path: String
    private let folder: LogFolder
    private let listener: Listener
    private var loop: LoopThread?
    private var journal: (shared: JournalControl, thread: LoopThread)?
    private var snapshots: [IngestSnapshot] = []
    private let trusted: [CIDR]

    /// `trusted`: proxies that are believed.
    package init(
        _ path: String, _ sources: [HarnessSource], hasJournalThread: Bool = false, capacity: Int = 64,
        trusted: [CIDR] = []
    ) throws {
        self.path = path
        self.trusted = trusted
        shared = try #require(IngestControl(testClock: nil, graceMillis: 20_000))
        let journalShared = try #require(JournalControl())
        let recovered = try Recovery.open(
            path: path,
            settings: RecoverySettings(
                dedupEntryCount: 4096, dedupWindowSecondsMax: 86_400,
                nowSeconds: UInt32(truncatingIfNeeded: ProcessResources.wallNanos / 1_000_000_000)))
        folder = recovered.folder
        let identity = folder.identity.identity
        logIdentity = identity
        let wakeup = hasJournalThread ? journalShared.wakeup : shared.wakeup
        let driver = try IngestHarness.driver(recovered, wakeup, metrics)
        let injection = try JournalLink(
            eventBytes: 4 << 20, eventBytesMax: IngestHarness.groupBytes, receiptCount: 16, journalWakeup: wakeup,
            loopWakeup: try #require(Wakeup()))
        injector = EventInjector(link: injection, loopIndex: hasJournalThread ? 1 : nil, logIdentity: identity)
        let journalPort: TransferBox<JournalClient>
        if hasJournalThread {
            let events = try JournalLink(
                eventBytes: 4 << 20, eventBytesMax: IngestHarness.groupBytes,
                receiptCount: IngestHarness.connectionCount, journalWakeup: wakeup, loopWakeup: shared.wakeup)
            let thread = try LoopThread(name: "journal") {
                runJournalLoop(driver: driver, links: [events, injection], shared: journalShared) { _ in }
            }
            journal = (journalShared, thread)
            journalPort = TransferBox(JournalClient(link: events, loopIndex: 0, logIdentity: identity))
        } else {
            journalPort = TransferBox(JournalClient(driver: driver.take(), wakeup: wakeup, injections: [injection]))
        }
        listener = try Listener("127.0.0.1:0", isShared: false)
        try listener.activate()
        port = try #require(UInt16(listener.text.split(separator: ":").last ?? ""))
        link = VerifierLink(capacity: capacity, bell: VerifierBell([]), loopWakeup: shared.wakeup)
        rejected = try RejectedRing(byteCount: 1 << 20, wakeup: try #require(Wakeup()))
        try start(sources, journalPort)
    }
    private static func driver(
        _ recovered: consuming RecoveredLog, _ wakeup: Wakeup, _ metrics: IngestMetrics
    ) throws -> TransferBox<JournalDriver> {
        let folder = recovered.folder
        var journal = try recovered.makeJournal(
            segmentBytes: 8 << 20, groupBytes: groupBytes, groupTicketCountMax: 256)
        // As much as any of these tests writes; nobody answers for a second one.
        guard var keeper = SegmentKeeper(folder: folder, segmentBytes: 8 << 20, freeBytesMin: 0) else {
            throw HarnessError.noKeeper
        }
        let spare = try keeper.prepareSpare()
        let isWanted = journal.takeSpareRequest(now: 1)
        #expect(isWanted)
        journal.spareBecameReady(spare)
        let mailbox = SpareMailbox(keeper: try #require(Wakeup()), driver: wakeup)
        return TransferBox(
            JournalDriver(
                journal: journal, logIdentity: folder.identity.identity, folder: folder.directory,
                tail: CommittedTail(journal), spares: mailbox, reader: CommitSignal(try #require(Wakeup())),
                metrics: metrics, ticketCountMax: 256))
    }
    private func start(_ sources: [HarnessSource], _ port: TransferBox<JournalClient>) throws {
        var setup = IngestSetup()
        setup.listeners = [listener.descriptor]
        setup.metrics = metrics
        setup.limits.connectionCountMax = IngestHarness.connectionCount
        setup.verifiers = link
        setup.rejected = rejected
        setup.publishers = publishers
        let snapshot = try IngestHarness.snapshot(sources, trusted)
        snapshots.append(snapshot)
        let shared = shared
        loop = try LoopThread(name: "ingest-0") { [setup] in
            runIngestLoop(setup: setup, shared: shared, snapshot: snapshot, port: port) { _ in }
        }
        waitUntil { shared.stage != .starting }
        #expect(shared.stage == .running)
    }

    static func snapshot(_ sources: [HarnessSource], _ trusted: [CIDR]) throws -> IngestSnapshot {
        let memory = CompiledMemory()
        var compiled: [IngestSource] = []
        for (index, source) in sources.enumerated() {
            var definition: SchemeDefinition?
            switch source.check {
            case .token:
                definition = SchemeDefinition(algorithm: .token, headers: [SchemeHeaders(signature: "X-Token")])
            case .hmac:
                definition = SchemeDefinition(
                    algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: "X-Signature")])
            case .envelope:
                var envelope = SchemeDefinition(
                    algorithm: .hmac(.sha256),
                    headers: [SchemeHeaders(signature: "X-Signature", id: "X-Request-Id", timestamp: "X-Timestamp")])
                envelope.signed = "{id}.{timestamp}.{body}"
                envelope.timestamp = TimestampRule()
                definition = envelope
            case .worker, .publications, .none: break
            }
            let isEnveloped = if case .envelope = source.check { true } else { false }
            let scheme = try definition.map { try SignatureScheme([($0, [token])], in: memory) }
            var fresh = IngestSource(
                name: memory.place(text: source.name), scheme: scheme,
                selectors: try EventSelectors(
                    eventID: ["header:X-Id"], eventType: isEnveloped ? ["json:$.event_type"] : [],
                    dedupKey: isEnveloped ? ["header:X-Request-Id"] : source.dedupKey, in: memory),
                handshake: nil)
            switch source.check {
            case .worker(let id): fresh.verifierID = id
            case .publications(let id):
                fresh.verifierID = id
                fresh.takesPublications = true
            case .envelope(let tenant): fresh.envelope = EnvelopeRule(tenant: memory.place(text: tenant))
            case .token, .hmac, .none: break
            }
            fresh.observes = source.observes
            fresh.splits = source.splits
            fresh.durability = source.durability
            fresh.isNeverRepeated = source.isNeverRepeated
            fresh.dedupWindowSeconds = source.dedupWindowSeconds
            fresh.sourceNumber = source.number
            fresh.tenant = memory.place(bytes: RecordFormat.tenantBytes(of: source.tenantNumber))
            fresh.rejectedPerSecondMax = source.rejectedPerSecondMax
            fresh.edge.certificate = source.certificate?(memory)
            fresh.counterSlot = index
            fresh.limits.set(source: source.limiter)
            if !fresh.takesPublications { fresh.limits.set(tenant: source.tenantLimiter) }
            compiled.append(fresh)
        }
        let edge = EdgePolicy(trusted: trusted.isEmpty ? nil : AddressSet(trusted, in: memory))
        var routes: [IngestRoute] = []
        for (place, source) in sources.enumerated() {
            routes.append(IngestRoute(memory.place(text: "/in/\(source.name)"), source: place))
            guard case .publications = source.check else { continue }
            routes.append(IngestRoute(memory.place(text: "/api/v1/events"), source: place))
        }
        var tenants: [UInt32: RateLimiter] = [:]
        for source in sources { if let limiter = source.tenantLimiter { tenants[source.tenantNumber] = limiter } }
        return IngestSnapshot(
            sources: compiled, routes: routes, edge: edge, tenants: tenants.map { ($0.key, $0.value) },
            owners: [memory] + sources.compactMap(\.limiter))
    }

    /// Other sources from now on; returns when the loop uses them.
    package func reload(_ sources: [HarnessSource]) throws {
        let snapshot = try IngestHarness.snapshot(sources, trusted)
        snapshots.append(snapshot)
        shared.publish(snapshot)
        waitUntil { self.shared.isInForce(snapshot) }
    }
    /// True when no request waits for a worker.
    package func hasNoOrder() -> Bool { !link.hasOrders }
    /// The next request for a worker, as soon as there is one.
    package func nextOrder() throws -> OffloadedRequest {
        for _ in 0..<20_000 {
            if let request = link.next() { return request }
            usleep(500)
        }
        throw HarnessError.noOrder
    }
    package func count(_ counter: SourceCounter, source index: Int = 0) -> UInt64 {
        metrics.sources.read(index * SourceCounter.count + counter.rawValue)
    }
    package func count(_ counter: IngestCounter) -> UInt64 { metrics.loop.read(counter.rawValue) }

    /// Ends the threads, then reads what is in the log, in order.
    package func finish() throws -> [LoggedEvent] {
        injector.close()
        shared.drain()
        loop?.join()
        journal?.shared.drain()
        journal?.thread.join()
        listener.close()
        var events: [LoggedEvent] = []
        _ = try LogCheck.run(path: path) { record, _ in
            events.append(
                LoggedEvent(
                    source: record.source.text, body: record.body.array, verdict: record.verdict.name,
                    sourceNumber: record.sourceNumber, tenantNumber: record.tenantNumber,
                    isEnveloped: record.isEnveloped))
            return true
        }
        return events
    }
}

package enum HarnessError: Error { case noOrder, noKeeper, noMemory }

package struct LoggedEvent: Equatable {
    package var source: String
    package var body: [UInt8]
    package var verdict: String
    package var sourceNumber: UInt32
    package var tenantNumber: UInt32
    package var isEnveloped: Bool

    package init(
        source: String, body: [UInt8], verdict: String, sourceNumber: UInt32 = 0,
        tenantNumber: UInt32 = RecordFormat.defaultTenantNumber, isEnveloped: Bool = false
    ) {
        self.isEnveloped = isEnveloped
        self.source = source
        self.body = body
        self.verdict = verdict
        self.sourceNumber = sourceNumber
        self.tenantNumber = tenantNumber
    }
}

/// Until it holds; gives up after ten seconds, and the test fails.
package func waitUntil(_ holds: () -> Bool) {
    for _ in 0..<20_000 {
        if holds() { return }
        usleep(500)
    }
    Issue.record("waited ten seconds in vain")
}
