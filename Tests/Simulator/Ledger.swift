// What was promised and what came of it: every event that a sender had, what it was told, what the log holds, what each
// endpoint got. The rules are checked as things happen, and once more at the end.

import Engine
import FastPath
import Synchronization

/// One event as its sender knows it.
package struct SentEvent {
    package var type: String
    package var body: [UInt8]
    /// Its token is wrong: nobody may ever get it.
    package var isForged = false
    /// The sender was told that it is kept; and how often it was sent.
    package var isAnswered = false
    package var tries = 0
}

package final class Ledger {
    private let clock: Clockwork
    package private(set) var events: [SentEvent] = []
    /// By sequence, which event is there.
    package private(set) var logged: [UInt64: Int] = [:]
    /// By event, where it is.
    private var sequences: [Int: [UInt64]] = [:]
    private var nextToAudit: UInt64 = 1
    /// Of the log, when the process that runs began.
    private var oldestAtStart: UInt64 = 1
    /// By endpoint, the sequences that it took with 2xx.
    package private(set) var taken: [Set<UInt64>]
    package let endpoints: [EndpointConfiguration]
    package private(set) var answeredCount = 0

    package init(_ clock: Clockwork, endpoints: [EndpointConfiguration]) {
        self.clock = clock
        self.endpoints = endpoints
        taken = Array(repeating: [], count: endpoints.count)
    }

    // MARK: what senders do

    package func make(type: String, byteCount: Int, isForged: Bool) -> Int {
        let number = events.count
        var body = Array("\(number)|".utf8)
        var filling = Chance(UInt64(number) &+ 77)
        while body.count < byteCount { body.append(UInt8(truncatingIfNeeded: filling.next())) }
        events.append(SentEvent(type: type, body: body, isForged: isForged))
        return number
    }
    package func tried(_ number: Int) { events[number].tries += 1 }
    /// What the gateway said of it.
    package func told(_ number: Int, status: Int) {
        let event = events[number]
        switch status {
        case 200..<300:
            clock.expect(!event.isForged, "event \(number) was refused by its token and answered \(status)")
            if !event.isAnswered { answeredCount += 1 }
            events[number].isAnswered = true
        case 401: clock.expect(event.isForged, "event \(number) is genuine and was answered 401")
        case 408, 429, 503: break
        default: clock.find("event \(number) was answered \(status)")
        }
    }

    // MARK: what the log holds

    /// Reads on where the last look ended; each record is what was sent, and stays it.
    package func audit(_ folder: LogFolder, _ tail: CommittedTail) {
        let snapshot = tail.snapshot
        guard nextToAudit <= snapshot.sequence else { return }
        var reader = LogReader(folder: folder, from: nextToAudit, bufferBytes: 16 << 10)
        while true {
            switch reader.next(through: snapshot) {
            case .record(let record, _): note(record)
            case .caughtUp:
                nextToAudit = snapshot.sequence + 1
                return
            case .damaged(let damage): return clock.find("committed, and damaged: \(damage.text)")
            case .missing(let first, let last): return clock.find("committed, and missing: \(first) to \(last)")
            case .failed(let error): return clock.find("committed, and not readable: \(error)")
            }
        }
    }
    /// A process has begun: what was committed before is there.
    package func checkStart(nextSequence: UInt64, oldest: UInt64) {
        oldestAtStart = oldest
        clock.expect(
            nextSequence >= nextToAudit,
            "the log goes on at sequence \(nextSequence), and all before \(nextToAudit) was committed")
    }
    /// Everything that is still there is what it was.
    package func checkAll(_ folder: LogFolder, _ tail: CommittedTail, from first: UInt64) {
        let snapshot = tail.snapshot
        var reader = LogReader(folder: folder, from: first, bufferBytes: 16 << 10)
        while case .record(let record, _) = reader.next(through: snapshot) {
            clock.expect(
                logged[record.sequence] == number(of: record.body.array),
                "sequence \(record.sequence) is another event's than it was")
        }
        clock.expect(reader.sequence == snapshot.sequence + 1, "the log cannot be read to its end")
    }
    private func note(_ record: RecordView) {
        let sequence = record.sequence
        guard let number = number(of: record.body.array), number < events.count else {
            return clock.find("record \(sequence) holds what nobody sent")
        }
        clock.expect(!events[number].isForged, "record \(sequence) holds an event that was refused")
        clock.expect(record.body.array == events[number].body, "record \(sequence) holds other bytes than were sent")
        clock.expect(record.eventType.text == events[number].type, "record \(sequence) has another type")
        if let before = logged[sequence], before != number {
            clock.find("sequence \(sequence) was event \(before)'s and is event \(number)'s")
        }
        logged[sequence] = number
        // A start reads the window from the log: what retention had removed by then is not known any more.
        if let first = sequences[number]?.last, first >= oldestAtStart {
            clock.find("event \(number) is in the log twice within its window: \(first) and \(sequence)")
        }
        sequences[number, default: []].append(sequence)
    }
    private func number(of body: [UInt8]) -> Int? {
        guard let bar = body.firstIndex(of: UInt8(ascii: "|")) else { return nil }
        return Int(String(decoding: body[..<bar], as: UTF8.self))
    }

    // MARK: what endpoints get

    package func wants(_ endpoint: Int, _ type: String) -> Bool {
        let types = endpoints[endpoint].types
        return types.isEmpty || types.contains(type)
    }
    /// A request that arrived whole.
    package func arrived(_ endpoint: Int, id: String, body: [UInt8], isTaken: Bool) {
        guard let number = number(of: body), number < events.count, let event = EventID(id) else {
            return clock.find("endpoint \(endpoint) got \(id) with what nobody sent")
        }
        clock.expect(!events[number].isForged, "endpoint \(endpoint) got an event that was refused")
        clock.expect(body == events[number].body, "endpoint \(endpoint) got other bytes of event \(number)")
        clock.expect(wants(endpoint, events[number].type), "endpoint \(endpoint) got event \(number) unasked")
        // It may be ahead of the audit, never beside it.
        if let known = logged[event.sequence], known != number {
            clock.find("endpoint \(endpoint) got event \(number) as sequence \(event.sequence), event \(known)'s")
        }
        if logged[event.sequence] == nil { early[event.sequence] = number }
        if isTaken { taken[endpoint].insert(event.sequence) }
    }
    /// Delivered before the audit met them.
    private var early: [UInt64: Int] = [:]

    // MARK: the end

    /// The world has come to rest.
    package func checkEnd(_ store: MemoryStore, ids: [EndpointID]) {
        for (number, event) in events.enumerated() where event.isAnswered {
            clock.expect(sequences[number] != nil, "event \(number) was answered 2xx and is not in the log")
        }
        for (sequence, number) in early.sorted(by: { $0.key < $1.key }) {
            clock.expect(
                logged[sequence] == number, "event \(number) was delivered as sequence \(sequence), which it is not")
        }
        for endpoint in endpoints.indices { checkEnd(endpoint, store, ids[endpoint]) }
    }
    private func checkEnd(_ endpoint: Int, _ store: MemoryStore, _ id: EndpointID) {
        let rows = store.state.withLock { $0.rows[id, default: [:]] }
        for (sequence, number) in logged.sorted(by: { $0.key < $1.key }) where wants(endpoint, events[number].type) {
            let state = rows[sequence]?.state
            if taken[endpoint].contains(sequence) { continue }
            clock.expect(
                state == .dead,
                "event \(number), sequence \(sequence), never reached endpoint \(endpoint): "
                    + (state.map { "\($0)" } ?? "no row"))
        }
    }
}
