// The form of `/metrics`, against the text format 0.0.4.
import Engine
import Server
import Testing

@Suite struct PrometheusTextTests {
    @Test func writesHelpTypeAndSamples() {
        var family = MetricFamily("sluice_events_total", .counter, help: "Events, by \"outcome\".\nAll.")
        family.add([MetricLabel("source", "a\"b\\c\nd"), MetricLabel("outcome", "accepted")], 12)
        family.add([], 0.5)
        #expect(
            PrometheusText.of([family]) == """
                # HELP sluice_events_total Events, by "outcome".\\nAll.
                # TYPE sluice_events_total counter
                sluice_events_total{source="a\\"b\\\\c\\nd",outcome="accepted"} 12
                sluice_events_total 0.5

                """)
    }
    @Test func histogramBucketsAreCumulativeAndEndInInfinity() {
        let histogram = HistogramSample(bounds: [0.001, 0.5], counts: [3, 0, 2], sum: 1.25)
        let family = MetricFamily(
            "sluice_commit_seconds", .histogram, help: "h", samples: [MetricSample([], histogram)])
        #expect(
            PrometheusText.of([family]) == """
                # HELP sluice_commit_seconds h
                # TYPE sluice_commit_seconds histogram
                sluice_commit_seconds_bucket{le="0.001"} 3
                sluice_commit_seconds_bucket{le="0.5"} 3
                sluice_commit_seconds_bucket{le="+Inf"} 5
                sluice_commit_seconds_sum 1.25
                sluice_commit_seconds_count 5

                """)
    }
    @Test func aFamilyWithoutSamplesIsLeftOut() {
        #expect(PrometheusText.of([MetricFamily("sluice_x", .gauge, help: "h")]).isEmpty)
    }
}
