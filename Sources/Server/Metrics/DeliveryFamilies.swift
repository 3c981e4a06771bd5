// Deliveries as metric families: the busiest endpoints by tenant and name, all others as `other`.
//
// Invariant: at most `LaneSelection.countMax` + 1 values of the label `endpoint`. Every series is there from the start,
// with 0, while there is room for that; beyond it results and reasons that an endpoint never had are left out, so that
// a scrape stays small.
import Engine
import FastPath

struct DeliveryFamilies {
    private var finished = MetricFamily(
        "sluice_delivery_events_total", .counter, help: "Deliveries finished or put off, by outcome.")
    private var attempts = MetricFamily(
        "sluice_delivery_attempts_total", .counter, help: "Attempts, by how they ended.")
    private var deadLetters = MetricFamily(
        "sluice_delivery_dead_letters_total", .counter, help: "Deliveries given up, by reason.")
    private var filtered = MetricFamily(
        "sluice_endpoint_filtered_total", .counter, help: "Events that the endpoint's filter kept from it.")
    private var durations = MetricFamily(
        "sluice_delivery_attempt_seconds", .histogram, help: "Duration of an attempt.")
    private var inFlight = MetricFamily(
        "sluice_delivery_in_flight", .gauge, help: "Requests out with the endpoint.")
    private var pending = MetricFamily(
        "sluice_delivery_pending", .gauge, help: "Deliveries put off to a later attempt.")
    private var waiting = MetricFamily(
        "sluice_delivery_waiting", .gauge, help: "In flight, pending, and matched but not attempted yet.")
    private var oldest = MetricFamily(
        "sluice_delivery_oldest_waiting_seconds", .gauge,
        help: "Age of the oldest delivery that waits; of other endpoints the largest.")
    private var dead = MetricFamily("sluice_delivery_dead", .gauge, help: "Dead letters kept.")
    private var lag = MetricFamily(
        "sluice_delivery_lag_events", .gauge,
        help: "Events on disk that have not been read for the endpoint yet; of other endpoints the largest.")
    private var lagSeconds = MetricFamily(
        "sluice_delivery_lag_seconds", .gauge,
        help: "Age of the first event that has not been read for the endpoint yet; of other endpoints the largest.")
    private var state = MetricFamily(
        "sluice_endpoint_state", .gauge,
        help: "1 for the state that the endpoint is in: active, failing, paused, disabled.")
    private var count = MetricFamily("sluice_endpoints", .gauge, help: "Endpoints, by state.")

    static func of(_ lanes: LaneOverview) -> [MetricFamily] {
        var families = DeliveryFamilies()
        let isComplete = LaneSeries.hasRoom(for: lanes.busiest)
        for lane in lanes.busiest { families.add(lane, isOther: false, isComplete: isComplete) }
        if lanes.restCount > 0 || lanes.rest.counts != LaneCounts() {
            families.add(lanes.rest, isOther: true, isComplete: isComplete)
        }
        for state in EndpointStateName.allCases {
            families.count.add([MetricLabel("state", state.rawValue)], Double(lanes.states[state] ?? 0))
        }
        return families.all + policies(lanes)
    }

    private static func policies(_ lanes: LaneOverview) -> [MetricFamily] {
        var breakers = MetricFamily(
            "sluice_endpoint_breakers", .gauge, help: "Endpoints whose circuit breaker is not closed, by its state.")
        for phase in BreakerPhase.allCases where phase != .closed {
            breakers.add([MetricLabel("state", phase.rawValue)], Double(lanes.breakers[phase] ?? 0))
        }
        var events = MetricFamily(
            "sluice_delivery_policy_events_total", .counter, help: "What the policies of endpoints did.")
        for event in PolicyEvent.allCases {
            let labels = [MetricLabel("policy", event.policy), MetricLabel("event", event.name)]
            events.add(labels, Double(lanes.policyEvents[event.rawValue]))
        }
        var failures = MetricFamily(
            "sluice_delivery_failures_total", .counter, help: "Attempts that failed, by the class of the failure.")
        for failure in FailureClass.allCases {
            failures.add([MetricLabel("class", failure.rawValue)], Double(lanes.failures[failure.index]))
        }
        return [failures, breakers, events]
    }
    /// Lines of an endpoint that has had everything.
    static let sampleCountMax = sampleCount(
        results: DeliveryResult.allCases.count - 1, answers: 5, reasons: DeadLetterReason.allCases.count)
    /// Lines that an endpoint takes of a scrape.
    static func sampleCount(of lane: LaneFigures) -> Int {
        sampleCount(
            results: DeliveryResult.allCases.count { $0 != .answered && lane.counts.count(of: $0) > 0 },
            answers: (1...5).count { $0 == 2 || lane.counts.answers($0) > 0 },
            reasons: DeadLetterReason.allCases.count { lane.counts.deadLetters($0) > 0 })
    }
    private static func sampleCount(results: Int, answers: Int, reasons: Int) -> Int {
        let gauges = 8 + EndpointStateName.allCases.count
        let histogram = LaneCounts.bounds.count + 3
        return LaneCounts.outcomes.count + results + answers + reasons + histogram + gauges
    }
    private mutating func add(_ lane: LaneFigures, isOther: Bool, isComplete: Bool) {
        let labels = [
            MetricLabel("tenant", isOther ? "other" : lane.tenant),
            MetricLabel("endpoint", isOther ? "other" : lane.name),
        ]
        for (index, outcome) in LaneCounts.outcomes.enumerated() {
            finished.add(labels + [MetricLabel("outcome", outcome)], Double(lane.counts.outcome(index)))
        }
        for result in DeliveryResult.allCases where result != .answered {
            let value = lane.counts.count(of: result)
            if isComplete || value > 0 { attempts.add(labels + [MetricLabel("result", result.code)], Double(value)) }
        }
        for digit in 1...5 {
            let value = lane.counts.answers(digit)
            if isComplete || value > 0 || digit == 2 {
                attempts.add(labels + [MetricLabel("result", "\(digit)xx")], Double(value))
            }
        }
        for reason in DeadLetterReason.allCases {
            let value = lane.counts.deadLetters(reason)
            if isComplete || value > 0 { deadLetters.add(labels + [MetricLabel("reason", reason.name)], Double(value)) }
        }
        filtered.add(labels, Double(lane.counts.filtered))
        durations.samples.append(MetricSample(labels, lane.counts.durations))
        inFlight.add(labels, Double(lane.inFlight))
        pending.add(labels, Double(lane.pending))
        waiting.add(labels, Double(lane.waiting))
        oldest.add(labels, lane.oldestWaitingSeconds ?? 0)
        dead.add(labels, Double(lane.dead))
        lag.add(labels, Double(lane.lagEvents))
        lagSeconds.add(labels, lane.lagSeconds)
        if !isOther {
            for one in EndpointStateName.allCases {
                state.add(labels + [MetricLabel("state", one.rawValue)], one == lane.state ? 1 : 0)
            }
        }
    }
    private var all: [MetricFamily] {
        [
            finished, attempts, deadLetters, filtered, durations, inFlight, pending, waiting, oldest, dead, lag,
            lagSeconds, state, count,
        ]
    }
}
