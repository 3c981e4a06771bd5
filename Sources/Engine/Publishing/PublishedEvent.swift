// An event of the API as the log keeps it: of a source that every tenant has and no operator can make, its body exactly
// as it was given, what else was said of it as field lines of its record.
//
// Invariants: the source's name has a character and its number a value that no operator's source has, so neither a
// fingerprint nor a subscription takes one for the other; field lines of such a record are written here and nowhere
// else, so what they say was checked.
import FastPath

package enum PublishSource {
    /// Of every tenant.
    package static let name = "@publish"
    package static let ids: [SourceID] = [.publishing, .messages]
}

extension SourceID {
    /// What is published by the API.
    package static var publishing: SourceID { SourceID(.max) }
    /// The same where it was published as a message of an application, and is known by that message's id.
    package static var messages: SourceID { SourceID(.max - 1) }
    package var isPublishing: Bool { self == .publishing || self == .messages }
}

package struct PublishedEvent: Equatable, Sendable {
    package var tenant: TenantID
    package var type: String
    package var contentType = "application/json"
    package var body: [UInt8]
    /// The publisher's own id; a second event of the tenant with the same one, within the window, is a duplicate.
    package var eventID: String?
    package var channels: [String] = []
    package var tags: [String] = []
    /// Of a call that may come again; the event's own id goes before it.
    package var repetition: Repetition?
    package struct Repetition: Equatable, Sendable {
        package var caller: String
        package var key: String
        package init(caller: String, key: String) {
            self.caller = caller
            self.key = key
        }
        package var text: String { "\(caller) \(key)" }
    }
    /// Where it was published.
    package var target = "/api/v1/events"
    /// It is a message of an application.
    package var isMessage = false
    /// Wall clock, nanoseconds since 1970; 0 = when it is offered.
    package var receivedAt: UInt64 = 0

    package init(tenant: TenantID, type: String, body: [UInt8]) {
        self.tenant = tenant
        self.type = type
        self.body = body
    }

    /// What is checked already: `PublishRules`.
    package func injected(windowSeconds: UInt32) -> InjectedEvent {
        var event = InjectedEvent(source: PublishSource.name)
        event.sourceNumber = (isMessage ? SourceID.messages : .publishing).number
        event.tenant = RecordFormat.tenantBytes(of: tenant.number)
        if let key = dedupKey {
            event.dedupKey = Array(key.utf8)
            event.dedupWindowSeconds = windowSeconds
        } else {
            event.dedupWindowSeconds = 0
        }
        event.eventType = Array(type.utf8)
        event.method = Array("POST".utf8)
        event.target = Array(target.utf8)
        event.fieldLines = fieldLines
        event.body = body
        event.receivedAt = receivedAt
        return event
    }
    /// Nil when it is nobody's duplicate. No id has a space.
    package var dedupKey: String? {
        eventID ?? repetition.map { "idempotency-key \($0.text)" }
    }
    private var fieldLines: [UInt8] {
        var lines = ""
        if !channels.isEmpty { lines += PublishedFields.channels + channels.joined(separator: ",") + "\r\n" }
        if !tags.isEmpty { lines += PublishedFields.tags + tags.joined(separator: ",") + "\r\n" }
        if let eventID { lines += PublishedFields.eventID + eventID + "\r\n" }
        if let repetition { lines += PublishedFields.idempotencyKey + repetition.text + "\r\n" }
        return Array((lines + "Content-Type: " + contentType + "\r\n").utf8)
    }
}

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

extension StoredEvent {
    /// Comma-separated. Only what is published has some: whatever fields a provider's request carries.
    var channels: ByteView { sourceID.isPublishing ? PublishedFields.channels(in: fieldLines) : .empty }
}
