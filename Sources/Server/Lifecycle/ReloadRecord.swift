// Whether the configuration that runs is the one that was last asked for, as metrics.
//
// Invariant: the start counts as a success, so that both series are there from the first scrape.
import Foundation
import Synchronization

final class ReloadRecord: Sendable {
    private struct State {
        var isGood = true
        var succeededAt = Date()
    }
    private let state = Mutex(State())

    func note(isGood: Bool) {
        state.withLock { state in
            state.isGood = isGood
            if isGood { state.succeededAt = Date() }
        }
    }
    var families: [MetricFamily] {
        let now = state.withLock { $0 }
        return [
            MetricFamily(
                "sluice_config_last_reload_successful", .gauge,
                help: "1 while the last configuration that was asked for is in force; 0 after one that was refused.",
                value: now.isGood ? 1 : 0),
            MetricFamily(
                "sluice_config_last_reload_success_timestamp_seconds", .gauge,
                help: "When a configuration last took effect, the start's included, in seconds since 1970.",
                value: now.succeededAt.timeIntervalSince1970.rounded()),
        ]
    }
}

/// A gateway's health with what the lifecycle knows beside it.
final class HealthWithReloads: GatewayHealth {
    private let health: any GatewayHealth
    private let reloads: ReloadRecord

    init(_ health: any GatewayHealth, _ reloads: ReloadRecord) {
        self.health = health
        self.reloads = reloads
    }
    func metrics() -> [MetricFamily] { health.metrics() + reloads.families }
    func readiness() -> [ReadinessProblem] { health.readiness() }
    func vitals() -> GatewayVitals { health.vitals() }
    func status() -> StatusResource { health.status() }
}
