// What the catalogue calls the same event, and how long a provider's own retries pass.
import Engine
import FastPath
import Testing

@Suite struct CatalogueIdentityTests {
    private func source(
        _ provider: String, _ change: (inout SourceConfiguration) -> Void = { _ in }
    ) -> SourceConfiguration {
        EngineTests.source("s") {
            $0.provider = provider
            $0.secrets = [SourceSecret(SourceCompilerTests.secret(of: provider))]
            change(&$0)
        }
    }
    private func key(_ source: SourceConfiguration, _ request: String) throws -> [UInt8]? {
        let parts = try SourceCompiler.compile(source)
        defer { withExtendedLifetime(parts.memory) {} }
        return try CapturedRequest(Array(request.utf8)).texts(parts.selectors).key
    }
    private func post(_ fields: [String] = [], _ body: String = "", target: String = "/in/s") -> String {
        let lines = fields.map { $0 + "\r\n" }.joined()
        return "POST \(target) HTTP/1.1\r\nHost: h\r\n\(lines)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func noProviderIsKnownByItsBodyAlone() {
        for provider in ProviderCatalogue.all { #expect(!provider.dedupKey.contains("body"), "\(provider.name)") }
    }

    @Test func whatNamesNoEventHasNoIdentity() throws {
        let body = #"{"list_folder":{"accounts":["a"]},"status":"firing","groupKey":"g","alerts":[{"startsAt":"1"}]}"#
        for provider in [
            "dropbox", "alertmanager", "servicenow", "hubspot", "hubspot-legacy", "docusign", "meta", "x", "zoom",
            "calendly", "fireflies", "otter", "trivy-operator", "kyverno-policy-reporter", "adyen", "sendgrid",
            "discord-events", "twilio", "github", "stripe",
        ] {
            #expect(try key(source(provider), post([], body)) == nil, "\(provider)")
        }
        #expect(
            try key(
                source("generic") {
                    $0.unverified = true; $0.secrets = []
                }, post([], body)) == nil)
        #expect(
            try key(source("hubspot"), "GET /in/s?associatedObjectId=1 HTTP/1.1\r\nHost: h\r\n\r\n") == nil)
    }

    @Test func aSourceSaysWhatItsKeyIs() throws {
        let open: (inout SourceConfiguration) -> Void = {
            $0.unverified = true; $0.secrets = []
        }
        func key(_ change: @escaping (inout SourceConfiguration) -> Void) throws -> [UInt8]? {
            try self.key(
                source("dropbox") {
                    open(&$0); change(&$0)
                }, post([], "abc"))
        }
        #expect(try key { $0.dedupKey = ["body"] } == Array("abc".utf8))
        #expect(try key { $0.eventID = ["json:$.id"] } == nil)
        #expect(try key { $0.dedupKey = ["method + target"] } == Array("4:POST,5:/in/s,".utf8))
    }

    @Test func deliveriesOfOneGitHubEventToSeveralHooksAreSeveralEvents() throws {
        func key(_ hook: String, _ event: String = "push") throws -> [UInt8]? {
            try self.key(
                source("github"),
                post(["X-GitHub-Delivery: g", "X-GitHub-Hook-ID: \(hook)", "X-GitHub-Event: \(event)"], "{}"))
        }
        #expect(try key("1") == key("1"))
        #expect(try key("1") != key("2"))
        #expect(try key("1") != key("1", "create"))
        #expect(try self.key(source("github"), post(["X-GitHub-Delivery: g"], "{}")) == Array("1:g,".utf8))
    }

    @Test func aCloudEventIsItsSourceAndItsID() throws {
        let binary = try key(source("cloudevents"), post(["ce-id: 1", "ce-source: /a"], #"{"id":"9","source":"x"}"#))
        #expect(binary == Array("2:/a,1:1,".utf8))
        #expect(try key(source("cloudevents"), post(["ce-id: 1"], "{}")) == nil)
        let structured = #"{"specversion":"1.0","source":"/a","id":"1"}"#
        #expect(try key(source("cloudevents"), post([], structured)) == Array("3:1.0,2:/a,1:1,".utf8))
        #expect(try key(source("cloudevents"), post([], #"{"source":"/a","id":"1"}"#)) == nil)
    }

    @Test func takesATypeFromASlackInteractionAndCommand() throws {
        let parts = try SourceCompiler.compile(source("slack"))
        let form = ["Content-Type: application/x-www-form-urlencoded"]
        for (body, type) in [
            ("payload=%7B%22type%22%3A%22block_actions%22%7D", "block_actions"), ("command=%2Fgo&text=a", "/go"),
        ] {
            let texts = try CapturedRequest(Array(post(form, body).utf8)).texts(parts.selectors)
            #expect(String(decoding: texts.eventType, as: UTF8.self) == type && texts.key == nil)
        }
        withExtendedLifetime(parts.memory) {}
        #expect(parts.answer.status == 200)
    }

    // MARK: retries that come with the first try's signature

    private static let now: UInt64 = 1_760_000_000

    private func verdict(_ source: SourceConfiguration, _ age: UInt64, window: UInt32 = 86_400) throws -> Bool {
        let body = #"{"webhookTimestamp":\#((CatalogueIdentityTests.now - age) * 1000)}"#
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        let key = SigningKey(secret: Array("text".utf8), algorithm: .sha256, in: memory)
        let signature = TextEncoding.hex(key.mac(over: Array(body.utf8)))
        let outcome = VectorRunner.verify(
            source: source, origin: nil, now: CatalogueIdentityTests.now,
            rawRequest: Array(post(["Linear-Signature: \(signature)", "Linear-Delivery: d"], body).utf8),
            engine: .openssl, window: window)
        if case .accepted = outcome { return true }
        return false
    }

    @Test func letsLinearsRetriesThrough() throws {
        for (age, passes) in [(0, true), (60, true), (3700, true), (7 * 3600 + 120, true), (8 * 3600 + 1, false)] {
            #expect(try verdict(source("linear"), UInt64(age)) == passes, "\(age)")
        }
    }
    /// Without something that knows a repetition again only the signature's own minute counts.
    @Test func anOldTimePassesOnlyWhereARepetitionIsADuplicate() throws {
        #expect(try !verdict(source("linear"), 3700, window: 3600))
        #expect(try !verdict(source("linear") { $0.dedupWindowSeconds = 0 }, 3700))
        #expect(try !verdict(source("linear") { $0.dedupKey = ["header:Linear-Delivery"] }, 3700))
        #expect(try !verdict(source("linear") { $0.timestampToleranceSeconds = 60 }, 3700))
        #expect(try verdict(source("linear") { $0.timestampToleranceSeconds = 4000 }, 3700))
    }
    @Test func theNonceIsSigned() throws {
        let first = try key(source("linear"), post(["Linear-Delivery: a"], #"{"webhookTimestamp":1}"#))
        #expect(first != nil)
        #expect(try key(source("linear"), post(["Linear-Delivery: b"], #"{"webhookTimestamp":1}"#)) == first)
        #expect(try key(source("linear"), post(["Linear-Delivery: a"], #"{"webhookTimestamp":2}"#)) != first)
        for body in [#"{"signature":{"token":"t"},"event-data":{"id":"1"}}"#] {
            #expect(try key(source("mailgun"), post([], body)) == Array("t".utf8))
        }
    }
    @Test func aTimeInTheFutureGainsNothing() throws {
        for provider in ProviderCatalogue.all where provider.signedRetrySeconds != nil {
            #expect(provider.dedupKey != [] && provider.schemes.contains { $0.definition?.timestamp != nil })
            for case .data(let definition) in provider.schemes.map(\.rule) {
                #expect(definition.timestamp.map { $0.toleranceSeconds <= 300 } ?? true)
            }
        }
    }
}
