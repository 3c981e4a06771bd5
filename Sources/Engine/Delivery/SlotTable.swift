// The orders that are out: one slot each, found again by its token (slot and generation), so that an outcome that
// nobody waits for any more touches nothing. One thread.

import FastPath

struct OrderSlot {
    var lane: Lane?
    var destination: Destination?
    var pool: UInt32 = 0
    var origin = AttemptOrigin.first(ticket: 0)
    var place = EventLocation(sequence: 0, position: 0)
    /// Counted attempts before this one.
    var attempts: UInt16 = 0
    var lease: PayloadLease?
    var idEnd = 0
    var linesEnd = 0
    var bodyEnd = 0
    /// True exactly when this is the fresh connection's try after a kept one was found dead.
    var wasRepeated = false
    var addressIndex: UInt8 = 0
    /// Addresses tried before this one, in this attempt.
    var addressesTried = 0
    /// Every attempt is kept with its answer, one that succeeds at once too.
    var keepsAttempt = false
    /// The type of its event, where the endpoint's attempts are counted by it.
    var talliedType: String?
    /// What the shares were told.
    var wasProven = false
    /// Of the tenant that the order counts for.
    var tenant: TenantShare?
    /// True exactly when it tries an endpoint whose breaker is half-open.
    var isProbe = false
    /// Of its event.
    var bornMillis: Int64 = 0
    /// Of a request with several events, `place` and `origin` being the first's; nil for one event.
    var members: [BatchMember]?
    /// Nil where its event is not traced.
    var trace: AttemptTrace?
    /// What it goes with; nil where its endpoint asks for none.
    var token: AccessToken?
    /// What it is the last attempt of, at the second URL; nil for nearly all.
    var failover: FailoverOrder?

    var hasUntriedAddress: Bool { destination.map { addressesTried + 1 < $0.addressCount } ?? false }
    mutating func turnToNextAddress() {
        guard let count = destination?.addressCount else { return }
        addressesTried += 1
        addressIndex = UInt8((Int(addressIndex) + 1) % count)
    }
}

struct SlotTable {
    private var slots: [OrderSlot]
    private var generations: [UInt32]
    private var free: [Int]

    init(count: Int) {
        precondition(count > 0 && count < 1 << 24)
        slots = Array(repeating: OrderSlot(), count: count)
        // Near the wrap, so that every long run passes it.
        generations = Array(repeating: .max - 2, count: count)
        free = Array((0..<count).reversed())
    }
    var outCount: Int { slots.count - free.count }
    var hasFree: Bool { !free.isEmpty }

    /// O(all slots).
    func forEachOut(_ body: (OrderSlot) -> Void) { for slot in slots where slot.lane != nil { body(slot) } }
    subscript(slot: Int) -> OrderSlot {
        get { slots[slot] }
        set { slots[slot] = newValue }
    }
    mutating func take(_ order: OrderSlot) -> Int {
        let slot = free.removeLast()
        slots[slot] = order
        return slot
    }
    mutating func giveBack(_ slot: Int) {
        generations[slot] &+= 1
        slots[slot].lease = nil
        slots[slot].lane = nil
        slots[slot].destination = nil
        slots[slot].tenant = nil
        slots[slot].talliedType = nil
        slots[slot].members = nil
        slots[slot].token = nil
        slots[slot].failover = nil
        free.append(slot)
    }
    func token(_ slot: Int) -> UInt64 { UInt64(generations[slot]) << 32 | UInt64(slot) }
    /// Nil for a token that is not out.
    func slot(of token: UInt64) -> Int? {
        let slot = Int(token & 0xFFFF_FFFF)
        guard slot < slots.count, generations[slot] == UInt32(token >> 32), slots[slot].lease != nil else { return nil }
        return slot
    }
    /// The request as the egress loop gets it: event id, field lines and body stand one behind the other in the lease.
    func request(_ slot: Int, pool: PayloadPool) -> OutboundRequest {
        let entry = slots[slot]
        guard let lease = entry.lease, let destination = entry.destination else {
            preconditionFailure("an order without memory or destination")
        }
        let idEnd = entry.idEnd
        var request = OutboundRequest(
            token: token(slot), pool: entry.pool, destination: destination,
            eventID: pool.view(lease, start: 0, count: idEnd),
            fieldLines: pool.view(lease, start: idEnd, count: entry.linesEnd - idEnd),
            body: pool.view(lease, start: entry.linesEnd, count: entry.bodyEnd - entry.linesEnd))
        request.isFresh = entry.wasRepeated
        if entry.keepsAttempt { request.keeping = .always }
        request.addressIndex = entry.addressIndex
        request.hasAlternative = entry.hasUntriedAddress
        return request
    }
}
