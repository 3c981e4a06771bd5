// The catalogue and the compiler of sources: what they make, and the words with which they refuse.
import Engine
import FastPath
import Testing

@Suite struct SourceCompilerTests {
    private func source(
        _ provider: String, _ secrets: [String], _ change: (inout SourceConfiguration) -> Void = { _ in }
    ) -> SourceConfiguration {
        var source = SourceConfiguration()
        source.name = "orders"
        source.provider = provider
        source.secrets = secrets.map { SourceSecret($0) }
        change(&source)
        return source
    }
    private func problem(_ source: SourceConfiguration) -> String? {
        do throws(SourceError) {
            _ = try SourceCompiler.compile(source)
            return nil
        } catch { return error.description }
    }

    @Test func knowsTheProvidersByName() {
        let names = ProviderCatalogue.all.map(\.name)
        #expect(
            names == [
                "adyen", "adyen-payload", "alertmanager", "aws-sns", "bitbucket-server", "calendly", "cloudevents",
                "contract", "datadog", "discord", "discord-events", "docusign", "dropbox", "falcosidekick", "fireflies",
                "generic",
                "gitea", "github", "github-sha1", "gitlab", "gogs", "hubspot", "hubspot-legacy", "intercom", "jira",
                "jira-connect", "kyverno-policy-reporter", "launchdarkly", "linear", "mailgun", "meta", "msteams",
                "openai", "otter", "paddle", "pagerduty", "paypal", "sendgrid", "servicenow", "shopify", "slack",
                "square", "standard-webhooks", "stripe", "svix", "trivy-operator", "twilio", "typeform", "x", "zoom",
            ])
    }

    /// A secret that each provider takes.
    static func secret(of provider: String) -> String {
        switch provider {
        case "adyen", "adyen-payload", "discord", "discord-events": String(repeating: "d7", count: 31) + "1a"
        case "aws-sns": "arn:aws:sns:eu-west-1:123456789012:orders"
        case "msteams": "AAAA"
        case "openai", "standard-webhooks", "svix": "whsec_AAAA"
        case "sendgrid":
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2dLJ2SHdpaixgD0Q9GNw/BvpVLhV3cC3hS7KBTOJ"
                + "Bxe/cKH8a3uZMvqFZp6lsoOSvk8/g5byfoTy5h+vJJZTng=="
        case "servicenow": "user:password"
        default: "text"
        }
    }

    @Test func everyProviderOfTheCatalogueCompiles() throws {
        let costly: Set = [
            "adyen", "aws-sns", "discord", "discord-events", "hubspot-legacy", "jira-connect", "paypal", "sendgrid",
        ]
        for provider in ProviderCatalogue.all where provider.name != "generic" {
            let parts = try SourceCompiler.compile(
                source(provider.name, [SourceCompilerTests.secret(of: provider.name)]))
            #expect((parts.scheme != nil) != (parts.verifier != nil), "\(provider.name)")
            #expect((parts.verifier != nil) == costly.contains(provider.name), "\(provider.name)")
            #expect((200...299).contains(Int(parts.answer.status)))
            #expect((parts.handshake != nil) == !provider.handshakes.isEmpty)
            #expect(parts.dedupWindowSeconds == 86_400)
        }
    }

    @Test func aPublicKeyBesideASecretLeavesTheLoop() throws {
        let key = try #require(PrivateKey.generate(.ed25519)).publicKey.text
        #expect(try SourceCompiler.compile(source("svix", ["whsec_AAAA"])).verifier == nil)
        #expect(problem(source("svix", ["whsec_AAAA", "whpk_AAAA"])) != nil)
        let parts = try SourceCompiler.compile(source("svix", ["whsec_AAAA", key]))
        #expect(parts.scheme == nil && parts.verifier != nil)
    }

    @Test func aSourceHasASecretOrSaysThatItIsUnverified() throws {
        #expect(
            problem(source("github", []))
                == #"source "orders": has no secret; give secrets: ["${NAME}"], "#
                + "or say unverified: true to take requests from anyone"
        )
        #expect(problem(source("generic", [])) != nil)
        #expect(problem(source("github", ["a", ""]))?.contains("secret 2 is empty") == true)
        #expect(problem(source("github", ["a"]) { $0.unverified = true })?.contains("unverified") == true)
        let open = try SourceCompiler.compile(source("github", []) { $0.unverified = true })
        #expect(open.scheme == nil)
        #expect(try SourceCompiler.compile(source("generic", []) { $0.unverified = true }).scheme == nil)
    }

    @Test func namesTheNearestProviders() {
        #expect(
            problem(source("gihub", ["a"]))
                == #"source "orders": provider "gihub" is unknown; did you mean "github"?"#)
        #expect(ProviderCatalogue.nearestNames(to: "Strip").first == "stripe")
        #expect(ProviderCatalogue.nearestNames(to: "standard").contains("standard-webhooks"))
        #expect(problem(source("quickbooks", ["a"]))?.contains("known are adyen, adyen-payload") == true)
    }

    @Test func neverShowsASecret() {
        let secret = "whsec_not/base64!!SECRET"
        let message = problem(source("standard-webhooks", [secret]))
        #expect(message?.contains("secret 1 has the wrong form") == true)
        #expect(message?.contains("SECRET") == false)
        #expect(problem(source("standard-webhooks", ["whpk_AAAA"]))?.contains("Ed25519") == true)
    }

    @Test func takesATokenAndASigningTokenForGitLab() throws {
        for secrets in [["plain"], ["whsec_AAAA"], ["plain", "whsec_AAAA"]] {
            #expect(try SourceCompiler.compile(source("gitlab", secrets)).scheme != nil)
        }
    }

    @Test func compilesSchemesFromTheConfiguration() throws {
        var scheme = SchemeConfiguration()
        scheme.header = "X-Signature"
        scheme.prefix = "sha256="
        scheme.signed = "{timestamp}.{body}"
        scheme.timestamp = TimestampConfiguration()
        scheme.timestamp?.header = "X-Timestamp"
        #expect(try SourceCompiler.compile(source("generic", ["s"]) { $0.scheme = scheme }).scheme != nil)
        for (change, words) in [
            (
                { $0.algorithm = "md5" },
                #"scheme: algorithm: "md5" is unknown; expected hmac-sha256, hmac-sha1, hmac-sha512, token, "#
                    + "basic, ed25519, ecdsa-p256, rsa-sha256"
            ),
            ({ $0.encoding = "HEX" }, "scheme: encoding"), ({ $0.list = "pipe" }, "scheme: list"),
            ({ $0.secretEncoding = "rot13" }, "expected text, base64, hex, whsec"),
            ({ $0.timestamp?.unit = "days" }, "timestamp: unit"),
            ({ $0.header = "" }, "is no header name"), ({ $0.signed = "{body" }, "without its }"),
            ({ $0.timestamp?.header = nil }, "name its header"),
            ({ $0.timestamp?.toleranceSeconds = -1 }, "out of range"),
            ({ $0.timestamp = nil }, "{timestamp} needs timestamp"),
        ] as [((inout SchemeConfiguration) -> Void, String)] {
            var bad = scheme
            change(&bad)
            let message = problem(source("generic", ["s"]) { $0.scheme = bad })
            #expect(message?.contains(words) == true, "\(message ?? "compiled")")
        }
        #expect(problem(source("generic", ["s"]))?.contains("needs a scheme") == true)
    }

    @Test func checksToleranceAndSelectors() {
        #expect(problem(source("stripe", ["s"]) { $0.timestampToleranceSeconds = 60 }) == nil)
        #expect(
            problem(source("github", ["s"]) { $0.timestampToleranceSeconds = 60 })?.contains("signs no timestamp")
                == true)
        #expect(
            problem(source("stripe", ["s"]) { $0.timestampToleranceSeconds = -5 })?.contains("out of range") == true)
        #expect(
            problem(source("github", ["s"]) { $0.eventType = ["json:type"] })?.contains("event: type: \"json:type\"")
                == true)
        #expect(problem(source("github", ["s"]) { $0.dedupKey = ["cookie:a"] })?.contains("dedup: key") == true)
    }
}
