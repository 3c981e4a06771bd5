// The threads that verify what is too slow for an ingest loop. They take requests from all loops in turn, a bounded
// number of each, so that a flood of one loop's does not starve another's.
//
// Invariant: each request that was taken is answered, also while the workers stop; they stop after the loops, because a
// loop waits for its verdicts.
import FastPath
import Synchronization

package final class VerifierWorkers: Sendable {
    /// Requests taken of one loop before the next one's turn.
    private static let turnCountMax = 64
    /// Publications decided before the loop is told of them: a wake-up of a loop on the same processor is a change of
    /// threads and a commit of few, and these take less than a millisecond to decide.
    private static let untoldCountMax = 32
    private let registry: VerifierRegistry
    private let wakeups: [Wakeup]
    private let links = Mutex<[VerifierLink]>([])
    private let threads = Mutex<[LoopThread]>([])
    private let isStopping = Atomic<Bool>(false)
    /// Rings for all of them: one sleeper each.
    package let bell: VerifierBell
    /// One verification each, on whichever thread.
    private let latency = Mutex(LatencyCount())

    private struct LatencyCount {
        var count: UInt64 = 0
        var micros: UInt64 = 0
    }

    package var publishers: PublisherAccess { registry.publishers }
    /// Nil when the process has no descriptor left.
    package init?(registry: VerifierRegistry, threadCount: Int) {
        var wakeups: [Wakeup] = []
        for _ in 0..<max(threadCount, 1) {
            guard let wakeup = Wakeup() else { return nil }
            wakeups.append(wakeup)
        }
        self.registry = registry
        self.wakeups = wakeups
        bell = VerifierBell(wakeups)
    }
    /// How many requests were verified, and the microseconds that took.
    package var verified: (count: UInt64, micros: UInt64) { latency.withLock { ($0.count, $0.micros) } }

    package func start(_ links: [VerifierLink]) throws(ThreadStartError) {
        self.links.withLock { $0 = links }
        for (index, wakeup) in wakeups.enumerated() {
            do throws(ThreadStartError) {
                let thread = try LoopThread(name: "verifier-\(index)", urgency: .yielding) { [self] in
                    run(links, wakeup)
                }
                threads.withLock { $0.append(thread) }
            } catch {
                stop()
                throw error
            }
        }
    }
    /// After the loops have ended.
    package func stop() {
        isStopping.store(true, ordering: .releasing)
        bell.ring()
        let running = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for thread in running { thread.join() }
    }

    private func run(_ links: [VerifierLink], _ wakeup: Wakeup) {
        while true {
            var didWork = false
            for link in links where takeTurn(link) { didWork = true }
            if didWork { continue }
            if isStopping.load(ordering: .acquiring) { return }
            _ = wakeup.sleep(timeoutMillis: 1000) {
                links.contains { $0.hasOrders } || isStopping.load(ordering: .acquiring)
            }
        }
    }
    private func takeTurn(_ link: VerifierLink) -> Bool {
        var left = VerifierWorkers.turnCountMax
        let began = ProcessResources.monotonicNanos
        var desk: (any PublicationDesk)?
        var untoldCount = 0
        func tell() {
            if untoldCount > 0 { link.wakeLoop() }
            untoldCount = 0
        }
        while left > 0, let request = link.next() {
            left -= 1
            if request.verifierID == VerifierRegistry.publications {
                if desk == nil { desk = registry.publicationDesk() }
                guard let desk else {
                    link.answer(request, .undecided)
                    continue
                }
                // It reads the log.
                if request.duplicateOf != nil { tell() }
                link.answer(request, desk.decide(request))
                untoldCount += 1
                if untoldCount == VerifierWorkers.untoldCountMax { tell() }
                continue
            }
            guard let duty = registry.duty(request.verifierID) else {
                link.answer(request, .retired)
                continue
            }
            // A signature takes its time: what is decided waits for none.
            tell()
            let result = duty.result(request.request, origin: request.origin, nowSeconds: request.nowSeconds)
            if let refusal = result.refusal {
                link.refuse(request, refusal.reason, explanation: refusal.answer)
            } else {
                link.answer(request, result.answer, reading: result.reading)
            }
        }
        tell()
        let count = VerifierWorkers.turnCountMax - left
        guard count > 0 else { return false }
        let micros = (ProcessResources.monotonicNanos - began) / 1000
        latency.withLock { latency in
            latency.count += UInt64(count)
            latency.micros += micros
        }
        return true
    }
}
