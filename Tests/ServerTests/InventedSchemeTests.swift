// Schemes that no provider has, from the text of a configuration file alone: the source compiles, a request signed by
// the rule is accepted, and nothing that differs from it.
import Engine
import FastPath
import Server
import TestSupport
import Testing

@Suite struct InventedSchemeTests {
    private static let now: UInt64 = 1_760_000_000
    private static let origin = "https://hooks.example.com"

    private func source(_ scheme: String, _ secrets: String) throws -> CompiledSourceParts {
        let text = """
            sources:
              - name: invented
                provider: generic
                secrets: \(secrets)
                scheme:
            \(scheme.split(separator: "\n").map { "      \($0)" }.joined(separator: "\n"))
            """
        let configuration = try ConfigurationFile.parse(text, file: "sluice.yaml", environment: [:])
        return try SourceCompiler.compile(configuration.sources[0])
    }
    private func mac(_ algorithm: MACAlgorithm, _ key: [UInt8], _ message: String) -> [UInt8] {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        return SigningKey(secret: key, algorithm: algorithm, in: memory).mac(over: Array(message.utf8))
    }
    private func raw(_ line: String, _ headers: [(String, String)], _ body: String) -> [UInt8] {
        let lines = headers.map { "\($0.0): \($0.1)\r\n" }.joined()
        return Array("\(line) HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.utf8.count)\r\n\(lines)\r\n\(body)".utf8)
    }
    private func isAccepted(_ parts: CompiledSourceParts, _ raw: [UInt8], now: UInt64 = now) -> Bool {
        defer { withExtendedLifetime(parts.memory) {} }
        guard let request = try? CapturedRequest(raw) else { return false }
        let verdict: VerificationResult
        if let verifier = parts.verifier {
            verdict = verifier.verify(request, origin: Self.origin, nowSeconds: now)
        } else if let scheme = parts.scheme {
            verdict = request.verify(scheme, nowSeconds: now, engine: .automatic, origin: Self.origin)
        } else {
            return false
        }
        if case .accepted = verdict { return true }
        return false
    }
    private func withstands(
        _ parts: CompiledSourceParts, _ raw: [UInt8], _ headers: [String],
        _ configure: (inout RequestMutations) -> Void = { _ in }
    ) {
        #expect(isAccepted(parts, raw))
        var mutations = RequestMutations(raw: raw, headers: headers)
        configure(&mutations)
        for mutation in mutations.harmless { #expect(isAccepted(parts, mutation.bytes), "\(mutation.what)") }
        for mutation in mutations.forgeries { #expect(!isAccepted(parts, mutation.bytes), "\(mutation.what)") }
    }

    @Test func aListWithAnInstantAndTheWholeRequest() throws {
        let parts = try source(
            """
            algorithm: hmac-sha512
            header: X-Seal
            encoding: base64url
            list: semicolon
            list_key: s2
            signed: "{method} {url}\\n{timestamp}\\n{header:X-Tenant}\\n{body}"
            timestamp: { list_key: at, unit: iso8601, tolerance: 2m, future: true }
            secret_encoding: hex
            """, #"["00ff10"]"#)
        let body = #"{"order":17}"#
        let time = "2025-10-09T08:53:20.250Z"
        let message = "PUT \(Self.origin)/in/invented?x=1\n\(time)\nacme\n\(body)"
        let digest = TextEncoding.base64(mac(.sha512, [0, 255, 16], message))
            .map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 }.filter { $0 != "=" }
        let request = raw(
            "PUT /in/invented?x=1", [("X-Seal", "at=\(time);s1=old;s2=\(String(digest))"), ("X-Tenant", "acme")], body
        )
        withstands(parts, request, ["X-Tenant"]) {
            $0.changesTarget = true
            $0.changesMethod = true
        }
        #expect(isAccepted(parts, request, now: Self.now + 120))
        #expect(!isAccepted(parts, request, now: Self.now + 121))
        #expect(!isAccepted(parts, request, now: Self.now - 120))
    }

    @Test func aFormWithItsSignatureInTheQueryAndSecretsThatChange() throws {
        let parts = try source(
            """
            algorithm: hmac-sha1
            header: "query:mac"
            encoding: hex
            signed: "{path}#{form}"
            """,
            """
            [{ value: old, not_after: "2025-10-09T08:53:20Z" }, { value: new, not_before: "2025-10-09T08:53:21Z" }]
            """)
        func request(_ key: String) -> [UInt8] {
            let signature = TextEncoding.hex(mac(.sha1, Array(key.utf8), "/in/invented#a1 2b3"))
            return raw(
                "POST /in/invented?mac=\(signature)", [("Content-Type", "application/x-www-form-urlencoded")],
                "b=3&a=1+2&b=3")
        }
        #expect(isAccepted(parts, request("old")))
        #expect(!isAccepted(parts, request("new")))
        #expect(isAccepted(parts, request("new"), now: Self.now + 1))
        #expect(!isAccepted(parts, request("old"), now: Self.now + 1))
        let genuine = request("old")
        for index in genuine.indices.dropLast(13) where genuine[index] != 0x0D {
            // The signature is in the first line; the version and the headers behind it are not signed.
            guard index < "POST /in/invented?mac=".utf8.count + 40, index > 4 else { continue }
            var changed = genuine
            changed[index] ^= 0x01
            #expect(!isAccepted(parts, changed), "byte \(index)")
        }
        for index in genuine.indices.suffix(13) {
            var changed = genuine
            changed[index] ^= 0x04
            #expect(!isAccepted(parts, changed), "byte \(index)")
        }
    }

    @Test func aPublicKeyWithAValueOfTheBody() throws {
        let key = try #require(PrivateKey.generate(.ed25519))
        let parts = try source(
            """
            algorithm: ed25519
            header: [X-New-Sig, X-Sig]
            encoding: base64
            prefix: "ed25519="
            signed: "{json:$.meta.nonce}.{id}.{body}"
            id_header: X-Id
            timestamp: { header: "json:$.meta.at", unit: milliseconds, tolerance: 1m }
            """, "[\"\(key.publicKey.text)\"]")
        #expect(parts.scheme == nil && parts.verifier != nil && parts.warnings.isEmpty)
        let body = #"{"meta":{"nonce":"n\/1","at":1760000000000}}"#
        let signature = TextEncoding.base64(key.signature(of: Array("n/1.i7.\(body)".utf8)))
        let request = raw(
            "POST /in/invented", [("X-Id", "i7"), ("X-Sig", "ed25519=\(signature)")], body)
        withstands(parts, request, ["X-Id", "X-Sig"]) { $0.paddings = ["0", "A"] }
        #expect(isAccepted(parts, request, now: Self.now + 60))
        #expect(!isAccepted(parts, request, now: Self.now + 61))
    }

    @Test func warnsOfABodyThatNothingSignsAndRefusesItUnsaid() throws {
        let scheme = "header: X-S\nsigned: \"{header:X-T}\"\n"
        #expect(throws: ConfigurationError.self) { try source(scheme, "[k]") }
        let parts = try source(scheme + "signs_part_only: true", "[k]")
        #expect(parts.warnings.count == 1 && parts.warnings[0].contains("nothing of the body"))
    }

    @Test func namesTheSourceWhoseSecretIsWrong() {
        for (scheme, secrets, words) in [
            ("header: X-S\nsecret_encoding: whsec", "[\"whsec_!\"]", "whsec_ and base 64"),
            ("header: X-S\nalgorithm: ecdsa-p256", "[\"-----BEGIN NOTHING-----\"]", "P-256 public key"),
            ("header: X-S\nalgorithm: ed25519", "[\"whsk_AAAA\"]", "private key"),
            ("header: Authorization\nalgorithm: basic", "[nocolon]", "user:password"),
            ("header: X-S", "[{ value: k, not_before: yesterday }]", "is not an instant"),
            (
                "header: X-S",
                "[{ value: k, not_before: \"2026-01-02T00:00:00Z\", not_after: \"2026-01-01T00:00:00Z\" }]",
                "would never be used"
            ),
            ("header: X-S", "[{ not_before: \"2026-01-02T00:00:00Z\" }]", "needs `value`"),
        ] {
            do {
                _ = try source(scheme, secrets)
                Issue.record("took \(secrets)")
            } catch {
                let text = "\((error as? ConfigurationError)?.description ?? "\(error)")"
                #expect(text.contains(words), "\(text)")
            }
        }
    }
}
