// The contract's envelope over a real loop: what is taken, what is refused with which words, what an answer repeats.
import FastPath
import Foundation
import TestSupport
import Testing

struct EnvelopeTests {
    private static let tenant = "3f0c1f5e-9d6b-4b1a-8f5e-2a7f6f1d0c42"
    private static let body = #"{"event_type":"image.scanned","payload":{}}"#

    /// Names in the order of the contract.
    private struct Fields {
        var request = UUID().uuidString.lowercased()
        var version: String? = "v1alpha1"
        var tenant: String? = EnvelopeTests.tenant
        var type: String? = "application/json"
        var stamp = "\(UInt64(Date().timeIntervalSince1970))"
        var secret = IngestHarness.token
        var signature: String?
        var isSigned = true
        var more: [String] = []

        func lines(_ body: String) -> [String] {
            let memory = CompiledMemory()
            defer { withExtendedLifetime(memory) {} }
            let key = SigningKey(secret: Array(secret.utf8), algorithm: .sha256, in: memory)
            let mac = TextEncoding.hex(key.mac(over: Array("\(request).\(stamp).\(body)".utf8)))
            var lines = ["X-Request-Id: \(request)", "X-Timestamp: \(stamp)"]
            if isSigned { lines.append("X-Signature: \(signature ?? mac)") }
            if let version { lines.append("X-Zen-Contract-Version: \(version)") }
            if let tenant { lines.append("X-Tenant-Id: \(tenant)") }
            if let type { lines.append("Content-Type: \(type)") }
            return lines + more
        }
    }
    private struct Said: Decodable {
        struct Fault: Decodable {
            struct Detail: Decodable { var field: String }
            var code: String
            var message: String
            var requestId: String
            var supportedVersions: [String]?
            var details: [Detail]?
        }
        var status: String?
        var eventId: String?
        var correlationId: String?
        var error: Fault?
    }

    private func ask(
        _ client: IngestClient, _ fields: Fields, body: String = EnvelopeTests.body, source: String = "edge"
    ) throws -> (status: Int, head: String, said: Said) {
        client.send(IngestClient.request(source, fields.lines(body), body: body))
        let answer = try #require(client.response())
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return (answer.status, answer.head, try decoder.decode(Said.self, from: Data(answer.body.utf8)))
    }
    private func harness(_ path: String, observes: Bool = false) throws -> IngestHarness {
        try IngestHarness(
            path,
            [
                HarnessSource(name: "edge", check: .envelope(EnvelopeTests.tenant), observes: observes),
                HarnessSource(name: "plain", check: .token),
            ])
    }

    @Test("A request is taken once, and its answer repeats its id")
    func takes() throws {
        let folder = TemporaryFolder()
        let harness = try harness(folder.path)
        let client = IngestClient(port: harness.port)
        var fields = Fields()
        let first = try ask(client, fields)
        #expect(first.status == 202 && first.said.status == "accepted")
        let event = try #require(UUID(uuidString: first.said.eventId ?? ""))
        #expect(first.said.eventId?.dropFirst(14).first == "8" && first.said.correlationId == fields.request)
        for line in [
            "X-Request-Id: \(fields.request)", "X-Zen-Contract-Version: v1alpha1", "X-Frame-Options: DENY",
            "X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer", "Cache-Control: no-store",
            "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'", "Sluice-Durability: fsync",
        ] {
            #expect(first.head.contains(line + "\r\n"), "\(line)")
        }
        let again = try ask(client, fields)
        #expect(again.said.status == "duplicate" && again.said.eventId == first.said.eventId)
        // In capitals, as it came; and the older version.
        fields.request = UUID().uuidString
        fields.version = "v0"
        let other = try ask(client, fields)
        #expect(other.status == 202 && other.said.correlationId == fields.request)
        #expect(other.head.contains("X-Zen-Contract-Version: v0\r\n"))
        // A source beside it speaks as ever.
        client.send(IngestClient.request("plain", ["X-Token: \(IngestHarness.token)"], body: "x"))
        #expect(client.response()?.head.contains("X-Request-Id") == false)
        let events = try harness.finish()
        #expect(events.map(\.isEnveloped) == [true, true, false])
        // The id is the record's place, as every other name of the event.
        let (high, low) = EventID(logIdentity: harness.logIdentity, sequence: 1).uuid
        let hex = [high, low].map { half in String((0..<16).map { digit(half, $0) }) }.joined()
        #expect(event.uuidString.replacing("-", with: "").lowercased() == hex)
    }
    private func digit(_ half: UInt64, _ place: Int) -> Character {
        Array("0123456789abcdef")[Int(half >> UInt64(60 - 4 * place) & 15)]
    }

    @Test("What breaks the envelope is refused in the contract's words, and leaves nothing")
    func refuses() throws {
        let folder = TemporaryFolder()
        let harness = try harness(folder.path)
        let client = IngestClient(port: harness.port)
        func refused(
            _ status: Int, _ code: String, body: String = EnvelopeTests.body, isKnown: Bool = true,
            _ change: (inout Fields) -> Void
        ) throws -> Said.Fault {
            var fields = Fields()
            change(&fields)
            let answer = try ask(client, fields, body: body)
            let fault = try #require(answer.said.error)
            #expect(answer.status == status && fault.code == code, "\(answer.head) \(fault)")
            #expect(answer.head.contains("X-Request-Id: \(fault.requestId)\r\n"))
            #expect((fault.requestId == fields.request) == isKnown)
            #expect(answer.head.contains("X-Frame-Options: DENY\r\n"))
            return fault
        }
        let other = "00000000-0000-4000-8000-000000000000"
        let missing = try refused(400, "missing_header") { $0.version = nil }
        #expect(missing.supportedVersions == ["v0", "v1alpha1"])
        #expect(try refused(400, "unsupported_contract_version") { $0.version = "v2" }.supportedVersions?.count == 2)
        let made = try refused(400, "invalid_header", isKnown: false) { $0.request = "17" }
        #expect(UUID(uuidString: made.requestId) != nil && made.requestId.dropFirst(14).first == "4")
        let next = try refused(400, "invalid_header", isKnown: false) { $0.request = "17" }
        #expect(next.requestId != made.requestId)
        _ = try refused(400, "missing_header") { $0.tenant = nil }
        _ = try refused(400, "invalid_header") { $0.tenant = "acme" }
        _ = try refused(403, "tenant_mismatch") { $0.tenant = other }
        _ = try refused(401, "invalid_signature") { $0.isSigned = false }
        _ = try refused(401, "invalid_signature") { $0.secret = "another" }
        _ = try refused(401, "invalid_signature") { $0.signature = String(repeating: "AB", count: 32) }
        _ = try refused(401, "invalid_signature") { $0.stamp = "1000" }
        _ = try refused(415, "unsupported_media_type") { $0.type = "text/plain" }
        _ = try refused(415, "unsupported_media_type") { $0.type = nil }
        _ = try refused(400, "invalid_header") { $0.more = ["X-Idempotency-Key: \(other)"] }
        _ = try refused(400, "malformed_json", body: "") { _ in }
        let typeless = try refused(422, "validation_failed", body: #"{"source":"a"}"#) { _ in }
        #expect(typeless.details?.map(\.field) == ["event_type"])
        // The signature comes before what is looked at behind it.
        _ = try refused(401, "invalid_signature") {
            $0.tenant = other
            $0.type = nil
            $0.secret = "another"
        }
        client.send(Array("PUT /in/edge HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".utf8))
        let wrong = try #require(client.response())
        #expect(wrong.status == 405 && wrong.body.contains("method_not_allowed") && wrong.head.contains("Allow: POST"))
        #expect(wrong.head.contains("X-Request-Id: "))
        #expect(harness.count(.accepted) == 0)
        #expect(harness.count(.rejected) == 17)
        #expect(harness.count(.answered401) == 5 && harness.count(.answered400) == 8)
        let events = try harness.finish()
        #expect(events.isEmpty)
    }

    @Test("A source that observes keeps what breaks the envelope, with the verdict")
    func observes() throws {
        let folder = TemporaryFolder()
        let harness = try harness(folder.path, observes: true)
        let client = IngestClient(port: harness.port)
        var fields = Fields()
        fields.version = "v9"
        #expect(try ask(client, fields).status == 202)
        let late: [(inout Fields) -> Void] = [
            { $0.type = "text/plain" }, { $0.tenant = "00000000-0000-4000-8000-000000000000" },
            // Of two the first.
            { ($0.type, $0.secret) = ("text/plain", "another") }, { _ in },
        ]
        for change in late {
            fields = Fields()
            change(&fields)
            #expect(try ask(client, fields).status == 202)
        }
        let events = try harness.finish()
        #expect(
            events.map(\.verdict) == [
                "unsupported_contract_version", "unsupported_media_type", "tenant_mismatch", "signature_mismatch",
                "verified",
            ])
        #expect(events.map(\.isEnveloped) == [false, false, false, false, true], "what failed is no event of the edge")
    }

    @Test("Pipelined requests are answered each with its own id")
    func pipelines() throws {
        let folder = TemporaryFolder()
        let harness = try harness(folder.path)
        let client = IngestClient(port: harness.port)
        var wanted: [String] = []
        var bytes: [UInt8] = []
        for number in 0..<24 {
            var fields = Fields()
            if number % 3 == 1 { fields.secret = "another" }
            if number % 3 == 2 { fields.type = "text/plain" }
            wanted.append(fields.request)
            bytes += IngestClient.request("edge", fields.lines(EnvelopeTests.body), body: EnvelopeTests.body)
        }
        client.send(bytes)
        for (number, id) in wanted.enumerated() {
            let answer = try #require(client.response())
            #expect(answer.status == [202, 401, 415][number % 3])
            #expect(answer.head.contains("X-Request-Id: \(id)\r\n"))
        }
        #expect(try harness.finish().count == 8)
    }
}
