// The two threads behind traces. One reads the log behind the disk and takes what the dispatcher told, and makes spans;
// the other sends them to the collector. Nothing waits for either: between them, and before the first, are bounded
// queues, and what finds no room is dropped and counted.
//
// Invariants: an event is looked at for its arrival once, in the order of the log, when it is on disk; each span that
// was made ends as exported, rejected, failed or dropped.
import FastPath
import Foundation
import Logging
import Synchronization

/// What became of spans.
package struct TraceMetrics: Equatable, Sendable {
    package var exported: UInt64 = 0
    /// There was no room for them, or their event could not be read.
    package var dropped: UInt64 = 0
    /// The collector took the request, and said that it has not kept these.
    package var rejected: UInt64 = 0
    /// The collector refused them, or was not there for as long as is tried.
    package var failed: UInt64 = 0
    package var queued = 0
    package init() {}
}

package final class TraceService: @unchecked Sendable {
    package typealias Send = @Sendable (PostRequest) -> Result<ExchangeAnswer, PostFailure>
    private static let tickSeconds = 0.05
    /// Events of one turn, so that facts are taken in between.
    private static let eventsPerTurn = 4096
    /// A batch that is sent while the process ends.
    private static let lastSendMillisMax = 2000

    package let tracer: EventTracer
    package let feed = SpanFeed()
    private let request: PostRequest
    private let resource: [TelemetrySpan.Attribute]
    private let makeReader: @Sendable () -> any EventLog
    private let state: @Sendable () -> RegistryState
    private let send: Send
    private let logger: Logger
    private let queue = Mutex(SpanQueue())
    private let counts = Mutex(TraceMetrics())
    private let wakeup = NSCondition()
    /// In the lock of `wakeup`.
    private var isStopping = false
    private var hasMade = false
    private var hasSent = false

    /// Nil when the settings name no collector.
    package init?(
        _ settings: TraceSettings, makeReader: @escaping @Sendable () -> any EventLog,
        state: @escaping @Sendable () -> RegistryState, logger: Logger,
        send: @escaping Send = { request in
            // Its roots are the system's, as an endpoint's are that names none.
            let tls: TLSContext? = if request.isSecure { try? ClientContexts.context(for: nil) } else { nil }
            do throws(PostFailure) { return .success(try HTTPPost.send(request, tls: tls)) } catch {
                return .failure(error)
            }
        }
    ) {
        guard let request = settings.request else { return nil }
        self.request = request
        self.makeReader = makeReader
        self.state = state
        self.send = send
        self.logger = logger
        let identity = makeReader().identity
        tracer = EventTracer(
            identity: TraceIdentity(log: identity),
            sampler: TraceSampler(ratio: settings.ratio, heedsParent: settings.heedsParent))
        resource = [
            .init(name: "service.name", value: .text(settings.serviceName)),
            .init(name: "service.version", value: .text(Gateway.version)),
            .init(name: "service.instance.id", value: .text(TraceID.hex(identity))),
            .init(name: "telemetry.sdk.name", value: .text("sluice")),
            .init(name: "telemetry.sdk.language", value: .text("swift")),
            .init(name: "telemetry.sdk.version", value: .text(Gateway.version)),
        ]
    }
    package func start() {
        let first = makeReader().committedEnd
        run("traces") { [self] in make(makeReader(), from: first) }
        run("trace export") { [self] in export() }
    }
    private func run(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let thread = Thread { body() }
        thread.name = name
        thread.start()
    }
    package var metrics: TraceMetrics {
        var metrics = counts.withLock { $0 }
        queue.withLock {
            metrics.queued = $0.count
            metrics.dropped += $0.droppedCount
        }
        return metrics
    }
    /// What has been told is made into spans and sent once, as far as there is time. True when that was done.
    package func drain(withinMillis: Int) -> Bool {
        wakeup.lock()
        defer { wakeup.unlock() }
        isStopping = true
        wakeup.broadcast()
        let end = Date(timeIntervalSinceNow: Double(max(withinMillis, 50)) / 1000)
        while !hasMade || !hasSent, wakeup.wait(until: end) {}
        return hasMade && hasSent
    }
    /// False at once when the service ends.
    private func sleep(seconds: Double) -> Bool {
        wakeup.lock()
        defer { wakeup.unlock() }
        let end = Date(timeIntervalSinceNow: seconds)
        while !isStopping, wakeup.wait(until: end) {}
        return !isStopping
    }
    private var isEnding: Bool {
        wakeup.lock()
        defer { wakeup.unlock() }
        return isStopping
    }

    // MARK: making

    private func make(_ log: any EventLog, from first: EventLocation) {
        var arrivals = ArrivalReader(at: first)
        let maker = SpanMaker(tracer: tracer, logIdentity: log.identity)
        while true {
            // Asked first, so that what was told before is taken.
            let isLast = isEnding
            let (facts, notes, lost) = feed.take()
            arrivals.add(notes)
            let names = SpanNames(state())
            var spans: [TelemetrySpan] = []
            var missed = lost
            for fact in facts {
                switch span(of: fact, log, maker, names) {
                case .some(let made): if let made { spans.append(made) }
                case nil: missed += 1
                }
            }
            let isBehind = arrivals.read(log, countMax: TraceService.eventsPerTurn) { event, nanos in
                if let span = maker.ingest(event, committedNanos: nanos, names) { spans.append(span) }
            }
            counts.withLock { $0.dropped += missed }
            if !spans.isEmpty { queue.withLock { $0.add(spans, now: ProcessResources.monotonicNanos) } }
            if isBehind { continue }
            if isLast { break }
            _ = sleep(seconds: TraceService.tickSeconds)
        }
        wakeup.lock()
        hasMade = true
        wakeup.broadcast()
        wakeup.unlock()
    }
    /// Nil when the event cannot be read; nil inside when it is not seen.
    private func span(
        of fact: SpanFact, _ log: any EventLog, _ maker: SpanMaker, _ names: SpanNames
    ) -> TelemetrySpan?? {
        let place =
            switch fact {
            case .attempt(let fact): fact.place
            case .delivery(let fact): fact.place
            }
        guard case .event(let event) = log.read(at: place), event.place.sequence == place.sequence else { return nil }
        switch fact {
        case .attempt(let fact): return .some(maker.attempt(fact, event, names))
        case .delivery(let fact): return .some(maker.delivery(fact, event, names))
        }
    }

    // MARK: sending

    private func export() {
        var isFailing = false
        while true {
            wakeup.lock()
            let isLast = isStopping && hasMade
            let isStopping = isStopping
            wakeup.unlock()
            let batch = queue.withLock { $0.take(now: ProcessResources.monotonicNanos, isForced: isStopping) }
            if let batch {
                let isKept = export(batch, isFailing: &isFailing)
                // One that is not there now will not be there for the rest.
                if isLast, !isKept { queue.withLock { $0.dropAll() } }
            } else if isLast {
                break
            } else {
                // While the maker ends, too.
                if isStopping { Thread.sleep(forTimeInterval: 0.005) }
                _ = sleep(seconds: TraceService.tickSeconds)
            }
        }
        wakeup.lock()
        hasSent = true
        wakeup.broadcast()
        wakeup.unlock()
    }
    private func export(_ batch: [TelemetrySpan], isFailing: inout Bool) -> Bool {
        var request = request
        request.body = TraceExport.body(batch, resource: resource, version: Gateway.version)
        var retry = ExportRetry(now: ProcessResources.monotonicNanos)
        while true {
            let isEnding = isEnding
            if isEnding { request.millisMax = min(request.millisMax, TraceService.lastSendMillisMax) }
            let answer = send(request)
            let decision = retry.judge(answer, now: ProcessResources.monotonicNanos, share: .random(in: 0...1))
            switch decision {
            case .kept(let rejected):
                let rejected = UInt64(min(rejected, batch.count))
                counts.withLock {
                    $0.rejected += rejected
                    $0.exported += UInt64(batch.count) - rejected
                }
                if isFailing { logger.info("traces are exported again") }
                isFailing = false
                return true
            case .again(let millis):
                tell(why(answer), &isFailing)
                guard !isEnding else {
                    counts.withLock { $0.failed += UInt64(batch.count) }
                    return false
                }
                _ = sleep(seconds: Double(millis) / 1000)
            case .givenUp(let why):
                tell(why, &isFailing)
                counts.withLock { $0.failed += UInt64(batch.count) }
                return false
            }
        }
    }
    private func why(_ answer: Result<ExchangeAnswer, PostFailure>) -> String {
        switch answer {
        case .success(let answer): "it answered \(answer.status)"
        case .failure(let failure): failure.rawValue
        }
    }
    /// Once, until it goes again.
    private func tell(_ why: String, _ isFailing: inout Bool) {
        guard !isFailing else { return }
        isFailing = true
        logger.warning(
            "traces are not exported", metadata: ["collector": "\(request.hostField)", "why": "\(why)"])
    }
}
