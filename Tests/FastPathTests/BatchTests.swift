// Requests that hold several events: how a body is cut, what the journal keeps of them, and what a sender hears.

import FastPath
import TestSupport
import Testing

@Suite struct BatchTests {
    private func cut(_ body: String, path: String = "$", countMax: Int = 100) throws -> [String]? {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        let bytes = Array(body.utf8)
        switch try JSONElements(path: path, countMax: countMax, in: memory).cut(bytes) {
        case .absent: return nil
        case .tooMany: return ["too many"]
        case .elements(let places): return places.map { String(decoding: bytes[$0], as: UTF8.self) }
        }
    }

    @Test func elementsAreCutWhereTheyLie() throws {
        #expect(try cut(#"[{"a":1},{"b":[1,2,{"c":"]"}]}]"#) == [#"{"a":1}"#, #"{"b":[1,2,{"c":"]"}]}"#])
        #expect(try cut(" [ 1 ,\n\"x,y\" , null, [ ] ]\r\n") == ["1", #""x,y""#, "null", "[ ]"])
        #expect(try cut("[]") == [] && cut("[ ]") == [])
        #expect(try cut("\u{FEFF}[{}]") == ["{}"])
        let inside = try cut(#"{"n":1,"events":[{"i":1}, {"i":2}],"z":[9]}"#, path: "$.events")
        #expect(inside == [#"{"i":1}"#, #"{"i":2}"#])
        #expect(try cut(#"[[1,2],[3]]"#, path: "$[1]") == ["3"])
    }
    @Test func whatIsNoListOfEventsHasNone() throws {
        for body in [
            "", "{}", "1", "\"[1]\"", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[{]", "[\"a]", "[1]x", "[1][2]",
            "null",
        ] { #expect(try cut(body) == nil, "\(body)") }
        for body in ["{}", "[1]", #"{"events":{}}"#, #"{"events":"[1]"}"#, #"{"other":[1]}"#, #"{"events":[1"#] {
            #expect(try cut(body, path: "$.events") == nil, "\(body)")
        }
    }
    @Test func moreThanTheBoundIsTold() throws {
        let list = "[" + (0..<5).map(String.init).joined(separator: ",") + "]"
        #expect(try cut(list, countMax: 5)?.count == 5)
        #expect(try cut(list, countMax: 4) == ["too many"])
        #expect(throws: JSONPathError.self) { try cut("[]", path: "$.") }
    }

    // MARK: the journal

    private struct Part {
        var body: Range<Int>
        var key: String?
    }
    /// A request whose events are parts of the body; those of the same key are one event.
    private func offer(_ harness: JournalHarness, _ name: String, _ parts: [Part], ticket: UInt64 = 1) -> OfferOutcome {
        harness.journal.setClock(wallNanos: harness.wall * 1_000_000_000)
        var table = ElementTable()
        for part in parts {
            table.append(body: part.body, key: part.key.map { Array($0.utf8) }, eventType: Array("opened".utf8))
        }
        return TestEvent.lend(key: name, bodyBytes: 1000, wallSeconds: harness.wall) { event in
            table.bytes.withView { elements in
                var batch = event
                batch.elements = elements
                return harness.journal.offer(batch, ticket: ticket)
            }
        }
    }
    private func part(_ start: Int, _ key: String?) -> Part { Part(body: start..<start + 50, key: key) }

    /// From the first step of a commit to its receipts.
    private func commit(_ harness: JournalHarness) -> [Receipt] {
        guard harness.commitWithoutReceipts() else { return [] }
        var receipts: [Receipt] = []
        while let receipt = harness.journal.nextReceipt() { receipts.append(receipt) }
        return receipts
    }

    @Test func eventsAndTheRequestAreOneGroupAndOneReceipt() {
        let harness = JournalHarness(identity: LogJournalTests.identity)
        #expect(offer(harness, "r", [part(0, "a"), part(50, "b"), part(100, nil)]) == .appended(sequence: 4))
        #expect(commit(harness) == [Receipt(ticket: 1, sequence: 4, fate: .kept, newCount: 3)])
        #expect(harness.journal.committedSequence == 4)
        #expect(harness.journal.dedupEntryCount == 2)
        // A repetition leaves nothing but the one without an identity, with the request.
        #expect(offer(harness, "r", [part(0, "a"), part(50, "b"), part(100, nil)]) == .appended(sequence: 6))
        #expect(commit(harness) == [Receipt(ticket: 1, sequence: 6, fate: .kept, newCount: 1)])
    }
    @Test func aRepetitionIsADuplicateAndAMixKeepsWhatIsNew() {
        let harness = JournalHarness(identity: LogJournalTests.identity)
        #expect(offer(harness, "r", [part(0, "a"), part(50, "b"), part(100, "a")]) == .appended(sequence: 3))
        // Before the commit it shares the fate of the youngest that it needs.
        #expect(offer(harness, "r", [part(0, "a"), part(50, "b")], ticket: 2) == .pending(sequence: 2))
        #expect(
            commit(harness) == [
                Receipt(ticket: 1, sequence: 3, fate: .kept, newCount: 2),
                Receipt(ticket: 2, sequence: 2, fate: .duplicate),
            ])
        #expect(offer(harness, "r", [part(50, "b"), part(0, "a")], ticket: 3) == .duplicate(sequence: 2))
        #expect(harness.journal.committedSequence == 3 && harness.journal.isIdle)
        #expect(offer(harness, "s", [part(0, "b"), part(50, "c")], ticket: 4) == .appended(sequence: 5))
        #expect(commit(harness) == [Receipt(ticket: 4, sequence: 5, fate: .kept, newCount: 1)])
        // An event that came by itself and one that came among others are one.
        #expect(harness.offer("c") == .duplicate(sequence: 4))
    }
    @Test func aRequestWithoutRoomIsRefusedWhole() {
        let harness = JournalHarness(identity: LogJournalTests.identity)
        harness.offer("x", bodyBytes: 15_000)
        let before = harness.journal.dedupEntryCount
        #expect(offer(harness, "r", [part(0, "a"), part(50, "b")]) == .refused(.groupFull))
        #expect(harness.journal.dedupEntryCount == before, "nothing of it counts as seen")
        harness.commit()
        #expect(offer(harness, "r", [part(0, "a"), part(50, "b")]) == .appended(sequence: 4))
        let many = (0..<90).map { part($0, "k\($0)") }
        #expect(offer(harness, "many", many) == .refused(.tooLarge), "no group takes it")
    }
    @Test func aFailedCommitLeavesNoEventSeen() {
        let harness = JournalHarness(identity: LogJournalTests.identity)
        #expect(offer(harness, "r", [part(0, "a"), part(50, "b")]) == .appended(sequence: 3))
        _ = harness.journal.beginCommit()
        #expect(harness.journal.logLost(from: 1) == false)
        #expect(harness.journal.commitCompleted(written: 0, synced: 0).isFailed)
        #expect(harness.journal.nextReceipt()?.fate == .failed)
        while harness.journal.nextReceipt() != nil {}
        #expect(harness.journal.dedupEntryCount == 0)
    }

    // MARK: the port

    private let split = HarnessSource(name: "split", check: .worker(7), splits: true)

    private func reading(_ parts: [Part]) -> EventReading {
        var table = ElementTable()
        for part in parts { table.append(body: part.body, key: part.key.map { Array($0.utf8) }, eventType: []) }
        return EventReading(elements: table, isSplit: true)
    }
    @Test(arguments: [false, true]) func oneAnswerForAllOfThem(hasJournalThread: Bool) throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [split], hasJournalThread: hasJournalThread)
        let client = IngestClient(port: harness.port)
        let parts = [Part(body: 1..<2, key: "a"), Part(body: 3..<4, key: "b")]
        for (round, wanted) in [#""events":2,"duplicates":0}"#, #""events":2,"duplicates":2}"#].enumerated() {
            client.send(IngestClient.request("split", body: "[1,2]"))
            harness.link.answer(try harness.nextOrder(), .accepted, reading: reading(parts))
            let answer = try #require(client.response())
            #expect(answer.status == 202 && answer.body.hasSuffix(wanted), "\(answer.body)")
            #expect(answer.body.contains(round == 0 ? #""status":"accepted","id":"evt_"# : #""status":"duplicate","#))
        }
        client.send(IngestClient.request("split", body: "[]"))
        harness.link.answer(try harness.nextOrder(), .accepted, reading: reading([]))
        #expect(client.response()?.body == #"{"status":"accepted","events":0,"duplicates":0}"#)
        client.send(IngestClient.request("split", body: "[1,1,1]"))
        harness.link.answer(try harness.nextOrder(), .rejected(.batchTooLarge))
        let refusal = try #require(client.response())
        #expect(refusal.status == 413 && refusal.body.contains("batch_too_large"))
        #expect(harness.count(.accepted) == 2 && harness.count(.duplicate) == 2 && harness.count(.batches) == 3)
        #expect(try harness.finish().map(\.body) == ["1", "2", "[1,2]"].map { Array($0.utf8) })
    }
    @Test(arguments: [100, 100_000]) func aRefusalThatAWorkerExplainsIsAnsweredInItsWords(byteCount: Int) throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [HarnessSource(name: "read", check: .worker(7))])
        let client = IngestClient(port: harness.port)
        let words = "{" + String(repeating: " ", count: byteCount) + "}"
        for _ in 0..<3 {
            client.send(IngestClient.request("read", body: "wrong"))
            let answer = PublicationAnswer(status: 422, body: Array(words.utf8))
            let order = try harness.nextOrder()
            harness.link.refuse(order, .schemaViolation, explanation: answer)
            let refusal = try #require(client.response())
            #expect(refusal.status == 422 && refusal.body == words)
        }
        // Without an explanation, by its reason alone; and the connection goes on.
        client.send(IngestClient.request("read", body: "wrong"))
        harness.link.answer(try harness.nextOrder(), .rejected(.bodyNotJSON))
        let plain = try #require(client.response())
        #expect(plain.status == 422 && plain.body == #"{"status":"rejected","reason":"body_not_json"}"#)
        #expect(harness.count(.rejected) == 4)
        #expect(try harness.finish().isEmpty)
    }
    @Test func aRequestThatWasReadWholeHasTheTypeAndKeyThatWereRead() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, [HarnessSource(name: "read", check: .worker(7))])
        let client = IngestClient(port: harness.port)
        var table = ElementTable()
        table.append(body: 0..<6, key: Array("inside".utf8), eventType: Array("t".utf8))
        for wanted in ["accepted", "duplicate"] {
            client.send(IngestClient.request("read", ["X-Id: \(wanted)"], body: "packed"))
            harness.link.answer(
                try harness.nextOrder(), .accepted, reading: EventReading(elements: table, isSplit: false))
            #expect(client.response()?.body.contains(#""status":"\#(wanted)","id":"evt_"#) == true)
        }
        #expect(try harness.finish().count == 1)
    }
    @Test func withoutAWorkersReadingNothingIsKeptThatIsToBeSplit() throws {
        let folder = TemporaryFolder()
        let observing = HarnessSource(name: "split", check: .worker(7), observes: true, splits: true)
        let harness = try IngestHarness(folder.path, [observing])
        let client = IngestClient(port: harness.port)
        client.send(IngestClient.request("split", body: "[1,2]"))
        harness.link.answer(try harness.nextOrder(), .undecided)
        #expect(client.response()?.status == 503)
        client.send(IngestClient.request("split", body: "[1,2]"))
        let parts = [Part(body: 1..<2, key: "a"), Part(body: 3..<4, key: nil)]
        harness.link.answer(try harness.nextOrder(), .rejected(.signatureMismatch), reading: reading(parts))
        #expect(client.response()?.status == 202)
        let events = try harness.finish()
        #expect(events.map(\.verdict) == [String](repeating: "signature_mismatch", count: 3))
    }
}

extension CommitOutcome {
    fileprivate var isFailed: Bool { if case .failed = self { true } else { false } }
}
