// Events as the API takes them: either said in JSON with the payload in it, or the payload itself as the body and the
// rest in the query.
//
// Invariant: the payload's bytes are those that the caller sent, neither parsed and printed again nor moved.
import Engine
import FastPath

/// An event to publish, checked.
package struct PublishOrder: Equatable, Sendable {
    package var type: String
    package var contentType = "application/json"
    package var body: [UInt8]
    package var eventId: String?
    package var channels: [String] = []
    package var tags: [String] = []
    package var group: String?
    /// Milliseconds since 1970.
    package var deliverAtMillis: Int64?
    package var retentionHours: Int?
    package var idempotencyKey: String?

    package init(type: String, body: [UInt8]) {
        self.type = type
        self.body = body
    }
}

extension PublishOrder {
    /// Only for the document: bodies are read by `init(json:)`, which keeps the payload as it stands.
    static let schema = ObjectSchema(
        "PublishOrder", "An event to publish.",
        [
            .required("type", .text, "1 to 256 of `a-z A-Z 0-9 . _ - / :`."),
            .required("payload", .anything, "Any JSON; delivered byte by byte as it stands here."),
            .optional(
                "event_id", .text,
                "Your own id, 1 to 256 of `a-z A-Z 0-9 . _ -`; a second one within `dedup.window` is a duplicate."),
            .optional(
                "channels", .list(.text, countMax: PublishRules.channelCountMax),
                "For endpoints that ask for channels; each 1 to 128 of `a-z A-Z 0-9 . _ -`."),
            .optional("tags", .list(.text, countMax: PublishRules.tagCountMax), "Kept with the event; the same form."),
            .optional(
                "group", .text,
                "What it belongs to, 1 to 128 visible ASCII characters: for endpoints that ask for an order by it."),
            .optional("deliver_at", .time, "Delivered then and no sooner: one minute to 24 hours from now."),
            .optional(
                "retention_hours", .integer(PublishRules.retentionHours),
                "For so long its body is shown and sent by hand; without it as long as the log has it."),
        ])
    static let query = [
        QueryParameter(
            "type", .text,
            "The event's type: the body is then the payload itself, with its `Content-Type`, and the rest stands in "
                + "the query too."),
        QueryParameter("event_id", .text, "With `type`: your own id."),
        QueryParameter("channels", .text, "With `type`: comma-separated."),
        QueryParameter("tags", .text, "With `type`: comma-separated."),
        QueryParameter("group", .text, "With `type`: what it belongs to."),
        QueryParameter("deliver_at", .time, "With `type`: when deliveries begin."),
        QueryParameter("retention_hours", .count(PublishRules.retentionHours), "With `type`: how long it is shown."),
    ]

    /// The body says all of it but the key.
    package init(
        json body: [UInt8], idempotencyKey: String? = nil, nowNanos: UInt64 = ProcessResources.wallNanos
    ) throws {
        guard !body.isEmpty else { throw ControlError(.badJSON, "the body is empty; it must be a JSON object") }
        let read: JSONMembers
        do throws(JSONProblem) { read = try JSONMembers(body) } catch {
            throw ControlError(.badJSON, "the body \(error.message)")
        }
        var problems: [FieldProblem] = []
        let known = ["type", "payload", "event_id", "channels", "tags", "group", "deliver_at", "retention_hours"]
        for member in read.members where !known.contains(member.name) {
            let advice = NearestName.of(member.name, among: known).map { "did you mean `\($0)`?" }
            problems.append(
                FieldProblem(
                    path: member.name, reason: "unknown key; \(advice ?? "it takes \(known.joined(separator: ", "))")"))
        }
        func text(_ name: String) -> String? {
            guard let member = read[name], member.form != .null else { return nil }
            if let text = read.string(of: member) { return text }
            problems.append(FieldProblem(path: name, reason: "must be a text"))
            return nil
        }
        func list(_ name: String) -> [String] {
            guard let member = read[name], member.form != .null else { return [] }
            if let list = read.strings(of: member) { return list }
            problems.append(FieldProblem(path: name, reason: "must be a list of texts"))
            return []
        }
        func number(_ name: String) -> String? {
            read[name].flatMap { $0.form == .null ? nil : String(decoding: read.bytes(of: $0), as: UTF8.self) }
        }
        self.init(type: text("type") ?? "", body: read["payload"].map { read.bytes(of: $0) } ?? [])
        self.idempotencyKey = idempotencyKey
        eventId = text("event_id")
        channels = list("channels")
        tags = list("tags")
        group = text("group")
        readTimes(text("deliver_at"), number("retention_hours"), nowNanos: nowNanos, &problems)
        if self.body.isEmpty { problems.append(FieldProblem(path: "payload", reason: "is missing")) }
        try check(&problems)
    }
    /// The body is the payload.
    init(
        _ query: QueryValues, contentType: String?, body: [UInt8], idempotencyKey: String? = nil,
        nowNanos: UInt64 = ProcessResources.wallNanos
    ) throws {
        self.init(type: query.text("type") ?? "", body: body)
        self.idempotencyKey = idempotencyKey
        self.contentType = contentType ?? "application/octet-stream"
        eventId = query.text("event_id")
        channels = query.text("channels")?.split(separator: ",").map(String.init) ?? []
        tags = query.text("tags")?.split(separator: ",").map(String.init) ?? []
        group = query.text("group")
        var problems: [FieldProblem] = []
        readTimes(query.text("deliver_at"), query.text("retention_hours"), nowNanos: nowNanos, &problems)
        if !PublishRules.isContentType(self.contentType) {
            problems.append(FieldProblem(path: "Content-Type", reason: PublishRules.contentTypeForm))
        }
        try check(&problems)
    }
    private mutating func readTimes(
        _ deliverAt: String?, _ retention: String?, nowNanos: UInt64, _ problems: inout [FieldProblem]
    ) {
        if let deliverAt {
            let time = TimeText.parse(deliverAt)
            let isRepeatable = eventId != nil || idempotencyKey != nil
            if let time, PublishRules.isDelay(until: time, now: nowNanos, isRepeatable: isRepeatable) {
                deliverAtMillis = Int64(time / 1_000_000)
            } else {
                let reason = time == nil ? PublishRules.timeForm : PublishRules.delayForm
                problems.append(FieldProblem(path: "deliver_at", reason: reason))
            }
        }
        if let retention {
            retentionHours = Int(retention).flatMap { PublishRules.retentionHours.contains($0) ? $0 : nil }
            if retentionHours == nil {
                problems.append(FieldProblem(path: "retention_hours", reason: PublishRules.retentionForm))
            }
        }
    }
    private func check(_ problems: inout [FieldProblem]) throws {
        func hold(_ path: String, _ isRight: Bool, _ form: String) {
            let isKnown = problems.contains { $0.path == path }
            if !isRight, !isKnown { problems.append(FieldProblem(path: path, reason: form)) }
        }
        hold("type", PublishRules.isType(type), PublishRules.typeForm)
        if let eventId { hold("event_id", PublishRules.isID(eventId), PublishRules.idForm) }
        if let group { hold("group", PublishRules.isGroup(group), PublishRules.groupForm) }
        for (name, list, countMax) in [
            ("channels", channels, PublishRules.channelCountMax), ("tags", tags, PublishRules.tagCountMax),
        ] {
            hold(name, list.count <= countMax, "has \(list.count) entries; at most \(countMax)")
            for (index, label) in list.prefix(countMax).enumerated() {
                hold("\(name)[\(index)]", PublishRules.isLabel(label), PublishRules.labelForm)
            }
        }
        guard problems.isEmpty else { throw ControlError.invalid(problems) }
    }
}

package struct PublishAnswer: Codable, Equatable, Sendable {
    package var status: String
    package var id: String
    package init(status: String, id: String) {
        self.status = status
        self.id = id
    }
    /// As `APIText` writes it, without an encoder: this is answered thousands of times a second. Neither needs an
    /// escape.
    package var text: String { "{\"id\":\"\(id)\",\"status\":\"\(status)\"}" }
    /// Where the id begins in it.
    package static let idPlace = 7
}

extension PublishAnswer: Described {
    package static let schema = ObjectSchema(
        "PublishAnswer", "What became of a published event: it is on disk.",
        [
            .required("status", .word(["accepted", "duplicate"]), "`duplicate`: it was on disk before."),
            .required("id", .text, "`evt_…`; of a duplicate, the first one's."),
        ])
}
