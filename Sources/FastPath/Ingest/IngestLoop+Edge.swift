// Where a request comes from: the PROXY preamble of a connection, the client behind trusted proxies, the addresses a
// source takes, the certificate that it demands. Decided before the signature is looked at.
//
// Invariants: a connection of a listener with preambles takes no request before its preamble; one that is malformed, or
// from whom it must not come, closes the connection unanswered. The peer is asked of the kernel once a connection, and
// only when some source or a preamble needs it.
// Safety: bytes are read in the tick that brought them, or in the connection's block.

import CShims

extension IngestLoop where IO: ~Copyable {
    /// True when the request was answered here: from an address that its source does not take, or a challenge that
    /// comes without a signature.
    mutating func answersBeforeVerification(_ slot: Int, _ bytes: ByteView, _ body: ByteView) -> Bool {
        let source = unsafe sources + Int(table[slot].terms.sourceIndex)
        edge.origin = .empty
        if let reason = unsafe certificateFault(slot, source) {
            reject(slot, reason, bytes, body, status: 403)
            return true
        }
        if unsafe source.pointee.edge.needsOrigin || source.pointee.edge.addresses != nil {
            let client = unsafe client(slot, bytes, source)
            if let addresses = unsafe source.pointee.edge.addresses {
                guard let client, addresses.contains(client) else {
                    reject(slot, .addressNotAllowed, bytes, body, status: 403)
                    return true
                }
            }
        }
        let method = table[slot].assembly.head.method
        guard unsafe source.pointee.edge.handshakeMethods.takes(method) else { return false }
        if method == .post, unsafe source.pointee.handshake?.takesUnsignedPost != true { return false }
        return answersChallenge(slot, bytes, body)
    }
    /// Why the connection's certificate is not what the source demands; nil when it is, or none is demanded.
    @inline(__always) private mutating func certificateFault(
        _ slot: Int, _ source: UnsafePointer<IngestSource>
    ) -> SignatureRejection? {
        guard let rule = unsafe source.pointee.edge.certificate else { return nil }
        if table[slot].edge.trust != trust { verifyAgain(slot) }
        guard table[slot].edge.isBelieved else {
            // A new connection brings what a resumed session lacks: the authorities between.
            table[slot].connection.closeAfterReply(lingers: false)
            return .clientCertificateNotAllowed
        }
        return rule.fault(of: certificate(slot), nowSeconds: wallNanos / 1_000_000_000)
    }
    /// Authorities or lists have changed since its certificate was verified: once a connection and reload, where a
    /// request needs the certificate. It costs a tenth of a handshake.
    private mutating func verifyAgain(_ slot: Int) {
        table[slot].edge.trust = trust
        guard certificate(slot) != nil else { return }
        let listener = Int(table[slot].edge.listener)
        let context = listener < contexts.count ? contexts[listener]?.view : nil
        table[slot].edge.isBelieved = context.map { secure.isBelieved(slot, by: $0) } ?? false
    }
    /// What the client has shown: nil on a listener without TLS, or one that asks for none.
    func certificate(_ slot: Int) -> PeerCertificate? { table[slot].edge.isSecure ? secure.peer(slot) : nil }
    private mutating func client(_ slot: Int, _ bytes: ByteView, _ source: UnsafePointer<IngestSource>) -> IPAddress? {
        let peer = peer(slot)
        return unsafe edge.read(
            bytes, table[slot].assembly.head, fields, peer: peer, isPeerSecure: table[slot].edge.isPeerSecure,
            trusted: snapshot.edge.trusted, source: source.pointee.edge)
    }
    /// Who is at the other end, as far as the connection itself says.
    mutating func peer(_ slot: Int) -> IPAddress? {
        if !table[slot].edge.isPeerKnown {
            table[slot].edge.isPeerKnown = true
            table[slot].edge.peer = io.peer(table[slot].connection.descriptor)
        }
        return table[slot].edge.peer
    }

    // MARK: the preamble

    /// The first bytes of a connection that must begin with a preamble.
    mutating func takePreamble(_ slot: Int, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        switch unsafe readPreamble(slot, ByteView(UnsafePointer(bytes), count: count)) {
        case .refused: return
        case .complete(let taken): if taken < count { unsafe takeBehindPreamble(slot, bytes + taken, count - taken) }
        case .incomplete: if unsafe append(slot, bytes, count) { table[slot].connection.preambleBegan() }
        }
    }
    /// Goes on with a preamble in the block. True when it is complete and bytes follow it.
    mutating func continuesBehindPreamble(_ slot: Int) -> Bool {
        switch readPreamble(slot, table[slot].assembly.input(arena)) {
        case .refused: return false
        case .incomplete:
            if table[slot].connection.isPeerDone { apply(table[slot].connection.close(), slot) }
            return false
        case .complete(let taken):
            table[slot].assembly.dropFront(taken, &arena)
            table[slot].connection.headWithdrawn()
            return table[slot].assembly.hasInput
        }
    }
    private mutating func takeBehindPreamble(_ slot: Int, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        if table[slot].edge.isSecure { return unsafe takeSecure(slot, bytes, count) }
        unsafe takeDirectly(slot, bytes, count)
    }
    /// A preamble that comes in pieces, of a connection with TLS: what follows it is at the end of the last piece.
    mutating func continuePreamble(_ slot: Int, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        guard unsafe append(slot, bytes, count), continuesBehindPreamble(slot) else { return }
        let rest = table[slot].assembly.waitingCount
        table[slot].assembly.reset(&arena)
        unsafe takeSecure(slot, bytes + count - rest, rest)
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
            table[slot].edge.expectsPreamble = false
            if let source = preamble.source {
                table[slot].edge.peer = source
                table[slot].edge.isPeerSecure = preamble.isSecure || table[slot].edge.isSecure
            }
            return .complete(preamble.byteCount)
        case .malformed: break
        }
        metrics.count(.malformed)
        apply(table[slot].connection.close(), slot)
        return .refused
    }
}
