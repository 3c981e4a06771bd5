// What the language refuses at start because it would accept what it should not.
import FastPath
import Testing

@Suite struct CryptoSchemeCheckTests {
    private func problem(_ change: (inout SchemeDefinition) -> Void, secret: String = "s") -> String? {
        var definition = SchemeDefinition(
            algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: "X-S", id: "X-I", timestamp: "X-T")])
        change(&definition)
        do throws(SchemeError) {
            _ = try SignatureScheme([(definition, [SourceSecret(secret)])], in: CompiledMemory())
            return nil
        } catch { return error.message }
    }

    @Test func refusesWhatLeavesTheBodyOpen() {
        let bad: [((inout SchemeDefinition) -> Void, String)] = [
            ({ $0.signed = "{url}" }, "the body could be changed"),
            ({ $0.signed = "{json:$.a}" }, "the body could be changed"),
            ({ $0.signed = "{body}{form}" }, "once"),
            (
                {
                    $0.bodyHash = "X-Hash"
                    $0.signed = "{url}"
                }, "does not sign X-Hash"
            ),
            (
                {
                    $0.bodyHash = "query:h"
                    $0.signed = "{path}"
                }, "does not sign query:h"
            ),
            (
                {
                    $0.bodyHash = "json:$.h"
                    $0.signed = "{json:$.h}"
                }, "cannot have its own hash"
            ),
            (
                {
                    $0.bodyHash = "query:h"
                    $0.signed = "{url}{body}"
                }, "leave it out"
            ),
            ({ $0.signsPartOnly = true }, "signs the body"),
            (
                {
                    $0.signsPartOnly = true
                    $0.signed = "fixed"
                }, "the same for every request"
            ),
        ]
        for (place, (change, words)) in bad.enumerated() {
            #expect(problem(change)?.contains(words) == true, "case \(place): \(problem(change) ?? "taken")")
        }
        #expect(
            problem {
                $0.bodyHash = "query:h"
                $0.signed = "{url}"
            } == nil)
        #expect(
            problem {
                $0.signsPartOnly = true
                $0.signed = "{json:$.a}"
            } == nil)
        var part = SchemeDefinition(algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: "X-S")])
        #expect(part.warnings.isEmpty)
        part.signsPartOnly = true
        #expect(part.warnings.first?.contains("nothing of the body") == true)
    }

    @Test func refusesTimesThatProveNothing() {
        let bad: [((inout SchemeDefinition) -> Void, String)] = [
            ({ $0.timestamp = TimestampRule() }, "proves nothing"),
            (
                {
                    $0.headers[0].timestamp = "query:t"
                    $0.timestamp = TimestampRule()
                }, "proves nothing"
            ),
            (
                {
                    $0.headers[0].timestamp = "json:$.t"
                    $0.timestamp = TimestampRule()
                    $0.signed = "{form}"
                }, "nothing"
            ),
            (
                {
                    $0.signed = "{timestamp}.{body}"
                    $0.timestamp = TimestampRule(isOptional: true)
                }, "may be optional"
            ),
            (
                {
                    $0.signed = "{header:X-T}.{body}"
                    $0.timestamp = TimestampRule(isOptional: true)
                },
                "may be optional"
            ),
        ]
        for (place, (change, words)) in bad.enumerated() {
            #expect(problem(change)?.contains(words) == true, "case \(place): \(problem(change) ?? "taken")")
        }
        #expect(
            problem {
                $0.signed = "{header:x-t}.{body}"
                $0.timestamp = TimestampRule()
            } == nil)
        #expect(
            problem {
                $0.headers[0].timestamp = "json:$.t"
                $0.timestamp = TimestampRule(isOptional: true)
            } == nil)
        #expect(
            problem {
                $0.headers[0].timestamp = "query:t"
                $0.timestamp = TimestampRule()
                $0.signed = "{url}{body}"
            }
                == nil)
    }

    @Test func refusesPlacesAndPiecesThatAreNone() {
        let bad: [((inout SchemeDefinition) -> Void, String)] = [
            ({ $0.headers[0].signature = "cookie:a" }, "is none of NAME"),
            ({ $0.headers[0].signature = "query:" }, "needs the parameter's name"),
            ({ $0.headers[0].signature = "json:a" }, "must begin with $"),
            ({ $0.headers[0].signature = "header:a b" }, "is no header name"),
            ({ $0.signed = "{cookie:a}{body}" }, "is none of NAME"), ({ $0.signed = "{host}{body}" }, "is none of"),
            ({ $0.signed = "{json:$}{body}" }, "whole document"),
            ({ $0.signed = String(repeating: "{query:a}", count: 9) + "{body}" }, "at most 8"),
            ({ $0.signed = (0..<9).map { "{json:$.a\($0)}" }.joined() + "{body}" }, "at most 8"),
            ({ $0.triesBothPorts = true }, "has no {url}"),
            ({ $0.takesEverySet = true }, "takesEverySet"),
            (
                {
                    $0.algorithm = .basic
                    $0.prefix = "Basic "
                }, "leave it out"
            ),
            (
                {
                    $0.algorithm = .token
                    $0.bodyHash = "X-H"
                }, "leave them out"
            ),
        ]
        for (place, (change, words)) in bad.enumerated() {
            #expect(problem(change)?.contains(words) == true, "case \(place): \(problem(change) ?? "taken")")
        }
    }

    @Test func aKeyGoesWithItsAlgorithm() throws {
        let key = try #require(PrivateKey.generate(.ed25519))
        let point = try #require(PrivateKey.generate(.ecdsaP256))
        func keyed(_ algorithm: SchemeAlgorithm, _ encoding: SecretEncoding, _ secret: String) -> String? {
            problem(
                {
                    $0.algorithm = algorithm
                    $0.secretEncoding = encoding
                }, secret: secret)
        }
        #expect(keyed(.ed25519, .ed25519, key.publicKey.text) == nil)
        #expect(keyed(.ecdsaP256, .spki, point.publicKey.text) == nil)
        #expect(keyed(.hmac(.sha256), .ed25519, key.publicKey.text)?.contains("does not go with") == true)
        #expect(keyed(.token, .spki, point.publicKey.text)?.contains("does not go with") == true)
        #expect(keyed(.ed25519, .text, "x")?.contains("does not go with") == true)
        #expect(keyed(.ecdsaP256, .spki, key.publicKey.text)?.contains("P-256") == true)
        #expect(keyed(.rsaSHA256, .spki, point.publicKey.text)?.contains("RSA") == true)
        #expect(keyed(.ecdsaP256, .spki, "-----BEGIN NOTHING-----")?.contains("wrong form") == true)
        #expect(keyed(.ed25519, .ed25519, point.secretText)?.contains("private key") == true)
        #expect(try SecretEncoding.ed25519.key(of: key.publicKey.text, index: 0).count == 32)
        #expect(try SecretEncoding.spki.key(of: point.publicKey.text, index: 0) == point.publicKey.spki)
    }
}
