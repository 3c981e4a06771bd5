// How the gateway proves to an endpoint who it is, and the header fields that it sends along, as the API shows and
// takes them. What is secret is shown as `***`, and that is refused where a secret is to be set.
import Engine

package struct AuthorizationResource: Codable, Equatable, Sendable {
    package struct Basic: Codable, Equatable, Sendable {
        package var username: String
        package var password: String
    }
    package struct OAuth2: Codable, Equatable, Sendable {
        package var tokenUrl: String
        package var clientId: String
        package var clientSecret: String
        package var scopes: [String]?
        package var audience: String?
        package var authStyle: ClientAuthStyle?
        package var tokenTime: String?
        package var endpointTls: Bool?
    }
    package var basic: Basic?
    package var bearer: String?
    package var oauth2: OAuth2?

    /// With the secrets, for an edit of what is there.
    package init(_ authorization: EndpointAuthorization) {
        basic = authorization.basic.map { Basic(username: $0.username, password: $0.password) }
        bearer = authorization.bearer
        oauth2 = authorization.oauth2.map { own in
            OAuth2(
                tokenUrl: own.tokenURL, clientId: own.clientID, clientSecret: own.clientSecret, scopes: own.scopes,
                audience: own.audience, authStyle: own.authStyle, tokenTime: TimeSpan.text(of: own.tokenMillis),
                endpointTls: own.usesEndpointTLS)
        }
    }
    /// For whoever asks.
    var masked: AuthorizationResource {
        var shown = self
        shown.basic?.password = Masked.text
        if bearer != nil { shown.bearer = Masked.text }
        shown.oauth2?.clientSecret = Masked.text
        return shown
    }
    var configuration: EndpointAuthorization {
        var authorization = EndpointAuthorization()
        authorization.basic = basic.map { own in
            var basic = BasicCredentials()
            (basic.username, basic.password) = (own.username, own.password)
            return basic
        }
        authorization.bearer = bearer
        authorization.oauth2 = oauth2.map { own in
            var oauth = ClientCredentialsSettings()
            (oauth.tokenURL, oauth.clientID, oauth.clientSecret) = (own.tokenUrl, own.clientId, own.clientSecret)
            oauth.scopes = own.scopes ?? oauth.scopes
            oauth.audience = own.audience
            oauth.authStyle = own.authStyle ?? oauth.authStyle
            oauth.tokenMillis = own.tokenTime.flatMap { TimeSpan.parse($0) } ?? oauth.tokenMillis
            oauth.usesEndpointTLS = own.endpointTls ?? oauth.usesEndpointTLS
            return oauth
        }
        return authorization
    }
    /// Where what an answer shows was sent back.
    fileprivate var maskedPaths: [String] {
        let secrets = [
            ("basic.password", basic?.password), ("bearer", bearer), ("oauth2.client_secret", oauth2?.clientSecret),
        ]
        return secrets.filter { $0.1 == Masked.text }.map { "authorization.\($0.0)" }
    }
}

extension AuthorizationResource: Described {
    package static let schema = ObjectSchema(
        "Authorization", "How the gateway proves to the endpoint who it is; one of the three.",
        [
            .optional("basic", .object(basicSchema), "A user and a password (RFC 7617)."),
            .optional("bearer", .text, "A token that does not change; shown as `***`."),
            .optional("oauth2", .object(oauthSchema), "A token that is asked for: OAuth 2, client credentials."),
        ])
    private static let basicSchema = ObjectSchema(
        "BasicCredentials", "A user and a password.",
        [
            .required("username", .text, "Without a colon."),
            .required("password", .text, "Shown as `***`."),
        ])
    private static let oauthSchema = ObjectSchema(
        "ClientCredentials", "Where a token is asked for, and by whom (RFC 6749 section 4.4).",
        [
            .required("token_url", .text, "`https://`; `http://` only to this machine's own addresses."),
            .required("client_id", .text, "Who asks."),
            .required("client_secret", .text, "Shown as `***`."),
            .optional("scopes", .list(.text, countMax: AuthorizationRules.scopeCountMax), "What is asked for."),
            .optional("audience", .text, "For whom, where the token endpoint wants to be told."),
            .optional(
                "auth_style", .word(ClientAuthStyle.allCases.map(\.rawValue)),
                "Where the client proves who it is: `basic` (the `Authorization` field) or `body` (the form)."),
            .optional(
                "token_time", .duration(AuthorizationRules.tokenMillisRange),
                "How long a token is used that is given without `expires_in`."),
            .optional(
                "endpoint_tls", .flag,
                "The token endpoint is believed, and shown a certificate, by the endpoint's own `tls`."),
        ])
}

/// What stands in the place of a secret.
enum Masked {
    static let text = "***"
    static let reason = "is what answers show in a secret's place; give the secret itself, or leave the field alone"
}

extension EndpointDraft {
    /// What the form cannot say. `prefix`: of the draft in its batch.
    func credentialErrors(at prefix: String = "") -> [FieldProblem] {
        let names = (headers ?? [:]).filter { $0.value == Masked.text }.keys.sorted().map { "headers.\($0)" }
        return (names + (authorization?.maskedPaths ?? [])).map {
            FieldProblem(path: prefix + $0, reason: Masked.reason)
        }
    }
}

extension EndpointConfiguration {
    mutating func take(credentialsOf draft: EndpointDraft) {
        extras.fields = (draft.headers ?? [:]).sorted { $0.key < $1.key }.map {
            ConfiguredField(name: $0.key, value: $0.value)
        }
        policies.authorization = draft.authorization?.configuration
    }
}

extension EndpointDraft {
    /// With the secrets.
    mutating func show(credentialsOf settings: EndpointConfiguration) {
        let fields = settings.extras.fields
        headers = fields.isEmpty ? nil : Dictionary(fields.map { ($0.name, $0.value) }) { first, _ in first }
        authorization = settings.policies.authorization.map { AuthorizationResource($0) }
    }
}

extension EndpointResource {
    mutating func show(credentialsOf settings: EndpointConfiguration) {
        headers = Dictionary(settings.extras.fields.map { ($0.name, Masked.text) }) { first, _ in first }
        authorization = settings.policies.authorization.map { AuthorizationResource($0).masked }
    }
}

extension ObjectSchema {
    static let aboutHeaders = """
        Header fields of its deliveries, name to value; a provider's own of such a name does not go. The values are \
        shown as `***`.
        """
    /// Of a draft.
    static let credentialFields: [Field] = [
        .optional("headers", .map(.text), aboutHeaders),
        .optional(
            "authorization", .object(AuthorizationResource.schema),
            "Basic, a bearer token, or OAuth 2 towards the endpoint."),
    ]
}
