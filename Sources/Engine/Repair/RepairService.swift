// The thread that does what operators want repaired, a bounded piece of each repair in turn: a slow one holds up no
// other, and none of them the data plane. Orders and how far they have come are in the store; a process that starts
// goes on with what an earlier one has left (see docs/why/repairs.md).
//
// Invariants: a repair is in the store before anybody is told of it; what is written of its progress is behind what was
// done, never ahead of it, so that a crash repeats a chunk and misses nothing.

import FastPath
import Foundation
import Logging
import Synchronization

/// What a repair must know of the registry.
package struct RepairSurroundings: Sendable {
    /// Nil = gone.
    package var endpoint: @Sendable (EndpointID) -> EndpointSpec?
    /// Of a tenant, ascending.
    package var numbers: @Sendable (TenantID) -> [UInt32]
    package var expunged: ExpungedContent?
    /// Hears of each repair that is over.
    package var ended: @Sendable (Repair) -> Void

    package init(
        endpoint: @escaping @Sendable (EndpointID) -> EndpointSpec?,
        numbers: @escaping @Sendable (TenantID) -> [UInt32], expunged: ExpungedContent?,
        ended: @escaping @Sendable (Repair) -> Void
    ) {
        self.endpoint = endpoint
        self.numbers = numbers
        self.expunged = expunged
        self.ended = ended
    }
}

package enum RepairError: Error, Equatable {
    /// So many run already, of the tenant or of all.
    case tooMany(Int)
    case stopped
}

package final class RepairService<Log: EventLog>: @unchecked Sendable {
    package static var runningMax: Int { 64 }
    package static var tenantRunningMax: Int { 8 }
    /// While the store or delivery cannot take more.
    static var waitNanos: UInt64 { 200_000_000 }

    private struct Shared {
        var arrived: [Repair] = []
        /// Of those that run, by id: whose. Nil = everybody's.
        var running: [String: UInt32?] = [:]
        var isStopping = false
        var isStopped = false
    }
    private let shared = Mutex(Shared())
    private let wakeup = NSCondition()
    let delivery: DeliveryService<Log>
    let ledger: SQLiteStore
    let surroundings: RepairSurroundings
    private let logger: Logger
    private let nowMillis: @Sendable () -> Int64

    package init(
        delivery: DeliveryService<Log>, ledger: SQLiteStore, surroundings: RepairSurroundings, logger: Logger,
        nowMillis: @escaping @Sendable () -> Int64 = { Int64(ProcessResources.wallNanos / 1_000_000) }
    ) {
        self.delivery = delivery
        self.ledger = ledger
        self.surroundings = surroundings
        self.logger = logger
        self.nowMillis = nowMillis
    }

    // MARK: life

    /// Goes on with what an earlier process has left.
    package func start() throws {
        let left = try ledger.runningRepairs()
        shared.withLock { shared in
            shared.arrived = left
            for repair in left { shared.running.updateValue(repair.order.tenant, forKey: repair.id) }
        }
        if !left.isEmpty {
            logger.notice("repairs go on that an earlier process began", metadata: ["count": "\(left.count)"])
        }
        let thread = Thread { [self] in run() }
        thread.name = "repairs"
        thread.start()
    }
    /// What is under way is left where it stands, for the next start.
    package func stop() {
        shared.withLock { $0.isStopping = true }
        signal()
        while !shared.withLock({ $0.isStopped }) { Thread.sleep(forTimeInterval: 0.001) }
    }
    private func signal() {
        wakeup.lock()
        wakeup.signal()
        wakeup.unlock()
    }

    // MARK: orders

    /// In the store when it returns.
    package func begin(_ order: RepairOrder) throws -> Repair {
        var order = order
        order.end = delivery.makeReader().committedEnd.sequence
        let draft = Repair(order, nowMillis: nowMillis())
        try shared.withLock { shared in
            guard !shared.isStopping else { throw RepairError.stopped }
            guard shared.running.count < Self.runningMax else { throw RepairError.tooMany(Self.runningMax) }
            let own = shared.running.values.count { $0 == order.tenant }
            guard own < Self.tenantRunningMax else { throw RepairError.tooMany(Self.tenantRunningMax) }
            shared.running.updateValue(order.tenant, forKey: draft.id)
        }
        do {
            let kept = try ledger.keep(draft)
            shared.withLock { $0.arrived.append(kept) }
            signal()
            return kept
        } catch {
            shared.withLock { _ = $0.running.removeValue(forKey: draft.id) }
            throw error
        }
    }
    /// What it has done is done. False when it was over already.
    package func cancel(_ repair: Repair) throws -> Bool {
        var ended = repair
        ended.state = .cancelled
        ended.note = nil
        ended.updatedMillis = nowMillis()
        guard try ledger.update(ended, isDurable: true) else { return false }
        shared.withLock { _ = $0.running.removeValue(forKey: repair.id) }
        surroundings.ended(ended)
        return true
    }

    // MARK: the thread

    private func run() {
        var runs: [RepairRun<Log>] = []
        while true {
            let (arrived, running, isStopping) = shared.withLock { shared in
                defer { shared.arrived.removeAll() }
                return (shared.arrived, shared.running, shared.isStopping)
            }
            if isStopping { break }
            runs += arrived.map { RepairRun($0) }
            // Those that somebody has ended meanwhile.
            runs.removeAll { running[$0.repair.id] == nil }
            let now = ProcessResources.monotonicNanos
            guard let place = runs.indices.min(by: { runs[$0].dueNanos < runs[$1].dueNanos }),
                runs[place].dueNanos <= now
            else {
                sleep(until: runs.map(\.dueNanos).min(), now: now)
                continue
            }
            if !advance(&runs[place]) { runs.remove(at: place) }
        }
        shared.withLock { $0.isStopped = true }
    }
    private func sleep(until due: UInt64?, now: UInt64) {
        let nanos = min(due.map { $0 > now ? $0 - now : 0 } ?? 250_000_000, 250_000_000)
        wakeup.lock()
        if shared.withLock({ $0.arrived.isEmpty && !$0.isStopping }) {
            _ = wakeup.wait(until: Date(timeIntervalSinceNow: Double(max(nanos, 1_000_000)) / 1e9))
        }
        wakeup.unlock()
    }
    /// False when it is over.
    private func advance(_ run: inout RepairRun<Log>) -> Bool {
        let before = run
        do {
            try step(&run)
            return try write(run)
        } catch is RepairEnd {
            return (try? write(run)) ?? true
        } catch DeliveryError.stopped {
            run.dueNanos = ProcessResources.monotonicNanos + Self.waitNanos
            return true
        } catch {
            // From where the store says that it stands.
            run = RepairRun(before.repair)
            run.repair.note = "waits until the store can be read and written"
            run.dueNanos = ProcessResources.monotonicNanos + 5 * Self.waitNanos
            return true
        }
    }
    private func write(_ run: RepairRun<Log>) throws -> Bool {
        var repair = run.repair
        repair.updatedMillis = nowMillis()
        let isOver = repair.state != .running
        let wasRunning = try ledger.update(repair, isDurable: isOver)
        guard isOver || !wasRunning else { return true }
        shared.withLock { _ = $0.running.removeValue(forKey: repair.id) }
        if wasRunning { surroundings.ended(repair) }
        return false
    }
}

/// The run has its state; nothing more is to be done.
struct RepairEnd: Error {}
