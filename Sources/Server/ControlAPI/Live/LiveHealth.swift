// The gateway's status as metrics, readiness and the page of `sluice status`.
import Engine
import FastPath
import Foundation

final class LiveHealth: GatewayHealth {
    private let gateway: Gateway
    private let streams: LiveStreams
    private let baseBytes: Int
    private let startedAt = Date()
    private let series = LaneSeries()
    private let storage = StorageFamilies()
    private let connectionCountMax: Int
    /// Nil: the names of the contract are not shown.
    private let figures: ContractFigures?

    init(
        gateway: Gateway, streams: LiveStreams, figures: ContractFigures?, baseBytes: Int, connectionCountMax: Int
    ) {
        self.gateway = gateway
        self.streams = streams
        self.baseBytes = baseBytes
        self.figures = figures
        self.connectionCountMax = connectionCountMax
    }

    func metrics() -> [MetricFamily] {
        var status = gateway.status
        status.memoryBudgetBytes += baseBytes
        let lanes = series.take(selection(status.delivery, withLagSeconds: true))
        let limit = MetricFamily(
            "sluice_connections_limit", .gauge, help: "Connections that are taken at once (limits.connections).",
            value: Double(connectionCountMax))
        let stored = gateway.access.map { storage.now($0) } ?? []
        let taken = Double(gateway.access?.publisher.outstandingCount ?? 0) / Double(EventPort.eventCountMax)
        let contract = figures?.families(status.delivery, port: port(status), queueUsage: taken) ?? []
        let control = gateway.controlContext == nil ? [] : ControlTLSFigures.families
        return GatewayFamilies.of(status, lanes) + [limit] + stored + streams.families + contract + control
            + ProcessFamilies.now()
    }
    /// O(sources), as a scrape is anyway.
    private func port(_ status: GatewayStatus) -> ContractPortFigures {
        var figures = ContractPortFigures()
        guard let state = gateway.registry?.state else { return figures }
        var answers: [String: Int] = [:]
        for source in state.sources.all where source.settings.provider == ContractEntry.providerName {
            answers[source.qualifiedName] = source.settings.answer?.status ?? 202
        }
        for source in status.sources {
            if let status = answers[source.name] { figures.add(source, status: status) }
        }
        return figures
    }
    func vitals() -> GatewayVitals {
        let problems = gateway.status.problems.map(\.code)
        var vitals = GatewayVitals(
            version: Gateway.version, uptimeSeconds: Int(Date().timeIntervalSince(startedAt)))
        guard let access = gateway.access else { return vitals }
        let begin = ProcessResources.monotonicNanos
        let isReadable = (try? access.store.counts(endpoint: EndpointID(0))) != nil
        vitals.databaseMillis = Double(ProcessResources.monotonicNanos - begin) / 1e6
        vitals.database = !isReadable ? .unhealthy : problems.contains("store_failing") ? .degraded : .healthy
        vitals.migration = isReadable ? .healthy : .unhealthy
        let isSlow = problems.contains("log_slow")
        let isStopped = problems.contains { $0 != "store_failing" && $0 != "log_slow" }
        vitals.queue = isStopped ? .unhealthy : isSlow ? .degraded : .healthy
        return vitals
    }
    /// The lag as a time costs a read of the log for each endpoint, so only who shows it asks for it.
    private func selection(_ metrics: DeliveryMetrics, withLagSeconds: Bool) -> LaneOverview {
        let state = gateway.registry?.state
        let delivery = gateway.access?.delivery
        return LaneFigures.of(
            metrics, idle: idle(metrics, state, delivery), tenant: { state?.tenant($0)?.name ?? "default" },
            age: { delivery?.oldestWaitingSeconds($0) }, lag: { withLagSeconds ? delivery?.lagSeconds($0) : nil })
    }
    /// Endpoints that have counted nothing yet, while all of them can have a name: their series are there with 0.
    private func idle(
        _ metrics: DeliveryMetrics, _ state: RegistryState?, _ delivery: DeliveryService<LogReaders>?
    ) -> [LaneStatus] {
        guard let state, let delivery, state.endpoints.count <= LaneSelection.countMax else { return [] }
        let known = Set(metrics.lanes.map(\.status.endpoint))
        let idle = state.endpoints.page(after: 0, limit: LaneSelection.countMax).map(\.id)
        return (try? delivery.statuses(idle.filter { !known.contains($0) })) ?? []
    }
    func readiness() -> [ReadinessProblem] {
        gateway.status.problems.map { ReadinessProblem(code: $0.code, message: $0.message) }
    }
    func status() -> StatusResource {
        let status = gateway.status
        var resource = StatusResource(
            version: Gateway.version,
            startedAt: TimeText.of(nanoseconds: UInt64(startedAt.timeIntervalSince1970 * 1000) * 1_000_000),
            uptimeSeconds: Int(Date().timeIntervalSince(startedAt)),
            problems: status.problems.map { ReadinessProblem(code: $0.code, message: $0.message) },
            ingest: gateway.ingestAddresses)
        if let registry = gateway.registry?.state {
            resource.tenants = registry.tenantCount
            resource.sources = registry.sources.count
        }
        resource.lastSequence = status.committedSequence
        for state in EndpointStateName.allCases { resource.endpoints[state.rawValue] = 0 }
        let lanes = selection(status.delivery, withLagSeconds: false)
        for (state, count) in lanes.states { resource.endpoints[state.rawValue] = count }
        resource.deliveries.inFlight = status.delivery.ordersOut
        resource.deliveries.pending = status.delivery.pending
        resource.deliveries.backlog = status.delivery.backlog
        resource.deliveries.dead = status.delivery.dead
        resource.deliveries.lagEvents = lanes.busiest.map(\.lagEvents).max() ?? 0
        resource.deliveries.oldestWaitingSeconds = lanes.busiest.compactMap(\.oldestWaitingSeconds).max()
        return resource
    }
}
