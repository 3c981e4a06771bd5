// Delivery: the dispatcher and the thread that writes its results.

import FastPath
import Logging

final class DeliveryComponent: Component {
    /// Results that came at the last moment are written even when the time is over.
    private static let drainMillisMin = 50
    /// For the outcomes of what the egress loop abandoned at its end.
    private static let abandonedMillisMax = 1000

    let name = "delivery"
    private let configuration: DeliveryConfiguration
    private let endpoints: EndpointParticipant
    private let feed: OperationalFeed
    private let traces: TraceComponent
    let stream = StreamFeed()
    private let log: LogComponent
    private let store: StoreComponent
    private let logKeeper: LogKeeperComponent
    private let egress: EgressComponent
    private let logger: Logger
    private let running = StartResult<DeliveryService<LogReaders>>()

    /// Where records stand that somebody has read: of deliveries, and of calls that look for one.
    let landmarks = LogLandmarks()

    init(
        _ configuration: DeliveryConfiguration, endpoints: EndpointParticipant, feed: OperationalFeed,
        traces: TraceComponent, log: LogComponent, store: StoreComponent,
        logKeeper: LogKeeperComponent, egress: EgressComponent, logger: Logger
    ) {
        self.configuration = configuration
        self.endpoints = endpoints
        self.feed = feed
        self.traces = traces
        self.log = log
        self.store = store
        self.logKeeper = logKeeper
        self.egress = egress
        self.logger = logger
    }
    var service: DeliveryService<LogReaders> { running.value }
    var memoryBytes: Int { configuration.bufferBytes }

    func start() throws {
        let folder = log.folder
        let tail = log.tail
        let landmarks = landmarks
        var parts = DeliveryComponents(
            log: LogReaders(folder: folder, tail: tail, landmarks: landmarks),
            makeReader: { LogReaders(folder: folder, tail: tail, landmarks: landmarks) }, store: store.store,
            orders: egress.orders, outcomes: egress.outcomes, answers: egress.answers, logger: logger)
        parts.limits.orderCountMax = min(parts.limits.orderCountMax, egress.limits.orderCountMax)
        parts.limits.poolCountMax = min(parts.limits.poolCountMax, egress.limits.poolCountMax)
        parts.reserve = store.reserve
        parts.feed = feed
        parts.stream = stream
        parts.tracing = traces.service.map { ($0.tracer, $0.feed) }
        let service = try DeliveryService(parts, configuration: configuration)
        let first = endpoints.takeStart()
        do {
            try service.start(
                first.endpoints, new: first.new, retired: first.retired, sourceNames: first.sourceNames,
                groups: first.groups, weights: first.weights)
        } catch { throw GatewayError.delivery(error) }
        logKeeper.worker.setLowWater({ service.retentionLowWater }, isKept: { service.keepsLowWater() })
        running.set(service)
    }
    func drain(withinMillis: Int) -> Bool {
        service.drain(timeoutMillis: max(withinMillis, DeliveryComponent.drainMillisMin))
    }
    func stop() {
        _ = service.drain(timeoutMillis: DeliveryComponent.abandonedMillisMax)
        service.stop()
    }
}
