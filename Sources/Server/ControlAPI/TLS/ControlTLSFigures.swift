// What became of handshakes on the control listener, as metrics.
import FastPath
import Synchronization

/// Of the process, which has one such listener.
package enum ControlTLSFigures {
    private struct Counts {
        var full = 0
        var resumed = 0
        var cutOff = 0
        var failures = [Int](repeating: 0, count: TLSFailure.allCases.count)
    }
    private static let counts = Mutex(Counts())

    package static func opened(isResumed: Bool) {
        counts.withLock { counts in
            if isResumed { counts.resumed += 1 } else { counts.full += 1 }
        }
    }
    /// Of handshakes and of sessions.
    package static func failed(_ failure: TLSFailure) { counts.withLock { $0.failures[Int(failure.rawValue)] += 1 } }
    /// A reload has taken away what its certificate was believed for.
    package static func cutOff() { counts.withLock { $0.cutOff += 1 } }

    /// As of the ingest port (TLSFamilies), which counts by itself.
    package static var families: [MetricFamily] {
        let counts = counts.withLock(\.self)
        var handshakes = MetricFamily(
            "sluice_control_tls_handshakes_total", .counter, help: "Handshakes done on the control listener, by kind.")
        handshakes.add([MetricLabel("kind", "full")], Double(counts.full))
        handshakes.add([MetricLabel("kind", "resumed")], Double(counts.resumed))
        var failures = MetricFamily(
            "sluice_control_tls_failures_total", .counter,
            help: "Handshakes and sessions that failed on the control listener, by reason.")
        for reason in TLSFailure.allCases where reason != .none {
            failures.add([MetricLabel("reason", reason.code)], Double(counts.failures[Int(reason.rawValue)]))
        }
        let cutOff = MetricFamily(
            "sluice_control_tls_cut_off_total", .counter,
            help: "Connections that were ended because a reload no longer believes their client's certificate.",
            value: Double(counts.cutOff))
        return [handshakes, failures, cutOff]
    }
}
