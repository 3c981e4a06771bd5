// Where requests meet the limits of their source and tenant: looked at before the signature is computed, taken once.
//
// What is not genuine must not use up what the genuine sender may send. A request that the loop verifies itself pays
// before its signature is computed, and gets it back when the signature is wrong; from then on, for ten seconds, and
// always where a worker verifies, a request is only looked at beforehand and pays when it is proven. So a forgery takes
// at most a tick's place, and from the second one on none. What is over the limit costs no signature either way.
//
// Invariants: a request pays at most once, whatever it waits for and whichever configuration it is judged under; what
// `mode: observe` keeps has paid, genuine or not. Safety: limits are the snapshot's, which the loop holds.

/// How far a request has paid.
enum RatePayment: UInt8, Sendable {
    case none, owed, paid
}

extension IngestLoop where IO: ~Copyable {
    /// True when the request was refused here. Only for sources with limits.
    @inline(never)
    mutating func isOverLimit(_ slot: Int, _ source: UnsafePointer<IngestSource>) -> Bool {
        // It comes again: the batch was full, or the configuration has changed since.
        guard table[slot].terms.payment == .none else { return false }
        let limits = unsafe source.pointee.limits
        let isProvedHere = unsafe source.pointee.scheme != nil && source.pointee.verifierID == 0
        let paysLater = unsafe isProvedHere ? limits.isDistrusted(nowNanos) : source.pointee.verifierID != 0
        let (decision, over) = paysLater ? limits.look(nowNanos) : limits.take(nowNanos)
        guard decision.isOpen else {
            answerOverLimit(slot, decision, over)
            return true
        }
        table[slot].terms.payment = paysLater ? .owed : .paid
        table[slot].terms.quota = decision.quota
        return false
    }
    /// A request that owes is proven now. True when others have taken what was left, and it was refused.
    @inline(never)
    mutating func cannotPay(_ slot: Int, _ source: UnsafePointer<IngestSource>) -> Bool {
        let (decision, over) = unsafe source.pointee.limits.take(nowNanos)
        guard decision.isOpen else {
            answerOverLimit(slot, decision, over)
            return true
        }
        table[slot].terms.payment = .paid
        table[slot].terms.quota = decision.quota
        return false
    }
    /// It was not genuine: what it has paid is somebody else's.
    @inline(never)
    mutating func refund(_ slot: Int, _ source: UnsafePointer<IngestSource>) {
        table[slot].terms.payment = .none
        let limits = unsafe source.pointee.limits
        limits.giveBack(nowNanos)
        limits.distrust(nowNanos)
    }
    /// An event that comes with a key: its tenant's limit. True when it was refused.
    mutating func publicationIsOverLimit(_ slot: Int, _ tenant: ByteView) -> Bool {
        guard !tenantLimits.isEmpty else { return false }
        let number = tenant.count == 4 ? tenant.load(0, as: UInt32.self) : RecordFormat.defaultTenantNumber
        let limits = tenantLimits.find(number)
        guard !limits.isNone else { return false }
        let (decision, over) = limits.take(nowNanos)
        guard !decision.isOpen else { return false }
        answerOverLimit(slot, decision, over)
        return true
    }
    private mutating func answerOverLimit(_ slot: Int, _ decision: RateDecision, _ over: RateScope) {
        let place = Int(table[slot].terms.counterSlot)
        metrics.count(.rateLimited, source: place)
        if over == .tenant { metrics.count(.overTenantLimit, source: place) }
        table[slot].terms.payment = .none
        let count = unsafe Reply.writeQuota(decision.quota, to: keyScratch, capacity: IngestSizes.keyBytesMax)
        answer(
            slot, status: 429, reason: "rate_limited", retryAfterSeconds: decision.waitSeconds,
            lines: unsafe ByteView(UnsafePointer(keyScratch), count: count))
    }
    /// What an answer to something kept says of the limit; empty where the answer's own body leaves no room for it.
    func quotaLines(_ slot: Int, beside body: ByteView) -> ByteView {
        let (_, capacity) = unsafe replyRoom(slot)
        guard Reply.headBytesMax + body.count + Reply.quotaBytesMax <= capacity else { return .empty }
        let count = unsafe Reply.writeQuota(
            table[slot].terms.quota, to: keyScratch, capacity: IngestSizes.keyBytesMax)
        return unsafe ByteView(UnsafePointer(keyScratch), count: count)
    }
}
