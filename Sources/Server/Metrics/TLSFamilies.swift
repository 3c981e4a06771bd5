// The metrics of TLS on the ingest listeners; none without such a listener.
import Engine
import FastPath
import Foundation

enum TLSFamilies {
    static func of(_ status: GatewayStatus) -> [MetricFamily] {
        guard !status.certificates.isEmpty else { return [] }
        return [expiry(status), handshakes(status), failures(status), waiting(status)]
    }
    private static func expiry(_ status: GatewayStatus) -> MetricFamily {
        var family = MetricFamily(
            "sluice_tls_certificate_expiry_seconds", .gauge,
            help: "Time until a listener's certificate expires; below 0 it has.")
        let now = Int64(Date().timeIntervalSince1970)
        for one in status.certificates {
            family.add(
                [MetricLabel("listener", one.listener), MetricLabel("certificate", one.file)],
                Double(one.expiresAt - now))
        }
        return family
    }
    private static func handshakes(_ status: GatewayStatus) -> MetricFamily {
        let resumed = status.ingest[.tlsResumed] ?? 0
        return handshakes(
            "sluice_tls_handshakes_total", help: "Handshakes done, by kind.",
            full: (status.ingest[.tlsHandshakes] ?? 0) - resumed, resumed: resumed)
    }
    private static func failures(_ status: GatewayStatus) -> MetricFamily {
        failures(
            "sluice_tls_failures_total", help: "Handshakes and sessions that failed, by reason.",
            counts: status.tlsFailures)
    }
    private static func waiting(_ status: GatewayStatus) -> MetricFamily {
        MetricFamily(
            "sluice_tls_handshakes_waiting", .gauge,
            help: "Connections whose handshake waits while connections without TLS need the loops.",
            value: Double(status.ingest[.tlsHandshakesWaiting] ?? 0))
    }

    // MARK: the forms, for every listener that counts

    static func handshakes(_ name: String, help: String, full: UInt64, resumed: UInt64) -> MetricFamily {
        var family = MetricFamily(name, .counter, help: help)
        family.add([MetricLabel("kind", "full")], Double(full))
        family.add([MetricLabel("kind", "resumed")], Double(resumed))
        return family
    }
    /// `counts`: by the reasons' raw values.
    static func failures(_ name: String, help: String, counts: [UInt64]) -> MetricFamily {
        var family = MetricFamily(name, .counter, help: help)
        for reason in TLSFailure.allCases where reason != .none {
            family.add([MetricLabel("reason", reason.code)], Double(counts[Int(reason.rawValue)]))
        }
        return family
    }
}
