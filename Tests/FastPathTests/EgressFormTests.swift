// The head of a delivery in the forms that are not Standard Webhooks'.

import FastPath
import Testing

@Suite struct EgressFormTests {
    @Test func opsCentersFormSignsTheBodyAndSaysWhoSends() throws {
        let server = ScriptedServer { _ in }
        let recording = ScriptedServer { connection in
            while let request = connection.readRequest() {
                server.keep(request)
                connection.answer()
            }
        }
        let secret = "0123456789abcdef0123456789abcdef"
        var endpoint = recording.endpoint(secrets: [secret])
        endpoint.names = .opsCenter
        endpoint.userAgent = "Ops-Center-Webhook/1.0"
        let harness = try EgressHarness([endpoint])
        let body = Array("{\"a\":\"é\"}".utf8)
        #expect(try harness.outcome(harness.deliver(body, id: "evt_1")).status == 200)
        harness.finish()
        let request = try #require(server.kept.first)
        let mac = ReferenceDigest.hmac(key: Array(secret.utf8), body)
        let digits = mac.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(request.field("x-webhook-signature") == "sha256=" + digits)
        #expect(request.field("user-agent") == "Ops-Center-Webhook/1.0")
        #expect(request.field("webhook-timestamp") == nil && request.field("webhook-signature") == nil)
        #expect(request.body == body)
    }
    @Test func aUserAgentThatWouldBreakTheHeadIsRefused() throws {
        let address = try #require(EgressAddress(SocketAddress(address: IPAddress("127.0.0.1")!, port: 80)))
        var description = DestinationDescription(addresses: [address], authority: "h", target: "/", secrets: [])
        for (agent, isSound) in [("A/1 (b)", true), ("A\r\nX: y", false), ("é", false)] {
            description.userAgent = agent
            let made = try? Destination(description, version: "1", requestHeadBytesMax: 2048)
            #expect((made != nil) == isSound, "\(agent)")
        }
    }
}
