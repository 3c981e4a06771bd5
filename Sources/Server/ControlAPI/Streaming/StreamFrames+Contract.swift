// Items of the stream as the contract edge tells them: events by the ids that they are resumed by, deliveries as its
// listing has them; and the frames of one item in the words of each reader.
import Engine
import FastPath

extension StreamFrames {
    /// A payload that is larger is left out.
    private static let payloadBytesMax = 16 << 10

    static func ready(_ tenant: String) -> [UInt8] {
        Array("retry: 1000\nevent: ready\ndata: \((["tenant_id": .text(tenant)] as JSONValue).json)\n\n".utf8)
    }
    static let heartbeat = Array("event: heartbeat\ndata: {}\n\n".utf8)

    /// The event as its entries get it, on one line: outside of texts a line's end is white space, and in them there is
    /// none.
    func contractEvent(_ record: RecordView, tenant: String) -> [UInt8] {
        guard let stamp = ContractStamp(record, logIdentity: logIdentity) else { return [] }
        let known: [UInt8]? =
            if record.isEnveloped {
                EnvelopedEvent(
                    EventID(logIdentity: logIdentity, sequence: record.sequence), record.receivedAt
                ).body(of: record)
            } else { record.body.array }
        var body: [UInt8]
        if let known, !record.isErased { body = known } else {
            let left: JSONValue = [
                "event_id": .text(stamp.eventID), "event_type": .text(record.eventType.text),
                "tenant_id": .text(tenant), "payload_omitted": true,
            ]
            body = Array(left.json.utf8)
        }
        if body.count > StreamFrames.payloadBytesMax {
            body = ContractEvent.head(of: body) + Array(",\"payload_omitted\":true}".utf8)
        }
        for index in body.indices where body[index] == 0x0A || body[index] == 0x0D { body[index] = 0x20 }
        return Array("id: \(stamp.eventID)\nevent: webhook.event\ndata: ".utf8) + body + Array("\n\n".utf8)
    }
    static func contractDelivery(
        _ row: DeliveryRow, _ event: StreamedEvent?, at endpoint: Reference, tenant: String
    ) -> [UInt8] {
        let number = AttemptCount.number(of: row.attempts)
        let isAnswered = number > 0 && row.result == .answered && row.status > 0
        let isFailed = number > 0 && row.state != .delivered
        let errorClass = ContractErrorClass(FailureClass(row.result, status: row.status)).rawValue
        let data: JSONValue = [
            "delivery_id": .text(ContractID.delivery(of: row.place.sequence, at: row.endpoint)),
            "webhook_id": .text(PublicID(endpoint.id, prefix: .endpoint)?.uuid ?? ""), "tenant_id": .text(tenant),
            "event_id": event?.stamp.map { .text($0.eventID) } ?? .null,
            "event_type": event.map { .text(String(decoding: $0.type, as: UTF8.self)) } ?? .null,
            "correlation_id": LiveContract.correlation(event?.stamp),
            "attempt": .integer(Int64(number)), "status": .text(ContractStatus(row).rawValue),
            "response_code": isAnswered ? .integer(Int64(row.status)) : .null,
            "latency_ms": number > 0 ? LiveContract.latency(row.timing) : .null,
            "error_class": isFailed ? .text(errorClass) : .null,
        ]
        return Array("event: webhook.delivery\ndata: \(data.json)\n\n".utf8)
    }
}

/// One item in the words of each reader that is told it: spelled once a form. Readers of the contract that are told the
/// same item are of one tenant.
struct SpelledFrames {
    private var own: [UInt8]?
    private var contract: [UInt8]?

    mutating func event(_ record: RecordView, _ form: StreamForm, _ frames: inout StreamFrames) -> [UInt8] {
        switch form {
        case .own:
            let frame = own ?? frames.event(record)
            own = frame
            return frame
        case .contract(let tenant, _):
            let frame = contract ?? frames.contractEvent(record, tenant: tenant)
            contract = frame
            return frame
        }
    }
    mutating func delivery(
        _ row: DeliveryRow, _ event: StreamedEvent?, at endpoint: Reference, _ form: StreamForm,
        _ frames: inout StreamFrames
    ) -> [UInt8] {
        switch form {
        case .own:
            let frame = own ?? frames.delivery(row, event, at: endpoint)
            own = frame
            return frame
        case .contract(let tenant, _):
            let frame = contract ?? StreamFrames.contractDelivery(row, event, at: endpoint, tenant: tenant)
            contract = frame
            return frame
        }
    }
}
