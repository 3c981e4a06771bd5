// What lies between the sockets of an egress loop and its connections: nothing for a plain one, a TLS session for the
// others, for each slot. Bookkeeping only; `EgressLoop+Transport` moves the bytes.
//
// Invariants: a slot is `plain` exactly while no session, tunnel or operation of its own is there; its operations are
// counted here, because a connection knows nothing of a handshake's, and the descriptor outlives them all. A ticket is
// used for the pool and the key that it came from: another address or another certificate policy verifies anew.
//
// Safety: owns its arrays and scratch memory; every index is checked against its capacity.

import CShims

/// One connection's part.
struct EgressTransport: ~Copyable {
    enum Stage: UInt8 {
        case plain
        /// TCP, then the tunnel through a proxy, then the handshake: all of it is the connection's connect.
        case connecting, tunnelling, handshaking
        case open
        /// Failed, or closed by the peer: what comes is dropped.
        case over
    }
    var stage = Stage.plain
    var session: TLSSession?
    var tunnel = TunnelAnswer()
    var isSendInFlight = false
    var isReceiveArmed = false
    /// True exactly when the connection is done and only operations of ours keep the slot.
    var isFreeing = false
    /// Bytes of the connection's message that are in records which are not all sent.
    var plainInFlight = 0
    /// The connection has a message to send, and there was no room for a record.
    var wantsWrite = false
    /// True exactly when plaintext has come.
    var hasRead = false

    var isInFlight: Bool { isSendInFlight || isReceiveArmed }
}

/// A ticket of a pool's destination.
private struct PoolTicket: ~Copyable {
    var ticket: TLSTicket?
    var key: UInt64 = 0
    /// When the peer last showed its certificate, monotonic nanoseconds: resumed sessions show none.
    var verifiedAt: UInt64 = 0
    /// A certificate is looked at again after an hour at the latest.
    static let nanosMax: UInt64 = 3_600_000_000_000
}

@safe struct EgressTransports: ~Copyable {
    private let slots: UnsafeMutablePointer<EgressTransport>
    private let slotCount: Int
    private let tickets: UnsafeMutablePointer<PoolTicket>
    private let poolCount: Int
    /// Where plaintext is put together for a record, and where a record's plaintext is read to.
    let outbound: UnsafeMutablePointer<UInt8>
    let inbound: UnsafeMutablePointer<UInt8>
    let inboundRoom: Int
    static var outboundRoom: Int { 16_384 }
    /// Two records, and what the protocol adds.
    static var outputBytes: Int { 34_816 }

    /// `inboundRoom` bytes are what a connection takes at once.
    init(slotCount: Int, poolCount: Int, inboundRoom: Int) {
        precondition(slotCount > 0 && poolCount > 0 && inboundRoom > 0)
        self.slotCount = slotCount
        self.poolCount = poolCount
        self.inboundRoom = inboundRoom
        unsafe slots = .allocate(capacity: slotCount)
        for slot in 0..<slotCount { unsafe (slots + slot).initialize(to: EgressTransport()) }
        unsafe tickets = .allocate(capacity: poolCount)
        for pool in 0..<poolCount { unsafe (tickets + pool).initialize(to: PoolTicket()) }
        unsafe outbound = .allocate(capacity: EgressTransports.outboundRoom)
        unsafe inbound = .allocate(capacity: inboundRoom)
    }
    deinit {
        unsafe slots.deinitialize(count: slotCount)
        unsafe slots.deallocate()
        unsafe tickets.deinitialize(count: poolCount)
        unsafe tickets.deallocate()
        unsafe outbound.deallocate()
        unsafe inbound.deallocate()
    }
    /// For the budget that is printed.
    static func memoryBytes(slotCount: Int, poolCount: Int, inboundRoom: Int) -> Int {
        slotCount * MemoryLayout<EgressTransport>.stride + poolCount * MemoryLayout<PoolTicket>.stride
            + outboundRoom + inboundRoom
    }

    @inline(__always) subscript(slot: Int32) -> EgressTransport {
        unsafeAddress {
            precondition(slot >= 0 && Int(slot) < slotCount)
            return unsafe UnsafePointer(slots + Int(slot))
        }
        unsafeMutableAddress {
            precondition(slot >= 0 && Int(slot) < slotCount)
            return unsafe slots + Int(slot)
        }
    }
    @inline(__always) func isPlain(_ slot: Int32) -> Bool { self[slot].stage == .plain }
    /// The slot's connection is gone.
    mutating func reset(_ slot: Int32) {
        precondition(!self[slot].isInFlight)
        self[slot] = EgressTransport()
    }

    // MARK: tickets

    @inline(__always) private func place(_ pool: UInt32) -> UnsafeMutablePointer<PoolTicket> {
        precondition(Int(pool) < poolCount)
        return unsafe tickets + Int(pool)
    }
    /// Keeps what the slot's peer has left for a later session, if it has.
    mutating func keepTicket(of slot: Int32, pool: UInt32, key: UInt64, now: UInt64) {
        guard let ticket = self[slot].session?.takeTicket() else { return }
        let isResumed = self[slot].session?.isResumed ?? false
        let place = unsafe place(pool)
        if !isResumed { unsafe place.pointee.verifiedAt = now }
        unsafe place.pointee.ticket = consume ticket
        unsafe place.pointee.key = key
    }
    /// Before the slot's first read.
    mutating func useTicket(for slot: Int32, pool: UInt32, key: UInt64, now: UInt64) {
        let place = unsafe place(pool)
        guard unsafe place.pointee.key == key, unsafe now &- place.pointee.verifiedAt < PoolTicket.nanosMax else {
            return
        }
        guard let ticket = unsafe place.pointee.ticket.take() else { return }
        guard ticket.isFresh else { return }
        self[slot].session?.resume(ticket)
        // Several connections may begin with it before the peer has left a newer one.
        unsafe place.pointee.ticket = consume ticket
    }
    mutating func forgetTicket(pool: UInt32) { unsafe place(pool).pointee.ticket = nil }
}
