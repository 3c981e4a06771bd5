// From complete requests to answers: the batch of signatures, the offer to the log, receipts, and what is written back.
//
// The only two places that answer 2xx for an event are `answerReceipts` and the duplicate of a record already on disk;
// every other answer is a refusal, a handshake, or an event whose source chose a weaker durability by name (law 1).
//
// Safety: pointers to sources are the snapshot's, which the loop holds; requests lie still until `completeBatch`
// returns.

import CShims

extension IngestLoop {
    /// A request with its whole body: extract what is needed of its fields now, verify it with the rest of the round.
    mutating func complete(_ slot: Int, _ base: UnsafePointer<UInt8>, _ body: ByteView) {
        let connection = unsafe table[slot]
        let head = unsafe connection.pointee.head
        let source = unsafe sources + Int(connection.pointee.sourceIndex)
        let bytes = unsafe ByteView(base, count: head.byteCount)
        unsafe connection.pointee.phase = .committing
        unsafe connection.pointee.completedAt = nowMillis
        unsafe connection.pointee.answer = source.pointee.answer
        unsafe connection.pointee.durability = source.pointee.durability
        unsafe connection.pointee.counterSlot = UInt16(source.pointee.counterSlot)
        table.setDeadline(slot, nowMillis + UInt64(limits.commitMillisMax))
        if answersBeforeVerification(slot, bytes, body) { return }
        var job = -1
        var verdict = RecordVerification.verified
        if unsafe source.pointee.verifierID != 0 {
            if unsafe handOver(slot, base, head, body) { return }
            guard let unchecked = keepUnchecked(slot) else {
                return answerUnavailable(slot, reason: "verifier_busy")
            }
            verdict = unchecked
        } else if let scheme = unsafe source.pointee.scheme {
            switch verify(scheme, bytes, head, body) {
            case .queued(let place): job = place
            case .accepted: break
            case .rejected(let reason):
                guard let observed = unsafe observe(source, reason) else { return reject(slot, reason, bytes, body) }
                verdict = observed
            case .full:
                // A request that no empty batch takes is larger than the verifier was built for: refuse, never fail
                // open.
                return answerUnavailable(slot, reason: "verifier_busy")
            }
        } else {
            verdict = .unverified
        }
        unsafe queue(slot, base, body, job: job, verdict: verdict)
        if pendingCount == IngestLoop.pendingCountMax { completeBatch() }
    }
    /// Joins the round's batch with what is needed of its fields, which the next request overwrites.
    mutating func queue(
        _ slot: Int, _ base: UnsafePointer<UInt8>, _ body: ByteView, job: Int, verdict: RecordVerification
    ) {
        let connection = unsafe table[slot]
        let head = unsafe connection.pointee.head
        let source = unsafe sources + Int(connection.pointee.sourceIndex)
        let bytes = unsafe ByteView(base, count: head.byteCount)
        let values = unsafe source.pointee.selectors.select(
            bytes: bytes, head: head, fields: fields, body: body,
            room: ComposedBytes(memory: keyScratch, capacity: IngestLoop.keyBytesMax))
        unsafe connection.pointee.isPending = true
        unsafe pending[pendingCount] = PendingRequest(
            slot: slot, base: base, head: head, body: body, values: values,
            sourceIndex: Int(connection.pointee.sourceIndex), job: job, verdict: verdict)
        pendingCount += 1
    }
    private mutating func verify(
        _ scheme: SignatureScheme, _ bytes: ByteView, _ head: RequestHead, _ body: ByteView
    ) -> AddResult {
        let first = verifier.add(
            scheme: scheme, request: bytes, head: head, fields: fields, body: body, origin: edge.origin,
            nowSeconds: wallSeconds)
        guard case .full = first else { return first }
        completeBatch()
        return verifier.add(
            scheme: scheme, request: bytes, head: head, fields: fields, body: body, origin: edge.origin,
            nowSeconds: wallSeconds)
    }

    /// The round's signatures as one batch, then the log's group.
    mutating func completeBatch() {
        guard pendingCount > 0 else { return }
        let begun = sluice_clock_monotonic()
        verifier.run()
        metrics.verify.record(micros: (sluice_clock_monotonic() &- begun) / 1000)
        let count = pendingCount
        pendingCount = 0
        for index in 0..<count {
            var request = unsafe pending[index]
            unsafe table[request.slot].pointee.isPending = false
            guard unsafe table[request.slot].pointee.state == .open else { continue }
            if request.job >= 0, let reason = verifier.verdict(job: request.job) {
                guard let observed = unsafe observe(sources + request.sourceIndex, reason) else {
                    reject(request.slot, reason, request.bytes, request.body)
                    continue
                }
                request.verdict = observed
            }
            admit(request)
        }
        verifier.removeAll()
    }

    /// Genuine: a handshake is answered, an event is offered to the log.
    private mutating func admit(_ request: PendingRequest) {
        let source = unsafe sources + request.sourceIndex
        // What failed its check is kept when the source observes, but no challenge in it is answered.
        if request.verdict.isTrusted, let handshake = unsafe source.pointee.handshake,
            answersChallenge(handshake, request)
        {
            return
        }
        var event = EventInput()
        let bytes = request.bytes
        event.tenant = unsafe source.pointee.tenant
        event.source = unsafe source.pointee.name
        event.sourceNumber = unsafe source.pointee.sourceNumber
        var room = unsafe ComposedBytes(memory: keyScratch, capacity: IngestLoop.keyBytesMax)
        guard let type = room.plainText(of: request.values.eventType) else {
            return refuse(request.slot, .bodyTooLarge)
        }
        event.eventType = type
        // Without an identity it is no event's duplicate.
        event.dedupWindowSeconds = 0
        if request.values.key.hasIdentity {
            guard let key = room.text(of: request.values.key) else { return refuse(request.slot, .bodyTooLarge) }
            event.dedupKey = key
            event.keyIsBody = request.values.key.isBody
            event.dedupWindowSeconds = unsafe source.pointee.dedupWindowSeconds
        }
        event.method = bytes.slice(request.head.methodRange)
        event.target = bytes.slice(request.head.target)
        event.fieldLines = bytes.slice(request.head.fieldLines)
        event.body = request.body
        event.receivedAt = wallNanos
        event.verdict = request.verdict
        unsafe metrics.count(.bodyBytes, source: source.pointee.counterSlot, UInt64(request.body.count))
        let slot = UInt32(request.slot)
        let ticket = unsafe Tag(.send, slot: slot, generation: table[request.slot].pointee.generation).bits
        let answersAtOnce = unsafe source.pointee.durability == .memory && port.answersMemoryAtOnce
        switch unsafe port.offer(event, ticket: ticket, durability: source.pointee.durability) {
        case .appended(let sequence):
            if answersAtOnce { answerKept(request.slot, sequence, isDuplicate: false) }
        case .pending(let sequence):
            if answersAtOnce { answerKept(request.slot, sequence, isDuplicate: true) }
        case .duplicate(let sequence): answerKept(request.slot, sequence, isDuplicate: true)
        case .refused(let reason): answerRefused(request.slot, reason)
        }
    }
    /// The log does not take the event, or could not keep it.
    private mutating func answerRefused(_ slot: Int, _ reason: JournalRefusal) {
        if reason == .tooLarge { return refuse(slot, .bodyTooLarge) }
        unsafe metrics.count(.refused, source: Int(table[slot].pointee.counterSlot))
        answerUnavailable(slot, reason: reason.rawValue)
    }

    /// What the log has decided since the last tick.
    mutating func answerReceipts() {
        while let receipt = port.nextReceipt() {
            let slot = table.slot(of: Tag(bits: receipt.ticket))
            guard slot >= 0, unsafe table[slot].pointee.phase == .committing, unsafe table[slot].pointee.state == .open
            else {
                continue
            }
            if let refusal = receipt.fate.refusal {
                answerRefused(slot, refusal)
            } else {
                answerKept(slot, receipt.sequence, isDuplicate: receipt.fate == .duplicate)
            }
        }
    }

    // MARK: answers

    private mutating func answerKept(_ slot: Int, _ sequence: UInt64, isDuplicate: Bool) {
        let connection = unsafe table[slot]
        unsafe metrics.count(isDuplicate ? .duplicate : .accepted, source: Int(connection.pointee.counterSlot))
        unsafe metrics.commit.record(micros: (nowMillis &- connection.pointee.completedAt) &* 1000)
        let own = unsafe connection.pointee.answer
        var reply = reply(slot, status: Int(own.status))
        reply.durability = unsafe connection.pointee.durability.text
        if own.isOwn {
            reply.ownContentType = own.contentType
            unsafe connection.pointee.replyCount = reply.write(
                own.body, date: dates, to: table.reply(slot), capacity: ConnectionTable.replyByteCount)
            return beginReply(slot)
        }
        unsafe connection.pointee.replyCount = reply.writeEvent(
            isDuplicate ? .duplicate : .accepted, id: EventID(logIdentity: port.logIdentity, sequence: sequence),
            date: dates, to: table.reply(slot), capacity: ConnectionTable.replyByteCount)
        beginReply(slot)
    }
    /// What every answer of this request says.
    @inline(__always) func reply(_ slot: Int, status: Int) -> Reply {
        let connection = unsafe table[slot]
        var reply = Reply(status: status)
        reply.closes = unsafe connection.pointee.closesAfterReply
        reply.keepsVersion10 = unsafe connection.pointee.isVersion10 && !reply.closes
        reply.isHead = unsafe connection.pointee.isHead
        return reply
    }
    /// 401 by default, with the reason's code and nothing else: never the expected value.
    mutating func reject(
        _ slot: Int, _ reason: SignatureRejection, _ bytes: ByteView, _ body: ByteView, status: Int = 401
    ) {
        let connection = unsafe table[slot]
        let source = unsafe sources + Int(connection.pointee.sourceIndex)
        unsafe metrics.countRejection(reason, source: source.pointee.counterSlot)
        if unsafe source.pointee.rejectedPerSecondMax > 0 { keepRejected(slot, reason, bytes, body) }
        answer(
            slot, status: status, reason: reason.rawValue,
            authenticate: status == 401 ? unsafe source.pointee.edge.authenticate : .empty)
    }
    /// The route's own answer, after the body was read and thrown away.
    mutating func answerDecided(_ slot: Int) {
        let status = unsafe Int(table[slot].pointee.decidedStatus)
        metrics.count(status == 404 ? .notFound : .methodNotAllowed)
        if status == 404 {
            answer(slot, status: 404, reason: "not_found")
        } else {
            // The index may be of sources that a reload has replaced while the body was thrown away.
            let index = unsafe Int(table[slot].pointee.sourceIndex)
            let allow = unsafe index >= 0 && index < snapshot.sourceCount ? sources[index].edge.allow : ByteView("POST")
            answer(slot, status: 405, reason: "method_not_allowed", allow: allow)
        }
    }
    /// The framing is in doubt or a limit passed: answer once, discard the rest, close.
    mutating func refuse(_ slot: Int, _ error: HTTPError) {
        let connection = unsafe table[slot]
        metrics.count(error == .bodyTooLarge ? .tooLarge : .malformed)
        unsafe connection.pointee.closesAfterReply = true
        unsafe connection.pointee.lingersAfterReply = true
        answer(slot, status: error.status, reason: error.rawValue)
    }
    /// Larger than its source takes: counted and listed there, by its head.
    mutating func refuseTooLarge(_ slot: Int, _ head: ByteView) {
        let index = unsafe Int(table[slot].pointee.sourceIndex)
        if index >= 0 {
            let source = unsafe sources + index
            unsafe metrics.countRejection(.bodyTooLarge, source: source.pointee.counterSlot)
            if unsafe source.pointee.rejectedPerSecondMax > 0 { keepRejected(slot, .bodyTooLarge, head, .empty) }
        }
        refuse(slot, .bodyTooLarge)
    }
    /// Who asks whether to send its body is told no at once when no body could change that (RFC 9110 §10.1.1): the
    /// path or the method is wrong, or nothing is signed. The connection ends, for the body may come all the same.
    mutating func refusesBeforeTheBody(_ slot: Int, _ bytes: ByteView) -> Bool {
        let connection = unsafe table[slot]
        let head = unsafe connection.pointee.head
        guard head.expectsContinue, head.isChunked || bytes.count - head.byteCount < head.contentLength else {
            return false
        }
        let isDecided = unsafe connection.pointee.isDiscarding
        guard isDecided || lacksSignature(slot, bytes) else { return false }
        unsafe connection.pointee.closesAfterReply = true
        unsafe connection.pointee.lingersAfterReply = true
        if isDecided {
            answerDecided(slot)
        } else {
            let source = unsafe sources + Int(connection.pointee.sourceIndex)
            unsafe metrics.countRejection(.missingHeader, source: source.pointee.counterSlot)
            metrics.count(.notCaptured, source: unsafe source.pointee.counterSlot)
            answer(
                slot, status: 401, reason: SignatureRejection.missingHeader.rawValue,
                authenticate: unsafe source.pointee.edge.authenticate)
        }
        return true
    }
    private func lacksSignature(_ slot: Int, _ bytes: ByteView) -> Bool {
        let source = unsafe sources + Int(table[slot].pointee.sourceIndex)
        guard let scheme = unsafe source.pointee.scheme, unsafe !source.pointee.observes,
            unsafe source.pointee.edge.addresses == nil, unsafe source.pointee.handshake?.takesUnsignedPost != true
        else { return false }
        return scheme.lacksSignature(bytes: bytes, fields: fields)
    }
    mutating func refuseForMemory(_ slot: Int) {
        let connection = unsafe table[slot]
        guard unsafe !connection.pointee.isBusy else {
            // An answer is owed first; what piled up behind it is not read any more.
            unsafe connection.pointee.closesAfterReply = true
            return
        }
        answerUnavailableAndClose(slot, reason: "memory_busy")
    }
    mutating func answerUnavailableAndClose(_ slot: Int, reason: String) {
        unsafe table[slot].pointee.closesAfterReply = true
        unsafe table[slot].pointee.lingersAfterReply = true
        answerUnavailable(slot, reason: reason)
    }
    mutating func answerUnavailable(_ slot: Int, reason: String) {
        metrics.count(.unavailable)
        // Spread over 1 to 4 seconds, so that what was refused together does not come back together.
        answer(slot, status: 503, reason: reason, retryAfterSeconds: 1 + Int(nowMillis &+ UInt64(slot)) & 3)
    }
    private mutating func answer(
        _ slot: Int, status: Int, reason: String, allow: ByteView? = nil, authenticate: ByteView = .empty,
        retryAfterSeconds: Int = 0
    ) {
        var reply = reply(slot, status: status)
        reply.authenticate = authenticate
        reply.allow = allow
        reply.retryAfterSeconds = retryAfterSeconds
        unsafe table[slot].pointee.replyCount = reply.writeRejected(
            reason: reason, date: dates, to: table.reply(slot), capacity: ConnectionTable.replyByteCount)
        beginReply(slot)
    }

    // MARK: sending

    mutating func beginReply(_ slot: Int) {
        let connection = unsafe table[slot]
        unsafe precondition(connection.pointee.replyCount <= ConnectionTable.replyByteCount)
        unsafe connection.pointee.phase = .answering
        unsafe connection.pointee.replySent = 0
        table.setDeadline(slot, nowMillis + UInt64(limits.sendMillisMax))
        if unsafe connection.pointee.isSending {
            unsafe connection.pointee.isReplyWaiting = true
        } else {
            sendReply(slot)
        }
    }
    private mutating func sendReply(_ slot: Int) {
        let connection = unsafe table[slot]
        unsafe connection.pointee.isSending = true
        unsafe connection.pointee.isReplyWaiting = false
        let sent = unsafe connection.pointee.replySent
        unsafe io.send(
            connection.pointee.descriptor, table.reply(slot) + sent, count: connection.pointee.replyCount - sent,
            tag: Tag(.send, slot: UInt32(slot), generation: connection.pointee.generation))
    }
    /// `100 Continue` as soon as a body that was announced has to be waited for; never to HTTP/1.0 (RFC 9110 §10.1.1).
    mutating func sendContinueIfAsked(_ slot: Int, missing: Bool) {
        let connection = unsafe table[slot]
        guard missing, unsafe connection.pointee.head.expectsContinue, unsafe !connection.pointee.hasContinued,
            unsafe !connection.pointee.isVersion10, unsafe !connection.pointee.isSending
        else { return }
        unsafe connection.pointee.hasContinued = true
        unsafe connection.pointee.isSending = true
        unsafe io.send(
            connection.pointee.descriptor, Reply.continueText.utf8Start,
            count: Reply.continueText.utf8CodeUnitCount,
            tag: Tag(.send, slot: UInt32(slot), generation: connection.pointee.generation))
    }
    mutating func sent(_ completion: Completion) {
        let slot = table.slot(of: completion.tag)
        guard slot >= 0 else { return }
        let connection = unsafe table[slot]
        unsafe connection.pointee.isSending = false
        if unsafe connection.pointee.state == .closing { return finishClose(slot) }
        guard completion.result >= 0 else { return close(slot) }
        sentBytes &+= UInt64(completion.result)
        guard unsafe connection.pointee.phase == .answering else { return }
        if unsafe connection.pointee.isReplyWaiting { return sendReply(slot) }
        unsafe connection.pointee.replySent += Int(completion.result)
        if unsafe connection.pointee.replySent < connection.pointee.replyCount { return sendReply(slot) }
        answered(slot)
    }
    /// The whole answer is with the kernel: the next request, or the end.
    private mutating func answered(_ slot: Int) {
        let connection = unsafe table[slot]
        if unsafe connection.pointee.closesAfterReply {
            if unsafe connection.pointee.lingersAfterReply, unsafe !connection.pointee.isPeerDone {
                return linger(slot)
            }
            return closeGently(slot)
        }
        dropRequest(slot)
        unsafe connection.pointee.beginRequest()
        table.setDeadline(slot, nowMillis + UInt64(limits.idleMillisMax))
        if unsafe connection.pointee.isPaused {
            unsafe connection.pointee.isPaused = false
            if unsafe !connection.pointee.isReceiving { noteRearm(slot) }
        }
        if unsafe !connection.pointee.block.isNone {
            unsafe ready[readyCount] = UInt32(slot)
            readyCount += 1
        } else if unsafe connection.pointee.isPeerDone || isDraining {
            closeGently(slot)
        }
    }

    // MARK: closing

    /// The last answer was sent and the peer may still be sending: half-close, so that it reads the answer and no reset
    /// overtakes it, then discard until it closes too.
    private mutating func linger(_ slot: Int) {
        let connection = unsafe table[slot]
        unsafe connection.pointee.state = .lingering
        dropBlock(slot)
        // A system call, not a submission: the kernel looks the descriptor of a shutdown up in a worker, later, when it
        // may be another connection's (seen: answers cut off on a fresh connection).
        unsafe sluice_shutdown_write(connection.pointee.descriptor)
        table.setDeadline(slot, nowMillis + UInt64(limits.lingerMillisMax))
        unsafe connection.pointee.isPaused = false
        if unsafe !connection.pointee.isReceiving { noteRearm(slot) }
    }
    /// With bytes unread a close would reset the connection under its last answer; then it lingers.
    private mutating func closeGently(_ slot: Int) {
        let connection = unsafe table[slot]
        if unsafe connection.pointee.isPeerDone || !connection.pointee.isReceiving { close(slot) } else { linger(slot) }
    }
    /// Marks, cancels what the kernel still has, and closes when it has given it back.
    mutating func close(_ slot: Int) {
        let connection = unsafe table[slot]
        guard unsafe connection.pointee.state != .closing, unsafe connection.pointee.state != .free else { return }
        unsafe connection.pointee.state = .closing
        table.setDeadline(slot, ConnectionTable.noDeadline)
        if unsafe connection.pointee.isReceiving || connection.pointee.isSending {
            unsafe io.cancelAll(connection.pointee.descriptor, tag: Tag(.cancel))
        }
        finishClose(slot)
    }
    mutating func finishClose(_ slot: Int) {
        let connection = unsafe table[slot]
        guard unsafe connection.pointee.state == .closing, unsafe !connection.pointee.isReceiving,
            unsafe !connection.pointee.isSending,
            unsafe !connection.pointee.isVerifying
        else { return }
        dropBlock(slot)
        metrics.count(.connectionsClosed)
        unsafe io.close(connection.pointee.descriptor, tag: Tag(.close))
        table.give(slot)
    }
}
