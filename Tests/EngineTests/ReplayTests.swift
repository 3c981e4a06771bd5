// A request that was seen once, and what an attacker may make of it: by the answers that the gateway gives itself, by
// other spellings of the same values, by headers that nothing signs. Each found by a review, each once accepted.
import Engine
import FastPath
import Testing

@Suite struct ReplayTests {
    private static let now: UInt64 = 1_760_000_000

    private func compile(
        _ provider: String, _ secrets: [String], _ change: (inout SourceConfiguration) -> Void = { _ in }
    ) throws -> CompiledSourceParts {
        var source = SourceConfiguration()
        source.name = provider
        source.provider = provider
        source.secrets = secrets.map { SourceSecret($0) }
        change(&source)
        return try SourceCompiler.compile(source)
    }
    private func request(_ line: String, _ headers: [(String, String)], _ body: String) throws -> CapturedRequest {
        let lines = headers.map { "\($0.0): \($0.1)\r\n" }.joined()
        return try CapturedRequest(Array("\(line) HTTP/1.1\r\nHost: h\r\n\(lines)\r\n\(body)".utf8))
    }
    /// Nil = accepted.
    private func refusal(_ parts: CompiledSourceParts, _ request: borrowing CapturedRequest) -> SignatureRejection? {
        defer { withExtendedLifetime(parts.memory) {} }
        let verdict: VerificationResult
        if let verifier = parts.verifier {
            verdict = verifier.verify(request, origin: "https://h", nowSeconds: Self.now)
        } else if let scheme = parts.scheme {
            verdict = request.verify(scheme, nowSeconds: Self.now, engine: .automatic, origin: "https://h")
        } else {
            return .invalidSecret
        }
        if case .rejected(let reason) = verdict { return reason }
        if case .accepted = verdict { return nil }
        return .invalidSecret
    }
    private func mac(_ key: [UInt8], _ message: String) -> [UInt8] {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        return SigningKey(secret: key, algorithm: .sha256, in: memory).mac(over: Array(message.utf8))
    }

    // MARK: a challenge that signs

    private func answerSignature(_ parts: CompiledSourceParts, _ token: String) throws -> String {
        defer { withExtendedLifetime(parts.memory) {} }
        let handshake = try #require(parts.handshake)
        let asked = try request("GET /in/x?crc_token=\(token)", [], "")
        let key = try #require(parts.scheme?.challengeKey(nowSeconds: Self.now))
        guard case .reply(_, _, _, let body) = asked.challengeAnswer(handshake, key: key) else {
            Issue.record("the challenge is not answered")
            return ""
        }
        return String(String(decoding: body, as: UTF8.self).dropFirst(#"{"response_token":""#.count).dropLast(2))
    }

    @Test func theAnswerToAChallengeSignsNoEvent() throws {
        var own = SchemeConfiguration()
        own.header = "x-twitter-webhooks-signature"
        own.prefix = "sha256="
        own.encoding = "base64"
        for parts in [try compile("x", ["key"]), try compile("x", ["key"], { $0.scheme = own })] {
            for body in ["abc-123", "true", "null", "12345"] {
                let signature = try answerSignature(parts, body)
                #expect(signature == "sha256=" + TextEncoding.base64(mac(Array("key".utf8), body)))
                let forged = try request("POST /in/x", [("x-twitter-webhooks-signature", signature)], body)
                #expect(refusal(parts, forged) == .signatureMismatch, "\(body)")
            }
            let body = #"{"for_user_id":"1"}"#
            let signature = "sha256=" + TextEncoding.base64(mac(Array("key".utf8), body))
            let genuine = try request("POST /in/x", [("x-twitter-webhooks-signature", signature)], body)
            #expect(refusal(parts, genuine) == nil)
        }
    }

    @Test func noSchemeBesideAChallengeThatSignsTakesWhatItSigns() throws {
        for provider in ProviderCatalogue.all where provider.signsForAnyone {
            for definition in provider.schemes.compactMap(\.definition) {
                #expect(definition.signsNoOpaqueText, "\(provider.name)")
            }
        }
        #expect(ProviderCatalogue.all.filter(\.signsForAnyone).map(\.name) == ["x"])
        var own = SchemeConfiguration()
        own.header = "X-S"
        own.signed = "{header:X-T}"
        own.signsPartOnly = true
        do {
            _ = try compile("x", ["key"]) { $0.scheme = own }
            Issue.record("took a scheme that any challenge signs for")
        } catch { #expect("\(error)".contains("could be a challenge of this provider"), "\(error)") }
        own.signed = "{header:X-T}.{path}"
        #expect(try compile("x", ["key"]) { $0.scheme = own }.scheme != nil)
    }

    // MARK: spellings

    @Test func aTokenSpelledAnewIsTheSameEvent() throws {
        let parts = try compile("mailgun", ["key"])
        defer { withExtendedLifetime(parts.memory) {} }
        let signature = TextEncoding.hex(mac(Array("key".utf8), "\(Self.now)a8ce/0edb"))
        var keys: Set<String> = []
        for token in [#"a8ce/0edb"#, #"\u00618ce/0edb"#, #"a8ce\/0edb"#, #"a8ce\u002f0ed\u0062"#] {
            let body =
                #"{"signature":{"timestamp":"\#(Self.now)","token":"\#(token)","signature":"\#(signature)"}}"#
            let request = try request("POST /in/mailgun", [], body)
            #expect(refusal(parts, request) == nil, "\(token)")
            keys.insert(request.select(parts.selectors).dedupKey ?? "none")
        }
        #expect(keys == ["a8ce/0edb"])
    }

    @Test func aNotificationSpelledAnewIsTheSameEventOrNone() throws {
        let vector = try #require(VerificationFixtures.own.vectors.first { $0.id == "aws-sns/version-2" })
        let verifier = try #require(try vector.namedVerifier())
        let source = try compile("aws-sns", ["arn:aws:sns:eu-west-1:123456789012:orders"])
        defer { withExtendedLifetime(source.memory) {} }
        let text = String(decoding: RequestParts(vector).body, as: UTF8.self)
        func respelled(_ from: String, _ to: String) throws -> (verdict: String, key: String?) {
            var parts = RequestParts(vector)
            let pieces = text.split(separator: from, maxSplits: 1, omittingEmptySubsequences: false)
            try #require(pieces.count == 2)
            parts.body = Array("\(pieces[0])\(to)\(pieces[1])".utf8)
            let key = try CapturedRequest(parts.bytes).select(source.selectors).dedupKey
            return (parts.verdict(verifier, now: vector.now), key)
        }
        let plain = try respelled(#""MessageId""#, #""MessageId""#)
        let id = try #require(plain.key)
        #expect(plain.verdict == "accept")
        let first = try #require(id.utf8.first)
        let escape = "\\u00" + TextEncoding.hex([first])
        let spelled = try respelled("\"\(id)\"", "\"\(escape)\(id.dropFirst())\"")
        #expect(spelled.verdict == "accept" && spelled.key == id)
        #expect(try respelled(#""MessageId""#, #""\u004dessageId""#).verdict == "reject:malformed_header")
        // Of names inside nothing is said.
        let inner = try respelled("{", #"{"Attributes":{"\u0041":1},"#)
        #expect(inner.verdict == "accept" && inner.key == id)
    }

    // MARK: headers of another set

    @Test func anIDThatIsNotSignedIsNoID() throws {
        let key = Array("0123456789abcdef01234567".utf8)
        let publicKey = try #require(PrivateKey.generate(.ed25519))
        let body = #"{"type":"paid"}"#
        let message = "msg_1.\(Self.now).\(body)"
        let sources = [
            (
                try compile("svix", ["whsec_" + TextEncoding.base64(key)]),
                "v1," + TextEncoding.base64(mac(key, message))
            ),
            (
                try compile("svix", [publicKey.publicKey.text]),
                "v1a," + TextEncoding.base64(publicKey.signature(of: Array(message.utf8)))
            ),
        ]
        for (parts, signature) in sources {
            func set(_ brand: String, _ id: String, _ signature: String?) -> [(String, String)] {
                let places = [("\(brand)-id", id), ("\(brand)-timestamp", "\(Self.now)")]
                return places + (signature.map { [("\(brand)-signature", $0)] } ?? [])
            }
            func refusal(_ headers: [(String, String)]) throws -> SignatureRejection? {
                self.refusal(parts, try request("POST /in/svix", headers, body))
            }
            let plain = set("webhook", "msg_1", signature)
            #expect(try refusal(plain) == nil)
            #expect(try refusal(set("svix", "msg_1", signature)) == nil)
            #expect(try refusal(plain + [("svix-id", "replay-42")]) == .malformedHeader)
            #expect(try refusal([("svix-id", "replay-42")] + plain) == .malformedHeader)
            #expect(try refusal(plain + [("svix-id", "")]) == .malformedHeader)
            #expect(try refusal(plain + [("svix-timestamp", "1")]) == .malformedHeader)
            #expect(try refusal(plain + [("svix-id", "msg_1"), ("svix-id", "replay-42")]) != nil)
            let other = set("svix", "msg_1", signature)
            #expect(try refusal(other + [("webhook-id", "replay-42")]) == .malformedHeader)
            // A sender that says the same twice contradicts nobody.
            #expect(try refusal(plain + other) == nil)
            #expect(try refusal(plain + set("svix", "msg_1", nil)) == nil)
        }
    }

    // MARK: what a request may cost

    @Test func aRequestBringsSixteenSignaturesOfAPublicKeyAtMost() throws {
        let key = try #require(PrivateKey.generate(.ed25519))
        let parts = try compile("standard-webhooks", [key.publicKey.text])
        let right = "v1a," + TextEncoding.base64(key.signature(of: Array("m.\(Self.now).{}".utf8)))
        let wrong = "v1a," + TextEncoding.base64([UInt8](repeating: 7, count: 64))
        func refusal(_ entries: [String]) throws -> SignatureRejection? {
            let headers = [
                ("webhook-id", "m"), ("webhook-timestamp", "\(Self.now)"),
                ("webhook-signature", entries.joined(separator: " ")),
            ]
            return self.refusal(parts, try request("POST /in/s", headers, "{}"))
        }
        let many = [String](repeating: wrong, count: 15)
        #expect(try refusal(many + [right]) == nil)
        #expect(try refusal(many + [wrong]) == .signatureMismatch)
        #expect(try refusal(many + [wrong, right]) == .malformedHeader)
        #expect(try refusal([right, wrong] + many) == .malformedHeader)
    }

    // MARK: what no signature covers

    @Test func warnsOfEverySchemeThatLeavesTheBodyUnsigned() throws {
        let partly: Set = ["adyen", "jira-connect", "mailgun", "paypal"]
        for provider in ProviderCatalogue.all where provider.name != "generic" {
            let parts = try compile(provider.name, [SourceCompilerTests.secret(of: provider.name)])
            #expect(parts.warnings.count == (partly.contains(provider.name) ? 1 : 0), "\(provider.name)")
        }
        #expect(try compile("paypal", ["id"]).warnings.first?.contains("CRC-32") == true)
        #expect(try compile("jira-connect", ["s"]).warnings.first?.contains("nothing of the body") == true)
        #expect(try compile("adyen", ["aa"]).warnings.first?.contains("eight values") == true)
        var configuration = GatewayConfiguration()
        var source = SourceConfiguration()
        source.name = "pay"
        source.provider = "paypal"
        source.secrets = ["id"]
        configuration.sources = [source]
        #expect(SourceCompiler.warnings(of: configuration).first?.hasPrefix(#"source "pay": signs the CRC-32"#) == true)
    }
}
