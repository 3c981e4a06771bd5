// `identity`: whose tokens open the control API beside the gateway's own keys.
import Engine
import Yams

extension ConfigurationKeys {
    static let identityProvider: ConfigurationKey<GatewayConfiguration> = {
        let initial = IdentitySettings()
        let keys: [ConfigurationKey<IdentitySettings>] = [
            .text("issuer", \.issuer, of: initial).required,
            .texts("audience", \.audiences, of: initial).required,
            ConfigurationKey(name: "keys", form: "path or https URL") { node, settings, reading in
                guard let text = reading.text(node, key: "keys") else { return }
                settings.keys = text.hasPrefix("https://") ? text : reading.resolve(path: text)
            },
            ConfigurationKey(name: "secret", form: "secret", range: "32 bytes or more") { node, settings, reading in
                if let value = reading.secret(node, key: "secret") { settings.secret = value }
            },
            .text("tenant_claim", \.tenantClaim, of: initial),
            .text("role_claim", \.roleClaim, of: initial),
        ]
        return ConfigurationKey(
            name: "identity", form: "mapping", nested: keys.flatMap { $0.descriptions(prefix: ".") }
        ) { node, root, reading in
            var settings = initial
            readMapping(node, into: &settings, keys: keys, called: "`identity`", reading)
            if !settings.keys.isEmpty, !settings.isFetched { settings.contents = PEMFile.digest([settings.keys]) }
            root.live.identity = settings
        }
    }()
}
