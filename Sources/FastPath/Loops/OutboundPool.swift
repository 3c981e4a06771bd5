// Which connections of a pool are idle and which requests wait for one: bookkeeping only, in lists of indexes. A pool
// belongs to one destination at a time; who hands pools out says which by the requests that name it.
//
// Invariants: `busyCount + idleCount` never exceeds the destination's concurrency when a connection is opened; a
// connection is in at most one idle list; idle ones are taken last in, first out, so that the surplus grows old and is
// closed by its time-out; orders of one endpoint start in the order they came. An endpoint is in the ready list exactly
// while `isReady`. If they fail, an endpoint sees more connections than it was promised, or an order waits forever.
//
// Safety: owns its arrays; every index is checked against its capacity.

/// One destination's part.
struct OutboundPool {
    static let nothing: Int32 = -1
    var idleFirst = OutboundPool.nothing
    var idleCount: UInt32 = 0
    /// Connecting or with an order.
    var busyCount: UInt32 = 0
    var waitingFirst = OutboundPool.nothing
    var waitingLast = OutboundPool.nothing
    var nextReady = OutboundPool.nothing
    var isReady = false
    /// Of the destination that its idle connections lead to.
    var key: UInt64 = 0
}

/// An order that waits for a connection.
struct WaitingOrder {
    var order: OutboundRequest
    var arrivedAt: UInt64
    var next: Int32
}

@safe struct OutboundPools: ~Copyable {
    private struct IdleLink {
        var previous = OutboundPool.nothing
        var next = OutboundPool.nothing
    }
    private let pools: UnsafeMutablePointer<OutboundPool>
    private let poolCountMax: Int
    private let links: UnsafeMutablePointer<IdleLink>
    private let connectionCountMax: Int
    private let orders: UnsafeMutablePointer<WaitingOrder>
    private let orderCountMax: Int
    private var orderFreeFirst: Int32
    private var readyFirst = OutboundPool.nothing
    private var readyLast = OutboundPool.nothing
    private(set) var readyCount = 0

    init(poolCountMax: Int, connectionCountMax: Int, orderCountMax: Int) {
        precondition(poolCountMax > 0 && connectionCountMax > 0 && orderCountMax > 0)
        self.poolCountMax = poolCountMax
        self.connectionCountMax = connectionCountMax
        self.orderCountMax = orderCountMax
        unsafe pools = .allocate(capacity: poolCountMax)
        unsafe pools.initialize(repeating: OutboundPool(), count: poolCountMax)
        unsafe links = .allocate(capacity: connectionCountMax)
        unsafe links.initialize(repeating: IdleLink(), count: connectionCountMax)
        unsafe orders = .allocate(capacity: orderCountMax)
        let blank = OutboundRequest.blank
        for index in 0..<orderCountMax {
            let next = index + 1 < orderCountMax ? Int32(index + 1) : OutboundPool.nothing
            unsafe (orders + index).initialize(to: WaitingOrder(order: blank, arrivedAt: 0, next: next))
        }
        orderFreeFirst = 0
    }
    deinit {
        unsafe pools.deallocate()
        unsafe links.deallocate()
        unsafe orders.deallocate()
    }
    @inline(__always) private func pool(_ index: UInt32) -> UnsafeMutablePointer<OutboundPool> {
        precondition(Int(index) < poolCountMax)
        return unsafe pools + Int(index)
    }
    @inline(__always) private func link(_ slot: Int32) -> UnsafeMutablePointer<IdleLink> {
        precondition(slot >= 0 && Int(slot) < connectionCountMax)
        return unsafe links + Int(slot)
    }

    // MARK: connections

    @inline(__always) func openCount(_ index: UInt32) -> Int {
        unsafe Int(pool(index).pointee.busyCount) + Int(pool(index).pointee.idleCount)
    }
    @inline(__always) func busyCount(_ index: UInt32) -> Int { unsafe Int(pool(index).pointee.busyCount) }
    @inline(__always) mutating func opened(_ index: UInt32) { unsafe pool(index).pointee.busyCount += 1 }
    /// A busy connection goes away; an idle one must be taken out of its list first.
    @inline(__always) mutating func closed(_ index: UInt32) {
        unsafe precondition(pool(index).pointee.busyCount > 0)
        unsafe pool(index).pointee.busyCount -= 1
        if unsafe pool(index).pointee.waitingFirst >= 0 { markReady(index) }
    }
    /// Busy → idle.
    @inline(__always) mutating func park(_ slot: Int32, pool index: UInt32) {
        let pool = unsafe pool(index)
        unsafe precondition(pool.pointee.busyCount > 0)
        unsafe pool.pointee.busyCount -= 1
        unsafe pool.pointee.idleCount += 1
        unsafe link(slot).pointee = IdleLink(next: pool.pointee.idleFirst)
        if unsafe pool.pointee.idleFirst >= 0 { unsafe link(pool.pointee.idleFirst).pointee.previous = slot }
        unsafe pool.pointee.idleFirst = slot
        if unsafe pool.pointee.waitingFirst >= 0 { markReady(index) }
    }
    /// Idle → busy, for the one that became idle last; -1 when there is none.
    @inline(__always) mutating func takeIdle(_ index: UInt32) -> Int32 {
        let slot = unsafe pool(index).pointee.idleFirst
        if slot >= 0 { unpark(slot, pool: index) }
        return slot
    }
    /// The one that became idle last; -1 when there is none. It stays idle.
    @inline(__always) func firstIdle(_ index: UInt32) -> Int32 { unsafe pool(index).pointee.idleFirst }
    @inline(__always) func key(_ index: UInt32) -> UInt64 { unsafe pool(index).pointee.key }
    @inline(__always) mutating func setKey(_ key: UInt64, _ index: UInt32) { unsafe pool(index).pointee.key = key }
    /// Idle → busy, for this one.
    @inline(__always) mutating func unpark(_ slot: Int32, pool index: UInt32) {
        let pool = unsafe pool(index)
        let link = unsafe link(slot).pointee
        unsafe precondition(pool.pointee.idleCount > 0 && (link.previous >= 0 || pool.pointee.idleFirst == slot))
        if link.previous >= 0 {
            unsafe self.link(link.previous).pointee.next = link.next
        } else {
            unsafe pool.pointee.idleFirst = link.next
        }
        if link.next >= 0 { unsafe self.link(link.next).pointee.previous = link.previous }
        unsafe self.link(slot).pointee = IdleLink()
        unsafe pool.pointee.idleCount -= 1
        unsafe pool.pointee.busyCount += 1
    }

    // MARK: orders

    /// The loop bounds its orders by `orderCountMax`, so there always is a place.
    @inline(__always) mutating func enqueue(_ order: OutboundRequest, arrivedAt: UInt64) {
        let place = orderFreeFirst
        precondition(place >= 0)
        orderFreeFirst = unsafe orders[Int(place)].next
        unsafe orders[Int(place)] = WaitingOrder(order: order, arrivedAt: arrivedAt, next: OutboundPool.nothing)
        let pool = unsafe pool(order.pool)
        if unsafe pool.pointee.waitingLast >= 0 {
            unsafe orders[Int(pool.pointee.waitingLast)].next = place
        } else {
            unsafe pool.pointee.waitingFirst = place
        }
        unsafe pool.pointee.waitingLast = place
        markReady(order.pool)
    }
    @inline(__always) func hasWaiting(_ index: UInt32) -> Bool { unsafe pool(index).pointee.waitingFirst >= 0 }
    /// The request that waits longest, which stays.
    @inline(__always) func firstWaiting(_ index: UInt32) -> UnsafePointer<WaitingOrder>? {
        let place = unsafe pool(index).pointee.waitingFirst
        return unsafe place >= 0 ? UnsafePointer(orders + Int(place)) : nil
    }
    @inline(__always) mutating func dequeue(_ index: UInt32) -> WaitingOrder? {
        let pool = unsafe pool(index)
        let place = unsafe pool.pointee.waitingFirst
        guard place >= 0 else { return nil }
        let waiting = unsafe orders[Int(place)]
        unsafe pool.pointee.waitingFirst = waiting.next
        if waiting.next < 0 { unsafe pool.pointee.waitingLast = OutboundPool.nothing }
        unsafe orders[Int(place)].next = orderFreeFirst
        orderFreeFirst = place
        return waiting
    }

    // MARK: pools with something to do

    @inline(__always) mutating func markReady(_ index: UInt32) {
        let pool = unsafe pool(index)
        guard unsafe !pool.pointee.isReady else { return }
        unsafe pool.pointee.isReady = true
        unsafe pool.pointee.nextReady = OutboundPool.nothing
        if readyLast >= 0 { unsafe pools[Int(readyLast)].nextReady = Int32(index) } else { readyFirst = Int32(index) }
        readyLast = Int32(index)
        readyCount += 1
    }
    /// The pool that has been ready longest; it leaves the list. Nil when none is.
    @inline(__always) mutating func nextReady() -> UInt32? {
        guard readyFirst >= 0 else { return nil }
        let index = UInt32(readyFirst)
        let pool = unsafe pool(index)
        readyFirst = unsafe pool.pointee.nextReady
        if readyFirst < 0 { readyLast = OutboundPool.nothing }
        unsafe pool.pointee.isReady = false
        readyCount -= 1
        return index
    }
}
