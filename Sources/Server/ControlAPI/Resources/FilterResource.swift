// Filters as the API takes and shows them: the JSON of one, a trial of one on an event and what came of it, and what
// one would have done over a stretch of the log. docs/filters.md says what a filter means.
//
// Invariant: nothing here carries a value of an event but its id, type, source and times.
import Engine
import FastPath

enum FilterForm {
    static let schema = Schema.map(.anything)
    static let about = "Only events that this filter lets through (docs/filters.md); none = all."
}

/// An event that is given and not in the log.
package struct GivenEvent: Codable, Equatable, Sendable {
    package var type: String?
    package var source: String?
    package var channels: [String]?
    package var headers: [String: String]?
    package var payload: JSONValue?
    package var body: String?
    package init() {}
}

extension GivenEvent: Described {
    package static let schema = ObjectSchema(
        "GivenEvent", "An event that need not be in the log; what is absent it has not.",
        [
            .optional("type", .text, "Its type."),
            .optional("source", .text, "The name of its source."),
            .optional("channels", .list(.text, countMax: PublishRules.channelCountMax), "Of a published event."),
            .optional("headers", .map(.text), "Names and values of header fields."),
            .optional("payload", .anything, "Its body, as JSON; or `body`."),
            .optional("body", .text, "Its body, as it stands."),
        ])
}

extension CompiledFilter {
    package func trace(_ given: GivenEvent) -> FilterTrace {
        let lines = (given.headers ?? [:]).sorted { $0.key < $1.key }.map { name, value in
            // What would end the line is no part of a value.
            "\(name): \(String(value.unicodeScalars.filter { $0.value >= 0x20 }))\r\n"
        }
        let body = given.body ?? given.payload.map { JSONText.of($0) } ?? ""
        let texts = [
            given.type ?? "", given.source ?? "", (given.channels ?? []).joined(separator: ","), lines.joined(), body,
        ].map { Array($0.utf8) }
        // One block, so that the views are of one loan.
        return Array(texts.joined()).withView { all in
            var start = 0
            let views = texts.map { text in
                defer { start += text.count }
                return all.slice(start, text.count)
            }
            return trace(
                FilterInput(
                    type: views[0], source: views[1], channels: views[2], fieldLines: views[3], body: views[4]))
        }
    }
}

/// What is tried on what.
package struct FilterTrial: Codable, Equatable, Sendable {
    package var filter: JSONValue?
    package var endpoint: String?
    package var event: String?
    package var given: GivenEvent?
    package init() {}
}

extension FilterTrial: Described {
    package static let schema = ObjectSchema(
        "FilterTrial", "One of `filter` and `endpoint`, and one of `event` and `given`.",
        [
            .optional("filter", FilterForm.schema, "A filter."),
            .optional("endpoint", .text, "Id, uid or name of an endpoint: its filter."),
            .optional("event", .text, "The id of an event in the log."),
            .optional("given", .object(GivenEvent.schema), "An event of your own."),
        ])
}

package struct FilterConditionResult: Codable, Equatable, Sendable {
    package var place: String
    package var `operator`: String
    package var operand: String
    package var holds: Bool?
    package var finding: String
    package init(_ condition: FilterTrace.Condition) {
        place = condition.place
        `operator` = condition.op.rawValue
        operand = condition.operand
        holds = condition.holds
        finding = condition.finding.rawValue
    }
}

extension FilterConditionResult: Described {
    package static let schema = ObjectSchema(
        "FilterCondition", "What one condition of a filter came to.",
        [
            .required("place", .text, "Where in the filter it stands: `body.data.amount.$gte`."),
            .required(
                "operator", .word(FilterOperator.allCases.map(\.rawValue)),
                "What it asks; a bare value asks `$eq`."),
            .required("operand", .text, "What it compares with, as JSON."),
            .optional(
                "holds", .flag,
                "Absent where the body is not JSON, or there is more than a filter compares: neither it nor its "
                    + "opposite holds then."),
            .required(
                "finding", .word(FilterTrace.Finding.allCases.map(\.rawValue)),
                "What there was to look at: `compared` (a value that it could be asked of), `missing`, `other_type`, "
                    + "`not_json`, `too_long` (more than a filter compares, or `$regex` reads), `withheld` (the field "
                    + "carries a secret)."),
        ])
}

/// Whether a filter lets an event through, and why.
package struct FilterResult: Codable, Equatable, Sendable {
    package var matched: Bool
    package var verdict: String
    package var conditions: [FilterConditionResult]

    package init(_ trace: FilterTrace) {
        matched = trace.verdict == .matches
        verdict = FilterResult.word(trace.verdict)
        conditions = trace.conditions.map { FilterConditionResult($0) }
    }
    private static func word(_ verdict: FilterVerdict) -> String {
        switch verdict {
        case .matches: "matches"
        case .differs: "differs"
        case .unreadable: "not_json"
        }
    }
}

extension FilterResult: Described {
    package static let schema = ObjectSchema(
        "FilterResult", "Whether a filter lets an event through, condition by condition.",
        [
            .required("matched", .flag, "It lets it through."),
            .required(
                "verdict", .word(["matches", "differs", "not_json"]),
                "`not_json`: it hangs on a body that is not JSON, or on more than a filter compares of an event, and "
                    + "so does not match."),
            .required("conditions", .list(.object(FilterConditionResult.schema)), "All of them, needed or not."),
        ])
}

/// Whether one endpoint takes one event.
package struct EventEndpoint: Codable, Equatable, Sendable {
    package var endpoint: Reference
    package var wanted: Bool
    package var reason: String
    package var disabled: Bool
    package var filter: FilterResult?
    package init(endpoint: Reference, reason: EventAudience.Reason, disabled: Bool, filter: FilterResult?) {
        self.endpoint = endpoint
        wanted = reason == .matched
        self.reason = reason.rawValue
        self.disabled = disabled
        self.filter = filter
    }
}

extension EventEndpoint: Described {
    package static let schema = ObjectSchema(
        "EventEndpoint", "Whether an endpoint, as it is configured now, takes an event.",
        [
            .required("endpoint", .object(Reference.schema), "The endpoint."),
            .required("wanted", .flag, "It takes it."),
            .required(
                "reason", .word(EventAudience.Reason.allCases.map(\.rawValue)),
                "`matched`, or the first that keeps it away: `tenant`, `request` (it was split), `directed` (it was "
                    + "for one endpoint), `source`, `type`, `channels`, `filter`."),
            .required("disabled", .flag, "As configured: it gets nothing whatever it takes."),
            .optional("filter", .object(FilterResult.schema), "What its filter says, whatever keeps the event away."),
        ])
}

/// A filter that is not saved yet, and the time to try it over.
package struct FilterPreviewOrder: Codable, Equatable, Sendable {
    package var filter: JSONValue?
    package var from: String
    package var until: String?
    package var cursor: String?
    package init(from: String) { self.from = from }
}

extension FilterPreviewOrder: Described {
    package static let schema = ObjectSchema(
        "FilterPreview", "What an endpoint's filter would have done.",
        [
            .optional("filter", .orNull(FilterForm.schema), "In place of the endpoint's own; `null` or absent = none."),
            .required("from", .time, "Events received at or after this time."),
            .optional("until", .time, "Events received before this time; now when absent."),
            .optional("cursor", .text, "Where to go on: `next` of the page before, with the same filter and times."),
        ])
}

package struct FilterPreview: Codable, Equatable, Sendable {
    /// Of each kind, in a page.
    package static let exampleCountMax = 10
    package var read = 0
    package var subscribed = 0
    package var before = 0
    package var after = 0
    package var gained = 0
    package var lost = 0
    package var notJson = 0
    package var gainedExamples: [EventRow] = []
    package var lostExamples: [EventRow] = []
    package var next: String?
    package init() {}
}

extension FilterPreview: Described {
    package static let schema = ObjectSchema(
        "FilterPreviewPage", "A page of what a filter would have done; sums are of this page.",
        [
            .required("read", .count, "Events of the tenant that were looked at."),
            .required("subscribed", .count, "Of those, the ones of the endpoint's sources, types and channels."),
            .required("before", .count, "Of those, the ones that its filter lets through now."),
            .required("after", .count, "And the ones that the filter on trial lets through."),
            .required("gained", .count, "Those of `after` that are not in `before`."),
            .required("lost", .count, "Those of `before` that are not in `after`."),
            .required("not_json", .count, "Those that the filter on trial keeps away for their body is not JSON."),
            .required(
                "gained_examples", .list(.object(EventRow.schema)), "The first \(exampleCountMax) of this page."),
            .required("lost_examples", .list(.object(EventRow.schema)), "The first \(exampleCountMax) of this page."),
            .optional("next", .text, "The `cursor` of the next page; absent when the time is over."),
        ])
}
