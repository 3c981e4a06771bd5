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
        source.line = 12
        change(&source)
        return source
    }
    private func problem(_ source: SourceConfiguration) -> String? {
        do throws(SourceError) {
            _ = try SourceCompiler.compile(source)
            return nil
        } catch { return error.description }
    }

    @Test func knowsTheElevenProviders() {
        let names = ProviderCatalogue.all.map(\.name)
        #expect(
            names == [
                "fireflies", "generic", "github", "github-sha1", "gitlab", "otter", "shopify", "slack",
                "standard-webhooks", "stripe", "svix",
                "zoom",
            ])
    }

    @Test func everyProviderOfTheCatalogueCompiles() throws {
        for provider in ProviderCatalogue.all where provider.name != "generic" {
            let secret = provider.schemes[0].takes.takes("whsec_AAAA") ? "whsec_AAAA" : "text"
            let parts = try SourceCompiler.compile(source(provider.name, [secret]))
            #expect(parts.scheme != nil)
            #expect(parts.scheme?.keyCount == 1)
            #expect((200...299).contains(parts.successStatus))
            #expect((parts.handshake != nil) == ["slack", "zoom"].contains(provider.name))
            #expect(parts.dedupWindowSeconds == 86_400)
        }
    }

    @Test func aSourceHasASecretOrSaysThatItIsUnverified() throws {
        #expect(
            problem(source("github", []))
                == #"source "orders" (line 12): has no secret; give secrets: ["${NAME}"], "#
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
                == #"source "orders" (line 12): provider "gihub" is unknown; did you mean "github"?"#)
        #expect(ProviderCatalogue.nearestNames(to: "Strip").first == "stripe")
        #expect(ProviderCatalogue.nearestNames(to: "standard").contains("standard-webhooks"))
        #expect(problem(source("quickbooks", ["a"]))?.contains("known are fireflies, generic") == true)
    }

    @Test func neverShowsASecret() {
        let secret = "whsec_not/base64!!SECRET"
        let message = problem(source("standard-webhooks", [secret]))
        #expect(message?.contains("secret 1 has the wrong form") == true)
        #expect(message?.contains("SECRET") == false)
        #expect(problem(source("standard-webhooks", ["whpk_AAAA"]))?.contains("ed25519") == true)
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
                #"scheme: algorithm: "md5" is unknown; wanted is hmac-sha256, hmac-sha1, hmac-sha512, token, "#
                    + "basic, ed25519, ecdsa-p256, rsa-sha256"
            ),
            ({ $0.encoding = "HEX" }, "scheme: encoding"), ({ $0.list = "pipe" }, "scheme: list"),
            ({ $0.secretEncoding = "rot13" }, "wanted is text, base64, hex, whsec"),
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
