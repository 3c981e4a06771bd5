// Every rule of `DeliveryStore`, in dictionaries, and its worker without a thread. The contract suite runs over it, so
// that what the dispatcher's tests prove with it holds for the real ones. It can lose power as they may: the last
// transactions that were not written durably are taken back, whole and in order.

import Engine
import FastPath
import Synchronization

/// Faults: `isFull` makes each write throw.
package final class MemoryStore: DeliveryStore {
    package struct Full: Error {}
    package struct State {
        package var shared: EventLocation?
        package var marks: [EndpointID: EventLocation] = [:]
        package var states: [EndpointID: EndpointState] = [:]
        package var rows: [EndpointID: [UInt64: DeliveryRow]] = [:]
        package var attempts: [AttemptRow] = []
        /// Of all that were ever kept, so that one kept again is looked for and no other.
        private var attemptKeys: Set<AttemptKey> = []
        package var tallies: [EndpointID: EndpointTally] = [:]
        package var attemptTallies: [AttemptTally] = []
        package var written: Int64?
        package var isFull = false

        mutating func keep(_ attempt: AttemptRow) {
            let key = AttemptKey(attempt)
            if !attemptKeys.insert(key).inserted { attempts.removeAll { AttemptKey($0) == key } }
            attempts.append(attempt)
        }
        mutating func eachRow(_ change: (inout DeliveryRow) -> Void) {
            for (endpoint, rows) in rows {
                self.rows[endpoint] = rows.mapValues { row in
                    var changed = row
                    change(&changed)
                    return changed
                }
            }
        }
        var sequences: [UInt64] { rows.values.flatMap { $0.keys } }
        func open(_ endpoint: EndpointID) -> OpenDeliveries {
            var open = OpenDeliveries(endpoint: endpoint)
            for row in rows[endpoint, default: [:]].values {
                if row.state == .dead { open.dead += 1 }
                guard row.state == .pending else { continue }
                open.pending += 1
                open.dueMillis = min(open.dueMillis, row.dueMillis)
            }
            return open
        }
    }
    private struct AttemptKey: Hashable {
        let endpoint: EndpointID
        let sequence: UInt64
        let number: UInt16
        let endedMillis: Int64

        init(_ row: AttemptRow) {
            endpoint = row.endpoint
            sequence = row.sequence
            number = row.number
            endedMillis = row.endedMillis
        }
    }
    package let state = Mutex(State())
    /// What a power cut leaves at least, and the transactions that it may take back.
    private struct Undurable {
        var kept = State()
        var changes: [@Sendable (inout State) -> Void] = []
    }
    private let undurable = Mutex(Undurable())
    private let losesPower: Bool
    private static let undurableCountMax = 12

    package init(losesPower: Bool = false) { self.losesPower = losesPower }
    /// `count` says how many of the last transactions stay.
    package func cutPower(keeping count: (Int) -> Int) {
        let left = undurable.withLock { cut in
            for change in cut.changes.prefix(count(cut.changes.count)) { change(&cut.kept) }
            cut.changes.removeAll()
            return cut.kept
        }
        state.withLock { $0 = left }
    }
    package func makeDurable() throws { note(isDurable: true) { _ in } }
    private func note(isDurable: Bool, _ change: @escaping @Sendable (inout State) -> Void) {
        guard losesPower else { return }
        undurable.withLock { cut in
            cut.changes.append(change)
            while isDurable && !cut.changes.isEmpty || cut.changes.count > MemoryStore.undurableCountMax {
                cut.changes.removeFirst()(&cut.kept)
            }
        }
    }
    package func setFull(_ isFull: Bool) { state.withLock { $0.isFull = isFull } }
    private func write<R: Sendable>(
        isDurable: Bool = false, _ body: @escaping @Sendable (inout State) -> R
    ) throws -> R {
        let result = try state.withLock { state in
            if state.isFull { throw Full() }
            return body(&state)
        }
        note(isDurable: isDurable) { _ = body(&$0) }
        return result
    }

    package func snapshot() throws -> DeliverySnapshot {
        state.withLock { state in
            var snapshot = DeliverySnapshot()
            snapshot.shared = state.shared
            snapshot.marks = state.marks.map { LaneMark(endpoint: $0.key, resume: $0.value) }
                .sorted { $0.endpoint < $1.endpoint }
            snapshot.states = state.states.values.sorted { $0.endpoint < $1.endpoint }
            snapshot.open = state.rows.keys.sorted().map(state.open).filter { $0.pending + $0.dead > 0 }
            let marks = state.marks.values.map(\.sequence) + [state.shared?.sequence ?? 1]
            snapshot.sequenceFloor = max(marks.max() ?? 1, (state.sequences.max() ?? 0) + 1)
            return snapshot
        }
    }
    package func begin(_ endpoints: [EndpointID], at place: EventLocation, isDurable: Bool) throws {
        try write(isDurable: isDurable) { state in for id in endpoints { state.marks[id] = place } }
    }
    package func lane(_ endpoint: EndpointID) throws -> (mark: EventLocation?, state: EndpointState?) {
        state.withLock { ($0.marks[endpoint], $0.states[endpoint]) }
    }
    package func forget(_ endpoints: [EndpointID]) throws {
        try write(isDurable: true) { state in
            for id in endpoints {
                state.marks[id] = nil
                state.states[id] = nil
                state.tallies[id] = nil
                state.attemptTallies.removeAll { $0.endpoint == id }
                let open = state.rows[id, default: [:]].filter { !$0.value.state.isFinished }
                state.rows[id] = state.rows[id]?.filter { $0.value.state.isFinished }
                state.attempts.removeAll { $0.endpoint == id && open[$0.sequence] != nil }
            }
        }
    }
    @discardableResult
    package func apply(_ batch: OutcomeBatch) throws -> [OpenDeliveries] {
        try write(isDurable: batch.isDurable) { state in
            let replaced = OpenDeliveries.counted(
                batch.replays.compactMap { key in
                    state.rows[key.endpoint]?[key.sequence].map { (key.endpoint, $0.state) }
                })
            for row in batch.rows {
                let last = row.keepsLastFailure ? state.rows[row.endpoint]?[row.place.sequence] : nil
                state.rows[row.endpoint, default: [:]][row.place.sequence] = last.map(row.withLastFailure) ?? row
            }
            for var attempt in batch.attempts {
                attempt.answer = Array(attempt.answer.prefix(AttemptRow.answerBytesMax))
                state.keep(attempt)
            }
            if let shared = batch.shared {
                precondition(shared.sequence >= state.shared?.sequence ?? 0, "the shared mark went back")
                state.shared = shared
            }
            for mark in batch.marks { state.marks[mark.endpoint] = mark.resume }
            for one in batch.states {
                // There is no row for an endpoint of which there is nothing to say.
                state.states[one.endpoint] = one == EndpointState(endpoint: one.endpoint) ? nil : one
            }
            for note in batch.tallies { MemoryStore.add(note, &state) }
            state.written = batch.nowMillis
            return replaced
        }
    }
    private static func add(_ note: TallyNote, _ state: inout State) {
        state.tallies[note.endpoint, default: EndpointTally(note.endpoint)].add(note.kind)
        guard case .attempt(let attempt) = note.kind else { return }
        let own = state.attemptTallies.filter { $0.endpoint == note.endpoint }
        let types = Set(own.map(\.type))
        let type = types.contains(attempt.type) || types.count < AttemptTally.typeCountMax ? attempt.type : ""
        var tally = AttemptTally(note.endpoint, type: type, isSuccess: attempt.isSuccess)
        if let place = state.attemptTallies.firstIndex(where: {
            $0.endpoint == note.endpoint && $0.type == type && $0.isSuccess == attempt.isSuccess
        }) {
            tally = state.attemptTallies.remove(at: place)
        }
        tally.add(attempt)
        state.attemptTallies.append(tally)
    }
    package func tallies(_ endpoints: [EndpointID]) throws -> [EndpointTally] {
        state.withLock { state in endpoints.compactMap { state.tallies[$0] } }
    }
    package func attemptTallies(_ endpoints: [EndpointID]) throws -> [AttemptTally] {
        state.withLock { state in
            endpoints.flatMap { id in
                state.attemptTallies.filter { $0.endpoint == id }
                    .sorted { ($0.type, $1.isSuccess ? 1 : 0) < ($1.type, $0.isSuccess ? 1 : 0) }
            }
        }
    }
    package func expedite(_ endpoint: EndpointID, due: Int64) throws {
        try write(isDurable: true) { state in
            state.eachRow { row in
                guard row.endpoint == endpoint, row.state == .pending, !row.isPostponed else { return }
                row.dueMillis = min(row.dueMillis, due)
            }
        }
    }
    package func advance(_ endpoint: EndpointID, byMillis millis: Int64, nowMillis: Int64) throws {
        try write(isDurable: true) { state in
            state.eachRow { row in
                guard row.endpoint == endpoint, row.isPostponed, row.dueMillis > nowMillis else { return }
                row.dueMillis = max(row.dueMillis - millis, nowMillis)
            }
        }
    }
    package func cancel(_ keys: [DeliveryKey], reason: DeadLetterReason, nowMillis: Int64) throws -> [DeliveryRow] {
        try write(isDurable: true) { state in
            keys.compactMap { key in
                guard var row = state.rows[key.endpoint]?[key.sequence], row.state == .pending else { return nil }
                (row.state, row.reason, row.dueMillis, row.updatedMillis) = (.dead, reason, 0, nowMillis)
                state.rows[key.endpoint]?[key.sequence] = row
                return row
            }
        }
    }
    package func nextOpen(after endpoint: EndpointID, states: Set<DeliveryState>) throws -> EndpointID? {
        state.withLock { state in
            state.rows.filter { id, rows in
                id > endpoint && rows.values.contains { $0.state != .delivered && states.contains($0.state) }
            }.keys.min()
        }
    }
    package func deadLetters(endpoint: EndpointID, lookedMax: Int) throws -> [DeadLetterGroup] {
        let rows = state.withLock { $0.rows[endpoint, default: [:]].values.filter { $0.state == .dead } }
        let newest = rows.sorted { $0.place.sequence > $1.place.sequence }.prefix(lookedMax)
        return DeadLetterGroup.counted(newest.map { ($0, 1) })
    }
    package func recorded(endpoint: EndpointID, from: UInt64) throws -> [UInt64] {
        state.withLock { $0.rows[endpoint, default: [:]].keys.filter { $0 >= from }.sorted() }
    }
    package func pending(endpoint: EndpointID, _ load: RetryLoad, limit: Int) throws -> [DeliveryRow] {
        let rows = state.withLock {
            $0.rows[endpoint, default: [:]].values.filter { $0.state == .pending && $0.kind == load.kind }
        }
        let keyed = rows.map { (RetryKey(dueMillis: $0.dueMillis, sequence: $0.place.sequence), $0) }
        return Array(keyed.filter { $0.0 >= load.from }.sorted { $0.0 < $1.0 }.prefix(limit).map(\.1))
    }
    package func rows(_ query: DeliveryQuery) throws -> (rows: [DeliveryRow], next: DeliveryCursor?) {
        let all = state.withLock { $0.rows.values.flatMap { $0.values } }
        let matching = all.filter { MemoryStore.matches($0, query) }.sorted {
            $0.place.sequence != $1.place.sequence
                ? $0.place.sequence > $1.place.sequence : $0.endpoint > $1.endpoint
        }
        let page = Array(matching.prefix(query.limit))
        guard page.count < matching.count, let last = page.last else { return (page, nil) }
        return (page, DeliveryCursor(sequence: last.place.sequence, endpoint: last.endpoint))
    }
    private static func matches(_ row: DeliveryRow, _ query: DeliveryQuery) -> Bool {
        if let endpoint = query.endpoint, row.endpoint != endpoint { return false }
        guard query.states.contains(row.state) else { return false }
        let isUntried = AttemptCount.number(of: row.attempts) == 0
        if query.failedOnly, isUntried || row.state == .delivered && row.attempts == 1 { return false }
        if let reason = query.reason, row.reason != reason { return false }
        if let updated = query.updated, !updated.contains(row.updatedMillis) { return false }
        guard let before = query.before else { return true }
        return (row.place.sequence, row.endpoint) < (before.sequence, before.endpoint)
    }
    package func rows(
        endpoint: EndpointID, states: Set<DeliveryState>, from: UInt64, limit: Int
    ) throws -> [DeliveryRow] {
        let rows = state.withLock { Array($0.rows[endpoint, default: [:]].values) }
        let wanted = rows.filter { states.contains($0.state) && $0.place.sequence >= from }
        return Array(wanted.sorted { $0.place.sequence < $1.place.sequence }.prefix(limit))
    }
    package func rows(sequence: UInt64) throws -> [DeliveryRow] {
        state.withLock { state in state.rows.keys.sorted().compactMap { state.rows[$0]?[sequence] } }
    }
    package func attempts(sequence: UInt64) throws -> [AttemptRow] {
        state.withLock { $0.attempts.filter { $0.sequence == sequence } }.sorted {
            ($0.endpoint, $0.number, $0.endedMillis) < ($1.endpoint, $1.number, $1.endedMillis)
        }
    }
    package func attemptCounts(endpoint: EndpointID, ended: Range<Int64>) throws -> AttemptCounts {
        let own = state.withLock { $0.attempts.filter { $0.endpoint == endpoint && ended.contains($0.endedMillis) } }
        let succeeded = own.count { $0.result == .answered && (200..<300).contains($0.status) }
        return AttemptCounts(succeeded: succeeded, failed: own.count - succeeded)
    }
    package func summaries(
        of endpoints: Set<EndpointID>, updated: Range<Int64>, each: () throws -> Void
    ) throws -> [EndpointID: DeliverySummary] {
        try each()
        return state.withLock { state in
            var found: [EndpointID: DeliverySummary] = [:]
            for (id, rows) in state.rows where endpoints.contains(id) {
                for row in rows.values where updated.contains(row.updatedMillis) {
                    found[id, default: DeliverySummary()].add(row)
                }
            }
            return found
        }
    }
    package func counts(endpoint: EndpointID) throws -> OpenDeliveries { state.withLock { $0.open(endpoint) } }
    package func oldestPending() throws -> UInt64? {
        state.withLock { state in
            let wanted = state.rows.filter { id, _ in
                state.states[id].map { !$0.reason.isEnd && !$0.reason.isRemoval } ?? true
            }
            return wanted.values.flatMap { $0.values }.filter { $0.state == .pending }.map(\.place.sequence).min()
        }
    }
    package func prune(before: Int64, oldest: UInt64, limit: Int) throws -> PruneResult {
        try write { state in
            let dead = state.rows.values.flatMap { $0.values }.filter {
                $0.state == .dead && $0.place.sequence < oldest
            }
            for (endpoint, rows) in state.rows {
                state.rows[endpoint] = rows.filter { sequence, row in
                    !(row.state == .delivered && row.updatedMillis < before)
                        && !(row.state == .dead && sequence < oldest)
                }
            }
            let rows = state.rows
            state.attempts.removeAll { $0.endedMillis < before && rows[$0.endpoint]?[$0.sequence] == nil }
            return PruneResult(
                goesOn: false, dropped: OpenDeliveries.counted(dead.lazy.map { ($0.endpoint, $0.state) }))
        }
    }
    package func rebase(now: Int64) throws {
        try write(isDurable: true) { state in
            let back = max(0, (state.written ?? now) - now)
            if back > 0 {
                state.eachRow { row in if row.state == .pending { row.dueMillis -= back } }
                for id in state.states.keys where state.states[id]!.untilMillis > 0 {
                    state.states[id]!.untilMillis -= back
                }
            }
            state.written = now
        }
    }
}

/// The store's worker without its thread: requests wait until the test pumps them.
package final class PumpedStore: StorePort {
    package let store: any DeliveryStore
    private var requests: [StoreRequest] = []
    private var replies: [StoreReply] = []
    package var requestCountMax = 8

    package init(_ store: any DeliveryStore) { self.store = store }
    /// What it says before it says the truth: the thread at the other end makes room between two looks.
    package var saidFirst: [Bool] = []
    package var hasRoom: Bool { saidFirst.isEmpty ? requests.count + 2 <= requestCountMax : saidFirst.removeFirst() }
    package var hasRequests: Bool { !requests.isEmpty }
    package func submit(_ request: StoreRequest) {
        precondition(requests.count < requestCountMax)
        requests.append(request)
    }
    package var hasReply: Bool { !replies.isEmpty }
    package func nextReply() -> StoreReply? { replies.isEmpty ? nil : replies.removeFirst() }

    /// Serves the oldest request; false when there is none or the store throws (it then stays).
    @discardableResult
    package func pumpOne() -> Bool {
        guard let request = requests.first else { return false }
        do {
            switch request {
            case .commit(let batch):
                let dropped = try store.apply(batch)
                replies.append(.committed(shared: batch.shared, marks: batch.marks))
                if !dropped.isEmpty { replies.append(.dropped(dropped)) }
            case .loadPending(let endpoint, let load, let limit):
                let rows = try store.pending(endpoint: endpoint, load, limit: limit)
                replies.append(.pending(endpoint: endpoint, kind: load.kind, rows: rows, limit: limit))
            case .expedite(let endpoint, let due):
                try store.expedite(endpoint, due: due)
                replies.append(.expedited(endpoint))
            case .advance(let endpoint, let millis, let nowMillis):
                try store.advance(endpoint, byMillis: millis, nowMillis: nowMillis)
                replies.append(.expedited(endpoint))
            case .cancel(let keys, let reason, let nowMillis):
                replies.append(.cancelled(try store.cancel(keys, reason: reason, nowMillis: nowMillis)))
            case .forget(let endpoints): try store.forget(endpoints)
            }
        } catch {
            return false
        }
        requests.removeFirst()
        return true
    }
    package func pump() { while pumpOne() {} }
    package func prune(oldest: UInt64) {
        guard let dropped = try? store.prune(before: 0, oldest: oldest, limit: .max).dropped else { return }
        replies.append(.dropped(dropped))
    }
}
