// Requests that workers verify: held in a block while they are out, judged when the verdict is back. And copies of what
// was refused, for whoever looks into it.
//
// A reload while a request is out: its verdict belongs to a configuration that is no longer in force, so it is judged
// again under the one that is, from the route on, as a request whose body is still coming is.
//
// Invariants: `held` lies still from the order to the verdict and goes home with it; a connection has at most one order
// out, and its slot is not free before the verdict is back. If these fail, a worker reads memory that is another
// request's. Safety: views of a held request are used before its block is given back.

extension IngestLoop {
    @inline(__always) var hasVerdicts: Bool { verifyingCount > 0 && verifiers!.hasReceipts }

    /// False when the workers have no room for the request, which then lies where it lay.
    mutating func handOver(
        _ slot: Int, _ base: UnsafePointer<UInt8>, _ head: RequestHead, _ body: ByteView
    ) -> Bool {
        guard let verifiers, verifyingCount < verifiers.capacity else { return false }
        let connection = unsafe table[slot]
        if unsafe connection.pointee.held.isNone {
            guard unsafe hold(slot, base, head, body, origin: edge.origin) else { return false }
        } else {
            // Evaluated again, and perhaps by another public URL.
            guard putOrigin(slot, edge.origin) else { return false }
        }
        let memory = unsafe UnsafePointer(arena.pointer(connection.pointee.held) + connection.pointee.heldStart)
        let source = unsafe sources + Int(connection.pointee.sourceIndex)
        let order = unsafe VerifierOrder(
            ticket: Tag(.send, slot: UInt32(slot), generation: connection.pointee.generation).bits,
            verifierID: source.pointee.verifierID, nowSeconds: wallSeconds,
            head: ByteView(memory, count: head.byteCount), body: ByteView(memory + head.byteCount, count: body.count),
            origin: ByteView(memory + head.byteCount + body.count, count: connection.pointee.heldOriginCount))
        let isTaken = verifiers.push(order)
        precondition(isTaken, "the ring is smaller than what may be out")
        unsafe connection.pointee.phase = .verifying
        unsafe connection.pointee.isVerifying = true
        unsafe connection.pointee.heldEpoch = epoch
        verifyingCount += 1
        hasFreshOrders = true
        return true
    }
    mutating func wakeVerifiers() {
        hasFreshOrders = false
        verifiers!.wakeWorkers()
    }

    /// Puts scheme and authority, as the sender used them, behind the held body. False when the block is too small.
    private mutating func putOrigin(_ slot: Int, _ origin: ByteView) -> Bool {
        let connection = unsafe table[slot]
        let end =
            unsafe connection.pointee.heldStart + connection.pointee.head.byteCount + connection.pointee.heldBodyCount
        guard unsafe end + origin.count <= connection.pointee.held.byteCount else { return false }
        unsafe (arena.pointer(connection.pointee.held) + end).update(from: origin.base, count: origin.count)
        unsafe connection.pointee.heldOriginCount = origin.count
        return true
    }
    /// Puts head, body and origin behind each other into a block of their own. False when there is no memory for it, or
    /// half of all is held already: sources that the loop verifies itself keep the other half.
    private mutating func hold(
        _ slot: Int, _ base: UnsafePointer<UInt8>, _ head: RequestHead, _ body: ByteView, origin: ByteView
    ) -> Bool {
        let connection = unsafe table[slot]
        let count = head.byteCount + body.count
        let isInBlock = unsafe connection.pointee.requestInBlock > 0
        let block = unsafe connection.pointee.block
        let start = unsafe connection.pointee.inputStart
        let fits = start + count + origin.count <= block.byteCount
        if isInBlock, fits, unsafe connection.pointee.inputEnd - start == connection.pointee.requestInBlock {
            // Nothing waits behind it: the block itself is held.
            guard verifyingBytes + block.byteCount <= arena.byteCount / 2 else { return false }
            unsafe connection.pointee.held = block
            unsafe connection.pointee.heldStart = start
            unsafe connection.pointee.block = .none
            unsafe connection.pointee.inputStart = 0
            unsafe connection.pointee.inputEnd = 0
            unsafe connection.pointee.requestInBlock = 0
        } else {
            guard verifyingBytes + count + origin.count <= arena.byteCount / 2 else { return false }
            let taken = arena.take(bytes: count + origin.count)
            guard !taken.isNone else {
                metrics.count(.assemblyExhausted)
                return false
            }
            let memory = unsafe arena.pointer(taken)
            unsafe memory.update(from: base, count: head.byteCount)
            unsafe (memory + head.byteCount).update(from: body.base, count: body.count)
            unsafe connection.pointee.held = taken
            unsafe connection.pointee.heldStart = 0
            if isInBlock { dropRequest(slot) }
        }
        unsafe connection.pointee.heldBodyCount = body.count
        unsafe verifyingBytes += connection.pointee.held.byteCount
        let isPlaced = putOrigin(slot, origin)
        precondition(isPlaced, "room for it was asked for")
        return true
    }
    private mutating func dropHeld(_ slot: Int) {
        let connection = unsafe table[slot]
        unsafe verifyingBytes -= connection.pointee.held.byteCount
        unsafe arena.give(connection.pointee.held)
        unsafe connection.pointee.held = .none
    }

    // MARK: verdicts

    mutating func takeVerdicts() {
        while let receipt = verifiers!.nextReceipt() {
            verifyingCount -= 1
            let slot = table.slot(of: Tag(bits: receipt.ticket))
            unsafe precondition(slot >= 0 && table[slot].pointee.isVerifying, "a verdict for nobody")
            unsafe table[slot].pointee.isVerifying = false
            if unsafe table[slot].pointee.state == .closing {
                dropHeld(slot)
                finishClose(slot)
                continue
            }
            unsafe precondition(table[slot].pointee.state == .open && table[slot].pointee.phase == .verifying)
            judge(slot, receipt.answer)
            // Evaluated again by a worker it stays where it is.
            if unsafe !table[slot].pointee.isVerifying { dropHeld(slot) }
        }
    }
    private mutating func judge(_ slot: Int, _ answer: VerifierResult) {
        let connection = unsafe table[slot]
        let base = unsafe UnsafePointer(arena.pointer(connection.pointee.held) + connection.pointee.heldStart)
        let byteCount = unsafe connection.pointee.head.byteCount
        let bytes = unsafe ByteView(base, count: byteCount)
        let body = unsafe ByteView(base + byteCount, count: connection.pointee.heldBodyCount)
        unsafe parseAgain(slot, base)
        guard unsafe connection.pointee.heldEpoch == epoch else { return unsafe judgeAnew(slot, base, bytes, body) }
        unsafe connection.pointee.phase = .committing
        table.setDeadline(slot, nowMillis + UInt64(limits.commitMillisMax))
        var verdict = RecordVerification.verified
        switch answer {
        case .accepted: break
        case .undecided, .retired:
            // Retired under the same configuration cannot be, and is no verdict either.
            guard let unchecked = keepUnchecked(slot) else {
                return answerUnavailable(slot, reason: "verifier_busy")
            }
            verdict = unchecked
        case .rejected(let reason):
            let source = unsafe sources + Int(connection.pointee.sourceIndex)
            guard let observed = unsafe observe(source, reason) else { return reject(slot, reason, bytes, body) }
            verdict = observed
        }
        unsafe queue(slot, base, body, job: -1, verdict: verdict)
        // At once, because the block goes home.
        completeBatch()
    }
    /// Under the configuration in force now, whatever a worker said under another.
    private mutating func judgeAnew(
        _ slot: Int, _ base: UnsafePointer<UInt8>, _ bytes: ByteView, _ body: ByteView
    ) {
        let connection = unsafe table[slot]
        unsafe connection.pointee.phase = .body
        unsafe setRoute(slot, routes.find(bytes.slice(connection.pointee.head.path)))
        if unsafe connection.pointee.isDiscarding { return answerDecided(slot) }
        guard body.count <= bodyBytesMax(slot) else { return refuse(slot, .bodyTooLarge) }
        unsafe complete(slot, base, body)
        completeBatch()
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
        let source = unsafe sources + Int(table[slot].pointee.sourceIndex)
        guard unsafe source.pointee.observes else { return nil }
        unsafe metrics.count(.unchecked, source: source.pointee.counterSlot)
        return .skipped
    }

    /// A flood of forgeries costs a copy, and a look at who sent it, only up to its source's budget of each second.
    mutating func keepRejected(_ slot: Int, _ reason: SignatureRejection, _ bytes: ByteView, _ body: ByteView) {
        guard let rejected else { return }
        let source = unsafe sources + Int(table[slot].pointee.sourceIndex)
        let place = unsafe source.pointee.counterSlot
        let second = UInt32(truncatingIfNeeded: nowMillis / 1000)
        if unsafe rejectedSeconds[place] != second {
            unsafe rejectedSeconds[place] = second
            unsafe rejectedCounts[place] = 0
        }
        guard unsafe rejectedCounts[place] < source.pointee.rejectedPerSecondMax else {
            return metrics.count(.notCaptured, source: place)
        }
        unsafe rejectedCounts[place] += 1
        let client = edge.client(bytes, peer: peer(slot), trusted: snapshot.edge.trusted, limits: limits)
        let isKept = unsafe rejected.push(
            source: source.pointee.name, sourceNumber: source.pointee.sourceNumber, reason: reason,
            receivedAt: wallNanos, peer: client, head: bytes, body: body)
        metrics.count(isKept ? .captured : .notCaptured, source: place)
    }
}
