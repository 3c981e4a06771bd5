// What became of handshakes on the control listener, as metrics.
import FastPath
import Synchronization

/// Of the process, which has one such listener.
package enum ControlTLSFigures {
    private struct Counts {
        var full: UInt64 = 0
        var resumed: UInt64 = 0
        var cutOff: UInt64 = 0
        var failures = [UInt64](repeating: 0, count: TLSFailure.allCases.count)
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

    /// In the forms of the ingest port's, which counts by itself.
    package static var families: [MetricFamily] {
        let counts = counts.withLock(\.self)
        let handshakes = TLSFamilies.handshakes(
            "sluice_control_tls_handshakes_total", help: "Handshakes done on the control listener, by kind.",
            full: counts.full, resumed: counts.resumed)
        let failures = TLSFamilies.failures(
            "sluice_control_tls_failures_total",
            help: "Handshakes and sessions that failed on the control listener, by reason.", counts: counts.failures)
        let cutOff = MetricFamily(
            "sluice_control_tls_cut_off_total", .counter,
            help: "Connections that were ended because a reload no longer believes their client's certificate.",
            value: Double(counts.cutOff))
        return [handshakes, failures, cutOff]
    }
}
