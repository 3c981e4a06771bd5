// A whole ingest loop in a simulated world, with a journal on its simulated disk: one thread, one tick at a time.

import FastPath
import Testing

package final class SimulatedIngest {
    package let world: SimulatedWorld
    package let metrics = IngestMetrics()
    package let shared: IngestControl
    package let arenaBytes: UInt64
    private var loop: IngestLoop<SimulatedIO>
    private let mailbox: SpareMailbox
    private let reader: CommitSignal
    private var tickCount = 0
    private let snapshot: IngestSnapshot
    private static let segmentBytes = 256 << 10

    package init(
        _ sources: [HarnessSource], seed: UInt64 = 1, bufferCount: Int = 64, bufferBytes: Int = 4096,
        assemblyBytes: Int = 256 << 10, tls: TLSContext? = nil,
        limits change: (inout IngestLimits) -> Void = { _ in }
    ) throws {
        let world = SimulatedWorld(seed: seed, bufferCount: bufferCount, bufferBytes: bufferBytes)
        self.world = world
        shared = try #require(IngestControl(testClock: nil, graceMillis: 120_000))
        var setup = IngestSetup()
        setup.listeners = [7]
        setup.metrics = metrics
        setup.limits.connectionCountMax = 32
        setup.receiveBufferCount = bufferCount
        setup.receiveBufferBytes = bufferBytes
        setup.assemblyBytes = assemblyBytes
        setup.blockBytesMax = 64 << 10
        setup.engine = .openssl
        setup.contexts = [tls]
        change(&setup.limits)
        arenaBytes = UInt64(assemblyBytes)
        snapshot = try IngestHarness.snapshot(sources, [])
        var configuration = JournalConfiguration(
            segmentBytes: SimulatedIngest.segmentBytes, groupBytes: 64 << 10, groupTicketCountMax: 64, logIdentity: 42,
            keys: FingerprintKeys(seed: 1, tagKey0: 2, tagKey1: 3))
        configuration.spareRetryNanos = 1
        guard let dedup = DedupTable(entryCount: 4096),
            var journal = Journal(configuration: configuration, dedup: dedup, current: nil, nextSequence: 1)
        else { throw HarnessError.noMemory }
        let isWanted = journal.takeSpareRequest(now: 1)
        #expect(isWanted)
        journal.spareBecameReady(world.disk.makeSpare(byteCount: SimulatedIngest.segmentBytes))
        mailbox = SpareMailbox(keeper: try #require(Wakeup()), driver: shared.wakeup)
        let tail = CommittedTail(journal)
        reader = CommitSignal(try #require(Wakeup()))
        let driver = JournalDriver(
            journal: journal, logIdentity: 42, folder: -1, tail: tail, spares: mailbox,
            reader: reader, metrics: metrics, ticketCountMax: 64)
        loop = IngestLoop(
            io: SimulatedIO(world), memory: try IngestMemory(setup), setup: setup, shared: shared, snapshot: snapshot,
            port: JournalClient(driver: driver, wakeup: shared.wakeup))
        loop.begin()
        tick()
    }

    /// One tick, after `millis`.
    package func tick(_ millis: UInt64 = 1) {
        world.monotonic += millis * 1_000_000
        world.wall += millis * 1_000_000
        tickCount += 1
        // Both ways to the disk, in turns: through the page cache while somebody reads the log, else past it.
        reader.setWanted(tickCount & 8 != 0)
        while mailbox.wanted > 0 { mailbox.answer(world.disk.makeSpare(byteCount: SimulatedIngest.segmentBytes)) }
        loop.tick()
    }
    package func ticks(_ count: Int) { for _ in 0..<count { tick() } }
    package func count(_ counter: IngestCounter) -> UInt64 { metrics.loop.read(counter.rawValue) }
    package func count(_ counter: SourceCounter, source index: Int = 0) -> UInt64 {
        metrics.sources.read(index * SourceCounter.count + counter.rawValue)
    }
    /// Drains until the loop is done; all that it had has come home then.
    package func finish() {
        shared.drain()
        world.holdsDisk = false
        for _ in 0..<400 where !loop.isDone { tick(300) }
        let isDone = loop.isDone
        #expect(isDone)
        tick(300)
        #expect(world.openCount == 0)
        #expect(count(.assemblyBytesFree) == arenaBytes)
        #expect(world.freeBufferCount == world.bufferCount)
        loop.finish()
    }
}
