// The TLS sessions of a loop's connections, by slot: ciphertext in, plaintext out, and the other way about. It sees no
// socket; the loop moves the bytes. And the gate that says when a handshake may begin.
//
// A handshake costs what a hundred requests cost, and a flood of them would slow those who are there already. So the
// kernel keeps a new connection's first bytes until the gate lets it in: at once while no connection without TLS needs
// the loop, and else for a share of the loop's time. Who has sent nothing stands before no gate and in nobody's way.
//
// Invariants: a slot has a session exactly while its connection is one of TLS; ciphertext that was fed is used up, or
// given up with the session, before the tick ends; what is sealed is sent in its order. Safety: owns sessions and
// scratch; slots are checked against the capacity.

@safe struct SecureSessions: ~Copyable {
    /// Of an answer that is being sealed: where it goes on and where it ends.
    struct Unsealed {
        var start: UInt32 = 0
        var end: UInt32 = 0
    }
    /// Those in use, by `isUsed`, are there; the others are not.
    private let sessions: UnsafeMutablePointer<TLSSession>
    private let isUsed: UnsafeMutablePointer<Bool>
    private let unsealed: UnsafeMutablePointer<Unsealed>
    private let capacity: Int
    /// The plaintext of one read.
    private let plain: UnsafeMutablePointer<UInt8>
    static var plainBytes: Int { 16_384 }

    init(capacity: Int) {
        self.capacity = capacity
        unsafe sessions = .allocate(capacity: capacity)
        unsafe isUsed = .allocate(capacity: capacity)
        unsafe isUsed.initialize(repeating: false, count: capacity)
        unsafe unsealed = .allocate(capacity: capacity)
        unsafe unsealed.initialize(repeating: Unsealed(), count: capacity)
        unsafe plain = .allocate(capacity: SecureSessions.plainBytes)
    }
    deinit {
        for slot in 0..<capacity where unsafe isUsed[slot] { unsafe (sessions + slot).deinitialize(count: 1) }
        unsafe sessions.deallocate()
        unsafe isUsed.deallocate()
        unsafe unsealed.deallocate()
        unsafe plain.deallocate()
    }
    @inline(__always) private func place(_ slot: Int) -> UnsafeMutablePointer<TLSSession> {
        unsafe precondition(slot >= 0 && slot < capacity && isUsed[slot])
        return unsafe sessions + slot
    }

    /// False when there is no memory.
    mutating func open(_ slot: Int, _ context: TLSContextView) -> Bool {
        guard let session = TLSSession(accepting: context) else { return false }
        unsafe precondition(slot >= 0 && slot < capacity && !isUsed[slot])
        unsafe (sessions + slot).initialize(to: session)
        unsafe isUsed[slot] = true
        unsafe unsealed[slot] = Unsealed()
        return true
    }
    mutating func drop(_ slot: Int) {
        unsafe place(slot).deinitialize(count: 1)
        unsafe isUsed[slot] = false
    }
    func isOpen(_ slot: Int) -> Bool { unsafe place(slot).pointee.isOpen }
    func isResumed(_ slot: Int) -> Bool { unsafe place(slot).pointee.isResumed }

    // MARK: in

    mutating func feed(_ slot: Int, _ ciphertext: UnsafePointer<UInt8>, _ count: Int) {
        unsafe place(slot).pointee.feed(ciphertext, count: count)
    }
    /// `bytes` are at `plaintext` until the next read of any session.
    @inline(__always) mutating func read(_ slot: Int) -> TLSStep {
        unsafe place(slot).pointee.read(into: plain, room: SecureSessions.plainBytes)
    }
    var plaintext: UnsafeMutablePointer<UInt8> { unsafe plain }
    /// Ciphertext that was fed is all used.
    func isFedUp(_ slot: Int) -> Bool { unsafe place(slot).pointee.unreadCount == 0 }

    // MARK: out

    /// Ciphertext that waits to be sent.
    @inline(__always) func outputCount(_ slot: Int) -> Int { unsafe place(slot).pointee.outputCount }
    @inline(__always) func output(_ slot: Int) -> UnsafePointer<UInt8> {
        guard let bytes = unsafe place(slot).pointee.output else { preconditionFailure("nothing waits to be sent") }
        return unsafe bytes
    }
    mutating func sent(_ slot: Int, _ count: Int) { unsafe place(slot).pointee.sent(count) }
    /// Seals `answer[0..<count]`, as much as there is room for; `sealMore` goes on. False when the session failed.
    mutating func seal(_ slot: Int, _ answer: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        unsafe unsealed[slot] = Unsealed(start: 0, end: UInt32(truncatingIfNeeded: count))
        return unsafe sealMore(slot, answer)
    }
    mutating func sealMore(_ slot: Int, _ answer: UnsafePointer<UInt8>) -> Bool {
        while unsafe unsealed[slot].start < unsealed[slot].end {
            let start = unsafe Int(unsealed[slot].start)
            let left = unsafe Int(unsealed[slot].end) - start
            guard let taken = unsafe place(slot).pointee.write(answer + start, count: left) else { return false }
            if taken == 0 { return true }
            unsafe unsealed[slot].start = UInt32(truncatingIfNeeded: start + taken)
        }
        return true
    }
    func isSealed(_ slot: Int) -> Bool { unsafe unsealed[slot].start == unsealed[slot].end }
    /// The peer is told that nothing follows.
    mutating func finish(_ slot: Int) { unsafe place(slot).pointee.finish() }
    /// Buffers that only an active session needs go back.
    mutating func rest(_ slot: Int) { unsafe place(slot).pointee.rest() }
    /// The client's certificate. Valid while the connection has its slot.
    func peer(_ slot: Int) -> PeerCertificate? { unsafe place(slot).pointee.peer }
    func isBelieved(_ slot: Int, by context: TLSContextView) -> Bool {
        unsafe place(slot).pointee.isBelieved(by: context)
    }
}

/// When handshakes may begin. Passive: told the time and what a handshake took.
package struct HandshakeGate {
    /// Of the loop's time, while connections without TLS need it.
    static var shareDivisor: UInt64 { 20 }
    static var budgetNanosMax: Int64 { 2_000_000 }

    private var budgetNanos: Int64 = 0
    private var refilledAt: UInt64 = 0
    /// What one takes, by those that were.
    private var expectedNanos: Int64 = 100_000

    package init() {}

    /// At the beginning of a tick. `isContended`: connections without TLS have work in it.
    package mutating func refill(now: UInt64, isContended: Bool) {
        let elapsed = now &- refilledAt
        refilledAt = now
        let share = isContended ? elapsed / HandshakeGate.shareDivisor : UInt64(HandshakeGate.budgetNanosMax)
        budgetNanos = min(
            budgetNanos + Int64(min(share, UInt64(HandshakeGate.budgetNanosMax))), HandshakeGate.budgetNanosMax)
    }
    /// True when one may begin, which is paid for then.
    package mutating func letIn() -> Bool {
        guard budgetNanos > 0 else { return false }
        budgetNanos -= expectedNanos
        return true
    }
    /// One that was let in came to nothing.
    package mutating func giveBack() { budgetNanos = min(budgetNanos + expectedNanos, HandshakeGate.budgetNanosMax) }
    package mutating func took(_ nanos: UInt64) {
        let taken = Int64(min(nanos, 10_000_000))
        budgetNanos -= taken - expectedNanos
        expectedNanos += (taken - expectedNanos) / 8
    }
}
