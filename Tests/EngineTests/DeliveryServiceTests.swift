// The service's life: its threads, its mailbox, its end. What flows through it is tested without threads elsewhere.

import Engine
import FastPath
import Foundation
import Logging
import Testing

private func service(_ log: FakeLog, _ store: any DeliveryStore) throws -> DeliveryService<FakeLog> {
    let orders = try #require(DeliveryOrderRing(capacity: 64))
    let outcomes = try #require(DeliveryOutcomeRing(capacity: 64))
    return try DeliveryService(
        DeliveryParts(
            log: log, makeReader: { log }, store: store, orders: orders, outcomes: outcomes,
            logger: Logger(label: "delivery-test", factory: { _ in SwiftLogNoOpLogHandler() })),
        configuration: DeliveryConfiguration())
}
private func plan(_ name: String, _ index: UInt32, disabled: Bool = true) -> EndpointPlan {
    EndpointPlan(configuration: endpoint(name) { $0.disabled = disabled }, egressIndex: index)
}

@Test func startsReloadsDrainsAndStops() throws {
    let log = FakeLog()
    let store = MemoryStore()
    let delivery = try service(log, store)
    try delivery.start([plan("a", 0), plan("b", 1)])
    #expect(try delivery.number(of: "b") == 2)
    #expect(throws: DeliveryError.unknownEndpoint("c")) { try delivery.enable(endpoint: "c") }
    try delivery.reload([plan("b", 0), plan("c", 1)])
    #expect(Set(delivery.endpointNumbers.keys) == ["b", "c"])
    #expect(try store.endpoints().map(\.isRemoved) == [true, false, false])
    try delivery.enable(endpoint: "c")
    let id = EventID(logIdentity: log.identity, sequence: 1)
    #expect(try delivery.replay(event: id, endpoint: "b") == .unknownEvent)
    #expect(try delivery.count(ReplayFilter()) == ReplayCount())
    #expect(try delivery.deadLetters(endpoint: "b").isEmpty)
    #expect(try delivery.lowWater() == 1 && delivery.retentionLowWater == 1)
    #expect(delivery.drain(timeoutMillis: 10_000))
    delivery.stop()
    #expect(throws: DeliveryError.stopped) { try delivery.reload([]) }
    #expect(!delivery.drain(timeoutMillis: 1))
}

@Test func deadLettersAreListedAndReplayedThroughTheService() throws {
    let log = FakeLog()
    for _ in 0..<3 { log.append(FakeEvent(source: "stripe", type: "invoice.paid")) }
    let store = MemoryStore()
    // A start before: sequence 2 died there, the lane is past all three.
    let bench = try Bench(log: log, store: store)
    try bench.apply([endpoint("a")])
    let number = try #require(bench.numbers["a"])
    var batch = OutcomeBatch()
    batch.rows = [
        DeliveryRow(
            endpoint: number, place: log.place(2), state: .dead, attempts: 10, status: 500, result: .answered,
            reason: .retriesExhausted, dueMillis: 0, updatedMillis: 5)
    ]
    batch.marks = [LaneMark(endpoint: number, resume: log.place(4))]
    try store.apply(batch)
    let delivery = try service(log, store)
    try delivery.start([plan("a", 0, disabled: false)])
    let listed = try delivery.deadLetters(endpoint: "a")
    #expect(listed.map(\.eventID) == [EventID(logIdentity: log.identity, sequence: 2).text])
    #expect(
        listed[0].event?.type == "invoice.paid" && listed[0].reason == .retriesExhausted && listed[0].attempts == 10)
    var filter = ReplayFilter()
    filter.types = ["invoice.*"]
    #expect(try delivery.count(filter).matched == 1)
    #expect(try delivery.replay(filter).accepted == 1)
    delivery.stop()
    #expect(try store.rows(sequence: 2).map(\.state) == [.pending])
}

@Test func retentionDeletesNothingWhileTheStoreCannotSay() throws {
    final class Silent: DeliveryStore {
        struct Unreadable: Error {}
        func endpoints() throws -> [StoredEndpoint] { throw Unreadable() }
        func register(_ names: [String], start: EventPlace) throws -> [StoredEndpoint] { [] }
        func apply(_ batch: OutcomeBatch) throws {}
        func recorded(endpoint: Int, from: UInt64) throws -> [UInt64] { [] }
        func pending(endpoint: Int, from: RetryKey, limit: Int) throws -> [DeliveryRow] { [] }
        func rows(_ query: DeliveryQuery) throws -> [DeliveryRow] { [] }
        func rows(sequence: UInt64) throws -> [DeliveryRow] { [] }
        func counts(endpoint: Int) throws -> DeliveryCounts { DeliveryCounts() }
        func oldestPending() throws -> UInt64? { nil }
        func prune(before: Int64, oldest: UInt64, limit: Int) throws -> Bool { false }
        func rebase(now: Int64) throws {}
    }
    #expect(try service(FakeLog(), Silent()).retentionLowWater == 0)
    #expect(try service(FakeLog(), MemoryStore()).retentionLowWater == .max)
}
