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
        var family = MetricFamily("sluice_tls_handshakes_total", .counter, help: "Handshakes done, by kind.")
        let resumed = status.ingest[.tlsResumed] ?? 0
        family.add([MetricLabel("kind", "full")], Double((status.ingest[.tlsHandshakes] ?? 0) - resumed))
        family.add([MetricLabel("kind", "resumed")], Double(resumed))
        return family
    }
    private static func failures(_ status: GatewayStatus) -> MetricFamily {
        var family = MetricFamily(
            "sluice_tls_failures_total", .counter, help: "Handshakes and sessions that failed, by reason.")
        for reason in TLSFailure.allCases where reason != .none {
            family.add([MetricLabel("reason", reason.code)], Double(status.tlsFailures[Int(reason.rawValue)]))
        }
        return family
    }
    private static func waiting(_ status: GatewayStatus) -> MetricFamily {
        MetricFamily(
            "sluice_tls_handshakes_waiting", .gauge,
            help: "Connections whose handshake waits while connections without TLS need the loops.",
            value: Double(status.ingest[.tlsHandshakesWaiting] ?? 0))
    }
}
