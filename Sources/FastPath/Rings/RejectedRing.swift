// Requests that were answered 401, on their way from one ingest loop to the worker that keeps them: whole copies in a
// bounded ring of bytes. Full = counted by the loop and not kept; nothing grows and nothing waits.
//
// Invariants: exactly one loop pushes, exactly one worker takes; a request is in the ring whole or not at all.
// Safety: views are copied before `push` returns; the producer's scratch is read by nobody else.

/// A request that was refused, as its source saw it; owns its bytes.
package struct RejectedRequest: Sendable {
    package var sourceName: String
    /// 0 when the source has none.
    package var sourceNumber: UInt32
    package var reason: SignatureRejection
    /// Wall clock, nanoseconds since 1970.
    package var receivedAt: UInt64
    /// The client's address, behind the proxies that are trusted; nil when it is not known.
    package var peer: IPAddress?
    /// The head as received, its empty line included.
    package var head: [UInt8]
    /// Without its framing.
    package var body: [UInt8]

    package init(
        sourceName: String, sourceNumber: UInt32 = 0, reason: SignatureRejection, receivedAt: UInt64,
        peer: IPAddress?, head: [UInt8], body: [UInt8]
    ) {
        self.sourceName = sourceName
        self.sourceNumber = sourceNumber
        self.reason = reason
        self.receivedAt = receivedAt
        self.peer = peer
        self.head = head
        self.body = body
    }
    /// Parsed again, for a verifier. A request that came through a loop parses.
    package func captured() throws(CaptureError) -> CapturedRequest { try CapturedRequest(head: head, body: body) }
}

@safe package final class RejectedRing: @unchecked Sendable {
    /// Head and body of one request together.
    package static let requestBytesMax = 256 << 10
    private let ring: EventRing
    private let scratch: UnsafeMutablePointer<UInt8>
    /// Of the worker that takes; several rings may share one.
    private let wakeup: Wakeup
    package var byteCount: Int { ring.byteCount }

    /// `byteCount` is a power of two and takes `requestBytesMax` several times.
    package init(byteCount: Int, wakeup: Wakeup) throws(OutOfMemory) {
        precondition(byteCount >= 2 * RejectedRing.requestBytesMax)
        ring = try EventRing(byteCount: byteCount)
        unsafe scratch = .allocate(capacity: 17)
        unsafe scratch.initialize(repeating: 0, count: 17)
        self.wakeup = wakeup
    }
    deinit { unsafe scratch.deallocate() }

    /// Loop: copies the request in. False when there is no room or it is too large.
    func push(
        source: ByteView, sourceNumber: UInt32, reason: SignatureRejection, receivedAt: UInt64, peer: IPAddress?,
        head: ByteView, body: ByteView
    ) -> Bool {
        guard head.count + body.count <= RejectedRing.requestBytesMax else { return false }
        var event = EventInput()
        event.source = source
        event.sourceNumber = sourceNumber
        if let peer { event.eventType = place(peer) }
        event.fieldLines = head
        event.body = body
        event.receivedAt = receivedAt
        guard ring.push(event, ticket: UInt64(reason.index), durability: .memory) else { return false }
        wakeup.signal()
        return true
    }
    private func place(_ peer: IPAddress) -> ByteView {
        unsafe scratch[0] = peer.family.rawValue
        unsafe UnsafeMutableRawPointer(scratch + 1).storeBytes(of: peer.high, as: UInt64.self)
        unsafe UnsafeMutableRawPointer(scratch + 9).storeBytes(of: peer.low, as: UInt64.self)
        return unsafe ByteView(scratch, count: 17)
    }

    /// Worker: the oldest one, nil when there is none.
    package func next() -> RejectedRequest? {
        guard let front = ring.front() else { return nil }
        let request = RejectedRequest(
            sourceName: front.event.source.text, sourceNumber: front.event.sourceNumber,
            reason: SignatureRejection.allCases[Int(front.ticket)],
            receivedAt: front.event.receivedAt, peer: RejectedRing.peer(front.event.eventType),
            head: front.event.fieldLines.array, body: front.event.body.array)
        ring.dropFront(front)
        return request
    }
    package var isEmpty: Bool { ring.isEmpty }

    private static func peer(_ bytes: ByteView) -> IPAddress? {
        guard bytes.count == 17 else { return nil }
        let high = bytes.load(1, as: UInt64.self)
        let low = bytes.load(9, as: UInt64.self)
        if bytes[0] == IPAddress.Family.v4.rawValue { return IPAddress(v4: UInt32(truncatingIfNeeded: low)) }
        return IPAddress(v6High: high, low: low)
    }
}
