// What an operator does to an endpoint, passed on to delivery and written to the audit log.
import Engine

final class LiveEndpointControl: EndpointControl {
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    func enable(_ ref: String, _ caller: Caller) throws {
        let endpoint = try RegistryLookup(gateway, caller).endpoint(ref)
        guard !endpoint.settings.disabled else {
            let place = endpoint.origin == .manifest ? "the configuration file" : "its own settings (`disabled`)"
            throw ControlError(.endpointStopped, "`\(endpoint.name)` is disabled by \(place); enable it there")
        }
        try act(endpoint, caller, .enable, "enabled")
    }
    func disable(_ ref: String, _ caller: Caller) throws {
        try act(try RegistryLookup(gateway, caller).endpoint(ref), caller, .disable, "disabled")
    }
    func pause(_ ref: String, forMillis: Int?, _ caller: Caller) throws {
        let endpoint = try RegistryLookup(gateway, caller).endpoint(ref)
        let words = forMillis.map { "paused for \(TimeSpan.text(of: $0))" } ?? "paused"
        try act(endpoint, caller, .pause(millis: forMillis.map { Int64($0) }), words)
    }
    func retryNow(_ ref: String, _ caller: Caller) throws {
        try act(try RegistryLookup(gateway, caller).endpoint(ref), caller, .retryNow, "retried now")
    }

    private func act(
        _ endpoint: EndpointSpec, _ caller: Caller, _ command: EndpointCommand, _ state: String
    ) throws {
        let delivery = try gateway.accessNow().delivery
        try gateway.note(
            .update, on: endpoint, of: endpoint.tenant, [FieldChange(field: "state", before: "", after: state)], caller)
        let wasDisabled = try delivery.statuses([endpoint.id]).first?.state.condition == .disabled
        try delivery.perform(command, on: endpoint.id)
        let isDisabled = command == .disable || wasDisabled && command != .enable
        if wasDisabled != isDisabled {
            gateway.tellSwitched(endpoint, isEnabled: !isDisabled, by: ChangeActor(caller))
        }
    }
}
