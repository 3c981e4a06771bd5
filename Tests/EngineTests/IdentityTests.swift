// Tokens of an identity provider, held against keys and claims, and where the keys come from. What a library of others
// signs and forges is tried from outside (`identity.py`).
import Engine
import FastPath
import Foundation
import Logging
import Synchronization
import Testing

@Suite struct IdentityTests {
    private static let now: UInt64 = 1_760_000_000
    /// A provider's two keys and what it signs with them.
    private struct Signer {
        let ed25519 = PrivateKey.generate(.ed25519)!
        let p256 = PrivateKey.generate(.ecdsaP256)!

        func set(_ names: [String] = ["ed", "ec"]) -> [UInt8] {
            let point = Array(p256.publicKey.spki.suffix(64))
            let entries = [
                "ed": #"{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"\#(bare(ed25519.publicKey.ed25519Bytes))"}"#,
                "ec":
                    #"{"kty":"EC","crv":"P-256","kid":"ec","x":"\#(bare(Array(point[..<32])))","#
                    + #""y":"\#(bare(Array(point[32...])))"}"#,
            ]
            return Array("{\"keys\":[\(names.compactMap { entries[$0] }.joined(separator: ","))]}".utf8)
        }
        func token(
            _ name: String = "ed", head: String? = nil, changing change: (inout [String: String]) -> Void = { _ in }
        ) -> String {
            var claims = [
                "iss": "\"https://id\"", "aud": "\"us\"", "sub": "\"ada\"", "tenant": "\"acme\"", "role": "\"admin\"",
                "exp": "\(IdentityTests.now + 300)",
            ]
            change(&claims)
            let members = claims.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }
            let head = head ?? "{\"alg\":\"\(name == "ed" ? "EdDSA" : "ES256")\",\"kid\":\"\(name)\"}"
            let signed = "\(bare(Array(head.utf8))).\(bare(Array("{\(members.joined(separator: ","))}".utf8)))"
            let message = Array(signed.utf8)
            let signature = name == "ed" ? ed25519.signature(of: message) : Signer.raw(p256.signature(of: message))
            return "\(signed).\(bare(signature))"
        }
        /// Of DER, both numbers at their full length.
        private static func raw(_ der: [UInt8]) -> [UInt8] {
            var place = 2
            var both: [UInt8] = []
            for _ in 0..<2 {
                let count = Int(der[place + 1])
                let number = der[place + 2..<place + 2 + count].drop { $0 == 0 }
                both += [UInt8](repeating: 0, count: 32 - number.count) + number
                place += 2 + count
            }
            return both
        }
    }
    private static func settings(keys: String) -> IdentitySettings {
        var settings = IdentitySettings()
        settings.issuer = "https://id"
        settings.audiences = ["us"]
        settings.keys = keys
        return settings
    }
    /// What stands for the provider's server, and the time.
    private final class World: Sendable {
        struct State {
            var now = IdentityTests.now
            var answer: [UInt8]?
            var fetchCount = 0
        }
        let state = Mutex(State())
        func provider() -> IdentityProvider {
            IdentityProvider(
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                fetch: { [self] _ in
                    state.withLock { state in
                        state.fetchCount += 1
                        return state.answer
                    }
                }, nowSeconds: { [self] in state.withLock { $0.now } },
                ageSeconds: { [self] in state.withLock { $0.now } })
        }
    }
    private func provider(_ signer: Signer, at world: World = World()) throws -> IdentityProvider {
        world.state.withLock { $0.answer = signer.set() }
        let provider = world.provider()
        try provider.prepare(IdentityTests.settings(keys: "https://id.example/jwks")).publish()
        return provider
    }
    /// The first verdict that is not for want of keys: they come by a thread of their own.
    private func verdict(_ provider: IdentityProvider, on token: String) -> IdentityVerdict {
        for _ in 0..<5_000 {
            let verdict = provider.verdict(on: token)
            if verdict != .refused(.unknownKey) { return verdict }
            Thread.sleep(forTimeInterval: 0.001)
        }
        return .refused(.unknownKey)
    }

    @Test func aRightTokenSaysWhoItsBearerIs() throws {
        let signer = Signer()
        let provider = try provider(signer)
        for name in ["ed", "ec"] {
            let token = signer.token(name) {
                $0["sub"] = "\"a b%\\n\""
                $0["role"] = "\"viewer\""
            }
            guard case .holder(let holder) = verdict(provider, on: token) else {
                Issue.record("refused: \(provider.verdict(on: token))")
                continue
            }
            #expect(holder.subject == "a%20b%25%0A" && holder.tenant == "acme" && holder.role == .viewer)
            #expect(provider.known(token) == holder)
        }
    }
    @Test func eachClaimHasItsRule() throws {
        let (signer, now) = (Signer(), IdentityTests.now)
        let provider = try provider(signer)
        #expect(verdict(provider, on: signer.token()) != .refused(.unknownKey))
        let cases: [(String, String?, TokenFault?)] = [
            ("iss", "\"https://id/\"", .issuer), ("iss", nil, .issuer), ("iss", "[\"https://id\"]", .issuer),
            ("aud", "[\"a\",\"us\"]", nil), ("aud", "[\"a\"]", .audience), ("aud", nil, .audience),
            ("aud", "{}", .audience), ("exp", "\(now - 59)", nil), ("exp", "\(now - 60)", .expired),
            ("exp", "\(now).75", nil), ("exp", "1e12", .claim("exp")), ("exp", "\"\(now + 9)\"", .claim("exp")),
            ("exp", "-1", .claim("exp")), ("exp", String(repeating: "9", count: 40), .claim("exp")),
            ("exp", nil, .claim("exp")), ("nbf", "\(now + 60)", nil), ("nbf", "\(now + 61)", .notYet),
            ("iat", "\(now + 61)", .notYet), ("iat", "true", .claim("iat")), ("sub", "\"\"", .claim("sub")),
            ("sub", nil, .claim("sub")), ("sub", "7", .claim("sub")), ("tenant", "\"\"", .claim("tenant")),
            ("tenant", "[\"acme\"]", .claim("tenant")), ("role", "\"platform\"", .claim("role")),
            ("role", "\"root\"", .claim("role")), ("role", nil, .claim("role")),
        ]
        for (name, value, fault) in cases {
            let verdict = provider.verdict(on: signer.token { $0[name] = value })
            if let fault {
                #expect(verdict == .refused(fault), "\(name): \(value ?? "none")")
            } else if case .refused = verdict {
                Issue.record("\(name): \(value ?? "none"): \(verdict)")
            }
        }
    }
    @Test func theKeySaysTheAlgorithmAndTheHeaderCannot() throws {
        let signer = Signer()
        let provider = try provider(signer)
        #expect(verdict(provider, on: signer.token()) != .refused(.unknownKey))
        let heads: [(String, TokenFault)] = [
            (#"{"alg":"none"}"#, .algorithm), (#"{"alg":"HS256","kid":"ed"}"#, .algorithm),
            (#"{"alg":"ES256","kid":"ed"}"#, .algorithm), (#"{"kid":"ed"}"#, .algorithm),
            (#"{"alg":"eddsa","kid":"ed"}"#, .algorithm), (#"{"alg":"EdDSA","kid":"no"}"#, .unknownKey),
            (#"{"alg":"EdDSA","kid":"ed","crit":[]}"#, .malformed),
            (#"{"alg":"EdDSA","alg":"EdDSA","kid":"ed"}"#, .malformed), (#"{"alg":"EdDSA","kid":7}"#, .malformed),
            (#"{"alg":"EdDSA","kid":"ed","typ":"secevent+jwt"}"#, .malformed), (#"["EdDSA"]"#, .malformed),
        ]
        for (head, fault) in heads {
            #expect(provider.verdict(on: signer.token(head: head)) == .refused(fault), "\(head)")
        }
        #expect(provider.verdict(on: Signer().token()) == .refused(.signature))
        let text = signer.token("ec", head: #"{"alg":"ES256"}"#)
        guard case .holder = provider.verdict(on: text) else {
            Issue.record("a token that names no key is tried with those of its algorithm")
            return
        }
        #expect(provider.verdict(on: String(text.dropLast(2))) == .refused(.signature))
    }
    @Test func noTextIsTakenForATokenThatIsNone() throws {
        let provider = try provider(Signer())
        var generator = SystemRandomNumberGenerator()
        let token = Array(Signer().token().utf8)
        for _ in 0..<2_000 {
            var changed = token
            changed[Int.random(in: 0..<changed.count, using: &generator)] = UInt8.random(in: 0x20...0x7E)
            guard case .refused = provider.verdict(on: String(decoding: changed, as: UTF8.self)) else {
                Issue.record("let in: \(String(decoding: changed, as: UTF8.self))")
                return
            }
        }
        for text in ["", "..", "a.b.c", "e30.e30.", "e30.e30.e30"] {
            guard case .refused = provider.verdict(on: text) else {
                Issue.record("let in: \(text)")
                continue
            }
        }
    }
    @Test func aKeyThatIsNewIsFetchedOnceAMinuteAtMost() throws {
        let (world, signer, later) = (World(), Signer(), Signer())
        let provider = try provider(signer, at: world)
        #expect(verdict(provider, on: signer.token()) != .refused(.unknownKey))
        let token = later.token(head: #"{"alg":"EdDSA","kid":"new"}"#)
        let text = String(decoding: later.set(["ed"]), as: UTF8.self).replacing("\"ed\"", with: "\"new\"")
        world.state.withLock { $0.answer = Array(text.utf8) }
        for _ in 0..<100 { #expect(provider.verdict(on: token) == .refused(.unknownKey)) }
        #expect(world.state.withLock { $0.fetchCount } == 1)
        world.state.withLock { $0.now += 60 }
        guard case .holder = verdict(provider, on: token) else {
            Issue.record("the new key was not fetched")
            return
        }
        #expect(provider.known(signer.token()) == nil, "what was found right with the old keys is tried anew")
        #expect(provider.verdict(on: signer.token()) == .refused(.unknownKey))
    }
    @Test func keysStayWhereTheProviderDoesNotAnswer() throws {
        let (world, signer) = (World(), Signer())
        let provider = try provider(signer, at: world)
        #expect(verdict(provider, on: signer.token()) != .refused(.unknownKey))
        for answer in [nil, Array("{\"keys\":[]}".utf8), Array("no".utf8)] as [[UInt8]?] {
            world.state.withLock { state in
                state.answer = answer
                state.now += 4000
            }
            let before = world.state.withLock { $0.fetchCount }
            let token = signer.token { $0["exp"] = "\(IdentityTests.now + 90_000)" }
            for _ in 0..<5_000 where world.state.withLock({ $0.fetchCount }) == before {
                _ = provider.verdict(on: token)
                Thread.sleep(forTimeInterval: 0.001)
            }
            guard case .holder = provider.verdict(on: token) else {
                Issue.record("its key is gone")
                return
            }
        }
    }
    @Test func aSetGivesOnlyKeysThatVerify() throws {
        func count(_ entries: String) -> Int? {
            (try? JSONWebKeySet(Array("{\"keys\":[\(entries)]}".utf8)))?.keys.count
        }
        let own = String(String(decoding: Signer().set(["ed"]), as: UTF8.self).dropFirst(9).dropLast(2))
        #expect(count(own) == 1)
        #expect(count(own.replacing("\"kid\"", with: "\"use\":\"enc\",\"kid\"")) == nil)
        #expect(count(own.replacing("\"kid\"", with: "\"alg\":\"ES256\",\"kid\"")) == nil)
        #expect(count(#"\#(own),{"kty":"oct","k":"AAAA"},{"kty":"RSA","n":"AQAB","e":"AQAB"},{},7"#) == 1)
        let off = #"{"kty":"EC","crv":"P-256","x":"\#(bare([UInt8](repeating: 1, count: 32)))","#
        #expect(count(off + #""y":"\#(bare([UInt8](repeating: 1, count: 32)))"}"#) == nil, "a point off the curve")
        #expect(throws: JSONWebKeySetError.notASet) { try JSONWebKeySet(Array("[]".utf8)) }
        #expect(throws: JSONWebKeySetError.noUsableKey) { try JSONWebKeySet(Array("{\"keys\":[]}".utf8)) }
    }
    @Test func settingsSayWhatIsMissing() {
        func paths(_ change: (inout IdentitySettings) -> Void) -> [String] {
            var configuration = GatewayConfiguration()
            var settings = IdentityTests.settings(keys: "https://id.example/jwks")
            change(&settings)
            configuration.live.identity = settings
            return RegistryValidation.issues(of: configuration).map { "\($0.path)" }.filter { $0.hasPrefix("identity") }
        }
        #expect(paths { _ in } == [])
        #expect(paths { $0.issuer = "" } == ["identity.issuer"])
        #expect(paths { $0.audiences = [] } == ["identity.audience"])
        #expect(paths { $0.keys = "" } == ["identity"])
        #expect(paths { $0.secret = String(repeating: "s", count: 32) } == ["identity"])
        #expect(
            paths {
                $0.keys = ""
                $0.secret = "short"
            } == ["identity.secret"])
        #expect(paths { $0.keys = "https://" } == ["identity.keys"])
        #expect(paths { $0.keys = "no-such-file" } == ["identity.keys"])
        #expect(paths { $0.tenantClaim = "" } == ["identity.tenant_claim"])
    }
}

private func bare(_ bytes: [UInt8]) -> String {
    TextEncoding.base64(bytes).replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
}
