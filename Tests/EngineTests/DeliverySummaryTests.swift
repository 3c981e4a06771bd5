// Deliveries counted by endpoint and time, in every store.

import Engine
import FastPath
import Testing

@Suite struct DeliverySummaryTests {
    private typealias Sample = StoreSample

    @Test(arguments: StoreKind.allCases) func countsWhatEachEndpointHadInATime(_ kind: StoreKind) throws {
        try withStore(kind) { store in
            for sequence in 1...10 as ClosedRange<UInt64> {
                let updated = Int64(sequence) * 100
                try store.apply(
                    Sample.batch([
                        Sample.row(1, sequence, .delivered, attempts: 2, updated: updated),
                        Sample.row(2, sequence, sequence < 6 ? .dead : .pending, attempts: 3, updated: updated),
                        Sample.row(3, sequence, .delivered, attempts: 1, updated: updated),
                    ]))
            }
            let both: Set = [Sample.endpoint(1), Sample.endpoint(2), Sample.endpoint(9)]
            let all = try store.summaries(of: both, updated: 0..<10_000)
            #expect(
                all == [
                    Sample.endpoint(1): DeliverySummary(delivered: 10, attempts: 20, lastMillis: 1000),
                    Sample.endpoint(2): DeliverySummary(pending: 5, dead: 5, attempts: 30, lastMillis: 1000),
                ])
            let some = try store.summaries(of: both, updated: 500..<700)
            #expect(
                some == [
                    Sample.endpoint(1): DeliverySummary(delivered: 2, attempts: 4, lastMillis: 600),
                    Sample.endpoint(2): DeliverySummary(pending: 1, dead: 1, attempts: 6, lastMillis: 600),
                ])
            #expect(try store.summaries(of: both, updated: 2000..<3000).isEmpty)
            #expect(try store.summaries(of: [], updated: 0..<10_000).isEmpty)
            // More endpoints than are looked for one by one.
            let many = Set((1...500).map { Sample.endpoint($0) })
            #expect(try store.summaries(of: many, updated: 0..<10_000).count == 3)
        }
    }
    @Test(arguments: StoreKind.allCases) func whatWaitsForItsFirstAttemptHasNone(_ kind: StoreKind) throws {
        try withStore(kind) { store in
            try store.apply(Sample.batch([Sample.row(1, 1, .pending, attempts: 0, updated: 50)]))
            let found = try store.summaries(of: [Sample.endpoint(1)], updated: 0..<100)
            #expect(found == [Sample.endpoint(1): DeliverySummary(pending: 1)])
        }
    }
    /// The task that counts may be told to stop: it is asked before each slice of the history.
    @Test func aLongCountIsEndedBetweenSlices() throws {
        try withStore(.tinySlices) { store in
            for sequence in 1...12 as ClosedRange<UInt64> {
                try store.apply(
                    Sample.batch([Sample.row(1, sequence, .delivered, attempts: 1, updated: Int64(sequence) * 100)]))
            }
            struct Stop: Error {}
            var looks = 0
            #expect(throws: Stop.self) {
                _ = try store.summaries(of: [Sample.endpoint(1)], updated: 0..<10_000) {
                    looks += 1
                    if looks == 2 { throw Stop() }
                }
            }
            #expect(looks == 2)
            #expect(try store.summaries(of: [Sample.endpoint(1)], updated: 0..<10_000) {}.count == 1)
        }
    }
}
