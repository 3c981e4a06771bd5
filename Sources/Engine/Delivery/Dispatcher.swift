// The way from the log to the endpoints, as one passive step: replies of the store, commands, outcomes, then orders,
// then the batch that goes to the store. One thread calls `step`; it never waits and reads no clock.
//
// The written order of a step, and why: replies before outcomes (they free room in the store's queue), outcomes before
// orders (they free slots and memory), the batch last (it then says what this step did). An outcome is only taken when
// its row has room in a batch: a store that cannot write thus stops the orders, and memory stays flat.
//
// Invariants: every slot that is out has a lease and a lane that counts it; a mark is sealed in the same batch as the
// rows that moved it, or a later one, never an earlier one. If that failed, a crash could lose an event for an
// endpoint.

import FastPath

/// Bounds of the dispatcher, and where each comes from.
package struct DispatcherLimits: Sendable {
    /// Orders out at once; no more than the egress rings take, so that a submit never fails for long.
    package var orderCountMax = 4096
    /// Rows of one transaction: large enough that its fixed cost is nothing, small enough to stay in the page cache.
    package var batchRowsMax = 2000
    /// How long an outcome may wait for its batch. Everything in it would be sent again after a crash.
    package var batchNanosMax: UInt64 = 20_000_000
    /// How often the mark of a lane without outcomes is written.
    package var markNanosMax: UInt64 = 1_000_000_000
    /// Events read at the shared place in one step, so that outcomes are never far away.
    package var sharedEventsPerStep = 512
    package var outcomesPerStep = 2048
    /// What a lane that reads by itself may take in one round.
    package var quantumBytes = 64 * 1024
    /// Longest sleep: a signal that nobody sent costs so much.
    package var idleNanosMax: UInt64 = 100_000_000
    /// How far ahead of their due time retries are fetched from the store.
    package var retryAheadMillis: Int64 = 5000
    package init() {}
}

/// The dispatcher's own time: milliseconds since 1970 as the wall clock stood at start, moved by the monotonic clock
/// alone.
package struct StoreClock: Sendable {
    private let millisAtStart: Int64
    private let monotonicAtStart: UInt64

    package init(wallMillis: Int64, monotonicNanos: UInt64) {
        millisAtStart = wallMillis
        monotonicAtStart = monotonicNanos
    }
    package func millis(at monotonicNanos: UInt64) -> Int64 {
        millisAtStart + Int64(monotonicNanos &- monotonicAtStart) / 1_000_000
    }
}

package final class Dispatcher<Log: EventLog, Egress: EgressPort, Store: StorePort> {
    let log: Log
    let egress: Egress
    let store: Store
    let pool: PayloadPool
    let limits: DispatcherLimits
    let clock: StoreClock
    var generator: SeededGenerator
    var lanes: [Lane] = []
    var laneOfNumber: [Int: Int] = [:]
    var subscriptions = SubscriptionTable()
    var slots: SlotTable
    /// Where all lanes that keep up read.
    var shared: EventPlace
    var sharedCount = 0
    var batch = OutcomeBatch()
    var batchStarted: UInt64 = 0
    var batchesOut = 0
    var batchNumber: UInt64 = 0
    /// The lane that lagging service and retries begin with in the next step.
    var rotation = 0
    /// Orders that the ring had no room for.
    var unsent: [Int] = []
    var loadsWanted: [Int] = []
    var eventsRead: UInt64 = 0
    var eventsUnreadable: UInt64 = 0
    /// Sequences that lanes have gone past without reading them, since somebody was told.
    package var passedOver: Range<UInt64>?
    package private(set) var isDraining = false
    private var seenEnd: UInt64 = 0

    package init(
        log: Log, egress: Egress, store: Store, pool: PayloadPool, limits: DispatcherLimits, clock: StoreClock,
        seed: UInt64
    ) {
        self.log = log
        self.egress = egress
        self.store = store
        self.pool = pool
        self.limits = limits
        self.clock = clock
        generator = SeededGenerator(seed: seed)
        slots = SlotTable(count: limits.orderCountMax)
        shared = log.committedEnd
    }

    /// One round. Returns for how long, in nanoseconds, there is nothing to do unless something comes in; 0 = go on at
    /// once.
    package func step(now: UInt64) -> UInt64 {
        seenEnd = log.committedEnd.sequence
        takeReplies()
        var isBusy = takeOutcomes(now: now)
        resubmit()
        if !isDraining {
            isBusy = dispatch(now: now) || isBusy
            askForRetries(now: now)
        }
        sealIfDue(now: now, isForced: isDraining && slots.outCount == 0)
        egress.flush()
        return isBusy ? 0 : sleepNanos(now: now)
    }
    /// For the last look before sleeping: something came in since the last step.
    package var hasWork: Bool {
        egress.hasOutcome || store.hasReply || log.committedEnd.sequence != seenEnd
    }
    /// No new orders from now on; what is out comes back and is written.
    package func beginDrain() { isDraining = true }
    /// True exactly when nothing is out and the store has everything.
    package var isDrained: Bool { slots.outCount == 0 && batch.isEmpty && batchesOut == 0 }

    // MARK: What comes in

    private func takeReplies() {
        while let reply = store.nextReply() {
            switch reply {
            case .committed(let marks):
                batchesOut -= 1
                for mark in marks {
                    guard let index = laneOfNumber[mark.endpoint] else { continue }
                    precondition(mark.resume.sequence >= lanes[index].committedMark.sequence, "a mark went back")
                    lanes[index].committedMark = mark.resume
                }
            case .pending(let endpoint, let rows, let limit):
                guard let index = laneOfNumber[endpoint] else { continue }
                let entries = rows.map {
                    RetryEntry(
                        key: RetryKey(dueMillis: $0.dueMillis, sequence: $0.place.sequence),
                        position: $0.place.position,
                        attempts: $0.attempts)
                }
                lanes[index].retries.loaded(entries, limit: limit)
            }
        }
    }
    /// True when it stopped at its bound.
    private func takeOutcomes(now: UInt64) -> Bool {
        var count = 0
        while count < limits.outcomesPerStep {
            guard makeRoomInBatch(now: now) else { return false }
            guard let outcome = egress.nextOutcome() else { return false }
            settle(outcome, now: now)
            count += 1
        }
        return true
    }
    private func resubmit() {
        while let slot = unsent.last {
            guard
                egress.submit(slots.order(slot, egressIndex: lanes[slots[slot].lane].settings.egressIndex, pool: pool))
            else {
                return
            }
            unsent.removeLast()
        }
    }

    // MARK: The batch

    /// False while the batch is full and the store's queue too.
    func makeRoomInBatch(now: UInt64) -> Bool {
        if batch.rows.count < limits.batchRowsMax { return true }
        guard store.hasRoom else { return false }
        seal(now: now)
        return true
    }
    func record(_ row: DeliveryRow, lane: Lane, now: UInt64) {
        if batch.isEmpty { batchStarted = now }
        batch.rows.append(row)
        lane.hasRowsInBatch = true
    }
    private func sealIfDue(now: UInt64, isForced: Bool) {
        let isDue = batch.rows.count >= limits.batchRowsMax || now &- batchStarted >= limits.batchNanosMax
        if batch.isEmpty ? marksAreDue(now: now, isForced: isForced) : isDue || isForced || batch.isDurable {
            guard store.hasRoom else { return }
            seal(now: now)
        }
    }
    private func marksAreDue(now: UInt64, isForced: Bool) -> Bool {
        lanes.contains { lane in
            !lane.isRemoved && (isForced || now &- lane.sealedNanos >= limits.markNanosMax)
                && lane.mark(shared: shared) != lane.sealedMark
        }
    }
    /// Hands the batch to the store, with every mark that its rows or the reading moved.
    func seal(now: UInt64) {
        for lane in lanes {
            let isDue = lane.hasRowsInBatch || isDraining || now &- lane.sealedNanos >= limits.markNanosMax
            lane.hasRowsInBatch = false
            guard isDue, !lane.isRemoved else { continue }
            lane.sealedNanos = now
            let mark = lane.mark(shared: shared)
            guard mark != lane.sealedMark else { continue }
            lane.sealedMark = mark
            batch.marks.append(LaneMark(endpoint: lane.number, resume: mark))
        }
        guard !batch.isEmpty else { return }
        batchNumber += 1
        batch.number = batchNumber
        batch.nowMillis = clock.millis(at: now)
        store.submit(.commit(batch))
        batchesOut += 1
        batch = OutcomeBatch()
        batch.rows.reserveCapacity(limits.batchRowsMax)
    }
    /// Every row that a queue left to the store must be on its way there before the page is asked for.
    private func askForRetries(now: UInt64) {
        let nowMillis = clock.millis(at: now)
        for lane in lanes where !lane.isStopped {
            guard let key = lane.retries.wantedLoad(nowMillis: nowMillis, aheadMillis: limits.retryAheadMillis) else {
                continue
            }
            guard store.hasRoom else { return }
            if !batch.isEmpty { seal(now: now) }
            guard store.hasRoom else { return }
            store.submit(.loadPending(endpoint: lane.number, from: key, limit: RetryQueue.pageCount))
            lane.retries.beginLoad(key)
        }
    }

    // MARK: Sleep

    /// O(lanes), and only asked for when there is nothing else to do.
    private func sleepNanos(now: UInt64) -> UInt64 {
        var nanos = limits.idleNanosMax
        if !batch.isEmpty {
            let age = now &- batchStarted
            nanos = min(nanos, age >= limits.batchNanosMax ? limits.batchNanosMax : limits.batchNanosMax - age)
        }
        let nowMillis = clock.millis(at: now)
        for lane in lanes where !lane.isStopped {
            if let end = lane.pauseEnd(now: now) {
                nanos = min(nanos, end - now)
            } else if let due = lane.retries.nextDueMillis, lane.hasRoomForRetry(now: now) {
                // A due entry in the store that is waited for comes with a reply.
                nanos = min(nanos, UInt64(min(max(due, nowMillis + 5) - nowMillis, 1000)) * 1_000_000)
            }
        }
        return nanos
    }
}
