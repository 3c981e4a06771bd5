// What a load run is told, what it shows while it runs, and what it hands back.

import CShims
import Synchronization

package struct LoadPlan: Sendable {
    package var address: EgressAddress
    package var entries: LoadEntries
    /// Nil = closed loop: every connection sends as soon as its answer is there.
    package var schedule: LoadSchedule?
    package var connectionCount = 16
    /// Warm-up included.
    package var nanos: UInt64 = 10_000_000_000
    package var warmupNanos: UInt64 = 0
    /// How long an answer, and a connection, may take.
    package var timeoutNanos: UInt64 = 10_000_000_000
    /// How long after the end late arrivals may still be sent and answers come in.
    package var drainNanos: UInt64 = 10_000_000_000
    package var intervalNanos: UInt64 = 1_000_000_000
    /// Requests at most; `.max` = no bound.
    package var requestCountMax = UInt64.max
    package var seed: UInt64 = 1
    /// Marks this run's events.
    package var run: UInt32 = 1
    package var ledger: LoadLedger?

    package init(address: EgressAddress, entries: LoadEntries) {
        self.address = address
        self.entries = entries
    }
}

/// Places of `LoadControl.counters`.
package enum LoadCounter: Int, CaseIterable, Sendable {
    case sent, answered, accepted, errors, goodAnswered, goodUnauthorized, connected, connectFailures, connectErrno
    case backlog, intervalSent, intervalAnswered, intervalP50, intervalP99, startedAt, inFlight
    case ticks, intervals
}

/// What the loop and the threads that watch it share.
package final class LoadControl: Sendable {
    package let counters = CounterBlock(count: LoadCounter.allCases.count)
    private let stopping = Atomic<Bool>(false)

    package init() {}
    /// Ends the run: what is in flight is waited for, no more is sent.
    package func stop() { stopping.store(true, ordering: .relaxed) }
    @inline(__always) var wantsStop: Bool { stopping.load(ordering: .relaxed) }
    package func read(_ counter: LoadCounter) -> UInt64 { counters.read(counter.rawValue) }
}

/// Requests of one kind of one entry; what `LoadReport.cells` has.
package struct LoadCell: Equatable, Sendable {
    package var sent: UInt64 = 0
    package var accepted: UInt64 = 0
    package var refused: UInt64 = 0
    package var failed: UInt64 = 0

    package init() {}
}

/// One interval of the run as the loop counted it; times in nanoseconds.
package struct LoadIntervalCounts: Sendable {
    package var start: UInt64 = 0
    package var nanos: UInt64 = 0
    package var intended: UInt64 = 0
    package var sent: UInt64 = 0
    package var answered: UInt64 = 0
    package var accepted: UInt64 = 0
    package var errors: UInt64 = 0
    package var backlogMax: UInt64 = 0
    package var p50: UInt64 = 0
    package var p99: UInt64 = 0
    package var maximum: UInt64 = 0

    package init() {}
}

/// A distribution as buckets that have something.
package struct LoadDistribution: Sendable {
    package struct Bucket: Sendable {
        package let range: ClosedRange<UInt64>
        package let count: UInt64
    }
    package var buckets: [Bucket] = []
    package var count: UInt64 = 0
    package var sum: UInt64 = 0
    package var minimum: UInt64 = 0
    package var maximum: UInt64 = 0

    package init(_ recorder: borrowing LoadRecorder) {
        for index in 0..<recorder.bucketCount {
            let bucketCount = recorder.count(ofBucket: index)
            if bucketCount > 0 { buckets.append(Bucket(range: recorder.range(ofBucket: index), count: bucketCount)) }
        }
        count = recorder.count
        sum = recorder.sum
        minimum = recorder.count > 0 ? recorder.minimum : 0
        maximum = recorder.maximum
    }
    package init() {}
}

/// What a run hands back. Counts are of the measured part unless they say otherwise.
package struct LoadReport: Sendable {
    package var latency = LoadDistribution()
    package var service = LoadDistribution()
    /// By entry, then by kind.
    package var cells: [[LoadCell]] = []
    package var statuses: [(status: Int, count: UInt64)] = []
    package var reasons: [(reason: String, count: UInt64)] = []
    package var failures: [(result: LoadResult, count: UInt64)] = []
    package var intervals: [LoadIntervalCounts] = []
    package var intended: UInt64 = 0
    package var unsent: UInt64 = 0
    package var queued: UInt64 = 0
    package var backlogMax: UInt64 = 0
    /// Answers that came inside the measured time, whenever their request was meant to leave.
    package var answeredInTime: UInt64 = 0
    package var acceptedInTime: UInt64 = 0
    package var sentInTime: UInt64 = 0
    package var measuredNanos: UInt64 = 0
    package var bytesSent: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    package var lateNanosMax: UInt64 = 0
    /// Of the whole run.
    package var connectionsOpened: UInt64 = 0
    package var connectFailures: UInt64 = 0
    package var connectErrno: Int32 = 0
    package var eventCount: UInt64 = 0
    package var isInterrupted = false

    package init() {}
}

/// Runs one load on the calling thread. Blocks until it is over.
package func runLoad(_ plan: LoadPlan, shared: LoadControl) throws(UringError) -> LoadReport {
    // The ring last of what can throw: nothing is half made then.
    let memory = try LoadMemory(plan)
    var submissions = 256
    while submissions < min(plan.connectionCount * 2, 8192) { submissions *= 2 }
    let io = try UringIO(
        submissions: submissions, completions: submissions * 4, bufferCount: 1024, bufferByteCount: 4096)
    sluice_thread_exact_timers()
    var driver = LoadDriver(plan, io: io, memory: memory)
    driver.begin()
    let counters = shared.counters
    while !driver.isOver { tick(&driver, shared, counters) }
    driver.finish()
    return driver.report()
}
/// Here the compiler proves that a tick neither allocates nor locks: where it is the kernel's.
@_noAllocation @_noLocks
private func tick(_ driver: inout LoadDriver<UringIO>, _ shared: LoadControl, _ counters: CounterBlock) {
    driver.tick(shared, counters)
}

/// What a load takes at its start.
package struct LoadMemory: ~Copyable {
    let table: LoadTable
    let times: LoadRecorders

    package init(_ plan: LoadPlan) throws(UringError) {
        var limits = EgressLimits()
        limits.answerHeadBytesMax = 8192
        limits.answerBodyBytesMax = 64 << 20
        let slots = try LoadMemory.made { () throws(OutOfMemory) in
            try LoadTable(capacity: plan.connectionCount, limits: limits)
        }
        times = try LoadMemory.made { () throws(OutOfMemory) in try LoadRecorders() }
        table = slots
    }
    private static func made<Made: ~Copyable>(_ make: () throws(OutOfMemory) -> Made) throws(UringError) -> Made {
        do { return try make() } catch { throw UringError(step: .memory, errno: ENOMEM) }
    }
}

/// What the process has used, for the figures about the generator itself.
package enum LoadProcess {
    package static var cpuNanos: UInt64 { sluice_process_cpu_nanos() }
    package static var residentBytes: UInt64 { sluice_process_resident_bytes() }
}
