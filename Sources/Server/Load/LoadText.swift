// A load's summary for a person. Pure.
import Engine
import Foundation
import LoadGenerator

package enum LoadText {
    /// Microseconds in the unit that suits them.
    package static func time(_ micros: Double) -> String {
        if micros < 1000 { return String(format: "%.0f us", micros) }
        if micros < 1_000_000 { return String(format: "%.2f ms", micros / 1000) }
        return String(format: "%.3f s", micros / 1_000_000)
    }
    private static func row(_ name: String, _ latency: LoadLatency) -> String {
        let parts = [
            ("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99), ("p99.9", latency.p999),
            ("max", latency.max), ("mean", latency.mean),
        ]
        return name + parts.map { "\($0.0) \(time($0.1))" }.joined(separator: "  ")
    }
    private static func list(_ counts: [String: UInt64]) -> String {
        counts.sorted { $0.value == $1.value ? $0.key < $1.key : $0.value > $1.value }
            .map { "\($0.value) × \($0.key)" }.joined(separator: ", ")
    }

    package static func of(_ summary: LoadSummary) -> String {
        var lines: [String] = []
        if !summary.date.isEmpty {
            lines.append("\(summary.date), from \(summary.machine)")
            lines.append(summary.command)
        }
        let cut = summary.isInterrupted ? " (cut off)" : ""
        lines.append(
            "\(summary.target): \(summary.profile), \(summary.connections) connections, "
                + String(
                    format: "%.2f s measured after %.1f s of warm-up", summary.measuredSeconds, summary.warmupSeconds)
                + cut)
        lines.append(
            String(
                format: "rate       %.1f/s answered, %.1f/s accepted, %.1f/s intended", summary.answeredPerSecond,
                summary.acceptedPerSecond, summary.intendedPerSecond))
        lines.append(row(summary.loop == "open" ? "latency    " : "latency    ", summary.latency))
        if summary.loop == "open" { lines.append(row("service    ", summary.service)) }
        lines.append(
            "requests   \(summary.sent) sent, \(summary.accepted) accepted, \(summary.refused) refused, "
                + "\(summary.failed) failed")
        if !summary.statuses.isEmpty { lines.append("statuses   " + list(summary.statuses)) }
        if !summary.reasons.isEmpty { lines.append("reasons    " + list(summary.reasons)) }
        if !summary.failures.isEmpty { lines.append("failures   " + list(summary.failures)) }
        if summary.kinds.count > 1 {
            lines.append("kinds      " + list(summary.kinds.mapValues(\.sent)))
        }
        if summary.queued > 0 || summary.unsent > 0 {
            lines.append(
                "queued     \(summary.queued) waited for a connection, \(summary.backlogMax) at once; "
                    + "\(summary.unsent) never left")
        }
        if summary.wronglyAccepted > 0 {
            lines.append("FORGERIES  \(summary.wronglyAccepted) requests that were bad on purpose were accepted")
        }
        if let proof = summary.proof { lines.append(words(proof)) }
        let cost = String(format: "%.2f", summary.generator.cpuMicrosARequest)
        let late = time(summary.generator.lateMicrosMax)
        lines.append("generator  \(cost) us of processor time a request, at most \(late) late")
        return lines.joined(separator: "\n")
    }
    private static func words(_ proof: LoadProof) -> String {
        "proof      \(proof.sent) events sent, \(proof.accepted) accepted, \(proof.refused) refused, "
            + "\(proof.unknown) unknown; \(proof.evidence): \(proof.delivered) delivered, \(proof.lost) lost, "
            + "\(proof.duplicated) duplicated, \(proof.outOfOrder) out of order, \(proof.forgeriesDelivered) forgeries"
    }
}
