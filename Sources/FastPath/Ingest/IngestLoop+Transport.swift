// TLS between the sockets and the connections: what came is opened before it is taken, what is answered is sealed
// before it is sent. A connection without TLS passes by.
//
// Invariants: plaintext is taken where it stays until the batch is settled (its receive buffer, or a block); while the
// batch views a request nothing more of its connection is opened; `outputCount` of a connection with TLS counts
// ciphertext, and what of it was sent is told to its session first. Safety: a receive buffer is written only when the
// session has used all of it.

extension IngestLoop where IO: ~Copyable {
    // MARK: the handshake

    /// A connection of a listener with TLS. False when there is no memory for it.
    mutating func beginSecure(_ slot: Int, _ context: TLSContextView) -> Bool {
        guard secure.open(slot, context) else { return false }
        table[slot].edge.isSecure = true
        table[slot].edge.isPeerSecure = true
        table[slot].edge.isHandshaking = true
        return true
    }
    /// The kernel says when there is something to receive; until then the connection waits for nothing of the loop's.
    mutating func awaitFirstBytes(_ slot: Int) {
        guard table[slot].connection.armReceive() else { return }
        table[slot].edge.isSilent = true
        io.awaitBytes(table[slot].connection.descriptor, tag: table.tag(.receive, slot))
    }
    /// There is.
    mutating func firstBytesCame(_ slot: Int) {
        table[slot].edge.isSilent = false
        let actions = table[slot].connection.received(hasMore: false)
        guard actions == .receive else { return apply(actions, slot) }
        handshakesWaiting.append(slot)
    }
    /// Lets waiting connections in, as the gate says.
    mutating func admitHandshakes() {
        guard handshakesWaiting.count > 0 else { return }
        gate.refill(now: nowNanos, isContended: hasPlainWork)
        while let slot = handshakesWaiting.first {
            // One that timed out while it waited costs nothing.
            let connection = table[slot].connection
            if connection.state == .open, table[slot].edge.isHandshaking, !connection.isReceiving {
                guard gate.letIn() else { return }
                table[slot].edge.isHandshakePaid = true
                rearm.append(slot)
            }
            handshakesWaiting.removeFirst()
        }
    }
    private mutating func handshakeEnded(_ slot: Int) {
        table[slot].edge.isHandshaking = false
        table[slot].edge.isHandshakePaid = false
        metrics.count(.tlsHandshakes)
        if secure.isResumed(slot) { metrics.count(.tlsResumed) }
    }

    /// Sessions that have been idle for a while give their buffers back. A part of the slots in each sweep, so that all
    /// have had their turn within some seconds.
    mutating func restIdleSessions() {
        let count = table.highWater
        let idleMillis = UInt64(limits.idleMillisMax)
        let latest = nowMillis + idleMillis - min(IngestSizes.restMillis, idleMillis / 2)
        for _ in 0..<min(count, max(64, count / 16)) {
            restAt = restAt + 1 < count ? restAt + 1 : 0
            let connection = table[restAt].connection
            guard table[restAt].edge.isSecure, !table[restAt].edge.isHandshaking, connection.state == .open,
                connection.phase == .idle, connection.deadline <= latest
            else { continue }
            secure.rest(restAt)
        }
    }

    // MARK: in

    /// Ciphertext came; `count` 0 = goes on with what was fed before the batch.
    mutating func takeSecure(_ slot: Int, _ buffer: UnsafeMutablePointer<UInt8>, _ count: Int) {
        guard table[slot].connection.state == .open else { return }
        if table[slot].connection.isInBatch { return unsafe takeLater(slot, buffer, count) }
        if count > 0 { unsafe secure.feed(slot, buffer, count) }
        var room = unsafe count > 0 ? buffer : nil
        while table[slot].connection.state == .open {
            // The batch views a request: the rest of what was fed is opened behind it.
            if table[slot].connection.isInBatch { return unsafe takeLater(slot, buffer, 0) }
            switch open(slot) {
            case .bytes(let opened):
                // No more than was fed has room where that lay.
                if let free = unsafe room, secure.isFedUp(slot), opened <= count {
                    unsafe free.update(from: secure.plaintext, count: opened)
                    unsafe room = nil
                    unsafe take(slot, free, opened)
                } else {
                    unsafe takeCopied(slot, secure.plaintext, opened)
                }
            case .wantsInput: return announce(slot)
            case .wantsRoom:
                // The peer makes us speak and does not listen. But a first flight, with many authorities in it, may be
                // larger than the room: it goes out in parts.
                guard table[slot].edge.isHandshaking, secure.isFedUp(slot), secure.outputCount(slot) > 0 else {
                    return fail(slot, .malformed)
                }
                table[slot].edge.isHandshakeStalled = true
                return announce(slot)
            case .closed:
                announce(slot)
                let hasInput = table[slot].assembly.hasInput
                return apply(table[slot].connection.peerFinished(hasInput: hasInput), slot)
            case .failed(let failure): return fail(slot, failure)
            }
        }
    }
    private mutating func open(_ slot: Int) -> TLSStep {
        guard table[slot].edge.isHandshaking else { return secure.read(slot) }
        let begun = io.monotonicNanos()
        let step = secure.read(slot)
        let took = io.monotonicNanos() &- begun
        // What failed was no handshake, and says nothing of what one takes; but it was paid for.
        if case .failed = step {
            table[slot].edge.isHandshakePaid = false
            return step
        }
        if secure.isOpen(slot) {
            handshakeEnded(slot)
        } else if secure.outputCount(slot) > 0 {
            table[slot].edge.isHandshakePaid = false
            gate.took(took)
        }
        return step
    }
    /// The connection is freed.
    mutating func endSecure(_ slot: Int) {
        // The first bytes were the peer's end, or not yet all of a first flight.
        if table[slot].edge.isHandshakePaid { gate.giveBack() }
        secure.drop(slot)
    }
    private mutating func fail(_ slot: Int, _ failure: TLSFailure) {
        metrics.countTLS(failure)
        announce(slot)
        apply(table[slot].connection.transportFailed(now: nowMillis, limits), slot)
    }

    // MARK: out

    /// What the session has to send beside answers.
    private mutating func announce(_ slot: Int) {
        let unsent = table[slot].connection.outputCount - table[slot].connection.outputSent
        let count = secure.outputCount(slot) - unsent
        if count > 0 { apply(table[slot].connection.outputWritten(count), slot) }
    }
    /// `count` bytes of answer lie in the connection's room: they are sealed, as many as the session has room for. How
    /// many bytes of ciphertext that are; 0 where the session takes nothing now. `isFinal`: no interim answer.
    mutating func seal(_ slot: Int, _ count: Int, isFinal: Bool) -> Int {
        let before = secure.outputCount(slot)
        let isGood = unsafe secure.seal(slot, plainAnswer(slot), count)
        return isGood ? sealed(slot, isFinal) - before : 0
    }
    /// What is sealed: in the connection's room, or where a publication's answer lies.
    private func plainAnswer(_ slot: Int) -> UnsafePointer<UInt8> {
        unsafe table[slot].held.hasAnswer
            ? table[slot].held.answer.base : UnsafePointer(replies.room(slot, from: 0).memory)
    }
    private mutating func sealed(_ slot: Int, _ isFinal: Bool) -> Int {
        if isFinal, secure.isSealed(slot), table[slot].connection.closesAfterReply { secure.finish(slot) }
        return secure.outputCount(slot)
    }
    /// All of a part of the handshake's flight was sent: goes on with the next.
    mutating func continueHandshake(_ slot: Int) {
        // Its slot may be another's, or nobody's, since.
        guard table[slot].connection.state == .open, table[slot].edge.isHandshakeStalled, secure.outputCount(slot) == 0
        else { return }
        table[slot].edge.isHandshakeStalled = false
        unsafe takeSecure(slot, secure.plaintext, 0)
    }
    /// `count` bytes of ciphertext were sent: there is room for more of the answer.
    mutating func sentSecure(_ slot: Int, _ count: Int) {
        secure.sent(slot, count)
        guard !secure.isSealed(slot) else { return }
        let before = secure.outputCount(slot)
        let isGood = unsafe secure.sealMore(slot, plainAnswer(slot))
        let more = isGood ? sealed(slot, table[slot].connection.phase == .answering) - before : 0
        if more > 0 { return apply(table[slot].connection.outputWritten(more), slot) }
        // It takes nothing, and nothing is on its way that would make it.
        if secure.outputCount(slot) == 0 { apply(table[slot].connection.close(), slot) }
    }
}
