// The egress loop as other threads see it: start, a new endpoint table, stop. The thread itself is `EgressDriver`'s.
//
// Invariants: `start` returns after the ring is open on its thread, or throws; after `stop` every order that was pushed
// before it gets its outcome (`abandoned` when there was no answer), and `join` returns only then, so whoever pops the
// outcomes must go on popping until `join` is back. Nothing may be pushed after `stop`. If the popper stops first and
// the outcome ring is smaller than the orders out, `join` waits for ever.
//
// Safety: `thread` and `result` are written by `start` and the loop's thread, ordered by the wake-up between them.

import CShims
import Synchronization

@safe package final class EgressLoop: @unchecked Sendable {
    package let orders: DeliveryOrderRing
    package let outcomes: DeliveryOutcomeRing
    /// Indexes are `EgressCounter`'s raw values.
    package let counters = CounterBlock(count: EgressCounter.allCases.count)
    package let limits: EgressLimits
    private let mailbox = EgressMailbox()
    private let first: EgressSnapshot
    private let state = Mutex<(thread: UInt, isRunning: Bool)>((0, false))
    private let result = Mutex<UringError?>(nil)
    private let started: Wakeup

    /// Nil when the process has no descriptor left. `limits` must be those of the snapshots.
    package init?(
        orders: DeliveryOrderRing, outcomes: DeliveryOutcomeRing, snapshot: EgressSnapshot,
        limits: EgressLimits = EgressLimits()
    ) {
        precondition(limits.connectionCountMax > 0 && limits.orderCountMax > 0)
        precondition(limits.receiveBufferByteCount <= limits.answerHeadBytesMax, "a piece must fit the room for heads")
        precondition(snapshot.endpoints.count <= limits.endpointCountMax)
        guard let started = Wakeup() else { return nil }
        self.started = started
        self.orders = orders
        self.outcomes = outcomes
        self.limits = limits
        first = snapshot
    }
    /// Runs the loop on a thread of its own. Throws when the kernel gives no ring or the memory is not there.
    package func start() throws(UringError) {
        var thread: UInt = 0
        let context = Unmanaged.passRetained(self)
        started.beginSleep()
        let status = sluice_thread_start({ context in
            // Safety: retained by `start` for this thread alone.
            Unmanaged<EgressLoop>.fromOpaque(context!).takeRetainedValue().run()
            return nil
        }, context.toOpaque(), &thread)
        guard status == 0 else {
            context.release()
            throw UringError(step: .open, errno: -status)
        }
        _ = sluice_wakeup_wait(started.descriptor, -1)
        if let error = result.withLock({ $0 }) {
            sluice_thread_join(thread)
            throw error
        }
        state.withLock { $0 = (thread, true) }
    }
    /// The endpoint table from now on; orders already started keep theirs. Connections whose address and authority stay
    /// are kept, the others close after their order. Takes effect at the next tick.
    package func replace(_ snapshot: EgressSnapshot) {
        precondition(snapshot.endpoints.count <= limits.endpointCountMax)
        mailbox.put(snapshot)
        orders.signal()
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
        sluice_thread_name("sluice-egress")
        let (orderRing, orderWakeup) = (orders.ring, orders.wakeup)
        let (outcomeRing, outcomeWakeup) = (outcomes.ring, outcomes.wakeup)
        do throws(UringError) {
            var driver = try EgressDriver(
                snapshot: first, limits: limits, wakeDescriptor: orderWakeup.descriptor)
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
