// The keys of an endpoint's own header fields and of how the gateway proves to it who it is. What is right among them
// is the registry's affair; its answer comes back to the line.
//
// Invariant: no message shows a value; each may be a secret.
import Engine
import Yams

extension ConfigurationKeys {
    /// `headers: { X-Api-Key: "${KEY}" }`.
    static let headers = ConfigurationKey<EndpointConfiguration>(
        name: "headers", form: "mapping", range: "names of header fields to values, each a secret"
    ) { node, endpoint, reading in
        guard let mapping = node.mapping else {
            if node.scalar?.string.isEmpty == true { return }
            return reading.report(node, "`headers` takes names and values, as in { X-Api-Key: \"${KEY}\" }")
        }
        for (key, value) in mapping {
            let name = key.scalar?.string ?? ""
            reading.at(.key(name)) {
                guard let text = reading.secret(value, key: "headers.\(name)") else { return }
                endpoint.extras.fields.append(ConfiguredField(name: name, value: text))
            }
        }
    }

    /// `authorization: { basic: { username, password } }`, `{ bearer: … }` or `{ oauth2: { … } }`.
    static let authorization = ConfigurationKey<EndpointConfiguration>(
        name: "authorization", form: "mapping", nested: authorizationKeys.flatMap { $0.descriptions(prefix: ".") }
    ) { node, endpoint, reading in
        var authorization = EndpointAuthorization()
        readMapping(node, into: &authorization, keys: authorizationKeys, called: "`authorization`", reading)
        endpoint.policies.authorization = authorization
    }
    private static let authorizationKeys: [ConfigurationKey<EndpointAuthorization>] = [
        ConfigurationKey(name: "basic", form: "mapping", nested: basicKeys.flatMap { $0.descriptions(prefix: ".") }) {
            node, root, reading in
            var basic = BasicCredentials()
            readMapping(node, into: &basic, keys: basicKeys, called: "`basic`", reading)
            root.basic = basic
        },
        ConfigurationKey(name: "bearer", form: "secret") { node, root, reading in
            root.bearer = reading.secret(node, key: "bearer")
        },
        ConfigurationKey(name: "oauth2", form: "mapping", nested: oauthKeys.flatMap { $0.descriptions(prefix: ".") }) {
            node, root, reading in
            var oauth = ClientCredentialsSettings()
            readMapping(node, into: &oauth, keys: oauthKeys, called: "`oauth2`", reading)
            root.oauth2 = oauth
        },
    ]
    private static let basicKeys: [ConfigurationKey<BasicCredentials>] = [
        .text("username", \.username, of: BasicCredentials()).required, secret("password", \.password),
    ]
    private static let oauthKeys: [ConfigurationKey<ClientCredentialsSettings>] = {
        let initial = ClientCredentialsSettings()
        return [
            .text("token_url", \.tokenURL, of: initial).required,
            .text("client_id", \.clientID, of: initial).required, secret("client_secret", \.clientSecret),
            .texts("scopes", \.scopes, of: initial), .optionalText("audience", \.audience),
            .word("auth_style", \.authStyle, of: initial),
            .time("token_time", \.tokenMillis, of: initial, AuthorizationRules.tokenMillisRange),
            .flag("endpoint_tls", \.usesEndpointTLS, of: initial),
        ]
    }()
    private static func secret<Root>(
        _ name: String, _ place: SettingKeyPath<Root, String>
    ) -> ConfigurationKey<Root> {
        ConfigurationKey<Root>(name: name, form: "secret") { node, root, reading in
            if let text = reading.secret(node, key: name) { root[keyPath: place] = text }
        }.required
    }
}
