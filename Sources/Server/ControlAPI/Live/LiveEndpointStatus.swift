// How endpoints are doing, from delivery's own numbers.
import Engine
import FastPath

struct LiveEndpointStatus {
    private let delivery: DeliveryService<LogReaders>

    init(_ gateway: Gateway) throws { delivery = try gateway.accessNow().delivery }

    func state(of endpoint: EndpointSpec) -> EndpointStateName {
        let known = try? delivery.statuses([endpoint.id]).first
        return known.map { EndpointStateName($0.state.condition) } ?? (endpoint.settings.disabled ? .disabled : .active)
    }
    func status(of endpoint: EndpointSpec) throws -> EndpointStatusResource {
        var status = EndpointStatusResource()
        let known: LaneStatus?
        do { known = try delivery.statuses([endpoint.id]).first } catch is DeliveryError {
            throw ControlError.notRunning
        }
        guard let lane = known else { return status }
        status.state = EndpointStateName(lane.state.condition)
        status.reason = lane.state.reason == .none ? nil : lane.state.reason.name
        // A pause of seconds is no change of condition, but it is why nothing goes out.
        if lane.isSlowed, status.state == .active {
            status.state = .paused
            status.reason = EndpointReason.askedForLess.name
        }
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
        guard let received = (try? oldestWaiting(status)) ?? nil else { return nil }
        let now = ProcessResources.wallNanos
        return now > received ? Double(now - received) / 1_000_000_000 : 0
    }
}
