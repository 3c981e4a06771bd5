// What an answer says about an event's id: the id of what is on disk, and nothing where a commit that fails would give
// it to another event.

import FastPath
import TestSupport
import Testing

private func source(_ name: String, _ durability: DurabilityLevel) -> HarnessSource {
    var source = HarnessSource(name: name, check: .none)
    source.durability = durability
    return source
}
private let sources = DurabilityLevel.allCases.map { source("\($0)", $0) }

/// The id in each answer, nil where there is none.
private func ids(_ socket: SimulatedSocket) -> [String?] {
    socket.text.split(separator: "{").dropFirst().map { body in
        guard let start = body.firstRange(of: "\"id\":\"") else { return nil }
        return String(body[start.upperBound...].prefix { $0 != "\"" })
    }
}

@Suite struct ToldIDTests {
    /// One connection an event, so that an answer is that event's.
    private func send(_ key: String, to name: String, _ ingest: SimulatedIngest) throws -> SimulatedSocket {
        let socket = try #require(ingest.world.connect())
        socket.inbound += IngestClient.request(name, ["X-Id: \(key)", "Connection: close"], body: "b")
        return socket
    }

    @Test(arguments: [DurabilityLevel.memory, .written])
    func anIdThatACommitLosesWasToldToNobody(_ durability: DurabilityLevel) throws {
        let ingest = try SimulatedIngest(sources)
        ingest.world.disk.faults = [.syncFails, .syncFails]
        let lost = try send("lost", to: "\(durability)", ingest)
        ingest.ticks(8)
        #expect(lost.text.contains("\"accepted\""), "it promised no more")
        #expect(ingest.world.disk.faults.isEmpty && ingest.count(.commitFailures) == 1)
        let kept = try send("kept", to: "fsync", ingest)
        ingest.ticks(8)
        let first = EventID(logIdentity: 42, sequence: 1).text
        #expect(ids(kept) == [first], "the lost one's place")
        #expect(ids(lost) == [nil])
        ingest.finish()
    }
    @Test func whatIsOnDiskHasItsIdWhateverTheSourcePromises() throws {
        let ingest = try SimulatedIngest(sources)
        let first = EventID(logIdentity: 42, sequence: 1).text
        for (name, own) in [("memory", nil), ("written", nil), ("fsync", first)] as [(String, String?)] {
            let sequence = try send("k", to: name, ingest)
            ingest.ticks(4)
            let again = try send("k", to: name, ingest)
            ingest.ticks(4)
            #expect(sequence.text.contains("\"accepted\"") && again.text.contains("\"duplicate\""))
            #expect(sequence.text.contains("Sluice-Durability: \(name)\r\n"))
            let place = try #require(sources.firstIndex { $0.name == name })
            #expect(ingest.count(.accepted, source: place) == 1)
            #expect(ids(again).allSatisfy { $0 != nil }, "\(name)")
            #expect((ids(sequence)[0] == nil) == (own == nil), "\(name)")
        }
        ingest.finish()
    }
    @Test(arguments: 1...20) func noIdIsToldOfTwoEvents(seed: Int) throws {
        var random = SeededRandom(UInt64(seed))
        func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
        let ingest = try SimulatedIngest(sources, seed: UInt64(seed))
        var answers: [(key: String, socket: SimulatedSocket)] = []
        for number in 0..<1500 {
            switch pick(5) {
            case 0, 1:
                guard ingest.world.openCount < 24 else { break }
                let (name, key) = (sources[pick(3)].name, "\(number - pick(3))")
                answers.append(("\(name) \(key)", try send(key, to: name, ingest)))
            case 2: ingest.world.holdsDisk = pick(2) == 0
            case 3 where pick(3) == 0: ingest.world.disk.faults = [.syncFails, [.syncFails, .writeFails(5)][pick(2)]]
            default: ingest.tick()
            }
            for (_, socket) in answers.suffix(24) where !socket.outbound.isEmpty { socket.isDone = true }
        }
        ingest.world.disk.faults = []
        ingest.finish()
        var owners: [String: String] = [:]
        for (key, socket) in answers {
            for case let id? in ids(socket) {
                #expect(owners[id] ?? key == key, "\(id) was told for two events")
                owners[id] = key
            }
        }
        #expect(owners.count > 20, "\(answers.count) events")
        #expect(ingest.count(.commitFailures) > 0)
    }
    @Test func aJournalThreadTellsNoMore() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(folder.path, sources, hasJournalThread: true)
        let client = IngestClient(port: harness.port)
        for durability in DurabilityLevel.allCases {
            client.send(IngestClient.request("\(durability)", ["X-Id: a"], body: "x"))
            let answer = try #require(client.response())
            #expect(answer.body.contains("\"accepted\""))
            #expect(answer.body.contains("\"id\"") == (durability == .fsync), "\(durability)")
        }
        #expect(try harness.finish().count == 3)
    }
}
