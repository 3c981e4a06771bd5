// What stands in front of the sources, compiled: trusted proxies, public URLs, address lists, client
// certificates, methods.
//
// Invariant: a list that is wrong, or a provider's list that is empty, is rejected at startup; it never becomes a list
// that takes everyone.

import FastPath

package enum EdgeProblem: Error, Equatable, Sendable {
    case badAddress(key: String, text: String)
    case badPublicURL(String)
    /// `allow_addresses: provider` of a provider that publishes none.
    case noProviderAddresses(String)
    case clientCertificate(ClientCertificateProblem)

    package var message: String {
        switch self {
        case .badAddress(let key, let text):
            "\(key): \"\(text)\" is not a range of addresses such as 10.0.0.0/8 or fd00::/8 (the bits behind the "
                + "prefix must be zero)"
        case .badPublicURL(let text):
            "public_url: \"\(text)\" is not a scheme and host such as https://hooks.example.com, with or without "
                + "the path that a proxy takes away"
        case .clientCertificate(let problem): problem.message
        case .noProviderAddresses(let provider):
            "allow_addresses: \(provider) publishes no addresses; give ranges, such as 203.0.113.0/24"
        }
    }
}

package enum EdgeCompiler {
    /// Of `trusted_proxies`: peers on local sockets.
    package static let localWord = "unix"
    /// Of `allow_addresses`: the provider's published list.
    package static let providerWord = "provider"

    static func policy(
        trustedProxies texts: [String], in memory: CompiledMemory
    ) throws(EdgeProblem) -> EdgePolicy {
        guard !texts.isEmpty else { return EdgePolicy() }
        let ranges = try ranges(texts.filter { $0 != localWord }, key: "trusted_proxies")
        return EdgePolicy(trusted: AddressSet(ranges, takesLocal: texts.contains(localWord), in: memory))
    }

    static func source(
        _ source: SourceConfiguration, _ provider: Provider, _ alternatives: [SourceCompiler.Alternative],
        handshakes: [HandshakeDefinition], gatewayURL: String?, in memory: CompiledMemory
    ) throws(EdgeProblem) -> SourceEdge {
        var edge = SourceEdge()
        if let url = source.publicURL ?? gatewayURL { edge.publicOrigin = memory.place(text: try origin(url)) }
        edge.needsOrigin = signsURL(alternatives)
        edge.authenticate = memory.place(text: challenges(alternatives))
        if !source.allowAddresses.isEmpty {
            var texts = source.allowAddresses.filter { $0 != providerWord }
            if texts.count < source.allowAddresses.count {
                guard !provider.addresses.isEmpty else { throw .noProviderAddresses(provider.name) }
                texts += provider.addresses
            }
            edge.addresses = AddressSet(try ranges(texts, key: "allow_addresses"), in: memory)
        }
        if let demanded = source.clientCertificate {
            do throws(ClientCertificateProblem) {
                edge.certificate = try ClientCertificateCompiler.rule(demanded, in: memory)
            } catch { throw .clientCertificate(error) }
        }
        edge.eventMethods = provider.methods
        edge.handshakeMethods = handshakes.reduce(into: MethodSet()) { $0.formUnion($1.method) }
        edge.allow = memory.place(text: edge.eventMethods.union(edge.handshakeMethods).text)
        return edge
    }

    /// True when a signature of these schemes covers the URL; a verifier in code may.
    static func signsURL(_ alternatives: [SourceCompiler.Alternative]) -> Bool {
        alternatives.contains {
            switch $0.rule {
            case .data(let definition): definition.signed.contains("{url}")
            case .named: true
            }
        }
    }

    /// Of the schemes that HTTP knows (RFC 7617, RFC 6750); the others have no name to ask for.
    private static func challenges(_ alternatives: [SourceCompiler.Alternative]) -> String {
        var challenges: [String] = []
        for alternative in alternatives {
            guard case .data(let definition) = alternative.rule,
                definition.headers.contains(where: {
                    (try? ValueLocation($0.signature, for: "header")) == .header("Authorization")
                })
            else { continue }
            var challenge: String?
            switch definition.algorithm {
            case .basic: challenge = #"Basic realm="sluice""#
            case .token where definition.prefix.lowercased() == "bearer ": challenge = #"Bearer realm="sluice""#
            case .token, .hmac, .ed25519, .ecdsaP256, .rsaSHA256: break
            }
            if let challenge, !challenges.contains(challenge) { challenges.append(challenge) }
        }
        return challenges.joined(separator: ", ")
    }

    private static func ranges(_ texts: [String], key: String) throws(EdgeProblem) -> [CIDR] {
        var ranges: [CIDR] = []
        for text in texts {
            guard let range = CIDR(text) else { throw .badAddress(key: key, text: text) }
            ranges.append(range)
        }
        return ranges
    }

    /// `https://host[:port][/path]`, a slash behind it dropped.
    package static func origin(_ url: String) throws(EdgeProblem) -> String {
        let text = url.hasSuffix("/") ? String(url.dropLast()) : url
        guard let scheme = ["https://", "http://"].first(where: { text.hasPrefix($0) }) else {
            throw .badPublicURL(url)
        }
        let rest = text.dropFirst(scheme.count)
        let authority = Array(rest.prefix { $0 != "/" }.utf8)
        let path = String(rest.dropFirst(authority.count))
        guard path.isEmpty || NameRules.isPath(path) && !path.hasSuffix("/") else { throw .badPublicURL(url) }
        guard !authority.isEmpty, authority.count <= 255, authority.withView({ HostRules.isValid($0) }),
            authority.first != 0x3A
        else { throw .badPublicURL(url) }
        return text
    }
}

extension GatewayConfiguration {
    /// One bit a listener whose connections begin with a PROXY preamble.
    var preambleListeners: UInt64 {
        let proxyProtocol = process.proxyProtocol
        if proxyProtocol == ["false"] { return 0 }
        if proxyProtocol == ["true"] { return .max }
        return process.listen.enumerated().reduce(0) {
            proxyProtocol.contains($1.element) ? $0 | 1 << UInt64($1.offset) : $0
        }
    }
}
