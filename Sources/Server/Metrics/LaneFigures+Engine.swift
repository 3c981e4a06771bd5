// From what delivery counts to the figures of metrics and the API.
import Engine
import FastPath

extension LaneFigures {
    /// The endpoints that delivery counts by themselves, and all others together. `age` and `lag` (in seconds) are
    /// asked for each of the first. `idle` have counted nothing yet and get a name all the same.
    static func of(
        _ metrics: DeliveryMetrics, idle: [LaneStatus] = [], tenant: (TenantID) -> String,
        age: (LaneStatus) -> Double?, lag: (LaneStatus) -> Double?
    ) -> LaneOverview {
        var overview = LaneOverview()
        func add(_ status: LaneStatus, _ counts: LaneCounts) {
            var figures = LaneFigures(status)
            figures.tenant = tenant(status.tenant)
            figures.counts = counts
            figures.oldestWaitingSeconds = age(status)
            figures.lagSeconds = lag(status) ?? 0
            overview.busiest.append(figures)
        }
        for lane in metrics.lanes { add(lane.status, LaneCounts(lane.counters)) }
        for status in idle { add(status, LaneCounts()) }
        let named = overview.busiest
        overview.rest.counts = LaneCounts(metrics.others)
        overview.rest.inFlight = max(0, metrics.ordersOut - named.reduce(0) { $0 + $1.inFlight })
        overview.rest.pending = max(0, metrics.pending - named.reduce(0) { $0 + $1.pending })
        overview.rest.backlog = max(0, metrics.backlog - named.reduce(0) { $0 + $1.backlog })
        overview.rest.dead = max(0, metrics.dead - named.reduce(0) { $0 + $1.dead })
        overview.restCount = max(0, metrics.endpointCount - overview.busiest.count)
        overview.breakers = metrics.breakers
        overview.policyEvents = metrics.policyEvents
        overview.failures = metrics.failures
        for (condition, count) in metrics.conditions { overview.states[EndpointStateName(condition)] = count }
        return overview
    }
    init(_ status: LaneStatus) {
        self.init(name: status.name)
        state = EndpointStateName(status.state.condition)
        if status.state.reason != .none { reason = status.state.reason.name }
        inFlight = status.inFlight
        pending = status.pending
        backlog = status.backlog
        dead = status.dead
        lagEvents = status.lagEvents
    }
}

extension EndpointStateName {
    init(_ condition: EndpointCondition) {
        switch condition {
        case .active: self = .active
        case .failing: self = .failing
        case .paused: self = .paused
        case .disabled: self = .disabled
        }
    }
}
