// Every provider that can be signed for: what the signer makes the verifier takes, with the URL, the form and the
// values of the body that its scheme covers.
import Engine
import FastPath
import Testing

@Suite struct ProviderSignerTests {
    private static let now: UInt64 = 1_760_000_000
    private static let origin = "https://hooks.example.com"
    private static let item =
        #"{"notificationItems":[{"NotificationRequestItem":{"pspReference":"p","merchantAccountCode":"m","#
        + #""merchantReference":"r","amount":{"value":1,"currency":"EUR"},"eventCode":"E","success":"true"}}]}"#

    /// A secret that signs and the one that verifies.
    private static func secrets(_ provider: String) -> (signs: String, verifies: String) {
        switch provider {
        case "discord", "discord-events":
            let seed = String(repeating: "07", count: 32)
            let key = try? PrivateKey(seed, for: .ed25519)
            return (seed, TextEncoding.hex(key?.publicKey.ed25519Bytes ?? []))
        case "sendgrid":
            guard let key = PrivateKey.generate(.ecdsaP256) else { return ("", "") }
            return (key.secretText, key.publicKey.text)
        default:
            let secret = SourceCompilerTests.secret(of: provider)
            return (secret, secret)
        }
    }
    private static func body(_ provider: String) -> [UInt8] {
        switch provider {
        case "adyen": Array(item.utf8)
        case "contract": Array(#"{"event_type":"paid"}"#.utf8)
        case "linear": Array(#"{"type":"Issue","webhookTimestamp":\#(now * 1000)}"#.utf8)
        case "mailgun": Array(#"{"event-data":{"id":"e","event":"opened"}}"#.utf8)
        case "twilio": Array("To=%2B1555&Body=a+b&Body=a+b&Empty=".utf8)
        default: Array(#"{"id":"evt_1","type":"paid"}"#.utf8)
        }
    }
    private static let uuid = "5b2f8e0a-7c1d-4e3f-9a6b-0c8d7e6f5a41"
    private static let unsigned: Set = ["generic", "aws-sns", "paypal"]

    private func outcome(
        _ provider: String, _ request: SignedRequest, secret: String, change: Bool
    )
        -> CapturedOutcome
    {
        var body = request.body
        if change, let place = body.lastIndex(where: { $0 == 0x61 || $0 == 0x70 }) { body[place] = 0x71 }
        var head = "POST \(request.target) HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Length: \(body.count)\r\n"
        for header in request.headers { head += "\(header.name): \(header.value)\r\n" }
        // Which tenant's it is, whoever sends adds.
        if provider == "contract" { head += "X-Tenant-Id: \(ProviderSignerTests.uuid)\r\n" }
        var source = SourceConfiguration()
        source.name = provider
        source.provider = provider
        source.secrets = [SourceSecret(secret)]
        return VectorRunner.verify(
            source: source, origin: ProviderSignerTests.origin, now: ProviderSignerTests.now,
            rawRequest: Array((head + "\r\n").utf8) + body, engine: .openssl)
    }

    @Test(arguments: ProviderCatalogue.all.map(\.name).filter { !unsigned.contains($0) })
    func whatIsSignedIsAccepted(provider: String) throws {
        let secrets = ProviderSignerTests.secrets(provider)
        let signer = try RequestSigner(provider: provider, secrets: [secrets.signs])
        var request = UnsignedRequest(
            body: ProviderSignerTests.body(provider), id: provider == "contract" ? ProviderSignerTests.uuid : "evt_1",
            type: "paid", timestamp: ProviderSignerTests.now)
        request.origin = ProviderSignerTests.origin
        request.target = "/in/\(provider)?shop=1"
        let signed = signer.sign(request)
        guard case .accepted = outcome(provider, signed, secret: secrets.verifies, change: false) else {
            Issue.record("\(provider): \(outcome(provider, signed, secret: secrets.verifies, change: false))")
            return
        }
        let definitions = try #require(ProviderCatalogue.provider(named: provider)).schemes.compactMap(\.definition)
        let coversBody = definitions.allSatisfy {
            $0.algorithm != .token && $0.algorithm != .basic && !$0.signsPartOnly
        }
        guard coversBody, provider != "jira-connect", provider != "gitlab" else { return }
        if case .accepted = outcome(provider, signed, secret: secrets.verifies, change: true) {
            Issue.record("\(provider): took a body that was changed")
        }
    }

    @Test func refusesToSignAsWhoHasACertificate() {
        for provider in ["aws-sns", "paypal"] {
            #expect(throws: SourceError.self) { try RequestSigner(provider: provider, secrets: ["x"]) }
        }
    }
}
