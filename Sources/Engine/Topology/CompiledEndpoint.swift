// One endpoint, ready to be delivered to: what an operator said of it, with all that does not depend on the network
// worked out. Immutable; a change makes a new one. Names are not resolved here: that is the lane's affair while it has
// something to send.

import FastPath

/// What all endpoints of a compilation share.
package final class EndpointEnvironment: Sendable {
    package let rules: AddressRules
    /// Fields that carry a source's secret itself: never forwarded.
    package let withheld: [HeaderName]
    /// What `User-Agent: Sluice/…` says.
    let version: String
    let requestHeadBytesMax: Int

    package init(
        _ compilation: EndpointCompilation, version: String,
        requestHeadBytesMax: Int = EgressLimits().requestHeadBytesMax
    ) {
        rules = compilation.rules
        withheld = compilation.withheldHeaders.map { HeaderName($0) }
        self.version = version
        self.requestHeadBytesMax = requestHeadBytesMax
    }
}

package final class CompiledEndpoint: Sendable {
    package let id: EndpointID
    package let tenant: TenantID
    /// Unique over all tenants; what log lines and metrics say.
    package let name: String
    package let configuration: EndpointConfiguration
    package let address: EndpointAddress
    package let subscription: Subscription
    package let schedule: RetrySchedule
    package let environment: EndpointEnvironment
    /// Where a literal address leads; nil for a host name.
    let literal: SocketAddress?

    package init(_ spec: EndpointSpec, _ environment: EndpointEnvironment) throws(EndpointAddressError) {
        id = spec.id
        tenant = spec.tenant
        name = spec.qualifiedName
        configuration = spec.settings
        self.environment = environment
        let address = try EndpointAddress(spec.settings.url)
        let literal = IPAddress(address.host).map { SocketAddress(address: $0, port: address.port) }
        if let literal, let reason = environment.rules.refusal(of: literal.address) {
            throw .refused(host: address.host, address: literal.address.text, reason)
        }
        self.address = address
        self.literal = literal
        subscription = Subscription(sources: spec.sourceIDs, types: spec.settings.types)
        schedule = RetrySchedule(
            delaysMillis: spec.settings.retryDelaysMillis, jitter: spec.settings.retryJitter)
    }
    package var concurrency: Int { max(1, configuration.concurrency) }
    package var forwarding: FieldForwarding { configuration.forwardsHeaders ? .all : .contentTypeOnly }

    /// Where requests go once the addresses are known. They have been checked against the rules.
    func destination(
        _ addresses: [SocketAddress], predecessor: Destination?
    ) throws(DestinationError) -> Destination {
        var description = DestinationDescription(
            addresses: addresses.compactMap { EgressAddress(literal: $0.address.text, port: $0.port) },
            authority: address.hostField, target: address.target, secrets: configuration.secrets)
        description.concurrency = concurrency
        description.connectMillisMax = configuration.connectMillisMax
        description.headMillisMax = configuration.headMillisMax
        description.totalMillisMax = configuration.totalMillisMax
        return try Destination(
            description, version: environment.version, requestHeadBytesMax: environment.requestHeadBytesMax,
            predecessor: predecessor)
    }
}
