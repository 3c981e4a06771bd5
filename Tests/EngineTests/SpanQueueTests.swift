// When batches of spans go, and what finds no room.

import Engine
import FastPath
import Testing

@Suite struct SpanQueueTests {
    private static let second: UInt64 = 1_000_000_000

    private func spans(_ count: Int) -> [TelemetrySpan] {
        (0..<count).map {
            TelemetrySpan(
                trace: TraceID(high: 0, low: 1), id: UInt64($0 + 1), parent: 0, name: "a", kind: .client, startNanos: 1,
                endNanos: 2)
        }
    }
    @Test func aFullBatchGoesAtOnceAndTheRestWithAge() {
        var queue = SpanQueue(countMax: 100, batchCountMax: 10)
        queue.add(spans(25), now: Self.second)
        #expect(queue.take(now: Self.second)?.map(\.id) == Array(1...10))
        #expect(queue.take(now: Self.second)?.count == 10)
        #expect(queue.take(now: Self.second) == nil)
        #expect(queue.take(now: Self.second + SpanQueue.ageNanosMax - 1) == nil)
        #expect(queue.take(now: Self.second + SpanQueue.ageNanosMax)?.map(\.id) == Array(21...25))
        #expect(queue.take(now: .max) == nil && queue.count == 0)
    }
    @Test func ageIsThatOfTheOldest() {
        var queue = SpanQueue(countMax: 100, batchCountMax: 10)
        queue.add(spans(1), now: Self.second)
        queue.add(spans(1), now: 2 * Self.second - 1)
        #expect(queue.take(now: 2 * Self.second)?.count == 2)
    }
    @Test func theEndTakesWhatIsThere() {
        var queue = SpanQueue(countMax: 100, batchCountMax: 10)
        queue.add(spans(3), now: Self.second)
        #expect(queue.take(now: Self.second, isForced: true)?.count == 3)
        #expect(queue.take(now: Self.second, isForced: true) == nil)
    }
    @Test func whatFindsNoRoomIsCounted() {
        var queue = SpanQueue(countMax: 10, batchCountMax: 10)
        queue.add(spans(8), now: 1)
        queue.add(spans(5), now: 1)
        #expect(queue.count == 10 && queue.droppedCount == 3)
        queue.add(spans(2), now: 1)
        #expect(queue.count == 10 && queue.droppedCount == 5)
        queue.dropAll()
        #expect(queue.count == 0 && queue.droppedCount == 15)
    }
    @Test func aFeedWithoutRoomLosesFactsAndNoCommit() {
        let feed = SpanFeed(factCountMax: 2, noteCountMax: 2)
        for sequence in UInt64(1)...4 {
            feed.note(CommitNote(end: sequence, nanos: sequence * 10))
            feed.add(
                .delivery(
                    DeliverySpanFact(
                        place: EventLocation(sequence: sequence, position: 0), endpoint: EndpointID(1), end: .delivered,
                        attempts: 1, endedNanos: 1)))
        }
        let (facts, notes, lost) = feed.take()
        #expect(facts.count == 2 && lost == 2)
        #expect(notes == [CommitNote(end: 1, nanos: 10), CommitNote(end: 4, nanos: 40)])
        let after = feed.take()
        #expect(after.facts.isEmpty && after.notes.isEmpty && after.lost == 0)
    }
}
