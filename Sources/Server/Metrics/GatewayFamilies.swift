// A gateway's status as metric families. docs/operations.md says what each means and which to watch.
//
// Invariant: a counter never goes back while the process lives; a label's values are names of the configuration or
// cases of an enum. Latency histograms are coarsened to powers of two, so that a scrape stays small.
import Engine
import FastPath
import Foundation

package enum GatewayFamilies {
    package static func of(_ status: GatewayStatus, _ lanes: LaneOverview) -> [MetricFamily] {
        sources(status) + connections(status) + TLSFamilies.of(status) + log(status)
            + DeliveryFamilies.of(lanes) + store(status.delivery) + TraceFamilies.of(status.traces) + [
                MetricFamily(
                    "sluice_ready", .gauge, help: "1 while /ready says ready.", value: status.problems.isEmpty ? 1 : 0),
                MetricFamily(
                    "sluice_memory_budget_bytes", .gauge, help: "Memory taken at start.",
                    value: Double(status.memoryBudgetBytes)),
                MetricFamily(
                    "sluice_expression_bytes", .gauge,
                    help: "What compiled regular expressions of filters, redactions and schemas may take.",
                    value: Double(LinearPattern.bytesInUse)),
                MetricFamily(
                    "sluice_build_info", .gauge, help: "1; what runs is in the labels.",
                    samples: [MetricSample([MetricLabel("version", Gateway.version)], 1)]),
            ]
    }

    // MARK: ingest

    static let sourceOutcomes: [(SourceCounter, String)] = [
        (.accepted, "accepted"), (.duplicate, "duplicate"), (.rejected, "rejected"), (.refused, "refused"),
        (.handshake, "handshake"), (.observed, "observed"), (.unchecked, "unchecked"),
        (.rateLimited, "rate_limited"),
    ]
    /// So many sources have a name in the metrics, the first of the configuration; all others together are `other`.
    private static let sourceCountMax = 50
    /// Up to so many have every reason and hint from the start, with 0; with more, those that never were are left out,
    /// so that a scrape stays small.
    private static let completeSourceCountMax = 12

    private static func bounded(_ sources: [SourceStatus]) -> [SourceStatus] {
        guard sources.count > sourceCountMax else { return sources }
        var counters: [SourceCounter: UInt64] = [:]
        var rejections: [SignatureRejection: UInt64] = [:]
        var observations: [SignatureRejection: UInt64] = [:]
        for source in sources.dropFirst(sourceCountMax) {
            counters.merge(source.counters, uniquingKeysWith: &+)
            rejections.merge(source.rejections, uniquingKeysWith: &+)
            observations.merge(source.observations, uniquingKeysWith: &+)
        }
        return sources.prefix(sourceCountMax) + [
            SourceStatus(name: "other", counters: counters, rejections: rejections, observations: observations)
        ]
    }
    /// The name that a source has in the metrics.
    private static func label(_ source: String, among named: Set<String>) -> MetricLabel {
        MetricLabel("source", named.contains(source) ? source : "other")
    }

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
        var batches = MetricFamily(
            "sluice_split_requests_total", .counter,
            help: "Requests with a list of events, which count one by one in sluice_events_total.")
        var limited = MetricFamily(
            "sluice_rate_limited_total", .counter,
            help: "Requests answered 429, by whose limit was used up: the source's or its tenant's.")
        let isComplete = status.sources.count <= completeSourceCountMax
        func reasons(_ counts: [SignatureRejection: UInt64]) -> [(SignatureRejection, UInt64)] {
            SignatureRejection.allCases.map { ($0, counts[$0] ?? 0) }.filter { isComplete || $0.1 > 0 }
                .sorted { $0.0.rawValue < $1.0.rawValue }
        }
        for source in bounded(status.sources) {
            let name = MetricLabel("source", source.name)
            for (counter, outcome) in sourceOutcomes {
                events.add([name, MetricLabel("outcome", outcome)], Double(source.counters[counter] ?? 0))
            }
            for (reason, count) in reasons(source.rejections) {
                rejections.add([name, MetricLabel("reason", reason.rawValue)], Double(count))
            }
            for (reason, count) in reasons(source.observations) {
                observations.add([name, MetricLabel("reason", reason.rawValue)], Double(count))
            }
            captures.add([name, MetricLabel("outcome", "kept")], Double(source.counters[.captured] ?? 0))
            captures.add([name, MetricLabel("outcome", "dropped")], Double(source.counters[.notCaptured] ?? 0))
            let over = source.counters[.rateLimited] ?? 0
            let byTenant = source.counters[.overTenantLimit] ?? 0
            limited.add([name, MetricLabel("scope", "source")], Double(over - min(byTenant, over)))
            limited.add([name, MetricLabel("scope", "tenant")], Double(byTenant))
            bytes.add([name], Double(source.counters[.bodyBytes] ?? 0))
            batches.add([name], Double(source.counters[.batches] ?? 0))
        }
        return [events, rejections, observations, captures, limited, bytes, batches] + offload(status)
            + rejected(status)
    }
    private static func rejected(_ status: GatewayStatus) -> [MetricFamily] {
        let metrics = status.rejected
        let named = Set(status.sources.prefix(sourceCountMax).map(\.name))
        var hints = MetricFamily(
            "sluice_rejection_hints_total", .counter,
            help: "Rejected requests whose cause a closer look found, by hint.")
        var byHint: [[String]: UInt64] = [:]
        if status.sources.count <= completeSourceCountMax {
            for source in named { for hint in RejectionHint.allCases { byHint[[source, hint.rawValue]] = 0 } }
        }
        for (key, count) in metrics.hints {
            byHint[[label(key.source, among: named).value, key.hint.rawValue], default: 0] += count
        }
        for (key, count) in byHint.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            hints.add([MetricLabel("source", key[0]), MetricLabel("hint", key[1])], Double(count))
        }
        var kept = MetricFamily("sluice_rejected_kept", .gauge, help: "Rejected requests that are kept.")
        var bySource = Dictionary(uniqueKeysWithValues: named.map { ($0, 0) })
        for (source, totals) in metrics.totals {
            bySource[label(source, among: named).value, default: 0] += totals.count
        }
        for (source, count) in bySource.sorted(by: { $0.key < $1.key }) {
            kept.add([MetricLabel("source", source)], Double(count))
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
            (.connectionsTimedOut, "timed_out"), (.connectionsHurried, "hurried"),
            (.connectionsOverAddressLimit, "over_address_limit"),
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
                "sluice_log_commit_age_seconds", .gauge,
                help: "How long the disk has not answered a write to the log; 0 below one second.",
                value: value(.commitAgeMillis) / 1000),
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
            var sum = metrics.others[keyPath: path]
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

    /// Reasons that have not occurred are left out.
    private static func tlsFailures(_ metrics: DeliveryMetrics) -> MetricFamily {
        var family = MetricFamily(
            "sluice_delivery_tls_failures_total", .counter, help: "Attempts that failed in TLS, by reason.")
        for reason in TLSFailure.allCases where metrics.tlsFailures[Int(reason.rawValue)] > 0 {
            let count = Double(metrics.tlsFailures[Int(reason.rawValue)])
            family.add([MetricLabel("reason", reason.code)], count)
        }
        return family
    }
    private static func store(_ metrics: DeliveryMetrics) -> [MetricFamily] {
        [
            MetricFamily(
                "sluice_delivery_events_unreadable_total", .counter,
                help: "Events that could not be read from the log again.",
                value: Double(metrics.eventsUnreadable)),
            tlsFailures(metrics),
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
        ] + PreparationFamilies.of(metrics.preparation) + TokenFamilies.of(metrics.tokens)
            + FailoverFamilies.of(metrics.failovers)
    }
}
