// From what the loop counted to what the summary says. The percentiles are HdrHistogram's, so that other tools' figures
// mean the same. Worker thread, after the run.

import FastPath
import Histogram

/// A distribution of times in nanoseconds, as HdrHistogram keeps it.
package struct LoadHistogram: Sendable {
    private var histogram: Histogram<UInt64>
    private let distribution: LoadDistribution

    package init(_ distribution: LoadDistribution) {
        self.distribution = distribution
        // Three digits from one nanosecond on: the buckets are those of the loop's own recorder.
        histogram = Histogram(highestTrackableValue: 1 << 42, numberOfSignificantValueDigits: .three)
        for bucket in distribution.buckets {
            _ = histogram.record(bucket.range.lowerBound, count: bucket.count)
        }
    }
    package var latency: LoadLatency {
        var figures = LoadLatency()
        guard distribution.count > 0 else { return figures }
        func micros(_ nanos: UInt64) -> Double { Double(nanos) / 1000 }
        func percentile(_ percent: Double) -> Double {
            micros(min(histogram.valueAtPercentile(percent), distribution.maximum))
        }
        figures.count = distribution.count
        figures.min = micros(distribution.minimum)
        figures.mean = Double(distribution.sum) / Double(distribution.count) / 1000
        figures.deviation = histogram.stdDeviation / 1000
        figures.p50 = percentile(50)
        figures.p75 = percentile(75)
        figures.p90 = percentile(90)
        figures.p95 = percentile(95)
        figures.p99 = percentile(99)
        figures.p999 = percentile(99.9)
        figures.p9999 = percentile(99.99)
        figures.max = micros(distribution.maximum)
        return figures
    }
    /// HdrHistogram's percentile text, in milliseconds: what its plotters read.
    package var percentileText: String {
        var text = ""
        histogram.outputPercentileDistribution(to: &text, outputValueUnitScalingRatio: 1e6)
        return text
    }
    /// Value in microseconds at each of the shares.
    package func curve(_ shares: [Double]) -> [(share: Double, micros: Double)] {
        shares.map { ($0, Double(min(histogram.valueAtPercentile($0 * 100), distribution.maximum)) / 1000) }
    }
}

package enum LoadFigures {
    private static let kindNames: [LoadKind: String] = [
        .fresh: "fresh", .duplicate: "duplicate", .retry: "retry", .badSignature: "bad_signature", .stale: "stale",
        .malformed: "malformed",
    ]
    private static let failureNames: [LoadResult: String] = [
        .answered: "answered", .connectFailed: "connect_failed", .connectionLost: "connection_lost",
        .timedOut: "timed_out", .badAnswer: "bad_answer", .abandoned: "abandoned",
    ]

    /// Fills what the loop knows; what was asked for is the caller's to fill.
    package static func fill(_ summary: inout LoadSummary, from report: LoadReport, entries: [String]) {
        summary.latency = LoadHistogram(report.latency).latency
        summary.service = LoadHistogram(report.service).latency
        for (index, kinds) in report.cells.enumerated() {
            for (kindIndex, cell) in kinds.enumerated() where cell.sent > 0 {
                guard let kind = LoadKind(rawValue: UInt8(kindIndex)) else { continue }
                add(cell, to: &summary.kinds[kindNames[kind] ?? "", default: LoadKindCounts()])
                add(cell, to: &summary.entries[entries[index], default: LoadKindCounts()])
                summary.sent += cell.sent
                summary.accepted += cell.accepted
                summary.answered += cell.accepted + cell.refused
                summary.failed += cell.failed
                if kind.isForged { summary.wronglyAccepted += cell.accepted } else { summary.refused += cell.refused }
            }
        }
        for (status, count) in report.statuses { summary.statuses["\(status)"] = count }
        for (reason, count) in report.reasons { summary.reasons[reason, default: 0] += count }
        for (result, count) in report.failures { summary.failures[failureNames[result] ?? ""] = count }
        if report.connectFailures > 0 { summary.failures["connect_failed", default: 0] += report.connectFailures }
        summary.intended = report.intended
        summary.unsent = report.unsent
        summary.queued = report.queued
        summary.backlogMax = report.backlogMax
        summary.bytesSent = report.bytesSent
        summary.bytesReceived = report.bytesReceived
        summary.isInterrupted = report.isInterrupted
        let seconds = Double(report.measuredNanos) / 1e9
        summary.measuredSeconds = seconds
        if seconds > 0 {
            summary.intendedPerSecond = Double(report.intended) / seconds
            summary.sentPerSecond = Double(report.sentInTime) / seconds
            summary.answeredPerSecond = Double(report.answeredInTime) / seconds
            summary.acceptedPerSecond = Double(report.acceptedInTime) / seconds
        }
        summary.intervals = report.intervals.map { interval($0, warmupSeconds: summary.warmupSeconds) }
        summary.generator.lateMicrosMax = Double(report.lateNanosMax) / 1000
        summary.generator.connectionsOpened = report.connectionsOpened
    }
    private static func add(_ cell: LoadCell, to counts: inout LoadKindCounts) {
        counts.sent += cell.sent
        counts.accepted += cell.accepted
        counts.refused += cell.refused
        counts.failed += cell.failed
    }
    private static func interval(_ counts: LoadIntervalCounts, warmupSeconds: Double) -> LoadInterval {
        var interval = LoadInterval()
        interval.start = Double(counts.start) / 1e9
        interval.seconds = Double(counts.nanos) / 1e9
        interval.isWarmup = interval.start + interval.seconds / 2 < warmupSeconds
        interval.intended = counts.intended
        interval.sent = counts.sent
        interval.answered = counts.answered
        interval.accepted = counts.accepted
        interval.errors = counts.errors
        interval.backlogMax = counts.backlogMax
        interval.p50 = Double(counts.p50) / 1000
        interval.p99 = Double(counts.p99) / 1000
        interval.max = Double(counts.maximum) / 1000
        return interval
    }
}
