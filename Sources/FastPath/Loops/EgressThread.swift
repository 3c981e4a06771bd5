// The egress loop as other threads see it: start and stop. The thread itself is `EgressLoop`'s.
//
// Invariants: `start` returns after the ring is open on its thread, or throws; after `stop` every order that was pushed
// before it gets its outcome (`abandoned` when there was no answer), and `join` returns only then, so whoever pops the
// outcomes must go on popping until `join` is back. Nothing may be pushed after `stop`. If the popper stops first and
// the outcome ring is smaller than the orders out, `join` waits forever.
//
// Safety: `thread` and `result` are written by `start` and the loop's thread, ordered by the wake-up between them.

import CShims
import Synchronization

@safe package final class EgressThread: @unchecked Sendable {
    package let orders: OutboundRequestRing
    package let outcomes: OutcomeRing
    /// Where the beginnings of answers are.
    package let answers: AnswerMemory
    /// Indexes are `EgressCounter`'s raw values.
    package let counters = CounterBlock(count: EgressCounter.allCases.count)
    package let limits: EgressLimits
    private let mailbox = EgressMailbox()
    private let state = Mutex<(thread: UInt, isRunning: Bool)>((0, false))
    private let result = Mutex<UringError?>(nil)
    private let started: Wakeup

    /// Nil when the process has no descriptor left.
    package init?(
        orders: OutboundRequestRing, outcomes: OutcomeRing, answers: AnswerMemory, limits: EgressLimits = EgressLimits()
    ) {
        precondition(limits.connectionCountMax > 0 && limits.orderCountMax > 0 && limits.poolCountMax > 0)
        precondition(limits.receiveBufferByteCount <= limits.answerHeadBytesMax, "a piece must fit the room for heads")
        guard let started = Wakeup() else { return nil }
        self.started = started
        self.orders = orders
        self.outcomes = outcomes
        self.answers = answers
        self.limits = limits
    }
    /// Runs the loop on a thread of its own. Throws when the kernel gives no ring or the memory is not there.
    package func start() throws(UringError) {
        var thread: UInt = 0
        let context = unsafe Unmanaged.passRetained(self)
        started.beginSleep()
        let status = unsafe sluice_thread_start(
            { context in
                // Safety: retained by `start` for this thread alone.
                unsafe Unmanaged<EgressThread>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, unsafe context.toOpaque(), &thread)
        guard status == 0 else {
            unsafe context.release()
            throw UringError(step: .open, errno: -status)
        }
        _ = sluice_wakeup_wait(started.descriptor, -1)
        if let error = result.withLock({ $0 }) {
            sluice_thread_join(thread)
            throw error
        }
        state.withLock { $0 = (thread, true) }
    }
    /// Abandons what is in flight or waiting. To drain instead, push nothing more and stop when all outcomes are back.
    package func stop() {
        mailbox.requestStop()
        orders.signal()
    }
    /// Waits for the end of the thread. Once.
    package func join() {
        let (thread, isRunning) = state.withLock { state in
            defer { state.isRunning = false }
            return state
        }
        if isRunning { sluice_thread_join(thread) }
    }

    private func run() {
        unsafe sluice_thread_name("sluice-egress")
        ThreadUrgency.prompt.takeEffect()
        do throws(UringError) {
            // The table first: nothing is half made when there is no memory for it.
            let table = try EgressThread.table(limits)
            var loop = EgressLoop(
                io: try EgressThread.ring(limits), table: table, answers: answers, limits: limits,
                wakeDescriptor: orders.wakeup.descriptor)
            started.signal()
            run(&loop)
        } catch {
            result.withLock { $0 = error }
            started.signal()
        }
    }
    private static func table(_ limits: EgressLimits) throws(UringError) -> EgressConnectionTable {
        do { return try EgressConnectionTable(limits: limits) } catch {
            throw UringError(step: .memory, errno: ENOMEM)
        }
    }
    private static func ring(_ limits: EgressLimits) throws(UringError) -> UringIO {
        // A connection has three operations at most; cancels and closes pass by.
        var submissions = 64
        while submissions < min(limits.connectionCountMax * 2, 4096) { submissions *= 2 }
        return try UringIO(
            submissions: submissions, completions: submissions * 4, bufferCount: limits.receiveBufferCount,
            bufferByteCount: limits.receiveBufferByteCount)
    }
    private func run(_ loop: inout EgressLoop<UringIO>) {
        let (orderRing, orderWakeup) = (orders.ring, orders.wakeup)
        let (outcomeRing, outcomeWakeup) = (outcomes.ring, outcomes.wakeup)
        while !loop.isFinished(isRingEmpty: orderRing.isEmpty) {
            EgressThread.tick(&loop, orderRing, orderWakeup, outcomeRing, outcomeWakeup, mailbox, counters)
        }
        loop.finish()
    }
    /// Here the compiler proves that a tick neither allocates nor locks: where it is the kernel's.
    @_noAllocation @_noLocks
    private static func tick(
        _ loop: inout EgressLoop<UringIO>, _ orders: SPSCRing<OutboundRequest>, _ orderWakeup: Wakeup,
        _ outcomes: SPSCRing<DeliveryOutcome>, _ outcomeWakeup: Wakeup, _ mailbox: EgressMailbox,
        _ counters: CounterBlock
    ) {
        loop.tick(
            orders: orders, orderWakeup: orderWakeup, outcomes: outcomes, outcomeWakeup: outcomeWakeup,
            mailbox: mailbox, counters: counters)
    }
}

/// What other threads tell the loop: that it shall stop.
package final class EgressMailbox: Sendable {
    private let stopRequested = Atomic<Bool>(false)

    package init() {}
    package func requestStop() { stopRequested.store(true, ordering: .releasing) }
    @inline(__always) var wantsStop: Bool { stopRequested.load(ordering: .acquiring) }
}
