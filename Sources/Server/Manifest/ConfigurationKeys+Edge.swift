// The keys of what stands in front of Sluice: proxies, public URLs, address lists, client certificates, challenges.
import Engine
import Yams

extension ConfigurationKeys {
    static let edge: [ConfigurationKey<GatewayConfiguration>] = {
        let initial = GatewayConfiguration()
        return [
            .optionalText("public_url", \.live.publicURL),
            .optionalText("health_path", \.live.healthPath),
            .flag("publish", \.live.takesPublications, of: initial),
            tenants,
            namedCertificates,
            .texts("trusted_proxies", \.live.trustedProxies, of: initial),
            .texts("proxy_protocol", \.process.proxyProtocol, of: initial),
        ]
    }()
    static let sourceEdge: [ConfigurationKey<SourceConfiguration>] = {
        let initial = SourceConfiguration()
        var publicURL = ConfigurationKey<SourceConfiguration>.optionalText("public_url", \.publicURL)
        publicURL.initial = "the gateway's"
        return [
            publicURL,
            .rateLimit(\.rateLimit),
            .texts("allow_addresses", \.allowAddresses, of: initial),
            .clientCertificate,
            ConfigurationKey(name: "verify_token", form: "secret") { node, source, reading in
                if let value = reading.secret(node, key: "verify_token") { source.verifyToken = value }
            },
            .texts("allowed_origins", \.allowedOrigins, of: initial),
            handshakes,
        ]
    }()

    private static let handshakes = ConfigurationKey<SourceConfiguration>(
        name: "handshakes", form: "list", nested: handshakeKeys.flatMap { $0.descriptions(prefix: "[].") }
    ) { node, source, reading in
        source.handshakes = readItems(node, reading) { item in
            var handshake = HandshakeConfiguration()
            readMapping(item, into: &handshake, keys: handshakeKeys, called: "handshake", reading)
            return handshake
        }
    }
    private static let handshakeKeys: [ConfigurationKey<HandshakeConfiguration>] = {
        let initial = HandshakeConfiguration()
        var type = ConfigurationKey<HandshakeConfiguration>.optionalText("type", \.type)
        type.initial = "by the body"
        return [
            .word("on", \.on, of: initial),
            .texts("when", \.when, of: initial),
            .optionalText("echo", \.echo),
            .count("status", \.status, of: initial, 200...299),
            type,
            .texts("headers", \.headers, of: initial),
            .text("body", \.body, of: initial),
        ]
    }()
}
