// What every delivery store must do, run over the one in memory that the dispatcher's tests use and over SQLite, with
// large slices and with tiny ones. If they differed, those tests would prove nothing.

import Engine
import FastPath
import TestSupport
import Testing

enum StoreKind: CaseIterable, Sendable {
    case memory, sqlite
    /// Slices of three rows, and listings that look at two rows at a time.
    case tinySlices

    var limits: HistoryLimits {
        var limits = HistoryLimits()
        if self == .tinySlices {
            limits.sliceRowsMax = 3
            limits.lookedRowsMax = 2
            limits.readerCountMax = 2
        }
        return limits
    }
}

extension TemporaryFolder {
    func file(_ name: String) -> String { path + "/" + name }
    var sliceNames: [String] { TemporaryFolder.names(file("history")).filter { $0.hasSuffix(".sqlite") } }
}

func withStore(_ kind: StoreKind, _ body: (any DeliveryStore) throws -> Void) throws {
    if kind == .memory { return try body(MemoryStore()) }
    let folder = TemporaryFolder()
    try body(try SQLiteStore(folder: folder.path, logIdentity: 7, limits: kind.limits))
    withExtendedLifetime(folder) {}
}

enum StoreSample {
    static func place(_ sequence: UInt64) -> EventLocation {
        EventLocation(sequence: sequence, position: .max - sequence)
    }
    static func endpoint(_ number: UInt32) -> EndpointID { EndpointID(number) }
    static func row(
        _ endpoint: UInt32, _ sequence: UInt64, _ state: DeliveryState, attempts: UInt16 = 3, due: Int64 = 0,
        updated: Int64 = 1000
    ) -> DeliveryRow {
        var timing = AttemptTiming()
        timing.totalMicros = 70_000
        timing.connectMicros = 300
        timing.firstByteMicros = UInt32(truncatingIfNeeded: sequence)
        return DeliveryRow(
            endpoint: EndpointID(endpoint), place: place(sequence), state: state, attempts: attempts, status: 503,
            result: .answered, reason: state == .dead ? .retriesExhausted : nil, dueMillis: due,
            updatedMillis: updated, timing: timing)
    }
    static func attempt(
        _ endpoint: UInt32, _ sequence: UInt64, _ number: UInt16, ended: Int64, answer: String = "",
        host: String? = nil
    ) -> AttemptRow {
        AttemptRow(
            endpoint: EndpointID(endpoint), sequence: sequence, number: number, endedMillis: ended, status: 503,
            result: .answered, systemError: 0, answer: Array(answer.utf8), host: host)
    }
    static func batch(
        _ rows: [DeliveryRow], now: Int64 = 5000, change: (inout OutcomeBatch) -> Void = { _ in }
    )
        -> OutcomeBatch
    {
        var batch = OutcomeBatch()
        batch.rows = rows
        batch.nowMillis = now
        change(&batch)
        return batch
    }
    static func everything(_ store: any DeliveryStore, _ query: DeliveryQuery = DeliveryQuery()) throws -> [DeliveryRow]
    {
        var query = query
        var all: [DeliveryRow] = []
        while true {
            let page = try store.rows(query)
            #expect(page.rows.count <= query.limit)
            all += page.rows
            guard let next = page.next else { return all }
            if let before = query.before {
                let goesOn = (next.sequence, next.endpoint) < (before.sequence, before.endpoint)
                try #require(goesOn, "a page must end behind its beginning")
            }
            query.before = next
        }
    }
}
private typealias Sample = StoreSample

@Test(arguments: StoreKind.allCases)
func aNewStoreIsEmpty(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        let snapshot = try store.snapshot()
        #expect(snapshot.shared == nil && snapshot.marks.isEmpty && snapshot.states.isEmpty && snapshot.open.isEmpty)
        #expect(snapshot.sequenceFloor == 1)
        #expect(try store.oldestPending() == nil)
        #expect(try Sample.everything(store).isEmpty)
        #expect(try !store.prune(before: .max, oldest: .max, limit: 10).goesOn)
    }
}

@Test(arguments: StoreKind.allCases)
func marksAreSharedOrAnEndpointsOwn(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        try store.begin([Sample.endpoint(4), Sample.endpoint(2)], at: Sample.place(7), isDurable: true)
        var snapshot = try store.snapshot()
        #expect(snapshot.shared == nil && snapshot.marks.map(\.endpoint.number) == [2, 4])
        #expect(snapshot.marks.map(\.resume) == [Sample.place(7), Sample.place(7)] && snapshot.sequenceFloor == 7)
        try store.apply(
            Sample.batch([]) {
                $0.shared = Sample.place(9)
                $0.marks = [
                    LaneMark(endpoint: Sample.endpoint(2), resume: nil),
                    LaneMark(endpoint: Sample.endpoint(3), resume: Sample.place(8)),
                ]
            })
        snapshot = try store.snapshot()
        #expect(snapshot.shared == Sample.place(9) && snapshot.marks.map(\.endpoint.number) == [3, 4])
        try store.apply(Sample.batch([]) { $0.isDurable = true })
        #expect(try store.snapshot().shared == Sample.place(9))
        #expect(try store.snapshot().sequenceFloor == 9)
    }
}

/// In one batch with the failure, and in a later one.
@Test(arguments: StoreKind.allCases, [false, true])
func whatExpiresKeepsItsLastFailure(_ kind: StoreKind, _ isOneBatch: Bool) throws {
    try withStore(kind) { store in
        func row(_ state: DeliveryState, attempts: UInt16, sequence: UInt64) -> DeliveryRow {
            DeliveryRow(
                endpoint: Sample.endpoint(2), place: Sample.place(sequence), state: state, attempts: attempts,
                result: .abandoned)
        }
        var failed = row(.pending, attempts: 1, sequence: 3)
        (failed.status, failed.result, failed.timing.totalMicros) = (503, .answered, 77)
        var expired = row(.dead, attempts: 1, sequence: 3)
        expired.reason = .expired
        // Never tried: there is nothing to keep.
        var untried = row(.dead, attempts: AttemptCount.directed, sequence: 4)
        untried.reason = .expired
        let waiting = row(.pending, attempts: 0, sequence: 4)
        for rows in isOneBatch ? [[failed, waiting, expired, untried]] : [[failed, waiting], [expired, untried]] {
            try store.apply(Sample.batch(rows))
        }
        let found = try Sample.everything(store).sorted { $0.place.sequence < $1.place.sequence }
        #expect(found.map(\.state) == [.dead, .dead] && found.map(\.reason) == [.expired, .expired])
        #expect(found.map(\.status) == [503, 0] && found.map(\.result) == [.answered, .abandoned])
        #expect(found.map(\.timing.totalMicros) == [77, 0])
        #expect(found.map(DeadLetterClass.init) == [.failure(.server), .local])
    }
}

@Test(arguments: StoreKind.allCases)
func statesAreKeptUntilThereIsNothingToSay(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        var state = EndpointState(endpoint: Sample.endpoint(5))
        state.condition = .paused
        state.reason = .askedForLess
        state.sinceMillis = 100
        state.untilMillis = 900
        state.lastFailureMillis = 99
        state.lastSuccessMillis = 12
        state.lastError = "answered 503 \u{1F4A5}"
        state.alertedPercent = 70
        try store.apply(Sample.batch([]) { $0.states = [state] })
        #expect(try store.snapshot().states == [state])
        try store.apply(Sample.batch([]) { $0.states = [EndpointState(endpoint: Sample.endpoint(5))] })
        #expect(try store.snapshot().states.isEmpty)
    }
}

@Test(arguments: StoreKind.allCases)
func aForgottenEndpointLeavesNothingOpen(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        try store.begin([Sample.endpoint(1), Sample.endpoint(2)], at: Sample.place(1), isDurable: true)
        try store.apply(
            Sample.batch([
                Sample.row(1, 1, .pending), Sample.row(1, 2, .dead), Sample.row(1, 3, .delivered),
                Sample.row(2, 1, .pending),
            ]) {
                $0.attempts = [Sample.attempt(1, 1, 1, ended: 5), Sample.attempt(2, 1, 1, ended: 5)]
                $0.states = ([1, 2] as [UInt32]).map {
                    var state = EndpointState(endpoint: Sample.endpoint($0))
                    state.condition = .failing
                    return state
                }
            })
        try store.forget([Sample.endpoint(1)])
        let snapshot = try store.snapshot()
        #expect(snapshot.marks.map(\.endpoint.number) == [2] && snapshot.states.map(\.endpoint.number) == [2])
        #expect(snapshot.open.map(\.endpoint.number) == [2])
        #expect(try store.attempts(sequence: 1).map(\.endpoint.number) == [2])
        #expect(try Sample.everything(store).map(\.state) == [.delivered, .pending])
    }
}

@Test(arguments: StoreKind.allCases)
func aDeliveryMovesBetweenOpenAndFinished(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        let pending = Sample.row(1, 4, .pending, attempts: 1, due: 50, updated: 10)
        let first = Sample.attempt(1, 4, 1, ended: 10, answer: "busy")
        try store.apply(Sample.batch([pending]) { $0.attempts = [first] })
        #expect(try store.rows(sequence: 4) == [pending])
        #expect(try store.counts(endpoint: pending.endpoint).pending == 1)
        #expect(try store.attempts(sequence: 4) == [first])

        let done = Sample.row(1, 4, .delivered, attempts: 2, updated: 20)
        let second = Sample.attempt(1, 4, 2, ended: 20)
        try store.apply(Sample.batch([done]) { $0.attempts = [second] })
        #expect(try store.rows(sequence: 4) == [done])
        #expect(try store.counts(endpoint: pending.endpoint) == OpenDeliveries(endpoint: pending.endpoint))
        #expect(try store.attempts(sequence: 4) == [first, second])
        #expect(try store.recorded(endpoint: pending.endpoint, from: 0) == [4])
        #expect(try store.snapshot().sequenceFloor == 5)

        let again = Sample.row(1, 4, .pending, attempts: 2, due: 0, updated: 30)
        try store.apply(Sample.batch([again]) { $0.isDurable = true })
        #expect(try store.rows(sequence: 4) == [again] && Sample.everything(store) == [again])
        var delivered = DeliveryQuery()
        delivered.states = [.delivered]
        #expect(try Sample.everything(store, delivered).isEmpty)
        #expect(try store.recorded(endpoint: pending.endpoint, from: 4) == [4])
        #expect(try store.attempts(sequence: 4) == [first, second])

        let doneAgain = Sample.row(1, 4, .delivered, attempts: 3, updated: 40)
        try store.apply(Sample.batch([doneAgain] + (10...20).map { Sample.row(1, $0, .delivered) }))
        #expect(try store.rows(sequence: 4) == [doneAgain])
        #expect(try Sample.everything(store).filter { $0.place.sequence == 4 } == [doneAgain])
    }
}

@Test(arguments: StoreKind.allCases)
func theLastRowOfADeliveryInABatchCounts(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        try store.apply(
            Sample.batch([
                Sample.row(1, 1, .pending), Sample.row(1, 2, .delivered), Sample.row(1, 1, .delivered, updated: 8),
                Sample.row(1, 2, .dead, updated: 9),
            ]))
        #expect(try Sample.everything(store).map(\.state) == [.dead, .delivered])
    }
}

@Test(arguments: StoreKind.allCases)
func pendingRowsComeByDueTimeAndPage(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        let dues: [Int64] = [500, 100, 300, 100, 900]
        var rows = dues.enumerated().map { Sample.row(1, UInt64($0.offset + 1), .pending, due: $0.element) }
        for index in rows.indices { rows[index].attempts = AttemptCount.replayed | 3 }
        rows += [Sample.row(1, 6, .dead), Sample.row(1, 7, .delivered), Sample.row(2, 8, .pending, due: 1)]
        try store.apply(Sample.batch(rows))
        func sequences(_ from: RetryKey, _ limit: Int, _ kind: RetryKind = .again) throws -> [UInt64] {
            let load = RetryLoad(kind: kind, from: from)
            return try store.pending(endpoint: Sample.endpoint(1), load, limit: limit).map(\.place.sequence)
        }
        #expect(try sequences(.first, 10) == [2, 4, 3, 1, 5])
        #expect(try sequences(.first, 2) == [2, 4])
        #expect(try sequences(RetryKey(dueMillis: 100, sequence: 3), 10) == [4, 3, 1, 5])
        #expect(try sequences(RetryKey(dueMillis: 100, sequence: 5), 2) == [3, 1])
        let open = OpenDeliveries(endpoint: Sample.endpoint(1), pending: 5, dead: 1, dueMillis: 100)
        #expect(try store.counts(endpoint: Sample.endpoint(1)) == open)
        #expect(try store.snapshot().open.first == open)
        // Those of which no attempt was made are of another kind, however they came there.
        rows = [AttemptCount.manual, AttemptCount.directed, 0].enumerated().map { index, attempts in
            var row = Sample.row(1, UInt64(20 - index), .pending, due: 200 - Int64(index))
            row.attempts = attempts
            return row
        }
        try store.apply(Sample.batch(rows))
        #expect(try sequences(.first, 10, .first) == [18, 19, 20] && sequences(.first, 1, .first) == [18])
        #expect(try sequences(RetryKey(dueMillis: 199, sequence: 20), 10, .first) == [20])
        #expect(try sequences(.first, 10) == [2, 4, 3, 1, 5])
    }
}

@Test(arguments: StoreKind.allCases)
func whatAnEndpointHasPendingHoldsTheLogUnlessItIsGone(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        try store.apply(
            Sample.batch([
                Sample.row(1, 3, .pending), Sample.row(2, 8, .pending), Sample.row(2, 2, .dead),
                Sample.row(3, 1, .delivered),
            ]))
        #expect(try store.oldestPending() == 3)
        var state = EndpointState(endpoint: Sample.endpoint(1))
        state.condition = .disabled
        let cases: [(EndpointReason, UInt64)] = [
            (.operatorRequest, 3), (.gone, 8), (.attemptsFailed, 3), (.removed, 8),
            (.removedWhilePaused, 8), (.removedWhileDisabled, 8),
        ]
        for (reason, oldest) in cases {
            state.reason = reason
            try store.apply(Sample.batch([]) { $0.states = [state] })
            #expect(try store.oldestPending() == oldest)
        }
    }
}

@Test(arguments: StoreKind.allCases)
func oneEndpointsPendingRowsFallDueAtOnce(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        try store.begin([Sample.endpoint(1)], at: Sample.place(4), isDurable: true)
        try store.apply(
            Sample.batch([
                Sample.row(1, 1, .pending, due: 10), Sample.row(1, 2, .pending, due: 700),
                Sample.row(1, 3, .pending, due: 600), Sample.row(2, 2, .pending, due: 800), Sample.row(1, 4, .dead),
                // One that is for later is no retry; one that is written and waits for room is.
                Sample.row(1, 5, .pending, attempts: 0, due: 2000), Sample.row(1, 6, .pending, attempts: 0, due: 900),
                // Marks of a replay are no attempts.
                Sample.row(3, 7, .pending, attempts: AttemptCount.replayed, due: 2000),
                Sample.row(3, 8, .pending, attempts: AttemptCount.replayed | 1, due: 2000),
            ]))
        try store.expedite(Sample.endpoint(1), due: 50)
        let dues = { try store.pending(endpoint: Sample.endpoint($0), from: .first, limit: 9).map(\.dueMillis) }
        #expect(try dues(1) == [10, 50, 50, 50, 2000] && dues(2) == [800])
        try store.expedite(Sample.endpoint(3), due: 50)
        #expect(try dues(3) == [50, 2000])
        var failed = DeliveryQuery()
        (failed.endpoint, failed.failedOnly) = (Sample.endpoint(3), true)
        #expect(try store.rows(failed).rows.map(\.place.sequence) == [8])
        let lane = try store.lane(Sample.endpoint(1))
        #expect(lane.mark == Sample.place(4) && lane.state == nil)
        #expect(try store.lane(Sample.endpoint(2)).mark == nil)
    }
}

@Test(arguments: StoreKind.allCases)
func whatWaitsForItsFirstAttemptFallsDueSooner(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        try store.apply(
            Sample.batch([
                // A retry, one that is due already, two that are not, one of another endpoint.
                Sample.row(1, 1, .pending, attempts: 1, due: 9000), Sample.row(1, 2, .pending, attempts: 0, due: 2000),
                Sample.row(1, 3, .pending, attempts: 0, due: 6000), Sample.row(1, 4, .pending, attempts: 0, due: 9500),
                Sample.row(2, 2, .pending, attempts: 0, due: 9000),
            ]))
        try store.advance(Sample.endpoint(1), byMillis: 3000, nowMillis: 4000)
        let dues = { try store.pending(endpoint: Sample.endpoint($0), from: .first, limit: 9).map(\.dueMillis) }
        #expect(try dues(1) == [2000, 4000, 6500, 9000] && dues(2) == [9000])
    }
}

@Test(arguments: StoreKind.allCases)
func attemptsComeByEndpointAndNumberWithTheirAnswers(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        let long = String(repeating: "x", count: AttemptRow.answerBytesMax + 1)
        var late = Sample.attempt(2, 5, 2, ended: 30, answer: "busy")
        late.result = .connectFailed
        late.status = 0
        late.systemError = 111
        late.timing.connectMicros = 9
        try store.apply(
            Sample.batch([Sample.row(2, 5, .pending), Sample.row(1, 5, .dead), Sample.row(1, 6, .pending)]) {
                $0.attempts = [
                    late, Sample.attempt(2, 5, 1, ended: 20, answer: "busy"),
                    Sample.attempt(1, 5, 1, ended: 40, answer: long),
                    Sample.attempt(1, 6, 1, ended: 41, answer: "busy"),
                ]
            })
        let found = try store.attempts(sequence: 5)
        #expect(found.map(\.endpoint.number) == [1, 2, 2] && found.map(\.number) == [1, 1, 2])
        #expect(found[0].answer.count == AttemptRow.answerBytesMax && found[1].answer == Array("busy".utf8))
        #expect(found[2] == late)
        #expect(try store.attemptCounts(endpoint: Sample.endpoint(2), ended: 20..<31) == AttemptCounts(failed: 2))
        #expect(try store.attemptCounts(endpoint: Sample.endpoint(2), ended: 20..<30) == AttemptCounts(failed: 1))
        var success = Sample.attempt(3, 7, 1, ended: 20)
        success.status = 204
        try store.apply(Sample.batch([Sample.row(3, 7, .delivered)]) { $0.attempts = [success] })
        #expect(try store.attemptCounts(endpoint: Sample.endpoint(3), ended: 0..<100) == AttemptCounts(succeeded: 1))
        // An answer that several attempts share outlives the first of them.
        try store.forget([Sample.endpoint(2)])
        #expect(try store.attempts(sequence: 6).map(\.answer) == [Array("busy".utf8)])
    }
}

@Test(arguments: StoreKind.allCases)
func aClockThatWentBackMovesTheScheduleAlong(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        try store.rebase(now: 1000)
        var paused = EndpointState(endpoint: Sample.endpoint(1))
        paused.condition = .paused
        paused.untilMillis = 35_000
        var stopped = EndpointState(endpoint: Sample.endpoint(2))
        stopped.condition = .paused
        try store.apply(
            Sample.batch([Sample.row(1, 1, .pending, due: 65_000)]) { $0.states = [paused, stopped] })
        func look() throws -> [Int64] {
            try store.pending(endpoint: Sample.endpoint(1), from: .first, limit: 1).map(\.dueMillis)
                + store.snapshot().states.map(\.untilMillis)
        }
        // Written at 5000, so a minute and half a minute were left.
        try store.rebase(now: 2000)
        #expect(try look() == [62_000, 32_000, 0])
        try store.rebase(now: 900_000)
        #expect(try look() == [62_000, 32_000, 0])
    }
}

@Test(arguments: StoreKind.allCases)
func oldHistoryAndDeadLettersWithoutAnEventAreDropped(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        var rows = (1...50).map { Sample.row(1, UInt64($0), .delivered, updated: Int64($0)) }
        rows += [Sample.row(1, 51, .dead, updated: 1), Sample.row(1, 60, .dead, updated: 1)]
        rows.append(Sample.row(1, 61, .pending, due: 1, updated: 1))
        try store.apply(Sample.batch(rows) { $0.attempts = [Sample.attempt(1, 51, 1, ended: 1, answer: "no")] })
        while try store.prune(before: 51, oldest: 55, limit: 7).goesOn {}
        #expect(try Sample.everything(store).map(\.place.sequence) == [61, 60])
        #expect(try store.attempts(sequence: 51).isEmpty)
        try store.apply(Sample.batch([Sample.row(1, 62, .delivered, updated: 90)]))
        while try store.prune(before: 90, oldest: 61, limit: 7).goesOn {}
        #expect(try Sample.everything(store).map(\.place.sequence) == [62, 61])
    }
}

@Test(arguments: StoreKind.allCases)
func theStoreTellsWhatGoesWithoutAnOutcome(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        let known: [DeliveryState] = [.delivered, .pending, .dead, .dead]
        let rows = known.enumerated().map { Sample.row(2, UInt64($0 + 1), $1, due: 9, updated: 1) }
        #expect(try store.apply(Sample.batch(rows)).isEmpty)
        // 5 was never there; of two replays' rows only what was before them counts.
        let again = (1...5).filter { $0 != 4 }.map { Sample.row(2, UInt64($0), .pending, due: 10, updated: 2) }
        let replaced = try store.apply(
            Sample.batch(again + [Sample.row(2, 3, .delivered, updated: 3)]) {
                $0.replays = again.map(DeliveryKey.init)
            })
        #expect(replaced == [OpenDeliveries(endpoint: Sample.endpoint(2), pending: 1, dead: 1)])
        #expect(try store.counts(endpoint: Sample.endpoint(2)).dead == 1)
        let dropped = try store.prune(before: 0, oldest: 5, limit: 10).dropped
        #expect(dropped == [OpenDeliveries(endpoint: Sample.endpoint(2), dead: 1)])
        #expect(try store.prune(before: 0, oldest: 5, limit: 10).dropped.isEmpty)
    }
}

@Test(arguments: StoreKind.allCases)
func theHighestSequenceAndEndpointFit(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        let last = UInt64(Int64.max)
        let rows = [
            Sample.row(.max, last, .dead), Sample.row(.max, 2, .pending, due: -5), Sample.row(.max, 1, .delivered),
        ]
        try store.apply(Sample.batch(rows))
        #expect(try Sample.everything(store) == rows)
        #expect(try store.recorded(endpoint: Sample.endpoint(.max), from: 2) == [2, last])
        #expect(try store.recorded(endpoint: Sample.endpoint(.max), from: .max).allSatisfy { $0 == last })
        #expect(try store.rows(sequence: last) == [rows[0]])
    }
}

// MARK: - SQLite answers as the store in memory does

@Test(arguments: [StoreKind.sqlite, .tinySlices], [1, 2, 3] as [UInt64])
func everyListingAgreesWithTheStoreInMemory(_ kind: StoreKind, _ seed: UInt64) throws {
    let folder = TemporaryFolder()
    var store = try SQLiteStore(folder: folder.path, logIdentity: 7, limits: kind.limits)
    let model = MemoryStore()
    var random = SampleNumbers(seed)
    for round in 0..<12 {
        let batch = random.batch(round: round)
        try store.apply(batch)
        try model.apply(batch)
        if round == 6 {
            store.awaitBackground()
            store = try SQLiteStore(folder: folder.path, logIdentity: 7, limits: kind.limits)
        }
        guard round % 3 == 2 else { continue }
        for _ in 0..<25 {
            let query = random.query()
            let (found, wanted) = (try Sample.everything(store, query), try Sample.everything(model, query))
            try #require(found == wanted, "\(query)")
        }
        for number in 1...4 as ClosedRange<UInt32> {
            let endpoint = Sample.endpoint(number)
            let from = random.number(below: 60)
            let recorded = try model.recorded(endpoint: endpoint, from: from)
            #expect(try store.recorded(endpoint: endpoint, from: from) == recorded)
            #expect(try store.counts(endpoint: endpoint) == model.counts(endpoint: endpoint))
            for states in [Set(DeliveryState.allCases), [.delivered], [.dead, .pending]] {
                for limit in [1, 4, 1000] {
                    #expect(
                        try store.rows(endpoint: endpoint, states: states, from: from, limit: limit)
                            == model.rows(endpoint: endpoint, states: states, from: from, limit: limit))
                }
            }
        }
        for sequence in 1...60 as ClosedRange<UInt64> {
            #expect(try store.rows(sequence: sequence) == model.rows(sequence: sequence))
            #expect(try store.attempts(sequence: sequence) == model.attempts(sequence: sequence))
        }
        #expect(try store.snapshot().open == model.snapshot().open)
        #expect(try store.snapshot().sequenceFloor == model.snapshot().sequenceFloor)
        #expect(try store.oldestPending() == model.oldestPending())
    }
}

/// Batches and questions by chance.
private struct SampleNumbers {
    private var random: SeededRandom
    init(_ seed: UInt64) { random = SeededRandom(seed) }
    mutating func number(below count: UInt64) -> UInt64 { UInt64.random(in: 0..<count, using: &random) }

    /// Later rounds meet later events, and some of the earlier ones again, as retries and replays do.
    mutating func batch(round: Int) -> OutcomeBatch {
        var batch = OutcomeBatch()
        batch.nowMillis = Int64(round) * 100 + 100
        for _ in 0..<12 {
            let endpoint = UInt32(number(below: 4)) + 1
            let sequence = number(below: UInt64(round + 1) * 5) + 1
            let state = DeliveryState.allCases[Int(number(below: 3))]
            let updated = Int64(round) * 100 + Int64(batch.rows.count)
            let count = UInt16(number(below: 4))
            batch.rows.append(
                Sample.row(
                    endpoint, sequence, state, attempts: count, due: state == .pending ? Int64(number(below: 50)) : 0,
                    updated: updated))
            if count > 1 {
                let answer = ["", "busy", "gone"][Int(number(below: 3))]
                batch.attempts.append(
                    Sample.attempt(endpoint, sequence, UInt16(round) + 1, ended: updated, answer: answer))
            }
        }
        // One delivery ends once a batch, so that its attempts have one place to be.
        var seen: Set<[UInt64]> = []
        batch.rows = batch.rows.filter { seen.insert([$0.place.sequence, UInt64($0.endpoint.number)]).inserted }
        let ended = Set(batch.rows.map { [Int64($0.place.sequence), Int64($0.endpoint.number), $0.updatedMillis] })
        batch.attempts = batch.attempts.filter {
            ended.contains([Int64($0.sequence), Int64($0.endpoint.number), $0.endedMillis])
        }
        return batch
    }
    mutating func query() -> DeliveryQuery {
        var query = DeliveryQuery()
        if number(below: 2) == 0 { query.endpoint = Sample.endpoint(UInt32(number(below: 4)) + 1) }
        let states: [Set<DeliveryState>] = [
            [.delivered], [.pending], [.dead], [.pending, .dead], [.delivered, .dead], Set(DeliveryState.allCases),
        ]
        query.states = states[Int(number(below: 6))]
        query.failedOnly = number(below: 3) == 0
        if number(below: 4) == 0 { query.reason = number(below: 2) == 0 ? .retriesExhausted : .tooLarge }
        if number(below: 3) == 0 {
            let first = Int64(number(below: 1000))
            query.updated = first..<first + Int64(number(below: 600)) + 1
        }
        query.limit = [1, 2, 7, 100][Int(number(below: 4))]
        return query
    }
}
