// Sources whose requests carry the contract's envelope: what is refused beside the signature, and answers in the
// contract's form. `Envelope.swift` reads, `EnvelopeFault.swift` has the words.
//
// Invariants: every answer of such a source names the request's id, or a new one, and the version; what is refused
// behind the signature is refused only when that is right.
// Safety: lines and body are put together in `keyScratch`, which nothing else needs while an answer is written.

extension IngestLoop where IO: ~Copyable {
    /// True when the request goes no further: refused, or in a source that observes kept with its verdict.
    @inline(never)
    mutating func refusesEnvelope(
        _ slot: Int, _ source: UnsafePointer<IngestSource>, _ base: UnsafePointer<UInt8>, _ head: RequestHead,
        _ body: ByteView
    ) -> Bool {
        guard let rule = unsafe source.pointee.envelope else { return false }
        let bytes = unsafe ByteView(base, count: head.byteCount)
        let read = envelopeFields.read(fields, bytes)
        var terms = read.terms
        let fault = read.fault(terms, rule)
        terms.late = fault == nil ? read.lateFault(rule, bodyCount: body.count) : nil
        table[slot].terms.envelope = terms
        guard let fault else { return false }
        if let observed = unsafe observe(source, fault.reason) {
            unsafe join(slot, base, head, body, job: -1, verdict: observed)
        } else {
            refuse(slot, fault, bytes, body)
        }
        return true
    }
    /// The source demands a client's certificate, which was looked at, and the request has no signature beside it: both
    /// given, both hold.
    @inline(never)
    func certificateStands(_ slot: Int, _ source: UnsafePointer<IngestSource>) -> Bool {
        unsafe source.pointee.edge.certificate != nil && !table[slot].terms.envelope.isSigned
    }
    /// The signature is right, or the source keeps what has none. True when the request was refused all the same; a
    /// source that observes keeps it with that verdict, unless one was found before.
    @inline(never)
    mutating func refusesBehindSignature(
        _ index: Int, _ source: UnsafePointer<IngestSource>, _ verdict: inout RecordVerification
    ) -> Bool {
        let slot = batch[index].slot
        var fault = table[slot].terms.envelope.late
        if fault == nil, lacksType(index) { fault = .typeMissing }
        guard let fault else { return false }
        if unsafe source.pointee.observes {
            if verdict.isTrusted, let observed = unsafe observe(source, fault.reason) { verdict = observed }
            return false
        }
        refuse(slot, fault, batch[index].bytes, batch[index].body)
        return true
    }
    private func lacksType(_ index: Int) -> Bool {
        guard batch[index].isHeld, let reading = table[batch[index].slot].held.reading else {
            return batch[index].values.eventType.isEmpty
        }
        // Such a source does not split: what a worker has read is one event.
        var cursor = ElementCursor(reading.elements)
        return cursor.next()?.eventType.count == 0
    }
    mutating func refuse(_ slot: Int, _ fault: EnvelopeFault, _ bytes: ByteView, _ body: ByteView) {
        noteRejection(slot, fault.reason, bytes, body)
        let source = unsafe sources + Int(table[slot].terms.sourceIndex)
        metrics.countAnswer(fault.status, source: unsafe source.pointee.counterSlot)
        refuseEnveloped(slot, reply(slot, status: fault.status), fault.words)
    }

    // MARK: answers

    /// `{"error":{"code","message","request_id"}}`.
    @inline(never)
    mutating func refuseEnveloped(_ slot: Int, _ plain: Reply, _ words: EnvelopeWords) {
        var reply = plain
        reply.lines = envelopeLines(slot, behind: plain.lines, beside: .empty)
        var body = bodyWriter(behind: reply.lines)
        body.append(#"{"error":{"code":""#)
        body.append(words.code)
        body.append(#"","message":""#)
        body.append(words.message)
        body.append(#"","request_id":""#)
        body.append(envelopeID(slot))
        body.append("\"")
        body.append(words.more)
        body.append("}}\n")
        send(slot, reply, body)
    }
    /// `{"status","event_id","correlation_id"}`; without the id while it may become another event's.
    mutating func answerEnveloped(_ slot: Int, _ reply: Reply, _ id: EventID?, isDuplicate: Bool) {
        var body = bodyWriter(behind: reply.lines)
        body.append(isDuplicate ? #"{"status":"duplicate""# : #"{"status":"accepted""#)
        if let id {
            body.append(#","event_id":""#)
            body.append(unsafe EnvelopeID(id.uuid, writtenTo: scratch))
            body.append("\"")
        }
        body.append(#","correlation_id":""#)
        body.append(envelopeID(slot))
        body.append("\"}\n")
        send(slot, reply, body)
    }
    private mutating func send(_ slot: Int, _ reply: Reply, _ body: ByteWriter) {
        let (memory, capacity) = unsafe replyRoom(slot)
        unsafe written(slot, reply.write(body.view, date: dates, to: memory, capacity: capacity))
    }
    /// The request's, or one that it gets.
    private mutating func envelopeID(_ slot: Int) -> EnvelopeID {
        if let id = table[slot].terms.envelope.id { return id }
        let id = unsafe envelopeIDs.next(wallNanos ^ port.logIdentity ^ UInt64(slot), into: scratch)
        table[slot].terms.envelope.id = id
        return id
    }
    /// Behind `lines`, which may lie in `keyScratch` and then lie at its beginning. Without ours where the answer's own
    /// body leaves no room.
    mutating func envelopeLines(_ slot: Int, behind lines: ByteView, beside body: ByteView) -> ByteView {
        let (_, capacity) = unsafe replyRoom(slot)
        guard Reply.headBytesMax + lines.count + EnvelopeLines.bytesMax + body.count <= capacity else { return lines }
        let id = envelopeID(slot)
        var writer = unsafe ByteWriter(keyScratch, capacity: IngestSizes.keyBytesMax)
        writer.append(lines)
        writer.append(EnvelopeLines.fixed)
        writer.append("X-Request-Id: ")
        writer.append(id)
        writer.append("\r\nX-Zen-Contract-Version: ")
        writer.append(table[slot].terms.envelope.isFirstVersion ? "v0" : "v1alpha1")
        writer.append("\r\n")
        return writer.view
    }
    private func bodyWriter(behind lines: ByteView) -> ByteWriter {
        unsafe ByteWriter(keyScratch + lines.count, capacity: IngestSizes.keyBytesMax - lines.count)
    }
}

/// What browsers are told of every answer of the contract (S0-R5); every reply of the port has the first of them.
enum EnvelopeLines {
    static let fixed: StaticString = """
        X-Frame-Options: DENY\r
        Referrer-Policy: no-referrer\r
        Cache-Control: no-store\r
        Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r

        """
    /// With id and version.
    static let bytesMax = 320
}

extension ByteWriter {
    @inline(__always) mutating func append(_ id: EnvelopeID) {
        unsafe id.write(to: room(for: EnvelopeID.byteCount))
        note(EnvelopeID.byteCount)
    }
}
