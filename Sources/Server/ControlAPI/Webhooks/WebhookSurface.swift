// What routes of webhooks by a contract have in common: how one is made, what they refuse and in which form.
//
// Invariants: a call needs a bearer token and no header of ours; a body is JSON and says so; every error has the form
// `{"error": {"code", "message"}}`; a query that is wrong is 422 like a field that is.
import Engine
import Foundation
import HTTPTypes
import Hummingbird

enum WebhookFailure {
    static func response(_ error: ControlError) -> Response {
        let body: JSONValue = ["error": ["code": .text(error.code.rawValue), "message": .text(error.message)]]
        return ControlResponse.json(body, status: HTTPResponse.Status(code: error.code.status))
    }
    static let schema = ObjectSchema(
        "WebhookFailure", "What was refused, as the routes of webhooks say it.",
        [.required("error", .object(detail), "The refusal.")])
    private static let detail = ObjectSchema(
        "WebhookFailureDetail", "A refusal.",
        [
            .required("code", .word(ProblemCode.allCases.map(\.rawValue)), "Stable; branch on this."),
            .required("message", .text, "What is wrong this time, and what would be right."),
        ])

    /// 415 where a type is given that is not JSON; a call without a body needs none.
    static func needJSON(_ request: Request) throws {
        let hasBody = request.headers[.contentLength].map { $0 != "0" } ?? (request.headers[.transferEncoding] != nil)
        guard hasBody, let type = request.headers[.contentType] else { return }
        let essence = type.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces).lowercased()
        guard essence == "application/json" || essence.hasSuffix("+json") else {
            throw ControlError(.notJSON, "the body must be JSON: `Content-Type: application/json`")
        }
    }
}

extension Route {
    /// `path` is below `/api/v1`.
    static func webhooks(
        _ method: HTTPRequest.Method, _ path: String, _ operation: String, _ summary: String,
        query: [QueryParameter] = [], body: Body? = nil, bodyBytesMax: Int = Route.bodyBytesMax, status: Int = 200,
        answer: Answer, isFrequent: Bool = false, _ reply: @escaping @Sendable (Call) async throws -> WebhookReply
    ) -> Route {
        var route = Route(
            method: method, path: ControlAPI.base + path, operation: operation, resource: "webhooks", summary: summary,
            query: query, body: body, bodyBytesMax: bodyBytesMax, status: HTTPResponse.Status(code: status),
            answer: answer
        ) { call in
            let text: String
            switch try await reply(call) {
            case .json(let value): text = JSONText.of(value)
            case .text(let written): text = written
            case .nothing: return ControlResponse.nothing(status: HTTPResponse.Status(code: status))
            }
            return ControlResponse.text(
                text + "\n", contentType: "application/json", status: HTTPResponse.Status(code: status))
        }
        route.surface = .webhooks
        route.isFrequent = isFrequent
        return route
    }
}

enum WebhookReply {
    case json(JSONValue)
    /// JSON that is written already: what somebody sent stays in it as it was.
    case text(String)
    case nothing
}

/// The body of a call, its members as they stand in it.
struct WebhookBody {
    let members: JSONMembers

    /// 400 for what is no JSON, 422 for what is no object of those members. `isOptional`: nothing at all is an empty
    /// object.
    init(_ bytes: [UInt8], knowing names: [String], isOptional: Bool = false) throws {
        if bytes.isEmpty, !isOptional { throw ControlError(.badJSON, "the body is empty; it must be a JSON object") }
        do throws(JSONProblem) { members = try JSONMembers(bytes.isEmpty ? Array("{}".utf8) : bytes) } catch {
            switch error {
            case .malformed, .notUTF8: throw ControlError(.badJSON, "the body \(error.message)")
            default: throw ControlError(.invalid, "the body \(error.message)")
            }
        }
        for member in members.members where !names.contains(member.name) {
            let advice =
                NearestName.of(member.name, among: names).map { "did you mean `\($0)`?" }
                ?? "known keys: \(names.joined(separator: ", "))"
            throw ControlError(.invalid, "`\(member.name.prefix(64))` is an unknown key; \(advice)")
        }
    }
    func has(_ name: String) -> Bool { members[name] != nil }
    func text(_ name: String) throws -> String? {
        guard let member = members[name] else { return nil }
        guard let text = members.string(of: member) else { throw WebhookBody.wrong(name, "a text") }
        return text
    }
    /// Null is one of its values.
    func textOrNull(_ name: String) throws -> String? {
        if members[name]?.form == .null { return nil }
        return try text(name)
    }
    func flag(_ name: String) throws -> Bool? {
        guard let member = members[name] else { return nil }
        guard member.form == .flag else { throw WebhookBody.wrong(name, "true or false") }
        return members.bytes(of: member) == Array("true".utf8)
    }
    /// Without repeats, in the order given.
    func texts(_ name: String) throws -> [String]? {
        guard let member = members[name] else { return nil }
        guard let texts = members.strings(of: member) else { throw WebhookBody.wrong(name, "a list of texts") }
        var seen: Set<String> = []
        return texts.filter { seen.insert($0).inserted }
    }
    /// As it was written.
    func object(_ name: String) throws -> [UInt8]? {
        guard let member = members[name] else { return nil }
        guard member.form == .object else { throw WebhookBody.wrong(name, "an object") }
        return members.bytes(of: member)
    }
    func required<Value>(_ name: String, _ value: Value?) throws -> Value {
        guard let value else { throw ControlError(.invalid, "`\(name)` is required") }
        return value
    }
    static func wrong(_ name: String, _ form: String) -> ControlError {
        ControlError(.invalid, "`\(name)` must be \(form)")
    }
}
