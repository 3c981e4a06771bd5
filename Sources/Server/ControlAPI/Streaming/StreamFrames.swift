// Items of the stream as server-sent events: a few lines, of which `data` is the JSON that the listings have. Written
// by hand, because thousands a second are; a test holds them against the general encoder.
//
// Invariants: an item has no line end but its own, whatever a sender put into a name; ids are those by which a stream
// is resumed, so that only what is in the log has one.
import Engine
import FastPath

package struct StreamFrames {
    let logIdentity: UInt64
    private var times = TimeWriter()

    package init(logIdentity: UInt64) { self.logIdentity = logIdentity }

    // MARK: items

    /// As `EventRow` has it.
    package mutating func event(_ record: RecordView) -> [UInt8] {
        let id = EventID(logIdentity: logIdentity, sequence: record.sequence).text
        var json = JSONWriter("id: \(id)\nevent: event\ndata: ")
        json.open()
        json.text("id", id)
        json.number("sequence", Int64(clamping: record.sequence))
        json.text("source", record.source)
        json.text("type", record.eventType)
        json.text("received_at", times.text(nanoseconds: record.receivedAt))
        json.number("body_bytes", Int64(record.body.count))
        json.text("verdict", record.verdict.name)
        json.number("tenant_number", Int64(record.tenantNumber))
        json.number("source_number", Int64(record.sourceNumber))
        if record.providerID.count > 0 { json.text("provider_id", DedupKeyText.shown(record.providerID.array)) }
        if record.clientSubject.count > 0 { json.text("client_subject", record.clientSubject) }
        if record.isRequestOfBatch { json.text("part", "request") } else if record.isElement {
            json.text("part", "event")
        }
        if record.isErased { json.flag("erased", true) }
        return json.closed(with: "\n\n")
    }
    /// As `DeliveryResource` has it; `event` is nil when it has left the log.
    package mutating func delivery(_ row: DeliveryRow, _ event: StreamedEvent?, at endpoint: Reference) -> [UInt8] {
        var json = JSONWriter("event: delivery\ndata: ")
        json.open()
        json.text("event", EventID(logIdentity: logIdentity, sequence: row.place.sequence).text)
        json.name("endpoint")
        json.open()
        json.text("id", endpoint.id)
        json.text("name", endpoint.name)
        json.close()
        json.text("state", DeliveryStateName(row.state).rawValue)
        json.number("attempts", Int64(AttemptCount.number(of: row.attempts)))
        if row.status != 0 { json.number("status", Int64(row.status)) }
        json.text("result", row.result.code)
        if let reason = row.reason { json.text("reason", reason.name) }
        if row.state == .dead { json.text("class", DeadLetterClass(row).rawValue) }
        if row.state == .pending, row.dueMillis > 0 { json.text("next_attempt_at", times.text(millis: row.dueMillis)) }
        json.text("updated_at", times.text(millis: row.updatedMillis))
        if row.timing != AttemptTiming() { json.timing(row.timing) }
        if let event {
            event.source.withView { json.text("source", $0) }
            event.type.withView { json.text("type", $0) }
            json.text("received_at", times.text(nanoseconds: event.receivedAt))
        }
        return json.closed(with: "\n\n")
    }
    package static func endpoint(_ change: EndpointChange) -> [UInt8] {
        Array("event: endpoint\ndata: \(APIText.of(change))\n\n".utf8)
    }

    // MARK: about the stream itself

    /// No item: where the reader is, so that it goes on from there. Of places no event is named, which may be another
    /// tenant's.
    package static func place(_ sequence: UInt64) -> [UInt8] {
        Array(": \nid: \(Cursor(.following, sequence).text)\n\n".utf8)
    }
    package static func opening(_ sequence: UInt64, _ form: StreamForm = .own) -> [UInt8] {
        switch form {
        case .own: Array("retry: 1000\n".utf8) + place(sequence)
        case .contract(let tenant, _): ready(tenant)
        }
    }
    /// Events that are not in the log any more, or cannot be read.
    package static func gap(_ first: UInt64, through last: UInt64) -> [UInt8] {
        Array("event: gap\ndata: {\"first_sequence\":\(first),\"last_sequence\":\(last)}\n\n".utf8)
    }
    /// Outcomes that were not told: more happened at once than is kept.
    package static func gap(outcomes count: UInt64) -> [UInt8] {
        Array("event: gap\ndata: {\"outcomes\":\(count)}\n\n".utf8)
    }
    package static func end(_ reason: StreamEnd) -> [UInt8] {
        Array("event: end\ndata: {\"reason\":\"\(reason.rawValue)\"}\n\n".utf8)
    }
}

/// Why the gateway has ended a stream.
package enum StreamEnd: String, CaseIterable, Sendable {
    /// It did not read, or not fast enough. Nobody can tell it.
    case slow
    /// The key that opened it was revoked, has expired or may not read any more, or its tenant is gone.
    case keyEnded = "key_ended"
    case draining
}

package struct EndpointChange: Codable, Equatable, Sendable {
    package var endpoint: Reference
    package var was: EndpointStateName
    package var state: EndpointStateName
    package var reason: String?
    /// RFC 3339.
    package var since: String?
    package var until: String?
    package var lastError: String?

    package init(endpoint: Reference, was: EndpointStateName, state: EndpointStateName) {
        self.endpoint = endpoint
        self.was = was
        self.state = state
    }
    init(_ notice: EndpointNotice, at endpoint: Reference) {
        self.init(
            endpoint: endpoint, was: EndpointStateName(notice.old), state: EndpointStateName(notice.state.condition))
        reason = notice.state.reason == .none ? nil : notice.state.reason.name
        since = TimeText.of(millis: notice.state.sinceMillis)
        until = TimeText.of(millis: notice.state.untilMillis)
        lastError = notice.state.lastError.isEmpty ? nil : notice.state.lastError
    }
}

extension EndpointChange: Described {
    private static let states = Schema.word(EndpointStateName.allCases.map(\.rawValue))
    package static let schema = ObjectSchema(
        "EndpointChange", "An endpoint does otherwise than before.",
        [
            .required("endpoint", .object(Reference.schema), "Which one."),
            .required("was", states, "How it did before."),
            .required("state", states, "How it does now."),
            .optional("reason", .text, "Why, as in the endpoint's status."),
            .optional("since", .time, "Since when."),
            .optional("until", .time, "When a pause ends."),
            .optional("last_error", .text, "What its last failure was."),
        ])
}

/// Times as RFC 3339. The part in seconds is kept: most are of the same one.
private struct TimeWriter {
    private var second: UInt64 = .max
    private var secondText = ""

    mutating func text(nanoseconds: UInt64) -> String {
        let second = nanoseconds / 1_000_000_000
        if second != self.second {
            self.second = second
            // Up to the point.
            secondText = String(TimeText.of(nanoseconds: second * 1_000_000_000).dropLast(4))
        }
        return "\(secondText)\(String(nanoseconds / 1_000_000 % 1000 + 1000).dropFirst())Z"
    }
    mutating func text(millis: Int64) -> String { text(nanoseconds: UInt64(max(0, millis)) * 1_000_000) }
}

/// Objects of JSON on one line, members in the order of the calls.
private struct JSONWriter {
    private var bytes: [UInt8]
    private var needsComma = false

    init(_ lines: String) {
        bytes = []
        bytes.reserveCapacity(512)
        bytes += lines.utf8
    }
    mutating func open() {
        bytes.append(UInt8(ascii: "{"))
        needsComma = false
    }
    mutating func close() {
        bytes.append(UInt8(ascii: "}"))
        needsComma = true
    }
    mutating func closed(with end: String) -> [UInt8] {
        close()
        return bytes + end.utf8
    }
    mutating func name(_ name: StaticString) {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
        quote(ByteView(name))
        bytes.append(UInt8(ascii: ":"))
    }
    mutating func text(_ name: StaticString, _ value: ByteView) {
        self.name(name)
        quote(value)
    }
    mutating func text(_ name: StaticString, _ value: String) {
        self.name(name)
        Array(value.utf8).withView { quote($0) }
    }
    mutating func number(_ name: StaticString, _ value: Int64) {
        self.name(name)
        bytes += String(value).utf8
    }
    mutating func flag(_ name: StaticString, _ value: Bool) {
        self.name(name)
        bytes += (value ? "true" : "false").utf8
    }
    mutating func timing(_ timing: AttemptTiming) {
        name("timing")
        open()
        millis("total_millis", timing.totalMicros)
        if timing.connectMicros != 0 { millis("connect_millis", timing.connectMicros) }
        if timing.firstByteMicros != 0 { millis("first_byte_millis", timing.firstByteMicros) }
        close()
    }
    private mutating func millis(_ name: StaticString, _ micros: UInt32) {
        self.name(name)
        bytes += String(micros / 1000).utf8
        guard micros % 1000 != 0 else { return }
        bytes.append(UInt8(ascii: "."))
        bytes += String(micros % 1000 + 1000).dropFirst().utf8
    }
    private mutating func quote(_ text: ByteView) {
        bytes.append(JSONWriter.quotation)
        let start = bytes.count
        for index in 0..<text.count {
            let byte = text[index]
            guard byte >= 0x20, byte < 0x7F, byte != JSONWriter.quotation, byte != JSONWriter.backslash else {
                bytes.removeLast(bytes.count - start)
                escape(text.text)
                break
            }
            bytes.append(byte)
        }
        bytes.append(JSONWriter.quotation)
    }
    private mutating func escape(_ text: String) {
        for byte in text.utf8 {
            switch byte {
            case JSONWriter.quotation, JSONWriter.backslash: bytes += [JSONWriter.backslash, byte]
            case 0..<0x20: bytes += "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8
            default: bytes.append(byte)
            }
        }
    }
    private static let quotation = UInt8(ascii: "\"")
    private static let backslash = UInt8(ascii: "\\")
}
