// Delivery as the gateway sees it: store, dispatcher and their two threads behind a handful of calls. Everything here
// may be called from any thread; what must happen on the dispatcher's thread goes through its mailbox.
//
// Order at start: the store's clock is set right, lanes are opened where the store says they stand, then the threads
// run. An endpoint that is new gets its place durably (`begin`) before anything else knows of it, so that the place is
// never later than its first event.

import FastPath
import Foundation
import Logging
import Synchronization

/// What the service is made of.
package struct DeliveryComponents<Log: EventLog> {
    /// The dispatcher's own reader.
    package var log: Log
    /// Readers for replays and listings, one a call.
    package var makeReader: @Sendable () -> Log
    package var store: any DeliveryStore
    package var orders: OutboundRequestRing
    package var outcomes: OutcomeRing
    package var answers: AnswerMemory
    /// Nil = the system's resolver.
    package var hosts: (any HostLookup)?
    package var logger: Logger
    /// Room for the store on a full disk.
    package var reserve: DiskReserve?
    /// Who hears of failures; nil = nobody.
    package var feed: OperationalFeed?
    /// Who watches deliveries live; nil = nobody ever.
    package var stream: StreamFeed?
    /// Who makes spans of what is traced; nil = nothing is.
    package var tracing: (tracer: EventTracer, feed: SpanFeed)?
    package var limits = DispatcherLimits()

    package init(
        log: Log, makeReader: @escaping @Sendable () -> Log, store: any DeliveryStore,
        orders: OutboundRequestRing, outcomes: OutcomeRing, answers: AnswerMemory, logger: Logger
    ) {
        self.answers = answers
        self.log = log
        self.makeReader = makeReader
        self.store = store
        self.orders = orders
        self.outcomes = outcomes
        self.logger = logger
    }
}

package enum DeliveryError: Error, Equatable, CustomStringConvertible {
    case outOfDescriptors
    case stopped
    case unknownEndpoint
    /// The store cannot take a new endpoint's place now.
    case store(String)

    package var description: String {
        switch self {
        case .outOfDescriptors: "no file descriptor is left for delivery"
        case .stopped: "delivery has stopped"
        case .unknownEndpoint: "there is no such endpoint"
        case .store(let reason): "the delivery store cannot be written: \(reason)"
        }
    }
}

package final class DeliveryService<Log: EventLog>: @unchecked Sendable {
    typealias Engine = Dispatcher<Log, EgressRings, StoreWorker>
    package let store: any DeliveryStore
    package let makeReader: @Sendable () -> Log
    /// Signal it after a commit of the log: the dispatcher then looks at once instead of within 100 ms.
    package let wakeup: Wakeup
    private let clock: StoreClock
    private let historyMillis: Atomic<Int64>
    private let worker: StoreWorker
    private let resolver: HostResolver?
    private let preparer: PreparationWorkers
    private let tokenWorkers: TokenWorkers
    private let logger: Logger
    /// Touched by `start` before the thread runs, then by that thread alone.
    private let dispatcher: Engine
    /// What the store knew; nothing once `start` has used it.
    private var opened: DeliverySnapshot
    private let mailbox = Mutex(Mailbox())
    private let mailCount = Atomic<Int>(0)
    private let published = Mutex(DeliveryMetrics())

    private struct Mailbox {
        var letters: [(Engine, UInt64) -> Void] = []
        var isClosed = false
        var isStopping = false
    }

    /// Reads what the store knows. Throws what is wrong with the store, or `DeliveryError`.
    package init(_ parts: DeliveryComponents<Log>, configuration: DeliveryConfiguration) throws {
        store = parts.store
        makeReader = parts.makeReader
        logger = parts.logger
        wakeup = parts.outcomes.wakeup
        historyMillis = Atomic(Int64(configuration.historyMillis))
        clock = StoreClock(
            wallMillis: Int64(Date().timeIntervalSince1970 * 1000), monotonicNanos: ProcessResources.monotonicNanos
        )
        guard
            let worker = StoreWorker(
                store: parts.store, dispatcherWakeup: wakeup, reserve: parts.reserve, logger: parts.logger)
        else { throw DeliveryError.outOfDescriptors }
        self.worker = worker
        var limits = parts.limits
        limits.orderCountMax = min(limits.orderCountMax, parts.orders.capacity, parts.outcomes.capacity)
        try parts.store.rebase(now: clock.millis(at: DeliveryService.now))
        opened = try parts.store.snapshot()
        resolver = parts.hosts == nil ? HostResolver(wakeup: parts.outcomes.wakeup) : nil
        guard let hosts = parts.hosts ?? resolver else { preconditionFailure("one of the two is there") }
        dispatcher = Dispatcher(
            log: parts.log,
            egress: EgressRings(orders: parts.orders, outcomes: parts.outcomes, answers: parts.answers),
            store: worker, hosts: hosts, pool: PayloadPool(byteCount: configuration.bufferBytes), limits: limits,
            clock: clock, shared: opened.shared ?? parts.log.committedEnd, seed: .random(in: .min ... .max))
        preparer = PreparationWorkers(threadCount: DeliveryService.preparerCount, wakeup: parts.outcomes.wakeup)
        dispatcher.preparer = preparer
        tokenWorkers = TokenWorkers(wakeup: parts.outcomes.wakeup)
        dispatcher.tokenPort = tokenWorkers
        dispatcher.feed = parts.feed
        dispatcher.stream = parts.stream
        dispatcher.spans = parts.tracing.map { SpanRecorder(tracer: $0.tracer, feed: $0.feed) }
    }

    // MARK: Life

    /// Endpoints without anything in the store go on with the shared mark; `new` ones begin with what is committed from
    /// here on. `retired` ones are not delivered to and keep their place.
    package func start(
        _ endpoints: [CompiledEndpoint], new: Set<EndpointID>, retired: [EndpointID] = [],
        sourceNames: [String: SourceID], groups: EventGroups = EventGroups(), weights: [TenantID: Int] = [:]
    ) throws {
        let planner = LanePlanner(store: store)
        let nowMillis = clock.millis(at: DeliveryService.now)
        if let first = planner.firstBatch(opened, retired: retired, shared: dispatcher.shared, nowMillis: nowMillis) {
            try store.apply(first)
        }
        // In a rebuilt store every endpoint is new, and yet begins with what the log still has.
        let plans = try planner.plans(
            endpoints, new: new, in: opened, end: opened.rebuiltFrom ?? dispatcher.log.committedEnd)
        dispatcher.groups = groups
        dispatcher.sourceNames = DeliveryService.bytes(sourceNames)
        dispatcher.set(weights: weights, replacing: true)
        dispatcher.publish(plans, now: DeliveryService.now)
        opened = DeliverySnapshot()
        worker.start()
        preparer.start()
        let thread = Thread { [self] in run() }
        thread.name = "dispatcher"
        thread.start()
    }
    /// What lanes of these endpoints begin with: see `LanePlanner`.
    package func prepare(_ endpoints: [CompiledEndpoint], new: Set<EndpointID>) throws(DeliveryError) -> [LanePlan] {
        let old = endpoints.map(\.id).filter { !new.contains($0) }
        do {
            let known = old.isEmpty ? [] : try perform { dispatcher, _ in dispatcher.known(among: old) }
            return try LanePlanner(store: store).plans(
                endpoints, new: new, known: known, end: makeReader().committedEnd)
        } catch let error as DeliveryError { throw error } catch { throw .store("\(error)") }
    }
    /// The endpoints that changed, from now on; nothing that is out is dropped. Cannot fail: what could has been done
    /// by `prepare`, whose answer is `upserted`.
    package func publish(_ change: DeliveryChange) {
        let plans = change.upserted
        let names = change.sourceNames.map(DeliveryService.bytes)
        let groups = change.groups
        let weights = change.weights
        try? perform { dispatcher, now in
            let known = dispatcher.sourceNames
            if let groups { dispatcher.groups = groups }
            dispatcher.sourceNames = names ?? known
            if let weights { dispatcher.set(weights: weights.weights, replacing: weights.isWhole) }
            dispatcher.remove(change.removed, forgetting: false, now: now)
            dispatcher.remove(change.deleted, forgetting: true, now: now)
            dispatcher.publish(plans, now: now)
        }
    }
    private static func bytes(_ names: [String: SourceID]) -> [[UInt8]: SourceID] {
        Dictionary(uniqueKeysWithValues: names.map { (Array($0.key.utf8), $0.value) })
    }
    /// How long finished deliveries stay listed from now on.
    package func keepHistory(millis: Int) { historyMillis.store(Int64(millis), ordering: .relaxed) }
    /// No new orders; waits until what is out has come back and is written, or the time is over. True when all was
    /// written. Call while the egress loop still runs (it answers, or abandons, what it holds), then stop the egress
    /// loop, then `stop`.
    package func drain(timeoutMillis: Int) -> Bool {
        let end = DeliveryService.now + UInt64(timeoutMillis) * 1_000_000
        do {
            try perform { dispatcher, _ in dispatcher.beginDrain() }
            while DeliveryService.now < end {
                if try perform({ dispatcher, _ in dispatcher.isDrained }) { return true }
                Thread.sleep(forTimeInterval: 0.005)
            }
        } catch {
            return false
        }
        return false
    }
    /// Ends both threads. What was not written is met again after the next start.
    package func stop() {
        mailbox.withLock { $0.isStopping = true }
        wakeup.signal()
        while !mailbox.withLock({ $0.isClosed }) { Thread.sleep(forTimeInterval: 0.001) }
        preparer.stop()
        tokenWorkers.stop()
        worker.stop()
        resolver?.stop()
    }

    // MARK: Questions

    /// At most a quarter of a second old.
    package var metrics: DeliveryMetrics {
        var metrics = published.withLock { $0 }
        metrics.store = worker.metrics
        return metrics
    }
    /// The first sequence that an endpoint still needs, as the store has it; nil when none needs any. Endpoints that
    /// were removed or said 410 hold nothing back, ones that are disabled otherwise do.
    package func lowWater() throws -> UInt64? {
        let mark = try perform { dispatcher, _ in dispatcher.lowWater() }
        return try [mark, store.oldestPending()].compactMap { $0 }.min()
    }
    /// The same for whoever deletes: `.max` when no endpoint needs anything, 0 (delete nothing) while the store cannot
    /// say.
    package var retentionLowWater: UInt64 {
        do { return try lowWater() ?? .max } catch { return 0 }
    }
    /// Before a segment goes that lies below an earlier `retentionLowWater`: no power cut takes back what that was made
    /// of. False: it may.
    package func keepsLowWater() -> Bool {
        do {
            try store.makeDurable()
            return true
        } catch { return false }
    }
    /// Of those endpoints that there are, in the order asked for.
    package func statuses(_ endpoints: [EndpointID]) throws -> [LaneStatus] {
        try perform { dispatcher, now in endpoints.compactMap { dispatcher.status(of: $0, now: now) } }
    }
    /// When the oldest event arrived that is not delivered or dead at the endpoint, wall clock in nanoseconds; nil when
    /// nothing waits. Reads the store and the log: for worker threads.
    package func oldestWaiting(_ status: LaneStatus) throws -> UInt64? {
        var oldest = status.waiting - status.pending > 0 || status.lagEvents > 0 ? status.oldestOutstanding : nil
        if status.pending > 0 {
            let row = try store.rows(endpoint: status.endpoint, states: [.pending], from: 0, limit: 1).first
            oldest = [oldest, row?.place.sequence].compactMap { $0 }.min()
        }
        guard let oldest, case .event(let event) = makeReader().read(at: EventLocation(sequence: oldest, position: 0))
        else { return nil }
        return event.receivedAt
    }
    /// Returns when it is durable, or at once while the store fails: it is in force then, and kept when that ends.
    package func perform(_ command: EndpointCommand, on endpoint: EndpointID) throws {
        let isKnown = try performDurably { dispatcher, now in dispatcher.perform(command, on: endpoint, now: now) }
        guard isKnown else { throw DeliveryError.unknownEndpoint }
    }
    /// Sends one event again, at once, whatever became of it before; the results are in the order of `endpoints`.
    package func replay(
        event: EventID, endpoints: [EndpointID], isManual: Bool = false, isDirected: Bool = false
    ) throws -> [ReplayResult] {
        func all(_ result: ReplayResult) -> [ReplayResult] { endpoints.map { _ in result } }
        let reader = makeReader()
        guard event.logIdentity == reader.identity & 0xFF_FFFF_FFFF else { return all(.unknownEvent) }
        let wanted = EventLocation(sequence: event.sequence, position: 0)
        let found: StoredEvent
        switch reader.read(at: wanted) {
        case .event(let event): found = event
        case .unavailable: return all(.busy)
        case .end, .unreadable: return all(.unknownEvent)
        }
        guard found.place.sequence == event.sequence else { return all(.unknownEvent) }
        // What an endpoint is to have are its events.
        guard !found.isRequestOfBatch else { return all(.requestOfSeveral) }
        let place = found.place
        let rows = try store.rows(sequence: event.sequence)
        let states = Dictionary(uniqueKeysWithValues: rows.map { ($0.endpoint, $0.state) })
        return try replay(
            endpoints.map { endpoint in
                var replay = Replay(endpoint: endpoint, place: place, state: states[endpoint])
                replay.isManual = isManual
                replay.isDirected = isDirected
                return replay
            })
    }
    /// Where an event stands at these endpoints, of those that there are, and what holds it there.
    package func trace(_ event: EventID, at endpoints: [EndpointID]) throws -> [EndpointID: LaneTrace] {
        try perform { dispatcher, now in dispatcher.trace(event.sequence, at: endpoints, now: now) }
    }
    /// How many endpoints will get such an event.
    package func subscriberCount(tenant: TenantID, source: SourceID, type: String) throws -> Int {
        try perform { dispatcher, _ in
            dispatcher.subscriberCount(tenant: tenant, source: source, type: Array(type.utf8))
        }
    }
    /// Whether an endpoint that is not disabled would get such an event.
    package func isWanted(tenant: TenantID, source: SourceID, type: String, channels: [String]) throws -> Bool {
        try perform { dispatcher, _ in
            dispatcher.isWanted(
                tenant: tenant, source: source, type: Array(type.utf8),
                channels: Array(channels.joined(separator: ",").utf8))
        }
    }
    /// Pending deliveries are given up, durably when this returns: those that were, as they are now, and how many are
    /// being attempted at this moment. Nil while the store fails.
    package func cancel(
        _ keys: [DeliveryKey], reason: DeadLetterReason = .cancelled
    ) throws -> (rows: [DeliveryRow], attempted: Int)? {
        guard !worker.metrics.isFailing else { return nil }
        let answer = ResultBox<[DeliveryRow]?>()
        let results = try perform { dispatcher, now in
            dispatcher.cancel(keys, reason: reason, now: now) { answer.set($0) }
        }
        let attempted = results.count { $0 == .attempted }
        while true {
            if let rows = answer.wait(until: Date(timeIntervalSinceNow: 0.1)) {
                guard let rows else { throw DeliveryError.stopped }
                return (rows, attempted)
            }
            // It is done when the store writes again; whoever asks again then is told so.
            if worker.metrics.isFailing { return nil }
        }
    }
    /// What is accepted is durable; nothing is while the store fails.
    package func replay(_ replays: [Replay]) throws -> [ReplayResult] {
        guard !worker.metrics.isFailing else { return replays.map { _ in .busy } }
        return try performDurably { dispatcher, now in dispatcher.replay(replays, now: now) }
    }

    // MARK: Inside

    private func run() {
        var nextPublish: UInt64 = 0
        var nextPrune: UInt64 = 0
        while true {
            let now = DeliveryService.now
            if mailCount.load(ordering: .acquiring) > 0 { openMail(now: now) }
            let sleep = dispatcher.step(now: now)
            if now >= nextPublish {
                nextPublish = now + 250_000_000
                let metrics = dispatcher.metrics(now: now)
                published.withLock { $0 = metrics }
                tellPassedOver()
                tellNotices()
                tellTokenNotices()
            }
            if now >= nextPrune {
                nextPrune = now + 60_000_000_000
                worker.allowPruning(
                    before: clock.millis(at: now) - historyMillis.load(ordering: .relaxed),
                    oldest: dispatcher.log.oldest.sequence)
            }
            if mailbox.withLock({ $0.isStopping }) { break }
            guard sleep > 0 else { continue }
            _ = wakeup.sleep(timeoutMillis: Int32(max(1, sleep / 1_000_000))) {
                dispatcher.hasWork || mailCount.load(ordering: .acquiring) > 0
            }
        }
        mailbox.withLock { $0.isClosed = true }
        // Whoever wrote before the box was closed still gets an answer.
        openMail(now: DeliveryService.now)
        dispatcher.end()
    }
    private func tellPassedOver() {
        guard let range = dispatcher.passedOver else { return }
        dispatcher.passedOver = nil
        let identity = dispatcher.log.identity
        logger.error(
            "events cannot be read from the log again; endpoints that wanted them were not given them",
            metadata: [
                "first": "\(EventID(logIdentity: identity, sequence: range.lowerBound).text)",
                "last": "\(EventID(logIdentity: identity, sequence: range.upperBound - 1).text)",
            ])
    }
    /// A line when an endpoint goes down and when it comes back.
    private func tellNotices() {
        let notices = dispatcher.notices
        dispatcher.notices.removeAll()
        for notice in notices {
            var metadata: Logger.Metadata = [
                "endpoint": "\(notice.name)", "was": "\(notice.old.name)", "reason": "\(notice.state.reason.name)",
            ]
            switch notice.state.condition {
            case .active: logger.notice("endpoint is active", metadata: metadata)
            case .failing, .paused, .disabled:
                metadata["error"] = "\(notice.state.lastError)"
                logger.warning("endpoint is \(notice.state.condition.name)", metadata: metadata)
            }
        }
    }
    /// A line when a client's requests for tokens begin to fail, and when they succeed again.
    private func tellTokenNotices() {
        guard !dispatcher.tokens.notices.isEmpty else { return }
        for notice in dispatcher.tokens.notices {
            let client = notice.credentials.settings
            let metadata: Logger.Metadata = [
                "client": "\(client.clientID)", "token_url": "\(PublicURL.of(client.tokenURL))",
                "tenant": "\(notice.credentials.tenant)",
            ]
            guard let failure = notice.failure else {
                logger.notice("access tokens are given again", metadata: metadata)
                continue
            }
            logger.warning(
                "no access token was given", metadata: metadata.merging(["why": "\(failure.description)"]) { $1 })
        }
        dispatcher.tokens.notices.removeAll()
    }
    private func openMail(now: UInt64) {
        let letters = mailbox.withLock { box in
            defer { box.letters.removeAll() }
            return box.letters
        }
        mailCount.subtract(letters.count, ordering: .acquiringAndReleasing)
        for letter in letters { letter(dispatcher, now) }
    }
    /// Runs `body` between two steps of the dispatcher and waits for its result.
    private func perform<R: Sendable>(_ body: @escaping @Sendable (Engine, UInt64) -> R) throws -> R {
        let result = ResultBox<R>()
        let isOpen = mailbox.withLock { box in
            guard !box.isClosed else { return false }
            box.letters.append { dispatcher, now in
                result.set(body(dispatcher, now))
            }
            return true
        }
        guard isOpen else { throw DeliveryError.stopped }
        mailCount.add(1, ordering: .acquiringAndReleasing)
        wakeup.signal()
        return result.wait()
    }
    /// The same, and waits until the store has what it decided, unless the store fails.
    private func performDurably<R: Sendable>(_ body: @escaping @Sendable (Engine, UInt64) -> R) throws -> R {
        let commit = ResultBox<Bool>()
        let result = try perform { dispatcher, now in
            defer { dispatcher.whenCommitted { commit.set($0) } }
            return body(dispatcher, now)
        }
        while true {
            if let isCommitted = commit.wait(until: Date(timeIntervalSinceNow: 0.1)) {
                guard isCommitted else { throw DeliveryError.stopped }
                return result
            }
            if worker.metrics.isFailing { return result }
        }
    }
    /// As many as a machine has cores to spare for them.
    private static var preparerCount: Int { min(4, max(1, ProcessInfo.processInfo.activeProcessorCount / 2)) }
    private static var now: UInt64 { ProcessResources.monotonicNanos }
}

/// A result on its way from one thread to another.
private final class ResultBox<R: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    /// Only inside the condition's lock.
    private var stored: R?

    func set(_ value: R) {
        condition.lock()
        stored = value
        condition.signal()
        condition.unlock()
    }
    func wait() -> R {
        condition.lock()
        defer { condition.unlock() }
        while true {
            if let stored { return stored }
            condition.wait()
        }
    }
    /// Nil when it did not come in time.
    func wait(until end: Date) -> R? {
        condition.lock()
        defer { condition.unlock() }
        while stored == nil, condition.wait(until: end) {}
        return stored
    }
}

/// What a change of the registry means for delivery.
package struct DeliveryChange: Sendable {
    /// New ones and changed ones.
    package var upserted: [LanePlan] = []
    /// Named no more; their places are kept for when they come back.
    package var removed: [EndpointID] = []
    /// Gone for good.
    package var deleted: [EndpointID] = []
    /// Sources of the default tenant; nil = unchanged.
    package var sourceNames: [String: SourceID]?
    /// Nil = unchanged.
    package var weights: TenantWeights?
    /// What groups the events of sources have; nil = unchanged.
    package var groups: EventGroups?

    package init() {}
}
