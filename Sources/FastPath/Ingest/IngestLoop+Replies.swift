// What the ingest port says besides 2xx for an event: refusals by reason, the route's own answers, interim answers.
// Written into the connection's output; the tick sends it.
//
// Invariant: never the expected value of a signature, nothing of the configuration.
// Safety: writes are bounded by the output's room.

import CShims

extension IngestLoop where IO: ~Copyable {
    /// What every answer of this request says.
    @inline(__always) func reply(_ slot: Int, status: Int) -> Reply {
        var reply = Reply(status: status)
        reply.closes = table[slot].connection.closesAfterReply
        reply.keepsVersion10 = table[slot].terms.isVersion10 && !reply.closes
        reply.isHead = table[slot].terms.isHead
        return reply
    }
    /// `count` bytes of answer are in the output.
    mutating func written(_ slot: Int, _ count: Int) {
        guard table[slot].edge.isSecure else {
            return apply(table[slot].connection.replyWritten(count, now: nowMillis, limits), slot)
        }
        let sealed = seal(slot, count, isFinal: true)
        // A session that takes nothing, while nothing is on its way: the answer cannot be told.
        guard sealed > 0 || table[slot].connection.isSending else {
            return apply(table[slot].connection.close(), slot)
        }
        apply(table[slot].connection.replyWritten(sealed, now: nowMillis, limits), slot)
    }
    /// Where an answer is written: behind the output that is not sent, or, where it is sealed, in front.
    @inline(__always) func replyRoom(_ slot: Int) -> (memory: UnsafeMutablePointer<UInt8>, capacity: Int) {
        unsafe replies.room(slot, from: table[slot].edge.isSecure ? 0 : table[slot].connection.outputCount)
    }

    /// 401 by default, with the reason's code and nothing else.
    mutating func reject(
        _ slot: Int, _ reason: SignatureRejection, _ bytes: ByteView, _ body: ByteView, status: Int = 401
    ) {
        noteRejection(slot, reason, bytes, body)
        let source = unsafe sources + Int(table[slot].terms.sourceIndex)
        metrics.countAnswer(status, source: unsafe source.pointee.counterSlot)
        answer(
            slot, status: status, reason: reason.rawValue,
            authenticate: status == 401 ? unsafe source.pointee.edge.authenticate : .empty)
    }
    /// What is not answered of it: counters, the sender's limit, the copy for whoever looks into it.
    mutating func noteRejection(_ slot: Int, _ reason: SignatureRejection, _ bytes: ByteView, _ body: ByteView) {
        let source = unsafe sources + Int(table[slot].terms.sourceIndex)
        unsafe metrics.countRejection(reason, source: source.pointee.counterSlot)
        if table[slot].terms.payment == .paid { unsafe refund(slot, source) }
        if unsafe source.pointee.rejectedPerSecondMax > 0 { unsafe keepRejected(slot, source, reason, bytes, body) }
    }
    /// The route's own answer, after the body was read and thrown away.
    mutating func answerDecided(_ slot: Int) {
        let status = Int(table[slot].terms.decidedStatus)
        metrics.count(status == 404 ? .notFound : .methodNotAllowed)
        if status == 404 { return answer(slot, status: 404, reason: "not_found") }
        // The index may be of sources that a reload has replaced while the body was thrown away.
        let index = Int(table[slot].terms.sourceIndex)
        let allow = unsafe index >= 0 && index < snapshot.sourceCount ? sources[index].edge.allow : ByteView("POST")
        answer(slot, status: 405, reason: "method_not_allowed", allow: allow)
    }
    /// The framing is in doubt or a limit passed: answer once, discard the rest, close.
    mutating func refuse(_ slot: Int, _ error: HTTPError) {
        metrics.count(error == .bodyTooLarge ? .tooLarge : .malformed)
        table[slot].connection.closeAfterReply(lingers: true)
        answer(slot, status: error.status, reason: error.rawValue)
    }
    /// Larger than its source takes: counted and listed there, by its head.
    mutating func refuseTooLarge(_ slot: Int, _ head: ByteView) {
        let index = Int(table[slot].terms.sourceIndex)
        // Of a request that is thrown away the index may be of sources that a reload has replaced.
        if index >= 0, table[slot].terms.decidedStatus == 0 {
            let source = unsafe sources + index
            unsafe metrics.countRejection(.bodyTooLarge, source: source.pointee.counterSlot)
            if unsafe source.pointee.rejectedPerSecondMax > 0 {
                unsafe keepRejected(slot, source, .bodyTooLarge, head, .empty)
            }
        }
        refuse(slot, .bodyTooLarge)
    }
    /// Who asks whether to send its body (`Expect: 100-continue`) is told no at once when no body could change that
    /// (RFC 9110 §10.1.1): the path or the method is wrong, nothing is signed, or a publication names no key. The
    /// connection ends, for the body may come all the same.
    mutating func refusesBeforeTheBody(_ slot: Int, _ bytes: ByteView) -> Bool {
        let head = table[slot].assembly.head
        guard head.isChunked || bytes.count - head.byteCount < head.contentLength else { return false }
        let isDecided = table[slot].terms.decidedStatus > 0
        if !isDecided, table[slot].terms.isPublication {
            guard !publicationFields.hasAuthorization(fields, bytes) else { return false }
            publishers?.turnAway()
            table[slot].connection.closeAfterReply(lingers: true)
            answer(slot, status: 401, reason: "unauthorized", authenticate: ByteView("Bearer realm=\"sluice\""))
            return true
        }
        guard isDecided || lacksSignature(slot, bytes) else { return false }
        table[slot].connection.closeAfterReply(lingers: true)
        if isDecided {
            answerDecided(slot)
        } else {
            let source = unsafe sources + Int(table[slot].terms.sourceIndex)
            unsafe metrics.countRejection(.missingHeader, source: source.pointee.counterSlot)
            metrics.count(.notCaptured, source: unsafe source.pointee.counterSlot)
            metrics.countAnswer(401, source: unsafe source.pointee.counterSlot)
            answer(
                slot, status: 401, reason: SignatureRejection.missingHeader.rawValue,
                authenticate: unsafe source.pointee.edge.authenticate)
        }
        return true
    }
    private func lacksSignature(_ slot: Int, _ bytes: ByteView) -> Bool {
        let source = unsafe sources + Int(table[slot].terms.sourceIndex)
        guard let scheme = unsafe source.pointee.scheme, unsafe !source.pointee.observes,
            unsafe source.pointee.edge.addresses == nil, unsafe source.pointee.edge.certificate == nil,
            unsafe source.pointee.handshake?.takesUnsignedPost != true
        else { return false }
        return scheme.lacksSignature(bytes: bytes, fields: fields)
    }
    mutating func refuseForMemory(_ slot: Int) {
        metrics.count(.assemblyExhausted)
        // An answer is owed first; what piled up behind it is not read any more.
        if table[slot].connection.isBusy { return table[slot].connection.closeAfterReply(lingers: false) }
        answerUnavailableAndClose(slot, reason: "memory_busy")
    }
    mutating func answerUnavailableAndClose(_ slot: Int, reason: String) {
        table[slot].connection.closeAfterReply(lingers: true)
        answerUnavailable(slot, reason: reason)
    }
    mutating func answerUnavailable(_ slot: Int, reason: String) {
        metrics.count(.unavailable)
        // This answer is in the connection's room: nothing that a worker made is sent from where it lies.
        if table[slot].held.stays, !table[slot].connection.isWithWorker { dropHeld(slot) }
        answer(slot, status: 503, reason: reason, retryAfterSeconds: returns.refused(now: nowNanos))
    }
    mutating func answer(
        _ slot: Int, status: Int, reason: String, allow: ByteView? = nil, authenticate: ByteView = .empty,
        retryAfterSeconds: Int = 0, lines: ByteView = .empty
    ) {
        var reply = reply(slot, status: status)
        reply.authenticate = authenticate
        reply.allow = allow
        reply.retryAfterSeconds = retryAfterSeconds
        reply.lines = lines
        if table[slot].terms.isEnveloped { return refuseEnveloped(slot, reply, EnvelopeFault.code(status, reason)) }
        let (memory, capacity) = unsafe replyRoom(slot)
        if table[slot].terms.isPublication {
            let code = status == 503 ? "unavailable" : status == 413 ? "payload_too_large" : reason
            let count = unsafe reply.writeFault(
                code: code, detail: reason, date: dates, to: memory, capacity: capacity)
            return written(slot, count)
        }
        unsafe written(slot, reply.writeRejected(reason: reason, date: dates, to: memory, capacity: capacity))
    }
    /// `100 Continue` as soon as a body that was announced has to be waited for; never to HTTP/1.0 (RFC 9110 §10.1.1).
    mutating func sendContinueIfAsked(_ slot: Int) {
        guard table[slot].terms.expectsContinue, !table[slot].terms.isVersion10, table[slot].connection.mayContinue
        else { return }
        let (memory, capacity) = unsafe replyRoom(slot)
        let count = Reply.continueText.utf8CodeUnitCount
        precondition(count <= capacity)
        unsafe memory.update(from: Reply.continueText.utf8Start, count: count)
        let sealed = table[slot].edge.isSecure ? seal(slot, count, isFinal: false) : count
        guard sealed > 0 else { return apply(table[slot].connection.close(), slot) }
        apply(table[slot].connection.interimWritten(sealed), slot)
    }
}
