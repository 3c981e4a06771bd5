// Schemes as data: what is refused at compilation, how secrets and texts are decoded, what goes out signed.
import FastPath
import TestSupport
import Testing

@Suite struct CryptoSchemeTests {
    private func compile(_ change: (inout SchemeDefinition) -> Void, secrets: [String] = ["s"]) -> SchemeError? {
        var definition = SchemeDefinition(
            algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: "X-S", id: "X-I", timestamp: "X-T")])
        change(&definition)
        do throws(SchemeError) {
            _ = try SignatureScheme([(definition, secrets)], in: CompiledMemory())
            return nil
        } catch { return error }
    }

    @Test func compilesSoundSchemes() {
        #expect(compile { _ in } == nil)
        #expect(compile { $0.signed = "{id}.{body}" } == nil)
        #expect(
            compile {
                $0.signed = "{timestamp}.{body}"
                $0.timestamp = TimestampRule()
            } == nil)
    }

    @Test func refusesASchemeThatDoesNotCoverTheBody() {
        for signed in ["", "{timestamp}", "{body}{body}", "body"] {
            guard case .badTemplate = compile({ $0.signed = signed }) else {
                Issue.record("took \(signed)")
                continue
            }
        }
    }

    @Test func refusesATimestampThatIsNotSigned() {
        guard case .badTimestamp = compile({ $0.timestamp = TimestampRule() }) else {
            Issue.record("took an unsigned timestamp")
            return
        }
    }

    @Test func refusesWhatContradictsItself() {
        let bad: [(inout SchemeDefinition) -> Void] = [
            { $0.signed = "{timestamp}.{body}" },
            { $0.signed = "{id.{body}" },
            { $0.signed = "{name}.{body}" },
            { $0.signed = "{body" },
            { $0.headers = [] },
            { $0.headers = [SchemeHeaders(signature: "X S")] },
            { $0.headers = [SchemeHeaders(signature: "")] },
            { $0.list = .comma },
            { $0.listKey = "v1" },
            {
                $0.list = .comma
                $0.listKey = "v1"
                $0.prefix = "p="
            },
            {
                $0.signed = "{timestamp}.{body}"
                $0.timestamp = TimestampRule(listKey: "t")
            },
            {
                $0.list = .comma
                $0.listKey = "t"
                $0.signed = "{timestamp}.{body}"
                $0.timestamp = TimestampRule(listKey: "t")
            },
            {
                $0.headers = [SchemeHeaders(signature: "X-S")]
                $0.signed = "{id}.{body}"
            },
            {
                $0.algorithm = .token
                $0.list = .space
            },
            {
                $0.algorithm = .token
                $0.timestamp = TimestampRule()
            },
        ]
        for (place, change) in bad.enumerated() { #expect(compile(change) != nil, "case \(place)") }
    }

    @Test func refusesSecretsOfTheWrongForm() {
        #expect(compile({ _ in }, secrets: []) == .noSecret)
        #expect(compile({ _ in }, secrets: ["a", ""]) == .emptySecret(index: 1))
        for (encoding, secret) in [
            (SecretEncoding.hex, "abc"), (.hex, "zz"), (.base64, "a b="), (.base64, "====="), (.whsec, "whsec_"),
            (.whsec, "whsec_a b"),
            (.whsec, "whpk_AAAA"), (.whsec, "whsk_AAAA"), (.whsec, "whsk1_AAAA"),
        ] {
            guard case .badSecret(0, _) = compile({ $0.secretEncoding = encoding }, secrets: [secret]) else {
                Issue.record("took \(secret) as \(encoding)")
                continue
            }
        }
    }

    @Test func decodesSecretsOfEveryForm() throws {
        #expect(try SecretEncoding.text.key(of: "whsec_é", index: 0) == Array("whsec_é".utf8))
        #expect(try SecretEncoding.hex.key(of: "00fFa0", index: 0) == [0, 255, 160])
        #expect(try SecretEncoding.base64.key(of: "AP+g", index: 0) == [0, 255, 160])
        for text in ["whsec_AP8=", "whsec_AP8", "AP8=", "AP8"] {
            #expect(try SecretEncoding.whsec.key(of: text, index: 0) == [0, 255])
        }
    }

    @Test func writesAndReadsHexadecimalAndBase64() {
        var random = SeededRandom(3)
        for count in 0...70 {
            let bytes = random.bytes(count)
            #expect(TextEncoding.bytes(of: TextEncoding.hex(bytes), as: .hex) == bytes)
            #expect(TextEncoding.bytes(of: TextEncoding.base64(bytes), as: .base64) == bytes)
        }
        #expect(TextEncoding.base64(Array("foobar".utf8)) == "Zm9vYmFy")
        #expect(TextEncoding.base64(Array("fooba".utf8)) == "Zm9vYmE=")
        #expect(TextEncoding.base64(Array("foob".utf8)) == "Zm9vYg==")
        // Bits behind the value: the same bytes would have two spellings.
        #expect(TextEncoding.bytes(of: "Zm9vYh==", as: .base64) == nil)
        #expect(TextEncoding.bytes(of: "Zm9v-_==", as: .base64) == nil)
        #expect(TextEncoding.bytes(of: "-_8", as: .base64URL) == [0xFB, 0xFF])
        #expect(TextEncoding.bytes(of: "-_8=", as: .base64URL) == [0xFB, 0xFF])
    }

    @Test("every byte at every place of a hexadecimal signature: a digit counts in either case, all else is malformed")
    func hexadecimalBytes() {
        let good = Array("0123456789abcdef".utf8)
        for place in 0..<good.count {
            for byte in UInt8.min...UInt8.max {
                var text = good
                text[place] = byte
                var memory = [UInt8](repeating: 0, count: 8)
                let result = text.withView { view in
                    memory.withUnsafeMutableBufferPointer {
                        TextEncoding.decode(view, as: .hex, wanted: 8, into: $0.baseAddress!)
                    }
                }
                let digit = Character(UnicodeScalar(byte))
                if byte < 0x80, let value = digit.hexDigitValue {
                    #expect(result == .bytes(8), "\(byte) at \(place)")
                    #expect(Int(place & 1 == 0 ? memory[place / 2] >> 4 : memory[place / 2] & 15) == value)
                } else {
                    #expect(result == .malformed, "\(byte) at \(place)")
                }
            }
        }
    }
    @Test func hexadecimalIsTheSameInUpperLowerAndMixedCase() {
        let lower = "00ff1a2b3c4d5e6f"
        for text in [lower, lower.uppercased(), "00Ff1a2B3c4D5e6F"] {
            #expect(TextEncoding.bytes(of: text, as: .hex) == [0, 255, 0x1A, 0x2B, 0x3C, 0x4D, 0x5E, 0x6F])
        }
        #expect(TextEncoding.bytes(of: "00fg", as: .hex) == nil)
    }
    @Test func aSecretThatWasRotatedOutSignsUntilItsEnd() throws {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        let signer = try WebhookSigner(
            secrets: ["whsec_AP8="],
            ending: [EndingSecret("AQI=", endSeconds: 100), EndingSecret("AwQ=", endSeconds: 50)],
            in: memory)
        let keys = [[UInt8]([0, 255]), [1, 2], [3, 4]].map { SigningKey(secret: $0, algorithm: .sha256, in: memory) }
        for (timestamp, count) in [(49, 3), (50, 2), (99, 2), (100, 1), (.max, 1)] as [(UInt64, Int)] {
            let message = Array("evt_1.\(timestamp).{}".utf8)
            let wanted = keys.prefix(count).map { "v1," + TextEncoding.base64($0.mac(over: message)) }
            let signed = signer.signature(id: Array("evt_1".utf8), timestamp: timestamp, body: Array("{}".utf8))
            #expect(signed == wanted.joined(separator: " "), "at \(timestamp)")
        }
    }
    @Test func anOldSecretThatIsNoKeyOfThisFormSignsNothing() throws {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        func signed(_ ending: [EndingSecret]) throws -> String {
            try WebhookSigner(secrets: ["whsec_AP8="], ending: ending, in: memory)
                .signature(id: Array("evt_1".utf8), timestamp: 7, body: Array("{}".utf8))
        }
        let old = EndingSecret("AQI=", endSeconds: 100)
        #expect(try signed([EndingSecret("a plain text!", endSeconds: 200), old]) == signed([old]))
        #expect(try signed([old]) != signed([]))
    }
    @Test func signsTheBodyAloneWithTheTextOfTheSecretWhereItIsAskedTo() throws {
        let memory = CompiledMemory()
        let secret = "whsec_AP8=-as-it-stands"
        let signer = try WebhookSigner(
            secrets: [secret, "other"], ending: [EndingSecret("AQI=", endSeconds: .max)], names: .opsCenter, in: memory)
        let key = SigningKey(secret: Array(secret.utf8), algorithm: .sha256, in: memory)
        for body in ["", "{}", String(repeating: "é", count: 300)] {
            let signed = signer.signature(id: Array("evt_1".utf8), timestamp: 7, body: Array(body.utf8))
            #expect(signed == "sha256=" + TextEncoding.hex(key.mac(over: Array(body.utf8))))
            #expect(signed.utf8.count == signer.byteCount)
            #expect(signer.signature(id: [], timestamp: 8, body: Array(body.utf8)) == signed)
        }
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: signer.byteCount)
        defer { room.deallocate() }
        #expect(signer.sign(id: .empty, timestamp: 1, body: .empty, into: room, capacity: signer.byteCount - 1) == 0)
    }
    @Test func signsWithEveryKeyAndWritesNothingWhereThereIsNoRoom() throws {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        let signer = try WebhookSigner(secrets: ["whsec_AP8=", "AQI="], in: memory)
        let keys = [[UInt8]([0, 255]), [1, 2]].map { SigningKey(secret: $0, algorithm: .sha256, in: memory) }
        for timestamp in [0, 7, 1_760_000_000, UInt64.max] {
            let message = Array("evt_1.\(timestamp).{}".utf8)
            let wanted = keys.map { "v1," + TextEncoding.base64($0.mac(over: message)) }.joined(separator: " ")
            #expect(signer.signature(id: Array("evt_1".utf8), timestamp: timestamp, body: Array("{}".utf8)) == wanted)
            #expect(wanted.utf8.count == signer.byteCount)
        }
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: signer.byteCount)
        defer { room.deallocate() }
        room.initialize(repeating: 0xEE, count: signer.byteCount)
        #expect(signer.sign(id: .empty, timestamp: 1, body: .empty, into: room, capacity: signer.byteCount - 1) == 0)
        #expect((0..<signer.byteCount).allSatisfy { room[$0] == 0xEE })
        #expect(throws: SchemeError.noSecret) { try WebhookSigner(secrets: [], in: memory) }
    }
}
