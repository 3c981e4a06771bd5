// One ingest thread: a ring, its connections, and, when it is alone, the journal. This file moves completions to the
// connections and does what they say; what a request means is in the extensions.
//
// The order of a tick, written once, in `tick`:
//
//   1. submit and wait   everything queued by the last tick goes out; completions are gathered before any is run
//   2. completions       connections move, requests join the round's batch
//   3. verdicts          what workers have verified joins it
//   4. the round         pipelined requests join; one batch of signatures, then the log's group; bytes that waited
//                        for the batch are put behind their requests
//   5. time-outs, news   nothing views a request or a source now
//   6. receipts          2xx is written only from a receipt or for a record already on disk (law 1)
//   7. commit            takes all that this tick offered, and is with the disk before the answers leave
//   8. answers           one send a connection
//   9. buffers home      everything that read them is done; handshakes are let in, receives are armed again
//
// Invariants: nothing re-enters: each step runs to its end and none calls another; a receive buffer is read only in the
// tick that brought it; a block moves only while the batch does not view it. Safety: pointers to sources are the
// snapshot's, which the loop holds.

import CShims
import Synchronization

@safe package struct IngestLoop<IO: LoopIO & ~Copyable>: ~Copyable {
    var io: IO
    var table: ConnectionTable
    var arena: BuddyArena
    var batch: VerificationBatch
    var replies: ReplyQueue
    var secure: SecureSessions
    private var addresses: AddressCounts
    var shares = AdmissionShares()
    var returns = ReturnSchedule()
    var fields = FieldTable()
    var port: JournalClient
    var dates = DateCache(unixSeconds: 0)
    let limits: IngestLimits
    let metrics: IngestMetrics
    let shared: IngestControl
    private let listeners: [Int32]

    // Requests that are with a worker, and the memory they lie in.
    let verifiers: VerifierLink?
    var verifyingCount = 0
    var verifyingBytes = 0
    /// Of publications that workers see again.
    var seenAgainCount = 0
    /// Of what workers have read and made, until it goes back to them.
    var readingBytes = 0
    var hasFreshOrders = false
    var rejected: RejectedBudget
    let publishers: PublisherAccess?
    var passes = PassTable()
    let publicationFields = PublicationFields()
    let envelopeFields = EnvelopeFields()
    /// Of the ids that answers get whose requests have none.
    var envelopeIDs = EnvelopeIDs()

    // The configuration in force: copied out of the snapshot, so that a request touches no reference count.
    var snapshot: IngestSnapshot
    var sources: UnsafePointer<IngestSource>
    var routes: RouteView
    var tenantLimits: TenantLimitTable
    /// Counts configurations.
    var epoch: UInt32 = 0

    /// By listener.
    private(set) var contexts: [TLSContext?]
    /// Counts reloads after which clients are believed by other authorities or lists.
    private(set) var trust: UInt32 = 0
    /// Those whose first bytes have come, and whose handshake may not begin yet.
    var handshakesWaiting: SlotQueue
    var gate = HandshakeGate()
    /// A connection without TLS had work in this tick.
    var hasPlainWork = false

    // What a later step of the tick takes: receive buffers read, slots whose receive must be armed again, slots with
    // pipelined bytes to go on with, bytes that wait for the batch.
    private var held: SlotList
    var rearm: SlotList
    var ready: SlotList
    private var late: LateInput

    /// A handshake's answer, until it is in the output; type and dedup key, decoded and put together, until the log has
    /// taken them.
    let scratch: UnsafeMutablePointer<UInt8>
    let keyScratch: UnsafeMutablePointer<UInt8>
    private let scratchMemory: OwnedMemory
    var edge: EdgeScratch

    var nowMillis: UInt64 = 0
    var nowNanos: UInt64 = 0
    var wallNanos: UInt64 = 0
    var wallSeconds: UInt64 = 0
    private var sweepAt: UInt64 = 0
    /// When overdue connections are looked for again, and from which slot on; 0: all were seen.
    var overdueLookAt: UInt64 = 0
    var overdueSlot = 0
    /// The slot at which the next look for idle TLS sessions begins.
    var restAt = 0
    private var acceptAgainAt: UInt64 = 0
    /// One bit a listener whose accept is with the kernel.
    private var armedAccepts: UInt64 = 0
    private(set) var isDraining = false
    private var drainedAt: UInt64 = 0
    private var receivedBytes: UInt64 = 0
    private var sentBytes: UInt64 = 0

    package init(
        io: consuming IO, memory: consuming IngestMemory, setup: IngestSetup, shared: IngestControl,
        snapshot: IngestSnapshot, port: consuming JournalClient
    ) {
        precondition(setup.listeners.count <= IngestSetup.listenerCountMax)
        // Nothing of `self` is read before all of it is set: Swift 6.3.1 then releases what lay in the place of the
        // references that are set later (seen: crashes when the stack was not all zeros).
        table = memory.table
        arena = memory.arena
        replies = memory.replies
        secure = memory.secure
        addresses = memory.addresses
        contexts = setup.contexts
        handshakesWaiting = SlotQueue(capacity: setup.limits.connectionCountMax)
        self.io = io
        self.port = port
        limits = setup.limits
        metrics = setup.metrics
        self.shared = shared
        self.snapshot = snapshot
        unsafe sources = snapshot.sources
        routes = snapshot.routes
        tenantLimits = snapshot.tenantLimits
        verifiers = setup.verifiers
        rejected = RejectedBudget(ring: setup.rejected)
        publishers = setup.publishers
        edge = EdgeScratch(preambleListeners: setup.preambleListeners)
        batch = VerificationBatch(engine: setup.engine, scratchBytes: setup.verifierScratchBytes)
        listeners = setup.listeners
        held = SlotList(capacity: setup.receiveBufferCount)
        // A receive that ended, one that goes on after a pause or a linger, and one of the slot's next connection.
        rearm = SlotList(capacity: setup.limits.connectionCountMax * 3)
        // By its answer and by bytes that came, and as often again behind when the batch has no room for it.
        ready = SlotList(capacity: setup.limits.connectionCountMax * 4)
        late = LateInput(capacity: setup.receiveBufferCount)
        let owned = OwnedMemory(byteCount: Handshake.scratchBytesMax + IngestSizes.keyBytesMax)
        unsafe scratch = owned.room(UInt8.self, count: Handshake.scratchBytesMax)
        unsafe keyScratch = owned.room(UInt8.self, count: IngestSizes.keyBytesMax, at: Handshake.scratchBytesMax)
        scratchMemory = owned
    }

    /// Runs until a drain has finished. The thread is this loop's alone.
    package mutating func run() {
        begin()
        while !isDone { tick() }
        finish()
    }
    package mutating func begin() {
        readClocks()
        for index in listeners.indices { armAccept(index) }
        port.armWake(io)
        port.startCommit(io, nowNanos: nowNanos)
        shared.started()
    }
    package mutating func tick() {
        let count = wait()
        readClocks()
        for index in 0..<count { handle(io.completion(index)) }
        if verifyingCount > 0 { takeVerdicts() }
        repeat {
            advanceReady()
            settleBatch()
            takeLateInput()
        } while !ready.isEmpty
        if nowMillis >= overdueLookAt { endOverdue() }
        if nowMillis >= sweepAt { sweep() }
        if shared.hasNews { takeNews() }
        answerReceipts()
        port.startCommit(io, nowNanos: nowNanos)
        sendReplies()
        if hasFreshOrders { wakeVerifiers() }
        giveBuffersBack()
        admitHandshakes()
        armReceives()
    }
    /// Asleep only after a last look at what another thread may have brought.
    private mutating func wait() -> Int {
        let mustNotWait = port.beginSleep() || shared.hasNews || hasVerdicts
        let count = io.enter(waitNanos: mustNotWait ? 0 : port.sleepNanos(waitNanos))
        port.endSleep()
        return count
    }
    private var waitNanos: UInt64 {
        if overdueSlot > 0 { return IngestSizes.endingsMillis * 1_000_000 }
        if isDraining { return 20_000_000 }
        if handshakesWaiting.count > 0 { return 1_000_000 }
        return table.openCount == 0 && acceptAgainAt == 0 ? 1_000_000_000 : IngestSizes.sweepMillis * 1_000_000
    }
    private mutating func readClocks() {
        hasPlainWork = false
        nowNanos = io.monotonicNanos()
        nowMillis = nowNanos / 1_000_000
        wallNanos = io.wallNanos()
        wallSeconds = shared.testClock ?? (wallNanos / 1_000_000_000)
        dates.update(unixSeconds: Int(wallNanos / 1_000_000_000))
        port.setClock(wallNanos: wallNanos)
    }

    // MARK: completions

    private mutating func handle(_ completion: Completion) {
        let tag = completion.tag
        switch tag.kind {
        case .receive: received(completion)
        case .send:
            let slot = table.slot(of: tag)
            guard slot >= 0 else { return }
            if completion.result > 0 { sentBytes &+= UInt64(completion.result) }
            if table[slot].edge.isSecure, completion.result > 0 { sentSecure(slot, Int(completion.result)) }
            apply(table[slot].connection.sendCompleted(completion.result), slot)
            if table[slot].edge.isHandshakeStalled { continueHandshake(slot) }
        case .accept: accepted(completion)
        case .wake: port.woken(io)
        case .journalWrite, .journalSync, .segmentRename, .folderSync: port.completed(completion, io)
        case .close, .cancel, .connect, .ignored: break
        }
    }
    private mutating func received(_ completion: Completion) {
        let slot = table.slot(of: completion.tag)
        let buffer = completion.buffer
        if buffer >= 0, isPlanted(.freeBufferEarly) {
            io.give(buffer: buffer)
            io.publishBuffers()
        } else if buffer >= 0, !isPlanted(.keepBuffer) {
            held.append(buffer)
        }
        guard slot >= 0 else { return }
        guard completion.result > 0, buffer >= 0 else {
            if table[slot].edge.isSilent, completion.result > 0 { return firstBytesCame(slot) }
            if completion.hasMore { return }
            if completion.result == -ENOBUFS, !io.hasRestingBuffers { metrics.count(.receiveBuffersExhausted) }
            let hasInput = table[slot].assembly.hasInput
            return apply(table[slot].connection.receiveEnded(completion.result, hasInput: hasInput), slot)
        }
        receivedBytes &+= UInt64(completion.result)
        apply(table[slot].connection.received(hasMore: completion.hasMore), slot)
        unsafe arrived(slot, io.bytes(ofBuffer: buffer), Int(completion.result))
    }
    private mutating func arrived(_ slot: Int, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        if table[slot].edge.isSecure, !table[slot].edge.expectsPreamble { return unsafe takeSecure(slot, bytes, count) }
        if !table[slot].edge.isSecure { hasPlainWork = true }
        unsafe take(slot, bytes, count)
    }
    private mutating func accepted(_ completion: Completion) {
        let listener = Int(completion.tag.slot)
        if !completion.hasMore {
            armedAccepts &= ~(1 << UInt64(listener))
            // Out of descriptors, or the like: look again after a while rather than spin (libev's accept pause).
            if !isDraining {
                if completion.result >= 0 { armAccept(listener) } else { acceptAgainAt = nowMillis + 100 }
            }
        }
        guard completion.result >= 0 else { return }
        let counted = countedAddress(completion.result)
        if let counted, !addresses.add(counted) {
            io.close(completion.result, tag: Tag(.close))
            return metrics.count(.connectionsOverAddressLimit)
        }
        let slot = isDraining ? -1 : table.take()
        guard slot >= 0, table[slot].connection.begin(descriptor: completion.result, now: nowMillis, limits) else {
            io.close(completion.result, tag: Tag(.close))
            if let counted { addresses.remove(counted) }
            return metrics.count(.connectionsRefused)
        }
        metrics.count(.connectionsAccepted)
        table[slot].edge.counted = counted
        (table[slot].edge.listener, table[slot].edge.trust) = (UInt16(truncatingIfNeeded: listener), trust)
        table[slot].edge.expectsPreamble = edge.preambleListeners & 1 << UInt64(listener) != 0
        table.noteDeadline(slot)
        guard listener < contexts.count, let context = contexts[listener]?.view else {
            hasPlainWork = true
            return rearm.append(slot)
        }
        guard beginSecure(slot, context) else { return apply(table[slot].connection.close(), slot) }
        awaitFirstBytes(slot)
    }
    /// The client's address where its connections are counted; nil for a trusted proxy, which has many clients.
    private func countedAddress(_ descriptor: Int32) -> IPAddress? {
        guard limits.connectionsPerAddressMax > 0, let peer = io.peer(descriptor) else { return nil }
        if let trusted = snapshot.edge.trusted, trusted.contains(peer) { return nil }
        return peer
    }
    private mutating func armAccept(_ index: Int) {
        io.accept(listener: listeners[index], tag: Tag(.accept, slot: UInt32(index)))
        armedAccepts |= 1 << UInt64(index)
    }

    // MARK: actions

    /// Does what a connection says.
    mutating func apply(_ actions: IngestActions, _ slot: Int) {
        table.noteDeadline(slot)
        guard actions != .none else { return }
        if actions.contains(.answered) { return nextRequest(slot) }
        if actions.contains(.dropInput) { table[slot].assembly.drop(&arena) }
        if actions.contains(.halfClose) { io.halfClose(table[slot].connection.descriptor) }
        if actions.contains(.pause) { io.cancel(table.tag(.receive, slot), tag: Tag(.cancel)) }
        if actions.contains(.receive) { rearm.append(slot) }
        if actions.contains(.send) { replies.queue.append(slot) }
        if actions.contains(.ready) { ready.append(slot) }
        if actions.contains(.cancel) { io.cancelAll(table[slot].connection.descriptor, tag: Tag(.cancel)) }
        if actions.contains(.free) { free(slot) }
    }
    private mutating func nextRequest(_ slot: Int) {
        // Its transport may have failed while a worker still has it; the verdict takes it home then.
        if table[slot].held.stays, !table[slot].connection.isWithWorker { dropHeld(slot) }
        // A last answer's input goes with the connection.
        if !table[slot].connection.closesAfterReply { table[slot].assembly.nextRequest(&arena) }
        table[slot].terms.begin()
        let hasInput = table[slot].assembly.hasInput
        let actions = table[slot].connection.nextRequest(
            hasInput: hasInput, isDraining: isDraining, now: nowMillis, limits)
        apply(actions, slot)
    }
    private mutating func free(_ slot: Int) {
        metrics.count(.connectionsClosed)
        io.close(table[slot].connection.descriptor, tag: Tag(.close))
        if table[slot].edge.isSecure { endSecure(slot) }
        if let counted = table[slot].edge.counted { addresses.remove(counted) }
        dropHeld(slot)
        table[slot].connection.freed()
        table.give(slot)
    }
    private mutating func sendReplies() {
        for index in 0..<replies.queue.count { send(replies.queue[index]) }
        replies.queue.removeAll()
    }
    @inline(__always) private mutating func send(_ slot: Int) {
        guard table[slot].connection.state != .closing else {
            return apply(table[slot].connection.sendWithdrawn(), slot)
        }
        let sent = table[slot].connection.outputSent
        let count = table[slot].connection.outputCount - sent
        if table[slot].held.hasAnswer, !table[slot].edge.isSecure { return sendHeld(slot, sent) }
        let bytes =
            unsafe table[slot].edge.isSecure
            ? secure.output(slot) : UnsafePointer(replies.room(slot, from: sent).memory)
        unsafe io.send(table[slot].connection.descriptor, bytes, count: count, tag: table.tag(.send, slot))
    }
    /// What the room has goes before it.
    @inline(never) private mutating func sendHeld(_ slot: Int, _ sent: Int) {
        let from = table[slot].held.answerFrom
        let answer = table[slot].held.answer
        let rest =
            sent < from
            ? unsafe ByteView(UnsafePointer(replies.room(slot, from: sent).memory), count: from - sent)
            : answer.slice(sent - from, answer.count - (sent - from))
        unsafe io.send(
            table[slot].connection.descriptor, rest.base, count: rest.count, tag: table.tag(.send, slot))
    }
    private mutating func armReceives() {
        while let slot = rearm.popLast() {
            guard table[slot].connection.armReceive() else { continue }
            io.receive(table[slot].connection.descriptor, tag: table.tag(.receive, slot))
        }
    }
    private mutating func giveBuffersBack() {
        while let buffer = held.popLast() { io.give(buffer: buffer) }
        io.publishBuffers()
        if receivedBytes > 0 { metrics.count(.bytesReceived, receivedBytes) }
        if sentBytes > 0 { metrics.count(.bytesSent, sentBytes) }
        receivedBytes = 0
        sentBytes = 0
    }

    // MARK: input that another step takes

    /// Once each that waits now: a request that the batch had no room for comes again when it has some.
    private mutating func advanceReady() {
        let count = ready.count
        for index in 0..<count { advance(ready[index]) }
        ready.removeFirst(count)
    }
    mutating func takeLater(_ slot: Int, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        unsafe late.append(slot, table[slot].connection.generation, bytes, count)
    }
    private mutating func takeLateInput() {
        while let input = late.next() {
            guard table[input.slot].connection.generation == input.generation else { continue }
            unsafe arrived(input.slot, input.bytes, input.count)
        }
    }

    // MARK: time-outs, news, drain

    private mutating func sweep() {
        sweepAt = nowMillis + IngestSizes.sweepMillis
        returns.observe(now: nowNanos)
        if !contexts.isEmpty { restIdleSessions() }
        metrics.loop.set(IngestCounter.connectionsOpen.rawValue, UInt64(table.openCount))
        metrics.loop.set(IngestCounter.assemblyBytesFree.rawValue, UInt64(arena.freeBytes))
        metrics.loop.set(IngestCounter.tlsHandshakesWaiting.rawValue, UInt64(handshakesWaiting.count))
        if acceptAgainAt > 0, nowMillis >= acceptAgainAt, !isDraining {
            acceptAgainAt = 0
            for index in listeners.indices where armedAccepts & 1 << UInt64(index) == 0 { armAccept(index) }
        }
    }
    mutating func timeOut(_ slot: Int) {
        let isUnready = table[slot].edge.expectsPreamble || table[slot].edge.isHandshaking
        let step = table[slot].connection.deadlinePassed(now: nowMillis, isUnready: isUnready)
        table.noteDeadline(slot)
        guard step != .none else { return }
        metrics.count(.connectionsTimedOut)
        switch step {
        case .none: break
        case .end(let actions): apply(actions, slot)
        case .refuseRequest: refuse(slot, .requestTimeout)
        case .refuseCommit:
            metrics.count(.refused, source: Int(table[slot].terms.counterSlot))
            answerUnavailableAndClose(slot, reason: "log_slow")
        }
    }
    private mutating func takeNews() {
        if let fresh = shared.takeSnapshot() {
            snapshot = fresh
            unsafe sources = fresh.sources
            routes = fresh.routes
            tenantLimits = fresh.tenantLimits
            epoch &+= 1
            // Requests whose body is still coming hold an index into the old sources.
            for slot in 0..<table.highWater
            where table[slot].connection.state == .open && table[slot].connection.phase == .body { routeAgain(slot) }
            shared.acknowledge(fresh)
        }
        if let fresh = shared.takeContexts() {
            if fresh.map({ $0?.trust }) != contexts.map({ $0?.trust }) { trust &+= 1 }
            contexts = fresh
        }
        if shared.isDrainWanted, !isDraining { beginDrain() }
    }
    private mutating func beginDrain() {
        isDraining = true
        drainedAt = nowMillis + shared.graceMillis
        for index in listeners.indices { io.cancel(Tag(.accept, slot: UInt32(index)), tag: Tag(.cancel)) }
        for slot in 0..<table.highWater { apply(table[slot].connection.drain(), slot) }
    }
    /// True when nobody waits for an answer and nothing is with a worker or the disk, or when the grace period is over
    /// and nothing is with either.
    package var isDone: Bool {
        guard isDraining, port.isIdle, verifyingCount == 0 else { return false }
        return table.openCount == 0 || nowMillis >= drainedAt
    }
    package mutating func finish() {
        for slot in 0..<table.highWater where table[slot].connection.state != .free {
            io.closeNow(table[slot].connection.descriptor)
        }
        port.finish(io)
        shared.finished()
    }
}
