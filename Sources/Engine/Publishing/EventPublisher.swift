// Events of the API on their way into the log: each caller suspends, holding no thread, until its event's fate is
// known; one thread hands out the fates. Thousands share a commit.
//
// Invariants: an event that was taken has a slot until its receipt comes, whether or not anybody still waits for it; no
// more than the port's bound are out; what was taken before `close` gets its fate.
import FastPath
import Foundation
import Synchronization

package final class EventPublisher: Sendable {
    private typealias Continuation = CheckedContinuation<InjectionFate, Never>
    private struct Waiter {
        /// Nil when nobody waits any more.
        var continuation: Continuation?
        /// Monotonic, nanoseconds.
        var deadline: UInt64
    }
    private struct State {
        /// By slot; a slot is its event's ticket.
        var waiters: [Waiter?]
        var free: [Int]
        var isClosed = false
        var isEnded = false

        init(count: Int) {
            waiters = Array(repeating: nil, count: count)
            free = Array((0..<count).reversed())
        }
        var outstandingCount: Int { waiters.count - free.count }
    }
    /// Between two looks for those that have waited too long.
    private static let lookMillis: Int32 = 100

    /// Of a payload.
    package let bodyBytesMax: Int
    private let port: EventPort
    private let patienceNanos: UInt64
    private let state: Mutex<State>
    private let drained = Mutex<LoopThread?>(nil)

    /// `patienceMillis`: how long a caller waits for the disk at most.
    package init(
        port: EventPort, bodyBytesMax: Int, patienceMillis: Int, countMax: Int = EventPort.eventCountMax
    ) throws(ThreadStartError) {
        precondition((1...EventPort.eventCountMax).contains(countMax))
        self.port = port
        self.bodyBytesMax = bodyBytesMax
        patienceNanos = UInt64(max(patienceMillis, 0)) * 1_000_000
        state = Mutex(State(count: countMax))
        let thread = try LoopThread(name: "publisher") { [self] in run() }
        drained.withLock { $0 = thread }
    }

    /// Suspends until the event's fate is known. Nil when too many are under way: nothing was taken.
    package func offer(_ event: InjectedEvent) async -> InjectionFate? {
        let end = ProcessResources.monotonicNanos + patienceNanos
        var isBusy = false
        let fate = await withCheckedContinuation { (continuation: Continuation) in
            let answer: (fate: InjectionFate, isBusy: Bool)? = state.withLock { state in
                guard !state.isClosed else { return (.closed, false) }
                guard let slot = state.free.last else { return (.failed, true) }
                switch port.push(event, ticket: UInt64(slot)) {
                case .full: return (.failed, true)
                case .tooLarge: return (.tooLarge, false)
                case .taken: break
                }
                state.free.removeLast()
                state.waiters[slot] = Waiter(continuation: continuation, deadline: end)
                return nil
            }
            guard let answer else { return }
            isBusy = answer.isBusy
            continuation.resume(returning: answer.fate)
        }
        return isBusy ? nil : fate
    }

    /// Nothing is taken any more; waits for the fates of what was, at most so long. True when all are known.
    package func drain(withinMillis: Int) -> Bool {
        state.withLock { $0.isClosed = true }
        let end = ProcessResources.monotonicNanos + UInt64(max(withinMillis, 0)) * 1_000_000
        var left = outstandingCount
        while left > 0, ProcessResources.monotonicNanos < end {
            Thread.sleep(forTimeInterval: 0.001)
            left = outstandingCount
        }
        state.withLock { $0.isEnded = true }
        port.wake()
        drained.withLock { $0.take() }?.join()
        return left == 0
    }
    package var outstandingCount: Int { state.withLock { $0.outstandingCount } }

    // MARK: The thread

    private func run() {
        var lookedAt: UInt64 = 0
        while true {
            port.wait(millisMax: EventPublisher.lookMillis) { state.withLock { $0.isEnded } }
            let now = ProcessResources.monotonicNanos
            let looks = now - lookedAt >= UInt64(EventPublisher.lookMillis) * 1_000_000
            if looks { lookedAt = now }
            var done: [(Continuation, InjectionFate)] = []
            let isEnded = state.withLock { state in
                while let (ticket, fate) = port.nextFate() { settle(Int(ticket), fate, &state, &done) }
                if looks || state.isEnded { giveUp(before: state.isEnded ? .max : now, &state, &done) }
                return state.isEnded
            }
            for (continuation, fate) in done { continuation.resume(returning: fate) }
            if isEnded { return }
        }
    }
    private func settle(
        _ slot: Int, _ fate: InjectionFate, _ state: inout State, _ done: inout [(Continuation, InjectionFate)]
    ) {
        guard let waiter = state.waiters[slot] else { preconditionFailure("a receipt for what was not offered") }
        state.waiters[slot] = nil
        state.free.append(slot)
        if let continuation = waiter.continuation { done.append((continuation, fate)) }
    }
    /// O(slots); ten times a second at most.
    private func giveUp(before now: UInt64, _ state: inout State, _ done: inout [(Continuation, InjectionFate)]) {
        guard state.outstandingCount > 0 else { return }
        for slot in state.waiters.indices {
            guard let waiter = state.waiters[slot], waiter.deadline < now, let continuation = waiter.continuation else {
                continue
            }
            state.waiters[slot]?.continuation = nil
            done.append((continuation, .unknown))
        }
    }
}
