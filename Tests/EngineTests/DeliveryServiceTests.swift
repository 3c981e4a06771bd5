// The service's life: its threads, its mailbox, its end. What flows through it is tested without threads elsewhere.

import Engine
import FastPath
import Foundation
import Logging
import Testing

private func service(_ log: FakeLog, _ store: any DeliveryStore) throws -> DeliveryService<FakeLog> {
    let orders = try #require(OutboundRequestRing(capacity: 64))
    let outcomes = try #require(OutcomeRing(capacity: 64))
    return try DeliveryService(
        DeliveryComponents(
            log: log, makeReader: { log }, store: store, orders: orders, outcomes: outcomes,
            answers: try AnswerMemory(roomCount: 64),
            logger: Logger(label: "delivery-test", factory: { _ in SwiftLogNoOpLogHandler() })),
        configuration: DeliveryConfiguration())
}
private func compiled(_ name: String, _ number: UInt32, disabled: Bool = true) throws -> CompiledEndpoint {
    let configuration = endpoint(name) {
        $0.url = "http://127.0.0.1:9000/\(number)"
        $0.disabled = disabled
    }
    return try compiled(configuration, id: EndpointID(number))
}

@Test func startsPublishesDrainsAndStops() throws {
    let log = FakeLog()
    let store = MemoryStore()
    let delivery = try service(log, store)
    let (a, b, c) = (try compiled("a", 1), try compiled("b", 2), try compiled("c", 3))
    try delivery.start([a, b], new: [a.id, b.id], sourceNames: [:])
    #expect(try delivery.statuses([b.id, c.id]).map(\.name) == ["b"])
    #expect(throws: DeliveryError.unknownEndpoint) { try delivery.perform(.enable, on: c.id) }
    var change = DeliveryChange()
    change.upserted = try delivery.prepare([b, c], new: [c.id])
    change.removed = [a.id]
    #expect(try store.lane(c.id).mark == log.committedEnd)
    delivery.publish(change)
    #expect(try delivery.statuses([a.id, b.id, c.id]).map(\.name) == ["b", "c"])
    try delivery.perform(.enable, on: c.id)
    let id = EventID(logIdentity: log.identity, sequence: 1)
    #expect(try delivery.replay(event: id, endpoints: [b.id]) == [.unknownEvent])
    #expect(try delivery.count(ReplayFilter()) == ReplayCount())
    #expect(try delivery.deliveries(DeliveryQuery()).records.isEmpty)
    #expect(try delivery.lowWater() == 1 && delivery.retentionLowWater == 1)
    #expect(delivery.drain(timeoutMillis: 10_000))
    delivery.stop()
    #expect(throws: DeliveryError.stopped) { try delivery.perform(.enable, on: b.id) }
    #expect(!delivery.drain(timeoutMillis: 1))
    #expect(try store.snapshot().shared == log.committedEnd)
}

@Test func deadLettersAreListedAndReplayedThroughTheService() throws {
    let log = FakeLog()
    log.append(count: 3, FakeEvent(source: "stripe", type: "invoice.paid"))
    let store = MemoryStore()
    // A start before: sequence 2 died there, the lane is past all three.
    let id = EndpointID(1)
    var batch = OutcomeBatch()
    batch.rows = [
        DeliveryRow(
            endpoint: id, place: log.place(2), state: .dead, attempts: 10, status: 500, result: .answered,
            reason: .retriesExhausted, dueMillis: 0, updatedMillis: 5)
    ]
    batch.shared = log.place(4)
    try store.apply(batch)
    let delivery = try service(log, store)
    try delivery.start([try compiled("a", 1, disabled: false)], new: [], sourceNames: [:])
    var query = DeliveryQuery()
    query.states = [.dead]
    let listed = try delivery.deliveries(query).records
    #expect(listed.map(\.eventID) == [EventID(logIdentity: log.identity, sequence: 2).text])
    #expect(listed[0].event?.type == "invoice.paid" && listed[0].row.reason == .retriesExhausted)
    var filterOfEvents = EventFilterOfDeliveries()
    filterOfEvents.type = "charge.*"
    #expect(try delivery.deliveries(query, events: filterOfEvents).records.isEmpty)
    var filter = ReplayFilter()
    filter.endpoints = [id]
    filter.types = ["invoice.*"]
    #expect(try delivery.count(filter).matched == 1)
    #expect(try delivery.replay(filter).accepted == 1)
    #expect(try delivery.count(filter).alreadyPending == 1)
    delivery.stop()
    #expect(try store.rows(sequence: 2).map(\.state) == [.pending])
}

@Test func anEndpointThatWasRemovedBeforeAStartIsPublishedWhereItStood() throws {
    let log = FakeLog()
    log.append(count: 3)
    let store = MemoryStore()
    var batch = OutcomeBatch()
    batch.shared = log.place(4)
    batch.marks = [LaneMark(endpoint: EndpointID(1), resume: log.place(2))]
    var state = EndpointState(endpoint: EndpointID(1))
    state.condition = .disabled
    state.reason = .removed
    batch.states = [state]
    try store.apply(batch)
    let delivery = try service(log, store)
    try delivery.start([], new: [], retired: [EndpointID(1)], sourceNames: [:])
    let back = try compiled("a", 1, disabled: true)
    var change = DeliveryChange()
    change.upserted = try delivery.prepare([back], new: [])
    delivery.publish(change)
    let status = try delivery.statuses([back.id])
    #expect(status.map(\.oldestOutstanding) == [2] && status[0].lagEvents == 2)
    #expect(status[0].state.reason == .configuration, "removed no more")
    #expect(try delivery.lowWater() == 2)
    delivery.stop()
}

@Test func anEndpointThatWasRemovedWhileNoProcessRanStandsWhereTheSharedMarkWas() throws {
    let log = FakeLog()
    log.append(count: 3)
    let store = MemoryStore()
    var batch = OutcomeBatch()
    batch.shared = log.place(2)
    batch.rows = [DeliveryRow(endpoint: EndpointID(1), place: log.place(1), state: .pending, attempts: 1)]
    try store.apply(batch)
    #expect(try store.oldestPending() == 1)
    let delivery = try service(log, store)
    let other = try compiled("b", 2)
    try delivery.start([other], new: [], retired: [EndpointID(1)], sourceNames: [:])
    #expect(try store.lane(EndpointID(1)).mark == log.place(2))
    #expect(try store.oldestPending() == nil, "it holds nothing back while it is away")
    let back = try compiled("a", 1)
    for _ in 0..<2 {
        var change = DeliveryChange()
        change.upserted = try delivery.prepare([back], new: [])
        delivery.publish(change)
        let status = try delivery.statuses([back.id])[0]
        #expect(status.oldestOutstanding == 2 && status.pending == 1)
        // And at once again, before the store has heard of it.
        change = DeliveryChange()
        change.removed = [back.id]
        delivery.publish(change)
    }
    #expect(delivery.drain(timeoutMillis: 10_000))
    delivery.stop()
    #expect(try store.lane(back.id).mark == log.place(2))
}

@Test func retentionDeletesNothingWhileTheStoreCannotSay() throws {
    final class Silent: DeliveryStore {
        struct Unreadable: Error {}
        func snapshot() throws -> DeliverySnapshot { DeliverySnapshot() }
        func begin(_ endpoints: [EndpointID], at place: EventLocation, isDurable: Bool) throws {}
        func lane(_ endpoint: EndpointID) throws -> (mark: EventLocation?, state: EndpointState?) { (nil, nil) }
        func makeDurable() throws {}
        func forget(_ endpoints: [EndpointID]) throws {}
        func apply(_ batch: OutcomeBatch) throws -> [OpenDeliveries] { [] }
        func expedite(_ endpoint: EndpointID, due: Int64) throws {}
        func advance(_ endpoint: EndpointID, byMillis millis: Int64, nowMillis: Int64) throws {}
        func cancel(
            _ keys: [DeliveryKey], reason: DeadLetterReason, nowMillis: Int64
        ) throws -> [DeliveryRow] { [] }
        func nextOpen(after endpoint: EndpointID, states: Set<DeliveryState>) throws -> EndpointID? { nil }
        func deadLetters(endpoint: EndpointID, lookedMax: Int) throws -> [DeadLetterGroup] { [] }
        func recorded(endpoint: EndpointID, from: UInt64) throws -> [UInt64] { [] }
        func pending(endpoint: EndpointID, _ load: RetryLoad, limit: Int) throws -> [DeliveryRow] { [] }
        func rows(_ query: DeliveryQuery) throws -> (rows: [DeliveryRow], next: DeliveryCursor?) { ([], nil) }
        func rows(
            endpoint: EndpointID, states: Set<DeliveryState>, from: UInt64, limit: Int
        ) throws -> [DeliveryRow] { [] }
        func rows(sequence: UInt64) throws -> [DeliveryRow] { [] }
        func attempts(sequence: UInt64) throws -> [AttemptRow] { [] }
        func attemptCounts(endpoint: EndpointID, ended: Range<Int64>) throws -> AttemptCounts { AttemptCounts() }
        func summaries(
            of endpoints: Set<EndpointID>, updated: Range<Int64>, each: () throws -> Void
        ) throws -> [EndpointID: DeliverySummary] { [:] }
        func counts(endpoint: EndpointID) throws -> OpenDeliveries { OpenDeliveries(endpoint: endpoint) }
        func tallies(_ endpoints: [EndpointID]) throws -> [EndpointTally] { [] }
        func attemptTallies(_ endpoints: [EndpointID]) throws -> [AttemptTally] { [] }
        func oldestPending() throws -> UInt64? { throw Unreadable() }
        func prune(before: Int64, oldest: UInt64, limit: Int) throws -> PruneResult { PruneResult(goesOn: false) }
        func rebase(now: Int64) throws {}
    }
    for (store, expected) in [(Silent(), UInt64(0)), (MemoryStore(), .max)] as [(any DeliveryStore, UInt64)] {
        let delivery = try service(FakeLog(), store)
        try delivery.start([], new: [], sourceNames: [:])
        #expect(delivery.retentionLowWater == expected)
        delivery.stop()
        #expect(delivery.retentionLowWater == 0)
    }
}
