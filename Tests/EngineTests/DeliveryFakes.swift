// The world around the dispatcher, in memory: a log, an egress loop, a resolver. What each can do wrong is written
// beside it. Nothing here reads a clock.
//
// Safety: FakeLog hands out views of memory that it keeps until its deinit.

import Engine
import FastPath

struct FakeEvent {
    var tenant = TenantID.main
    /// 0 = named by `source` only.
    var sourceID = SourceID(0)
    var source = "github"
    var type = "push"
    var fieldLines = "Content-Type: application/json\r\nX-GitHub-Event: push\r\n"
    var body = "{}"
    /// It came in the contract's envelope.
    var isEnveloped = false
    /// Wall clock in nanoseconds; nil: as many seconds as its sequence.
    var receivedAt: UInt64?
}

/// Faults: sequences that cannot be read, or not now, a start that retention has moved.
final class FakeLog: EventLog, @unchecked Sendable {
    let identity: UInt64 = 0xAB_CDEF_0123
    private(set) var reads = 0
    var unreadable: Set<UInt64> = []
    var unavailable: Set<UInt64> = []
    /// Their content was erased.
    var erased: Set<UInt64> = []
    var oldestSequence: UInt64 = 1
    private var events: [StoredEvent] = []
    private var memory: [UnsafeMutableBufferPointer<UInt8>] = []

    deinit { for block in memory { block.deallocate() } }

    func append(_ event: FakeEvent) {
        let sequence = UInt64(events.count + 1)
        var stored =
            StoredEvent(
                place: place(sequence), next: place(sequence + 1),
                receivedAt: event.receivedAt ?? sequence * 1_000_000_000,
                tenant: event.tenant, sourceID: event.sourceID, source: keep(event.source),
                eventType: keep(event.type), fieldLines: keep(event.fieldLines), body: keep(event.body))
        stored.isEnveloped = event.isEnveloped
        events.append(stored)
    }
    func append(count: Int, _ event: FakeEvent = FakeEvent()) {
        for _ in 0..<count { append(event) }
    }
    func place(_ sequence: UInt64) -> EventLocation { EventLocation(sequence: sequence, position: sequence * 4096) }
    var committedEnd: EventLocation { place(UInt64(events.count + 1)) }
    var oldest: EventLocation { place(min(oldestSequence, committedEnd.sequence)) }

    func read(at wanted: EventLocation) -> EventRead {
        reads += 1
        let sequence = max(wanted.sequence, oldestSequence)
        guard sequence <= UInt64(events.count) else { return .end }
        if unavailable.contains(sequence) { return .unavailable }
        if unreadable.contains(sequence) { return .unreadable(next: place(sequence + 1)) }
        var event = events[Int(sequence) - 1]
        if erased.contains(sequence) {
            (event.isErased, event.fieldLines, event.body) = (true, .empty, .empty)
        }
        return .event(event)
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
        var request: OutboundRequest
        var eventID: String
        var prefix: String
        var fieldLines: String
        var body: String
        var sequence: UInt64 { (EventID(eventID) ?? MessageID(eventID)?.event)!.sequence }
        /// The path of the bench's URLs is the endpoint's number.
        var endpoint: Int {
            Int(prefix.split(separator: " ")[1].dropFirst().prefix { $0.isNumber })!
        }
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
    private var answers: [UInt64: [UInt8]] = [:]

    func submit(_ request: OutboundRequest) -> Bool {
        guard out.count < capacity else { return false }
        submitted += 1
        out.append(
            Sent(
                request: request, eventID: request.eventID.text, prefix: request.prefix.text,
                fieldLines: request.fieldLines.text, body: request.body.text))
        return true
    }
    func flush() {}
    var hasOutcome: Bool { next < outcomes.count }
    func nextOutcome() -> DeliveryOutcome? {
        guard next < outcomes.count else { return nil }
        defer { next += 1 }
        return outcomes[next]
    }
    func answer(of outcome: DeliveryOutcome) -> [UInt8] { answers[outcome.token] ?? [] }
    /// Answers the request at `index`; false when its memory was touched while it was out.
    @discardableResult
    func answer(
        _ index: Int, status: UInt16 = 200, body: String = "", change: (inout DeliveryOutcome) -> Void = { _ in }
    ) -> Bool {
        let sent = out.remove(at: index)
        var outcome = DeliveryOutcome(token: sent.request.token, result: .answered)
        outcome.status = status
        outcome.answerBytes = UInt16(body.utf8.count)
        answers[outcome.token] = Array(body.utf8)
        change(&outcome)
        outcomes.append(outcome)
        return sent.request.body.text == sent.body && sent.request.fieldLines.text == sent.fieldLines
            && sent.request.eventID.text == sent.eventID && sent.request.prefix.text == sent.prefix
    }
    func answerAll(
        status: UInt16 = 200, body: String = "", change: (inout DeliveryOutcome) -> Void = { _ in }
    ) {
        while !out.isEmpty { answer(0, status: status, body: body, change: change) }
    }
    /// Answers everything that is out for this endpoint.
    func answer(endpoint: Int, status: UInt16 = 200, change: (inout DeliveryOutcome) -> Void = { _ in }) {
        while let index = out.firstIndex(where: { $0.endpoint == endpoint }) {
            answer(index, status: status, change: change)
        }
    }
}

/// Attempts that end without an answer.
func failing(_ result: DeliveryResult) -> (inout DeliveryOutcome) -> Void {
    { outcome in
        outcome.result = result
        outcome.status = 0
    }
}
func lostReused(_ outcome: inout DeliveryOutcome) {
    outcome.result = .connectionLost
    outcome.status = 0
    outcome.lostReusedConnection = true
}

/// Says what the test says. Faults: names that do not resolve, answers that take their time.
final class FakeHosts: HostLookup {
    enum Entry: Equatable {
        case addresses([String])
        case failed
        case silent
    }
    private var entries: [String: (entry: Entry, version: UInt64)] = [:]
    private var versions: UInt64 = 0
    private var replies: [String] = []
    private(set) var looks = 0
    private(set) var distrusted: [String] = []

    /// Whoever waits for the host is told.
    func set(_ host: String, _ entry: Entry) {
        versions += 1
        entries[host] = (entry, versions)
        if entry != .silent { replies.append(host) }
    }
    func look(_ host: String, port: UInt16, now: UInt64) -> HostAnswer {
        looks += 1
        guard let (entry, version) = entries[host] else { return .pending }
        switch entry {
        case .addresses(let texts):
            return .addresses(texts.map { SocketAddress(address: IPAddress($0)!, port: port) }, version: version)
        case .failed: return .failed("no such name")
        case .silent: return .pending
        }
    }
    func distrust(_ host: String, port: UInt16) { distrusted.append("\(host):\(port)") }
    func nextReply() -> String? { replies.popLast() }
    var hasReply: Bool { !replies.isEmpty }
}
