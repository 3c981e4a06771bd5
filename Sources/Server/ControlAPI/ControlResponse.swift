// The one form of every answer of the control API: JSON with its length, never cached; errors have a stable code and
// say what would be right. Also where blocking calls go, so that neither the event loop nor Swift's pool waits for a
// disk.
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

enum ControlResponse {
    /// As `/api/v1` writes it.
    static func resource(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
        text(APIText.of(value) + "\n", contentType: "application/json", status: status)
    }
    /// As the deprecated routes write it.
    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
        text(JSONText.of(value) + "\n", contentType: "application/json", status: status)
    }
    static func nothing(status: HTTPResponse.Status = .noContent) -> Response { Response(status: status) }
    static func text(_ text: String, contentType: String, status: HTTPResponse.Status = .ok) -> Response {
        var fields = HTTPFields()
        fields[.contentType] = contentType
        fields[.cacheControl] = "no-store"
        fields[.xContentTypeOptions] = "nosniff"
        return Response(status: status, headers: fields, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
    static func problem(_ error: ControlError, request: String) -> Response {
        let document = ProblemDocument(error, request: request)
        return text(
            APIText.of(document) + "\n", contentType: ProblemDocument.contentType,
            status: HTTPResponse.Status(code: error.code.status))
    }

    private struct DeprecatedFailure: Encodable {
        struct Detail: Encodable {
            let code: String
            let message: String
            var problems: [String]?
        }
        let error: Detail
    }
    static func deprecatedFailure(_ error: ControlError) -> Response {
        let problems = error.errors.isEmpty ? nil : error.errors.map(\.line)
        let detail = DeprecatedFailure.Detail(code: error.code.rawValue, message: error.message, problems: problems)
        return json(DeprecatedFailure(error: detail), status: HTTPResponse.Status(code: error.code.status))
    }
}

/// Runs the gateway's blocking calls one after the other on a thread of its own.
package final class ControlWorker: Sendable {
    private let queue = DispatchQueue(label: "sluice.control", qos: .utility)
    package init() {}

    package func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try work() }) }
        }
    }
}
