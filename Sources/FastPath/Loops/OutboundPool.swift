// Which connections of an endpoint are idle and which orders wait for one: bookkeeping only, in lists of indexes.
//
// Invariants: `busyCount + idleCount` never exceeds the endpoint's concurrency when a connection is opened; a
// connection is in at most one idle list; idle ones are taken last in, first out, so that the surplus grows old and is
// closed by its time-out; orders of one endpoint start in the order they came. An endpoint is in the ready list exactly
// while `isReady`. If they fail, an endpoint sees more connections than it was promised, or an order waits for ever.
//
// Safety: owns its arrays; every index is checked against its capacity.

/// One endpoint's part.
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
}

/// An order that waits for a connection.
struct WaitingOrder {
    var order: DeliveryOrder
    var arrivedAt: UInt64
    var next: Int32
}

@safe struct OutboundPools: ~Copyable {
    private struct IdleLink {
        var previous = OutboundPool.nothing
        var next = OutboundPool.nothing
    }
    private let pools: UnsafeMutablePointer<OutboundPool>
    private let endpointCountMax: Int
    private let links: UnsafeMutablePointer<IdleLink>
    private let connectionCountMax: Int
    private let orders: UnsafeMutablePointer<WaitingOrder>
    private let orderCountMax: Int
    private var orderFreeFirst: Int32
    private var readyFirst = OutboundPool.nothing
    private var readyLast = OutboundPool.nothing
    private(set) var readyCount = 0

    init(endpointCountMax: Int, connectionCountMax: Int, orderCountMax: Int) {
        precondition(endpointCountMax > 0 && connectionCountMax > 0 && orderCountMax > 0)
        self.endpointCountMax = endpointCountMax
        self.connectionCountMax = connectionCountMax
        self.orderCountMax = orderCountMax
        pools = .allocate(capacity: endpointCountMax)
        pools.initialize(repeating: OutboundPool(), count: endpointCountMax)
        links = .allocate(capacity: connectionCountMax)
        links.initialize(repeating: IdleLink(), count: connectionCountMax)
        orders = .allocate(capacity: orderCountMax)
        let blank = DeliveryOrder(token: 0, endpoint: 0, eventID: .empty, fieldLines: .empty, body: .empty)
        for index in 0..<orderCountMax {
            let next = index + 1 < orderCountMax ? Int32(index + 1) : OutboundPool.nothing
            (orders + index).initialize(to: WaitingOrder(order: blank, arrivedAt: 0, next: next))
        }
        orderFreeFirst = 0
    }
    deinit {
        pools.deallocate()
        links.deallocate()
        orders.deallocate()
    }
    @inline(__always) private func pool(_ endpoint: UInt32) -> UnsafeMutablePointer<OutboundPool> {
        precondition(Int(endpoint) < endpointCountMax)
        return pools + Int(endpoint)
    }
    @inline(__always) private func link(_ slot: Int32) -> UnsafeMutablePointer<IdleLink> {
        precondition(slot >= 0 && Int(slot) < connectionCountMax)
        return links + Int(slot)
    }

    // MARK: connections

    @inline(__always) func openCount(_ endpoint: UInt32) -> Int {
        Int(pool(endpoint).pointee.busyCount) + Int(pool(endpoint).pointee.idleCount)
    }
    @inline(__always) func busyCount(_ endpoint: UInt32) -> Int { Int(pool(endpoint).pointee.busyCount) }
    @inline(__always) mutating func opened(_ endpoint: UInt32) { pool(endpoint).pointee.busyCount += 1 }
    /// A busy connection goes away; an idle one must be taken out of its list first.
    @inline(__always) mutating func closed(_ endpoint: UInt32) {
        precondition(pool(endpoint).pointee.busyCount > 0)
        pool(endpoint).pointee.busyCount -= 1
        if pool(endpoint).pointee.waitingFirst >= 0 { markReady(endpoint) }
    }
    /// Busy → idle.
    @inline(__always) mutating func park(_ slot: Int32, endpoint: UInt32) {
        let pool = pool(endpoint)
        precondition(pool.pointee.busyCount > 0)
        pool.pointee.busyCount -= 1
        pool.pointee.idleCount += 1
        link(slot).pointee = IdleLink(next: pool.pointee.idleFirst)
        if pool.pointee.idleFirst >= 0 { link(pool.pointee.idleFirst).pointee.previous = slot }
        pool.pointee.idleFirst = slot
        if pool.pointee.waitingFirst >= 0 { markReady(endpoint) }
    }
    /// Idle → busy, for the one that became idle last; -1 when there is none.
    @inline(__always) mutating func takeIdle(_ endpoint: UInt32) -> Int32 {
        let slot = pool(endpoint).pointee.idleFirst
        if slot >= 0 { unpark(slot, endpoint: endpoint) }
        return slot
    }
    /// Idle → busy, for this one.
    @inline(__always) mutating func unpark(_ slot: Int32, endpoint: UInt32) {
        let pool = pool(endpoint)
        let link = link(slot).pointee
        precondition(pool.pointee.idleCount > 0 && (link.previous >= 0 || pool.pointee.idleFirst == slot))
        if link.previous >= 0 {
            self.link(link.previous).pointee.next = link.next
        } else {
            pool.pointee.idleFirst = link.next
        }
        if link.next >= 0 { self.link(link.next).pointee.previous = link.previous }
        self.link(slot).pointee = IdleLink()
        pool.pointee.idleCount -= 1
        pool.pointee.busyCount += 1
    }

    // MARK: orders

    /// The loop bounds its orders by `orderCountMax`, so there always is a place.
    @inline(__always) mutating func enqueue(_ order: DeliveryOrder, arrivedAt: UInt64) {
        let index = orderFreeFirst
        precondition(index >= 0)
        orderFreeFirst = orders[Int(index)].next
        orders[Int(index)] = WaitingOrder(order: order, arrivedAt: arrivedAt, next: OutboundPool.nothing)
        let pool = pool(order.endpoint)
        if pool.pointee.waitingLast >= 0 {
            orders[Int(pool.pointee.waitingLast)].next = index
        } else {
            pool.pointee.waitingFirst = index
        }
        pool.pointee.waitingLast = index
        markReady(order.endpoint)
    }
    @inline(__always) func hasWaiting(_ endpoint: UInt32) -> Bool { pool(endpoint).pointee.waitingFirst >= 0 }
    @inline(__always) mutating func dequeue(_ endpoint: UInt32) -> WaitingOrder? {
        let pool = pool(endpoint)
        let index = pool.pointee.waitingFirst
        guard index >= 0 else { return nil }
        let waiting = orders[Int(index)]
        pool.pointee.waitingFirst = waiting.next
        if waiting.next < 0 { pool.pointee.waitingLast = OutboundPool.nothing }
        orders[Int(index)].next = orderFreeFirst
        orderFreeFirst = index
        return waiting
    }

    // MARK: endpoints with something to do

    @inline(__always) mutating func markReady(_ endpoint: UInt32) {
        let pool = pool(endpoint)
        guard !pool.pointee.isReady else { return }
        pool.pointee.isReady = true
        pool.pointee.nextReady = OutboundPool.nothing
        if readyLast >= 0 { pools[Int(readyLast)].nextReady = Int32(endpoint) } else { readyFirst = Int32(endpoint) }
        readyLast = Int32(endpoint)
        readyCount += 1
    }
    /// The endpoint that has been ready longest; it leaves the list. Nil when none is.
    @inline(__always) mutating func nextReady() -> UInt32? {
        guard readyFirst >= 0 else { return nil }
        let endpoint = UInt32(readyFirst)
        let pool = pool(endpoint)
        readyFirst = pool.pointee.nextReady
        if readyFirst < 0 { readyLast = OutboundPool.nothing }
        pool.pointee.isReady = false
        readyCount -= 1
        return endpoint
    }
}
