// What the routes of the Svix-shaped API have in common: where they are, who may call from a browser, how one is made.
//
// Invariants: a call needs a bearer token, which no browser sends on its own, so any origin may ask and no header of
// ours is needed; whatever is answered under these paths has the API's own form.
import Engine
import Foundation
import HTTPTypes
import Hummingbird

/// The form in which a route is asked and answers.
enum Surface: Sendable {
    case own
    case svix
    /// Of webhooks by a contract: a bearer is enough, errors are `{"error": {"code", "message"}}`.
    case webhooks
    /// Of the contract edge, whose middleware is a list of its own.
    case contract

    static let svixPrefixes: Set<Substring> = [
        "app", "auth", "background-task", "event-type", "health", "operational-webhook", "stats",
    ]
    static let webhookPrefixes: Set<Substring> = ["webhooks", "operational_webhooks"]

    static func of(_ path: String) -> Surface {
        if EdgeRoutes.owns(path) { return .contract }
        let parts = path.split(separator: "/", maxSplits: 3)
        guard parts.count > 2, parts[0] == "api", parts[1] == "v1" else { return .own }
        if svixPrefixes.contains(parts[2]) { return .svix }
        return webhookPrefixes.contains(parts[2]) ? .webhooks : .own
    }
}

/// What a call of the Svix-shaped API answers.
package struct SvixReply: Equatable, Sendable {
    package var status: Int
    package var body: JSONValue?
    /// JSON that is written already, in place of `body`: what a caller sent stays in it as it was. Not kept for
    /// repetitions.
    package var text: String?
    /// It has a secret in it: kept for a repetition in memory alone.
    package var isSecret: Bool

    package init(_ status: Int, _ body: JSONValue? = nil, isSecret: Bool = false) {
        self.status = status
        self.body = body
        self.isSecret = isSecret
    }
    package init(_ status: Int, text: String) {
        self.init(status)
        self.text = text
    }
    var response: Response {
        if let text {
            let status = HTTPResponse.Status(code: status)
            return ControlResponse.text(text + "\n", contentType: "application/json", status: status)
        }
        return body.map { SvixAnswer.json($0, status: status) } ?? SvixAnswer.nothing(status: status)
    }
}

extension Route {
    static let svixBodyBytesMax = 256 << 10
    /// Of messages and event types: what they say is theirs.
    static let svixContentBytesMax = 2 << 20

    /// `path` is below `/api/v1`; `operation` is what Svix's own document calls it. `kept`: a POST with an
    /// `idempotency-key` is answered once.
    static func svix(
        _ method: HTTPRequest.Method, _ path: String, _ operation: String, _ summary: String,
        query: [QueryParameter] = [], body: ObjectSchema? = nil, bodyBytesMax: Int = Route.svixBodyBytesMax,
        status: Int = 200, also: Int? = nil,
        answer: ObjectSchema? = nil, kept: KeptAnswers? = nil,
        _ reply: @escaping @Sendable (Call) async throws -> SvixReply
    ) -> Route {
        var route = Route(
            method: method, path: ControlAPI.base + path, operation: operation, resource: "outbound",
            summary: summary, query: query, body: body.map { .json($0) }, bodyBytesMax: bodyBytesMax,
            status: HTTPResponse.Status(code: status), answer: answer.map { .json($0) } ?? .nothing
        ) { call in
            guard let kept, let key = call.idempotencyKey else { return try await reply(call).response }
            return try await kept.once(AnswerScope(call, key)) { try await reply(call) }.response
        }
        route.surface = .svix
        route.otherStatus = also
        return route
    }
    static let svixPaging = [
        QueryParameter(
            "limit", .count(1...SvixPaging.limitMax), "At most so many items; \(SvixPaging.limitDefault) by default."),
        QueryParameter("iterator", .text, "Where to go on: `iterator` or `prevIterator` of a page."),
    ]
    static let svixOrder = QueryParameter("order", .word(["ascending", "descending"]), "By the time of making.")
}

/// Any origin may call; a preflight is answered here, without a key.
struct CrossOrigin: RouterMiddleware {
    private static let preflightSecondsMax = "600"

    func handle(
        _ request: Request, context: ControlContext, next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        guard Surface.of(request.uri.path) == .svix else { return try await next(request, context) }
        guard request.method == .options else {
            var response = try await next(request, context)
            response.headers[.accessControlAllowOrigin] = "*"
            return response
        }
        var response = ControlResponse.nothing()
        response.headers[.accessControlAllowOrigin] = "*"
        response.headers[.accessControlAllowMethods] = "*"
        response.headers[.accessControlMaxAge] = CrossOrigin.preflightSecondsMax
        if let asked = request.headers[.accessControlRequestHeaders] {
            response.headers[.accessControlAllowHeaders] = asked
            response.headers[.vary] = "Access-Control-Request-Headers"
        }
        return response
    }
}
