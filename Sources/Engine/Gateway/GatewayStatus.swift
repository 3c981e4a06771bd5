// What a running gateway tells: counters, what keeps it from being ready, and the ways to its log and deliveries.
// Copies of values; nothing here waits for a loop.
import FastPath
import Synchronization

/// Why new events are refused, or something an operator must fix; `code` is stable.
package struct GatewayProblem: Equatable, Sendable {
    package let code: String
    package let message: String
}

package struct SourceStatus: Sendable {
    package let name: String
    /// By `SourceCounter`, without the reasons.
    package let counters: [SourceCounter: UInt64]
    package let rejections: [SignatureRejection: UInt64]
    /// What would have been rejected, of sources that observe.
    package let observations: [SignatureRejection: UInt64]

    package init(
        name: String, counters: [SourceCounter: UInt64], rejections: [SignatureRejection: UInt64],
        observations: [SignatureRejection: UInt64]
    ) {
        self.name = name
        self.counters = counters
        self.rejections = rejections
        self.observations = observations
    }
}

package struct GatewayStatus: Sendable {
    /// A disk that takes longer for one write is a problem of its own.
    static let commitSecondsMax: UInt64 = 10

    /// Sums over the loops; gauges of the log come from whoever drives the journal.
    package var ingest: [IngestCounter: UInt64] = [:]
    package var sources: [SourceStatus] = []
    /// Bucket counts as in `LatencyHistogram`, and sums in microseconds.
    package var commitBuckets = [UInt64](repeating: 0, count: LatencyHistogram.bucketCount)
    package var commitMicros: UInt64 = 0
    package var verifyBuckets = [UInt64](repeating: 0, count: LatencyHistogram.bucketCount)
    package var verifyMicros: UInt64 = 0
    package var delivery = DeliveryMetrics()
    package var committedSequence: UInt64 = 0
    package var segmentsRemoved: UInt64 = 0
    package var segmentsHeldBack = 0
    package var damages: [String] = []
    package var dedupCapacity = 0
    package var problems: [GatewayProblem] = []
    package var memoryBudgetBytes = 0
    /// Requests verified by workers, and the time that took.
    package var offloadedCount: UInt64 = 0
    package var offloadedMicros: UInt64 = 0
    package var rejected = RejectedMetrics()
    package var traces = TraceMetrics()
    /// What the listeners show.
    package var certificates: [ListenerCertificate] = []
    /// By `TLSFailure`.
    package var tlsFailures = [UInt64](repeating: 0, count: TLSFailure.allCases.count)
    package init() {}
}

/// A way into what runs, for the control API; nil parts mean that the gateway does not run.
package struct GatewayAccess: Sendable {
    package let delivery: DeliveryService<LogReaders>
    /// What becomes of deliveries and endpoints, live.
    package let stream: StreamFeed
    package let store: SQLiteStore
    package let folder: LogFolder
    package let tail: CommittedTail
    package let landmarks: LogLandmarks
    /// Puts events into the log beside the loops, for a worker thread.
    package let injector: EventInjector
    /// Puts events into the log, many at once, for callers that suspend.
    package let publisher: EventPublisher
    package let expunged: ExpungedContent
    package let eraser: PayloadEraser
    /// Nil when nothing of what is refused is kept.
    package let rejected: RejectedWorker?
    package let repairs: RepairService<LogReaders>
    package func makeReader(from sequence: UInt64) -> LogReader { LogReader(folder: folder, from: sequence) }
}

extension Gateway {
    package var access: GatewayAccess? {
        state.withLock { state in
            state.running.map {
                GatewayAccess(
                    delivery: $0.delivery.service, stream: $0.delivery.stream, store: $0.store.store,
                    folder: $0.log.folder, tail: $0.log.tail, landmarks: $0.delivery.landmarks,
                    injector: $0.injector.injector, publisher: $0.publisher.publisher, expunged: $0.publisher.expunged,
                    eraser: $0.eraser.eraser,
                    rejected: $0.rejected.worker, repairs: $0.repairs.service)
            }
        }
    }

    /// It runs and does not stop yet.
    package var isServing: Bool { state.withLock { $0.running != nil && !$0.isDraining } }

    package var status: GatewayStatus {
        var status = GatewayStatus()
        let (running, isDraining) = state.withLock { ($0.running, $0.isDraining) }
        guard let running else {
            status.problems = [GatewayProblem(code: "not_running", message: "the gateway is not running")]
            return status
        }
        let journal: Set<IngestCounter> = [
            .commits, .commitBytes, .commitFailures, .segmentFailures, .dedupEntries, .dedupEvictions, .logState,
            .segmentRolls, .commitAgeMillis,
        ]
        for counter in IngestCounter.allCases {
            status.ingest[counter] =
                journal.contains(counter)
                ? running.journal.metrics.loop.read(counter.rawValue)
                : running.ingest.metrics.reduce(0) { $0 + $1.loop.read(counter.rawValue) }
        }
        for metrics in running.ingest.metrics {
            for index in status.tlsFailures.indices { status.tlsFailures[index] += metrics.tlsFailures.read(index) }
            for (index, count) in metrics.commit.counts().enumerated() { status.commitBuckets[index] += count }
            status.commitMicros += metrics.commit.sumMicros
            for (index, count) in metrics.verify.counts().enumerated() { status.verifyBuckets[index] += count }
            status.verifyMicros += metrics.verify.sumMicros
        }
        status.sources = sourceStatus(running)
        status.certificates = running.listenerCertificates.certificates
        let verified = running.verifiers.workers.verified
        status.offloadedCount = verified.count
        status.offloadedMicros = verified.micros
        if let rejected = running.rejected.worker { status.rejected = rejected.metrics }
        if let traces = running.traces.service { status.traces = traces.metrics }
        status.delivery = running.delivery.service.metrics
        status.committedSequence = running.log.tail.snapshot.sequence
        let log = running.logKeeper.worker.current
        status.segmentsRemoved = log.removedSegments
        status.segmentsHeldBack = log.heldBackSegments
        status.damages = running.log.report.damages.map(\.text)
        status.dedupCapacity = process.dedupEntryCount
        status.memoryBudgetBytes = running.memoryBytes
        status.problems = problems(status, log, isDraining)
        return status
    }

    /// What the control listener shows now; nil without TLS.
    package var controlContext: TLSContext? {
        state.withLock { $0.running }?.listenerCertificates.contexts[process.admin]
    }
    /// Calls `tell` with what it shows from each reload on.
    package func onControlContext(_ tell: @escaping @Sendable (TLSContext?) -> Void) {
        let address = process.admin
        state.withLock { $0.running }?.listenerCertificates.onChange { tell($0[address]) }
    }
    private func sourceStatus(_ running: GatewayComponents) -> [SourceStatus] {
        sourceNames.enumerated().filter { !$0.element.isEmpty }.map { slot, name in
            func sum(_ cell: Int) -> UInt64 {
                running.ingest.metrics.reduce(0) { $0 + $1.sources.read(slot * SourceCounter.count + cell) }
            }
            var counters: [SourceCounter: UInt64] = [:]
            for counter in SourceCounter.allCases where counter != .rejectedFirst {
                counters[counter] = sum(counter.rawValue)
            }
            func reasons(from first: Int) -> [SignatureRejection: UInt64] {
                var counts: [SignatureRejection: UInt64] = [:]
                for reason in SignatureRejection.allCases {
                    let count = sum(first + reason.index)
                    if count > 0 { counts[reason] = count }
                }
                return counts
            }
            return SourceStatus(
                name: name, counters: counters, rejections: reasons(from: SourceCounter.rejectedFirst.rawValue),
                observations: reasons(from: SourceCounter.observedFirst))
        }
    }
    private func problems(_ status: GatewayStatus, _ log: LogWorker.Status, _ isDraining: Bool) -> [GatewayProblem] {
        var problems: [GatewayProblem] = []
        if isDraining { problems.append(GatewayProblem(code: "draining", message: "the gateway is stopping")) }
        if let loss = log.loss {
            problems.append(GatewayProblem(code: "log_lost", message: "\(loss); new events get 503"))
        }
        let failed = status.ingest[.commits] != 0 || status.ingest[.commitFailures] != 0
        if log.loss == nil, failed, status.ingest[.logState] == 0 {
            problems.append(
                GatewayProblem(
                    code: "log_failed",
                    message:
                        "writing to the log failed on two segments in a row; new events get 503 until the disk writes"
                ))
        }
        let commitSeconds = (status.ingest[.commitAgeMillis] ?? 0) / 1000
        if commitSeconds >= GatewayStatus.commitSecondsMax {
            problems.append(
                GatewayProblem(
                    code: "log_slow",
                    message: "the disk has not answered a write to the log for \(commitSeconds) s; events get 503"))
        }
        if log.loss == nil, let failure = log.lastFailure {
            problems.append(GatewayProblem(code: "log_full", message: failure))
        }
        if status.delivery.store.isFailing {
            problems.append(
                GatewayProblem(
                    code: "store_failing",
                    message: "delivery results cannot be written: \(status.delivery.store.lastError)"))
        }
        return problems
    }
}
