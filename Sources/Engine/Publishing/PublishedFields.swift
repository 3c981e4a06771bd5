// What was said of a published event, in the field lines of its record. Pure.
import FastPath

/// What a record's field lines say of a published event, found without a copy. Names begin with `Sluice-`, which
/// goes on to no endpoint.
package enum PublishedFields {
    static let channels = "Sluice-Channels: "
    static let tags = "Sluice-Tags: "
    static let eventID = "Sluice-Event-Id: "
    static let idempotencyKey = "Sluice-Idempotency-Key: "

    /// Comma-separated; empty when there are none. O(lines before it); it is the first.
    package static func channels(in lines: ByteView) -> ByteView { value(of: channels, in: lines) }
    package static func channelList(in lines: ByteView) -> [String] { list(channels(in: lines)) }
    package static func tagList(in lines: ByteView) -> [String] { list(value(of: tags, in: lines)) }
    package static func eventID(in lines: ByteView) -> String? { text(value(of: eventID, in: lines)) }
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

    private static func text(_ view: ByteView) -> String? { view.count == 0 ? nil : view.text }
    private static func list(_ view: ByteView) -> [String] {
        view.count == 0 ? [] : view.text.split(separator: ",").map(String.init)
    }
    private static func value(of name: String, in lines: ByteView) -> ByteView {
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
