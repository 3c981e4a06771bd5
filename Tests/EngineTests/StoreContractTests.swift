// What every store must do, run over the fake that the dispatcher's tests use and over SQLite. If the two differed,
// those tests would prove nothing.

import Engine
import FastPath
import Foundation
import Testing

enum StoreKind: CaseIterable, Sendable { case memory, sqlite }

/// A folder of its own for each test, gone behind it.
final class TemporaryFolder {
    let url = FileManager.default.temporaryDirectory.appending(path: "sluice-store-\(UUID().uuidString)")
    init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: url) }
    var database: String { url.appending(path: "deliveries.sqlite").path }
}

private func withStore(_ kind: StoreKind, _ body: (any DeliveryStore) throws -> Void) throws {
    switch kind {
    case .memory: try body(MemoryStore())
    case .sqlite:
        let folder = try TemporaryFolder()
        try body(try SQLiteStore(path: folder.database))
        withExtendedLifetime(folder) {}
    }
}

private func place(_ sequence: UInt64) -> EventPlace { EventPlace(sequence: sequence, position: .max - sequence) }
private func row(
    _ endpoint: Int, _ sequence: UInt64, _ state: DeliveryState, due: Int64 = 0, updated: Int64 = 1000
) -> DeliveryRow {
    DeliveryRow(
        endpoint: endpoint, place: place(sequence), state: state, attempts: 3, status: 503, result: .answered,
        reason: state == .dead ? .retriesExhausted : nil, dueMillis: due, updatedMillis: updated)
}
private func batch(_ rows: [DeliveryRow], change: (inout OutcomeBatch) -> Void = { _ in }) -> OutcomeBatch {
    var batch = OutcomeBatch()
    batch.rows = rows
    batch.nowMillis = 5000
    change(&batch)
    return batch
}

@Test(arguments: StoreKind.allCases)
func registersNamesOnceAndMarksTheRest(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        #expect(try store.endpoints().isEmpty)
        let first = try store.register(["a", "b"], start: place(7))
        #expect(first.map(\.name) == ["a", "b"] && first.map(\.resume) == [place(7), place(7)])
        #expect(Set(first.map(\.number)).count == 2)
        let second = try store.register(["b", "c"], start: place(9))
        #expect(second.map(\.name) == ["a", "b", "c"] && second.map(\.isRemoved) == [true, false, false])
        #expect(second.map(\.resume.sequence) == [7, 7, 9])
        #expect(try store.register(["a"], start: place(11)).map(\.isRemoved) == [false, true, true])
        #expect(try store.endpoints().map(\.resume.sequence) == [7, 7, 9])
    }
}

@Test(arguments: StoreKind.allCases)
func writesRowsMarksAndSwitchesTogether(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        let numbers = try store.register(["a", "b"], start: place(1)).map(\.number)
        try store.apply(
            batch([row(numbers[0], 1, .delivered), row(numbers[0], 2, .pending, due: 9000), row(numbers[1], 1, .dead)])
            {
                $0.marks = [LaneMark(endpoint: numbers[0], resume: place(3))]
                $0.switches = [EndpointSwitch(endpoint: numbers[1], stop: .gone)]
            })
        let endpoints = try store.endpoints()
        #expect(endpoints[0].resume == place(3) && endpoints[1].resume == place(1))
        #expect(endpoints[1].stop == .gone && endpoints[1].stoppedMillis == 5000)
        var all = DeliveryQuery(endpoint: numbers[0], states: DeliveryState.allCases)
        #expect(try store.rows(all) == [row(numbers[0], 1, .delivered), row(numbers[0], 2, .pending, due: 9000)])
        all.from = 2
        #expect(try store.rows(all).map(\.place.sequence) == [2])
        all.through = 1
        #expect(try store.rows(all).isEmpty)
        #expect(try store.rows(sequence: 1).map(\.endpoint) == numbers)
        #expect(try store.rows(DeliveryQuery(endpoint: numbers[1], states: [.dead])) == [row(numbers[1], 1, .dead)])
        try store.apply(batch([row(numbers[0], 2, .delivered)]) { $0.isDurable = true })
        #expect(try store.counts(endpoint: numbers[0]) == DeliveryCounts())
        try store.apply(batch([]) { $0.switches = [EndpointSwitch(endpoint: numbers[1], stop: nil)] })
        #expect(try store.endpoints()[1].stop == nil)
    }
}

@Test(arguments: StoreKind.allCases)
func keepsTheHighestSequenceAndEveryState(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        let number = try store.register(["a"], start: place(1))[0].number
        let last = DeliveryQuery.sequenceMax
        let rows = [row(number, 1, .delivered), row(number, 2, .pending, due: -5), row(number, last, .dead)]
        try store.apply(batch(rows))
        #expect(try store.rows(DeliveryQuery(endpoint: number, states: DeliveryState.allCases)) == rows)
        #expect(try store.recorded(endpoint: number, from: 2) == [2, last])
        #expect(try store.recorded(endpoint: number + 1, from: 0).isEmpty)
    }
}

@Test(arguments: StoreKind.allCases)
func pendingRowsComeByDueTimeAndPage(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        let numbers = try store.register(["a", "b"], start: place(1)).map(\.number)
        let dues: [Int64] = [500, 100, 300, 100, 900]
        var rows = dues.enumerated().map { row(numbers[0], UInt64($0.offset + 1), .pending, due: $0.element) }
        rows += [row(numbers[0], 6, .dead), row(numbers[0], 7, .delivered), row(numbers[1], 8, .pending, due: 1)]
        try store.apply(batch(rows))
        func sequences(_ from: RetryKey, _ limit: Int) throws -> [UInt64] {
            try store.pending(endpoint: numbers[0], from: from, limit: limit).map(\.place.sequence)
        }
        #expect(try sequences(.first, 10) == [2, 4, 3, 1, 5])
        #expect(try sequences(.first, 2) == [2, 4])
        #expect(try sequences(RetryKey(dueMillis: 100, sequence: 3), 10) == [4, 3, 1, 5])
        #expect(try sequences(RetryKey(dueMillis: 100, sequence: 5), 2) == [3, 1])
        #expect(try store.oldestPending() == 1)
        #expect(try store.counts(endpoint: numbers[0]).pending == 5)
        _ = try store.register(["b"], start: place(1))
        #expect(try store.oldestPending() == 8)
    }
}

@Test(arguments: StoreKind.allCases)
func prunesOldHistoryAndDeadLettersWithoutAnEvent(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        let number = try store.register(["a"], start: place(1))[0].number
        var rows = (1...50).map { row(number, UInt64($0), .delivered, updated: Int64($0)) }
        rows += [row(number, 51, .dead, updated: 1), row(number, 60, .dead, updated: 1)]
        rows.append(row(number, 61, .pending, due: 1, updated: 1))
        try store.apply(batch(rows))
        var rounds = 0
        while try store.prune(before: 31, oldest: 55, limit: 7) { rounds += 1 }
        #expect(rounds < 20)
        let left = try store.rows(DeliveryQuery(endpoint: number, states: DeliveryState.allCases)).map(\.place.sequence)
        #expect(left == Array(31...50) + [60, 61])
        // And from the start again.
        while try store.prune(before: 41, oldest: 61, limit: 1000) {}
        #expect(try store.rows(DeliveryQuery(endpoint: number, states: DeliveryState.allCases)).count == 11)
    }
}

@Test(arguments: StoreKind.allCases)
func aClockThatWentBackMovesTheDueTimesAlong(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        let number = try store.register(["a"], start: place(1))[0].number
        try store.rebase(now: 1000)
        try store.apply(batch([row(number, 1, .pending, due: 65_000)]))
        // Written at 5000, so a minute was left.
        try store.rebase(now: 2000)
        #expect(try store.pending(endpoint: number, from: .first, limit: 1).map(\.dueMillis) == [62_000])
        try store.rebase(now: 900_000)
        #expect(try store.pending(endpoint: number, from: .first, limit: 1).map(\.dueMillis) == [62_000])
    }
}

@Test func sqliteKeepsEverythingOverAReopen() throws {
    let folder = try TemporaryFolder()
    var number = 0
    do {
        let store = try SQLiteStore(path: folder.database)
        number = try store.register(["a"], start: place(4))[0].number
        try store.apply(
            batch([row(number, 4, .pending, due: 77)]) { $0.marks = [LaneMark(endpoint: number, resume: place(5))] })
    }
    let store = try SQLiteStore(path: folder.database)
    #expect(try store.endpoints().map(\.resume) == [place(5)])
    #expect(try store.pending(endpoint: number, from: .first, limit: 9) == [row(number, 4, .pending, due: 77)])
}

@Test func theDispatcherRunsOnSQLite() throws {
    let folder = try TemporaryFolder()
    let bench = try Bench(store: try SQLiteStore(path: folder.database))
    try bench.apply([endpoint("a"), endpoint("b")])
    for _ in 0..<500 { bench.log.append(FakeEvent()) }
    for _ in 0..<80 {
        bench.settle()
        while let sent = bench.egress.out.first { bench.egress.answer(0, status: sent.sequence % 7 == 0 ? 500 : 200) }
        bench.advance(millis: 10)
    }
    bench.advance(millis: 2000)
    #expect(try bench.store.counts(endpoint: bench.numbers["a"]!).pending == 71)
    #expect(try bench.store.endpoints().map(\.resume.sequence) == [501, 501])
    bench.advance(millis: 5000)
    for _ in 0..<20 {
        bench.egress.answerAll()
        bench.advance(millis: 100)
    }
    #expect(try bench.rows("b").count { $0.state == .delivered } == 500)
}
