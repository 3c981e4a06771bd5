// Traces, where the configuration has `traces`; else nothing at all. Before delivery in the list: it takes what
// delivery tells until that has drained.

import FastPath
import Logging

final class TraceComponent: Component {
    /// Of a drain: a collector that is not there must not hold up the end.
    private static let drainMillisMax = 5000
    let name = "traces"
    private let settings: TraceSettings?
    private let log: LogComponent
    private let registry: RegistryComponent
    private let logger: Logger
    private let running = StartResult<TraceService>()

    init(_ settings: TraceSettings?, log: LogComponent, registry: RegistryComponent, logger: Logger) {
        self.settings = settings
        self.log = log
        self.registry = registry
        self.logger = logger
    }
    /// Nil where there are none.
    var service: TraceService? { running.ifStarted }

    func start() throws {
        guard let settings else { return }
        let (folder, tail, registry) = (log.folder, log.tail, registry)
        let made = TraceService(
            settings, makeReader: { LogReaders(folder: folder, tail: tail) }, state: { registry.service.state },
            logger: logger)
        guard let made else { throw GatewayError.limits("traces.endpoint is not the URL of a collector") }
        made.start()
        running.set(made)
    }
    /// Spans that are lost are counted and said, and are no reason to call the end unclean.
    func drain(withinMillis: Int) -> Bool {
        guard let service else { return true }
        if !service.drain(withinMillis: min(withinMillis, TraceComponent.drainMillisMax)) {
            logger.warning("spans were not exported before the end", metadata: ["count": "\(service.metrics.queued)"])
        }
        return true
    }
}
