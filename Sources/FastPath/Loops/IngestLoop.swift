// One ingest thread: a ring, its connections, and, when it is alone, the journal. It gathers completions, runs them,
// verifies the round's signatures as one batch, offers what is genuine to the log, and answers what the log has on
// disk.
//
// The order of a tick, and why: receive (fills the batch) → continue (pipelined requests join it) → completeBatch (one
// batch of signatures, then the log's group) → take the workers' verdicts → answer receipts → buffers home (everything
// that read them is done) → arm → commit (takes all that this tick offered) → time-outs. 2xx is written only from a
// receipt or for a record already on disk (law 1).
//
// Invariants: a receive buffer is read only in the tick that brought it; a block moves only after the batch that views
// it was settled; one request a connection is between its last byte and its answer. Safety: views in `pending` point
// into receive buffers and blocks that stay put until `completeBatch` has returned.
import CShims
import Synchronization

/// A request that is complete and waits for the round's batch of signatures.
@safe struct PendingRequest {
    var slot: Int
    var base: UnsafePointer<UInt8>
    var head: RequestHead
    var body: ByteView
    var values: SelectedValues
    var sourceIndex: Int
    /// Place in the verifier's batch, -1 when the verdict was there at once.
    var job: Int
    var verdict: RecordVerification

    @inline(__always) var bytes: ByteView { unsafe ByteView(base, count: head.byteCount) }
}

@safe struct IngestLoop: ~Copyable {
    var io: UringIO
    var table: ConnectionTable
    var arena: BuddyArena
    var verifier: BatchVerifier
    var fields = FieldTable()
    var port: JournalClient
    var dates = DateCache(unixSeconds: 0)
    let limits: IngestLimits
    let metrics: IngestMetrics
    let shared: IngestControl
    let listeners: UnsafeMutablePointer<Int32>
    let listenerCount: Int

    // Requests that are with a worker, and the blocks they lie in.
    let verifiers: VerifierLink?
    var verifyingCount = 0
    var verifyingBytes = 0
    var hasFreshOrders = false
    // What is refused with 401 is copied, within a budget a second for each source, by counter slot.
    let rejected: RejectedRing?
    let rejectedSeconds: UnsafeMutablePointer<UInt32>
    let rejectedCounts: UnsafeMutablePointer<UInt32>

    // The configuration in force: copied out of the snapshot, so that a request touches no reference count.
    var snapshot: IngestSnapshot
    var sources: UnsafePointer<IngestSource>
    var routes: RouteView
    /// Counts configurations.
    var epoch: UInt32 = 0

    let pending: UnsafeMutablePointer<PendingRequest>
    var pendingCount = 0
    // Receive buffers read in this tick, given back at its end.
    let held: UnsafeMutablePointer<UInt16>
    var heldCount = 0
    // Slots whose receive must be armed again, and slots with pipelined bytes to go on with.
    let rearm: UnsafeMutablePointer<UInt32>
    var rearmCount = 0
    let ready: UnsafeMutablePointer<UInt32>
    var readyCount = 0

    // A handshake's answer, until it is in the reply.
    let scratch: UnsafeMutablePointer<UInt8>
    // Type and dedup key, decoded and put together, until the log has taken them.
    let keyScratch: UnsafeMutablePointer<UInt8>
    var edge: EdgeScratch

    var nowNanos: UInt64 = 0
    var nowMillis: UInt64 = 0
    var wallNanos: UInt64 = 0
    var wallSeconds: UInt64 = 0
    var sweepAt: UInt64 = 0
    var acceptAgainAt: UInt64 = 0
    /// One bit a listener whose accept is with the kernel.
    var armedAccepts: UInt64 = 0
    var isDraining = false
    var drainedAt: UInt64 = 0
    var receivedBytes: UInt64 = 0
    var sentBytes: UInt64 = 0

    static let pendingCountMax = 4096
    /// No less than a signed value may have: a spelling that has no room must not pass as another key.
    static let keyBytesMax = BatchVerifier.composedBytesMax
    /// A request up to this size finds room while larger ones do not.
    static let smallBlockBytes = 16_384
    static let sweepMillis: UInt64 = 200
    /// More than this behind a request that is being answered: the connection is not read until it has drained.
    static let pipelineBytesMax = 65_536

    init(
        setup: IngestSetup, shared: IngestControl, snapshot: IngestSnapshot, port: consuming JournalClient
    ) throws(IngestStartError) {
        precondition(setup.listeners.count <= IngestSetup.listenerCountMax)
        let parts = try IngestLoop.parts(setup)
        // Nothing of `self` is read before all of it is set: Swift 6.3.1 then releases what lay in the place of the
        // references that are set later (seen: crashes when the stack was not all zeros).
        table = parts.table
        arena = parts.arena
        io = parts.io
        self.port = port
        limits = setup.limits
        metrics = setup.metrics
        self.shared = shared
        self.snapshot = snapshot
        unsafe sources = snapshot.sources
        routes = snapshot.routes
        verifiers = setup.verifiers
        rejected = setup.rejected
        edge = EdgeScratch(preambleListeners: setup.preambleListeners)
        verifier = BatchVerifier(
            engine: setup.engine, jobCountMax: IngestLoop.pendingCountMax, scratchBytes: setup.verifierScratchBytes)
        listenerCount = setup.listeners.count
        unsafe listeners = IngestLoop.copy(setup.listeners)
        unsafe rejectedSeconds = IngestLoop.zeros(IngestMetrics.sourceSlotCount)
        unsafe rejectedCounts = IngestLoop.zeros(IngestMetrics.sourceSlotCount)
        unsafe pending = .allocate(capacity: IngestLoop.pendingCountMax)
        unsafe held = .allocate(capacity: setup.receiveBufferCount)
        unsafe rearm = .allocate(capacity: setup.limits.connectionCountMax * 2)
        unsafe ready = .allocate(capacity: setup.limits.connectionCountMax)
        unsafe scratch = .allocate(capacity: Handshake.scratchBytesMax)
        unsafe keyScratch = .allocate(capacity: IngestLoop.keyBytesMax)
    }
    private static func copy(_ listeners: [Int32]) -> UnsafeMutablePointer<Int32> {
        let memory = UnsafeMutablePointer<Int32>.allocate(capacity: max(listeners.count, 1))
        for (index, listener) in listeners.enumerated() { unsafe memory[index] = listener }
        return unsafe memory
    }
    private static func zeros(_ count: Int) -> UnsafeMutablePointer<UInt32> {
        let memory = UnsafeMutablePointer<UInt32>.allocate(capacity: count)
        unsafe memory.initialize(repeating: 0, count: count)
        return unsafe memory
    }
    private struct Parts: ~Copyable {
        var table: ConnectionTable
        var arena: BuddyArena
        var io: UringIO
    }
    private static func parts(_ setup: IngestSetup) throws(IngestStartError) -> Parts {
        let table: ConnectionTable
        let arena: BuddyArena
        do {
            table = try ConnectionTable(capacity: setup.limits.connectionCountMax)
        } catch { throw .outOfMemory(bytes: error.byteCount) }
        do {
            arena = try BuddyArena(byteCount: setup.assemblyBytes, blockBytesMax: setup.blockBytesMax)
        } catch { throw .outOfMemory(bytes: error.byteCount) }
        do {
            let io = try UringIO(
                submissions: 4096, completions: 16_384, bufferCount: setup.receiveBufferCount,
                bufferByteCount: setup.receiveBufferBytes)
            return Parts(table: table, arena: arena, io: io)
        } catch { throw .ring(error) }
    }
    deinit {
        unsafe listeners.deallocate()
        unsafe rejectedSeconds.deallocate()
        unsafe rejectedCounts.deallocate()
        unsafe pending.deallocate()
        unsafe held.deallocate()
        unsafe rearm.deallocate()
        unsafe ready.deallocate()
        unsafe scratch.deallocate()
        unsafe keyScratch.deallocate()
    }

    /// Runs until a drain has finished. The thread is this loop's alone.
    mutating func run() {
        readClocks()
        for index in 0..<listenerCount { armAccept(index) }
        port.armWake(io)
        port.startCommit(io, nowNanos: nowNanos)
        shared.started()
        while !(isDraining && isDrained) { tick() }
        finish()
    }

    mutating func tick() {
        // Asleep only after a last look at what another thread may have brought.
        let mustNotWait = port.beginSleep() || shared.hasNews || hasVerdicts
        let count = io.enter(waitNanos: mustNotWait ? 0 : port.sleepNanos(waitNanos))
        port.endSleep()
        readClocks()
        for index in 0..<count { handle(io.completion(index)) }
        continueReady()
        completeBatch()
        if verifyingCount > 0 { takeVerdicts() }
        answerReceipts()
        continueReady()
        completeBatch()
        if hasFreshOrders { wakeVerifiers() }
        giveBuffersBack()
        armReceives()
        port.startCommit(io, nowNanos: nowNanos)
        if nowMillis >= sweepAt { sweep() }
        if shared.hasNews { takeNews() }
    }

    private var waitNanos: UInt64 {
        if readyCount > 0 { return 0 }
        if isDraining { return 20_000_000 }
        return table.openCount == 0 && acceptAgainAt == 0 ? 1_000_000_000 : IngestLoop.sweepMillis * 1_000_000
    }
    private mutating func readClocks() {
        nowNanos = sluice_clock_monotonic()
        nowMillis = nowNanos / 1_000_000
        wallNanos = sluice_clock_wall()
        wallSeconds = shared.testClock ?? (wallNanos / 1_000_000_000)
        dates.update(unixSeconds: Int(wallNanos / 1_000_000_000))
        port.setClock(wallNanos: wallNanos)
    }

    // MARK: completions

    private mutating func handle(_ completion: Completion) {
        let tag = completion.tag
        switch tag.kind {
        case .receive: received(completion)
        case .send: sent(completion)
        case .accept: accepted(completion)
        case .wake: port.woken(io)
        case .journalWrite, .journalSync, .segmentRename, .folderSync:
            port.completed(completion, io)
        case .close, .cancel, .connect, .ignored: break
        }
    }

    private mutating func armAccept(_ index: Int) {
        unsafe io.accept(listener: listeners[index], tag: Tag(.accept, slot: UInt32(index)))
        armedAccepts |= 1 << UInt64(index)
    }
    private mutating func accepted(_ completion: Completion) {
        if !completion.hasMore {
            armedAccepts &= ~(1 << UInt64(completion.tag.slot))
            // Out of descriptors, or the like: look again after a while rather than spin (libev's accept pause).
            if !isDraining {
                if completion.result >= 0 { armAccept(Int(completion.tag.slot)) } else { pauseAccept() }
            }
        }
        guard completion.result >= 0 else { return }
        let slot = isDraining ? -1 : table.take(descriptor: completion.result)
        guard slot >= 0 else {
            io.close(completion.result, tag: Tag(.close))
            metrics.count(.connectionsRefused)
            return
        }
        metrics.count(.connectionsAccepted)
        table.setDeadline(slot, nowMillis + UInt64(limits.headMillisMax))
        beginConnection(slot, listener: Int(completion.tag.slot))
        armReceive(slot)
    }
    private mutating func pauseAccept() { acceptAgainAt = nowMillis + 100 }

    mutating func armReceive(_ slot: Int) {
        let connection = unsafe table[slot]
        unsafe precondition(!connection.pointee.isReceiving)
        unsafe connection.pointee.isReceiving = true
        unsafe io.receive(
            connection.pointee.descriptor,
            tag: Tag(.receive, slot: UInt32(slot), generation: connection.pointee.generation))
    }
    private mutating func armReceives() {
        let count = rearmCount
        rearmCount = 0
        for index in 0..<count {
            let slot = unsafe Int(rearm[index])
            let connection = unsafe table[slot]
            guard unsafe connection.pointee.state == .open || connection.pointee.state == .lingering,
                unsafe !connection.pointee.isReceiving, unsafe !connection.pointee.isPaused,
                unsafe !connection.pointee.isPeerDone
            else { continue }
            armReceive(slot)
        }
    }
    mutating func hold(buffer: Int) {
        unsafe held[heldCount] = UInt16(truncatingIfNeeded: buffer)
        heldCount += 1
    }
    private mutating func giveBuffersBack() {
        for index in 0..<heldCount { unsafe io.give(buffer: Int(held[index])) }
        heldCount = 0
        io.publishBuffers()
        if receivedBytes > 0 { metrics.count(.bytesReceived, receivedBytes) }
        if sentBytes > 0 { metrics.count(.bytesSent, sentBytes) }
        receivedBytes = 0
        sentBytes = 0
    }

    // MARK: time-outs, news, drain

    private mutating func sweep() {
        sweepAt = nowMillis + IngestLoop.sweepMillis
        for slot in 0..<table.highWater where table.deadline(slot) <= nowMillis { timeOut(slot) }
        metrics.loop.set(IngestCounter.connectionsOpen.rawValue, UInt64(table.openCount))
        metrics.loop.set(IngestCounter.assemblyBytesFree.rawValue, UInt64(arena.freeBytes))
        if acceptAgainAt > 0, nowMillis >= acceptAgainAt, !isDraining {
            acceptAgainAt = 0
            for index in 0..<listenerCount where armedAccepts & 1 << UInt64(index) == 0 { armAccept(index) }
        }
    }
    private mutating func timeOut(_ slot: Int) {
        let connection = unsafe table[slot]
        guard unsafe connection.pointee.state != .free else { return }
        table.setDeadline(slot, ConnectionTable.noDeadline)
        // A worker's time is not the client's fault: it waits for the verdict.
        if unsafe connection.pointee.phase == .verifying { return }
        metrics.count(.connectionsTimedOut)
        guard unsafe connection.pointee.state == .open else { return close(slot) }
        switch unsafe connection.pointee.phase {
        case .idle, .answering: close(slot)
        case .head, .body:
            if unsafe connection.pointee.edge.expectsPreamble { return close(slot) }
            refuse(slot, .requestTimeout)
        // The disk may still take the event: the sender's repeat is a duplicate then. The connection ends, so that the
        // receipt that comes late is nobody's.
        case .committing:
            unsafe metrics.count(.refused, source: Int(connection.pointee.counterSlot))
            answerUnavailableAndClose(slot, reason: "log_slow")
        case .verifying: break
        }
    }
    private mutating func takeNews() {
        if let fresh = shared.takeSnapshot() {
            snapshot = fresh
            unsafe sources = fresh.sources
            routes = fresh.routes
            epoch &+= 1
            abandonRoutes()
            shared.acknowledge(fresh)
        }
        if shared.isDrainWanted, !isDraining { beginDrain() }
    }
    /// Requests whose body is still coming hold an index into the old sources: their route is looked up again.
    private mutating func abandonRoutes() {
        for slot in 0..<table.highWater
        where unsafe table[slot].pointee.state == .open && table[slot].pointee.phase == .body {
            routeAgain(slot)
        }
    }
    private mutating func beginDrain() {
        isDraining = true
        drainedAt = nowMillis + shared.graceMillis
        for index in 0..<listenerCount { io.cancel(Tag(.accept, slot: UInt32(index)), tag: Tag(.cancel)) }
        for slot in 0..<table.highWater
        where unsafe table[slot].pointee.state == .open && table[slot].pointee.phase == .idle {
            close(slot)
        }
    }
    /// True when nobody waits for an answer and nothing is with a worker or the disk, or when the grace period is over
    /// and nothing is with either.
    private var isDrained: Bool {
        guard port.isIdle, verifyingCount == 0 else { return false }
        return table.openCount == 0 || nowMillis >= drainedAt
    }
    private mutating func finish() {
        for slot in 0..<table.highWater where unsafe table[slot].pointee.state != .free {
            _ = unsafe sluice_close(table[slot].pointee.descriptor)
        }
        port.finish()
        shared.finished()
    }
}
