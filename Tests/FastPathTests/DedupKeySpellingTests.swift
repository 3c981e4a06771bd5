// One dedup key however it is spelled: what a verifier decodes before it looks at the signature, an attacker may spell
// again, so the log must see what is spelled.
import FastPath
import TestSupport
import Testing

@Suite struct DedupKeySpellingTests {
    /// Each row: spellings of one key, which is no other row's.
    private static let rows: [[String]] = [
        [#"{"t":"abc"}"#, #"{"t":"\u0061bc"}"#, #"{"t":"\u0061\u0062\u0063","more":1}"#, #"{"\u0074":"abc"}"#],
        [#"{"t":"a/b"}"#, #"{"t":"a\/b"}"#, #"{"t":"a\u002fb"}"#, #"{"t":"a\u002Fb"}"#],
        [#"{"t":"😀"}"#, #"{"t":"\ud83d\ude00"}"#],
        // No escape that is one: as it came.
        [#"{"t":"\q"}"#], [#"{"t":"\ud800"}"#], [#"{"t":{"a":"\u0061"}}"#], [#"{"t":{"a":"a"}}"#],
    ]

    @Test func aLoopKeepsOneEventForAllSpellings() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(
            folder.path,
            [
                HarnessSource(name: "json", check: .none, dedupKey: ["json:$.t", "body"]),
                HarnessSource(name: "query", check: .none, dedupKey: ["query:t", "body"]),
            ])
        let client = IngestClient(port: harness.port)
        for body in Self.rows.flatMap(\.self) {
            client.send(IngestClient.request("json", body: body))
            #expect(client.response()?.status == 202)
        }
        for target in ["query?t=ab", "query?t=%61b", "query?t=a%62", "query?t=%2561b"] {
            client.send(IngestClient.request(target, body: "x"))
            #expect(client.response()?.status == 202)
        }
        let bodies = try harness.finish().map { String(decoding: $0.body, as: UTF8.self) }
        #expect(bodies == Self.rows.map { $0[0] } + ["x", "x"])
    }

    @Test func aWorkerSeesTheKeyThatTheLoopSees() throws {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        let selectors = try EventSelectors(
            eventID: ["json:$.t"], eventType: [], dedupKey: ["json:$.t", "body"], in: memory)
        var seen: Set<[UInt8]> = []
        for row in Self.rows {
            var keys: Set<[UInt8]> = []
            for body in row {
                let request = try CapturedRequest(Array("POST /in/x HTTP/1.1\r\nHost: h\r\n\r\n\(body)".utf8))
                let event = request.event(source: "x", selectors: selectors, dedupWindowSeconds: 1)
                let key = event.keyIsBody ? event.body : event.dedupKey
                #expect(request.select(selectors).dedupKey.map { Array($0.utf8) } ?? event.body == key)
                keys.insert(key)
            }
            #expect(keys.count == 1, "\(row)")
            seen.formUnion(keys)
        }
        #expect(seen.count == Self.rows.count)
    }

    /// No spelling may be too long to be decoded and pass as another key.
    @Test func refusesAKeyThatHasNoRoom() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(
            folder.path, [HarnessSource(name: "json", check: .none, dedupKey: ["json:$.t", "body"])])
        let client = IngestClient(port: harness.port)
        let long = String(repeating: "a", count: 300 << 10)
        client.send(IngestClient.request("json", body: #"{"t":"\#(long)"}"#))
        #expect(client.response()?.status == 202)
        client.send(IngestClient.request("json", body: #"{"t":"\u0061\#(long)"}"#))
        #expect(client.response()?.status == 413)
        #expect(try harness.finish().count == 1)
    }
}
