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
        lookAhead()
        batch.run()
        metrics.verify.record(micros: (io.monotonicNanos() &- begun) / 1000)
        for index in 0..<batch.count {
            let slot = batch[index].slot
            if table[slot].connection.state == .open { settle(index) } else { leave(index) }
            if batch[index].isHeld, !table[slot].held.stays { dropHeld(slot) }
            apply(table[slot].connection.leftBatch(), slot)
        }
        batch.removeAll()
    }
    /// What the dedup table has at the keys of the batch comes from memory while its signatures are computed. A key
    /// that is put together, or the body, costs more to hash twice than that saves.
    private func lookAhead() {
        for index in 0..<batch.count {
            guard batch[index].values.key.isOnePlace else { continue }
            let source = unsafe sources + batch[index].sourceIndex
            unsafe port.expect(
                tenant: source.pointee.tenant, source: source.pointee.name, key: batch[index].values.key.parts[0].view)
        }
    }
    private mutating func settle(_ index: Int) {
        guard let reason = batch.rejection(index) else { return admit(index, batch[index].verdict) }
        guard let observed = unsafe observe(sources + batch[index].sourceIndex, reason) else {
            return reject(batch[index].slot, reason, batch[index].bytes, batch[index].body)
        }
        admit(index, observed)
    }

    /// Nobody waits for its answer any more.
    private mutating func leave(_ index: Int) {
        let slot = batch[index].slot
        guard table[slot].terms.payment == .paid, batch.rejection(index) != nil else { return }
        unsafe refund(slot, sources + batch[index].sourceIndex)
    }

    /// Genuine: a handshake is answered, an event is offered to the log.
    private mutating func admit(_ index: Int, _ checked: RecordVerification) {
        let slot = batch[index].slot
        let source = unsafe sources + batch[index].sourceIndex
        var verdict = checked
        if table[slot].terms.isEnveloped, unsafe refusesBehindSignature(index, source, &verdict) { return }
        // What failed its check is kept when the source observes, but no challenge in it is answered.
        if verdict.isTrusted, let handshake = unsafe source.pointee.handshake,
            unsafe answersChallenge(handshake, batch[index], key: challengeKey(index, source))
        {
            return
        }
        if table[slot].terms.payment == .owed, unsafe cannotPay(slot, source) { return }
        var event = unsafe EventInput(batch[index], source)
        event.receivedAt = wallNanos
        event.verdict = verdict
        event.isEnveloped = table[slot].terms.isEnveloped && verdict.isTrusted
        if unsafe source.pointee.edge.certificate != nil, let shown = certificate(slot) {
            event.clientSubject = shown.subject
        }
        if batch[index].isHeld, let reading = table[slot].held.reading {
            return unsafe admit(slot, &event, reading, source)
        }
        var room = unsafe ComposedBytes(memory: keyScratch, capacity: IngestSizes.keyBytesMax)
        guard let type = room.plainText(of: batch[index].values.eventType) else { return refuse(slot, .bodyTooLarge) }
        event.eventType = type
        // Without an identity it is no event's duplicate.
        event.dedupWindowSeconds = 0
        if batch[index].values.key.hasIdentity {
            guard let key = room.text(of: batch[index].values.key) else { return refuse(slot, .bodyTooLarge) }
            event.dedupKey = key
            event.keyIsBody = batch[index].values.key.isBody
            event.dedupWindowSeconds = unsafe source.pointee.dedupWindowSeconds
        }
        unsafe offer(slot, event, source)
    }
    /// Of a source that a worker verifies, the first key whose time it is: the worker does not say which one fitted.
    private func challengeKey(_ index: Int, _ source: UnsafePointer<IngestSource>) -> SigningKey? {
        guard unsafe source.pointee.verifierID != 0 else { return batch.matchedKey(index) }
        return unsafe source.pointee.scheme?.challengeKey(nowSeconds: wallSeconds)
    }
    /// Type and key are what the worker has read, of the request or of each of its events.
    @inline(never)
    private mutating func admit(
        _ slot: Int, _ event: inout EventInput, _ reading: PassedReading, _ source: UnsafePointer<IngestSource>
    ) {
        if let publication = reading.publication { return offer(slot, publication) }
        event.dedupWindowSeconds = unsafe source.pointee.dedupWindowSeconds
        guard !reading.isSplit else { return unsafe admit(slot, &event, eventsOf: reading, source) }
        var cursor = ElementCursor(reading.elements)
        guard let whole = cursor.next() else { preconditionFailure("a reading of one event has one element") }
        event.identify(as: whole)
        unsafe offer(slot, event, source)
    }
    private mutating func admit(
        _ slot: Int, _ event: inout EventInput, eventsOf reading: PassedReading, _ source: UnsafePointer<IngestSource>
    ) {
        unsafe metrics.count(.batches, source: source.pointee.counterSlot)
        // An empty list holds no event: there is nothing to keep.
        guard reading.elementCount > 0 else { return answerBatch(slot, sequence: nil, count: 0, newCount: 0) }
        event.elements = reading.elements
        table[slot].terms.batchCount = UInt16(reading.elementCount)
        unsafe offer(slot, event, source)
    }
    @inline(__always) private mutating func offer(
        _ slot: Int, _ event: EventInput, _ source: UnsafePointer<IngestSource>
    ) {
        let durability = unsafe source.pointee.durability
        unsafe metrics.count(.bodyBytes, source: source.pointee.counterSlot, UInt64(event.body.count))
        let answersAtOnce = durability == .memory && port.answersMemoryAtOnce
        let isHeldBack = unsafe port.isPressed && isOverShare(event, source)
        switch port.offer(
            event, ticket: table.tag(.send, slot).bits, durability: durability, takesNew: !isHeldBack)
        {
        // Nothing of it is on disk: no id may be told.
        case .appended: if answersAtOnce { answerKept(slot, 0, isDuplicate: false, newCount: port.batchNewCount) }
        case .pending: if answersAtOnce { answerKept(slot, 0, isDuplicate: true) }
        case .duplicate(let sequence): answerKept(slot, sequence, isDuplicate: true)
        case .refused(let reason): answerRefused(slot, reason)
        }
    }

    /// What the log has decided since the last tick.
    mutating func answerReceipts() {
        while let receipt = port.nextReceipt() {
            if receipt.fate.refusal == nil { returns.takenCount &+= 1 }
            let slot = table.slot(of: Tag(bits: receipt.ticket))
            guard slot >= 0, table[slot].connection.awaitsReceipt else { continue }
            if let refusal = receipt.fate.refusal {
                answerRefused(slot, refusal)
            } else {
                answerKept(
                    slot, receipt.sequence, isDuplicate: receipt.fate == .duplicate, newCount: receipt.newCount)
            }
        }
    }
    /// `sequence` is 0 while it is not the event's for good.
    private mutating func answerKept(_ slot: Int, _ sequence: UInt64, isDuplicate: Bool, newCount: UInt32 = 0) {
        if table[slot].terms.isPublication { return answerPublished(slot, sequence, isDuplicate: isDuplicate) }
        let batchCount = Int(table[slot].terms.batchCount)
        if batchCount > 0 {
            return answerBatch(
                slot, sequence: isDuplicate || sequence == 0 ? nil : sequence, count: batchCount,
                newCount: isDuplicate ? 0 : Int(newCount))
        }
        metrics.count(isDuplicate ? .duplicate : .accepted, source: Int(table[slot].terms.counterSlot))
        guard let reply = replyUnlessOwn(slot) else { return }
        let (memory, capacity) = unsafe replyRoom(slot)
        let id = sequence == 0 ? nil : EventID(logIdentity: port.logIdentity, sequence: sequence)
        if table[slot].terms.isEnveloped { return answerEnveloped(slot, reply, id, isDuplicate: isDuplicate) }
        unsafe written(
            slot,
            reply.writeEvent(
                isDuplicate ? .duplicate : .accepted, id: id, date: dates, to: memory, capacity: capacity))
    }
    /// Of a request that holds several events. `sequence` is the request's own, nil when nothing was kept of it or it
    /// is not its own for good.
    private mutating func answerBatch(_ slot: Int, sequence: UInt64?, count: Int, newCount: Int) {
        let place = Int(table[slot].terms.counterSlot)
        metrics.count(.accepted, source: place, UInt64(newCount))
        metrics.count(.duplicate, source: place, UInt64(count - newCount))
        guard let reply = replyUnlessOwn(slot) else { return }
        let (memory, capacity) = unsafe replyRoom(slot)
        let batch = BatchReply(
            id: sequence.map { EventID(logIdentity: port.logIdentity, sequence: $0) }, count: count,
            duplicateCount: count - newCount)
        unsafe written(slot, reply.writeBatch(batch, date: dates, to: memory, capacity: capacity))
    }
    /// What the answer to something kept begins with; nil when the source has an answer of its own, which is given
    /// then.
    @inline(__always) private mutating func replyUnlessOwn(_ slot: Int) -> Reply? {
        metrics.commit.record(micros: (nowMillis &- table[slot].terms.completedAt) &* 1000)
        var reply = reply(slot, status: Int(table[slot].terms.answer.status))
        reply.durability = table[slot].terms.durability.text
        if table[slot].terms.payment != .none {
            reply.lines = quotaLines(slot, beside: table[slot].terms.answer.body)
        }
        if table[slot].terms.isEnveloped {
            reply.lines = envelopeLines(slot, behind: reply.lines, beside: table[slot].terms.answer.body)
        }
        guard table[slot].terms.answer.isOwn else { return reply }
        let own = table[slot].terms.answer
        reply.ownContentType = own.contentType
        let (memory, capacity) = unsafe replyRoom(slot)
        unsafe written(slot, reply.write(own.body, date: dates, to: memory, capacity: capacity))
        return nil
    }
    /// The log does not take the event, or could not keep it.
    mutating func answerRefused(_ slot: Int, _ reason: JournalRefusal) {
        if reason == .tooLarge { return refuse(slot, .bodyTooLarge) }
        metrics.count(.refused, source: Int(table[slot].terms.counterSlot))
        answerUnavailable(slot, reason: reason.rawValue)
    }
}

extension EventInput {
    /// Safety: views of the request, and of the snapshot's memory.
    @inline(__always) init(_ request: borrowing PendingRequest, _ source: UnsafePointer<IngestSource>) {
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
