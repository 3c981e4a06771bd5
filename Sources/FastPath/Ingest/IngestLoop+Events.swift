// From verified requests to the log and back: the round's batch is settled, events are offered, receipts are answered.
//
// The only two places that answer 2xx for an event are `answerReceipts` and the duplicate of a record already on disk;
// every other answer is a refusal, a handshake, or an event whose source chose a weaker durability by name (law 1).
//
// Safety: pointers to sources are the snapshot's, which the loop holds; requests lie still until the batch is settled.

extension IngestLoop where IO: ~Copyable {
    /// The round's signatures as one batch, then the log's group.
    mutating func settleBatch() {
        guard !batch.isEmpty else { return }
        let begun = io.monotonicNanos()
        batch.run()
        metrics.verify.record(micros: (io.monotonicNanos() &- begun) / 1000)
        for index in 0..<batch.count {
            let request = batch[index]
            if table[request.slot].connection.state == .open { settle(request) }
            if request.isHeld { dropHeld(request.slot) }
            apply(table[request.slot].connection.leftBatch(), request.slot)
        }
        batch.removeAll()
    }
    private mutating func settle(_ request: PendingRequest) {
        guard let reason = batch.rejection(of: request) else { return admit(request, request.verdict) }
        guard let observed = unsafe observe(sources + request.sourceIndex, reason) else {
            return reject(request.slot, reason, request.bytes, request.body)
        }
        admit(request, observed)
    }

    /// Genuine: a handshake is answered, an event is offered to the log.
    private mutating func admit(_ request: PendingRequest, _ verdict: RecordVerification) {
        let source = unsafe sources + request.sourceIndex
        // What failed its check is kept when the source observes, but no challenge in it is answered.
        if verdict.isTrusted, let handshake = unsafe source.pointee.handshake, answersChallenge(handshake, request) {
            return
        }
        var event = unsafe EventInput(request, source)
        event.receivedAt = wallNanos
        event.verdict = verdict
        var room = unsafe ComposedBytes(memory: keyScratch, capacity: IngestSizes.keyBytesMax)
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
        let durability = unsafe source.pointee.durability
        unsafe metrics.count(.bodyBytes, source: source.pointee.counterSlot, UInt64(request.body.count))
        let answersAtOnce = durability == .memory && port.answersMemoryAtOnce
        switch port.offer(event, ticket: table.tag(.send, request.slot).bits, durability: durability) {
        case .appended(let sequence):
            if answersAtOnce { answerKept(request.slot, sequence, isDuplicate: false) }
        case .pending(let sequence):
            if answersAtOnce { answerKept(request.slot, sequence, isDuplicate: true) }
        case .duplicate(let sequence): answerKept(request.slot, sequence, isDuplicate: true)
        case .refused(let reason): answerRefused(request.slot, reason)
        }
    }

    /// What the log has decided since the last tick.
    mutating func answerReceipts() {
        while let receipt = port.nextReceipt() {
            let slot = table.slot(of: Tag(bits: receipt.ticket))
            guard slot >= 0, table[slot].connection.awaitsReceipt else { continue }
            if let refusal = receipt.fate.refusal {
                answerRefused(slot, refusal)
            } else {
                answerKept(slot, receipt.sequence, isDuplicate: receipt.fate == .duplicate)
            }
        }
    }
    private mutating func answerKept(_ slot: Int, _ sequence: UInt64, isDuplicate: Bool) {
        let terms = table[slot].terms
        metrics.count(isDuplicate ? .duplicate : .accepted, source: Int(terms.counterSlot))
        metrics.commit.record(micros: (nowMillis &- terms.completedAt) &* 1000)
        var reply = reply(slot, status: Int(terms.answer.status))
        reply.durability = terms.durability.text
        let (memory, capacity) = unsafe replyRoom(slot)
        if terms.answer.isOwn {
            reply.ownContentType = terms.answer.contentType
            return unsafe written(slot, reply.write(terms.answer.body, date: dates, to: memory, capacity: capacity))
        }
        let id = EventID(logIdentity: port.logIdentity, sequence: sequence)
        unsafe written(
            slot,
            reply.writeEvent(
                isDuplicate ? .duplicate : .accepted, id: id, date: dates, to: memory, capacity: capacity))
    }
    /// The log does not take the event, or could not keep it.
    private mutating func answerRefused(_ slot: Int, _ reason: JournalRefusal) {
        if reason == .tooLarge { return refuse(slot, .bodyTooLarge) }
        metrics.count(.refused, source: Int(table[slot].terms.counterSlot))
        answerUnavailable(slot, reason: reason.rawValue)
    }
}

extension EventInput {
    /// Safety: views of the request, and of the snapshot's memory.
    @inline(__always) init(_ request: PendingRequest, _ source: UnsafePointer<IngestSource>) {
        self.init()
        let bytes = request.bytes
        tenant = unsafe source.pointee.tenant
        self.source = unsafe source.pointee.name
        sourceNumber = unsafe source.pointee.sourceNumber
        method = bytes.slice(request.head.methodRange)
        target = bytes.slice(request.head.target)
        fieldLines = bytes.slice(request.head.fieldLines)
        body = request.body
    }
}
