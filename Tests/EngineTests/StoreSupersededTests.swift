// Deliveries in whose place a newer one went: finished, kept in history, and told from what was delivered, in every
// store.

import Engine
import FastPath
import Testing

private typealias Sample = StoreSample

@Test(arguments: StoreKind.allCases)
func whatIsSupersededIsFinishedAndKeptApart(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        let endpoint = Sample.endpoint(1)
        func sequences(_ states: Set<DeliveryState>) throws -> [UInt64] {
            var query = DeliveryQuery()
            query.states = states
            query.limit = 2
            let listed = try Sample.everything(store, query)
            let walked = try store.rows(endpoint: endpoint, states: states, from: 0, limit: 10)
            #expect(walked.map(\.place.sequence) == listed.map(\.place.sequence).reversed())
            #expect(listed.allSatisfy { states.contains($0.state) })
            return walked.map(\.place.sequence)
        }
        var gone = Sample.row(1, 2, .superseded, attempts: 1)
        (gone.status, gone.result) = (0, .abandoned)
        var untried = Sample.row(1, 5, .superseded, attempts: 0)
        (untried.status, untried.result) = (0, .abandoned)
        let first = [
            Sample.row(1, 1, .delivered), Sample.row(1, 2, .pending, attempts: 1), Sample.row(1, 3, .dead),
            Sample.row(1, 4, .delivered), Sample.row(1, 5, .pending, attempts: 0),
        ]
        try store.apply(Sample.batch(first) { $0.attempts = [Sample.attempt(1, 2, 1, ended: 5)] })
        try store.apply(Sample.batch([gone, untried]))
        #expect(try sequences([.superseded]) == [2, 5] && sequences([.delivered]) == [1, 4])
        #expect(try sequences([.delivered, .superseded]) == [1, 2, 4, 5] && sequences([.pending]) == [])
        #expect(try sequences(Set(DeliveryState.allCases)) == [1, 2, 3, 4, 5])
        #expect(try store.recorded(endpoint: endpoint, from: 0) == [1, 2, 3, 4, 5])
        #expect(try store.rows(sequence: 2).map(\.state) == [.superseded])
        #expect(try store.attempts(sequence: 2).map(\.number) == [1])
        #expect(try store.pending(endpoint: endpoint, from: .first, limit: 10).isEmpty)
        #expect(try store.counts(endpoint: endpoint).dead == 1)
        let summary = try store.summaries(of: [endpoint], updated: 0..<10_000) {}[endpoint]
        #expect(summary?.delivered == 2 && summary?.superseded == 2 && summary?.dead == 1 && summary?.pending == 0)
        // Sent again.
        try store.apply(Sample.batch([Sample.row(1, 2, .pending, attempts: 0)]))
        #expect(try sequences([.superseded]) == [5] && sequences([.pending]) == [2])
        try store.apply(Sample.batch([Sample.row(1, 2, .delivered, updated: 2000)]))
        #expect(try sequences([.delivered]) == [1, 2, 4] && sequences([.superseded]) == [5])
    }
}
