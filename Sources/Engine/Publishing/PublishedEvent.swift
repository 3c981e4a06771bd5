// An event of the API as the log keeps it: of a source of the gateway's own (`PublishSource`), its body exactly as it
// was given, what else was said of it as field lines of its record.
//
// Invariant: field lines of such a record are written here and nowhere else, so what they say was checked.
import FastPath

package struct PublishedEvent: Equatable, Sendable {
    package var tenant: TenantID
    package var type: String
    package var contentType = "application/json"
    package var body: [UInt8]
    /// The publisher's own id; a second event of the tenant with the same one, within the window, is a duplicate.
    package var eventID: String?
    package var channels: [String] = []
    package var tags: [String] = []
    /// What it belongs to; endpoints may ask for an order by it.
    package var group: String?
    /// Wall clock, milliseconds since 1970: its deliveries begin then. Nil = at once.
    package var deliverAtMillis: Int64?
    /// Hours from its arrival for which its content is shown and sent by hand. Nil = as long as the log has it.
    package var retentionHours: Int?
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
    /// Of what came over the contract edge.
    package var contract: ContractStamp?
    /// Of the trace that its publisher has it in: `TraceContext.lines`.
    package var traceLines = ""
    /// Where it was published.
    package var target = "/api/v1/events"
    /// Of those that are the API's own.
    package var source = SourceID.publishing
    /// Wall clock, nanoseconds since 1970; 0 = when it is offered.
    package var receivedAt: UInt64 = 0

    package init(tenant: TenantID, type: String, body: [UInt8]) {
        self.tenant = tenant
        self.type = type
        self.body = body
    }

    /// What is checked already: `PublishRules`.
    package func injected(windowSeconds: UInt32) -> InjectedEvent {
        var event = InjectedEvent(source: source.publishedName)
        event.sourceNumber = source.number
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
        if let contract { return "contract \(contract.key)" }
        return eventID ?? repetition.map { "idempotency-key \($0.text)" }
    }
    private var fieldLines: [UInt8] {
        var lines = ""
        if let deliverAtMillis { lines += "\(PublishedFields.deliverAt)\(deliverAtMillis)\r\n" }
        if !channels.isEmpty { lines += PublishedFields.channels + channels.joined(separator: ",") + "\r\n" }
        if !tags.isEmpty { lines += PublishedFields.tags + tags.joined(separator: ",") + "\r\n" }
        if let group { lines += PublishedFields.group + group + "\r\n" }
        if let retentionHours { lines += "\(PublishedFields.retention)\(retentionHours)\r\n" }
        if let contract { lines += contract.fieldLines }
        if let eventID { lines += PublishedFields.eventID + eventID + "\r\n" }
        if let repetition { lines += PublishedFields.idempotencyKey + repetition.text + "\r\n" }
        return Array((lines + traceLines + "Content-Type: " + contentType + "\r\n").utf8)
    }
}

extension StoredEvent {
    /// Comma-separated. Only what is published has some: whatever fields a provider's request carries.
    var channels: ByteView { sourceID.isPublishing ? PublishedFields.channels(in: fieldLines) : .empty }
    /// When its deliveries begin; nil = at once.
    var deliverAtMillis: Int64? { sourceID.isPublishing ? PublishedFields.deliverAtMillis(in: fieldLines) : nil }
}
