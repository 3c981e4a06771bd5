// The world around the dispatcher, in memory: a log, an egress loop, a store behind its port. What each can do wrong is
// written beside it. Nothing here reads a clock.
//
// Safety: FakeLog hands out views of memory that it keeps until its deinit.

import Engine
import FastPath
import Synchronization

struct FakeEvent {
    var source = "github"
    var type = "push"
    var fieldLines = "Content-Type: application/json\r\nX-GitHub-Event: push\r\n"
    var body = "{}"
}

/// Faults: sequences that cannot be read, or not now, a start that retention has moved.
final class FakeLog: EventLog, @unchecked Sendable {
    let identity: UInt64 = 0xAB_CDEF_0123
    private(set) var reads = 0
    var unreadable: Set<UInt64> = []
    var unavailable: Set<UInt64> = []
    var oldestSequence: UInt64 = 1
    private var events: [StoredEvent] = []
    private var memory: [UnsafeMutableBufferPointer<UInt8>] = []

    deinit { for block in memory { block.deallocate() } }

    func append(_ event: FakeEvent) {
        let sequence = UInt64(events.count + 1)
        events.append(
            StoredEvent(
                place: place(sequence), next: place(sequence + 1), receivedAt: sequence * 1_000_000_000,
                source: keep(event.source), eventType: keep(event.type), fieldLines: keep(event.fieldLines),
                body: keep(event.body)))
    }
    func place(_ sequence: UInt64) -> EventPlace { EventPlace(sequence: sequence, position: sequence * 4096) }
    var committedEnd: EventPlace { place(UInt64(events.count + 1)) }
    var oldest: EventPlace { place(min(oldestSequence, committedEnd.sequence)) }

    func read(at wanted: EventPlace) -> EventRead {
        reads += 1
        let sequence = max(wanted.sequence, oldestSequence)
        guard sequence <= UInt64(events.count) else { return .end }
        if unavailable.contains(sequence) { return .unavailable }
        if unreadable.contains(sequence) { return .unreadable(next: place(sequence + 1)) }
        return .event(events[Int(sequence) - 1])
    }
    private func keep(_ text: String) -> ByteView {
        let bytes = Array(text.utf8)
        let block = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(1, bytes.count))
        _ = block.update(fromContentsOf: bytes)
        memory.append(block)
        return ByteView(UnsafePointer(block.baseAddress!), count: bytes.count)
    }
}

/// Keeps what it was given, and checks on the way back that the memory was left alone. Faults: a full ring.
final class FakeEgress: EgressPort {
    struct Sent {
        var order: DeliveryOrder
        var eventID: String
        var fieldLines: String
        var body: String
        var sequence: UInt64 { EventID(eventID)!.sequence }
        var attempt: Int {
            let line = fieldLines.split(separator: "\r\n").first { $0.hasPrefix("Sluice-Attempt: ") }
            return Int(line!.dropFirst(16))!
        }
    }
    var capacity = Int.max
    private(set) var out: [Sent] = []
    private(set) var submitted = 0
    private var outcomes: [DeliveryOutcome] = []
    private var next = 0

    func submit(_ order: DeliveryOrder) -> Bool {
        guard out.count < capacity else { return false }
        submitted += 1
        out.append(
            Sent(order: order, eventID: order.eventID.text, fieldLines: order.fieldLines.text, body: order.body.text))
        return true
    }
    func flush() {}
    var hasOutcome: Bool { next < outcomes.count }
    func nextOutcome() -> DeliveryOutcome? {
        guard next < outcomes.count else { return nil }
        defer { next += 1 }
        return outcomes[next]
    }
    /// Answers the order at `index`; false when its memory was touched while it was out.
    @discardableResult
    func answer(_ index: Int, status: UInt16 = 200, change: (inout DeliveryOutcome) -> Void = { _ in }) -> Bool {
        let sent = out.remove(at: index)
        var outcome = DeliveryOutcome(token: sent.order.token, endpoint: sent.order.endpoint, result: .answered)
        outcome.status = status
        change(&outcome)
        outcomes.append(outcome)
        return sent.order.body.text == sent.body && sent.order.fieldLines.text == sent.fieldLines
            && sent.order.eventID.text == sent.eventID
    }
    func answerAll(status: UInt16 = 200, change: (inout DeliveryOutcome) -> Void = { _ in }) {
        while !out.isEmpty { answer(0, status: status, change: change) }
    }
}

/// Every rule of `DeliveryStore`, in dictionaries. Faults: `isFull` makes each write throw.
final class MemoryStore: DeliveryStore {
    struct Full: Error {}
    struct State {
        var endpoints: [StoredEndpoint] = []
        var rows: [Int: [UInt64: DeliveryRow]] = [:]
        var written: Int64?
        var isFull = false
    }
    let state = Mutex(State())
    func setFull(_ isFull: Bool) { state.withLock { $0.isFull = isFull } }

    func endpoints() throws -> [StoredEndpoint] { state.withLock { $0.endpoints } }
    func register(_ names: [String], start: EventPlace) throws -> [StoredEndpoint] {
        state.withLock { state in
            for index in state.endpoints.indices { state.endpoints[index].isRemoved = true }
            for name in names {
                if let index = state.endpoints.firstIndex(where: { $0.name == name }) {
                    state.endpoints[index].isRemoved = false
                } else {
                    state.endpoints.append(
                        StoredEndpoint(
                            number: state.endpoints.count + 1, name: name, stop: nil, stoppedMillis: 0, resume: start,
                            isRemoved: false))
                }
            }
            return state.endpoints
        }
    }
    func apply(_ batch: OutcomeBatch) throws {
        try state.withLock { state in
            if state.isFull { throw Full() }
            for row in batch.rows { state.rows[row.endpoint, default: [:]][row.place.sequence] = row }
            for mark in batch.marks {
                guard let index = state.endpoints.firstIndex(where: { $0.number == mark.endpoint }) else { continue }
                state.endpoints[index].resume = mark.resume
            }
            for one in batch.switches {
                guard let index = state.endpoints.firstIndex(where: { $0.number == one.endpoint }) else { continue }
                state.endpoints[index].stop = one.stop
                state.endpoints[index].stoppedMillis = batch.nowMillis
            }
            state.written = batch.nowMillis
        }
    }
    func recorded(endpoint: Int, from: UInt64) throws -> [UInt64] {
        state.withLock { $0.rows[endpoint, default: [:]].keys.filter { $0 >= from }.sorted() }
    }
    func pending(endpoint: Int, from: RetryKey, limit: Int) throws -> [DeliveryRow] {
        let rows = state.withLock { $0.rows[endpoint, default: [:]].values.filter { $0.state == .pending } }
        let keyed = rows.map { (RetryKey(dueMillis: $0.dueMillis, sequence: $0.place.sequence), $0) }
        return Array(keyed.filter { $0.0 >= from }.sorted { $0.0 < $1.0 }.prefix(limit).map(\.1))
    }
    func rows(_ query: DeliveryQuery) throws -> [DeliveryRow] {
        let rows = state.withLock { Array($0.rows[query.endpoint, default: [:]].values) }
        let wanted = rows.filter {
            query.states.contains($0.state) && $0.place.sequence >= query.from && $0.place.sequence <= query.through
        }
        return Array(wanted.sorted { $0.place.sequence < $1.place.sequence }.prefix(query.limit))
    }
    func rows(sequence: UInt64) throws -> [DeliveryRow] {
        state.withLock { state in state.endpoints.compactMap { state.rows[$0.number]?[sequence] } }
    }
    func counts(endpoint: Int) throws -> DeliveryCounts {
        state.withLock { state in
            var counts = DeliveryCounts()
            for row in state.rows[endpoint, default: [:]].values {
                if row.state == .pending { counts.pending += 1 }
                if row.state == .dead { counts.dead += 1 }
            }
            return counts
        }
    }
    func oldestPending() throws -> UInt64? {
        state.withLock { state in
            let wanted = state.endpoints.filter { !$0.isRemoved && $0.stop == nil }
            return wanted.compactMap { endpoint in
                state.rows[endpoint.number]?.values.filter { $0.state == .pending }.map(\.place.sequence).min()
            }.min()
        }
    }
    func prune(before: Int64, oldest: UInt64, limit: Int) throws -> Bool {
        state.withLock { state in
            for (number, rows) in state.rows {
                state.rows[number] = rows.filter { sequence, row in
                    !(row.state == .delivered && row.updatedMillis < before)
                        && !(row.state == .dead && sequence < oldest)
                }
            }
            return false
        }
    }
    func rebase(now: Int64) throws {
        state.withLock { state in
            let back = max(0, (state.written ?? now) - now)
            for (number, rows) in state.rows where back > 0 {
                state.rows[number] = rows.mapValues { row in
                    var moved = row
                    if row.state == .pending { moved.dueMillis -= back }
                    return moved
                }
            }
            state.written = now
        }
    }
}

/// The store's worker without its thread: requests wait until the test pumps them.
final class PumpedStore: StorePort {
    let store: any DeliveryStore
    private var requests: [StoreRequest] = []
    private var replies: [StoreReply] = []
    var requestCountMax = 8

    init(_ store: any DeliveryStore) { self.store = store }
    var hasRoom: Bool { requests.count + 2 <= requestCountMax }
    func submit(_ request: StoreRequest) {
        precondition(requests.count < requestCountMax)
        requests.append(request)
    }
    var hasReply: Bool { !replies.isEmpty }
    func nextReply() -> StoreReply? { replies.isEmpty ? nil : replies.removeFirst() }

    /// Serves the oldest request; false when there is none or the store throws (it then stays).
    @discardableResult
    func pumpOne() -> Bool {
        guard let request = requests.first else { return false }
        do {
            switch request {
            case .commit(let batch):
                try store.apply(batch)
                replies.append(.committed(marks: batch.marks))
            case .loadPending(let endpoint, let from, let limit):
                let rows = try store.pending(endpoint: endpoint, from: from, limit: limit)
                replies.append(.pending(endpoint: endpoint, rows: rows, limit: limit))
            }
        } catch {
            return false
        }
        requests.removeFirst()
        return true
    }
    func pump() { while pumpOne() {} }
}

/// A dispatcher with its fakes and a clock that only the test moves.
final class Bench {
    let log: FakeLog
    let egress = FakeEgress()
    let store: any DeliveryStore
    let port: PumpedStore
    let pool: PayloadPool
    let dispatcher: Dispatcher<FakeLog, FakeEgress, PumpedStore>
    var now: UInt64 = 1_000_000_000_000
    private(set) var numbers: [String: Int] = [:]

    init(
        log: FakeLog = FakeLog(), store: any DeliveryStore = MemoryStore(), poolBytes: Int = 1 << 20,
        limits: DispatcherLimits = DispatcherLimits(), wallMillis: Int64 = 1_700_000_000_000, seed: UInt64 = 1
    ) throws {
        self.log = log
        self.store = store
        port = PumpedStore(store)
        pool = PayloadPool(byteCount: poolBytes)
        let clock = StoreClock(wallMillis: wallMillis, monotonicNanos: now)
        try store.rebase(now: wallMillis)
        dispatcher = Dispatcher(
            log: log, egress: egress, store: port, pool: pool, limits: limits, clock: clock, seed: seed)
    }
    func apply(_ endpoints: [EndpointConfiguration]) throws {
        let stored = try store.register(endpoints.map(\.name), start: log.committedEnd)
        let plans = try endpoints.enumerated().map { index, endpoint in
            let known = stored.first { $0.name == endpoint.name }!
            numbers[endpoint.name] = known.number
            return LanePlan(
                stored: known,
                settings: LaneSettings(
                    concurrency: endpoint.concurrency,
                    schedule: RetrySchedule(delaysMillis: endpoint.retryDelaysMillis, jitter: endpoint.retryJitter),
                    forwarding: endpoint.forwardsHeaders ? .all : .contentTypeOnly, isDisabled: endpoint.disabled,
                    egressIndex: UInt32(index)),
                subscription: Subscription(sources: endpoint.sources, types: endpoint.types),
                recorded: try store.recorded(endpoint: known.number, from: known.resume.sequence))
        }
        dispatcher.apply(plans, now: now)
    }
    /// Steps until the dispatcher would sleep.
    func settle() {
        var rounds = 0
        while dispatcher.step(now: now) == 0 {
            rounds += 1
            precondition(rounds < 100_000, "the dispatcher never rests")
        }
    }
    /// Moves the clock, steps, and lets the store write.
    func advance(millis: UInt64) {
        settle()
        now += millis * 1_000_000
        settle()
        port.pump()
        settle()
    }
    func rows(_ name: String) throws -> [DeliveryRow] {
        var query = DeliveryQuery(endpoint: numbers[name]!, states: DeliveryState.allCases)
        query.limit = .max
        return try store.rows(query)
    }
    func metrics(_ name: String) -> LaneMetrics { dispatcher.metrics(now: now).lanes.first { $0.name == name }! }
}

func endpoint(_ name: String, change: (inout EndpointConfiguration) -> Void = { _ in }) -> EndpointConfiguration {
    var configuration = EndpointConfiguration()
    configuration.name = name
    configuration.retryJitter = 0
    change(&configuration)
    return configuration
}
