// From bytes to complete requests: what came is parsed where it lies when it is whole, and moved into a block when it
// is not. May touch: connections, blocks, the parser. Must not answer 2xx; that is for receipts.
//
// Safety: a receive buffer is read in the tick that brought it; `append` copies into a block that has the room.

import CShims

extension IngestLoop {
    mutating func received(_ completion: Completion) {
        let slot = table.slot(of: completion.tag)
        let buffer = completion.buffer
        guard slot >= 0 else {
            if buffer >= 0 { hold(buffer: buffer) }
            return
        }
        let connection = unsafe table[slot]
        if !completion.hasMore { unsafe connection.pointee.isReceiving = false }
        guard completion.result > 0, buffer >= 0 else {
            if buffer >= 0 { hold(buffer: buffer) }
            return receiveEnded(slot, result: completion.result)
        }
        hold(buffer: buffer)
        if unsafe !connection.pointee.isReceiving { noteRearm(slot) }
        let count = Int(completion.result)
        receivedBytes &+= UInt64(count)
        switch unsafe connection.pointee.state {
        case .open: break
        case .closing:
            return finishClose(slot)
        case .lingering, .free: return
        }
        let bytes = unsafe io.bytes(ofBuffer: buffer)
        if unsafe connection.pointee.block.isNone && connection.pointee.phase == .idle {
            unsafe takeDirectly(slot, bytes, count)
        } else {
            guard unsafe append(slot, bytes, count) else { return }
            if unsafe connection.pointee.isBusy {
                pauseIfTooMuchWaits(slot)
            } else {
                advance(slot)
            }
        }
    }

    /// The peer closed, the receive was cancelled, the buffers were out, or the connection broke.
    private mutating func receiveEnded(_ slot: Int, result: Int32) {
        let connection = unsafe table[slot]
        if unsafe connection.pointee.isReceiving { return }
        if unsafe connection.pointee.state == .closing { return finishClose(slot) }
        if result == -ENOBUFS {
            metrics.count(.receiveBuffersExhausted)
            return noteRearm(slot)
        }
        if result == -ECANCELED {
            // The pause may have ended before its cancel arrived.
            if unsafe !connection.pointee.isPaused { noteRearm(slot) }
            return
        }
        if result == 0 { unsafe connection.pointee.isPeerDone = true }
        let isBusy = unsafe connection.pointee.isBusy
        // A half-closed peer still reads its answer (RFC 9112 §9.6).
        // Pipelined requests that wait in the block are answered too; what is no whole request by then ends it.
        let isWaiting = unsafe connection.pointee.phase == .idle && !connection.pointee.block.isNone
        if result == 0, unsafe connection.pointee.state == .open, isBusy || isWaiting { return }
        close(slot)
    }
    mutating func noteRearm(_ slot: Int) {
        // Room: at most one entry a receive that ended plus one a connection that drained, each at most once a tick.
        guard rearmCount < table.capacity * 2 else { return close(slot) }
        unsafe rearm[rearmCount] = UInt32(slot)
        rearmCount += 1
    }

    /// The common case: nothing waits, and the buffer begins with a request's first byte.
    mutating func takeDirectly(_ slot: Int, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        let connection = unsafe table[slot]
        if unsafe connection.pointee.edge.expectsPreamble { return unsafe takePreamble(slot, bytes, count) }
        unsafe connection.pointee.beginRequest()
        var taken = 0
        switch unsafe connection.pointee.parser.parse(
            ByteView(bytes, count: count), into: &connection.pointee.head, fields: &fields, limits: limits)
        {
        // An empty line behind a request begins none (RFC 9112 §2.2): no time-out starts, no 408 is owed.
        case .incomplete: if unsafe IngestLoop.isEmptyLines(ByteView(bytes, count: count)) { return }
        case .failed(let error): return refuse(slot, error)
        case .complete:
            guard unsafe route(slot, ByteView(bytes, count: count)) else { return }
            let head = unsafe connection.pointee.head
            let whole = head.byteCount + head.contentLength
            if !head.isChunked, whole <= count {
                taken = whole
                unsafe connection.pointee.requestInBlock = 0
                let body = unsafe UnsafePointer(bytes + head.byteCount)
                if unsafe connection.pointee.isDiscarding {
                    answerDecided(slot)
                } else {
                    unsafe complete(slot, UnsafePointer(bytes), ByteView(body, count: head.contentLength))
                }
            }
        }
        guard taken < count, unsafe connection.pointee.state == .open else { return }
        guard unsafe append(slot, bytes + taken, count - taken) else { return }
        if taken == 0 {
            // The request goes on in the block from here; the head is not parsed twice when it was complete.
            if unsafe connection.pointee.phase == .body { continueBody(slot) } else { beginHead(slot) }
        }
    }
    private static func isEmptyLines(_ bytes: ByteView) -> Bool {
        guard bytes.count <= 4, bytes.count % 2 == 0 else { return false }
        return (0..<bytes.count).allSatisfy { bytes[$0] == ($0 % 2 == 0 ? ASCII.carriageReturn : ASCII.lineFeed) }
    }
    private mutating func beginHead(_ slot: Int) {
        guard unsafe table[slot].pointee.phase == .idle else { return }
        unsafe table[slot].pointee.phase = .head
        table.setDeadline(slot, nowMillis + UInt64(limits.headMillisMax))
    }

    /// Goes on with what lies in the block, until the request is complete or more must come.
    mutating func advance(_ slot: Int) {
        let connection = unsafe table[slot]
        unsafe precondition(connection.pointee.state == .open)
        if unsafe connection.pointee.phase == .body { return continueBody(slot) }
        guard unsafe connection.pointee.phase == .idle || connection.pointee.phase == .head else { return }
        if unsafe connection.pointee.edge.expectsPreamble, !continuesBehindPreamble(slot) { return }
        let base = unsafe arena.pointer(connection.pointee.block) + connection.pointee.inputStart
        let view = unsafe ByteView(base, count: connection.pointee.inputEnd - connection.pointee.inputStart)
        switch unsafe connection.pointee.parser.parse(
            view, into: &connection.pointee.head, fields: &fields, limits: limits)
        {
        case .failed(let error): refuse(slot, error)
        case .incomplete:
            if unsafe connection.pointee.isPeerDone { return close(slot) }
            if unsafe connection.pointee.phase == .idle && IngestLoop.isEmptyLines(view) {
                return isDraining ? close(slot) : dropBlock(slot)
            }
            beginHead(slot)
        case .complete:
            guard route(slot, view) else { return }
            continueBody(slot)
        }
    }

    /// Head complete: which source, which limits. False when the request was refused at once.
    private mutating func route(_ slot: Int, _ bytes: ByteView) -> Bool {
        let connection = unsafe table[slot]
        let head = unsafe connection.pointee.head
        unsafe connection.pointee.isHead = head.method == .head
        unsafe connection.pointee.isVersion10 = head.versionMinor == 0
        unsafe connection.pointee.isChunked = head.isChunked
        unsafe connection.pointee.closesAfterReply = head.closes || isDraining
        unsafe connection.pointee.phase = .body
        metrics.count(.requests)
        setRoute(slot, routes.find(bytes.slice(head.path)))
        table.setDeadline(slot, nowMillis + UInt64(limits.bodyMillisMax))
        guard head.isChunked || head.contentLength <= bodyBytesMax(slot) else {
            refuseTooLarge(slot, bytes.slice(0, head.byteCount))
            return false
        }
        return !refusesBeforeTheBody(slot, bytes)
    }
    mutating func setRoute(_ slot: Int, _ sourceIndex: Int) {
        let connection = unsafe table[slot]
        unsafe connection.pointee.sourceIndex = Int32(sourceIndex)
        let isAllowed = unsafe sourceIndex >= 0 && sources[sourceIndex].allows(connection.pointee.head.method)
        unsafe connection.pointee.isDiscarding = !isAllowed
        unsafe connection.pointee.decidedStatus = isAllowed ? 0 : sourceIndex < 0 ? 404 : 405
    }
    func bodyBytesMax(_ slot: Int) -> Int {
        let index = unsafe Int(table[slot].pointee.sourceIndex)
        return unsafe index >= 0 ? sources[index].bodyBytesMax : limits.bodyBytesMax
    }
    /// After a reload: the request being received finds its source again by its path.
    mutating func routeAgain(_ slot: Int) {
        let connection = unsafe table[slot]
        // What was thrown away cannot come back: such a request keeps the answer it had.
        guard unsafe !connection.pointee.isDiscarding, unsafe !connection.pointee.block.isNone,
            unsafe connection.pointee.head.byteCount > 0
        else { return }
        let base = unsafe arena.pointer(connection.pointee.block) + connection.pointee.inputStart
        unsafe setRoute(
            slot,
            routes.find(ByteView(base, count: connection.pointee.head.byteCount).slice(connection.pointee.head.path)))
        let head = unsafe connection.pointee.head
        if !head.isChunked, head.contentLength > bodyBytesMax(slot) { refuse(slot, .bodyTooLarge) }
    }

    private mutating func continueBody(_ slot: Int) {
        let connection = unsafe table[slot]
        let available = unsafe connection.pointee.inputEnd - connection.pointee.inputStart
        if unsafe connection.pointee.isChunked { return continueChunks(slot) }
        let head = unsafe connection.pointee.head
        let needed = head.byteCount + head.contentLength
        if unsafe connection.pointee.isDiscarding { return discardBody(slot, available: available) }
        guard available >= needed else {
            if unsafe connection.pointee.isPeerDone { return close(slot) }
            sendContinueIfAsked(slot, missing: true)
            // Not all that is announced at once: a promise costs nothing to make. Room is four times what really came.
            _ = reserve(slot, bytes: min(needed - available, 3 * available))
            return
        }
        unsafe connection.pointee.requestInBlock = needed
        completeInBlock(slot, bodyCount: head.contentLength)
    }

    private mutating func continueChunks(_ slot: Int) {
        let connection = unsafe table[slot]
        let base = unsafe arena.pointer(connection.pointee.block)
        let bodyStart = unsafe connection.pointee.inputStart + connection.pointee.head.byteCount
        let writeAt = unsafe bodyStart + connection.pointee.bodyCount
        // Everything raw before this was decoded and dropped, so the raw bytes lie right behind the decoded ones.
        switch unsafe connection.pointee.chunks.decode(
            base, from: writeAt, to: connection.pointee.inputEnd, writeAt: writeAt, bodyBytesMax: bodyBytesMax(slot),
            limits: limits)
        {
        case .failed(.bodyTooLarge):
            let start = unsafe base + connection.pointee.inputStart
            unsafe refuseTooLarge(slot, ByteView(start, count: connection.pointee.head.byteCount))
        case .failed(let error): refuse(slot, error)
        case .incomplete(_, let written):
            if unsafe connection.pointee.isPeerDone { return close(slot) }
            if unsafe !connection.pointee.isDiscarding { unsafe connection.pointee.bodyCount += written }
            // A body that is thrown away takes no room: the next bytes overwrite it.
            unsafe connection.pointee.inputEnd = connection.pointee.isDiscarding ? writeAt : writeAt + written
            sendContinueIfAsked(slot, missing: true)
        case .complete(let consumed, let written):
            unsafe connection.pointee.bodyCount += written
            unsafe connection.pointee.requestInBlock = writeAt + consumed - connection.pointee.inputStart
            if unsafe connection.pointee.isDiscarding { return answerDecided(slot) }
            unsafe completeInBlock(slot, bodyCount: connection.pointee.bodyCount)
        }
    }
    /// Throws the body away as it comes; the block keeps only the head.
    private mutating func discardBody(_ slot: Int, available: Int) {
        let connection = unsafe table[slot]
        let head = unsafe connection.pointee.head
        let got = unsafe min(available - head.byteCount, head.contentLength - connection.pointee.bodyCount)
        unsafe connection.pointee.bodyCount += got
        if unsafe connection.pointee.bodyCount < head.contentLength {
            unsafe connection.pointee.inputEnd -= got
            return sendContinueIfAsked(slot, missing: true)
        }
        unsafe connection.pointee.requestInBlock = head.byteCount + got
        answerDecided(slot)
    }
    /// The fields may be another request's by now: the head is parsed once more, over bytes that were good before.
    private mutating func completeInBlock(_ slot: Int, bodyCount: Int) {
        let connection = unsafe table[slot]
        let base = unsafe arena.pointer(connection.pointee.block) + connection.pointee.inputStart
        let byteCount = unsafe connection.pointee.head.byteCount
        unsafe parseAgain(slot, UnsafePointer(base))
        unsafe complete(slot, UnsafePointer(base), ByteView(base + byteCount, count: bodyCount))
    }
    mutating func parseAgain(_ slot: Int, _ base: UnsafePointer<UInt8>) {
        let connection = unsafe table[slot]
        let byteCount = unsafe connection.pointee.head.byteCount
        var parser = HeadParser()
        let result = unsafe parser.parse(
            ByteView(base, count: byteCount), into: &connection.pointee.head, fields: &fields, limits: limits)
        guard case .complete = result, unsafe connection.pointee.head.byteCount == byteCount else {
            preconditionFailure("a head that was good does not parse again")
        }
    }

    // MARK: blocks

    /// Puts bytes behind those that wait. False when there is no memory and the request was refused.
    mutating func append(_ slot: Int, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) -> Bool {
        guard reserve(slot, bytes: count) else { return false }
        let connection = unsafe table[slot]
        unsafe (arena.pointer(connection.pointee.block) + connection.pointee.inputEnd).update(from: bytes, count: count)
        unsafe connection.pointee.inputEnd += count
        return true
    }
    /// Makes room for `bytes` more, in one move when it must move.
    private mutating func reserve(_ slot: Int, bytes: Int) -> Bool {
        let connection = unsafe table[slot]
        let used = unsafe connection.pointee.inputEnd - connection.pointee.inputStart
        if unsafe connection.pointee.block.byteCount - connection.pointee.inputEnd >= bytes { return true }
        // A batch that still views the block is settled before the bytes move.
        if unsafe connection.pointee.isPending { completeBatch() }
        guard unsafe connection.pointee.state == .open else { return false }
        if unsafe connection.pointee.block.byteCount - used >= bytes {
            let base = unsafe arena.pointer(connection.pointee.block)
            unsafe base.update(from: base + connection.pointee.inputStart, count: used)
        } else {
            let block = takeBlock(used + bytes)
            guard !block.isNone else {
                metrics.count(.assemblyExhausted)
                refuseForMemory(slot)
                return false
            }
            if unsafe !connection.pointee.block.isNone {
                unsafe arena.pointer(block).update(
                    from: arena.pointer(connection.pointee.block) + connection.pointee.inputStart, count: used)
                unsafe arena.give(connection.pointee.block)
            }
            unsafe connection.pointee.block = block
        }
        unsafe connection.pointee.inputStart = 0
        unsafe connection.pointee.inputEnd = used
        return true
    }
    /// Of the memory for assembly a part is kept for small requests: large ones that trickle in cannot take all of it.
    private mutating func takeBlock(_ byteCount: Int) -> ArenaBlock {
        let isSmall = byteCount <= IngestLoop.smallBlockBytes
        let kept = isSmall ? 0 : min(arena.byteCount / 8, arena.byteCount - arena.blockBytesMax)
        return arena.freeBytes - byteCount >= kept ? arena.take(bytes: byteCount) : .none
    }
    /// Takes the answered request's bytes out of the block; an empty block goes home.
    mutating func dropRequest(_ slot: Int) {
        let connection = unsafe table[slot]
        unsafe connection.pointee.inputStart += connection.pointee.requestInBlock
        unsafe connection.pointee.requestInBlock = 0
        unsafe precondition(connection.pointee.inputStart <= connection.pointee.inputEnd)
        if unsafe connection.pointee.inputStart == connection.pointee.inputEnd { dropBlock(slot) }
    }
    mutating func dropBlock(_ slot: Int) {
        let connection = unsafe table[slot]
        if unsafe connection.pointee.isPending { completeBatch() }
        if unsafe !connection.pointee.block.isNone { unsafe arena.give(connection.pointee.block) }
        unsafe connection.pointee.block = .none
        unsafe connection.pointee.inputStart = 0
        unsafe connection.pointee.inputEnd = 0
    }
    private mutating func pauseIfTooMuchWaits(_ slot: Int) {
        let connection = unsafe table[slot]
        let waiting =
            unsafe connection.pointee.inputEnd - connection.pointee.inputStart - connection.pointee.requestInBlock
        guard waiting > IngestLoop.pipelineBytesMax, unsafe connection.pointee.isReceiving,
            unsafe !connection.pointee.isPaused
        else { return }
        unsafe connection.pointee.isPaused = true
        unsafe io.cancel(
            Tag(.receive, slot: UInt32(slot), generation: connection.pointee.generation), tag: Tag(.cancel))
    }
    mutating func continueReady() {
        while readyCount > 0 {
            readyCount -= 1
            let slot = unsafe Int(ready[readyCount])
            // The slot may have been closed, and even be another connection's, since it was noted.
            guard unsafe table[slot].pointee.state == .open, unsafe table[slot].pointee.phase == .idle,
                unsafe !table[slot].pointee.block.isNone
            else { continue }
            advance(slot)
        }
    }
}
