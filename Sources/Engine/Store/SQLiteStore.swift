// Delivery state in SQLite, through GRDB: open deliveries, marks and states in store.sqlite, finished ones in slices of
// history beside it.
//
// Durability: outcomes are written with synchronous = NORMAL, so a power cut may take back the last transactions of
// each file, whole and in order. What they said is then met again: the marks are older too, and events are delivered a
// second time, never lost (at least once). History may then miss rows of deliveries that are done, or have some that
// are not, which are sent again. Before the log removes a segment it asks for `makeDurable`, so no cut takes back that
// its events were delivered or are dead. What an operator was told is kept (a replay, an endpoint switched on, a new
// endpoint's mark) is written with FULL.
//
// One process has a folder open, and in it one store: the data folder's lock sees to that.

import FastPath
import GRDB
import Logging
import Synchronization

package final class SQLiteStore: DeliveryStore {
    package let database: StoreDatabase
    private let identity: UInt64
    private let open: OpenTable
    private let history: HistorySlices
    private let reader: DeliveryReader
    /// Batches that wrote history, as store.sqlite has it; the writing thread's.
    private let batchNumber: Mutex<Int64>
    /// True while delivered rows of the first schema wait to be moved into history.
    private let hasLegacyRows: Mutex<Bool>

    package init(
        database: StoreDatabase, logIdentity: UInt64, limits: HistoryLimits = HistoryLimits(),
        logger: Logger = Logger(label: "store")
    ) throws {
        self.database = database
        identity = logIdentity
        let (log, batch) = try database.write { try SQLiteStore.adopt(logIdentity, $0) }
        open = OpenTable(log: log)
        batchNumber = Mutex(batch)
        hasLegacyRows = Mutex(try database.read(LegacyDeliveries.isThere))
        history = try HistorySlices(folder: database.folder, limits: limits, logger: logger)
        reader = DeliveryReader(
            database: database, open: open, history: history, identity: logIdentity, lookedMax: limits.lookedRowsMax)
        try takeBackFinished()
        if hasLegacyRows.withLock({ $0 }) { try moveUnmetLegacyRows() }
    }
    /// Opens the folder's database as well. `events`: see StoreDatabase.
    package convenience init(
        folder: String, logIdentity: UInt64, limits: HistoryLimits = HistoryLimits(),
        logger: Logger = Logger(label: "store"), events: () throws -> UInt64 = { 0 }
    ) throws {
        let database = try StoreDatabase(folder: folder, events: events)
        try self.init(database: database, logIdentity: logIdentity, limits: limits, logger: logger)
    }
    deinit { history.close() }

    /// For whoever keeps other tables in store.sqlite.
    package var writer: any DatabaseWriter { database.pool }

    /// Pages that were read and may never be wanted again. Waits for whoever reads or writes now.
    package func releaseCaches() { database.pool.releaseMemory() }

    var logNumber: Int64 { open.log }

    /// Waits for what is done beside the writer: indexes, removed files.
    package func awaitBackground() { history.awaitBackground() }

    /// The log's number in this file. Rows of a converted folder are of the log that it is first opened with.
    private static func adopt(_ identity: UInt64, _ db: Database) throws -> (log: Int64, batch: Int64) {
        let stored = Int64(bitPattern: identity)
        let find = "SELECT number, batch FROM log WHERE identity = ?"
        if try Row.fetchOne(db, sql: find, arguments: [stored]) == nil {
            try db.execute(sql: "UPDATE log SET identity = ? WHERE identity IS NULL", arguments: [stored])
            if db.changesCount == 0 {
                try db.execute(sql: "INSERT INTO log (identity) VALUES (?)", arguments: [stored])
            }
        }
        guard let row = try Row.fetchOne(db, sql: find, arguments: [stored]) else {
            preconditionFailure("a log that was inserted is not there")
        }
        return (row["number"], row["batch"])
    }

    // MARK: Marks and states

    package func snapshot() throws -> DeliverySnapshot {
        var snapshot = try database.read { db in
            var snapshot = DeliverySnapshot()
            snapshot.shared = try MarkTable.shared(open.log, db)
            snapshot.rebuiltFrom = try MarkTable.rebuiltFrom(open.log, db)
            snapshot.marks = try MarkTable.marks(open.log, db)
            snapshot.states = try MarkTable.states(open.log, db)
            snapshot.open = try open.counts(db)
            let places = [snapshot.shared].compactMap { $0 } + snapshot.marks.compactMap(\.resume)
            snapshot.sequenceFloor = places.map(\.sequence).max().map { max($0, 1) } ?? 1
            if let last = try open.sequenceLast(db) { snapshot.sequenceFloor = max(snapshot.sequenceFloor, last + 1) }
            return snapshot
        }
        for span in history.all.compactMap({ $0.span(identity) }) {
            snapshot.sequenceFloor = max(snapshot.sequenceFloor, span.sequences.upperBound + 1)
        }
        return snapshot
    }
    /// The write-ahead log is synced in its order, so a later durable commit, the registry's too, makes this one
    /// durable.
    package func begin(_ endpoints: [EndpointID], at place: EventLocation, isDurable: Bool) throws {
        guard !endpoints.isEmpty else { return }
        try database.write(isDurable: isDurable) { db in
            try MarkTable.put(endpoints.map { LaneMark(endpoint: $0, resume: place) }, open.log, db)
            try MarkTable.setRebuiltFrom(nil, open.log, db)
        }
    }
    package func lane(_ endpoint: EndpointID) throws -> (mark: EventLocation?, state: EndpointState?) {
        try database.read { db in
            (
                try MarkTable.marks(open.log, endpoint: endpoint, db).first?.resume,
                try MarkTable.states(open.log, endpoint: endpoint, db).first
            )
        }
    }
    package func forget(_ endpoints: [EndpointID]) throws {
        guard !endpoints.isEmpty else { return }
        try database.write(isDurable: true) { db in
            for endpoint in endpoints {
                try open.forget(endpoint, db)
                try TallyTable.forget(endpoint, db)
                try PollerTable.forget(endpoint, db)
            }
        }
    }

    package func makeDurable() throws { try database.makeDurable() }

    /// Once, in a store that has just been made beside a log with events.
    func markRebuilt(from place: EventLocation, nowMillis: Int64) throws {
        var batch = OutcomeBatch()
        batch.shared = place
        batch.nowMillis = nowMillis
        try database.write(isDurable: true) { db in
            try MarkTable.note(batch, number: 0, open.log, db)
            try MarkTable.setRebuiltFrom(place, open.log, db)
        }
    }

    // MARK: Outcomes

    @discardableResult
    package func apply(_ batch: OutcomeBatch) throws -> [OpenDeliveries] {
        let parts = BatchParts(batch)
        let replaced = try database.write(isDurable: batch.isDurable) { db in
            let replaced = try open.counts(of: batch.replays, db)
            let leaving = try open.open(among: parts.finished, db)
            let number = batchNumber.withLock { $0 } + (parts.finished.isEmpty ? 0 : 1)
            // History first: see HistorySlices. A batch that fails after it is written once more, over itself.
            var finished = FinishedBatch(identity: identity, number: number, nowMillis: batch.nowMillis)
            finished.rows = parts.finished
            finished.attempts = parts.finishedAttempts
            for row in leaving {
                finished.attempts += try open.attempts.fetch(
                    sequence: row.place.sequence, endpoint: row.endpoint, db)
            }
            finished.isDurable = batch.isDurable
            try history.write(finished)
            try open.remove(leaving, db)
            try open.put(parts.open, db)
            try open.attempts.insert(parts.openAttempts, db)
            try MarkTable.put(batch.marks, open.log, db)
            try MarkTable.put(batch.states, open.log, db)
            try TallyTable.add(batch.tallies, db)
            try MarkTable.note(batch, number: number, open.log, db)
            return replaced
        }
        if !parts.finished.isEmpty { batchNumber.withLock { $0 += 1 } }
        return replaced
    }
    package func expedite(_ endpoint: EndpointID, due: Int64) throws {
        try database.write(isDurable: true) { try open.expedite(endpoint, due: due, $0) }
    }
    package func advance(_ endpoint: EndpointID, byMillis millis: Int64, nowMillis: Int64) throws {
        try database.write(isDurable: true) { try open.advance(endpoint, byMillis: millis, nowMillis: nowMillis, $0) }
    }
    package func cancel(
        _ keys: [DeliveryKey], reason: DeadLetterReason, nowMillis: Int64
    ) throws -> [DeliveryRow] {
        try database.write(isDurable: true) { try open.cancel(keys, reason: reason, nowMillis: nowMillis, $0) }
    }
    package func nextOpen(after endpoint: EndpointID, states: Set<DeliveryState>) throws -> EndpointID? {
        try database.read { try open.nextEndpoint(after: endpoint, states: states, $0) }
    }
    package func deadLetters(endpoint: EndpointID, lookedMax: Int) throws -> [DeadLetterGroup] {
        try database.read { try open.deadLetters(endpoint: endpoint, lookedMax: lookedMax, $0) }
    }
    /// Open rows whose end stands in a slice that is ahead of store.sqlite: a crash came between the two.
    private func takeBackFinished() throws {
        let known = batchNumber.withLock { $0 }
        let ahead = history.all.filter { ($0.span(identity)?.batch ?? 0) > known }
        guard let batch = ahead.compactMap({ $0.span(identity)?.batch }).max() else { return }
        try database.write { db in
            for state in [DeliveryState.pending, .dead] {
                var cursor: DeliveryCursor?
                repeat {
                    var query = DeliveryQuery()
                    query.before = cursor
                    query.limit = 1000
                    let rows = try open.page(query, state: state, db).rows
                    for slice in ahead {
                        let done = try history.read(slice, identity) { try $0.matching(rows, newer: true, $1) }
                        try open.remove(done ?? [], db)
                    }
                    cursor = rows.count < query.limit ? nil : rows.last.map { DeliveryKey($0).cursor }
                } while cursor != nil
            }
            try db.execute(sql: "UPDATE log SET batch = ? WHERE number = ?", arguments: [batch, open.log])
        }
        batchNumber.withLock { $0 = batch }
    }

    // MARK: Reading

    package func recorded(endpoint: EndpointID, from: UInt64) throws -> [UInt64] {
        try reader.recorded(endpoint: endpoint, from: from)
    }
    package func pending(endpoint: EndpointID, _ load: RetryLoad, limit: Int) throws -> [DeliveryRow] {
        try database.read { try open.pending(endpoint: endpoint, load, limit: limit, $0) }
    }
    package func rows(_ query: DeliveryQuery) throws -> (rows: [DeliveryRow], next: DeliveryCursor?) {
        try reader.rows(query)
    }
    package func rows(
        endpoint: EndpointID, states: Set<DeliveryState>, from: UInt64, limit: Int
    ) throws -> [DeliveryRow] {
        try reader.rows(endpoint: endpoint, states: states, from: from, limit: limit)
    }
    package func rows(sequence: UInt64) throws -> [DeliveryRow] { try reader.rows(sequence: sequence) }
    package func attempts(sequence: UInt64) throws -> [AttemptRow] { try reader.attempts(sequence: sequence) }
    package func summaries(
        of endpoints: Set<EndpointID>, updated: Range<Int64>, each: () throws -> Void
    ) throws -> [EndpointID: DeliverySummary] {
        try reader.summaries(of: endpoints, updated: updated, each: each)
    }
    package func attemptCounts(endpoint: EndpointID, ended: Range<Int64>) throws -> AttemptCounts {
        try reader.attemptCounts(endpoint: endpoint, ended: ended)
    }
    package func counts(endpoint: EndpointID) throws -> OpenDeliveries {
        try database.read { try open.counts(endpoint: endpoint, $0) }.first ?? OpenDeliveries(endpoint: endpoint)
    }
    package func tallies(_ endpoints: [EndpointID]) throws -> [EndpointTally] {
        try database.read { try TallyTable.endpoints(endpoints, $0) }
    }
    package func attemptTallies(_ endpoints: [EndpointID]) throws -> [AttemptTally] {
        try database.read { try TallyTable.attempts(endpoints, $0) }
    }
    package func oldestPending() throws -> UInt64? { try database.read(open.oldestPending) }

    // MARK: Upkeep

    package func prune(before: Int64, oldest: UInt64, limit: Int) throws -> PruneResult {
        history.drop(before: before)
        let dead = try database.write { try open.removeDead(before: oldest, limit: limit, $0) }
        let isMoving = try hasLegacyRows.withLock { $0 } && moveLegacyRows(before: before, limit: limit)
        return PruneResult(
            goesOn: dead.count >= limit || isMoving,
            dropped: OpenDeliveries.counted(dead.lazy.map { ($0.endpoint, $0.state) }))
    }
    package func rebase(now: Int64) throws {
        try database.write(isDurable: true) { db in
            let written = "SELECT written FROM log WHERE number = ?"
            let last = try Int64.fetchOne(db, sql: written, arguments: [open.log]) ?? now
            if last > now {
                try db.execute(
                    sql: "UPDATE open_delivery SET due = due - ? WHERE log = ? AND state = 2",
                    arguments: [last - now, open.log])
                try db.execute(
                    sql: "UPDATE endpoint_state SET until = until - ? WHERE log = ? AND until <> 0",
                    arguments: [last - now, open.log])
            }
            try db.execute(sql: "UPDATE log SET written = ? WHERE number = ?", arguments: [now, open.log])
        }
    }
}

// MARK: - A folder of the first schema

extension SQLiteStore {
    private func moveUnmetLegacyRows() throws {
        try database.write { try move(try LegacyDeliveries.unmet($0), $0) }
    }
    /// Some of the rows that wait; false when there are none any more.
    private func moveLegacyRows(before: Int64, limit: Int) throws -> Bool {
        let isDone = try database.write { db in
            let rows = try LegacyDeliveries.first(limit, db)
            try move(rows, keep: { $0.updatedMillis >= before }, db)
            if rows.count < limit { try LegacyDeliveries.drop(db) }
            return rows.count < limit
        }
        guard isDone else { return true }
        hasLegacyRows.withLock { $0 = false }
        // Most of the file is free now, and what is left is little. When that fails, the space serves what comes.
        try? database.maintain { try $0.execute(sql: "VACUUM") }
        return false
    }
    private func move(
        _ rows: [DeliveryRow], keep: (DeliveryRow) -> Bool = { _ in true }, _ db: Database
    ) throws {
        guard !rows.isEmpty else { return }
        // What was sent again since then says more than the old row.
        var known: Set<DeliveryKey> = []
        for slice in history.all {
            let there = try history.read(slice, identity) { try $0.matching(rows, $1) }
            known.formUnion((there ?? []).map(DeliveryKey.init))
        }
        var batch = FinishedBatch(
            identity: identity, number: batchNumber.withLock { $0 },
            nowMillis: rows.map(\.updatedMillis).max() ?? 0)
        batch.rows = rows.filter { keep($0) && !known.contains(DeliveryKey($0)) }
            .sorted { DeliveryKey($0) < DeliveryKey($1) }
        try history.write(batch)
        try LegacyDeliveries.remove(rows, db)
    }
}
