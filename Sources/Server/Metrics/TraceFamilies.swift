// What became of spans, as metric families.
import Engine

enum TraceFamilies {
    /// Every series is there from the start, with 0, also without traces.
    static func of(_ metrics: TraceMetrics) -> [MetricFamily] {
        var spans = MetricFamily(
            "sluice_trace_spans_total", .counter,
            help: "Spans of traces, by what became of them: exported, dropped (no room), rejected or failed.")
        let outcomes: [(String, UInt64)] = [
            ("exported", metrics.exported), ("dropped", metrics.dropped), ("rejected", metrics.rejected),
            ("failed", metrics.failed),
        ]
        for (outcome, count) in outcomes { spans.add([MetricLabel("outcome", outcome)], Double(count)) }
        return [
            spans,
            MetricFamily(
                "sluice_trace_spans_queued", .gauge, help: "Spans that wait for the collector.",
                value: Double(metrics.queued)),
        ]
    }
}
