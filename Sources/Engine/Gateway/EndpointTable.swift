// The endpoints of a configuration, resolved and checked, at the places that the egress loop and the dispatcher know
// them by.
//
// Invariant: an endpoint keeps its place over reloads, so an order that is out never reaches another endpoint; a
// removed one's place is not given to another name while the process lives.
import FastPath

struct EndpointTable {
    private(set) var places: [String: Int] = [:]

    struct Compiled {
        var snapshot: EgressSnapshot
        var plans: [EndpointPlan]
    }

    /// Resolves names: worker threads only.
    mutating func compile(
        _ configuration: GatewayConfiguration, limits: EgressLimits, version: String
    ) throws(GatewayError) -> Compiled {
        let rules: AddressRules
        do { rules = try AddressRules(allow: configuration.delivery.allow) } catch { throw .allowList(error) }
        var places = self.places
        var endpoints = [EgressEndpoint?](repeating: nil, count: places.count)
        var plans: [EndpointPlan] = []
        let withheld = EndpointTable.secretHeaders(configuration)
        for endpoint in configuration.endpoints {
            let resolved: ResolvedEndpoint
            do { resolved = try EndpointResolution.resolve(endpoint, rules: rules) } catch { throw .endpoint(error) }
            let place = places[endpoint.name] ?? places.count
            places[endpoint.name] = place
            if place == endpoints.count { endpoints.append(nil) }
            endpoints[place] = EndpointTable.egress(resolved)
            plans.append(
                EndpointPlan(configuration: endpoint, egressIndex: UInt32(place), withheld: withheld))
        }
        do {
            let snapshot = try EgressSnapshot(endpoints: endpoints, version: version, limits: limits)
            self.places = places
            return Compiled(snapshot: snapshot, plans: plans)
        } catch {
            throw .endpointRefused(name: EndpointTable.name(of: error, places), error)
        }
    }
    /// The headers whose value is a source's secret, of tokens and credentials.
    private static func secretHeaders(_ configuration: GatewayConfiguration) -> [HeaderName] {
        CredentialPlaces.headers(configuration.sources.flatMap(CredentialPlaces.of)).sorted().map { HeaderName($0) }
    }
    private static func name(of error: EgressEndpointError, _ places: [String: Int]) -> String {
        switch error {
        case .badText(let index), .badSecret(let index, _), .headTooLong(let index):
            places.first { $0.value == index }?.key ?? "?"
        case .tooManyEndpoints: "?"
        }
    }
    private static func egress(_ resolved: ResolvedEndpoint) -> EgressEndpoint? {
        let configuration = resolved.configuration
        guard let first = resolved.socketAddresses.first,
            let address = EgressAddress(literal: first.address.text, port: first.port)
        else { return nil }
        var endpoint = EgressEndpoint(
            address: address, authority: resolved.address.hostField, target: resolved.address.target,
            secrets: configuration.secrets)
        endpoint.concurrency = configuration.concurrency
        endpoint.connectMillisMax = configuration.connectMillisMax
        endpoint.headMillisMax = configuration.headMillisMax
        endpoint.totalMillisMax = configuration.totalMillisMax
        return endpoint
    }
}
