// What the outside says to an ingest loop and what it hears: start, a new configuration, drain, the end. One a loop;
// the only state that the loop shares besides its rings, and it looks at it once a tick with one relaxed load.
import Synchronization

package enum IngestStartError: Error, Sendable {
    case ring(UringError)
    case outOfMemory(bytes: Int)
}

/// What a loop is built from; values only.
package struct IngestSetup: Sendable {
    /// One bit each in a word.
    package static let listenerCountMax = 64
    package var limits = IngestLimits()
    package var listeners: [Int32] = []
    /// One bit a listener whose connections begin with a PROXY preamble.
    package var preambleListeners: UInt64 = 0
    /// By listener; nil, or none, is a listener without TLS.
    package var contexts: [TLSContext?] = []
    package var metrics = IngestMetrics()
    package var engine = VerifierEngine.automatic
    /// A power of two.
    package var receiveBufferCount = 4096
    package var receiveBufferBytes = 4096
    package var assemblyBytes = 32 << 20
    /// Head and largest body of any source together.
    package var blockBytesMax = 2 << 20
    package var verifierScratchBytes = 8 << 20
    /// To the workers that verify what is too slow for the loop; nil = a source that needs them answers 503.
    package var verifiers: VerifierLink?
    /// Versions of the registry, by which callers are known for a moment; nil = a worker looks at each publication.
    package var publishers: PublisherAccess?
    /// For what is refused with 401; nil = not kept.
    package var rejected: RejectedRing?

    package init() {}
}

package final class IngestControl: Sendable {
    package enum Stage: UInt8, Sendable { case starting, running, finished, failed }

    package let wakeup: Wakeup
    /// Unix seconds that stand still, for signature windows in tests.
    package let testClock: UInt64?
    package let graceMillis: UInt64
    private let news = Atomic<Bool>(false)
    private let drainWanted = Atomic<Bool>(false)
    private let stageBits = Atomic<UInt8>(Stage.starting.rawValue)
    private let mailbox = Mutex<IngestSnapshot?>(nil)
    private let contexts = Mutex<[TLSContext?]?>(nil)
    private let acknowledged = Mutex<IngestSnapshot?>(nil)

    /// Nil when the process has no descriptor left.
    package init?(testClock: UInt64?, graceMillis: UInt64) {
        guard let wakeup = Wakeup() else { return nil }
        self.wakeup = wakeup
        self.testClock = testClock
        self.graceMillis = graceMillis
    }

    // MARK: from outside

    /// The loop takes it at its next tick; the one before it must stay alive until `isInForce` says so.
    package func publish(_ snapshot: IngestSnapshot) {
        mailbox.withLock { $0 = snapshot }
        tell()
    }
    package func isInForce(_ snapshot: IngestSnapshot) -> Bool { acknowledged.withLock { $0 === snapshot } }
    /// What listeners with TLS show from now on; by listener. Sessions that run keep what they began with.
    package func publish(contexts fresh: [TLSContext?]) {
        contexts.withLock { $0 = fresh }
        tell()
    }
    package func drain() {
        drainWanted.store(true, ordering: .relaxed)
        tell()
    }
    /// An exchange, not a store: the loop that takes one thread's news has then seen what another told before it
    /// (a store would end that one's release sequence, and a drain could be lost under a publication).
    private func tell() {
        _ = news.exchange(true, ordering: .releasing)
        wakeup.signal()
    }
    package var stage: Stage { Stage(rawValue: stageBits.load(ordering: .acquiring)) ?? .failed }
    package func failedToStart() { stageBits.store(Stage.failed.rawValue, ordering: .releasing) }

    // MARK: from the loop

    @inline(__always) var hasNews: Bool { news.load(ordering: .relaxed) }
    var isDrainWanted: Bool { drainWanted.load(ordering: .relaxed) }
    /// Before `isDrainWanted` is looked at: what is asked for after this look is news again. A plain store could fall
    /// behind that look and wipe out the news of a drain.
    func takeSnapshot() -> IngestSnapshot? {
        _ = news.exchange(false, ordering: .acquiring)
        return mailbox.withLock { $0.take() }
    }
    /// After `takeSnapshot`.
    func takeContexts() -> [TLSContext?]? { contexts.withLock { $0.take() } }
    func acknowledge(_ snapshot: IngestSnapshot) { acknowledged.withLock { $0 = snapshot } }
    func started() { stageBits.store(Stage.running.rawValue, ordering: .releasing) }
    func finished() { stageBits.store(Stage.finished.rawValue, ordering: .releasing) }
}
