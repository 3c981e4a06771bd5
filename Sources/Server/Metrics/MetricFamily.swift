// What the gateway says about itself in numbers: families of samples, taken on request, off the hot path. Server writes
// them as Prometheus text.
//
// Invariant: labels take their values from the configuration (source, endpoint) or from an enum (outcome, reason,
// stage); nothing a sender controls becomes a label, so the number of series is bounded.

package enum MetricKind: String, Sendable { case counter, gauge, histogram }

package struct MetricFamily: Sendable {
    /// `sluice_` + words + base unit; a counter ends in `_total`.
    package let name: String
    package let help: String
    package let kind: MetricKind
    package var samples: [MetricSample]

    package init(_ name: String, _ kind: MetricKind, help: String, samples: [MetricSample] = []) {
        self.name = name
        self.kind = kind
        self.help = help
        self.samples = samples
    }
    /// A family of one sample without labels.
    package init(_ name: String, _ kind: MetricKind, help: String, value: Double) {
        self.init(name, kind, help: help, samples: [MetricSample([], value)])
    }
    package mutating func add(_ labels: [MetricLabel], _ value: Double) { samples.append(MetricSample(labels, value)) }
}

package struct MetricLabel: Equatable, Sendable {
    package let name: String
    package let value: String
    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

package struct MetricSample: Sendable {
    package let labels: [MetricLabel]
    package let value: MetricValue
    package init(_ labels: [MetricLabel], _ value: Double) {
        self.labels = labels
        self.value = .number(value)
    }
    package init(_ labels: [MetricLabel], _ histogram: HistogramSample) {
        self.labels = labels
        value = .histogram(histogram)
    }
}

package enum MetricValue: Sendable {
    case number(Double)
    case histogram(HistogramSample)
}

package struct HistogramSample: Sendable {
    /// Upper bounds, ascending, in base units; the last bucket is without bound and not in here.
    package let bounds: [Double]
    /// One count a bucket, not cumulative; one more than `bounds`.
    package let counts: [UInt64]
    package let sum: Double

    package init(bounds: [Double], counts: [UInt64], sum: Double) {
        precondition(counts.count == bounds.count + 1)
        self.bounds = bounds
        self.counts = counts
        self.sum = sum
    }
}
