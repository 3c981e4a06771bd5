// What was said of a published event, in the field lines of its record. Pure.
import FastPath

/// What a record's field lines say of a published event, found without a copy. Names begin with `Sluice-`, which
/// goes on to no endpoint.
package enum PublishedFields {
    /// The first line, where there is one: the dispatcher asks for it with every event.
    static let deliverAt = "Sluice-Deliver-At: "
    static let channels = "Sluice-Channels: "
    static let tags = "Sluice-Tags: "
    static let eventID = "Sluice-Event-Id: "
    static let retention = "Sluice-Retention-Hours: "
    static let idempotencyKey = "Sluice-Idempotency-Key: "
    static let group = "Sluice-Group: "

    /// Milliseconds since 1970. O(1) where there is none.
    package static func deliverAtMillis(in lines: ByteView) -> Int64? {
        let name = deliverAt.utf8
        guard lines.count > name.count, name.enumerated().allSatisfy({ lines[$0.offset] == $0.element }) else {
            return nil
        }
        return Int64(value(of: deliverAt, in: lines).text)
    }
    /// Nanoseconds since 1970 until when the content of what arrived then is shown; nil = no end was asked for.
    package static func contentEnd(in lines: ByteView, receivedAt: UInt64) -> UInt64? {
        guard let hours = UInt64(value(of: retention, in: lines).text) else { return nil }
        let (nanos, isTooLong) = hours.multipliedReportingOverflow(by: 3_600_000_000_000)
        return isTooLong || receivedAt > .max - nanos ? nil : receivedAt + nanos
    }
    /// Comma-separated; empty when there are none. O(lines before it); it is among the first.
    package static func channels(in lines: ByteView) -> ByteView { value(of: channels, in: lines) }
    package static func channelList(in lines: ByteView) -> [String] { list(channels(in: lines)) }
    package static func tagList(in lines: ByteView) -> [String] { list(value(of: tags, in: lines)) }
    package static func eventID(in lines: ByteView) -> String? { text(value(of: eventID, in: lines)) }
    /// Empty when there is none.
    package static func group(in lines: ByteView) -> ByteView { value(of: group, in: lines) }
    package static func idempotencyKey(in lines: ByteView) -> String? { text(value(of: idempotencyKey, in: lines)) }

    /// True exactly when one of `wanted` is in the comma-separated list.
    package static func share(_ wanted: [String], _ list: ByteView) -> Bool {
        var start = 0
        while start < list.count {
            var end = start
            while end < list.count, list[end] != UInt8(ascii: ",") { end += 1 }
            let channel = list.slice(start, end - start).array
            if wanted.contains(where: { $0.utf8.elementsEqual(channel) }) { return true }
            start = end + 1
        }
        return false
    }

    static func text(_ view: ByteView) -> String? { view.count == 0 ? nil : view.text }
    private static func list(_ view: ByteView) -> [String] {
        view.count == 0 ? [] : view.text.split(separator: ",").map(String.init)
    }
    static func value(of name: String, in lines: ByteView) -> ByteView {
        let name = name.utf8
        var start = 0
        while start < lines.count {
            var end = start
            while end < lines.count, lines[end] != 0x0A { end += 1 }
            if end - start >= name.count, name.enumerated().allSatisfy({ lines[start + $0.offset] == $0.element }) {
                let valueStart = start + name.count
                return lines.slice(valueStart, max(0, end - 1 - valueStart))
            }
            start = end + 1
        }
        return .empty
    }
}
