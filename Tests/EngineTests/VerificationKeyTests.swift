// Keys: the forms in which people paste them, what is said of those that are none, and that what one half signs the
// other verifies.
import FastPath
import Foundation
import Testing

@Suite struct VerificationKeyTests {
    private func problem(_ text: String, _ algorithm: PublicKeyAlgorithm) -> PublicKeyError? {
        do throws(PublicKeyError) {
            _ = try PublicKey(text, for: algorithm)
            return nil
        } catch { return error }
    }
    private static let message = Array("the message".utf8)

    @Test(arguments: [PublicKeyAlgorithm.ed25519, .ecdsaP256]) func verifiesWhatItsOtherHalfSigned(
        algorithm: PublicKeyAlgorithm
    ) throws {
        let key = try #require(PrivateKey.generate(algorithm))
        let other = try #require(PrivateKey.generate(algorithm))
        let signature = key.signature(of: VerificationKeyTests.message)
        #expect(PublicKey.isWellFormed(signature, for: algorithm))
        let again = try PublicKey(key.publicKey.text, for: algorithm)
        #expect(again.verifies(signature, of: VerificationKeyTests.message))
        #expect(!other.publicKey.verifies(signature, of: VerificationKeyTests.message))
        #expect(!again.verifies([], of: VerificationKeyTests.message))
        #expect(!again.verifies(signature, of: []))
        let restored = try PrivateKey(key.secretText, for: algorithm)
        #expect(
            again.verifies(restored.signature(of: VerificationKeyTests.message), of: VerificationKeyTests.message))
        for index in signature.indices {
            for mask in [UInt8(0x01), 0x80, 0xFF] {
                var changed = signature
                changed[index] ^= mask
                #expect(!again.verifies(changed, of: VerificationKeyTests.message))
            }
        }
        #expect(!again.verifies(signature + [0], of: VerificationKeyTests.message))
    }

    @Test func takesAnEd25519KeyInEachForm() throws {
        let text = VerificationFixtures.material("ed25519Public")
        let key = try PublicKey(text, for: .ed25519)
        let raw = key.ed25519Bytes
        #expect(raw.count == 32 && key.text == text)
        let pem = "-----BEGIN PUBLIC KEY-----\n\(TextEncoding.base64(key.spki))\n-----END PUBLIC KEY-----\n"
        let signer = try PrivateKey(VerificationFixtures.material("ed25519Private"), for: .ed25519)
        let signature = signer.signature(of: VerificationKeyTests.message)
        let base64 = TextEncoding.base64(raw)
        for form in [
            TextEncoding.hex(raw), TextEncoding.hex(raw).uppercased(), base64, String(base64.dropLast()), pem,
            " \(text)\n", TextEncoding.base64(key.spki),
        ] {
            #expect(try PublicKey(form, for: .ed25519).verifies(signature, of: VerificationKeyTests.message))
        }
    }

    @Test func takesAKeyOutOfACertificate() throws {
        let plain = try PublicKey(VerificationFixtures.material("rsaPublic"), for: .rsaSHA256)
        #expect(try PublicKey(VerificationFixtures.material("leaf"), for: .rsaSHA256).spki == plain.spki)
    }

    @Test func saysWhatWouldBeAKey() throws {
        let secret = VerificationFixtures.material("ed25519Private")
        let ed25519 = VerificationFixtures.material("ed25519Public")
        let rsa = VerificationFixtures.material("rsaPublic")
        for algorithm in PublicKeyAlgorithm.allCases {
            let wanted = algorithm.publicForms
            for none in [
                "", "x", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whpk_", "whpk_AAAA", "-----BEGIN PUBLIC KEY-----",
                "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", String(ed25519.dropLast(4)),
            ] {
                #expect(problem(none, algorithm) == .wrongForm(wanted: wanted), "\(none)")
            }
            #expect(problem(secret, algorithm) == .isPrivate(wanted: wanted))
            let pem = try PrivateKey(secret, for: .ed25519).secretText
            #expect(pem.hasPrefix("-----BEGIN PRIVATE KEY-----"))
            #expect(problem(pem, algorithm) == .isPrivate(wanted: wanted))
        }
        #expect(
            problem(rsa, .ecdsaP256) == .otherKind(found: "RSA", wanted: PublicKeyAlgorithm.ecdsaP256.publicForms))
        let curve = try #require(PrivateKey.generate(.ecdsaP256)).publicKey.text
        let otherKind = PublicKeyError.otherKind(
            found: "ECDSA P-256", wanted: PublicKeyAlgorithm.rsaSHA256.publicForms)
        #expect(problem(curve, .rsaSHA256) == otherKind)
        #expect(problem(curve + "AAAA", .ecdsaP256) == .wrongForm(wanted: PublicKeyAlgorithm.ecdsaP256.publicForms))
        #expect(otherKind.message.contains("ECDSA P-256"))
    }

    @Test func refusesAnRSAKeyThatIsTooShort() {
        let short = VerificationFixtures.material("rsaShort")
        let wanted = PublicKeyAlgorithm.rsaSHA256.publicForms
        #expect(problem(short, .rsaSHA256) == .tooShort(bits: 1024, wanted: wanted))
    }

    @Test func refusesAPrivateKeyOfTwoHalves() throws {
        let one = try PrivateKey(VerificationFixtures.material("ed25519Private"), for: .ed25519)
        let other = try #require(PrivateKey.generate(.ed25519))
        let seed = try #require(
            TextEncoding.bytes(of: String(VerificationFixtures.material("ed25519Private").dropFirst(5)), as: .base64))
        let mixed = "whsk_" + TextEncoding.base64(Array(seed[..<32]) + other.publicKey.ed25519Bytes)
        #expect(throws: PublicKeyError.self) { try PrivateKey(mixed, for: .ed25519) }
        let alone = try PrivateKey("whsk_" + TextEncoding.base64(Array(seed[..<32])), for: .ed25519)
        #expect(alone.publicKey.ed25519Bytes == one.publicKey.ed25519Bytes)
        #expect(throws: PublicKeyError.self) { try PrivateKey(one.publicKey.text, for: .ed25519) }
    }

    @Test func tellsASignatureFromWhatIsNone() throws {
        let key = try #require(PrivateKey.generate(.ecdsaP256))
        let signature = key.signature(of: VerificationKeyTests.message)
        #expect(!PublicKey.isWellFormed(Array(repeating: 7, count: 64), for: .ecdsaP256))
        #expect(!PublicKey.isWellFormed(signature + [0], for: .ecdsaP256))
        #expect(!PublicKey.isWellFormed(Array(signature.dropLast()), for: .ecdsaP256))
        #expect(!PublicKey.isWellFormed([], for: .ecdsaP256))
        #expect(!PublicKey.isWellFormed(Array(repeating: 7, count: 63), for: .ed25519))
    }

    @Test func comparesByValue() {
        #expect(Digest.areEqual([], []))
        #expect(Digest.areEqual([1, 2], [1, 2]))
        #expect(!Digest.areEqual([1, 2], [1, 3]))
        #expect(!Digest.areEqual([1, 2], [1]))
        #expect(TextEncoding.hex(Digest.sha256([])).hasPrefix("e3b0c44298fc1c149afbf4c8996fb924"))
    }
}
