// Events that the ingest port took in the contract's envelope: what the contract's entries get for the request, what is
// known of it, and their way through the dispatcher.
import Engine
import FastPath
import Testing

private let tenant = "3f0c1f5e-9d6b-4b1a-8f5e-2a7f6f1d0c42"
private let request = "3f2a9c1e-1111-4aaa-8bbb-0123456789ab"
private let identity: UInt64 = 0xAB_CDEF_0123

@Suite struct EnvelopedEventTests {
    private let event = EnvelopedEvent(EventID(logIdentity: identity, sequence: 9), 1_700_000_000_123_456_789)

    private func made(_ body: String) -> String? {
        event.body(of: Array(body.utf8), tenant: tenant).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func anEntryGetsWhatTheControlListenerWouldHaveMade() throws {
        let body = #"{"severity":"high","source":"a\"b","category":"c","payload":{"n": 1.50},"event_type":"x.y"}"#
        let known = ContractEvent(
            type: "x.y", source: "a\"b", category: "c", severity: "high", detectedAt: nil,
            payload: Array(#"{"n": 1.50}"#.utf8))
        #expect(event.body(of: Array(body.utf8), tenant: tenant) == known.body(
            id: event.id, tenant: tenant, atMillis: 1_700_000_000_123))
        #expect(try #require(made(body)).hasSuffix(#","schema_version":"1","payload":{"n": 1.50}}"#))
        let dated = #"{"event_type":"x","detected_at":"2026-01-02T03:04:05Z"}"#
        #expect(try #require(made(dated)).contains(#""detected_at":"2026-01-02T03:04:05Z""#))
        #expect(try #require(made(body)).contains(#""detected_at":"2023-11-14T22:13:20.123Z""#))
    }
    @Test func whatItLacksIsNullAndNoObjectIsAsItCame() throws {
        let bare = try #require(made(#"{"event_type":"x","source":7,"payload":null}"#))
        #expect(bare.contains(#""source":null,"category":null,"severity":null,"#) && bare.hasSuffix(#""payload":{}}"#))
        #expect(try #require(made(#"{"event_type":"x","payload":[1, 2]}"#)).hasSuffix(#""payload":[1, 2]}"#))
        for bad in ["", "[]", #"{"event_type":"x""#, #"{"event_type":"x","a":1,"a":2}"#, #"{"event_type":7}"#] {
            #expect(made(bad) == nil, "\(bad)")
        }
    }
    @Test func anIDLeadsToItsEvent() {
        for sequence in [1, 9, UInt64(1) << 62, .max] {
            let id = EventID(logIdentity: identity, sequence: sequence)
            let text = OpsCenterID.text(id)
            let (high, low) = id.uuid
            #expect(OpsCenterID.event(text) == id && ContractID.isUUID(text, version: "8"))
            #expect(PublicID(UInt128(high) << 64 | UInt128(low), .endpoint).uuid == text, "as the loop says it")
        }
        #expect(OpsCenterID.event(ContractID.make()) == nil && OpsCenterID.event("x") == nil)
        #expect(OpsCenterID.event(ContractID.event(atMillis: 1)) == nil)
    }
    @Test func aStampIsOfTheEdgesOwnEventsAlone() throws {
        let lines = "A: 1\r\nx-REQUEST-id: \(request)\r\nSluice-Contract-Event: forged\r\n"
        func stamp(_ isEnveloped: Bool, _ source: SourceID) -> ContractStamp? {
            Array(lines.utf8).withView { lines in
                let place = EventLocation(sequence: 9, position: 0)
                var event = StoredEvent(
                    place: place, next: place, receivedAt: 0, sourceID: source, source: .empty, eventType: .empty,
                    fieldLines: lines, body: .empty)
                event.isEnveloped = isEnveloped
                return ContractStamp(event, logIdentity: identity)
            }
        }
        let own = try #require(stamp(true, SourceID(7)))
        #expect(own.eventID == event.id && own.correlationID == request)
        #expect(stamp(false, SourceID(7)) == nil, "whatever fields a provider's request carries")
        #expect(stamp(false, .contract)?.eventID == "forged")
    }

    // MARK: on their way

    private let preparer = FakePreparer()
    private func bench(_ change: (inout ContractEntry) -> Void = { _ in }) throws -> Bench {
        let bench = try Bench(poolBytes: 1 << 20)
        bench.dispatcher.preparer = preparer
        var entry = ContractEntry()
        change(&entry)
        try bench.apply([
            endpoint("entry") {
                $0.extras.family = .contract
                ($0.sources, $0.types) = ([PublishSource.contractName], ["x.*"])
                $0.secrets = ["0123456789abcdef"]
                entry.apply(to: &$0)
            },
            endpoint("own") { $0.sources = ["github"] },
        ])
        return bench
    }
    private func fake(_ body: String, lines: String = "", isEnveloped: Bool = true) -> FakeEvent {
        let fields = "X-Tenant-Id: \(tenant.uppercased())\r\nX-Request-Id: \(request)\r\n"
        return FakeEvent(
            sourceID: Bench.sources["github"] ?? SourceID(0), type: "x.y",
            fieldLines: fields + lines + "Content-Type: application/json\r\n", body: body, isEnveloped: isEnveloped)
    }

    @Test func anEntryIsSentTheContractsBodyAndAnEndpointTheRequest() throws {
        let bench = try bench()
        let body = #"{"event_type":"x.y","source":"s","category":"c","severity":"low","payload":{"a":[1, 2]}}"#
        bench.log.append(fake(body, isEnveloped: false))
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.body) == [body] && preparer.waiting.isEmpty, "what failed its check is no event")
        bench.egress.answerAll()
        bench.log.append(fake(body))
        bench.advance(millis: 1)
        #expect(bench.egress.out.map(\.body) == [body] && preparer.waiting.count == 1)
        preparer.finishAll()
        bench.settle()
        let sent = bench.egress.out[1]
        let id = EventID(logIdentity: bench.log.identity, sequence: 2)
        let wanted = EnvelopedEvent(id, 2_000_000_000).body(of: Array(body.utf8), tenant: tenant) ?? []
        #expect(sent.body == String(decoding: wanted, as: UTF8.self) && sent.body.contains(OpsCenterID.text(id)))
        #expect(!sent.fieldLines.contains(request), "an id of the delivery's own")
        #expect(sent.fieldLines.contains("X-Idempotency-Key: "))
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        #expect(try bench.rows("entry").map(\.state) == [.delivered] && bench.rows("own").count == 2)
        #expect(bench.pool.leasedCount == 0 && bench.dispatcher.preparedSizeCount == 0)
    }
    @Test func itsOwnSchemaVersionIsSaidAndACompressedBodyRead() throws {
        let bench = try bench { $0.schemaVersion = "7" }
        bench.log.append(fake(#"{"event_type":"x.y"}"#, lines: "Content-Encoding: identity\r\n"))
        bench.log.append(fake("no gzip", lines: "Content-Encoding: gzip\r\n"))
        bench.log.append(fake("{\"event_type\":"))
        bench.advance(millis: 1)
        preparer.finishAll()
        bench.settle()
        let sent = bench.egress.out.filter { $0.body.contains("tenant_id") }
        #expect(sent.count == 1 && sent[0].body.contains(#""schema_version":"7""#))
        bench.egress.answerAll()
        bench.advance(millis: 2000)
        let rows = try bench.rows("entry")
        #expect(rows.map(\.state) == [.delivered, .dead, .dead])
        #expect(rows.suffix(2).allSatisfy { $0.reason == .transformationFailed })
        #expect(bench.pool.leasedCount == 0)
    }
}
