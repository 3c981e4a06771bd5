// Where a load goes: the target's URL, resolved once, and whether it may be loaded without a word of its owner.
import Engine
import FastPath
import LoadGenerator

package struct LoadDestination: Sendable {
    package let address: EgressAddress
    package let target: LoadTarget
    package let text: String

    package struct Problem: Error, CustomStringConvertible { package let description: String }

    /// `http://HOST[:PORT][/PATH]`, or `unix:/PATH/TO/SOCKET[:/PATH]`. Blocks on the resolver.
    package init(_ url: String, isOwned: Bool) throws(Problem) {
        text = url
        if url.hasPrefix("unix:") {
            let rest = url.dropFirst(5)
            let parts = rest.split(separator: ":", maxSplits: 1).map(String.init)
            guard let path = parts.first, let address = EgressAddress(unixPath: path) else {
                throw Problem(description: "--url: a socket's path has 1 to 107 bytes: unix:/run/x.sock:/path")
            }
            self.address = address
            target = LoadTarget(hostField: "localhost", target: parts.count > 1 ? parts[1] : "/")
            return
        }
        let parsed: EndpointAddress
        do { parsed = try EndpointAddress(url) } catch { throw Problem(description: "--url `\(url)` \(error)") }
        guard !parsed.isSecure else {
            throw Problem(
                description: "--url: https:// is not supported yet; load the http:// port behind the TLS proxy")
        }
        let found: [SocketAddress]
        do { found = try Resolver.resolve(host: parsed.host, port: parsed.port) } catch {
            switch error {
            case .failed(let why): throw Problem(description: "--url: host `\(parsed.host)` was not found: \(why)")
            case .noAddress: throw Problem(description: "--url: host `\(parsed.host)` has no address")
            }
        }
        // Of a name with both, the one that most servers listen on.
        guard let first = found.first(where: { $0.address.family == .v4 }) ?? found.first,
            let address = EgressAddress(first)
        else { throw Problem(description: "--url: host `\(parsed.host)` has no address") }
        if !isOwned, !LoadDestination.isNear(first.address) {
            throw Problem(
                description: "--url: \(first.address.text) is neither loopback nor private. Load only systems you own: "
                    + "say --i-own-this-target")
        }
        self.address = address
        target = LoadTarget(hostField: parsed.hostField, target: parsed.target)
    }
    private static func isNear(_ address: IPAddress) -> Bool {
        switch AddressRules.classify(address) {
        case .loopback, .privateUse, .uniqueLocal: true
        default: false
        }
    }
}
