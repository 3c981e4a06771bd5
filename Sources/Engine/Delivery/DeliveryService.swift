// Delivery as the gateway sees it: store, dispatcher and their two threads behind a handful of calls. Everything here
// may be called from any thread; what must happen on the dispatcher's thread goes through its mailbox.
//
// Order at start: the store's clock is set right, endpoints are registered (durably, before the first event can arrive,
// so that a new endpoint's place is never later than its first event), lanes are opened, then the threads run.

import FastPath
import Foundation
import Logging
import Synchronization

/// What the service is made of.
package struct DeliveryParts<Log: EventLog> {
    /// The dispatcher's own reader.
    package var log: Log
    /// Readers for replays and listings, one a call.
    package var makeReader: @Sendable () -> Log
    package var store: any DeliveryStore
    package var orders: DeliveryOrderRing
    package var outcomes: DeliveryOutcomeRing
    package var logger: Logger
    package var limits = DispatcherLimits()

    package init(
        log: Log, makeReader: @escaping @Sendable () -> Log, store: any DeliveryStore, orders: DeliveryOrderRing,
        outcomes: DeliveryOutcomeRing, logger: Logger
    ) {
        self.log = log
        self.makeReader = makeReader
        self.store = store
        self.orders = orders
        self.outcomes = outcomes
        self.logger = logger
    }
}

/// An endpoint with its place in the egress loop's table.
package struct EndpointPlan: Sendable {
    package var configuration: EndpointConfiguration
    package var egressIndex: UInt32
    /// Fields that carry a source's secret itself: never forwarded.
    package var withheld: [HeaderName]

    package init(configuration: EndpointConfiguration, egressIndex: UInt32, withheld: [HeaderName] = []) {
        self.configuration = configuration
        self.withheld = withheld
        self.egressIndex = egressIndex
    }
}

package enum DeliveryError: Error, Equatable, CustomStringConvertible {
    case outOfDescriptors
    case stopped
    case unknownEndpoint(String)

    package var description: String {
        switch self {
        case .outOfDescriptors: "no file descriptor is left for delivery"
        case .stopped: "delivery has stopped"
        case .unknownEndpoint(let name): "there is no endpoint named \"\(name)\""
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
    private let historyMillis: Int64
    private let worker: StoreWorker
    private let outcomes: DeliveryOutcomeRing
    private let logger: Logger
    /// Touched by `start` before the thread runs, then by that thread alone.
    private let dispatcher: Engine
    private let mailbox = Mutex(Mailbox())
    private let mailCount = Atomic<Int>(0)
    private let published = Mutex(DeliveryMetrics())
    private let numbers = Mutex<[String: Int]>([:])

    private struct Mailbox {
        var letters: [(Engine, UInt64) -> Void] = []
        var isClosed = false
        var isStopping = false
    }

    package init(_ parts: DeliveryParts<Log>, configuration: DeliveryConfiguration) throws {
        store = parts.store
        makeReader = parts.makeReader
        logger = parts.logger
        outcomes = parts.outcomes
        wakeup = parts.outcomes.wakeup
        historyMillis = Int64(configuration.historyMillis)
        clock = StoreClock(
            wallMillis: Int64(Date().timeIntervalSince1970 * 1000), monotonicNanos: ProcessResources.monotonicNanos
        )
        guard let worker = StoreWorker(store: parts.store, dispatcherWakeup: wakeup, logger: parts.logger) else {
            throw DeliveryError.outOfDescriptors
        }
        self.worker = worker
        var limits = parts.limits
        limits.orderCountMax = min(limits.orderCountMax, parts.orders.capacity, parts.outcomes.capacity)
        dispatcher = Dispatcher(
            log: parts.log, egress: EgressRings(orders: parts.orders, outcomes: parts.outcomes), store: worker,
            pool: PayloadPool(byteCount: configuration.bufferBytes), limits: limits, clock: clock,
            seed: .random(in: .min ... .max))
    }

    // MARK: Life

    package func start(_ plans: [EndpointPlan]) throws {
        try store.rebase(now: clock.millis(at: DeliveryService.now))
        // A new endpoint begins with what is committed from here on.
        dispatcher.apply(try lanePlans(plans, start: dispatcher.log.committedEnd), now: DeliveryService.now)
        worker.start()
        let thread = Thread { [self] in run() }
        thread.name = "dispatcher"
        thread.start()
    }
    /// The endpoints from now on; nothing that is out is dropped. The egress loop must know the new table already.
    package func reload(_ plans: [EndpointPlan]) throws {
        let start = try perform { dispatcher, _ in dispatcher.log.committedEnd }
        let prepared = try lanePlans(plans, start: start)
        try perform { dispatcher, now in dispatcher.apply(prepared, now: now) }
    }
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
        worker.stop()
    }

    // MARK: Questions

    /// At most a quarter of a second old.
    package var metrics: DeliveryMetrics {
        var metrics = published.withLock { $0 }
        metrics.store = worker.metrics
        return metrics
    }
    /// The first sequence that an endpoint still needs, as the store has it; nil when none needs any. Endpoints that
    /// were removed or said 410 hold nothing back, ones that the configuration disables do.
    package func lowWater() throws -> UInt64? {
        let marks = try store.endpoints().filter { !$0.isRemoved && $0.stop == nil }.map(\.resume.sequence)
        return try [marks.min(), store.oldestPending()].compactMap { $0 }.min()
    }
    /// The same for whoever deletes: `.max` when no endpoint needs anything, 0 (delete nothing) while the store cannot
    /// say.
    package var retentionLowWater: UInt64 {
        do { return try lowWater() ?? .max } catch { return 0 }
    }
    /// Sends one event again, at once, whatever became of it before.
    package func replay(event: EventID, endpoint: String) throws -> ReplayVerdict {
        let reader = makeReader()
        guard event.logIdentity == reader.identity & 0xFF_FFFF_FFFF else { return .unknownEvent }
        let wanted = EventPlace(sequence: event.sequence, position: 0)
        let found: StoredEvent
        switch reader.read(at: wanted) {
        case .event(let event): found = event
        case .unavailable: return .busy
        case .end, .unreadable: return .unknownEvent
        }
        guard found.place.sequence == event.sequence else { return .unknownEvent }
        let number = try number(of: endpoint)
        let place = found.place
        return try perform { dispatcher, now in
            dispatcher.replay(number: number, places: [place], now: now)
        }[0]
    }
    package func replay(number: Int, places: [EventPlace]) throws -> [ReplayVerdict] {
        try perform { dispatcher, now in dispatcher.replay(number: number, places: places, now: now) }
    }
    /// Ends a stop by 410.
    package func enable(endpoint: String) throws {
        let number = try number(of: endpoint)
        _ = try perform { dispatcher, _ in dispatcher.enable(number: number) }
    }
    package func number(of endpoint: String) throws -> Int {
        guard let number = numbers.withLock({ $0[endpoint] }) else { throw DeliveryError.unknownEndpoint(endpoint) }
        return number
    }
    package var endpointNumbers: [String: Int] { numbers.withLock { $0 } }

    // MARK: Inside

    private func lanePlans(_ plans: [EndpointPlan], start: EventPlace) throws -> [LanePlan] {
        let stored = try store.register(plans.map(\.configuration.name), start: start)
        var byName: [String: StoredEndpoint] = [:]
        for endpoint in stored { byName[endpoint.name] = endpoint }
        numbers.withLock { $0 = byName.filter { !$0.value.isRemoved }.mapValues(\.number) }
        return try plans.compactMap { plan in
            guard let endpoint = byName[plan.configuration.name] else { return nil }
            return LanePlan(
                stored: endpoint, settings: LaneSettings(plan),
                subscription: Subscription(sources: plan.configuration.sources, types: plan.configuration.types),
                recorded: try store.recorded(endpoint: endpoint.number, from: endpoint.resume.sequence))
        }
    }
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
            }
            if now >= nextPrune {
                nextPrune = now + 60_000_000_000
                worker.allowPruning(
                    before: clock.millis(at: now) - historyMillis, oldest: dispatcher.log.oldest.sequence)
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
}

extension LaneSettings {
    init(_ plan: EndpointPlan) {
        let configuration = plan.configuration
        self.init(
            concurrency: configuration.concurrency,
            schedule: RetrySchedule(delaysMillis: configuration.retryDelaysMillis, jitter: configuration.retryJitter),
            forwarding: configuration.forwardsHeaders ? .all : .contentTypeOnly, isDisabled: configuration.disabled,
            egressIndex: plan.egressIndex)
        withheld = plan.withheld
    }
}
