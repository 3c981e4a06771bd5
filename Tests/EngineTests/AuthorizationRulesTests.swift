// What may be said of an endpoint's own header fields and of its credentials, and what is said to the rest.
import Engine
import FastPath
import Testing

private func issues(_ change: (inout EndpointConfiguration) -> Void) -> [String] {
    let endpoint = endpointSettings("a", change)
    var whole = manifest([source("github")], [endpoint])
    whole.live.allow = ["127.0.0.0/8"]
    return RegistryValidation.issues(of: whole).map(\.description)
}
private func oauth(_ change: (inout ClientCredentialsSettings) -> Void) -> EndpointAuthorization {
    var (authorization, oauth) = (EndpointAuthorization(), ClientCredentialsSettings())
    oauth.tokenURL = "https://login.example/token"
    oauth.clientID = "client"
    oauth.clientSecret = "very-secret"
    change(&oauth)
    authorization.oauth2 = oauth
    return authorization
}

/// One thing done wrong, and what is to be said.
struct CredentialMistake: Sendable {
    let words: String
    let change: @Sendable (inout ClientCredentialsSettings) -> Void
    init(_ words: String, _ change: @escaping @Sendable (inout ClientCredentialsSettings) -> Void) {
        self.words = words
        self.change = change
    }
}

@Suite struct AuthorizationRulesTests {
    @Test func eachOfTheThreeIsSoundByItself() {
        #expect(issues { $0.policies.authorization = oauth { _ in } } == [])
        #expect(
            issues {
                $0.policies.authorization = oauth {
                    $0.tokenURL = "http://127.0.0.1:9/token"
                    $0.scopes = ["a:read", "b"]
                    $0.audience = "https://api.example/"
                    $0.authStyle = .body
                    $0.tokenMillis = 60_000
                }
            } == [])
        #expect(
            issues {
                var authorization = EndpointAuthorization()
                authorization.bearer = "token"
                $0.policies.authorization = authorization
            } == [])
        #expect(
            issues {
                var (authorization, basic) = (EndpointAuthorization(), BasicCredentials())
                (basic.username, basic.password) = ("user", "p:ä")
                authorization.basic = basic
                $0.policies.authorization = authorization
            } == [])
    }
    @Test func itIsOneOfTheThree() {
        let words = "endpoints[0].authorization: takes one of `basic`, `bearer` and `oauth2`"
        #expect(issues { $0.policies.authorization = EndpointAuthorization() } == [words])
        var both = oauth { _ in }
        both.bearer = "token"
        #expect(issues { $0.policies.authorization = both } == [words])
    }
    @Test(arguments: [
        CredentialMistake("token_url: must be https://") { $0.tokenURL = "http://login.example/token" },
        CredentialMistake("token_url: is not a URL") { $0.tokenURL = "login.example" },
        CredentialMistake("token_url: contains a user name") { $0.tokenURL = "https://a:b@login.example/" },
        CredentialMistake("token_url: leads to 10.0.0.1") { $0.tokenURL = "https://10.0.0.1/token" },
        CredentialMistake("token_url: leads to 169.254.169.254") { $0.tokenURL = "https://169.254.169.254/" },
        CredentialMistake("client_id: must be 1 to 256") { $0.clientID = "" },
        CredentialMistake("client_id: must be 1 to 256") { $0.clientID = "a\r\nb" },
        CredentialMistake("client_secret: must be 1 to 8192") { $0.clientSecret = "" },
        CredentialMistake("client_secret: must be 1 to 8192") { $0.clientSecret = "geheim\n" },
        CredentialMistake("scopes[1]: is no scope") { $0.scopes = ["a", "b c"] },
        CredentialMistake("scopes[0]: is no scope") { $0.scopes = ["a\"b"] },
        CredentialMistake("scopes: has more than 64") { $0.scopes = Array(repeating: "a", count: 65) },
        CredentialMistake("audience: must be 1 to 1024") { $0.audience = "" },
        CredentialMistake("token_time: must be from 10s to 1d") { $0.tokenMillis = 1 },
        CredentialMistake("endpoint_tls: is of no use without") { $0.usesEndpointTLS = true },
    ]) func whatIsWrongIsSaidAtItsPlace(_ mistake: CredentialMistake) throws {
        let found = issues { $0.policies.authorization = oauth(mistake.change) }
        #expect(found.count == 1 && found[0].contains("authorization.oauth2." + mistake.words), "\(found)")
        #expect(!found.joined().contains("geheim") && !found.joined().contains("very-secret"))
    }
    @Test func noOtherPlaceHasCredentialsBeside() {
        let field = ConfiguredField(name: "AUTHORIZATION", value: "x")
        let two = issues {
            $0.policies.authorization = oauth { _ in }
            $0.extras.fields = [field]
        }
        #expect(two.contains { $0.contains("stands beside a header `Authorization`") })
        #expect(issues { $0.extras.fields = [field] } == [], "alone it is like any other")
        let inURL = issues {
            $0.policies.authorization = oauth { _ in }
            $0.extras.userInformation = "user:geheim"
        }
        #expect(inURL.contains { $0.contains("stands beside `user:password`") } && !inURL.joined().contains("geheim"))
    }
    @Test(arguments: [
        ("Connection", "hop-by-hop"), ("Transfer-Encoding", "hop-by-hop"), ("te", "hop-by-hop"),
        ("Proxy-Authorization", "hop-by-hop"), ("Host", "writes itself"), ("Content-Length", "writes itself"),
        ("Content-Type", "writes itself"), ("user-agent", "writes itself"), ("Webhook-Id", "begins with `webhook-`"),
        ("webhook-signature", "begins with `webhook-`"), ("SVIX-ID", "begins with `svix-`"),
        ("Sluice-Attempt", "begins with `sluice-`"), ("a b", "letters, digits"), ("", "letters, digits"),
    ]) func namesThatAreNoEndpointsToChoose(_ name: String, _ words: String) {
        let found = issues { $0.extras.fields = [ConfiguredField(name: name, value: "geheim")] }
        #expect(found.count == 1 && found[0].contains("headers") && found[0].contains(words), "\(found)")
        #expect(!found.joined().contains("geheim"))
    }
    @Test func valuesStayOnTheirLine() {
        for value in ["a\r\nX: b", "a\nb", "a\u{0}b", "\u{7F}", " a", "a\t"] {
            let found = issues { $0.extras.fields = [ConfiguredField(name: "X-Api-Key", value: value)] }
            #expect(found.count == 1 && found[0].contains("the value of `X-Api-Key`"), "\(found)")
        }
        #expect(issues { $0.extras.fields = [ConfiguredField(name: "X-A", value: "a\tb ä")] } == [])
        let many = (0..<51).map { ConfiguredField(name: "X-\($0)", value: "v") }
        #expect(issues { $0.extras.fields = many }.contains { $0.contains("has 51 names; at most 50") })
    }
    @Test func theSignaturesOwnNameIsTaken() {
        let found = issues {
            var signature = SignatureConfiguration()
            signature.form = .github
            $0.policies.signature = signature
            $0.secrets = ["a"]
            $0.extras.fields = [ConfiguredField(name: "x-hub-signature-256", value: "v")]
        }
        #expect(found.contains { $0.contains("which the signature has") })
    }
    @Test func noTextShowsASecret() throws {
        let settings = endpointSettings("a") {
            $0.policies.authorization = oauth { $0.clientSecret = "geheim-1" }
            $0.extras.fields = [ConfiguredField(name: "X-Api-Key", value: "geheim-2")]
        }
        let texts = EndpointConfiguration.fields.map { "\($0.key): \($0.text(settings))" }
        #expect(texts.contains { $0.hasPrefix("authorization: oauth2, https://login.example/token, client client") })
        #expect(texts.contains("headers: X-Api-Key"))
        #expect(!texts.joined().contains("geheim"))
        var (other, plain) = (settings, endpointSettings("a") { _ in })
        other.policies.authorization?.oauth2?.clientSecret = "geheim-3"
        #expect(other.changes(from: settings).map(\.field) == ["authorization"])
        plain.extras.fields = []
        #expect(plain.changes(from: settings).map(\.field).sorted() == ["authorization", "headers"])
    }
}
