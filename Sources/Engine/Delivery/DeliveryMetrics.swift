// What delivery tells the outside: counters by endpoint and result, depths, lag, durations. The dispatcher counts in
// plain integers and publishes a copy a few times a second; nobody reads its own.

import FastPath

/// Durations of one stage of delivery.
package struct DurationHistogram: Equatable, Sendable {
    /// Upper bounds in microseconds; the last bucket has none.
    package static let boundsMicros: [UInt32] = [
        500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
        10_000_000,
        30_000_000,
    ]
    /// Not cumulative; one more than there are bounds.
    package private(set) var buckets = [UInt64](repeating: 0, count: boundsMicros.count + 1)
    package private(set) var sumMicros: UInt64 = 0
    package private(set) var count: UInt64 = 0

    package init() {}
    package mutating func add(_ other: DurationHistogram) {
        for index in buckets.indices { buckets[index] += other.buckets[index] }
        sumMicros += other.sumMicros
        count += other.count
    }
    package mutating func record(micros: UInt32) {
        var index = 0
        while index < DurationHistogram.boundsMicros.count, micros > DurationHistogram.boundsMicros[index] {
            index += 1
        }
        buckets[index] += 1
        sumMicros += UInt64(micros)
        count += 1
    }
}

/// Everything that is counted for one endpoint since the process started.
package struct LaneCounters: Equatable, Sendable {
    /// Attempts by how they ended, `DeliveryResult.rawValue` is the index.
    package private(set) var attempts = [UInt64](repeating: 0, count: DeliveryResult.allCases.count)
    /// Answers by their first digit, 1 to 5; index 0 is unused.
    package private(set) var answers = [UInt64](repeating: 0, count: 6)
    package var delivered: UInt64 = 0
    package var retried: UInt64 = 0
    package var repeatedAtOnce: UInt64 = 0
    package var replayed: UInt64 = 0
    /// `DeadLetterReason.rawValue` is the index; 0 is unused.
    package private(set) var deadLetters = [UInt64](repeating: 0, count: DeadLetterReason.allCases.count + 1)
    /// Attempts, from the order's arrival in the loop to the outcome.
    package private(set) var durations = DurationHistogram()
    /// From the event's arrival to its first order.
    package private(set) var queueWaits = DurationHistogram()
    /// From an order to its new connection, and to the answer's first byte.
    package private(set) var connects = DurationHistogram()
    package private(set) var firstBytes = DurationHistogram()

    package init() {}
    package mutating func recordQueueWait(millis: Int64) {
        queueWaits.record(micros: UInt32(clamping: max(millis, 0) * 1000))
    }
    package mutating func record(_ outcome: DeliveryOutcome) {
        attempts[Int(outcome.result.rawValue)] += 1
        if outcome.result == .answered { answers[min(5, Int(outcome.status) / 100)] += 1 }
        durations.record(micros: outcome.durationMicros)
        // Nought is "did not happen": the connection was there already, no byte came.
        if outcome.connectMicros > 0 { connects.record(micros: outcome.connectMicros) }
        if outcome.firstByteMicros > 0 { firstBytes.record(micros: outcome.firstByteMicros) }
    }
    package mutating func recordDeadLetter(_ reason: DeadLetterReason) { deadLetters[Int(reason.rawValue)] += 1 }
}

package struct LaneMetrics: Sendable {
    package var name: String
    package var counters: LaneCounters
    package var inFlight: Int
    /// Retries in memory; the store may have more.
    package var retriesWaiting: Int
    /// Committed events that the lane has not read yet.
    package var lagEvents: UInt64
    package var isPaused: Bool
    package var isDisabled: Bool
    package var stop: EndpointStop?
    package var mark: UInt64
}

package struct DeliveryMetrics: Sendable {
    package var lanes: [LaneMetrics] = []
    package var eventsRead: UInt64 = 0
    package var eventsUnreadable: UInt64 = 0
    package var payloadBytesLeased = 0
    package var payloadBytes = 0
    package var ordersOut = 0
    package var batchesWaiting = 0
    package var store = StoreWorkerMetrics()

    package init() {}
}

package struct StoreWorkerMetrics: Sendable {
    package var batches: UInt64 = 0
    package var rows: UInt64 = 0
    package var failures: UInt64 = 0
    package var pruned: UInt64 = 0
    /// True exactly while the last try failed: disk full, most likely. Deliveries then stop when the queue is full.
    package var isFailing = false
    /// The store's own words for it.
    package var lastError = ""

    package init() {}
}
