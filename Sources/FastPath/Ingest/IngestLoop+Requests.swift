// From bytes to complete requests: what came is read where it lies when it is whole, and put together in a block when
// it is not; then it is routed, checked, and joins the round's batch. Must not answer 2xx for an event; that is for
// receipts.
//
// Safety: a receive buffer is read in the tick that brought it; a complete request lies still until the batch is
// settled.

import CShims

extension IngestLoop where IO: ~Copyable {
    /// Bytes came for a connection.
    mutating func take(_ slot: Int, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        switch table[slot].connection.intake {
        case .drop: return
        case .waitForBatch: unsafe takeLater(slot, bytes, count)
        case .wait: unsafe wait(slot, bytes, count)
        case .request:
            if !table[slot].assembly.hasInput, table[slot].connection.phase == .idle {
                unsafe takeDirectly(slot, bytes, count)
            } else if table[slot].edge.isSecure, table[slot].edge.expectsPreamble {
                unsafe continuePreamble(slot, bytes, count)
            } else if unsafe append(slot, bytes, count) {
                advance(slot)
            }
        }
    }
    /// The same for bytes that do not stay where they are.
    mutating func takeCopied(_ slot: Int, _ bytes: UnsafePointer<UInt8>, _ count: Int) {
        switch table[slot].connection.intake {
        case .drop: return
        case .wait, .waitForBatch: unsafe wait(slot, bytes, count)
        case .request: if unsafe append(slot, bytes, count) { advance(slot) }
        }
    }
    /// Behind the request that is being answered; with too much there the connection is not read.
    private mutating func wait(_ slot: Int, _ bytes: UnsafePointer<UInt8>, _ count: Int) {
        guard unsafe append(slot, bytes, count) else { return }
        guard table[slot].assembly.waitingCount > IngestSizes.pipelineBytesMax else { return }
        apply(table[slot].connection.tooMuchWaits(), slot)
    }
    /// Puts bytes behind those that wait. False when there is no memory and the request was refused.
    mutating func append(_ slot: Int, _ bytes: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        if unsafe table[slot].assembly.append(bytes, count, &arena) { return true }
        refuseForMemory(slot)
        return false
    }

    /// The common case: nothing waits, and the buffer begins with a request's first byte.
    mutating func takeDirectly(_ slot: Int, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        if table[slot].edge.expectsPreamble { return unsafe takePreamble(slot, bytes, count) }
        let view = unsafe ByteView(UnsafePointer(bytes), count: count)
        table[slot].assembly.begin()
        var whole = -1
        switch table[slot].assembly.readHead(view, &fields, limits) {
        case .emptyLines: return table[slot].assembly.begin()
        case .failed(let error): return refuse(slot, error)
        case .head:
            guard route(slot, view) else { return }
            whole = table[slot].assembly.wholeCount(count)
        default: break
        }
        if whole < 0 { return unsafe keepBeginning(slot, bytes, count) }
        if table[slot].terms.decidedStatus > 0 {
            answerDecided(slot)
        } else {
            let headCount = table[slot].assembly.head.byteCount
            unsafe complete(slot, UnsafePointer(bytes), view.slice(headCount, whole - headCount))
        }
        guard whole < count, table[slot].connection.state == .open else { return }
        // Parked: the request itself is in the block, and what follows it goes behind.
        _ = unsafe append(slot, bytes + whole, count - whole)
    }
    private mutating func keepBeginning(_ slot: Int, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        guard unsafe table[slot].assembly.keepBeginning(bytes, count, fields, &arena) else {
            return refuseForMemory(slot)
        }
        if table[slot].assembly.hasHead {
            advance(slot)
        } else {
            table[slot].connection.headBegan(now: nowMillis, limits)
            table.noteDeadline(slot)
        }
    }

    /// Goes on with what lies in the block, until a request is complete or more must come.
    mutating func advance(_ slot: Int) {
        // The slot may be another connection's since it was noted; then there is nothing to do, or nothing new.
        guard table[slot].connection.intake == .request, table[slot].assembly.hasInput else { return }
        if table[slot].edge.expectsPreamble, !continuesBehindPreamble(slot) { return }
        while true {
            switch table[slot].assembly.advance(&fields, &arena, limits) {
            case .head: guard route(slot, table[slot].assembly.input(arena)) else { return }
            case .request:
                return unsafe complete(slot, table[slot].assembly.base(arena), table[slot].assembly.body(arena))
            case .discarded: return answerDecided(slot)
            case .failed(.bodyTooLarge):
                let headCount = table[slot].assembly.head.byteCount
                return refuseTooLarge(slot, table[slot].assembly.input(arena).slice(0, headCount))
            case .failed(let error): return refuse(slot, error)
            case .noRoom: return refuseForMemory(slot)
            case .emptyLines: return dropEmptyLines(slot)
            case .more: return waitForMore(slot)
            }
        }
    }
    private mutating func dropEmptyLines(_ slot: Int) {
        table[slot].assembly.reset(&arena)
        table[slot].connection.headWithdrawn()
        if isDraining || table[slot].connection.isPeerDone { apply(table[slot].connection.close(), slot) }
    }
    private mutating func waitForMore(_ slot: Int) {
        if table[slot].connection.isPeerDone { return apply(table[slot].connection.close(), slot) }
        if table[slot].assembly.hasHead { return sendContinueIfAsked(slot) }
        table[slot].connection.headBegan(now: nowMillis, limits)
        table.noteDeadline(slot)
    }

    // MARK: where a request goes

    /// Head complete: which source, which limits. False when the request was refused at once.
    private mutating func route(_ slot: Int, _ bytes: ByteView) -> Bool {
        let head = table[slot].assembly.head
        table[slot].terms.isHead = head.method == .head
        table[slot].terms.isVersion10 = head.versionMinor == 0
        table[slot].terms.expectsContinue = head.expectsContinue
        table[slot].connection.headCompleted(closes: head.closes || isDraining, now: nowMillis, limits)
        table.noteDeadline(slot)
        metrics.count(.requests)
        setRoute(slot, routes.find(bytes.slice(head.path)))
        guard !table[slot].assembly.announcesTooMuch else {
            refuseTooLarge(slot, bytes.slice(0, head.byteCount))
            return false
        }
        return !head.expectsContinue || !refusesBeforeTheBody(slot, bytes)
    }
    mutating func setRoute(_ slot: Int, _ sourceIndex: Int) {
        let method = table[slot].assembly.head.method
        let isAllowed = unsafe sourceIndex >= 0 && sources[sourceIndex].allows(method)
        table[slot].terms.sourceIndex = Int32(sourceIndex)
        table[slot].terms.decidedStatus = isAllowed ? 0 : sourceIndex < 0 ? 404 : 405
        table[slot].terms.isPublication = unsafe sourceIndex >= 0 && sources[sourceIndex].takesPublications
        table[slot].terms.isEnveloped = unsafe sourceIndex >= 0 && sources[sourceIndex].envelope != nil
        if table[slot].terms.isEnveloped { table[slot].terms.envelope = EnvelopeTerms() }
        let bodyBytesMax = unsafe sourceIndex >= 0 ? sources[sourceIndex].bodyBytesMax : limits.bodyBytesMax
        table[slot].assembly.route(bodyBytesMax: bodyBytesMax, discards: !isAllowed)
    }
    /// After a reload: the request being received finds its source again by its path.
    mutating func routeAgain(_ slot: Int) {
        // What was thrown away cannot come back: such a request keeps the answer it had.
        guard table[slot].terms.decidedStatus == 0, table[slot].assembly.hasInput else { return }
        setRoute(slot, routes.find(table[slot].assembly.input(arena).slice(table[slot].assembly.head.path)))
        if table[slot].assembly.announcesTooMuch { refuse(slot, .bodyTooLarge) }
    }

    // MARK: a request with its whole body

    /// Extracts what is needed of its fields now; it is verified with the rest of the round.
    mutating func complete(_ slot: Int, _ base: UnsafePointer<UInt8>, _ body: ByteView) {
        if batch.isFull { return unsafe park(slot, base, body) }
        let head = table[slot].assembly.head
        let source = unsafe sources + Int(table[slot].terms.sourceIndex)
        let bytes = unsafe ByteView(base, count: head.byteCount)
        unsafe table[slot].terms.copy(source, now: nowMillis)
        if table[slot].terms.isEnveloped, unsafe refusesEnvelope(slot, source, base, head, body) { return }
        if answersBeforeVerification(slot, bytes, body) { return }
        if unsafe !source.pointee.limits.isNone && isOverLimit(slot, source) { return }
        if table[slot].terms.isPublication, unsafe publishesDirectly(slot, source, bytes, head, body) { return }
        if unsafe source.pointee.verifierID != 0 { return unsafe completeWithWorker(slot, base, head, body) }
        if table[slot].terms.isEnveloped, unsafe certificateStands(slot, source) {
            return unsafe join(slot, base, head, body, job: -1, verdict: .verified)
        }
        guard let scheme = unsafe source.pointee.scheme else {
            return unsafe join(slot, base, head, body, job: -1, verdict: .unverified)
        }
        switch batch.check(scheme, bytes, head, fields, body, origin: edge.origin, nowSeconds: wallSeconds) {
        case .queued(let job): unsafe join(slot, base, head, body, job: job, verdict: .verified)
        case .accepted: unsafe join(slot, base, head, body, job: -1, verdict: .verified)
        case .rejected where isPlanted(.acceptRefused):
            unsafe join(slot, base, head, body, job: -1, verdict: .verified)
        case .rejected(let reason):
            guard let observed = unsafe observe(source, reason) else { return reject(slot, reason, bytes, body) }
            unsafe join(slot, base, head, body, job: -1, verdict: observed)
        // A request that no empty batch takes is larger than the verifier was built for: refuse, never fail open.
        case .full where batch.isEmpty: answerUnavailable(slot, reason: "verifier_busy")
        case .full: unsafe park(slot, base, body)
        }
    }
    private mutating func completeWithWorker(
        _ slot: Int, _ base: UnsafePointer<UInt8>, _ head: RequestHead, _ body: ByteView
    ) {
        if unsafe handOver(slot, base, head, body) { return }
        guard let unchecked = keepUnchecked(slot) else { return answerUnavailable(slot, reason: "verifier_busy") }
        unsafe join(slot, base, head, body, job: -1, verdict: unchecked)
    }
    /// The batch has no room: the request comes again behind it.
    private mutating func park(_ slot: Int, _ base: UnsafePointer<UInt8>, _ body: ByteView) {
        // What a worker had is not held a second time.
        guard table[slot].held.block.isNone else { return answerUnavailable(slot, reason: "verifier_busy") }
        let headCount = table[slot].assembly.head.byteCount
        let isKept =
            table[slot].assembly.isInBlock
            ? table[slot].assembly.park(fields, &arena)
            : unsafe table[slot].assembly.keepBeginning(base, headCount + body.count, fields, &arena)
        guard isKept else { return refuseForMemory(slot) }
        table[slot].connection.parked()
        ready.append(slot)
    }
    /// Joins the round's batch with what is needed of its fields, which the next request overwrites.
    @inline(never)
    mutating func join(
        _ slot: Int, _ base: UnsafePointer<UInt8>, _ head: RequestHead, _ body: ByteView, job: Int,
        verdict: RecordVerification
    ) {
        let sourceIndex = Int(table[slot].terms.sourceIndex)
        let bytes = unsafe ByteView(base, count: head.byteCount)
        let isRead = table[slot].held.reading != nil
        let values =
            isRead
            ? SelectedValues.none
            : unsafe sources[sourceIndex].selectors.select(
                bytes: bytes, head: head, fields: fields, body: body,
                room: ComposedBytes(memory: keyScratch, capacity: IngestSizes.keyBytesMax))
        table[slot].connection.joinedBatch(now: nowMillis, limits)
        table.noteDeadline(slot)
        batch.join(
            unsafe PendingRequest(
                slot: slot, base: base, head: head, body: body, values: values, sourceIndex: sourceIndex, job: job,
                verdict: verdict, isHeld: !table[slot].held.block.isNone))
    }
}

extension AnswerTerms {
    @inline(__always) mutating func copy(_ source: UnsafePointer<IngestSource>, now: UInt64) {
        completedAt = now
        answer = unsafe source.pointee.answer
        durability = unsafe source.pointee.durability
        counterSlot = unsafe UInt16(source.pointee.counterSlot)
    }
}
