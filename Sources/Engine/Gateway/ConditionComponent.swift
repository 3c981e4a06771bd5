// The thread that looks once a second at what is known of the gateway, and tells of conditions that begin or end. It
// reads counters, copies of numbers and the disk's free space; nothing waits for it.

import FastPath
import Foundation
import Logging

final class ConditionComponent: Component, @unchecked Sendable {
    let name = "conditions"
    private static let tickSeconds = 1.0
    /// Lag is looked up in the log: every so many ticks.
    private static let lagTicks = 5
    private let settings: ConditionSettings
    private let feed: OperationalFeed
    private let registry: RegistryComponent
    private let log: LogComponent
    private let delivery: DeliveryComponent
    private let ingest: IngestComponent
    private let certificates: ListenerCertificates
    private let wakeup = NSCondition()
    /// In the lock.
    private var isStopping = false
    private var hasEnded = false

    init(
        _ settings: ConditionSettings, feed: OperationalFeed, registry: RegistryComponent, log: LogComponent,
        delivery: DeliveryComponent, ingest: IngestComponent, certificates: ListenerCertificates
    ) {
        self.settings = settings
        self.feed = feed
        self.registry = registry
        self.log = log
        self.delivery = delivery
        self.ingest = ingest
        self.certificates = certificates
    }
    func start() throws {
        let thread = Thread { [self] in run() }
        thread.name = "conditions"
        thread.start()
    }
    func drain(withinMillis: Int) -> Bool {
        wakeup.lock()
        defer { wakeup.unlock() }
        isStopping = true
        wakeup.signal()
        let end = Date(timeIntervalSinceNow: Double(max(withinMillis, 50)) / 1000)
        while !hasEnded, wakeup.wait(until: end) {}
        return hasEnded
    }

    private func run() {
        var watch = ConditionWatch(settings)
        var reader = delivery.service.makeReader()
        var oldest: [EndpointID: Int64] = [:]
        var tick = 0
        while sleep() {
            var reading = ConditionReading(nowMillis: Int64(ProcessResources.wallNanos / 1_000_000))
            reading.requests = requests()
            reading.freeBytes = SyncProbe.freeBytes(folder: log.folder.path)
            if tick % ConditionComponent.lagTicks == 0 {
                oldest = lags(watch.lagging, &reader, now: reading.nowMillis)
            }
            reading.oldest = oldest
            reading.certificates = certificates.certificates
            tick += 1
            for change in watch.take(reading) { tell(change) }
        }
        wakeup.lock()
        hasEnded = true
        wakeup.signal()
        wakeup.unlock()
    }
    /// False at the end.
    private func sleep() -> Bool {
        wakeup.lock()
        defer { wakeup.unlock() }
        let end = Date(timeIntervalSinceNow: ConditionComponent.tickSeconds)
        while !isStopping, wakeup.wait(until: end) {}
        return !isStopping
    }
    /// Of sources that are counted by themselves: the last slot is shared by all others.
    private func requests() -> [SourceID: ConditionReading.Requests] {
        var found: [SourceID: ConditionReading.Requests] = [:]
        for (source, slot) in registry.service.counters.slotBySource {
            func sum(_ counter: SourceCounter) -> UInt64 {
                ingest.metrics.reduce(0) { $0 + $1.sources.read(slot * SourceCounter.count + counter.rawValue) }
            }
            let refused = sum(.rejected)
            found[source] = ConditionReading.Requests(
                refused: refused, all: refused + sum(.accepted) + sum(.duplicate))
        }
        return found
    }
    /// Of the endpoints that the metrics count by themselves, and of those that are said to lag.
    private func lags(
        _ known: [EndpointID], _ reader: inout LogReaders, now: Int64
    ) -> [EndpointID: Int64] {
        var lanes = delivery.service.metrics.lanes.map(\.status)
        let missing = Set(known).subtracting(lanes.map(\.endpoint))
        if !missing.isEmpty, let more = try? delivery.service.statuses(missing.sorted()) { lanes += more }
        var ages: [EndpointID: Int64] = [:]
        for lane in lanes where lane.state.condition != .disabled && lane.state.condition != .paused {
            ages[lane.endpoint] = 0
            guard lane.lagEvents > 0 || lane.backlog > 0 || lane.inFlight > 0, let first = lane.oldestOutstanding,
                case .event(let event) = reader.read(at: EventLocation(sequence: first, position: 0))
            else { continue }
            ages[lane.endpoint] = max(0, now - Int64(event.receivedAt / 1_000_000))
        }
        return ages
    }

    // MARK: telling

    private func tell(_ change: ConditionChange) {
        let state = registry.service.state
        var tenant = TenantID.main
        var subject: (id: String, name: String, kind: String)?
        switch change.condition {
        case .refusing(let id):
            guard let spec = state.sources[id] else { return }
            tenant = spec.tenant
            subject = (spec.publicID.text, spec.name, "source")
        case .lagging(let id):
            // Nothing is said about those that hear of it.
            guard let spec = state.endpoints[id], spec.settings.extras.family != .operational else { return }
            tenant = spec.tenant
            subject = (spec.outsideID, spec.name, spec.outsideKind)
        case .spaceLow, .certificate: break
        }
        guard feed.isWatched(tenant), let owner = state.tenant(tenant) else { return }
        feed.add(
            .condition(
                ConditionFact(tenant: tenant, tenantID: owner.publicID.uuid, change: change, subject: subject)))
    }
}
