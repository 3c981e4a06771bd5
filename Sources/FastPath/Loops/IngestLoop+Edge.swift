// Where a request comes from: the PROXY preamble of a connection, the client behind trusted proxies, the addresses a
// source takes. Decided before the signature is looked at.
//
// Invariants: a connection of a listener with preambles takes no request before its preamble; one that is malformed, or
// from whom it must not come, closes the connection unanswered. The peer is asked of the kernel once a connection, and
// only when some source or a preamble needs it.
// Safety: bytes are read in the tick that brought them, or in the connection's block.

import CShims

extension IngestLoop {
    mutating func beginConnection(_ slot: Int, listener: Int) {
        unsafe table[slot].pointee.edge.expectsPreamble = edge.preambleListeners & 1 << UInt64(listener) != 0
    }

    /// True when the request was answered here: from an address that its source does not take, or a challenge that
    /// comes without a signature.
    mutating func answersBeforeVerification(_ slot: Int, _ bytes: ByteView, _ body: ByteView) -> Bool {
        let source = unsafe sources + Int(table[slot].pointee.sourceIndex)
        edge.origin = .empty
        if unsafe source.pointee.edge.needsOrigin || source.pointee.edge.addresses != nil {
            let client = unsafe client(slot, bytes, source)
            if let addresses = unsafe source.pointee.edge.addresses {
                guard let client, addresses.contains(client) else {
                    reject(slot, .addressNotAllowed, bytes, body, status: 403)
                    return true
                }
            }
        }
        let method = unsafe table[slot].pointee.head.method
        guard unsafe source.pointee.edge.handshakeMethods.takes(method) else { return false }
        if method == .post, unsafe source.pointee.handshake?.takesUnsignedPost != true { return false }
        return answersChallenge(slot, bytes, body)
    }
    private mutating func client(_ slot: Int, _ bytes: ByteView, _ source: UnsafePointer<IngestSource>) -> IPAddress? {
        let peer = peer(slot)
        return unsafe edge.read(
            bytes, table[slot].pointee.head, fields, peer: peer, isPeerSecure: table[slot].pointee.edge.isPeerSecure,
            trusted: snapshot.edge.trusted, source: source.pointee.edge)
    }
    /// Who is at the other end, as far as the connection itself says.
    mutating func peer(_ slot: Int) -> IPAddress? {
        let connection = unsafe table[slot]
        if unsafe !connection.pointee.edge.isPeerKnown {
            unsafe connection.pointee.edge.isPeerKnown = true
            unsafe connection.pointee.edge.peer = IngestLoop.peer(of: connection.pointee.descriptor)
        }
        return unsafe connection.pointee.edge.peer
    }
    private static func peer(of descriptor: Int32) -> IPAddress? {
        var high: UInt64 = 0
        var low: UInt64 = 0
        switch unsafe sluice_peer_address(descriptor, &high, &low) {
        case 4: return IPAddress(v4: UInt32(truncatingIfNeeded: low))
        case 6: return IPAddress(v6High: high, low: low).unmapped
        default: return nil
        }
    }

    // MARK: the preamble

    /// The first bytes of a connection that must begin with a preamble.
    mutating func takePreamble(_ slot: Int, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        switch unsafe readPreamble(slot, ByteView(UnsafePointer(bytes), count: count)) {
        case .refused: return
        case .complete(let taken): if taken < count { unsafe takeDirectly(slot, bytes + taken, count - taken) }
        case .incomplete:
            // The time is the accept's: a preamble that comes byte by byte does not extend it.
            if unsafe append(slot, bytes, count) { unsafe table[slot].pointee.phase = .head }
        }
    }
    /// Goes on with a preamble in the block. True when it is complete and bytes follow it.
    mutating func continuesBehindPreamble(_ slot: Int) -> Bool {
        let connection = unsafe table[slot]
        let base = unsafe arena.pointer(connection.pointee.block) + connection.pointee.inputStart
        let view = unsafe ByteView(base, count: connection.pointee.inputEnd - connection.pointee.inputStart)
        switch readPreamble(slot, view) {
        case .refused: return false
        case .incomplete:
            if unsafe connection.pointee.isPeerDone { close(slot) }
            return false
        case .complete(let taken):
            unsafe connection.pointee.inputStart += taken
            unsafe connection.pointee.phase = .idle
            if unsafe connection.pointee.inputStart < connection.pointee.inputEnd { return true }
            dropBlock(slot)
            return false
        }
    }
    private enum PreambleStep {
        case incomplete
        case complete(Int)
        case refused
    }
    private mutating func readPreamble(_ slot: Int, _ bytes: ByteView) -> PreambleStep {
        switch ProxyProtocol.parse(bytes) {
        case .incomplete: return .incomplete
        case .complete(let preamble):
            let sender = peer(slot)
            if let trusted = snapshot.edge.trusted, !(sender.map { trusted.contains($0) } ?? trusted.takesLocal) {
                break
            }
            let connection = unsafe table[slot]
            unsafe connection.pointee.edge.expectsPreamble = false
            if let source = preamble.source {
                unsafe connection.pointee.edge.peer = source
                unsafe connection.pointee.edge.isPeerSecure = preamble.isSecure
            }
            return .complete(preamble.byteCount)
        case .malformed: break
        }
        metrics.count(.malformed)
        close(slot)
        return .refused
    }
}
