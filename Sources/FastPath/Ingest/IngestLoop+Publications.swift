// Publications: events that come with a key instead of a signature. A worker has looked at the call and made the event
// and what is to be answered; here it is offered to the log, and answered when that has it (law 1).
//
// Invariants: what a worker made stays with the connection until the answer was sent, or lies in the connection's room,
// so that a large answer is sent from where it lies; the call itself stays while a worker may be shown it again.
// Safety: an answer is written and sent only while its slot owns the memory; it goes home when all of it is with the
// kernel, or the slot is free.

extension IngestLoop where IO: ~Copyable {
    /// Who sent it, as far as the connection and its proxies say.
    mutating func publisher(_ slot: Int, _ head: ByteView) -> IPAddress? {
        edge.client(head, peer: peer(slot), trusted: snapshot.edge.trusted, limits: limits)
    }
    mutating func offer(_ slot: Int, _ publication: PassedPublication) {
        var event = publication.event
        if publicationIsOverLimit(slot, event.tenant) { return }
        if event.receivedAt == 0 { event.receivedAt = wallNanos }
        table[slot].held.stays = true
        // What is answered is all here: whoever does not take the answer keeps no request's memory.
        if publication.layout.hasDuplicate { dropBlock(slot) }
        metrics.count(.bodyBytes, source: Int(table[slot].terms.counterSlot), UInt64(event.body.count))
        unsafe offerPublication(slot, event, sources + Int(table[slot].terms.sourceIndex))
    }
    private mutating func offerPublication(
        _ slot: Int, _ event: EventInput, _ source: UnsafePointer<IngestSource>
    ) {
        let isHeldBack = unsafe port.isPressed && isOverShare(event, source)
        switch port.offer(event, ticket: table.tag(.send, slot).bits, durability: .fsync, takesNew: !isHeldBack) {
        case .appended, .pending: break
        case .duplicate(let sequence): answerPublished(slot, sequence, isDuplicate: true)
        case .refused(let reason): answerRefused(slot, reason)
        }
    }
    /// The log has it.
    @inline(never)
    mutating func answerPublished(_ slot: Int, _ sequence: UInt64, isDuplicate: Bool) {
        guard sequence > 0 else { return answerUnavailable(slot, reason: JournalRefusal.failed.rawValue) }
        guard let publication = table[slot].held.reading?.publication else {
            return answerPlain(slot, sequence, isDuplicate: isDuplicate)
        }
        let layout = publication.layout
        if isDuplicate, !layout.hasDuplicate { return askAgain(slot, sequence) }
        metrics.count(isDuplicate ? .duplicate : .accepted, source: Int(table[slot].terms.counterSlot))
        metrics.commit.record(micros: (nowMillis &- table[slot].terms.completedAt) &* 1000)
        let place = isDuplicate ? layout.duplicate : layout.accepted
        publication.name(EventID(logIdentity: port.logIdentity, sequence: sequence), in: place)
        answerPublication(slot, publication, place)
    }
    /// What is said of a repeated call takes a look into the log, which is a worker's.
    private mutating func askAgain(_ slot: Int, _ sequence: UInt64) {
        // After a reload its worker may be gone; and each look reads the log, while signatures wait.
        guard let verifiers, hasRoom(verifiers, isPublication: true), table[slot].held.epoch == epoch,
            seenAgainCount < IngestSizes.seenAgainCountMax
        else { return answerUnavailable(slot, reason: "verifier_busy") }
        metrics.count(.duplicate, source: Int(table[slot].terms.counterSlot))
        dropReading(slot)
        let held = table[slot].held
        let memory = unsafe UnsafePointer(arena.pointer(held.block) + held.start)
        let head = unsafe ByteView(memory, count: held.head.byteCount)
        let order = unsafe VerifierOrder(
            ticket: table.tag(.send, slot).bits, verifierID: held.verifierID, nowSeconds: wallSeconds, head: head,
            body: ByteView(memory + head.count, count: held.bodyCount), origin: .empty,
            client: publisher(slot, head), duplicateOf: sequence)
        let isTaken = verifiers.push(order)
        precondition(isTaken, "the ring is smaller than what may be out")
        table[slot].connection.handedAgain()
        table.noteDeadline(slot)
        table[slot].held.isSeenAgain = true
        seenAgainCount += 1
        verifyingCount += 1
        hasFreshOrders = true
    }

    // MARK: plain events of a caller who is known

    /// Offered to the log at once. False where a worker has to look.
    mutating func publishesDirectly(
        _ slot: Int, _ source: UnsafePointer<IngestSource>, _ bytes: ByteView, _ head: RequestHead, _ body: ByteView
    ) -> Bool {
        guard let publishers, head.query.isEmpty, bytes.slice(head.path).equals(PublicationFields.path),
            let said = publicationFields.read(fields, bytes),
            let pass = passes.find(
                said.bearer, version: publishers.version, nowMillis: nowMillis, wallMillis: wallNanos / 1_000_000),
            let plain = PlainPublication(body), Int(plain.payload.count) <= pass.bodyBytesMax
        else { return false }
        if publicationIsOverLimit(slot, pass.tenant) { return true }
        var event = EventInput()
        event.tenant = pass.tenant
        event.source = unsafe source.pointee.name
        event.sourceNumber = unsafe source.pointee.sourceNumber
        event.eventType = body.slice(plain.type)
        event.method = ByteView("POST")
        event.target = ByteView(PublicationFields.path)
        event.body = body.slice(plain.payload)
        event.dedupKey = body.slice(plain.eventID)
        event.dedupWindowSeconds = plain.eventID.isEmpty ? 0 : pass.windowSeconds
        event.receivedAt = wallNanos
        event.fieldLines = unsafe PublicationFields.lines(eventID: event.dedupKey, trace: said.trace, keyScratch)
        table[slot].connection.offered(now: nowMillis, limits)
        table.noteDeadline(slot)
        unsafe metrics.count(.bodyBytes, source: source.pointee.counterSlot, UInt64(event.body.count))
        unsafe offerPublication(slot, event, source)
        return true
    }
    private mutating func answerPlain(_ slot: Int, _ sequence: UInt64, isDuplicate: Bool) {
        metrics.count(isDuplicate ? .duplicate : .accepted, source: Int(table[slot].terms.counterSlot))
        metrics.commit.record(micros: (nowMillis &- table[slot].terms.completedAt) &* 1000)
        var reply = reply(slot, status: 202)
        reply.durability = DurabilityLevel.fsync.text
        reply.lines = ByteView("Cache-Control: no-store\r\n")
        let (memory, capacity) = unsafe replyRoom(slot)
        let id = EventID(logIdentity: port.logIdentity, sequence: sequence)
        unsafe written(
            slot,
            reply.writePublished(
                isDuplicate ? .duplicate : .accepted, id: id, date: dates, to: memory, capacity: capacity))
    }

    // MARK: what workers made

    /// What a worker wrote, behind a head of ours: in the connection's room, or where it lies when that is too small.
    mutating func answerPublication(_ slot: Int, _ publication: PassedPublication, _ place: PublicationAnswerLayout) {
        var reply = reply(slot, status: Int(place.status))
        reply.ownContentType = publication.contentType(place)
        reply.lines = publication.lines(place)
        // Also of what the log had before.
        if place.status >= 200, place.status < 300 { reply.durability = DurabilityLevel.fsync.text }
        let body = publication.body(place)
        let (memory, capacity) = unsafe replyRoom(slot)
        if Reply.headBytesMax + reply.lines.count + body.count <= capacity {
            let count = unsafe reply.write(body, date: dates, to: memory, capacity: capacity)
            dropHeld(slot)
            return written(slot, count)
        }
        dropBlock(slot)
        let headCount = unsafe reply.writeHead(bodyCount: body.count, date: dates, to: memory, capacity: capacity)
        let count = headCount + (reply.sendsBody ? body.count : 0)
        let start = unsafe publication.putHead(ByteView(UnsafePointer(memory), count: headCount), before: place)
        table[slot].held.stays = true
        table[slot].held.hasAnswer = true
        unsafe table[slot].held.answer = ByteView(start, count: count)
        table[slot].held.answerFrom = table[slot].connection.outputCount
        written(slot, count)
    }
}

/// What the fields of a plain event say: a bearer, the mark that no page of another origin sets, and nothing else that
/// counts. Names are looked up once, for the loop.
struct PublicationFields {
    static var path: StaticString { "/api/v1/events" }
    private let authorization = HeaderName("authorization")
    private let mark = HeaderName("x-sluice-request")
    /// With one of these a worker has to look.
    private let tenant = HeaderName("x-tenant-id")
    private let idempotencyKey = HeaderName("idempotency-key")
    private let requestID = HeaderName("x-request-id")
    private let traceState = HeaderName("tracestate")
    private let traceParent = HeaderName("traceparent")

    struct Said {
        let bearer: ByteView
        /// Empty where there is no `traceparent`.
        let trace: ByteView
    }

    func hasAuthorization(_ fields: borrowing FieldTable, _ bytes: ByteView) -> Bool {
        for index in 0..<fields.count {
            let field = fields[index]
            guard field.hash == authorization.hash else { continue }
            if bytes.slice(field.name).equalsIgnoringCase(lowered: authorization.view) { return true }
        }
        return false
    }
    /// Nil where a worker has to look.
    @inline(__always) func read(_ fields: borrowing FieldTable, _ bytes: ByteView) -> Said? {
        var bearer: ByteView?
        var trace = ByteView.empty
        var isMarked = false
        for index in 0..<fields.count {
            let field = fields[index]
            switch field.hash {
            case authorization.hash:
                guard bearer == nil, bytes.slice(field.name).equalsIgnoringCase(lowered: authorization.view) else {
                    return nil
                }
                bearer = bytes.slice(field.value)
            case mark.hash:
                guard !isMarked, bytes.slice(field.name).equalsIgnoringCase(lowered: mark.view),
                    bytes.slice(field.value).equals("1")
                else { return nil }
                isMarked = true
            case traceParent.hash:
                let value = bytes.slice(field.value)
                guard trace.count == 0, bytes.slice(field.name).equalsIgnoringCase(lowered: traceParent.view),
                    // A longer one, of a later version, is a worker's.
                    value.count == TraceParent.plainBytes, TraceParent(value) != nil
                else { return nil }
                trace = value
            case tenant.hash, idempotencyKey.hash, requestID.hash, traceState.hash: return nil
            default: continue
            }
        }
        guard isMarked, let bearer else { return nil }
        return Said(bearer: bearer, trace: trace)
    }
    /// As `PublishedEvent` writes them. Safety: `memory` has room for the id, the trace and 96 bytes.
    static func lines(eventID: ByteView, trace: ByteView, _ memory: UnsafeMutablePointer<UInt8>) -> ByteView {
        var count = 0
        func put(_ view: ByteView) {
            unsafe (memory + count).update(from: view.base, count: view.count)
            count += view.count
        }
        precondition(eventID.count + trace.count + 96 <= IngestSizes.keyBytesMax)
        if eventID.count > 0 {
            put(ByteView("Sluice-Event-Id: "))
            put(eventID)
            put(ByteView("\r\n"))
        }
        if trace.count > 0 {
            put(ByteView("traceparent: "))
            put(trace)
            put(ByteView("\r\n"))
        }
        put(ByteView("Content-Type: application/json\r\n"))
        return unsafe ByteView(UnsafePointer(memory), count: count)
    }
}
