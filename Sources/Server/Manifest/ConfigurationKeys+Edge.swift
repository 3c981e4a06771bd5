// The keys of what stands in front of Sluice: proxies, public URLs, address lists, challenges.
import Engine
import Yams

extension ConfigurationKeys {
    static let edge: [ConfigurationKey<GatewayConfiguration>] = {
        let initial = GatewayConfiguration()
        return [
            .optionalText("public_url", \.live.publicURL),
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
            .texts("allow_addresses", \.allowAddresses, of: initial),
            ConfigurationKey(name: "verify_token", form: "secret") { node, source, reading in
                if let value = reading.secret(node, key: "verify_token") { source.verifyToken = value }
            },
            .texts("allowed_origins", \.allowedOrigins, of: initial),
        ]
    }()
}
