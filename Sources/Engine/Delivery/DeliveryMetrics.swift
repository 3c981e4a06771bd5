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
    /// What came on top of `earlier`.
    package func less(_ earlier: DurationHistogram) -> DurationHistogram {
        var difference = self
        for index in buckets.indices { difference.buckets[index] -= earlier.buckets[index] }
        difference.sumMicros -= earlier.sumMicros
        difference.count -= earlier.count
        return difference
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
    /// Events that its filter kept from it.
    package var filtered: UInt64 = 0
    /// `DeadLetterReason.rawValue` is the index; 0 is unused.
    package private(set) var deadLetters = [UInt64](repeating: 0, count: DeadLetterReason.placeCount)
    /// Attempts, from the order's arrival in the loop to the outcome.
    package private(set) var durations = DurationHistogram()
    /// From the event's arrival to its first order.
    package private(set) var queueWaits = DurationHistogram()
    /// From an order to its new connection, and to the answer's first byte.
    package private(set) var connects = DurationHistogram()
    package private(set) var firstBytes = DurationHistogram()

    package init() {}
    package mutating func recordQueueWait(millis: Int64) {
        queueWaits.record(micros: UInt32(clamping: min(max(millis, 0), 1 << 40) * 1000))
    }
    package mutating func record(_ outcome: DeliveryOutcome) {
        attempts[Int(outcome.result.rawValue)] += 1
        if outcome.result == .answered { answers[min(5, Int(outcome.status) / 100)] += 1 }
        durations.record(micros: outcome.durationMicros)
        // Nought is "did not happen": the connection was there already, no byte came.
        if outcome.connectMicros > 0 { connects.record(micros: outcome.connectMicros) }
        if outcome.firstByteMicros > 0 { firstBytes.record(micros: outcome.firstByteMicros) }
    }
    package var attemptCount: UInt64 { attempts.reduce(0, +) }
    /// What came on top of `earlier`, which is an earlier copy of the same counters or of a part of them.
    package func less(_ earlier: LaneCounters) -> LaneCounters {
        var difference = self
        for index in attempts.indices { difference.attempts[index] -= earlier.attempts[index] }
        for index in answers.indices { difference.answers[index] -= earlier.answers[index] }
        for index in deadLetters.indices { difference.deadLetters[index] -= earlier.deadLetters[index] }
        difference.delivered -= earlier.delivered
        difference.retried -= earlier.retried
        difference.repeatedAtOnce -= earlier.repeatedAtOnce
        difference.replayed -= earlier.replayed
        difference.filtered -= earlier.filtered
        difference.durations = durations.less(earlier.durations)
        difference.queueWaits = queueWaits.less(earlier.queueWaits)
        difference.connects = connects.less(earlier.connects)
        difference.firstBytes = firstBytes.less(earlier.firstBytes)
        return difference
    }
    package mutating func recordDeadLetter(_ reason: DeadLetterReason) { deadLetters[Int(reason.rawValue)] += 1 }
}

/// One endpoint as it stands now.
package struct LaneStatus: Equatable, Sendable {
    package var endpoint: EndpointID
    package var tenant: TenantID
    package var name: String
    package var state: EndpointState
    package var inFlight: Int
    /// Deliveries that were attempted and wait for another attempt.
    package var pending: Int
    package var dead: Int
    /// Events noted for when there is room.
    package var backlog: Int
    /// Committed events that the lane has not read yet; it may not want all of them.
    package var lagEvents: UInt64
    /// It asked for less, and is given less for the moment.
    package var isSlowed: Bool
    /// The first event of which nothing is known to the store; nil when there is none.
    package var oldestOutstanding: UInt64?
    /// What was accepted for it and is not delivered or dead.
    package var waiting: Int { inFlight + pending + backlog }
}

package struct LaneMetrics: Sendable {
    package var status: LaneStatus
    /// Since the endpoint is counted by itself; what came before is in `DeliveryMetrics.others`.
    package var counters: LaneCounters
}

package struct DeliveryMetrics: Sendable {
    /// The busiest endpoints, each by itself.
    package var lanes: [LaneMetrics] = []
    /// All others together.
    package var others = LaneCounters()
    package var endpointCount = 0
    /// Endpoints by condition.
    package var conditions: [EndpointCondition: Int] = [:]
    /// The same by the phase of their breaker, without closed ones.
    package var breakers: [BreakerPhase: Int] = [:]
    /// What policies did; `PolicyEvent.rawValue` is the index.
    package var policyEvents = [UInt64](repeating: 0, count: PolicyEvent.allCases.count)
    /// Attempts that failed; `FailureClass.index` is the index.
    package var failures = [UInt64](repeating: 0, count: FailureClass.allCases.count)
    /// Of all endpoints: deliveries that wait for another attempt, dead letters, events noted for when there is room.
    package var pending = 0
    package var dead = 0
    package var backlog = 0
    package var eventsRead: UInt64 = 0
    package var eventsUnreadable: UInt64 = 0
    /// Attempts that failed in TLS; `TLSFailure.rawValue` is the index.
    package var tlsFailures = [UInt64](repeating: 0, count: TLSFailure.allCases.count)
    package var preparation = PreparationFigures()
    package var tokens = TokenFigures()
    package var failovers = FailoverFigures()
    package var payloadBytesLeased = 0
    package var payloadBytes = 0
    package var ordersOut = 0
    package var batchesWaiting = 0
    /// Lanes that wait for what others hold.
    package var starvedLanes = 0
    package var lowWater: UInt64?
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
