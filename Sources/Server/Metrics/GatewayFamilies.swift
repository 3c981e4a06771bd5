// A gateway's status as metric families. docs/operations.md says what each means and which to watch.
//
// Invariant: a counter never goes back while the process lives; a label's values are names of the configuration or
// cases of an enum. Latency histograms are coarsened to powers of two, so that a scrape stays small.
import Engine
import FastPath

package enum GatewayFamilies {
    package static func of(_ status: GatewayStatus) -> [MetricFamily] {
        sources(status) + connections(status) + log(status) + delivery(status.delivery) + [
            MetricFamily(
                "sluice_ready", .gauge, help: "1 while /ready says ready.", value: status.problems.isEmpty ? 1 : 0),
            MetricFamily(
                "sluice_memory_budget_bytes", .gauge, help: "Memory taken at start.",
                value: Double(status.memoryBudgetBytes)),
        ]
    }

    // MARK: ingest

    private static func sources(_ status: GatewayStatus) -> [MetricFamily] {
        var events = MetricFamily(
            "sluice_events_total", .counter, help: "Requests to sources, by what became of them.")
        var rejections = MetricFamily("sluice_rejections_total", .counter, help: "Rejected signatures, by reason.")
        var observations = MetricFamily(
            "sluice_observed_rejections_total", .counter,
            help: "Signatures that failed and were kept because their source observes, by reason.")
        var captures = MetricFamily(
            "sluice_rejected_requests_total", .counter,
            help: "Rejected requests copied for a closer look, and those there was no room for.")
        var bytes = MetricFamily("sluice_body_bytes_total", .counter, help: "Bytes of the bodies of accepted events.")
        let outcomes: [(SourceCounter, String)] = [
            (.accepted, "accepted"), (.duplicate, "duplicate"), (.rejected, "rejected"), (.refused, "refused"),
            (.handshake, "handshake"), (.observed, "observed"), (.unchecked, "unchecked"),
        ]
        for source in status.sources {
            let name = MetricLabel("source", source.name)
            for (counter, outcome) in outcomes {
                events.add([name, MetricLabel("outcome", outcome)], Double(source.counters[counter] ?? 0))
            }
            for (reason, count) in source.rejections.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                rejections.add([name, MetricLabel("reason", reason.rawValue)], Double(count))
            }
            for (reason, count) in source.observations.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                observations.add([name, MetricLabel("reason", reason.rawValue)], Double(count))
            }
            captures.add([name, MetricLabel("outcome", "kept")], Double(source.counters[.captured] ?? 0))
            captures.add([name, MetricLabel("outcome", "dropped")], Double(source.counters[.notCaptured] ?? 0))
            bytes.add([name], Double(source.counters[.bodyBytes] ?? 0))
        }
        return [events, rejections, observations, captures, bytes] + offload(status) + rejected(status.rejected)
    }
    private static func rejected(_ metrics: RejectedMetrics) -> [MetricFamily] {
        var hints = MetricFamily(
            "sluice_rejection_hints_total", .counter,
            help: "Rejected requests whose cause a closer look found, by hint.")
        for (key, count) in metrics.hints.sorted(by: {
            ($0.key.source, $0.key.hint.rawValue) < ($1.key.source, $1.key.hint.rawValue)
        }) {
            hints.add([MetricLabel("source", key.source), MetricLabel("hint", key.hint.rawValue)], Double(count))
        }
        var kept = MetricFamily("sluice_rejected_kept", .gauge, help: "Rejected requests that are kept.")
        for (source, total) in metrics.totals.sorted(by: { $0.key < $1.key }) {
            kept.add([MetricLabel("source", source)], Double(total.count))
        }
        return [
            hints, kept,
            MetricFamily(
                "sluice_rejected_unexamined_total", .counter,
                help: "Rejected requests kept without a closer look: more came than may be looked at.",
                value: Double(metrics.unexamined)),
            MetricFamily(
                "sluice_rejected_store_failures_total", .counter,
                help: "Rejected requests that could not be kept because their store failed.",
                value: Double(metrics.failed)),
        ]
    }
    private static func offload(_ status: GatewayStatus) -> [MetricFamily] {
        [
            MetricFamily(
                "sluice_verifier_requests_total", .counter, help: "Requests verified by worker threads.",
                value: Double(status.offloadedCount)),
            MetricFamily(
                "sluice_verifier_seconds_total", .counter, help: "Time that took them.",
                value: Double(status.offloadedMicros) / 1_000_000),
        ]
    }

    private static func connections(_ status: GatewayStatus) -> [MetricFamily] {
        func value(_ counter: IngestCounter) -> Double { Double(status.ingest[counter] ?? 0) }
        var requests = MetricFamily(
            "sluice_http_refusals_total", .counter, help: "Requests refused before a source, by reason.")
        let refusals: [(IngestCounter, String)] = [
            (.malformed, "malformed"), (.notFound, "not_found"), (.methodNotAllowed, "method_not_allowed"),
            (.tooLarge, "too_large"), (.unavailable, "unavailable"),
        ]
        for (counter, reason) in refusals { requests.add([MetricLabel("reason", reason)], value(counter)) }
        var connections = MetricFamily(
            "sluice_connections_total", .counter, help: "Connections, by what became of them.")
        let ends: [(IngestCounter, String)] = [
            (.connectionsAccepted, "accepted"), (.connectionsRefused, "refused"), (.connectionsClosed, "closed"),
            (.connectionsTimedOut, "timed_out"),
        ]
        for (counter, event) in ends { connections.add([MetricLabel("event", event)], value(counter)) }
        var shortages = MetricFamily(
            "sluice_ingest_memory_exhausted_total", .counter,
            help: "Times that memory for requests ran out, by which.")
        shortages.add([MetricLabel("memory", "receive_buffers")], value(.receiveBuffersExhausted))
        shortages.add([MetricLabel("memory", "assembly")], value(.assemblyExhausted))
        return [
            MetricFamily("sluice_http_requests_total", .counter, help: "Requests read.", value: value(.requests)),
            requests,
            connections,
            MetricFamily(
                "sluice_connections_open", .gauge, help: "Connections open now.", value: value(.connectionsOpen)),
            MetricFamily(
                "sluice_received_bytes_total", .counter, help: "Bytes received from senders.",
                value: value(.bytesReceived)),
            MetricFamily(
                "sluice_sent_bytes_total", .counter, help: "Bytes sent to senders.", value: value(.bytesSent)),
            MetricFamily(
                "sluice_assembly_free_bytes", .gauge, help: "Memory left for requests larger than a receive buffer.",
                value: value(.assemblyBytesFree)),
            shortages,
        ]
    }

    // MARK: log

    private static func log(_ status: GatewayStatus) -> [MetricFamily] {
        func value(_ counter: IngestCounter) -> Double { Double(status.ingest[counter] ?? 0) }
        let ingest = [
            MetricSample(
                [MetricLabel("stage", "verify")], histogram(status.verifyBuckets, sumMicros: status.verifyMicros)),
            MetricSample(
                [MetricLabel("stage", "commit")], histogram(status.commitBuckets, sumMicros: status.commitMicros)),
        ]
        return [
            MetricFamily(
                "sluice_log_commits_total", .counter, help: "Groups written and synced.", value: value(.commits)),
            MetricFamily(
                "sluice_log_commit_bytes_total", .counter, help: "Bytes of those groups.", value: value(.commitBytes)),
            MetricFamily(
                "sluice_log_commit_failures_total", .counter, help: "Groups whose write or sync failed.",
                value: value(.commitFailures)),
            MetricFamily(
                "sluice_log_segment_rolls_total", .counter, help: "Segments begun.", value: value(.segmentRolls)),
            MetricFamily(
                "sluice_log_segment_failures_total", .counter,
                help: "Segments given up after a failed write or sync.",
                value: value(.segmentFailures)),
            MetricFamily(
                "sluice_log_segments_removed_total", .counter, help: "Segments removed by retention.",
                value: Double(status.segmentsRemoved)),
            MetricFamily(
                "sluice_log_segments_held_back", .gauge,
                help: "Segments past retention that an endpoint still needs.",
                value: Double(status.segmentsHeldBack)),
            MetricFamily(
                "sluice_log_damages", .gauge, help: "Damaged places found at start.",
                value: Double(status.damages.count)),
            MetricFamily(
                "sluice_log_committed_sequence", .gauge, help: "The last event on disk.",
                value: Double(status.committedSequence)),
            MetricFamily("sluice_dedup_entries", .gauge, help: "Events remembered.", value: value(.dedupEntries)),
            MetricFamily(
                "sluice_dedup_capacity", .gauge, help: "Events that can be remembered.",
                value: Double(status.dedupCapacity)),
            MetricFamily(
                "sluice_dedup_evictions_total", .counter,
                help: "Events forgotten before their window was over: dedup.entries is too small.",
                value: value(.dedupEvictions)),
            MetricFamily(
                "sluice_stage_seconds", .histogram,
                help: "Time in a stage of an event's way; docs/operations.md says from where to where.",
                samples: ingest + stages(status.delivery)),
        ]
    }
    /// The stages of delivery, of all endpoints together; each endpoint's attempts have a histogram of their own.
    private static func stages(_ metrics: DeliveryMetrics) -> [MetricSample] {
        let stages: [(String, KeyPath<LaneCounters, DurationHistogram>)] = [
            ("queue_wait", \.queueWaits), ("connect", \.connects), ("first_byte", \.firstBytes), ("done", \.durations),
        ]
        return stages.map { name, path in
            var sum = DurationHistogram()
            for lane in metrics.lanes { sum.add(lane.counters[keyPath: path]) }
            return MetricSample([MetricLabel("stage", name)], histogram(sum))
        }
    }
    private static func histogram(_ durations: DurationHistogram) -> HistogramSample {
        HistogramSample(
            bounds: DurationHistogram.boundsMicros.map { Double($0) / 1_000_000 }, counts: durations.buckets,
            sum: Double(durations.sumMicros) / 1_000_000)
    }

    /// `LatencyHistogram`'s buckets, four of which are one here; 64 µs to 16.8 s.
    package static func histogram(_ buckets: [UInt64], sumMicros: UInt64) -> HistogramSample {
        let bounds = (6...24).map { UInt64(1) << UInt64($0) }
        var counts = [UInt64](repeating: 0, count: bounds.count + 1)
        for (bucket, count) in buckets.enumerated() where count > 0 {
            let largest = LatencyHistogram.upperBound(ofBucket: bucket)
            counts[bounds.firstIndex { largest <= $0 } ?? bounds.count] += count
        }
        return HistogramSample(
            bounds: bounds.map { Double($0) / 1_000_000 }, counts: counts, sum: Double(sumMicros) / 1_000_000)
    }

    // MARK: delivery

    private static func delivery(_ metrics: DeliveryMetrics) -> [MetricFamily] {
        var finished = MetricFamily(
            "sluice_delivery_events_total", .counter, help: "Deliveries finished or put off, by outcome.")
        var attempts = MetricFamily("sluice_delivery_attempts_total", .counter, help: "Attempts, by how they ended.")
        var dead = MetricFamily(
            "sluice_delivery_dead_letters_total", .counter, help: "Deliveries given up, by reason.")
        var durations = MetricFamily("sluice_delivery_attempt_seconds", .histogram, help: "Duration of an attempt.")
        var gauges = LaneGauges()
        for lane in metrics.lanes {
            let name = MetricLabel("endpoint", lane.name)
            for (outcome, count) in [
                ("delivered", lane.counters.delivered), ("retried", lane.counters.retried),
                ("replayed", lane.counters.replayed),
            ] { finished.add([name, MetricLabel("outcome", outcome)], Double(count)) }
            addAttempts(lane.counters, name, to: &attempts)
            for reason in DeadLetterReason.allCases {
                let count = lane.counters.deadLetters[Int(reason.rawValue)]
                dead.add([name, MetricLabel("reason", reason.name)], Double(count))
            }
            durations.samples.append(MetricSample([name], histogram(lane.counters.durations)))
            gauges.add(lane, name)
        }
        return [finished, attempts, dead, durations] + gauges.families + store(metrics)
    }
    private static func addAttempts(_ counters: LaneCounters, _ name: MetricLabel, to family: inout MetricFamily) {
        for result in DeliveryResult.allCases where result != .answered {
            family.add([name, MetricLabel("result", result.code)], Double(counters.attempts[Int(result.rawValue)]))
        }
        for digit in 1...5 {
            family.add([name, MetricLabel("result", "\(digit)xx")], Double(counters.answers[digit]))
        }
    }

    private struct LaneGauges {
        var inFlight = MetricFamily("sluice_delivery_in_flight", .gauge, help: "Requests out with the endpoint.")
        var retries = MetricFamily("sluice_delivery_retries_waiting", .gauge, help: "Retries waiting in memory.")
        var lag = MetricFamily(
            "sluice_delivery_lag_events", .gauge, help: "Events on disk that the endpoint has not met yet.")
        var stopped = MetricFamily(
            "sluice_delivery_stopped", .gauge,
            help: "1 while nothing is sent: disabled, gone (410) or paused (Retry-After).")

        mutating func add(_ lane: LaneMetrics, _ name: MetricLabel) {
            inFlight.add([name], Double(lane.inFlight))
            retries.add([name], Double(lane.retriesWaiting))
            lag.add([name], Double(lane.lagEvents))
            for (reason, holds) in [
                ("disabled", lane.isDisabled), ("gone", lane.stop == .gone), ("paused", lane.isPaused),
            ] {
                stopped.add([name, MetricLabel("reason", reason)], holds ? 1 : 0)
            }
        }
        var families: [MetricFamily] { [inFlight, retries, lag, stopped] }
    }

    private static func store(_ metrics: DeliveryMetrics) -> [MetricFamily] {
        [
            MetricFamily(
                "sluice_delivery_events_unreadable_total", .counter,
                help: "Events that could not be read from the log again.",
                value: Double(metrics.eventsUnreadable)),
            MetricFamily(
                "sluice_delivery_buffer_used_bytes", .gauge, help: "Memory of events that are out with endpoints.",
                value: Double(metrics.payloadBytesLeased)),
            MetricFamily(
                "sluice_delivery_buffer_bytes", .gauge, help: "Memory for them (delivery.buffer).",
                value: Double(metrics.payloadBytes)),
            MetricFamily(
                "sluice_store_batches_total", .counter, help: "Transactions of delivery outcomes.",
                value: Double(metrics.store.batches)),
            MetricFamily(
                "sluice_store_failures_total", .counter, help: "Those that failed and are tried again.",
                value: Double(metrics.store.failures)),
        ]
    }
}

extension DeliveryResult {
    /// The stable name in metrics and the API.
    package var code: String {
        switch self {
        case .answered: "answered"
        case .connectFailed: "connect_failed"
        case .connectTimedOut: "connect_timed_out"
        case .headTimedOut: "head_timed_out"
        case .totalTimedOut: "total_timed_out"
        case .connectionLost: "connection_lost"
        case .badAnswer: "bad_answer"
        case .answerTooLarge: "answer_too_large"
        case .abandoned: "abandoned"
        }
    }
}
