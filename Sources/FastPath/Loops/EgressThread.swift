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
        let (orderRing, orderWakeup) = (orders.ring, orders.wakeup)
        let (outcomeRing, outcomeWakeup) = (outcomes.ring, outcomes.wakeup)
        do throws(UringError) {
            var driver = try EgressLoop(
                answers: answers, limits: limits, wakeDescriptor: orderWakeup.descriptor)
            started.signal()
            while !driver.isFinished(isRingEmpty: orderRing.isEmpty) {
                driver.tick(
                    orders: orderRing, orderWakeup: orderWakeup, outcomes: outcomeRing, outcomeWakeup: outcomeWakeup,
                    mailbox: mailbox, counters: counters)
            }
            driver.finish()
        } catch {
            result.withLock { $0 = error }
            started.signal()
        }
    }
}

/// What other threads tell the loop: that it shall stop.
final class EgressMailbox: Sendable {
    private let stopRequested = Atomic<Bool>(false)

    init() {}
    func requestStop() { stopRequested.store(true, ordering: .releasing) }
    @inline(__always) var wantsStop: Bool { stopRequested.load(ordering: .acquiring) }
}
