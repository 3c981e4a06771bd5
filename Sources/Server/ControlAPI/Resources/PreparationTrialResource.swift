// The API's form of a transformation or redaction that is tried: on one body, or over a span of the log.
import Engine
import FastPath

/// What is tried, and on what.
package struct TransformationTest: Codable, Equatable, Sendable {
    package var endpoint: String?
    package var redact: RedactResource?
    package var transform: [TransformStepResource]?
    package var event: String?
    package var body: String?
    package var contentType: String?
    package init() {}
}

extension TransformationTest: Described {
    static let settings: [ObjectSchema.Field] = [
        .optional("endpoint", .text, "What of it `redact` and `transform` do not say holds."),
        .optional("redact", .flagOr(RedactResource.schema), RedactResource.about),
        .optional(
            "transform", .list(.object(TransformStepResource.schema), countMax: Transformation.stepCountMax),
            "Steps, in this order."),
    ]
    package static let schema = ObjectSchema(
        "TransformationTest", "A transformation or redaction to be tried on one body.",
        settings + [
            .optional("event", .text, "The event that it is tried on; or a body."),
            .optional("body", .text, "The body that it is tried on."),
            .optional("content_type", .text, "Of the body; `application/json` when absent."),
        ])
}

package struct TransformationTestAnswer: Codable, Equatable, Sendable {
    package var result: String
    package var reason: String?
    package var changed = false
    package var body: String?
    package var bodyBase64: String?
    package var redactions: [String: Int] = [:]
    package init(result: String) { self.result = result }
}

extension TransformationTestAnswer: Described {
    static let results = Schema.word(["ok"] + PreparationFailure.allCases.map(\.name))
    package static let schema = ObjectSchema(
        "TransformationTestAnswer", "What would be sent, or why nothing would.",
        [
            .required("result", results, "`ok`, or the reason of the dead letter that it would be."),
            .optional("reason", .text, "The same in words."),
            .required("changed", .flag, "What would be sent is not what came."),
            .optional("body", .text, "What would be sent, when it is text."),
            .optional("body_base64", .text, "The same when it is not text."),
            .required("redactions", .map(.count), "What was replaced, by pattern."),
        ])
}

/// What is tried, and on which events of the log.
package struct TransformationSurvey: Codable, Equatable, Sendable {
    package static let limitMax = 10_000
    package static let limitDefault = 1000
    package var endpoint: String?
    package var redact: RedactResource?
    package var transform: [TransformStepResource]?
    package var source: String?
    package var type: String?
    package var from: String?
    package var until: String?
    package var limit: Int?
    package init() {}
}

extension TransformationSurvey: Described {
    package static let schema = ObjectSchema(
        "TransformationSurvey", "A transformation or redaction to be tried on events of the log, the newest first.",
        TransformationTest.settings + [
            .optional("source", .text, "Only events of this source."),
            .optional("type", .text, "Only events of this type; `*` stands for anything."),
            .optional("from", .time, "Only events received at or after this time."),
            .optional("until", .time, "Only events received before this time."),
            .optional(
                "limit", .integer(1...limitMax), "So many events at most; \(limitDefault) when absent."),
        ])
}

package struct TransformationExample: Codable, Equatable, Sendable {
    package var event: String
    package var before: String?
    package var after: String?
    package var result: String
    package init(event: String, result: String) {
        self.event = event
        self.result = result
    }
}

extension TransformationExample: Described {
    package static let schema = ObjectSchema(
        "TransformationExample", "One event of a span, before and after.",
        [
            .required("event", .text, "The event's id."),
            .optional("before", .text, "The first 2 KiB of what is sent now."),
            .optional("after", .text, "The first 2 KiB of what would be sent."),
            .required("result", TransformationTestAnswer.results, "`ok`, or why nothing would be sent."),
        ])
}

package struct TransformationSurveyAnswer: Codable, Equatable, Sendable {
    package var events = 0
    package var changed = 0
    package var failed: [String: Int] = [:]
    package var redactions: [String: Int] = [:]
    package var examples: [TransformationExample] = []
    package var isComplete = true
    package init() {}
}

extension TransformationSurveyAnswer: Described {
    package static let schema = ObjectSchema(
        "TransformationSurveyAnswer", "What a transformation or redaction would have made of a span of the log.",
        [
            .required("events", .count, "So many were tried."),
            .required("changed", .count, "So many would be sent otherwise than by what holds now, or not at all."),
            .required("failed", .map(.count), "Those that could not be made, by reason."),
            .required("redactions", .map(.count), "What was replaced, by pattern."),
            .required("examples", .list(.object(TransformationExample.schema)), "Up to five of each kind."),
            .required(
                "is_complete", .flag, "False when the number, the time or the records to look at were used up before."),
        ])
}
