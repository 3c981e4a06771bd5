// The figures of an endpoint as metrics and the API need them, and the choice of those that get a name of their own:
// the busiest few, so that a scrape stays small however many endpoints there are.
import Engine
import FastPath

package struct LaneFigures: Sendable {
    package var name: String
    package var tenant = "default"
    package var state = EndpointStateName.active
    package var reason: String?
    package var counts = LaneCounts()
    package var inFlight = 0
    package var pending = 0
    package var backlog = 0
    package var dead = 0
    package var lagEvents: UInt64 = 0
    package var oldestWaitingSeconds: Double?
    /// Age of the first event that has not been read for it; 0 when it has all.
    package var lagSeconds = 0.0

    package init(name: String) { self.name = name }

    package var waiting: Int { inFlight + pending + backlog }

    /// Sums; of ages and lags the largest.
    mutating func add(_ other: LaneFigures) {
        counts.add(other.counts)
        inFlight += other.inFlight
        pending += other.pending
        backlog += other.backlog
        dead += other.dead
        lagEvents = max(lagEvents, other.lagEvents)
        lagSeconds = max(lagSeconds, other.lagSeconds)
        if let age = other.oldestWaitingSeconds { oldestWaitingSeconds = max(oldestWaitingSeconds ?? 0, age) }
    }
}

/// Everything that is counted for an endpoint, in one row; `Layout` says where what stands.
package struct LaneCounts: Equatable, Sendable {
    private enum Layout {
        static let results = 0
        static let answers = results + DeliveryResult.allCases.count
        static let outcomes = answers + 6
        static let reasons = outcomes + 3
        static let buckets = reasons + DeadLetterReason.placeCount
        static let sum = buckets + bounds.count + 1
        static let filtered = sum + 1
        static let count = filtered + 1
    }
    /// Upper bounds of an attempt's duration in microseconds; coarser than what is counted, so that a scrape stays
    /// small. Each is a bound of `DurationHistogram`.
    package static let bounds: [UInt32] = [5000, 25_000, 100_000, 500_000, 1_000_000, 5_000_000, 30_000_000]
    package static let outcomes = ["delivered", "retried", "replayed"]

    package private(set) var row: [UInt64]

    package init() { row = [UInt64](repeating: 0, count: Layout.count) }
    package init(row: [UInt64]) {
        precondition(row.count == Layout.count)
        self.row = row
    }
    package init(_ counters: LaneCounters) {
        self.init()
        for (index, count) in counters.attempts.enumerated() { row[Layout.results + index] = count }
        for (index, count) in counters.answers.enumerated() { row[Layout.answers + index] = count }
        row[Layout.outcomes] = counters.delivered
        row[Layout.outcomes + 1] = counters.retried
        row[Layout.outcomes + 2] = counters.replayed
        for (index, count) in counters.deadLetters.enumerated() { row[Layout.reasons + index] = count }
        for (index, count) in counters.durations.buckets.enumerated() {
            let bound = index < DurationHistogram.boundsMicros.count ? DurationHistogram.boundsMicros[index] : .max
            let bucket = LaneCounts.bounds.firstIndex { bound <= $0 } ?? LaneCounts.bounds.count
            row[Layout.buckets + bucket] += count
        }
        row[Layout.sum] = counters.durations.sumMicros
        row[Layout.filtered] = counters.filtered
    }

    package mutating func add(_ other: LaneCounts) {
        for index in row.indices { row[index] &+= other.row[index] }
    }
    package var attempts: UInt64 { row[Layout.results..<Layout.answers].reduce(0, &+) }
    package func count(of result: DeliveryResult) -> UInt64 { row[Layout.results + Int(result.rawValue)] }
    /// `digit` 1 to 5: answers by the first digit of their status.
    package func answers(_ digit: Int) -> UInt64 { row[Layout.answers + digit] }
    package func outcome(_ index: Int) -> UInt64 { row[Layout.outcomes + index] }
    /// Events that the endpoint's filter kept from it.
    package var filtered: UInt64 { row[Layout.filtered] }
    package func deadLetters(_ reason: DeadLetterReason) -> UInt64 { row[Layout.reasons + Int(reason.rawValue)] }
    package var durations: HistogramSample {
        HistogramSample(
            bounds: LaneCounts.bounds.map { Double($0) / 1_000_000 },
            counts: Array(row[Layout.buckets...(Layout.buckets + LaneCounts.bounds.count)]),
            sum: Double(row[Layout.sum]) / 1_000_000)
    }
}

/// All endpoints of one moment.
package struct LaneOverview: Sendable {
    /// Those that delivery counts by themselves, at most `LaneSelection.countMax`.
    package var busiest: [LaneFigures] = []
    package var rest = LaneFigures(name: "other")
    package var restCount = 0
    package var states: [EndpointStateName: Int] = [:]
    /// Endpoints by the phase of their breaker, without closed ones.
    package var breakers: [BreakerPhase: Int] = [:]
    /// `PolicyEvent.rawValue` is the index.
    package var policyEvents = [UInt64](repeating: 0, count: PolicyEvent.allCases.count)
    /// Attempts that failed; `FailureClass.index` is the index.
    package var failures = [UInt64](repeating: 0, count: FailureClass.allCases.count)

    package init() {}
}

/// The overviews of successive scrapes, with counters that never go back.
package final class LaneSeries: Sendable {
    /// What the series of named endpoints may take of a scrape, as text.
    private static let textBytesMax = 144 << 10
    /// What a sample takes beside the values of its labels `tenant` and `endpoint`.
    private static let sampleBytes = 80

    /// True exactly when there is room for everything that these could ever count.
    static func hasRoom(for lanes: [LaneFigures]) -> Bool {
        lanes.reduce(0) { $0 + DeliveryFamilies.sampleCountMax * bytes(aSampleOf: $1) } <= textBytesMax
    }
    private static func bytes(aSampleOf lane: LaneFigures) -> Int {
        sampleBytes + lane.name.utf8.count + lane.tenant.utf8.count
    }
    private let counters = CounterSeries()

    package init() {}

    /// `overview` with the counts as they are to be shown.
    package func take(_ overview: LaneOverview) -> LaneOverview {
        var shown = overview
        shown.busiest = []
        var bytes = 0
        for lane in overview.busiest {
            bytes += DeliveryFamilies.sampleCount(of: lane) * LaneSeries.bytes(aSampleOf: lane)
            if bytes <= LaneSeries.textBytesMax {
                shown.busiest.append(lane)
            } else {
                shown.rest.add(lane)
                shown.restCount += 1
            }
        }
        let (rows, other) = counters.take(
            named: shown.busiest.map { ("\($0.tenant)/\($0.name)", $0.counts.row) }, rest: shown.rest.counts.row,
            hasOthers: shown.restCount > 0)
        for (index, row) in rows.enumerated() { shown.busiest[index].counts = LaneCounts(row: row) }
        shown.rest.counts = LaneCounts(row: other)
        return shown
    }
}
