// What a sink counts, and the pieces that `send` and `verify` are made of.
import Engine
import FastPath
import Foundation
import Server
import Testing

private func id(_ sequence: UInt64, log: UInt64 = 7) -> String { EventID(logIdentity: log, sequence: sequence).text }

@Suite struct SinkTests {
    @Test func countsDuplicatesDisorderAndGaps() {
        var tally = SinkTally()
        for sequence: UInt64 in [10, 11, 13, 12, 12, 20] { tally.receive(id: id(sequence)) }
        #expect(tally.received == 6 && tally.distinct == 5 && tally.duplicates == 1)
        #expect(tally.disordered == 1)
        #expect(tally.missing == 6)
    }
    @Test func logsAreCountedApart() {
        var tally = SinkTally()
        tally.receive(id: id(1, log: 1))
        tally.receive(id: id(1_000_000, log: 2))
        #expect(tally.missing == 0 && tally.disordered == 0 && tally.duplicates == 0)
    }
    @Test func foreignIDsAreDuplicatesByText() {
        var tally = SinkTally()
        for name in ["a", "b", "a"] { tally.receive(id: name) }
        #expect(tally.duplicates == 1 && tally.missing == 0)
    }
    @Test func requestsWithoutAnIDAreNoDuplicates() {
        var tally = SinkTally()
        for name in ["", "a", "", "a"] { tally.receive(id: name) }
        #expect(tally.received == 4 && tally.distinct == 3 && tally.duplicates == 1 && tally.unidentified == 2)
    }
    @Test func farApartSequencesKeepTheirBits() {
        var tally = SinkTally()
        let sequences: [UInt64] = [1, 64, 65, 4096, 4097, 1 << 40]
        for sequence in sequences + sequences { tally.receive(id: id(sequence)) }
        #expect(tally.duplicates == sequences.count)
    }
    @Test(arguments: ["github", "stripe", "slack", "standard-webhooks", "zoom", "shopify"])
    func aSentEventHasItsIdAndTypeWhereTheProviderPutsThem(_ name: String) throws {
        let provider = try #require(ProviderCatalogue.provider(named: name))
        let body = EventBody(provider: name).bytes(id: "the-id", type: "the-type")
        let object = try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
        // The first of the selectors that finds a text is the one that counts.
        let found = provider.eventType.lazy.compactMap { selector -> String? in
            guard selector.hasPrefix("json:$."), !selector.contains("[") else { return nil }
            return selector.dropFirst(7).split(separator: ".").reduce(object as Any?) { value, part in
                (value as? [String: Any])?[String(part)]
            } as? String
        }
        if provider.eventType.contains(where: { $0.hasPrefix("json:$.") }) {
            #expect(found.first == "the-type")
        }
    }
    @Test func anEventPassesItsOwnSink() async throws {
        var plan = SinkPlan()
        plan.secrets = ["whsec_" + Data(repeating: 7, count: 24).base64EncodedString()]
        let server = try await SinkServer(host: "127.0.0.1", port: 0, plan: plan)
        let result = try await Sender(
            SendPlan(
                provider: "standard-webhooks", secrets: plan.secrets, url: "http://127.0.0.1:\(server.port)/x",
                count: 20)
        ).run(connections: 3, timeoutMillis: 30_000)
        let other = ["whsec_" + Data(repeating: 8, count: 24).base64EncodedString()]
        let forged = try await Sender(
            SendPlan(
                provider: "standard-webhooks", secrets: other, url: "http://127.0.0.1:\(server.port)/x", count: 2)
        ).run(connections: 1, timeoutMillis: 30_000)
        let tally = try await server.tally()
        try await server.stop()
        #expect(result.statuses == [200: 20] && forged.statuses == [401: 2])
        #expect(tally.distinct == 20 && tally.duplicates == 0 && tally.rejected == 2)
    }
}
