// Signatures made before the egress loop, of keys of both kinds, and the lines that an endpoint's own settings give.
import Engine
import FastPath
import Foundation
import Testing

@Suite struct AheadSignerTests {
    private static let seed = [UInt8](repeating: 3, count: 32)
    /// The pair that the seed gives.
    private func pair() throws -> (text: String, publicHalf: String) {
        let key = try PrivateKey("whsk_" + TextEncoding.base64(AheadSignerTests.seed), for: .ed25519)
        let half = key.publicKey.ed25519Bytes
        return ("whsk_" + TextEncoding.base64(AheadSignerTests.seed + half), "whpk_" + TextEncoding.base64(half))
    }
    private func lines(_ settings: EndpointConfiguration, seconds: UInt64) -> String? {
        let body = Array("{}".utf8)
        return AheadSigner(settings, nowSeconds: min(seconds, 99)).map { signer in
            let lines = body.withView {
                signer.lines(id: Array("evt_1".utf8), body: $0, seconds: seconds, names: settings.extras.signatureNames)
            }
            #expect(lines.count <= signer.lineBytesMax)
            return String(decoding: lines, as: UTF8.self)
        }
    }

    @Test func theLoopSignsWhereThereIsNoKeyPair() {
        #expect(AheadSigner(endpointSettings("a"), nowSeconds: 0) == nil)
        #expect(AheadSigner(endpointSettings("a") { $0.secrets = ["whsec_c2VjcmV0"] }, nowSeconds: 0) == nil)
    }
    @Test func aKeyPairThatHasEndedOrStandsAloneAsAnOldOneSignsNothing() throws {
        let (text, _) = try pair()
        let rotated = endpointSettings("a") {
            $0.secrets = ["whsec_c2VjcmV0"]
            $0.extras.oldSecrets = [EndingSecret(text, endSeconds: 100)]
        }
        #expect(AheadSigner(rotated, nowSeconds: 99) != nil && AheadSigner(rotated, nowSeconds: 100) == nil)
        var unsigned = rotated
        unsigned.secrets = []
        #expect(AheadSigner(unsigned, nowSeconds: 99) == nil)
    }
    @Test func anEndpointHasTwoKeyPairsAtMost() throws {
        let (text, _) = try pair()
        let bench = try RegistryBench()
        let old = EndingSecret(text, endSeconds: 100)
        func paths(_ name: String, secrets: Int, old count: Int) -> [String] {
            let settings = endpointSettings(name) {
                $0.secrets = Array(repeating: text, count: secrets)
                $0.extras.oldSecrets = Array(repeating: old, count: count)
            }
            return bench.issues { try bench.edit(.createEndpoint(settings)) }.map { "\($0.path)" }
        }
        #expect(paths("a", secrets: 1, old: 2) == ["secret"] && paths("a", secrets: 3, old: 0) == ["secret"])
        let sound = endpointSettings("a") {
            $0.secrets = [text]
            $0.extras.oldSecrets = [old]
        }
        try bench.edit(.createEndpoint(sound))
    }
    @Test func signsWithBothKindsInOrderUntilTheirEnd() throws {
        let (text, publicHalf) = try pair()
        let settings = endpointSettings("a") {
            $0.secrets = [text]
            $0.extras.oldSecrets = [EndingSecret("whsec_AP8=", endSeconds: 100)]
            $0.extras.signatureNames = .svix
        }
        let written = try #require(lines(settings, seconds: 99))
        let signature = try #require(written.split(separator: "\r\n").last)
        #expect(written.hasPrefix("svix-timestamp: 99\r\nsvix-signature: v1a,") && written.hasSuffix("\r\n"))
        let entries = signature.dropFirst("svix-signature: ".count).split(separator: " ").map(String.init)
        #expect(entries.count == 2)
        let message = Array("evt_1.99.{}".utf8)
        let memory = CompiledMemory()
        let tag = SigningKey(secret: [0, 255], algorithm: .sha256, in: memory).mac(over: message)
        withExtendedLifetime(memory) {}
        #expect(entries.last == "v1," + TextEncoding.base64(tag))
        let bytes = try #require(TextEncoding.strictBase64(String(entries[0].dropFirst(4))))
        #expect(try PublicKey(publicHalf, for: .ed25519).verifies(bytes, of: message))
        let later = try #require(lines(settings, seconds: 100))
        #expect(later.contains("v1a,") && !later.contains("v1,"))
    }
    @Test func aPairWhoseHalvesDoNotBelongTogetherIsNoSecret() throws {
        let (text, publicHalf) = try pair()
        #expect(EndpointSecret.problem(text) == nil && EndpointSecret.verifierText(text) == publicHalf)
        let other = "whsk_" + TextEncoding.base64(AheadSignerTests.seed + [UInt8](repeating: 1, count: 32))
        let problem = try #require(EndpointSecret.problem(other))
        #expect(!problem.contains(other.suffix(20)))
        #expect(EndpointSecret.verifierText("whsec_AP8=") == "whsec_AP8=")
        let bench = try RegistryBench()
        let issues = bench.issues { try bench.edit(.createEndpoint(endpointSettings("a") { $0.secrets = [other] })) }
        #expect(issues.map { "\($0.path)" } == ["secret[0]"])
        try bench.edit(.createEndpoint(endpointSettings("a") { $0.secrets = [text] }))
    }
    @Test func extrasAreBehindOnePointerAndReadWithDefaults() throws {
        #expect(MemoryLayout<Boxed<EndpointExtras>?>.size == MemoryLayout<Int>.size)
        let old = try JSONDecoder().decode(EndpointExtras.self, from: Data("{\"about\":\"x\"}".utf8))
        var wanted = EndpointExtras()
        wanted.about = "x"
        #expect(old == wanted)
        var settings = endpointSettings("a") { $0.extras.about = "x" }
        let read = try JSONDecoder().decode(EndpointConfiguration.self, from: JSONEncoder().encode(settings))
        #expect(read == settings && read.extras.about == "x")
        settings.extras = EndpointExtras()
        #expect(settings == endpointSettings("a"))
    }
}
