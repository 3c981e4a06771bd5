// Events of the API on their way into the log: each caller is told its event's fate, and holds no thread until then;
// one thread hands out the fates. Thousands share a commit.
//
// Invariants: an event that was taken has a slot until its receipt comes, whether or not anybody still waits for it; no
// more than the port's bound are out; what was taken before `close` gets its fate.
import FastPath
import Foundation
import Synchronization

package final class EventPublisher: Sendable {
    package typealias Done = @Sendable (InjectionFate) -> Void
    private struct Waiter {
        /// Nil when it was called: nobody waits any more.
        var done: Done?
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
        await withCheckedContinuation { (continuation: CheckedContinuation<InjectionFate?, Never>) in
            if !offer(event, { continuation.resume(returning: $0) }) { continuation.resume(returning: nil) }
        }
    }
    /// Calls `done` once, when the event's fate is known: on the publisher's thread, or here and now where nothing is
    /// taken any more or ever. False when too many are under way: nothing was taken, and nothing is called.
    package func offer(_ event: InjectedEvent, _ done: @escaping Done) -> Bool {
        let end = ProcessResources.monotonicNanos + patienceNanos
        let (isTaken, fate) = state.withLock { state -> (Bool, InjectionFate?) in
            guard !state.isClosed else { return (true, .closed) }
            guard let slot = state.free.last else { return (false, nil) }
            switch port.push(event, ticket: UInt64(slot)) {
            case .full: return (false, nil)
            case .tooLarge: return (true, .tooLarge)
            case .taken: break
            }
            state.free.removeLast()
            state.waiters[slot] = Waiter(done: done, deadline: end)
            return (true, nil)
        }
        if let fate { done(fate) }
        return isTaken
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
            var told: [(Done, InjectionFate)] = []
            let isEnded = state.withLock { state in
                while let (ticket, fate) = port.nextFate() { settle(Int(ticket), fate, &state, &told) }
                if looks || state.isEnded { giveUp(before: state.isEnded ? .max : now, &state, &told) }
                return state.isEnded
            }
            for (done, fate) in told { done(fate) }
            if isEnded { return }
        }
    }
    private func settle(
        _ slot: Int, _ fate: InjectionFate, _ state: inout State, _ told: inout [(Done, InjectionFate)]
    ) {
        guard let waiter = state.waiters[slot] else { preconditionFailure("a receipt for what was not offered") }
        state.waiters[slot] = nil
        state.free.append(slot)
        if let done = waiter.done { told.append((done, fate)) }
    }
    /// O(slots); ten times a second at most.
    private func giveUp(before now: UInt64, _ state: inout State, _ told: inout [(Done, InjectionFate)]) {
        guard state.outstandingCount > 0 else { return }
        for slot in state.waiters.indices {
            guard let waiter = state.waiters[slot], waiter.deadline < now, let done = waiter.done else {
                continue
            }
            state.waiters[slot]?.done = nil
            told.append((done, .unknown))
        }
    }
}
