// How endpoints are doing, from delivery's own numbers.
import Engine
import FastPath

struct LiveEndpointStatus {
    private let delivery: DeliveryService<LogReaders>

    init(_ gateway: Gateway) throws { delivery = try gateway.accessNow().delivery }

    /// Asked for together: delivery answers between two of its steps, once. One that it has not taken up yet has none.
    func lanes(of endpoints: [EndpointSpec]) throws -> [EndpointID: LaneStatus] {
        Dictionary(try delivery.statuses(endpoints.map(\.id)).map { ($0.endpoint, $0) }) { first, _ in first }
    }
    func state(of endpoint: EndpointSpec, _ lane: LaneStatus?) -> EndpointStateName {
        guard let lane else { return endpoint.settings.disabled ? .disabled : .active }
        // A pause of seconds is no change of condition, but it is why nothing goes out.
        if lane.isSlowed, lane.state.condition == .active { return .paused }
        return EndpointStateName(lane.state.condition)
    }
    func resources(_ endpoints: [EndpointSpec], _ lookup: RegistryLookup) throws -> [EndpointResource] {
        let lanes = try lanes(of: endpoints)
        return endpoints.map { shown($0, lanes[$0.id], lookup) }
    }
    func resource(_ endpoint: EndpointSpec, _ lookup: RegistryLookup) throws -> EndpointResource {
        let lane = try lanes(of: [endpoint])[endpoint.id]
        return shown(endpoint, lane, lookup)
    }
    private func shown(_ endpoint: EndpointSpec, _ lane: LaneStatus?, _ lookup: RegistryLookup) -> EndpointResource {
        EndpointResource(endpoint, lookup.reference(endpoint.tenant), status(of: endpoint, lane))
            .shown(to: lookup.caller.principal.role)
    }
    private func status(of endpoint: EndpointSpec, _ lane: LaneStatus?) -> EndpointStatusResource {
        var status = EndpointStatusResource()
        status.state = state(of: endpoint, lane)
        guard let lane else { return status }
        status.reason = lane.state.reason == .none ? nil : lane.state.reason.name
        if lane.isSlowed, lane.state.condition == .active { status.reason = EndpointReason.askedForLess.name }
        status.since = TimeText.of(millis: lane.state.sinceMillis)
        status.until = TimeText.of(millis: lane.state.untilMillis)
        status.lastError = lane.state.lastError.isEmpty ? nil : lane.state.lastError
        status.lastFailureAt = TimeText.of(millis: lane.state.lastFailureMillis)
        status.lastSuccessAt = TimeText.of(millis: lane.state.lastSuccessMillis)
        status.inFlight = lane.inFlight
        status.pending = lane.pending
        status.backlog = lane.backlog
        status.waiting = lane.waiting
        status.dead = lane.dead
        status.lagEvents = lane.lagEvents
        status.oldestWaitingSeconds = delivery.oldestWaitingSeconds(lane)
        return status
    }
}

extension DeliveryService {
    /// Nil when nothing waits, or when the log or the store cannot say.
    func oldestWaitingSeconds(_ status: LaneStatus) -> Double? {
        ((try? oldestWaiting(status)) ?? nil).map(DeliveryService.secondsSince)
    }
    /// Nil when everything has been read, or when the log cannot say.
    func lagSeconds(_ status: LaneStatus) -> Double? { firstUnread(status).map(DeliveryService.secondsSince) }

    private static func secondsSince(_ nanos: UInt64) -> Double {
        let now = ProcessResources.wallNanos
        return now > nanos ? Double(now - nanos) / 1_000_000_000 : 0
    }
}
