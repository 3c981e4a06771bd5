// The load loop's tick: one thread, one ring, one written order.
//
//   1. submit and wait   until a completion or the next arrival; the last microseconds are spun, so that it is on time
//   2. completions       answers are timed with the tick's clock; connections become idle
//   3. arrivals          after 2, so that a connection that came free takes the arrival that waits
//   4. deadlines         after 2, so that an answer in time wins over its deadline
//   5. interval, counts  closed and published
//
// Invariants: an arrival's latency counts from its intended time, however late it could leave; arrivals are sent in
// their order; no allocation, lock or reference in a tick, as `runLoad` has the compiler prove. If they fail, a slow
// server looks fast.
// Safety: see `LoadConnection`; receive buffers are the kernel's from `give` on.
import CShims

enum LoadPhase: UInt8 { case connecting, running, draining, over }

@safe package struct LoadDriver<IO: LoopIO & ~Copyable>: ~Copyable {
    private static var scanNanos: UInt64 { 10_000_000 }
    /// The last stretch before an arrival is spun through: sleeping costs up to this to wake from.
    private static var spinNanos: UInt64 { 40_000 }
    private static var sleepNanosMax: UInt64 { 20_000_000 }
    private static var reconnectNanos: UInt64 { 20_000_000 }

    let plan: LoadPlan
    var io: IO
    var table: LoadTable
    var mix: LoadMix
    var totals: LoadTotals
    var times: LoadRecorders
    private var cursor: LoadCursor
    /// True exactly when a schedule says when to send.
    private let isOpen: Bool
    private let entries: UnsafePointer<LoadEntry>
    private let ledger: LoadLedgerWriter?
    private var fields = FieldTable()
    private var interval = LoadIntervalCounts()
    private(set) var phase = LoadPhase.connecting
    private var now: UInt64
    private var wallSeconds: UInt64 = 0
    private var startedAt: UInt64 = 0
    private var endsAt = UInt64.max
    private var measuredFrom = UInt64.max
    private var drainedAt = UInt64.max
    private var scanAt: UInt64
    private var connectUntil: UInt64
    private var sentCount: UInt64 = 0
    private var answeredCount: UInt64 = 0
    private var acceptedCount: UInt64 = 0
    private var goodAnsweredCount: UInt64 = 0
    private var goodUnauthorizedCount: UInt64 = 0
    private var errorCount: UInt64 = 0
    private var lastInterval = LoadIntervalCounts()
    /// Arrivals below this number have been counted as queued.
    private var queuedMark: UInt64 = 0
    /// True exactly while arrivals wait for want of a connection: then their lateness is the server's, not ours.
    private var isStarved = false
    private var figures = LoadReport()

    package init(_ plan: LoadPlan, io: consuming IO, memory: consuming LoadMemory) {
        precondition(plan.connectionCount > 0 && plan.nanos > plan.warmupNanos)
        self.plan = plan
        let begun = io.monotonicNanos()
        now = begun
        scanAt = begun + LoadDriver.scanNanos
        connectUntil = begun + plan.timeoutNanos
        self.io = io
        table = memory.table
        times = memory.times
        mix = LoadMix(weights: plan.entries.weights, shares: plan.entries.shares, seed: plan.seed)
        totals = LoadTotals(entryCount: plan.entries.count)
        unsafe entries = plan.entries.entries
        ledger = plan.ledger?.writer
        isOpen = plan.schedule != nil
        let nothing = [LoadPiece(nanos: 1, rateAtStart: 0, rateAtEnd: 0)]
        cursor = LoadCursor(plan.schedule ?? LoadSchedule(nothing))
    }

    package mutating func begin() {
        wallSeconds = io.wallNanos() / 1_000_000_000
        for slot in 0..<table.capacity { connect(slot) }
    }
    package var isOver: Bool { phase == .over }

    // MARK: the tick

    package mutating func tick(_ shared: LoadControl, _ counters: CounterBlock) {
        let count = io.enter(waitNanos: wait())
        now = io.monotonicNanos()
        wallSeconds = io.wallNanos() / 1_000_000_000
        for index in 0..<count { run(io.completion(index)) }
        advancePhase(wantsStop: shared.wantsStop)
        if phase == .running || phase == .draining { dispatch() }
        if now >= scanAt { scanDeadlines() }
        if startedAt > 0, now >= startedAt + interval.start + plan.intervalNanos { closeInterval() }
        io.publishBuffers()
        publish(counters)
    }
    private func wait() -> UInt64 {
        var until = min(scanAt, now + LoadDriver.sleepNanosMax)
        if phase == .running || phase == .draining, table.idleCount > 0, isOpen {
            let next = nextArrival()
            if next != .max { until = min(until, next > LoadDriver.spinNanos ? next - LoadDriver.spinNanos : 0) }
        }
        // The clock moved since the tick began; a wait of 0 submits and looks.
        let present = io.monotonicNanos()
        return until > present ? until - present : 0
    }
    @inline(__always) private func nextArrival() -> UInt64 {
        let next = cursor.nextNanos
        return next == .max ? .max : startedAt + next
    }

    private mutating func run(_ completion: Completion) {
        let tag = completion.tag
        switch tag.kind {
        case .connect, .send:
            guard table.isCurrent(tag) else { return }
            let slot = Int(tag.slot)
            let actions =
                tag.kind == .connect
                ? table[slot].connectCompleted(completion.result)
                : table[slot].sendCompleted(completion.result, now: now)
            if actions != .none { apply(actions, slot, answer: .empty) }
        case .receive: runReceive(completion)
        default: break
        }
    }
    private mutating func runReceive(_ completion: Completion) {
        let isCurrent = table.isCurrent(completion.tag)
        let slot = Int(completion.tag.slot)
        let buffer = completion.buffer
        if buffer >= 0 {
            if isCurrent, completion.result > 0 {
                let bytes = unsafe io.bytes(ofBuffer: buffer)
                let count = Int(completion.result)
                figures.bytesReceived &+= UInt64(count)
                let actions = unsafe table[slot].received(
                    bytes, count: count, now: now, fields: &fields, wallSeconds: wallSeconds)
                if actions != .none { unsafe apply(actions, slot, answer: ByteView(bytes, count: count)) }
            }
            io.give(buffer: buffer)
        }
        guard isCurrent, !completion.hasMore else { return }
        let result = completion.result
        let actions = table[slot].receiveEnded(min(result, 0), needsRearm: result > 0 || result == -ENOBUFS, now: now)
        if actions != .none { apply(actions, slot, answer: .empty) }
    }

    // MARK: what a connection asks for

    private mutating func apply(_ actions: EgressActions, _ slot: Int, answer: ByteView) {
        if actions.contains(.report) {
            count(slot, answer)
            table[slot].reported()
            table.became(busy: false)
        }
        if actions.contains(.unpark) { table.unpark(slot) }
        if actions.contains(.send) { send(slot) }
        if actions.contains(.receive) { io.receive(table[slot].descriptor, tag: tag(.receive, slot)) }
        if actions.contains(.park) {
            table.park(slot)
        }
        if actions.contains(.cancel) { io.cancelAll(table[slot].descriptor, tag: Tag(.ignored)) }
        if actions.contains(.free) {
            let error = table[slot].systemError
            let wasConnected = table[slot].isConnected
            let hadAnswer = table[slot].hasAnswered
            io.close(table[slot].descriptor, tag: Tag(.ignored))
            table[slot].freed()
            table.closed()
            if phase == .over { return }
            if hadAnswer, phase != .connecting { return connect(slot) }
            // Again, but not at once: a server that refuses, or accepts only to close, is not helped by a storm of
            // connects.
            table[slot].deadline = now + LoadDriver.reconnectNanos
            if !wasConnected {
                figures.connectErrno = error
                figures.connectFailures += 1
            }
        }
    }
    @inline(__always) private func tag(_ kind: TagKind, _ slot: Int) -> Tag {
        Tag(kind, slot: UInt32(slot), generation: table[slot].generation)
    }
    @inline(__always) private func send(_ slot: Int) {
        if table[slot].request.isOnePiece {
            let rest = table[slot].request.rest
            unsafe io.send(table[slot].descriptor, rest.base, count: rest.count, tag: tag(.send, slot))
        } else {
            unsafe io.sendMessage(table[slot].descriptor, table[slot].request.kernelMessage(), tag: tag(.send, slot))
        }
    }
    private mutating func connect(_ slot: Int) {
        let descriptor = io.openSocket(plan.address.family)
        guard descriptor >= 0 else {
            figures.connectErrno = -descriptor
            figures.connectFailures += 1
            table[slot].deadline = now + LoadDriver.reconnectNanos
            return
        }
        figures.connectionsOpened += 1
        table[slot].begin(descriptor: descriptor, deadline: now + plan.timeoutNanos)
        table.opened()
        let address = unsafe table[slot].request.setAddress(plan.address)
        unsafe io.connect(descriptor, address, byteCount: plan.address.byteCount, tag: tag(.connect, slot))
    }

    // MARK: arrivals

    private mutating func dispatch() {
        guard isOpen else { return dispatchClosed() }
        let elapsed = now - startedAt
        var isFirst = true
        let limit = min(elapsed, endsAt - startedAt)
        while sentCount < plan.requestCountMax, cursor.nextNanos <= limit {
            let next = cursor.nextNanos
            guard let slot = table.takeIdle() else {
                isStarved = true
                noteBacklog(elapsed)
                return
            }
            if isFirst, !isStarved { figures.lateNanosMax = max(figures.lateNanosMax, elapsed - next) }
            isFirst = false
            begin(slot, intendedAt: startedAt + next)
            cursor.advance()
        }
        isStarved = false
    }
    private mutating func noteBacklog(_ elapsed: UInt64) {
        let due = cursor.dueCount(at: min(elapsed, endsAt - startedAt))
        let number = cursor.number
        let backlog = due > number ? due - number : 0
        figures.backlogMax = max(figures.backlogMax, backlog)
        interval.backlogMax = max(interval.backlogMax, backlog)
        let from = max(queuedMark, number)
        if due > from {
            figures.queued += due - from
            queuedMark = due
        }
    }
    private mutating func dispatchClosed() {
        guard phase == .running else { return }
        while sentCount < plan.requestCountMax, let slot = table.takeIdle() { begin(slot, intendedAt: now) }
    }
    private mutating func begin(_ slot: Int, intendedAt: UInt64) {
        let draw = mix.next(nowSeconds: wallSeconds)
        let isMeasured = intendedAt >= measuredFrom && intendedAt < endsAt
        let exchange = LoadExchange(draw: draw, intendedAt: intendedAt, sentAt: now, isMeasured: isMeasured)
        table[slot].assign(exchange, deadline: now + plan.timeoutNanos)
        table.became(busy: true)
        unsafe table[slot].request.render(
            entries[draw.entry], kind: draw.kind, run: plan.run, event: draw.event,
            seconds: draw.seconds > 0 ? draw.seconds : wallSeconds)
        figures.bytesSent &+= UInt64(table[slot].request.byteCount)
        send(slot)
        sentCount += 1
        interval.sent += 1
        if now >= measuredFrom, now < endsAt { figures.sentInTime += 1 }
        if isMeasured { totals.sent(draw) }
        ledger?.note(draw.event, draw.kind.isForged ? .forged : .unknown)
    }
    private mutating func count(_ slot: Int, _ answer: ByteView) {
        let exchange = table[slot].exchange
        let draw = exchange.draw
        let endedAt = table[slot].endedAt
        let age = endedAt > exchange.intendedAt ? endedAt - exchange.intendedAt : 0
        guard table[slot].result == .answered else {
            errorCount += 1
            interval.errors += 1
            guard exchange.isMeasured else { return }
            totals.failed(draw, table[slot].result)
            // It took at least that long.
            if table[slot].result == .timedOut || table[slot].result == .abandoned {
                times.latency.record(nanos: age)
            }
            return
        }
        let status = Int(table[slot].status)
        let isAccepted = status < 300
        answeredCount += 1
        interval.answered += 1
        times.recent.record(nanos: age)
        if !draw.kind.isForged {
            goodAnsweredCount += 1
            if status == 401 || status == 403 { goodUnauthorizedCount += 1 }
        }
        if isAccepted {
            acceptedCount += 1
            interval.accepted += 1
            if !draw.kind.isForged {
                mix.accepted(
                    event: draw.event, entry: draw.entry, seconds: draw.seconds > 0 ? draw.seconds : wallSeconds)
            }
        }
        let good: LoadEventState = isAccepted ? .accepted : .refused
        ledger?.note(draw.event, draw.kind.isForged ? (isAccepted ? .forgedAccepted : .forged) : good)
        if endedAt >= measuredFrom, endedAt < endsAt {
            figures.answeredInTime += 1
            if isAccepted { figures.acceptedInTime += 1 }
        }
        guard exchange.isMeasured else { return }
        times.latency.record(nanos: age)
        times.service.record(nanos: endedAt > exchange.sentAt ? endedAt - exchange.sentAt : 0)
        totals.answered(draw, status: status)
        if !isAccepted { totals.refused(status: status, answer: answer) }
    }

    // MARK: time

    private mutating func advancePhase(wantsStop: Bool) {
        switch phase {
        case .connecting:
            if wantsStop { phase = .over } else if table.idleCount == table.capacity { start() }
            // Those that could not be obtained by now are tried on while the others work.
            if phase == .connecting, now >= connectUntil {
                if table.idleCount > 0 { start() } else { phase = .over }
            }
        case .running:
            let isExhausted = sentCount >= plan.requestCountMax
            if wantsStop || isExhausted || now >= endsAt {
                figures.isInterrupted = wantsStop && now < endsAt
                endsAt = min(endsAt, now)
                drainedAt = now + (wantsStop ? min(plan.drainNanos, 2_000_000_000) : plan.drainNanos)
                phase = .draining
            }
        case .draining:
            if wantsStop { drainedAt = min(drainedAt, now + 2_000_000_000) }
            let hasMore = nextArrival() <= endsAt && sentCount < plan.requestCountMax
            if table.busyCount == 0 && !hasMore || now >= drainedAt { phase = .over }
        case .over: break
        }
    }
    private mutating func start() {
        phase = .running
        startedAt = now
        measuredFrom = now + plan.warmupNanos
        endsAt = now + plan.nanos
    }
    private mutating func scanDeadlines() {
        scanAt = now + LoadDriver.scanNanos
        for slot in 0..<table.capacity where table[slot].deadline <= now {
            if table[slot].state == .free {
                table[slot].deadline = .max
                connect(slot)
            } else {
                apply(table[slot].deadlinePassed(now: now), slot, answer: .empty)
            }
        }
    }
    private mutating func closeInterval() {
        let elapsed = now - startedAt
        interval.nanos = elapsed - interval.start
        if isOpen {
            let due = cursor.dueCount(at: min(elapsed, endsAt - startedAt))
            interval.intended = due - figures.intended
            figures.intended = due
        } else {
            interval.intended = interval.sent
        }
        interval.p50 = times.recent.value(atShare: 0.5)
        interval.p99 = times.recent.value(atShare: 0.99)
        interval.maximum = times.recent.maximum
        totals.close(interval)
        lastInterval = interval
        times.recent.removeAll()
        interval = LoadIntervalCounts()
        interval.start = elapsed
    }
    private func publish(_ counters: CounterBlock) {
        counters.set(LoadCounter.sent.rawValue, sentCount)
        counters.set(LoadCounter.answered.rawValue, answeredCount)
        counters.set(LoadCounter.accepted.rawValue, acceptedCount)
        counters.set(LoadCounter.errors.rawValue, errorCount)
        counters.set(LoadCounter.goodAnswered.rawValue, goodAnsweredCount)
        counters.set(LoadCounter.goodUnauthorized.rawValue, goodUnauthorizedCount)
        counters.set(LoadCounter.connected.rawValue, UInt64(table.idleCount + table.busyCount))
        counters.set(LoadCounter.connectFailures.rawValue, figures.connectFailures)
        counters.set(LoadCounter.connectErrno.rawValue, UInt64(UInt32(bitPattern: figures.connectErrno)))
        counters.set(LoadCounter.intervalSent.rawValue, lastInterval.sent)
        counters.set(LoadCounter.intervalAnswered.rawValue, lastInterval.answered)
        counters.set(LoadCounter.intervalP50.rawValue, lastInterval.p50)
        counters.set(LoadCounter.intervalP99.rawValue, lastInterval.p99)
        counters.set(LoadCounter.backlog.rawValue, lastInterval.backlogMax)
        counters.set(LoadCounter.intervals.rawValue, UInt64(totals.intervalCount))
        counters.set(LoadCounter.startedAt.rawValue, startedAt)
        counters.set(LoadCounter.inFlight.rawValue, UInt64(table.busyCount))
        counters.add(LoadCounter.ticks.rawValue)
    }

    // MARK: the end

    /// What never left counts with its age; then everything is brought home, so that the ring holds no memory of ours.
    package mutating func finish() {
        phase = .over
        now = io.monotonicNanos()
        if startedAt > 0 { closeInterval() }
        if startedAt > 0, isOpen, plan.requestCountMax == .max {
            let limit = endsAt - startedAt
            while cursor.nextNanos < limit {
                let next = cursor.nextNanos
                if startedAt + next >= measuredFrom {
                    figures.unsent += 1
                    times.latency.record(nanos: now - startedAt - next)
                }
                cursor.advance()
            }
        }
        for slot in 0..<table.capacity { apply(table[slot].abandon(now: now), slot, answer: .empty) }
        let until = now + 2_000_000_000
        while table.openCount > 0, io.monotonicNanos() < until {
            let count = io.enter(waitNanos: LoadDriver.scanNanos)
            for index in 0..<count { run(io.completion(index)) }
            io.publishBuffers()
        }
        precondition(table.openCount == 0, "the kernel still holds a connection")
        // The last closes are only queued.
        _ = io.enter(waitNanos: 0)
        if startedAt > 0, endsAt > measuredFrom { figures.measuredNanos = endsAt - measuredFrom }
    }
    /// Allocates; after the run.
    package func report() -> LoadReport {
        var report = figures
        totals.write(to: &report)
        report.latency = LoadDistribution(times.latency)
        report.service = LoadDistribution(times.service)
        report.eventCount = mix.eventCount
        let sent = report.cells.joined().reduce(0) { $0 + $1.sent }
        report.intended = sent + report.unsent
        return report
    }
}
