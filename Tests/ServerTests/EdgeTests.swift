// The middleware of the contract edge: each of the list by itself, and the order in which they answer.
import Engine
import FastPath
import Foundation
import HTTPTypes
import Logging
import Server
import Testing

@Suite struct EdgeTests {
    private let keeper = FakeGateway()
    private static let request = "3f2a9c1e-1111-4aaa-8bbb-0123456789ab"
    private static let now = EdgeTime(monotonicNanos: 1_000_000_000, wallSeconds: 1_800_000_000)

    private func exchange(
        _ method: HTTPRequest.Method = .post, _ path: String = "/v1/webhooks/registry",
        _ fields: [String: String] = [:], body: String = "", from address: String = "127.0.0.1"
    ) -> EdgeExchange {
        var headers = HTTPFields()
        for (name, value) in fields { headers[HTTPField.Name(name)!] = value }
        if !body.isEmpty { headers[.contentLength] = "\(body.utf8.count)" }
        return EdgeExchange(method, path, headers, body: body, address: address, time: EdgeTests.now)
    }
    private func code(_ middleware: some EdgeMiddleware, _ exchange: inout EdgeExchange) async throws -> String? {
        do {
            _ = try await middleware.take(&exchange)
            return nil
        } catch let refusal as EdgeRefusal { return refusal.code.rawValue }
    }
    private func code(_ middleware: some EdgeMiddleware, _ exchange: EdgeExchange) async throws -> String? {
        var exchange = exchange
        return try await code(middleware, &exchange)
    }
    private var routes: EdgeRoutes {
        let logger = Logger(label: "t") { _ in LogLines(write: { _ in }) }
        return ControlAPI(services: ControlServices(keeper), logger: logger).edgeRoutes
    }

    @Test func routingTellsUnknownPathsFromWrongMethods() async throws {
        let routing = Edge.Routing(routes: routes, host: "127.0.0.1")
        #expect(try await code(routing, exchange(.get, "/v1/webhooks/nothing")) == "not_found")
        do {
            var wrong = exchange(.put, "/v1/webhooks/registry")
            _ = try await routing.take(&wrong)
            Issue.record("a wrong method went on")
        } catch let refusal as EdgeRefusal {
            #expect(refusal.code == .methodNotAllowed && refusal.allow == ["GET", "POST"])
        }
        var one = exchange(.patch, "/v1/webhooks/registry/a%20b?x=1")
        #expect(try await code(routing, &one) == nil)
        #expect(one.operation == "updateContractEntry" && one.parameters == ["webhook_id": "a b"])
        #expect(EdgeRoutes.owns("/v1/webhooks") && EdgeRoutes.owns("//v1//auth/x") && !EdgeRoutes.owns("/v1/other"))
    }
    @Test func everyAnswerForbidsBrowsersAllTheyDoNotNeed() async {
        var reply = EdgeReply(500)
        await Edge.SecurityHeaders().dress(&reply, of: exchange())
        #expect(reply.fields[.xContentTypeOptions] == "nosniff" && reply.fields[.cacheControl] == "no-store")
        #expect(reply.fields[HTTPField.Name("X-Frame-Options")!] == "DENY")
        #expect(reply.fields[HTTPField.Name("Referrer-Policy")!] == "no-referrer")
        #expect(reply.fields[.contentSecurityPolicy]?.contains("default-src 'none'") == true)
    }
    @Test func onlyConfiguredOriginsAreNamed() async throws {
        let cors = Edge.CORS(origins: ["https://a.example"])
        for (origin, isNamed) in [("https://a.example", true), ("https://b.example", false), ("*", false)] {
            var asked = exchange(.options, "/v1/webhooks/registry", ["Origin": origin])
            var reply = try #require(try await cors.take(&asked))
            await cors.dress(&reply, of: asked)
            #expect(reply.status == 204)
            #expect((reply.fields[.accessControlAllowOrigin] == origin) == isNamed, "\(origin)")
            #expect((reply.fields[.accessControlAllowHeaders]?.contains("x-tenant-id") == true) == isNamed)
        }
        var plain = exchange(.get)
        #expect(try await cors.take(&plain) == nil)
    }
    @Test func aMutationHasAnIdOfVersionFourAndEveryAnswerHasOne() async throws {
        let middleware = Edge.RequestID()
        #expect(try await code(middleware, exchange()) == "missing_header")
        for bad in ["7", "3f2a9c1e11114aaa8bbb0123456789ab", "3f2a9c1e-1111-1aaa-8bbb-0123456789ab"] {
            let asked = exchange(.get, ["X-Request-Id": bad])
            #expect(try await code(middleware, asked) == "invalid_header", "\(bad)")
        }
        var read = exchange(.get)
        #expect(try await code(middleware, &read) == nil)
        #expect(ContractID.isUUID(read.requestID, version: "4"))
        var named = exchange(.post, ["X-Request-Id": EdgeTests.request])
        #expect(try await code(middleware, &named) == nil)
        var reply = EdgeReply(200)
        await middleware.dress(&reply, of: named)
        #expect(reply.fields[Edge.RequestID.header] == EdgeTests.request)
    }
    private func exchange(_ method: HTTPRequest.Method, _ fields: [String: String]) -> EdgeExchange {
        exchange(method, "/v1/webhooks/registry", fields)
    }
    @Test func bothVersionsAreServedAndOthersAreToldWhich() async throws {
        for version in ["v0", "v1alpha1"] {
            var asked = exchange(.get, ["X-Zen-Contract-Version": version])
            #expect(try await code(Edge.ContractVersion(), &asked) == nil && asked.version.rawValue == version)
        }
        let wrong: [([String: String], String)] = [
            ([:], "missing_header"), (["X-Zen-Contract-Version": "V0"], "unsupported_contract_version"),
        ]
        for (fields, wanted) in wrong {
            do {
                var asked = exchange(.get, fields)
                _ = try await Edge.ContractVersion().take(&asked)
                Issue.record("\(fields) went on")
            } catch let refusal as EdgeRefusal {
                #expect(refusal.code.rawValue == wanted)
                #expect(refusal.text(requestID: "r").contains("\"supported_versions\":[\"v0\",\"v1alpha1\"]"))
            }
        }
    }
    @Test func theTenantIsAUUID() async throws {
        let middleware = Edge.EnsureTenantHeader()
        #expect(try await code(middleware, exchange(.get, [:])) == "missing_header")
        #expect(try await code(middleware, exchange(.get, ["X-Tenant-Id": "acme"])) == "invalid_header")
        var named = exchange(.get, ["X-Tenant-Id": FakeGateway.contractTenant.uppercased()])
        #expect(try await code(middleware, &named) == nil && named.tenant == FakeGateway.contractTenant)
    }

    // MARK: the signature

    private func signed(
        _ body: String, age: Int = 0, secret: String = FakeGateway.contractSecret,
        _ change: (inout [String: String]) -> Void = { _ in }
    ) throws -> EdgeExchange {
        let stamp = "\(Int(EdgeTests.now.wallSeconds) - age)"
        var fields = [
            "X-Timestamp": stamp,
            "X-Signature": EnvelopeSignature.mac(
                secret: secret, requestID: EdgeTests.request, timestamp: stamp, body: Array(body.utf8)),
        ]
        change(&fields)
        var made = exchange(.post, "/v1/webhooks/ingest", fields, body: body)
        made.lead(to: "ingestContractEvents", of: routes)
        made.requestID = EdgeTests.request
        made.tenant = FakeGateway.contractTenant
        return made
    }
    /// Held against the form that RFC 4231 gives for key and text, by the command line of OpenSSL.
    @Test func theSignatureIsThatOfTheContract() {
        let mac = EnvelopeSignature.mac(secret: "secret", requestID: "id", timestamp: "1", body: Array("{}".utf8))
        #expect(mac == TextEncoding.hex(ReferenceHMAC.sha256(key: Array("secret".utf8), Array("id.1.{}".utf8))))
    }
    @Test func aSignatureHoldsForItsRequestAndItsTime() async throws {
        let verifier = Edge.SignatureVerifier(keeper: keeper)
        var good = try signed("{}")
        #expect(try await code(verifier, &good) == nil && good.isProven)
        for age in [300, -300] { #expect(try await code(verifier, signed("{}", age: age)) == nil, "\(age)") }
        for age in [301, -301] { #expect(try await code(verifier, signed("{}", age: age)) == "invalid_signature") }
        let wrong: [(inout [String: String]) -> Void] = [
            { $0["X-Signature"] = "" }, { $0["X-Signature"] = nil }, { $0["X-Timestamp"] = nil },
            { $0["X-Signature"] = String(repeating: "0", count: 64) }, { $0["X-Timestamp"] = "1800000001" },
            { $0["X-Signature"] = $0["X-Signature"]?.uppercased() }, { $0["X-Timestamp"] = "+1800000000" },
            { $0["X-Signature"] = "sha256=" + ($0["X-Signature"] ?? "") },
        ]
        for (index, change) in wrong.enumerated() {
            #expect(try await code(verifier, signed("{}", change)) == "invalid_signature", "\(index)")
        }
        #expect(try await code(verifier, signed("{}", secret: "another")) == "invalid_signature")
        var other = try signed("{}")
        other.requestID = "3f2a9c1e-1111-4aaa-8bbb-0123456789ac"
        #expect(try await code(verifier, other) == "invalid_signature")
    }
    @Test func elsewhereASignatureMayBeMissingAndNeverWrong() async throws {
        let verifier = Edge.SignatureVerifier(keeper: keeper)
        var plain = exchange(.post, [:])
        plain.lead(to: "createContractEntry", of: routes)
        #expect(try await code(verifier, &plain) == nil && !plain.isProven)
        var wrong = exchange(.post, ["X-Signature": "00", "X-Timestamp": "1800000000"])
        wrong.lead(to: "createContractEntry", of: routes)
        #expect(try await code(verifier, wrong) == "invalid_signature")
    }
    @Test func aCertificateCountsFromATrustedProxyAlone() async throws {
        let verifier = Edge.SignatureVerifier(keeper: keeper)
        let hash = "Hash=" + String(repeating: "ab", count: 32)
        let cases = [
            (hash, true), ("By=x;\(hash);Subject=\"CN=a\"", true), ("Subject=\"CN=a\"", false), ("Hash=zz", false),
            ("\(hash);Subject=\"CN=a,O=b\"", true), ("Subject=\"CN=a;\(hash)\"", false),
            ("Subject=\"CN=a,\(hash)\"", false), ("\(hash),Subject=\"CN=a,O=b\"", false),
            ("Subject=\"CN=a,O=b\",\(hash)", true), ("\(hash);Subject=\"CN=a\\\",O=b\"", true),
            ("Subject=\"CN=a\\\",\(hash)\"", false), ("Subject=\"CN=a\\\\\",\(hash)", true),
            ("\(hash);X=\",By=u;Subject=\"CN=a\"", false), ("\(hash);X=\"", false),
            ("Cert=\"-----BEGIN%20CERTIFICATE-----\"", false), ("Cert=\"%\"", false),
        ]
        for (text, isProof) in cases {
            var asked = try signed("{}") { fields in
                fields = ["X-Forwarded-Client-Cert": text]
            }
            #expect((try await code(verifier, &asked) == nil) == isProof, "\(text)")
            #expect(!asked.isProven, "it is nobody's in particular: no tenant's bucket is drawn on for it")
        }
        let both = try signed("{}", secret: "another") { $0["X-Forwarded-Client-Cert"] = hash }
        #expect(try await code(verifier, both) == "invalid_signature", "both given, both must hold")
        var foreign = exchange(
            .post, "/v1/webhooks/ingest", ["X-Forwarded-Client-Cert": hash], body: "{}", from: "192.0.2.1")
        foreign.lead(to: "ingestContractEvents", of: routes)
        foreign.tenant = FakeGateway.contractTenant
        #expect(try await code(verifier, foreign) == "invalid_signature")
    }

    @Test func aCertificateOfOurOwnTLSStandsForTheSignatureAndAProxysForNothing() async throws {
        let verifier = Edge.SignatureVerifier(keeper: keeper)
        func asked(from address: String, ends: Int64?) -> EdgeExchange {
            var made = exchange(.post, "/v1/webhooks/ingest", [:], body: "{}", from: address)
            made.lead(to: "ingestContractEvents", of: routes)
            made.tenant = FakeGateway.contractTenant
            made.certificate = ends.map { ShownCertificate(ends: $0, subject: "CN=a") }
            return made
        }
        var good = asked(from: "192.0.2.1", ends: 1_800_000_000)
        #expect(try await code(verifier, &good) == nil && !good.isProven)
        #expect(try await code(verifier, asked(from: "192.0.2.1", ends: 1_799_999_999)) == "invalid_signature")
        #expect(try await code(verifier, asked(from: "192.0.2.1", ends: nil)) == "invalid_signature")
        #expect(try await code(verifier, asked(from: "127.0.0.1", ends: .max)) == "invalid_signature")
        var both = try signed("{}", secret: "another") { _ in }
        both.certificate = ShownCertificate(ends: .max, subject: "CN=a")
        #expect(try await code(verifier, both) == "invalid_signature", "both given, both must hold")
    }

    // MARK: behind it

    @Test func aBodySaysThatItIsJSON() async throws {
        let cases: [(String?, Bool)] = [
            ("application/json", true), ("Application/JSON; charset=utf-8", true), ("text/plain", false), ("", false),
            (nil, false), ("application/jsonp", false), ("application/vnd.a+json", false),
        ]
        for (type, isTaken) in cases {
            let fields = type.map { ["Content-Type": $0] } ?? [:]
            let asked = exchange(.post, "/v1/webhooks/registry", fields, body: "{}")
            #expect((try await code(Edge.JSONOnly(), asked) == nil) == isTaken, "\(type ?? "none")")
        }
        #expect(try await code(Edge.JSONOnly(), exchange(.delete, [:])) == nil)
    }
    @Test func aBucketFillsAgainAndNobodyTakesAnothers() {
        var table = BucketTable(capacity: 3, perSecond: 10)
        for _ in 0..<3 { #expect(table.take("a", now: 1_000_000_000) == nil) }
        #expect(table.take("a", now: 1_000_000_000).map { $0 <= 100_000_000 } == true)
        #expect(table.take("b", now: 1_000_000_000) == nil)
        #expect(table.take("a", now: 1_100_000_000) == nil && table.take("a", now: 1_100_000_000) != nil)
    }
    @Test func bucketsAreBoundedAndNewcomersShareOne() {
        var table = BucketTable(capacity: 1, perSecond: 0.001)
        for number in 0..<BucketTable.bucketCountMax { _ = table.take("\(number)", now: 1) }
        #expect(table.take("new", now: 2) == nil && table.take("newer", now: 2) != nil)
        #expect(table.count <= BucketTable.bucketCountMax + 1)
        #expect(table.take("later", now: 2_000_000_000_000) == nil, "those that are full again make room")
        #expect(table.count < 10)
    }
    @Test func strangersCannotEmptyATenantsBucket() async throws {
        var settings = ContractSettings()
        (settings.rateCapacity, settings.rateRefill) = (2, 1)
        let limiter = Edge.RateLimiter(settings, keeper: keeper)
        func asked(_ token: String?) -> EdgeExchange {
            var made = exchange(.get, token.map { ["Authorization": "Bearer \($0)"] } ?? [:])
            made.tenant = FakeGateway.contractTenant
            return made
        }
        for token in [nil, "nobody", nil] as [String?] { _ = try await code(limiter, asked(token)) }
        #expect(try await code(limiter, asked(nil)) == "rate_limited")
        #expect(try await code(limiter, asked("admin@app_2")) == "rate_limited", "a session of another tenant's")
        for _ in 0..<2 { #expect(try await code(limiter, asked("admin@app_1")) == nil) }
        #expect(try await code(limiter, asked("admin@app_1")) == "rate_limited")
    }
    @Test func sessionTenantAndRoleAreAskedInThatOrder() async throws {
        func asked(_ token: String?, tenant: String = FakeGateway.contractTenant) async throws -> [String?] {
            var made = exchange(.post, token.map { ["Authorization": "Bearer \($0)"] } ?? [:])
            made.lead(to: "createContractEntry", of: routes)
            made.tenant = tenant
            return [
                try await code(Edge.RequireSession(keeper: keeper), &made),
                try await code(Edge.ValidateTenantHeader(keeper: keeper), &made), try await code(Edge.RBAC(), &made),
            ]
        }
        #expect(try await asked(nil)[0] == "unauthenticated")
        #expect(try await asked("nobody")[0] == "unauthenticated")
        #expect(try await asked("admin@app_1") == [nil, nil, nil])
        #expect(try await asked("operator@app_1") == [nil, nil, "forbidden"])
        #expect(try await asked("admin@app_2")[1] == "tenant_mismatch")
        #expect(try await asked("platform") == [nil, nil, nil], "the platform's acts for the tenant that it names")
        #expect(try await asked("platform", tenant: EdgeTests.request)[1] == "tenant_mismatch")
    }
    @Test func theListIsTheContracts() {
        let parameters = EdgeParameters(
            settings: ContractSettings(), host: "127.0.0.1", routes: routes, keeper: keeper, answers: ContractAnswers())
        let names = EdgeMiddlewares.ordered(parameters).map { "\(type(of: $0))" }
        #expect(
            names == [
                "Routing", "SecurityHeaders", "CORS", "RequestID", "ContractVersion", "EnsureTenantHeader",
                "SignatureVerifier", "JSONOnly", "RateLimiter", "RequireSession", "ValidateTenantHeader", "RBAC",
                "IdempotencyChecker",
            ])
    }
}

/// RFC 2104 over the digest, in the plainest way.
private enum ReferenceHMAC {
    static func sha256(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        let padded = key + [UInt8](repeating: 0, count: 64 - key.count)
        let inner = Digest.sha256(padded.map { $0 ^ 0x36 } + message)
        return Digest.sha256(padded.map { $0 ^ 0x5C } + inner)
    }
}
