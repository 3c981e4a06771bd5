// The configuration file: what it becomes, and what every mistake in it is called, at which line.
import Engine
import FastPath
import Foundation
import Server
import Testing

private func parse(
    _ text: String, _ environment: [String: String] = ["S": "Z2VoZWltZ2VoZWlt"]
) throws -> GatewayConfiguration {
    try ConfigurationFile.parse(text, file: "sluice.yaml", environment: environment)
}
private func problems(
    _ text: String, _ environment: [String: String] = ["S": "Z2VoZWltZ2VoZWlt"]
) -> [ConfigurationProblem] {
    do {
        _ = try parse(text, environment)
        return []
    } catch let error as ConfigurationError {
        return error.problems
    } catch {
        Issue.record("\(error)")
        return []
    }
}
private let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

@Suite struct ConfigurationTests {
    private static let source = "sources:\n  - { name: a, provider: github, secrets: [\"${S}\"] }\n"

    @Test func readsEveryKindOfKey() throws {
        let configuration = try parse(
            """
            listen: [0.0.0.0:80, "[::1]:81", "unix:/run/s.sock"]
            admin: localhost:9
            data: /var/lib/sluice
            loops: 3
            grace: 1m
            verifier: openssl
            limits: { body: 2MiB, idle_time: 5s, connections: 7 }
            log: { retention: { size: never, age: 1h } }
            dedup: { entries: 2048, window: 90m }
            delivery: { allow: "::1/128" }
            sources:
              - name: partner
                path: /p
                secrets: ["${S}", text]
                scheme: { header: X-S, prefix: "a=", signed: "{timestamp}.{body}",
                  timestamp: { header: X-T, tolerance: 10s, future: false } }
                event: { id: "header:X-Id", type: "json:$.type" }
                dedup: { key: [body], window: 0s }
                body: 5B
                durability: written
                tolerance: 1m
            endpoints:
              - name: e
                uid: e-1
                url: http://[::1]:9000/x?y=1
                sources: [partner]
                types: ["a.*", b]
                secret: "${S}"
                timeouts: { connect: 1s }
                retry: { delays: [5s, 1m], jitter: 0.5 }
                outcomes: { preset: ops-center, 404: retry, "5xx": dead }
                ordered: { key: "json:$.customer" }
                forward_headers: false
                disabled: true
            """)
        #expect(configuration.listen == ["0.0.0.0:80", "[::1]:81", "unix:/run/s.sock"])
        #expect(configuration.admin == "localhost:9")
        #expect(configuration.dataFolder == "/var/lib/sluice")
        #expect(configuration.loops == .fixed(3))
        #expect(configuration.gracePeriodMillis == 60_000)
        #expect(configuration.verifierEngine == .openssl)
        #expect(configuration.limits.bodyBytesMax == 2 << 20)
        #expect(configuration.limits.idleMillisMax == 5000)
        #expect(configuration.limits.connectionCountMax == 7)
        #expect(configuration.log.retentionBytes == nil)
        #expect(configuration.log.retentionMillis == 3_600_000)
        #expect(configuration.dedupEntryCount == 2048)
        #expect(configuration.dedupWindowSeconds == 5400)
        #expect(configuration.live.allow == ["::1/128"])
        let source = try #require(configuration.sources.first)
        #expect(source.name == "partner" && source.path == "/p" && source.tenant == "default")
        #expect(source.secrets == ["Z2VoZWltZ2VoZWlt", "text"])
        #expect(source.scheme?.header == "X-S" && source.scheme?.prefix == "a=")
        #expect(source.scheme?.timestamp?.header == "X-T" && source.scheme?.timestamp?.toleranceSeconds == 10)
        #expect(source.scheme?.timestamp?.checksFuture == false)
        #expect(source.eventID == ["header:X-Id"] && source.eventType == ["json:$.type"] && source.dedupKey == ["body"])
        #expect(source.dedupWindowSeconds == 0 && source.bodyBytesMax == 5 && source.timestampToleranceSeconds == 60)
        #expect(source.durability == .written)
        let endpoint = try #require(configuration.endpoints.first)
        #expect(endpoint.name == "e" && endpoint.url == "http://[::1]:9000/x?y=1" && endpoint.uid == "e-1")
        #expect(
            endpoint.types == ["a.*", "b"] && endpoint.secrets == ["Z2VoZWltZ2VoZWlt"]
                && endpoint.connectMillisMax == 1000)
        #expect(endpoint.retryDelaysMillis == [5000, 60_000] && endpoint.retryJitter == 0.5)
        #expect(endpoint.outcomes == ["preset": "ops-center", "404": "retry", "5xx": "dead"])
        #expect(endpoint.orderKey == ["json:$.customer"] && !endpoint.forwardsHeaders && endpoint.disabled)
    }

    @Test(arguments: [
        ("listen: 8080\n", 1, "is not HOST:PORT"),
        ("listen: 1.2.3.4:99999\n", 1, "is not HOST:PORT"),
        ("\nadmin: unix:/x\n", 2, "`admin`"),
        ("listen: [a:1, a:1]\n", 1, "used more than once"),
        ("admn: 1\n", 1, "did you mean `admin`?"),
        ("limits:\n  bdy: 1\n", 2, "did you mean `body`?"),
        ("limits:\n  body: 1M\n", 2, "`1M` is not a size"),
        ("limits:\n  body: 65MiB\n", 2, "out of range; it takes 1B to 64MiB"),
        ("limits: 5\n", 1, "`limits` takes keys"),
        ("limits:\n  head: 4KiB\n  request_line: 8KiB\n", 3, "larger than the whole head"),
        ("grace: 5\n", 1, "`5` is not a time"),
        ("grace:\n", 1, "has no value"),
        ("grace: [1s]\n", 1, "takes one value, not a list"),
        ("loops: many\n", 1, "neither `auto` nor"),
        ("verifier: opnssl\n", 1, "did you mean `openssl`?"),
        ("log:\n  group: 64KiB\n", 2, "must hold the largest request"),
        ("log:\n  segment: 16MiB\n", 2, "at least twice"),
        ("delivery:\n  allow: [10.0.0.0/33]\n", 2, "not a range of addresses"),
        ("data: ${NOT_SET}\n", 1, "NOT_SET is not set"),
        ("data: ${NOT_SET\n", 1, "without its `}`"),
        ("grace: 1s\ngrace: 2s\n", 2, "is given twice"),
        ("endpoints:\n  - name: e\n", 2, "needs `url`"),
        ("endpoints:\n  - { name: e, url: \"ftp://a/b\" }\n", 2, "use https://HOST[:PORT]/PATH or http://"),
        ("endpoints:\n  - { name: e, url: \"http:///b\" }\n", 2, "is not a URL"),
        ("endpoints:\n  - { name: e, url: \"http://u:p@h/\" }\n", 2, "`url` contains a user name or password"),
        ("endpoints:\n  - { name: e, url: \"ftp://h/\" }\n", 2, "use https://HOST"),
        ("endpoints:\n  - name: e\n    url: http://h\n    outcomes: ops-centre\n", 4, "did you mean `ops-center`?"),
        ("endpoints:\n  - name: e\n    url: http://h\n    outcomes:\n      404: rety\n", 5, "did you mean `retry`?"),
        ("endpoints:\n  - name: e\n    url: http://h\n    outcomes:\n      9xx: dead\n", 5, "nor a status such as"),
        ("endpoints:\n  - name: e\n    url: http://h\n    outcomes:\n      404: [a]\n", 5, "takes one value"),
        ("endpoints:\n  - name: e\n    url: http://h\n    ordered: yes\n", 4, "none of true, false"),
        (
            "endpoints:\n  - name: e\n    url: http://h\n    ordered: { key: \"header:A\", by: x }\n", 4,
            "unknown key `by`"
        ),
        ("endpoints:\n  - name: e\n    url: http://h\n    ordered: { key: \"query:a\" }\n", 4, "json:$.PATH"),
        (
            "endpoints:\n  - { name: e, url: \"http://h\", sources: [b] }\n", 2,
            "`b` is not the name of a source; known sources: a"
        ),
        ("endpoints:\n  - { name: e, url: \"http://h\", retry: { jitter: 2 } }\n", 2, "not a share"),
        ("endpoints:\n  - { name: e, url: \"http://h\", retry: { delays: [5] } }\n", 2, "not a time"),
        (
            "endpoints:\n  - { name: e, url: \"http://h\" }\n  - { name: e, url: \"http://h\" }\n", 3,
            "`e` is already the name of endpoints[0]"
        ),
        ("endpoints:\n  - { name: e, url: \"http://h\", secret: \"geheim!\" }\n", 2, "secret 1 has the wrong form"),
        (
            "endpoints:\n  - { name: e, url: \"http://127.0.0.1:9000/\" }\n", 2,
            "which is not a public address (loopback); if this is intended, add its range to delivery.allow"
        ),
        (
            "endpoints:\n  - { name: e, url: \"http://h/\(String(repeating: "p", count: 3000))\" }\n", 2,
            "has a path of 3001 bytes"
        ),
        ("endpoints:\n  - { name: e, tenant: \"a b\", url: \"http://h\" }\n", 2, "is not a valid name"),
        ("endpoints:\n  - { name: e, uid: \"a b\", url: \"http://h\" }\n", 2, "is not a valid uid"),
        (
            "endpoints:\n  - { name: e, tenant: acme, url: \"http://h\", sources: [a] }\n", 2,
            "this tenant has none"
        ),
        ("public_url: hooks.example.com/a\n", 1, "is not a scheme and host"),
        ("trusted_proxies: [10.0.0.1/8]\n", 1, "is not a range of addresses"),
        ("endpoints: [5]\n", 1, "endpoint takes keys"),
        ("endpoints: 5\n", 1, "takes a list"),
        ("listen: [\n", 2, "not YAML"),
        ("limits:\n\tbody: 1MiB\n", 2, "a tab indents this line"),
    ])
    func saysWhatIsWrongAtItsLine(_ text: String, _ line: Int, _ words: String) {
        // The source last, so that the line counted is that of the text.
        let found = problems(text + (text.hasPrefix("listen: [\n") ? "" : ConfigurationTests.source))
        #expect(found.contains { $0.line == line && $0.message.contains(words) }, "\(found)")
        #expect(found.count == 1, "\(found)")
    }

    @Test(arguments: [
        ("  - { name: a }\n", 2, "`secrets` is missing"),
        ("  - { provider: github, secrets: [x] }\n", 2, "needs `name`"),
        ("  - { name: a b, secrets: [x] }\n", 2, "is not a valid name"),
        ("  - { name: a, path: x, secrets: [x] }\n", 2, "is not a path"),
        ("  - { name: a, secrets: [x], unverified: true }\n", 2, "remove one of the two"),
        ("  - { name: a, secrets: [\"\"] }\n", 2, "is empty"),
        ("  - { name: a, secrets: [\"file:/nonexistent/secret\"] }\n", 2, "there is no such file"),
        ("  - { name: a, provider: githb, secrets: [x] }\n", 2, "did you mean \"github\" or"),
        ("  - { name: a, secrets: [x] }\n", 2, "generic needs a scheme"),
        (
            "  - name: a\n    provider: standard-webhooks\n    secrets:\n      - \"!\"\n", 5,
            "secret 1 has the wrong form"
        ),
        ("  - { name: a, provider: github, secrets: [x], durability: never }\n", 2, "is not a known value"),
        ("  - { name: a, secrets: [x], event: { id: X-Id } }\n", 2, "does not say where to look"),
        ("  - { name: a, secrets: [x], event: { id: body } }\n", 2, "does not say where to look"),
        ("  - { name: a, secrets: [x], scheme: { prefix: x } }\n", 2, "needs `header`"),
        (
            "  - { name: a, secrets: [x], scheme: { header: x, timestamp: { unit: seconds } } }\n", 2,
            "needs `header` (or"
        ),
        (
            "  - { name: a, provider: github, secrets: [x] }\n"
                + "  - { name: a, provider: github, path: /b, secrets: [x] }\n",
            3, "`a` is already the name of sources[0]"
        ),
        (
            "  - { name: a, provider: github, secrets: [x] }\n"
                + "  - { name: b, provider: github, path: /in/a, secrets: [x] }\n",
            3, "`/in/a` is already the path of sources[0]"
        ),
        ("  - { name: a, secrets: [x] }\n  - name: b\n    name: c\n    secrets: [x]\n", 4, "is given twice"),
    ])
    func saysWhatIsWrongWithASource(_ text: String, _ line: Int, _ words: String) {
        let found = problems("sources:\n" + text)
        #expect(found.contains { $0.line == line && $0.message.contains(words) }, "\(found)")
        #expect(found.count == 1, "\(found)")
    }

    @Test func reportsAllProblemsTogetherInOrder() {
        let found = problems("grace: 5\nlimits: { body: x }\nadmn: y\n" + ConfigurationTests.source)
        #expect(found.map(\.line) == [1, 2, 3])
    }
    @Test func wantsASourceAndAFile() {
        #expect(problems("grace: 5s\n").map(\.message).first?.contains("there is no `sources`") == true)
        #expect(problems("# nothing\n").map(\.message).first?.contains("the file is empty") == true)
        #expect(throws: ConfigurationError.self) {
            try ConfigurationFile.load("/nonexistent/sluice.yaml", environment: [:])
        }
    }
    @Test func messagesNeverHoldWhatAVariableHeld() {
        let found = problems(
            "grace: ${S}\nadmin: ${S}\nlisten: x\n" + ConfigurationTests.source, ["S": "Z2VoZWltZ2VoZWlt"])
        #expect(found.count == 3)
        #expect(!found.contains { $0.message.contains("Z2VoZ") }, "\(found)")
    }
    @Test func aVariableMayBeEscapedAndStandInsideText() throws {
        let text = "sources: [{ name: a, provider: github, secrets: [\"x${S}y\", \"$${S}\"] }]\n"
        #expect(try parse(text).sources.first?.secrets == ["xZ2VoZWltZ2VoZWlty", "${S}"])
    }
    @Test func aSecretFileLosesOneNewlineAndIsRelativeToTheFile() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data("se cret\n\n".utf8).write(to: folder.appendingPathComponent("s"))
        let file = folder.appendingPathComponent("sluice.yaml")
        try Data("data: d\nsources: [{ name: a, provider: github, secrets: [\"file:s\"] }]\n".utf8).write(to: file)
        let configuration = try ConfigurationFile.load(file.path, environment: [:])
        #expect(configuration.sources.first?.secrets == ["se cret\n"])
        #expect(configuration.dataFolder == folder.appendingPathComponent("d").path)
    }

    @Test func theExampleIsTheDocumentedOneAndIsGood() throws {
        let file = repository.appendingPathComponent("docs/sluice.example.yaml")
        #expect(try String(contentsOf: file, encoding: .utf8) == ExampleConfiguration.text)
        let configuration = try parse(
            ExampleConfiguration.text, [ExampleConfiguration.secretVariable: "whsec_Z2VoZWltZ2VoZWlt"])
        #expect(configuration.sources.map(\.name) == ["github"])
        #expect(configuration.listen.allSatisfy { $0.hasPrefix("127.0.0.1:") })
    }
    @Test func whoeverMayConnectNamesNoAddressThatAListLooksAt() throws {
        func problem(_ top: String) throws -> String? {
            let source = "{ name: a, provider: github, secrets: [s], allow_addresses: [192.0.2.0/24] }"
            do {
                _ = try ConfigurationFile.parse("\(top)sources: [\(source)]\n", file: "sluice.yaml", environment: [:])
                return nil
            } catch { return "\(error)" }
        }
        let found = try problem("proxy_protocol: true\n")
        #expect(found?.contains("list your proxies in `trusted_proxies`") == true)
        #expect(try problem("proxy_protocol: true\ntrusted_proxies: [10.0.0.0/8]\n") == nil)
        #expect(try problem("") == nil)
    }
    @Test func theExampleNamesEveryKey() {
        // Of schemes and senders that few have.
        let rareKeys = [
            "list", "list_key", "id_header", "future", "past", "optional", "secret_encoding", "every_header",
            "prefix_ignores_case", "signs_part_only", "body_hash", "url_ports",
            "url_decodes", "content_coding", "split", "scopes", "auth_style", "token_time", "endpoint_tls",
        ]
        for key in ConfigurationKeys.all {
            let name = key.path.split { ".[]".contains($0) }.last.map(String.init) ?? key.path
            let isThere = ExampleConfiguration.text.contains("\(name):")
            #expect(
                isThere || rareKeys.contains(name), "\(key.path)")
        }
    }
    @Test func theDocumentationListsExactlyTheKeysOfTheCode() throws {
        let file = repository.appendingPathComponent("docs/configuration.md")
        // The rows of keys; those that begin with a brace tell the variables of `signed`.
        let rows = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            .filter { $0.hasPrefix("| `") && !$0.hasPrefix("| `{") }
        let documented = rows.map { row in
            row.split(separator: "|").prefix(4).map { $0.trimmingCharacters(in: .whitespaces) }
        }
        let known = ConfigurationKeys.all.map {
            ["`\($0.path)`", $0.form, "`\($0.initial)`", $0.range.isEmpty ? "any" : $0.range]
        }
        for row in known { #expect(documented.contains(row), "\(row)") }
        for row in documented { #expect(known.contains(row), "\(row)") }
    }
}
