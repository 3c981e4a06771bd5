// Every rule of the registry, one row each: what is wrong, where, and in which words; and the containers under it.
import Engine
import FastPath
import Testing

private func issues(_ manifest: GatewayConfiguration) -> [String] {
    RegistryValidation.issues(of: manifest).map(\.description)
}

/// One thing done wrong, and the field that is to be named for it.
struct FieldMistake<Settings>: Sendable {
    let field: String
    let change: @Sendable (inout Settings) -> Void
    init(_ field: String, _ change: @escaping @Sendable (inout Settings) -> Void) {
        self.field = field
        self.change = change
    }
}

private func demanded(
    authorities: String? = nil, names: [String] = [], fingerprints: [String] = []
) -> ClientCertificateConfiguration {
    var demanded = ClientCertificateConfiguration()
    demanded.authorities = authorities
    demanded.names = names
    demanded.fingerprints = fingerprints
    return demanded
}
extension GatewayConfiguration {
    /// Of a file that is not there, which is a mistake of its own.
    fileprivate mutating func asksForCertificates() {
        var tls = ListenerTLS()
        tls.clientAuthorities = "clients.pem"
        process.listenTLS[process.listen[0]] = tls
    }
}

@Suite struct RegistryRulesTests {
    @Test func aSoundManifestHasNoIssue() {
        #expect(
            issues(
                manifest(
                    [
                        source("github"),
                        source("open") {
                            $0.secrets = []; $0.unverified = true
                        },
                    ],
                    [
                        endpointSettings("a") {
                            $0.sources = ["github"]; $0.secrets = ["whsec_c2VjcmV0"]
                        }
                    ])) == [])
    }

    @Test(arguments: [
        ("http://127.0.0.1/", "loopback"), ("http://[::1]:9000/", "loopback"), ("http://10.1.2.3/", "private"),
        ("http://169.254.169.254/latest", "metadata"), ("http://[::ffff:127.0.0.1]/", "loopback"),
    ])
    func aLiteralAddressMustBeAllowed(_ url: String, _ why: String) {
        let endpoint = endpointSettings("a") { $0.url = url }
        let found = issues(manifest([source("github")], [endpoint]))
        #expect(found.count == 1 && found[0].hasPrefix("endpoints[0].url: ") && found[0].contains(why), "\(found)")
        let opened = manifest([source("github")], [endpoint]) {
            $0.live.allow = ["127.0.0.0/8", "::1/128", "10.0.0.0/8", "169.254.169.254/32"]
        }
        #expect(issues(opened) == [])
    }

    @Test func whatAnswersMeanAndTheOrderAreNamedByTheirFields() {
        let endpoint = endpointSettings("a") {
            $0.outcomes = ["preset": "svix", "404": "rety", "4x": "dead", "600": "dead", "1xx": "retry", "5xx": "dead"]
            $0.ordered = true
            $0.orderKey = ["json:$.a", "query:a", "json:a"]
        }
        let found = issues(manifest([source("github")], [endpoint]))
        let paths = found.map { $0.prefix { $0 != " " } }
        #expect(
            Set(paths) == [
                "endpoints[0].outcomes.preset:", "endpoints[0].outcomes.404:", "endpoints[0].outcomes.4x:",
                "endpoints[0].outcomes.600:", "endpoints[0].outcomes.1xx:", "endpoints[0].ordered.key[1]:",
                "endpoints[0].ordered.key[2]:",
            ])
        #expect(found.contains { $0.contains("did you mean `retry`?") })
        let unordered = endpointSettings("a") { $0.orderKey = ["json:$.a"] }
        #expect(issues(manifest([source("github")], [unordered])).count == 1)
        let sound = endpointSettings("a") {
            $0.outcomes = ["preset": "standard-webhooks", "404": "retry-if-asked", "2xx": "delivered"]
            $0.ordered = true
            $0.orderKey = ["json:$.a.b", "header:X-A"]
        }
        #expect(issues(manifest([source("github")], [sound])) == [])
    }

    /// With the range allowed, too: nothing could be connected to.
    @Test(arguments: [
        "http://[fe80::1]/", "http://[fe80::1%25eth0]:9000/", "http://[FEBF::1]/", "http://[fe80::1%eth0]/",
    ])
    func aLinkLocalLiteralIsRefusedForItsInterface(_ url: String) {
        let found = issues(
            manifest([source("github")], [endpointSettings("a") { $0.url = url }]) { manifest in
                manifest.live.allow = ["fe80::/10"]
                manifest.live.proxy = ProxySettings(url: url)
            })
        #expect(found.count == 2 && found.allSatisfy { $0.contains("whose interface a URL cannot say") }, "\(found)")
    }
    @Test func aHostNameIsNotResolved() {
        #expect(
            issues(manifest([source("github")], [endpointSettings("a") { $0.url = "http://no-such-host.invalid/" }]))
                == [])
    }

    @Test func thePathMustFitTheHeadOfARequest() throws {
        func target(_ count: Int, secrets: Int) -> EndpointConfiguration {
            endpointSettings("a") {
                $0.url = "http://hooks.example.com/" + String(repeating: "p", count: count - 1)
                $0.secrets = [String](repeating: "whsec_c2VjcmV0", count: secrets)
            }
        }
        for secrets in [0, 1, 4] {
            // The largest that the rule takes is one that the egress loop can send.
            let largest = try #require(
                (1...EgressLimits().requestHeadBytesMax).last { count in
                    issues(manifest([source("github")], [target(count, secrets: secrets)])).isEmpty
                })
            let settings = target(largest, secrets: secrets)
            let address = try EndpointAddress(settings.url)
            let literal = try #require(EgressAddress(literal: "192.0.2.1", port: 80))
            #expect(throws: Never.self) {
                try Destination(
                    DestinationDescription(
                        addresses: [literal], authority: address.hostField, target: address.target,
                        secrets: settings.secrets), version: "99.99.99",
                    requestHeadBytesMax: EgressLimits().requestHeadBytesMax)
            }
        }
    }

    private static let endpointMistakes: [FieldMistake<EndpointConfiguration>] = [
        FieldMistake("name") { $0.name = "a b" },
        FieldMistake("name") { $0.name = "" },
        FieldMistake("tenant") { $0.tenant = "a/b" },
        FieldMistake("uid") { $0.uid = "" },
        FieldMistake("url") { $0.url = "ftp://h/" },
        FieldMistake("url") { $0.url = "" },
        FieldMistake("url") { $0.extras.userInformation = String(repeating: "u", count: 1025) },
        FieldMistake("url") { $0.extras.userInformation = "user:p\r\n" },
        FieldMistake("headers") { $0.extras.fields = [ConfiguredField(name: "a:b", value: "v")] },
        FieldMistake("headers") { $0.extras.fields = [ConfiguredField(name: "", value: "v")] },
        FieldMistake("headers") { $0.extras.fields = [ConfiguredField(name: "a", value: "v\r\nb: c")] },
        FieldMistake("headers") {
            $0.extras.fields = ["X-A", "x-a"].map { ConfiguredField(name: $0, value: "v") }
        },
        FieldMistake("headers") {
            let value = String(repeating: "v", count: 4000)
            $0.extras.fields = (0..<5).map { ConfiguredField(name: "x-\($0)", value: value) }
        },
        FieldMistake("sources[1]") { $0.sources = ["github", "gitub"] },
        FieldMistake("secret[1]") { $0.secrets = ["c2VjcmV0", "!"] },
        FieldMistake("concurrency") { $0.concurrency = 5000 },
        FieldMistake("timeouts") { $0.connectMillisMax = 40_000 },
        FieldMistake("timeouts.total") { $0.totalMillisMax = 700_000 },
        FieldMistake("retry.delays") { $0.retryDelaysMillis = [Int](repeating: 1, count: 65) },
        FieldMistake("retry.delays") { $0.retryDelaysMillis = [-1] },
        FieldMistake("retry.jitter") { $0.retryJitter = 1.5 },
    ]
    @Test(arguments: endpointMistakes)
    func anEndpointsMistakeIsReportedAtItsField(_ mistake: FieldMistake<EndpointConfiguration>) {
        let found = RegistryValidation.issues(of: manifest([source("github")], [endpointSettings("a", mistake.change)]))
        #expect(found.map(\.path.description) == ["endpoints[0].\(mistake.field)"], "\(found)")
    }

    private static let sourceMistakes: [FieldMistake<SourceConfiguration>] = [
        FieldMistake("name") { $0.name = "a b" },
        FieldMistake("path") { $0.path = "x" },
        FieldMistake("path") { $0.path = "/a?b" },
        FieldMistake("secrets") { $0.secrets = [] },
        FieldMistake("unverified") { $0.unverified = true },
        FieldMistake("event.id[0]") { $0.eventID = ["X-Id"] },
        FieldMistake("event.type[0]") { $0.eventType = ["body"] },
        FieldMistake("dedup.key[1]") { $0.dedupKey = ["body", "x"] },
        FieldMistake("provider") { $0.provider = "githb" },
        FieldMistake("scheme") { $0.provider = "generic" },
        FieldMistake("public_url") { $0.publicURL = "x" },
        FieldMistake("allow_addresses") { $0.allowAddresses = ["10.0.0.1/8"] },
        FieldMistake("client_certificate") { $0.clientCertificate = ClientCertificateConfiguration() },
        FieldMistake("client_certificate.ca") { $0.clientCertificate = demanded(authorities: "nowhere.pem") },
        FieldMistake("client_certificate.names[1]") { $0.clientCertificate = demanded(names: ["a", "*.b"]) },
        FieldMistake("client_certificate.names[0]") { $0.clientCertificate = demanded(names: ["a\r\nb"]) },
        FieldMistake("client_certificate.fingerprints[0]") {
            $0.clientCertificate = demanded(fingerprints: [String(repeating: "ab", count: 31)])
        },
        FieldMistake("client_certificate.fingerprints[1]") {
            $0.clientCertificate = demanded(
                fingerprints: [String(repeating: "ab", count: 32), String(repeating: "xy", count: 32)])
        },
        FieldMistake("tolerance") { $0.timestampToleranceSeconds = 5 },
        FieldMistake("split") { $0.split = "events" },
        FieldMistake("schema") { $0.schemas.all = #"{"type":"text"}"# },
        FieldMistake("schemas.order.created") { $0.schemas.byType["order.created"] = #"{"$ref":"https://a/b"}"# },
        FieldMistake("schemas") {
            for index in 0...SourceSchemaSettings.typeCountMax { $0.schemas.byType["t\(index)"] = "true" }
        },
    ]
    @Test(arguments: sourceMistakes)
    func aSourcesMistakeIsReportedAtItsField(_ mistake: FieldMistake<SourceConfiguration>) {
        let configuration = manifest([source("a", mistake.change)]) { $0.asksForCertificates() }
        let found = RegistryValidation.issues(of: configuration).map(\.path.description)
        #expect(found.filter { $0.hasPrefix("sources") } == ["sources[0].\(mistake.field)"], "\(found)")
    }

    @Test func aCertificateThatNoListenerAsksForIsNeverShown() {
        let demanding = source("b") { $0.clientCertificate = demanded(names: ["a"]) }
        let found = issues(manifest([source("a"), demanding]))
        #expect(found.count == 1 && found[0].hasPrefix("sources[1].client_certificate: "), "\(found)")
        let asking = issues(manifest([source("a"), demanding]) { $0.asksForCertificates() })
        #expect(!asking.contains { $0.hasPrefix("sources") }, "\(asking)")
    }

    private static let gatewayMistakes: [FieldMistake<GatewayConfiguration>] = [
        FieldMistake("listen[0]") { $0.process.listen = ["nowhere"] },
        FieldMistake("listen") { $0.process.listen = [] },
        FieldMistake("listen[1]") { $0.process.listen = ["a:1", "a:1"] },
        FieldMistake("admin") { $0.process.admin = "unix:/x" },
        FieldMistake("proxy_protocol[0]") { $0.process.proxyProtocol = ["maybe"] },
        FieldMistake("limits.request_line") { $0.process.limits.requestLineBytesMax = 1 << 20 },
        FieldMistake("limits.assembly") { $0.process.limits.assemblyBytes = 1 << 10 },
        FieldMistake("log.segment") { $0.process.log.segmentBytes = 20 << 20 },
        FieldMistake("log.retention.size") { $0.process.log.retentionBytes = 1 << 20 },
        FieldMistake("log.group") { $0.process.log.groupBytes = 1 << 16 },
        FieldMistake("public_url") { $0.live.publicURL = "x" },
        FieldMistake("trusted_proxies[1]") { $0.live.trustedProxies = ["unix", "x"] },
        FieldMistake("delivery.allow[0]") { $0.live.allow = ["x"] },
    ]
    @Test(arguments: gatewayMistakes)
    func aMistakeOfTheGatewayIsReportedAtItsField(_ mistake: FieldMistake<GatewayConfiguration>) {
        let found = RegistryValidation.issues(of: manifest([source("github")], [], mistake.change))
        #expect(found.map(\.path.description) == [mistake.field], "\(found)")
    }

    @Test func pathsAreUniqueOverAllTenants() {
        let found = RegistryValidation.issues(
            of: manifest([source("a") { $0.path = "/in/acme/b" }, source("b") { $0.tenant = "acme" }]))
        #expect(found.map(\.path.description) == ["sources[1].path"])
    }

    @Test func noReasonHoldsAValue() {
        let found = RegistryValidation.issues(
            of: manifest(
                [source("github")],
                [
                    endpointSettings("a") {
                        $0.url = "ftp://token.example.com/hidden"; $0.secrets = ["hidden!"]
                    }
                ]))
        #expect(found.count == 2 && !found.contains { $0.reason.contains("hidden") }, "\(found)")
    }

    @Test func aPathIsSpelledAsInTheManifest() {
        let path = FieldPath("endpoints")[3].field("timeouts.total")
        #expect(path.description == "endpoints[3].timeouts.total" && path.shortKey == "timeouts.total")
        #expect(FieldPath("endpoints")[3]["sources"][1].shortKey == "sources")
        #expect(FieldPath("log", "group").shortKey == "log.group")
        #expect(FieldPath("sources")[0]["secrets"][1].shortKey == "secrets")
        #expect(path.hasPrefix(FieldPath("endpoints")[3]) && !path.hasPrefix(FieldPath("endpoints")[2]))
    }
}

@Suite struct PersistentTableTests {
    @Test func aCopyOfATableKeepsWhatItHad() {
        var table = PagedTable<Int>()
        for number in 1...1000 { table[UInt32(number)] = number }
        let copy = table
        table[500] = nil
        table[1001] = 7
        #expect(copy[500] == 500 && copy[1001] == nil && copy.count == 1000)
        #expect(table[500] == nil && table.count == 1000)
        #expect(Array(copy.values) == Array(1...1000))
    }
    @Test func aTablePagesInOrderOverGaps() {
        var table = PagedTable<UInt32>()
        for number: UInt32 in [0, 3, 64, 700, 701] { table[number] = number }
        #expect(table.values(after: 0, limit: 3) == [3, 64, 700])
        #expect(table.values(after: 700, limit: 3) == [701])
        table[700] = nil
        table[701] = nil
        #expect(table.values(after: 3, limit: 9) == [64] && table[701] == nil && table[70_000] == nil)
    }
    @Test func aCopyOfAMapKeepsWhatItHad() {
        var map = ShardedMap<String, Int>()
        for number in 0..<1000 { map["\(number)"] = number }
        let copy = map
        map["5"] = nil
        map["x"] = 1
        #expect(copy["5"] == 5 && copy["x"] == nil && copy.count == 1000 && map.count == 1000)
    }
}
