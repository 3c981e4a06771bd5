// Traffic for a load: what is rendered is what the signer would send, and the proof counts what it says.
import Engine
import FastPath
import LoadGenerator
import Foundation
import Testing

private let target = LoadTarget(hostField: "h:1", target: "/")

private func entry(_ provider: String, _ secret: String) -> LoadTrafficEntry {
    var entry = LoadTrafficEntry()
    entry.name = provider
    entry.provider = provider
    entry.type = "the-type"
    entry.secrets = [secret]
    entry.sizes = .uniform(300, 20_000)
    return entry
}
private func parts(_ request: [UInt8]) -> (lines: [String], body: [UInt8]) {
    let end = request.firstRange(of: Array("\r\n\r\n".utf8))!
    let head = String(decoding: request[..<end.lowerBound], as: UTF8.self)
    return (head.components(separatedBy: "\r\n"), Array(request[end.upperBound...]))
}

@Suite struct LoadTrafficTests {
    @Test(arguments: [
        ("zoom", "s"), ("github", "s"), ("stripe", "whsec_abc"), ("slack", "s"), ("fireflies", "s"), ("otter", "s"),
        ("gitlab", "token"), ("shopify", "s"), ("standard-webhooks", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"),
    ])
    func aRequestIsWhatTheSignerWouldSend(_ provider: String, _ secret: String) throws {
        let definition = try LoadTraffic.definition(of: entry(provider, secret), target: target, seed: 5)
        let preview = LoadPreview(LoadEntries([definition]))
        let signer = try RequestSigner(provider: provider, secrets: [secret])
        for event in UInt64(0)..<20 {
            let request = preview.bytes(entry: 0, kind: .fresh, run: 9, event: event, seconds: 1_750_000_000)
            let (lines, body) = parts(request)
            let id = LoadEventText.text(run: 9, event: event)
            let wanted = signer.headers(body: body, type: "the-type", id: id, timestamp: 1_750_000_000)
            for (name, value) in wanted { #expect(lines.contains("\(name): \(value)"), "\(provider) \(name)") }
            #expect(lines[0] == "POST /in/\(provider) HTTP/1.1" && lines.contains("Content-Length: \(body.count)"))
            #expect(body.withView { LoadEventText.find(in: $0) }?.event == event)
            #expect(try JSONSerialization.jsonObject(with: Data(body)) is [String: Any])
            #expect((300...20_000).contains(body.count), "\(body.count)")
        }
    }
    @Test func aCallIsSentAsItIsSaidAndEachHasATextOfItsOwn() throws {
        var one = LoadTrafficEntry()
        one.name = "change"
        one.headerLines = ["Authorization: Bearer k"]
        one.call = LoadCall("PATCH /api/v1/endpoints/e?x=1")
        one.call?.body = #"{"url":"http://h/{id}/x"}"#
        let preview = LoadPreview(LoadEntries([try LoadTraffic.definition(of: one, target: target, seed: 1)]))
        for event in UInt64(0)..<3 {
            let (lines, body) = parts(preview.bytes(entry: 0, kind: .fresh, run: 9, event: event, seconds: 1))
            #expect(lines[0] == "PATCH /api/v1/endpoints/e?x=1 HTTP/1.1" && lines.contains("Host: h:1"))
            #expect(lines.contains("Authorization: Bearer k") && lines.contains("Content-Type: application/json"))
            #expect(lines.contains("Content-Length: \(body.count)"))
            let id = LoadEventText.text(run: 9, event: event)
            #expect(String(decoding: body, as: UTF8.self) == #"{"url":"http://h/\#(id)/x"}"#)
        }
        one.call = LoadCall("GET /")
        let plain = LoadPreview(LoadEntries([try LoadTraffic.definition(of: one, target: target, seed: 1)]))
        let (lines, body) = parts(plain.bytes(entry: 0, kind: .fresh, run: 9, event: 1, seconds: 1))
        #expect(body.isEmpty && !lines.contains { $0.hasPrefix("Content-") })
        #expect(lines.contains("User-Agent: sluice-load"))
        one.call?.body = "{id}{id}"
        #expect(throws: LoadTrafficError.self) { try LoadTraffic.definition(of: one, target: target, seed: 1) }
        for text in ["", "GET", "GET x", "get /", "GET / x", "GET /a b", "GET  /"] {
            #expect(LoadCall(text) == nil, "\(text)")
        }
    }
    @Test func aShareThatMeansNothingIsRefusedWhereItWasWritten() throws {
        var one = entry("github", "s")
        one.shares.stale = 0.5
        #expect(try LoadTraffic.definition(of: one, target: target, seed: 1).shares.stale == 0)
        one.hasOwnStale = true
        #expect(throws: LoadTrafficError.self) { try LoadTraffic.definition(of: one, target: target, seed: 1) }
    }
    @Test func profilesHaveTheCountsTheySay() {
        func count(_ profile: LoadProfile, _ seconds: Double) -> UInt64 {
            LoadSchedule(profile.pieces(warmupSeconds: 0, seconds: seconds)).arrivalCount
        }
        #expect(count(.constant(250), 4) == 1000)
        #expect(count(.ramp(from: 0, to: 500), 4) == 1000)
        #expect(count(.steps([.init(rate: 100, seconds: 1), .init(rate: 300, seconds: 1)]), 4) == 1000)
        #expect(abs(Int(count(.sine(low: 0, high: 500, periodSeconds: 2), 4)) - 1000) <= 1)
        #expect(count(.burst(silenceSeconds: 1, stormSeconds: 1, rate: 500), 4) == 1000)
    }
    @Test func theProofTellsLossFromDuplicatesAndForgeries() throws {
        let ledger = try LoadLedger(capacity: 8)
        let states: [LoadEventState] = [.accepted, .accepted, .refused, .unknown, .forged, .accepted]
        for (event, state) in states.enumerated() { ledger.writer.note(UInt64(event), state) }
        var prover = LoadProver(evidence: "ledger", ledger: ledger, run: 1, eventCount: 6)
        for (event, sequence) in [(0, 20), (0, 20), (5, 10), (2, 30), (4, 40)] {
            prover.add(run: 1, event: UInt64(event), sequence: UInt64(sequence))
        }
        prover.add(run: 2, event: 0, sequence: nil)
        let proof = prover.result()
        #expect(proof.sent == 5 && proof.accepted == 3 && proof.refused == 1 && proof.unknown == 1)
        #expect(proof.delivered == 4 && proof.lost == 1 && proof.duplicated == 1 && proof.outOfOrder == 1)
        #expect(proof.forgeriesDelivered == 1 && proof.deliveredThoughRefused == 1 && proof.foreign == 1)
    }
}
