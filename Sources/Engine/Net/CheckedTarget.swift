// Where a request outside of delivery goes: resolved, checked by the rules of deliveries, and by way of the same proxy.
// Blocks on the resolver: for worker threads only.
//
// Invariant: every address that is connected to for the endpoint was checked here; one that is refused refuses all.
import FastPath

package enum CheckedTargetFailure: Error, Equatable, Sendable {
    /// The host, and why.
    case unresolved(String)
    /// The address, and why.
    case refused(String)
    /// Settings that cannot be used.
    case unusable(String)

    package var text: String {
        switch self {
        case .unresolved(let what): "the host name does not resolve: \(what)"
        // Which one it is, is not for whoever may only guess at names.
        case .refused: "the host's address may not be delivered to"
        case .unusable(let what): what
        }
    }
}

extension ExchangeTarget {
    init(
        to address: EndpointAddress, _ rules: AddressRules, _ proxy: EgressProxy?, tls: TLSContext?
    ) throws(CheckedTargetFailure) {
        let found = try ExchangeTarget.resolved(address.host, address.port)
        if let (refused, reason) = rules.refusal(of: found) {
            throw .refused("\(refused.address.text) (\(reason.rawValue))")
        }
        self.init(addresses: found)
        if let proxy, !proxy.exempts(address.host, found) {
            proxies = proxy.literals
            if let host = proxy.host { proxies = try ExchangeTarget.resolved(host.name, host.port) }
        }
        self.tls = tls
        name = address.host
        isAddress = address.literal != nil
    }
    /// As an endpoint with these settings is delivered to.
    package init(
        to address: EndpointAddress, tls: EndpointTLS?, under live: LiveSettings
    ) throws(CheckedTargetFailure) {
        let rules: AddressRules
        do throws(AddressRulesError) { rules = try AddressRules(allow: live.allow) } catch {
            throw .unusable(error.description)
        }
        var proxy: EgressProxy?
        if let settings = live.proxy {
            do throws(ProxyError) { proxy = try EgressProxy(settings) } catch { throw .unusable(error.message) }
        }
        var context: TLSContext?
        if address.isSecure {
            do throws(EndpointTLSError) { context = try ClientContexts.context(for: tls) } catch {
                throw .unusable(error.message)
            }
        }
        try self.init(to: address, rules, proxy, tls: context)
    }
    private static func resolved(_ host: String, _ port: UInt16) throws(CheckedTargetFailure) -> [SocketAddress] {
        do throws(ResolveError) {
            let found = HostResolver.interleaved(try Resolver.resolve(host: host, port: port))
            guard !found.isEmpty else { throw .noAddress }
            return found
        } catch { throw .unresolved("\(host): \(HostResolver.text(of: error))") }
    }
}

extension ExchangeFailure {
    /// One line for an operator.
    package var text: String {
        switch self {
        case .connectFailed(let error): error == 0 ? "no connection" : "no connection: \(systemText(error))"
        case .timedOut: "no answer in time"
        case .tlsFailed(let reason): "TLS: \(reason.explanation) (\(reason.code))"
        case .proxyRefused(let status):
            status == 0 ? "the proxy's answer is not HTTP/1.1" : "the proxy answered \(status)"
        case .connectionLost: "the connection was closed before the answer's end"
        case .badAnswer: "what came is no HTTP answer"
        case .answerTooLarge: "the answer is too large"
        }
    }
}
