// Signatures of other forms: what is written, which secrets sign, and that the room that was reckoned is enough.

import FastPath
import TestSupport
import Testing

private let body = Array(#"{"a":1}"#.utf8)
private let id = Array("evt_1".utf8)

private func mac(_ secret: String, _ message: String) -> [UInt8] {
    let memory = CompiledMemory()
    let key = SigningKey(secret: Array(secret.utf8), algorithm: .sha256, in: memory)
    return withExtendedLifetime(memory) { key.mac(over: Array(message.utf8)) }
}
private func hex(_ secret: String, _ message: String) -> String {
    mac(secret, message).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
private func lines(
    _ form: SignatureForm, _ secrets: [String], ending: [EndingSecret] = [], at time: UInt64 = 1_700_000_000
) throws -> String {
    try FormSigner.lines(form, secrets: secrets, ending: ending, id: id, timestamp: time, body: body)
}
private func plain() -> SignatureForm {
    var form = SignatureForm(header: "X-Hub-Signature-256", signed: [.body])
    form.prefix = "sha256="
    return form
}

struct SignatureFormTests {
    @Test func overTheBodyAlone() throws {
        let one = "\r\nX-Hub-Signature-256: sha256=" + hex("key", #"{"a":1}"#)
        #expect(try lines(plain(), ["key"]) == one)
        // A receiver of this form compares with one value: the newest secret's.
        #expect(try lines(plain(), ["key", "old"], ending: [EndingSecret("older", endSeconds: .max - 1)]) == one)
        // The published example of GitHub.
        let memory = try FormSigner.lines(
            plain(), secrets: ["It's a Secret to Everybody"], id: id, timestamp: 1, body: Array("Hello, World!".utf8))
        #expect(
            memory.hasSuffix("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"))
    }
    @Test func overTimeAndBodyWithEverySecretThatCounts() throws {
        var form = SignatureForm(header: "Stripe-Signature", signed: [.timestamp, .text("."), .body])
        form.prefix = "v1="
        form.separator = ","
        form.beginsWithTime = true
        let signed = #"1700000000.{"a":1}"#
        let old = EndingSecret("old", endSeconds: 1_700_000_001)
        #expect(
            try lines(form, ["new", "also"], ending: [old])
                == "\r\nStripe-Signature: t=1700000000,v1=\(hex("new", signed)),v1=\(hex("also", signed)),v1="
                + hex("old", signed))
        #expect(try !lines(form, ["new"], ending: [old], at: 1_700_000_001).contains(",v1=\(hex("old", signed))"))
        #expect(try lines(form, ["new"], ending: [old], at: 1_700_000_001).split(separator: ",").count == 2)
    }
    @Test func withATemplateAndATimeOfItsOwn() throws {
        var form = SignatureForm(
            header: "X-Signature", signed: [.text("v0:"), .id, .text(":"), .timestamp, .text(":"), .body, .text("!")])
        form.encoding = .base64
        form.timestampHeader = "X-Timestamp"
        form.separator = " "
        form.prefix = "v0="
        form.secretEncoding = .hex
        let message = #"v0:evt_1:7:{"a":1}!"#
        let wanted = mac("key", message)
        let text = try lines(form, ["6b6579", "6f6c64"], at: 7)
        #expect(
            text == "\r\nX-Timestamp: 7\r\nX-Signature: v0=\(TextEncoding.base64(wanted)) v0="
                + TextEncoding.base64(mac("old", message)))
    }
    @Test func theRoomIsEnoughAndBadSecretsAreNamed() throws {
        for encoding in SignatureForm.Encoding.allCases {
            for (count, separator) in [(1, nil), (3, nil), (3, ","), (8, " ")] as [(Int, String?)] {
                var form = SignatureForm(header: "X-S", signed: [.timestamp, .body])
                form.encoding = encoding
                form.separator = separator
                form.beginsWithTime = true
                form.timestampHeader = "X-T"
                let secrets = (0..<count).map { "secret \($0)" }
                let text = try lines(form, secrets, at: .max)
                #expect(text.utf8.count == form.byteCount(secretCount: count), "\(encoding) \(count)")
            }
        }
        var form = plain()
        form.secretEncoding = .base64
        #expect(throws: SchemeError.badSecret(index: 1, wanted: "base 64")) { try lines(listed(form), ["a2V5", "%"]) }
        #expect(throws: SchemeError.noSecret) { try lines(plain(), []) }
    }
    @Test func anOldSecretOfAnotherFormHoldsUpNoDelivery() throws {
        var form = listed(plain())
        form.secretEncoding = .hex
        let ending = [EndingSecret("whsec_c2VjcmV0", endSeconds: .max), EndingSecret("6f6c64", endSeconds: .max)]
        let signatures = ["key", "old"].map { "sha256=" + hex($0, #"{"a":1}"#) }
        #expect(
            try lines(form, ["6b6579"], ending: ending)
                == "\r\nX-Hub-Signature-256: " + signatures.joined(separator: ","))
        #expect(throws: SchemeError.self) { try lines(form, ["whsec_c2VjcmV0"], ending: []) }
    }
    private func listed(_ form: SignatureForm) -> SignatureForm {
        var copy = form
        copy.separator = ","
        return copy
    }
    @Test func aFieldOfTheSignaturesNameThatAProviderSentDoesNotGoOn() throws {
        let received = Array("X-Hub-Signature-256: sha256=theirs\r\nX-GitHub-Event: push\r\nX-Hub-Sig: y\r\n".utf8)
        let barred = Array("x-hub-signature-256:\r\nx-timestamp:\r\n".utf8)
        let pool = PayloadPool(byteCount: 1 << 16)
        let lease = try #require(pool.allocate(1024))
        let end = received.withView { lines in
            barred.withView { barred in
                ForwardedFields.write(
                    received: lines, forwarding: .all, id: ByteView("evt_1"), source: ByteView("s"),
                    eventType: .empty, attempt: 1, barred: barred, to: pool, lease: lease, at: 0)
            }
        }
        let text = String(decoding: pool.view(lease, start: 0, count: end).array, as: UTF8.self)
        #expect(!text.contains("theirs") && !text.lowercased().contains("x-timestamp"))
        #expect(text.contains("X-GitHub-Event: push\r\n") && text.contains("X-Hub-Sig: y\r\n"))
        pool.free(lease)
    }
}
