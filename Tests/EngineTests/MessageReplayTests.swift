// Messages of applications sent again in bulk: which of them a walk takes, and those that are for one endpoint alone.

import Engine
import FastPath
import Foundation
import Testing

@Suite struct MessageReplayTests {
    private func message(
        _ type: String = "a.b", from source: SourceID = .messages, channels: String = "", tags: String = ""
    ) -> FakeEvent {
        var lines = channels.isEmpty ? "" : "Sluice-Channels: \(channels)\r\n"
        if !tags.isEmpty { lines += "Sluice-Tags: \(tags)\r\n" }
        return FakeEvent(
            sourceID: source, source: PublishSource.name, type: type,
            fieldLines: lines + "Content-Type: application/json\r\n")
    }
    private func replays(_ bench: Bench, _ filter: ReplayFilter) throws -> (places: [UInt64], pending: Int) {
        var walk = ReplayWalk(filter, endpoint: bench.id("a"), tenant: .main, store: bench.store, log: bench.log)
        var found: (places: [UInt64], pending: Int) = ([], 0)
        while let page = try walk.next() {
            found.places += page.replays.map(\.place.sequence)
            found.pending += page.alreadyPending
            #expect(page.replays.allSatisfy { $0.isManual == filter.isManual })
        }
        return found
    }
    private func ofMessages(_ change: (inout ReplayFilter) -> Void = { _ in }) -> ReplayFilter {
        var filter = ReplayFilter()
        filter.isOfMessages = true
        change(&filter)
        return filter
    }
    /// One to ten were there before the endpoint was, whose own begin at eleven: taken, failing for good, to be tried
    /// again, and one of another source.
    private func bench() throws -> Bench {
        let bench = try Bench()
        bench.log.append(count: 4, message(tags: "red,blue"))
        bench.log.append(message("c.d", channels: "eu"))
        bench.log.append(message(from: .directedMessages))
        bench.log.append(message(from: .publishing))
        bench.log.append(message(from: .opsCenter))
        bench.log.append(message(from: .opsCenterTests))
        bench.log.append(message(from: .operational))
        bench.advance(millis: 1)
        try bench.apply([endpoint("a")])
        bench.log.append(count: 3, message())
        bench.log.append(FakeEvent())
        bench.advance(millis: 1)
        for _ in 0..<4 {
            let answers: [UInt64: UInt16] = [11: 200, 12: 404, 13: 503, 14: 404]
            let sent = try #require(bench.egress.out.first)
            bench.egress.answer(0, status: try #require(answers[sent.sequence]))
            bench.advance(millis: 30)
        }
        return bench
    }

    @Test func whatNeverCameIsMissedUnlessItWasForAnother() throws {
        let bench = try bench()
        var filter = ofMessages {
            $0.includesMissed = true
            $0.states = []
        }
        #expect(try replays(bench, filter).places == [1, 2, 3, 4, 5])
        filter.channels = ["eu"]
        #expect(try replays(bench, filter).places == [5])
        filter.channels = []
        filter.tag = "blue"
        #expect(try replays(bench, filter).places == [1, 2, 3, 4])
        filter.tag = "green"
        #expect(try replays(bench, filter).places.isEmpty)
        filter.tag = nil
        filter.places = 2..<5
        #expect(try replays(bench, filter).places == [2, 3, 4])
        filter.places = nil
        // All kinds of events: those of closed sources are missed by those alone that name them, tests by nobody.
        filter.isOfMessages = false
        #expect(try replays(bench, filter).places == [1, 2, 3, 4, 5, 7])
        filter.sources = [PublishSource.name]
        #expect(try replays(bench, filter).places == [1, 2, 3, 4, 5, 7, 8, 10])
    }
    @Test func byHandAlsoWhatWaitsForItsRetryIsTaken() throws {
        let bench = try bench()
        #expect(try replays(bench, ofMessages()) == ([12], 1))
        #expect(try replays(bench, ofMessages { $0.states = [.dead, .pending] }) == ([12], 1))
        let byHand = ofMessages {
            $0.states = [.dead, .pending]
            $0.isManual = true
        }
        #expect(try replays(bench, byHand) == ([12, 13], 0))
        let all = ofMessages {
            $0.states = [.dead, .delivered]
            $0.isManual = true
        }
        #expect(try replays(bench, all) == ([11, 12], 1))
    }
    @Test func theLastAnswersClassAndPlacesNarrowIt() throws {
        let bench = try bench()
        func taken(_ statusClass: Int?, _ places: Range<UInt64>? = nil) throws -> [UInt64] {
            try replays(
                bench,
                ofMessages {
                    $0.states = Set(DeliveryState.allCases)
                    $0.isManual = true
                    $0.statusClass = statusClass
                    $0.places = places
                }
            ).places
        }
        #expect(try taken(nil) == [11, 12, 13])
        #expect(try taken(200) == [11] && taken(400) == [12] && taken(500) == [13] && taken(0).isEmpty)
        #expect(try taken(nil, 12..<13) == [12])
        #expect(try taken(nil, 14..<99).isEmpty)
    }
    @Test func whatWasExpungedIsSentByHandNoMore() throws {
        let folder = NSTemporaryDirectory() + "sluice-expunged-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let bench = try bench()
        var filter = ReplayFilter()
        filter.states = [.dead, .delivered]
        filter.expunged = try ExpungedContent(folder: folder, before: 0)
        #expect(try replays(bench, filter).places == [11, 12, 14])
        try Data("m 11\n".utf8).write(to: URL(fileURLWithPath: folder + "/expunged"))
        let expunged = try ExpungedContent(folder: folder, before: 0)
        filter.expunged = expunged
        #expect(try replays(bench, filter).places == [12, 14])
        // Of messages alone; what others sent stays.
        #expect(try expunged.add(messagesOf: .main, through: 99) == 0)
        #expect(try replays(bench, filter).places == [14])
    }

    // MARK: for one endpoint

    @Test func aDirectedMessageGoesToItsEndpointAloneAndIsKnownAsAMessage() throws {
        let bench = try Bench()
        try bench.apply([endpoint("a"), endpoint("b")])
        bench.log.append(message(from: .directedMessages))
        bench.advance(millis: 1)
        #expect(bench.egress.out.isEmpty)
        var replay = Replay(endpoint: bench.id("b"), place: bench.log.place(1), state: nil)
        replay.isDirected = true
        #expect(bench.dispatcher.replay([replay], now: bench.now) == [.accepted])
        bench.advance(millis: 1)
        let sent = try #require(bench.egress.out.first)
        #expect(bench.egress.out.count == 1 && sent.endpoint == bench.id("b").number)
        bench.egress.answerAll()
        bench.advance(millis: 50)
        #expect(try bench.store.attempts(sequence: 1).count == 1, "a message keeps each of its attempts")
    }
    @Test func whetherAMessageIsWantedIsToldByTheIndex() throws {
        let bench = try Bench()
        func isWanted(_ type: String, _ channels: String = "") -> Bool {
            bench.dispatcher.isWanted(
                tenant: .main, source: .messages, type: Array(type.utf8), channels: Array(channels.utf8))
        }
        #expect(!isWanted("a.b"))
        let narrow = endpoint("narrow") {
            $0.types = ["a.b"]
            $0.channels = ["eu", "us"]
        }
        try bench.apply([narrow])
        #expect(isWanted("a.b", "us") && isWanted("a.b", "x,eu"))
        #expect(!isWanted("a.b") && !isWanted("a.b", "asia") && !isWanted("c.d", "eu"))
        try bench.apply([narrow, endpoint("off") { $0.disabled = true }])
        #expect(!isWanted("c.d"))
        try bench.apply([narrow, endpoint("off")])
        #expect(isWanted("c.d"))
        #expect(bench.dispatcher.perform(.disable, on: bench.id("off"), now: bench.now))
        #expect(!isWanted("c.d"))
        try bench.apply([narrow, endpoint("elsewhere") { $0.sources = ["github"] }])
        #expect(!isWanted("c.d"))
    }
}
