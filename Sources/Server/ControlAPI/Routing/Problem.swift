// Everything that the control API refuses, as values: a stable code with its status and title, a sentence for this one
// case, and the fields that are wrong. RFC 9457 is its form on the wire; docs/http-api.md lists every code.
//
// Invariant: a code is one status forever; clients and suites branch on it, people read `detail`.
import Engine
import Foundation

package enum ProblemCode: String, CaseIterable, Sendable {
    case badJSON = "bad_json"
    case badParameter = "bad_parameter"
    case unknownParameter = "unknown_parameter"
    case badCursor = "bad_cursor"
    case badValue = "bad_value"
    case unknownKey = "unknown_key"
    case badRequest = "bad_request"
    case unauthorized
    case forbidden
    case missingHeader = "missing_header"
    case notFound = "not_found"
    case noSuchTenant = "no_such_tenant"
    case noSuchKey = "no_such_key"
    case noSuchSource = "no_such_source"
    case noSuchEndpoint = "no_such_endpoint"
    case noSuchEvent = "no_such_event"
    case noSuchDelivery = "no_such_delivery"
    case noSuchRejected = "no_such_rejected"
    case noSuchRepair = "no_such_repair"
    case noSuchWebhook = "no_such_webhook"
    case methodNotAllowed = "method_not_allowed"
    case managedByManifest = "managed_by_manifest"
    case alreadyPending = "already_pending"
    case notPending = "not_pending"
    case endpointStopped = "endpoint_stopped"
    case tenantInUse = "tenant_in_use"
    case conflict
    case notKept = "not_kept"
    case tooLarge = "too_large"
    case notJSON = "not_json"
    case tooManyAttempts = "too_many_attempts"
    case tooManyReaders = "too_many_readers"
    case rateLimited = "rate_limited"
    case tooManyRepairs = "too_many_repairs"
    case wrongHost = "wrong_host"
    case invalid
    case badConfiguration = "bad_configuration"
    case schemaViolation = "schema_violation"
    case internalFault = "internal"
    case busy
    case logUnavailable = "log_unavailable"
    case storeUnavailable = "store_unavailable"
    case notRunning = "not_running"

    package var status: Int {
        switch self {
        case .badJSON, .badParameter, .unknownParameter, .badCursor, .badValue, .unknownKey, .badRequest: 400
        case .unauthorized: 401
        case .missingHeader, .forbidden: 403
        case .notFound, .noSuchTenant, .noSuchKey, .noSuchSource, .noSuchEndpoint, .noSuchEvent, .noSuchDelivery,
            .noSuchRejected, .noSuchRepair, .noSuchWebhook:
            404
        case .methodNotAllowed: 405
        case .managedByManifest, .alreadyPending, .notPending, .endpointStopped, .tenantInUse, .conflict, .notKept:
            409
        case .tooLarge: 413
        case .notJSON: 415
        case .wrongHost: 421
        case .tooManyAttempts, .tooManyReaders, .rateLimited, .tooManyRepairs: 429
        case .invalid, .badConfiguration, .schemaViolation: 422
        case .internalFault: 500
        case .busy, .logUnavailable, .storeUnavailable, .notRunning: 503
        }
    }
    /// The same for every occurrence.
    package var title: String {
        switch self {
        case .badJSON: "The body is not the JSON that this call takes"
        case .badParameter: "A query parameter has a value that it does not take"
        case .unknownParameter: "Unknown query parameter"
        case .badCursor: "The cursor does not belong to this listing"
        case .badValue: "A value is not of the form that is expected"
        case .unknownKey: "Unknown key in the body"
        case .badRequest: "The request cannot be understood"
        case .unauthorized: "A key is needed"
        case .forbidden: "The key may not do this"
        case .missingHeader: "A required header is missing"
        case .notFound: "Nothing at this path"
        case .noSuchTenant: "No such tenant"
        case .noSuchKey: "No such key"
        case .noSuchSource: "No such source"
        case .noSuchEndpoint: "No such endpoint"
        case .noSuchEvent: "No such event"
        case .noSuchDelivery: "No such delivery"
        case .noSuchRejected: "No such rejected request"
        case .noSuchRepair: "No such repair"
        case .noSuchWebhook: "No such webhook"
        case .methodNotAllowed: "Method not allowed"
        case .managedByManifest: "The configuration file manages this resource"
        case .alreadyPending: "The delivery is already pending"
        case .notPending: "The delivery is not pending"
        case .endpointStopped: "The endpoint is paused or disabled"
        case .tenantInUse: "The tenant has sources or endpoints"
        case .conflict: "The change conflicts with the current state"
        case .notKept: "Rejected requests are not kept"
        case .tooLarge: "The body is too large"
        case .notJSON: "The body's type is not JSON"
        case .tooManyAttempts: "Too many sign-ins have failed"
        case .tooManyReaders: "Too many streams are open"
        case .rateLimited: "The tenant's limit is used up"
        case .tooManyRepairs: "Too many repairs run"
        case .wrongHost: "This listener does not answer to that host"
        case .invalid: "Some fields are not valid"
        case .badConfiguration: "The configuration is not valid"
        case .schemaViolation: "The payload breaks the schema of its event type"
        case .internalFault: "Internal error"
        case .busy: "Too much is waiting"
        case .logUnavailable: "The event log cannot be read"
        case .storeUnavailable: "The delivery store cannot be read"
        case .notRunning: "The gateway is not running"
        }
    }
}

/// One field that is wrong; `path` is as in the body, such as `endpoints[3].retry.delays[0]`.
package struct FieldProblem: Codable, Equatable, Sendable {
    package let path: String
    package let reason: String
    package init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }
    package var line: String { path.isEmpty ? reason : "\(path): \(reason)" }
}

/// A request that the caller can correct, or repeat later.
package struct ControlError: Error, Equatable, Sendable {
    package let code: ProblemCode
    /// What is wrong, where, and what would be right.
    package let message: String
    package let errors: [FieldProblem]
    /// Of a 429; nil = a minute.
    package var retryAfterSeconds: Int?

    package init(_ code: ProblemCode, _ message: String, errors: [FieldProblem] = []) {
        self.code = code
        self.message = message
        self.errors = errors
    }
    package static var logUnavailable: ControlError {
        ControlError(.logUnavailable, "the log cannot be read at the moment; try again")
    }
    package static var notRunning: ControlError {
        ControlError(.notRunning, "the gateway is not running, or is stopping")
    }
    package init(_ error: DeliveryError) {
        switch error {
        case .stopped: self = .notRunning
        case .unknownEndpoint: self.init(.noSuchEndpoint, "delivery does not have the endpoint; it was just removed")
        case .store: self.init(.storeUnavailable, "the delivery store cannot be written at the moment; try again")
        case .outOfDescriptors: self.init(.busy, "\(error); try again")
        }
    }
    /// All of them in one answer.
    package static func invalid(_ errors: [FieldProblem]) -> ControlError {
        let first = errors.first?.line ?? "the body is not valid"
        let more = errors.count > 1 ? " (and \(errors.count - 1) more)" : ""
        return ControlError(.invalid, "nothing was changed: \(first)\(more)", errors: errors)
    }
    /// `known` may be long; only the nearest is named then.
    package static func unknown(_ code: ProblemCode, _ kind: String, _ name: String, known: [String]) -> ControlError {
        let advice: String
        if let near = NearestName.of(name, among: known) {
            advice = "; did you mean `\(near)`?"
        } else if known.isEmpty {
            advice = "; there are none"
        } else {
            advice = known.count <= 20 ? "; there is \(known.joined(separator: ", "))" : ""
        }
        return ControlError(code, "there is no \(kind) `\(name)`\(advice)")
    }
}

/// RFC 9457.
package struct ProblemDocument: Codable, Equatable, Sendable {
    let type: String
    let title: String
    let status: Int
    let detail: String
    let code: String
    let errors: [FieldProblem]?
    let request: String

    static let contentType = "application/problem+json"

    package init(_ error: ControlError, request: String) {
        type = "urn:sluice:problem:\(error.code.rawValue)"
        title = error.code.title
        status = error.code.status
        detail = error.message
        code = error.code.rawValue
        errors = error.errors.isEmpty ? nil : error.errors
        self.request = request
    }
}

extension ProblemDocument: Described {
    package static let schema = ObjectSchema(
        "Problem", "What is wrong, in the form of RFC 9457.",
        [
            .required("type", .text, "`urn:sluice:problem:` and the code."),
            .required("title", .text, "The code in words, the same each time."),
            .required("status", .integer(100...599), "The HTTP status."),
            .required("detail", .text, "What is wrong this time, and what would be right."),
            .required("code", .word(ProblemCode.allCases.map(\.rawValue)), "Stable; branch on this."),
            .optional("errors", .list(.object(fieldSchema)), "Every field that is wrong, 100 at most."),
            .required("request", .text, "The request id, as in `X-Request-Id` and the log."),
        ])
    private static let fieldSchema = ObjectSchema(
        "FieldProblem", "One field that is wrong.",
        [
            .required("path", .text, "Where in the body, such as `endpoints[3].url`."),
            .required("reason", .text, "Why, and what would be right."),
        ])
}
