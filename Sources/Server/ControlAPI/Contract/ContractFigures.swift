// What the contract edge counts, in the names of the contract's catalogue, beside Sluice's own.
//
// Invariant: event types are the sender's words, so only so many have a series of their own, and the others are
// `other`.
import Engine
import FastPath
import Synchronization

final class ContractFigures: Sendable {
    static let typeCountMax = 64
    /// Seconds.
    private static let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    private struct State {
        var statuses: [Int: UInt64] = [:]
        var durations = [UInt64](repeating: 0, count: bounds.count + 1)
        var seconds = 0.0
        /// By type and what became of it.
        var events: [String: [UInt64]] = [:]
        var signatureFailures: UInt64 = 0
        var dropped: [UInt64] = [0, 0]
        var port = ContractPortTotals()

        /// With what the ingest port has counted. Its loops know no types.
        func adding(_ port: ContractPortFigures) -> State {
            var sum = self
            sum.statuses.merge(port.statuses) { $0 + $1 }
            if port.accepted + port.duplicate > 0 {
                let others = sum.events[ContractFigures.otherTypes] ?? [0, 0]
                sum.events[ContractFigures.otherTypes] = [others[0] + port.accepted, others[1] + port.duplicate]
            }
            sum.signatureFailures += port.signatureFailures
            sum.dropped = [dropped[0] + port.limited, dropped[1] + port.unavailable]
            return sum
        }
    }
    private static let otherTypes = "other"
    private let state = Mutex(State())
    private static let outcomes = ["accepted", "duplicate"]
    private static let dropReasons = ["rate_limited", "unavailable"]

    func note(_ answered: EdgeAnswered) {
        let seconds = Double(answered.micros) / 1e6
        state.withLock { state in
            state.statuses[answered.status, default: 0] += 1
            let place = ContractFigures.bounds.firstIndex { seconds <= $0 } ?? ContractFigures.bounds.count
            state.durations[place] += 1
            state.seconds += seconds
            if answered.isSignatureFailure { state.signatureFailures += 1 }
            guard answered.isIngest else { return }
            if answered.status == 429 { state.dropped[0] += 1 }
            if answered.status == 503 { state.dropped[1] += 1 }
        }
    }
    func noteEvent(_ type: String, isDuplicate: Bool) {
        state.withLock { state in
            let isKnown = state.events[type] != nil || state.events.count < ContractFigures.typeCountMax
            state.events[isKnown ? type : ContractFigures.otherTypes, default: [0, 0]][isDuplicate ? 1 : 0] += 1
        }
    }

    /// `queueUsage`: the share of the way into the log that is taken.
    func families(
        _ delivery: DeliveryMetrics, port: ContractPortFigures, queueUsage: Double
    ) -> [MetricFamily] {
        let state = state.withLock { state in state.adding(state.port.total(port)) }
        var requests = MetricFamily(
            "http_requests_total", .counter,
            help: "Answers of the contract edge and of the ingest port's sources of it, by status.")
        for (status, count) in state.statuses.sorted(by: { $0.key < $1.key }) {
            requests.add([MetricLabel("status", "\(status)")], Double(count))
        }
        var durations = MetricFamily(
            "request_duration_seconds", .histogram, help: "From a request's head to its answer, at the contract edge.")
        durations.samples.append(
            MetricSample(
                [], HistogramSample(bounds: ContractFigures.bounds, counts: state.durations, sum: state.seconds)))
        var events = MetricFamily(
            "webhook_requests_total", .counter,
            help: "Events that came in the contract's envelope, by what became of them.")
        for (type, counts) in state.events.sorted(by: { $0.key < $1.key }) {
            for (status, count) in zip(ContractFigures.outcomes, counts) {
                let labels = [
                    MetricLabel("platform", "contract"), MetricLabel("event_type", type), MetricLabel("status", status),
                ]
                events.add(labels, Double(count))
            }
        }
        var dropped = MetricFamily(
            "webhook_dropped_total", .counter, help: "Calls with events that were not taken, by reason.")
        for (reason, count) in zip(ContractFigures.dropReasons, state.dropped) {
            dropped.add([MetricLabel("reason", reason)], Double(count))
        }
        return [requests, durations, events, dropped] + ContractFigures.gauges(state, delivery, queueUsage)
    }
    private static func gauges(
        _ state: State, _ delivery: DeliveryMetrics, _ queueUsage: Double
    ) -> [MetricFamily] {
        var latency = MetricFamily("delivery_latency_seconds", .histogram, help: "How long attempts took.")
        var counts = LaneCounts(delivery.others)
        for lane in delivery.lanes { counts.add(LaneCounts(lane.counters)) }
        latency.samples.append(MetricSample([], counts.durations))
        return [
            MetricFamily(
                "webhook_queue_usage", .gauge, help: "Share of the way into the log that is taken.", value: queueUsage),
            MetricFamily(
                "webhook_signature_failures_total", .counter, help: "Requests whose signature was missing or wrong.",
                value: Double(state.signatureFailures)),
            MetricFamily(
                "webhook_retries_total", .counter, help: "Deliveries put off to another attempt.",
                value: Double(counts.outcome(1))),
            MetricFamily("dlq_size", .gauge, help: "Dead letters kept.", value: Double(delivery.dead)), latency,
        ]
    }
}
