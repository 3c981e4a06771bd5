// The body of a request with several events: an array, or a line for each. What an event's body says stands in `data`
// when it is JSON, else in `data_base64`; beside it what tells one event from another. Pure.
//
// Invariants: what is written is JSON whatever the bodies hold, and each item has the members that are said here and no
// others: a body that would end its item early is not JSON, and goes as base 64. Of NDJSON no item holds a line's end.

import FastPath

package struct BatchBody {
    package private(set) var bytes: [UInt8] = []
    package private(set) var count = 0
    private let format: BatchFormat

    package init(_ format: BatchFormat) {
        self.format = format
        if format == .json { bytes.append(UInt8(ascii: "[")) }
    }
    package static func contentType(_ format: BatchFormat) -> String {
        format == .json ? "application/json" : "application/x-ndjson"
    }
    /// As it is sent.
    package var closed: [UInt8] { format == .json ? bytes + [UInt8(ascii: "]")] : bytes }
    package func has(roomFor item: [UInt8], in bytesMax: Int) -> Bool { bytes.count + item.count + 2 <= bytesMax }
    package mutating func append(_ item: [UInt8]) {
        if format == .json, count > 0 { bytes.append(UInt8(ascii: ",")) }
        bytes += item
        if format == .ndjson { bytes.append(0x0A) }
        count += 1
    }

    /// One event; `id`, a type and a source are without what JSON would escape but for what is escaped here.
    package static func item(
        id: String, type: [UInt8], source: [UInt8], receivedAt: UInt64, fieldLines: [UInt8], body: [UInt8]
    ) -> [UInt8] {
        var head = "{\"id\":\"\(id)\""
        if !type.isEmpty { head += ",\"type\":" + PlainJSON.quoted(String(decoding: type, as: UTF8.self)) }
        if !source.isEmpty { head += ",\"source\":" + PlainJSON.quoted(String(decoding: source, as: UTF8.self)) }
        head += ",\"timestamp\":\"\(TimeText.of(nanoseconds: receivedAt))\""
        let memberCount = 2 + (type.isEmpty ? 0 : 1) + (source.isEmpty ? 0 : 1)
        let lines = FieldLineList(fieldLines)
        let coding = lines.value(of: "content-encoding")
        if coding == nil, !body.isEmpty {
            let item = Array((head + ",\"data\":").utf8) + body + [UInt8(ascii: "}")]
            if let read = try? JSONMembers(item), read.members.count == memberCount + 1 {
                // In JSON nothing but white space between values is a line's end.
                return item.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 }
            }
        }
        if let kind = lines.value(of: "content-type") { head += ",\"content_type\":" + PlainJSON.quoted(kind) }
        if let coding { head += ",\"content_encoding\":" + PlainJSON.quoted(coding) }
        return Array((head + ",\"data_base64\":\"\(TextEncoding.base64(body))\"}").utf8)
    }
    /// The same for the same events of one log, and for no others.
    package static func id(logIdentity: UInt64, endpoint: EndpointID, sequences: [UInt64]) -> String {
        var bytes: [UInt8] = []
        for number in [logIdentity, UInt64(endpoint.number)] + sequences {
            for place in 0..<UInt64(8) { bytes.append(UInt8(truncatingIfNeeded: number >> (place * 8))) }
        }
        let halves: [UInt64] = bytes.withView { view in [0x5EED, 0xBA7C_5EED].map { view.hashed(from: $0) } }
        return "bat_"
            + halves.map { half in
                let digits = String(half, radix: 16)
                return String(repeating: "0", count: 16 - digits.count) + digits
            }.joined()
    }
    package static let idBytes = 36
}
