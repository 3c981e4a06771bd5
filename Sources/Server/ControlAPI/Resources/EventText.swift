// A record of the log as the API and the commands show it. Copies; the record's views are not kept.
import Engine
import FastPath

extension EventRow {
    package init(_ record: RecordView, logIdentity: UInt64) {
        self.init(
            id: EventID(logIdentity: logIdentity, sequence: record.sequence).text, sequence: record.sequence,
            source: record.source.text, type: record.eventType.text,
            receivedAt: TimeText.of(nanoseconds: record.receivedAt),
            bodyBytes: record.body.count, verdict: record.verdict.name, tenantNumber: record.tenantNumber,
            sourceNumber: record.sourceNumber,
            providerId: record.providerID.count == 0 ? nil : DedupKeyText.shown(record.providerID.array),
            clientSubject: record.clientSubject.count == 0 ? nil : record.clientSubject.text,
            part: record.isRequestOfBatch ? "request" : record.isElement ? "event" : nil,
            erased: record.isErased ? true : nil)
    }
    /// One line for a person. What a sender chose is quoted, so that it cannot move the cursor or forge a line.
    package var line: String {
        let type = type.isEmpty ? "-" : LogLines.quoted(type)
        var words = "\(receivedAt)  \(id)  \(source)  \(type)  \(bodyBytes) B"
        if part == "request" { words += "  request of several events" }
        if erased == true { words += "  erased" }
        return verdict == RecordVerification.verified.name ? words : words + "  \(verdict)"
    }
    /// The numbers that stay when names change.
    package var identityLine: String {
        sourceNumber == 0 ? "tenant \(tenantNumber)" : "tenant \(tenantNumber), source \(sourceNumber)"
    }
}

extension EventDetail {
    package init(_ record: RecordView, logIdentity: UInt64, deliveries: [DeliveryItem]) {
        self.init(
            event: EventRow(record, logIdentity: logIdentity), method: record.method.text, target: record.target.text,
            headers: EventDetail.headers(record.fieldLines), body: record.body.array, deliveries: deliveries)
    }
    /// Field lines as pairs, as received but for the white space around the value.
    private static func headers(_ fieldLines: ByteView) -> [[String]] {
        fieldLines.text.split(separator: "\r\n").map { line in
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count > 1 ? parts[1].drop { $0 == " " || $0 == "\t" } : ""
            return [String(parts[0]), String(value.reversed().drop { $0 == " " || $0 == "\t" }.reversed())]
        }
    }
    /// Without the credentials that the sender sent.
    package func masked(_ mask: CredentialMask) -> EventDetail {
        var copy = self
        copy.headers = mask.headers(headers)
        copy.target = mask.target(target)
        return copy
    }
    /// For a person: the request as it came, then what became of it. Control characters in the head are shown, not
    /// obeyed.
    package var text: String {
        var lines = [event.line, event.identityLine]
        if let subject = event.clientSubject { lines.append("client certificate \(LogLines.quoted(subject))") }
        lines += ["", "\(LogLines.visible(method)) \(LogLines.visible(target))"]
        lines += headers.map { LogLines.visible($0.joined(separator: ": ")) }
        lines += [
            "",
            event.erased == true
                ? "(erased)"
                : body.map(EventDetail.visibleText)
                    ?? "(\(event.bodyBytes) bytes that are not text; --json has them as base 64)",
        ]
        if !deliveries.isEmpty { lines.append("") }
        lines += deliveries.map { "delivery \($0.line)" }
        return lines.joined(separator: "\n")
    }
    /// Line ends and tabs of a body stay, other control characters are made visible.
    static func visibleText(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false).map { LogLines.visible(String($0)) }.joined(
                separator: "\t")
        }.joined(separator: "\n")
    }
}

extension DeliveryItem {
    package var line: String {
        var words = "\(endpoint)  \(state)  \(attempts) attempts"
        if let status { words += "  status \(status)" }
        if let reason { words += "  \(reason)" }
        if let nextAttemptAt { words += "  next at \(nextAttemptAt)" }
        return words
    }
}

/// Which events a listing wants.
package struct EventFilter: Sendable {
    let source: String?
    let type: TypePattern?
    private var providerId: [UInt8]?
    private var received: Range<UInt64>?
    /// Nil = of all tenants.
    private var tenant: TenantID?

    init(_ query: EventQuery, tenant: TenantID?) {
        self.init(source: query.source, type: query.type)
        self.tenant = tenant
    }
    init(_ search: EventSearch, tenant: TenantID?) {
        self.init(source: search.source, type: search.type)
        self.tenant = tenant
        providerId = search.providerId.map { Array($0.utf8) }
        received = search.received
    }
    package init(source: String?, type: String?) {
        self.source = source
        self.type = type.map { TypePattern($0) }
    }
    package func takes(_ record: RecordView) -> Bool {
        if let tenant, record.tenantNumber != tenant.number { return false }
        if let source, record.source.text != source { return false }
        if let type, !type.matches(record.eventType.array) { return false }
        if let providerId, !DedupKeyText.names(providerId, in: record.providerID.array) { return false }
        if let received, !received.contains(record.receivedAt) { return false }
        return true
    }
}
