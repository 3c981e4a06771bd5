// A load's summary as one HTML page that needs no network: its figures, and three plots drawn as SVG. Pure.
import Engine
import Foundation
import LoadGenerator

package enum LoadPage {
    private static let width = 860.0
    private static let height = 260.0
    private static let left = 70.0
    /// Half of the widest label at the end of an axis.
    private static let right = 44.0
    private static let bottom = 40.0

    private struct Line {
        let name: String
        let color: String
        let points: [(x: Double, y: Double)]
    }

    /// `curve`: latency in microseconds at shares up to 1.
    package static func of(_ summary: LoadSummary, curve: [(share: Double, micros: Double)]) -> String {
        let intervals = whole(summary.intervals, until: summary.warmupSeconds + summary.measuredSeconds)
        let times = intervals.map { $0.start + $0.seconds / 2 }
        let warmup = intervals.isEmpty ? 0 : summary.warmupSeconds
        func rates(_ value: (LoadInterval) -> UInt64) -> [(x: Double, y: Double)] {
            zip(times, intervals).map { ($0, $1.seconds > 0 ? Double(value($1)) / $1.seconds : 0) }
        }
        func latencies(_ value: (LoadInterval) -> Double) -> [(x: Double, y: Double)] {
            zip(times, intervals).map { ($0, value($1) / 1000) }
        }
        let percentiles = curve.map { (x: log10(1 / max(1 - $0.share, 1e-6)), y: $0.micros / 1000) }
        let plots = [
            plot(
                "Latency by percentile, ms", [Line(name: "latency", color: "#b3261e", points: percentiles)],
                xTicks: [(0, "0 %"), (1, "90 %"), (2, "99 %"), (3, "99.9 %"), (4, "99.99 %"), (5, "99.999 %")]),
            plot(
                "Throughput, requests a second",
                [
                    Line(name: "intended", color: "#8a8a8a", points: rates(\.intended)),
                    Line(name: "answered", color: "#1a6fb5", points: rates(\.answered)),
                    Line(name: "accepted", color: "#2e7d32", points: rates(\.accepted)),
                ], xTicks: ticks(times), warmup: warmup),
            plot(
                "Latency over time, ms",
                [
                    Line(name: "max", color: "#b3261e", points: latencies(\.max)),
                    Line(name: "p99", color: "#e08a00", points: latencies(\.p99)),
                    Line(name: "p50", color: "#1a6fb5", points: latencies(\.p50)),
                ], xTicks: ticks(times), warmup: warmup),
        ]
        return """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><title>sluice load: \(escaped(summary.target))</title>
            <style>body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:900px;color:#222}
            pre{background:#f5f5f5;padding:1em;overflow-x:auto}svg text{font:12px system-ui,sans-serif;fill:#444}
            h2{font-size:1.05em;margin:1.6em 0 .3em}</style></head>
            <body><h1>sluice load</h1>
            <pre>\(escaped(LoadText.of(summary)))</pre>
            \(plots.joined(separator: "\n"))
            </body></html>

            """
    }
    /// Without a last one that the end of the run at `end` cut short or lies in: half a slot of sending is no rate.
    package static func whole(_ intervals: [LoadInterval], until end: Double) -> [LoadInterval] {
        guard let first = intervals.first, let last = intervals.last, intervals.count > 2 else { return intervals }
        let slack = first.seconds * 0.05
        let isWhole = last.seconds >= first.seconds - slack && last.start + last.seconds <= end + slack
        return isWhole ? intervals : intervals.dropLast()
    }
    package static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
            .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
    }
    private static func ticks(_ times: [Double]) -> [(Double, String)] {
        guard let last = times.last, last > 0 else { return [] }
        let step = nice(last / 8)
        return stride(from: 0, through: last, by: step).map { ($0, String(format: "%g s", $0)) }
    }
    /// 1, 2 or 5 times a power of ten, at least `value`.
    private static func nice(_ value: Double) -> Double {
        guard value > 0, value.isFinite else { return 1 }
        let power = pow(10, floor(log10(value)))
        for factor in [1.0, 2, 5] where power * factor >= value { return power * factor }
        return power * 10
    }
    /// At most six characters, so that the margin holds it.
    private static func number(_ value: Double) -> String {
        if value >= 1e9 { return String(format: "%.1e", value) }
        if value >= 1e6 { return String(format: "%gM", value / 1e6) }
        return value >= 1e5 ? String(format: "%gk", value / 1e3) : String(format: "%g", value)
    }
    private static func plot(
        _ title: String, _ lines: [Line], xTicks: [(Double, String)], warmup: Double = 0
    ) -> String {
        let points = lines.flatMap(\.points)
        let xMax = max(points.map(\.x).max() ?? 1, 1e-9)
        let step = nice(max(points.map(\.y).max() ?? 1, 1e-9) / 4)
        let yMax = step * 4
        func x(_ value: Double) -> Double { left + value / xMax * (width - left - right) }
        func y(_ value: Double) -> Double { height - bottom - min(value / yMax, 1) * (height - bottom - 20) }
        var marks: [String] = []
        if warmup > 0 {
            let end = x(min(warmup, xMax))
            marks.append(
                String(
                    format: "<rect x=\"%.1f\" y=\"20\" width=\"%.1f\" height=\"%.1f\" fill=\"#f0ede4\"/>"
                        + "<text x=\"%.1f\" y=\"14\">warm-up</text>",
                    left, end - left, height - bottom - 20, left))
        }
        for index in 0...4 {
            let value = step * Double(index)
            marks.append(
                String(
                    format: "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
                        + "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">",
                    left, width - right, y(value), y(value), left - 8, y(value) + 4) + number(value) + "</text>")
        }
        for (value, label) in xTicks where value <= xMax {
            marks.append(
                String(format: "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", x(value), height - 20) + label
                    + "</text>")
        }
        for (index, line) in lines.enumerated() {
            let path = line.points.map { String(format: "%.1f,%.1f", x($0.x), y($0.y)) }.joined(separator: " ")
            marks.append("<polyline fill=\"none\" stroke=\"\(line.color)\" stroke-width=\"1.6\" points=\"\(path)\"/>")
            let place = left + Double(index) * 90
            marks.append(
                String(format: "<text x=\"%.0f\" y=\"%.0f\" style=\"fill:\(line.color)\">", place, height - 4)
                    + line.name
                    + "</text>")
        }
        return "<h2>\(title)</h2><svg viewBox=\"0 0 \(Int(width)) \(Int(height))\" role=\"img\">"
            + marks.joined() + "</svg>"
    }
}
