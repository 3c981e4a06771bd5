// What the Svix-shaped API refuses, in the form that its SDKs read: `{"code", "detail"}` with a text, and for 422
// `{"detail": [{"loc", "msg", "type"}]}` with every rule that is broken. Whatever else of the control API is thrown
// under its paths is put into the same form.
//
// Invariant: every answer that is an error has a JSON body; the SDKs cannot read one without.
import Engine
import Foundation
import HTTPTypes
import Hummingbird

/// One broken rule; `loc` begins with `body`, `query` or `path`. Bounded, whatever it speaks of.
package struct SvixIssue: Equatable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        case rule = "value_error"
        /// The body is no JSON, or a field is missing or of another type.
        case decode = "value_error.jsondecode"
        case uidMissing = "application_uid_missing"
        case uidMismatch = "application_uid_mismatch"
    }
    package var loc: [String]
    package var message: String
    package var kind: Kind

    package init(_ loc: [String], _ message: String, _ kind: Kind = .rule) {
        self.loc = loc.map { SvixIssue.cut($0, SvixIssue.nameBytesMax) }
        self.message = SvixIssue.cut(message, SvixIssue.messageBytesMax)
        self.kind = kind
    }
    /// Names in it are the caller's, and may be as long as a body is.
    package static let nameBytesMax = 256
    package static let messageBytesMax = 1024
    private static func cut(_ text: String, _ bytesMax: Int) -> String {
        text.utf8.count <= bytesMax ? text : String(decoding: text.utf8.prefix(bytesMax), as: UTF8.self) + "…"
    }
    var json: JSONValue {
        ["loc": .list(loc.map { .text($0) }), "msg": .text(message), "type": .text(kind.rawValue)]
    }
}

package struct SvixError: Error, Equatable, Sendable {
    package let status: Int
    package let code: String
    package let detail: String
    /// Of a 422; in place of code and detail.
    package let issues: [SvixIssue]

    package init(_ status: Int, _ code: String, _ detail: String, issues: [SvixIssue] = []) {
        self.status = status
        self.code = code
        self.detail = detail
        self.issues = issues
    }
    package static func notFound(_ detail: String) -> SvixError { SvixError(404, "not_found", detail) }
    package static func conflict(_ detail: String) -> SvixError { SvixError(409, "conflict", detail) }
    package static func forbidden(_ detail: String) -> SvixError { SvixError(403, "insufficient access", detail) }
    package static func generic(_ detail: String) -> SvixError { SvixError(400, "generic_error", detail) }
    package static func invalid(_ issues: [SvixIssue]) -> SvixError {
        SvixError(422, "validation", issues.first?.message ?? "the request is not valid", issues: issues)
    }
    package static func invalid(_ loc: [String], _ message: String) -> SvixError {
        invalid([SvixIssue(loc, message)])
    }

    /// What the rest of the control API refuses.
    package init(_ error: ControlError) {
        switch error.code.status {
        case 401: self.init(401, "authentication_failed", error.message)
        case 403: self.init(403, "insufficient access", error.message)
        case 404: self.init(404, "not_found", error.message)
        case 405: self.init(405, "method_not_allowed", error.message)
        case 409: self.init(409, "conflict", error.message)
        case 413: self.init(413, "payload_too_large", error.message)
        case 422:
            // A JSON pointer into the payload, or a path of fields.
            let separator: Character = error.code == .schemaViolation ? "/" : "."
            self = .invalid(
                error.errors.map { problem in
                    let path = problem.path.split(separator: separator).map(String.init)
                    return SvixIssue(["body"] + path, problem.reason)
                })
        case 429: self.init(429, "rate_limited", error.message)
        case 500: self.init(500, "server_error", error.message)
        case 503: self.init(503, "unavailable", error.message)
        default: self.init(error.code.status, "generic_error", error.message)
        }
    }

    package var body: JSONValue {
        status == 422 ? ["detail": .list(issues.map(\.json))] : ["code": .text(code), "detail": .text(detail)]
    }
    var response: Response { SvixAnswer.json(body, status: status) }

    static let schema = ObjectSchema(
        "HttpErrorOut", "What was refused, as the Svix-shaped API says it.",
        [.required("code", .text, "Stable; branch on this."), .required("detail", .text, "What is wrong this time.")])
    static let validationSchema = ObjectSchema(
        "HTTPValidationError", "Every rule that a request broke.",
        [.required("detail", .list(.object(itemSchema)), "One item for each broken rule.")])
    private static let itemSchema = ObjectSchema(
        "ValidationErrorItem", "One broken rule.",
        [
            .required("loc", .list(.text), "Where: `body`, `query` or `path`, and the way from there."),
            .required("msg", .text, "What is wrong, and what would be right."),
            .required("type", .word(SvixIssue.Kind.allCases.map(\.rawValue)), "Whether the value was read at all."),
        ])
}

/// Answers of the Svix-shaped API: names as they are, `null` where a value is absent but its name is not.
package enum SvixAnswer {
    static func json(_ value: JSONValue, status: Int = 200) -> Response {
        ControlResponse.json(value, status: HTTPResponse.Status(code: status))
    }
    static func nothing(status: Int = 204) -> Response {
        ControlResponse.nothing(status: HTTPResponse.Status(code: status))
    }
}
