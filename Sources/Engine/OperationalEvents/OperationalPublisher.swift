// Facts become events in the log: the one who takes them from the feed reads what they are about, writes the body and
// waits for the disk, off every hot path. What delivers them is the dispatcher, as it does everything else.
//
// Invariants: facts about one message, and changes of the registry, reach the log in their order; a few are on their
// way at a time, so that the events of callers find room beside them; what the log does not take is offered again for
// minutes.

import FastPath
import Foundation
import Logging
import Synchronization

package final class OperationalPublisher: Sendable {
    /// Chains of facts that are on their way at a time.
    private static let chainCountMax = 128
    private static let patienceNanos: UInt64 = 100_000_000
    /// Times that an event is offered while the log takes nothing: some minutes.
    private static let offerCountMax = 3000

    private let feed: OperationalFeed
    private let publisher: EventPublisher
    private let registry: RegistryService
    private let schedules: FamilySchedules
    private let makeReader: @Sendable () -> LogReaders
    private let logger: Logger
    private let task = Mutex<Task<Void, Never>?>(nil)
    private let isDone = Atomic<Bool>(false)

    package init(
        feed: OperationalFeed, publisher: EventPublisher, registry: RegistryService, schedules: FamilySchedules,
        makeReader: @escaping @Sendable () -> LogReaders, logger: Logger
    ) {
        self.feed = feed
        self.publisher = publisher
        self.registry = registry
        self.schedules = schedules
        self.makeReader = makeReader
        self.logger = logger
    }
    package func start() {
        task.withLock { $0 = Task.detached(priority: .utility) { [self] in await run() } }
    }
    /// What has been told is published; what is told from now on is not. True when that was done in time.
    package func drain(withinMillis: Int) -> Bool {
        feed.close()
        let end = ProcessResources.monotonicNanos + UInt64(max(withinMillis, 0)) * 1_000_000
        while !isDone.load(ordering: .acquiring), ProcessResources.monotonicNanos < end {
            Thread.sleep(forTimeInterval: 0.002)
        }
        task.withLock { $0?.cancel() }
        return isDone.load(ordering: .acquiring)
    }

    private func run() async {
        while !Task.isCancelled {
            let facts = await feed.next()
            guard !facts.isEmpty else { break }
            await publish(facts)
            let lost = feed.takeLostCount()
            guard lost > 0 else { continue }
            logger.warning(
                "operational events were lost: more happened at once than is kept", metadata: ["count": "\(lost)"])
        }
        isDone.store(true, ordering: .releasing)
    }

    /// What facts are kept in order by.
    private enum Chain: Hashable {
        case registry
        case message(EndpointID, UInt64)
        case conditions

        init(_ fact: OperationalFact) {
            switch fact {
            case .endpoint: self = .registry
            case .condition: self = .conditions
            case .attempt(let fact): self = .message(fact.endpoint, fact.delivery.place.sequence)
            }
        }
    }
    private func publish(_ facts: [OperationalFact]) async {
        let reader = makeReader()
        let state = registry.state
        let describer = FactDescriber(state: state, schedules: schedules, logIdentity: reader.identity)
        var start = 0
        while start < facts.count {
            // Read here: a reader is for one task.
            let part = facts[start..<min(start + OperationalPublisher.chainCountMax, facts.count)]
            let payloads = part.map { describer.payload($0, reader) }
            var chains: [Chain: [(TenantID, OperationalPayload)]] = [:]
            for (fact, payload) in zip(part, payloads) {
                guard let payload else { continue }
                chains[Chain(fact), default: []].append((fact.tenant, payload))
            }
            let windowSeconds = state.live.dedupWindowSeconds
            await withTaskGroup(of: Void.self) { group in
                for chain in chains.values {
                    group.addTask { [self] in
                        for (tenant, payload) in chain { await publish(payload, of: tenant, windowSeconds) }
                    }
                }
            }
            start += part.count
        }
    }
    private func publish(_ payload: OperationalPayload, of tenant: TenantID, _ windowSeconds: UInt32) async {
        var event = PublishedEvent(tenant: tenant, type: payload.type.rawValue, body: payload.value.bytes)
        event.source = .operational
        event.target = "/api/v1/operational_webhooks"
        let injected = event.injected(windowSeconds: windowSeconds)
        for _ in 0..<OperationalPublisher.offerCountMax {
            switch await publisher.offer(injected) {
            // The disk may have it yet; said twice it would be two events.
            case .kept, .duplicate, .closed, .unknown: return
            case .tooLarge:
                return logger.error(
                    "an operational event is larger than the log takes", metadata: ["type": "\(payload.type.rawValue)"])
            case .failed, nil:
                try? await Task.sleep(nanoseconds: OperationalPublisher.patienceNanos)
                if Task.isCancelled { return }
            }
        }
        logger.error("an operational event found no place in the log", metadata: ["type": "\(payload.type.rawValue)"])
    }
}

/// What facts are about, as the registry and the log have it now.
package struct FactDescriber: Sendable {
    private let state: RegistryState
    private let schedules: FamilySchedules
    private let logIdentity: UInt64

    package init(state: RegistryState, schedules: FamilySchedules, logIdentity: UInt64) {
        self.state = state
        self.schedules = schedules
        self.logIdentity = logIdentity
    }
    /// Nil when there is nobody to tell of any more: the endpoint of an attempt was removed meanwhile.
    package func payload(_ fact: OperationalFact, _ log: some EventLog) -> OperationalPayload? {
        switch fact {
        case .endpoint(let fact): return OperationalPayload(fact)
        case .condition(let fact): return OperationalPayload(fact)
        case .attempt(let fact):
            guard let spec = state.endpoints[fact.endpoint], let tenant = state.tenant(spec.tenant) else { return nil }
            let fixed = schedules.schedule(of: spec.settings.extras.family)
            let own = spec.settings.policies.retry?.schedule?.attemptCountMax
            let attempts = fixed.map { $0.delaysMillis.count + 1 } ?? own ?? spec.settings.retryDelaysMillis.count + 1
            return OperationalPayload(
                fact, spec, tenantID: tenant.publicID.uuid, message: message(at: fact.delivery.place, log),
                attemptCountMax: attempts)
        }
    }
    /// By the id that the surface knows the event by where it was published.
    private func message(at place: EventLocation, _ log: some EventLog) -> OperationalPayload.Message {
        let id = EventID(logIdentity: logIdentity, sequence: place.sequence)
        guard case .event(let event) = log.read(at: place), event.place.sequence == place.sequence else {
            return OperationalPayload.Message(id: id.text, type: "")
        }
        let text: String
        switch event.sourceID {
        case .messages, .directedMessages: text = MessageID(id).text
        case .opsCenter, .opsCenterTests: text = OpsCenterID.text(id)
        default: text = id.text
        }
        return OperationalPayload.Message(id: text, type: event.eventType.text)
    }
}
