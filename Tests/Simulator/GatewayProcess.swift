// One life of the gateway's process: everything from the ingest loop to the store's port, assembled as the components
// of `Engine/Gateway` do it, without their threads. It is stepped part by part; how it ends is the world's affair.
//
// Safety: what loops have with the kernel is dropped with their ports before the loops are.

import Engine
import FastPath

/// The parts that run by themselves, in a gateway each on a thread of its own.
package enum Part: Int, CaseIterable { case ingest, egress, dispatcher, store, keeper }

/// Those of them that could run, in their order.
package struct PartSet {
    private var bits: UInt8 = 0
    var count: Int { bits.nonzeroBitCount }
    mutating func insert(_ part: Part) { bits |= 1 << part.rawValue }
    subscript(place: Int) -> Part {
        var left = bits
        for _ in 0..<place { left &= left - 1 }
        return Part(rawValue: left.trailingZeroBitCount)!
    }
}

package final class GatewayProcess {
    package struct Sizes {
        package var receiveBufferCount = 16
        package var receiveBufferBytes = 2048
        package var poolBytes = 64 << 10
        package var orderCountMax = 12
        package var segmentCountMax = 3
        package init() {}
    }
    static let segmentBytes = 64 << 10
    static let groupBytes = 16 << 10
    private static let ticketCountMax = 64

    let clock: Clockwork
    let files: SimulatedFiles
    let folder: LogFolder
    let tail: CommittedTail
    package let ingestPort: LoopPort
    package let egressPort: LoopPort
    package let metrics = IngestMetrics()
    let shared: IngestControl
    let dispatcher: Dispatcher<LogReaders, EgressRings, PumpedStore>
    let pool: PayloadPool
    let storePort: PumpedStore
    let store: MemoryStore
    let orders: OutboundRequestRing
    let outcomes: OutcomeRing
    let counters = CounterBlock(count: EgressCounter.allCases.count)
    private let egressMailbox = EgressMailbox()
    private let sizes: Sizes
    private var ingest: IngestLoop<PortIO>
    private var egress: EgressLoop<PortIO>
    private var keeper: SegmentKeeper
    private var watch: LogWatch
    private let mailbox: SpareMailbox
    private let snapshot: IngestSnapshot
    private let signal: CommitSignal
    private var sleepers: [Sleeper] = []
    private var storeReadyAt: UInt64 = 0
    private var retainAt: UInt64 = 0
    let report: RecoveryReport
    package private(set) var removedSegmentCount = 0
    /// Called before retention removes anything.
    var beforeRetention: (() -> Void)?

    init(
        _ clock: Clockwork, _ files: SimulatedFiles, _ store: MemoryStore, _ endpoints: [CompiledEndpoint],
        isFirst: Bool, sizes: Sizes
    ) throws {
        (self.clock, self.files, self.store, self.sizes) = (clock, files, store, sizes)
        ingestPort = LoopPort(
            clock, files, bufferCount: sizes.receiveBufferCount, bufferBytes: sizes.receiveBufferBytes)
        egressPort = LoopPort(clock, files, bufferCount: 8, bufferBytes: 1024)
        let wallMillis = Int64(clock.wall / 1_000_000)
        try store.rebase(now: wallMillis)
        let known = try store.snapshot()
        var recovered = try Recovery.open(
            path: "/sluice-data",
            settings: RecoverySettings(
                dedupEntryCount: 4096, dedupWindowSecondsMax: 86_400, nowSeconds: UInt32(clock.wall / 1_000_000_000)))
        recovered.raise(to: known.sequenceFloor)
        report = recovered.report
        folder = recovered.folder
        let identity = folder.identity.identity
        let log = folder
        var journal = try recovered.makeJournal(
            segmentBytes: GatewayProcess.segmentBytes, groupBytes: GatewayProcess.groupBytes,
            groupTicketCountMax: GatewayProcess.ticketCountMax)
        guard
            var keeper = SegmentKeeper(folder: log, segmentBytes: GatewayProcess.segmentBytes, freeBytesMin: 8192),
            let shared = IngestControl(testClock: nil, graceMillis: 20_000), let keeperWakeup = Wakeup(),
            let orders = OutboundRequestRing(capacity: 64), let outcomes = OutcomeRing(capacity: 64)
        else { throw ProcessError.noMemory }
        (self.shared, self.orders, self.outcomes) = (shared, orders, outcomes)
        if journal.currentSegment == nil, let first = try? keeper.prepareSpare() {
            _ = journal.takeSpareRequest(now: clock.now)
            journal.spareBecameReady(first)
        }
        self.keeper = keeper
        watch = LogWatch(log)
        mailbox = SpareMailbox(keeper: keeperWakeup, driver: shared.wakeup)
        let tail = CommittedTail(journal)
        self.tail = tail
        signal = CommitSignal(outcomes.wakeup)
        let driver = JournalDriver(
            journal: journal, logIdentity: identity, folder: log.directory, tail: tail, spares: mailbox,
            reader: signal, metrics: metrics, ticketCountMax: GatewayProcess.ticketCountMax)
        snapshot = try GatewayProcess.sources()
        let setup = GatewayProcess.setup(sizes, metrics)
        ingest = IngestLoop(
            io: PortIO(ingestPort), memory: try IngestMemory(setup), setup: setup, shared: shared, snapshot: snapshot,
            port: JournalClient(driver: driver, wakeup: shared.wakeup))
        let answers = try AnswerMemory(roomCount: 64)
        let egressLimits = GatewayProcess.egressLimits(sizes)
        egress = EgressLoop(
            io: PortIO(egressPort), table: try EgressConnectionTable(limits: egressLimits), answers: answers,
            limits: egressLimits, wakeDescriptor: orders.wakeup.descriptor)
        storePort = PumpedStore(store)
        let readers = LogReaders(folder: log, tail: tail, clock: { clock.now })
        pool = PayloadPool(byteCount: sizes.poolBytes)
        dispatcher = GatewayProcess.dispatcher(
            readers, EgressRings(orders: orders, outcomes: outcomes, answers: answers), storePort, pool, clock, known,
            sizes)
        try GatewayProcess.publish(
            endpoints, to: dispatcher, store, known, end: readers.committedEnd, isFirst: isFirst, clock)
        for wakeup in [shared.wakeup, orders.wakeup, outcomes.wakeup, nil, keeperWakeup] {
            sleepers.append(Sleeper(try wakeup ?? GatewayProcess.unused()))
        }
        signal.setWanted(true)
        ingest.begin()
    }
    private static func unused() throws -> Wakeup {
        guard let wakeup = Wakeup() else { throw ProcessError.noMemory }
        return wakeup
    }
    private enum ProcessError: Error { case noMemory }

    // MARK: assembly

    private static func sources() throws -> IngestSnapshot {
        let memory = CompiledMemory()
        let definition = SchemeDefinition(algorithm: .token, headers: [SchemeHeaders(signature: "X-Token")])
        let scheme = try SignatureScheme([(definition, [Sender.token])], in: memory)
        var source = IngestSource(
            name: memory.place(text: "shop"), scheme: scheme,
            selectors: try EventSelectors(
                eventID: ["header:X-Id"], eventType: ["header:X-Type"], dedupKey: ["header:X-Id"], in: memory),
            handshake: nil)
        source.sourceNumber = 1
        source.tenant = memory.place(bytes: RecordFormat.tenantBytes(of: RecordFormat.defaultTenantNumber))
        return IngestSnapshot(sources: [source], paths: [memory.place(text: "/in/shop")], owners: [memory])
    }
    private static func setup(_ sizes: Sizes, _ metrics: IngestMetrics) -> IngestSetup {
        var setup = IngestSetup()
        setup.listeners = [7]
        setup.metrics = metrics
        setup.limits.connectionCountMax = 16
        setup.receiveBufferCount = sizes.receiveBufferCount
        setup.receiveBufferBytes = sizes.receiveBufferBytes
        setup.assemblyBytes = 128 << 10
        setup.blockBytesMax = 32 << 10
        setup.verifierScratchBytes = 256 << 10
        setup.engine = .openssl
        return setup
    }
    private static func egressLimits(_ sizes: Sizes) -> EgressLimits {
        var limits = EgressLimits()
        limits.connectionCountMax = sizes.orderCountMax
        limits.orderCountMax = sizes.orderCountMax
        limits.poolCountMax = 2 * sizes.orderCountMax
        limits.receiveBufferCount = 8
        limits.receiveBufferByteCount = 1024
        return limits
    }
    private static func dispatcher(
        _ log: LogReaders, _ egress: EgressRings, _ port: PumpedStore, _ pool: PayloadPool, _ clock: Clockwork,
        _ known: DeliverySnapshot, _ sizes: Sizes
    ) -> Dispatcher<LogReaders, EgressRings, PumpedStore> {
        var limits = DispatcherLimits()
        limits.batchRowsMax = 32
        limits.orderCountMax = sizes.orderCountMax
        limits.poolCountMax = 2 * sizes.orderCountMax
        limits.sharedEventsPerStep = 8
        return Dispatcher(
            log: log, egress: egress, store: port, hosts: NoHosts(), pool: pool, limits: limits,
            clock: StoreClock(wallMillis: Int64(clock.wall / 1_000_000), monotonicNanos: clock.now),
            shared: known.shared ?? log.committedEnd, seed: clock.chance.next())
    }
    private static func publish(
        _ endpoints: [CompiledEndpoint], to dispatcher: Dispatcher<LogReaders, EgressRings, PumpedStore>,
        _ store: MemoryStore, _ known: DeliverySnapshot, end: EventLocation, isFirst: Bool,
        _ clock: Clockwork
    ) throws {
        let planner = LanePlanner(store: store)
        let first = planner.firstBatch(
            known, retired: [], shared: known.shared ?? end, nowMillis: Int64(clock.wall / 1_000_000))
        if let first { try store.apply(first) }
        let new = isFirst ? Set(endpoints.map(\.id)) : []
        dispatcher.publish(try planner.plans(endpoints, new: new, in: known, end: end), now: clock.now)
    }

    // MARK: running

    /// Nothing it has with the kernel happens any more.
    func die() {
        ingestPort.end()
        egressPort.end()
        beforeRetention = nil
    }
    var readyParts: PartSet {
        var parts = PartSet()
        for part in Part.allCases where isReady(part) { parts.insert(part) }
        return parts
    }
    private func isReady(_ part: Part) -> Bool {
        let sleeper = sleepers[part.rawValue]
        switch part {
        case .ingest: return ingestPort.hasCompletions || sleeper.isAwake(clock.now)
        case .egress: return egressPort.hasCompletions || sleeper.isAwake(clock.now)
        case .dispatcher, .keeper: return sleeper.isAwake(clock.now)
        case .store: return storePort.hasRequests && clock.now >= storeReadyAt
        }
    }
    /// When something is to be done again if nothing happens; nil: not by itself.
    func nextTime(_ part: Part) -> UInt64? {
        part == .store ? (storePort.hasRequests ? storeReadyAt : nil) : sleepers[part.rawValue].until
    }
    func step(_ part: Part) {
        switch part {
        case .ingest: tickIngest()
        case .egress: tickEgress()
        case .dispatcher: stepDispatcher()
        case .store: stepStore()
        case .keeper: stepKeeper()
        }
    }
    private func tickIngest() {
        let sleeper = sleepers[Part.ingest.rawValue]
        sleeper.rise()
        if sleeper.takeSignal() { ingestPort.wake() }
        ingest.tick()
        if ingestPort.lastWait > 0, ingestPort.lastCount == 0 { sleeper.sleep(until: clock.now + ingestPort.lastWait) }
    }
    private func tickEgress() {
        let sleeper = sleepers[Part.egress.rawValue]
        sleeper.rise()
        if sleeper.takeSignal() { egressPort.wake() }
        egress.tick(
            orders: orders.ring, orderWakeup: orders.wakeup, outcomes: outcomes.ring, outcomeWakeup: outcomes.wakeup,
            mailbox: egressMailbox, counters: counters)
        if egressPort.lastWait > 0, egressPort.lastCount == 0 { sleeper.sleep(until: clock.now + egressPort.lastWait) }
    }
    private func stepDispatcher() {
        let sleeper = sleepers[Part.dispatcher.rawValue]
        sleeper.rise()
        _ = sleeper.takeSignal()
        let sleep = dispatcher.step(now: clock.now)
        guard sleep > 0 else { return }
        sleeper.sleep(until: clock.now + max(sleep, 1_000_000))
        if dispatcher.hasWork { sleeper.rise() }
    }
    private func stepStore() {
        let isDone = storePort.pumpOne()
        storeReadyAt = clock.now + (isDone ? clock.chance.between(10_000, 3_000_000) : 50_000_000)
        if isDone { outcomes.wakeup.signal() }
    }
    private func stepKeeper() {
        let sleeper = sleepers[Part.keeper.rawValue]
        sleeper.rise()
        _ = sleeper.takeSignal()
        while let retired = mailbox.takeRetired() { keeper.close(retired) }
        if let loss = watch.loss(segment: tail.snapshot.segmentFirst), !files.isDead {
            clock.find("the log is not in its place: \(loss)")
        }
        if mailbox.wanted > 0 {
            let spare = try? keeper.prepareSpare()
            if !files.isDead { mailbox.answer(spare) }
        }
        if clock.now >= retainAt { retain() }
        sleeper.sleep(until: clock.now + 250_000_000)
        if mailbox.wanted > 0 || mailbox.hasRetired { sleeper.rise() }
    }
    private func retain() {
        retainAt = clock.now + 1_000_000_000
        beforeRetention?()
        let pending: UInt64?
        do { pending = try store.oldestPending() } catch { return }
        let needed = [dispatcher.lowWater(), pending].compactMap { $0 }.min() ?? .max
        let rule = RetentionRule(
            bytesMax: sizes.segmentCountMax * GatewayProcess.segmentBytes, ageNanosMax: nil, lowWaterSequence: needed)
        guard let result = try? keeper.retain(rule, now: clock.wall, isKept: { isMarkKept() }) else { return }
        removedSegmentCount += result.removedSegments.count
    }
    private func isMarkKept() -> Bool { (try? store.makeDurable()) != nil }
    /// An order that nobody takes although nothing else keeps its loop busy: a wake-up was lost.
    func checkWakeups() {
        guard let until = sleepers[Part.egress.rawValue].until, !orders.ring.isEmpty, !egressPort.hasCompletions else {
            return
        }
        clock.expect(until <= clock.now + 200_000_000, "orders wait in the ring and their loop sleeps on")
    }

    // MARK: the orderly end

    func beginDrain() {
        shared.drain()
        dispatcher.beginDrain()
    }
    var isDrained: Bool { ingest.isDone && dispatcher.isDrained }
    func stopEgress() {
        egressMailbox.requestStop()
        orders.signal()
    }
    var isEgressDone: Bool { egress.isFinished(isRingEmpty: orders.ring.isEmpty) }
    /// After both.
    func checkHome() {
        ingest.finish()
        clock.expect(
            ingestPort.freeBufferCount == ingestPort.bufferCount,
            "\(ingestPort.bufferCount - ingestPort.freeBufferCount) receive buffers of the ingest loop are not home")
        clock.expect(
            egressPort.freeBufferCount == egressPort.bufferCount,
            "\(egressPort.bufferCount - egressPort.freeBufferCount) receive buffers of the egress loop are not home")
        clock.expect(ingestPort.openCount == 0, "\(ingestPort.openCount) connections of senders are open")
        clock.expect(egressPort.openCount == 0, "\(egressPort.openCount) connections to endpoints are open")
        clock.expect(
            pool.leasedCount == 0, "\(pool.leasedCount) payloads are not given back")
    }
}

/// Every address is a literal one.
private final class NoHosts: HostLookup {
    func look(_ host: String, port: UInt16, now: UInt64) -> HostAnswer { .failed("no names here") }
    func distrust(_ host: String, port: UInt16) {}
    func nextReply() -> String? { nil }
    var hasReply: Bool { false }
}
