// Events as they come over the contract edge, one or a batch, with every field checked; and what is answered. Pure.
//
// Invariant: a payload goes on byte by byte as it came.
import Engine
import FastPath

package struct ContractIngest: Equatable, Sendable {
    package static let eventCountMax = 1000
    package static let bodyBytesMax = 2 << 20
    static let severities = ["critical", "high", "medium", "low", "info"]
    private static let names = [
        "source", "category", "severity", "event_type", "detected_at", "payload", "tenant_id", "cluster_id",
    ]
    private static let batchNames = ["cluster_id", "tenant_id", "events"]
    private static let entryNames = [
        "id", "source", "type", "severity", "category", "namespace", "resource", "description", "timestamp", "details",
    ]
    private static let batchCategory = "observation"
    private static let textRange = 1...256

    package var events: [ContractEvent]
    package var isBatch: Bool

    /// `tenant`: the caller's UUID.
    package init(_ bytes: [UInt8], tenant: String) throws {
        let members: JSONMembers
        do throws(JSONProblem) { members = try JSONMembers(bytes) } catch {
            switch error {
            case .malformed, .notUTF8:
                throw EdgeRefusal(
                    .malformedJSON, "the body \(bytes.isEmpty ? "is empty; it must be JSON" : error.message)")
            default: throw EdgeRefusal.invalid([FieldProblem(path: "", reason: "the body \(error.message)")])
            }
        }
        isBatch = members["events"] != nil
        let known = isBatch ? ContractIngest.batchNames : ContractIngest.names
        var fields = try ContractFields(bytes, knowing: known)
        if let named = fields.text("tenant_id", 1...64), named.lowercased() != tenant {
            throw EdgeRefusal(.tenantMismatch, "`tenant_id` is not the session's tenant")
        }
        _ = fields.text("cluster_id", 1...64)
        if isBatch {
            events = ContractIngest.batch(members, bytes, &fields)
        } else {
            events = [ContractIngest.event(&fields, members)]
        }
        try fields.check()
    }
    private static func event(_ fields: inout ContractFields, _ members: JSONMembers) -> ContractEvent {
        var event = common(&fields, typeName: "event_type", timeName: "detected_at")
        event.category = fields.text("category", textRange, isRequired: true) ?? ""
        if let payload = members["payload"], payload.form != .null {
            if payload.form == .object {
                event.payload = members.bytes(of: payload)
            } else {
                fields.report("payload", "must be an object")
            }
        }
        return event
    }
    private static func common(_ fields: inout ContractFields, typeName: String, timeName: String) -> ContractEvent {
        let source = fields.text("source", textRange, isRequired: true) ?? ""
        let severity = fields.word("severity", among: severities, isRequired: true) ?? ""
        let type = fields.text(typeName, 1...PublishRules.typeBytesMax, isRequired: true) ?? ""
        if !type.isEmpty, !PublishRules.isType(type) { fields.report(typeName, PublishRules.typeForm) }
        let time = fields.text(timeName, 1...64)
        if let time, TimeText.parse(time) == nil { fields.report(timeName, PublishRules.timeForm) }
        return ContractEvent(
            type: type, source: source, category: "", severity: severity, detectedAt: time, payload: Array("{}".utf8))
    }
    /// Each entry is its event's payload, as it stands.
    private static func batch(
        _ members: JSONMembers, _ bytes: [UInt8], _ fields: inout ContractFields
    ) -> [ContractEvent] {
        guard let member = members["events"], member.form == .list,
            case .list(let entries)? = fields.value("events"), (1...eventCountMax).contains(entries.count)
        else {
            fields.report("events", "must be a list of 1 to \(eventCountMax) events")
            return []
        }
        let list = members.bytes(of: member)
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        guard let cutter = try? JSONElements(path: "$", countMax: eventCountMax, in: memory),
            case .elements(let ranges) = cutter.cut(list), ranges.count == entries.count
        else {
            fields.report("events", "must be a list of 1 to \(eventCountMax) events")
            return []
        }
        var events: [ContractEvent] = []
        for (index, entry) in entries.enumerated() {
            let path = "events[\(index)]"
            guard case .object(let own) = entry else {
                fields.report(path, "must be an object, not \(entry.kind)")
                continue
            }
            var one = ContractFields(own, at: path, knowing: entryNames)
            var event = common(&one, typeName: "type", timeName: "timestamp")
            event.category = one.text("category", textRange) ?? batchCategory
            for name in ["id", "namespace", "resource"] { _ = one.text(name, 0...256) }
            _ = one.text("description", 0...65_536)
            event.payload = Array(list[ranges[index]])
            fields.take(one)
            events.append(event)
        }
        return events
    }

    // MARK: the answer

    package static func answer(_ ids: [String], isBatch: Bool, isDuplicate: Bool, correlation: String) -> JSONValue {
        var members: [String: JSONValue] = [
            "status": .text(isDuplicate ? "duplicate" : "accepted"), "correlation_id": .text(correlation),
        ]
        if isBatch {
            members["accepted"] = .integer(Int64(ids.count))
            members["event_ids"] = .list(ids.map { .text($0) })
        } else {
            members["event_id"] = .text(ids.first ?? "")
        }
        return .object(members)
    }
    /// The first answer as a repetition gets it.
    static func asDuplicate(_ text: String) -> String {
        guard case .object(var members)? = try? JSONReading.value(Array(text.utf8)) else { return text }
        members["status"] = "duplicate"
        return JSONValue.object(members).json
    }
}
