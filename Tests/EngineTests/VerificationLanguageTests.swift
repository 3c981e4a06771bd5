// Public keys by the scheme language: Discord, SendGrid, and Standard Webhooks with v1a beside v1. The definitions here
// are the test's own; the catalogue's are run by its own suite.
import Engine
import FastPath
import Foundation
import Testing

@Suite struct VerificationLanguageTests {
    private static let schemes = ["discord", "standard-webhooks", "sendgrid"]

    private static func definition(
        _ algorithm: SchemeAlgorithm, signature: String, timestamp: String, id: String? = nil
    ) -> SchemeDefinition {
        var definition = SchemeDefinition(
            algorithm: algorithm, headers: [SchemeHeaders(signature: signature, id: id, timestamp: timestamp)])
        definition.timestamp = TimestampRule()
        definition.signed = "{timestamp}{body}"
        return definition
    }
    private static let discord: SchemeDefinition = {
        var scheme = definition(.ed25519, signature: "x-signature-ed25519", timestamp: "x-signature-timestamp")
        scheme.secretEncoding = .ed25519
        return scheme
    }()
    private static let sendgrid: SchemeDefinition = {
        let prefix = "x-twilio-email-event-webhook-"
        var scheme = definition(.ecdsaP256, signature: prefix + "signature", timestamp: prefix + "timestamp")
        scheme.encoding = .base64
        scheme.secretEncoding = .spki
        return scheme
    }()
    private static func standard(
        _ algorithm: SchemeAlgorithm, _ key: String, _ form: SecretEncoding
    )
        -> SchemeDefinition
    {
        var scheme = definition(
            algorithm, signature: "webhook-signature", timestamp: "webhook-timestamp", id: "webhook-id")
        scheme.encoding = .base64
        scheme.list = .space
        scheme.listKey = key
        scheme.signed = "{id}.{timestamp}.{body}"
        scheme.secretEncoding = form
        return scheme
    }

    private func verifier(_ vector: VerificationVector, window: ClosedRange<UInt64>? = nil) throws -> SchemeVerifier {
        let secrets = vector.secrets.map {
            SourceSecret($0.value, notBefore: window?.lowerBound, notAfter: window?.upperBound)
        }
        switch vector.scheme {
        case "discord":
            return try SchemeVerifier([(VerificationLanguageTests.discord, secrets)], in: CompiledMemory())
        case "sendgrid":
            return try SchemeVerifier([(VerificationLanguageTests.sendgrid, secrets)], in: CompiledMemory())
        default:
            let publicKeys = secrets.filter { $0.value.hasPrefix("whpk_") }
            let symmetric = secrets.filter { !$0.value.hasPrefix("whpk_") }
            var alternatives: [(definition: SchemeDefinition, secrets: [SourceSecret])] = []
            if !symmetric.isEmpty {
                alternatives.append((VerificationLanguageTests.standard(.hmac(.sha256), "v1", .whsec), symmetric))
            }
            if !publicKeys.isEmpty {
                alternatives.append((VerificationLanguageTests.standard(.ed25519, "v1a", .ed25519), publicKeys))
            }
            return try SchemeVerifier(alternatives, in: CompiledMemory())
        }
    }

    @Test(arguments: schemes) func agreesWithOurOwnVectors(scheme: String) throws {
        let vectors = VerificationFixtures.own.vectors.filter { $0.scheme == scheme }
        #expect(vectors.contains { $0.expect == "accept" })
        for vector in vectors {
            let verdict = RequestParts(vector).verdict(try verifier(vector), now: vector.now)
            #expect(verdict == vector.expect, "\(vector.id)")
        }
    }

    @Test(.enabled(if: VerificationFixtures.shared("discord") != nil), arguments: schemes)
    func agreesWithTheSharedVectors(scheme: String) throws {
        let vectors = try #require(VerificationFixtures.shared(scheme))
        for vector in vectors where vector.kind == "verify" {
            let verdict = RequestParts(vector).verdict(try verifier(vector), now: vector.now)
            #expect(vector.matches(verdict), "\(vector.id): \(verdict), expected \(vector.expect)")
        }
    }

    /// What no signature covers: none of these schemes has any.
    @Test(arguments: schemes) func acceptsNothingChanged(scheme: String) throws {
        for vector in VerificationFixtures.own.vectors where vector.scheme == scheme && vector.expect == "accept" {
            let verifier = try verifier(vector)
            let original = RequestParts(vector)
            func refuses(_ change: (inout RequestParts) -> Void) {
                var parts = original
                change(&parts)
                #expect(parts.verdict(verifier, now: vector.now) != "accept", "\(vector.id)")
            }
            for mask in [UInt8(0x01), 0x80, 0xFF] {
                for index in original.body.indices { refuses { $0.body[index] ^= mask } }
                for (place, header) in original.headers.enumerated() {
                    // Entries of a list that no key is held for may be anything.
                    let value = String(decoding: header.value, as: UTF8.self)
                    if scheme == "standard-webhooks", value.contains(" ") { continue }
                    for index in header.value.indices { refuses { $0.headers[place].value[index] ^= mask } }
                }
            }
            for place in original.headers.indices {
                refuses { $0.headers.remove(at: place) }
                refuses { $0.headers.insert($0.headers[place], at: place) }
            }
        }
    }

    @Test(arguments: schemes) func takesAKeyInItsWindowOnly(scheme: String) throws {
        let vector = try #require(
            VerificationFixtures.own.vectors.first { $0.scheme == scheme && $0.expect == "accept" })
        let now = vector.now
        let parts = RequestParts(vector)
        #expect(parts.verdict(try verifier(vector, window: now...now), now: now) == "accept")
        #expect(
            parts.verdict(try verifier(vector, window: now + 1...now + 2), now: now) == "reject:signature_mismatch")
        #expect(parts.verdict(try verifier(vector, window: 0...now - 1), now: now) == "reject:signature_mismatch")
    }

    @Test func acceptsWhatATestKeySigns() throws {
        for algorithm in [SchemeAlgorithm.ed25519, .ecdsaP256] {
            let kind = try #require(PublicKeyAlgorithm(algorithm))
            let key = try #require(PrivateKey.generate(kind))
            let signer = try PrivateKey(key.secretText, for: kind)
            let scheme =
                algorithm == .ed25519 ? VerificationLanguageTests.discord : VerificationLanguageTests.sendgrid
            let verifier = try SchemeVerifier(
                [(scheme, [SourceSecret(signer.publicKey.text)])], in: CompiledMemory())
            let vector = try #require(
                VerificationFixtures.own.vectors.first {
                    $0.scheme == (algorithm == .ed25519 ? "discord" : "sendgrid")
                })
            var parts = RequestParts(vector)
            let signature = signer.signature(of: Array("\(vector.now)".utf8) + parts.body)
            let text = algorithm == .ed25519 ? TextEncoding.hex(signature) : TextEncoding.base64(signature)
            for place in parts.headers.indices where !parts.headers[place].name.hasSuffix("Timestamp") {
                parts.headers[place].value = Array(text.utf8)
            }
            #expect(parts.verdict(verifier, now: vector.now) == "accept")
        }
    }

    @Test func saysWhichKeyIsNone() {
        let bad: [SourceSecret] = [
            SourceSecret(VerificationFixtures.material("ed25519Public")), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ]
        do throws(SchemeError) {
            _ = try SchemeVerifier([(VerificationLanguageTests.discord, bad)], in: CompiledMemory())
            Issue.record("takes a symmetric secret for a public key")
        } catch {
            guard case .badSecret(let index, let wanted) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(index == 1 && !wanted.contains("MfKQ"))
        }
    }
}
