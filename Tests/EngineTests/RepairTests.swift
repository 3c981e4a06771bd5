// Repairs: what each takes and does, at which pace, in what order of endpoints, over an end of the process; and the
// classes by which failures are told apart.

import Engine
import FastPath
import Foundation
import GRDB
import Logging
import Synchronization
import TestSupport
import Testing

@Suite struct RepairTests {
    private let quiet = Logger(label: "repair-test", factory: { _ in SwiftLogNoOpLogHandler() })

    /// A store with dead letters and pending deliveries of the endpoints 1 to 3, whose lanes have all behind them.
    private final class Yard: @unchecked Sendable {
        let log = FakeLog()
        let store: SQLiteStore
        let delivery: DeliveryService<FakeLog>
        let ended = Mutex<[Repair]>([])
        var endpoints: [EndpointID: EndpointSpec] = [:]

        init(_ folder: TemporaryFolder, rows: [DeliveryRow], events: Int = 40, logger: Logger) throws {
            log.append(count: events)
            store = try SQLiteStore(folder: folder.path, logIdentity: log.identity)
            var batch = OutcomeBatch()
            batch.rows = rows
            batch.shared = log.committedEnd
            try store.apply(batch)
            let (log, store) = (log, store)
            delivery = try DeliveryService(
                DeliveryComponents(
                    log: log, makeReader: { log }, store: store,
                    orders: try #require(OutboundRequestRing(capacity: 256)),
                    outcomes: try #require(OutcomeRing(capacity: 256)), answers: try AnswerMemory(roomCount: 256),
                    logger: logger), configuration: DeliveryConfiguration())
            let all = try (1...3).map { number in
                try compiled(
                    endpoint("e\(number)") { $0.url = "http://127.0.0.1:9000/\(number)" },
                    id: EndpointID(UInt32(number)))
            }
            try delivery.start(all, new: [], sourceNames: [:])
            for one in all {
                endpoints[one.id] = EndpointSpec(
                    id: one.id, publicID: PublicID.make(.endpoint), tenant: .main, origin: .api, revision: 1,
                    createdMillis: 0, settings: one.configuration, sourceIDs: [])
            }
        }
        func service(logger: Logger) -> RepairService<FakeLog> {
            let endpoints = endpoints
            return RepairService(
                delivery: delivery, ledger: store,
                surroundings: RepairSurroundings(
                    endpoint: { endpoints[$0] }, numbers: { _ in endpoints.keys.map(\.number).sorted() },
                    expunged: nil, ended: { [self] repair in ended.withLock { $0.append(repair) } }),
                logger: logger)
        }
        func states(_ endpoint: UInt32) throws -> [DeliveryState] {
            try store.rows(
                endpoint: EndpointID(endpoint), states: Set(DeliveryState.allCases), from: 0, limit: 1000
            ).map(\.state)
        }
    }
    private func row(
        _ endpoint: UInt32, _ sequence: UInt64, _ state: DeliveryState = .dead, status: UInt16 = 503,
        reason: DeadLetterReason? = .retriesExhausted, updated: Int64 = 1000
    ) -> DeliveryRow {
        DeliveryRow(
            endpoint: EndpointID(endpoint), place: EventLocation(sequence: sequence, position: sequence * 4096),
            state: state, attempts: 3, status: status, result: .answered, reason: state == .dead ? reason : nil,
            dueMillis: state == .pending ? .max / 2_000_000 : 0, updatedMillis: updated)
    }
    private func awaitEnd(_ repair: Repair, _ yard: Yard) throws -> Repair {
        let end = Date(timeIntervalSinceNow: 30)
        while Date() < end {
            let now = try #require(try yard.store.repair(repair.id))
            if now.state != .running { return now }
            Thread.sleep(forTimeInterval: 0.005)
        }
        Issue.record("the repair does not end: \(try yard.store.repair(repair.id) as Any)")
        return repair
    }
    private func with(
        _ rows: [DeliveryRow], _ body: (Yard, RepairService<FakeLog>) throws -> Void
    ) throws {
        let folder = TemporaryFolder()
        let yard = try Yard(folder, rows: rows, logger: quiet)
        let service = yard.service(logger: quiet)
        try service.start()
        defer {
            service.stop()
            yard.delivery.stop()
        }
        try body(yard, service)
        withExtendedLifetime(folder) {}
    }
    private func run(
        _ action: RepairAction, _ yard: Yard, _ service: RepairService<FakeLog>,
        _ change: (inout RepairOrder) -> Void = { _ in }
    ) throws -> Repair {
        var order = RepairOrder(action)
        order.isDry = false
        order.tenant = TenantID.main.number
        change(&order)
        return try awaitEnd(try service.begin(order), yard)
    }

    @Test func aCountChangesNothingAndTheRetryTakesWhatWasCounted() throws {
        let delivered = row(3, 5, .delivered, updated: 4_000_000_000_000)
        try with([row(1, 1), row(1, 2), row(1, 3, .pending), row(2, 4), delivered]) { yard, service in
            let counted = try run(.retry, yard, service) { $0.isDry = true }
            #expect(counted.state == .finished && counted.progress.matched == 3 && counted.progress.done == 0)
            #expect(counted.progress.busy == 1)
            #expect(try yard.states(1) == [.dead, .dead, .pending])
            let done = try run(.retry, yard, service)
            #expect(done.state == .finished && done.progress.done == 3 && done.progress.matched == 3)
            #expect(try yard.states(1) == [.pending, .pending, .pending] && yard.states(2) == [.pending])
            #expect(try yard.states(3) == [.delivered])
            #expect(yard.ended.withLock { $0.map(\.id) } == [counted.id, done.id])
        }
    }
    @Test func eachFilterTakesItsOwn() throws {
        let rows = [
            row(1, 1, status: 401, reason: .permanentAnswer), row(1, 2, status: 503, updated: 5000),
            row(2, 3, status: 422, reason: .permanentAnswer), row(2, 4, status: 0, reason: .tooLarge),
        ]
        let cases: [((inout RepairOrder) -> Void, Int)] = [
            ({ $0.endpoint = 1 }, 2), ({ $0.failureClass = "authentication" }, 1), ({ $0.failureClass = "local" }, 1),
            ({ $0.reason = "permanent_answer" }, 2), ({ ($0.statusFirst, $0.statusLast) = (400, 499) }, 2),
            ({ $0.failedFrom = 5000 }, 1), ({ $0.failedUntil = 5000 }, 3), ({ $0.type = "pu*" }, 4),
            ({ $0.type = "pull" }, 0), ({ $0.source = "github" }, 4), ({ $0.source = "stripe" }, 0),
            // Event n arrived in second n.
            ({ $0.receivedFrom = 3_000_000_000 }, 2), ({ $0.receivedUntil = 2_000_000_000 }, 1),
            ({ $0.endpoint = 3 }, 0), ({ $0.tenant = 77 }, 0),
            ({ ($0.endpoint, $0.sequences) = (1, [2, 3, 9]) }, 1), ({ ($0.endpoint, $0.sequences) = (1, [1, 2]) }, 2),
            // Anybody may have made up any.
            ({ ($0.endpoint, $0.sequences) = (1, [2, .max - 1, .max]) }, 1),
            ({ ($0.endpoint, $0.sequences) = (1, [.max]) }, 0),
        ]
        try with(rows) { yard, service in
            for (index, (change, count)) in cases.enumerated() {
                let counted = try run(.retry, yard, service) {
                    $0.isDry = true
                    change(&$0)
                }
                #expect(counted.progress.matched == count, "case \(index)")
            }
        }
    }
    @Test func aWalkEndsAtTheLastPlaceThereCanBe() throws {
        let bench = try Bench.sending(1)
        for sequences in [[1, .max - 1], [1, .max - 1, .max], [.max]] as [[UInt64]] {
            var filter = ReplayFilter()
            filter.sequences = sequences
            var walk = ReplayWalk(
                filter, endpoint: bench.id("a"), tenant: .main, store: bench.store, log: bench.log)
            var pages = 0
            while try walk.next() != nil { pages += 1 }
            #expect(pages == 1)
        }
    }
    @Test func whatWaitsIsCancelledAndNothingElse() throws {
        try with([row(1, 1), row(1, 2, .pending), row(1, 3, .pending), row(2, 4, .pending)]) { yard, service in
            var order = RepairOrder(.cancel)
            order.tenant = TenantID.main.number
            let counted = try awaitEnd(try service.begin(order), yard)
            #expect(counted.progress.matched == 3 && counted.progress.done == 0)
            (order.isDry, order.endpoint) = (false, 1)
            let done = try awaitEnd(try service.begin(order), yard)
            #expect(done.id != counted.id && done.progress.done == 2, "\(done)")
            #expect(try yard.states(1) == [.dead, .dead, .dead] && yard.states(2) == [.pending])
            #expect(try yard.store.deadLetters(endpoint: EndpointID(1), lookedMax: 10).map(\.count) == [2, 1])
        }
    }
    @Test func deadLettersGoToAnotherEndpoint() throws {
        try with([row(1, 1), row(1, 2), row(2, 2, .delivered), row(2, 3)]) { yard, service in
            let done = try run(.forward, yard, service) {
                $0.endpoint = 1
                $0.destination = 3
            }
            #expect(done.state == .finished && done.progress.done == 2)
            #expect(try yard.states(1) == [.dead, .dead] && yard.states(3) == [.pending, .pending])
            // Of all endpoints but the one that they go to; what waits there is not sent twice.
            let more = try run(.forward, yard, service) { $0.destination = 3 }
            #expect(more.progress.done == 1 && more.progress.busy == 2)
            #expect(try yard.states(3) == [.pending, .pending, .pending])
        }
    }
    @Test func aDisabledEndpointEndsIt() throws {
        try with([row(1, 1), row(2, 2)]) { yard, service in
            try yard.delivery.perform(.disable, on: EndpointID(1))
            let alone = try run(.retry, yard, service) { $0.endpoint = 1 }
            #expect(alone.state == .failed && alone.note == "`e1` is disabled")
            let all = try run(.retry, yard, service)
            #expect(all.state == .finished && all.progress.done == 1 && all.progress.stopped == 1)
            #expect(try yard.states(1) == [.dead] && yard.states(2) == [.pending])
            let there = try run(.forward, yard, service) { ($0.endpoint, $0.destination) = (2, 1) }
            #expect(there.state == .finished, "nothing is dead at 2 any more")
        }
    }
    @Test func aSlowOneKeepsItsPaceAndIsCancelled() throws {
        try with((1...30).map { row(1, $0) } + [row(2, 31)]) { yard, service in
            var order = RepairOrder(.retry)
            (order.isDry, order.endpoint, order.perSecond) = (false, 1, 2)
            let slow = try service.begin(order)
            // It holds up no other.
            #expect(try run(.retry, yard, service) { $0.endpoint = 2 }.progress.done == 1)
            let end = Date(timeIntervalSinceNow: 20)
            while try yard.store.repair(slow.id)?.progress.done ?? 0 < 2, Date() < end {
                Thread.sleep(forTimeInterval: 0.01)
            }
            let now = try #require(try yard.store.repair(slow.id))
            #expect(now.state == .running && now.progress.done < 30)
            #expect(try service.cancel(now))
            #expect(try !service.cancel(now), "over is over")
            let ended = try #require(try yard.store.repair(slow.id))
            #expect(ended.state == .cancelled)
            #expect(try yard.states(1).contains(.dead))
        }
    }
    @Test func whatOneProcessBeganTheNextOneEnds() throws {
        let folder = TemporaryFolder()
        let yard = try Yard(folder, rows: (1...30).map { row(1, $0) }, logger: quiet)
        defer { yard.delivery.stop() }
        let first = yard.service(logger: quiet)
        try first.start()
        var order = RepairOrder(.retry)
        (order.isDry, order.perSecond) = (false, 5)
        let begun = try first.begin(order)
        let end = Date(timeIntervalSinceNow: 20)
        while try yard.store.repair(begun.id)?.progress.done ?? 0 < 1, Date() < end {
            Thread.sleep(forTimeInterval: 0.01)
        }
        first.stop()
        let left = try #require(try yard.store.repair(begun.id))
        #expect(left.state == .running && (1..<30).contains(left.progress.done))
        #expect(throws: RepairError.stopped) { try first.begin(order) }
        // As quick as may be from here on.
        var quick = left
        quick.order.perSecond = 5000
        try yard.store.writer.write { db in
            try db.execute(
                sql: "UPDATE repair SET task = replace(task, '\"perSecond\":5', '\"perSecond\":5000')")
        }
        let second = yard.service(logger: quiet)
        try second.start()
        defer { second.stop() }
        let done = try awaitEnd(left, yard)
        #expect(done.state == .finished && done.progress.done == 30 && done.order == quick.order)
        #expect(try yard.states(1).allSatisfy { $0 == .pending })
    }
    @Test func soManyAndNoMore() throws {
        try with((1...20).map { row(1, $0) }) { yard, service in
            var order = RepairOrder(.retry)
            (order.isDry, order.perSecond, order.tenant) = (false, 1, 1)
            for _ in 0..<RepairService<FakeLog>.tenantRunningMax { _ = try service.begin(order) }
            #expect(throws: RepairError.tooMany(RepairService<FakeLog>.tenantRunningMax)) { try service.begin(order) }
            order.tenant = 2
            _ = try service.begin(order)
            let running = try yard.store.runningRepairs().filter { $0.order.tenant == 1 }
            #expect(running.count <= RepairService<FakeLog>.tenantRunningMax)
            for repair in running { _ = try service.cancel(repair) }
            order.tenant = 1
            _ = try service.begin(order)
        }
    }
    @Test func endpointsOfATenantAreFoundWithoutTheOthers() throws {
        let store = MemoryStore()
        var batch = OutcomeBatch()
        batch.rows = [3, 7, 8, 500, 90_000].map { row($0, 1) } + [row(9, 1, .pending), row(10, 1, .delivered)]
        try store.apply(batch)
        let dead = OpenEndpoints(store: store, states: [.dead])
        func all(_ open: OpenEndpoints, _ numbers: [UInt32]?) throws -> [UInt32] {
            var found: [UInt32] = []
            while let next = try open.next(from: (found.last ?? 0) + 1, among: numbers) { found.append(next.number) }
            return found
        }
        #expect(try all(dead, nil) == [3, 7, 8, 500, 90_000])
        #expect(try all(dead, [1, 2, 8, 9, 500, 600]) == [8, 500])
        #expect(try all(dead, []).isEmpty && all(dead, [1, 100_000]).isEmpty)
        #expect(try all(OpenEndpoints(store: store, states: [.pending]), nil) == [9])
    }

    // MARK: classes

    @Test func everyFailureHasItsClass() {
        let failed = row(1, 1, status: 401, reason: .permanentAnswer)
        #expect(DeadLetterClass(failed) == .failure(.authentication))
        for kind in DeadLetterClass.allCases { #expect(DeadLetterClass(rawValue: kind.rawValue) == kind) }
        #expect(DeadLetterClass.names.count == FailureClass.allCases.count + 1)
        for reason in DeadLetterReason.allCases {
            let isOurs = [.tooLarge, .eventMissing, .endpointDisabled, .cancelled, .transformationFailed, .erased]
                .contains(reason)
            #expect((DeadLetterClass(row(1, 1, status: 401, reason: reason)) == .local) == isOurs, "\(reason)")
        }
        #expect(Set(DeadLetterReason.allCases.map(\.rawValue)).count == DeadLetterReason.allCases.count)
        #expect(DeadLetterReason.allCases.allSatisfy { Int($0.rawValue) < DeadLetterReason.placeCount })
    }
}
