// Challenges: answered on the loop, counted, never put into the log.
//
// Invariant: a challenge in a body comes here verified; one in a query or a header is never an event, except of a
// source whose provider delivers by that method.
// Safety: an answer's views point into `scratch` and are in the reply when the call returns.

extension IngestLoop where IO: ~Copyable {
    /// A GET, HEAD, OPTIONS or POST, before it is verified. False when it is an event after all.
    mutating func answersChallenge(_ slot: Int, _ bytes: ByteView, _ body: ByteView) -> Bool {
        let source = unsafe sources + Int(table[slot].terms.sourceIndex)
        let head = table[slot].assembly.head
        guard let handshake = unsafe source.pointee.handshake else { return false }
        let answer = unsafe handshake.answer(
            bytes: bytes, head: head, fields: fields, body: body,
            key: source.pointee.scheme?.challengeKey(nowSeconds: wallSeconds), into: scratch,
            capacity: Handshake.scratchBytesMax)
        if sends(answer, slot, bytes, body) { return true }
        if unsafe source.pointee.edge.eventMethods.takes(head.method) { return false }
        reject(slot, .missingChallenge, bytes, body, status: 400)
        return true
    }
    /// A verified POST. False when it is an event.
    mutating func answersChallenge(_ handshake: Handshake, _ request: PendingRequest, key: SigningKey?) -> Bool {
        let answer = unsafe handshake.answer(
            body: request.body, key: key, into: scratch,
            capacity: Handshake.scratchBytesMax)
        return sends(answer, request.slot, request.bytes, request.body)
    }
    private mutating func sends(_ answer: HandshakeResponse, _ slot: Int, _ bytes: ByteView, _ body: ByteView) -> Bool {
        switch answer {
        case .none: return false
        case .rejected(let reason, let status): reject(slot, reason, bytes, body, status: status)
        case .reply(let content):
            metrics.count(.handshake, source: Int(table[slot].terms.counterSlot))
            var reply = reply(slot, status: content.status)
            reply.ownContentType = content.contentType
            reply.lines = content.lines
            let (memory, capacity) = unsafe replyRoom(slot)
            unsafe written(slot, reply.write(content.body, date: dates, to: memory, capacity: capacity))
        }
        return true
    }
}
