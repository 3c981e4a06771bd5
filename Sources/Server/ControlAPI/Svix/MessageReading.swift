// The fields of a message that is to be, out of the members of its body: what is wrong is gathered, not thrown. Pure;
// the time comes in.
import Engine

/// The fields of a message one by one; what is wrong is gathered.
struct MessageReading {
    private let members: JSONMembers
    private let nowNanos: UInt64
    private(set) var issues: [SvixIssue] = []

    init(members: JSONMembers, nowNanos: UInt64) {
        self.members = members
        self.nowNanos = nowNanos
    }

    /// Nil where it is absent or null.
    private func given(_ name: String) -> JSONMembers.Member? {
        members[name].flatMap { $0.form == .null ? nil : $0 }
    }
    private mutating func missing(_ name: String) {
        issues.append(SvixIssue(["body", "", ""], "the field `\(name)` is missing", .decode))
    }
    private mutating func wrong(_ name: String, _ form: String) {
        issues.append(SvixIssue(["body", name], "must be \(form)", .decode))
    }
    mutating func eventType() -> String {
        guard let member = members["eventType"] else {
            missing("eventType")
            return ""
        }
        guard let text = members.string(of: member) else {
            wrong("eventType", "a text")
            return ""
        }
        if !SvixRules.isLabel(text, bytesMax: SvixMessageDraft.eventTypeBytesMax) {
            issues.append(SvixIssue(["body", "eventType"], SvixRules.aboutLabel()))
        }
        return text
    }
    mutating func eventId() -> String? {
        guard let member = given("eventId") else { return nil }
        guard let text = members.string(of: member) else {
            wrong("eventId", "a text")
            return nil
        }
        if let problem = SvixRules.uidProblem(text, idPrefix: MessageID.prefix) {
            issues.append(SvixIssue(["body", "eventId"], problem))
        }
        return text
    }
    /// Channels, tags: of each one.
    mutating func labels(_ name: String, count: ClosedRange<Int>) -> [String] {
        guard let member = given(name) else { return [] }
        guard let texts = members.strings(of: member) else {
            wrong(name, "a list of texts")
            return []
        }
        var seen: Set<String> = []
        let unique = texts.filter { seen.insert($0).inserted }
        guard count.contains(unique.count) else {
            let form = count.lowerBound == 0 ? "at most" : "\(count.lowerBound) to"
            issues.append(SvixIssue(["body", name], "must have \(form) \(count.upperBound) items"))
            return []
        }
        let misspelt = texts.indices.filter { !PublishRules.isLabel(texts[$0]) }
        for index in misspelt.prefix(SvixBody.issueCountMax) {
            let about = SvixRules.aboutLabel(PublishRules.labelBytesMax)
            issues.append(SvixIssue(["body", name, "[\(index)]"], about))
        }
        return unique
    }
    /// What is delivered: the payload's text, or the raw one that stands for it.
    mutating func payload() -> [UInt8] {
        var body: [UInt8] = []
        if let member = members["payload"] ?? members["data"] {
            if member.form == .object { body = members.bytes(of: member) } else { wrong("payload", "an object") }
        } else {
            missing("payload")
        }
        guard let parameters = given("transformationsParams"), parameters.form == .object,
            let inner = try? JSONMembers(members.bytes(of: parameters)), let raw = inner["rawPayload"],
            let text = inner.string(of: raw)
        else { return body }
        return Array(text.utf8)
    }
    /// Milliseconds since 1970.
    mutating func deliverAtMillis(isRepeatable: Bool) -> Int64? {
        guard let member = given("deliverAt") else { return nil }
        guard let time = members.string(of: member).flatMap({ TimeText.parse($0) }) else {
            wrong("deliverAt", "a time such as 2026-01-31T00:00:00Z")
            return nil
        }
        if !PublishRules.isDelay(until: time, now: nowNanos, isRepeatable: isRepeatable) {
            issues.append(SvixIssue(["body", "deliverAt"], PublishRules.delayForm))
        }
        return Int64(time / 1_000_000)
    }
    /// Said in days or in hours.
    mutating func retentionHours() -> Int? {
        let days = number("payloadRetentionPeriod", PublishRules.retentionDays)
        let hours = number("payloadRetentionHours", PublishRules.retentionHours)
        if days != nil, hours != nil {
            let about = "goes without `payloadRetentionPeriod`, which says the same"
            issues.append(SvixIssue(["body", "payloadRetentionHours"], about))
        }
        return hours ?? days.map { $0 * 24 }
    }
    private mutating func number(_ name: String, _ range: ClosedRange<Int>) -> Int? {
        guard let member = given(name) else { return nil }
        guard member.form == .number, let number = Int(String(decoding: members.bytes(of: member), as: UTF8.self))
        else {
            wrong(name, "a whole number")
            return nil
        }
        guard range.contains(number) else {
            issues.append(SvixIssue(["body", name], "must be from \(range.lowerBound) to \(range.upperBound)"))
            return nil
        }
        return number
    }
    /// Its uid is that of the path.
    mutating func application(_ path: String) throws -> SvixApplicationDraft? {
        guard let member = given("application") else { return nil }
        guard member.form == .object else {
            wrong("application", "an object")
            return nil
        }
        let wrapped = Array("{\"application\":".utf8) + members.bytes(of: member) + Array("}".utf8)
        var outer = try SvixBody(wrapped)
        let draft = outer.application(for: path)
        issues += outer.issues
        return draft
    }
}
