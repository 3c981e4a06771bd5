// The egress loop's tick: one thread, one ring, one written order.
//
//   1. submit and wait   everything queued by the last tick goes out; completions are gathered before any is run
//   2. completions       connections move; outcomes are noted; connections park and slots come free
//   3. take orders       after 2, so that a batch finds the connections that the completions freed
//   4. start orders      per pool in the order they came; pools in turn
//   5. deadlines         after 2, so that an answer that came in time wins over its deadline
//   6. report            outcomes leave in one batch, with one wake-up; last, because it frees the orders' memory
//   7. buffers           receive buffers go back before the next submit
//
// Invariants: an order taken from the ring is counted in `orderCount` until its outcome is in the outcome ring, and
// `orderCount` never passes `orderCountMax`, so no list here can overflow. No allocation, lock or reference in a tick:
// `EgressThread` has the compiler prove it for the kernel.
// If an outcome were lost the dispatcher would hold its event's memory forever.
//
// Safety: order memory is the dispatcher's until the outcome is pushed; receive buffers are the kernel's from `give`
// on; a destination is its sender's until the outcome of the last request that names it.

import CShims
import Synchronization

/// What the loop counts; one writer, any reader.
package enum EgressCounter: Int, CaseIterable, Sendable {
    case ordersTaken, outcomesReported, connectionsOpened, connectionsReused, connectionsClosed, idleEvicted
    case bytesReceived, ticks, ordersInLoop, connectionsOpen
}

@safe package struct EgressLoop<IO: LoopIO & ~Copyable>: ~Copyable {
    /// Deadlines are looked at this often at most; a time-out is late by no more.
    private static var scanNanos: UInt64 { 10_000_000 }
    private static var sleepNanosMax: UInt64 { 60_000_000_000 }
    /// How long a full outcome ring is left alone before it is tried again.
    private static var retryNanos: UInt64 { 500_000 }
    /// For a connect where another address can be tried.
    private static var earlyConnectNanos: UInt64 { 1_000_000_000 }

    var io: IO
    var table: EgressConnectionTable
    var pools: OutboundPools
    var transports: EgressTransports
    var fields = FieldTable()
    private let limits: EgressLimits
    private static var counterCount: Int { 10 }
    private static var wakeBytes: Int { 16 }
    private var counts = InlineArray<10, UInt64>(repeating: 0)
    /// `AnswerMemory`'s, which the loop's owner keeps.
    private let answers: AnswerRooms
    private let pending: UnsafeMutablePointer<DeliveryOutcome>
    private var pendingCount = 0
    private var orderCount = 0
    private let wakeDescriptor: Int32
    private let wakeValue: UnsafeMutablePointer<UInt64>
    /// `pending` and `wakeValue`.
    private let memory: OwnedMemory
    private var isWakeArmed = false
    private var scanAt = UInt64.max
    private var closingCount = 0
    private(set) var isStopping = false
    var now: UInt64
    private(set) var wallSeconds: UInt64

    package init(
        io: consuming IO, table: consuming EgressConnectionTable, answers: AnswerMemory, limits: EgressLimits,
        wakeDescriptor: Int32
    ) {
        precondition(EgressCounter.allCases.count == EgressLoop.counterCount)
        now = io.monotonicNanos()
        wallSeconds = io.wallNanos() / 1_000_000_000
        self.io = io
        self.table = table
        pools = OutboundPools(
            poolCountMax: limits.poolCountMax, connectionCountMax: limits.connectionCountMax,
            orderCountMax: limits.orderCountMax)
        transports = EgressTransports(
            slotCount: limits.connectionCountMax, poolCount: limits.poolCountMax,
            inboundRoom: limits.receiveBufferByteCount)
        self.limits = limits
        self.wakeDescriptor = wakeDescriptor
        self.answers = answers.rooms
        let pendingBytes = limits.orderCountMax * MemoryLayout<DeliveryOutcome>.stride
        let memory = OwnedMemory(byteCount: EgressLoop.wakeBytes + pendingBytes)
        unsafe wakeValue = memory.room(UInt64.self, count: 1)
        unsafe pending = memory.room(DeliveryOutcome.self, count: limits.orderCountMax, at: EgressLoop.wakeBytes)
        self.memory = memory
    }

    // MARK: the tick

    /// What is shared with other threads comes as parameters: a reference loaded from a field is retained and released
    /// at each use, one that is a parameter is not.
    package mutating func tick(
        orders: SPSCRing<OutboundRequest>, orderWakeup: Wakeup,
        outcomes: SPSCRing<DeliveryOutcome>, outcomeWakeup: Wakeup, mailbox: EgressMailbox, counters: CounterBlock
    ) {
        let completionCount = sleep(orders, orderWakeup, mailbox)
        now = io.monotonicNanos()
        wallSeconds = io.wallNanos() / 1_000_000_000
        if mailbox.wantsStop, !isStopping { beginStop() }
        for index in 0..<completionCount { run(io.completion(index)) }
        takeOrders(orders)
        startOrders()
        if now >= scanAt { scanDeadlines() }
        if reportOutcomes(outcomes) { outcomeWakeup.signal() }
        io.publishBuffers()
        publishCounts(counters)
    }
    /// Waits for a completion only when nothing else is there to do; the last look comes after the flag (see `Wakeup`).
    private mutating func sleep(
        _ orders: SPSCRing<OutboundRequest>, _ wakeup: Wakeup, _ mailbox: EgressMailbox
    ) -> Int {
        if !isWakeArmed {
            isWakeArmed = true
            unsafe io.readWake(wakeDescriptor, into: wakeValue, tag: EgressLoop.wakeTag)
        }
        var wait = EgressLoop.sleepNanosMax
        if scanAt != .max { wait = scanAt > now ? scanAt - now : 0 }
        if pendingCount > 0 { wait = min(wait, EgressLoop.retryNanos) }
        wakeup.beginSleep()
        let isRingEmpty = orders.isEmpty
        let wantsStop = mailbox.wantsStop
        if !isRingEmpty && orderCount < limits.orderCountMax || wantsStop && !isStopping { wait = 0 }
        if isFinished(isRingEmpty: isRingEmpty) { wait = 0 }
        let count = io.enter(waitNanos: wait)
        wakeup.endSleep()
        return count
    }
    private static var wakeTag: Tag { Tag(.wake) }

    private mutating func run(_ completion: Completion) {
        let tag = completion.tag
        switch tag.kind {
        case .connect, .send:
            guard table.isCurrent(tag) else { return }
            let slot = Int32(tag.slot)
            guard transports.isPlain(slot) else { return runTransport(completion, slot) }
            let actions =
                tag.kind == .connect
                ? table[slot].connectCompleted(completion.result, now: now)
                : table[slot].sendCompleted(completion.result, now: now)
            apply(actions, slot)
        case .receive: runReceive(completion)
        case .wake: isWakeArmed = false
        default: break
        }
    }
    private mutating func runReceive(_ completion: Completion) {
        let isCurrent = table.isCurrent(completion.tag)
        let slot = Int32(completion.tag.slot)
        if isCurrent, !transports.isPlain(slot) { return runTransport(completion, slot) }
        let buffer = completion.buffer
        if buffer >= 0 {
            if isCurrent, completion.result > 0 {
                let actions = unsafe table[slot].received(
                    io.bytes(ofBuffer: buffer), count: Int(completion.result), now: now, fields: &fields,
                    wallSeconds: wallSeconds)
                count(.bytesReceived, Int(completion.result))
                apply(actions, slot)
            }
            io.give(buffer: buffer)
        }
        // `received` cannot have freed the slot: this receive was still in flight.
        guard isCurrent, !completion.hasMore else { return }
        let result = completion.result
        let actions = table[slot].receiveEnded(min(result, 0), needsRearm: result > 0 || result == -ENOBUFS, now: now)
        apply(actions, slot)
    }

    // MARK: what a connection asks for

    mutating func apply(_ actions: EgressActions, _ slot: Int32) {
        let pool = table[slot].pool
        if actions.contains(.report) {
            let outcome = table[slot].outcome
            note(outcome)
            table[slot].reported()
            // What made this one stale (a peer's restart, a forgotten mapping on the way) has met the others too.
            if outcome.lostReusedConnection { retireIdle(pool) }
        }
        if actions.contains(.unpark) { pools.unpark(slot, pool: pool) }
        if actions.contains(.write) {
            EgressRequest.render(
                table[slot].order, wallSeconds: wallSeconds, into: &table[slot].message)
        }
        let isPlain = transports.isPlain(slot)
        if actions.contains(.send) {
            if isPlain {
                unsafe io.sendMessage(table[slot].descriptor, table[slot].message.kernelMessage, tag: tag(.send, slot))
            } else {
                encrypt(slot)
            }
        }
        if actions.contains(.receive) {
            if isPlain { io.receive(table[slot].descriptor, tag: tag(.receive, slot)) } else { armTransport(slot) }
        }
        if actions.contains(.park) {
            pools.park(slot, pool: pool)
            transports[slot].session?.rest()
            if table[slot].key != pools.key(pool) { apply(table[slot].retire(now: now), slot) }
        }
        if actions.contains(.leave) {
            pools.closed(pool)
            closingCount += 1
        }
        if actions.contains(.cancel) { io.cancelAll(table[slot].descriptor, tag: Tag(.ignored)) }
        if actions.contains(.free) {
            if isPlain { free(slot) } else { endTransport(slot) }
        }
        let deadline = table.noteDeadline(slot)
        if deadline < scanAt { scanAt = max(deadline, now + EgressLoop.scanNanos) }
    }
    /// Nothing is in flight on the slot's descriptor any more.
    mutating func free(_ slot: Int32) {
        io.close(table[slot].descriptor, tag: Tag(.ignored))
        table[slot].freed()
        table.giveBack(slot)
        closingCount -= 1
        count(.connectionsClosed)
    }
    private mutating func retireIdle(_ pool: UInt32) {
        var slot = pools.firstIdle(pool)
        while slot >= 0 {
            apply(table[slot].retire(now: now), slot)
            slot = pools.firstIdle(pool)
        }
    }
    @inline(__always) func tag(_ kind: TagKind, _ slot: Int32) -> Tag {
        Tag(kind, slot: UInt32(slot), generation: table[slot].generation)
    }
    @inline(__always) mutating func count(_ counter: EgressCounter, _ amount: Int = 1) {
        counts[counter.rawValue] &+= UInt64(truncatingIfNeeded: amount)
    }
    private mutating func publishCounts(_ block: CounterBlock) {
        count(.ticks)
        counts[EgressCounter.ordersInLoop.rawValue] = UInt64(orderCount)
        counts[EgressCounter.connectionsOpen.rawValue] = UInt64(table.openCount)
        for index in 0..<EgressLoop.counterCount { block.set(index, counts[index]) }
    }
    /// In the last scan deadlines were looked at one by one; each that is set since then has moved `scanAt` if it is
    /// earlier.
    private mutating func scanDeadlines() {
        scanAt = .max
        for slot in 0..<table.scanCount {
            let deadline = table.deadline(slot)
            if deadline <= now {
                apply(table[Int32(slot)].deadlinePassed(now: now), Int32(slot))
            } else {
                scanAt = min(scanAt, deadline)
            }
        }
        if scanAt != .max { scanAt = max(scanAt, now + EgressLoop.scanNanos) }
    }

    // MARK: orders and outcomes

    private mutating func takeOrders(_ orders: SPSCRing<OutboundRequest>) {
        let room = limits.orderCountMax - orderCount
        var taken = 0
        while taken < room, let order = orders.pop() {
            taken += 1
            if isStopping || Int(order.pool) >= limits.poolCountMax {
                note(DeliveryOutcome(token: order.token, result: .abandoned))
            } else {
                pools.enqueue(order, arrivedAt: now)
            }
        }
        orderCount += taken
        count(.ordersTaken, taken)
    }
    private mutating func startOrders() {
        var starvedCount = 0
        for _ in 0..<pools.readyCount {
            guard let pool = pools.nextReady() else { return }
            if isStopping {
                abandonWaiting(pool)
            } else if !startOrders(of: pool) {
                // All slots are taken: it stays ready, behind the others, and somebody's idle connection makes room.
                pools.markReady(pool)
                starvedCount += 1
                if closingCount < starvedCount { evictIdle() }
            }
        }
    }
    /// False exactly when an order could start but for want of a slot.
    private mutating func startOrders(of pool: UInt32) -> Bool {
        while let next = unsafe pools.firstWaiting(pool) {
            let destination = unsafe next.pointee.order.destination
            let isFresh = unsafe next.pointee.order.isFresh
            if unsafe pools.key(pool) != destination.pointee.key {
                retireIdle(pool)
                unsafe pools.setKey(destination.pointee.key, pool)
            }
            let idle = isFresh ? -1 : pools.takeIdle(pool)
            if idle >= 0 {
                guard let waiting = pools.dequeue(pool) else { preconditionFailure("it had one") }
                let actions = unsafe table[idle].assign(
                    waiting.order, arrivedAt: waiting.arrivedAt, deadlines: deadlines(of: waiting.order),
                    answerRoom: answers.room(waiting.order.token))
                count(.connectionsReused)
                apply(actions, idle)
                continue
            }
            // When one comes free, parking or closing makes the pool ready again.
            guard unsafe pools.busyCount(pool) < destination.pointee.concurrency else { return true }
            guard let slot = table.takeSlot() else { return false }
            guard let waiting = pools.dequeue(pool) else { preconditionFailure("it had one") }
            connect(waiting, slot)
        }
        return true
    }
    private mutating func connect(_ waiting: WaitingOrder, _ slot: Int32) {
        let order = waiting.order
        let addressIndex = unsafe min(Int(order.addressIndex), order.destination.pointee.addressCount - 1)
        let address = unsafe order.destination.pointee.addresses + addressIndex
        let descriptor = unsafe io.openSocket(address.pointee.family)
        guard descriptor >= 0 else {
            table.giveBack(slot)
            var outcome = DeliveryOutcome(token: order.token, result: .connectFailed)
            outcome.systemError = -descriptor
            note(outcome)
            return
        }
        let hasBegun = unsafe table[slot].begin(
            order, arrivedAt: waiting.arrivedAt, descriptor: descriptor, deadlines: deadlines(of: order),
            answerRoom: answers.room(order.token))
        precondition(hasBegun)
        if unsafe order.destination.pointee.needsTransport { transports[slot].stage = .connecting }
        pools.opened(order.pool)
        count(.connectionsOpened)
        let place = unsafe table[slot].message.setAddress(address.pointee)
        unsafe io.connect(descriptor, place, byteCount: address.pointee.byteCount, tag: tag(.connect, slot))
        apply(.none, slot)
    }
    private func deadlines(of order: OutboundRequest) -> EgressDeadlines {
        let record = unsafe order.destination
        // An address that swallows packets must not keep the next one waiting for all of the time there is.
        let connectNanos =
            unsafe order.hasAlternative
            ? min(record.pointee.connectNanos, EgressLoop.earlyConnectNanos) : record.pointee.connectNanos
        return unsafe EgressDeadlines(
            connect: now + connectNanos, total: now + record.pointee.totalNanos,
            headNanos: record.pointee.headNanos, idleNanos: UInt64(limits.idleMillisMax) * 1_000_000)
    }
    private mutating func evictIdle() {
        let slot = table.oldestIdle()
        guard slot >= 0 else { return }
        count(.idleEvicted)
        apply(table[slot].retire(now: now), slot)
    }
    private mutating func abandonWaiting(_ pool: UInt32) {
        while let waiting = pools.dequeue(pool) {
            note(DeliveryOutcome(token: waiting.order.token, result: .abandoned))
        }
    }
    private mutating func note(_ outcome: DeliveryOutcome) {
        precondition(pendingCount < limits.orderCountMax)
        unsafe pending[pendingCount] = outcome
        pendingCount += 1
    }
    /// What the ring does not take stays, in order, and is tried again soon. True when the popper must be told.
    private mutating func reportOutcomes(_ outcomes: SPSCRing<DeliveryOutcome>) -> Bool {
        guard pendingCount > 0 else { return false }
        let pushed = unsafe outcomes.push(UnsafeBufferPointer(start: pending, count: pendingCount).span)
        guard pushed > 0 else { return false }
        if pushed < pendingCount {
            let rest = (pendingCount - pushed) * MemoryLayout<DeliveryOutcome>.stride
            unsafe sluice_bytes_move(pending, pending + pushed, rest)
        }
        pendingCount -= pushed
        orderCount -= pushed
        count(.outcomesReported, pushed)
        return true
    }

    // MARK: word from outside

    private mutating func beginStop() {
        isStopping = true
        for slot in 0..<Int32(table.scanCount) { apply(table[slot].abandon(now: now), slot) }
    }
    /// True exactly when everything is answered for and nothing is open. `isRingEmpty` is of the order ring.
    package func isFinished(isRingEmpty: Bool) -> Bool {
        isStopping && table.openCount == 0 && orderCount == 0 && isRingEmpty
    }
    /// After the last tick: the ring must hold no operation on our memory when it is torn down.
    package mutating func finish() {
        precondition(isStopping && table.openCount == 0 && orderCount == 0)
        io.cancel(EgressLoop.wakeTag, tag: Tag(.ignored))
        repeat {
            let count = io.enter(waitNanos: isWakeArmed ? EgressLoop.scanNanos : 0)
            for index in 0..<count { run(io.completion(index)) }
        } while isWakeArmed
    }
}
