// An event that is offered to the log again because nobody heard what became of it is there once, also where its source
// has no window and the event no key.

import FastPath
import TestSupport
import Testing

@Suite struct OfferIdentityTests {
    private static func event(_ key: String = "", window: UInt32 = 0) -> InjectedEvent {
        var event = InjectedEvent(source: "open")
        event.dedupKey = Array(key.utf8)
        event.dedupWindowSeconds = window
        event.body = Array("twins".utf8)
        return event
    }
    private static func harness(_ folder: TemporaryFolder, hasJournalThread: Bool = false) throws -> IngestHarness {
        var source = HarnessSource(name: "open", check: .none)
        source.dedupWindowSeconds = 0
        return try IngestHarness(folder.path, [source], hasJournalThread: hasJournalThread)
    }
    private static func isKept(_ fate: InjectionFate) -> Bool { if case .kept = fate { true } else { false } }
    private static func isDuplicate(_ fate: InjectionFate) -> Bool { if case .duplicate = fate { true } else { false } }

    @Test(arguments: [false, true])
    func whatNobodyWaitedForIsNotKeptASecondTime(hasJournalThread: Bool) throws {
        let folder = TemporaryFolder()
        let harness = try Self.harness(folder, hasJournalThread: hasJournalThread)
        for event in [Self.event(), Self.event("its own")] {
            #expect(harness.injector.offer(event, timeoutMillis: 0) == .unknown)
            #expect(Self.isDuplicate(harness.injector.offer(event)))
            #expect(Self.isDuplicate(harness.injector.offer(event)))
        }
        // The same bytes are not the same event.
        #expect(Self.isKept(harness.injector.offer(Self.event())))
        #expect(Self.isKept(harness.injector.offer(Self.event("its own"))))
        #expect(try harness.finish().count == 4)
    }
    @Test func aRestartForgetsNoOffer() throws {
        let folder = TemporaryFolder()
        var event = Self.event()
        event.identity = OfferIdentity(high: 1, low: 2)
        for isKept in [true, false] {
            let harness = try Self.harness(folder)
            #expect(Self.isKept(harness.injector.offer(event)) == isKept)
            #expect(try harness.finish().count == 1)
        }
    }
    @Test func eventsOfOneRequestAreEachThemselves() throws {
        let folder = TemporaryFolder()
        let harness = try Self.harness(folder)
        for window in [UInt32(0), 3600] {
            var batch = Self.event(window: window)
            batch.body = Array("[1,1,2]".utf8)
            batch.elements.append(body: 1..<2, key: nil, eventType: [])
            batch.elements.append(body: 3..<4, key: nil, eventType: [])
            batch.elements.append(body: 5..<6, key: Array("two".utf8), eventType: [])
            #expect(harness.injector.offer(batch, timeoutMillis: 0) == .unknown)
            #expect(Self.isDuplicate(harness.injector.offer(batch)))
        }
        let bodies = try harness.finish().map { String(decoding: $0.body, as: UTF8.self) }
        #expect(bodies == ["1", "1", "2", "[1,1,2]", "1", "1", "2", "[1,1,2]"])
    }
    @Test func theEventsOwnKeyIsStillToBeRead() throws {
        let folder = TemporaryFolder()
        let harness = try Self.harness(folder)
        var body = Self.event()
        body.keyIsBody = true
        for event in [Self.event("in_1"), Self.event(), body, Self.event("in_2", window: 60)] {
            #expect(Self.isKept(harness.injector.offer(event)))
        }
        _ = try harness.finish()
        var names: [String] = []
        _ = try LogCheck.run(path: folder.path) { record, _ in
            names.append(record.providerID.text)
            return true
        }
        #expect(names == ["in_1", "", "", "in_2"])
    }
    @Test func noTwoAreTheSame() async {
        let made = await withTaskGroup(of: [OfferIdentity].self) { group in
            for _ in 0..<4 { group.addTask { (0..<5000).map { _ in OfferIdentity.fresh() } } }
            return await group.reduce(into: Set<OfferIdentity>()) { $0.formUnion($1) }
        }
        #expect(made.count == 20_000)
    }
}
