// The UUIDs of the contract edge. Those of events (version 7) say when they were made, those of deliveries (version 8)
// where they are, so that no table leads to either. Pure, but for `make`.
import FastPath

package enum ContractID {
    /// Version 4: of requests and whatever needs no more than to differ.
    package static func make() -> String { PublicID.make(.endpoint).uuid }
    /// Version 7, of an event that came then.
    package static func event(atMillis millis: Int64) -> String {
        let random = UInt128.random(in: .min ... .max) & (UInt128(1) << 80 - 1)
        let marks: UInt128 = 0xF << 76 | 0b11 << 62
        let time = UInt128(UInt64(max(0, millis)) & 0xFFFF_FFFF_FFFF) << 80
        return PublicID(time | random & ~marks | 7 << 76 | 0b10 << 62, .endpoint).uuid
    }
    /// When the event came, milliseconds since 1970; nil for what is no id of an event.
    package static func millis(ofEvent text: String) -> Int64? {
        guard let value = PublicID(uuid: text, prefix: .endpoint)?.value, value >> 76 & 0xF == 7,
            value >> 62 & 0b11 == 0b10
        else { return nil }
        return Int64(value >> 80)
    }
    package static func delivery(of sequence: UInt64, at endpoint: EndpointID) -> String {
        OpsCenterID.text(OpsCenterID.Row(endpoint: endpoint, sequence: sequence, ordinal: 0))
    }
    package static func delivery(_ text: String) -> (sequence: UInt64, endpoint: EndpointID)? {
        guard let row = OpsCenterID.row(text.lowercased()), row.ordinal == 0 else { return nil }
        return (row.sequence, row.endpoint)
    }
    /// The same for every attempt and replay of a delivery, and another one in another log.
    package static func idempotencyKey(of event: EventID, at endpoint: EndpointID) -> String {
        let digest = Digest.sha256(Array("\(event.text) \(endpoint.number)".utf8))
        var value = digest.prefix(16).reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
        value = value & ~(0xF << 76 | 0b11 << 62) | 8 << 76 | 0b10 << 62
        return PublicID(value, .endpoint).uuid
    }
    /// 36 characters in the form of RFC 9562, in small letters or capitals; of this version where one is asked for.
    package static func isUUID(_ text: String, version: Character? = nil) -> Bool {
        Array(text.utf8).withView { view in
            guard let version else { return view.isUUID }
            return version.asciiValue.map { view.isUUID(version: $0) } ?? false
        }
    }
}

/// What the record of an event that came over the contract edge says of it beside its body.
package struct ContractStamp: Equatable, Sendable {
    /// A UUID of version 7.
    package var eventID: String
    /// The request's id.
    package var correlationID: String
    /// Under which a second one is a duplicate; no line end is in it.
    package var key: String
    /// Of the request that the key stands for, in hexadecimal: another request with the key is a conflict.
    package var digest: String

    package init(eventID: String, correlationID: String, key: String, digest: String) {
        self.eventID = eventID
        self.correlationID = correlationID
        self.key = key
        self.digest = digest
    }
    var fieldLines: String {
        "\(ContractStamp.eventName)\(eventID)\r\n\(ContractStamp.correlationName)\(correlationID)\r\n"
            + "\(ContractStamp.keyName)\(key)\r\n\(ContractStamp.digestName)\(digest)\r\n"
    }
    /// Of an event of the contract edge, whichever port it came to; nil for every other.
    package init?(_ record: RecordView, logIdentity: UInt64) {
        self.init(
            SourceID(record.sourceNumber), record.isEnveloped, record.fieldLines,
            EventID(logIdentity: logIdentity, sequence: record.sequence))
    }
    package init?(_ event: StoredEvent, logIdentity: UInt64) {
        self.init(
            event.sourceID, event.isEnveloped, event.fieldLines,
            EventID(logIdentity: logIdentity, sequence: event.place.sequence))
    }
    /// Where the port took it, its request's id is all of it, and gone where the record was erased.
    private init?(_ source: SourceID, _ isEnveloped: Bool, _ lines: ByteView, _ event: EventID) {
        guard isEnveloped else {
            guard source == .contract else { return nil }
            self.init(in: lines)
            return
        }
        let request = FieldLineList(lines.array).value(of: "x-request-id") ?? ""
        self.init(eventID: OpsCenterID.text(event), correlationID: request, key: request, digest: "")
    }
    private static let eventName = "Sluice-Contract-Event: "
    private static let correlationName = "Sluice-Contract-Correlation: "
    private static let keyName = "Sluice-Contract-Key: "
    private static let digestName = "Sluice-Contract-Digest: "

    /// Nil where the lines are of another event.
    package init?(in lines: ByteView) {
        guard let id = PublishedFields.text(PublishedFields.value(of: ContractStamp.eventName, in: lines)) else {
            return nil
        }
        eventID = id
        correlationID = PublishedFields.value(of: ContractStamp.correlationName, in: lines).text
        key = PublishedFields.value(of: ContractStamp.keyName, in: lines).text
        digest = PublishedFields.value(of: ContractStamp.digestName, in: lines).text
    }
}
