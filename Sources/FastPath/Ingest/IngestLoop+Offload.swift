// Requests that workers verify: held in a block while they are out, judged when the verdict is back. And copies of what
// was refused, for whoever looks into it.
//
// A reload while a request is out: its verdict belongs to a configuration that is no longer in force, so it is judged
// again under the one that is, from the route on, as a request whose body is still coming is.
//
// Invariants: `held` lies still from the order to the verdict and goes home with it; a connection has at most one order
// out, and its slot is not free before the verdict is back. If these fail, a worker reads memory that is another
// request's. What a worker read is counted from its verdict until it goes back, so that those who do not take their
// answers cannot make it grow without bound. Safety: views of a held request are used before its block is given back.

extension IngestLoop where IO: ~Copyable {
    @inline(__always) var hasVerdicts: Bool { verifyingCount > 0 && verifiers!.hasReceipts }

    /// Publications leave a quarter of the workers' queue to signatures: strangers, too, can send them.
    func hasRoom(_ verifiers: VerifierLink, isPublication: Bool) -> Bool {
        verifyingCount < verifiers.capacity - (isPublication ? verifiers.capacity / 4 : 0)
    }

    /// False when the workers have no room for the request, which then lies where it lay.
    mutating func handOver(
        _ slot: Int, _ base: UnsafePointer<UInt8>, _ head: RequestHead, _ body: ByteView
    ) -> Bool {
        let isPublication = table[slot].terms.isPublication
        guard let verifiers, hasRoom(verifiers, isPublication: isPublication) else { return false }
        let verifierID = unsafe sources[Int(table[slot].terms.sourceIndex)].verifierID
        // Evaluated again it is held already, perhaps with another public URL.
        let isHeld = unsafe table[slot].held.block.isNone ? hold(slot, base, head, body) : putTail(slot)
        guard isHeld else { return false }
        let held = table[slot].held
        let memory = unsafe UnsafePointer(arena.pointer(held.block) + held.start)
        let order = unsafe VerifierOrder(
            ticket: table.tag(.send, slot).bits, verifierID: verifierID, nowSeconds: wallSeconds,
            head: ByteView(memory, count: head.byteCount), body: ByteView(memory + head.byteCount, count: body.count),
            origin: ByteView(memory + head.byteCount + body.count, count: held.originCount),
            client: isPublication ? publisher(slot, ByteView(memory, count: head.byteCount)) : nil)
        let isTaken = verifiers.push(order)
        precondition(isTaken, "the ring is smaller than what may be out")
        table[slot].connection.handedToWorker()
        table.noteDeadline(slot)
        table[slot].held.epoch = epoch
        table[slot].held.verifierID = verifierID
        verifyingCount += 1
        hasFreshOrders = true
        return true
    }
    mutating func wakeVerifiers() {
        hasFreshOrders = false
        verifiers!.wakeWorkers()
    }

    private var tailCount: Int { edge.origin.count + FieldTable.byteCount(fields.count) }
    /// Puts scheme and authority, as the sender used them, and the fields behind the held body. False when the block is
    /// too small.
    private mutating func putTail(_ slot: Int) -> Bool {
        let held = table[slot].held
        let end = held.start + held.head.byteCount + held.bodyCount
        guard end + tailCount <= held.block.byteCount else { return false }
        let tail = unsafe arena.pointer(held.block) + end
        unsafe tail.update(from: edge.origin.base, count: edge.origin.count)
        unsafe fields.save(to: tail + edge.origin.count)
        table[slot].held.originCount = edge.origin.count
        table[slot].held.fieldCount = fields.count
        return true
    }
    /// Puts head, body, origin and fields behind each other into a block of their own. False when there is no memory
    /// for it, or half of all is held already: sources that the loop verifies itself keep the other half.
    private mutating func hold(
        _ slot: Int, _ base: UnsafePointer<UInt8>, _ head: RequestHead, _ body: ByteView
    ) -> Bool {
        let count = head.byteCount + body.count + tailCount
        guard verifyingBytes + count <= arena.byteCount / 2 else { return false }
        // Where nothing waits behind it, the block itself is held.
        if let handed = table[slot].assembly.handOver(extra: tailCount) {
            table[slot].held.block = handed.block
            table[slot].held.start = handed.start
        } else {
            let taken = arena.take(bytes: count)
            guard !taken.isNone else {
                metrics.count(.assemblyExhausted)
                return false
            }
            let memory = unsafe arena.pointer(taken)
            unsafe memory.update(from: base, count: head.byteCount)
            unsafe (memory + head.byteCount).update(from: body.base, count: body.count)
            table[slot].held.block = taken
            table[slot].held.start = 0
            table[slot].assembly.dropTaken(&arena)
        }
        table[slot].held.head = head
        table[slot].held.bodyCount = body.count
        verifyingBytes += table[slot].held.block.byteCount
        let isPlaced = putTail(slot)
        precondition(isPlaced, "room for it was asked for")
        return true
    }
    /// The block, where there is one, and the reading.
    mutating func dropHeld(_ slot: Int) {
        guard !table[slot].held.block.isNone || table[slot].held.reading != nil || table[slot].held.stays else {
            return
        }
        dropBlock(slot)
        dropReading(slot)
        table[slot].held = HeldRequest()
    }
    /// No worker sees the request again; its reading stays.
    mutating func dropBlock(_ slot: Int) {
        precondition(!table[slot].connection.isWithWorker, "a worker may read it")
        guard !table[slot].held.block.isNone else { return }
        verifyingBytes -= table[slot].held.block.byteCount
        arena.give(table[slot].held.block)
        table[slot].held.block = .none
    }

    mutating func dropReading(_ slot: Int) {
        guard let reading = table[slot].held.reading else { return }
        table[slot].held.reading = nil
        readingBytes -= reading.byteCount
        verifiers!.giveBack(reading)
    }

    // MARK: verdicts

    mutating func takeVerdicts() {
        // What finds no room in the batch is taken in the next tick.
        while !batch.isFull, let receipt = verifiers!.nextReceipt() {
            verifyingCount -= 1
            let slot = table.slot(of: Tag(bits: receipt.ticket))
            precondition(slot >= 0 && table[slot].connection.isWithWorker, "a verdict for nobody")
            let actions = table[slot].connection.leftWorker()
            table[slot].held.reading = receipt.reading
            readingBytes += receipt.reading?.byteCount ?? 0
            if table[slot].held.isSeenAgain {
                table[slot].held.isSeenAgain = false
                seenAgainCount -= 1
            }
            // Its transport may have failed meanwhile.
            if table[slot].connection.state == .open, table[slot].connection.phase == .verifying {
                judge(slot, receipt.answer)
            }
            // In the batch, or with a worker again, it stays where it is; and its answer does while that can be sent.
            let connection = table[slot].connection
            let isAnswering = table[slot].held.stays && (connection.state == .open || connection.isSending)
            if !connection.isInBatch, !connection.isWithWorker, !isAnswering { dropHeld(slot) }
            apply(actions, slot)
        }
    }
    private mutating func judge(_ slot: Int, _ answer: VerifierResult) {
        let held = table[slot].held
        let base = unsafe UnsafePointer(arena.pointer(held.block) + held.start)
        let body = unsafe ByteView(base + held.head.byteCount, count: held.bodyCount)
        unsafe fields.load(body.base + body.count + held.originCount, count: held.fieldCount)
        guard held.epoch == epoch else { return unsafe judgeAnew(slot, base, body) }
        switch answer {
        case .accepted:
            let verdict = unsafe sources[Int(table[slot].terms.sourceIndex)].workerVerdict
            if let reading = held.reading, let publication = reading.publication {
                // Those whose answers are not taken keep half as much as all requests may take; one is always let in.
                guard readingBytes <= max(arena.byteCount / 2, reading.byteCount) else {
                    dropReading(slot)
                    return answerUnavailable(slot, reason: "memory_busy")
                }
                guard publication.layout.hasEvent else {
                    return answerPublication(slot, publication, publication.layout.accepted)
                }
                let millis = (now: nowMillis, wall: wallNanos / 1_000_000)
                publication.keepPass(in: &passes, nowMillis: millis.now, wallMillis: millis.wall)
            }
            unsafe join(slot, base, held.head, body, job: -1, verdict: verdict)
        case .rejected(.batchTooLarge):
            let status = SignatureRejection.batchTooLarge.workerStatus
            return reject(
                slot, .batchTooLarge, unsafe ByteView(base, count: held.head.byteCount), body, status: status)
        case .undecided, .retired:
            // Retired under the same configuration cannot be, and is no verdict either.
            guard let unchecked = keepUnchecked(slot) else { return answerUnavailable(slot, reason: "verifier_busy") }
            unsafe join(slot, base, held.head, body, job: -1, verdict: unchecked)
        case .rejected(let reason):
            let bytes = unsafe ByteView(base, count: held.head.byteCount)
            if let explanation = held.reading?.publication {
                return rejectExplained(slot, reason, explanation, bytes, body)
            }
            guard let observed = unsafe observe(sources + Int(table[slot].terms.sourceIndex), reason) else {
                return reject(slot, reason, bytes, body, status: reason.workerStatus)
            }
            unsafe join(slot, base, held.head, body, job: -1, verdict: observed)
        }
    }
    /// A worker has written what is answered. Those whose answers are not taken are told the reason alone.
    private mutating func rejectExplained(
        _ slot: Int, _ reason: SignatureRejection, _ explanation: PassedPublication, _ bytes: ByteView, _ body: ByteView
    ) {
        // What a worker says of it has not the form of the contract, and it does not know what comes before.
        let isEnveloped = table[slot].terms.isEnveloped
        guard readingBytes <= arena.byteCount / 2, !isEnveloped else {
            dropReading(slot)
            if isEnveloped, let late = table[slot].terms.envelope.late { return refuse(slot, late, bytes, body) }
            return reject(slot, reason, bytes, body, status: reason.workerStatus)
        }
        noteRejection(slot, reason, bytes, body)
        answerPublication(slot, explanation, explanation.layout.accepted)
    }
    /// Under the configuration in force now, whatever a worker said under another.
    private mutating func judgeAnew(_ slot: Int, _ base: UnsafePointer<UInt8>, _ body: ByteView) {
        let head = table[slot].held.head
        table[slot].connection.judgedAnew()
        dropReading(slot)
        // What it was under the other configuration it may be no more.
        table[slot].held.stays = false
        unsafe setRoute(slot, routes.find(ByteView(base, count: head.byteCount).slice(head.path)))
        if table[slot].terms.decidedStatus > 0 { return answerDecided(slot) }
        if table[slot].assembly.bodyBytesMax < body.count { return refuse(slot, .bodyTooLarge) }
        unsafe complete(slot, base, body)
    }

    // MARK: observing, and what is refused

    /// The verdict to keep the event with; nil when its source enforces and it is refused.
    mutating func observe(_ source: UnsafePointer<IngestSource>, _ reason: SignatureRejection) -> RecordVerification? {
        guard unsafe source.pointee.observes else { return nil }
        unsafe metrics.countObserved(reason, source: source.pointee.counterSlot)
        return .rejected(reason)
    }
    /// The verdict to keep an event with that no worker has checked; nil when its source enforces.
    mutating func keepUnchecked(_ slot: Int) -> RecordVerification? {
        let source = unsafe sources + Int(table[slot].terms.sourceIndex)
        // Whole, a request that holds several events is none of them.
        guard unsafe source.pointee.observes, unsafe !source.pointee.splits || table[slot].held.reading != nil else {
            return nil
        }
        unsafe metrics.count(.unchecked, source: source.pointee.counterSlot)
        return .skipped
    }
    mutating func keepRejected(
        _ slot: Int, _ source: UnsafePointer<IngestSource>, _ reason: SignatureRejection, _ bytes: ByteView,
        _ body: ByteView
    ) {
        guard let ring = rejected.ring else { return }
        let place = unsafe source.pointee.counterSlot
        guard unsafe rejected.takes(place, max: source.pointee.rejectedPerSecondMax, nowMillis: nowMillis) else {
            return metrics.count(.notCaptured, source: place)
        }
        let client = edge.client(bytes, peer: peer(slot), trusted: snapshot.edge.trusted, limits: limits)
        let isKept = unsafe ring.push(
            source: source.pointee.name, sourceNumber: source.pointee.sourceNumber, reason: reason,
            receivedAt: wallNanos, peer: client, head: bytes, body: body)
        metrics.count(isKept ? .captured : .notCaptured, source: place)
    }
}

/// A flood of forgeries costs a copy, and a look at who sent it, only up to its source's budget of each second.
@safe struct RejectedBudget: ~Copyable {
    /// Nil = nothing is kept.
    let ring: RejectedRing?
    // By counter slot.
    private let seconds: UnsafeMutablePointer<UInt32>
    private let counts: UnsafeMutablePointer<UInt32>

    init(ring: RejectedRing?) {
        self.ring = ring
        unsafe seconds = .allocate(capacity: IngestMetrics.sourceSlotCount)
        unsafe counts = .allocate(capacity: IngestMetrics.sourceSlotCount)
        unsafe seconds.initialize(repeating: 0, count: IngestMetrics.sourceSlotCount)
        unsafe counts.initialize(repeating: 0, count: IngestMetrics.sourceSlotCount)
    }
    deinit {
        unsafe seconds.deallocate()
        unsafe counts.deallocate()
    }
    /// True when one more is within the budget.
    mutating func takes(_ place: Int, max: UInt32, nowMillis: UInt64) -> Bool {
        precondition(place >= 0 && place < IngestMetrics.sourceSlotCount)
        let second = UInt32(truncatingIfNeeded: nowMillis / 1000)
        if unsafe seconds[place] != second {
            unsafe seconds[place] = second
            unsafe counts[place] = 0
        }
        guard unsafe counts[place] < max else { return false }
        unsafe counts[place] = counts[place] + 1
        return true
    }
}
