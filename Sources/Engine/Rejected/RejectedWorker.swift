// The thread that keeps refused requests: takes them from the loops' rings, looks closer within its budget, writes them
// in batches, counts hints, says a line. Nothing waits for it: while it is slow the rings fill and the loops count what
// was not kept.
//
// Invariants: a failing store is told once and loses refused requests, never events; between two batches there is a
// pause, so that a flood of refusals cannot take a core.

import FastPath
import Foundation
import Logging
import Synchronization

/// Where refused requests come from: one ring a loop.
package protocol RejectedFeed: Sendable {
    /// The oldest one, nil when there is none. One thread calls.
    func next() -> RejectedRequest?
    var isEmpty: Bool { get }
}
extension RejectedRing: RejectedFeed {}

package struct RejectedMetrics: Equatable, Sendable {
    package struct HintKey: Hashable, Sendable {
        package var source: String
        package var hint: RejectionHint
    }
    package var kept: UInt64 = 0
    /// Kept without a look, because the budget was used up.
    package var unexamined: UInt64 = 0
    /// Taken from a ring and not kept, because the store failed.
    package var failed: UInt64 = 0
    package var hints: [HintKey: UInt64] = [:]
    package var totals: [String: RejectedTotal] = [:]
    package init() {}
}

package final class RejectedWorker: Sendable {
    private struct Shared {
        var metrics = RejectedMetrics()
        var subjects: HintSubjects
        /// Of the sources that are, or may come back; nil when what there is has been gone through.
        var known: Set<UInt32>?
        var isStoreFailing = false
    }
    private static let batchCountMax = 256
    private static let batchBytesMax = 4 << 20
    private static let pauseSeconds = 0.02

    package let store: RejectedStore
    /// Signalled by the rings.
    package let wakeup: Wakeup
    private let feeds: [any RejectedFeed]
    private let certificates: CertificateResolver
    private let logger: Logger
    private let shared: Mutex<Shared>
    private let isStopping = Atomic<Bool>(false)
    private let thread = Mutex<LoopThread?>(nil)

    /// `certificates`: a closer look at what was refused fetches none.
    package init(
        store: RejectedStore, feeds: [any RejectedFeed], wakeup: Wakeup, sources: [UInt32: SourceConfiguration],
        known: Set<UInt32>, certificates: CertificateResolver, logger: Logger
    ) {
        self.store = store
        self.feeds = feeds
        self.wakeup = wakeup
        self.certificates = certificates
        self.logger = logger
        shared = Mutex(Shared(subjects: HintSubjects(sources, certificates: certificates), known: known))
    }

    /// From now on hints are looked for with these sources; what was sent to others than the `known` goes.
    package func reload(_ sources: [UInt32: SourceConfiguration], known: Set<UInt32>) {
        let fresh = HintSubjects(sources, certificates: certificates)
        shared.withLock { shared in
            shared.subjects = fresh
            shared.known = known
        }
        wakeup.signal()
    }
    package var subjects: HintSubjects { shared.withLock { $0.subjects } }
    package var metrics: RejectedMetrics {
        var metrics = shared.withLock { $0.metrics }
        metrics.totals = store.sourceTotals()
        return metrics
    }

    package func start() throws(ThreadStartError) {
        let started = try LoopThread(name: "rejected", urgency: .yielding) { [self] in run() }
        thread.withLock { $0 = started }
    }
    /// After the loops have ended: what is in the rings is still written.
    package func stop() {
        isStopping.store(true, ordering: .releasing)
        wakeup.signal()
        thread.withLock { $0.take() }?.join()
    }

    private func run() {
        var budget = AnalysisBudget()
        var lines = RejectedLines()
        while true {
            // One that fails now is done with the next change, or at the next start.
            if let known = shared.withLock({ $0.known.take() }) { try? store.removeAll(butOf: known) }
            let batch = gather()
            if batch.isEmpty {
                if isStopping.load(ordering: .acquiring) { return }
                _ = wakeup.sleep(timeoutMillis: 1000) {
                    isStopping.load(ordering: .acquiring) || feeds.contains { !$0.isEmpty }
                }
                continue
            }
            keep(batch, &budget, &lines)
            // What is under way to its end is not held up.
            if !isStopping.load(ordering: .acquiring) { Thread.sleep(forTimeInterval: RejectedWorker.pauseSeconds) }
        }
    }

    /// In turns, so that one loop's flood does not hide another's.
    private func gather() -> [RejectedRequest] {
        var batch: [RejectedRequest] = []
        var bytes = 0
        var hasMore = true
        while hasMore {
            hasMore = false
            for feed in feeds {
                guard batch.count < RejectedWorker.batchCountMax, bytes < RejectedWorker.batchBytesMax else {
                    return batch
                }
                guard let request = feed.next() else { continue }
                bytes += request.byteCount
                batch.append(request)
                hasMore = true
            }
        }
        return batch
    }

    private func keep(_ batch: [RejectedRequest], _ budget: inout AnalysisBudget, _ lines: inout RejectedLines) {
        let subjects = subjects
        var items: [(request: RejectedRequest, finding: HintFinding?)] = []
        var unexamined: UInt64 = 0
        for request in batch {
            let began = ProcessResources.monotonicNanos
            guard budget.begin(at: began) else {
                unexamined += 1
                items.append((request, nil))
                continue
            }
            let finding = RejectedWorker.look(at: request, subjects)
            budget.spent(nanos: ProcessResources.monotonicNanos - began)
            items.append((request, finding))
            say(request, finding, at: began, &lines)
        }
        let failure = Result { try store.add(items) }
        let isNews = shared.withLock { shared in
            for (request, finding) in items {
                guard let hint = finding?.hint else { continue }
                shared.metrics.hints[.init(source: request.sourceName, hint: hint), default: 0] += 1
            }
            shared.metrics.unexamined += unexamined
            let isFailing: Bool
            switch failure {
            case .success:
                shared.metrics.kept += UInt64(items.count)
                isFailing = false
            case .failure:
                shared.metrics.failed += UInt64(items.count)
                isFailing = true
            }
            defer { shared.isStoreFailing = isFailing }
            return isFailing && !shared.isStoreFailing
        }
        if case .failure(let error) = failure, isNews {
            logger.error("refused requests cannot be kept; events are not affected", metadata: ["why": "\(error)"])
        }
    }

    private func say(
        _ request: RejectedRequest, _ finding: HintFinding?, at now: UInt64, _ lines: inout RejectedLines
    ) {
        let key = RejectedLines.Key(source: request.sourceName, reason: request.reason, hint: finding?.hint)
        guard let line = lines.note(key, detail: finding?.detail ?? "", at: now) else { return }
        var metadata: Logger.Metadata = [
            "source": "\(request.sourceName)", "reason": "\(request.reason.rawValue)", "count": "\(line.count)",
        ]
        if let finding {
            metadata["hint"] = "\(finding.hint.rawValue)"
            metadata["detail"] = "\(finding.detail)"
        }
        if let peer = request.peer { metadata["peer"] = "\(peer.text)" }
        logger.warning("requests of a source are refused", metadata: metadata)
    }

    /// Nil also for a source that is not configured any more.
    package static func look(at request: RejectedRequest, _ subjects: HintSubjects) -> HintFinding? {
        // No other secret makes it smaller, or what its schema asks for.
        guard ![.bodyTooLarge, .schemaViolation, .bodyNotJSON].contains(request.reason),
            let subject = subjects.subject(of: request.sourceNumber),
            let plain = PlainRequest(head: request.head, body: request.body)
        else { return nil }
        return RejectionHints.look(
            at: plain, reason: request.reason, subject: subject, origin: subject.check.origins(of: plain).first,
            nowSeconds: request.receivedSeconds)
    }
}
