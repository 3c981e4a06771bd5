// The way from the log to the endpoints, as one passive step: replies of the store, answers of the resolver, outcomes,
// then orders, then the batch that goes to the store. One thread calls `step`; it never waits and reads no clock.
//
// The written order of a step, and why: replies before outcomes (they free room in the store's queue), outcomes before
// orders (they free slots and memory), the batch last (it then says what this step did). An outcome is only taken when
// its row has room in a batch: a store that cannot write thus stops the orders, and memory stays flat.
//
// Cost: a step looks at lanes that are ready or due, at those that an event matches, and at no other.
//
// Invariants: every slot that is out has a lease and a lane that counts it; a mark is sealed in the same batch as the
// rows that moved it, or a later one, never an earlier one. If that failed, a crash could lose an event for an
// endpoint.

import FastPath

/// Bounds of the dispatcher, and where each comes from.
package struct DispatcherLimits: Sendable {
    /// Orders out at once; no more than the egress loop has connections, so that none waits for another's.
    package var orderCountMax = 2048
    /// The egress loop's connection pools, no more than it has. An order may hold two: its lane's, and that of the
    /// lane's second URL.
    package var poolCountMax = 4096
    /// Rows of one transaction: large enough that its fixed cost is nothing, small enough to stay in the page cache.
    package var batchRowsMax = 2000
    /// How long an outcome may wait for its batch. Everything in it would be sent again after a crash.
    package var batchNanosMax: UInt64 = 20_000_000
    /// How often marks are written while there are no outcomes.
    package var markNanosMax: UInt64 = 1_000_000_000
    /// Events read at the shared place in one step, so that outcomes are never far away.
    package var sharedEventsPerStep = 512
    package var outcomesPerStep = 2048
    /// Ready lanes served in one step.
    package var lanesPerStep = 1024
    /// What a lane may take in one turn.
    package var quantumBytes = 64 * 1024
    /// Work of filters (`CompiledFilter.verdict`) in one step, some milliseconds: outcomes are never further away,
    /// however many endpoints have one. One event at one endpoint may be over it.
    package var filterWorkPerStep = 1 << 20
    /// Longest sleep: a signal that nobody sent costs so much.
    package var idleNanosMax: UInt64 = 100_000_000
    /// How far ahead of their due time retries are fetched from the store.
    package var retryAheadMillis: Int64 = 5000
    package init() {}
    /// An order's part of the memory: what takes less counts as much, since it takes an order.
    func orderUnit(of byteCount: Int) -> Int { max(1, byteCount / orderCountMax) }
}

/// The dispatcher's own time: milliseconds since 1970 as the wall clock stood at start, moved by the monotonic clock
/// alone.
package struct StoreClock: Sendable {
    private let millisAtStart: Int64
    private let monotonicAtStart: UInt64

    package init(wallMillis: Int64, monotonicNanos: UInt64) {
        millisAtStart = wallMillis
        monotonicAtStart = monotonicNanos
    }
    package func millis(at monotonicNanos: UInt64) -> Int64 {
        millisAtStart + Int64(monotonicNanos &- monotonicAtStart) / 1_000_000
    }
    package func wallNanos(at monotonicNanos: UInt64) -> UInt64 {
        UInt64(clamping: millisAtStart) * 1_000_000 &+ (monotonicNanos &- monotonicAtStart)
    }
    /// The monotonic time of `millis`; `.max` for what is far away.
    package func nanos(at millis: Int64) -> UInt64 {
        let distance = max(millis - millisAtStart, 0)
        guard distance < 1 << 42 else { return .max }
        return monotonicAtStart + UInt64(distance) * 1_000_000
    }
}

package final class Dispatcher<Log: EventLog, Egress: EgressPort, Store: StorePort> {
    let log: Log
    let egress: Egress
    let store: Store
    let hosts: any HostLookup
    let pool: PayloadPool
    let limits: DispatcherLimits
    let clock: StoreClock
    var generator: SeededGenerator
    /// By the endpoint's number: every lane, also removed ones with something in flight.
    var lanes = PagedTable<Lane>()
    var matcher = Matcher<Lane>()
    /// For records that name their source only: sources of the default tenant.
    package var sourceNames: [[UInt8]: SourceID] {
        get { groups.sourceNames }
        set { groups.sourceNames = newValue }
    }
    /// What groups the events of sources have.
    package var groups = EventGroups()
    var scheduler: LaneScheduler
    var shares: ResourceShares
    /// Tenants that have their part wait until those that have less have had what they want.
    var keepsToParts = false
    var pools: PoolDirectory
    var slots: SlotTable
    /// Where all lanes that keep up read. Never goes back.
    var shared: EventLocation
    /// Lanes that read there.
    var sharedCount = 0
    /// Lanes at the end of the log that join the shared place when it comes to theirs.
    var joining: [Lane] = []
    /// By host name, the lanes that wait for its addresses.
    var awaitingHost: [String: [Lane]] = [:]
    /// Deliveries whose last attempt goes to a second URL: by host name, those that wait for its addresses, and those
    /// that wait for their turn.
    var failoversAwaitingHost: [String: [FailoverOrder]] = [:]
    var failoversDue = FIFOQueue<FailoverOrder>()
    var failoverFigures = FailoverFigures()
    /// Lanes whose mark may have moved since the last seal.
    var dirty: [Lane] = []
    var batch = OutcomeBatch()
    var batchStarted: UInt64 = 0
    var batchesOut = 0
    private var batchNumber: UInt64 = 0
    /// In the order of the batches that they wait for.
    private var commitWaiters: [(batch: UInt64, tell: (Bool) -> Void)] = []
    /// In the order of what the store was asked to cancel.
    var cancelWaiters: [([DeliveryRow]?) -> Void] = []
    var sealedShared: EventLocation
    var marksSealedAt: UInt64 = 0
    /// What the store has confirmed: the shared mark and those of lanes that have one of their own.
    var committedShared: EventLocation
    var committedMarks: [EndpointID: EventLocation] = [:]
    /// What the store is asked besides batches and pages, while its queue is full.
    var questions: [StoreRequest] = []
    /// Orders that the ring had no room for.
    var unsent: [Int] = []
    /// Changes of conditions that nobody was told of yet.
    package var notices: [EndpointNotice] = []
    /// Who prepares events for the endpoints that ask for it; nil = those get nothing.
    package var preparer: (any PreparationPort)?
    var preparationFigures = PreparationFigures()
    /// Access tokens of endpoints that ask for some.
    var tokens = TokenCache()
    /// Who asks token endpoints; nil = nobody, and whoever needs a token waits.
    package var tokenPort: (any TokenPort)?
    /// By client, the lanes that wait for its token.
    var awaitingToken: [ClientCredentials: [EndpointID: Lane]] = [:]
    /// Deliveries that go again after a 401, until they come back.
    var reauthorized: Set<PreparedKey> = []
    /// Of deliveries that turned out larger than what was taken for them, until they are prepared again.
    var preparedSizes: [PreparedKey: Int] = [:]
    /// Who hears of failures; nil = nobody.
    package var feed: OperationalFeed?
    /// Who watches deliveries live; nil = nobody ever.
    package var stream: StreamFeed?
    /// Who hears of what is traced; nil = nothing is.
    package var spans: SpanRecorder?
    /// Turns of lanes by themselves; for the proof that idle ones get none.
    package var lanesServed: UInt64 = 0
    /// Of filters in this step, and the most of any; for the proof of its bound.
    var filterWork = 0
    package private(set) var filterWorkMax = 0
    var eventsRead: UInt64 = 0
    var eventsUnreadable: UInt64 = 0
    /// Attempts that failed in TLS; `TLSFailure.rawValue` is the index.
    var tlsFailures = [UInt64](repeating: 0, count: TLSFailure.allCases.count)
    /// Sequences that lanes have gone past without reading them, since somebody was told.
    package var passedOver: Range<UInt64>?
    package private(set) var isDraining = false
    private var seenEnd: UInt64 = 0
    var totals = LaneCounters()
    var selection = LaneSelection()
    /// Endpoints by condition, without removed ones.
    var conditions: [EndpointCondition: Int] = [:]
    /// The same by the phase of their breaker, without closed ones.
    var breakers: [BreakerPhase: Int] = [:]
    /// `PolicyEvent.rawValue` is the index.
    var policyEvents = [UInt64](repeating: 0, count: PolicyEvent.allCases.count)
    /// Attempts that failed; `FailureClass.index` is the index.
    var failures = [UInt64](repeating: 0, count: FailureClass.allCases.count)
    /// Sums over all lanes.
    var pendingTotal = 0
    var deadTotal = 0
    var backlogTotal = 0
    /// Lanes whose endpoint the configuration names no more.
    var removedCount = 0

    /// `shared` is where lanes without a mark of their own go on.
    package init(
        log: Log, egress: Egress, store: Store, hosts: any HostLookup, pool: PayloadPool, limits: DispatcherLimits,
        clock: StoreClock, shared: EventLocation, seed: UInt64
    ) {
        precondition(limits.poolCountMax >= 2 * limits.orderCountMax)
        self.log = log
        self.egress = egress
        self.store = store
        self.hosts = hosts
        self.pool = pool
        self.limits = limits
        self.clock = clock
        self.shared = shared
        sealedShared = shared
        committedShared = shared
        generator = SeededGenerator(seed: seed)
        slots = SlotTable(count: limits.orderCountMax)
        scheduler = LaneScheduler(unit: limits.orderUnit(of: pool.byteCount))
        shares = ResourceShares(orderCountMax: limits.orderCountMax, byteCountMax: pool.byteCount)
        pools = PoolDirectory(poolCount: limits.poolCountMax)
    }

    /// One round. Returns for how long, in nanoseconds, there is nothing to do unless something comes in; 0 = go on at
    /// once.
    package func step(now: UInt64) -> UInt64 {
        seenEnd = log.committedEnd.sequence
        filterWorkMax = max(filterWorkMax, filterWork)
        filterWork = 0
        spans?.committed(end: seenEnd, nanos: clock.wallNanos(at: now))
        takeReplies(now: now)
        takeHosts()
        takeTokens(now: now)
        var isBusy = takeOutcomes(now: now)
        isBusy = takePrepared(now: now) || isBusy
        resubmit()
        ask(now: now)
        if !isDraining {
            scheduler.fireTimers(now: now)
            isBusy = serveReady(now: now) || isBusy
            isBusy = serveShared(now: now) || isBusy
            // What was met there, and has its row now, may go.
            isBusy = scheduler.readyCount > 0 || isBusy
        }
        isBusy = serveFailovers(now: now) || isBusy
        sealIfDue(now: now, isForced: isDraining && slots.outCount == 0)
        egress.flush()
        return isBusy ? 0 : sleepNanos(now: now)
    }
    /// For the last look before sleeping: something came in since the last step that the next one takes.
    package var hasWork: Bool {
        store.hasReply || hosts.hasReply || log.committedEnd.sequence != seenEnd
            || tokens.askedCount > 0 && tokenPort?.hasAnswer == true
            || hasResult && (!isBatchFull || store.hasRoom)
    }
    /// What becomes a row, and waits while there is no room for one until the store replies.
    private var hasResult: Bool {
        egress.hasOutcome || preparationFigures.out > 0 && preparer?.hasPrepared == true
    }
    /// No new orders from now on; what is out comes back and is written.
    package func beginDrain() { isDraining = true }
    /// True exactly when nothing is out and the store has everything.
    package var isDrained: Bool {
        slots.outCount == 0 && batch.isEmpty && batchesOut == 0 && dirty.isEmpty && questions.isEmpty
    }

    // MARK: What comes in

    private func takeReplies(now: UInt64) {
        while let reply = store.nextReply() {
            switch reply {
            case .committed(let shared, let marks):
                batchesOut -= 1
                tellCommitted()
                if let shared {
                    precondition(shared.sequence >= committedShared.sequence, "the shared mark went back")
                    committedShared = shared
                }
                for mark in marks { confirm(mark) }
                scheduler.wakeStarved(scheduler.starvedCount)
            case .pending(let endpoint, let kind, let rows, let limit):
                guard let lane = lanes[endpoint.number] else { continue }
                let entries = rows.map {
                    RetryEntry(
                        key: RetryKey(dueMillis: $0.dueMillis, sequence: $0.place.sequence),
                        position: $0.place.position,
                        attempts: $0.attempts)
                }
                lane.working.retries.loaded(entries, kind: kind, limit: limit)
                for row in rows where lane.coalesces || !row.isPostponed { note(waiting: row, lane) }
                reconsider(lane, now: now)
            case .expedited(let endpoint):
                guard let lane = lanes[endpoint.number] else { continue }
                lane.working.retries.reload()
                lane.working.window.reloaded()
                scheduler.makeReady(lane)
            case .cancelled(let rows): cancelled(rows, now: now)
            case .dropped(let deliveries):
                for dropped in deliveries {
                    guard let lane = lanes[dropped.endpoint.number] else { continue }
                    adjust(lane, pending: -dropped.pending, dead: -dropped.dead)
                }
            }
        }
    }
    private func confirm(_ mark: LaneMark) {
        guard let lane = lanes[mark.endpoint.number], !lane.isForgotten else { return }
        // One that has left the shared place meanwhile stands where the store's shared mark is, until its own is there.
        let follows = mark.resume == nil && lane.reading != .shared
        committedMarks[mark.endpoint] = follows ? committedShared : mark.resume
    }
    /// The lane reads at the shared place no more.
    func leaveShared(_ lane: Lane, at place: EventLocation) {
        precondition(lane.reading == .shared)
        lane.reading = .alone(place)
        sharedCount -= 1
        // As the store has it, until the next batch says otherwise.
        if committedMarks[lane.id] == nil { committedMarks[lane.id] = committedShared }
        markDirty(lane)
    }
    private func takeHosts() {
        while let host = hosts.nextReply() {
            for order in failoversAwaitingHost.removeValue(forKey: host) ?? [] { failoversDue.append(order) }
            for lane in awaitingHost.removeValue(forKey: host) ?? [] {
                lane.isAwaitingHost = false
                scheduler.makeReady(lane)
            }
        }
    }
    /// True when it stopped at its bound.
    private func takeOutcomes(now: UInt64) -> Bool {
        var count = 0
        while count < limits.outcomesPerStep {
            guard makeRoomInBatch(now: now) else { return false }
            guard let outcome = egress.nextOutcome() else { return false }
            if isPlanted(.loseOutcome), eventsRead % 16 == 15 { continue }
            complete(outcome, now: now)
            count += 1
        }
        return true
    }
    private func resubmit() {
        while let slot = unsent.last {
            guard egress.submit(slots.request(slot, pool: pool)) else { return }
            unsent.removeLast()
        }
    }

    /// Behind every row that is known now; in its turn when the store's queue is full.
    func ask(_ request: StoreRequest, now: UInt64) {
        questions.append(request)
        ask(now: now)
    }
    private func ask(now: UInt64) {
        while !questions.isEmpty, store.hasRoom {
            if !batch.isEmpty { seal(now: now) }
            store.submit(questions.removeFirst())
        }
    }

    // MARK: The batch

    private var isBatchFull: Bool { batch.rows.count >= limits.batchRowsMax }
    /// False while the batch is full and the store's queue too.
    func makeRoomInBatch(now: UInt64) -> Bool {
        if !isBatchFull { return true }
        guard store.hasRoom else { return false }
        seal(now: now)
        return true
    }
    func noteBatchStart(now: UInt64) { if batch.isEmpty { batchStarted = now } }
    func markDirty(_ lane: Lane) {
        guard !lane.isDirty, !lane.isForgotten else { return }
        lane.isDirty = true
        dirty.append(lane)
    }
    private func sealIfDue(now: UInt64, isForced: Bool) {
        if batch.isEmpty {
            let hasMarks = !dirty.isEmpty || shared != sealedShared
            guard hasMarks, isForced || now &- marksSealedAt >= limits.markNanosMax else { return }
        } else {
            let isOld = now &- batchStarted >= limits.batchNanosMax
            guard isBatchFull || isOld || isForced || batch.isDurable else { return }
        }
        guard store.hasRoom else { return }
        seal(now: now)
    }
    /// Hands the batch to the store, with the shared mark and every mark that its rows or the reading moved: a lane
    /// that follows the shared mark has nothing outstanding before it, in each batch.
    func seal(now: UInt64) {
        marksSealedAt = now
        for lane in dirty {
            lane.isDirty = false
            let mark = lane.mark()
            guard mark != lane.sealedMark else { continue }
            lane.sealedMark = mark
            batch.marks.append(LaneMark(endpoint: lane.id, resume: mark))
        }
        dirty.removeAll(keepingCapacity: true)
        if shared != sealedShared {
            sealedShared = shared
            batch.shared = shared
        }
        guard !batch.isEmpty else { return }
        batchNumber += 1
        batch.number = batchNumber
        batch.nowMillis = clock.millis(at: now)
        store.submit(.commit(batch))
        batchesOut += 1
        batch = OutcomeBatch()
        batch.rows.reserveCapacity(limits.batchRowsMax)
    }

    /// Calls `tell(true)` when the store has everything that was decided so far, durably; `tell(false)` when the
    /// dispatcher ends before.
    package func whenCommitted(_ tell: @escaping (Bool) -> Void) {
        if !batch.isEmpty { batch.isDurable = true }
        commitWaiters.append((batchNumber + (batch.isEmpty ? 0 : 1), tell))
        tellCommitted()
    }
    private func tellCommitted() {
        let committed = batchNumber - UInt64(batchesOut)
        while let first = commitWaiters.first, first.batch <= committed {
            commitWaiters.removeFirst()
            first.tell(true)
        }
    }
    /// No batch is written any more.
    package func end() {
        for waiter in commitWaiters { waiter.tell(false) }
        commitWaiters.removeAll()
        for tell in cancelWaiters { tell(nil) }
        cancelWaiters.removeAll()
    }

    // MARK: Sleep

    private func sleepNanos(now: UInt64) -> UInt64 {
        var nanos = limits.idleNanosMax
        if !batch.isEmpty {
            let age = now &- batchStarted
            nanos = min(nanos, age >= limits.batchNanosMax ? limits.batchNanosMax : limits.batchNanosMax - age)
        }
        if let timer = scheduler.nextTimer { nanos = min(nanos, timer > now ? max(timer - now, 1_000_000) : 1_000_000) }
        return nanos
    }
}
