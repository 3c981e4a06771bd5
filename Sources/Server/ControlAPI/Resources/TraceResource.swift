// Why an event went where it went, as the API says it: what happened when it came, then one entry an endpoint.
import Engine

package struct TraceStep: Codable, Equatable, Sendable {
    /// Stable.
    package var code: String
    package var detail: String
    package var until: String?
    package init(_ code: String, _ detail: String, until: String? = nil) {
        self.code = code
        self.detail = detail
        self.until = until
    }
}

extension TraceStep: Described {
    package static let schema = ObjectSchema(
        "TraceStep", "One reason.",
        [
            .required("code", .text, "Stable; branch on this."),
            .required("detail", .text, "In words."),
            .optional("until", .time, "When it ends by itself."),
        ])
}

package enum TraceOutcome: String, CaseIterable, Codable, Sendable {
    case delivered, superseded, dead, pending, attempting, waiting
    case notMatched = "not_matched"
    case notSent = "not_sent"
}

package struct EndpointTrace: Codable, Equatable, Sendable {
    package var endpoint: Reference
    package var outcome: TraceOutcome
    package var why: [TraceStep]
    package var delivery: DeliveryResource?
    package var attempts: [AttemptResource]?
    package init(endpoint: Reference, outcome: TraceOutcome, why: [TraceStep]) {
        self.endpoint = endpoint
        self.outcome = outcome
        self.why = why
    }
}

extension EndpointTrace: Described {
    package static let schema = ObjectSchema(
        "EndpointTrace", "What became of the event at one endpoint, and why.",
        [
            .required("endpoint", .object(Reference.schema), "Which."),
            .required(
                "outcome", .word(TraceOutcome.allCases.map(\.rawValue)),
                "`delivered`; `superseded`: by a newer event of its key; `dead`; "
                    + "`pending`: waits for another attempt; `attempting`: being made at this moment; "
                    + "`waiting`: for its first attempt; `not_matched`: it does not want it; `not_sent`: it wants it "
                    + "now, and there is no trace of a delivery."),
            .required("why", .list(.object(TraceStep.schema)), "The reasons, the first one first."),
            .optional("delivery", .object(DeliveryResource.schema), "Once there was an attempt."),
            .optional("attempts", .list(.object(AttemptResource.schema)), "Oldest first."),
        ])
}

package struct EventTrace: Codable, Equatable, Sendable {
    static let rejectedPrefix = "rej_"
    package var event: EventRow?
    /// Of a refused request.
    package var rejected: RejectedItem?
    package var receipt: [TraceStep]
    package var endpoints: [EndpointTrace]
    package var next: String?
    package init(event: EventRow?, receipt: [TraceStep], endpoints: [EndpointTrace], next: String? = nil) {
        self.event = event
        self.receipt = receipt
        self.endpoints = endpoints
        self.next = next
    }
    /// It never became an event: no endpoint was asked.
    package init(_ rejected: RejectedItem) {
        self.rejected = rejected
        var steps = [TraceStep("refused", "the request was refused: \(rejected.reason)")]
        if let hint = rejected.hint {
            steps.append(TraceStep("hint", rejected.detail.map { "\(hint): \($0)" } ?? hint))
        }
        receipt = steps
        endpoints = []
    }
}

extension EventTrace: Described {
    package static let schema = ObjectSchema(
        "EventTrace", "Why an event went where it went.",
        [
            .optional("event", .object(EventRow.schema), "The event; absent of a refused request."),
            .optional("rejected", .object(RejectedItem.schema), "The refused request; absent of an event."),
            .required(
                "receipt", .list(.object(TraceStep.schema)),
                "What happened when it came: `received`, `verified` (or why not), `dedup_key`, `published`, `split`, "
                    + "`erased`, or `refused` and `hint`."),
            .required(
                "endpoints", .list(.object(EndpointTrace.schema)),
                "A page of the endpoints of its tenant, in the order in which they were made."),
            .optional("next", .text, "The `cursor` of the next page; absent when there is nothing more."),
        ])
}
