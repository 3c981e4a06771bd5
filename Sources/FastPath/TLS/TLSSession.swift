// One TLS connection without a socket. Ciphertext that came is fed and plaintext read; plaintext is written, and
// ciphertext waits in the session's block until its owner says how much of it was sent. The handshake goes on by itself
// inside `read`.
//
//     feed → read … read → wantsInput          write → output → sent
//
// Invariants: ciphertext that was fed is used until a read wants input, and no longer; what waits to be sent does not
// move until it was sent; after `failed` nothing is read or written any more, but an alert may wait to be sent; a
// client's session is open only when its peer has proved to be whom it was told to expect.
//
// Cost: a warm session (one that has moved data since `rest`) asks the system for no memory.
//
// Safety: owns the C session; pointers that go in are used during the call, `feed`'s until the reads want more.

import CShims

package enum TLSStep: Equatable, Sendable, BitwiseCopyable {
    /// So many were written; call again.
    case bytes(Int)
    /// All that was fed is used.
    case wantsInput
    /// What waits must be sent before it can go on; then read again.
    case wantsRoom
    /// The peer said that nothing more comes.
    case closed
    case failed(TLSFailure)
}

@safe package struct TLSSession: ~Copyable {
    private let session: OpaquePointer

    /// One record and what the protocol itself may add: what a session may have to send at once.
    package static var outputBytesDefault: Int { 17_408 }

    /// A server's. Nil without memory.
    @inline(__always) package init?(accepting context: TLSContextView, outputBytes: Int = outputBytesDefault) {
        precondition(context.isServer)
        guard let made = unsafe sluice_tls_session_open(context.pointer, 1, outputBytes) else { return nil }
        unsafe session = made
    }
    /// A client's, with a peer that must prove to be `name`, C text that is copied. Nil without memory.
    @inline(__always) package init?(
        connecting context: TLSContextView, name: UnsafePointer<CChar>, isAddress: Bool,
        outputBytes: Int = outputBytesDefault
    ) {
        precondition(!context.isServer)
        guard let made = unsafe sluice_tls_session_open(context.pointer, 0, outputBytes) else { return nil }
        guard unsafe sluice_tls_session_expect(made, name, isAddress ? 1 : 0) == 1 else {
            unsafe sluice_tls_session_free(made)
            return nil
        }
        unsafe session = made
    }
    deinit { unsafe sluice_tls_session_free(session) }

    // MARK: in

    @inline(__always) package mutating func feed(_ ciphertext: UnsafePointer<UInt8>, count: Int) {
        precondition(count >= 0)
        unsafe sluice_tls_session_feed(session, ciphertext, count)
    }
    /// Ciphertext that was fed and is not used yet.
    @inline(__always) package var unreadCount: Int { unsafe sluice_tls_session_unread(session) }

    /// Goes on with the handshake, then gives plaintext. A client begins with a call that nothing was fed for.
    @inline(__always) package mutating func read(into plaintext: UnsafeMutablePointer<UInt8>, room: Int) -> TLSStep {
        precondition(room > 0)
        let result = unsafe sluice_tls_session_read(session, plaintext, room)
        if result > 0 { return .bytes(Int(result)) }
        switch Int(result) {
        case Int(SLUICE_TLS_STEP_WANTS_INPUT): return .wantsInput
        case Int(SLUICE_TLS_STEP_WANTS_ROOM): return .wantsRoom
        case Int(SLUICE_TLS_STEP_CLOSED): return .closed
        default: return .failed(failure)
        }
    }

    // MARK: out

    /// One record: takes what has room, at most 16 KiB, and says how much; 0 when something must be sent first, nil
    /// when the session failed.
    @inline(__always) package mutating func write(_ plaintext: UnsafePointer<UInt8>, count: Int) -> Int? {
        precondition(count >= 0)
        let taken = unsafe sluice_tls_session_write(session, plaintext, count)
        return taken >= 0 ? Int(taken) : nil
    }
    /// Says that nothing more will be sent; there may be something to send after it.
    @inline(__always) package mutating func finish() { unsafe sluice_tls_session_finish(session) }

    @inline(__always) package var outputCount: Int {
        var count = 0
        _ = unsafe sluice_tls_session_output(session, &count)
        return count
    }
    /// `outputCount` bytes that stay where they are until `sent`; nil when there are none.
    @inline(__always) package var output: UnsafePointer<UInt8>? {
        var count = 0
        let bytes = unsafe sluice_tls_session_output(session, &count)
        return unsafe count > 0 ? bytes : nil
    }
    @inline(__always) package mutating func sent(_ count: Int) {
        precondition(count >= 0 && count <= outputCount)
        unsafe sluice_tls_session_sent(session, count)
    }
    /// For a session with nothing to do: gives back the buffers that only an active one needs, some 50 KiB. Does
    /// nothing while something waits to be sent.
    @inline(__always) package mutating func rest() { unsafe sluice_tls_session_rest(session) }

    // MARK: what is known of it

    /// True exactly when the handshake is done and nothing has failed.
    @inline(__always) package var isOpen: Bool { unsafe sluice_tls_session_is_open(session) == 1 }
    @inline(__always) package var failure: TLSFailure {
        let code = unsafe UInt8(truncatingIfNeeded: sluice_tls_session_failure(session))
        return TLSFailure(rawValue: code) ?? .malformed
    }
    package var isResumed: Bool { unsafe sluice_tls_session_is_resumed(session) == 1 }
    package var isVersion13: Bool { unsafe sluice_tls_session_version(session) == 0x0304 }

    /// The peer's certificate; nil when it showed none, or the session is not open yet. Valid as long as the session.
    package var peer: PeerCertificate? {
        guard let facts = unsafe sluice_tls_session_peer(session) else { return nil }
        return unsafe PeerCertificate(facts)
    }

    /// Whether `context`, a server's, would take what the peer has shown here from a new client: by its authorities and
    /// its lists, now. False when it showed nothing. Cost: the verification of a chain.
    package func isBelieved(by context: TLSContextView) -> Bool {
        precondition(context.isServer)
        return unsafe sluice_tls_context_believes(context.pointer, session) == 1
    }

    // MARK: resumption

    /// Before the first read: tries to go on where an earlier session with the same peer was.
    @inline(__always) package mutating func resume(_ ticket: borrowing TLSTicket) {
        unsafe sluice_tls_session_resume(session, ticket.pointer)
    }
    /// What the peer left for a later session since the last call.
    @inline(__always) package mutating func takeTicket() -> TLSTicket? {
        guard let pointer = unsafe sluice_tls_session_ticket(session) else { return nil }
        return unsafe TLSTicket(owning: pointer)
    }
}

/// What a client needs to come back to a server at less cost. It stands for a verification that was done: it must only
/// be used for the same peer and with the same context.
@safe package struct TLSTicket: ~Copyable {
    let pointer: OpaquePointer
    /// A certificate is looked at again after an hour at the latest.
    private static let secondsMax: Int64 = 3600

    @inline(__always) init(owning pointer: OpaquePointer) { unsafe self.pointer = pointer }
    deinit { unsafe sluice_tls_ticket_free(pointer) }

    @inline(__always) package var isFresh: Bool {
        unsafe sluice_tls_ticket_is_fresh(pointer, TLSTicket.secondsMax) == 1
    }
}

package enum TLSMemory {
    /// How often this thread has asked the system for memory on behalf of TLS and signatures.
    package static var missCount: UInt64 { sluice_tls_memory_misses() }
}
