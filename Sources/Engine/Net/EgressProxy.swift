// The proxy that deliveries go through, and which endpoints go past it. An endpoint's own address is resolved and
// checked here as ever, and the proxy is asked for a tunnel to that address: where a delivery goes is not its decision.

import FastPath

/// As an operator says it.
package struct ProxySettings: Equatable, Sendable {
    /// `http://HOST:PORT`.
    package var url: String
    /// Names (with all beneath them), addresses and CIDR ranges.
    package var exceptions: [String] = []

    package init(url: String) { self.url = url }
}

package struct EgressProxy: Sendable {
    /// Nil when the URL names an address.
    let host: CompiledEndpoint.Host?
    private let literal: SocketAddress?
    private let names: [String]
    private let ranges: [CIDR]

    /// A host name is resolved when there is something to deliver, and again as an endpoint's is.
    init(_ settings: ProxySettings) throws(ProxyError) {
        let url: EndpointAddress
        do throws(EndpointAddressError) { url = try EndpointAddress(settings.url) } catch {
            throw ProxyError(message: error.description)
        }
        literal = url.literal
        host = url.literal == nil ? CompiledEndpoint.Host(name: url.host, port: url.port) : nil
        ranges = settings.exceptions.compactMap { CIDR($0) }
        names = settings.exceptions.filter { CIDR($0) == nil }.map(EgressProxy.name)
    }
    /// Where a literal address leads; empty for a host name.
    var literals: [SocketAddress] { literal.map { [$0] } ?? [] }
    /// True exactly when an endpoint with this host, which leads to these addresses, is reached without it.
    func exempts(_ host: String, _ addresses: [SocketAddress]) -> Bool {
        if names.contains(where: { host == $0 || host.hasSuffix("." + $0) }) { return true }
        // All of them: who names the host may add an address to it.
        return !addresses.isEmpty
            && addresses.allSatisfy { one in ranges.contains { $0.contains(one.address) } }
    }
    /// `example.com` of `.example.com` and `*.example.com`.
    private static func name(_ text: String) -> String {
        let lower = text.lowercased()
        for prefix in ["*.", "."] where lower.hasPrefix(prefix) { return String(lower.dropFirst(prefix.count)) }
        return lower
    }

    /// What is wrong with the settings, without asking a name server.
    static func issues(of settings: ProxySettings, at path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        do throws(EndpointAddressError) {
            let url = try EndpointAddress(settings.url)
            if let error = url.unreachable { throw error }
            if url.isSecure || url.target != "/" {
                let reason = "is not the URL of a proxy such as http://10.0.0.1:3128"
                issues.append(ValidationIssue(path["url"], reason, about: .value))
            }
        } catch { issues.append(ValidationIssue(path["url"], error.description, about: error.subject)) }
        for (index, text) in settings.exceptions.enumerated() where CIDR(text) == nil {
            guard (try? EndpointAddress("http://\(name(text))/"))?.port == 80, !text.contains("/") else {
                let reason = "is neither a name such as example.com nor a range of addresses such as 10.0.0.0/8"
                issues.append(ValidationIssue(path["except"][index], reason, about: .value))
                continue
            }
        }
        return issues
    }
}

struct ProxyError: Error { let message: String }
