// An event of the contract edge and the body that its entries get: made before it is kept where the control listener
// takes it, and when it is sent or shown where it came to the ingest port, whose log has the request as it came. Pure.
//
// Invariants: a payload goes on byte by byte as it came; a request and its log make the same body each time.
import FastPath

package struct ContractEvent: Equatable, Sendable {
    package var type: String
    /// Nil only of what came to the ingest port, whose loop does not ask for it; so of the next two.
    package var source: String?
    package var category: String?
    package var severity: String?
    /// As it was written; nil = when it came.
    package var detectedAt: String?
    /// JSON.
    package var payload: [UInt8]

    package init(
        type: String, source: String?, category: String?, severity: String?, detectedAt: String?, payload: [UInt8]
    ) {
        self.type = type
        self.source = source
        self.category = category
        self.severity = severity
        self.detectedAt = detectedAt
        self.payload = payload
    }

    /// What its entries get. `schema_version` is each entry's own, and stands here as it is for most.
    package func body(id: String, tenant: String, atMillis millis: Int64) -> [UInt8] {
        let time = detectedAt ?? TimeText.of(epochMillis: millis)
        let members: [(String, String?)] = [
            ("event_id", id), ("event_type", type), ("tenant_id", tenant), ("source", source), ("category", category),
            ("severity", severity), ("detected_at", time), ("schema_version", ContractEntry.schemaVersionDefault),
        ]
        let head = members.map { "\"\($0)\":\(($1.map { .text($0) } ?? PlainJSON.null).json)" }
        return Array("{\(head.joined(separator: ","))".utf8) + ContractEvent.payloadName + payload + Array("}".utf8)
    }
    private static let payloadName = Array(",\"payload\":".utf8)
    /// Such a body up to its payload, with the bracket that opens it: in a text before it the quotation marks of that
    /// name would be escaped.
    package static func head(of body: [UInt8]) -> [UInt8] {
        let count = payloadName.count
        for start in 0..<max(0, body.count - count) where body[start] == payloadName[0] {
            if body[start..<start + count].elementsEqual(payloadName) { return Array(body[..<start]) }
        }
        return body
    }
}

/// One that the ingest port took in the contract's envelope: what is said of it beside its request.
package struct EnvelopedEvent: Equatable, Sendable {
    package let id: String
    private let millis: Int64

    /// `receivedAt`: nanoseconds since 1970.
    package init(_ event: EventID, _ receivedAt: UInt64) {
        id = OpsCenterID.text(event)
        millis = Int64(clamping: receivedAt / 1_000_000)
    }
    /// What its entries get for the body of its request; nil when that is no JSON object. The loop has asked for the
    /// type alone, so the others may be missing, and what is no object is a payload as it stands.
    package func body(of request: [UInt8], tenant: String) -> [UInt8]? {
        guard let members = try? JSONMembers(request) else { return nil }
        func text(_ name: String) -> String? { members[name].flatMap { members.string(of: $0) } }
        guard let type = text("event_type") else { return nil }
        let payload = members["payload"].flatMap { $0.form == .null ? nil : members.bytes(of: $0) }
        let event = ContractEvent(
            type: type, source: text("source"), category: text("category"), severity: text("severity"),
            detectedAt: text("detected_at"), payload: payload ?? Array("{}".utf8))
        return event.body(id: id, tenant: tenant, atMillis: millis)
    }
    /// The same of its record; nil also where that is compressed in a way that cannot be read.
    package func body(of record: RecordView) -> [UInt8]? {
        var lines = FieldLineList(record.fieldLines.array)
        guard let body = try? lines.decode(record.body.array) else { return nil }
        return self.body(of: body, tenant: lines.tenant)
    }
}

extension FieldLineList {
    /// The UUID that the envelope names, which was its source's tenant.
    var tenant: String { value(of: "x-tenant-id")?.lowercased() ?? "" }
}
