// What repairs ask of every store: pending deliveries given up, the next endpoint with something open, dead letters
// counted; and how repairs themselves are kept.

import Engine
import FastPath
import TestSupport
import Testing

private typealias Sample = StoreSample

@Test(arguments: StoreKind.allCases)
func onlyWhatIsPendingIsCancelled(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        try store.apply(
            Sample.batch([
                Sample.row(1, 1, .pending, due: 9000), Sample.row(1, 2, .dead), Sample.row(1, 3, .delivered),
                Sample.row(2, 1, .pending, due: 9000),
            ]))
        let keys = [1, 2, 3, 4].map { DeliveryKey(sequence: $0, endpoint: EndpointID(1)) }
        let rows = try store.cancel(keys, reason: .cancelled, nowMillis: 7777)
        #expect(rows.map(\.place.sequence) == [1])
        #expect(rows[0].state == .dead && rows[0].reason == .cancelled && rows[0].updatedMillis == 7777)
        #expect(rows[0].status == 503 && rows[0].attempts == 3 && rows[0].dueMillis == 0)
        #expect(try store.rows(sequence: 1).map(\.state) == [.dead, .pending])
        #expect(try store.rows(sequence: 2).map(\.reason) == [.retriesExhausted])
        #expect(try store.rows(sequence: 3).map(\.state) == [.delivered])
        #expect(try store.pending(endpoint: EndpointID(1), from: .first, limit: 10).isEmpty)
        #expect(try store.cancel(keys, reason: .cancelled, nowMillis: 8888).isEmpty)
        #expect(try store.counts(endpoint: EndpointID(1)) == OpenDeliveries(endpoint: EndpointID(1), dead: 2))
    }
}

@Test(arguments: StoreKind.allCases)
func theNextEndpointWithSomethingOpenIsFound(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        #expect(try store.nextOpen(after: EndpointID(0), states: [.dead]) == nil)
        try store.apply(
            Sample.batch([
                Sample.row(2, 1, .pending), Sample.row(5, 1, .dead), Sample.row(5, 2, .pending),
                Sample.row(6, 1, .delivered), Sample.row(9, 3, .dead),
            ]))
        func all(_ states: Set<DeliveryState>) throws -> [UInt32] {
            var found: [UInt32] = []
            while let next = try store.nextOpen(after: EndpointID(found.last ?? 0), states: states) {
                found.append(next.number)
            }
            return found
        }
        #expect(try all([.dead]) == [5, 9])
        #expect(try all([.pending]) == [2, 5])
        #expect(try all([.pending, .dead]) == [2, 5, 9])
        #expect(try all([.delivered]).isEmpty && all([]).isEmpty)
    }
}

@Test(arguments: StoreKind.allCases)
func deadLettersAreCountedByWhatEndedThem(_ kind: StoreKind) throws {
    try withStore(kind) { store in
        var rows = (1...5).map { Sample.row(1, $0, .dead) }
        rows[1].status = 401
        rows[1].reason = .permanentAnswer
        rows[2].status = 502
        try store.apply(Sample.batch(rows + [Sample.row(2, 1, .dead), Sample.row(1, 9, .pending)]))
        let groups = try store.deadLetters(endpoint: EndpointID(1), lookedMax: 100)
        #expect(
            groups == [
                DeadLetterGroup(failureClass: .failure(.server), reason: .retriesExhausted, count: 4),
                DeadLetterGroup(failureClass: .failure(.authentication), reason: .permanentAnswer, count: 1),
            ])
        // The newest ones when there are more than are looked at.
        #expect(try store.deadLetters(endpoint: EndpointID(1), lookedMax: 3).map(\.count) == [3])
        #expect(try store.deadLetters(endpoint: EndpointID(3), lookedMax: 3).isEmpty)
    }
}

@Test func repairsAreKeptAndFoundByTheirTenant() throws {
    let folder = TemporaryFolder()
    let store = try SQLiteStore(folder: folder.path, logIdentity: 7)
    func make(_ tenant: UInt32?, at millis: Int64 = 1000) throws -> Repair {
        var order = RepairOrder(.forward)
        (order.tenant, order.endpoint, order.destination, order.end) = (tenant, 1, 2, .max)
        (order.receivedFrom, order.statusFirst, order.type) = (.max, 503, "a.*")
        return try store.keep(Repair(order, nowMillis: millis))
    }
    let all = try [make(1), make(2), make(nil), make(1)]
    #expect(try store.repair(all[0].id) == all[0] && store.repair("rpr_0") == nil)
    #expect(try store.repairs(tenant: 1, before: nil, limit: 9).map(\.id) == [all[3].id, all[0].id])
    #expect(try store.repairs(tenant: nil, before: nil, limit: 2).map(\.id) == [all[3].id, all[2].id])
    #expect(try store.repairs(tenant: nil, before: all[2].number, limit: 9).map(\.id) == [all[1].id, all[0].id])
    var ended = all[0]
    (ended.state, ended.progress.done, ended.note) = (.failed, 3, "why")
    #expect(try store.update(ended, isDurable: true))
    #expect(try store.repair(ended.id) == ended)
    ended.state = .finished
    #expect(try !store.update(ended, isDurable: false), "what is over stays as it ended")
    #expect(try store.runningRepairs().map(\.id) == [all[1].id, all[2].id, all[3].id])
    // Another log's are another's.
    let other = try SQLiteStore(database: store.database, logIdentity: 8)
    #expect(try other.repair(all[0].id) == nil && other.runningRepairs().isEmpty)
    // Old ones that are over go with the next one that is made.
    _ = try make(1, at: 1000 + 91 * 86_400_000)
    #expect(try store.repair(ended.id) == nil && store.repair(all[3].id) != nil, "one that runs stays")
}
