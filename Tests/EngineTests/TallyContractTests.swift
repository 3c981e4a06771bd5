// Counts that last as long as their endpoint: what every delivery store must do.

import Engine
import Testing

@Suite struct TallyContractTests {
    private func attempt(
        _ endpoint: UInt32, _ type: String, _ isSuccess: Bool, number: Int = 1, micros: UInt32 = 2000, ended: Int64
    ) -> TallyNote {
        TallyNote(
            EndpointID(endpoint),
            .attempt(
                AttemptNote(type: type, isSuccess: isSuccess, number: number, micros: micros, endedMillis: ended)))
    }
    private func batch(_ notes: [TallyNote]) -> OutcomeBatch {
        var batch = OutcomeBatch()
        batch.tallies = notes
        batch.nowMillis = 5000
        return batch
    }

    @Test(arguments: StoreKind.allCases) func countsAreAddedAndForgottenWithTheirEndpoint(_ kind: StoreKind) throws {
        try withStore(kind) { store in
            let (one, two) = (EndpointID(1), EndpointID(2))
            try store.apply(
                batch([
                    attempt(1, "a", false, ended: 1000), attempt(1, "a", true, number: 2, micros: 4000, ended: 1500),
                    TallyNote(one, .delivered), attempt(2, "b", false, ended: 900), TallyNote(two, .givenUp),
                ]))
            try store.apply(batch([attempt(1, "a", true, ended: 1200), TallyNote(one, .delivered)]))
            let tallies = try store.tallies([two, EndpointID(3), one])
            #expect(tallies.map(\.endpoint) == [two, one])
            #expect(tallies.map(\.delivered) == [0, 2] && tallies.map(\.givenUp) == [1, 0])
            #expect(tallies.map(\.triggeredMillis) == [898, 1198])
            let attempts = try store.attemptTallies([one])
            #expect(attempts.map(\.isSuccess) == [true, false] && attempts.map(\.count) == [2, 1])
            #expect(attempts[0].retries == 1 && attempts[0].micros == 6000 && attempts[0].lastMillis == 1500)
            try store.forget([one])
            #expect(try store.tallies([one, two]).map(\.endpoint) == [two])
            #expect(try store.attemptTallies([one]).isEmpty && store.attemptTallies([two]).count == 1)
        }
    }
    @Test(arguments: StoreKind.allCases) func typesBeyondTheBoundAreCountedTogether(_ kind: StoreKind) throws {
        try withStore(kind) { store in
            let bound = AttemptTally.typeCountMax
            for number in 0..<bound + 3 {
                try store.apply(batch([attempt(1, "t\(number)", true, ended: 1000)]))
            }
            try store.apply(batch([attempt(1, "t0", true, ended: 1000)]))
            let found = try store.attemptTallies([EndpointID(1)])
            #expect(found.count == bound + 1 && found.first { $0.type == "t0" }?.count == 2)
            #expect(found.first { $0.type.isEmpty }?.count == 3)
        }
    }
}
