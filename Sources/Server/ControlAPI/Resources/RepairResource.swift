// Repairs as the API takes and shows them, and dead letters counted.
import Engine
import Foundation

/// `503`, or `5xx`.
package enum StatusRange {
    package static let form = "a status such as 503, or a class of them such as 5xx"

    package static func parse(_ text: String) -> ClosedRange<UInt16>? {
        let bytes = Array(text.utf8)
        guard bytes.count == 3, let digit = bytes.first, (0x31...0x35).contains(digit) else { return nil }
        let first = UInt16(digit - 0x30) * 100
        if bytes[1...] == Array("xx".utf8)[...] { return first...first + 99 }
        return UInt16(text).map { $0...$0 }
    }
    package static func text(_ range: ClosedRange<UInt16>) -> String {
        range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound / 100)xx"
    }
}

package enum RepairScope: String, CaseIterable, Codable, Sendable { case dead, delivered }

package struct RepairDraft: Codable, Equatable, Sendable {
    package var action: String
    package var endpoint: String?
    /// Where `forward` sends to.
    package var to: String?
    package var states: [RepairScope]?
    /// Ids.
    package var events: [String]?
    package var source: String?
    package var type: String?
    package var reason: String?
    package var `class`: String?
    package var status: String?
    package var from: String?
    package var until: String?
    package var failedFrom: String?
    package var failedUntil: String?
    package var perSecond: Int?
    /// True when nil.
    package var dryRun: Bool?
    package static let eventCountMax = 1000
    package init(action: String) { self.action = action }
}

private let filterFields: [ObjectSchema.Field] = [
    .optional("source", .text, "Only events of this source."),
    .optional("type", .text, "Only events of this type; `*` stands for anything."),
    .optional("reason", .word(DeadLetterReason.allCases.map(\.name)), "Only dead letters of this reason."),
    .optional("class", .word(DeadLetterClass.names), "Only those that failed so."),
    .optional("status", .text, "Only those whose last answer was so: `503`, or `5xx`."),
    .optional("from", .time, "Only events received at or after this time."),
    .optional("until", .time, "Only events received before this time."),
    .optional("failed_from", .time, "Only those whose last attempt ended at or after this time."),
    .optional("failed_until", .time, "Only those whose last attempt ended before this time."),
]

extension RepairDraft: Described {
    package static let schema = ObjectSchema(
        "RepairOrder", "What to repair; an absent field matches everything.",
        [
            .required(
                "action", .word(RepairAction.allCases.map(\.rawValue)),
                "`retry`: sent again to its endpoint; `cancel`: what waits for another attempt is given up; `forward`: "
                    + "sent to the endpoint `to`."),
            .optional(
                "endpoint", .text, "Id, uid or name of the endpoint whose deliveries they are; absent: every endpoint "
                    + "that has some. Required with `delivered`."),
            .optional("to", .text, "Of `forward`: where they go, an endpoint of the same tenant."),
            .optional(
                "states", .list(.word(RepairScope.allCases.map(\.rawValue)), countMax: 2),
                "Of `retry` and `forward`: `[\"dead\"]` when absent."),
            .optional(
                "events", .list(.text, countMax: RepairDraft.eventCountMax),
                "Only these events, by their ids; with `endpoint`."),
        ] + filterFields + [
            .optional(
                "per_second", .integer(RepairOrder.perSecondRange),
                "So many deliveries a second at most; \(RepairOrder.perSecondDefault) when absent."),
            .optional("dry_run", .flag, "`true` when absent: count, change nothing."),
        ])
}

package struct RepairResource: Codable, Equatable, Sendable {
    package var id: String
    package var action: String
    package var state: String
    package var dryRun: Bool
    package var endpoint: Reference?
    package var to: Reference?
    package var states: [RepairScope]?
    /// How many events were named.
    package var events: Int?
    package var source: String?
    package var type: String?
    package var reason: String?
    package var `class`: String?
    package var status: String?
    package var from: String?
    package var until: String?
    package var failedFrom: String?
    package var failedUntil: String?
    package var perSecond: Int
    package var matched: Int
    package var done: Int
    package var busy: Int
    package var stopped: Int
    package var eventsGone: Int
    package var note: String?
    package var actor: String
    package var createdAt: String
    package var updatedAt: String

    package init(_ repair: Repair, _ reference: (UInt32) -> Reference) {
        let (order, progress) = (repair.order, repair.progress)
        id = repair.id
        action = order.action.rawValue
        state = repair.state.rawValue
        dryRun = order.isDry
        endpoint = order.endpoint.map(reference)
        to = order.destination.map(reference)
        if order.action != .cancel {
            states = [order.takesDead ? .dead : nil, order.takesDelivered ? .delivered : nil].compactMap(\.self)
        }
        events = order.sequences?.count
        (source, type, reason, self.class) = (order.source, order.type, order.reason, order.failureClass)
        if let first = order.statusFirst { status = StatusRange.text(first...max(first, order.statusLast ?? first)) }
        from = order.receivedFrom.map { TimeText.of(nanoseconds: $0) }
        until = order.receivedUntil.map { TimeText.of(nanoseconds: $0) }
        failedFrom = order.failedFrom.map { TimeText.of(epochMillis: $0) }
        failedUntil = order.failedUntil.map { TimeText.of(epochMillis: $0) }
        perSecond = order.perSecond
        matched = progress.matched
        done = progress.done
        busy = progress.busy
        stopped = progress.stopped
        eventsGone = progress.eventsGone
        note = repair.note
        actor = order.actor
        createdAt = TimeText.of(epochMillis: repair.createdMillis)
        updatedAt = TimeText.of(epochMillis: repair.updatedMillis)
    }
    package var isOver: Bool { state != RepairState.running.rawValue }
}

extension RepairResource: Described {
    package static let schema = ObjectSchema(
        "Repair", "A repair, and how far it has come.",
        [
            .required("id", .text, "`rpr_…`."),
            .required("action", .word(RepairAction.allCases.map(\.rawValue)), "As it was ordered."),
            .required(
                "state", .word(RepairState.allCases.map(\.rawValue)),
                "`running`, over a restart too; `finished`; `cancelled` by somebody; `failed`: `note` says why."),
            .required("dry_run", .flag, "Nothing is changed."),
            .optional("endpoint", .object(Reference.schema), "Whose deliveries; absent: every endpoint's."),
            .optional("to", .object(Reference.schema), "Where they go."),
            .optional("states", .list(.word(RepairScope.allCases.map(\.rawValue))), "As it was ordered."),
            .optional("events", .count, "How many events were named."),
        ] + filterFields + [
            .required("per_second", .integer(RepairOrder.perSecondRange), "So many a second at most."),
            .required("matched", .count, "Deliveries that the order has taken so far."),
            .required("done", .count, "Of them: on their way, or cancelled; 0 in a dry run."),
            .required("busy", .count, "That match and are on their way already, or being attempted."),
            .required("stopped", .count, "That match at endpoints that are disabled, and stay as they are."),
            .required("events_gone", .count, "Whose event has left the log, or whose content was erased."),
            .optional("note", .text, "Why it failed, or what it waits for."),
            .required("actor", .text, "The key that ordered it."),
            .required("created_at", .time, "When it was ordered."),
            .required("updated_at", .time, "When it did something last."),
        ])
}

package struct DeadLetterCount: Codable, Equatable, Sendable {
    package var `class`: String
    package var reason: String
    package var count: Int
    package init(_ group: DeadLetterGroup) {
        `class` = group.failureClass.rawValue
        reason = group.reason.name
        count = group.count
    }
}

extension DeadLetterCount: Described {
    package static let schema = ObjectSchema(
        "DeadLetterCount", "Dead letters that ended alike.",
        [
            .required("class", .word(DeadLetterClass.names), "Which kind of trouble they met."),
            .required("reason", .word(DeadLetterReason.allCases.map(\.name)), "Why they are dead letters."),
            .required("count", .count, "How many."),
        ])
}

package struct DeadLetterCounts: Codable, Equatable, Sendable {
    package var endpoint: Reference
    package var total: Int
    package var counts: [DeadLetterCount]
    package init(endpoint: Reference, total: Int, counts: [DeadLetterCount]) {
        self.endpoint = endpoint
        self.total = total
        self.counts = counts
    }
}

extension DeadLetterCounts: Described {
    package static let schema = ObjectSchema(
        "DeadLetterCounts", "Dead letters of one endpoint.",
        [
            .required("endpoint", .object(Reference.schema), "Whose."),
            .required("total", .count, "All of them."),
            .required(
                "counts", .list(.object(DeadLetterCount.schema)),
                "Of the newest \(LiveRepairs.lookedMax), the most first."),
        ])
}
