// Who an event belongs to, in its record: tenant and source by number. Records of fixed bytes, made by hand from
// docs/log-format.md, stand for logs that other versions wrote.

import FastPath
import TestSupport
import Testing

@Suite struct RecordIdentityTests {
    private static let seed: UInt64 = 0x1122_3344_5566_7788
    /// Of a version that knew neither tenants nor numbers.
    private static let recordWithoutNumbers =
        "f0dc5c696b9595759800000001000100070000000000000000002a36fe9c971700000000070000001100000000000000"
        + "220000000000000033000000000000004400000000000000090000000a000000100e00000a0004000406000000000000"
        + "67697468756264656c69766572792d3170757368504f53542f696e2f676974687562582d49643a20310d0a7b226e223a"
        + "317d000000000000"
    /// The same event, of tenant 42 and source 0x01020304.
    private static let recordWithNumbers =
        "b018a75b9e7f8bab9800000001000100070000000000000000002a36fe9c971700000000070000001100000000000000"
        + "220000000000000033000000000000004400000000000000090000000a000000100e00000a0004000406040004030201"
        + "2a00000067697468756264656c69766572792d3170757368504f53542f696e2f676974687562582d49643a20310d0a7b"
        + "226e223a317d0000"

    @Test func recordWithoutNumbersIsTheDefaultTenants() {
        Self.bytes(Self.recordWithoutNumbers).withView { bytes in
            guard let record = RecordView(bytes) else {
                Issue.record("a record of an earlier version is not read")
                return
            }
            #expect(record.verifies(seed: Self.seed) && record.length == bytes.count)
            #expect(record.sourceNumber == 0 && record.tenantNumber == 1 && record.tenant.count == 0)
            Self.expectTheEvent(record)
        }
    }

    @Test func recordCarriesTheNumbersOfTenantAndSource() {
        Self.bytes(Self.recordWithNumbers).withView { bytes in
            guard let record = RecordView(bytes) else {
                Issue.record("a record with numbers is not read")
                return
            }
            #expect(record.verifies(seed: Self.seed) && record.length == bytes.count)
            #expect(record.sourceNumber == 0x0102_0304 && record.tenantNumber == 42)
            Self.expectTheEvent(record)
        }
    }

    @Test func writesBothFormsToTheByte() {
        for (number, tenant, expected) in [
            (UInt32(0), RecordFormat.defaultTenantNumber, Self.recordWithoutNumbers),
            (0x0102_0304, 42, Self.recordWithNumbers),
        ] {
            let written = Self.lend(tenant: RecordFormat.tenantBytes(of: tenant), source: number) { Self.encoded($0) }
            #expect(written == Self.bytes(expected))
        }
    }

    @Test func subjectOfAClientIsInItsRecordAndNoClientCanForgeIt() {
        for (subject, lines) in [
            ("", "X-Id: 1\r\n"), ("CN=billing,O=Acme", "X-Id: 1\r\n"), ("CN=a", ""),
            ("", "Sluice-Client-Subject: CN=forged\r\n"), ("CN=a", "Sluice-Client-Subject: CN=forged\r\n"),
        ] {
            Self.encoded(subject: subject, lines: lines).withView { bytes in
                guard let record = RecordView(bytes) else {
                    Issue.record("no record")
                    return
                }
                #expect(record.verifies(seed: Self.seed) && record.length == bytes.count)
                #expect(record.clientSubject.text == subject && record.fieldLines.text == lines)
                #expect(record.target.text == "/t" && record.body.text == "body")
            }
        }
    }
    @Test func subjectThatIsTooLongIsNoPartOfARecord() {
        let long = [UInt8](repeating: 97, count: ClientCertificateRule.subjectBytesMax + 1)
        long.withView { view in
            var event = EventInput()
            event.clientSubject = view
            #expect(RecordFormat.byteCount(of: event) == nil)
        }
    }
    @Test func subjectOfAClientComesThroughTheRingBetweenLoops() throws {
        let ring = try EventRing(byteCount: 8192)
        Array("CN=a".utf8).withView { subject in
            Array("A: 1\r\n".utf8).withView { lines in
                var event = EventInput()
                event.clientSubject = subject
                event.fieldLines = lines
                event.isEnveloped = true
                event.verdict = RecordVerification(code: 255)
                #expect(ring.push(event, ticket: 5, durability: .written))
            }
        }
        let front = try #require(ring.front())
        #expect(front.event.clientSubject.text == "CN=a" && front.event.fieldLines.text == "A: 1\r\n")
        #expect(front.ticket == 5 && front.durability == .written)
        #expect(front.event.isEnveloped && front.event.verdict.code == 255)
        ring.dropFront(front)
        #expect(ring.push(EventInput(), ticket: 6, durability: .fsync))
        #expect(try #require(ring.front()).event.isEnveloped == false)
    }
    @Test func aRecordSaysThatItCameInTheEnvelope() throws {
        for isEnveloped in [false, true] {
            var event = EventInput()
            event.isEnveloped = isEnveloped
            event.clientSubject = ByteView("CN=a")
            let bytes = RecordIdentityTests.encoded(event)
            try bytes.withView { view in
                let record = try #require(RecordView(view))
                #expect(record.isEnveloped == isEnveloped && !record.isErased && !record.isElement)
                #expect(record.clientSubject.text == "CN=a" && record.fieldLines.count == 0)
            }
        }
    }
    private static func encoded(_ event: EventInput) -> [UInt8] {
        let length = RecordFormat.byteCount(of: event) ?? 0
        // Words, so that the memory is aligned as a record wants it; filled, so that what is not written shows.
        var words = [UInt64](repeating: .max, count: length / 8)
        let print = Fingerprint(slot: Hash128(low: 0x11, high: 0x22), tag: Hash128(low: 0x33, high: 0x44))
        words.withUnsafeMutableBytes { memory in
            guard let base = memory.baseAddress else { return }
            RecordFormat.encode(event, print: print, sequence: 7, groupOffset: 0, length: length, seed: seed, to: base)
        }
        return words.withUnsafeBytes { Array($0) }
    }
    private static func encoded(subject: String, lines: String) -> [UInt8] {
        Array(subject.utf8).withView { subject in
            Array(lines.utf8).withView { lines in
                Array("/tbody".utf8).withView { rest in
                    var event = EventInput()
                    event.clientSubject = subject
                    event.fieldLines = lines
                    event.target = rest.slice(0, 2)
                    event.body = rest.slice(2, 4)
                    return encoded(event)
                }
            }
        }
    }

    @Test func tenantOfAnUnknownFormIsNotTakenForAnother() throws {
        let folder = TemporaryFolder()
        let log = try FileLog(folder.path)
        _ = TestEvent.lend(key: "k", tenant: "three") { log.journal.offer($0, ticket: 1) }
        try log.commit()
        var reader = LogReader(folder: log.folder, from: 1)
        guard case .record(let record, _) = reader.next(through: log.tail.snapshot) else {
            Issue.record("no record")
            return
        }
        #expect(record.tenantNumber == 0 && record.tenant.text == "three")
    }

    @Test func numberOfASourceIsNoPartOfWhatMakesAnEventTheSame() throws {
        let folder = TemporaryFolder()
        let log = try FileLog(folder.path)
        func offer(_ key: String, tenant: UInt32, source: UInt32) -> OfferOutcome {
            let bytes = RecordFormat.tenantBytes(of: tenant)
            return Self.lend(key: key, tenant: bytes, source: source) { log.journal.offer($0, ticket: 9) }
        }
        // As a log of a version without numbers has it; then the same event when its source has got one.
        #expect(offer("k", tenant: 1, source: 0) == .appended(sequence: 1))
        #expect(offer("k", tenant: 1, source: 7) == .pending(sequence: 1))
        // Another tenant's event is another one, whatever its key.
        #expect(offer("k", tenant: 2, source: 7) == .appended(sequence: 2))
        #expect(offer("k", tenant: 2, source: 7) == .pending(sequence: 2))
    }

    @Test(arguments: [false, true]) func numbersOfASourceAreInItsRecords(hasJournalThread: Bool) throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(
            folder.path,
            [
                HarnessSource(name: "plain", check: .none),
                HarnessSource(name: "numbered", check: .none, number: 900, tenantNumber: 17),
            ], hasJournalThread: hasJournalThread)
        let client = IngestClient(port: harness.port)
        for source in ["plain", "numbered"] {
            client.send(IngestClient.request(source, ["X-Id: 1"], body: "from \(source)"))
            #expect(client.response()?.status == 202)
        }
        var event = InjectedEvent(source: "numbered")
        event.sourceNumber = 900
        event.tenant = RecordFormat.tenantBytes(of: 17)
        event.dedupKey = Array("2".utf8)
        event.body = Array("injected".utf8)
        guard case .kept = harness.injector.offer(event) else {
            Issue.record("the injected event was not kept")
            return
        }
        let events = try harness.finish()
        let numbers = events.map { [$0.tenantNumber, $0.sourceNumber] }
        #expect(numbers == [[1, 0], [17, 900], [17, 900]])
    }

    @Test func refusedRequestKeepsTheNumberOfItsSource() throws {
        let folder = TemporaryFolder()
        let source = HarnessSource(name: "token", check: .token, rejectedPerSecondMax: 10, number: 900)
        let harness = try IngestHarness(folder.path, [source])
        let client = IngestClient(port: harness.port)
        client.send(IngestClient.request("token", body: "forged"))
        #expect(client.response()?.status == 401)
        waitUntil { !harness.rejected.isEmpty }
        #expect(harness.rejected.next()?.sourceNumber == 900)
        #expect(try harness.finish().isEmpty)
    }

    // MARK: the event of the fixed records

    private static func expectTheEvent(_ record: RecordView) {
        let texts = [record.source, record.key, record.eventType, record.method, record.target, record.fieldLines]
        #expect(
            texts.map(\.text) == ["github", "delivery-1", "push", "POST", "/in/github", "X-Id: 1\r\n"])
        #expect(record.body.text == #"{"n":1}"# && record.sequence == 7 && record.dedupWindowSeconds == 3600)
    }
    private static func lend<R>(
        key: String = "delivery-1", tenant: [UInt8], source: UInt32, _ use: (EventInput) -> R
    ) -> R {
        let parts =
            [tenant]
            + ["github", key, "push", "POST", "/in/github", "X-Id: 1\r\n", #"{"n":1}"#].map { Array($0.utf8) }
        return parts.flatMap(\.self).withView { all in
            var start = 0
            let views = parts.map { part in
                defer { start += part.count }
                return all.slice(start, part.count)
            }
            var event = EventInput()
            event.tenant = views[0]
            event.source = views[1]
            event.sourceNumber = source
            event.dedupKey = views[2]
            event.eventType = views[3]
            event.method = views[4]
            event.target = views[5]
            event.fieldLines = views[6]
            event.body = views[7]
            event.dedupWindowSeconds = 3600
            event.receivedAt = 1_700_000_000_000_000_000
            return use(event)
        }
    }
    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.utf8.map { $0 < 58 ? $0 - 48 : $0 - 87 }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}
