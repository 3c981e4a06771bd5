// From configured endpoints to addresses that may be connected to: each URL parsed, each name resolved once and
// checked. What comes out is what the egress loop connects to; nothing resolves again behind the check. Blocks on the
// resolver.

import FastPath

package struct ResolvedEndpoint: Sendable {
    package let configuration: EndpointConfiguration
    package let address: EndpointAddress
    /// Checked, in the resolver's order; never empty.
    package let socketAddresses: [SocketAddress]
}

/// What is wrong with one endpoint of the configuration.
package struct EndpointError: Error, Sendable, CustomStringConvertible {
    package let name: String
    package let line: Int
    package let reason: EndpointAddressError

    package var description: String { "endpoint \"\(name)\" (line \(line)): url \(reason)" }
}

package enum EndpointResolution {
    /// Only the words of the URL, without the network: for `config check`.
    package static func check(_ endpoint: EndpointConfiguration) throws(EndpointError) -> EndpointAddress {
        do {
            return try EndpointAddress(endpoint.url)
        } catch {
            throw EndpointError(name: endpoint.name, line: endpoint.line, reason: error)
        }
    }
    package static func resolve(
        _ endpoint: EndpointConfiguration, rules: AddressRules,
        resolve: (String, UInt16) throws(ResolveError) -> [SocketAddress] = Resolver.resolve
    ) throws(EndpointError) -> ResolvedEndpoint {
        let address = try check(endpoint)
        do {
            let found = try address.resolved(rules, resolve: resolve)
            return ResolvedEndpoint(configuration: endpoint, address: address, socketAddresses: found)
        } catch {
            throw EndpointError(name: endpoint.name, line: endpoint.line, reason: error)
        }
    }
}
