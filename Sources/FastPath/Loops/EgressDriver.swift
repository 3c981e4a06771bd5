// The egress loop's tick: one thread, one ring, one written order.
//
//   1. submit and wait   everything queued by the last tick goes out; completions are gathered before any is run
//   2. snapshot          a new endpoint table takes effect before any order of this tick is started with it
//   3. completions       connections move; outcomes are noted; connections park and slots come free
//   4. take orders       after 3, so that a batch finds the connections that the completions freed
//   5. start orders      per endpoint in the order they came; endpoints in turn
//   6. deadlines         after 3, so that an answer that came in time wins over its deadline
//   7. report            outcomes leave in one batch, with one wake-up; last, because it frees the orders' memory
//   8. buffers           receive buffers go back before the next submit
//
// Invariants: an order taken from the ring is counted in `orderCount` until its outcome is in the outcome ring, and
// `orderCount` never passes `orderCountMax`, so no list here can overflow. No allocation, lock or reference in a tick,
// but for a new snapshot. If an outcome were lost the dispatcher would hold its event's memory for ever.
//
// Safety: order memory is the dispatcher's until the outcome is pushed; receive buffers are the kernel's from `give`
// on; `records` is the snapshot's, which `snapshot` keeps alive.

import CShims
import Synchronization

/// What the loop counts; one writer, any reader.
package enum EgressCounter: Int, CaseIterable, Sendable {
    case ordersTaken, outcomesReported, connectionsOpened, connectionsReused, connectionsClosed, idleEvicted
    case bytesReceived, ticks, ordersInLoop, connectionsOpen
}

@safe struct EgressDriver: ~Copyable {
    /// Deadlines are looked at this often at most; a time-out is late by no more.
    private static let scanNanos: UInt64 = 10_000_000
    private static let sleepNanosMax: UInt64 = 60_000_000_000
    /// How long a full outcome ring is left alone before it is tried again.
    private static let retryNanos: UInt64 = 500_000

    var io: UringIO
    var table: EgressConnectionTable
    var pools: OutboundPools
    private var fields = FieldTable()
    private let limits: EgressLimits
    private static var counterCount: Int { 10 }
    private var counts = InlineArray<10, UInt64>(repeating: 0)
    private var snapshot: EgressSnapshot
    private var records: UnsafeMutablePointer<EgressRecord>
    private var endpointCount: Int
    private let pending: UnsafeMutablePointer<DeliveryOutcome>
    private var pendingCount = 0
    private var orderCount = 0
    private let wakeDescriptor: Int32
    private let wakeValue: UnsafeMutablePointer<UInt64>
    private var isWakeArmed = false
    private var scanAt = UInt64.max
    private var closingCount = 0
    private(set) var isStopping = false
    var now: UInt64
    private var wallSeconds: UInt64

    init(snapshot: EgressSnapshot, limits: EgressLimits, wakeDescriptor: Int32) throws(UringError) {
        // A connection has three operations at most; cancels and closes pass by.
        var submissions = 64
        while submissions < min(limits.connectionCountMax * 2, 4096) { submissions *= 2 }
        precondition(EgressCounter.allCases.count == EgressDriver.counterCount)
        // The table first, and the ring last of what can throw: nothing is half made then.
        let slots: EgressConnectionTable
        do { slots = try EgressConnectionTable(limits: limits) } catch {
            throw UringError(step: .memory, errno: ENOMEM)
        }
        io = try UringIO(
            submissions: submissions, completions: submissions * 4, bufferCount: limits.receiveBufferCount,
            bufferByteCount: limits.receiveBufferByteCount)
        table = slots
        pools = OutboundPools(
            endpointCountMax: limits.endpointCountMax, connectionCountMax: limits.connectionCountMax,
            orderCountMax: limits.orderCountMax)
        self.limits = limits
        self.wakeDescriptor = wakeDescriptor
        self.snapshot = snapshot
        records = snapshot.records
        endpointCount = snapshot.endpoints.count
        pending = .allocate(capacity: limits.orderCountMax)
        wakeValue = .allocate(capacity: 1)
        now = sluice_clock_monotonic()
        wallSeconds = sluice_clock_wall() / 1_000_000_000
    }
    deinit {
        pending.deallocate()
        wakeValue.deallocate()
    }

    // MARK: the tick

    /// What is shared with other threads comes as parameters: a reference loaded from a field is retained and released
    /// at each use, one that is a parameter is not.
    @_noAllocation @_noLocks
    mutating func tick(
        orders: SPSCRing<DeliveryOrder>, orderWakeup: Wakeup,
        outcomes: SPSCRing<DeliveryOutcome>, outcomeWakeup: Wakeup, mailbox: EgressMailbox, counters: CounterBlock
    ) {
        let completionCount = sleep(orders, orderWakeup, mailbox)
        now = sluice_clock_monotonic()
        wallSeconds = sluice_clock_wall() / 1_000_000_000
        if mailbox.hasNew { takeSnapshot(mailbox) }
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
        _ orders: SPSCRing<DeliveryOrder>, _ wakeup: Wakeup, _ mailbox: EgressMailbox
    ) -> Int {
        if !isWakeArmed {
            isWakeArmed = true
            io.readWake(wakeDescriptor, into: wakeValue, tag: EgressDriver.wakeTag)
        }
        var wait = EgressDriver.sleepNanosMax
        if scanAt != .max { wait = scanAt > now ? scanAt - now : 0 }
        if pendingCount > 0 { wait = min(wait, EgressDriver.retryNanos) }
        wakeup.beginSleep()
        let isRingEmpty = orders.isEmpty
        let hasNew = mailbox.hasNew
        let wantsStop = mailbox.wantsStop
        if !isRingEmpty && orderCount < limits.orderCountMax || hasNew || wantsStop && !isStopping { wait = 0 }
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
            let actions = tag.kind == .connect
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
        let buffer = completion.buffer
        if buffer >= 0 {
            if isCurrent, completion.result > 0 {
                let actions = table[slot].received(
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

    private mutating func apply(_ actions: EgressActions, _ slot: Int32) {
        let endpoint = table[slot].endpoint
        if actions.contains(.report) {
            note(table[slot].outcome)
            table[slot].reported()
        }
        if actions.contains(.unpark) { pools.unpark(slot, endpoint: endpoint) }
        if actions.contains(.write) {
            EgressRequest.render(
                table[slot].order, records[Int(endpoint)], wallSeconds: wallSeconds, into: &table[slot].message)
        }
        if actions.contains(.send) {
            io.sendMessage(table[slot].descriptor, table[slot].message.kernelMessage, tag: tag(.send, slot))
        }
        if actions.contains(.receive) { io.receive(table[slot].descriptor, tag: tag(.receive, slot)) }
        if actions.contains(.park) { pools.park(slot, endpoint: endpoint) }
        if actions.contains(.leave) {
            pools.closed(endpoint)
            closingCount += 1
        }
        if actions.contains(.cancel) { io.cancelAll(table[slot].descriptor, tag: Tag(.ignored)) }
        if actions.contains(.free) {
            io.close(table[slot].descriptor, tag: Tag(.ignored))
            table[slot].freed()
            table.giveBack(slot)
            closingCount -= 1
            count(.connectionsClosed)
        }
        let deadline = table.noteDeadline(slot)
        if deadline < scanAt { scanAt = max(deadline, now + EgressDriver.scanNanos) }
    }
    @inline(__always) private func tag(_ kind: TagKind, _ slot: Int32) -> Tag {
        Tag(kind, slot: UInt32(slot), generation: table[slot].generation)
    }
    @inline(__always) private mutating func count(_ counter: EgressCounter, _ amount: Int = 1) {
        counts[counter.rawValue] &+= UInt64(truncatingIfNeeded: amount)
    }
    private mutating func publishCounts(_ block: CounterBlock) {
        count(.ticks)
        counts[EgressCounter.ordersInLoop.rawValue] = UInt64(orderCount)
        counts[EgressCounter.connectionsOpen.rawValue] = UInt64(table.openCount)
        for index in 0..<EgressDriver.counterCount { block.set(index, counts[index]) }
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
        if scanAt != .max { scanAt = max(scanAt, now + EgressDriver.scanNanos) }
    }

    // MARK: orders and outcomes

    private mutating func takeOrders(_ orders: SPSCRing<DeliveryOrder>) {
        let room = limits.orderCountMax - orderCount
        var taken = 0
        while taken < room, let order = orders.pop() {
            taken += 1
            if isStopping || Int(order.endpoint) >= endpointCount {
                note(DeliveryOutcome(token: order.token, endpoint: order.endpoint, result: .abandoned))
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
            guard let endpoint = pools.nextReady() else { return }
            if isStopping || Int(endpoint) >= endpointCount || records[Int(endpoint)].concurrency == 0 {
                abandonWaiting(endpoint)
            } else if !startOrders(of: endpoint) {
                // All slots are taken: it stays ready, behind the others, and somebody's idle connection makes room.
                pools.markReady(endpoint)
                starvedCount += 1
                if closingCount < starvedCount { evictIdle() }
            }
        }
    }
    /// False exactly when an order could start but for want of a slot.
    private mutating func startOrders(of endpoint: UInt32) -> Bool {
        while pools.hasWaiting(endpoint) {
            let idle = pools.takeIdle(endpoint)
            if idle >= 0 {
                guard let waiting = pools.dequeue(endpoint) else { preconditionFailure("it had one") }
                let actions = table[idle].assign(
                    waiting.order, arrivedAt: waiting.arrivedAt, deadlines: deadlines(of: endpoint))
                count(.connectionsReused)
                apply(actions, idle)
                continue
            }
            // When one comes free, parking or closing makes the endpoint ready again.
            guard pools.busyCount(endpoint) < records[Int(endpoint)].concurrency else { return true }
            guard let slot = table.takeSlot() else { return false }
            guard let waiting = pools.dequeue(endpoint) else { preconditionFailure("it had one") }
            connect(waiting, slot)
        }
        return true
    }
    private mutating func connect(_ waiting: WaitingOrder, _ slot: Int32) {
        let endpoint = waiting.order.endpoint
        let descriptor = records[Int(endpoint)].address.openSocket()
        guard descriptor >= 0 else {
            table.giveBack(slot)
            var outcome = DeliveryOutcome(token: waiting.order.token, endpoint: endpoint, result: .connectFailed)
            outcome.systemError = -descriptor
            note(outcome)
            return
        }
        let hasBegun = table[slot].begin(
            waiting.order, arrivedAt: waiting.arrivedAt, descriptor: descriptor, deadlines: deadlines(of: endpoint))
        precondition(hasBegun)
        pools.opened(endpoint)
        count(.connectionsOpened)
        let address = table[slot].message.setAddress(records[Int(endpoint)].address)
        io.connect(descriptor, address, byteCount: records[Int(endpoint)].address.byteCount, tag: tag(.connect, slot))
        apply(.none, slot)
    }
    private func deadlines(of endpoint: UInt32) -> EgressDeadlines {
        let record = records + Int(endpoint)
        return EgressDeadlines(
            connect: now + record.pointee.connectNanos, total: now + record.pointee.totalNanos,
            headNanos: record.pointee.headNanos, idleNanos: UInt64(limits.idleMillisMax) * 1_000_000)
    }
    private mutating func evictIdle() {
        let slot = table.oldestIdle()
        guard slot >= 0 else { return }
        count(.idleEvicted)
        apply(table[slot].retire(now: now), slot)
    }
    private mutating func abandonWaiting(_ endpoint: UInt32) {
        while let waiting = pools.dequeue(endpoint) {
            note(DeliveryOutcome(token: waiting.order.token, endpoint: endpoint, result: .abandoned))
        }
    }
    private mutating func note(_ outcome: DeliveryOutcome) {
        precondition(pendingCount < limits.orderCountMax)
        pending[pendingCount] = outcome
        pendingCount += 1
    }
    /// What the ring does not take stays, in order, and is tried again soon. True when the popper must be told.
    private mutating func reportOutcomes(_ outcomes: SPSCRing<DeliveryOutcome>) -> Bool {
        guard pendingCount > 0 else { return false }
        let pushed = outcomes.push(UnsafeBufferPointer(start: pending, count: pendingCount).span)
        guard pushed > 0 else { return false }
        if pushed < pendingCount {
            let rest = (pendingCount - pushed) * MemoryLayout<DeliveryOutcome>.stride
            sluice_bytes_move(pending, pending + pushed, rest)
        }
        pendingCount -= pushed
        orderCount -= pushed
        count(.outcomesReported, pushed)
        return true
    }

    // MARK: word from outside

    // Rare, and allowed what a tick is not: it takes the mailbox's lock and frees the old table.
    @_semantics("no_performance_analysis") @inline(never)
    private mutating func takeSnapshot(_ mailbox: EgressMailbox) {
        guard let fresh = mailbox.take() else { return }
        let old = snapshot
        snapshot = fresh
        records = fresh.records
        endpointCount = fresh.endpoints.count
        for slot in 0..<Int32(table.scanCount) where table[slot].state != .free {
            let endpoint = Int(table[slot].endpoint)
            let before = endpoint < old.endpoints.count ? old.endpoints[endpoint] : nil
            let after = endpoint < fresh.endpoints.count ? fresh.endpoints[endpoint] : nil
            if let before, let after, after.sharesConnections(with: before) { continue }
            apply(table[slot].retire(now: now), slot)
        }
        // Orders that wait for a place that is gone, or that a higher concurrency lets start.
        for endpoint in 0..<old.endpoints.count where pools.hasWaiting(UInt32(endpoint)) {
            pools.markReady(UInt32(endpoint))
        }
    }
    private mutating func beginStop() {
        isStopping = true
        for slot in 0..<Int32(table.scanCount) { apply(table[slot].abandon(now: now), slot) }
    }
    /// True exactly when everything is answered for and nothing is open. `isRingEmpty` is of the order ring.
    func isFinished(isRingEmpty: Bool) -> Bool {
        isStopping && table.openCount == 0 && orderCount == 0 && isRingEmpty
    }
    /// After the last tick: the ring must hold no operation on our memory when it is torn down.
    mutating func finish() {
        precondition(isStopping && table.openCount == 0 && orderCount == 0)
        io.cancel(EgressDriver.wakeTag, tag: Tag(.ignored))
        repeat {
            let count = io.enter(waitNanos: isWakeArmed ? EgressDriver.scanNanos : 0)
            for index in 0..<count { run(io.completion(index)) }
        } while isWakeArmed
    }
}
